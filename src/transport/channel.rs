//! Nodes of one process: `inproc://name`. A frame is handed over on the sender's thread ([`trampoline`](super::trampoline)).
//!
//! Two members of a hub are connected while both are started and each is the other's peer, under the name and the number that
//! it has; or one of them has not heard of the other, which is its guest then. A client needs to be nobody's peer, and reaches whoever
//! has the name under a bootstrap number.

use super::settings::{GUESTS_MAX, REMOVED_MAX};
use super::trampoline::{bounce, Call};
use super::{errors, Frame, Inbox, PeerStats, Transport, BOOTSTRAP_ID_MIN, CLIENT_ID_MIN, FRAME_BYTES_MAX};
use crate::error::Result;
use crate::types::NodeId;
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

/// The scheme of a channel's addresses.
const SCHEME: &str = "inproc://";

/// What the members of one process share. Clones are the same hub.
#[derive(Clone, Default)]
pub struct ChannelHub(Arc<Mutex<Hub>>);

#[derive(Default)]
struct Hub {
    members: BTreeMap<Arc<str>, Member>,
    clients: u32,
}

struct Member {
    /// The node's number, or the client's; known from the start on.
    number: NodeId,
    /// There from start to stop.
    inbox: Option<Inbox>,
    was_started: bool,
    links: BTreeMap<NodeId, Link>,
    /// Were peers, and are not to come back as guests.
    removed: BTreeSet<NodeId>,
}

/// One direction of a connection, and the account of both.
struct Link {
    /// The other member.
    name: Arc<str>,
    /// Under which number the other one knows this end, while the link is up. A bootstrap link of a client has one of its own, so that the client
    /// may have a second link with the same node.
    me: NodeId,
    /// It came before it was made known here, and is forgotten when it goes.
    is_guest: bool,
    account: PeerStats,
}

/// One member's end of the hub. Leaves it when stopped or dropped.
pub struct ChannelTransport {
    hub: ChannelHub,
    name: Arc<str>,
}

impl ChannelHub {
    #[must_use]
    pub fn new() -> ChannelHub {
        ChannelHub::default()
    }

    /// A place in the hub under this name, which others reach as `inproc://name`.
    ///
    /// # Errors
    /// INVALID_ARG when the name is empty or taken.
    pub fn transport(&self, name: &str) -> Result<ChannelTransport> {
        let mut hub = self.0.lock();
        if name.is_empty() || hub.members.contains_key(name) {
            return Err(errors::invalid(format!("the name '{name}' is empty or taken in this hub")));
        }
        let member = Member {
            number: NodeId(0),
            inbox: None,
            was_started: false,
            links: BTreeMap::new(),
            removed: BTreeSet::new(),
        };
        let name: Arc<str> = name.into();
        hub.members.insert(Arc::clone(&name), member);
        Ok(ChannelTransport { hub: self.clone(), name })
    }
}

impl Transport for ChannelTransport {
    fn start(&self, me: NodeId, inbox: Inbox) -> Result<()> {
        let mut hub = self.hub.0.lock();
        let number = if me < CLIENT_ID_MIN { me } else { hub.next_client() };
        let member = hub.member_mut(&self.name).ok_or_else(errors::stopped)?;
        if member.was_started {
            return Err(errors::started_before());
        }
        member.was_started = true;
        member.number = number;
        member.inbox = Some(inbox);
        let told = hub.connect_who_can();
        drop(hub);
        tell(told);
        Ok(())
    }

    fn send(&self, to: NodeId, frame: Frame) -> Result<()> {
        frame.check(FRAME_BYTES_MAX)?;
        let frame = frame.into_joined();
        let call = {
            let mut hub = self.hub.0.lock();
            let member = hub.member_mut(&self.name).filter(|member| member.inbox.is_some());
            let member = member.ok_or_else(errors::stopped)?;
            let link = member.links.get_mut(&to).ok_or_else(|| errors::unknown_peer(to))?;
            let from = link.me;
            if !link.account.is_up {
                return Err(errors::not_connected(to, link.account.reason.as_deref()));
            }
            let bytes = frame.len() as u64;
            link.account.frames_sent += 1;
            link.account.bytes_sent += bytes;
            let name = Arc::clone(&link.name);
            let other = hub.members.get_mut(&name).expect("a link that is up leads to a member");
            let back = other.links.get_mut(&from).expect("links are up on both sides");
            back.account.frames_received += 1;
            back.account.bytes_received += bytes;
            let inbox = other.inbox.clone().expect("a link that is up leads to a started member");
            Call::Deliver { inbox, from, frame }
        };
        bounce(call)
    }

    fn set_peer(&self, peer: NodeId, address: Option<&str>) -> Result<()> {
        let mut hub = self.hub.0.lock();
        let member = hub.member(&self.name).ok_or_else(errors::stopped)?;
        if errors::is_no_peer(peer, member.was_started.then_some(member.number)) {
            return Err(errors::invalid(format!("{peer} is no other node's number")));
        }
        let name = match address {
            None => None,
            Some(address) => Some(
                address
                    .strip_prefix(SCHEME)
                    .ok_or_else(|| errors::invalid(format!("'{address}' is no address of a channel: {SCHEME}name")))?,
            ),
        };
        if member.links.get(&peer).map(|link| &*link.name) == name {
            let link = hub.members.get_mut(&self.name).and_then(|member| member.links.get_mut(&peer));
            link.into_iter().for_each(|link| link.is_guest = false);
            return Ok(());
        }
        let mut told = hub.disconnect(&self.name, peer, "the peer was removed or has moved");
        let member = hub.members.get_mut(&self.name).expect("it was there");
        member.links.remove(&peer);
        if let Some(name) = name {
            let link = Link { name: name.into(), me: member.number, is_guest: false, account: PeerStats::of(peer) };
            member.links.insert(peer, link);
            member.removed.remove(&peer);
        } else if member.removed.len() < REMOVED_MAX {
            member.removed.insert(peer);
        }
        told.extend(hub.connect_who_can());
        drop(hub);
        tell(told);
        Ok(())
    }

    fn stop(&self) {
        let (inbox, told) = {
            let mut hub = self.hub.0.lock();
            let Some(member) = hub.member(&self.name) else { return };
            let peers: Vec<NodeId> = member.links.keys().copied().collect();
            let told: Vec<Call> =
                peers.into_iter().flat_map(|peer| hub.disconnect(&self.name, peer, "the peer has stopped")).collect();
            (hub.members.get_mut(&self.name).and_then(|member| member.inbox.take()), told)
        };
        if let Some(inbox) = inbox {
            inbox.close();
        }
        tell(told);
        // Only now may a successor take the name, so that nobody hears of its coming before this one's going.
        self.hub.0.lock().members.remove(&self.name);
    }

    fn peer_stats(&self) -> Vec<PeerStats> {
        let hub = self.hub.0.lock();
        let links = hub.member(&self.name).into_iter().flat_map(|member| member.links.values());
        links.map(|link| link.account.clone()).collect()
    }
}

impl Drop for ChannelTransport {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Member {
    /// Whether the node that has this number and name is a peer, or may be a guest.
    fn lets_in(&self, number: NodeId, name: &Arc<str>) -> bool {
        match self.links.get(&number) {
            Some(back) => back.name == *name,
            None => {
                let guests = self.links.values().filter(|link| link.is_guest).count();
                let is_welcome = !self.removed.contains(&number) && self.removed.len() < REMOVED_MAX;
                // A client lets nobody in.
                self.number < CLIENT_ID_MIN && number != self.number && is_welcome && guests < GUESTS_MAX
            }
        }
    }
}

impl Hub {
    /// The member that has this very name, not a successor under the same one.
    fn member(&self, name: &Arc<str>) -> Option<&Member> {
        self.members.get_key_value(name).filter(|(key, _)| Arc::ptr_eq(key, name)).map(|(_, member)| member)
    }

    fn member_mut(&mut self, name: &Arc<str>) -> Option<&mut Member> {
        self.member(name)?;
        self.members.get_mut(name)
    }

    fn next_client(&mut self) -> NodeId {
        let number = CLIENT_ID_MIN.0 + self.clients % (BOOTSTRAP_ID_MIN.0 - CLIENT_ID_MIN.0);
        self.clients = self.clients.wrapping_add(1);
        NodeId(number)
    }

    /// Connects every pair that may be and is not.
    fn connect_who_can(&mut self) -> Vec<Call> {
        let mut ready = Vec::new();
        for (name, member) in &self.members {
            for (peer, link) in member.links.iter().filter(|(_, link)| member.inbox.is_some() && !link.account.is_up) {
                let Some(other) = self.members.get(&link.name) else { continue };
                let is_let_in = member.number >= CLIENT_ID_MIN || other.lets_in(member.number, name);
                let is_meant = other.number == *peer
                    || (*peer >= BOOTSTRAP_ID_MIN && member.number >= CLIENT_ID_MIN && other.number < CLIENT_ID_MIN);
                if other.inbox.is_some() && is_meant && is_let_in {
                    ready.push((Arc::clone(name), Arc::clone(&link.name), *peer));
                }
            }
        }
        // A pair of nodes is found from both ends; the second time it is up already.
        ready.into_iter().flat_map(|(one, other, peer)| self.connect(&one, &other, peer)).collect()
    }

    /// Both ends of the link that `name` has under `peer` go up.
    fn connect(&mut self, name: &str, other: &str, peer: NodeId) -> Vec<Call> {
        let me = if peer >= BOOTSTRAP_ID_MIN { self.next_client() } else { self.members[name].number };
        [self.up(name, other, peer, me), self.up(other, name, me, peer)].into_iter().flatten().collect()
    }

    fn up(&mut self, name: &str, other: &str, peer: NodeId, me: NodeId) -> Option<Call> {
        let member = self.members.get_mut(name)?;
        let is_guest = peer < CLIENT_ID_MIN;
        let link = Link { name: other.into(), me, is_guest, account: PeerStats::of(peer) };
        let link = member.links.entry(peer).or_insert(link);
        if link.account.is_up {
            return None;
        }
        link.me = me;
        link.account.is_up = true;
        link.account.connects += 1;
        Some(Call::PeerState { inbox: member.inbox.clone()?, peer, up: true })
    }

    /// Both ends of a link go down, if it is up.
    fn disconnect(&mut self, name: &str, peer: NodeId, reason: &str) -> Vec<Call> {
        let member = &self.members[name];
        let link = member.links.get(&peer).filter(|link| link.account.is_up);
        let Some((other, number)) = link.map(|link| (Arc::clone(&link.name), link.me)) else { return Vec::new() };
        [self.down(name, peer, reason), self.down(&other, number, reason)].into_iter().flatten().collect()
    }

    fn down(&mut self, name: &str, peer: NodeId, reason: &str) -> Option<Call> {
        let member = self.members.get_mut(name)?;
        let link = member.links.get_mut(&peer)?;
        link.account.is_up = false;
        link.account.reason = Some(reason.to_owned());
        if link.is_guest || (CLIENT_ID_MIN..BOOTSTRAP_ID_MIN).contains(&peer) {
            member.links.remove(&peer);
        }
        Some(Call::PeerState { inbox: member.inbox.clone()?, peer, up: false })
    }
}

fn tell(calls: Vec<Call>) {
    for call in calls {
        bounce(call).expect("states are always taken");
    }
}

impl fmt::Debug for ChannelHub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChannelHub").finish_non_exhaustive()
    }
}

impl fmt::Debug for ChannelTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChannelTransport").field("name", &self.name).finish_non_exhaustive()
    }
}
