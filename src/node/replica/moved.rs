//! What moved while a lock was held, and who has to hear of it afterwards.

use super::super::partition::Partition;
use crate::replication::IsrProposal;

/// What the cluster has to do about a partition. Called with no lock held, on the thread that caused it; may send frames, whose answers
/// may come in before the call returns.
pub(in crate::node) trait Links: Send + Sync {
    /// Followers may be waiting for it.
    fn moved(&self, partition: &Partition, moved: &Moved);
}

/// To be told once no lock is held. Dropping it unread loses a wake-up.
#[must_use]
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(in crate::node) struct Moved {
    /// The high watermark, or the log start.
    pub(in crate::node) watermark: bool,
    pub(in crate::node) log_end: bool,
    /// The least log start of all replicas: records are deleted everywhere.
    pub(in crate::node) low_watermark: bool,
    /// Who leads.
    pub(in crate::node) leadership: bool,
    pub(in crate::node) proposal: Option<IsrProposal>,
}

impl Moved {
    pub(in crate::node) fn watermark(moved: bool) -> Moved {
        Moved { watermark: moved, ..Moved::default() }
    }

    /// Whether readers and producers have to look.
    pub(in crate::node) fn is_worth_telling(&self) -> bool {
        self.watermark || self.leadership
    }

    fn is_anything(&self) -> bool {
        self.watermark || self.log_end || self.low_watermark || self.leadership || self.proposal.is_some()
    }

    pub(super) fn and(mut self, more: Moved) -> Moved {
        self.watermark |= more.watermark;
        self.log_end |= more.log_end;
        self.low_watermark |= more.low_watermark;
        self.leadership |= more.leadership;
        self.proposal = more.proposal.or(self.proposal);
        self
    }
}

impl Partition {
    /// Tells what moved: acknowledgements that wait, listeners (if there were `listeners` when it moved), the cluster.
    pub(in crate::node) fn spread(&self, moved: Moved, listeners: bool) {
        if let Some(seat) = self.seat.as_deref().filter(|_| moved.is_anything()) {
            if moved.is_worth_telling() {
                self.complete_acks(seat);
            }
            seat.links.moved(self, &moved);
        }
        if listeners {
            self.listeners.notify();
        }
    }
}
