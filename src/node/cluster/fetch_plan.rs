//! What one fetcher asks next. Pure: it calls nobody.
//!
//! ```text
//!                 taken, polled                    listed                     answered
//!   due (a time) ---------------> asked, to list ---------> asked, standing -----------> dealt with by the replica
//!     ^  ^                                                      |   its time is over: polled anew, with the next request         |
//!     |  '------------------------------------------------------'                                                                |
//!     '--------------------------------------------------------------------------------------------------------------------------'
//! ```
//!
//! Two requests may be on their way at once, so that a partition that is added, or has backed off, need not wait for the end of a long
//! poll: the second lists it, and the leader ends the first, with nothing if there was nothing. The order of requests matters to a
//! session, that of answers does not, because each partition knows its own number.

use super::replica::Replica;
use crate::error::ErrorCode;
use crate::replication::{Correlation, FetchRequest, NodeEpoch};
use crate::time::Instant;
use crate::wire::{
    FetchSession, FetchSessionEpoch, FetchSessionId, ReplicaFetchPartition, ReplicaFetchRequest, TopicIdPartition,
    PARTITIONS_MAX,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// Requests of one fetcher that may be on their way.
const IN_FLIGHT_MAX: usize = 2;

pub(super) struct FetchPlan {
    entries: BTreeMap<TopicIdPartition, Entry>,
    generation_last: u64,
    /// Nothing stands: when each may be asked about.
    due: BTreeMap<Turn, TopicIdPartition>,
    /// A fetch stands: when each is to be asked about anew.
    expiring: BTreeMap<Turn, TopicIdPartition>,
    turn_last: u64,
    /// Those with a fetch that is not answered.
    asked: BTreeSet<TopicIdPartition>,
    /// Of these, those that the session does not know yet, in the order in which they were answered last; and some others.
    to_list: VecDeque<TopicIdPartition>,
    /// What the session has and we have not.
    forgotten: VecDeque<TopicIdPartition>,
    session: Option<Session>,
    /// The session before, which the leader may drop.
    closes: Option<FetchSessionId>,
    in_flight: Vec<InFlight>,
    /// Nothing is sent before, because something went wrong.
    not_before: Instant,
    node_epoch: NodeEpoch,
    bytes_max: u32,
    wait_max: Duration,
}

/// A time, and who came first of those of one time.
type Turn = (Instant, u64);

struct Entry {
    replica: Arc<dyn Replica>,
    /// Another one each time that it is added.
    generation: u64,
    asked: Option<FetchRequest>,
    /// Its place in `due` or `expiring`.
    at: Option<Turn>,
    /// Somebody is busy with it.
    is_held: bool,
    /// Its fetch goes out with the next request.
    is_to_list: bool,
    /// The leader's session has it.
    is_listed: bool,
    /// The session believes that it was told something, which it was not.
    has_missed: bool,
}

#[derive(Clone, Copy)]
struct Session {
    id: FetchSessionId,
    epoch: FetchSessionEpoch,
    /// A fetch in it was answered.
    has_answered: bool,
}

struct InFlight {
    number: u64,
    opens: bool,
}

/// A partition that somebody is busy with, outside of the lock.
pub(super) struct Held {
    pub id: TopicIdPartition,
    pub replica: Arc<dyn Replica>,
    generation: u64,
}

/// How a request ended, as far as the session is concerned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ending {
    Answered(Option<FetchSessionId>),
    Failed(ErrorCode),
}

impl FetchPlan {
    pub fn new(node_epoch: NodeEpoch, bytes_max: u32, wait_max: Duration) -> FetchPlan {
        FetchPlan {
            entries: BTreeMap::new(),
            generation_last: 0,
            due: BTreeMap::new(),
            expiring: BTreeMap::new(),
            turn_last: 0,
            asked: BTreeSet::new(),
            to_list: VecDeque::new(),
            forgotten: VecDeque::new(),
            session: None,
            closes: None,
            in_flight: Vec::new(),
            not_before: Instant::default(),
            node_epoch,
            bytes_max,
            wait_max,
        }
    }

    /// A partition to ask about, from now on. One that was there is begun anew; what it was before is handed back, to be dropped
    /// outside of the lock.
    pub fn add(&mut self, replica: Arc<dyn Replica>, now: Instant) -> Option<Arc<dyn Replica>> {
        let id = replica.id();
        let before = self.take(id);
        if before.as_ref().is_some_and(|entry| entry.is_listed) {
            self.forgotten.push_back(id);
        }
        self.generation_last += 1;
        let (generation, turn) = (self.generation_last, self.next_turn(now));
        self.due.insert(turn, id);
        self.entries.insert(
            id,
            Entry {
                replica,
                generation,
                asked: None,
                at: Some(turn),
                is_held: false,
                is_to_list: false,
                is_listed: false,
                has_missed: false,
            },
        );
        before.map(|entry| entry.replica)
    }

    fn next_turn(&mut self, at: Instant) -> Turn {
        self.turn_last += 1;
        (at, self.turn_last)
    }

    pub fn remove(&mut self, id: TopicIdPartition) -> Option<Arc<dyn Replica>> {
        let entry = self.take(id)?;
        if entry.is_listed {
            self.forgotten.push_back(id);
        }
        Some(entry.replica)
    }

    fn take(&mut self, id: TopicIdPartition) -> Option<Entry> {
        let entry = self.entries.remove(&id)?;
        if let Some(at) = entry.at {
            self.due.remove(&at);
            self.expiring.remove(&at);
        }
        self.asked.remove(&id);
        Some(entry)
    }

    /// Those to be polled for the next request, if one may be sent: then [`polled`](FetchPlan::polled), for each.
    pub fn take_due(&mut self, now: Instant) -> Vec<Held> {
        if !self.may_send(now) || !(self.in_flight.is_empty() || self.has_due(now)) {
            return Vec::new();
        }
        let mut held = Vec::new();
        for waiting in [&mut self.due, &mut self.expiring] {
            while let Some((_, id)) =
                waiting.first_entry().filter(|first| first.key().0 <= now).map(|first| first.remove_entry())
            {
                let entry = self.entries.get_mut(&id).expect("only what is there has a time");
                entry.at = None;
                entry.is_held = true;
                held.push(Held { id, replica: Arc::clone(&entry.replica), generation: entry.generation });
            }
        }
        held
    }

    /// What a partition wants to ask, and when it wants to be polled next.
    pub fn polled(&mut self, held: &Held, fetch: Option<FetchRequest>, next: Option<Instant>) {
        let Some(entry) = self.entries.get_mut(&held.id).filter(|entry| entry.generation == held.generation) else {
            return;
        };
        if fetch.is_some() {
            entry.asked = fetch;
            self.asked.insert(held.id);
            if !std::mem::replace(&mut entry.is_to_list, true) {
                self.to_list.push_back(held.id);
            }
        }
        entry.is_held = false;
        let is_asked = entry.asked.is_some();
        entry.at = next.map(|at| (at, self.turn_last + 1));
        if let Some(turn) = entry.at {
            self.turn_last = turn.1;
            let waiting = if is_asked { &mut self.expiring } else { &mut self.due };
            waiting.insert(turn, held.id);
        }
    }

    /// The next request, if there is one to be sent now.
    pub fn poll_request(&mut self, number: u64, now: Instant) -> Option<ReplicaFetchRequest> {
        if self.entries.is_empty() {
            return self.farewell();
        }
        if !self.may_send(now) {
            return None;
        }
        let session = match &mut self.session {
            Some(session) => {
                let has_reason = !self.to_list.is_empty() || (self.in_flight.is_empty() && !self.asked.is_empty());
                if !has_reason {
                    return None;
                }
                let Session { id, epoch, .. } = *session;
                session.epoch = epoch.next();
                FetchSession::Incremental { id, epoch }
            }
            None if self.asked.is_empty() => return None,
            None => {
                self.list_all();
                FetchSession::Open { closes: self.closes.take() }
            }
        };
        let opens = matches!(session, FetchSession::Open { .. });
        self.in_flight.push(InFlight { number, opens });
        let count = self.to_list.len().min(PARTITIONS_MAX);
        let mut partitions = Vec::with_capacity(count);
        for _ in 0..count {
            partitions.extend(self.to_list.pop_front().and_then(|partition| self.list(partition)));
        }
        let count = self.forgotten.len().min(PARTITIONS_MAX);
        let forgotten = self.forgotten.drain(..count).collect();
        Some(self.request(session, partitions, forgotten))
    }

    /// Nothing is left: the leader need not remember us.
    fn farewell(&mut self) -> Option<ReplicaFetchRequest> {
        if self.in_flight.iter().any(|request| request.opens) {
            return None; // its number is not known yet
        }
        self.lose_session();
        let closes = Some(self.closes.take()?);
        Some(self.request(FetchSession::None { closes }, Vec::new(), Vec::new()))
    }

    fn request(
        &self,
        session: FetchSession,
        partitions: Vec<ReplicaFetchPartition>,
        forgotten: Vec<TopicIdPartition>,
    ) -> ReplicaFetchRequest {
        let wait_max_ms = u32::try_from(self.wait_max.as_millis()).unwrap_or(u32::MAX);
        let (node_epoch, bytes_max) = (self.node_epoch, self.bytes_max);
        ReplicaFetchRequest { node_epoch, bytes_max, wait_max_ms, session, partitions, forgotten }
    }

    /// The session is new: everything that stands.
    fn list_all(&mut self) {
        for id in &self.asked {
            let Some(entry) = self.entries.get_mut(id) else { continue };
            if !std::mem::replace(&mut entry.is_to_list, true) {
                self.to_list.push_back(*id);
            }
        }
    }

    fn list(&mut self, partition: TopicIdPartition) -> Option<ReplicaFetchPartition> {
        let entry = self.entries.get_mut(&partition).filter(|entry| entry.is_to_list)?;
        entry.is_to_list = false;
        if std::mem::take(&mut entry.has_missed) && entry.is_listed {
            // In one request with the fetch: the leader forgets first what it believes.
            self.forgotten.push_back(partition);
        }
        entry.is_listed = true;
        entry.asked.map(|fetch| ReplicaFetchPartition { partition, fetch })
    }

    /// A request has ended. Says whether it was one that still counts.
    pub fn handle_ending(&mut self, number: u64, ending: Ending, retry_at: Instant) -> bool {
        let Some(place) = self.in_flight.iter().position(|request| request.number == number) else { return false };
        let InFlight { opens, .. } = self.in_flight.remove(place);
        match (ending, &mut self.session) {
            (Ending::Answered(session), _) if opens => {
                let epoch = FetchSessionEpoch::FIRST;
                self.session = session.map(|id| Session { id, epoch, has_answered: false });
                if self.session.is_none() {
                    self.lose_session();
                }
            }
            (Ending::Answered(Some(id)), Some(session)) if session.id == id => session.has_answered = true,
            (Ending::Answered(_), _) => self.lose_session(),
            (Ending::Failed(code), session) => {
                let is_gone =
                    [ErrorCode::FETCH_SESSION_ID_NOT_FOUND, ErrorCode::INVALID_FETCH_SESSION_EPOCH].contains(&code);
                // A session that was good for something is opened again at once.
                if !is_gone || !session.is_some_and(|session| session.has_answered) {
                    self.not_before = retry_at;
                }
                self.lose_session();
            }
        }
        true
    }

    /// The fetch of a partition that this number answers, and who is to deal with it; `None` if nobody waits for it. Then
    /// [`polled`](FetchPlan::polled). `counts`: it came in an answer of this session.
    pub fn take_answered(
        &mut self,
        id: TopicIdPartition,
        correlation: Correlation,
        counts: bool,
    ) -> Option<(Held, FetchRequest)> {
        let entry = self.entries.get_mut(&id)?;
        let answered = entry.asked.filter(|fetch| fetch.correlation == correlation && !entry.is_held);
        let Some(fetch) = answered else {
            // It was asked anew meanwhile, or is about to be: that asks for everything.
            entry.has_missed |= counts;
            if counts && entry.asked.is_some() && !entry.is_held && !std::mem::replace(&mut entry.is_to_list, true) {
                self.to_list.push_back(id);
            }
            return None;
        };
        entry.asked = None;
        entry.is_held = true;
        if let Some(at) = entry.at.take() {
            self.expiring.remove(&at);
        }
        entry.is_to_list = false;
        self.asked.remove(&id);
        Some((Held { id, replica: Arc::clone(&entry.replica), generation: entry.generation }, fetch))
    }

    /// Whatever the leader remembers does not count any more; what stands is listed again, under the same numbers.
    pub fn lose_session(&mut self) {
        self.in_flight.clear();
        self.forgotten.clear();
        if let Some(session) = self.session.take() {
            self.closes = Some(session.id);
        }
        for entry in self.entries.values_mut() {
            entry.is_listed = false;
        }
    }

    /// The node lives under another number: everything is said again under it.
    pub fn handle_node_epoch(&mut self, node_epoch: NodeEpoch) {
        if self.node_epoch != node_epoch {
            self.node_epoch = node_epoch;
            self.lose_session();
        }
    }

    /// The connection begins anew or has ended.
    pub fn handle_peer(&mut self, up: bool, retry_at: Instant) {
        self.lose_session();
        self.not_before = if up { Instant::default() } else { retry_at };
    }

    fn may_send(&self, now: Instant) -> bool {
        now >= self.not_before && self.has_room()
    }

    /// A second request goes only into a session that is open.
    fn has_room(&self) -> bool {
        self.in_flight.is_empty() || (self.in_flight.len() < IN_FLIGHT_MAX && self.session.is_some())
    }

    fn has_due(&self, now: Instant) -> bool {
        self.due.first_key_value().is_some_and(|((at, _), _)| *at <= now)
    }

    /// When there is something to be done that no answer brings about.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if !self.has_room() {
            return None;
        }
        let is_idle = self.in_flight.is_empty();
        let standing = (is_idle && !self.asked.is_empty()).then(Instant::default);
        let due = self.due.first_key_value().map(|((at, _), _)| *at);
        [standing, due].into_iter().flatten().min().map(|at| at.max(self.not_before))
    }

    pub fn partition_count(&self) -> usize {
        self.entries.len()
    }
}
