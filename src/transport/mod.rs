//! Frames between nodes. What is in them is nobody's business here.
//!
//! ```text
//!   Transport::send(to, Frame)                                   Receive::deliver(from, Bytes)
//!          |                                                              ^
//!          |  channel: on the sender's thread (`trampoline`) -------------|
//!          |  socket:  nothing queued and the socket takes it now?        |
//!          |             yes: written on the sender's thread              |
//!          '---------->  no:  queued for the connection's writer --> its reader thread
//! ```
//!
//! The promise is the weakest that is honest: a frame may be lost, repeated or overtaken. Over one connection frames of one
//! sender thread keep their order or are lost; [`Receive::peer_state`] with `up` begins a new connection.
//!
//! A [`Transport`] fits C's transport vtable (`start`, `send` with parts, `set_peer`, `stop`, release = drop). As C's `int32_t` the
//! numbers of clients are negative.
//!
//! | room | what |
//! |---|---|
//! | `frame`, `frame_reader` | a message in parts; its bytes on a socket, and back |
//! | `inbox` | the door to the node, which can be closed |
//! | `channel`, `trampoline` | nodes of one process |
//! | `handshake` | who is there? version, cluster, number, secret |
//! | `address`, `line`, `bounded`, `outlet`, `connection` | one socket: dialled or accepted, written, read |
//! | `tls` | what may be between a socket and everybody else |
//! | `table`, `dial`, `accept`, `socket` | all sockets of a node: `tcp://`, `tls://`, `unix://` |

mod accept;
mod address;
mod bounded;
mod channel;
mod connection;
mod dial;
mod errors;
mod frame;
mod frame_reader;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzz;
mod handshake;
mod inbox;
mod line;
mod notices;
mod outlet;
mod settings;
mod socket;
mod table;
#[cfg(test)]
mod tests;
mod threads;
mod tls;
mod trampoline;

pub use channel::{ChannelHub, ChannelTransport};
pub use frame::{Frame, FRAME_BYTES_MAX, FRAME_PARTS_MAX};
pub use inbox::Inbox;
pub use settings::{ClusterId, Secret, SocketSettings};
pub use socket::SocketTransport;
pub use tls::TlsKeys;

use crate::error::Result;
use crate::types::NodeId;
use bytes::Bytes;
use std::time::Duration;

/// From here on numbers belong to clients: programs that host no data. A listener gives each client connection the next free one, so
/// that an answer is sent as to a node. It says nothing about the client's identity, and another listener gives it another one.
pub const CLIENT_ID_MIN: NodeId = NodeId(1 << 31);

/// From here on numbers belong to bootstrap addresses (Kafka's `bootstrap.servers`): a client that does not know yet who is at an
/// address makes it a peer under one of these, and talks under it with whichever node is there, as long as it likes.
pub const BOOTSTRAP_ID_MIN: NodeId = NodeId(3 << 30);

/// Carries frames. All methods may be called from any thread, also from inside of [`Receive`]; call them with no lock held.
pub trait Transport: Send + Sync + 'static {
    /// Begins to carry frames between `me` and its peers; what comes in goes to `inbox`. A number from [`CLIENT_ID_MIN`] on says
    /// that this is a client, whose real number is the listener's choice.
    ///
    /// # Errors
    /// STATE when started before; TRANSPORT_HOST when a thread cannot be started.
    fn start(&self, me: NodeId, inbox: Inbox) -> Result<()>;

    /// Hands a frame to the network. Never blocks. The frame may be lost, repeated or overtaken; on an error it was not taken,
    /// or its connection broke.
    ///
    /// # Errors
    /// QUEUE_FULL when too much waits for this peer: try again later. NETWORK_EXCEPTION while there is no connection.
    /// BROKER_NOT_AVAILABLE when no such peer is known. MESSAGE_TOO_LARGE. DESTROY after [`stop`](Transport::stop).
    fn send(&self, to: NodeId, frame: Frame) -> Result<()>;

    /// Makes a peer known, under an address such as `tcp://host:9301`, `tls://host:9301`, `unix:///run/log.sock`, `inproc://name`, or moves it there;
    /// `None` removes it. Only known nodes are let in.
    ///
    /// # Errors
    /// INVALID_ARG for an address that makes no sense here, for one's own number or a client's; for a bootstrap number
    /// ([`BOOTSTRAP_ID_MIN`]) when this is no client, or when this transport has to know whom it dials.
    fn set_peer(&self, peer: NodeId, address: Option<&str>) -> Result<()>;

    /// Ends everything, in bounded time whatever peers and network do, provided that the receiver's calls come back. After it returned nothing is delivered any more, except by the call of
    /// [`Receive`] from inside of which it was itself called.
    fn stop(&self);

    /// What went to and came from each peer and client, in the order of their numbers.
    fn peer_stats(&self) -> Vec<PeerStats>;

    /// The next sentence for the host's log: who was refused, what broke and why. Bounded; the oldest are forgotten first.
    fn poll_notice(&self) -> Option<String> {
        None
    }
}

/// Where frames arrive. Called on the transport's thread or the sender's, several at a time; may call [`Transport::send`]. Whoever
/// takes long here holds up the peer that the frame came from.
pub trait Receive: Send + Sync {
    /// A frame, in one piece.
    fn deliver(&self, from: NodeId, frame: Bytes);
    /// A frame as it was sent, from a sender in this process. Unless somebody knows better it is [delivered](Receive::deliver) in one piece.
    fn deliver_parts(&self, from: NodeId, frame: Frame) {
        self.deliver(from, frame.into_joined());
    }
    /// A connection with this peer begins (`up`) or has ended. Over sockets ups and downs of one peer alternate and its frames come
    /// between them; over a channel a frame that another thread was carrying may come late.
    fn peer_state(&self, peer: NodeId, up: bool);
}

/// The account of one peer or client, over all its connections.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PeerStats {
    pub peer: NodeId,
    pub is_up: bool,
    /// Frames and their payload bytes that [`Transport::send`] took.
    pub frames_sent: u64,
    pub bytes_sent: u64,
    /// Frames and their payload bytes that were delivered.
    pub frames_received: u64,
    pub bytes_received: u64,
    /// What waits for the peer now.
    pub queued_frames: u64,
    pub queued_bytes: u64,
    /// Connections that were made.
    pub connects: u64,
    /// How long the last handshake's question and answer took; `None` before one and for a channel.
    pub round_trip: Option<Duration>,
    /// Why the last connection, or the last attempt at one, ended.
    pub reason: Option<String>,
}

impl PeerStats {
    /// An empty account.
    fn of(peer: NodeId) -> PeerStats {
        PeerStats {
            peer,
            is_up: false,
            frames_sent: 0,
            bytes_sent: 0,
            frames_received: 0,
            bytes_received: 0,
            queued_frames: 0,
            queued_bytes: 0,
            connects: 0,
            round_trip: None,
            reason: None,
        }
    }
}
