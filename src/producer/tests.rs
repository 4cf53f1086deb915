//! The producer whole, over an engine made of vectors.

use super::fake::{FakeHost, ToldClock};
use super::{Delivery, DeliveryReport, DeliverySink, PartitionChoice, Partitioner, Producer, Record, RecordMetadata};
use crate::error::{Error, ErrorCode, Result};
use crate::types::{Offset, Rung, Timestamp};
use parking_lot::Mutex;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(60);
/// Batches that only fill or are driven.
const LINGER: (&str, &str) = ("linger.ms", "60000");
const NO_LINGER: (&str, &str) = ("linger.ms", "0");

fn code(result: Result<RecordMetadata>) -> ErrorCode {
    result.unwrap_err().code()
}

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
fn metadata_tells_all_there_is_to_tell() {
    let clock = Arc::new(ToldClock::default());
    let host = FakeHost::with_clock(clock);
    host.create("t", 3);
    let producer = host.producer(&[NO_LINGER]);
    let told = producer.send(Record::new("t", "four").key("k").partition(2)).unwrap().wait().unwrap();
    let expected = RecordMetadata {
        topic: "t".into(),
        partition: 2,
        offset: Some(Offset(0)),
        timestamp: Timestamp(1000),
        serialized_key_bytes: Some(1),
        serialized_value_bytes: Some(4),
        rung: Rung::Replicated,
    };
    assert_eq!(told, expected);
    let tombstone = Record::tombstone("t").partition(2).timestamp(Timestamp(5));
    let told = producer.send(tombstone).unwrap().wait().unwrap();
    let expected = RecordMetadata {
        offset: Some(Offset(1)),
        timestamp: Timestamp(5),
        serialized_key_bytes: None,
        serialized_value_bytes: None,
        ..expected
    };
    assert_eq!(told, expected);
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
fn a_waiter_drives_its_batch_itself_when_the_linger_has_passed() {
    let host = FakeHost::new();
    let topic = host.create("t", 1);
    let producer = host.producer(&[("linger.ms", "5")]);
    // The fake engine has no timer thread: were the waiter not to do it, nobody would.
    producer.send(Record::new("t", "v")).unwrap().wait().unwrap();
    assert_eq!(topic.at(0).threads(), [std::thread::current().id()]);
}

#[test]
fn a_pipelined_sender_under_flush_messages_1_gets_one_fsync_for_many_records() {
    let host = FakeHost::new();
    let topic = host.create("t", 1);
    topic.at(0).flushes_before_ack.store(true, SeqCst);
    for acks in ["1", "all"] {
        let before = topic.at(0).flush_count();
        let producer = host.producer(&[NO_LINGER, ("acks", acks)]);
        let sent: Vec<Delivery> = (0..100).map(|_| producer.send(Record::new("t", "v")).unwrap()).collect();
        assert_eq!(topic.at(0).flush_count(), before, "send waits for no fsync");
        for delivery in sent.into_iter().rev() {
            assert_eq!(delivery.wait().unwrap().rung, Rung::Replicated);
        }
        assert_eq!(topic.at(0).flush_count(), before + 1);
        assert_eq!(producer.pending(), 0);
    }
}

#[test]
fn what_nobody_waits_for_is_flushed_by_the_background() {
    let host = FakeHost::new();
    let topic = host.create("t", 1);
    topic.at(0).flushes_before_ack.store(true, SeqCst);
    let producer = host.producer(&[NO_LINGER]);
    drop(producer.send(Record::new("t", "dropped")).unwrap());
    assert_ne!(host.wake_at.load(SeqCst), u64::MAX);
    host.tick();
    assert_eq!((producer.pending(), topic.at(0).flush_count()), (0, 1));
    let told = Arc::new(Mutex::new(Vec::new()));
    let heard = told.clone();
    producer.send_with(Record::new("t", "callback"), move |result| heard.lock().push(result.unwrap().rung)).unwrap();
    host.tick();
    host.run_callbacks();
    assert_eq!(*told.lock(), [Rung::Replicated]);
}

#[test]
fn acks_0_is_acknowledged_in_memory_and_can_still_be_waited_for() {
    let host = FakeHost::new();
    let topic = host.create("t", 1);
    let producer = host.producer(&[LINGER, ("acks", "0")]);
    let delivery = producer.send(Record::new("t", "v")).unwrap();
    assert!(delivery.is_done());
    let told = delivery.wait().unwrap();
    assert_eq!((told.offset, told.rung), (None, Rung::Buffered));
    assert_eq!(topic.at(0).values().len(), 0);
    producer.flush(LONG).unwrap();
    let producer = host.producer(&[NO_LINGER, ("acks", "0")]);
    let told = producer.send(Record::new("t", "w")).unwrap().wait_for(Rung::Written).unwrap();
    assert_eq!(told.offset, Some(Offset(1)));
}

#[test]
fn a_record_over_max_request_size_fails_alone() {
    let host = FakeHost::new();
    let topic = host.create("t", 1);
    let producer = host.producer(&[LINGER, ("max.request.size", "2000")]);
    let small = producer.send(Record::new("t", "a")).unwrap();
    assert_eq!(
        code(producer.send(Record::new("t", &vec![0; 2000])).and_then(Delivery::wait)),
        ErrorCode::MESSAGE_TOO_LARGE
    );
    let other = producer.send(Record::new("t", "b")).unwrap();
    producer.flush(LONG).unwrap();
    assert!(small.wait().is_ok() && other.wait().is_ok());
    assert_eq!(topic.at(0).values(), ["a", "b"]);
    assert_eq!(producer.stats().records_refused, 1);
}

#[test]
fn of_a_batch_over_max_message_bytes_only_the_record_that_is_too_large_alone_fails() {
    for codec in ["none", "gzip"] {
        let host = FakeHost::new();
        let topic = host.create("t", 1);
        topic.at(0).limit_batches(400);
        let producer = host.producer(&[LINGER, ("compression.type", codec)]);
        // Not compressible, so that the codec does not save it.
        let mut random = fastrand::Rng::with_seed(7);
        let large: Vec<u8> = (0..600).map(|_| random.u8(..)).collect();
        let header = [crate::record::Header { key: b"h", value: Some(b"1") }];
        let sent: Vec<Delivery> = (0..20)
            .map(|n| match n {
                7 => producer.send(Record::new("t", &large)).unwrap(),
                _ => producer.send(Record::new("t", &format!("value {n}")).headers(&header)).unwrap(),
            })
            .collect();
        assert_eq!(producer.flush(LONG).unwrap_err().code(), ErrorCode::MESSAGE_TOO_LARGE);
        for (n, delivery) in sent.into_iter().enumerate() {
            match (n, delivery.wait()) {
                (7, result) => assert_eq!(code(result), ErrorCode::MESSAGE_TOO_LARGE),
                (_, result) => assert_eq!(result.unwrap().offset, Some(Offset(n as u64 - u64::from(n > 7)))),
            }
        }
        let expected: Vec<String> = (0..20).filter(|n| *n != 7).map(|n| format!("value {n}")).collect();
        assert_eq!(topic.at(0).values(), expected);
        assert_eq!((producer.stats().batches_split, producer.stats().records_failed), (1, 1));
    }
}

#[test]
fn a_topic_that_is_not_there_and_a_partition_that_is_not_there_are_told_at_once() {
    let host = FakeHost::new();
    host.create("t", 2);
    let producer = host.producer(&[]);
    assert_eq!(producer.send(Record::new("u", "")).unwrap_err().code(), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    let beyond = producer.send(Record::new("t", "").partition(2));
    assert_eq!(beyond.unwrap_err().code(), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    assert_eq!(producer.stats().records_refused, 2);
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
fn a_full_buffer_makes_send_wait_and_what_waits_is_carried_by_the_one_who_needs_the_room() {
    let host = FakeHost::new();
    let topic = host.create("t", 4);
    let producer = host.producer(&[LINGER, ("batch.size", "1000"), ("buffer.memory", "2000")]);
    for partition in 0..4 {
        drop(producer.send(Record::new("t", "v").partition(partition)).unwrap());
    }
    assert!(topic.all_values().len() >= 2);
    assert!(producer.stats().buffer_waits >= 1);
    producer.flush(LONG).unwrap();
    assert_eq!((topic.all_values().len(), producer.stats().buffer_free_bytes), (4, 2000));
}

#[test]
fn a_buffer_that_stays_full_is_told_and_is_of_use_again_once_it_is_not() {
    let host = FakeHost::new();
    let topic = host.create("t", 1);
    let settings = [LINGER, ("batch.size", "500"), ("buffer.memory", "1000"), ("max.block.ms", "0")];
    let producer = host.producer(&settings);
    topic.at(0).hold();
    let value = "x".repeat(440);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..2 {
                drop(producer.send(Record::new("t", &value)).unwrap());
            }
        });
        topic.at(0).wait_until_inside();
        let refused = loop {
            match producer.send(Record::new("t", &value)) {
                Ok(delivery) => drop(delivery),
                Err(refused) => break refused,
            }
        };
        assert_eq!(refused.code(), ErrorCode::QUEUE_FULL);
        assert!(refused.is_retriable() && refused.message().contains("buffer.memory=1000"), "{refused}");
        topic.at(0).release();
    });
    producer.flush(LONG).unwrap();
    drop(producer.send(Record::new("t", "again")).unwrap());
    producer.flush(LONG).unwrap();
    assert_eq!(producer.stats().buffer_free_bytes, 1000);
}

#[test]
fn a_failed_disk_is_told_to_every_waiter_and_the_next_flush() {
    let host = FakeHost::new();
    let topic = host.create("t", 2);
    let producer = host.producer(&[LINGER]);
    let lost: Vec<Delivery> = (0..10).map(|_| producer.send(Record::new("t", "v").partition(0)).unwrap()).collect();
    let fine = producer.send(Record::new("t", "v").partition(1)).unwrap();
    topic.at(0).refuse(Some(Error::new(ErrorCode::KAFKA_STORAGE_ERROR, "the disk is gone")));
    let failed = producer.flush(LONG).unwrap_err();
    assert_eq!(failed.code(), ErrorCode::KAFKA_STORAGE_ERROR);
    assert!(failed.message().contains("t-0"), "{failed}");
    for delivery in lost {
        assert_eq!(code(delivery.wait()), ErrorCode::KAFKA_STORAGE_ERROR);
    }
    assert!(fine.wait().is_ok(), "another partition is not poisoned");
    producer.flush(LONG).expect("it was told once");
    topic.at(0).refuse(None);
    assert!(producer.send(Record::new("t", "v").partition(0)).is_ok());
    assert_eq!((producer.stats().records_failed, producer.stats().records_acked), (10, 1));
}

#[test]
fn a_failed_flush_is_told_to_all_who_wait_for_it() {
    let host = FakeHost::new();
    let topic = host.create("t", 1);
    topic.at(0).flushes_before_ack.store(true, SeqCst);
    topic.at(0).refuse_flushes(Error::new(ErrorCode::KAFKA_STORAGE_ERROR, "sync failed"));
    let producer = host.producer(&[NO_LINGER]);
    let sent: Vec<Delivery> = (0..5).map(|_| producer.send(Record::new("t", "v")).unwrap()).collect();
    for delivery in sent {
        assert_eq!(code(delivery.wait()), ErrorCode::KAFKA_STORAGE_ERROR);
    }
    assert_eq!(producer.pending(), 0);
    assert_eq!(producer.flush(LONG).unwrap_err().code(), ErrorCode::KAFKA_STORAGE_ERROR);
    assert_eq!(producer.stats().buffer_free_bytes, 33_554_432);
}

#[test]
fn callbacks_come_once_each_in_the_order_of_the_log_even_if_one_panics() {
    let host = FakeHost::new();
    let topic = host.create("t", 1);
    let producer = host.producer(&[LINGER, ("batch.size", "200")]);
    let heard = Arc::new(Mutex::new(Vec::new()));
    for n in 0..30_u64 {
        let heard = heard.clone();
        let callback = move |result: Result<RecordMetadata>| {
            heard.lock().push(result.unwrap().offset.unwrap().0);
            assert_ne!(n, 11, "on purpose");
        };
        producer.send_with(Record::new("t", "0123456789"), callback).unwrap();
    }
    producer.flush(LONG).unwrap();
    assert!(topic.at(0).batch_sizes().len() > 3);
    host.run_callbacks();
    assert_eq!(*heard.lock(), (0..30).collect::<Vec<_>>());
    assert_eq!(host.warnings.lock().len(), 1);
}

#[test]
fn the_sink_gets_one_report_a_batch_with_the_tags_in_order() {
    #[derive(Default)]
    struct Sink(Mutex<Vec<(u32, Vec<(u64, Option<u64>)>)>>);
    impl DeliverySink for Sink {
        fn deliver(&self, report: DeliveryReport<'_>) {
            let records = report.records().map(|(tag, at)| (tag, at.unwrap().0.map(|offset| offset.0)));
            self.0.lock().push((report.partition, records.collect()));
        }
    }
    let host = FakeHost::new();
    host.create("t", 1);
    let sink = Arc::new(Sink::default());
    let producer = host.builder().linger(LONG).delivery_sink(sink.clone()).open().unwrap();
    producer.send_tagged(Record::new("t", "a"), 70).unwrap();
    drop(producer.send(Record::new("t", "b")).unwrap());
    producer.send_tagged(Record::new("t", "c"), 72).unwrap();
    producer.flush(LONG).unwrap();
    assert_eq!(*sink.0.lock(), [(0, vec![(70, Some(0)), (72, Some(2))])]);
}

struct CountWakes(AtomicU32);

impl Wake for CountWakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

fn poll(delivery: &mut Delivery, waker: &Waker) -> Poll<Result<RecordMetadata>> {
    Pin::new(delivery).poll(&mut Context::from_waker(waker))
}

#[test]
fn a_delivery_is_a_future_that_wakes_its_task_once() {
    let host = FakeHost::new();
    let topic = host.create("t", 1);
    let producer = host.producer(&[LINGER]);
    let wakes = Arc::new(CountWakes(AtomicU32::new(0)));
    let waker = Waker::from(wakes.clone());
    let mut delivery = producer.send(Record::new("t", "v")).unwrap();
    let mut forgotten = producer.send(Record::new("t", "w")).unwrap();
    assert!(poll(&mut delivery, &waker).is_pending());
    assert!(poll(&mut delivery, &waker).is_pending());
    assert!(poll(&mut forgotten, &waker).is_pending());
    drop(forgotten);
    producer.flush(LONG).unwrap();
    assert_eq!(wakes.0.load(SeqCst), 1, "polled twice, woken once; the dropped one not at all");
    let Poll::Ready(Ok(told)) = poll(&mut delivery, &waker) else { panic!("it was told") };
    assert_eq!(told.offset, Some(Offset(0)));
    assert_eq!(topic.at(0).values(), ["v", "w"], "dropping a delivery cancels nothing");
}

#[test]
fn purge_fails_what_is_queued_and_on_request_what_waits_for_its_rung() {
    let host = FakeHost::new();
    let topic = host.create("t", 2);
    topic.at(1).flushes_before_ack.store(true, SeqCst);
    let producer = host.producer(&[LINGER]);
    let queued = producer.send(Record::new("t", "v").partition(0)).unwrap();
    let written = host.producer(&[NO_LINGER]);
    let in_flight = written.send(Record::new("t", "v").partition(1)).unwrap();
    assert_eq!((producer.pending(), producer.purge(false), producer.pending()), (1, 1, 0));
    assert_eq!(code(queued.wait()), ErrorCode::PURGE_QUEUE);
    assert_eq!((written.purge(false), written.pending()), (0, 1));
    assert_eq!((written.purge(true), written.pending()), (1, 0));
    assert_eq!(code(in_flight.wait()), ErrorCode::PURGE_INFLIGHT);
    assert_eq!(producer.stats().buffer_free_bytes, 33_554_432);
}

#[test]
fn what_is_not_written_in_time_expires_and_says_that_it_is_not_in_the_log() {
    let clock = Arc::new(ToldClock::default());
    let host = FakeHost::with_clock(clock.clone());
    let topic = host.create("t", 2);
    topic.at(1).flushes_before_ack.store(true, SeqCst);
    topic.at(1).refuse_flushes(Error::new(ErrorCode::REQUEST_TIMED_OUT, "not yet"));
    let settings = [NO_LINGER, ("delivery.timeout.ms", "1000"), ("request.timeout.ms", "10")];
    let producer = host.producer(&settings);
    let lingering = host.producer(&[("linger.ms", "900"), settings[1], settings[2]]);
    let queued = lingering.send(Record::new("t", "v").partition(0)).unwrap();
    let written = producer.send(Record::new("t", "v").partition(1)).unwrap();
    clock.advance(Duration::from_millis(2000));
    let late = written.wait().unwrap_err();
    assert_eq!(late.code(), ErrorCode::REQUEST_TIMED_OUT);
    assert!(late.message().contains("may be in the log"), "{late}");
    // Its linger passed too: it is written rather than given up.
    assert!(queued.wait().is_ok());
}

#[test]
fn a_closed_producer_sends_what_it_has_and_takes_nothing_more() {
    let host = FakeHost::new();
    let topic = host.create("t", 1);
    let producer = host.producer(&[LINGER]);
    let clone = producer.clone();
    let delivery = producer.send(Record::new("t", "v")).unwrap();
    producer.close(LONG).unwrap();
    assert!(delivery.is_done());
    assert_eq!(clone.send(Record::new("t", "w")).unwrap_err().code(), ErrorCode::DESTROY);
    producer.close(LONG).unwrap();
    assert_eq!(topic.at(0).values(), ["v"]);
}

#[test]
fn the_last_clone_sends_what_is_left_and_the_deliveries_outlive_it() {
    let host = FakeHost::new();
    let topic = host.create("t", 1);
    topic.at(0).flushes_before_ack.store(true, SeqCst);
    let producer = host.producer(&[LINGER]);
    let delivery = producer.send(Record::new("t", "v")).unwrap();
    drop(producer.clone());
    assert_eq!(topic.at(0).values().len(), 0);
    drop(producer);
    assert_eq!((topic.at(0).values().len(), topic.at(0).flush_count()), (1, 0));
    assert_eq!(delivery.wait().unwrap().offset, Some(Offset(0)));
}

#[test]
fn a_producer_and_all_it_holds_is_freed_when_its_last_handle_and_delivery_are_gone() {
    let host = FakeHost::new();
    let topic = host.create("t", 3);
    topic.at(0).flushes_before_ack.store(true, SeqCst);
    let producer = host.producer(&[NO_LINGER]);
    for n in 0..100 {
        drop(producer.send(Record::new("t", "v").partition(n % 3)).unwrap());
    }
    drop(producer);
    host.tick();
    assert_eq!(Arc::strong_count(&host), 1);
}

#[test]
fn a_deleted_topic_fails_its_records_and_a_new_one_of_that_name_is_found() {
    let host = FakeHost::new();
    let old = host.create("t", 1);
    let producer = host.producer(&[NO_LINGER]);
    producer.send(Record::new("t", "old")).unwrap().wait().unwrap();
    old.at(0).refuse(Some(Error::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, "deleted")));
    let new = host.create("t", 1);
    let sent = producer.send(Record::new("t", "lost")).unwrap();
    assert_eq!(code(sent.wait()), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    producer.send(Record::new("t", "new")).unwrap().wait().unwrap();
    assert_eq!((old.all_values(), new.all_values()), (vec!["old".into()], vec!["new".into()]));
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
