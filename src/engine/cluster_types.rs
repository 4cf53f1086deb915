//! What a cluster says of itself: plain data, as [`Engine`](super::Engine) hands it out.

use crate::controller::QuorumProgress;
use crate::types::{ClusterId, LeaderEpoch, NodeId, Offset, TopicPartition};

/// A cluster as one of its nodes, or a client, sees it now. Others may be ahead of it, or behind.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClusterDescription {
    pub cluster_id: ClusterId,
    /// The node that decides; `None` while nobody is known to.
    pub controller: Option<NodeId>,
    /// Every node that is registered, by number.
    pub nodes: Vec<NodeDescription>,
    /// Nodes that vote in the metadata quorum, by number.
    pub voters: Vec<NodeId>,
    /// Nodes that get the metadata and do not vote, by number (Kafka's observers).
    pub learners: Vec<NodeId>,
    /// `None` while nobody is known to lead the quorum, and with `controller.mode=static`.
    pub quorum_leader: Option<NodeId>,
    /// Which leadership that is; grows with every election.
    pub quorum_epoch: u64,
    /// Offset of the last committed entry of the metadata that was applied here.
    pub metadata_offset: u64,
    /// How far each voter and learner is, by number. Only the quorum's leader knows
    /// ([`ClusterClient::describe_quorum`](super::ClusterClient::describe_quorum) asks it); empty elsewhere.
    pub quorum_replicas: Vec<QuorumReplica>,
}

/// One registered node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NodeDescription {
    pub id: NodeId,
    /// Where others reach it.
    pub address: String,
    /// `broker.rack`.
    pub rack: Option<String>,
    /// Silent for longer than `broker.session.timeout.ms`, or not caught up yet: it leads nothing and is in no ISR.
    pub is_fenced: bool,
    /// It is handing its partitions over.
    pub is_shutting_down: bool,
    /// Drawn anew at each registration (Kafka's broker epoch).
    pub epoch: u64,
}

/// One node's copy of the metadata log, as the quorum's leader knows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct QuorumReplica {
    pub node: NodeId,
    /// Behind the last entry that its copy is known to have: one more than `metadata_offset` where everything is committed everywhere.
    pub log_end: u64,
    pub is_voter: bool,
}

impl QuorumReplica {
    pub(super) fn of(replica: &QuorumProgress) -> QuorumReplica {
        QuorumReplica { node: replica.node, log_end: replica.log_end, is_voter: replica.is_voter }
    }
}

/// One partition and its replicas, as its leader sees it; elsewhere `states` has only what that node knows itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PartitionReplicas {
    /// `None` while there is none: nobody who has everything is there.
    pub leader: Option<NodeId>,
    pub leader_epoch: LeaderEpoch,
    /// In the order of preference; the first is the preferred leader.
    pub replicas: Vec<NodeId>,
    /// In-sync replicas: whom `acks=all` waits for. With `controller.mode=static` only its leader knows them; the node that led last says which they
    /// were, another one only who leads.
    pub isr: Vec<NodeId>,
    /// Eligible leader replicas: they left the ISR when it was too small already, and have everything below the high watermark.
    pub elr: Vec<NodeId>,
    /// Replicas whose node is fenced, or whose log has failed.
    pub offline: Vec<NodeId>,
    pub high_watermark: Option<Offset>,
    /// What is known of each replica's log, by number.
    pub states: Vec<ReplicaState>,
}

/// Where a partition begins and ends for consumers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PartitionEnds {
    /// The first record that there still is.
    pub log_start: Offset,
    /// Behind the last record that all in-sync replicas have.
    pub high_watermark: Offset,
}

/// One replica's log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReplicaState {
    pub node: NodeId,
    pub log_start: Offset,
    pub log_end: Offset,
    /// What it answers for: its log end, or its flushed end with `flush.messages=1`.
    pub vouched: Offset,
    /// The last epoch that its log knows of; only each node itself knows that of its own.
    pub last_leader_epoch: Option<LeaderEpoch>,
    /// Records between its vouched end and the leader's log end.
    pub lag_records: u64,
    /// How long ago it was at the leader's end, in milliseconds; `None` when it never was.
    pub lag_ms: Option<u64>,
    /// Whether it was at the leader's end within `replica.lag.time.max.ms`.
    pub is_caught_up: bool,
}

/// What one partition of a request came to.
#[derive(Clone, Debug)]
pub struct PartitionOutcome {
    pub partition: TopicPartition,
    pub result: crate::error::Result<()>,
}

/// Something happened in the cluster that the host may want to hear of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ClusterEvent {
    /// A partition that this node has a replica of is led by another node, or by nobody.
    LeaderChanged { partition: TopicPartition, leader: Option<NodeId>, leader_epoch: LeaderEpoch },
    /// The in-sync replicas of a partition that this node leads.
    IsrChanged { partition: TopicPartition, leader_epoch: LeaderEpoch, isr: Vec<NodeId> },
}
