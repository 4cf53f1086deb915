//! What a poll hands out: owned bytes of whole batches, and records that borrow from them.

use super::limits::Pin;
use crate::record::{BatchHeader, Headers, RecordIter, RecordView};
use crate::types::{LeaderEpoch, Offset, Timestamp, TimestampType, TopicPartition};
use bytes::Bytes;
use std::fmt;
use std::sync::Arc;

/// One record, borrowed from the [`ConsumerRecords`] it was read with.
#[derive(Clone, Copy, Debug)]
pub struct ConsumerRecord<'a> {
    pub topic: &'a str,
    pub partition: u32,
    pub offset: Offset,
    /// `None` when the producer gave no timestamp.
    pub timestamp: Option<Timestamp>,
    pub timestamp_type: TimestampType,
    /// The epoch of the leader that appended the record; `None` in logs that know no epochs.
    pub leader_epoch: Option<LeaderEpoch>,
    /// `None` is Kafka's null key.
    pub key: Option<&'a [u8]>,
    /// `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    view: RecordView<'a>,
}

impl<'a> ConsumerRecord<'a> {
    /// How many headers the record has.
    #[must_use]
    pub fn header_count(&self) -> u32 {
        self.view.header_count
    }

    /// The headers, in the producer's order; keys may repeat.
    #[must_use]
    pub fn headers(&self) -> Headers<'a> {
        self.view.headers()
    }
}

/// The records of one poll, partition by partition, in offset order within each.
///
/// It owns its bytes: it may be sent to another thread, outlive its consumer and even the engine. Retention may remove the
/// files meanwhile; the bytes stay. Until it is dropped they count against `fetch.pinned.max.bytes`.
#[derive(Debug, Default)]
pub struct ConsumerRecords {
    batches: Vec<FetchedBatch>,
    count: usize,
    resets: Vec<PositionReset>,
    pin: Option<Pin>,
}

/// A position that was outside its log and was moved by `auto.offset.reset`. Records may have been missed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PositionReset {
    pub partition: TopicPartition,
    pub from: Offset,
    pub to: Offset,
}

/// The records of one batch that were asked for, of one partition.
pub struct FetchedBatch {
    topic: Arc<str>,
    partition: u32,
    header: BatchHeader,
    /// The records of the whole batch, plain.
    payload: Bytes,
    slice: Slice,
}

/// A run of records within a batch's payload that was walked once and found sound.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Slice {
    /// Byte of the first record.
    pub at: usize,
    /// Records from there to the end of the batch.
    pub left: u32,
    /// How many of them belong to the poll.
    pub count: u32,
    /// The position behind them.
    pub next_offset: Offset,
}

impl FetchedBatch {
    pub(super) fn new(id: &TopicPartition, header: BatchHeader, payload: Bytes, slice: Slice) -> FetchedBatch {
        FetchedBatch { topic: Arc::clone(&id.topic), partition: id.partition, header, payload, slice }
    }

    /// The topic's name, shared.
    #[must_use]
    pub fn topic(&self) -> &Arc<str> {
        &self.topic
    }

    /// The partition's number.
    #[must_use]
    pub fn partition(&self) -> u32 {
        self.partition
    }

    /// The epoch of the leader that appended the batch.
    #[must_use]
    pub fn leader_epoch(&self) -> Option<LeaderEpoch> {
        self.header.leader_epoch
    }

    /// Whose clock the timestamps come from.
    #[must_use]
    pub fn timestamp_type(&self) -> TimestampType {
        self.header.timestamp_type()
    }

    /// Records in this batch that belong to the poll.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slice.count as usize
    }

    /// Whether nothing in it belongs to the poll.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slice.count == 0
    }

    /// The position behind these records.
    #[must_use]
    pub fn next_offset(&self) -> Offset {
        self.slice.next_offset
    }

    /// Bytes that this batch keeps in memory or mapped.
    #[must_use]
    pub fn pinned_bytes(&self) -> usize {
        self.payload.len()
    }

    /// The records, borrowed.
    #[must_use]
    pub fn iter(&self) -> BatchRecords<'_> {
        let records = RecordIter::resume(&self.header, &self.payload, self.slice.at, self.slice.left);
        BatchRecords { batch: self, records, left: self.slice.count }
    }
}

impl<'a> IntoIterator for &'a FetchedBatch {
    type Item = ConsumerRecord<'a>;
    type IntoIter = BatchRecords<'a>;
    fn into_iter(self) -> BatchRecords<'a> {
        self.iter()
    }
}

impl fmt::Debug for FetchedBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FetchedBatch({}-{}, {:?}, {:?})", self.topic, self.partition, self.header.base_offset, self.slice)
    }
}

/// The records of one [`FetchedBatch`].
#[derive(Debug)]
pub struct BatchRecords<'a> {
    batch: &'a FetchedBatch,
    records: RecordIter<'a>,
    left: u32,
}

impl<'a> Iterator for BatchRecords<'a> {
    type Item = ConsumerRecord<'a>;

    #[inline]
    fn next(&mut self) -> Option<ConsumerRecord<'a>> {
        self.left = self.left.checked_sub(1)?;
        // The poll walked these bytes and found them sound. Should a page of a mapped file have come back different from the
        // device since, the batch ends here rather than the host's process.
        let view = self.records.next()?.ok()?;
        let batch = self.batch;
        Some(ConsumerRecord {
            topic: &batch.topic,
            partition: batch.partition,
            offset: view.offset,
            timestamp: view.timestamp,
            timestamp_type: batch.header.timestamp_type(),
            leader_epoch: batch.header.leader_epoch,
            key: view.key,
            value: view.value,
            view,
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.left as usize))
    }
}

impl ConsumerRecords {
    pub(super) fn new(batches: Vec<FetchedBatch>, resets: Vec<PositionReset>, pin: Option<Pin>) -> ConsumerRecords {
        let count = batches.iter().map(FetchedBatch::len).sum();
        ConsumerRecords { batches, count, resets, pin }
    }

    /// How many records there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether the poll found nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes that count against `fetch.pinned.max.bytes` until this is dropped.
    #[must_use]
    pub fn pinned_bytes(&self) -> u64 {
        self.pin.as_ref().map_or(0, Pin::bytes)
    }

    /// The records batch by batch, for callers that fill tables of their own.
    #[must_use]
    pub fn batches(&self) -> &[FetchedBatch] {
        &self.batches
    }

    /// Positions that `auto.offset.reset` moved during this poll: the reset is never silent.
    #[must_use]
    pub fn resets(&self) -> &[PositionReset] {
        &self.resets
    }

    /// The position behind the records of one partition; `None` when it has none here.
    #[must_use]
    pub fn next_offset(&self, partition: &TopicPartition) -> Option<Offset> {
        let theirs = |b: &&FetchedBatch| b.partition == partition.partition && b.topic == partition.topic;
        self.batches.iter().rev().find(theirs).map(FetchedBatch::next_offset)
    }

    /// All records, one after the other.
    #[must_use]
    pub fn iter(&self) -> Records<'_> {
        Records { rest: self.batches.iter(), batch: None }
    }
}

impl<'a> IntoIterator for &'a ConsumerRecords {
    type Item = ConsumerRecord<'a>;
    type IntoIter = Records<'a>;
    fn into_iter(self) -> Records<'a> {
        self.iter()
    }
}

/// The records of a [`ConsumerRecords`].
#[derive(Debug)]
pub struct Records<'a> {
    rest: std::slice::Iter<'a, FetchedBatch>,
    batch: Option<BatchRecords<'a>>,
}

impl<'a> Iterator for Records<'a> {
    type Item = ConsumerRecord<'a>;

    #[inline]
    fn next(&mut self) -> Option<ConsumerRecord<'a>> {
        loop {
            if let Some(record) = self.batch.as_mut().and_then(Iterator::next) {
                return Some(record);
            }
            self.batch = Some(self.rest.next()?.iter());
        }
    }
}
