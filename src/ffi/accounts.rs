//! Whom a host's transport knows, and what went to and came from each of them.

use crate::{NodeId, PeerStats, BOOTSTRAP_ID_MIN, CLIENT_ID_MIN};
use parking_lot::Mutex;
use std::collections::BTreeMap;

/// Nodes have an account from set_peer on, clients while they are connected.
#[derive(Default)]
pub(super) struct Accounts(Mutex<BTreeMap<NodeId, PeerStats>>);

impl Accounts {
    pub(super) fn open(&self, peer: NodeId) {
        self.0.lock().entry(peer).or_insert_with(|| empty(peer));
    }

    pub(super) fn close(&self, peer: NodeId) {
        self.0.lock().remove(&peer);
    }

    pub(super) fn knows(&self, peer: NodeId) -> bool {
        self.0.lock().contains_key(&peer)
    }

    pub(super) fn sent(&self, to: NodeId, bytes: usize) {
        if let Some(account) = self.0.lock().get_mut(&to) {
            account.frames_sent += 1;
            account.bytes_sent += bytes as u64;
        }
    }

    pub(super) fn received(&self, from: NodeId, bytes: usize) {
        if let Some(account) = self.0.lock().get_mut(&from) {
            account.frames_received += 1;
            account.bytes_received += bytes as u64;
        }
    }

    /// A connection begins or has ended. False for a node that nobody has named.
    pub(super) fn turn(&self, peer: NodeId, up: bool) -> bool {
        let mut all = self.0.lock();
        if is_client(peer) && !up {
            return all.remove(&peer).is_some();
        }
        if is_client(peer) {
            all.entry(peer).or_insert_with(|| empty(peer));
        }
        let Some(account) = all.get_mut(&peer) else { return false };
        account.is_up = up;
        account.connects += u64::from(up);
        true
    }

    pub(super) fn all(&self) -> Vec<PeerStats> {
        self.0.lock().values().cloned().collect()
    }
}

/// Whether this is the number of a connection that came in, and not of a node or an address that this side has named.
pub(super) fn is_client(peer: NodeId) -> bool {
    (CLIENT_ID_MIN..BOOTSTRAP_ID_MIN).contains(&peer)
}

fn empty(peer: NodeId) -> PeerStats {
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
