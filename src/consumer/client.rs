//! The consumer: positions of its partitions, and one poll that serves them in turn.

use super::{ConsumerRecords, StartAt, Waker};
use crate::error::Result;
use crate::types::{Offset, Timestamp, TopicPartition};
use std::time::Duration;

/// Reads partitions that it was assigned, each from a position of its own. `&mut self` says: one thread at a time.
#[derive(Debug)]
pub struct Consumer {
    waker: Waker,
}

impl Consumer {
    /// The next records, at most `max.poll.records` of them, from the partitions in turn. Waits up to `timeout` for the
    /// first one; empty when none came or [`Waker::wake`] was called.
    ///
    /// # Errors
    /// `OFFSET_OUT_OF_RANGE` (with `auto.offset.reset=none`, or when the log was cut below the position) and
    /// `CORRUPT_MESSAGE` come back at each poll until a [`seek`](Consumer::seek) moves that partition. Records that were
    /// found before the bad place are handed out first. `QUEUE_FULL`: `fetch.pinned.max.bytes` of earlier records are still held.
    pub fn poll(&mut self, timeout: Duration) -> Result<ConsumerRecords> {
        let _ = timeout;
        todo!()
    }

    /// As [`poll`](Consumer::poll) without waiting, and with a limit of its own (0: `max.poll.records`).
    ///
    /// # Errors
    /// As for [`poll`](Consumer::poll).
    pub fn poll_now(&mut self, records_max: usize) -> Result<ConsumerRecords> {
        let _ = records_max;
        todo!()
    }

    /// Replaces the assignment. Partitions that stay go on where they are only if their start says so.
    ///
    /// # Errors
    /// `UNKNOWN_TOPIC_OR_PARTITION`; then the old assignment stays.
    pub fn assign(&mut self, partitions: &[(TopicPartition, StartAt)]) -> Result<()> {
        let _ = partitions;
        todo!()
    }

    /// The partitions it reads, in the order they were assigned.
    #[must_use]
    pub fn assignment(&self) -> Vec<TopicPartition> {
        todo!()
    }

    /// Moves a partition's position; also clears an error that was raised at the old one.
    ///
    /// # Errors
    /// `STATE` when the partition is not assigned; what a timestamp lookup met.
    pub fn seek(&mut self, partition: &TopicPartition, to: StartAt) -> Result<()> {
        let _ = (partition, to);
        todo!()
    }

    /// Leaves these partitions out of the polls until [`resume`](Consumer::resume). Their positions stay.
    ///
    /// # Errors
    /// `STATE` when one is not assigned; then none is paused.
    pub fn pause(&mut self, partitions: &[TopicPartition]) -> Result<()> {
        let _ = partitions;
        todo!()
    }

    /// Takes paused partitions back in.
    ///
    /// # Errors
    /// `STATE` when one is not assigned.
    pub fn resume(&mut self, partitions: &[TopicPartition]) -> Result<()> {
        let _ = partitions;
        todo!()
    }

    /// The partitions that are paused.
    #[must_use]
    pub fn paused(&self) -> Vec<TopicPartition> {
        todo!()
    }

    /// The offset that the next poll begins at; `None` when the partition is not assigned.
    #[must_use]
    pub fn position(&self, partition: &TopicPartition) -> Option<Offset> {
        let _ = partition;
        todo!()
    }

    /// For each partition the first record with this timestamp or a later one; `None` when there is none. Partitions need
    /// not be assigned.
    ///
    /// # Errors
    /// `UNKNOWN_TOPIC_OR_PARTITION`, or what reading met.
    pub fn offsets_for_times(
        &self,
        wanted: &[(TopicPartition, Timestamp)],
    ) -> Result<Vec<Option<(Offset, Timestamp)>>> {
        let _ = wanted;
        todo!()
    }

    /// The first offset of each partition. They need not be assigned.
    ///
    /// # Errors
    /// `UNKNOWN_TOPIC_OR_PARTITION`, or what reading met.
    pub fn beginning_offsets(&self, partitions: &[TopicPartition]) -> Result<Vec<Offset>> {
        let _ = partitions;
        todo!()
    }

    /// The offset behind the last record that may be read, of each partition. They need not be assigned.
    ///
    /// # Errors
    /// `UNKNOWN_TOPIC_OR_PARTITION`, or what reading met.
    pub fn end_offsets(&self, partitions: &[TopicPartition]) -> Result<Vec<Offset>> {
        let _ = partitions;
        todo!()
    }

    /// What wakes a blocked [`poll`](Consumer::poll), and what one can wait on beside it.
    #[must_use]
    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }
}
