//! Sessions under threads: appenders, a follower, somebody who ticks.

use super::super::*;
use super::replicas::*;
use super::world::*;
use crate::error::Result;
use crate::replication::{Correlation, FetchOutcome, FetchRequest, NodeEpoch};
use crate::time::{Clock, Instant, SystemClock};
use crate::types::{NodeId, Offset};
use crate::wire::{
    CorrelationId, FetchSession, FetchSessionEpoch, ReplicaFetchPartition, ReplicaFetchRequest, ReplicaFetchResponse,
    TopicIdPartition,
};
use parking_lot::Mutex;
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{mpsc, Arc, OnceLock};
use std::thread;

const FOLLOWERS: [NodeId; 2] = [NodeId(2), NodeId(3)];
const PARTITIONS: u32 = 6;
const RECORDS: u64 = 400;

/// Each follower's answers, to its own thread.
struct Mail(Mutex<BTreeMap<NodeId, mpsc::Sender<(u64, ReplicaFetchResponse)>>>);

impl FetchReplier for Mail {
    fn reply(&self, to: NodeId, correlation: CorrelationId, answer: Result<ReplicaFetchResponse>) {
        let answer = answer.expect("nobody does anything wrong");
        self.0.lock()[&to].send((correlation.0.get(), answer)).expect("the follower waits for it");
    }
}

fn asked(partition: u32, offset: u64, number: u64) -> ReplicaFetchPartition {
    let fetch = FetchRequest {
        correlation: Correlation(number),
        current_leader_epoch: Some(EPOCH),
        fetch_offset: Offset(offset),
        last_fetched_epoch: (offset > 0).then_some(EPOCH),
        log_start: Offset::ZERO,
        vouched: Offset(offset),
        bytes_max: 300,
    };
    ReplicaFetchPartition { partition: id(partition), fetch }
}

/// Fetches everything, one request at a time, and sees to it that each is answered exactly once. Then the high watermark, too.
fn follow(
    me: NodeId,
    sessions: &FetchSessions,
    led: &[Arc<Led>],
    clock: &SystemClock,
    mail: &mpsc::Receiver<(u64, ReplicaFetchResponse)>,
) {
    let mut ends = vec![0u64; PARTITIONS as usize];
    let mut high_watermarks = ends.clone();
    let mut number = 1;
    let mut session = FetchSession::Open { closes: None };
    let mut partitions: Vec<_> = (0..PARTITIONS).map(|partition| asked(partition, 0, number)).collect();
    while high_watermarks.iter().any(|end| *end < RECORDS) {
        let request = ReplicaFetchRequest {
            node_epoch: NodeEpoch(1),
            bytes_max: 700,
            wait_max_ms: 60_000,
            session,
            partitions: std::mem::take(&mut partitions),
            forgotten: Vec::new(),
        };
        let lookup = |id: TopicIdPartition| Some(led[id.partition as usize].clone() as Arc<dyn Replica>);
        sessions.handle_fetch(me, correlation(number), request, lookup, clock.monotonic());
        let (answered, answer) = mail.recv().expect("an answer");
        assert_eq!(answered, number, "each fetch is answered once, in order");
        number += 1;
        let id = answer.session.expect("a session");
        session = match session {
            FetchSession::Incremental { epoch, .. } => FetchSession::Incremental { id, epoch: epoch.next() },
            _ => FetchSession::Incremental { id, epoch: FetchSessionEpoch::FIRST },
        };
        for one in answer.partitions {
            let place = one.partition.partition as usize;
            let FetchOutcome::Records(records) = one.fetched.outcome else { panic!("no records") };
            for offset in offsets_of(records) {
                assert_eq!(offset, ends[place], "records follow each other");
                ends[place] += 1;
            }
            high_watermarks[place] = one.fetched.high_watermark.0.min(ends[place]);
            partitions.push(asked(one.partition.partition, ends[place], number));
        }
    }
}

#[test]
fn with_appenders_followers_and_ticks_at_the_same_time_no_record_and_no_fetch_is_forgotten() {
    for round in 0..3 {
        let clock = SystemClock::new();
        let mail = Arc::new(Mail(Mutex::default()));
        let sessions = Arc::new(FetchSessions::new(mail.clone(), Arc::new(Bell::default()), round));
        let led: Vec<_> = (0..PARTITIONS).map(|partition| Led::new(partition, &FOLLOWERS)).collect();
        led.iter().for_each(|led| led.tell(&sessions));
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            let (sessions, led, clock, is_over) = (&sessions, &led, &clock, &is_over);
            let followers = FOLLOWERS.map(|me| {
                let (sender, receiver) = mpsc::channel();
                mail.0.lock().insert(me, sender);
                scope.spawn(move || follow(me, sessions, led, clock, &receiver))
            });
            for first in 0..2 {
                scope.spawn(move || {
                    for turn in 0..RECORDS {
                        for partition in led.iter().skip(first).step_by(2) {
                            partition.append(u32::try_from(turn % 50).unwrap(), clock.monotonic());
                        }
                    }
                });
            }
            scope.spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    sessions.tick(clock.monotonic());
                    thread::yield_now();
                }
            });
            for follower in followers {
                follower.join().expect("it has everything");
            }
            is_over.store(true, Ordering::Relaxed);
        });
    }
}

/// A network that delivers on the sender's thread, as the channel transport does: the outermost delivery works off what came up inside.
struct Bounce {
    clock: SystemClock,
    led: Vec<Arc<Led>>,
    sessions: OnceLock<Arc<FetchSessions>>,
    fetchers: Mutex<BTreeMap<NodeId, Arc<Fetchers>>>,
    /// Requests without an answer.
    calls: Mutex<BTreeMap<u64, (NodeId, FetchTicket)>>,
}

type Delivery = Box<dyn FnOnce()>;

thread_local! {
    static WAITING: RefCell<(bool, VecDeque<Delivery>)> = RefCell::default();
}

fn bounce(delivery: Delivery) {
    let is_inside = WAITING.with_borrow_mut(|waiting| {
        waiting.1.push_back(delivery);
        std::mem::replace(&mut waiting.0, true)
    });
    if is_inside {
        return;
    }
    loop {
        let next = WAITING.with_borrow_mut(|waiting| {
            let next = waiting.1.pop_front();
            waiting.0 = next.is_some();
            next
        });
        let Some(delivery) = next else { return };
        delivery();
    }
}

struct BounceLine(NodeId, Arc<Bounce>);

impl FetchSender for BounceLine {
    fn send(&self, _to: NodeId, ticket: FetchTicket, request: ReplicaFetchRequest, _deadline: Instant) {
        let (me, network) = (self.0, Arc::clone(&self.1));
        // One counter for all, as the numbers of two nodes may be the same.
        let number = ticket.number * 8 + u64::from(me.0);
        network.calls.lock().insert(number, (me, ticket));
        bounce(Box::new(move || {
            let lookup = |id: TopicIdPartition| Some(network.led[id.partition as usize].clone() as Arc<dyn Replica>);
            let sessions = network.sessions.get().expect("set before anybody sends");
            sessions.handle_fetch(me, correlation(number), request, lookup, network.clock.monotonic());
        }));
    }
}

struct BounceReplier(Arc<Bounce>);

impl FetchReplier for BounceReplier {
    fn reply(&self, _to: NodeId, correlation: CorrelationId, answer: Result<ReplicaFetchResponse>) {
        let network = Arc::clone(&self.0);
        bounce(Box::new(move || {
            let call = network.calls.lock().remove(&correlation.0.get());
            let (node, ticket) = call.expect("each fetch is answered once");
            let fetchers = network.fetchers.lock()[&node].clone();
            fetchers.handle_response(LEADER, ticket, answer, network.clock.monotonic());
        }));
    }
}

#[test]
fn on_the_threads_of_senders_everything_arrives_while_partitions_come_and_go() {
    for round in 0..3 {
        let led: Vec<_> = (0..PARTITIONS).map(|partition| Led::new(partition, &FOLLOWERS)).collect();
        let network = Arc::new(Bounce {
            clock: SystemClock::new(),
            led: led.clone(),
            sessions: OnceLock::new(),
            fetchers: Mutex::default(),
            calls: Mutex::default(),
        });
        let bell = Arc::new(Bell::default());
        let sessions = Arc::new(FetchSessions::new(Arc::new(BounceReplier(network.clone())), bell.clone(), round));
        let _ = network.sessions.set(sessions.clone()); // it was empty
        led.iter().for_each(|led| led.tell(&sessions));
        let followed: Vec<Vec<Arc<Followed>>> = FOLLOWERS
            .iter()
            .map(|_| (0..PARTITIONS).map(|partition| Followed::new(partition, 0, 500)).collect())
            .collect();
        let clock = &network.clock;
        let fetchers = FOLLOWERS.map(|me| {
            let fetch_settings = FetchSettings { fetchers: 2, ..settings() };
            let fetchers =
                Arc::new(Fetchers::new(fetch_settings, Arc::new(BounceLine(me, network.clone())), bell.clone()));
            fetchers.handle_node_epoch(NodeEpoch(1), clock.monotonic());
            network.fetchers.lock().insert(me, fetchers.clone());
            fetchers
        });
        let add_all = || {
            for (fetchers, followed) in fetchers.iter().zip(&followed) {
                for replica in followed {
                    fetchers.add(replica.clone(), LEADER, clock.monotonic());
                }
            }
        };
        let tick = || {
            let now = clock.monotonic();
            sessions.tick(now);
            fetchers.iter().for_each(|fetchers| {
                fetchers.tick(now);
            });
        };
        add_all();
        thread::scope(|scope| {
            for first in 0..2 {
                let led = &led;
                scope.spawn(move || {
                    for turn in 0..RECORDS {
                        for partition in led.iter().skip(first).step_by(2) {
                            partition.append(u32::try_from(turn % 50).unwrap(), clock.monotonic());
                        }
                    }
                });
            }
            scope.spawn(|| {
                for turn in 0..200u32 {
                    let (fetchers, place) = (&fetchers[turn as usize % 2], turn % PARTITIONS);
                    fetchers.remove(id(place), clock.monotonic());
                    tick();
                    let replica = followed[turn as usize % 2][place as usize].clone();
                    replica.restart(500);
                    fetchers.add(replica, LEADER, clock.monotonic());
                }
            });
        });
        let begin = clock.monotonic();
        let has_all = |replica: &Arc<Followed>| {
            let state = replica.state();
            state.end == RECORDS && state.follower.high_watermark() == Offset(RECORDS)
        };
        while !followed.iter().flatten().all(has_all) {
            assert!(clock.monotonic().since(begin).as_secs() < 60, "round {round}: not everything arrives");
            tick();
            thread::yield_now();
        }
        fetchers
            .iter()
            .for_each(|fetchers| (0..PARTITIONS).for_each(|place| fetchers.remove(id(place), clock.monotonic())));
        assert_eq!((sessions.session_count(), sessions.partition_count()), (0, 0), "they say goodbye");
        assert_eq!(network.calls.lock().len(), 0, "and every fetch is answered");
        network.fetchers.lock().clear();
    }
}
