//! What a session remembers, and which fetch waits in it. Pure: it calls nobody.
//!
//! ```text
//!   listed --> queue, to be looked at --> records, an error, a parting of logs --> answered at once
//!                ^                  |---> the high watermark alone ---> quiet: after HIGH_WATERMARK_LINGER, or with records
//!                |                  '---> nothing ---> stands
//!                '--- partition_changed ------------------'
//! ```
//!
//! The queue is the partitions' turn: what did not fit into an answer is first in line for the next one.

use super::replica::{Known, Replica, Serving};
use super::round::{Found, Look, LookFor, Round, ANSWER_BYTES_MAX, ANSWER_PARTITIONS_MAX};
use super::watches::{Changed, Watch};
use crate::replication::{FetchOutcome, FetchRequest, FetchResponse, NodeEpoch};
use crate::time::Instant;
use crate::types::NodeId;
use crate::wire::{
    CorrelationId, ReplicaFetchPartition, ReplicaFetchPartitionResponse, ReplicaFetchRequest, TopicIdPartition,
    PARTITIONS_MAX,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// How long a follower that has everything else waits to hear of the high watermark alone. A lone sender's next record comes earlier.
pub(crate) const HIGH_WATERMARK_LINGER: Duration = Duration::from_millis(2);
/// The longest that a fetch may wait, whatever it asks for.
pub(crate) const FETCH_WAIT_MAX: Duration = Duration::from_secs(60);
/// Fetches of a session that have arrived and not been looked at.
const ARRIVALS_MAX: usize = 4;

pub(super) struct SessionState {
    from: NodeId,
    node_epoch: NodeEpoch,
    partitions: BTreeMap<TopicIdPartition, Listed>,
    /// Those that are dirty, and some that are not any more.
    queue: VecDeque<TopicIdPartition>,
    /// Those whose fetch nobody has heard yet, and some that are not any more.
    fresh: Vec<TopicIdPartition>,
    quiet: BTreeSet<TopicIdPartition>,
    /// When those are told.
    quiet_until: Option<Instant>,
    waiting: Option<Waiting>,
    /// Found for the fetch that waits; the quiet ones are looked at before it goes.
    found: Option<Found>,
    arrivals: VecDeque<Arrival>,
}

struct Listed {
    /// `None`: no such partition is here.
    replica: Option<Arc<dyn Replica>>,
    watch: Arc<Watch>,
    fetch: FetchRequest,
    /// Nobody has heard the fetch yet.
    is_fresh: bool,
    known: Option<Known>,
}

struct Waiting {
    correlation: CorrelationId,
    until: Instant,
    bytes_max: u32,
}

/// A fetch on its way into the session.
pub(super) struct Arrival {
    pub correlation: CorrelationId,
    pub request: ReplicaFetchRequest,
    /// Those of the request's partitions, in their order.
    pub replicas: Vec<Option<Arc<dyn Replica>>>,
    /// The follower waits for the session's number, too.
    pub opens: bool,
}

/// What changed in the list of partitions.
#[derive(Default)]
pub(super) struct Relisted {
    pub added: Vec<(TopicIdPartition, Arc<Watch>)>,
    pub removed: Vec<TopicIdPartition>,
    /// To be dropped outside of the lock.
    pub replicas: Vec<Arc<dyn Replica>>,
}

/// What the worker does next.
pub(super) enum Step {
    /// Before anything is looked at.
    Register(Relisted),
    Look(Round),
    Answer(CorrelationId, Vec<ReplicaFetchPartitionResponse>),
    Rest,
}

impl SessionState {
    pub fn new(from: NodeId) -> SessionState {
        SessionState {
            from,
            node_epoch: NodeEpoch::default(),
            partitions: BTreeMap::new(),
            queue: VecDeque::new(),
            fresh: Vec::new(),
            quiet: BTreeSet::new(),
            quiet_until: None,
            waiting: None,
            found: None,
            arrivals: VecDeque::new(),
        }
    }

    pub fn handle_arrival(&mut self, arrival: Arrival) {
        self.arrivals.push_back(arrival);
    }

    /// Whether this may not arrive: too many fetches wait to be looked at, or the session would hold too many partitions.
    pub fn is_too_much(&self, request: &ReplicaFetchRequest) -> bool {
        let is_new = |asked: &&ReplicaFetchPartition| !self.partitions.contains_key(&asked.partition);
        let count = self.partitions.len() + request.partitions.len();
        self.arrivals.len() >= ARRIVALS_MAX
            || (count > PARTITIONS_MAX
                && self.partitions.len() + request.partitions.iter().filter(is_new).count() > PARTITIONS_MAX)
    }

    /// A partition has changed.
    pub fn handle_changed(&mut self, id: TopicIdPartition, what: Changed, now: Instant) {
        let Some(listed) = self.partitions.get(&id) else { return };
        if !listed.watch.is_standing() || listed.watch.is_dirty() {
            return;
        }
        if what == Changed::HighWatermark {
            listed.watch.set_quiet(true);
            self.quiet.insert(id);
            self.quiet_until.get_or_insert(now + HIGH_WATERMARK_LINGER);
        } else {
            listed.watch.set_dirty(true);
            self.queue.push_back(id);
        }
    }

    /// When the fetch that waits is answered without news, or with small ones.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let until = self.waiting.as_ref()?.until;
        Some(self.quiet_until.map_or(until, |at| at.min(until)))
    }

    pub fn poll_step(&mut self, now: Instant) -> Step {
        if let Some(found) = self.found.take() {
            return Step::Look(self.quiet_round(found));
        }
        if !self.arrivals.is_empty() {
            if let Some(waiting) = self.waiting.take() {
                // The follower has more to ask, and does not wait for this one any more.
                return Step::Answer(waiting.correlation, Vec::new());
            }
        }
        if let Some(arrival) = self.arrivals.pop_front() {
            return Step::Register(self.arrive(arrival, now));
        }
        let Some(Waiting { until, bytes_max, .. }) = self.waiting else { return Step::Rest };
        let found = Found::due(now >= until);
        if !self.queue.is_empty() {
            return Step::Look(self.round(found, bytes_max));
        }
        if found.is_due || self.quiet_until.is_some_and(|at| now >= at) {
            return Step::Look(self.quiet_round(found));
        }
        Step::Rest
    }

    fn arrive(&mut self, arrival: Arrival, now: Instant) -> Relisted {
        let Arrival { correlation, request, replicas, opens } = arrival;
        let mut relisted = Relisted::default();
        self.node_epoch = request.node_epoch;
        for id in request.forgotten {
            if let Some(listed) = self.partitions.remove(&id) {
                listed.watch.rest();
                self.quiet.remove(&id);
                relisted.removed.push(id);
                relisted.replicas.extend(listed.replica);
            }
        }
        for (asked, replica) in request.partitions.into_iter().zip(replicas) {
            self.list(asked, replica, &mut relisted);
        }
        let wait_max = Duration::from_millis(request.wait_max_ms.into()).min(FETCH_WAIT_MAX);
        let wait_max = match (self.partitions.is_empty(), opens) {
            (true, _) => Duration::ZERO,
            (false, true) => wait_max.min(HIGH_WATERMARK_LINGER),
            (false, false) => wait_max,
        };
        let bytes_max = request.bytes_max.min(ANSWER_BYTES_MAX);
        self.waiting = Some(Waiting { correlation, until: now + wait_max, bytes_max });
        relisted
    }

    fn list(&mut self, asked: ReplicaFetchPartition, replica: Option<Arc<dyn Replica>>, relisted: &mut Relisted) {
        let ReplicaFetchPartition { partition: id, fetch } = asked;
        let listed = self.partitions.entry(id).or_insert_with(|| {
            let watch = Arc::new(Watch::default());
            relisted.added.push((id, Arc::clone(&watch)));
            Listed { replica: None, watch, fetch, is_fresh: false, known: None }
        });
        let before = std::mem::replace(&mut listed.replica, replica);
        if !is_same(before.as_ref(), listed.replica.as_ref()) {
            relisted.replicas.extend(before);
        }
        listed.fetch = fetch;
        if !std::mem::replace(&mut listed.is_fresh, true) {
            self.fresh.push(id);
        }
        // It stands from here on, so that nothing is overlooked that happens while it is looked at.
        listed.watch.stand();
        if !listed.watch.is_dirty() {
            listed.watch.set_dirty(true);
            self.queue.push_back(id);
        }
    }

    /// Everybody who is dirty, in turn. What a fetch acknowledges is heard at once, even if others are served before it.
    fn round(&mut self, found: Found, bytes_max: u32) -> Round {
        let (mut queue, mut fresh) = (std::mem::take(&mut self.queue), std::mem::take(&mut self.fresh));
        let must_wait = !queue.iter().all(|id| self.partitions.get(id).is_some_and(|listed| listed.is_fresh));
        let mut looks = Vec::with_capacity(queue.len());
        for id in fresh.iter().filter(|_| must_wait) {
            if self.is_heard_now(*id) {
                looks.extend(self.look(*id, true, LookFor::Nothing));
            }
        }
        for id in &queue {
            // What was answered or forgotten since is not dirty any more.
            if self.partitions.get(id).is_some_and(|listed| listed.watch.is_standing() && listed.watch.is_dirty()) {
                let is_new = self.is_heard_now(*id);
                looks.extend(self.look(*id, is_new, LookFor::Records));
            }
        }
        queue.clear();
        for id in fresh.drain(..) {
            self.is_heard_now(id);
        }
        (self.queue, self.fresh) = (queue, fresh); // with the room that they have
        Round { looks, found, bytes_max }
    }

    /// Whether this partition's fetch was not heard before; from now on it was.
    fn is_heard_now(&mut self, id: TopicIdPartition) -> bool {
        self.partitions.get_mut(&id).is_some_and(|listed| std::mem::take(&mut listed.is_fresh))
    }

    /// Those with a new high watermark.
    fn quiet_round(&mut self, mut found: Found) -> Round {
        found.has_quiet = true;
        self.quiet_until = None;
        let room = ANSWER_PARTITIONS_MAX.saturating_sub(found.answers.len());
        let rest = self.quiet.iter().nth(room).copied().map(|first| self.quiet.split_off(&first));
        let quiet = std::mem::replace(&mut self.quiet, rest.unwrap_or_default());
        let looks = quiet.into_iter().filter_map(|id| self.look(id, false, LookFor::Quiet)).collect();
        Round { looks, found, bytes_max: 0 }
    }

    fn look(&self, id: TopicIdPartition, is_new: bool, what: LookFor) -> Option<Look> {
        let listed = self.partitions.get(&id).filter(|listed| listed.watch.is_standing())?;
        // Clean, before it is looked at.
        match what {
            LookFor::Nothing => {}
            LookFor::Records => listed.watch.set_dirty(false),
            LookFor::Quiet => listed.watch.set_quiet(false),
        }
        if what == LookFor::Quiet && listed.watch.is_dirty() {
            return None; // it hears with its records, when it is its turn
        }
        let Listed { replica, fetch, known, .. } = listed;
        let (from, node_epoch) = (self.from, self.node_epoch);
        let serving = Serving { from, node_epoch, is_new, known: *known, bytes_max: 0, is_first: false };
        Some(Look { id, replica: replica.clone(), fetch: *fetch, serving, what })
    }

    /// What a round found: the answer, if it is one. Else [`poll_step`](SessionState::poll_step) goes on.
    pub fn handle_found(&mut self, mut found: Found, now: Instant) -> Option<Step> {
        for id in found.left.drain(..).rev() {
            if let Some(listed) = self.partitions.get(&id).filter(|listed| !listed.watch.is_dirty()) {
                listed.watch.set_dirty(true);
                self.queue.push_front(id);
            }
        }
        for id in found.quiet.drain(..) {
            if let Some(listed) = self.partitions.get(&id) {
                listed.watch.set_quiet(true);
                self.quiet.insert(id);
                self.quiet_until.get_or_insert(now + HIGH_WATERMARK_LINGER);
            }
        }
        if found.answers.is_empty() && !found.is_due {
            return None;
        }
        if !self.quiet.is_empty() {
            for answer in &found.answers {
                self.quiet.remove(&answer.partition); // it hears with its records
            }
        }
        if !found.has_quiet && !self.quiet.is_empty() {
            self.found = Some(found);
            return None;
        }
        let waiting = self.waiting.take()?;
        for answer in &found.answers {
            let Some(listed) = self.partitions.get_mut(&answer.partition) else { continue };
            listed.watch.rest();
            self.quiet.remove(&answer.partition); // quiet again, while others were looked at
            let FetchResponse { high_watermark, log_start, outcome, .. } = &answer.fetched;
            // Whoever is refused, or has to cut his log, does not take these two in.
            let is_taken_in = matches!(outcome, FetchOutcome::Records(_));
            listed.known = is_taken_in.then_some(Known { high_watermark: *high_watermark, log_start: *log_start });
        }
        if self.quiet.is_empty() {
            self.quiet_until = None; // they have heard it with their records
        }
        Some(Step::Answer(waiting.correlation, found.answers))
    }

    /// The session is over: who waits for an answer, and what is not listed any more.
    pub fn close(&mut self) -> (Vec<CorrelationId>, Relisted) {
        let waiting = self.waiting.take().map(|waiting| waiting.correlation);
        let correlations = waiting.into_iter().chain(self.arrivals.drain(..).map(|arrival| arrival.correlation));
        let correlations = correlations.collect();
        let mut relisted = Relisted::default();
        for (id, listed) in std::mem::take(&mut self.partitions) {
            listed.watch.rest();
            relisted.removed.push(id);
            relisted.replicas.extend(listed.replica);
        }
        (correlations, relisted)
    }
}

/// Then the old one may be dropped wherever one likes.
fn is_same(before: Option<&Arc<dyn Replica>>, after: Option<&Arc<dyn Replica>>) -> bool {
    matches!((before, after), (Some(before), Some(after)) if Arc::ptr_eq(before, after))
}
