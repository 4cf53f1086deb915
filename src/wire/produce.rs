//! A client's produce request to the leader of its partitions, and where its batches went.

use super::field::{layout, listed};
use super::limits::PARTITIONS_MAX;
use crate::error::Error;
use crate::types::{Acks, LeaderEpoch, NodeId, Offset, Rung, Timestamp, TopicPartition};
use bytes::Bytes;

/// Kafka's Produce. With `Acks::None` it is sent without a correlation and nobody answers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ProduceRequest {
    pub acks: Acks,
    /// How long the leader may wait for the in-sync replicas (`request.timeout.ms`).
    pub timeout_ms: u32,
    pub partitions: Vec<ProducePartition>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ProducePartition {
    pub partition: TopicPartition,
    /// The reign that the client knows of; `None` is not compared (KIP-320).
    pub current_leader_epoch: Option<LeaderEpoch>,
    /// Encoded batches in the order of the append. Nobody has looked into them yet: whoever appends them verifies them.
    pub batches: Vec<Bytes>,
}

#[derive(Clone, Debug)]
pub(crate) struct ProduceResponse {
    pub partitions: Vec<ProducePartitionResponse>,
}

#[derive(Clone, Debug)]
pub(crate) struct ProducePartitionResponse {
    pub partition: TopicPartition,
    pub result: Result<Produced, Error>,
    /// Where to go instead; with NOT_LEADER_OR_FOLLOWER and FENCED_LEADER_EPOCH (KIP-951).
    pub current_leader: Option<CurrentLeader>,
}

/// Where the batches of one partition went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Produced {
    /// Of the first record of the first batch.
    pub base_offset: Offset,
    /// The leader's time, when the topic says LogAppendTime.
    pub log_append_time: Option<Timestamp>,
    /// How far they had climbed.
    pub rung: Rung,
}

/// Who leads a partition, as far as the node knows that answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct CurrentLeader {
    pub node: NodeId,
    pub leader_epoch: LeaderEpoch,
}

layout! {
    ProduceRequest { acks: Acks, timeout_ms: u32, partitions: Vec<ProducePartition> }
    ProducePartition {
        partition: TopicPartition,
        current_leader_epoch: Option<LeaderEpoch>,
        batches: Vec<Bytes>,
    }
    ProduceResponse { partitions: Vec<ProducePartitionResponse> }
    ProducePartitionResponse {
        partition: TopicPartition,
        result: Result<Produced, Error>,
        current_leader: Option<CurrentLeader>,
    }
    Produced { base_offset: Offset, log_append_time: Option<Timestamp>, rung: Rung }
    CurrentLeader { node: NodeId, leader_epoch: LeaderEpoch }
}

listed! {
    ProducePartition: PARTITIONS_MAX, "partitions";
    ProducePartitionResponse: PARTITIONS_MAX, "partitions";
}
