//! What a log remembers of each idempotent producer: its epoch, its last five batches, its open transaction.
//!
//! A client's batch is judged against it before the append ([`ProducerStates::judge`]) and noted after it
//! ([`ProducerStates::update`]); a replicated one is only noted. The state is a function of the log: a snapshot file saves the
//! replay, losing it loses nothing.

mod entry;
pub mod snapshot;
#[cfg(test)]
mod tests;

use crate::disk::Disk;
use crate::error::{Error, ErrorCode, Result};
use crate::storage::txn_index::AbortedTxn;
use crate::types::{Offset, ProducerStamp, Timestamp};
use entry::ProducerEntry;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// A data batch as the producer state sees it. Only batches with a producer id come here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProducerBatch {
    pub producer: ProducerStamp,
    /// Offset of the first record; not looked at by [`ProducerStates::judge`].
    pub base_offset: Offset,
    /// Last offset - base offset.
    pub last_offset_delta: u32,
    /// Largest timestamp of its records, in milliseconds; -1 if they have none.
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
    /// Timestamp of the control batch, in milliseconds.
    pub timestamp: i64,
}

/// Who sent a batch, and so what is checked. Replicated batches are not judged at all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Origin {
    /// Epoch and sequence are checked, duplicates found.
    Client,
    /// Only the epoch is checked.
    #[cfg_attr(not(test), allow(dead_code, reason = "no node coordinates transactions yet"))]
    Coordinator,
}

/// What to do with a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Append it.
    Fresh,
    /// It is in the log already: acknowledge with these numbers, append nothing.
    Duplicate { base_offset: Offset, last_offset: Offset, timestamp: i64 },
}

/// The state of all producers of one partition. Costs nothing as long as no batch has a producer id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProducerStates {
    producers: BTreeMap<i64, ProducerEntry>,
    /// Open transactions: first offset to producer id.
    ongoing: BTreeMap<Offset, i64>,
    /// Ended transactions whose marker is not known to be below the high watermark: first offset to the marker's.
    unreplicated: BTreeMap<Offset, Offset>,
}

/// What [`ProducerStates::load`] found.
#[derive(Debug)]
pub struct Loaded {
    pub states: ProducerStates,
    /// The state covers everything below; replay the log from here.
    pub covers: Offset,
    /// Snapshots that made no sense and were deleted, newest first.
    pub discarded: Vec<Offset>,
}

impl ProducerStates {
    /// No producers.
    #[must_use]
    pub fn new() -> ProducerStates {
        ProducerStates::default()
    }

    /// Whether no producer is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.producers.is_empty()
    }

    /// Number of producers known.
    #[cfg(test)]
    #[must_use]
    pub fn count(&self) -> usize {
        self.producers.len()
    }

    /// Judges one batch against the state; changes nothing.
    ///
    /// # Errors
    /// OUT_OF_ORDER_SEQUENCE_NUMBER (45), INVALID_PRODUCER_EPOCH (47), INVALID_TXN_STATE (48); INVALID_RECORD (87) for a
    /// client's batch with an id but without a sequence.
    pub fn judge(&self, batch: &ProducerBatch, origin: Origin) -> Result<Verdict> {
        entry::judge(self.producers.get(&batch.producer.id), batch, origin)
    }

    /// Judges the batches of one append in order, each as if those before it were appended already. All are fresh or all are
    /// duplicates: a mixture cannot be acknowledged truthfully and is OUT_OF_ORDER_SEQUENCE_NUMBER.
    #[cfg_attr(not(test), allow(dead_code, reason = "clients send one batch per partition so far"))]
    pub fn judge_all(&self, batches: &[ProducerBatch], origin: Origin) -> Result<Verdict> {
        if let [batch] = batches {
            return self.judge(batch, origin);
        }
        let mut touched: BTreeMap<i64, ProducerEntry> = BTreeMap::new();
        let mut whole: Option<Verdict> = None;
        for batch in batches {
            let id = batch.producer.id;
            let known = touched.get(&id).or_else(|| self.producers.get(&id));
            let verdict = entry::judge(known, batch, origin)?;
            whole = Some(match (whole, verdict) {
                (None, verdict) => verdict,
                (Some(Verdict::Fresh), Verdict::Fresh) => Verdict::Fresh,
                (Some(Verdict::Duplicate { base_offset, .. }), Verdict::Duplicate { last_offset, timestamp, .. }) => {
                    Verdict::Duplicate { base_offset, last_offset, timestamp }
                }
                _ => {
                    let why = format!("an append has new batches beside old ones of producer {id}");
                    return Err(Error::new(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, why));
                }
            });
            if verdict == Verdict::Fresh {
                let known = known.cloned();
                touched.insert(id, known.unwrap_or_else(|| ProducerEntry::new(batch.producer.epoch)).with(batch));
            }
        }
        Ok(whole.unwrap_or(Verdict::Fresh))
    }

    /// Judges a marker that a coordinator sent; changes nothing. Replicated markers are not judged.
    ///
    /// # Errors
    /// INVALID_PRODUCER_EPOCH (47), TRANSACTION_COORDINATOR_FENCED (52).
    #[cfg_attr(not(test), allow(dead_code, reason = "no node coordinates transactions yet"))]
    pub fn judge_end_txn(&self, marker: &EndTxn) -> Result<()> {
        match self.producers.get(&marker.producer_id) {
            Some(entry) => entry.judge_end_txn(marker),
            None => Ok(()),
        }
    }

    /// Notes a data batch that is in the log now. Checks nothing.
    pub fn update(&mut self, batch: &ProducerBatch) {
        let id = batch.producer.id;
        let entry = self.producers.entry(id).or_insert_with(|| ProducerEntry::new(batch.producer.epoch));
        if entry.note(batch) {
            self.ongoing.insert(batch.base_offset, id);
        }
    }

    /// Notes a marker that is in the log now (an empty control batch is none). Checks nothing. Returns what belongs into the
    /// transaction index, when the marker aborted a transaction that wrote something here.
    pub fn end_txn(&mut self, marker: &EndTxn) -> Option<AbortedTxn> {
        let id = marker.producer_id;
        let entry = self.producers.entry(id).or_insert_with(|| ProducerEntry::new(marker.producer_epoch));
        let first_offset = entry.note_end_txn(marker)?;
        self.ongoing.remove(&first_offset);
        self.unreplicated.insert(first_offset, marker.offset);
        let next_open = self.ongoing.first_key_value().map(|(first, _)| *first);
        // A damaged snapshot may know of transactions that began behind their own marker: the index would not read such a line again.
        let is_possible = marker.is_abort && id >= 0 && first_offset < marker.offset;
        is_possible.then(|| AbortedTxn {
            producer_id: id,
            first_offset,
            last_offset: marker.offset,
            last_stable_offset: next_open.unwrap_or_else(|| marker.offset.next()).min(Offset::MAX),
        })
    }

    /// First offset of the earliest transaction that is open, or whose marker is not known to be below the high watermark. The last
    /// stable offset is the smaller of this and the high watermark, and never below the log start.
    #[must_use]
    pub fn first_unstable_offset(&self) -> Option<Offset> {
        let open = self.ongoing.first_key_value().map(|(first, _)| *first);
        let ended = self.unreplicated.first_key_value().map(|(first, _)| *first);
        match (open, ended) {
            (Some(open), Some(ended)) => Some(open.min(ended)),
            (open, ended) => open.or(ended),
        }
    }

    /// The high watermark moved: transactions whose marker lies below it are decided for readers.
    pub fn handle_high_watermark(&mut self, high_watermark: Offset) {
        if !self.unreplicated.is_empty() {
            self.unreplicated.retain(|_, marker| *marker >= high_watermark);
        }
    }

    /// The log start moved: ended transactions whose marker lies below it are forgotten. Producers are not: what they sent
    /// last still tells duplicates.
    pub fn handle_log_start(&mut self, log_start: Offset) {
        self.handle_high_watermark(log_start);
    }

    /// Drops producers without an open transaction whose last batch is `expiration` old or older, by its own timestamp.
    /// Returns how many.
    pub fn expire(&mut self, now: Timestamp, expiration: Duration) -> usize {
        let before = self.producers.len();
        self.producers.retain(|_, entry| !entry.is_expired(now, expiration));
        before - self.producers.len()
    }

    /// Writes `<at>.snapshot` into `dir`, over one that is there: the state must cover everything below `at` and nothing
    /// else. Not durable unless `sync` (file, not directory). A crash leaves whole or invalid bytes, which
    /// [`load`](ProducerStates::load) tells apart by their checksum.
    pub fn take_snapshot(&self, disk: &dyn Disk, dir: &Path, at: Offset, sync: bool) -> Result<()> {
        let entries: Vec<_> = self.producers.iter().map(|(id, entry)| entry.to_snapshot(*id)).collect();
        snapshot::write(disk, dir, at, &snapshot::encode(&entries), sync)
    }

    /// Loads the newest snapshot in `dir` within `log_start..=log_end`. One that makes no sense is deleted and the next older one
    /// tried; without any, the state is empty and covers `log_start`. Producers that `expire` would drop are left out.
    pub fn load(
        disk: &dyn Disk,
        dir: &Path,
        log_start: Offset,
        log_end: Offset,
        now: Timestamp,
        expiration: Duration,
    ) -> Result<Loaded> {
        let mut discarded = Vec::new();
        let candidates = snapshot::list(disk, dir)?;
        for at in candidates.into_iter().rev().filter(|at| (log_start..=log_end).contains(at)) {
            match snapshot::read(disk, dir, at) {
                Ok(Some(entries)) => {
                    let mut states = ProducerStates::from_snapshot(&entries);
                    states.expire(now, expiration);
                    return Ok(Loaded { states, covers: at, discarded });
                }
                Ok(None) => {}
                // The disk failed; the file may be fine.
                Err(error) if error.code() == ErrorCode::KAFKA_STORAGE_ERROR => return Err(error),
                Err(_) => {
                    snapshot::remove(disk, dir, at)?;
                    discarded.push(at);
                }
            }
        }
        Ok(Loaded { states: ProducerStates::new(), covers: log_start, discarded })
    }

    fn from_snapshot(entries: &[snapshot::SnapshotEntry]) -> ProducerStates {
        let mut states = ProducerStates::new();
        for entry in entries {
            states.producers.insert(entry.producer_id, ProducerEntry::from_snapshot(entry));
        }
        // Of the producers that are known, not of the entries: one that is named twice must not leave a transaction behind that
        // nobody ends.
        for (id, entry) in &states.producers {
            states.ongoing.extend(entry.txn_first_offset().map(|first| (first, *id)));
        }
        states
    }
}
