//! One life's end of the simulated network.

use super::SimNetwork;
use crate::error::{Error, ErrorCode, Result};
use crate::sim::SimDisk;
use crate::transport::{Frame, Inbox, PeerStats, Transport, CLIENT_ID_MIN, FRAME_BYTES_MAX, FRAME_PARTS_MAX};
use crate::types::NodeId;
use parking_lot::Mutex;
use std::fmt;

/// Belongs to one life of a node: once that has ended it takes nothing and delivers nothing.
pub struct SimTransport {
    network: SimNetwork,
    node: NodeId,
    disk: SimDisk,
    /// Of the port, since the start.
    life: Mutex<Option<u64>>,
}

impl SimTransport {
    pub(super) fn new(network: SimNetwork, node: NodeId, disk: SimDisk) -> SimTransport {
        SimTransport { network, node, disk, life: Mutex::new(None) }
    }

    /// Whether the process still lives that this belongs to. A process that died in a call of its disk does not send either, although
    /// its code in the simulation goes on.
    fn check_alive(&self) -> Result<()> {
        let life = *self.life.lock();
        let state = self.network.0.lock();
        let is_mine = |port: &super::Port| port.inbox.is_some() && Some(port.life) == life;
        if self.disk.is_alive() && state.ports.get(&self.node).is_some_and(is_mine) {
            return Ok(());
        }
        Err(Error::new(ErrorCode::DESTROY, "the transport is stopped"))
    }
}

impl Transport for SimTransport {
    fn start(&self, me: NodeId, inbox: Inbox) -> Result<()> {
        let mut life = self.life.lock();
        if life.is_some() {
            return Err(Error::new(ErrorCode::STATE, "a transport is started once"));
        }
        if me != self.node || !self.disk.is_alive() {
            let text = format!("node {me} starts the transport of a life of node {}", self.node);
            return Err(Error::new(ErrorCode::TRANSPORT_HOST, text));
        }
        *life = Some(self.network.0.lock().begin_life(me, inbox));
        Ok(())
    }

    fn send(&self, to: NodeId, frame: Frame) -> Result<()> {
        self.check_alive()?;
        if frame.bytes() > FRAME_BYTES_MAX as usize || frame.parts().len() > FRAME_PARTS_MAX {
            let text = format!("a frame of {} bytes in {} parts", frame.bytes(), frame.parts().len());
            return Err(Error::new(ErrorCode::MESSAGE_TOO_LARGE, text));
        }
        self.network.0.lock().send(self.node, to, frame.into_joined())
    }

    fn set_peer(&self, peer: NodeId, address: Option<&str>) -> Result<()> {
        if peer == self.node || peer >= CLIENT_ID_MIN {
            return Err(Error::new(ErrorCode::INVALID_ARG, format!("{peer} is no other node's number")));
        }
        if self.disk.is_alive() {
            self.network.0.lock().set_peer(self.node, peer, address.is_some());
        }
        Ok(())
    }

    fn stop(&self) {
        if self.check_alive().is_ok() {
            self.network.kill(self.node, false);
        }
    }

    fn peer_stats(&self) -> Vec<PeerStats> {
        let state = self.network.0.lock();
        let mine = state.links.range((self.node, NodeId(0))..=(self.node, NodeId(u32::MAX)));
        let stats = mine.map(|((_, peer), link)| PeerStats {
            peer: *peer,
            is_up: link.is_up,
            frames_sent: link.account.frames_sent,
            bytes_sent: link.account.bytes_sent,
            frames_received: link.account.frames_received,
            bytes_received: link.account.bytes_received,
            queued_frames: link.frames as u64,
            queued_bytes: link.bytes as u64,
            connects: link.account.connects,
            round_trip: None,
            reason: None,
        });
        stats.collect()
    }
}

impl fmt::Debug for SimTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimTransport").field("node", &self.node).finish_non_exhaustive()
    }
}
