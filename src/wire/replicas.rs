//! How far each replica of a partition is, as only its leader knows.

use super::field::{layout, listed};
use super::limits::{NODES_MAX, PARTITIONS_MAX};
use super::produce::CurrentLeader;
use crate::error::Error;
use crate::types::{LeaderEpoch, NodeId, Offset, TopicPartition};

/// Ours; Kafka has it in the metrics of its leaders.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct DescribeReplicasRequest {
    pub partitions: Vec<TopicPartition>,
}

#[derive(Clone, Debug)]
pub(crate) struct DescribeReplicasResponse {
    pub partitions: Vec<DescribeReplicasPartitionResponse>,
}

#[derive(Clone, Debug)]
pub(crate) struct DescribeReplicasPartitionResponse {
    pub partition: TopicPartition,
    pub replicas: Result<LedReplicas, Error>,
    /// Where to go instead.
    pub current_leader: Option<CurrentLeader>,
}

/// A partition as its leader sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct LedReplicas {
    pub leader_epoch: LeaderEpoch,
    pub high_watermark: Offset,
    /// The leader's own among them, by number.
    pub states: Vec<LedReplica>,
}

/// One replica's log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct LedReplica {
    pub node: NodeId,
    pub log_start: Offset,
    pub log_end: Offset,
    /// What it answers for: its log end, or its flushed end with `flush.messages=1`.
    pub vouched: Offset,
    /// The last epoch in its log; of another node than the leader it is not known.
    pub last_leader_epoch: Option<LeaderEpoch>,
    /// Records between its vouched end and the leader's log end.
    pub lag_records: u64,
    /// How long ago it was at the leader's end; `None` when it never was.
    pub lag_ms: Option<u64>,
    pub is_caught_up: bool,
}

layout! {
    DescribeReplicasRequest { partitions: Vec<TopicPartition> }
    DescribeReplicasResponse { partitions: Vec<DescribeReplicasPartitionResponse> }
    DescribeReplicasPartitionResponse {
        partition: TopicPartition,
        replicas: Result<LedReplicas, Error>,
        current_leader: Option<CurrentLeader>,
    }
    LedReplicas { leader_epoch: LeaderEpoch, high_watermark: Offset, states: Vec<LedReplica> }
    LedReplica {
        node: NodeId,
        log_start: Offset,
        log_end: Offset,
        vouched: Offset,
        last_leader_epoch: Option<LeaderEpoch>,
        lag_records: u64,
        lag_ms: Option<u64>,
        is_caught_up: bool,
    }
}

listed! {
    TopicPartition: PARTITIONS_MAX, "partitions";
    DescribeReplicasPartitionResponse: PARTITIONS_MAX, "partitions";
    LedReplica: NODES_MAX, "nodes";
}
