//! One thread a peer sees to it that there is a connection: it dials while there is none, and reads what it has dialled.

use super::address::{new_socket, Address};
use super::bounded::Bounded;
use super::handshake::{self, Refusal, Wanted, HANDSHAKE_BYTES_MAX};
use super::line::Line;
use super::socket::Shared;
use super::table::Running;
use crate::time::{Clock, Instant};
use crate::types::NodeId;
use socket2::SockAddr;
use std::cell::Cell;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// The dialling thread's work, until the peer is removed, has moved, or the transport stops.
pub(super) fn keep_connected(shared: &Arc<Shared>, running: &Running, peer: NodeId, address: &Address, version: u64) {
    let settings = &shared.settings;
    let seed = settings.seed ^ (u64::from(running.me.number.0) << 32 | u64::from(peer.0));
    let mut backoff = Backoff::new(settings.reconnect_backoff, settings.reconnect_backoff_max, seed);
    let mut not_before = shared.clock.monotonic();
    let mut not_needed_at = None;
    let mut connects_seen = 0;
    while let Some(connects) = shared.wait_until_needed(peer, version, not_before) {
        if connects != connects_seen {
            // The peer has dialled meanwhile: what failed before it says nothing any more.
            connects_seen = connects;
            backoff.reset();
        }
        let insists = not_needed_at == Some(connects);
        match dial(shared, running, Wanted { node: peer, insists }, address) {
            Ok(()) => backoff.reset(),
            Err(End::NotNeeded) => not_needed_at = Some(connects),
            Err(End::Failed(text)) => shared.dial_failed(peer, version, format!("dialling {address}: {text}")),
        }
        not_before = shared.clock.monotonic() + backoff.next();
    }
}

enum End {
    Failed(String),
    /// The other side was faster, or nobody wants it any more.
    NotNeeded,
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> End {
        End::Failed(error.to_string())
    }
}

/// Dials, handshakes, and reads until the connection ends.
fn dial(shared: &Arc<Shared>, running: &Running, wanted: Wanted, address: &Address) -> Result<(), End> {
    let mut outcome = Err(End::Failed("the name has no address".to_owned()));
    for at in address.resolve()? {
        outcome = dial_one(shared, running, wanted, address, &at);
        if !matches!(outcome, Err(End::Failed(_))) {
            break;
        }
    }
    outcome
}

fn dial_one(
    shared: &Arc<Shared>,
    running: &Running,
    wanted: Wanted,
    address: &Address,
    at: &SockAddr,
) -> Result<(), End> {
    let tls = match address {
        Address::Tls(_) => Some(shared.tls_keys()?.dialling(address.host().unwrap_or_default())?),
        Address::Tcp(_) | Address::Unix(_) => None,
    };
    let line = Arc::new(Line::new(new_socket(at)?, tls));
    let Some(key) = shared.table.lock().add_line(&line) else { return Err(End::NotNeeded) };
    let outcome = converse(shared, running, wanted, &line, at);
    line.cut();
    shared.table.lock().remove_line(key);
    outcome
}

fn converse(
    shared: &Arc<Shared>,
    running: &Running,
    wanted: Wanted,
    line: &Arc<Line>,
    at: &SockAddr,
) -> Result<(), End> {
    line.connect(at, shared.settings.connect_timeout)?;
    let mut stream = Bounded::new(line, &shared.clock, shared.settings.handshake_timeout, HANDSHAKE_BYTES_MAX);
    let peer = wanted.node;
    let chosen = Cell::new(false);
    let is_needed = || shared.table.lock().peers.get(&peer).is_some_and(|peer| peer.connection.is_none());
    let choose = || {
        let generation = shared.table.lock().choose(peer, false);
        chosen.set(generation.is_some());
        generation
    };
    let talked = stream.begin().map_err(handshake::End::from);
    let outcome = talked.and_then(|()| handshake::dial(&mut stream, &running.me, wanted, is_needed, choose));
    let adopted = {
        let mut table = shared.table.lock();
        let adopted = outcome.map(|agreed| table.adopt(agreed, line, stream.round_trip(), &shared.settings, false));
        table.end_handshake(peer, false, chosen.get());
        adopted
    };
    shared.changed.notify_all();
    match adopted {
        Ok(Some(adopted)) => {
            shared.serve(&running.inbox, adopted);
            Ok(())
        }
        Ok(None) => Err(End::NotNeeded),
        Err(handshake::End::Refused(Refusal::NotNeeded) | handshake::End::RefusedByPeer(Refusal::NotNeeded)) => {
            Err(End::NotNeeded)
        }
        Err(end) => Err(End::Failed(end.to_string())),
    }
}

/// Kafka's pauses between attempts: doubled with each failure, a fifth more or less by chance.
pub(super) struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
    random: fastrand::Rng,
}

impl Backoff {
    pub fn new(first: Duration, longest: Duration, seed: u64) -> Backoff {
        Backoff { first, longest, failures: 0, random: fastrand::Rng::with_seed(seed) }
    }

    /// The pause from now on.
    pub fn next(&mut self) -> Duration {
        let doubled = self.first.saturating_mul(1 << self.failures.min(20));
        self.failures += 1;
        doubled.min(self.longest).mul_f64(0.8 + 0.4 * self.random.f64())
    }

    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

impl Shared {
    /// Waits until `peer` has no connection, nor makes one, and `not_before` has come; answers how many it has had. `None` when this
    /// dialler has to end.
    fn wait_until_needed(&self, peer: NodeId, version: u64, not_before: Instant) -> Option<u64> {
        let mut table = self.table.lock();
        loop {
            let known = table.peers.get(&peer).filter(|peer| peer.address_version == version);
            let known = known.filter(|_| !table.is_stopping)?;
            if known.is_served() {
                self.changed.wait(&mut table);
                continue;
            }
            let left = not_before.since(self.clock.monotonic());
            if left.is_zero() {
                return Some(known.connects);
            }
            self.changed.wait_for(&mut table, left);
        }
    }

    fn dial_failed(&self, peer: NodeId, version: u64, text: String) {
        let mut table = self.table.lock();
        let is_stopping = table.is_stopping;
        let known = table.peers.get_mut(&peer).filter(|peer| peer.address_version == version && !is_stopping);
        let Some(known) = known else { return };
        let is_news = known.reason.as_ref() != Some(&text);
        known.reason = Some(text.clone());
        drop(table);
        // Every further attempt may fail alike; that is said once.
        if is_news {
            self.notices.push(format!("node {peer}: {text}"));
        }
    }
}
