//! What the controller is asked, and what it answers.

use super::metadata::{LeaderRecovery, NodeStanding, PartitionState, TopicId, TopicSetting};
use crate::error::{ErrorCode, Result};
use crate::types::{LeaderEpoch, NodeId};
use std::sync::Arc;

/// A request to the active controller. Names and values of settings were checked by whoever sends it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum ControllerRequest {
    RegisterNode(RegisterNode),
    Heartbeat(Heartbeat),
    AlterPartition {
        node: NodeId,
        node_epoch: u64,
        partitions: Vec<AlterPartition>,
    },
    CreateTopic(CreateTopic),
    /// Raises a topic's number of partitions to `count`; `assignments` are those of the new ones, or empty.
    CreatePartitions {
        name: Arc<str>,
        count: u32,
        assignments: Vec<Vec<NodeId>>,
    },
    DeleteTopic {
        name: Arc<str>,
    },
    /// Sets (`Some`) and unsets (`None`) settings of a topic.
    AlterTopicConfig {
        name: Arc<str>,
        changes: Vec<(String, Option<String>)>,
    },
    /// Of these partitions, or of all when the list is empty.
    ElectLeaders {
        election: ElectionType,
        partitions: Vec<(Arc<str>, u32)>,
    },
    /// New replicas for a partition, or `None` to call a reassignment off.
    AlterReassignment {
        name: Arc<str>,
        partition: u32,
        replicas: Option<Vec<NodeId>>,
    },
    /// Moves every replica away from a node. Asked again, it says how many are left.
    DecommissionNode {
        node: NodeId,
    },
    /// Forgets a node that keeps no replicas.
    UnregisterNode {
        node: NodeId,
    },
    /// Changes who votes in the metadata quorum. Ours; Kafka's AddRaftVoter and RemoveRaftVoter.
    ChangeVoters {
        node: NodeId,
        seat: NodeSeat,
    },
    /// Who votes, how far everybody's copy of the metadata is, and who is registered (Kafka's DescribeQuorum).
    DescribeQuorum,
    /// The settings that these topics have of their own (Kafka's DescribeConfigs).
    DescribeConfigs {
        topics: Vec<Arc<str>>,
    },
}

impl ControllerRequest {
    /// Whether it says first of all that a node is there.
    pub fn is_sign_of_life(&self) -> bool {
        matches!(self, ControllerRequest::RegisterNode(_) | ControllerRequest::Heartbeat(_))
    }
}

/// A node arrives (Kafka's BrokerRegistrationRequest).
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct RegisterNode {
    pub node: NodeId,
    pub incarnation: u64,
    pub address: String,
    pub rack: Option<String>,
    pub holds_data: bool,
    /// The node epoch that its clean shutdown left on its disk; `None` after a crash, and the first time.
    pub previous_epoch: Option<u64>,
}

/// A sign of life (Kafka's BrokerHeartbeatRequest).
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Heartbeat {
    pub node: NodeId,
    pub node_epoch: u64,
    /// How far it has applied the metadata log.
    pub metadata_offset: u64,
    pub wants_fenced: bool,
    pub wants_shutdown: bool,
}

/// A replica that a leader proposes for the ISR, with the node epoch of its fetches if it knows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct IsrMember {
    pub node: NodeId,
    pub node_epoch: Option<u64>,
}

/// A leader's proposal for one of its partitions.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct AlterPartition {
    pub topic: TopicId,
    pub partition: u32,
    pub leader_epoch: LeaderEpoch,
    pub partition_epoch: u32,
    pub isr: Vec<IsrMember>,
    pub recovery: LeaderRecovery,
}

/// Zero or `None` in `partitions` and `replication_factor` is the default; both are `None` with `assignments`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct CreateTopic {
    pub name: Arc<str>,
    pub id: TopicId,
    pub partitions: Option<u32>,
    pub replication_factor: Option<u32>,
    pub assignments: Vec<(u32, Vec<NodeId>)>,
    pub settings: Vec<TopicSetting>,
}

/// Which partitions get which leader.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ElectionType {
    /// The first of the replicas, where it is in sync and does not lead.
    Preferred,
    /// Only where the topic says `unclean.leader.election.enable=true`. May lose records.
    Unclean,
}

/// A node's seat in the metadata quorum.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NodeSeat {
    Voter,
    /// Gets the log, does not vote.
    Learner,
    /// Has nothing to do with the quorum.
    None,
}

/// The outcome for one partition of a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct PartitionResult {
    pub name: Arc<str>,
    pub partition: u32,
    pub code: ErrorCode,
}

/// The outcome of one proposal: the state that holds from now on, or why not.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct AlterPartitionResult {
    pub topic: TopicId,
    pub partition: u32,
    pub state: std::result::Result<PartitionState, ErrorCode>,
}

/// An answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Reply {
    Registered {
        node_epoch: u64,
    },
    Heartbeat {
        is_fenced: bool,
        is_caught_up: bool,
        should_shut_down: bool,
    },
    AlterPartition(Vec<AlterPartitionResult>),
    TopicCreated {
        id: TopicId,
    },
    Partitions(Vec<PartitionResult>),
    Decommission {
        replicas_left: u64,
    },
    Done,
    Quorum(QuorumState),
    /// In the order in which they were asked for.
    Configs(Vec<TopicConfigs>),
}

/// The metadata quorum as its leader knows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct QuorumState {
    pub leader: NodeId,
    pub term: u64,
    /// Offset of the last committed entry that the leader has applied.
    pub metadata_offset: u64,
    /// By number.
    pub replicas: Vec<QuorumProgress>,
    /// Every node that is registered, by number.
    pub nodes: Vec<RegisteredNode>,
}

/// One node's copy of the metadata log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct QuorumProgress {
    pub node: NodeId,
    /// Behind the last entry that it is known to have on its disk.
    pub log_end: u64,
    pub is_voter: bool,
}

/// A node that is registered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct RegisteredNode {
    pub node: NodeId,
    pub address: String,
    pub rack: Option<String>,
    pub standing: NodeStanding,
    pub epoch: u64,
}

/// What a topic has set for itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct TopicConfigs {
    pub topic: Arc<str>,
    pub settings: Vec<TopicSetting>,
}

/// An answer with what everybody should know: who leads, and where the metadata stand that it speaks of. Whoever adopts a partition's
/// state from it applies the metadata log up to `metadata_offset` first: settings that the decision used are there.
#[derive(Clone, Debug)]
pub(crate) struct ControllerResponse {
    pub result: Result<Reply>,
    pub leader: Option<NodeId>,
    pub metadata_offset: u64,
}

/// Something that an operator wants to hear of, loudly.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum ControllerEvent {
    /// Records may be lost: nobody of ISR and ELR was there and the topic allows it, or nobody was left in them.
    UncleanLeaderElected {
        topic: Arc<str>,
        partition: u32,
        leader: NodeId,
        isr_before: Vec<NodeId>,
    },
    /// The only replica that had everything stopped uncleanly. The last leader leads again when it is there; what it had not flushed is
    /// lost.
    LastReplicaRestartedUncleanly {
        topic: Arc<str>,
        partition: u32,
        node: NodeId,
    },
    NodeFenced {
        node: NodeId,
    },
    NodeUnfenced {
        node: NodeId,
    },
    NodeRegistered {
        node: NodeId,
        node_epoch: u64,
        cleanly: bool,
    },
    PartitionOffline {
        topic: Arc<str>,
        partition: u32,
    },
}
