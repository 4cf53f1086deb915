//! Who lost in a power cut what was not flushed, and when that excuses a loss of the partition.

use super::history::History;
use super::Decision;
use crate::types::{NodeId, Offset};

/// A replica that may have lost what it vouched for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wound {
    /// What it is sure to have kept.
    pub kept: Offset,
    /// Has been out of ISR and eligible replicas since: if it comes back it has everything again.
    pub was_outside: bool,
}

impl History {
    /// The node's power was cut, and `kept` is what the disk still has.
    pub(super) fn wound(&mut self, node: NodeId, kept: Offset) {
        let Some(seen) = self.seen.get(&node) else { return };
        if kept >= seen.offsets.log_end {
            return;
        }
        let kept = self.wounds.get(&node).map_or(kept, |wound| wound.kept.min(kept));
        self.wounds.insert(node, Wound { kept, was_outside: false });
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

    /// When all who may lead are wounded, what none of them is sure to have may be gone, whoever leads.
    fn excuse_with(&mut self, decision: &Decision) {
        let mut kept: Option<Offset> = None;
        for member in decision.members() {
            let Some(wound) = self.wounds.get(&member) else { return };
            kept = Some(kept.map_or(wound.kept, |least| least.min(wound.kept)));
        }
        if let Some(kept) = kept {
            self.floor = Some(self.floor.map_or(kept, |floor| floor.min(kept)));
        }
    }
}
