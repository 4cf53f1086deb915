//! One life of a node, as the world sees it. Nothing else in here knows how a node is opened and called.

#[cfg(feature = "quorum")]
mod real;

#[cfg(feature = "quorum")]
pub use real::RealNodes;

use super::checker::{Decision, ImageMark, ReadLog};
use super::{SimClock, SimDisk, SimTransport};
use crate::controller::ControllerRequest;
use crate::error::Result;
use crate::node::Alarm;
use crate::record::SealedBatch;
use crate::replication::AckVerdict;
use crate::storage::{Fetch, LogOffsets};
use crate::time::Instant;
use crate::types::{Acks, LeaderEpoch, NodeId, Offset, TopicPartition};
use bytes::Bytes;
use std::fmt;
use std::sync::Arc;

/// Where every node has its data, on the disk of its machine.
pub const DIR: &str = "/data";

/// What a life begins with.
pub struct Birth {
    pub node: NodeId,
    /// Every node votes.
    pub voters: Vec<NodeId>,
    pub disk: SimDisk,
    pub clock: Arc<SimClock>,
    pub transport: SimTransport,
    pub seed: u64,
    /// By Kafka's names.
    pub settings: Vec<(&'static str, String)>,
    pub alarm: Arc<dyn Alarm>,
}

/// Opens nodes.
pub trait Open {
    /// # Errors
    /// As the node's.
    fn open(&self, birth: Birth) -> Result<Arc<dyn Member>>;
}

/// One replica of a node, as it stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Replica {
    pub partition: TopicPartition,
    pub leads: bool,
    pub leader_epoch: LeaderEpoch,
    pub is_offline: bool,
    pub offsets: LogOffsets,
}

impl fmt::Display for Replica {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LogOffsets { log_start, high_watermark, flushed, log_end } = self.offsets;
        let role = if self.leads { "leads" } else { "follows" };
        let offline = if self.is_offline { ", offline" } else { "" };
        let (partition, epoch) = (&self.partition, self.leader_epoch.0);
        write!(f, "{partition}: {role} in epoch {epoch}{offline}, {log_start}..{log_end}, committed {high_watermark}, flushed {flushed}")
    }
}

/// Where an append went.
#[derive(Clone, Copy, Debug)]
pub struct Appended {
    pub base: Offset,
    pub end: Offset,
    pub leader_epoch: LeaderEpoch,
    pub is_duplicate: bool,
}

/// Told once what became of a request to the controller.
pub type Answer = Box<dyn FnOnce(Result<()>) + Send>;

/// A node that is open. Called from the world's one thread, and never from inside of itself.
pub trait Member {
    fn tick(&self, now: Instant) -> Option<Instant>;
    /// The replicas that it keeps and whose log is open.
    fn replicas(&self) -> Vec<Replica>;
    /// Who leads a partition, as far as it knows.
    fn leader(&self, partition: &TopicPartition) -> Option<NodeId>;
    /// Drawn at the start: what this life registers as.
    fn incarnation(&self) -> u64;
    /// What was decided about all partitions, if its image is newer than this.
    fn decisions(&self, newer_than: Option<u64>) -> Option<(ImageMark, Vec<(TopicPartition, Decision)>)>;
    /// # Errors
    /// As `Partition::append`.
    fn append(&self, partition: &TopicPartition, batch: &mut SealedBatch, acks: Acks) -> Result<Appended>;
    /// Sees to the flush that an acknowledgement of everything below `end` waits for, if it waits for one.
    ///
    /// # Errors
    /// As `Partition::wait_for`.
    fn flush_for_ack(&self, partition: &TopicPartition, end: Offset) -> Result<()>;
    fn judge_ack(&self, partition: &TopicPartition, admitted: LeaderEpoch, end: Offset) -> Result<AckVerdict>;
    /// # Errors
    /// As `Partition::read`.
    fn read(&self, partition: &TopicPartition, fetch: Fetch) -> Result<Bytes>;
    /// Asks the controller, wherever it is.
    fn ask(&self, request: ControllerRequest, now: Instant, answer: Answer);
    /// Begins to leave in order: others lead first. True when it is done and the node may be closed.
    fn leave(&self, now: Instant) -> bool;
    /// Ends in order. True when the directory was marked as such.
    ///
    /// # Errors
    /// As `Node::close`.
    fn close(&self) -> Result<bool>;
    /// The next line for the host's log.
    fn poll_notice(&self) -> Option<String>;
}

/// The log of one of a node's replicas.
pub struct LogOf<'a> {
    pub member: &'a dyn Member,
    pub partition: &'a TopicPartition,
}

/// Enough for the largest batch and many small ones.
const READ_BYTES: usize = 256 * 1024;

impl ReadLog for LogOf<'_> {
    fn read_log(&self, from: Offset) -> Result<Bytes> {
        let up_to = crate::storage::UpTo::LogEnd;
        self.member.read(self.partition, Fetch { from, bytes_max: READ_BYTES, up_to, min_one_message: true })
    }
}
