//! The node as a member of a cluster: it follows, it leads, it belongs.
//!
//! ```text
//!        as follower                                              as leader
//!   Fetchers: per leader a few Fetchers             FetchSessions: per follower's fetcher a Session
//!     FetchPlan: who is asked next        request     what stands, what is dirty, which fetch waits
//!     Throttle: who is far behind       ----------->        |
//!        |                              <-----------        |  told by appenders and other followers: partition_changed
//!        v                                 answer           v
//!     Replica::poll_fetch, handle_fetch_response         Replica::serve
//! ```
//!
//! | room | what |
//! |---|---|
//! | `replica` | a partition, as fetching sees it |
//! | `fetchers`, `fetcher`, `fetch_plan` | as follower: whom to ask for what, and when |
//! | `throttle` | how fast those may be that are far behind |
//! | `sessions`, `session`, `session_state`, `watches` | as leader: fetches that wait for news |
//!
//! No thread and no clock of its own. Frames and time come in on whatever thread has them; no lock is held while a [`Replica`] or the
//! network is called. Whoever finds a fetcher or a session at work leaves a note and goes on: the worker looks once more before
//! it stops.
#![cfg_attr(not(test), allow(dead_code))]
#![allow(unused_imports)]

mod fetch_plan;
mod fetcher;
mod fetchers;
mod replica;
#[cfg(test)]
mod tests;
mod throttle;

pub(crate) use fetchers::{FetchSender, FetchSettings, FetchTicket, Fetchers};
pub(crate) use replica::{Known, Replica, Serving};
pub(crate) use throttle::Throttle;
