//! The last step: telling everybody what became of a batch, once, in order.

use super::attempts::Expired;
use super::batch::{Audience, Completion, Outcome, Stage};
use super::host::{HostPartition, Judgement};
use super::queue::PartitionQueue;
use super::shared::Shared;
use super::unfinished::{Oldest, Unfinished};
use super::BatchPlacement;
use crate::error::{Error, ErrorCode, Result};
use crate::time::Instant;
use crate::types::{Acks, Offset, Rung};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::Arc;

impl Shared {
    /// The rung that an acknowledgement needs on this partition.
    pub fn needed_rung(&self, log: &dyn HostPartition) -> Rung {
        match self.config.acks {
            Acks::All => Rung::Replicated,
            Acks::Leader if log.must_flush_before_ack() => Rung::Flushed,
            Acks::Leader | Acks::None => Rung::Written,
        }
    }

    /// Whether a batch that was placed on `rung` may be acknowledged.
    pub fn is_enough(&self, log: &dyn HostPartition, rung: Rung) -> bool {
        // The top of the ladder needs no further question. Under flush.messages=1 it includes the flush.
        rung == Rung::Replicated || rung >= self.needed_rung(log)
    }

    /// Waits until everything below `end` may be acknowledged; the calling thread leads or joins the group commit.
    pub fn wait_for_ack(&self, log: &dyn HostPartition, end: Offset, deadline: Option<Instant>) -> Result<Rung> {
        log.wait_for(end, self.needed_rung(log), deadline)
    }

    /// Finishes every batch of `queue` that has reached its rung. Returns at once when another thread is at it, who will look again.
    pub fn finish(&self, queue: &Arc<PartitionQueue>) {
        let Some(log) = queue.known_log() else { return };
        let needed = self.needed_rung(log.as_ref());
        let mut oldest = queue.accumulator.lock().unfinished.begin_finishing();
        while let Some(Oldest { sequence, end, leader_epoch }) = oldest {
            let judgement = log.judge(end, leader_epoch, needed);
            let mut accumulator = queue.accumulator.lock();
            match judgement {
                Judgement::Wait => oldest = accumulator.unfinished.end_finishing(),
                Judgement::Reached(rung) => {
                    let finished = accumulator.unfinished.poll_finished(sequence);
                    drop(accumulator);
                    let mut acked_at = None;
                    if let Some(mut finished) = finished {
                        acked_at = finished.parcel.is_some().then_some(finished.held_at);
                        // What was reached beyond the need is told as well.
                        let outcome = finished.outcome.clone().climbed(rung);
                        self.settle(queue, &mut finished, outcome);
                    }
                    let now = acked_at.map(|_| self.clock.monotonic());
                    let mut accumulator = queue.accumulator.lock();
                    if let (Some(held_at), Some(now)) = (acked_at, now) {
                        accumulator.pace.handle_acked(now.since(held_at), now);
                    }
                    oldest = accumulator.unfinished.next_finishing();
                }
                Judgement::Lost(error) => {
                    drop(accumulator);
                    self.lose_unfinished(queue, &error);
                    oldest = queue.accumulator.lock().unfinished.next_finishing();
                }
            }
        }
    }

    /// Fails every batch of `queue` that is in the log without having reached its rung: the disk failed, or a purge.
    pub fn fail_unfinished(&self, queue: &Arc<PartitionQueue>, error: &Error) -> u64 {
        self.finish(queue);
        self.fail_all_unfinished(queue, error)
    }

    pub fn fail_all_unfinished(&self, queue: &PartitionQueue, error: &Error) -> u64 {
        let mut failed = 0;
        loop {
            let next = queue.accumulator.lock().unfinished.poll();
            let Some(mut lost) = next else { return failed };
            failed += u64::from(lost.records);
            self.settle(queue, &mut lost, Outcome::Failed(error.clone()));
        }
    }

    /// Fails what is older than `delivery.timeout.ms`, telling apart what was certainly not written from what may be.
    pub fn expire(&self, queue: &PartitionQueue, now: Instant) {
        loop {
            let expired = queue.accumulator.lock().poll_expired_sent(now);
            match expired {
                Some(Expired::Unfinished(mut late)) => {
                    self.settle(queue, &mut late, Outcome::Failed(self.late(queue)));
                }
                Some(Expired::Parcel(parcel)) => {
                    let error = self.timed_out(queue, &parcel);
                    self.fail_parcel(queue, parcel, error);
                }
                None => break,
            }
        }
        loop {
            let (expired, behind) = {
                let mut accumulator = queue.accumulator.lock();
                accumulator.handle_given_up();
                let expired = accumulator.poll_expired(now);
                (expired, accumulator.outbound.last_error().cloned())
            };
            let Some(batch) = expired else { break };
            let timeout = self.config.delivery_timeout.as_millis();
            let why = behind.map_or(String::new(), |error| format!(", because those before it failed with {error}"));
            let text = format!(
                "{}-{}: not written within delivery.timeout.ms={timeout}{why}; it is not in the log",
                queue.topic, queue.partition
            );
            self.give_up(queue, batch, &Error::new(ErrorCode::TIMED_OUT, text));
        }
        queue.retire_if_gone();
    }

    /// The error of a record whose outcome was not known in time.
    pub fn late(&self, queue: &PartitionQueue) -> Error {
        let timeout = self.config.delivery_timeout.as_millis();
        let text = format!(
            "{}-{}: not acknowledged within delivery.timeout.ms={timeout}; it may be in the log all the same",
            queue.topic, queue.partition
        );
        Error::new(ErrorCode::REQUEST_TIMED_OUT, text)
    }

    /// Fails a batch that nobody has begun to append.
    pub fn give_up(&self, queue: &PartitionQueue, mut batch: Box<super::batch::Batch>, error: &Error) -> u64 {
        let records = batch.builder.count();
        let outcome = Outcome::Failed(error.clone());
        batch.builder.clear();
        self.account(&outcome, records, 0);
        self.tell(queue, &mut batch.audience, &outcome, &batch.completion);
        batch.completion.finish(outcome, None);
        queue.parking.announce();
        batch.is_owed = false;
        self.memory.give_back(std::mem::take(&mut batch.reserved_bytes));
        self.recycle(batch);
        u64::from(records)
    }

    fn settle(&self, queue: &PartitionQueue, one: &mut Unfinished, outcome: Outcome) {
        if let Some(parcel) = one.parcel.take() {
            if let Outcome::Placed(_) = outcome {
                queue.accumulator.lock().outbound.handle_success();
            }
            return parcel.settle(self, queue, outcome, Some(one.end));
        }
        self.account(&outcome, one.records, one.bytes);
        self.tell(queue, &mut one.audience, &outcome, &one.completion);
        one.completion.finish(outcome, Some(one.end));
        queue.parking.announce();
        self.memory.give_back(one.reserved_bytes);
    }

    /// Counts an outcome and remembers the first failure for the next flush.
    pub fn account(&self, outcome: &Outcome, records: u32, bytes: usize) {
        let counters = &self.counters;
        let failed = match outcome {
            Outcome::Placed(_) => 0,
            Outcome::Failed(error) => {
                self.remember(error);
                records
            }
            Outcome::Split(each) => {
                let failures: Vec<&Error> = each.iter().filter_map(|one| one.as_ref().err()).collect();
                if let Some(first) = failures.first() {
                    self.remember(first);
                }
                u32::try_from(failures.len()).expect("a batch counts its records in 32 bits")
            }
        };
        if failed > 0 {
            counters.records_failed.fetch_add(u64::from(failed), Relaxed);
        }
        if failed < records {
            counters.records_acked.fetch_add(u64::from(records - failed), Relaxed);
            counters.batches_acked.fetch_add(1, Relaxed);
            counters.bytes_acked.fetch_add(bytes as u64, Relaxed);
        }
    }

    #[cold]
    fn remember(&self, error: &Error) {
        self.failure.lock().get_or_insert_with(|| error.clone());
    }

    /// Tells callbacks and the sink. The deliveries learn it from the completion.
    #[inline]
    pub fn tell(&self, queue: &PartitionQueue, audience: &mut Audience, outcome: &Outcome, of: &Arc<Completion>) {
        if audience.is_empty() {
            return;
        }
        // With acks=0 nobody waited for an offset, so nobody is told one.
        let unacknowledged = Outcome::Placed(BatchPlacement::BUFFERED);
        let told = match outcome {
            Outcome::Placed(_) if self.config.acks == Acks::None => &unacknowledged,
            known => known,
        };
        if !audience.callbacks.is_empty() {
            self.tell_callbacks(audience, told, of);
        }
        if let Some(sink) = self.sink.as_ref().filter(|_| !audience.tags.is_empty()) {
            match told {
                Outcome::Placed(at) => sink.deliver(audience.report(queue, Ok(at))),
                Outcome::Failed(error) => sink.deliver(audience.report(queue, Err(error))),
                Outcome::Split(each) => {
                    for index in 0..audience.tags.len() {
                        let result = each[audience.offset_deltas[index] as usize].as_ref();
                        sink.deliver(audience.report_alone(queue, result, index));
                    }
                }
            }
        }
        audience.clear();
    }

    fn tell_callbacks(&self, audience: &mut Audience, outcome: &Outcome, of: &Arc<Completion>) {
        let callbacks = std::mem::take(&mut audience.callbacks);
        let (outcome, completion) = (outcome.clone(), of.clone());
        self.host.call_back(Box::new(move || {
            for (receipt, callback) in callbacks {
                let result = outcome.of(&receipt).map(|at| completion.metadata(at, &receipt));
                // One callback that panics must not silence those behind it.
                if catch_unwind(AssertUnwindSafe(|| callback(result))).is_err() {
                    completion.shared.host.log_warning("a delivery callback panicked");
                }
            }
        }));
    }

    /// Puts a queue on the list that the timer looks at.
    pub fn enlist(&self, queue: &Arc<PartitionQueue>) {
        if !std::mem::replace(&mut queue.accumulator.lock().is_listed, true) {
            self.listed.lock().push(queue.clone());
        }
    }
}

impl Completion {
    /// Somebody will want to know without waiting: if the batch is already in the log, `kafkalog-node` has to see to the rest.
    pub fn watch_from_afar(&self) {
        if self.stage() != Stage::Done && self.watch() && self.stage() == Stage::Written {
            self.shared.enlist(&self.queue);
            self.shared.wake_by(self.shared.clock.monotonic());
        }
    }
}
