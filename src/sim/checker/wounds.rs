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
}

impl History {
    /// The node was killed; or its power was cut, and `kept` is what the disk still has.
    pub(super) fn wound(&mut self, node: NodeId, kept: Option<Offset>) {
        let Some(seen) = self.seen.get(&node) else { return };
        let kept = kept.filter(|kept| *kept < seen.offsets.log_end).unwrap_or(Offset::MAX);
        let kept = self.wounds.get(&node).map_or(kept, |wound| wound.kept.min(kept));
        self.wounds.insert(node, Wound { kept });
        self.excuse();
    }

    /// Somebody else is in the ISR. A wounded one that is, and whose present life is registered, was taken out when it registered and
    /// came back with everything. Before that somebody may still take it in for what its last life had.
    pub(super) fn handle_members(&mut self, decision: &Decision, is_registered: &dyn Fn(NodeId) -> bool) {
        let is_back = |node: &NodeId| decision.members().any(|member| member == *node) && is_registered(*node);
        self.wounds.retain(|node, _| !is_back(node));
        // Whoever is in sync has what the leader has, and nothing else.
        self.stale.retain(|node, _| !decision.isr.contains(node));
        self.excuse_with(decision);
    }

    /// This leader begins without what was committed from `at` on, and that is excused. The others may have it until they follow it.
    pub(super) fn lose(&mut self, leader: NodeId, at: Offset) {
        self.forget_from(at);
        self.stale.remove(&leader);
        for node in self.seen.keys().filter(|node| **node != leader) {
            let from = self.stale.entry(*node).or_insert(at);
            *from = at.min(*from);
        }
    }

    /// Whether the node's log is no measure at this offset.
    pub(super) fn is_stale_at(&self, node: NodeId, at: Offset) -> bool {
        self.stale.get(&node).is_some_and(|from| at >= *from)
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
        let last_leader = decision.leader.or(decision.last_known_leader);
        let kept =
            decision.members().chain(last_leader).filter_map(|node| self.wounds.get(&node)).map(|wound| wound.kept);
        if let Some(kept) = kept.min().filter(|kept| *kept < Offset::MAX) {
            self.floor = Some(self.floor.map_or(kept, |floor| floor.min(kept)));
        }
    }
}
