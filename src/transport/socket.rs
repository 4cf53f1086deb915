//! Nodes and clients over sockets.

use super::address::Address;
use super::handshake::{Me, Role};
use super::notices::Notices;
use super::table::{Adopted, Listener, Running, Table};
use super::threads::Threads;
use super::{
    accept, dial, errors, Frame, Inbox, PeerStats, SocketSettings, TlsKeys, Transport, BOOTSTRAP_ID_MIN, CLIENT_ID_MIN,
};
use crate::error::Result;
use crate::time::SystemClock;
use crate::types::NodeId;
use parking_lot::{Condvar, Mutex};
use std::fmt;
use std::net::Shutdown;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::Arc;
use std::time::Duration;

/// How long `stop` waits for threads whose sockets were cut; only a name that is being looked up, or a receiver that does not come
/// back, can take longer, and neither delivers any more.
const STOP_WAIT_MAX: Duration = Duration::from_secs(5);

/// Carries frames over `tcp://`, `tls://` and `unix://`.
///
/// Both ends of a pair dial; [`handshake`](super::handshake) says which connection survives. Each connection has a reader thread,
/// which delivers, and a writer thread, which sends what a caller could not.
pub struct SocketTransport(pub(super) Arc<Shared>);

pub(super) struct Shared {
    pub settings: SocketSettings,
    pub clock: SystemClock,
    pub threads: Arc<Threads>,
    pub notices: Notices,
    pub table: Mutex<Table>,
    /// A peer was connected, lost, added or removed; or the end has come.
    pub changed: Condvar,
}

impl SocketTransport {
    #[must_use]
    pub fn new(settings: SocketSettings) -> SocketTransport {
        SocketTransport(Arc::new(Shared {
            settings,
            clock: SystemClock::new(),
            threads: Arc::default(),
            notices: Notices::default(),
            table: Mutex::default(),
            changed: Condvar::new(),
        }))
    }

    /// Listens there, from the start on; callable several times, before and after it. Answers the address that can be dialled,
    /// with a real port for port 0.
    ///
    /// # Errors
    /// INVALID_ARG for an address that makes no sense or a transport started as a client; TRANSPORT_HOST when the system refuses.
    pub fn listen(&self, url: &str) -> Result<String> {
        let address = self.0.address(url)?;
        let (socket, address) = address.listen()?;
        let listener = Listener { socket: Arc::new(socket), address: address.clone() };
        let mut table = self.0.table.lock();
        if table.is_stopping {
            return Err(errors::stopped());
        }
        let is_started = match &table.running {
            Some(running) if running.me.role == Role::Client => return Err(a_client_listens()),
            running => running.is_some(),
        };
        table.listeners.push(listener.clone());
        drop(table);
        if is_started {
            self.0.spawn_acceptor(listener)?;
        }
        Ok(address.to_string())
    }
}

impl Transport for SocketTransport {
    fn start(&self, me: NodeId, inbox: Inbox) -> Result<()> {
        let shared = &self.0;
        let role = if me < CLIENT_ID_MIN { Role::Node } else { Role::Client };
        let incarnation = getrandom::u64().map_err(|e| errors::host("drawing a random number", e))?;
        let me = Me {
            role,
            number: me,
            cluster: shared.settings.cluster.0,
            secret: shared.settings.secret.clone(),
            incarnation,
            frame_bytes_max: shared.settings.frame_bytes_max,
        };
        let running = Running { me, inbox };
        let (listeners, peers) = {
            let mut table = shared.table.lock();
            if table.is_stopping {
                return Err(errors::stopped());
            }
            if table.running.is_some() {
                return Err(errors::started_before());
            }
            if role == Role::Client && !table.listeners.is_empty() {
                return Err(a_client_listens());
            }
            table.peers.remove(&running.me.number);
            if role == Role::Node {
                table.peers.retain(|peer, _| *peer < BOOTSTRAP_ID_MIN);
            }
            table.running = Some(running);
            (table.listeners.clone(), table.peers.keys().copied().collect::<Vec<_>>())
        };
        listeners.into_iter().try_for_each(|listener| shared.spawn_acceptor(listener))?;
        peers.into_iter().try_for_each(|peer| shared.spawn_dialler(peer))
    }

    fn send(&self, to: NodeId, frame: Frame) -> Result<()> {
        let connection = {
            let table = self.0.table.lock();
            if table.is_stopping {
                return Err(errors::stopped());
            }
            let peer = table.peer(to).ok_or_else(|| errors::unknown_peer(to))?;
            peer.connection.clone().ok_or_else(|| errors::not_connected(to, peer.reason.as_deref()))?
        };
        connection.send(frame)
    }

    fn set_peer(&self, peer: NodeId, address: Option<&str>) -> Result<()> {
        let address = address.map(|url| self.0.address(url)).transpose()?;
        let mut table = self.0.table.lock();
        if table.is_stopping {
            return Err(errors::stopped());
        }
        if errors::is_no_peer(peer, table.running.as_ref().map(|running| running.me.number)) {
            return Err(errors::invalid(format!("{peer} is no other node's number")));
        }
        if table.peers.get(&peer).map(|peer| &peer.address) == Some(&address) {
            return Ok(());
        }
        let is_added = address.is_some();
        let connection = match address {
            Some(address) => table.set_address(peer, address),
            None => table.remove_peer(peer),
        };
        let is_started = table.running.is_some();
        drop(table);
        self.0.changed.notify_all();
        if let Some(connection) = connection {
            connection.close("the peer was removed, has moved, or does not show a certificate of its address");
        }
        if is_started && is_added {
            self.0.spawn_dialler(peer)?;
        }
        Ok(())
    }

    fn stop(&self) {
        let (listeners, lines, connections, running) = {
            let mut table = self.0.table.lock();
            let (listeners, lines, connections) = table.begin_stop();
            (listeners, lines, connections, table.running.clone())
        };
        self.0.changed.notify_all();
        for listener in listeners {
            // Wakes the thread that accepts; fails where the system closes the socket all the same.
            let _ = listener.socket.shutdown(Shutdown::Both);
            if let Address::Unix(path) = &listener.address {
                // Somebody may have been faster; nobody can connect there any more.
                let _ = std::fs::remove_file(path);
            }
        }
        connections.iter().for_each(|connection| connection.close("this side has stopped"));
        lines.iter().for_each(|line| line.cut());
        if let Some(running) = running {
            running.inbox.close();
        }
        if !self.0.threads.wait(STOP_WAIT_MAX) {
            self.0.notices.push("a thread of the transport has not ended in time".to_owned());
        }
    }

    fn peer_stats(&self) -> Vec<PeerStats> {
        self.0.table.lock().stats()
    }

    fn poll_notice(&self) -> Option<String> {
        self.0.notices.poll()
    }
}

impl Drop for SocketTransport {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    /// Whoever has a `tls://` address has keys too: [`address`](Shared::address) has seen to it.
    pub(super) fn tls_keys(&self) -> std::io::Result<&TlsKeys> {
        self.settings.tls.as_ref().ok_or_else(|| std::io::Error::other("there are no certificates for tls://"))
    }

    /// An address that can be used with these settings.
    fn address(&self, url: &str) -> Result<Address> {
        match Address::parse(url)? {
            Address::Tls(_) if self.settings.tls.is_none() => Err(errors::invalid(format!(
                "'{url}' needs a certificate and authorities: ssl.keystore.location, ssl.truststore.location"
            ))),
            address => Ok(address),
        }
    }

    fn spawn_acceptor(self: &Arc<Self>, listener: Listener) -> Result<()> {
        let shared = Arc::clone(self);
        let spawned = self.threads.spawn("listen", move || accept::accept_all(&shared, &listener));
        spawned.map_err(|e| errors::host("starting a thread", e))
    }

    fn spawn_dialler(self: &Arc<Self>, peer: NodeId) -> Result<()> {
        let shared = Arc::clone(self);
        let (running, address, version) = {
            let table = self.table.lock();
            let known = table.peers.get(&peer).and_then(|known| Some((known.address.clone()?, known.address_version)));
            let (Some(running), Some((address, version))) = (table.running.clone(), known) else { return Ok(()) };
            (running, address, version)
        };
        let work = move || dial::keep_connected(&shared, &running, peer, &address, version);
        self.threads.spawn(&format!("dial-{peer}"), work).map_err(|e| errors::host("starting a thread", e))
    }

    /// Tells about a connection that has become the peer's and reads it to its end, on this thread.
    pub(super) fn serve(self: &Arc<Self>, inbox: &Inbox, adopted: Adopted) {
        let Adopted { connection, replaced, before } = adopted;
        let peer = connection.agreed.peer;
        if let Some(replaced) = replaced {
            replaced.close("replaced by a newer connection");
        }
        if let Some(before) = before {
            before.wait();
        }
        tell(inbox, peer, true);
        let writer = Arc::clone(&connection);
        let started = connection
            .line
            .wait_without_limit()
            .and_then(|()| self.threads.spawn(&format!("write-{peer}"), move || writer.write_frames()));
        match started {
            Ok(()) => connection.read_frames(inbox),
            Err(error) => connection.close(&format!("starting: {error}")),
        }
        self.table.lock().remove(&connection);
        self.changed.notify_all();
        let reason = connection.reason().unwrap_or_default();
        self.notices.push(format!("the connection with {peer} has ended: {reason}"));
        tell(inbox, peer, false);
        connection.gone.open();
        self.table.lock().forget_end(&connection);
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.table.lock().is_stopping
    }

    /// A while, or until the transport stops.
    pub(super) fn pause(&self, time: Duration) {
        let mut table = self.table.lock();
        if !table.is_stopping {
            self.changed.wait_for(&mut table, time);
        }
    }
}

/// A receiver that panics must not keep the next connection waiting.
fn tell(inbox: &Inbox, peer: NodeId, up: bool) {
    // The panic was printed where it happened.
    let _ = catch_unwind(AssertUnwindSafe(|| inbox.peer_state(peer, up)));
}

fn a_client_listens() -> crate::error::Error {
    errors::invalid("a client listens nowhere")
}

impl fmt::Debug for SocketTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketTransport").finish_non_exhaustive()
    }
}
