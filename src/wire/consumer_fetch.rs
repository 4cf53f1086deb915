//! A consumer's fetch.

use super::field::{layout, listed};
use super::limits::{ABORTED_TRANSACTIONS_MAX, PARTITIONS_MAX};
use super::produce::CurrentLeader;
use crate::config::IsolationLevel;
use crate::error::Error;
use crate::types::{LeaderEpoch, Offset, TopicPartition};
use bytes::Bytes;

/// Kafka's Fetch, of a consumer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ConsumerFetchRequest {
    /// How long the leader may wait for `bytes_min` (`fetch.max.wait.ms`).
    pub wait_max_ms: u32,
    /// `fetch.min.bytes`.
    pub bytes_min: u32,
    /// Of all partitions together (`fetch.max.bytes`). The first batch is sent even if it is longer.
    pub bytes_max: u32,
    pub isolation: IsolationLevel,
    pub partitions: Vec<ConsumerFetchPartition>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ConsumerFetchPartition {
    pub partition: TopicPartition,
    pub fetch_offset: Offset,
    /// The reign that the consumer knows of; `None` is not compared (KIP-320).
    pub current_leader_epoch: Option<LeaderEpoch>,
    /// `max.partition.fetch.bytes`.
    pub bytes_max: u32,
}

#[derive(Clone, Debug)]
pub(crate) struct ConsumerFetchResponse {
    pub partitions: Vec<ConsumerFetchPartitionResponse>,
}

#[derive(Clone, Debug)]
pub(crate) struct ConsumerFetchPartitionResponse {
    pub partition: TopicPartition,
    /// Whole batches, the first of which holds the fetch offset; empty when there is nothing new.
    pub records: Result<Bytes, Error>,
    pub high_watermark: Offset,
    pub last_stable_offset: Offset,
    pub log_start: Offset,
    /// For `read_committed`: those with records in the range, by first offset.
    pub aborted_transactions: Vec<AbortedTransaction>,
    /// Where to go instead.
    pub current_leader: Option<CurrentLeader>,
}

/// From here on this producer's records do not count, up to its next abort marker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct AbortedTransaction {
    pub producer_id: i64,
    pub first_offset: Offset,
}

layout! {
    ConsumerFetchRequest {
        wait_max_ms: u32,
        bytes_min: u32,
        bytes_max: u32,
        isolation: IsolationLevel,
        partitions: Vec<ConsumerFetchPartition>,
    }
    ConsumerFetchPartition {
        partition: TopicPartition,
        fetch_offset: Offset,
        current_leader_epoch: Option<LeaderEpoch>,
        bytes_max: u32,
    }
    ConsumerFetchResponse { partitions: Vec<ConsumerFetchPartitionResponse> }
    ConsumerFetchPartitionResponse {
        partition: TopicPartition,
        records: Result<Bytes, Error>,
        high_watermark: Offset,
        last_stable_offset: Offset,
        log_start: Offset,
        aborted_transactions: Vec<AbortedTransaction>,
        current_leader: Option<CurrentLeader>,
    }
    AbortedTransaction { producer_id: i64, first_offset: Offset }
}

listed! {
    ConsumerFetchPartition: PARTITIONS_MAX, "partitions";
    ConsumerFetchPartitionResponse: PARTITIONS_MAX, "partitions";
    AbortedTransaction: ABORTED_TRANSACTIONS_MAX, "aborted transactions";
}
