//! One producer: what it sent last, and whether what it sends now follows.

use super::snapshot::SnapshotEntry;
use super::{EndTxn, Origin, ProducerBatch, Verdict};
use crate::error::{Error, ErrorCode, Result};
use crate::record::sequence;
use crate::types::{Offset, Timestamp};
use std::time::Duration;

/// How many batches of a producer are remembered: as many as it may have in flight.
const BATCHES_KEPT: usize = 5;
/// The epoch of a producer of which nothing is known.
const NO_EPOCH: i16 = -1;

/// A batch that is in the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct BatchMetadata {
    last_sequence: Option<i32>,
    last_offset: Offset,
    offset_delta: u32,
    timestamp: i64,
}

impl BatchMetadata {
    fn first_sequence(&self) -> Option<i32> {
        self.last_sequence.map(|last| sequence::sub(last, self.offset_delta))
    }

    fn base_offset(&self) -> Offset {
        Offset(self.last_offset.0.saturating_sub(self.offset_delta.into()))
    }
}

/// What is known of one producer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ProducerEntry {
    epoch: i16,
    /// Of the newest marker.
    coordinator_epoch: Option<i32>,
    last_timestamp: i64,
    txn_first_offset: Option<Offset>,
    /// The newest batches of this epoch, oldest first; no heap, there may be many producers.
    batches: [Option<BatchMetadata>; BATCHES_KEPT],
}

/// Judges `batch` against what is known of its producer.
pub(super) fn judge(known: Option<&ProducerEntry>, batch: &ProducerBatch, origin: Origin) -> Result<Verdict> {
    if origin == Origin::Client && batch.producer.base_sequence.is_none() {
        let why = format!("a batch of producer {} has no sequence", batch.producer.id);
        return Err(Error::new(ErrorCode::INVALID_RECORD, why));
    }
    // After retention or expiry took the state, whatever comes next is believed.
    let Some(known) = known else { return Ok(Verdict::Fresh) };
    if origin == Origin::Client {
        if let Some(earlier) = known.find_duplicate(batch) {
            return Ok(Verdict::Duplicate {
                base_offset: earlier.base_offset(),
                last_offset: earlier.last_offset,
                timestamp: earlier.timestamp,
            });
        }
    }
    known.check_epoch(batch.producer.id, batch.producer.epoch)?;
    if origin == Origin::Client {
        known.check_sequence(batch)?;
    }
    if known.txn_first_offset.is_some() && !batch.is_transactional {
        let why = format!("producer {} has an open transaction, its batch is none of it", batch.producer.id);
        return Err(Error::new(ErrorCode::INVALID_TXN_STATE, why));
    }
    Ok(Verdict::Fresh)
}

impl ProducerEntry {
    pub(super) fn new(epoch: i16) -> ProducerEntry {
        ProducerEntry {
            epoch,
            coordinator_epoch: None,
            last_timestamp: -1,
            txn_first_offset: None,
            batches: [None; BATCHES_KEPT],
        }
    }

    fn newest(&self) -> Option<&BatchMetadata> {
        self.batches.iter().rev().find_map(Option::as_ref)
    }

    /// The remembered batch of the same epoch and the very same sequences.
    fn find_duplicate(&self, batch: &ProducerBatch) -> Option<&BatchMetadata> {
        let first = batch.producer.base_sequence?;
        let last = sequence::add(first, batch.last_offset_delta);
        let is_same =
            |earlier: &&BatchMetadata| earlier.last_sequence == Some(last) && earlier.first_sequence() == Some(first);
        self.batches.iter().flatten().find(is_same).filter(|_| self.epoch == batch.producer.epoch)
    }

    fn check_epoch(&self, id: i64, epoch: i16) -> Result<()> {
        if epoch < self.epoch {
            let why = format!("producer {id} has epoch {}, {epoch} is fenced", self.epoch);
            return Err(Error::new(ErrorCode::INVALID_PRODUCER_EPOCH, why));
        }
        Ok(())
    }

    fn check_sequence(&self, batch: &ProducerBatch) -> Result<()> {
        if self.epoch == NO_EPOCH {
            return Ok(());
        }
        // A new epoch begins at 0; so does one of which there are only markers.
        let last = self.newest().filter(|_| self.epoch == batch.producer.epoch).and_then(|newest| newest.last_sequence);
        let expected = last.map_or(0, |last| sequence::add(last, 1));
        if batch.producer.base_sequence == Some(expected) {
            return Ok(());
        }
        let why = format!(
            "producer {} epoch {} sends sequence {}, expected is {expected} (after epoch {}, sequence {})",
            batch.producer.id,
            batch.producer.epoch,
            batch.producer.base_sequence.unwrap_or(-1),
            self.epoch,
            last.unwrap_or(-1),
        );
        Err(Error::new(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, why))
    }

    #[cfg_attr(not(test), allow(dead_code, reason = "no node coordinates transactions yet"))]
    pub(super) fn judge_end_txn(&self, marker: &EndTxn) -> Result<()> {
        self.check_epoch(marker.producer_id, marker.producer_epoch)?;
        match self.coordinator_epoch {
            Some(known) if marker.coordinator_epoch < known => {
                let why = format!(
                    "a marker for producer {} has coordinator epoch {}, known is {known}",
                    marker.producer_id, marker.coordinator_epoch
                );
                Err(Error::new(ErrorCode::TRANSACTION_COORDINATOR_FENCED, why))
            }
            _ => Ok(()),
        }
    }

    /// Takes the batch up as the newest. True when it begins a transaction.
    pub(super) fn note(&mut self, batch: &ProducerBatch) -> bool {
        self.adopt_epoch(batch.producer.epoch);
        let newest = BatchMetadata {
            last_sequence: batch.producer.base_sequence.map(|first| sequence::add(first, batch.last_offset_delta)),
            last_offset: batch.base_offset.plus(batch.last_offset_delta.into()),
            offset_delta: batch.last_offset_delta,
            timestamp: batch.max_timestamp,
        };
        self.batches.rotate_left(1);
        self.batches[BATCHES_KEPT - 1] = Some(newest);
        self.last_timestamp = batch.max_timestamp;
        let begins = batch.is_transactional && self.txn_first_offset.is_none();
        if begins {
            self.txn_first_offset = Some(batch.base_offset);
        }
        begins
    }

    /// [`note`](ProducerEntry::note) as a value.
    #[cfg_attr(not(test), allow(dead_code, reason = "only judge_all needs it"))]
    pub(super) fn with(mut self, batch: &ProducerBatch) -> ProducerEntry {
        self.note(batch);
        self
    }

    /// Closes the transaction; the first offset of it, if there was one.
    pub(super) fn note_end_txn(&mut self, marker: &EndTxn) -> Option<Offset> {
        self.adopt_epoch(marker.producer_epoch);
        self.coordinator_epoch = Some(marker.coordinator_epoch);
        self.last_timestamp = marker.timestamp;
        self.txn_first_offset.take()
    }

    /// Another epoch counts its sequences from zero again.
    fn adopt_epoch(&mut self, epoch: i16) {
        if self.epoch != epoch {
            self.epoch = epoch;
            self.batches = [None; BATCHES_KEPT];
        }
    }

    pub(super) fn txn_first_offset(&self) -> Option<Offset> {
        self.txn_first_offset
    }

    pub(super) fn is_expired(&self, now: Timestamp, expiration: Duration) -> bool {
        let idle = i128::from(now.0) - i128::from(self.last_timestamp);
        let expiration = i128::try_from(expiration.as_millis()).unwrap_or(i128::MAX);
        self.txn_first_offset.is_none() && idle >= expiration
    }

    pub(super) fn to_snapshot(&self, producer_id: i64) -> SnapshotEntry {
        let newest = self.newest();
        SnapshotEntry {
            producer_id,
            epoch: self.epoch,
            last_sequence: newest.and_then(|batch| batch.last_sequence),
            last_offset: newest.map(|batch| batch.last_offset),
            offset_delta: newest.map_or(0, |batch| batch.offset_delta),
            timestamp: self.last_timestamp,
            coordinator_epoch: self.coordinator_epoch,
            txn_first_offset: self.txn_first_offset,
        }
    }

    pub(super) fn from_snapshot(entry: &SnapshotEntry) -> ProducerEntry {
        let mut batches = [None; BATCHES_KEPT];
        batches[BATCHES_KEPT - 1] = entry.last_offset.map(|last_offset| BatchMetadata {
            last_sequence: entry.last_sequence,
            last_offset,
            offset_delta: entry.offset_delta,
            timestamp: entry.timestamp,
        });
        ProducerEntry {
            epoch: entry.epoch,
            coordinator_epoch: entry.coordinator_epoch,
            last_timestamp: entry.timestamp,
            txn_first_offset: entry.txn_first_offset,
            batches,
        }
    }
}
