//! The session of one follower's fetcher: one worker at a time, and whoever has news leaves it here.

use super::session_state::{Arrival, SessionState, Step};
use super::sessions::FetchReplier;
use super::watches::{Changed, Watches};
use crate::error::{Error, ErrorCode};
use crate::replication::NodeEpoch;
use crate::time::Instant;
use crate::types::NodeId;
use crate::wire::{CorrelationId, FetchSessionEpoch, FetchSessionId, ReplicaFetchResponse, TopicIdPartition};
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;

/// What all sessions of a node share.
pub(super) struct Shared {
    pub watches: Watches,
    pub replier: Arc<dyn FetchReplier>,
}

pub(super) struct Session {
    /// `None`: it is over with its first answer.
    id: Option<FetchSessionId>,
    from: NodeId,
    node_epoch: NodeEpoch,
    opened_by: CorrelationId,
    /// Time of its last fetch.
    used_at: AtomicU64,
    is_closed: AtomicBool,
    inner: Mutex<Inner>,
}

struct Inner {
    state: SessionState,
    /// Of the fetch that comes next.
    epoch: FetchSessionEpoch,
    /// The fetch that came last.
    last: Option<(FetchSessionEpoch, CorrelationId)>,
    /// The latest that anybody brought.
    now: Instant,
    is_working: bool,
}

/// What becomes of a fetch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Accepted {
    Yes,
    /// It came before: it was answered, or will be.
    Repeated,
    Refused(ErrorCode),
}

/// However the work ends, also by a panic of a replica: somebody else may work.
struct Turn<'a>(&'a Session);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.inner.lock().is_working = false;
    }
}

impl Session {
    pub fn new(
        id: Option<FetchSessionId>,
        from: NodeId,
        node_epoch: NodeEpoch,
        opened_by: CorrelationId,
        now: Instant,
    ) -> Session {
        let inner = Inner {
            state: SessionState::new(from),
            epoch: FetchSessionEpoch::FIRST,
            last: None,
            now,
            is_working: false,
        };
        let (used_at, is_closed) = (AtomicU64::new(now.0), AtomicBool::new(false));
        Session { id, from, node_epoch, opened_by, used_at, is_closed, inner: Mutex::new(inner) }
    }

    /// A fetch; `epoch` is `None` for the one that opens the session.
    pub fn accept(&self, epoch: Option<FetchSessionEpoch>, arrival: Arrival, now: Instant) -> Accepted {
        let mut inner = self.inner.lock();
        if self.is_closed() {
            return Accepted::Refused(ErrorCode::FETCH_SESSION_ID_NOT_FOUND);
        }
        if let Some(epoch) = epoch {
            if inner.last == Some((epoch, arrival.correlation)) {
                return Accepted::Repeated;
            }
            if inner.epoch != epoch || inner.state.is_too_much(&arrival.request) {
                return Accepted::Refused(ErrorCode::INVALID_FETCH_SESSION_EPOCH);
            }
            inner.last = Some((epoch, arrival.correlation));
            inner.epoch = epoch.next();
        }
        self.used_at.fetch_max(now.0, Ordering::Relaxed);
        inner.state.handle_arrival(arrival);
        Accepted::Yes
    }

    /// Leaves word of a change.
    pub fn handle_changed(&self, id: TopicIdPartition, what: Changed, now: Instant) {
        self.inner.lock().state.handle_changed(id, what, now);
    }

    /// Answers what can be answered. Somebody who is at it already does it for us.
    pub fn work(self: &Arc<Self>, shared: &Shared, now: Instant) {
        while self.take_turn(now) {
            let turn = Turn(self);
            let Some((correlation, response)) = self.work_for_answer(shared) else {
                std::mem::forget(turn); // given back already, under the lock
                return;
            };
            // The answer may bring the follower's next fetch, on this very thread.
            drop(turn);
            shared.replier.reply(self.from, correlation, Ok(response));
            if self.id.is_none() {
                self.close(shared);
            }
        }
    }

    fn take_turn(&self, now: Instant) -> bool {
        let mut inner = self.inner.lock();
        inner.now = inner.now.max(now);
        !std::mem::replace(&mut inner.is_working, true)
    }

    /// `None` when there is nothing to do; the turn is given back then.
    fn work_for_answer(self: &Arc<Self>, shared: &Shared) -> Option<(CorrelationId, ReplicaFetchResponse)> {
        let mut found = None;
        loop {
            let (step, now) = {
                let mut inner = self.inner.lock();
                let now = inner.now;
                let answer = found.take().and_then(|found| inner.state.handle_found(found, now));
                let step = answer.unwrap_or_else(|| inner.state.poll_step(now));
                if matches!(step, Step::Rest) {
                    // Under the lock that everybody needs who has news, so that none is overlooked.
                    inner.is_working = false;
                }
                (step, now)
            };
            match step {
                Step::Rest => return None,
                Step::Answer(correlation, partitions) => {
                    return Some((correlation, ReplicaFetchResponse { session: self.id, partitions }));
                }
                Step::Register(relisted) => {
                    let added: Vec<TopicIdPartition> = relisted.added.iter().map(|(id, _)| *id).collect();
                    shared.watches.remove(self, &relisted.removed);
                    shared.watches.add(self, relisted.added);
                    if self.is_closed() {
                        shared.watches.remove(self, &added);
                    }
                }
                Step::Look(round) => {
                    found = Some(round.look(now));
                }
            }
        }
    }

    /// Ends the session: what waits in it is told to open another one.
    pub fn close(self: &Arc<Self>, shared: &Shared) {
        let (correlations, relisted) = {
            let mut inner = self.inner.lock();
            self.is_closed.store(true, Ordering::SeqCst); // under the lock: nothing arrives after this
            inner.state.close()
        };
        shared.watches.remove(self, &relisted.removed);
        drop(relisted);
        for correlation in correlations {
            shared.replier.reply(self.from, correlation, Err(no_session(ErrorCode::FETCH_SESSION_ID_NOT_FOUND)));
        }
    }

    pub fn id(&self) -> Option<FetchSessionId> {
        self.id
    }

    pub fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::SeqCst)
    }

    pub fn from(&self) -> NodeId {
        self.from
    }

    pub fn node_epoch(&self) -> NodeEpoch {
        self.node_epoch
    }

    pub fn opened_by(&self) -> CorrelationId {
        self.opened_by
    }

    pub fn used_at(&self) -> Instant {
        Instant(self.used_at.load(Ordering::Relaxed))
    }

    /// `None` also while somebody is at it: he asks when he is done.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let inner = self.inner.lock();
        if inner.is_working {
            return None;
        }
        inner.state.poll_timeout()
    }
}

/// The follower opens a new session after this.
pub(super) fn no_session(code: ErrorCode) -> Error {
    Error::new(code, "the fetch session is not known here, or goes on elsewhere: open a new one")
}
