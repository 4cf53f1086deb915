//! A transport that can fall silent, as that of a process that is dead or behind a cut cable: nothing goes out, nothing comes in, nobody
//! is told.

use bytes::Bytes;
use kafkalog::{Frame, Inbox, NodeId, PeerStats, Receive, Result, Transport};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

pub struct Veil {
    inner: Arc<dyn Transport>,
    is_silent: Arc<AtomicBool>,
}

struct Ear {
    inbox: Inbox,
    is_silent: Arc<AtomicBool>,
}

impl Veil {
    pub fn new(inner: Arc<dyn Transport>) -> Veil {
        Veil { inner, is_silent: Arc::default() }
    }

    pub fn switch(&self) -> Arc<AtomicBool> {
        self.is_silent.clone()
    }
}

impl Transport for Veil {
    fn start(&self, me: NodeId, inbox: Inbox) -> Result<()> {
        self.inner.start(me, Inbox::new(Arc::new(Ear { inbox, is_silent: self.is_silent.clone() })))
    }

    fn send(&self, to: NodeId, frame: Frame) -> Result<()> {
        if self.is_silent.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.inner.send(to, frame)
    }

    fn set_peer(&self, peer: NodeId, address: Option<&str>) -> Result<()> {
        self.inner.set_peer(peer, address)
    }

    fn stop(&self) {
        self.inner.stop();
    }

    fn peer_stats(&self) -> Vec<PeerStats> {
        self.inner.peer_stats()
    }

    fn poll_notice(&self) -> Option<String> {
        self.inner.poll_notice()
    }
}

impl Receive for Ear {
    fn deliver(&self, from: NodeId, frame: Bytes) {
        if !self.is_silent.load(Ordering::Relaxed) {
            self.inbox.deliver(from, frame);
        }
    }

    fn deliver_parts(&self, from: NodeId, frame: Frame) {
        if !self.is_silent.load(Ordering::Relaxed) {
            self.inbox.deliver_parts(from, frame);
        }
    }

    fn peer_state(&self, peer: NodeId, up: bool) {
        self.inbox.peer_state(peer, up);
    }
}
