//! What the cores are told: about the log, about the partition, about the other nodes.

use crate::error::ErrorCode;
use crate::types::{LeaderEpoch, NodeId, Offset};
use std::time::Duration;

/// One life of a node: higher with each start (Kafka's broker epoch). The controller gives it out; without a controller the wall
/// clock at the start will do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct NodeEpoch(pub u64);

/// The version of a partition's state, one higher with every change of leader, ISR or replicas.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct PartitionEpoch(pub u32);

/// Where a replica's log stands, taken under the partition's lock.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LogFacts {
    pub log_start: Offset,
    pub log_end: Offset,
    /// Everything below survives what the flush settings promise: the flushed end under `flush.messages=1`, else the log end.
    pub vouched: Offset,
}

impl LogFacts {
    /// # Panics
    /// When the ends are out of order: whoever counted them is wrong, and an acknowledgement would be too.
    pub(super) fn check(&self) {
        assert!(self.log_start <= self.log_end, "log start {} past log end {}", self.log_start, self.log_end);
        assert!(self.vouched <= self.log_end, "vouched {} past log end {}", self.vouched, self.log_end);
    }
}

/// What the controller decided about a partition, as far as its leader has to know it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PartitionState {
    pub replicas: Vec<NodeId>,
    pub in_sync_replicas: Vec<NodeId>,
    pub partition_epoch: PartitionEpoch,
}

/// What the controller says of a node. Unknown is the default, and lets it join: the controller has the last word anyway.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Standing {
    pub is_fenced: bool,
    pub is_shutting_down: bool,
    /// Under which the node is registered.
    pub node_epoch: Option<NodeEpoch>,
}

/// A member of a proposed ISR, in the life in which it earned its place.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct IsrMember {
    pub node: NodeId,
    /// `None` for a member that has not fetched in this reign. The controller refuses a member that lives under another number.
    pub node_epoch: Option<NodeEpoch>,
}

/// A change of the ISR that the leader asks for (Kafka's AlterPartition, KIP-497).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IsrProposal {
    pub leader_epoch: LeaderEpoch,
    /// The state that it builds upon. The controller refuses it when that is not its own.
    pub partition_epoch: PartitionEpoch,
    /// Ascending.
    pub in_sync_replicas: Vec<IsrMember>,
}

/// The controller's answer to an [`IsrProposal`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IsrVerdict {
    /// Both epochs of the proposal that it answers.
    pub leader_epoch: LeaderEpoch,
    pub proposed_upon: PartitionEpoch,
    /// The ISR and the partition epoch from now on, or why not.
    pub outcome: Result<(Vec<NodeId>, PartitionEpoch), ErrorCode>,
}

/// A follower, as its leader knows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FollowerState {
    pub node: NodeId,
    pub log_start: Offset,
    pub log_end: Offset,
    pub vouched: Offset,
    /// Since when it has not been at the leader's end; `None` when it never was.
    pub lag: Option<Duration>,
    pub is_in_sync: bool,
}
