//! A transport of one's own making: remembers what was sent, refuses when told to.

use crate::error::{Error, Result};
use crate::transport::{Frame, Inbox, PeerStats, Transport};
use crate::types::NodeId;
use crate::wire::{decode, CorrelationId, Message, Request};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;

/// A request on its way.
#[derive(Clone, Debug)]
pub struct Sent {
    pub to: NodeId,
    pub correlation: Option<CorrelationId>,
    #[allow(dead_code)]
    pub request: Request,
}

#[derive(Default)]
pub struct FakeTransport {
    sent: Mutex<VecDeque<Sent>>,
    refusal: Mutex<Option<Error>>,
    pub peers: Mutex<Vec<(NodeId, Option<String>)>>,
}

impl FakeTransport {
    pub fn new() -> Arc<FakeTransport> {
        Arc::default()
    }

    /// From now on nothing is taken, for this reason; or everything again.
    pub fn refuse(&self, why: Option<Error>) {
        *self.refusal.lock() = why;
    }

    /// The oldest request that nobody has looked at.
    pub fn take_sent(&self) -> Option<Sent> {
        self.sent.lock().pop_front()
    }

    pub fn take_all(&self) -> Vec<Sent> {
        self.sent.lock().drain(..).collect()
    }
}

impl Transport for FakeTransport {
    fn start(&self, _me: NodeId, _inbox: Inbox) -> Result<()> {
        Ok(())
    }

    fn send(&self, to: NodeId, frame: Frame) -> Result<()> {
        if let Some(error) = self.refusal.lock().clone() {
            return Err(error);
        }
        let Message::Request { correlation, request } = decode(frame.into_joined())? else {
            panic!("a client sends requests");
        };
        self.sent.lock().push_back(Sent { to, correlation, request });
        Ok(())
    }

    fn set_peer(&self, peer: NodeId, address: Option<&str>) -> Result<()> {
        self.peers.lock().push((peer, address.map(str::to_owned)));
        Ok(())
    }

    fn stop(&self) {}

    fn peer_stats(&self) -> Vec<PeerStats> {
        Vec::new()
    }
}
