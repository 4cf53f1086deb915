//! What the checker is shown.

use crate::error::Result;
use crate::storage::LogOffsets;
use crate::types::{LeaderEpoch, NodeId, Offset, TopicPartition};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::fmt;

/// One replica, as its node shows it.
#[derive(Clone, Copy)]
pub struct Sighting<'a> {
    pub node: NodeId,
    /// Counts the node's starts.
    pub life: u64,
    pub partition: &'a TopicPartition,
    /// Of the reign that the node knows of.
    pub leader_epoch: LeaderEpoch,
    pub leads: bool,
    /// The disk has failed under it: it takes nothing and vouches for nothing.
    pub is_offline: bool,
    pub offsets: LogOffsets,
    pub log: &'a dyn ReadLog,
}

/// Reads a replica's log, whatever the high watermark is.
pub trait ReadLog {
    /// Whole batches, beginning with the one that holds `from`; empty at the log's end.
    ///
    /// # Errors
    /// As the log's.
    fn read_log(&self, from: Offset) -> Result<Bytes>;
}

/// Which metadata an image is made of.
#[derive(Clone, Default, Debug)]
pub struct ImageMark {
    /// Of the last entry of the metadata log.
    pub offset: u64,
    /// The incarnation of each node that is registered there.
    pub registered: BTreeMap<NodeId, u64>,
}

/// What the controller decided about a partition.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Decision {
    pub leader: Option<NodeId>,
    pub leader_epoch: LeaderEpoch,
    pub partition_epoch: u32,
    pub replicas: Vec<NodeId>,
    pub isr: Vec<NodeId>,
    /// Eligible leader replicas.
    pub elr: Vec<NodeId>,
    /// Who may be elected, while nobody leads, when nobody is left in sync or eligible.
    pub last_known_leader: Option<NodeId>,
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |nodes: &[NodeId]| nodes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        let leader = self.leader.map_or("nobody".to_owned(), |leader| leader.to_string());
        let (replicas, isr, elr) = (list(&self.replicas), list(&self.isr), list(&self.elr));
        write!(f, "leader {leader} in epoch {}, in sync [{isr}] of [{replicas}], eligible [{elr}]", self.leader_epoch.0)
    }
}

impl Decision {
    /// Whoever may be elected: these hold everything that was ever committed.
    pub fn members(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.isr.iter().chain(&self.elr).copied()
    }
}
