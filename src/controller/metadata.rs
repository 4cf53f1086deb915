//! One change of the image: what the metadata log consists of.

use crate::types::{LeaderEpoch, NodeId};
use std::sync::Arc;

/// A topic's identity; a topic that is created again under its old name has a new one.
pub(crate) type TopicId = [u8; 16];

/// A topic's own setting: Kafka's name and the value as text. Whoever asked has checked both.
pub(crate) type TopicSetting = (String, String);

/// What a node says about itself when it arrives, and the epoch that it was given.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct NodeRegistration {
    pub node: NodeId,
    /// Drawn by the node at each start, so that a repeated request is recognised.
    pub incarnation: u64,
    /// Kafka's broker epoch: the offset of this record in the metadata log. Grows with every registration of a new incarnation.
    pub epoch: u64,
    /// Where the others reach it; the transport knows how to read it.
    pub address: String,
    pub rack: Option<String>,
    /// Whether it keeps replicas, or only votes.
    pub holds_data: bool,
}

/// How much a registered node may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum NodeStanding {
    /// No heartbeat for a session, or newly registered: leads nothing, is in no ISR.
    Fenced,
    /// Alive: may lead and be in sync.
    Unfenced,
    /// On its way out: leads nothing, is in no ISR, still fetches.
    InControlledShutdown,
}

/// Whether a leader that was elected uncleanly has said that it is done recovering (Kafka's `LeaderRecoveryState`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum LeaderRecovery {
    #[default]
    Recovered,
    /// Elected from outside of ISR and ELR: may propose no ISR but itself until it is done.
    Recovering,
}

/// Everything the cluster decided about one partition.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct PartitionState {
    /// In the order of the assignment; the first is the preferred leader. While reassigning: target replicas, then `removing`.
    pub replicas: Vec<NodeId>,
    /// Replicas that a reassignment brings.
    pub adding: Vec<NodeId>,
    /// Replicas that a reassignment takes away.
    pub removing: Vec<NodeId>,
    /// In-sync replicas. Empty only while nobody leads.
    pub isr: Vec<NodeId>,
    /// Eligible leader replicas (KIP-966): left the ISR while it was below `min.insync.replicas`, so nothing was committed without them.
    pub elr: Vec<NodeId>,
    /// Who led before nobody did.
    pub last_known_leader: Option<NodeId>,
    pub leader: Option<NodeId>,
    /// One more at each change of the leader, and when a reassignment removes replicas.
    pub leader_epoch: LeaderEpoch,
    /// One more at each change of anything here.
    pub partition_epoch: u32,
    pub recovery: LeaderRecovery,
}

/// One change of the image. The bytes are drawn in `codec.rs`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum MetadataRecord {
    /// A node arrived (fenced), or told a new address.
    NodeRegistered {
        registration: NodeRegistration,
        standing: NodeStanding,
    },
    /// A node's standing changed. The epoch names the registration that is meant.
    NodeStandingChanged {
        node: NodeId,
        epoch: u64,
        standing: NodeStanding,
    },
    NodeRemoved {
        node: NodeId,
        epoch: u64,
    },
    TopicCreated {
        name: Arc<str>,
        id: TopicId,
        settings: Vec<TopicSetting>,
    },
    /// All settings that the topic has from now on.
    TopicSettingsChanged {
        id: TopicId,
        settings: Vec<TopicSetting>,
    },
    TopicRemoved {
        id: TopicId,
    },
    /// A partition was created (the next number of its topic, partition epoch 0) or changed (partition epoch plus one).
    PartitionChanged {
        topic: TopicId,
        partition: u32,
        state: PartitionState,
    },
}
