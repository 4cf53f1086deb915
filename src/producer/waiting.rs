//! Waiting for a batch where another node may lead: this thread does what is left to do, then spins a little, then parks until it is
//! told.

use super::accumulator::Hurry;
use super::batch::{Completion, Outcome, Stage};
use super::host::{HostPartition, Judgement, Seat};
use super::queue::PartitionQueue;
use super::shared::Shared;
use crate::error::{Error, ErrorCode, Result};
use crate::time::Instant;
use crate::types::{LeaderEpoch, Offset, Rung};
use std::sync::Arc;

impl Shared {
    /// Drives the batch of `completion` until its outcome is final, or `deadline` passes (`None`).
    pub fn wait_for_leader(&self, completion: &Completion, deadline: Option<Instant>) -> Option<(Outcome, Offset)> {
        let queue = &completion.queue;
        loop {
            let news = queue.parking.news();
            if completion.stage() == Stage::Done {
                return completion.outcome();
            }
            let now = self.clock.monotonic();
            let due = queue.accumulator.lock().poll_due(Hurry::Full(now));
            if let Some(due) = due {
                self.carry(queue, due);
                continue;
            }
            if self.resume(queue) {
                continue;
            }
            if completion.stage() == Stage::Written {
                self.lead_commit(
                    queue,
                    Some(deadline.map_or(completion.expires_at(), |at| at.min(completion.expires_at()))),
                );
            }
            if completion.stage() == Stage::Done {
                continue;
            }
            if deadline.is_some_and(|deadline| now >= deadline) {
                return None;
            }
            if now >= completion.expires_at() {
                self.expire(queue, now);
                if completion.stage() != Stage::Done {
                    // Somebody is appending it at this moment, and the disk does not answer.
                    return Some((Outcome::Failed(self.late(queue)), Offset::ZERO));
                }
                continue;
            }
            let (timeout, is_appending) = {
                let accumulator = queue.accumulator.lock();
                (accumulator.poll_timeout(), accumulator.is_appending())
            };
            if timeout.is_some_and(|at| at <= now) {
                self.expire(queue, now);
                continue;
            }
            let until = [deadline, timeout, Some(completion.expires_at())].into_iter().flatten().min();
            let is_soon = is_appending || completion.stage() == Stage::Written;
            queue.parking.wait(news, until.map(|until| until.since(now)), is_soon);
        }
    }

    /// Under `flush.messages=1` makes what was appended here durable, on this thread; then finishes what has reached its rung.
    pub fn lead_commit(&self, queue: &Arc<PartitionQueue>, deadline: Option<Instant>) {
        let Some(log) = queue.known_log() else { return };
        let end = if log.must_flush_before_ack() { queue.accumulator.lock().unfinished.end() } else { None };
        if let Some(end) = end {
            match log.wait_for(end, Rung::Flushed, deadline) {
                Ok(_) => {}
                // Late is not lost, and what is not in the log any more is judged by who leads.
                Err(late) if late.code() == ErrorCode::REQUEST_TIMED_OUT => {}
                Err(gone) if gone.code() == ErrorCode::OFFSET_OUT_OF_RANGE => {}
                Err(failed) => self.lose_unfinished(queue, &failed),
            }
        }
        self.finish(queue);
    }

    /// Waits until what ends at `end` has climbed to `rung`, which is more than its acknowledgement asked for.
    pub fn wait_for_more(&self, queue: &PartitionQueue, log: &dyn HostPartition, more: More) -> Result<Rung> {
        let More { end, leader_epoch, has, rung, until } = more;
        if log.seat() != Seat::Here {
            return asked_elsewhere(queue, has, rung);
        }
        loop {
            let news = queue.parking.news();
            if rung == Rung::Flushed || log.must_flush_before_ack() {
                log.wait_for(end, Rung::Flushed, Some(until))?;
            }
            match log.judge(end, leader_epoch, rung) {
                Judgement::Reached(reached) => return Ok(reached),
                Judgement::Lost(error) => return Err(error),
                Judgement::Wait => {}
            }
            let now = self.clock.monotonic();
            if now >= until {
                let text = format!("{}-{}: {end} is not {rung:?} yet", queue.topic, queue.partition);
                return Err(Error::new(ErrorCode::REQUEST_TIMED_OUT, text));
            }
            queue.parking.wait(news, Some(until.since(now)), true);
        }
    }
}

/// What somebody waits for beyond the acknowledgement.
pub(super) struct More {
    pub end: Offset,
    pub leader_epoch: LeaderEpoch,
    pub has: Rung,
    pub rung: Rung,
    pub until: Instant,
}

fn asked_elsewhere(queue: &PartitionQueue, has: Rung, wanted: Rung) -> Result<Rung> {
    if has >= wanted {
        return Ok(has);
    }
    let (topic, partition) = (&queue.topic, queue.partition);
    let text = format!("{topic}-{partition}: acknowledged as {has:?}; only its leader, another node, knows more");
    Err(Error::new(ErrorCode::NOT_LEADER_OR_FOLLOWER, text))
}
