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
//! | `sessions`, `session`, `session_state`, `round`, `watches` | as leader: fetches that wait for news |
//! | `membership`, `isr_proposals`, `controller_line` | what this node has to say to the controller |
//! | `clients` | as leader: what producers and consumers are answered |
//!
//! No thread and no clock of its own. Frames and time come in on whatever thread has them; no lock is held while a [`Replica`] or the
//! network is called. Whoever finds a fetcher or a session at work leaves a note and goes on: the worker looks once more before
//! it stops.
#![cfg_attr(not(test), allow(unused_imports))] // some are for the tests alone

mod clients;
mod controller_line;
mod fetch_plan;
mod fetcher;
mod fetchers;
mod isr_proposals;
mod membership;
mod replica;
mod round;
mod session;
mod session_state;
mod sessions;
#[cfg(test)]
mod tests;
mod throttle;
mod watches;

pub(crate) use clients::{
    describe, Admitted, Answers, ClientFetch, ClientFetched, ClientPartition, ClientPartitions, Clients, LeaderView,
};
pub(crate) use controller_line::ControllerCall;
pub(crate) use fetchers::{FetchSender, FetchSettings, FetchTicket, Fetchers};
pub(crate) use isr_proposals::IsrProposals;
pub(crate) use membership::{MemberEvent, MemberStanding, NodeMembership, NodeMembershipSettings};
pub(crate) use replica::{Known, Replica, Serving};
pub(crate) use sessions::{FetchReplier, FetchSessions, FETCH_SESSIONS_MAX};
pub(crate) use watches::Changed;
