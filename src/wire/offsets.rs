//! Where partitions begin and end, and moving their beginning.

use super::field::{layout, listed, variants};
use super::limits::PARTITIONS_MAX;
use super::produce::CurrentLeader;
use crate::config::IsolationLevel;
use crate::error::Error;
use crate::types::{LeaderEpoch, Offset, Timestamp, TopicPartition};

/// Kafka's ListOffsets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ListOffsetsRequest {
    /// `ReadCommitted` ends at the last stable offset.
    pub isolation: IsolationLevel,
    pub partitions: Vec<ListOffsetsPartition>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ListOffsetsPartition {
    pub partition: TopicPartition,
    /// The reign that the client knows of; `None` is not compared (KIP-320).
    pub current_leader_epoch: Option<LeaderEpoch>,
    pub spec: OffsetSpec,
}

/// Which offset is asked for (Kafka's `OffsetSpec`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum OffsetSpec {
    Earliest,
    Latest,
    /// The first record with the largest timestamp (KIP-734).
    MaxTimestamp,
    /// The first record whose timestamp is this one or later.
    Timestamp(Timestamp),
}

#[derive(Clone, Debug)]
pub(crate) struct ListOffsetsResponse {
    pub partitions: Vec<ListOffsetsPartitionResponse>,
}

#[derive(Clone, Debug)]
pub(crate) struct ListOffsetsPartitionResponse {
    pub partition: TopicPartition,
    /// `None`: no record is as late as that.
    pub found: Result<Option<ListedOffset>, Error>,
    /// Where to go instead.
    pub current_leader: Option<CurrentLeader>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ListedOffset {
    pub offset: Offset,
    /// Of the record; `None` for the ends of the log.
    pub timestamp: Option<Timestamp>,
    /// Of the record, or of the log's end.
    pub leader_epoch: Option<LeaderEpoch>,
}

/// Kafka's DeleteRecords.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct DeleteRecordsRequest {
    /// How long the leader may wait until every replica alive has moved its log start.
    pub timeout_ms: u32,
    pub partitions: Vec<DeleteRecordsPartition>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct DeleteRecordsPartition {
    pub partition: TopicPartition,
    /// Records below go; `None`: all below the high watermark (Kafka's -1).
    pub before: Option<Offset>,
}

#[derive(Clone, Debug)]
pub(crate) struct DeleteRecordsResponse {
    pub partitions: Vec<DeleteRecordsPartitionResponse>,
}

#[derive(Clone, Debug)]
pub(crate) struct DeleteRecordsPartitionResponse {
    pub partition: TopicPartition,
    /// The least log start of the replicas that are alive.
    pub low_watermark: Result<Offset, Error>,
    /// Where to go instead.
    pub current_leader: Option<CurrentLeader>,
}

layout! {
    ListOffsetsRequest { isolation: IsolationLevel, partitions: Vec<ListOffsetsPartition> }
    ListOffsetsPartition {
        partition: TopicPartition,
        current_leader_epoch: Option<LeaderEpoch>,
        spec: OffsetSpec,
    }
    ListOffsetsResponse { partitions: Vec<ListOffsetsPartitionResponse> }
    ListOffsetsPartitionResponse {
        partition: TopicPartition,
        found: Result<Option<ListedOffset>, Error>,
        current_leader: Option<CurrentLeader>,
    }
    ListedOffset { offset: Offset, timestamp: Option<Timestamp>, leader_epoch: Option<LeaderEpoch> }
    DeleteRecordsRequest { timeout_ms: u32, partitions: Vec<DeleteRecordsPartition> }
    DeleteRecordsPartition { partition: TopicPartition, before: Option<Offset> }
    DeleteRecordsResponse { partitions: Vec<DeleteRecordsPartitionResponse> }
    DeleteRecordsPartitionResponse {
        partition: TopicPartition,
        low_watermark: Result<Offset, Error>,
        current_leader: Option<CurrentLeader>,
    }
}

variants! {
    OffsetSpec, "offset spec" {
        0 Earliest,
        1 Latest,
        2 MaxTimestamp,
        3 Timestamp(timestamp: Timestamp),
    }
}

listed! {
    ListOffsetsPartition: PARTITIONS_MAX, "partitions";
    ListOffsetsPartitionResponse: PARTITIONS_MAX, "partitions";
    DeleteRecordsPartition: PARTITIONS_MAX, "partitions";
    DeleteRecordsPartitionResponse: PARTITIONS_MAX, "partitions";
}
