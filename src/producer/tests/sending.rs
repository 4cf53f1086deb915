//! How records become batches, and who appends them.

use super::{Delivery, ErrorCode, FakeHost, ToldClock, LINGER, LONG, NO_LINGER};
use crate::producer::{PartitionChoice, Partitioner, Producer, Record};
use crate::types::Offset;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::Arc;
use std::time::Duration;

#[test]
fn a_lone_sender_without_linger_appends_on_its_own_thread_and_finds_the_delivery_done() {
    let host = FakeHost::new();
    let topic = host.create("t", 1);
    let producer = host.producer(&[NO_LINGER]);
    for n in 0..3_u64 {
        let delivery = producer.send(Record::new("t", &format!("v{n}")).key("key")).unwrap();
        assert!(delivery.is_done());
        assert_eq!(delivery.wait().unwrap().offset, Some(Offset(n)));
    }
    assert_eq!(topic.at(0).values(), ["v0", "v1", "v2"]);
    assert!(topic.at(0).threads().iter().all(|id| *id == std::thread::current().id()));
    assert_eq!(host.wake_at.load(SeqCst), u64::MAX, "nobody else was asked to wake");
}

#[test]
fn the_thread_that_fills_a_batch_appends_it() {
    let host = FakeHost::new();
    let topic = host.create("t", 1);
    let producer = host.producer(&[LINGER, ("batch.size", "1000")]);
    let mut sent: Vec<Delivery> = Vec::new();
    while topic.at(0).batch_sizes().is_empty() {
        assert!(sent.iter().all(|delivery| !delivery.is_done()), "they linger until the batch is full");
        sent.push(producer.send(Record::new("t", &[b'x'; 90])).unwrap());
    }
    assert_eq!(topic.at(0).threads(), [std::thread::current().id()]);
    assert!(topic.at(0).batch_sizes()[0] >= 8);
    let last = sent.pop().unwrap();
    assert!(sent.iter().all(Delivery::is_done));
    assert!(!last.is_done(), "it began the next batch");
}

#[test]
fn callers_that_arrive_while_somebody_appends_fill_the_next_batch() {
    let host = FakeHost::new();
    let topic = host.create("t", 1);
    let producer = host.producer(&[NO_LINGER]);
    topic.at(0).hold();
    std::thread::scope(|scope| {
        let first = scope.spawn(|| producer.send(Record::new("t", "first")).unwrap().wait().unwrap());
        topic.at(0).wait_until_inside();
        let behind: Vec<Delivery> =
            (0..50).map(|n| producer.send(Record::new("t", &format!("{n}"))).unwrap()).collect();
        topic.at(0).release();
        assert_eq!(first.join().unwrap().offset, Some(Offset(0)));
        for (n, delivery) in behind.into_iter().enumerate() {
            assert_eq!(delivery.wait().unwrap().offset, Some(Offset(n as u64 + 1)));
        }
    });
    assert_eq!(topic.at(0).batch_sizes(), [1, 50]);
}

#[test]
fn a_thread_is_not_kept_for_ever_by_the_batches_of_others() {
    let host = FakeHost::new();
    let topic = host.create("t", 1);
    let producer = host.producer(&[NO_LINGER, ("batch.size", "1")]);
    topic.at(0).hold();
    std::thread::scope(|scope| {
        let first = scope.spawn(|| producer.send(Record::new("t", "first")).unwrap().wait().unwrap());
        topic.at(0).wait_until_inside();
        let behind: Vec<Delivery> = (0..50).map(|_| producer.send(Record::new("t", "more")).unwrap()).collect();
        topic.at(0).release();
        first.join().unwrap();
        assert!(topic.at(0).values().len() < 51, "some are left for somebody else");
        assert_ne!(host.wake_at.load(SeqCst), u64::MAX, "who is asked for");
        while host.tick().is_some_and(|next| next <= crate::time::Clock::monotonic(&crate::time::SystemClock::new())) {}
        for delivery in behind {
            delivery.wait().unwrap();
        }
    });
    assert_eq!(topic.at(0).values().len(), 51);
}

#[test]
fn a_batch_goes_when_its_linger_has_passed() {
    let clock = Arc::new(ToldClock::default());
    let host = FakeHost::with_clock(clock.clone());
    let topic = host.create("t", 1);
    let producer = host.producer(&[("linger.ms", "5")]);
    let delivery = producer.send(Record::new("t", "v")).unwrap();
    assert_eq!(host.wake_at.load(SeqCst), 5_000_000, "the timer is asked for its linger");
    clock.advance(Duration::from_millis(4));
    assert!(host.tick().is_some());
    assert_eq!(topic.at(0).batch_sizes().len(), 0);
    clock.advance(Duration::from_millis(1));
    assert_eq!(host.tick(), None, "and then there is nothing to come back for");
    assert!(delivery.is_done());
}

#[test]
fn a_batch_opened_while_somebody_appends_goes_when_its_linger_has_passed_too() {
    let clock = Arc::new(ToldClock::default());
    let host = FakeHost::with_clock(clock.clone());
    let topic = host.create("t", 1);
    let producer = host.producer(&[("linger.ms", "11"), ("batch.size", "200")]);
    topic.at(0).hold();
    let late = std::thread::scope(|scope| {
        scope.spawn(|| drop(producer.send(Record::new("t", &[b'x'; 300])).unwrap()));
        topic.at(0).wait_until_inside();
        let late = producer.send(Record::new("t", "late")).unwrap();
        clock.advance(Duration::from_millis(15));
        assert_ne!(host.tick().map(|next| next.0 > 15_000_000), Some(false), "the timer does not spin");
        topic.at(0).release();
        late
    });
    assert!(host.wake_at.load(SeqCst) <= 15_000_000);
    host.tick();
    assert!(late.is_done());
}

#[test]
fn a_waiter_drives_its_batch_itself_when_the_linger_has_passed() {
    let host = FakeHost::new();
    let topic = host.create("t", 1);
    let producer = host.producer(&[("linger.ms", "5")]);
    // The fake engine has no timer thread: were the waiter not to do it, nobody would.
    producer.send(Record::new("t", "v")).unwrap().wait().unwrap();
    assert_eq!(topic.at(0).threads(), [std::thread::current().id()]);
}

#[test]
fn keys_choose_like_kafka_and_may_be_ignored_and_a_partitioner_of_ones_own_is_asked() {
    struct Last;
    impl Partitioner for Last {
        fn partition(&self, asked: PartitionChoice<'_>) -> u32 {
            if asked.value == Some(b"bad") {
                99
            } else {
                asked.partition_count - 1
            }
        }
    }
    let host = FakeHost::new();
    host.create("t", 10);
    let partition_of = |producer: &Producer, key: &str| {
        producer.send(Record::new("t", "v").key(key)).unwrap().wait().unwrap().partition
    };
    let producer = host.producer(&[NO_LINGER]);
    assert_eq!(["foobar", "abc", "21", "key"].map(|key| partition_of(&producer, key)), [6, 7, 0, 1]);
    let producer = host.producer(&[NO_LINGER, ("partitioner.ignore.keys", "true")]);
    let sticky = partition_of(&producer, "foobar");
    assert!(["abc", "21", "key"].iter().all(|key| partition_of(&producer, key) == sticky));
    let producer = host.builder().linger(Duration::ZERO).partitioner(Arc::new(Last)).open().unwrap();
    assert_eq!(partition_of(&producer, "foobar"), 9);
    assert_eq!(producer.send(Record::new("t", "bad")).unwrap_err().code(), ErrorCode::INVALID_ARG);
    assert_eq!(producer.send(Record::new("t", "bad").partition(3)).unwrap().wait().unwrap().partition, 3);
}

#[test]
fn records_without_a_key_fill_a_batch_before_they_change_the_partition() {
    let host = FakeHost::new();
    let topic = host.create("t", 4);
    let producer = host.producer(&[LINGER, ("batch.size", "1000")]);
    for _ in 0..400 {
        drop(producer.send(Record::new("t", &[b'x'; 90])).unwrap());
    }
    producer.flush(LONG).unwrap();
    let sizes: Vec<u32> = (0..4).flat_map(|partition| topic.at(partition).batch_sizes()).collect();
    assert_eq!(sizes.iter().sum::<u32>(), 400);
    let full = *sizes.iter().max().unwrap();
    assert!(full >= 8, "{sizes:?}");
    // At most the last batch of each partition is not full.
    assert!(sizes.iter().filter(|size| **size < full - 1).count() <= 4, "{sizes:?}");
    assert!((0..4).filter(|partition| !topic.at(*partition).batch_sizes().is_empty()).count() >= 2);
}

#[test]
fn eight_threads_onto_one_partition_keep_their_own_order_and_lose_nothing() {
    const EACH: u32 = 2000;
    for settings in [[NO_LINGER, ("batch.size", "16384")], [("linger.ms", "1"), ("batch.size", "500")]] {
        let host = FakeHost::new();
        let topic = host.create("t", 1);
        let producer = host.producer(&settings);
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let producer = &producer;
                scope.spawn(move || {
                    let mut last = None;
                    for n in 0..EACH {
                        let delivery = producer.send(Record::new("t", &format!("{thread} {n}"))).unwrap();
                        if n % 7 == 0 {
                            last = delivery.wait().unwrap().offset.max(last);
                        }
                    }
                });
            }
        });
        producer.flush(LONG).unwrap();
        let values = topic.at(0).values();
        assert_eq!(values.len(), 8 * EACH as usize);
        for thread in 0..8 {
            let own: Vec<&String> = values.iter().filter(|value| value.starts_with(&format!("{thread} "))).collect();
            assert!(own.iter().enumerate().all(|(n, value)| **value == format!("{thread} {n}")));
        }
    }
}

#[test]
fn a_batch_that_was_opened_while_somebody_appended_goes_when_its_linger_is_over() {
    let clock = Arc::new(ToldClock::default());
    let host = FakeHost::with_clock(clock.clone());
    let topic = host.create("t", 1);
    let producer = host.producer(&[("linger.ms", "5"), ("batch.size", "250")]);
    let mut behind = Vec::new();
    std::thread::scope(|scope| {
        topic.at(0).hold();
        let filler = scope.spawn(|| {
            let mut sent = Vec::new();
            while topic.at(0).batch_sizes().is_empty() {
                sent.push(producer.send(Record::new("t", &[b'x'; 90])).unwrap());
            }
            sent
        });
        topic.at(0).wait_until_inside();
        behind.push(producer.send(Record::new("t", "behind")).unwrap());
        // The timer can do nothing while the role is taken, and lets go of the queue.
        host.tick();
        clock.advance(Duration::from_millis(1));
        host.tick();
        topic.at(0).release();
        behind.extend(filler.join().unwrap());
    });
    assert!(behind.iter().any(|delivery| !delivery.is_done()), "something lingers");
    clock.advance(Duration::from_millis(10));
    host.tick();
    for delivery in behind {
        assert!(delivery.is_done(), "nobody came for it");
    }
    assert!(topic.all_values().contains(&"behind".to_string()));
}
