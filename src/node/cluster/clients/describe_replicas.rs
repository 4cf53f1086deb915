//! How far the replicas of partitions that are led here are.

use super::partition::ClientPartitions;
use super::produce::where_instead;
use crate::wire::{DescribeReplicasPartitionResponse, DescribeReplicasRequest, DescribeReplicasResponse};

pub(super) fn describe_replicas(
    request: DescribeReplicasRequest,
    partitions: &dyn ClientPartitions,
) -> DescribeReplicasResponse {
    let answer = |partition| {
        let replicas = partitions.find(&partition).and_then(|log| log.replicas());
        let current_leader = where_instead(partitions, &partition, replicas.as_ref().err());
        DescribeReplicasPartitionResponse { partition, replicas, current_leader }
    };
    DescribeReplicasResponse { partitions: request.partitions.into_iter().map(answer).collect() }
}
