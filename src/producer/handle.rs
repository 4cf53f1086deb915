//! `Producer`: the handle that users hold.

use super::host::Wakeable;
use super::shared::Shared;
use super::teller::{ByCallback, ByDelivery, ByTag};
use super::{Delivery, ProducerStats, Record, RecordMetadata};
use crate::error::{Error, ErrorCode, Result};
use std::sync::Arc;
use std::time::Duration;

/// Sends records. Cheap to clone; every clone is the same producer, and all may send at once.
///
/// Dropping the last clone sends what is still in memory, without waiting for the disk, and tells the log sink how many
/// records could not be written. Call [`close`](Producer::close) to know.
#[derive(Clone)]
pub struct Producer {
    handle: Arc<Handle>,
}

/// What the clones share; the last one to go ends the producer.
struct Handle {
    shared: Arc<Shared>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.abandon();
    }
}

impl Producer {
    pub(super) fn new(shared: Arc<Shared>) -> Producer {
        Producer { handle: Arc::new(Handle { shared }) }
    }

    /// Copies the record into the open batch of its partition and returns at once, unless the batch is full (or
    /// `linger.ms` is 0): then this thread carries it to the log itself. Waits up to `max.block.ms` when `buffer.memory`
    /// is used up. Where other nodes replicate, are late with their acknowledgements, and more than 1 MiB of the partition waits for
    /// them, it waits too, 20 ms at a time at the most and never with `max.block.ms=0`: so what this thread is faster than they are
    /// does not become a queue of full buffers.
    ///
    /// # Errors
    /// UNKNOWN_TOPIC_OR_PARTITION, MESSAGE_TOO_LARGE (beyond `max.request.size`), QUEUE_FULL (no buffer within
    /// `max.block.ms`), INVALID_RECORD, CLOSED. Whatever happens later is told by the [`Delivery`].
    pub fn send(&self, record: Record<'_>) -> Result<Delivery> {
        self.handle.shared.enqueue(&record, ByDelivery)
    }

    /// As [`send`](Producer::send); `on_delivery` runs on the thread `kafkalog-callbacks`, in the order of the log
    /// within a partition. It is called exactly once if and only if this returns `Ok`.
    ///
    /// # Errors
    /// As [`send`](Producer::send).
    pub fn send_with(
        &self,
        record: Record<'_>,
        on_delivery: impl FnOnce(Result<RecordMetadata>) + Send + 'static,
    ) -> Result<()> {
        self.handle.shared.enqueue(&record, ByCallback(Box::new(on_delivery)))
    }

    /// As [`send`](Producer::send); the producer's [`DeliverySink`](super::DeliverySink) gets `tag` back. Without a sink
    /// nobody is told.
    ///
    /// # Errors
    /// As [`send`](Producer::send).
    pub fn send_tagged(&self, record: Record<'_>, tag: u64) -> Result<()> {
        self.handle.shared.enqueue(&record, ByTag(tag))
    }

    /// Carries everything that was sent before the call to the log, on this thread, and waits for its acknowledgement.
    ///
    /// # Errors
    /// TIMED_OUT, or the first failure of any record since the last flush.
    pub fn flush(&self, timeout: Duration) -> Result<()> {
        self.handle.shared.flush(timeout)
    }

    /// Fails everything that is not acknowledged: what was not written with PURGE_QUEUE, what is being written or waits
    /// for a higher rung with PURGE_INFLIGHT when `in_flight` asks for that too. Returns the number of records failed.
    pub fn purge(&self, in_flight: bool) -> u64 {
        self.handle.shared.purge(in_flight)
    }

    /// Records sent and neither acknowledged nor failed.
    #[must_use]
    pub fn pending(&self) -> u64 {
        self.handle.shared.pending()
    }

    /// What it has done so far.
    #[must_use]
    pub fn stats(&self) -> ProducerStats {
        self.handle.shared.stats()
    }

    /// Accepts no more records (for every clone), flushes, and fails what is left when `timeout` has passed. May be
    /// called again.
    ///
    /// # Errors
    /// TIMED_OUT when something had to be given up, or the first failure since the last flush.
    pub fn close(&self, timeout: Duration) -> Result<()> {
        let (flushed, given_up) = self.handle.shared.close(timeout);
        if given_up > 0 {
            let text = format!("{given_up} records were given up when the producer was closed");
            return Err(Error::new(ErrorCode::TIMED_OUT, text));
        }
        flushed
    }
}

impl std::fmt::Debug for Producer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Producer").finish_non_exhaustive()
    }
}
