//! Sessions under threads: appenders, a follower, somebody who ticks.

use super::super::*;
use super::world::*;
use crate::error::Result;
use crate::replication::{Correlation, FetchOutcome, FetchRequest, NodeEpoch};
use crate::time::{Clock, SystemClock};
use crate::types::{NodeId, Offset};
use crate::wire::{
    CorrelationId, FetchSession, FetchSessionEpoch, FetchSessionId, ReplicaFetchPartition, ReplicaFetchPartitionResponse,
    ReplicaFetchRequest, ReplicaFetchResponse, TopicIdPartition,
};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{mpsc, Arc};
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
    for round in 0..5 {
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
