//! `Delivery`: one slot, three doors: wait for it, poll it as a future, or forget it.

use super::accumulator::Hurry;
use super::batch::{Completion, Outcome, Receipt, Stage};
use super::waiting::More;
use super::{BatchPlacement, RecordMetadata};
use crate::error::{ErrorCode, Result};
use crate::time::Instant;
use crate::types::{Acks, Offset, Rung};
use std::future::Future;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// A waiter for other replicas looks again this often; their progress makes no news here.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// What will become of one sent record. Dropping it cancels nothing.
///
/// Its thread class: any thread may wait for it; nobody else calls into it.
#[must_use = "nothing else tells of a failure; drop it on purpose for fire and forget"]
pub struct Delivery {
    batch: Arc<Completion>,
    receipt: Receipt,
    // Where its waker stands in the batch, once it was polled.
    waker_slot: Option<NonZeroU32>,
}

impl Delivery {
    pub(super) fn new(batch: Arc<Completion>, receipt: Receipt) -> Delivery {
        Delivery { batch, receipt, waker_slot: None }
    }

    /// Waits for the acknowledgement, at most until `delivery.timeout.ms` has passed since the send. The thread that
    /// waits does the work that is left: closes the batch when its linger has passed, appends it, leads the group commit.
    ///
    /// # Errors
    /// Why the record was not acknowledged; the message says whether it may be in the log all the same.
    pub fn wait(self) -> Result<RecordMetadata> {
        self.wait_until(None).expect("without a deadline there is an answer")
    }

    /// As [`wait`](Delivery::wait), `None` when `timeout` passed first. A group commit that this thread leads is not
    /// interrupted, so it may take longer by one fsync.
    pub fn wait_timeout(&mut self, timeout: Duration) -> Option<Result<RecordMetadata>> {
        let deadline = self.batch.shared.clock.monotonic() + timeout;
        self.wait_until(Some(deadline))
    }

    /// Waits until the record has climbed to `rung`, which may be higher than what `acks` asks for.
    ///
    /// # Errors
    /// As [`wait`](Delivery::wait).
    pub fn wait_for(self, rung: Rung) -> Result<RecordMetadata> {
        if rung == Rung::Buffered {
            return Ok(self.batch.metadata(BatchPlacement::BUFFERED, &self.receipt));
        }
        let (outcome, end) = self.wait_for_outcome(None).expect("without a deadline there is an answer");
        let mut at = outcome.of(&self.receipt)?;
        let (shared, queue, until) = (&self.batch.shared, &self.batch.queue, self.batch.expires_at());
        if rung > Rung::Written || at.rung < rung {
            let log = queue.log(shared)?;
            at.rung = if queue.is_shared() {
                let more = More { end, leader_epoch: self.batch.leader_epoch(), has: at.rung, rung, until };
                shared.wait_for_more(queue, log.as_ref(), more)?
            } else {
                log.wait_for(end, rung, Some(until))?
            };
            // What the wait made durable may be what others wait for.
            shared.finish(queue);
        }
        Ok(self.batch.metadata(at, &self.receipt))
    }

    /// Whether the outcome is known. Never waits; asking makes the background see to it that it will be.
    #[must_use]
    pub fn is_done(&self) -> bool {
        if self.is_unacknowledged() || self.batch.stage() == Stage::Done {
            return true;
        }
        self.batch.watch_from_afar();
        false
    }

    fn is_unacknowledged(&self) -> bool {
        self.batch.shared.config.acks == Acks::None
    }

    fn wait_until(&self, deadline: Option<Instant>) -> Option<Result<RecordMetadata>> {
        if self.is_unacknowledged() {
            return Some(Ok(self.batch.metadata(BatchPlacement::BUFFERED, &self.receipt)));
        }
        let (outcome, _) = self.wait_for_outcome(deadline)?;
        Some(self.told(&outcome))
    }

    fn told(&self, outcome: &Outcome) -> Result<RecordMetadata> {
        outcome.of(&self.receipt).map(|at| self.batch.metadata(at, &self.receipt))
    }

    /// Drives the batch on this thread until its outcome is final (as far as this record is concerned), the deadline
    /// passes (`None`), or `delivery.timeout.ms` does.
    fn wait_for_outcome(&self, deadline: Option<Instant>) -> Option<(Outcome, Offset)> {
        let (batch, queue, shared) = (&*self.batch, &self.batch.queue, &*self.batch.shared);
        loop {
            if queue.is_shared() {
                return shared.wait_for_leader(batch, deadline);
            }
            let news = queue.parking.news();
            match batch.stage() {
                Stage::Done => return batch.outcome(),
                Stage::Written => {
                    let (outcome, end) = batch.outcome()?;
                    let until = deadline.map_or(batch.expires_at(), |deadline| deadline.min(batch.expires_at()));
                    let waited = queue.log(shared).and_then(|log| shared.wait_for_ack(log.as_ref(), end, Some(until)));
                    match waited {
                        Ok(rung) => {
                            shared.finish(queue);
                            return Some((outcome.climbed(rung), end));
                        }
                        Err(late) if late.code() == ErrorCode::REQUEST_TIMED_OUT => {
                            let now = shared.clock.monotonic();
                            if now >= batch.expires_at() {
                                shared.expire(queue, now);
                                let expired = (Outcome::Failed(shared.late(queue)), end);
                                return Some(
                                    batch.outcome().filter(|_| batch.stage() == Stage::Done).unwrap_or(expired),
                                );
                            }
                            if now >= until {
                                return None;
                            }
                            queue.parking.wait(news, Some(until.since(now).min(LOOK_AGAIN)), false);
                        }
                        Err(failed) => {
                            shared.fail_unfinished(queue, &failed);
                            return Some((Outcome::Failed(failed), end));
                        }
                    }
                }
                Stage::Pending => {
                    let now = shared.clock.monotonic();
                    let (due, linger_until, is_appending) = {
                        let mut accumulator = queue.accumulator.lock();
                        let due = accumulator.poll_due(Hurry::Full(now));
                        (due, accumulator.linger_until(), accumulator.is_appending())
                    };
                    if let Some(due) = due {
                        shared.carry(queue, due);
                        continue;
                    }
                    if batch.stage() != Stage::Pending {
                        continue;
                    }
                    if deadline.is_some_and(|deadline| now >= deadline) {
                        return None;
                    }
                    if now >= batch.expires_at() {
                        shared.expire(queue, now);
                        if batch.stage() == Stage::Pending {
                            // Somebody is appending it at this moment, and the disk does not answer.
                            return Some((Outcome::Failed(shared.late(queue)), Offset::ZERO));
                        }
                        continue;
                    }
                    let linger_until = linger_until.filter(|_| !is_appending);
                    let until = [deadline, linger_until, Some(batch.expires_at())].into_iter().flatten().min();
                    queue.parking.wait(news, until.map(|until| until.since(now)), is_appending);
                }
            }
        }
    }
}

impl Future for Delivery {
    type Output = Result<RecordMetadata>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if this.is_unacknowledged() {
            return Poll::Ready(Ok(this.batch.metadata(BatchPlacement::BUFFERED, &this.receipt)));
        }
        if this.batch.register(&mut this.waker_slot, context.waker()) {
            this.batch.watch_from_afar();
            return Poll::Pending;
        }
        let (outcome, _) = this.batch.outcome().expect("done batches have an outcome");
        Poll::Ready(this.told(&outcome))
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if self.batch.stage() == Stage::Done {
            return;
        }
        if let Some(slot) = self.waker_slot {
            self.batch.deregister(slot);
        }
        self.batch.watch_from_afar();
    }
}

impl std::fmt::Debug for Delivery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Delivery")
            .field("topic", &self.batch.queue.topic)
            .field("partition", &self.batch.queue.partition)
            .field("stage", &self.batch.stage())
            .finish_non_exhaustive()
    }
}
