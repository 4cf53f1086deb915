//! The leader's side alone: what is answered when.

use super::super::*;
use super::replicas::*;
use super::world::*;
use crate::error::ErrorCode;
use crate::replication::{Correlation, FetchOutcome, FetchRequest, NodeEpoch};
use crate::time::Instant;
use crate::types::{NodeId, Offset};
use crate::wire::{
    FetchSession, FetchSessionEpoch, FetchSessionId, ReplicaFetchPartition, ReplicaFetchPartitionResponse,
    ReplicaFetchRequest, TopicIdPartition,
};
use std::sync::Arc;

const FOLLOWER: NodeId = NodeId(2);

struct Leader {
    network: Arc<Network>,
    sessions: Arc<FetchSessions>,
    led: Vec<Arc<Led>>,
    bell: Arc<Bell>,
    now: Instant,
}

impl Leader {
    fn new(partitions: u32) -> Leader {
        let (network, bell) = (Arc::new(Network::default()), Arc::new(Bell::default()));
        let sessions = Arc::new(FetchSessions::new(network.clone(), bell.clone(), 1));
        let led: Vec<_> = (0..partitions).map(|partition| Led::new(partition, &[FOLLOWER])).collect();
        led.iter().for_each(|led| led.tell(&sessions));
        Leader { network, sessions, led, bell, now: Instant(1_000_000_000) }
    }

    fn fetch(&self, number: u64, session: FetchSession, partitions: &[(u32, u64)]) {
        let partitions = partitions.iter().map(|(partition, offset)| asked(*partition, *offset, number)).collect();
        let (node_epoch, bytes_max, wait_max_ms) = (NodeEpoch(5), 4_096, 500);
        let request =
            ReplicaFetchRequest { node_epoch, bytes_max, wait_max_ms, session, partitions, forgotten: Vec::new() };
        self.send(FOLLOWER, number, request);
    }

    fn send(&self, from: NodeId, number: u64, request: ReplicaFetchRequest) {
        let lookup =
            |id: TopicIdPartition| self.led.get(id.partition as usize).map(|led| led.clone() as Arc<dyn Replica>);
        self.sessions.handle_fetch(from, correlation(number), request, lookup, self.now);
    }

    fn tick(&mut self, millis: u32) {
        self.now = self.now + MILLI * millis;
        self.sessions.tick(self.now);
    }

    /// The answers since the last time: to which request, in which session, and of each partition how many bytes.
    fn answers(&self) -> Vec<Answer> {
        let messages = self.network.take_messages();
        let answers = messages.into_iter().map(|message| match message {
            Message::Response { correlation, answer, .. } => {
                let number = correlation.0.get();
                match answer {
                    Ok(answer) => {
                        let partitions = answer.partitions.iter().map(|one| (one.partition.partition, bytes_of(one)));
                        (number, Ok(answer.session), partitions.collect())
                    }
                    Err(error) => (number, Err(error.code()), Vec::new()),
                }
            }
            Message::Request { .. } => unreachable!("the leader asks nobody"),
        });
        answers.collect()
    }

    /// Opens a session that knows everything. Says which, and the epoch of the fetch that comes next.
    fn opened(&mut self, partitions: &[(u32, u64)]) -> (FetchSessionId, FetchSessionEpoch) {
        self.fetch(1, FetchSession::Open { closes: None }, partitions);
        self.tick(3);
        let answers = self.answers();
        let Ok(Some(id)) = answers[0].1 else { panic!("{answers:?}") };
        (id, FetchSessionEpoch::FIRST)
    }
}

type Answer = (u64, Result<Option<FetchSessionId>, ErrorCode>, Vec<(u32, usize)>);
type Result<T, E> = std::result::Result<T, E>;

fn bytes_of(answer: &ReplicaFetchPartitionResponse) -> usize {
    match &answer.fetched.outcome {
        FetchOutcome::Records(records) => records.len(),
        _ => 0,
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
        bytes_max: 1_024,
    };
    ReplicaFetchPartition { partition: id(partition), fetch }
}

fn next(id: FetchSessionId, epoch: FetchSessionEpoch) -> FetchSession {
    FetchSession::Incremental { id, epoch }
}

#[test]
fn an_opening_fetch_is_answered_after_the_linger_and_names_the_session() {
    let mut leader = Leader::new(2);
    leader.fetch(1, FetchSession::Open { closes: None }, &[(0, 0), (1, 0)]);
    assert_eq!(leader.answers(), []);
    assert_eq!(leader.bell.0.lock().as_slice(), [leader.now + MILLI * 2], "the alarm knows");
    leader.tick(2);
    let answers = leader.answers();
    assert!(
        matches!(answers.as_slice(), [(1, Ok(Some(_)), partitions)] if *partitions == [(0, 0), (1, 0)]),
        "{answers:?}"
    );
}

#[test]
fn a_fetch_without_news_waits_and_records_end_that_at_once() {
    let mut leader = Leader::new(2);
    let (session, epoch) = leader.opened(&[(0, 0), (1, 0)]);
    leader.fetch(2, next(session, epoch), &[(0, 0), (1, 0)]);
    leader.tick(100);
    assert_eq!(leader.answers(), []);
    let looks = leader.led[0].state().looks;
    leader.led[1].append(10, leader.now);
    assert_eq!(leader.answers(), [(2, Ok(Some(session)), vec![(1, 22)])]);
    assert_eq!(leader.led[0].state().looks, looks, "only what has changed is looked at");
    // Partition 0 stands; what happens while no fetch waits is seen by the next one.
    leader.led[0].append(10, leader.now);
    leader.led[0].append(10, leader.now);
    assert_eq!(leader.answers(), []);
    leader.fetch(3, next(session, epoch.next()), &[(1, 1)]);
    assert_eq!(
        leader.answers(),
        [(3, Ok(Some(session)), vec![(0, 44), (1, 0)])],
        "and the high watermark of the other"
    );
    leader.fetch(4, next(session, epoch.next().next()), &[(0, 2), (1, 1)]);
    leader.tick(600);
    assert_eq!(leader.answers().len(), 1);
}

#[test]
fn without_any_news_it_is_answered_with_nothing_when_its_time_is_over() {
    let mut leader = Leader::new(1);
    let (session, epoch) = leader.opened(&[(0, 0)]);
    leader.fetch(2, next(session, epoch), &[(0, 0)]);
    leader.tick(499);
    assert_eq!(leader.answers(), []);
    leader.tick(1);
    assert_eq!(leader.answers(), [(2, Ok(Some(session)), vec![])]);
    leader.tick(1_000);
    assert_eq!(leader.answers(), [], "once");
    assert_eq!(leader.sessions.poll_timeout(), None);
}

#[test]
fn a_high_watermark_lingers_and_travels_with_records_that_come_earlier() {
    let mut leader = Leader::new(2);
    let (session, epoch) = leader.opened(&[(0, 0), (1, 0)]);
    leader.fetch(2, next(session, epoch), &[(0, 0), (1, 0)]);
    leader.led[0].state().high_watermark = 0;
    leader.led[0].append(10, leader.now);
    assert_eq!(leader.answers().len(), 1);
    // The follower's next fetch moves the high watermark.
    leader.fetch(3, next(session, epoch.next()), &[(0, 1)]);
    assert_eq!(leader.led[0].state().high_watermark, 1);
    leader.tick(1);
    assert_eq!(leader.answers(), []);
    leader.led[1].append(10, leader.now);
    assert_eq!(leader.answers(), [(3, Ok(Some(session)), vec![(1, 22), (0, 0)])], "the news of partition 0 went along");
    leader.fetch(4, next(session, epoch.next().next()), &[(0, 1), (1, 1)]);
    leader.tick(2);
    assert_eq!(leader.answers(), [(4, Ok(Some(session)), vec![(1, 0)])], "by itself");
}

#[test]
fn whoever_leaves_is_told_at_once() {
    let mut leader = Leader::new(1);
    let (session, epoch) = leader.opened(&[(0, 0)]);
    leader.fetch(2, next(session, epoch), &[(0, 0)]);
    leader.led[0].state().refuses = Some(ErrorCode::NOT_LEADER_OR_FOLLOWER);
    leader.led[0].changed(Changed::Leadership, leader.now);
    assert_eq!(leader.answers(), [(2, Ok(Some(session)), vec![(0, 0)])]);
}

#[test]
fn a_partition_that_is_not_here_is_refused_and_found_when_it_is() {
    let mut leader = Leader::new(1);
    leader.fetch(1, FetchSession::Open { closes: None }, &[(9, 0)]);
    let answers = leader.answers();
    assert!(matches!(answers.as_slice(), [(1, Ok(Some(_)), partitions)] if *partitions == [(9, 0)]), "{answers:?}");
    leader.led.extend((1..10).map(|partition| Led::new(partition, &[FOLLOWER])));
    let Ok(Some(session)) = answers[0].1 else { panic!("{answers:?}") };
    leader.led[9].append(10, leader.now);
    leader.fetch(2, next(session, FetchSessionEpoch::FIRST), &[(9, 0)]);
    assert_eq!(leader.answers(), [(2, Ok(Some(session)), vec![(9, 22)])]);
}

#[test]
fn a_later_fetch_of_the_session_ends_the_one_that_waits() {
    let mut leader = Leader::new(2);
    let (session, epoch) = leader.opened(&[(0, 0)]);
    leader.fetch(2, next(session, epoch), &[(0, 0)]);
    leader.fetch(3, next(session, epoch.next()), &[(1, 0)]);
    assert_eq!(leader.answers(), [(2, Ok(Some(session)), vec![])]);
    leader.led[0].append(10, leader.now);
    assert_eq!(leader.answers().len(), 1);
}

#[test]
fn a_repeated_fetch_is_not_answered_twice_and_one_out_of_turn_is_refused() {
    let mut leader = Leader::new(1);
    let (session, epoch) = leader.opened(&[(0, 0)]);
    leader.fetch(1, FetchSession::Open { closes: None }, &[(0, 0)]);
    assert_eq!((leader.answers(), leader.sessions.session_count()), (vec![], 1), "the opening one came twice");
    for _ in 0..2 {
        leader.fetch(2, next(session, epoch), &[(0, 0)]);
    }
    leader.fetch(4, next(session, epoch.next().next()), &[]);
    assert_eq!(leader.answers(), [(4, Err(ErrorCode::INVALID_FETCH_SESSION_EPOCH), vec![])]);
    leader.tick(500);
    assert_eq!(leader.answers(), [(2, Ok(Some(session)), vec![])]);
    let strange = FetchSessionId(std::num::NonZeroU32::new(session.0.get() ^ 1).unwrap());
    leader.fetch(5, next(strange, epoch), &[]);
    assert_eq!(leader.answers(), [(5, Err(ErrorCode::FETCH_SESSION_ID_NOT_FOUND), vec![])]);
}

#[test]
fn nobody_enters_the_session_of_another_node() {
    let mut leader = Leader::new(1);
    let (session, epoch) = leader.opened(&[(0, 0)]);
    let (node_epoch, bytes_max, wait_max_ms) = (NodeEpoch(5), 4_096, 500);
    let request = ReplicaFetchRequest {
        node_epoch,
        bytes_max,
        wait_max_ms,
        session: next(session, epoch),
        partitions: Vec::new(),
        forgotten: Vec::new(),
    };
    leader.send(NodeId(3), 9, request);
    assert_eq!(leader.answers(), [(9, Err(ErrorCode::FETCH_SESSION_ID_NOT_FOUND), vec![])]);
}

#[test]
fn sessions_are_bounded_and_the_one_that_nobody_used_for_longest_goes() {
    let mut leader = Leader::new(1);
    let (first, epoch) = leader.opened(&[(0, 0)]);
    leader.fetch(2, next(first, epoch), &[(0, 0)]);
    for number in 0..FETCH_SESSIONS_MAX as u64 {
        leader.now = leader.now + MILLI;
        leader.fetch(10 + number, FetchSession::Open { closes: None }, &[]);
    }
    assert_eq!(leader.sessions.session_count(), FETCH_SESSIONS_MAX);
    let answers = leader.answers();
    assert!(answers.contains(&(2, Err(ErrorCode::FETCH_SESSION_ID_NOT_FOUND), vec![])), "who waited in it is told");
    leader.fetch(3, next(first, epoch.next()), &[]);
    assert_eq!(leader.answers()[0].1, Err(ErrorCode::FETCH_SESSION_ID_NOT_FOUND));
    assert_eq!(leader.sessions.partition_count(), 0, "nothing is left of it");
}

#[test]
fn a_fetch_without_a_session_is_answered_and_forgotten() {
    let mut leader = Leader::new(1);
    leader.fetch(1, FetchSession::None { closes: None }, &[(0, 0)]);
    leader.led[0].append(10, leader.now);
    leader.tick(500);
    assert_eq!(leader.answers(), [(1, Ok(None), vec![(0, 22)])]);
    assert_eq!((leader.sessions.session_count(), leader.sessions.partition_count()), (0, 0));
}

#[test]
fn a_node_that_begins_anew_closes_the_sessions_of_its_earlier_life() {
    let mut leader = Leader::new(1);
    leader.opened(&[(0, 0)]);
    let (bytes_max, wait_max_ms) = (4_096, 500);
    let session = FetchSession::Open { closes: None };
    let request = ReplicaFetchRequest {
        node_epoch: NodeEpoch(6),
        bytes_max,
        wait_max_ms,
        session,
        partitions: vec![asked(0, 0, 9)],
        forgotten: Vec::new(),
    };
    leader.send(FOLLOWER, 1, request);
    assert_eq!((leader.sessions.session_count(), leader.sessions.partition_count()), (1, 1));
    leader.sessions.handle_peer(FOLLOWER, true);
    assert_eq!(leader.sessions.session_count(), 1);
    leader.sessions.handle_peer(FOLLOWER, false);
    assert_eq!((leader.sessions.session_count(), leader.sessions.partition_count()), (0, 0));
    assert_eq!(leader.answers(), [(1, Err(ErrorCode::FETCH_SESSION_ID_NOT_FOUND), vec![])], "who waits is sent away");
}

#[test]
fn what_a_fetch_acknowledges_is_heard_at_once_even_if_others_fill_the_answer() {
    let leader = Leader::new(12);
    for led in &leader.led {
        (0..100).for_each(|_| led.append(88, leader.now));
    }
    let all: Vec<(u32, u64)> = (0..12).map(|partition| (partition, 0)).collect();
    leader.fetch(1, FetchSession::Open { closes: None }, &all);
    let answers = leader.answers();
    let Ok(Some(session)) = answers[0].1 else { panic!("{answers:?}") };
    // Ten records each for four of them, what is left of 4096 bytes is too little for the fifth.
    assert_eq!(answers[0].2, [(0, 1_000), (1, 1_000), (2, 1_000), (3, 1_000)]);
    assert!(leader.led.iter().all(|led| led.state().heard == 1), "all were heard");
    let again: Vec<(u32, u64)> = (0..4).map(|partition| (partition, 10)).collect();
    leader.fetch(2, next(session, FetchSessionEpoch::FIRST), &again);
    assert_eq!(leader.answers()[0].2, [(4, 1_000), (5, 1_000), (6, 1_000), (7, 1_000)]);
    assert!((0..4).all(|partition| leader.led[partition].state().high_watermark == 10), "acknowledged by that fetch");
}

#[test]
fn whoever_waits_when_the_node_stops_is_sent_away() {
    let mut leader = Leader::new(1);
    let (session, epoch) = leader.opened(&[(0, 0)]);
    leader.fetch(2, next(session, epoch), &[(0, 0)]);
    leader.sessions.close();
    assert_eq!(leader.answers(), [(2, Err(ErrorCode::FETCH_SESSION_ID_NOT_FOUND), vec![])]);
    leader.led[0].append(10, leader.now);
    leader.tick(500);
    assert_eq!(leader.answers(), [], "once");
}
