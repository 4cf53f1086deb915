//! A partition's part in a cluster: its role, and what the pure cores of `replication` ask to be done about it.
//!
//! ```text
//!             orders (the image says who leads)
//!   Absent <------------> Waiting <------> Leader    append --> followers fetch --> high watermark
//!                            ^   \
//!                            |    `------> Follower  fetch --> append as it is, truncate by epoch
//!                            `-- nobody leads, or the log failed
//! ```
//!
//! One lock guards the role. It is taken with the partition's log at hand and held across reads of its numbers and writes to it, so that
//! no reign ends in the middle of an append; never across a sync for an acknowledgement, never around a call of anybody else. What is to
//! be told comes back as [`Moved`] and is told by [`Partition::spread`](super::Partition::spread) when every lock is released.

mod ack;
mod fetched;
mod follow;
mod lead;
mod moved;
mod orders;
mod serve;
#[cfg(test)]
mod tests;

pub(super) use moved::{Links, Moved};
pub(super) use orders::Orders;

use super::partition::Partition;
use crate::error::{Error, ErrorCode, Result};
use crate::replication::{Correlation, Follower, Leader, LogFacts, NodeEpoch};
use crate::storage::Log;
use crate::types::{LeaderEpoch, NodeId, Offset, TopicPartition};
use ack::Acks;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

/// What a partition of a cluster has that a lone one has not.
pub(super) struct Seat {
    me: NodeId,
    links: Arc<dyn Links>,
    state: Mutex<State>,
    acks: Acks,
    /// This node leads; for those who only want to know where to go.
    is_leading: AtomicBool,
    /// The cluster has taken the replica away: its log is not opened any more, which would make a new one.
    is_given_up: AtomicBool,
}

/// Who leads, as far as this node has heard, and its own part in it.
#[derive(Debug)]
struct State {
    role: Role,
    /// The metadata have spoken of this partition in this life.
    is_told: bool,
    leader: Option<NodeId>,
    leader_epoch: LeaderEpoch,
    node_epoch: NodeEpoch,
    /// Of the last fetch: the next reign's follower goes on from there.
    correlation_last: Correlation,
    /// Where records were found to be damaged, and in which reign: that is said once.
    refused_at: Option<(LeaderEpoch, Offset)>,
}

#[derive(Debug)]
enum Role {
    /// No replica of this node's.
    Absent,
    /// Nobody leads, as far as is known, or this replica is broken.
    Waiting,
    Leader(Box<Leader>),
    Follower(Box<Follower>),
}

impl Seat {
    pub(super) fn new(me: NodeId, links: Arc<dyn Links>) -> Seat {
        let state = State {
            role: Role::Absent,
            is_told: false,
            leader: None,
            leader_epoch: LeaderEpoch::default(),
            node_epoch: NodeEpoch::default(),
            correlation_last: Correlation::default(),
            refused_at: None,
        };
        let (is_leading, is_given_up) = (AtomicBool::new(false), AtomicBool::new(false));
        Seat { me, links, state: Mutex::new(state), acks: Acks::default(), is_leading, is_given_up }
    }
}

impl std::fmt::Debug for Seat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seat").field("state", &self.state).finish_non_exhaustive()
    }
}

impl Partition {
    /// Whether there is a replica here: as the metadata say, or, before they have spoken in this life, the disk.
    #[must_use]
    pub fn is_hosted(&self) -> bool {
        let Some(seat) = &self.seat else { return true };
        {
            let state = seat.state.lock();
            if state.is_told || !matches!(state.role, Role::Absent) {
                return !matches!(state.role, Role::Absent);
            }
        }
        self.is_on_disk()
    }

    /// # Errors
    /// NOT_LEADER_OR_FOLLOWER without a replica here: opening the log would make one.
    pub fn check_hosted(&self) -> Result<()> {
        if self.is_hosted() {
            return Ok(());
        }
        Err(self.not_hosted())
    }

    /// Asked with the slot at hand: whoever comes late, for instance with what a leader had answered, opens nothing.
    pub(super) fn check_not_given_up(&self) -> Result<()> {
        match &self.seat {
            Some(seat) if seat.is_given_up.load(Ordering::Acquire) => Err(self.not_hosted()),
            _ => Ok(()),
        }
    }

    fn not_hosted(&self) -> Error {
        let text =
            format!("{}: this node has no replica of it; a consumer or a producer reaches its leader", self.id());
        Error::new(ErrorCode::NOT_LEADER_OR_FOLLOWER, text)
    }
}

impl State {
    /// Before a follower is replaced.
    fn keep_correlation(&mut self) {
        if let Role::Follower(follower) = &self.role {
            self.correlation_last = self.correlation_last.max(follower.correlation_last());
        }
    }

    /// The leader, if it is us.
    fn leading(&mut self, me: NodeId, partition: &TopicPartition) -> Result<&mut Leader> {
        let (leader, LeaderEpoch(epoch)) = (self.leader, self.leader_epoch);
        match &mut self.role {
            Role::Leader(leader) => Ok(leader),
            Role::Absent | Role::Waiting | Role::Follower(_) => Err(match leader.filter(|leader| *leader != me) {
                Some(leader) => Error::new(
                    ErrorCode::NOT_LEADER_OR_FOLLOWER,
                    format!("{partition}: node {leader} leads, in epoch {epoch}; this is node {me}"),
                ),
                None => Error::new(
                    ErrorCode::NOT_LEADER_OR_FOLLOWER,
                    format!("{partition}: nobody is known to lead; the last epoch that node {me} heard of is {epoch}"),
                ),
            }),
        }
    }
}

/// Where the log stands. The role's lock is held, so that it grows under no reign but this one.
fn facts(log: &Log, must_flush: bool) -> LogFacts {
    let log_start = log.log_start();
    // First: what is flushed lies below the end that is read after it.
    let flushed = log.flushed();
    let log_end = log.log_end();
    let vouched = if must_flush { flushed.min(log_end) } else { log_end };
    LogFacts { log_start: log_start.min(log_end), log_end, vouched }
}
