//! What the log remembers of each producer: the last five batches, its epoch, its open transaction.

pub mod snapshot;

use crate::disk::Disk;
use crate::error::Result;
use crate::storage::txn_index::AbortedTxn;
use crate::types::{Offset, ProducerStamp, Timestamp};
use std::path::Path;
use std::time::Duration;

/// A data batch as the producer state sees it. Only batches with a producer id come here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProducerBatch {
    pub producer: ProducerStamp,
    /// Offset of the first record (for [`ProducerStates::judge`]: the one it would get).
    pub base_offset: Offset,
    /// Last offset - base offset.
    pub last_offset_delta: u32,
    /// Largest timestamp of its records; -1 if they have none.
    pub max_timestamp: i64,
    pub is_transactional: bool,
}

/// The end of a transaction, from a control batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EndTxn {
    pub producer_id: i64,
    pub producer_epoch: i16,
    pub coordinator_epoch: i32,
    /// True for an abort marker, false for a commit marker.
    pub is_abort: bool,
    /// Offset of the marker.
    pub offset: Offset,
    /// Timestamp of the control batch.
    pub timestamp: i64,
}

/// Who sent a batch, and so what is checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Origin {
    /// Epoch and sequence are checked, duplicates found.
    Client,
    /// Only the epoch is checked.
    Coordinator,
}

/// What to do with a client's batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Append it.
    Fresh,
    /// It is in the log already: acknowledge with these numbers, append nothing.
    Duplicate { base_offset: Offset, last_offset: Offset, timestamp: i64 },
}

/// The state of all producers of one partition. Costs nothing as long as no batch has a producer id.
#[derive(Debug, Default)]
pub struct ProducerStates;

/// What [`ProducerStates::load`] found.
#[derive(Debug)]
pub struct Loaded {
    pub states: ProducerStates,
    /// The state covers everything below; replay the log from here.
    pub covers: Offset,
    /// Snapshots that were unreadable, and were deleted.
    pub discarded: Vec<Offset>,
}

impl ProducerStates {
    /// No producers.
    pub fn new() -> ProducerStates {
        ProducerStates
    }
    /// Whether no producer is known: one branch, for the append path.
    pub fn is_empty(&self) -> bool {
        todo!()
    }
    /// Number of producers known.
    pub fn count(&self) -> usize {
        todo!()
    }
    /// Judges one batch against the state, changes nothing. Errors 45, 47, 48. Replicated batches are not judged at all.
    pub fn judge(&self, batch: &ProducerBatch, origin: Origin) -> Result<Verdict> {
        let _ = (batch, origin);
        todo!()
    }
    /// Judges the batches of one append in order, each as if those before it were appended. A duplicate anywhere makes
    /// the whole append a duplicate (as Kafka does).
    pub fn judge_all(&self, batches: &[ProducerBatch], origin: Origin) -> Result<Verdict> {
        let _ = (batches, origin);
        todo!()
    }
    /// Judges a marker: errors 47 and 52. Replicated markers are not judged.
    pub fn judge_end_txn(&self, marker: &EndTxn) -> Result<()> {
        let _ = marker;
        todo!()
    }
    /// Notes a batch that is in the log now. Checks nothing.
    pub fn update(&mut self, batch: &ProducerBatch) {
        let _ = batch;
        todo!()
    }
    /// Notes a marker that is in the log now. Returns what belongs into the txn index when it aborted a transaction with data.
    pub fn end_txn(&mut self, marker: &EndTxn) -> Option<AbortedTxn> {
        let _ = marker;
        todo!()
    }
    /// First offset of the earliest transaction that is open or whose marker is not below the high watermark.
    /// The last stable offset is the smaller of this and the high watermark.
    pub fn first_unstable_offset(&self) -> Option<Offset> {
        todo!()
    }
    /// The high watermark moved: transactions that ended below it are decided for readers.
    pub fn handle_high_watermark(&mut self, high_watermark: Offset) {
        let _ = high_watermark;
        todo!()
    }
    /// The log start moved: transactions whose marker lies below are forgotten.
    pub fn handle_log_start(&mut self, log_start: Offset) {
        let _ = log_start;
        todo!()
    }
    /// Drops producers without an open transaction whose last batch is `expiration` old or older. Returns how many.
    pub fn expire(&mut self, now: Timestamp, expiration: Duration) -> usize {
        let _ = (now, expiration);
        todo!()
    }
    /// Writes `<at>.snapshot` into `dir`, replacing one that is there; not synced unless `sync`.
    pub fn take_snapshot(&self, disk: &dyn Disk, dir: &Path, at: Offset, sync: bool) -> Result<()> {
        let _ = (disk, dir, at, sync);
        todo!()
    }
    /// Loads the newest valid snapshot in `dir` within `log_start..=log_end`; unreadable ones are deleted and the next older one
    /// tried. None: empty, covering `log_start`.
    pub fn load(
        disk: &dyn Disk,
        dir: &Path,
        log_start: Offset,
        log_end: Offset,
        now: Timestamp,
        expiration: Duration,
    ) -> Result<Loaded> {
        let _ = (disk, dir, log_start, log_end, now, expiration);
        todo!()
    }
}
