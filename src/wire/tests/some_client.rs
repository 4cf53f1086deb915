//! Messages between clients and nodes, with anything in them.

use super::some::*;
use crate::config::IsolationLevel;
use crate::transport::ClusterId;
use crate::types::{Acks, Rung, Timestamp, TopicPartition};
use crate::wire::*;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

fn isolation() -> impl Strategy<Value = IsolationLevel> {
    select(vec![IsolationLevel::ReadUncommitted, IsolationLevel::ReadCommitted])
}
fn timestamp() -> impl Strategy<Value = Timestamp> {
    any::<i64>().prop_map(Timestamp)
}
fn spec() -> BoxedStrategy<OffsetSpec> {
    prop_oneof![
        select(vec![OffsetSpec::Earliest, OffsetSpec::Latest, OffsetSpec::MaxTimestamp]),
        timestamp().prop_map(OffsetSpec::Timestamp),
    ]
    .boxed()
}

some! {
    place -> TopicPartition { topic: some_name(), partition: any::<u32>() }
    leader -> CurrentLeader { node: some_node(), leader_epoch: some_epoch() }
    produce_partition -> ProducePartition {
        partition: place(),
        current_leader_epoch: option::of(some_epoch()),
        batches: vec(some_records(), 0..3),
    }
    produce_request -> ProduceRequest {
        acks: select(vec![Acks::None, Acks::Leader, Acks::All]),
        timeout_ms: any::<u32>(),
        partitions: vec(produce_partition(), 0..3),
    }
    produced -> Produced {
        base_offset: some_offset(),
        log_append_time: option::of(timestamp()),
        rung: select(vec![Rung::Buffered, Rung::Written, Rung::Flushed, Rung::Replicated]),
    }
    produced_partition -> ProducePartitionResponse {
        partition: place(),
        result: result_of(produced(), some_error()),
        current_leader: option::of(leader()),
    }
    produce_response -> ProduceResponse { partitions: vec(produced_partition(), 0..3) }
    fetch_partition -> ConsumerFetchPartition {
        partition: place(),
        fetch_offset: some_offset(),
        current_leader_epoch: option::of(some_epoch()),
        bytes_max: any::<u32>(),
    }
    fetch_request -> ConsumerFetchRequest {
        wait_max_ms: any::<u32>(),
        bytes_min: any::<u32>(),
        bytes_max: any::<u32>(),
        isolation: isolation(),
        partitions: vec(fetch_partition(), 0..3),
    }
    aborted -> AbortedTransaction { producer_id: any::<i64>(), first_offset: some_offset() }
    fetched_partition -> ConsumerFetchPartitionResponse {
        partition: place(),
        records: result_of(some_records(), some_error()),
        high_watermark: some_offset(),
        last_stable_offset: some_offset(),
        log_start: some_offset(),
        aborted_transactions: vec(aborted(), 0..3),
        current_leader: option::of(leader()),
    }
    fetch_response -> ConsumerFetchResponse { partitions: vec(fetched_partition(), 0..3) }
    list_partition -> ListOffsetsPartition {
        partition: place(),
        current_leader_epoch: option::of(some_epoch()),
        spec: spec(),
    }
    list_request -> ListOffsetsRequest { isolation: isolation(), partitions: vec(list_partition(), 0..3) }
    listed -> ListedOffset {
        offset: some_offset(),
        timestamp: option::of(timestamp()),
        leader_epoch: option::of(some_epoch()),
    }
    listed_partition -> ListOffsetsPartitionResponse {
        partition: place(),
        found: result_of(option::of(listed()), some_error()),
        current_leader: option::of(leader()),
    }
    list_response -> ListOffsetsResponse { partitions: vec(listed_partition(), 0..3) }
    delete_partition -> DeleteRecordsPartition { partition: place(), before: option::of(some_offset()) }
    delete_request -> DeleteRecordsRequest { timeout_ms: any::<u32>(), partitions: vec(delete_partition(), 0..3) }
    deleted_partition -> DeleteRecordsPartitionResponse {
        partition: place(),
        low_watermark: result_of(some_offset(), some_error()),
        current_leader: option::of(leader()),
    }
    delete_response -> DeleteRecordsResponse { partitions: vec(deleted_partition(), 0..3) }
    replicas_request -> DescribeReplicasRequest { partitions: vec(place(), 0..3) }
    led_replica -> LedReplica {
        node: some_node(),
        log_start: some_offset(),
        log_end: some_offset(),
        vouched: some_offset(),
        last_leader_epoch: option::of(some_epoch()),
        lag_records: any::<u64>(),
        lag_ms: option::of(any::<u64>()),
        is_caught_up: any::<bool>(),
    }
    led_replicas -> LedReplicas {
        leader_epoch: some_epoch(),
        high_watermark: some_offset(),
        states: vec(led_replica(), 0..4),
    }
    described_partition -> DescribeReplicasPartitionResponse {
        partition: place(),
        replicas: result_of(led_replicas(), some_error()),
        current_leader: option::of(leader()),
    }
    replicas_response -> DescribeReplicasResponse { partitions: vec(described_partition(), 0..3) }
    metadata_request -> MetadataRequest { topics: option::of(vec(some_name(), 0..4)) }
    metadata_node -> MetadataNode { node: some_node(), address: some_text(), rack: option::of(some_text()) }
    metadata_partition -> MetadataPartition {
        partition: any::<u32>(),
        leader: option::of(some_node()),
        leader_epoch: some_epoch(),
        replicas: some_nodes(),
        isr: some_nodes(),
        elr: some_nodes(),
        offline_replicas: some_nodes(),
    }
    description -> MetadataTopicDescription { id: any::<[u8; 16]>(), partitions: vec(metadata_partition(), 0..3) }
    metadata_topic -> MetadataTopic { name: some_name(), description: result_of(description(), some_error()) }
    metadata_response -> MetadataResponse {
        cluster: any::<[u8; 16]>().prop_map(ClusterId),
        controller: option::of(some_node()),
        metadata_offset: any::<u64>(),
        nodes: vec(metadata_node(), 0..3),
        topics: vec(metadata_topic(), 0..3),
    }
}

pub fn some_client_message() -> BoxedStrategy<Message> {
    prop_oneof![
        request(produce_request().prop_map(Request::Produce)),
        response(produce_response().prop_map(Response::Produce)),
        request(fetch_request().prop_map(Request::ConsumerFetch)),
        response(fetch_response().prop_map(Response::ConsumerFetch)),
        request(list_request().prop_map(Request::ListOffsets)),
        response(list_response().prop_map(Response::ListOffsets)),
        request(delete_request().prop_map(Request::DeleteRecords)),
        response(delete_response().prop_map(Response::DeleteRecords)),
        request(metadata_request().prop_map(Request::Metadata)),
        response(metadata_response().prop_map(Response::Metadata)),
        request(replicas_request().prop_map(Request::DescribeReplicas)),
        response(replicas_response().prop_map(Response::DescribeReplicas)),
    ]
    .boxed()
}
