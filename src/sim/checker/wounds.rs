//! Who was not closed in order, what that took, and when it excuses a loss of the partition.
//!
//! The controller cannot know what an unclean restart has taken, so it counts on nobody who had one. When all who had everything are
//! restarted so, the last leader leads again with what it has (KIP-966), be it more or less than the others have.

use super::history::History;
use super::Decision;
use crate::types::{NodeId, Offset};

/// A replica that was not closed in order, and has perhaps lost what it vouched for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wound {
    /// What it is sure to have kept; all of it, if this is `Offset::MAX`.
    pub kept: Offset,
    /// Has been out of ISR and eligible replicas since: if it comes back it has everything again.
    pub was_outside: bool,
}

impl History {
    /// The node was killed; or its power was cut, and `kept` is what the disk still has.
    pub(super) fn wound(&mut self, node: NodeId, kept: Option<Offset>) {
        let Some(seen) = self.seen.get(&node) else { return };
        let kept = kept.filter(|kept| *kept < seen.offsets.log_end).unwrap_or(Offset::MAX);
        let kept = self.wounds.get(&node).map_or(kept, |wound| wound.kept.min(kept));
        let decision = self.decision.as_ref().map(|(_, decision)| decision);
        let was_outside = decision.is_some_and(|decision| !decision.members().any(|member| member == node));
        self.wounds.insert(node, Wound { kept, was_outside });
        self.excuse();
    }

    /// Somebody else is in the ISR.
    pub(super) fn handle_members(&mut self, decision: &Decision) {
        let is_member = |node: &NodeId| decision.members().any(|member| member == *node);
        self.wounds.retain(|node, wound| {
            wound.was_outside |= !is_member(node);
            !(wound.was_outside && is_member(node))
        });
        // Whoever is in sync now has what the leader has: nothing that was there before the loss is left.
        if decision.isr.len() == decision.replicas.len() {
            self.lossy_from = None;
        }
        self.excuse_with(decision);
    }

    fn excuse(&mut self) {
        if let Some((_, decision)) = self.decision.clone() {
            self.excuse_with(&decision);
        }
    }

    /// When all who may lead are wounded, what one of them or the last leader is not sure to have may be gone, whoever leads.
    fn excuse_with(&mut self, decision: &Decision) {
        if decision.members().any(|member| !self.wounds.contains_key(&member)) {
            return;
        }
        let last_leader = self.leaders.last_key_value().map(|(_, leader)| *leader);
        let kept =
            decision.members().chain(last_leader).filter_map(|node| self.wounds.get(&node)).map(|wound| wound.kept);
        if let Some(kept) = kept.min().filter(|kept| *kept < Offset::MAX) {
            self.floor = Some(self.floor.map_or(kept, |floor| floor.min(kept)));
        }
    }
}
