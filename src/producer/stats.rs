//! Counters of one producer, added to once a batch.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What a producer has done since it was opened. Counted a batch at a time, so an open batch is only in `records_pending`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ProducerStats {
    /// Records in batches that were acknowledged.
    pub records_acked: u64,
    /// Records whose batch failed.
    pub records_failed: u64,
    /// Batches that were acknowledged.
    pub batches_acked: u64,
    /// Bytes of those batches as they lie in the log, headers included.
    pub bytes_acked: u64,
    /// Records refused by `send` itself (too large, no buffer, unknown topic, not a legal record).
    pub records_refused: u64,
    /// Nanoseconds from the opening of a batch to its append, summed over the batches.
    pub queue_time_ns: u64,
    /// Sends that had to wait for `buffer.memory`.
    pub buffer_waits: u64,
    /// Batches that were split because they were larger than the topic's `max.message.bytes`.
    pub batches_split: u64,
    /// Batches that were tried again: another leader, too few replicas, an answer that was lost. Until producers are idempotent each
    /// of them may lie in the log twice.
    pub batches_retried: u64,
    /// Records of those batches.
    pub records_retried: u64,
    /// Records sent and neither acknowledged nor failed.
    pub records_pending: u64,
    /// Free bytes of `buffer.memory`.
    pub buffer_free_bytes: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub records_acked: AtomicU64,
    pub records_failed: AtomicU64,
    pub batches_acked: AtomicU64,
    pub bytes_acked: AtomicU64,
    pub records_refused: AtomicU64,
    pub queue_time_ns: AtomicU64,
    pub buffer_waits: AtomicU64,
    pub batches_split: AtomicU64,
    pub batches_retried: AtomicU64,
    pub records_retried: AtomicU64,
}

impl Counters {
    pub fn snapshot(&self, records_pending: u64, buffer_free_bytes: u64) -> ProducerStats {
        ProducerStats {
            records_acked: self.records_acked.load(Relaxed),
            records_failed: self.records_failed.load(Relaxed),
            batches_acked: self.batches_acked.load(Relaxed),
            bytes_acked: self.bytes_acked.load(Relaxed),
            records_refused: self.records_refused.load(Relaxed),
            queue_time_ns: self.queue_time_ns.load(Relaxed),
            buffer_waits: self.buffer_waits.load(Relaxed),
            batches_split: self.batches_split.load(Relaxed),
            batches_retried: self.batches_retried.load(Relaxed),
            records_retried: self.records_retried.load(Relaxed),
            records_pending,
            buffer_free_bytes,
        }
    }
}
