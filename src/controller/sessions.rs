//! Who was heard of lately. Soft state of the active controller, gone with it (Kafka's `BrokerHeartbeatManager`).

use super::image::Image;
use super::metadata::NodeStanding;
use crate::time::Instant;
use crate::types::NodeId;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A connection that ends is a node that has died, or a network that hiccups: whoever lives connects again and is heard of within this
/// part of its session, and the session of who is not ends with it. To be wrong costs a change of leaders, never a record.
const WITHOUT_LINK_PART: u32 = 3;
/// A controller that is deaf for so many sessions, because its disk hangs for good, goes by the clock again: somebody may be dead.
const DEAF_SESSIONS_MAX: u32 = 4;

#[derive(Clone, Copy, Debug)]
struct Session {
    node_epoch: u64,
    expires_at: Instant,
    metadata_offset: u64,
    /// The metadata offset at which it asked to leave; everybody else has to get there before it goes.
    leaves_at: Option<u64>,
    /// What of the session does not count, since the last heartbeat.
    deaf: Duration,
}

/// The sessions of all nodes that are not fenced.
#[derive(Debug)]
pub(crate) struct Sessions {
    timeout: Duration,
    sessions: BTreeMap<NodeId, Session>,
}

impl Sessions {
    /// A new active controller: every node that is not fenced has a whole session from `now` on, those without a connection a short one.
    pub fn fresh(image: &Image, timeout: Duration, unlinked: &BTreeSet<NodeId>, now: Instant) -> Sessions {
        let mut sessions = Sessions { timeout, sessions: BTreeMap::new() };
        for node in image.nodes().filter(|node| node.standing != NodeStanding::Fenced) {
            sessions.handle_heartbeat(node.registration.node, node.registration.epoch, 0, now);
        }
        unlinked.iter().for_each(|node| sessions.handle_link_lost(*node, now));
        sessions
    }

    /// The connection with a node has ended.
    pub fn handle_link_lost(&mut self, node: NodeId, now: Instant) {
        if let Some(session) = self.sessions.get_mut(&node) {
            session.expires_at = session.expires_at.min(now + self.timeout / WITHOUT_LINK_PART);
        }
    }

    /// A sign of life of a registered node.
    pub fn handle_heartbeat(&mut self, node: NodeId, node_epoch: u64, metadata_offset: u64, now: Instant) {
        let expires_at = now + self.timeout;
        let leaves_at =
            self.sessions.get(&node).filter(|known| known.node_epoch == node_epoch).and_then(|s| s.leaves_at);
        self.sessions
            .insert(node, Session { node_epoch, expires_at, metadata_offset, leaves_at, deaf: Duration::ZERO });
    }

    /// For so long nobody could have been heard of here: it counts against no one.
    pub fn handle_deaf(&mut self, time: Duration) {
        let longest = self.timeout * DEAF_SESSIONS_MAX;
        for session in self.sessions.values_mut() {
            let time = time.min(longest.saturating_sub(session.deaf));
            session.deaf += time;
            session.expires_at = session.expires_at + time;
        }
    }

    /// The node leaves as soon as everybody knows what stands at `offset`.
    pub fn handle_leaving(&mut self, node: NodeId, offset: u64) {
        if let Some(session) = self.sessions.get_mut(&node) {
            session.leaves_at.get_or_insert(offset);
        }
    }

    /// Fenced or removed: nobody waits for it.
    pub fn forget(&mut self, node: NodeId) {
        self.sessions.remove(&node);
    }

    /// Whether the node was heard of within its session.
    pub fn is_alive(&self, node: NodeId, node_epoch: u64, now: Instant) -> bool {
        self.sessions.get(&node).is_some_and(|session| session.node_epoch == node_epoch && now < session.expires_at)
    }

    /// Nodes whose session has ended, by number.
    pub fn expired(&self, now: Instant) -> Vec<NodeId> {
        self.sessions.iter().filter(|(_, session)| now >= session.expires_at).map(|(node, _)| *node).collect()
    }

    /// When the next session ends.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.sessions.values().map(|session| session.expires_at).min()
    }

    /// Whether every other active node knows that this one leaves.
    pub fn may_leave(&self, image: &Image, node: NodeId) -> bool {
        let Some(leaves_at) = self.sessions.get(&node).and_then(|session| session.leaves_at) else { return false };
        let others = self.sessions.iter().filter(|(other, _)| **other != node && image.is_active(**other));
        others.map(|(_, session)| session.metadata_offset).all(|offset| offset >= leaves_at)
    }
}
