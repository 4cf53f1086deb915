//! What goes wrong, who is told, and who is not harmed by it; and the end of a producer.

use super::{code, Delivery, ErrorCode, FakeHost, ToldClock, LINGER, LONG, NO_LINGER};
use crate::error::Error;
use crate::producer::Record;
use crate::types::Offset;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::Arc;
use std::time::Duration;

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
