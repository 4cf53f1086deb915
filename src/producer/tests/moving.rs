//! A leader that moves: what was appended under the old one is sent to the new one, in order, and nobody who waits is forgotten.

use super::super::fake_replica::Fault;
use super::super::host::Seat;
use super::{code, Delivery, ErrorCode, FakeHost, ToldClock, LINGER, LONG, NO_LINGER};
use crate::error::Result;
use crate::producer::{Record, RecordMetadata};
use crate::types::{Offset, Rung};
use parking_lot::Mutex;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::sync::Arc;
use std::task::{Context, Wake, Waker};
use std::time::Duration;

#[test]
fn what_a_lost_leader_had_not_replicated_goes_to_the_next_one_once_and_in_order() {
    for (to, keeps_all) in [(Seat::Elsewhere, false), (Seat::Elsewhere, true), (Seat::Here, false), (Seat::Here, true)]
    {
        let host = FakeHost::new();
        let replica = host.create_shared("t");
        let producer = host.producer(&[NO_LINGER]);
        let done = producer.send(Record::new("t", "done")).unwrap().wait().unwrap();
        assert_eq!((done.offset, done.rung), (Some(Offset(0)), Rung::Replicated));
        replica.hold_replication(true);
        let values = ["a", "b", "c"];
        let sent: Vec<Delivery> = values.iter().map(|v| producer.send(Record::new("t", v)).unwrap()).collect();
        assert!(sent.iter().all(|delivery| !delivery.is_done()));
        assert_eq!(producer.pending(), 3);
        replica.hold_replication(false);
        replica.move_leader(to, keeps_all);
        let base = if keeps_all { 4 } else { 1 };
        for (n, delivery) in sent.into_iter().enumerate() {
            assert_eq!(delivery.wait().unwrap().offset, Some(Offset(base + n as u64)));
        }
        let expected = if keeps_all { vec!["done", "a", "b", "c", "a", "b", "c"] } else { vec!["done", "a", "b", "c"] };
        assert_eq!(replica.values(), expected, "{to:?}");
        let stats = producer.stats();
        assert_eq!((stats.batches_retried, stats.records_retried, stats.records_acked), (3, 3, 4));
        assert_eq!((producer.pending(), stats.buffer_free_bytes), (0, 33_554_432));
    }
}

#[test]
fn newer_batches_do_not_overtake_those_that_a_leader_has_lost() {
    let host = FakeHost::with_clock(Arc::new(ToldClock::default()));
    let replica = host.create_shared("t");
    let producer = host.producer(&[NO_LINGER]);
    replica.hold_replication(true);
    let old = producer.send(Record::new("t", "old")).unwrap();
    replica.set_faults([Fault::Refuse(ErrorCode::NOT_LEADER_OR_FOLLOWER)]);
    replica.move_leader(Seat::Elsewhere, false);
    let new = producer.send(Record::new("t", "new")).unwrap();
    assert!(replica.values().is_empty() && !old.is_done() && !new.is_done());
    replica.hold_replication(false);
    replica.move_leader(Seat::Here, false);
    assert!(old.is_done() && new.is_done());
    assert_eq!(replica.values(), ["old", "new"]);
}

#[test]
fn too_few_replicas_after_the_append_is_tried_again_too() {
    let clock = Arc::new(ToldClock::default());
    let host = FakeHost::with_clock(clock.clone());
    let replica = host.create_shared("t");
    replica.hold_replication(true);
    replica.set_too_few_in_sync(true);
    let producer = host.producer(&[NO_LINGER]);
    let delivery = producer.send(Record::new("t", "v")).unwrap();
    replica.replicate();
    assert!(!delivery.is_done());
    replica.set_too_few_in_sync(false);
    replica.hold_replication(false);
    clock.advance(Duration::from_millis(120));
    host.tick();
    assert_eq!(delivery.wait().unwrap().offset, Some(Offset(1)), "written twice");
    let producer = host.producer(&[NO_LINGER, ("retries", "0")]);
    replica.hold_replication(true);
    replica.set_too_few_in_sync(true);
    let delivery = producer.send(Record::new("t", "w")).unwrap();
    replica.replicate();
    let told = delivery.wait().unwrap_err();
    assert_eq!(told.code(), ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND);
    assert!(told.message().ends_with("it may be in the log all the same"), "{told}");
}

#[derive(Default)]
struct CountWakes(AtomicU32);

impl Wake for CountWakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

#[test]
fn callbacks_futures_and_waiters_are_told_by_whoever_replicates() {
    let host = FakeHost::new();
    let replica = host.create_shared("t");
    replica.hold_replication(true);
    let producer = host.producer(&[LINGER, ("batch.size", "1")]);
    let heard = Arc::new(Mutex::new(Vec::new()));
    let heard_there = heard.clone();
    let callback = move |result: Result<RecordMetadata>| heard_there.lock().push(result.unwrap().offset);
    producer.send_with(Record::new("t", "callback"), callback).unwrap();
    let wakes = Arc::new(CountWakes::default());
    let waker = Waker::from(wakes.clone());
    let mut future = producer.send(Record::new("t", "future")).unwrap();
    assert!(Pin::new(&mut future).poll(&mut Context::from_waker(&waker)).is_pending());
    let waited_for = producer.send(Record::new("t", "waiter")).unwrap();
    std::thread::scope(|scope| {
        // Waits where nobody but the news can wake it: no timer runs here.
        let waiter = scope.spawn(|| waited_for.wait().unwrap().offset);
        let flusher = scope.spawn(|| producer.flush(LONG));
        let more = scope.spawn(|| {
            let acks_1 = host.producer(&[NO_LINGER, ("acks", "1")]);
            let delivery = acks_1.send(Record::new("t", "more")).unwrap();
            delivery.wait_for(Rung::Replicated).unwrap().rung
        });
        while replica.values().len() < 4 {
            std::thread::yield_now();
        }
        replica.replicate();
        assert_eq!(
            waiter.join().unwrap(),
            Some(Offset(replica.values().iter().position(|v| v == "waiter").unwrap() as u64))
        );
        assert_eq!(more.join().unwrap(), Rung::Replicated);
        flusher.join().unwrap().unwrap();
    });
    assert_eq!(wakes.0.load(SeqCst), 1);
    host.run_callbacks();
    assert_eq!(heard.lock().len(), 1);
    assert!(Pin::new(&mut future).poll(&mut Context::from_waker(&waker)).is_ready());
}

#[test]
fn under_flush_messages_1_a_waiter_leads_the_group_commit_and_a_future_has_the_timer_for_it() {
    let host = FakeHost::with_clock(Arc::new(ToldClock::default()));
    let replica = host.create_shared("t");
    replica.flush_before_ack();
    let producer = host.producer(&[NO_LINGER]);
    let delivery = producer.send(Record::new("t", "v")).unwrap();
    assert!(!delivery.is_done());
    assert_eq!(delivery.wait().unwrap().rung, Rung::Replicated);
    let mut future = producer.send(Record::new("t", "w")).unwrap();
    let wakes = Arc::new(CountWakes::default());
    assert!(Pin::new(&mut future).poll(&mut Context::from_waker(&Waker::from(wakes.clone()))).is_pending());
    host.tick();
    assert_eq!(wakes.0.load(SeqCst), 1);
    host.wake_at.store(u64::MAX, SeqCst);
    producer.send_with(Record::new("t", "x"), |result| drop(result.unwrap())).unwrap();
    assert_eq!(host.wake_at.load(SeqCst), 0, "the timer is asked at once");
    host.tick();
    assert_eq!((host.run_callbacks(), producer.pending()), (1, 0));
    drop(producer.send(Record::new("t", "forgotten")).unwrap());
    host.tick();
    assert_eq!(producer.pending(), 0);
}

/// What a run of `random` came to; `Err` says what is wrong.
fn run(seed: u64) -> std::result::Result<(), String> {
    let mut random = fastrand::Rng::with_seed(seed);
    let clock = Arc::new(ToldClock::default());
    let host = FakeHost::with_clock(clock.clone());
    let replica = host.create_shared("t");
    let linger = if random.bool() { NO_LINGER } else { ("linger.ms", "3") };
    let timeout = if random.bool() { "120000" } else { "3000" };
    let retries = if random.u8(..) < 200 { "2147483647" } else { "3" };
    let settings = [
        linger,
        ("batch.size", if random.bool() { "200" } else { "1" }),
        ("delivery.timeout.ms", timeout),
        ("request.timeout.ms", "500"),
        ("retries", retries),
    ];
    let producer = host.producer(&settings);
    let heard = Arc::new(Mutex::new(Vec::new()));
    let mut sent: Vec<(Delivery, String)> = Vec::new();
    let mut records = 0;
    for _ in 0..random.usize(20..300) {
        match random.u8(0..21) {
            0..9 => {
                let value = format!("{records:04}");
                records += 1;
                if random.u8(..) < 30 {
                    let heard = heard.clone();
                    // What failed is told when that is known, maybe before older ones.
                    let callback =
                        move |result: Result<RecordMetadata>| heard.lock().extend(result.map(|at| at.offset));
                    producer.send_with(Record::new("t", &value), callback).unwrap();
                } else {
                    sent.push((producer.send(Record::new("t", &value)).unwrap(), value));
                }
            }
            9 | 10 => replica.replicate(),
            11 => replica.hold_replication(random.bool()),
            12 => replica.hold_answers(random.bool()),
            13 => drop(replica.answer(random.bool())),
            14 => replica
                .move_leader(*random.choice(&[Seat::Here, Seat::Elsewhere, Seat::Unknown]).unwrap(), random.bool()),
            20 => replica.hold_news(random.bool()),
            15 => replica.set_too_few_in_sync(random.bool()),
            16 | 17 => {
                let codes = [ErrorCode::REQUEST_TIMED_OUT, ErrorCode::NETWORK_EXCEPTION];
                let refusals =
                    [ErrorCode::NOT_ENOUGH_REPLICAS, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, ErrorCode::INVALID_RECORD];
                replica.push_fault(match random.u8(0..3) {
                    0 => Fault::LoseAnswer(*random.choice(&codes).unwrap()),
                    1 => Fault::Refuse(*random.choice(&refusals).unwrap()),
                    _ => Fault::None,
                });
            }
            _ => {
                clock.advance(Duration::from_millis(random.u64(0..400)));
                host.tick();
            }
        }
    }
    replica.set_faults([]);
    replica.set_too_few_in_sync(false);
    replica.hold_replication(false);
    replica.hold_answers(false);
    replica.hold_news(false);
    replica.move_leader(*random.choice(&[Seat::Here, Seat::Elsewhere]).unwrap(), random.bool());
    replica.answer(true);
    for _ in 0..200 {
        clock.advance(Duration::from_millis(50));
        host.tick();
    }
    if producer.pending() > 0 {
        return Err(format!("{} records are still on their way", producer.pending()));
    }
    host.run_callbacks();
    if !heard.lock().is_sorted() {
        return Err(format!("callbacks out of order: {:?}", heard.lock()));
    }
    let values = replica.values();
    let mut firsts: Vec<&String> = Vec::new();
    for value in &values {
        if !firsts.contains(&value) {
            firsts.push(value);
        }
    }
    if !firsts.is_sorted() {
        return Err(format!("out of order: {values:?}"));
    }
    for (delivery, value) in sent {
        match delivery.wait() {
            Ok(told) => {
                let offset = told.offset.expect("acks=all is told one").0 as usize;
                if values.get(offset) != Some(&value) {
                    return Err(format!("{value} was acknowledged at {offset}, where {:?} is", values.get(offset)));
                }
            }
            Err(error) if error.message().ends_with("it is not in the log") && values.contains(&value) => {
                return Err(format!("{value} is in the log: {error}"));
            }
            Err(_) => {}
        }
    }
    let stats = producer.stats();
    if stats.buffer_free_bytes != 33_554_432 {
        return Err(format!("{} bytes are free", stats.buffer_free_bytes));
    }
    Ok(())
}

#[test]
fn whatever_happens_to_leaders_requests_and_answers_records_keep_their_order_and_their_fate_is_told() {
    let only = std::env::var("KAFKALOG_SEED").ok().and_then(|seed| seed.parse::<u64>().ok());
    for seed in only.map_or(0..1_000, |seed| seed..seed + 1) {
        let outcome = std::panic::catch_unwind(|| run(seed)).unwrap_or_else(|_| Err("a panic".into()));
        if let Err(wrong) = outcome {
            panic!("{wrong}\nreplay: KAFKALOG_SEED={seed} cargo test --lib producer::tests::moving");
        }
    }
}

#[test]
fn many_threads_and_a_leader_that_moves_lose_nothing_and_keep_their_order() {
    const EACH: u32 = 300;
    let host = FakeHost::new();
    let replica = host.create_shared("t");
    let settings =
        [("linger.ms", "1"), ("batch.size", "300"), ("retry.backoff.ms", "1"), ("retry.backoff.max.ms", "3")];
    let producer = host.producer(&settings);
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let senders: Vec<_> = (0..4)
            .map(|thread| {
                let producer = &producer;
                scope.spawn(move || {
                    for n in 0..EACH {
                        let delivery = producer.send(Record::new("t", &format!("{thread} {n}"))).unwrap();
                        if n % 5 == 0 {
                            delivery.wait().unwrap();
                        }
                    }
                })
            })
            .collect();
        let mover = scope.spawn(|| {
            let mut random = fastrand::Rng::with_seed(1);
            while !is_over.load(SeqCst) {
                replica.hold_replication(random.bool());
                replica
                    .move_leader(*random.choice(&[Seat::Here, Seat::Elsewhere, Seat::Unknown]).unwrap(), random.bool());
                host.tick();
                std::thread::yield_now();
                replica.replicate();
            }
            replica.hold_replication(false);
            replica.move_leader(Seat::Here, true);
        });
        senders.into_iter().for_each(|sender| sender.join().unwrap());
        is_over.store(true, SeqCst);
        mover.join().unwrap();
    });
    producer.flush(LONG).unwrap();
    let values = replica.values();
    for thread in 0..4 {
        let mut next = 0;
        for value in values.iter().filter_map(|value| value.strip_prefix(&format!("{thread} "))) {
            let n: u32 = value.parse().unwrap();
            assert!(n <= next, "{thread} {n} came before {next}");
            next = next.max(n + 1);
        }
        assert_eq!(next, EACH);
    }
}

#[test]
fn who_waits_with_a_limit_gets_nothing_when_it_passes_and_the_answer_later() {
    let host = FakeHost::new();
    let replica = host.create_shared("t");
    replica.move_leader(Seat::Elsewhere, true);
    replica.hold_answers(true);
    let producer = host.producer(&[NO_LINGER]);
    let mut delivery = producer.send(Record::new("t", "v")).unwrap();
    assert!(delivery.wait_timeout(Duration::ZERO).is_none());
    replica.answer(false);
    assert_eq!(delivery.wait_timeout(Duration::ZERO).unwrap().unwrap().offset, Some(Offset(0)));
    replica.move_leader(Seat::Unknown, true);
    let purged = producer.send(Record::new("t", "w")).unwrap();
    producer.purge(true);
    assert_eq!(code(purged.wait()), ErrorCode::PURGE_QUEUE);
}
