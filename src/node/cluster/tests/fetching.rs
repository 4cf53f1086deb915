//! Fetchers and sessions together, over a network that does what networks do.

use super::super::*;
use super::world::*;
use crate::node::Alarm;
use crate::replication::{Correlation, FetchRequest, FetchResponse, NodeEpoch};
use crate::time::Instant;
use crate::types::{NodeId, Offset};
use crate::wire::{FetchSessionId, ReplicaFetchRequest, ReplicaFetchResponse, TopicIdPartition};
use std::num::NonZeroU32;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

fn world(seed: u64, partitions: u32, followers: u32) -> World {
    World::new(seed, partitions, followers, &settings())
}

#[test]
fn over_a_good_network_every_record_travels_once() {
    for seed in 0..20 {
        let mut world = world(seed, 8, 2);
        world.add_all();
        let mut bytes = 0;
        for _ in 0..200 {
            let (partition, padding) = (world.rng.usize(..8), world.rng.u32(..300));
            world.append(partition, padding);
            bytes += u64::from(padding) + 12;
            for _ in 0..world.rng.usize(..6) {
                world.carry();
            }
            if world.rng.u32(..4) == 0 {
                world.tick(MILLI);
            }
        }
        world.run_until_equal(seed);
        let sent: u64 = world.led.iter().map(|led| led.state().bytes_sent).sum();
        assert_eq!(sent, bytes * 2, "seed {seed}: each follower gets each byte once");
        let (polls, answers) =
            world.nodes.iter().flat_map(|node| node.replicas.values()).fold((0, 0), |sum, replica| {
                let state = replica.state();
                (sum.0 + state.polls, sum.1 + state.answers)
            });
        assert!(polls <= answers + 16, "seed {seed}: {polls} fetches, {answers} answers: asked without need");
        let heard: u64 = world.led.iter().map(|led| led.state().heard).sum();
        assert_eq!(heard, polls, "seed {seed}: every fetch is heard once");
    }
}

#[test]
fn whatever_the_network_does_every_record_arrives() {
    for seed in 0..150 {
        let mut world = world(seed, 6, 2);
        world.add_all();
        world.lost = world.rng.u32(..60);
        world.repeated = world.rng.u32(..60);
        world.overtaken = world.rng.u32(..200);
        for _ in 0..400 {
            match world.rng.u32(..100) {
                0..=39 => {
                    let (partition, padding) = (world.rng.usize(..6), world.rng.u32(..1_500));
                    world.append(partition, padding);
                }
                40..=84 => {
                    world.carry();
                }
                85..=91 => {
                    let millis = world.rng.u32(..200);
                    world.tick(MILLI * millis);
                }
                92 => {
                    let node = world.rng.usize(..2);
                    world.reconnect(node);
                }
                93..=95 => {
                    let (node, partition) = (world.rng.usize(..2), world.rng.u32(..6));
                    world.nodes[node].fetchers.remove(id(partition), world.now);
                }
                96..=98 => {
                    let (node, partition) = (world.rng.usize(..2), world.rng.u32(..6));
                    world.add(node, partition);
                }
                _ => {
                    let (node, epoch) = (world.rng.usize(..2), world.rng.u64(6..9));
                    world.nodes[node].fetchers.handle_node_epoch(NodeEpoch(epoch), world.now);
                }
            }
        }
        world.lost = 0;
        world.repeated = 0;
        world.overtaken = 0;
        world.add_all();
        world.run_until_equal(seed);
        assert!(world.sessions.session_count() <= 12, "seed {seed}: {} sessions", world.sessions.session_count());
    }
}

#[test]
fn an_idle_session_costs_no_frames_but_the_long_poll() {
    let mut world = world(1, 100, 1);
    world.add_all();
    (0..100).for_each(|partition| world.append(partition, 10));
    world.run_until_equal(1);
    world.tick(MILLI * 10);
    world.settle();
    let before = (*world.network.requests.lock(), *world.network.responses.lock(), *world.network.listed.lock());
    let seconds: u64 = 12;
    for _ in 0..seconds * 1_000 {
        world.tick(MILLI);
        world.settle();
    }
    let after = (*world.network.requests.lock(), *world.network.responses.lock(), *world.network.listed.lock());
    assert!(after.0 - before.0 <= seconds * 2 + 2, "{} requests", after.0 - before.0);
    assert!(after.1 - before.1 <= seconds * 2 + 2, "{} answers", after.1 - before.1);
    // Each says every four seconds that it is still there.
    assert!(after.2 - before.2 <= 100 * 4, "{} partitions listed", after.2 - before.2);
}

#[test]
fn a_lone_sender_needs_one_round_for_each_record() {
    let mut world = world(2, 1, 2);
    world.add_all();
    world.append(0, 10);
    world.run_until_equal(2);
    world.tick(MILLI * 10);
    world.settle();
    let before = (*world.network.requests.lock(), *world.network.responses.lock());
    for end in 2..=101 {
        world.append(0, 10);
        world.settle();
        assert_eq!(world.led[0].state().high_watermark, end, "everybody has it and has said so");
    }
    let (requests, responses) = (*world.network.requests.lock() - before.0, *world.network.responses.lock() - before.1);
    assert_eq!((requests, responses), (200, 200), "one answer and one fetch for each record and follower");
    world.tick(MILLI * 3);
    world.settle();
    assert_eq!(world.nodes[0].replicas[&0].state().follower.high_watermark().0, 101, "told by itself after the linger");
}

#[test]
fn no_partition_starves_however_much_the_others_have() {
    let mut world = world(3, 30, 1);
    for partition in 0..30 {
        (0..200).for_each(|_| world.append(partition, 100));
    }
    world.add_all();
    loop {
        let ends: Vec<u64> = world.nodes[0].replicas.values().map(|replica| replica.state().end).collect();
        let (least, most) = (ends.iter().min().unwrap(), ends.iter().max().unwrap());
        // A partition gets nine of these records at a time.
        assert!(most - least <= 2 * 9, "one has {least}, another {most}: {ends:?}");
        if *least == 200 {
            break;
        }
        if !world.carry() {
            world.tick(MILLI);
        }
    }
}

#[test]
fn a_batch_that_is_longer_than_the_answer_may_be_travels_alone() {
    let mut world = world(4, 3, 1);
    (0..3).for_each(|partition| world.append(partition, 20_000));
    world.add_all();
    world.run_until_equal(4);
}

#[test]
fn a_partition_that_is_added_does_not_wait_for_the_end_of_a_long_poll() {
    let mut world = world(5, 2, 1);
    world.add(0, 0);
    world.append(0, 10);
    world.run_until_equal(5);
    world.tick(MILLI * 10);
    world.settle();
    world.append(1, 10);
    world.add(0, 1);
    world.settle();
    assert_eq!(world.nodes[0].replicas[&1].state().end, 1, "without any time passing");
}

#[test]
fn a_partition_that_backs_off_does_not_hold_up_the_others_and_comes_back() {
    let mut world = world(6, 3, 1);
    world.led[0].state().refuses = Some(crate::error::ErrorCode::NOT_LEADER_OR_FOLLOWER);
    world.add_all();
    (0..3).for_each(|partition| world.append(partition, 10));
    world.settle();
    let ends = |world: &World| [0, 1, 2].map(|partition| world.nodes[0].replicas[&partition].state().end);
    assert_eq!(ends(&world), [0, 1, 1]);
    world.tick(MILLI * 50);
    world.settle();
    assert_eq!(world.nodes[0].replicas[&0].state().backoffs, 1, "not asked while it backs off");
    world.led[0].state().refuses = None;
    let due = world.nodes[0].fetchers.poll_timeout().unwrap();
    assert!(due > world.now && due <= world.now + MILLI * 50, "the node has to come then");
    world.tick(MILLI * 50);
    world.settle();
    assert_eq!(ends(&world), [1, 1, 1]);
}

#[test]
fn whoever_is_far_behind_keeps_to_the_rate_and_whoever_is_in_sync_does_not() {
    let mut settings = settings();
    settings.catch_up_bytes_per_second = Some(10_000);
    let mut world = World::new(7, 2, 1, &settings);
    // A high watermark that another follower brought about.
    (0..1_000).for_each(|_| world.append(0, 88));
    world.led[0].state().high_watermark = 1_000;
    world.add_all();
    let begin = world.now;
    let mut last = 0;
    while world.nodes[0].replicas[&0].state().end < 1_000 {
        world.append(1, 10);
        last += 1;
        world.settle();
        assert_eq!(world.nodes[0].replicas[&1].state().end, last, "the other partition has its record at once");
        world.tick(MILLI * 10);
        assert!(world.now.since(begin) < Duration::from_secs(60));
    }
    // 100,000 bytes; nobody waits after the last answer.
    let passed = world.now.since(begin);
    assert!(passed >= Duration::from_secs(9) && passed < Duration::from_secs(11), "took {passed:?}");
}

#[test]
fn an_answer_to_a_removed_partition_is_dropped_and_the_last_one_closes_the_session() {
    let mut world = world(8, 1, 1);
    world.add_all();
    world.append(0, 10);
    world.run_until_equal(8);
    world.tick(MILLI * 10);
    world.settle();
    assert_eq!((world.sessions.session_count(), world.sessions.partition_count()), (1, 1));
    world.append(0, 10); // its answer is on the way
    world.nodes[0].fetchers.remove(id(0), world.now);
    world.settle();
    assert_eq!(world.nodes[0].replicas[&0].state().end, 1);
    assert_eq!((world.sessions.session_count(), world.sessions.partition_count()), (0, 0));
    assert_eq!(world.nodes[0].fetchers.poll_timeout(), None);
    world.add(0, 0);
    world.run_until_equal(8);
}

#[test]
fn a_new_life_of_the_node_says_everything_again() {
    let mut world = world(9, 4, 1);
    world.add_all();
    (0..4).for_each(|partition| world.append(partition, 10));
    world.run_until_equal(9);
    world.tick(MILLI * 10);
    world.settle();
    let heard: u64 = world.led.iter().map(|led| led.state().heard).sum();
    world.nodes[0].fetchers.handle_node_epoch(NodeEpoch(77), world.now);
    world.settle();
    let again: u64 = world.led.iter().map(|led| led.state().heard).sum();
    assert_eq!(again, heard + 4);
}

#[test]
fn a_leader_that_cannot_be_reached_is_tried_again_now_and_then() {
    let mut world = world(10, 1, 1);
    world.lost = 1_000;
    world.add_all();
    for _ in 0..60 {
        world.settle();
        world.tick(MILLI * 500);
    }
    let requests = *world.network.requests.lock();
    assert!((10..=21).contains(&requests), "{requests} requests in 30 s, each lost after 1.5");
    world.lost = 0;
    world.reconnect(0);
    world.append(0, 10);
    world.run_until_equal(10);
    assert!(world.bell.0.lock().iter().all(|at| *at > Instant::default()));
}

#[test]
fn without_a_rate_whoever_is_behind_is_as_fast_as_the_others() {
    let mut settings = settings();
    settings.catch_up_bytes_per_second = Some(1);
    let mut world = World::new(11, 1, 1, &settings);
    (0..100).for_each(|_| world.append(0, 88));
    world.led[0].state().high_watermark = 100;
    world.nodes[0].fetchers.set_catch_up_rate(None);
    world.add_all();
    world.settle();
    assert_eq!(world.nodes[0].replicas[&0].state().end, 100);
    assert_eq!(world.nodes[0].fetchers.partition_count(), 1);
}

/// Its fetch stands for half a minute.
struct Standing(parking_lot::Mutex<Instant>);

impl Replica for Standing {
    fn id(&self) -> TopicIdPartition {
        id(0)
    }

    fn serve(&self, _: Serving, _: &FetchRequest, _: Instant) -> Option<FetchResponse> {
        None
    }

    fn poll_fetch(&self, _: NodeId, now: Instant) -> Option<FetchRequest> {
        let mut due = self.0.lock();
        (now >= *due).then(|| {
            *due = now + Duration::from_secs(30);
            FetchRequest {
                correlation: Correlation(now.0),
                current_leader_epoch: Some(EPOCH),
                fetch_offset: Offset::ZERO,
                last_fetched_epoch: None,
                log_start: Offset::ZERO,
                vouched: Offset::ZERO,
                bytes_max: 1,
            }
        })
    }

    fn poll_fetch_timeout(&self) -> Option<Instant> {
        Some(*self.0.lock())
    }

    fn handle_fetch_response(&self, _: NodeId, _: FetchResponse, _: Instant) {}
}

/// Answers the first request before `send` returns, by a clock that is a minute ahead.
#[derive(Default)]
struct Hasty {
    fetchers: OnceLock<Arc<Fetchers>>,
    sent: parking_lot::Mutex<Vec<FetchTicket>>,
}

impl FetchSender for Hasty {
    fn send(&self, to: NodeId, ticket: FetchTicket, _: ReplicaFetchRequest, deadline: Instant) {
        self.sent.lock().push(ticket);
        if self.sent.lock().len() == 1 {
            let session = NonZeroU32::new(7).map(FetchSessionId);
            let answer = ReplicaFetchResponse { session, partitions: Vec::new() };
            let fetchers = self.fetchers.get().expect("is set before anything is sent");
            fetchers.handle_response(to, ticket, Ok(answer), deadline + Duration::from_secs(60));
        }
    }
}

impl Alarm for Hasty {
    fn wake_by(&self, _: Instant) {}
}

#[test]
fn a_clock_that_jumps_while_a_request_is_sent_keeps_nobody_busy_for_ever() {
    let hasty = Arc::new(Hasty::default());
    let fetchers = Arc::new(Fetchers::new(settings(), hasty.clone(), hasty.clone()));
    assert!(hasty.fetchers.set(fetchers.clone()).is_ok());
    let now = Instant(1_000_000_000);
    fetchers.add(Arc::new(Standing(parking_lot::Mutex::new(now))), LEADER, now);
    assert_eq!(hasty.sent.lock().len(), 2, "asked anew, by the later clock, and then it is over");
}
