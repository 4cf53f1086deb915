//! Who is known, who is connected, and what is under way: the memory of a socket transport, behind one lock.

use super::address::Address;
use super::connection::{Account, Connection, Latch};
use super::handshake::{Agreed, Hello, Me, Refusal, Role};
use super::line::Line;
use super::settings::REMOVED_MAX;
use super::{Inbox, PeerStats, SocketSettings, BOOTSTRAP_ID_MIN, CLIENT_ID_MIN};
use crate::types::NodeId;
use socket2::Socket;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::sync::Arc;
use std::time::Duration;

#[derive(Default)]
pub(super) struct Table {
    /// From start on.
    pub running: Option<Running>,
    pub is_stopping: bool,
    pub peers: BTreeMap<NodeId, Peer>,
    pub clients: BTreeMap<NodeId, Peer>,
    /// Were peers, and are not to come back as guests.
    removed: BTreeSet<NodeId>,
    pub listeners: Vec<Listener>,
    /// Of the last connection with each node that there was, also with those that are no peers any more.
    gone: BTreeMap<NodeId, Arc<Latch>>,
    /// Every socket that a thread works with, so that it can be cut.
    lines: BTreeMap<u64, Arc<Line>>,
    lines_ever: u64,
    /// Accepted and not yet through with their handshake.
    pub handshakes: usize,
    generation_last: u64,
    clients_ever: u32,
}

#[derive(Clone)]
pub(super) struct Running {
    pub me: Me,
    pub inbox: Inbox,
}

#[derive(Clone)]
pub(super) struct Listener {
    pub socket: Arc<Socket>,
    pub address: Address,
}

/// A node that is known, or a client that is connected.
#[derive(Default)]
pub(super) struct Peer {
    /// `None` for clients and for guests, nodes that came before they were made known: nobody dials them.
    pub address: Option<Address>,
    /// Another one after each move, so that a dialler of the old address ends.
    pub address_version: u64,
    pub connection: Option<Arc<Connection>>,
    /// Handshakes that this peer has begun, in which it has proven itself, and that are not over.
    greetings: usize,
    /// Handshakes that were given a generation and are not over.
    choices: usize,
    account: Arc<Account>,
    pub connects: u64,
    round_trip: Option<Duration>,
    pub reason: Option<String>,
}

/// A connection that has become the peer's.
pub(super) struct Adopted {
    pub connection: Arc<Connection>,
    /// To be closed: there is one connection for a pair.
    pub replaced: Option<Arc<Connection>>,
    /// To be waited for before anything is told about the new one.
    pub before: Option<Arc<Latch>>,
}

impl Table {
    /// Remembers a socket so that [`stop`](Table::begin_stop) can cut it; `None` when that has happened.
    pub fn add_line(&mut self, line: &Arc<Line>) -> Option<u64> {
        if self.is_stopping {
            return None;
        }
        self.lines_ever += 1;
        self.lines.insert(self.lines_ever, Arc::clone(line));
        Some(self.lines_ever)
    }

    pub fn remove_line(&mut self, key: u64) {
        self.lines.remove(&key);
    }

    /// Nothing begins any more. What there is comes out, to be closed without the lock.
    pub fn begin_stop(&mut self) -> (Vec<Listener>, Vec<Arc<Line>>, Vec<Arc<Connection>>) {
        self.is_stopping = true;
        let peers = self.peers.values_mut().chain(self.clients.values_mut());
        let connections = peers.filter_map(|peer| peer.connection.take()).collect();
        let lines = std::mem::take(&mut self.lines).into_values().collect();
        (std::mem::take(&mut self.listeners), lines, connections)
    }

    #[cfg(test)]
    pub fn lines_count(&self) -> usize {
        self.lines.len()
    }

    /// A generation for one more connection with `peer`; `None` when there is one or is about to be, and nobody insists.
    pub fn choose(&mut self, peer: NodeId, insists: bool) -> Option<u64> {
        if let Some(peer) = self.peers.get_mut(&peer) {
            if !insists && (peer.connection.is_some() || peer.choices > 0) {
                return None;
            }
            peer.choices += 1;
        }
        self.generation_last += 1;
        Some(self.generation_last)
    }

    /// A handshake with `peer` is over and, if it went well, its connection adopted.
    pub fn end_handshake(&mut self, peer: NodeId, was_greeting: bool, was_chosen: bool) {
        if let Some(peer) = self.peers.get_mut(&peer) {
            // A peer that was removed and is back does not know of handshakes from before.
            peer.greetings = peer.greetings.saturating_sub(usize::from(was_greeting));
            peer.choices = peer.choices.saturating_sub(usize::from(was_chosen));
        }
    }

    /// `peer` has dialled and proven itself: nobody needs to dial it meanwhile. [`end_handshake`](Table::end_handshake) has to follow.
    pub fn begin_greeting(&mut self, peer: NodeId) {
        if let Some(peer) = self.peers.get_mut(&peer) {
            peer.greetings += 1;
        }
    }

    /// Under which number a dialler may come in.
    pub fn number_for(&mut self, hello: &Hello, settings: &SocketSettings) -> Result<NodeId, Refusal> {
        match hello.role {
            Role::Node if self.peers.contains_key(&hello.number) || self.has_room_for(hello.number, settings) => {
                Ok(hello.number)
            }
            Role::Node => Err(Refusal::UnknownNode),
            Role::Client if self.clients.len() >= settings.clients_max => Err(Refusal::TooManyClients),
            Role::Client => {
                let number = CLIENT_ID_MIN.0 + self.clients_ever % (BOOTSTRAP_ID_MIN.0 - CLIENT_ID_MIN.0);
                self.clients_ever = self.clients_ever.wrapping_add(1);
                Ok(NodeId(number))
            }
        }
    }

    /// Whether a node that nobody has made known may come in.
    fn has_room_for(&self, guest: NodeId, settings: &SocketSettings) -> bool {
        let guests = self.peers.values().filter(|peer| peer.address.is_none()).count();
        let is_welcome = guest < CLIENT_ID_MIN && !self.removed.contains(&guest) && self.removed.len() < REMOVED_MAX;
        is_welcome && guests < settings.guests_max
    }

    /// A node has an address from now on. Answers the connection that is to be closed: one with where it was before, or with a guest whose
    /// certificate is another host's.
    pub fn set_address(&mut self, peer: NodeId, address: Address) -> Option<Arc<Connection>> {
        self.removed.remove(&peer);
        let known = self.peers.entry(peer).or_default();
        known.address_version += 1;
        let is_right = known.connection.as_ref().is_some_and(|held| held.line.may_be_at(&address));
        let was_guest = known.address.replace(address).is_none();
        if was_guest && is_right {
            return None;
        }
        known.connection.take()
    }

    /// A node is forgotten, and not let in again before it is made known.
    pub fn remove_peer(&mut self, peer: NodeId) -> Option<Arc<Connection>> {
        let known = self.peers.remove(&peer)?;
        if self.removed.len() < REMOVED_MAX {
            self.removed.insert(peer);
        }
        known.connection
    }

    pub fn peer(&self, number: NodeId) -> Option<&Peer> {
        self.peers.get(&number).or_else(|| self.clients.get(&number))
    }

    fn peer_mut(&mut self, number: NodeId) -> Option<&mut Peer> {
        self.peers.get_mut(&number).or_else(|| self.clients.get_mut(&number))
    }

    /// Makes a finished handshake the peer's connection, unless a later one is that already, or the peer was removed meanwhile.
    pub fn adopt(
        &mut self,
        agreed: Agreed,
        line: &Arc<Line>,
        round_trip: Option<Duration>,
        settings: &SocketSettings,
        accepted: bool,
    ) -> Option<Adopted> {
        if self.is_stopping {
            return None;
        }
        if accepted && agreed.role == Role::Node && !self.peers.contains_key(&agreed.peer) {
            // Others may have come since this one was let in, or it was removed.
            if !self.has_room_for(agreed.peer, settings) {
                return None;
            }
            self.peers.insert(agreed.peer, Peer::default());
        }
        if agreed.role == Role::Client {
            // Others may have finished since this one was let in.
            if self.clients.len() >= settings.clients_max {
                return None;
            }
            self.clients.entry(agreed.peer).or_default();
        }
        let peer = self.peer_mut(agreed.peer)?;
        // The address may have become known since the handshake.
        if accepted && peer.address.as_ref().is_some_and(|address| !line.may_be_at(address)) {
            return None;
        }
        let is_later = |held: &Agreed| {
            held.chooser_incarnation == agreed.chooser_incarnation && held.generation >= agreed.generation
        };
        if peer.connection.as_ref().is_some_and(|held| is_later(&held.agreed)) {
            return None;
        }
        let connection = Connection::new(agreed, Arc::clone(line), settings, Arc::clone(&peer.account));
        let connection = Arc::new(connection);
        peer.connects += 1;
        peer.round_trip = round_trip;
        let replaced = peer.connection.replace(Arc::clone(&connection));
        // A client's number is nobody's before it.
        let is_node = agreed.role == Role::Node;
        let before = is_node.then(|| self.gone.insert(agreed.peer, Arc::clone(&connection.gone))).flatten();
        Some(Adopted { connection, replaced, before })
    }

    /// A connection has ended: if it was still the peer's, there is none now. A client is forgotten.
    pub fn remove(&mut self, connection: &Arc<Connection>) {
        let number = connection.agreed.peer;
        let Some(peer) = self.peer_mut(number) else { return };
        peer.reason = connection.reason();
        if peer.connection.as_ref().is_some_and(|held| Arc::ptr_eq(held, connection)) {
            peer.connection = None;
        }
        self.clients.remove(&number);
        if self.peers.get(&number).is_some_and(|peer| peer.address.is_none() && peer.connection.is_none()) {
            self.peers.remove(&number);
        }
    }

    /// Everybody has heard of the end of a connection: of a node that is no peer any more nothing is kept.
    pub fn forget_end(&mut self, connection: &Arc<Connection>) {
        let number = connection.agreed.peer;
        let is_last = self.gone.get(&number).is_some_and(|gone| Arc::ptr_eq(gone, &connection.gone));
        if is_last && !self.peers.contains_key(&number) {
            self.gone.remove(&number);
        }
    }

    pub fn stats(&self) -> Vec<PeerStats> {
        self.peers.iter().chain(&self.clients).map(|(number, peer)| peer.stats(*number)).collect()
    }
}

impl Peer {
    /// Whether there is a connection, or the peer is about to make one.
    pub fn is_served(&self) -> bool {
        self.connection.is_some() || self.greetings > 0
    }

    fn stats(&self, number: NodeId) -> PeerStats {
        let backlog = self.connection.as_ref().map(|connection| connection.outlet.backlog());
        PeerStats {
            peer: number,
            is_up: self.connection.is_some(),
            frames_sent: self.account.frames_sent.load(Ordering::Relaxed),
            bytes_sent: self.account.bytes_sent.load(Ordering::Relaxed),
            frames_received: self.account.frames_received.load(Ordering::Relaxed),
            bytes_received: self.account.bytes_received.load(Ordering::Relaxed),
            queued_frames: backlog.map_or(0, |backlog| backlog.frames as u64),
            queued_bytes: backlog.map_or(0, |backlog| backlog.bytes as u64),
            connects: self.connects,
            round_trip: self.round_trip,
            reason: self.reason.clone(),
        }
    }
}
