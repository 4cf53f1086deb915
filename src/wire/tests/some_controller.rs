//! Requests to the controller and its answers, with anything in them.

use super::some::*;
use crate::controller::*;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

fn recovery() -> impl Strategy<Value = LeaderRecovery> {
    select(vec![LeaderRecovery::Recovered, LeaderRecovery::Recovering])
}

some! {
    register_node -> RegisterNode {
        node: some_node(),
        incarnation: any::<u64>(),
        address: some_text(),
        rack: option::of(some_text()),
        holds_data: any::<bool>(),
        previous_epoch: option::of(any::<u64>()),
    }
    heartbeat -> Heartbeat {
        node: some_node(),
        node_epoch: any::<u64>(),
        metadata_offset: any::<u64>(),
        wants_fenced: any::<bool>(),
        wants_shutdown: any::<bool>(),
    }
    member -> IsrMember { node: some_node(), node_epoch: option::of(any::<u64>()) }
    alter_partition -> AlterPartition {
        topic: any::<[u8; 16]>(),
        partition: any::<u32>(),
        leader_epoch: some_epoch(),
        partition_epoch: any::<u32>(),
        isr: vec(member(), 0..4),
        recovery: recovery(),
    }
    create_topic -> CreateTopic {
        name: some_name(),
        id: any::<[u8; 16]>(),
        partitions: option::of(any::<u32>()),
        replication_factor: option::of(any::<u32>()),
        assignments: vec((any::<u32>(), some_nodes()), 0..3),
        settings: vec((some_text(), some_text()), 0..3),
    }
    state -> PartitionState {
        replicas: some_nodes(),
        adding: some_nodes(),
        removing: some_nodes(),
        isr: some_nodes(),
        elr: some_nodes(),
        last_known_leader: option::of(some_node()),
        leader: option::of(some_node()),
        leader_epoch: some_epoch(),
        partition_epoch: any::<u32>(),
        recovery: recovery(),
    }
    altered -> AlterPartitionResult {
        topic: any::<[u8; 16]>(),
        partition: any::<u32>(),
        state: result_of(state(), some_code()),
    }
    progress -> QuorumProgress { node: some_node(), log_end: any::<u64>(), is_voter: any::<bool>() }
    registered -> RegisteredNode {
        node: some_node(),
        address: some_text(),
        rack: option::of(some_text()),
        standing: select(vec![NodeStanding::Fenced, NodeStanding::Unfenced, NodeStanding::InControlledShutdown]),
        epoch: any::<u64>(),
    }
    quorum -> QuorumState {
        leader: some_node(),
        term: any::<u64>(),
        metadata_offset: any::<u64>(),
        replicas: vec(progress(), 0..4),
        nodes: vec(registered(), 0..3),
    }
    configs -> TopicConfigs { topic: some_name(), settings: vec((some_text(), some_text()), 0..3) }
    partition_result -> PartitionResult { name: some_name(), partition: any::<u32>(), code: some_code() }
    some_controller_response -> ControllerResponse {
        result: result_of(reply(), some_error()),
        leader: option::of(some_node()),
        metadata_offset: any::<u64>(),
    }
}

pub fn some_controller_request() -> BoxedStrategy<ControllerRequest> {
    use ControllerRequest::*;
    prop_oneof![
        register_node().prop_map(RegisterNode),
        heartbeat().prop_map(Heartbeat),
        (some_node(), any::<u64>(), vec(alter_partition(), 0..3))
            .prop_map(|(node, node_epoch, partitions)| AlterPartition { node, node_epoch, partitions }),
        create_topic().prop_map(CreateTopic),
        (some_name(), any::<u32>(), vec(some_nodes(), 0..3)).prop_map(|(name, count, assignments)| CreatePartitions {
            name,
            count,
            assignments
        }),
        some_name().prop_map(|name| DeleteTopic { name }),
        (some_name(), vec((some_text(), option::of(some_text())), 0..3))
            .prop_map(|(name, changes)| AlterTopicConfig { name, changes }),
        (select(vec![ElectionType::Preferred, ElectionType::Unclean]), vec((some_name(), any::<u32>()), 0..3))
            .prop_map(|(election, partitions)| ElectLeaders { election, partitions }),
        (some_name(), any::<u32>(), option::of(some_nodes()))
            .prop_map(|(name, partition, replicas)| AlterReassignment { name, partition, replicas }),
        some_node().prop_map(|node| DecommissionNode { node }),
        some_node().prop_map(|node| UnregisterNode { node }),
        (some_node(), select(vec![NodeSeat::Voter, NodeSeat::Learner, NodeSeat::None]))
            .prop_map(|(node, seat)| ChangeVoters { node, seat }),
        Just(DescribeQuorum),
        vec(some_name(), 0..4).prop_map(|topics| DescribeConfigs { topics }),
    ]
    .boxed()
}

fn reply() -> BoxedStrategy<Reply> {
    prop_oneof![
        any::<u64>().prop_map(|node_epoch| Reply::Registered { node_epoch }),
        any::<[bool; 3]>().prop_map(|[is_fenced, is_caught_up, should_shut_down]| Reply::Heartbeat {
            is_fenced,
            is_caught_up,
            should_shut_down
        }),
        vec(altered(), 0..3).prop_map(Reply::AlterPartition),
        any::<[u8; 16]>().prop_map(|id| Reply::TopicCreated { id }),
        vec(partition_result(), 0..3).prop_map(Reply::Partitions),
        any::<u64>().prop_map(|replicas_left| Reply::Decommission { replicas_left }),
        Just(Reply::Done),
        quorum().prop_map(Reply::Quorum),
        vec(configs(), 0..3).prop_map(Reply::Configs),
    ]
    .boxed()
}
