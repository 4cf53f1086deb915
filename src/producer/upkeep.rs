//! What is done for all partitions at once: the timer's round, flush, purge, relief of memory, close.

use super::accumulator::Hurry;
use super::host::Wakeable;
use super::parcel::Parcel;
use super::queue::PartitionQueue;
use super::shared::Shared;
use super::ProducerStats;
use crate::error::{Error, ErrorCode, Result};
use crate::time::Instant;
use crate::types::Offset;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::Arc;
use std::time::Duration;

/// A waiter for other replicas looks again this often; their progress makes no news here.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

impl Shared {
    fn queues(&self) -> Vec<Arc<PartitionQueue>> {
        self.topics.all().iter().flat_map(|topic| topic.queues().cloned().collect::<Vec<_>>()).collect()
    }

    /// Carries everything to the log that can be, open batches included. With `acknowledge` also waits for the rungs
    /// that acknowledgements need, so that the memory of those batches is free.
    pub fn relieve(&self, acknowledge: bool) {
        let queues = self.queues();
        for queue in &queues {
            self.carry_all(queue);
        }
        if acknowledge {
            for queue in &queues {
                self.acknowledge_all(queue);
            }
        }
    }

    /// Carries whatever is queued, unless somebody else is doing so.
    fn carry_all(&self, queue: &Arc<PartitionQueue>) {
        loop {
            let due = queue.accumulator.lock().poll_due(Hurry::Everything);
            match due {
                Some(batch) => self.carry(queue, batch),
                None => return,
            }
        }
    }

    /// Waits on this thread until everything in the log is on its rung. One group commit does for all of a partition.
    fn acknowledge_all(&self, queue: &Arc<PartitionQueue>) {
        let end = queue.accumulator.lock().unfinished.end();
        if let Some(end) = end {
            self.acknowledge(queue, end, None);
        }
    }

    /// False when its time passed first.
    fn acknowledge(&self, queue: &Arc<PartitionQueue>, end: Offset, deadline: Option<Instant>) -> bool {
        let Some(log) = queue.known_log() else { return true };
        if queue.is_shared() {
            self.lead_commit(queue, deadline);
            self.resume(queue);
            return false; // others move it, and announce that
        }
        match self.wait_for_ack(log.as_ref(), end, deadline) {
            Ok(_) => {
                self.finish(queue);
                true
            }
            // Late is not lost: it goes on waiting until it expires.
            Err(late) if late.code() == ErrorCode::REQUEST_TIMED_OUT => {
                self.finish(queue);
                false
            }
            Err(failed) => {
                self.fail_unfinished(queue, &failed);
                true
            }
        }
    }

    /// Everything present at the call is acknowledged or has failed.
    pub fn flush(&self, timeout: Duration) -> Result<()> {
        let deadline = self.clock.monotonic() + timeout;
        let present: Vec<(Arc<PartitionQueue>, u64)> = self
            .queues()
            .into_iter()
            .filter_map(|queue| {
                let last = {
                    let accumulator = queue.accumulator.lock();
                    accumulator.sequence_oldest().map(|_| accumulator.sequence_last())
                }?;
                Some((queue, last))
            })
            .collect();
        // First everything into the logs, then one group commit a log for all of it.
        for (queue, last) in &present {
            self.carry_through(queue, *last);
        }
        for (queue, last) in &present {
            self.flush_queue(queue, *last, deadline)?;
        }
        match self.failure.lock().take() {
            Some(failed) => Err(failed),
            None => Ok(()),
        }
    }

    /// Carries the batches up to number `last`, unless somebody else is at it.
    fn carry_through(&self, queue: &Arc<PartitionQueue>, last: u64) {
        loop {
            let due = {
                let mut accumulator = queue.accumulator.lock();
                let is_there = accumulator.sequence_queued().is_some_and(|oldest| oldest <= last);
                if is_there {
                    accumulator.poll_due(Hurry::Everything)
                } else {
                    None
                }
            };
            match due {
                Some(batch) => self.carry(queue, batch),
                None => return,
            }
        }
    }

    fn flush_queue(&self, queue: &Arc<PartitionQueue>, last: u64, deadline: Instant) -> Result<()> {
        loop {
            let news = queue.parking.news();
            self.carry_through(queue, last);
            let (oldest, unfinished_end, is_appending) = {
                let accumulator = queue.accumulator.lock();
                (accumulator.sequence_oldest(), accumulator.unfinished.end(), accumulator.is_appending())
            };
            if oldest.is_none_or(|oldest| oldest > last) {
                return Ok(());
            }
            let now = self.clock.monotonic();
            if now >= deadline {
                let text = format!("{} records are not acknowledged yet", self.pending());
                return Err(Error::new(ErrorCode::TIMED_OUT, text));
            }
            if queue.is_shared() {
                self.flush_shared(queue, news, deadline);
                continue;
            }
            let is_late = unfinished_end.is_some_and(|end| !self.acknowledge(queue, end, Some(deadline)));
            if unfinished_end.is_none() || is_late {
                let longest = if is_late { LOOK_AGAIN } else { Duration::MAX };
                queue.parking.wait(news, Some(deadline.since(now).min(longest)), is_appending);
            }
        }
    }

    /// Does what a flush can do where another node may lead, then waits for news.
    fn flush_shared(&self, queue: &Arc<PartitionQueue>, news: u32, deadline: Instant) {
        self.lead_commit(queue, Some(deadline));
        let now = self.clock.monotonic();
        let (timeout, is_appending) = {
            let accumulator = queue.accumulator.lock();
            (accumulator.poll_timeout(), accumulator.is_appending())
        };
        if timeout.is_some_and(|at| at <= now) {
            self.expire(queue, now);
        }
        if !self.resume(queue) {
            let until = timeout.map_or(deadline, |at| at.min(deadline));
            queue.parking.wait(news, Some(until.since(now)), is_appending);
        }
    }

    /// Fails what was not written yet, and with `in_flight` what waits for its rung. Returns the records failed.
    pub fn purge(&self, in_flight: bool) -> u64 {
        let mut failed = 0;
        for queue in self.queues() {
            let name = format_args!("{}-{}", queue.topic, queue.partition).to_string();
            let unwritten = Error::new(ErrorCode::PURGE_QUEUE, format!("{name}: purged before it was written"));
            // First those that were tried already: they are older.
            if in_flight {
                let name = &name;
                let sent = std::iter::from_fn(|| queue.accumulator.lock().outbound.poll_flying());
                failed += self.purge_parcels(&queue, sent, |_| {
                    let text = format!("{name}: purged while it was on its way; it may be in the log all the same");
                    Error::new(ErrorCode::PURGE_INFLIGHT, text)
                });
            }
            let waiting = std::iter::from_fn(|| queue.accumulator.lock().outbound.poll_waiting());
            failed += self.purge_parcels(&queue, waiting, |parcel| {
                let code = if parcel.trail.is_doubtful { ErrorCode::PURGE_INFLIGHT } else { ErrorCode::PURGE_QUEUE };
                let text = format!("{name}: purged before it was tried again; {}", parcel.trail.whereabouts());
                Error::new(code, text)
            });
            queue.accumulator.lock().handle_given_up();
            loop {
                let queued = queue.accumulator.lock().poll_queued();
                let Some(batch) = queued else { break };
                failed += self.give_up(&queue, batch, &unwritten);
            }
            if in_flight {
                let text = format!("{name}: purged while it waited for its acknowledgement; it is in the log");
                failed += self.fail_unfinished(&queue, &Error::new(ErrorCode::PURGE_INFLIGHT, text));
            }
        }
        failed
    }

    fn purge_parcels(
        &self,
        queue: &PartitionQueue,
        parcels: impl Iterator<Item = Box<Parcel>>,
        why: impl Fn(&Parcel) -> Error,
    ) -> u64 {
        let mut failed = 0;
        for parcel in parcels {
            failed += u64::from(parcel.records());
            let error = why(&parcel);
            self.fail_parcel(queue, parcel, error);
        }
        failed
    }

    /// Records neither acknowledged nor failed.
    pub fn pending(&self) -> u64 {
        self.queues().iter().map(|queue| queue.accumulator.lock().records_pending()).sum()
    }

    /// No more records. True for the first to say so.
    pub fn shut(&self) -> bool {
        let first = !self.is_closed.swap(true, SeqCst);
        for queue in self.queues() {
            let spare = {
                let mut accumulator = queue.accumulator.lock();
                accumulator.is_closed = true;
                accumulator.spare.take()
            };
            // A spare holds its producer.
            drop(spare);
        }
        first
    }

    /// Shuts, flushes, and fails what is left at the deadline.
    pub fn close(&self, timeout: Duration) -> (Result<()>, u64) {
        self.shut();
        let flushed = self.flush(timeout);
        let given_up = self.purge(true);
        self.drop_spares();
        (flushed, given_up)
    }

    /// The last handle is gone: into the log with what is left, without waiting for the disk.
    pub fn abandon(&self) {
        if self.shut() {
            let failed_before = self.counters.snapshot(0, 0).records_failed;
            for queue in self.queues() {
                self.carry_all(&queue);
                // What waits for a flush is written; kafkalog-node sees to the rest.
                let is_left = {
                    let accumulator = queue.accumulator.lock();
                    let is_on_its_way = queue.is_shared() && accumulator.sequence_oldest().is_some();
                    is_on_its_way || accumulator.unfinished.end().is_some()
                };
                if is_left {
                    self.enlist(&queue);
                    self.wake_by(self.clock.monotonic());
                }
            }
            let undelivered = self.counters.snapshot(0, 0).records_failed - failed_before;
            if undelivered > 0 {
                let text = format!("producer {}: {undelivered} records could not be written", self.config.client_id);
                self.host.log_warning(&text);
            }
        }
        self.drop_spares();
    }

    /// One round of the timer for one queue; when to come back for it.
    fn run_queue(&self, queue: &Arc<PartitionQueue>, now: Instant) -> Option<Instant> {
        if queue.is_shared() {
            self.expire(queue, now);
            self.resume(queue);
        }
        let due = queue.accumulator.lock().poll_due(Hurry::Due(now));
        if let Some(due) = due {
            self.carry(queue, due);
        }
        self.expire(queue, now);
        // After the producer is gone nobody else waits either.
        let end = {
            let accumulator = queue.accumulator.lock();
            if accumulator.is_closed {
                accumulator.unfinished.end()
            } else {
                accumulator.unfinished.watched_end()
            }
        };
        if let Some(end) = end {
            self.acknowledge(queue, end, None);
        }
        let mut accumulator = queue.accumulator.lock();
        let next = accumulator.poll_timeout();
        accumulator.is_listed = next.is_some();
        next
    }
}

impl Wakeable for Shared {
    fn run(&self, now: Instant) -> Option<Instant> {
        self.wake_at.store(u64::MAX, SeqCst);
        let queues = std::mem::take(&mut *self.listed.lock());
        let mut earliest: Option<Instant> = None;
        for queue in queues {
            if let Some(next) = self.run_queue(&queue, now) {
                earliest = Some(earliest.map_or(next, |known| known.min(next)));
                self.listed.lock().push(queue);
            }
        }
        let asked = self.wake_at.fetch_min(earliest.map_or(u64::MAX, |at| at.0), SeqCst);
        let earliest = earliest.map_or(asked, |at| at.0.min(asked));
        (earliest != u64::MAX).then_some(Instant(earliest))
    }

    fn close_with_engine(&self, deadline: Instant) -> u64 {
        let (flushed, given_up) = self.close(deadline.since(self.clock.monotonic()));
        if let Err(error) = flushed {
            self.host.log_warning(&format!("producer {}: {}", self.config.client_id, error.message()));
        }
        given_up
    }

    fn stats(&self) -> ProducerStats {
        let mut stats = self.counters.snapshot(self.pending(), self.memory.free_bytes());
        for queue in self.queues() {
            let tally = queue.accumulator.lock().tally;
            stats.records_acked += tally.records;
            stats.batches_acked += tally.batches;
            stats.bytes_acked += tally.bytes;
            stats.queue_time_ns += tally.queue_time_ns;
        }
        stats
    }

    fn client_id(&self) -> &str {
        &self.config.client_id
    }
}
