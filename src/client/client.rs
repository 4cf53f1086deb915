//! One program's conversation with its cluster, put together: transport, outstanding calls, what is known, what is to be tried again.

use super::calls::Calls;
use super::later::{Job, Later};
use super::latest::Latest;
use super::promise::{gone, Promise};
use super::refresh::{Backoff, Refresh, METADATA_WAIT_MAX};
use super::view::{ClusterView, Leading, ViewSubscription};
use crate::error::{Error, ErrorCode, Result};
use crate::time::{Clock, Instant};
use crate::transport::{Transport, BOOTSTRAP_ID_MIN};
use crate::types::{NodeId, TopicPartition};
use crate::wire::{decode, CorrelationId, CurrentLeader, Envelope, Message, MetadataRequest, Request, Response};
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// So many bootstrap addresses are used; more are refused.
pub(crate) const BOOTSTRAP_MAX: usize = 1_000;

/// Sees to it that [`Client::tick`] is called not later than then. Called with no lock held.
pub(crate) type WakeBy = Arc<dyn Fn(Instant) + Send + Sync>;

#[derive(Clone, Debug)]
pub(crate) struct ClientSettings {
    /// `client.id`.
    pub client_id: String,
    /// `bootstrap.servers`: addresses as [`Transport::set_peer`] reads them. Empty: somebody else feeds the view and knows the peers, as a
    /// node does from its image; then metadata are never asked for.
    pub bootstrap: Vec<String>,
    /// `request.timeout.ms`: for one attempt.
    pub request_timeout: Duration,
    /// `retry.backoff.ms`, `retry.backoff.max.ms`.
    pub retry_backoff: Duration,
    pub retry_backoff_max: Duration,
    /// `metadata.max.age.ms`.
    pub metadata_max_age: Duration,
}

/// What a client is put together from. A node shares its `calls` and its `view`.
pub(crate) struct ClientParts {
    /// A node's carries what is for itself to its own router: leader and controller may be this very node.
    pub transport: Arc<dyn Transport>,
    pub calls: Arc<Calls>,
    pub view: Arc<ClusterView>,
    pub clock: Arc<dyn Clock>,
    pub wake_by: WakeBy,
    pub settings: ClientSettings,
}

/// See above. Every call from any thread; none blocks.
pub(crate) struct Client {
    parts: ClientParts,
    pub(super) state: Mutex<State>,
    news: Mutex<Option<ViewSubscription>>,
    me: Weak<Client>,
}

#[derive(Debug)]
pub(super) struct State {
    refresh: Refresh,
    later: Later,
    latest: Latest,
    /// Peers that are connected.
    pub(super) up: BTreeSet<NodeId>,
    /// Nodes that were made peers here.
    pub(super) peers: BTreeSet<NodeId>,
    /// The bootstrap addresses are peers now.
    pub(super) is_bootstrapping: bool,
    /// Somebody is changing that.
    pub(super) is_settling: bool,
}

impl Client {
    pub fn new(parts: ClientParts) -> Arc<Client> {
        let ClientSettings { retry_backoff, retry_backoff_max, metadata_max_age, .. } = parts.settings;
        let backoff = Backoff { first: retry_backoff, longest: retry_backoff_max };
        let state = State {
            refresh: Refresh::new(backoff, metadata_max_age),
            later: Later::default(),
            latest: Latest::default(),
            up: BTreeSet::new(),
            peers: BTreeSet::new(),
            is_bootstrapping: false,
            is_settling: false,
        };
        let view = Arc::clone(&parts.view);
        let client = Arc::new_cyclic(|me| Client {
            parts,
            state: Mutex::new(state),
            news: Mutex::new(None),
            me: Weak::clone(me),
        });
        let me = Arc::downgrade(&client);
        let told = view.subscribe(Arc::new(move || {
            if let Some(client) = me.upgrade() {
                client.handle_news();
            }
        }));
        *client.news.lock() = Some(told);
        client
    }

    /// Begins to look for the cluster. The transport was started before.
    ///
    /// # Errors
    /// INVALID_ARG for a bootstrap address that makes no sense, or too many of them.
    pub fn start(&self) -> Result<()> {
        if self.parts.settings.bootstrap.len() > BOOTSTRAP_MAX {
            let text = format!("{} bootstrap addresses, at most {BOOTSTRAP_MAX}", self.parts.settings.bootstrap.len());
            return Err(Error::new(ErrorCode::INVALID_ARG, text));
        }
        self.state.lock().is_bootstrapping = true;
        for (peer, address) in self.bootstrap() {
            let set = self.parts.transport.set_peer(peer, Some(address));
            set.map_err(|error| error.within(format_args!("bootstrap address {address}")))?;
        }
        Ok(())
    }

    pub fn view(&self) -> &Arc<ClusterView> {
        &self.parts.view
    }

    pub fn calls(&self) -> &Arc<Calls> {
        &self.parts.calls
    }

    pub fn settings(&self) -> &ClientSettings {
        &self.parts.settings
    }

    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.parts.clock
    }

    pub(super) fn transport(&self) -> &dyn Transport {
        &*self.parts.transport
    }

    pub(super) fn me(&self) -> Weak<Client> {
        Weak::clone(&self.me)
    }

    pub(super) fn backoff(&self, failures: u32) -> Duration {
        let ClientSettings { retry_backoff, retry_backoff_max, .. } = self.parts.settings;
        Backoff { first: retry_backoff, longest: retry_backoff_max }.after(failures)
    }

    /// For programs that are no node: whatever comes in. What is no answer is ignored; one that cannot be read is a failure of what was
    /// asked.
    pub fn handle_frame(&self, from: NodeId, frame: Bytes) {
        let envelope = Envelope::read(&frame);
        match (decode(frame), envelope) {
            (Ok(Message::Response { correlation, response }), _) => self.handle_response(from, correlation, response),
            (Err(error), Ok(Envelope { is_response: true, correlation: Some(correlation), .. })) => {
                self.handle_response(from, correlation, Response::Failed(error));
            }
            _ => {}
        }
    }

    pub fn handle_response(&self, from: NodeId, correlation: CorrelationId, response: Response) {
        self.parts.calls.handle_response(from, correlation, response);
    }

    pub fn handle_peer_state(&self, peer: NodeId, up: bool) {
        {
            let mut state = self.state.lock();
            if up {
                state.up.insert(peer);
            } else {
                state.up.remove(&peer);
                // Who has lost a node looks who leads instead of it.
                state.refresh.want();
            }
        }
        if !up {
            self.parts.calls.handle_peer_down(peer);
        }
        self.settle_bootstrap();
        self.ask_metadata();
    }

    /// Does what is due; says when to come again. Other calls ask for an earlier time by `wake_by`.
    pub fn tick(&self, now: Instant) -> Option<Instant> {
        self.parts.calls.tick(now);
        let due = self.state.lock().later.take_due(now);
        run(due, &Ok(()));
        self.ask_metadata();
        let state = self.state.lock();
        let refresh = if self.is_fed() { None } else { state.refresh.poll_timeout(&state.up) };
        let times = [self.parts.calls.poll_timeout(), state.later.poll_timeout(), refresh];
        times.into_iter().flatten().min()
    }

    /// What is known was found to be wrong, or something that is not known is wanted.
    pub fn request_refresh(&self) {
        self.state.lock().refresh.want();
        self.ask_metadata();
    }

    /// Answers everything that waits with `error`; nothing is asked any more.
    pub fn close(&self, error: &Error) {
        let (jobs, latest) = {
            let mut state = self.state.lock();
            (state.later.close(error), state.latest.close(error))
        };
        run(jobs, &Err(error.clone()));
        latest.into_iter().for_each(|promise| promise.keep(Err(error.clone())));
        self.parts.calls.close(error);
    }

    /// Sends a request; `done` as in [`Calls::call`].
    pub(super) fn call(
        &self,
        to: NodeId,
        request: Request,
        deadline: Instant,
        done: impl FnOnce(Result<Response>) + Send + 'static,
    ) {
        self.parts.calls.call(self.transport(), to, request, deadline, done);
        (self.parts.wake_by)(deadline);
    }

    /// Does `job` at that time, or earlier when something new is known.
    pub(super) fn after(&self, when: Instant, job: Job) {
        let added = self.state.lock().later.add(when, job);
        match added {
            Ok(()) => (self.parts.wake_by)(when),
            Err((error, job)) => job(Err(error)),
        }
    }

    /// A request to the partition's leader failed, or was refused: learns what there is to learn from it.
    pub(super) fn heal(
        &self,
        partition: &TopicPartition,
        asked: Leading,
        error: &Error,
        current_leader: Option<CurrentLeader>,
    ) {
        let is_stale = matches!(
            error.code(),
            ErrorCode::NOT_LEADER_OR_FOLLOWER
                | ErrorCode::FENCED_LEADER_EPOCH
                | ErrorCode::UNKNOWN_LEADER_EPOCH
                | ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
                | ErrorCode::UNKNOWN_TOPIC_ID
                | ErrorCode::LEADER_NOT_AVAILABLE
                | ErrorCode::REPLICA_NOT_AVAILABLE
        );
        let is_suspect = is_stale
            || matches!(
                error.code(),
                ErrorCode::NETWORK_EXCEPTION | ErrorCode::REQUEST_TIMED_OUT | ErrorCode::KAFKA_STORAGE_ERROR
            );
        if is_stale {
            self.view().handle_refusal(partition, asked);
        }
        let is_led = current_leader.is_some_and(|leader| {
            self.view().handle_hint(partition, asked.topic, leader) && self.view().has_node(leader.node)
        });
        if is_suspect && !is_led {
            self.request_refresh();
        }
    }

    pub(super) fn wait_for_latest(&self, promise: Promise<()>) -> std::result::Result<(), (Error, Promise<()>)> {
        self.state.lock().latest.add(promise)
    }

    /// Somebody else keeps the view and the peers.
    pub(super) fn is_fed(&self) -> bool {
        self.parts.settings.bootstrap.is_empty()
    }

    fn ask_metadata(&self) {
        if self.is_fed() {
            return;
        }
        let now = self.clock().monotonic();
        let (node, again, number) = {
            let mut state = self.state.lock();
            let State { refresh, up, latest, .. } = &mut *state;
            let node = refresh.poll(now, up);
            (node, refresh.poll_timeout(up), node.map_or(0, |_| latest.begin()))
        };
        let Some(node) = node else {
            if let Some(again) = again.filter(|again| *again > now) {
                (self.parts.wake_by)(again);
            }
            return;
        };
        let me = self.me();
        let deadline = now + self.settings().request_timeout.min(METADATA_WAIT_MAX);
        self.call(node, Request::Metadata(MetadataRequest { topics: None }), deadline, move |outcome| {
            if let Some(client) = me.upgrade() {
                client.handle_metadata(number, outcome);
            }
        });
    }

    fn handle_metadata(&self, number: u64, outcome: Result<Response>) {
        let now = self.clock().monotonic();
        match outcome {
            Ok(Response::Metadata(metadata)) => {
                // First, so that what its news lets somebody find out may want another one.
                self.state.lock().refresh.handle_answer(true, now);
                if self.view().replace(metadata) {
                    self.settle_peers();
                    let done = {
                        let mut state = self.state.lock();
                        let State { refresh, latest, .. } = &mut *state;
                        let done = latest.finish(number);
                        if latest.is_wanted() {
                            refresh.want();
                        }
                        done
                    };
                    done.into_iter().for_each(|promise| promise.keep(Ok(())));
                } else {
                    self.state.lock().refresh.want();
                }
            }
            _ => self.state.lock().refresh.handle_answer(false, now),
        }
        self.ask_metadata();
    }

    fn handle_news(&self) {
        let jobs = self.state.lock().later.take_all();
        run(jobs, &Ok(()));
    }
}

fn run(jobs: Vec<Job>, outcome: &Result<()>) {
    for job in jobs {
        job(outcome.clone());
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let jobs = self.state.get_mut().later.close(&gone());
        run(jobs, &Err(gone()));
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("client_id", &self.parts.settings.client_id).finish_non_exhaustive()
    }
}
