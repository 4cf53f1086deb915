//! What senders are told, and by which door.

use super::{Delivery, FakeHost, ToldClock, LINGER, LONG, NO_LINGER};
use crate::error::Result;
use crate::producer::{DeliveryReport, DeliverySink, Record, RecordMetadata};
use crate::types::{Offset, Rung, Timestamp};
use parking_lot::Mutex;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

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
    /// Partition; tags and offsets.
    type Heard = (u32, Vec<(u64, Option<u64>)>);
    #[derive(Default)]
    struct Sink(Mutex<Vec<Heard>>);
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
