//! The metadata quorum of one node, carried out: its log on the disk, and the pure `controller` that lives on it.
//!
//! ```text
//!  messages, requests, ticks --> MetadataRunner --> Controller --> what to do --+--> MetadataLog   written and synced, first
//!                                                                              +--> messages and answers for other nodes
//!                                                                              +--> the image, for whoever subscribed
//! ```
//! The directory `__cluster_metadata-0` holds, beside the files of any of our logs (batches: `entries.rs`):
//!
//! ```text
//! <offset, 20 digits>-<epoch, 10 digits>.checkpoint   the image below that offset; Kafka's name, our content (`snapshots.rs`)
//! kafkalog-quorum-state                               term, vote and commit (`hard_state.rs`); Kafka's quorum-state is JSON
//! ```
//! An entry of raft with index n is the batch at offset n - 1, its term the batch's leader epoch; a snapshot at index n ends at offset n.
//!
//! With `controller.mode=static` there is no quorum and no such directory: the host's word is decided upon by the pure
//! `AppointedController` (`static_core.rs`) and lies in one file, `kafkalog-appointments` (`appointments.rs`).
//!
//! No thread and no clock of its own, as [`Node`](super::Node).
#![cfg_attr(not(test), allow(unused_imports))] // some are for the tests alone

mod appointments;
mod core;
mod entries;
mod envelope;
mod hard_state;
mod inbox;
mod log;
mod place;
mod reports;
mod runner;
mod snapshots;
mod static_core;
#[cfg(test)]
mod tests;

pub(crate) use appointments::has_appointments;
pub(crate) use inbox::Bringer;
pub(crate) use log::MetadataLog;
pub(crate) use place::MetadataPlace;
pub(crate) use reports::{MetadataPeers, MetadataSubscriber};
pub(crate) use runner::{MetadataRunner, MetadataSettings};
pub(crate) use static_core::{other_node, StaticSettings};
