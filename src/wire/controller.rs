//! What the active controller is asked and answers. The types are the controller's; here are their bytes.

use super::field::{layout, listed, variants};
use super::limits::{NODES_MAX, PARTITIONS_MAX, TOPICS_MAX};
use crate::controller::{
    AlterPartition, AlterPartitionResult, ControllerRequest, ControllerResponse, CreateTopic, ElectionType, Heartbeat,
    IsrMember, LeaderRecovery, NodeSeat, NodeStanding, PartitionResult, PartitionState, QuorumProgress, QuorumState,
    RegisterNode, RegisteredNode, Reply, TopicConfigs, TopicId, TopicSetting,
};
use crate::error::{Error, ErrorCode};
use crate::types::{LeaderEpoch, NodeId};
use std::sync::Arc;

variants! {
    ControllerRequest, "controller request" {
        1 RegisterNode(request: RegisterNode),
        2 Heartbeat(request: Heartbeat),
        3 AlterPartition { node: NodeId, node_epoch: u64, partitions: Vec<AlterPartition> },
        4 CreateTopic(request: CreateTopic),
        5 CreatePartitions { name: Arc<str>, count: u32, assignments: Vec<Vec<NodeId>> },
        6 DeleteTopic { name: Arc<str> },
        7 AlterTopicConfig { name: Arc<str>, changes: Vec<(String, Option<String>)> },
        8 ElectLeaders { election: ElectionType, partitions: Vec<(Arc<str>, u32)> },
        9 AlterReassignment { name: Arc<str>, partition: u32, replicas: Option<Vec<NodeId>> },
        10 DecommissionNode { node: NodeId },
        11 UnregisterNode { node: NodeId },
        12 ChangeVoters { node: NodeId, seat: NodeSeat },
        13 DescribeQuorum,
        14 DescribeConfigs { topics: Vec<Arc<str>> },
    }
    Reply, "controller reply" {
        1 Registered { node_epoch: u64 },
        2 Heartbeat { is_fenced: bool, is_caught_up: bool, should_shut_down: bool },
        3 AlterPartition(results: Vec<AlterPartitionResult>),
        4 TopicCreated { id: TopicId },
        5 Partitions(results: Vec<PartitionResult>),
        6 Decommission { replicas_left: u64 },
        7 Done,
        8 Quorum(state: QuorumState),
        9 Configs(topics: Vec<TopicConfigs>),
    }
    ElectionType, "election type" { 0 Preferred, 1 Unclean, }
    NodeSeat, "seat" { 0 Voter, 1 Learner, 2 None, }
    LeaderRecovery, "leader recovery state" { 0 Recovered, 1 Recovering, }
    NodeStanding, "standing" { 0 Fenced, 1 Unfenced, 2 InControlledShutdown, }
}

layout! {
    RegisterNode {
        node: NodeId,
        incarnation: u64,
        address: String,
        rack: Option<String>,
        holds_data: bool,
        previous_epoch: Option<u64>,
    }
    Heartbeat { node: NodeId, node_epoch: u64, metadata_offset: u64, wants_fenced: bool, wants_shutdown: bool }
    AlterPartition {
        topic: TopicId,
        partition: u32,
        leader_epoch: LeaderEpoch,
        partition_epoch: u32,
        isr: Vec<IsrMember>,
        recovery: LeaderRecovery,
    }
    IsrMember { node: NodeId, node_epoch: Option<u64> }
    CreateTopic {
        name: Arc<str>,
        id: TopicId,
        partitions: Option<u32>,
        replication_factor: Option<u32>,
        assignments: Vec<(u32, Vec<NodeId>)>,
        settings: Vec<TopicSetting>,
    }
    ControllerResponse { result: Result<Reply, Error>, leader: Option<NodeId>, metadata_offset: u64 }
    AlterPartitionResult { topic: TopicId, partition: u32, state: Result<PartitionState, ErrorCode> }
    PartitionState {
        replicas: Vec<NodeId>,
        adding: Vec<NodeId>,
        removing: Vec<NodeId>,
        isr: Vec<NodeId>,
        elr: Vec<NodeId>,
        last_known_leader: Option<NodeId>,
        leader: Option<NodeId>,
        leader_epoch: LeaderEpoch,
        partition_epoch: u32,
        recovery: LeaderRecovery,
    }
    PartitionResult { name: Arc<str>, partition: u32, code: ErrorCode }
    QuorumState {
        leader: NodeId,
        term: u64,
        metadata_offset: u64,
        replicas: Vec<QuorumProgress>,
        nodes: Vec<RegisteredNode>,
    }
    QuorumProgress { node: NodeId, log_end: u64, is_voter: bool }
    RegisteredNode { node: NodeId, address: String, rack: Option<String>, standing: NodeStanding, epoch: u64 }
    TopicConfigs { topic: Arc<str>, settings: Vec<TopicSetting> }
}

listed! {
    AlterPartition: PARTITIONS_MAX, "partitions";
    AlterPartitionResult: PARTITIONS_MAX, "partitions";
    PartitionResult: PARTITIONS_MAX, "partitions";
    IsrMember: NODES_MAX, "nodes";
    QuorumProgress: NODES_MAX, "nodes";
    RegisteredNode: NODES_MAX, "nodes";
    TopicConfigs: TOPICS_MAX, "topics";
}
