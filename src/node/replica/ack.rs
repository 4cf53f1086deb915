//! Acknowledgements that wait for the in-sync replicas.

use super::super::partition::Partition;
use super::{Role, Seat};
use crate::error::{Error, ErrorCode, Result};
use crate::planted::planted;
use crate::replication::AckVerdict;
use crate::time::Instant;
use crate::types::{LeaderEpoch, Offset, Rung};
use parking_lot::{Condvar, Mutex};
use std::time::Duration;

/// Threads that wait for records of this partition to be replicated.
#[derive(Default)]
pub(super) struct Acks {
    moves: Mutex<u64>,
    moved: Condvar,
}

impl Partition {
    /// Where an `acks=all` stands that was appended in the reign `admitted` ([`Placed::leader_epoch`](super::super::Placed)) and ends at
    /// `end`. Nothing of this waits for a flush.
    #[must_use]
    pub fn judge_ack(&self, admitted: LeaderEpoch, end: Offset) -> AckVerdict {
        let Some(seat) = &self.seat else {
            let is_done = self.offsets().is_ok_and(|offsets| end <= offsets.high_watermark);
            return if is_done { AckVerdict::Done } else { AckVerdict::Wait };
        };
        // A leader whose disk has failed acknowledges nothing any more, whatever its followers say.
        if self.failure().is_some() {
            return AckVerdict::NotLeader;
        }
        match &seat.state.lock().role {
            Role::Leader(_) if planted!("bug-ack-on-append") => AckVerdict::Done,
            Role::Leader(leader) => leader.judge_ack(admitted, end),
            Role::Absent | Role::Waiting | Role::Follower(_) => AckVerdict::NotLeader,
        }
    }

    /// Something was decided: whoever waits for it looks again.
    pub(in crate::node) fn complete_acks(&self, seat: &Seat) {
        *seat.acks.moves.lock() += 1;
        seat.acks.moved.notify_all();
    }

    /// Blocks until everything below `end` is replicated in the reign that has `admitted` it.
    ///
    /// # Errors
    /// As [`wait_for`](Partition::wait_for); NOT_LEADER_OR_FOLLOWER when that reign is over, NOT_ENOUGH_REPLICAS_AFTER_APPEND.
    pub fn wait_acked(&self, admitted: LeaderEpoch, end: Offset, deadline: Option<Instant>) -> Result<Rung> {
        let Some(seat) = &self.seat else { return self.wait_for(end, Rung::Replicated, deadline) };
        if self.must_flush_before_ack() {
            self.wait_for(end, Rung::Flushed, deadline)?;
        }
        self.wait_replicated(seat, admitted, end, deadline)
    }

    pub(in crate::node) fn wait_replicated(
        &self,
        seat: &Seat,
        admitted: LeaderEpoch,
        end: Offset,
        deadline: Option<Instant>,
    ) -> Result<Rung> {
        let clock = &self.house.clock;
        let mut moves = seat.acks.moves.lock();
        loop {
            let seen = *moves;
            drop(moves);
            match self.judge_ack(admitted, end) {
                AckVerdict::Done => return Ok(Rung::Replicated),
                AckVerdict::Wait => {}
                lost => return Err(self.ack_error(lost, end)),
            }
            let left = deadline.map_or(Duration::MAX, |deadline| deadline.since(clock.monotonic()));
            if left.is_zero() {
                let text = format!("{}: {end} is not replicated yet", self.id());
                return Err(Error::new(ErrorCode::REQUEST_TIMED_OUT, text));
            }
            moves = seat.acks.moves.lock();
            if *moves == seen {
                if left == Duration::MAX {
                    seat.acks.moved.wait(&mut moves);
                } else {
                    seat.acks.moved.wait_for(&mut moves, left);
                }
            }
        }
    }

    /// What to tell whoever waited for `end`.
    pub(crate) fn ack_error(&self, verdict: AckVerdict, end: Offset) -> Error {
        let id = self.id();
        match verdict {
            AckVerdict::NotEnoughReplicasAfterAppend => {
                let text =
                    format!("{id}: {end} is written and visible, but the ISR is smaller than min.insync.replicas now");
                Error::new(ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND, text)
            }
            AckVerdict::NotLeader => {
                let text = format!("{id}: the leader changed before {end} was replicated; it may be in the log or not");
                Error::new(ErrorCode::NOT_LEADER_OR_FOLLOWER, text)
            }
            AckVerdict::Wait | AckVerdict::Done => {
                Error::new(ErrorCode::REQUEST_TIMED_OUT, format!("{id}: {end} is not replicated yet"))
            }
        }
    }
}
