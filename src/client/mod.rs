//! A program's conversation with the nodes of a cluster: what was asked and not answered yet, where the leaders are, and the requests of
//! producers, consumers and operators with their answers.
//!
//! ```text
//!   produce, list_offsets, ask_controller ...      RemoteReader::read
//!            |                                          |
//!            +-----> ClusterView: who leads? <----------+<--- Metadata, hints
//!            |                                          |
//!            '-----> Calls: numbered, until answered ---'---> Transport
//! ```
//!
//! No thread and no blocking (but for `wait`): whoever owns a [`Client`] hands it what arrives and calls its `tick`, and is called back.
//! A callback is called exactly once, with no lock held, on whatever thread brings the answer. One lock at a time.
//!
//! | room | what |
//! |---|---|
//! | `calls`, `promise` | outstanding requests by their number: each is answered exactly once |
//! | `view` | nodes, controller, topics, leaders |
//! | `client`, `peers`, `refresh`, `later`, `latest` | the whole; who is to be connected; when to ask for the metadata and whom; what is to be tried again; who wants to know how it is now |
//! | `produce`, `offsets`, `replicas`, `admin`, `errand` | what is asked; `errand` tries again until a deadline |
//! | `fetch`, `aborted` | a partition elsewhere, for a reader |
//! | `wait` | for callers that may block |
#![cfg_attr(not(all(test, feature = "quorum")), allow(dead_code))]
#![allow(unused_imports)]

mod aborted;
mod admin;
mod calls;
#[allow(clippy::module_inception)]
mod client;
mod errand;
mod fetch;
mod later;
mod latest;
mod offsets;
mod peers;
mod produce;
mod promise;
mod refresh;
mod replicas;
#[cfg(all(test, feature = "quorum"))]
mod tests;
mod view;
mod wait;

pub(crate) use calls::{send_one_way, Calls, CALLS_MAX};
pub(crate) use client::{Client, ClientParts, ClientSettings, WakeBy, BOOTSTRAP_MAX};
pub(crate) use fetch::{OnFetched, ReaderSettings, RemoteEnds, RemoteReader, RemoteRecords};
pub(crate) use produce::ClientProduced;
pub(crate) use promise::Done;
pub(crate) use view::{ClusterView, Leading, OnChange, TopicView, ViewSubscription};
