//! The cluster's memory and its chair: which nodes live, which topics exist, who leads which partition, who is in sync.
//!
//! Pure: no file, socket, clock or thread. Events come in by `handle_*` with the time as an argument, effects go out by `poll_output`.
//! Everything that was ever decided is a list of [`MetadataRecord`]s in one log; the [`Image`] is what they add up to.
//!
//! ```text
//!   request --> Decider (image so far) --> records --> Quorum: proposed, persisted, a majority --> Image on every node
//!                                            |                                                      |
//!                                            `--> speculative image, for the next decision          `--> reply to whoever asked
//! ```
//!
//! [`Decider`] answers one request at a time with records to commit, as Kafka's `ReplicationControlManager` and
//! `ClusterControlManager` do. `Quorum` agrees on the order of the records (the `raft` crate, cargo feature `quorum`), `Controller` joins
//! the two. [`AppointedController`] is the static mode: no quorum, the host says who leads.
//!
//! Heartbeats are soft state of the active controller and not in the log: a new active controller gives every node a fresh session.
#![cfg_attr(not(test), allow(unused_imports))] // some are for the tests alone

mod alter_partition;
#[cfg_attr(not(feature = "quorum"), allow(dead_code))] // its node is a member, and that needs the feature
mod appointed;
mod change;
mod codec;
mod decide;
mod describe;
mod elect;
mod fields;
mod image;
mod image_apply;
mod metadata;
mod nodes;
mod placement;
mod reassign;
mod request;
mod sessions;
mod sweep;
mod topics;

#[cfg(feature = "quorum")]
mod active;
#[cfg(feature = "quorum")]
mod membership;
#[cfg(feature = "quorum")]
mod quorum;
#[cfg(feature = "quorum")]
mod raft_convert;
#[cfg(feature = "quorum")]
mod raft_message;
#[cfg(feature = "quorum")]
mod raft_store;
#[cfg(feature = "quorum")]
mod rounds;
#[cfg(feature = "quorum")]
mod timing;

#[cfg(test)]
mod tests;

pub(crate) use appointed::{appointed_topic_id, Appointed, AppointedController, Appointment};
pub(crate) use change::Change;
pub(crate) use codec::{decode_records, encode_records};
pub(crate) use decide::{ControllerConfig, Decider, Outcome};
pub(crate) use image::{Image, Topic};
pub(crate) use metadata::{
    LeaderRecovery, MetadataRecord, NodeRegistration, NodeStanding, PartitionState, TopicId, TopicSetting,
};
pub(crate) use request::{
    AlterPartition, AlterPartitionResult, ControllerEvent, ControllerRequest, ControllerResponse, CreateTopic,
    Heartbeat, IsrMember, PartitionResult, QuorumProgress, QuorumState, RegisterNode, RegisteredNode, Reply,
    TopicConfigs,
};
pub use request::{ElectionType, NodeSeat};
pub(crate) use sessions::Sessions;

#[cfg(feature = "quorum")]
pub(crate) use active::{Controller, ControllerOutput};
#[cfg(feature = "quorum")]
pub(crate) use membership::Membership;
#[cfg(feature = "quorum")]
pub(crate) use quorum::{Quorum, QuorumOutput};
#[cfg(feature = "quorum")]
pub(crate) use raft_message::{
    EntryKind, HardState, Persist, RaftEntry, RaftMessage, RaftSnapshot, RaftVerb, Restored,
};
#[cfg(feature = "quorum")]
pub(crate) use timing::QuorumConfig;
