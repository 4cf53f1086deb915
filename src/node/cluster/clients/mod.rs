//! What this node answers to clients: producers, consumers, operators' questions about offsets and metadata.
//!
//! ```text
//!   request --> Clients::handle_request: append, read, look --> done?  --> answer
//!                                                           `-> waits: a ticket in the Purgatory
//!   handle_partition_changed (high watermark, log end, log start, leader, offline) --> looks again --> answer
//!   tick (deadline) --------------------------------------------------------------------------------> answer
//! ```
//!
//! Every request that wants an answer gets exactly one, in bounded time: that of its own time limit. Nothing waits on the thread that delivers,
//! except for a group commit (`flush.messages=1`), which that thread runs. No lock is held while a partition, or whoever carries
//! the answer, is called.
//!
//! | room | what |
//! |---|---|
//! | `partition` | what is needed of a partition, and of all of them |
//! | `requests` | who answers what; the answers' way out |
//! | `purgatory` | requests that wait |
//! | `produce`, `fetch`, `delete_records` | what may wait: the attempt, another look, the end of its time |
//! | `list_offsets`, `metadata`, `describe_replicas` | what never waits |
#![cfg_attr(not(test), allow(unused_imports))] // some are for the tests alone

mod delete_records;
mod describe_replicas;
mod fetch;
mod list_offsets;
mod metadata;
mod partition;
mod produce;
mod purgatory;
mod requests;
#[cfg(all(test, feature = "quorum"))]
mod tests;

pub(crate) use metadata::describe;
pub(crate) use partition::{Admitted, ClientFetch, ClientFetched, ClientPartition, ClientPartitions, LeaderView};
pub(crate) use purgatory::WAITING_MAX;
pub(crate) use requests::{Answers, Clients};
