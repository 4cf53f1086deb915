//! Requests that wait: each is completed exactly once, by whatever comes first of a change that satisfies it, its deadline, and the end
//! of its client.
//!
//! Nothing is missed: whoever has something to wait for is put on the lists of its partitions first and looks once more then (Kafka's
//! `tryCompleteElseWatch`). A ticket that is being looked at is with nobody else; whoever finds it so leaves a note, and it is looked at again.

use crate::time::Instant;
use crate::types::{NodeId, TopicPartition};
use crate::wire::{CorrelationId, Response};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

/// So many requests may wait at a time. One more is answered at once as if its time were over.
pub(crate) const WAITING_MAX: usize = 16 * 1024;

/// A request that may have to wait.
pub(super) trait Operation: Send {
    /// What it waits for.
    fn partitions(&self) -> Vec<TopicPartition>;
    /// Looks at the partitions: is there an answer now? Called with no lock held.
    fn look(&mut self) -> Option<Response>;
    /// The answer when the time is over.
    fn expire(&mut self) -> Response;
}

/// Where an answer goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Asker {
    pub from: NodeId,
    pub correlation: CorrelationId,
}

/// See above. Every call from any thread.
#[derive(Default)]
pub(super) struct Purgatory {
    state: Mutex<State>,
    /// How many wait, to be read without the lock.
    count: AtomicUsize,
}

#[derive(Default)]
struct State {
    last: u64,
    tickets: BTreeMap<u64, Arc<Ticket>>,
    watches: BTreeMap<TopicPartition, BTreeSet<u64>>,
    deadlines: BTreeSet<(Instant, u64)>,
}

struct Ticket {
    number: u64,
    asker: Asker,
    deadline: Instant,
    partitions: Vec<TopicPartition>,
    stage: Mutex<Stage>,
}

enum Stage {
    Resting(Box<dyn Operation>),
    /// Somebody looks at it. `again`: something has happened since; `is_over`: its time is over.
    AtWork {
        again: bool,
        is_over: bool,
    },
    Gone,
}

/// What is to be done with a ticket.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    Look,
    Expire,
}

/// Carries an answer to whoever asked.
pub(super) type Answer<'a> = &'a dyn Fn(Asker, Response);

impl Purgatory {
    /// Keeps the request until it can be answered; perhaps that is now. Answers whether it waits.
    pub fn add(&self, asker: Asker, deadline: Instant, mut operation: Box<dyn Operation>, answer: Answer<'_>) -> bool {
        let partitions = operation.partitions();
        let mut state = self.state.lock();
        if state.tickets.len() >= WAITING_MAX {
            drop(state);
            answer(asker, operation.expire());
            return false;
        }
        state.last += 1;
        let number = state.last;
        let stage = Mutex::new(Stage::Resting(operation));
        let ticket = Arc::new(Ticket { number, asker, deadline, partitions, stage });
        for partition in &ticket.partitions {
            state.watches.entry(partition.clone()).or_default().insert(number);
        }
        state.deadlines.insert((deadline, number));
        state.tickets.insert(number, Arc::clone(&ticket));
        // Before the look below takes a partition's lock: whoever changes that partition afterwards sees it.
        self.count.store(state.tickets.len(), Ordering::SeqCst);
        drop(state);
        !self.take_turn(&ticket, Turn::Look, answer)
    }

    /// Something about this partition has changed. One load when nobody waits.
    pub fn handle_changed(&self, partition: &TopicPartition, answer: Answer<'_>) {
        if self.count.load(Ordering::SeqCst) == 0 {
            return;
        }
        let watching: Vec<Arc<Ticket>> = {
            let state = self.state.lock();
            let numbers = state.watches.get(partition).into_iter().flatten();
            numbers.filter_map(|number| state.tickets.get(number).cloned()).collect()
        };
        for ticket in watching {
            self.take_turn(&ticket, Turn::Look, answer);
        }
    }

    /// Answers those whose time is over; says when the next one's is.
    pub fn tick(&self, now: Instant, answer: Answer<'_>) -> Option<Instant> {
        let late: Vec<Arc<Ticket>> = {
            let state = self.state.lock();
            let late = state.deadlines.iter().take_while(|(deadline, _)| *deadline <= now);
            late.filter_map(|(_, number)| state.tickets.get(number).cloned()).collect()
        };
        for ticket in late {
            self.take_turn(&ticket, Turn::Expire, answer);
        }
        // Those that somebody is looking at, he finishes.
        let state = self.state.lock();
        state.deadlines.range((now, u64::MAX)..).next().map(|(deadline, _)| *deadline)
    }

    /// These are not to be answered any more.
    pub fn forget(&self, is_meant: impl Fn(&Asker) -> bool) {
        let meant: Vec<Arc<Ticket>> = {
            let state = self.state.lock();
            state.tickets.values().filter(|ticket| is_meant(&ticket.asker)).cloned().collect()
        };
        for ticket in meant {
            let before = std::mem::replace(&mut *ticket.stage.lock(), Stage::Gone);
            drop(before);
            self.remove(&ticket);
        }
    }

    pub fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    /// Looks at the ticket, or ends it, unless somebody else is at it: then he does it. True when this call has answered it.
    fn take_turn(&self, ticket: &Ticket, turn: Turn, answer: Answer<'_>) -> bool {
        let Some(mut operation) = ticket.take(turn) else { return false };
        let mut turn = turn;
        loop {
            let response = match turn {
                Turn::Look => operation.look(),
                Turn::Expire => Some(operation.expire()),
            };
            match response {
                Some(response) => {
                    // Forgotten meanwhile: nobody is there to hear it.
                    let is_wanted = ticket.end();
                    self.remove(ticket);
                    if is_wanted {
                        answer(ticket.asker, response);
                    }
                    return is_wanted;
                }
                None => match ticket.put_back(operation) {
                    Some((taken, next)) => (operation, turn) = (taken, next),
                    None => return false,
                },
            }
        }
    }

    fn remove(&self, ticket: &Ticket) {
        let mut state = self.state.lock();
        if state.tickets.remove(&ticket.number).is_none() {
            return;
        }
        state.deadlines.remove(&(ticket.deadline, ticket.number));
        for partition in &ticket.partitions {
            if let Some(watching) = state.watches.get_mut(partition) {
                watching.remove(&ticket.number);
                if watching.is_empty() {
                    state.watches.remove(partition);
                }
            }
        }
        self.count.store(state.tickets.len(), Ordering::SeqCst);
    }
}

impl Ticket {
    /// The operation, for whoever may work on it now; the others leave a note.
    fn take(&self, turn: Turn) -> Option<Box<dyn Operation>> {
        let mut stage = self.stage.lock();
        match &mut *stage {
            Stage::Resting(_) => {
                let at_work = Stage::AtWork { again: false, is_over: false };
                match std::mem::replace(&mut *stage, at_work) {
                    Stage::Resting(operation) => Some(operation),
                    Stage::AtWork { .. } | Stage::Gone => unreachable!("it was resting, under this lock"),
                }
            }
            Stage::AtWork { again, is_over } => {
                *again = true;
                *is_over |= turn == Turn::Expire;
                None
            }
            Stage::Gone => None,
        }
    }

    /// Back to rest; or with what is to be done next, if somebody has left a note.
    fn put_back(&self, operation: Box<dyn Operation>) -> Option<(Box<dyn Operation>, Turn)> {
        let mut stage = self.stage.lock();
        match &mut *stage {
            Stage::AtWork { is_over: true, .. } => Some((operation, Turn::Expire)),
            Stage::AtWork { again, .. } if *again => {
                *again = false;
                Some((operation, Turn::Look))
            }
            Stage::AtWork { .. } => {
                *stage = Stage::Resting(operation);
                None
            }
            // Forgotten meanwhile.
            Stage::Resting(_) | Stage::Gone => None,
        }
    }

    /// Whether it still was there to be answered.
    fn end(&self) -> bool {
        !matches!(std::mem::replace(&mut *self.stage.lock(), Stage::Gone), Stage::Gone)
    }
}

impl fmt::Debug for Purgatory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Purgatory").field("count", &self.count()).finish_non_exhaustive()
    }
}
