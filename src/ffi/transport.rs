//! A network of the host's, under the engine's seam for networks.
//!
//! The engine has its transport from the start on; the host's functions come later, by kafkalog_transport_register(). Until then
//! every peer is one without a connection. The host is called with no lock held, and never after `release`: every call holds on to
//! the [`Host`], which says `release` when the last one lets go of it.

use super::accounts::{is_client, Accounts};
use super::deliveries::work_off;
use super::engine::Core;
use super::host::Host;
use super::inbox::kafkalog_inbox_t;
use super::pointers::invalid;
use crate::{Error, ErrorCode, Frame, Inbox, NodeId, PeerStats, Result, Transport};
use crate::{FRAME_BYTES_MAX, FRAME_PARTS_MAX};
use parking_lot::{Condvar, Mutex};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

/// How long `stop` waits for calls of the host that have not come back.
const CALLS_WAIT_MAX: Duration = Duration::from_secs(5);
/// Sentences for the log that nobody has fetched; the oldest go.
const NOTICES_MAX: usize = 64;

/// An engine's transport over the functions of its host, with or without them.
pub(super) struct HostTransport {
    scheme: String,
    accounts: Arc<Accounts>,
    /// The engine, from its opening on.
    core: Arc<OnceLock<Weak<Core>>>,
    state: Mutex<State>,
    /// A call of the host has come back.
    returned: Condvar,
}

#[derive(Default)]
struct State {
    is_stopped: bool,
    /// From the engine's start on.
    me: Option<(NodeId, Inbox)>,
    host: Option<Arc<Host>>,
    /// While there is a host and it is started.
    inbox: Option<Arc<kafkalog_inbox_t>>,
    /// Peers that the host has not been told of, with their last address.
    untold: BTreeMap<NodeId, Option<String>>,
    /// Somebody is starting the host or telling it of a peer.
    is_telling: bool,
    /// Calls of the host that have not come back.
    calls: usize,
    notices: VecDeque<String>,
}

struct FirstCall {
    host: Arc<Host>,
    me: NodeId,
    inbox: Arc<kafkalog_inbox_t>,
}

impl HostTransport {
    pub(super) fn new(scheme: &str) -> HostTransport {
        HostTransport {
            scheme: scheme.to_owned(),
            accounts: Arc::default(),
            core: Arc::default(),
            state: Mutex::default(),
            returned: Condvar::new(),
        }
    }

    /// From now on a bug on the way in brings this engine down.
    pub(super) fn serve(&self, core: &Arc<Core>) {
        let _ = self.core.set(Arc::downgrade(core)); // there is one, and it comes once
    }

    pub(super) fn scheme(&self) -> &str {
        &self.scheme
    }

    /// Puts the host under the engine. When that fails, nothing of it is kept and it is not told of its end.
    ///
    /// # Errors
    /// STATE when there is one; DESTROY after the end; what `start` answers.
    pub(super) fn register(&self, host: Arc<Host>) -> Result<()> {
        let start = {
            let mut state = self.state.lock();
            state.check_going()?;
            if state.host.is_some() {
                return Err(Error::new(ErrorCode::STATE, format!("{}:// has its transport already", self.scheme)));
            }
            state.host = Some(Arc::clone(&host));
            self.first_call(&mut state)
        };
        match start {
            None => host.keep(), // it is started when the engine is
            Some(start) => self.begin(start)?,
        }
        Ok(())
    }

    /// The start, for whoever came second: engine or host.
    fn first_call(&self, state: &mut State) -> Option<FirstCall> {
        let (host, (me, inbox)) = (state.host.clone()?, state.me.clone()?);
        state.is_telling = true;
        state.calls += 1;
        let inbox = kafkalog_inbox_t::new(me, inbox, Arc::clone(&self.accounts), Arc::clone(&self.core));
        Some(FirstCall { host, me, inbox })
    }

    fn begin(&self, FirstCall { host, me, inbox }: FirstCall) -> Result<()> {
        let started = host.start(me, &inbox);
        let is_over = {
            let mut state = self.state.lock();
            state.is_telling = false;
            let is_over = state.is_stopped;
            if started.is_ok() && !is_over {
                state.inbox = Some(Arc::clone(&inbox));
            } else {
                state.host = None;
                inbox.refuse();
            }
            is_over
        };
        if started.is_ok() {
            host.keep();
            if is_over {
                host.stop(); // the engine's own stop came too early for it
            }
        }
        self.leave();
        drop(host);
        started?;
        self.tell_peers(None)?;
        work_off();
        Ok(())
    }

    /// Tells the host what it has not been told, one peer at a time; answers what it said to `asked`.
    fn tell_peers(&self, asked: Option<NodeId>) -> Result<()> {
        let mut answer = Ok(());
        while let Some((host, peer, address)) = self.next_untold() {
            let said = host.set_peer(peer, address.as_deref());
            self.state.lock().is_telling = false;
            self.leave();
            drop(host);
            match said {
                Err(error) if asked == Some(peer) => answer = Err(error),
                Err(error) => self.notice(format!("node {peer}: {}", error.message())),
                Ok(()) => {}
            }
        }
        answer
    }

    fn next_untold(&self) -> Option<(Arc<Host>, NodeId, Option<String>)> {
        let mut state = self.state.lock();
        // Whoever is telling looks again.
        if state.is_telling || state.is_stopped {
            return None;
        }
        let host = state.started_host()?;
        let (peer, address) = state.untold.pop_first()?;
        state.is_telling = true;
        state.calls += 1;
        Some((host, peer, address))
    }

    /// A call of the host came back.
    fn leave(&self) {
        let mut state = self.state.lock();
        state.calls -= 1;
        if state.is_stopped {
            self.returned.notify_all();
        }
    }

    fn notice(&self, text: String) {
        let mut state = self.state.lock();
        if state.notices.len() == NOTICES_MAX {
            state.notices.pop_front();
        }
        state.notices.push_back(text);
    }
}

impl State {
    fn check_going(&self) -> Result<()> {
        if self.is_stopped {
            return Err(Error::new(ErrorCode::DESTROY, "the transport is stopped"));
        }
        Ok(())
    }

    fn started_host(&self) -> Option<Arc<Host>> {
        self.inbox.as_ref().and(self.host.clone())
    }
}

impl Transport for HostTransport {
    fn start(&self, me: NodeId, inbox: Inbox) -> Result<()> {
        let start = {
            let mut state = self.state.lock();
            state.check_going()?;
            if state.me.is_some() {
                return Err(Error::new(ErrorCode::STATE, "a transport is started once"));
            }
            state.me = Some((me, inbox));
            self.first_call(&mut state)
        };
        start.map_or(Ok(()), |start| self.begin(start))
    }

    fn send(&self, to: NodeId, frame: Frame) -> Result<()> {
        if frame.bytes() > FRAME_BYTES_MAX as usize || frame.parts().len() > FRAME_PARTS_MAX {
            let text = format!("a frame of {} bytes in {} parts", frame.bytes(), frame.parts().len());
            return Err(Error::new(ErrorCode::MESSAGE_TOO_LARGE, text));
        }
        if !is_client(to) && !self.accounts.knows(to) {
            return Err(Error::new(ErrorCode::BROKER_NOT_AVAILABLE, format!("no node {to} is known here")));
        }
        let host = {
            let mut state = self.state.lock();
            state.check_going()?;
            let missing = || format!("no transport is registered for {}:// yet", self.scheme);
            let host = state.started_host().ok_or_else(|| Error::new(ErrorCode::NETWORK_EXCEPTION, missing()))?;
            state.calls += 1;
            host
        };
        let sent = host.send(to, &frame);
        self.leave();
        drop(host);
        if sent.is_ok() {
            self.accounts.sent(to, frame.bytes());
        }
        work_off(); // what the host delivered from inside of its function
        sent
    }

    fn set_peer(&self, peer: NodeId, address: Option<&str>) -> Result<()> {
        {
            let mut state = self.state.lock();
            state.check_going()?;
            if is_client(peer) || state.me.as_ref().is_some_and(|(me, _)| *me == peer) {
                return Err(invalid(format!("{peer} is no other node's number")));
            }
            state.untold.insert(peer, address.map(str::to_owned));
        }
        match address {
            Some(_) => self.accounts.open(peer),
            None => self.accounts.close(peer),
        }
        let told = self.tell_peers(Some(peer));
        work_off();
        told
    }

    fn stop(&self) {
        let (host, inbox) = {
            let mut state = self.state.lock();
            if state.is_stopped {
                return;
            }
            state.is_stopped = true;
            state.untold.clear();
            if let Some(inbox) = &state.inbox {
                inbox.refuse();
            }
            // Nobody begins a call any more; those that have begun are a write into a buffer.
            let is_calling = |state: &mut State| state.calls > 0;
            self.returned.wait_while_for(&mut state, is_calling, CALLS_WAIT_MAX);
            (state.host.take(), state.inbox.take())
        };
        if let (Some(host), Some(inbox)) = (host, inbox) {
            host.stop();
            inbox.close();
        }
        work_off(); // into the closed door
    }

    fn peer_stats(&self) -> Vec<PeerStats> {
        self.accounts.all()
    }

    fn poll_notice(&self) -> Option<String> {
        self.state.lock().notices.pop_front()
    }
}

impl Drop for HostTransport {
    fn drop(&mut self) {
        self.stop();
    }
}

impl fmt::Debug for HostTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostTransport").field("scheme", &self.scheme).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
