//! A transport that can be pulled out of the wall: fifty lines around another one.

use kafkalog::{ChannelTransport, Frame, Inbox, NodeId, PeerStats, Receive, Result, Transport};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

/// Carries frames until it is pulled.
#[derive(Default)]
pub struct Plug {
    inner: Option<ChannelTransport>,
    is_out: Arc<AtomicBool>,
}

impl Plug {
    pub fn new(inner: ChannelTransport) -> Plug {
        Plug { inner: Some(inner), is_out: Arc::default() }
    }

    /// From now on nothing is heard of this node, and it hears nothing.
    pub fn pull(&self) {
        self.is_out.store(true, Ordering::SeqCst);
    }

    fn inner(&self) -> &ChannelTransport {
        self.inner.as_ref().expect("a plug without a transport is never given to anybody")
    }
}

/// What comes in, as long as the plug is in.
struct Socket {
    inbox: Inbox,
    is_out: Arc<AtomicBool>,
}

impl Receive for Socket {
    fn deliver(&self, from: NodeId, frame: bytes::Bytes) {
        if !self.is_out.load(Ordering::SeqCst) {
            self.inbox.deliver(from, frame);
        }
    }

    fn peer_state(&self, peer: NodeId, up: bool) {
        if !self.is_out.load(Ordering::SeqCst) {
            self.inbox.peer_state(peer, up);
        }
    }
}

impl Transport for Plug {
    fn start(&self, me: NodeId, inbox: Inbox) -> Result<()> {
        let socket = Socket { inbox, is_out: Arc::clone(&self.is_out) };
        self.inner().start(me, Inbox::new(Arc::new(socket)))
    }

    fn send(&self, to: NodeId, frame: Frame) -> Result<()> {
        if self.is_out.load(Ordering::SeqCst) {
            return Ok(()); // lost, as on any network
        }
        self.inner().send(to, frame)
    }

    fn set_peer(&self, peer: NodeId, address: Option<&str>) -> Result<()> {
        self.inner().set_peer(peer, address)
    }

    fn stop(&self) {
        self.inner().stop();
    }

    fn peer_stats(&self) -> Vec<PeerStats> {
        self.inner().peer_stats()
    }
}
