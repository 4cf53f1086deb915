//! Everything that other nodes fetch from this one: their sessions, and the fetches that wait for news (KIP-227, Kafka's `FetchSession`
//! and `DelayedFetch`).

use super::super::Alarm;
use super::replica::Replica;
use super::session::{no_session, Accepted, Session, Shared};
use super::session_state::Arrival;
use super::watches::{Changed, Watches};
use crate::error::{ErrorCode, Result};
use crate::replication::NodeEpoch;
use crate::time::Instant;
use crate::types::NodeId;
use crate::wire::{
    CorrelationId, FetchSession, FetchSessionId, ReplicaFetchRequest, ReplicaFetchResponse, TopicIdPartition,
};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;

/// Sessions of all followers together (`max.incremental.fetch.session.cache.slots`); the one that nobody used for longest goes.
pub(crate) const FETCH_SESSIONS_MAX: usize = 1_000;

/// Carries answers to followers.
pub(crate) trait FetchReplier: Send + Sync {
    /// Called with no lock held, once for each fetch. An answer that is lost brings the follower to open a new session.
    fn reply(&self, to: NodeId, correlation: CorrelationId, answer: Result<ReplicaFetchResponse>);
}

/// All sessions of a node. Every call from any thread.
pub(crate) struct FetchSessions {
    shared: Shared,
    alarm: Arc<dyn Alarm>,
    table: Mutex<Table>,
}

struct Table {
    sessions: BTreeMap<FetchSessionId, Arc<Session>>,
    /// A session's number is drawn, so that none of an earlier life of this node is taken for one of ours.
    rng: fastrand::Rng,
    /// When the alarm was told to come.
    wakes_at: Option<Instant>,
    /// Sessions without a number, until they are answered.
    passing: Vec<Arc<Session>>,
}

impl FetchSessions {
    pub fn new(replier: Arc<dyn FetchReplier>, alarm: Arc<dyn Alarm>, seed: u64) -> FetchSessions {
        let rng = fastrand::Rng::with_seed(seed);
        let table = Table { sessions: BTreeMap::new(), rng, wakes_at: None, passing: Vec::new() };
        FetchSessions { shared: Shared { watches: Watches::default(), replier }, alarm, table: Mutex::new(table) }
    }

    /// A follower's fetch. It is answered exactly once, now or later, by [`FetchReplier::reply`]; only a repeated one is not. `lookup`
    /// is called with no lock held.
    pub fn handle_fetch(
        &self,
        from: NodeId,
        correlation: CorrelationId,
        request: ReplicaFetchRequest,
        lookup: impl Fn(TopicIdPartition) -> Option<Arc<dyn Replica>>,
        now: Instant,
    ) {
        let replicas = request.partitions.iter().map(|asked| lookup(asked.partition)).collect();
        let (session, epoch) = match request.session {
            FetchSession::Incremental { id, epoch } => (self.find(from, id), Some(epoch)),
            FetchSession::Open { closes } => {
                self.close_old(from, closes, request.node_epoch);
                (self.open(from, correlation, request.node_epoch, now), None)
            }
            FetchSession::None { closes } => {
                self.close_old(from, closes, request.node_epoch);
                (Some(self.pass(from, correlation, request.node_epoch, now)), None)
            }
        };
        let opens = matches!(request.session, FetchSession::Open { .. });
        let Some(session) = session else {
            if !opens {
                self.refuse(from, correlation, ErrorCode::FETCH_SESSION_ID_NOT_FOUND);
            }
            return;
        };
        match session.accept(epoch, Arrival { correlation, request, replicas, opens }, now) {
            Accepted::Yes => self.work(&session, now),
            Accepted::Repeated => {}
            Accepted::Refused(code) => self.refuse(from, correlation, code),
        }
    }

    /// A partition has changed. Called after its lock was released, by whoever changed it. Without followers nobody asks for the time.
    pub fn partition_changed(&self, id: TopicIdPartition, what: Changed, clock: impl FnOnce() -> Instant) {
        let concerned = self.shared.watches.concerned(id, what);
        if concerned.is_empty() {
            return;
        }
        let now = clock();
        for session in concerned {
            session.handle_changed(id, what, now);
            self.work(&session, now);
        }
    }

    /// The connection has ended: what waits cannot be answered, and the follower will open new sessions.
    pub fn handle_peer(&self, peer: NodeId, up: bool) {
        if !up {
            self.close_where(|session| session.from() == peer);
        }
    }

    /// The node stops: whoever waits is sent away.
    pub fn close(&self) {
        self.close_where(|_| true);
    }

    /// Does what is due. Says when to come again.
    pub fn tick(&self, now: Instant) -> Option<Instant> {
        // Whoever is done with a session from here on tells the alarm himself.
        self.table.lock().wakes_at = None;
        for session in self.sessions() {
            if session.poll_timeout().is_some_and(|at| at <= now) {
                session.work(&self.shared, now);
            }
        }
        let timeout = self.poll_timeout();
        let mut table = self.table.lock();
        table.wakes_at = [table.wakes_at, timeout].into_iter().flatten().min();
        timeout
    }

    /// When [`tick`](FetchSessions::tick) has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.sessions().iter().filter_map(|session| session.poll_timeout()).min()
    }

    pub fn session_count(&self) -> usize {
        self.table.lock().sessions.len()
    }

    /// Partitions that followers hold in their sessions.
    #[cfg(test)]
    pub fn partition_count(&self) -> usize {
        self.shared.watches.count()
    }

    fn work(&self, session: &Arc<Session>, now: Instant) {
        session.work(&self.shared, now);
        let Some(due) = session.poll_timeout() else { return };
        let is_told = {
            let mut table = self.table.lock();
            let is_told = table.wakes_at.is_some_and(|at| now < at && at <= due);
            if !is_told {
                table.wakes_at = Some(due);
            }
            is_told
        };
        if !is_told {
            self.alarm.wake_by(due);
        }
    }

    fn refuse(&self, to: NodeId, correlation: CorrelationId, code: ErrorCode) {
        self.shared.replier.reply(to, correlation, Err(no_session(code)));
    }

    fn sessions(&self) -> Vec<Arc<Session>> {
        let table = self.table.lock();
        table.sessions.values().chain(&table.passing).cloned().collect()
    }

    fn find(&self, from: NodeId, id: FetchSessionId) -> Option<Arc<Session>> {
        self.table.lock().sessions.get(&id).filter(|session| session.from() == from).cloned()
    }

    /// `None` when this very fetch has opened one already.
    fn open(&self, from: NodeId, by: CorrelationId, node_epoch: NodeEpoch, now: Instant) -> Option<Arc<Session>> {
        let (session, oldest) = {
            let mut table = self.table.lock();
            let is_same = |known: &Arc<Session>| {
                known.from() == from && known.opened_by() == by && known.node_epoch() == node_epoch
            };
            if table.sessions.values().any(is_same) {
                return None;
            }
            let oldest = if table.sessions.len() >= FETCH_SESSIONS_MAX { table.take_oldest() } else { None };
            let id = table.free_id();
            let session = Arc::new(Session::new(Some(id), from, node_epoch, by, now));
            table.sessions.insert(id, Arc::clone(&session));
            (session, oldest)
        };
        if let Some(oldest) = oldest {
            oldest.close(&self.shared);
        }
        Some(session)
    }

    /// A session for one answer.
    fn pass(&self, from: NodeId, by: CorrelationId, node_epoch: NodeEpoch, now: Instant) -> Arc<Session> {
        let session = Arc::new(Session::new(None, from, node_epoch, by, now));
        let over: Vec<Arc<Session>> = {
            let mut table = self.table.lock();
            let excess = (table.passing.len() + 1).saturating_sub(FETCH_SESSIONS_MAX);
            let mut over: Vec<Arc<Session>> = table.passing.drain(..excess).collect();
            table.passing.retain(|passing| {
                let is_over = passing.is_closed();
                over.extend(is_over.then(|| Arc::clone(passing)));
                !is_over
            });
            table.passing.push(Arc::clone(&session));
            over
        };
        for session in over {
            session.close(&self.shared);
        }
        session
    }

    /// The session that a fetcher had before, and those of earlier lives of its node.
    fn close_old(&self, from: NodeId, closes: Option<FetchSessionId>, node_epoch: NodeEpoch) {
        self.close_where(|session| {
            session.from() == from
                && ((closes.is_some() && session.id() == closes) || session.node_epoch() < node_epoch)
        });
    }

    fn close_where(&self, is_over: impl Fn(&Session) -> bool) {
        let mut over = Vec::new();
        {
            let mut table = self.table.lock();
            table.sessions.retain(|_, session| {
                let is_over = is_over(session);
                over.extend(is_over.then(|| Arc::clone(session)));
                !is_over
            });
        }
        for session in over {
            session.close(&self.shared);
        }
    }
}

impl Table {
    fn free_id(&mut self) -> FetchSessionId {
        loop {
            let id = FetchSessionId(NonZeroU32::new(self.rng.u32(1..)).expect("drawn from 1 on"));
            if !self.sessions.contains_key(&id) {
                return id;
            }
        }
    }

    fn take_oldest(&mut self) -> Option<Arc<Session>> {
        let (id, _) = self.sessions.iter().min_by_key(|(_, session)| session.used_at())?;
        let id = *id;
        self.sessions.remove(&id)
    }
}

impl fmt::Debug for FetchSessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FetchSessions").field("sessions", &self.session_count()).finish_non_exhaustive()
    }
}
