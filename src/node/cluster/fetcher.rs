//! One fetcher: asks one leader for some of its partitions, in one session.

use super::super::Alarm;
use super::fetch_plan::{Ending, FetchPlan, Held};
use super::fetchers::{FetchSender, FetchSettings, FetchTicket};
use super::replica::Replica;
use super::throttle::Throttle;
use crate::error::Result;
use crate::replication::{FetchOutcome, FetchRequest, FetchResponse, NodeEpoch};
use crate::time::Instant;
use crate::types::NodeId;
use crate::wire::{ReplicaFetchRequest, ReplicaFetchResponse, TopicIdPartition};
use parking_lot::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::Duration;

/// Whoever is far behind and got so much asks for more when its own node is next awake, not on this thread. That may be a producer's,
/// where nodes share a process: it would carry everything that is missing before its call came back.
const HELPING_BYTES: u64 = 256 * 1024;
/// The least that is later than now.
const A_MOMENT: Duration = Duration::from_nanos(1);

/// What all fetchers of a node share.
pub(super) struct Shared {
    pub settings: FetchSettings,
    pub throttle: Throttle,
    pub sender: Arc<dyn FetchSender>,
    pub alarm: Arc<dyn Alarm>,
    /// The number of the request before.
    pub number_last: AtomicU64,
}

pub(super) struct Fetcher {
    leader: NodeId,
    index: u32,
    shared: Arc<Shared>,
    state: Mutex<State>,
}

struct State {
    plan: FetchPlan,
    /// The latest that anybody brought.
    now: Instant,
    /// One thread at a time polls and sends, so that requests go out in the order of their session.
    is_sending: bool,
    /// When the alarm was told to come.
    wakes_at: Option<Instant>,
}

/// However sending ends, also by a panic of a replica: somebody else may send.
struct Turn<'a>(&'a Fetcher);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.state.lock().is_sending = false;
    }
}

impl Fetcher {
    pub fn new(leader: NodeId, index: u32, node_epoch: NodeEpoch, shared: Arc<Shared>) -> Fetcher {
        let plan = FetchPlan::new(node_epoch, shared.settings.response_bytes_max, shared.settings.wait_max);
        let state = State { plan, now: Instant::default(), is_sending: false, wakes_at: None };
        Fetcher { leader, index, shared, state: Mutex::new(state) }
    }

    pub fn leader(&self) -> NodeId {
        self.leader
    }

    pub fn add(&self, replica: Arc<dyn Replica>, now: Instant) {
        let before = self.state.lock().plan.add(replica, now);
        drop(before);
        self.work(now);
    }

    pub fn remove(&self, id: TopicIdPartition, now: Instant) {
        let before = self.state.lock().plan.remove(id);
        drop(before);
        self.work(now);
    }

    pub fn handle_node_epoch(&self, node_epoch: NodeEpoch, now: Instant) {
        self.state.lock().plan.handle_node_epoch(node_epoch);
        self.work(now);
    }

    pub fn handle_peer(&self, up: bool, now: Instant) {
        self.state.lock().plan.handle_peer(up, now + self.shared.settings.backoff);
        self.work(now);
    }

    pub fn handle_response(&self, number: u64, result: Result<ReplicaFetchResponse>, now: Instant) {
        let ending = match &result {
            Ok(response) => Ending::Answered(response.session),
            Err(error) => Ending::Failed(error.code()),
        };
        let answers = {
            let mut state = self.state.lock();
            let counts = state.plan.handle_ending(number, ending, now + self.shared.settings.backoff);
            // Each partition's answer stands for itself, also when the request does not count any more.
            result.map_or_else(|_| Vec::new(), |response| state.take_answers(response, counts))
        };
        for answer in answers {
            let (held, next) = self.deal_with(answer, now);
            self.state.lock().plan.polled(&held, None, next);
        }
        self.work(now);
    }

    /// The partition takes its answer. Says when it may be asked about again.
    fn deal_with(&self, (held, fetch, answer): Answer, now: Instant) -> (Held, Option<Instant>) {
        let bytes = match &answer.outcome {
            FetchOutcome::Records(records) => records.len() as u64,
            FetchOutcome::Diverging { .. } | FetchOutcome::Error(_) => 0,
        };
        // Members of the ISR have everything below the high watermark (`ReplicaFetcherThread.shouldFollowerThrottle`).
        let is_behind = bytes > 0 && fetch.fetch_offset < answer.high_watermark;
        held.replica.handle_fetch_response(self.leader, answer, now);
        let mut turn = if is_behind { self.shared.throttle.charge(bytes, now) } else { Instant::default() };
        if is_behind && bytes >= HELPING_BYTES {
            turn = turn.max(now + A_MOMENT);
        }
        let next = held.replica.poll_fetch_timeout().map(|at| at.max(turn));
        (held, next)
    }

    /// Sends what there is to send. Somebody who is at it already does it for us.
    pub fn work(&self, now: Instant) {
        {
            let mut state = self.state.lock();
            state.now = state.now.max(now);
            if std::mem::replace(&mut state.is_sending, true) {
                return;
            }
        }
        let turn = Turn(self);
        loop {
            // One time for both: whoever is due by a later clock than he is polled by would be due for ever.
            let (due, now) = {
                let mut state = self.state.lock();
                let now = state.now;
                (state.plan.take_due(now), now)
            };
            let polled: Vec<_> = due.into_iter().map(|held| self.poll(held, now)).collect();
            let mut state = self.state.lock();
            for (held, fetch, next) in &polled {
                state.plan.polled(held, *fetch, *next);
            }
            let number = self.shared.number_last.fetch_add(1, Ordering::Relaxed) + 1;
            let now = state.now;
            if let Some(request) = state.plan.poll_request(number, now) {
                drop(state);
                drop(polled);
                self.send(number, request, now);
                continue;
            }
            if polled.is_empty() {
                // Under the lock that everybody needs who has news, so that none is overlooked.
                state.is_sending = false;
                let wake = state.alarm_at(now);
                drop(state);
                std::mem::forget(turn);
                if let Some(at) = wake {
                    self.shared.alarm.wake_by(at);
                }
                return;
            }
        }
    }

    fn poll(&self, held: Held, now: Instant) -> (Held, Option<FetchRequest>, Option<Instant>) {
        let fetch = held.replica.poll_fetch(self.leader, now);
        let mut next = held.replica.poll_fetch_timeout();
        if fetch.is_none() {
            // It says that it is due and has nothing: that leader is not its leader any more, which we shall hear.
            next = next.map(|at| if at <= now { now + self.shared.settings.backoff } else { at });
        }
        (held, fetch, next)
    }

    fn send(&self, number: u64, request: ReplicaFetchRequest, now: Instant) {
        let FetchSettings { wait_max, request_timeout, .. } = self.shared.settings;
        let ticket = FetchTicket { fetcher: self.index, number };
        self.shared.sender.send(self.leader, ticket, request, now + wait_max + request_timeout);
    }

    /// Says when to come again, as the alarm is told.
    pub fn tick(&self, now: Instant) -> Option<Instant> {
        let is_due = self.poll_timeout().is_some_and(|at| at <= now);
        if is_due {
            self.work(now);
        }
        let mut state = self.state.lock();
        state.wakes_at = state.plan.poll_timeout();
        state.wakes_at
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        self.state.lock().plan.poll_timeout()
    }

    pub fn partition_count(&self) -> usize {
        self.state.lock().plan.partition_count()
    }
}

type Answer = (Held, FetchRequest, FetchResponse);

impl State {
    fn take_answers(&mut self, response: ReplicaFetchResponse, counts: bool) -> Vec<Answer> {
        let mut answers = Vec::with_capacity(response.partitions.len());
        for answer in response.partitions {
            let number = answer.fetched.correlation;
            if let Some((held, fetch)) = self.plan.take_answered(answer.partition, number, counts) {
                answers.push((held, fetch, answer.fetched));
            }
        }
        answers
    }

    /// When the alarm has to come, if it does not know that yet.
    fn alarm_at(&mut self, now: Instant) -> Option<Instant> {
        let due = self.plan.poll_timeout()?;
        if self.wakes_at.is_some_and(|at| now < at && at <= due) {
            return None;
        }
        self.wakes_at = Some(due);
        Some(due)
    }
}
