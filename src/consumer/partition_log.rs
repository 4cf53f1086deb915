//! One partition without producer or consumer around it: append a batch, read a stretch.

use super::ConsumerRecords;
use crate::error::Result;
use crate::types::{Acks, Offset, Timestamp, TopicPartition};
use std::time::Duration;

/// How one direct append is acknowledged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AppendOptions {
    /// Who must have the batch before the call returns.
    pub acks: Acks,
    /// How long to wait for that; `None` is for ever. On time-out the batch is written, and `TIMED_OUT` says so.
    pub timeout: Option<Duration>,
    /// Return only after an fdatasync that covers the batch, whatever the topic's flush settings are.
    pub fsync: bool,
}

impl Default for AppendOptions {
    fn default() -> AppendOptions {
        AppendOptions { acks: Acks::Leader, timeout: None, fsync: false }
    }
}

/// One partition of an open engine. Cheap to clone; any thread at any time.
#[derive(Clone, Debug)]
pub struct PartitionLog {}

impl PartitionLog {
    /// Which partition this is.
    #[must_use]
    pub fn id(&self) -> &TopicPartition {
        todo!()
    }

    /// Appends one batch that is encoded already (Kafka's record batch v2, base offset 0), after checking all of it. The
    /// offset of its first record comes back.
    ///
    /// # Durability
    /// As `options` say; see [`Rung`](crate::Rung).
    ///
    /// # Errors
    /// `CORRUPT_MESSAGE`, `INVALID_RECORD`, `MESSAGE_TOO_LARGE` and the rest of Kafka's leader checks; `TIMED_OUT`:
    /// written, not yet acknowledged.
    pub fn append_raw(&self, batch: &[u8], options: AppendOptions) -> Result<Offset> {
        let _ = (batch, options);
        todo!()
    }

    /// Reads records from `from` on: whole batches of about `bytes_max` (at least one), below the high watermark. Waits up to
    /// `timeout` when there is nothing yet, then comes back empty.
    ///
    /// # Errors
    /// `OFFSET_OUT_OF_RANGE` (both offsets in the message), `CORRUPT_MESSAGE`.
    pub fn read(&self, from: Offset, bytes_max: usize, timeout: Duration) -> Result<ConsumerRecords> {
        let _ = (from, bytes_max, timeout);
        todo!()
    }

    /// The first record with timestamp `at` or a later one.
    ///
    /// # Errors
    /// What reading met.
    pub fn offset_for_timestamp(&self, at: Timestamp) -> Result<Option<(Offset, Timestamp)>> {
        let _ = at;
        todo!()
    }

    /// Returns once everything that was appended before the call survives a power cut.
    ///
    /// # Errors
    /// `TIMED_OUT`; `KAFKA_STORAGE_ERROR` is final for this open.
    pub fn sync(&self, timeout: Duration) -> Result<()> {
        let _ = timeout;
        todo!()
    }
}
