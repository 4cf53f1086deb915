//! A program's conversation with the nodes of a cluster: what was asked and not answered yet, where the leaders are, and the requests of
//! producers, consumers and operators with their answers.
//!
//! No thread and no blocking: whoever owns a [`Calls`] hands it the answers that arrive and calls its `tick`, and is called back.
//!
//! | room | what |
//! |---|---|
//! | `calls` | outstanding requests by their number: each is answered exactly once |
#![cfg_attr(not(all(test, feature = "quorum")), allow(dead_code, unused_imports))]

mod calls;
#[cfg(all(test, feature = "quorum"))]
mod tests;

pub(crate) use calls::{send_one_way, Calls, CALLS_MAX};
