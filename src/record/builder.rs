//! Records in, one sealed batch out.

use super::iter::Header;
use super::SealedBatch;
use crate::error::Result;
use crate::types::{Codec, ProducerStamp};

/// One record as a builder takes it. Borrowed, so that nothing is copied but into the batch.
#[derive(Clone, Copy, Debug, Default)]
pub struct RecordRef<'a> {
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    pub headers: &'a [Header<'a>],
}

/// What a record takes at most in a batch, in bytes.
#[must_use]
pub fn record_bytes_upper_bound(record: RecordRef<'_>) -> usize {
    let _ = record;
    todo!()
}

/// Encodes records straight into the bytes of a batch.
#[derive(Debug)]
pub struct BatchBuilder {}

impl BatchBuilder {
    /// An empty builder. A codec that is not built in shows at the first [`append`](Self::append); see
    /// [`check_level`](super::check_level) for asking earlier.
    #[must_use]
    pub fn new(codec: Codec, level: Option<i32>) -> BatchBuilder {
        let _ = (codec, level);
        todo!()
    }
    /// As [`new`](Self::new), with room for `bytes` before the first buffer has to grow.
    #[must_use]
    pub fn with_capacity(codec: Codec, level: Option<i32>, bytes: usize) -> BatchBuilder {
        let _ = bytes;
        BatchBuilder::new(codec, level)
    }
    /// Adds a record and returns its offset delta.
    pub fn append(&mut self, record: RecordRef<'_>, timestamp: i64) -> Result<u32> {
        let _ = (record, timestamp);
        todo!()
    }
    /// How many records are in the batch.
    #[must_use]
    pub fn count(&self) -> u32 {
        todo!()
    }
    /// Header and uncompressed records so far.
    #[must_use]
    pub fn bytes(&self) -> usize {
        todo!()
    }
    /// What the sealed batch will probably take, by the compression ratio of the batches before it.
    #[must_use]
    pub fn estimated_bytes(&self) -> usize {
        todo!()
    }
    /// Whether the batch stays below `batch_bytes_max` with this record. The first record always fits.
    #[must_use]
    pub fn has_room_for(&self, record: RecordRef<'_>, batch_bytes_max: usize) -> bool {
        let _ = (record, batch_bytes_max);
        todo!()
    }
    /// Takes the batch out: base offset 0, no leader epoch, checksum right. The builder is empty afterwards.
    ///
    /// # Errors
    /// STATE for a builder without records: an empty batch has no bytes.
    pub fn seal(&mut self, stamp: Option<ProducerStamp>, transactional: bool) -> Result<SealedBatch> {
        let _ = (stamp, transactional);
        todo!()
    }
    /// Keeps a buffer for the next batch.
    pub fn give_back(&mut self, buffer: Vec<u8>) {
        drop(buffer);
    }
    /// Forgets all records.
    pub fn clear(&mut self) {
        todo!()
    }
}
