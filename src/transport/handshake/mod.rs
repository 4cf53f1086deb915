//! Who is there? Five messages before the first frame.
//!
//! ```text
//!   dialler                                   acceptor
//!      | ---- Hello: versions, cluster, ... ---> |   judges: a stranger gets Refused and a reason
//!      | <--- Hello ---------------------------- |
//!      | ---- Proof: I know the secret --------> |   compares
//!      | <--- Proof: so do I; your number ------ |
//!      | ---- Ready ---------------------------> |   frames may go both ways
//! ```
//!
//! A proof is HMAC-SHA256 under the cluster's secret over a word that tells the two sides apart and both hellos as they travelled, so over
//! versions, roles, cluster, numbers and two random nonces: one that was overheard fits nowhere else. The dialler proves first, and nobody
//! sends a frame before both proofs were compared.
//!
//! **Which of two connections survives.** A pair of nodes may dial each other at the same moment. The one with the smaller number
//! chooses: it gives each connection that it wants a higher generation number, and on both sides the higher generation replaces the lower.
//! It wants none while it has one, or is about to, and says so (`NotNeeded`). A dialler that hears this, and has no connection all the
//! same, insists the next time: then the chooser's is dead without its knowing, and is replaced.

mod message;
mod proof;
mod talk;

pub(super) use message::{Hello, Refusal, Role, HANDSHAKE_BYTES_MAX};
pub(super) use talk::{accept, dial, Agreed, End, Me, Wanted};

#[cfg(any(test, feature = "fuzzing"))]
pub(super) use message::{Message, Proof};
