//! What all handles of a client share; the cluster as its producers see it; the end.

use super::super::callbacks::CallbackThread;
use super::super::close::Callbacks;
use super::super::core::Fatal;
use super::super::timer::Timer;
use super::thread::{Ending, Lines};
use super::topics::RemoteTopic;
use crate::client::{Client, Done};
use crate::config::ClientConfig;
use crate::controller::{ControllerRequest, Reply};
use crate::disk::fork_generation;
use crate::error::{Error, ErrorCode, Result};
use crate::node::{Alarm, CloseReport};
use crate::producer::{Host, HostTopic, Wakeable};
use crate::time::{Clock, Instant};
use crate::transport::{Receive, Transport, BOOTSTRAP_ID_MIN};
use crate::types::NodeId;
use bytes::Bytes;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// So much longer than the question itself its asker waits, in order to hear why it was in vain.
const ANSWER_GRACE: Duration = Duration::from_millis(500);

/// A topic that the cluster's metadata do not have is looked for so many times: it may have been created a moment ago.
const UNKNOWN_TOPIC_ATTEMPTS_MAX: u32 = 3;

pub(super) struct ClientCore {
    pub config: ClientConfig,
    pub client: Arc<Client>,
    pub transport: Arc<dyn Transport>,
    pub clock: Arc<dyn Clock>,
    pub timer: Arc<Timer>,
    pub callbacks: Arc<CallbackThread>,
    pub fatal: Arc<Fatal>,
    pub ending: Arc<Ending>,
    pub lines: Arc<Lines>,
    pub is_closing: AtomicBool,
    /// Held while it is being closed.
    pub closed: Mutex<Option<CloseReport>>,
    /// Which process opened it.
    pub born: Option<u32>,
}

/// Where frames arrive.
pub(super) struct Ears(pub Weak<Client>);

impl Receive for Ears {
    fn deliver(&self, from: NodeId, frame: Bytes) {
        if let Some(client) = self.0.upgrade() {
            client.handle_frame(from, frame);
        }
    }

    fn peer_state(&self, peer: NodeId, up: bool) {
        if let Some(client) = self.0.upgrade() {
            client.handle_peer_state(peer, up);
        }
    }
}

impl ClientCore {
    /// Whether it still takes work.
    pub fn check(&self) -> Result<()> {
        self.check_fork()?;
        if let Some(fatal) = self.fatal.get() {
            return Err(fatal);
        }
        if self.is_closing.load(Ordering::Acquire) {
            return Err(closed());
        }
        Ok(())
    }

    fn check_fork(&self) -> Result<()> {
        if fork_generation() != self.born {
            let text = "this process was forked from the one that is connected; connect anew here";
            return Err(Error::new(ErrorCode::FORKED, text));
        }
        Ok(())
    }

    /// Begins something with a deadline and waits for what comes of it.
    pub fn wait<T: Send + 'static>(&self, begin: impl FnOnce(Instant, Done<T>)) -> Result<T> {
        self.wait_until(self.clock.monotonic() + self.config.api_timeout, begin)
    }

    fn wait_until<T: Send + 'static>(&self, deadline: Instant, begin: impl FnOnce(Instant, Done<T>)) -> Result<T> {
        self.check()?;
        if self.timer.is_this_thread() {
            return Err(Error::new(ErrorCode::STATE, "not on the client's own thread: it would wait for itself"));
        }
        let answer = self.client.wait(deadline + ANSWER_GRACE, |done| begin(deadline, done));
        answer.map_err(|error| self.explained(error))
    }

    /// Asks whoever is the active controller.
    pub fn ask_controller(&self, request: ControllerRequest) -> Result<Reply> {
        self.wait(|deadline, done| self.client.ask_controller(request, deadline, done))
    }

    /// The view is as new as this call, on return.
    pub fn look(&self) -> Result<()> {
        self.look_until(self.clock.monotonic() + self.config.api_timeout)
    }

    fn look_until(&self, deadline: Instant) -> Result<()> {
        self.wait_until(deadline, |_, done| self.client.when_latest(done))
    }

    /// Time ran out: why nobody could be reached, if that is the reason.
    fn explained(&self, error: Error) -> Error {
        if ![ErrorCode::TIMED_OUT, ErrorCode::REQUEST_TIMED_OUT].contains(&error.code()) {
            return error;
        }
        let peers = self.transport.peer_stats();
        if peers.iter().any(|peer| peer.is_up) {
            return Error::new(ErrorCode::REQUEST_TIMED_OUT, error.message());
        }
        let silent = peers.iter().map(|peer| {
            let place = peer.peer.0.checked_sub(BOOTSTRAP_ID_MIN.0).map(|index| index as usize);
            let address = place.and_then(|index| self.config.bootstrap.get(index));
            let name = address.cloned().unwrap_or_else(|| format!("node {}", peer.peer));
            format!("{name} ({})", peer.reason.as_deref().unwrap_or("no connection yet"))
        });
        let silent: Vec<String> = silent.collect();
        let text = format!("no node of the cluster can be reached: {}; {}", silent.join(", "), error.message());
        Error::new(ErrorCode::REQUEST_TIMED_OUT, text)
    }

    /// A topic of the cluster, created where the cluster does that by itself.
    fn find_topic(&self, name: &str) -> Result<Arc<dyn HostTopic>> {
        let name: Arc<str> = name.into();
        let deadline = self.clock.monotonic() + self.config.api_timeout;
        let (mut attempts, mut is_coming) = (0, false);
        loop {
            match self.client.view().topic(&name) {
                Ok(topic) => return Ok(Arc::new(RemoteTopic::new(&name, &topic, &self.client))),
                Err(unknown) if attempts == UNKNOWN_TOPIC_ATTEMPTS_MAX && !is_coming => return Err(unknown),
                Err(_) => {}
            }
            self.look_until(deadline)?;
            if self.client.view().topic(&name).is_err() && !is_coming {
                attempts += 1;
                let wanted: Result<()> =
                    self.wait_until(deadline, |deadline, done| self.client.want_topic(&name, deadline, done));
                is_coming = match wanted {
                    Ok(()) => true,
                    Err(error) if error.is_retriable() => false,
                    Err(error) => return Err(error),
                };
            }
        }
    }

    pub fn close(&self, timeout: Duration, callbacks: Callbacks) -> Result<CloseReport> {
        self.check_fork()?;
        self.is_closing.store(true, Ordering::Release);
        let deadline = self.clock.monotonic() + timeout;
        let late = |what: &str| Err(Error::new(ErrorCode::TIMED_OUT, format!("{what}; close again to wait for it")));
        let report = {
            let Some(mut done) = self.closed.try_lock_for(timeout) else {
                return late("somebody else is closing it");
            };
            match &*done {
                Some(report) => report.clone(),
                None => done.insert(self.end(deadline)).clone(),
            }
        };
        if self.timer.is_this_thread() {
            self.callbacks.end();
            return Ok(report); // it ends as soon as it is back
        }
        if !self.ending.wait(deadline.since(self.clock.monotonic()).max(Duration::from_millis(100))) {
            return late("everything is closed, but kafkalog-client is still busy");
        }
        if callbacks == Callbacks::Wait && !self.callbacks.is_this_thread() {
            let left = deadline.since(self.clock.monotonic()).max(Duration::from_millis(100));
            if !self.callbacks.wait_until_done(left) {
                return late("everything is closed, but a callback is still running");
            }
        }
        self.callbacks.end();
        Ok(report)
    }

    fn end(&self, deadline: Instant) -> CloseReport {
        let mut report = CloseReport { marked_clean: true, ..CloseReport::default() };
        for producer in self.timer.producers() {
            report.undelivered_records += producer.close_with_engine(deadline);
        }
        self.client.close(&closed());
        self.transport.stop();
        self.ending.order(&self.timer);
        report
    }
}

impl Host for ClientCore {
    fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    fn topic(&self, name: &str) -> Result<Arc<dyn HostTopic>> {
        self.check()?;
        self.find_topic(name)
    }

    fn register(&self, producer: Weak<dyn Wakeable>) {
        self.timer.register(producer);
    }

    fn wake_by(&self, when: Instant) {
        self.timer.wake_by(when);
    }

    fn call_back(&self, callback: Box<dyn FnOnce() + Send>) {
        self.callbacks.run(callback);
    }

    fn log_warning(&self, line: &str) {
        self.lines.push("producer", line.to_owned());
        self.timer.wake_now();
    }

    fn refusal(&self) -> Option<Error> {
        self.check().err()
    }
}

impl Drop for ClientCore {
    fn drop(&mut self) {
        if self.check_fork().is_err() {
            // The threads are not here, and the sockets are shared with the parent.
            std::mem::forget((Arc::clone(&self.client), Arc::clone(&self.transport)));
            return;
        }
        // Whoever wants to know how it went calls close.
        let _ = self.close(self.config.shutdown_timeout, Callbacks::LeaveBehind);
        self.callbacks.end();
    }
}

fn closed() -> Error {
    Error::new(ErrorCode::CLOSED, "the connection with the cluster is closed")
}
