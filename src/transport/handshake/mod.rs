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
//! chooses: it gives every finished handshake the next generation number, and on both sides the higher generation replaces the lower.
//! So the newest connection wins, also over one whose death only the other side has noticed.

mod message;
mod proof;
mod talk;

pub(super) use message::{Hello, Refusal, Role, HANDSHAKE_BYTES_MAX};
pub(super) use talk::{accept, dial, Agreed, End, Me};

#[cfg(any(test, feature = "fuzzing"))]
pub(super) use message::{Message, Proof};
