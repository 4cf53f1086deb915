//! Batches in a log of this process whose acknowledgement waits for a higher rung, and the role of him who tells that they are there.

use super::batch::{Audience, Completion, Outcome};
use super::outbound::{Parcels, Reign};
use super::parcel::Parcel;
use super::Seat;
use crate::time::Instant;
use crate::types::{LeaderEpoch, Offset};
use std::collections::VecDeque;
use std::sync::Arc;

/// A batch in the log whose acknowledgement waits for a higher rung.
pub(super) struct Unfinished {
    pub completion: Arc<Completion>,
    pub audience: Audience,
    pub outcome: Outcome,
    pub end: Offset,
    /// The leadership under which it was appended.
    pub leader_epoch: LeaderEpoch,
    pub records: u32,
    pub bytes: usize,
    pub reserved_bytes: usize,
    /// When it was in the log; not asked where only this node can lead.
    pub held_at: Instant,
    pub sequence: u64,
    /// Its bytes, and who is to be told, where another node may lead next.
    pub parcel: Option<Box<Parcel>>,
}

impl Unfinished {
    /// Whether somebody wants to know who has no thread of his own to wait with.
    pub fn is_watched(&self) -> bool {
        let by_parcel = self.parcel.as_ref().is_some_and(|parcel| parcel.is_watched());
        by_parcel || self.completion.is_watched() || !self.audience.is_empty()
    }
}

/// The unfinished batch that has to be looked at first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Oldest {
    pub sequence: u64,
    pub end: Offset,
    pub leader_epoch: LeaderEpoch,
}

/// All of a partition, oldest first.
#[derive(Default)]
pub(super) struct UnfinishedBatches {
    batches: VecDeque<Unfinished>,
    bytes: usize,
    // Somebody is telling outcomes; the others leave it to him, so that they come in order.
    is_finishing: bool,
    // Somebody wanted to, meanwhile.
    is_missed: bool,
}

impl UnfinishedBatches {
    pub fn push(&mut self, unfinished: Unfinished) {
        self.bytes += unfinished.bytes;
        self.batches.push_back(unfinished);
    }

    /// Bytes of all of them, sealed.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes the finisher's role and says what he has to look at first; `None` when there is nothing, or when somebody has the role
    /// already: then he looks again.
    pub fn begin_finishing(&mut self) -> Option<Oldest> {
        self.is_missed |= self.is_finishing;
        if self.is_finishing {
            return None;
        }
        self.next_finishing()
    }

    /// What the finisher has to look at next; `None` gives his role back.
    pub fn next_finishing(&mut self) -> Option<Oldest> {
        self.is_missed = false;
        let of = |one: &Unfinished| Oldest { sequence: one.sequence, end: one.end, leader_epoch: one.leader_epoch };
        let next = self.batches.front().map(of);
        self.is_finishing = next.is_some();
        next
    }

    /// The oldest one is not there yet: gives the finisher's role back, unless somebody came in vain meanwhile.
    pub fn end_finishing(&mut self) -> Option<Oldest> {
        if self.is_missed {
            return self.next_finishing();
        }
        self.is_finishing = false;
        None
    }

    /// The batch with this number, if it is still the oldest one.
    pub fn poll_finished(&mut self, sequence: u64) -> Option<Unfinished> {
        self.pop_front_if(|oldest| oldest.sequence == sequence)
    }

    /// The oldest one, if it did not reach its rung in time.
    pub fn poll_expired(&mut self, now: Instant) -> Option<Unfinished> {
        self.pop_front_if(|oldest| now >= oldest.completion.expires_at())
    }

    /// The oldest one: for a purge or a failed disk.
    pub fn poll(&mut self) -> Option<Unfinished> {
        self.pop_front_if(|_| true)
    }

    fn pop_front_if(&mut self, condition: impl FnOnce(&Unfinished) -> bool) -> Option<Unfinished> {
        let oldest = self.batches.front().is_some_and(condition).then(|| self.batches.pop_front()).flatten()?;
        self.bytes -= oldest.bytes;
        Some(oldest)
    }

    /// All of them, to be sent again, and under whom they were appended; `None` when there is nothing that could be.
    pub fn poll_lost(&mut self) -> Option<(Parcels, LeaderEpoch)> {
        let leader_epoch = self.batches.front().filter(|one| one.parcel.is_some())?.leader_epoch;
        self.bytes = 0;
        Some((self.batches.drain(..).filter_map(|one| one.parcel).collect(), leader_epoch))
    }

    /// Whether some were appended under another leadership than this one.
    pub fn are_of_others(&self, reign: Reign) -> bool {
        let is_other = |last: &Unfinished| reign.seat != Seat::Here || reign.leader_epoch != last.leader_epoch;
        self.batches.back().is_some_and(is_other)
    }

    /// The end that has to be reached for all who have no thread of their own to wait with.
    pub fn watched_end(&self) -> Option<Offset> {
        self.batches.iter().rev().find(|one| one.is_watched()).map(|one| one.end)
    }

    /// The end that has to be reached for all.
    pub fn end(&self) -> Option<Offset> {
        self.batches.back().map(|last| last.end)
    }

    pub fn oldest(&self) -> Option<&Unfinished> {
        self.batches.front()
    }

    pub fn records(&self) -> u64 {
        self.batches.iter().map(|one| u64::from(one.records)).sum()
    }
}
