//! What a poll hands out: owned bytes of whole batches, and records that borrow from them.

use super::faults::Faults;
use super::limits::Pin;
use crate::error::Error;
use crate::record::{BatchHeader, Headers, RecordIter, RecordView};
use crate::types::{LeaderEpoch, Offset, Timestamp, TimestampType, TopicPartition};
use bytes::Bytes;
use std::fmt;
use std::sync::{Arc, OnceLock};

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
    /// Whom to tell of records that do not parse.
    faults: Option<Arc<Faults>>,
    damage: OnceLock<Error>,
}

/// A run of records within a batch's payload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Slice {
    /// No record is below.
    pub from: Offset,
    /// Whose reading it was; see `Fetcher`.
    pub generation: u32,
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
    pub(super) fn new(
        id: &TopicPartition,
        header: BatchHeader,
        payload: Bytes,
        slice: Slice,
        faults: Option<Arc<Faults>>,
    ) -> FetchedBatch {
        let topic = Arc::clone(&id.topic);
        FetchedBatch { topic, partition: id.partition, header, payload, slice, faults, damage: OnceLock::new() }
    }

    /// What ended an iteration over these records early; see [`ConsumerRecords::damage`].
    #[must_use]
    pub fn damage(&self) -> Option<&Error> {
        self.damage.get()
    }

    #[cold]
    fn note_damage(&self, at: Offset, error: Error) {
        let end = self.header.end_offset();
        let place = format!("{}-{} at offset {at} (seek to {end} to go past)", self.topic, self.partition);
        let error = error.within(place);
        // The second iteration finds what the first one told of.
        if self.damage.set(error.clone()).is_ok() {
            if let Some(faults) = &self.faults {
                let id = TopicPartition { topic: Arc::clone(&self.topic), partition: self.partition };
                faults.report(id, self.slice.generation, at, error);
            }
        }
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

    /// Records in this batch that belong to the poll, as its header says.
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
        BatchRecords { batch: self, records, left: self.slice.count, next: self.slice.from }
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
    next: Offset,
}

impl<'a> Iterator for BatchRecords<'a> {
    type Item = ConsumerRecord<'a>;

    #[inline]
    fn next(&mut self) -> Option<ConsumerRecord<'a>> {
        self.left = self.left.checked_sub(1)?;
        let view = match self.records.next()? {
            Ok(view) => view,
            Err(error) => {
                self.left = 0;
                self.batch.note_damage(self.next, error);
                return None;
            }
        };
        self.next = view.offset.next();
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

    /// How many records there are, as the headers of their batches say.
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

    /// What ended an iteration early: a record that does not parse although the checksum of its batch fits. Nobody who checks
    /// what he appends writes such a batch. The consumer's next poll stands at that record again and returns the same error.
    #[must_use]
    pub fn damage(&self) -> Option<&Error> {
        self.batches.iter().find_map(FetchedBatch::damage)
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
