//! What a socket transport has to be told, and its limits.

use super::{TlsKeys, FRAME_BYTES_MAX};
pub use crate::types::{ClusterId, Secret};
use std::time::Duration;

/// Nodes at a time that come before they are known.
pub(super) const GUESTS_MAX: usize = 16;
/// Nodes that were removed by hand; beyond so many no guest is let in at all.
pub(super) const REMOVED_MAX: usize = 1_024;

/// Settings of a [`SocketTransport`](super::SocketTransport).
#[derive(Clone, Debug)]
pub struct SocketSettings {
    pub cluster: ClusterId,
    /// With one, both ends of a connection have to prove that they know it.
    pub secret: Option<Secret>,
    /// For `tls://`, which is refused without them.
    pub tls: Option<TlsKeys>,
    /// The longest payload that is sent or let in. A pair of nodes uses the smaller one of theirs.
    pub frame_bytes_max: u32,
    /// What may wait for one peer; beyond, `send` answers QUEUE_FULL. A frame that finds nothing waiting is always taken.
    pub queue_bytes_max: usize,
    pub queue_frames_max: usize,
    /// How long a connection may take to come about (Kafka's `socket.connection.setup.timeout.ms`).
    pub connect_timeout: Duration,
    /// How long the handshake may take after that.
    pub handshake_timeout: Duration,
    /// The pause after a lost connection or a failed attempt, doubled with each further failure (Kafka's `reconnect.backoff.ms`).
    pub reconnect_backoff: Duration,
    /// The longest pause (Kafka's `reconnect.backoff.max.ms`).
    pub reconnect_backoff_max: Duration,
    /// Where the jitter of the pauses comes from.
    pub seed: u64,
    /// Accepted connections that have not finished their handshake; further ones are closed at once.
    pub handshakes_max: usize,
    /// Clients at a time; further ones are refused.
    pub clients_max: usize,
    /// Nodes at a time that nobody has made known here: they are let in when they name the cluster and know its secret, so that they can
    /// say who they are and where. Further ones are refused, and those that were removed.
    pub guests_max: usize,
}

impl Default for SocketSettings {
    fn default() -> SocketSettings {
        SocketSettings {
            cluster: ClusterId::default(),
            secret: None,
            tls: None,
            frame_bytes_max: FRAME_BYTES_MAX,
            queue_bytes_max: 2 * FRAME_BYTES_MAX as usize,
            queue_frames_max: 16 * 1024,
            connect_timeout: Duration::from_secs(4),
            handshake_timeout: Duration::from_secs(10),
            reconnect_backoff: Duration::from_millis(50),
            reconnect_backoff_max: Duration::from_secs(1),
            seed: 0,
            handshakes_max: 64,
            clients_max: 256,
            guests_max: GUESTS_MAX,
        }
    }
}
