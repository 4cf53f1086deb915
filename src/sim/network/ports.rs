//! Who is there, who is connected with whom, and how connections come and go.

use super::flight::{Flight, Parcel};
use super::weather::drawn;
use super::State;
use crate::time::Instant;
use crate::transport::Inbox;
use crate::types::NodeId;
use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Duration;

/// How long a connection takes to come about.
const CONNECT: Range<Duration> = Duration::from_micros(100)..Duration::from_millis(30);
/// How soon the others notice that a process died: its kernel says so.
const NOTICE_DEATH: Range<Duration> = Duration::from_micros(100)..Duration::from_millis(10);
/// And how soon they notice that a machine has no power.
const NOTICE_DARKNESS: Range<Duration> = Duration::from_millis(50)..Duration::from_millis(3_000);

/// One node's place in the network, from its first start on.
#[derive(Default)]
pub(super) struct Port {
    /// Counts starts.
    pub life: u64,
    /// There while it is started.
    pub inbox: Option<Inbox>,
    pub peers: BTreeSet<NodeId>,
}

/// What one end knows of a connection, and what it has sent that is still on its way.
#[derive(Default)]
pub(super) struct Link {
    /// The newest connection that this end has heard of.
    pub connection: u64,
    pub is_up: bool,
    /// The connection that there is, or is about to be; none while it is broken or somebody is dead.
    pub current: Option<u64>,
    pub frames: usize,
    pub bytes: usize,
    /// Frames that keep their order do not arrive before this.
    pub last_arrival: Instant,
    pub account: Account,
}

#[derive(Clone, Copy, Default)]
pub(super) struct Account {
    pub frames_sent: u64,
    pub bytes_sent: u64,
    pub frames_received: u64,
    pub bytes_received: u64,
    pub connects: u64,
}

impl Link {
    /// This end hears of a new connection, and before it that the old one is over.
    pub(super) fn begin(&mut self, connection: u64, told: &mut Vec<bool>) {
        if self.is_up {
            told.push(false);
        }
        told.push(true);
        self.is_up = true;
        self.connection = connection;
        self.account.connects += 1;
    }
}

impl State {
    pub(super) fn begin_life(&mut self, node: NodeId, inbox: Inbox) -> u64 {
        let port = self.ports.entry(node).or_default();
        port.life += 1;
        port.inbox = Some(inbox);
        let life = port.life;
        self.connect_who_can();
        life
    }

    /// Returns the door of the life that ended. What goes with it may call the network, so let it go with no lock held.
    pub(super) fn end_life(&mut self, node: NodeId, power_too: bool) -> Option<Inbox> {
        let inbox = self.ports.get_mut(&node)?.inbox.take()?;
        self.ports.get_mut(&node).expect("it was there").peers.clear();
        let notice = if power_too { NOTICE_DARKNESS } else { NOTICE_DEATH };
        let others: Vec<NodeId> = self.ports.keys().copied().filter(|other| *other != node).collect();
        for other in others {
            self.break_connection(node, other, notice.clone());
            let link = self.links.entry((node, other)).or_default();
            *link = Link { connection: link.connection, frames: link.frames, bytes: link.bytes, ..Link::default() };
        }
        Some(inbox)
    }

    /// A new connection for every two that know each other, reach each other and have none.
    pub(super) fn connect_who_can(&mut self) {
        let ids: Vec<NodeId> = self.ports.keys().copied().collect();
        for (index, one) in ids.iter().enumerate() {
            for other in &ids[index + 1..] {
                let knows = |a: &NodeId, b: &NodeId| {
                    let port = &self.ports[a];
                    port.inbox.is_some() && port.peers.contains(b) && !self.cuts.contains(&(*a, *b))
                };
                let has_none = self.links.get(&(*one, *other)).is_none_or(|link| link.current.is_none());
                if knows(one, other) && knows(other, one) && has_none {
                    self.connect(*one, *other);
                }
            }
        }
    }

    fn connect(&mut self, one: NodeId, other: NodeId) {
        self.connections += 1;
        let connection = self.connections;
        // Not before both have heard of the end of the last one.
        let settled = [(one, other), (other, one)].map(|ends| self.links.entry(ends).or_default().last_arrival);
        let after = settled[0].max(settled[1]).max(self.now);
        for (from, to) in [(one, other), (other, one)] {
            let delay = drawn(&CONNECT, &mut self.rng);
            self.links.get_mut(&(from, to)).expect("entered just now").current = Some(connection);
            let life = self.ports[&to].life;
            self.fly_at(after + delay, Flight { from, to, to_life: life, connection, parcel: Parcel::Up });
        }
    }

    /// The connection is over; each end hears of it after a time of its own.
    pub(super) fn break_connection(&mut self, one: NodeId, other: NodeId, notice: Range<Duration>) {
        let Some(connection) = self.links.get_mut(&(one, other)).and_then(|link| link.current.take()) else { return };
        if let Some(link) = self.links.get_mut(&(other, one)) {
            link.current = None;
        }
        for (from, to) in [(one, other), (other, one)] {
            let at = self.now + drawn(&notice, &mut self.rng);
            let life = self.ports[&to].life;
            self.fly_at(at, Flight { from, to, to_life: life, connection, parcel: Parcel::Down });
        }
    }

    /// Makes known, or forgets, a peer.
    pub(super) fn set_peer(&mut self, me: NodeId, peer: NodeId, is_known: bool) {
        let port = self.ports.entry(me).or_default();
        if is_known {
            port.peers.insert(peer);
            self.connect_who_can();
        } else if port.peers.remove(&peer) {
            self.break_connection(me, peer, NOTICE_DEATH);
        }
    }
}
