//! A partition whose leader is elsewhere, or nowhere: what is sent, what is tried again, and what senders are told.

use super::super::fake_replica::{FakeReplica, Fault};
use super::super::host::Seat;
use super::{code, Delivery, ErrorCode, FakeHost, ToldClock, LINGER, LONG, NO_LINGER};
use crate::error::Error;
use crate::producer::{Producer, Record};
use crate::types::{Offset, Rung};
use std::sync::atomic::Ordering::SeqCst;
use std::sync::Arc;
use std::time::Duration;

const SOON: (&str, &str) = ("retry.backoff.ms", "0");

struct World {
    clock: Arc<ToldClock>,
    host: Arc<FakeHost>,
    replica: Arc<FakeReplica>,
}

impl World {
    fn new(seat: Seat) -> World {
        let clock = Arc::new(ToldClock::default());
        let host = FakeHost::with_clock(clock.clone());
        let replica = host.create_shared("t");
        replica.move_leader(seat, true);
        World { clock, host, replica }
    }

    /// Time passes, and the timer comes.
    fn pass(&self, millis: u64) {
        self.clock.advance(Duration::from_millis(millis));
        self.host.tick();
    }

    fn send(&self, producer: &Producer, value: &str) -> Delivery {
        producer.send(Record::new("t", value)).unwrap()
    }
}

#[test]
fn batches_go_to_the_leader_elsewhere_and_their_offsets_come_back() {
    let world = World::new(Seat::Elsewhere);
    let producer = world.host.producer(&[LINGER, ("batch.size", "100")]);
    let sent: Vec<Delivery> = (0..9).map(|n| world.send(&producer, &format!("value {n}"))).collect();
    producer.flush(LONG).unwrap();
    assert!(world.replica.log().len() > 1, "several batches");
    for (n, delivery) in sent.into_iter().enumerate() {
        let told = delivery.wait().unwrap();
        assert_eq!((told.offset, told.rung), (Some(Offset(n as u64)), Rung::Replicated));
    }
    let stats = producer.stats();
    assert_eq!((stats.records_acked, stats.records_retried, stats.buffer_free_bytes), (9, 0, 33_554_432));
}

#[test]
fn while_one_load_is_on_its_way_the_others_gather_behind_it() {
    let world = World::new(Seat::Elsewhere);
    world.replica.hold_answers(true);
    let producer = world.host.producer(&[NO_LINGER]);
    let first = world.send(&producer, "first");
    let behind: Vec<Delivery> = (0..50).map(|n| world.send(&producer, &n.to_string())).collect();
    assert_eq!((world.replica.submits(), producer.pending()), (1, 51));
    assert_eq!(world.replica.answer(false), 1);
    assert!(first.is_done() && !behind[0].is_done());
    assert_eq!(world.replica.submits(), 2, "who brings the answer carries on");
    world.replica.answer(false);
    assert!(behind.iter().all(Delivery::is_done));
    assert_eq!(producer.pending(), 0);
}

#[test]
fn answers_that_come_at_once_do_not_pile_up() {
    let world = World::new(Seat::Elsewhere);
    let producer = world.host.producer(&[NO_LINGER, ("batch.size", "1")]);
    world.replica.hold_answers(true);
    for n in 0..20_000 {
        drop(world.send(&producer, &n.to_string()));
    }
    world.replica.hold_answers(false);
    world.replica.answer(false);
    assert!(producer.pending() > 0, "nobody is kept for ever by the batches of others");
    while producer.pending() > 0 {
        world.pass(0);
    }
    assert_eq!(world.replica.values(), (0..20_000).map(|n| n.to_string()).collect::<Vec<_>>());
}

#[test]
fn a_leader_that_is_not_known_is_waited_for_and_found_by_the_news_of_it() {
    let world = World::new(Seat::Unknown);
    let producer = world.host.producer(&[NO_LINGER, ("retries", "0")]);
    let delivery = world.send(&producer, "v");
    let behind = world.send(&producer, "w");
    world.pass(10_000);
    assert!(!delivery.is_done(), "waiting is no attempt");
    world.replica.move_leader(Seat::Elsewhere, true);
    assert!(delivery.is_done() && behind.is_done(), "without the timer");
    world.replica.move_leader(Seat::Here, true);
    assert_eq!(world.send(&producer, "x").wait().unwrap().offset, Some(Offset(2)));
    assert_eq!((world.replica.values().join(""), producer.stats().records_retried), ("vwx".into(), 0));
}

#[test]
fn too_few_replicas_are_tried_again_after_a_pause_that_grows() {
    for seat in [Seat::Here, Seat::Elsewhere] {
        let world = World::new(seat);
        let producer = world.host.producer(&[NO_LINGER]);
        world.replica.set_faults([Fault::Refuse(ErrorCode::NOT_ENOUGH_REPLICAS); 3]);
        let delivery = world.send(&producer, "v");
        let mut pauses = Vec::new();
        while !delivery.is_done() {
            let now = crate::time::Clock::monotonic(&*world.clock);
            let at = world.host.wake_at.swap(u64::MAX, SeqCst);
            pauses.push((at - now.0) / 1_000_000);
            world.pass((at - now.0).div_ceil(1_000_000));
        }
        assert!((80..=120).contains(&pauses[0]), "{pauses:?}");
        assert!((160..=240).contains(&pauses[1]) && (320..=480).contains(&pauses[2]), "{pauses:?}");
        assert_eq!((pauses.len(), delivery.wait().unwrap().offset), (3, Some(Offset(0))));
        assert_eq!((producer.stats().batches_retried, producer.stats().records_retried), (3, 3));
    }
}

#[test]
fn what_nobody_took_in_time_is_not_in_the_log_and_what_was_not_answered_may_be() {
    let settings = [NO_LINGER, ("delivery.timeout.ms", "2000"), ("request.timeout.ms", "500")];
    let world = World::new(Seat::Unknown);
    let producer = world.host.producer(&settings);
    let (first, second) = (world.send(&producer, "v"), world.send(&producer, "w"));
    world.pass(2_000);
    for delivery in [first, second] {
        let late = delivery.wait().unwrap_err();
        assert_eq!(late.code(), ErrorCode::TIMED_OUT);
        assert!(late.message().ends_with("it is not in the log"), "{late}");
        assert!(late.message().contains("no leader is known"), "{late}");
    }
    let world = World::new(Seat::Elsewhere);
    let producer = world.host.producer(&settings);
    world.replica.set_faults([Fault::LoseAnswer(ErrorCode::REQUEST_TIMED_OUT)]);
    let delivery = world.send(&producer, "v");
    world.replica.move_leader(Seat::Unknown, true);
    world.pass(200);
    world.pass(2_000);
    let late = delivery.wait().unwrap_err();
    assert_eq!(late.code(), ErrorCode::TIMED_OUT);
    assert!(late.message().contains("1 attempts failed") && late.message().contains("no leader is known"), "{late}");
    assert!(late.message().ends_with("it may be in the log all the same"), "{late}");
    assert_eq!((world.replica.values().len(), producer.pending()), (1, 0));
    assert_eq!(producer.stats().buffer_free_bytes, 33_554_432);
    world.replica.move_leader(Seat::Here, true);
    world.send(&producer, "next").wait().expect("the partition is not poisoned");
}

#[test]
fn a_load_that_is_never_answered_expires_too() {
    let world = World::new(Seat::Elsewhere);
    world.replica.hold_answers(true);
    let producer = world.host.producer(&[NO_LINGER, ("delivery.timeout.ms", "2000"), ("request.timeout.ms", "500")]);
    let (sent, behind) = (world.send(&producer, "v"), world.send(&producer, "w"));
    assert!(world.host.wake_at.load(SeqCst) <= 2_000_000_000, "the timer is asked");
    world.pass(2_000);
    assert!(sent.wait().unwrap_err().message().ends_with("may be in the log all the same"));
    assert!(behind.wait().unwrap_err().message().ends_with("is not in the log"));
    world.replica.answer(false);
    let next = world.send(&producer, "x");
    world.replica.answer(false);
    assert_eq!(next.wait().unwrap().offset, Some(Offset(1)));
}

#[test]
fn what_is_final_fails_at_once_and_retries_have_an_end() {
    let world = World::new(Seat::Elsewhere);
    let producer = world.host.producer(&[NO_LINGER, SOON, ("retries", "2")]);
    world.replica.set_faults([Fault::Refuse(ErrorCode::INVALID_RECORD)]);
    assert_eq!(code(world.send(&producer, "v").wait()), ErrorCode::INVALID_RECORD);
    world.replica.set_faults([Fault::Refuse(ErrorCode::NOT_ENOUGH_REPLICAS); 3]);
    let given_up = world.send(&producer, "v").wait().unwrap_err();
    assert_eq!(given_up.code(), ErrorCode::NOT_ENOUGH_REPLICAS);
    assert!(given_up.message().contains("3 attempts (retries=2); it is not in the log"), "{given_up}");
    assert_eq!(world.replica.values().len(), 0);
    world.send(&producer, "w").wait().unwrap();
    assert_eq!(producer.flush(LONG).unwrap_err().code(), ErrorCode::INVALID_RECORD);
}

#[test]
fn a_failed_disk_of_one_leader_is_not_the_end_of_a_batch() {
    let world = World::new(Seat::Here);
    let producer = world.host.producer(&[NO_LINGER]);
    world.replica.set_faults([Fault::Refuse(ErrorCode::KAFKA_STORAGE_ERROR)]);
    let delivery = world.send(&producer, "v");
    assert!(!delivery.is_done());
    world.replica.move_leader(Seat::Elsewhere, true);
    assert_eq!(delivery.wait().unwrap().offset, Some(Offset(0)));
}

#[test]
fn of_a_batch_that_is_too_large_elsewhere_only_the_record_that_is_too_large_alone_fails() {
    for seat in [Seat::Here, Seat::Elsewhere] {
        let world = World::new(seat);
        world.replica.limit_batches(400);
        let producer = world.host.producer(&[LINGER, ("batch.size", "2000")]);
        let large = "x".repeat(600);
        let value = |n| if n == 7 { large.clone() } else { format!("value {n}") };
        let sent: Vec<Delivery> = (0..40).map(|n| world.send(&producer, &value(n))).collect();
        assert_eq!(producer.flush(LONG).unwrap_err().code(), ErrorCode::MESSAGE_TOO_LARGE);
        for (n, delivery) in sent.into_iter().enumerate() {
            match (n, delivery.wait()) {
                (7, result) => assert_eq!(code(result), ErrorCode::MESSAGE_TOO_LARGE),
                (_, result) => assert_eq!(result.unwrap().offset, Some(Offset(n as u64 - u64::from(n > 7)))),
            }
        }
        let expected: Vec<String> = (0..40).filter(|n| *n != 7).map(value).collect();
        assert_eq!(world.replica.values(), expected);
        assert_eq!((producer.stats().records_failed, producer.stats().records_acked), (1, 39));
        assert_eq!(producer.stats().buffer_free_bytes, 33_554_432);
    }
}

#[test]
fn acks_0_elsewhere_is_sent_once_and_a_failure_is_counted_and_not_told() {
    let world = World::new(Seat::Elsewhere);
    let producer = world.host.producer(&[NO_LINGER, ("acks", "0")]);
    world.replica.set_faults([Fault::None, Fault::Refuse(ErrorCode::NETWORK_EXCEPTION)]);
    for value in ["kept", "lost", "kept too"] {
        assert_eq!(world.send(&producer, value).wait().unwrap().offset, None);
    }
    producer.flush(LONG).expect("nobody is told");
    assert_eq!(world.replica.values(), ["kept", "kept too"]);
    assert_eq!((producer.stats().records_acked, producer.stats().records_failed), (2, 1));
    let unknown = world.send(&producer, "w").wait_for(Rung::Written);
    assert_eq!(code(unknown), ErrorCode::NOT_LEADER_OR_FOLLOWER);
}

#[test]
fn a_flush_waits_for_what_is_tried_again() {
    let host = FakeHost::new();
    let replica = host.create_shared("t");
    replica.move_leader(Seat::Elsewhere, true);
    replica.set_faults([Fault::Refuse(ErrorCode::NOT_ENOUGH_REPLICAS); 5]);
    let producer = host.producer(&[LINGER, ("retry.backoff.ms", "1"), ("retry.backoff.max.ms", "2")]);
    let delivery = producer.send(Record::new("t", "v")).unwrap();
    // Nobody else is there to do it: this engine has no timer.
    producer.flush(LONG).unwrap();
    assert!(delivery.is_done());
    assert_eq!((producer.pending(), producer.stats().batches_retried), (0, 5));
}

#[test]
fn a_close_does_not_wait_longer_than_it_may_for_an_answer_that_does_not_come() {
    let world = World::new(Seat::Elsewhere);
    world.replica.hold_answers(true);
    let producer = world.host.producer(&[NO_LINGER]);
    let (sent, behind) = (world.send(&producer, "v"), world.send(&producer, "w"));
    assert_eq!(producer.close(Duration::ZERO).unwrap_err().code(), ErrorCode::TIMED_OUT);
    assert_eq!(code(sent.wait()), ErrorCode::PURGE_INFLIGHT);
    assert_eq!(code(behind.wait()), ErrorCode::PURGE_QUEUE);
    assert_eq!((producer.pending(), producer.stats().buffer_free_bytes), (0, 33_554_432));
    world.replica.answer(true);
    assert_eq!(producer.stats().records_acked, 0, "it was told already");
}

#[test]
fn a_purge_ends_what_waits_for_its_next_attempt_and_says_what_may_be_in_the_log() {
    let world = World::new(Seat::Unknown);
    let producer = world.host.producer(&[NO_LINGER]);
    let (tried, behind) = (world.send(&producer, "v"), world.send(&producer, "w"));
    assert_eq!((producer.purge(false), producer.pending()), (2, 0));
    assert_eq!((code(tried.wait()), code(behind.wait())), (ErrorCode::PURGE_QUEUE, ErrorCode::PURGE_QUEUE));
    world.replica.move_leader(Seat::Elsewhere, true);
    world.replica.set_faults([Fault::LoseAnswer(ErrorCode::NETWORK_EXCEPTION)]);
    let tried = world.send(&producer, "x");
    assert_eq!((producer.purge(false), producer.pending()), (1, 0));
    assert_eq!(code(tried.wait()), ErrorCode::PURGE_INFLIGHT);
    world.send(&producer, "y").wait().unwrap();
}

#[test]
fn a_producer_is_freed_although_a_partition_still_has_news_for_it() {
    let world = World::new(Seat::Here);
    world.replica.hold_replication(true);
    let producer = world.host.producer(&[NO_LINGER]);
    drop(world.send(&producer, "unfinished"));
    world.replica.move_leader(Seat::Elsewhere, false);
    world.replica.hold_answers(true);
    drop(world.send(&producer, "on its way"));
    drop(producer);
    world.replica.replicate();
    world.replica.answer(false);
    world.replica.replicate();
    world.replica.answer(false);
    world.pass(60_000);
    assert_eq!((world.replica.values().len(), Arc::strong_count(&world.host)), (2, 1));
    world.replica.replicate();
}

#[test]
fn what_was_lost_on_the_way_says_so_once_it_is_given_up() {
    let world = World::new(Seat::Elsewhere);
    let producer = world.host.producer(&[NO_LINGER, SOON, ("retries", "1")]);
    world
        .replica
        .set_faults([Fault::LoseAnswer(ErrorCode::NETWORK_EXCEPTION), Fault::Refuse(ErrorCode::INVALID_RECORD)]);
    let told: Error = world.send(&producer, "v").wait().unwrap_err();
    assert_eq!(told.code(), ErrorCode::INVALID_RECORD);
    assert!(told.message().ends_with("it may be in the log all the same"), "{told}");
}
