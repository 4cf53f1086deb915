//! What the answers to clients need of a partition that this node may lead.

use crate::config::IsolationLevel;
use crate::error::Result;
use crate::replication::AckVerdict;
use crate::types::{Acks, LeaderEpoch, Offset, Rung, Timestamp, TopicPartition};
use crate::wire::{AbortedTransaction, CurrentLeader, LedReplicas, MetadataResponse};
use bytes::Bytes;
use std::sync::Arc;

/// Batches in the log of a leader.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Admitted {
    pub base_offset: Offset,
    pub last_offset: Offset,
    /// The leader's time, when the topic says LogAppendTime.
    pub log_append_time: Option<Timestamp>,
    pub rung: Rung,
    /// The reign that took it; acknowledgements are judged by it.
    pub leader_epoch: LeaderEpoch,
}

/// What a consumer asks of one partition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ClientFetch {
    pub from: Offset,
    /// Of records; 0 for none.
    pub bytes_max: u32,
    /// One whole batch, even if it is longer than `bytes_max`.
    pub is_first: bool,
    pub isolation: IsolationLevel,
    pub current_leader_epoch: Option<LeaderEpoch>,
}

/// What it gets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ClientFetched {
    /// Whole batches below the high watermark, or below the last stable offset; empty when there are none.
    pub records: Bytes,
    pub high_watermark: Offset,
    pub last_stable_offset: Offset,
    pub log_start: Offset,
    /// With `read_committed`, those that overlap `records`, by first offset.
    pub aborted: Vec<AbortedTransaction>,
}

/// What a client may know of a leader's log.
#[derive(Clone, Debug)]
pub(crate) struct LeaderView {
    pub leader_epoch: LeaderEpoch,
    pub log_start: Offset,
    pub high_watermark: Offset,
    pub last_stable_offset: Offset,
    /// Where the leader's epoch begins. Until the high watermark has reached it, the leader before may have shown clients a later end.
    pub epoch_start: Offset,
}

/// A partition of this node. Calls take the partition's own lock for their duration and wait for nothing but the disk. They may, once
/// that lock is released, tell [`Clients::handle_partition_changed`](super::Clients::handle_partition_changed).
///
/// Everywhere: NOT_LEADER_OR_FOLLOWER where this node does not lead; FENCED_LEADER_EPOCH or UNKNOWN_LEADER_EPOCH where the client follows another reign
/// (KIP-320); KAFKA_STORAGE_ERROR where the disk failed.
pub(crate) trait ClientPartition: Send + Sync {
    /// Appends batches that somebody encoded, all of them or none: everything about them is checked before the first is written, and so is
    /// NOT_ENOUGH_REPLICAS. Only a disk that fails midway leaves some of them. Waits neither for a flush nor for replicas. INVALID_REQUEST for no
    /// batch. Answers the first one's beginning and the last one's end.
    fn append_raw_all(&self, batches: &[Bytes], client: Option<LeaderEpoch>, acks: Acks) -> Result<Admitted>;

    /// `flush.messages=1`: nothing is acknowledged before it is flushed here.
    fn must_flush_before_ack(&self) -> bool;

    /// Leads or joins a group commit on this thread until everything below `end` is flushed, and tells the leader's core of it. Answers
    /// the rung reached.
    fn flush_up_to(&self, end: Offset) -> Result<Rung>;

    /// Where an `acks=all` stands; of a leader that is none any more `NotLeader`.
    fn judge_ack(&self, admitted: LeaderEpoch, end: Offset) -> Result<AckVerdict>;

    /// Reads below what the client may see. Behind that end, but not behind the log's, is nothing and no error; OFFSET_OUT_OF_RANGE below
    /// the log's start or behind its end.
    fn fetch(&self, fetch: ClientFetch) -> Result<ClientFetched>;

    fn view(&self, current_leader_epoch: Option<LeaderEpoch>) -> Result<LeaderView>;

    /// The first record whose timestamp is `at` or later, wherever it lies.
    fn offset_for_timestamp(&self, at: Timestamp) -> Result<Option<(Offset, Timestamp)>>;

    /// The first record that has the largest timestamp of all, wherever it lies.
    fn offset_of_max_timestamp(&self) -> Result<Option<(Offset, Timestamp)>>;

    /// The epoch of the record there, or of the one before.
    fn epoch_of(&self, offset: Offset) -> Option<LeaderEpoch>;

    /// Raises the log's start to `before`, or to the high watermark, and says to which. OFFSET_OUT_OF_RANGE behind the high watermark,
    /// POLICY_VIOLATION where records are not to be deleted.
    fn delete_records(&self, before: Option<Offset>) -> Result<Offset>;

    /// How far every replica is.
    fn replicas(&self) -> Result<LedReplicas>;

    /// The least log start of the replicas that are alive; `None` while one of them has not said.
    fn low_watermark(&self) -> Result<Option<Offset>>;
}

/// All partitions, as clients see the node.
pub(crate) trait ClientPartitions: Send + Sync {
    /// UNKNOWN_TOPIC_OR_PARTITION when there is none in the cluster; NOT_LEADER_OR_FOLLOWER when it has no replica here.
    fn find(&self, partition: &TopicPartition) -> Result<Arc<dyn ClientPartition>>;

    /// Who leads, as far as is known here: an answer's hint.
    fn current_leader(&self, partition: &TopicPartition) -> Option<CurrentLeader>;

    /// Of these topics, or of all: [`describe`](super::describe).
    fn metadata(&self, topics: Option<&[Arc<str>]>) -> MetadataResponse;
}
