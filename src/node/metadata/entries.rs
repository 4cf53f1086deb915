//! Entries of raft as Kafka's record batches.
//!
//! ```text
//! batch   plain, one record; base offset = index - 1, leader epoch = term
//! key     kind u8: 0 metadata records | 1 a leader's term begins (no records) | 2 a change of who votes
//! value   frame version u8 (64), then
//!           of kind 0 a list of records (`controller/codec.rs`); of 1 nothing; of 2 seat u8, node u32
//! ```
//! Kafka's own metadata records begin with frame version 1 and other fields behind it: its tools list our batches and refuse the
//! frame. One record an entry, however many metadata records it holds, so that offsets and indexes map one to one. Kafka's control
//! batches are not used: LEADER_CHANGE names the leader and who granted, which an entry of raft does not know.

use crate::controller::{EntryKind, RaftEntry};
use crate::error::{Error, ErrorCode, Result};
use crate::record::{BatchBuilder, BatchView, Inflater, RecordRef, SealedBatch};
use crate::types::{Codec, LeaderEpoch, Offset, Timestamp};
use bytes::Bytes;

const FRAME_VERSION: u8 = 64;
const KIND_RECORDS: u8 = 0;
const KIND_TERM_BEGINS: u8 = 1;
const KIND_MEMBERSHIP: u8 = 2;

/// Where the entry lies.
pub(super) fn offset_of(index: u64) -> Offset {
    Offset(index.checked_sub(1).expect("raft counts from 1"))
}

/// # Errors
/// KAFKA_STORAGE_ERROR: a term that Kafka's 31 bits do not hold.
pub(super) fn epoch_of(term: u64) -> Result<LeaderEpoch> {
    match u32::try_from(term) {
        Ok(epoch) if epoch <= i32::MAX as u32 => Ok(LeaderEpoch(epoch)),
        _ => Err(Error::fatal(ErrorCode::KAFKA_STORAGE_ERROR, format!("a term of {term}, at most {} fit", i32::MAX))),
    }
}

/// The batch, still without its place.
pub(super) fn to_batch(entry: &RaftEntry, now: Timestamp) -> Result<SealedBatch> {
    let kind = match entry.kind {
        EntryKind::Records if entry.data.is_empty() => KIND_TERM_BEGINS,
        EntryKind::Records => KIND_RECORDS,
        EntryKind::Membership => KIND_MEMBERSHIP,
    };
    let value = [&[FRAME_VERSION], &entry.data[..]].concat();
    let mut builder = BatchBuilder::new(Codec::None, None);
    builder.append(RecordRef { key: Some(&[kind]), value: Some(&value), headers: &[] }, now.0.max(0))?;
    builder.seal(None, false)
}

/// # Errors
/// CORRUPT_MESSAGE; UNSUPPORTED_VERSION, naming both versions.
pub(super) fn from_batch(view: &BatchView<'_>, inflater: &mut Inflater) -> Result<RaftEntry> {
    view.verify()?;
    let base = view.header().base_offset;
    let corrupt = |why: &str| Error::new(ErrorCode::CORRUPT_MESSAGE, format!("metadata batch at offset {base} {why}"));
    let term = view.header().leader_epoch.map(|epoch| u64::from(epoch.0)).ok_or_else(|| corrupt("has no epoch"))?;
    let mut records = view.records(inflater)?;
    let record = records.next().ok_or_else(|| corrupt("is empty"))??;
    let (Some([kind]), Some([frame, data @ ..]), None) = (record.key, record.value, records.next()) else {
        return Err(corrupt("is not one framed record"));
    };
    if *frame != FRAME_VERSION {
        let what =
            format!("metadata batch at offset {base} has frame version {frame}, this program knows {FRAME_VERSION}");
        return Err(Error::new(ErrorCode::UNSUPPORTED_VERSION, what));
    }
    let kind = match *kind {
        KIND_RECORDS if !data.is_empty() => EntryKind::Records,
        KIND_TERM_BEGINS if data.is_empty() => EntryKind::Records,
        KIND_MEMBERSHIP => EntryKind::Membership,
        other => return Err(corrupt(&format!("has a record of kind {other} and {} bytes", data.len()))),
    };
    Ok(RaftEntry { index: base.0 + 1, term, kind, data: Bytes::copy_from_slice(data) })
}
