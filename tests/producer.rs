//! What a producer promises, through the public API, on real files.

use kafkalog::{
    Acks, Delivery, DeliveryReport, DeliverySink, Engine, ErrorCode, Header, Offset, ProducerBuilder, Record, Result,
    Rung, TopicConfig,
};
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

const LONG: Duration = Duration::from_secs(60);

struct Bench {
    dir: tempfile::TempDir,
    engine: Engine,
}

fn bench(topics: &[(&str, TopicConfig)]) -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path()).unwrap();
    for (name, config) in topics {
        engine.create_topic(name, config.clone()).unwrap();
    }
    Bench { dir, engine }
}

fn partitions(count: u32) -> TopicConfig {
    TopicConfig::new().partitions(count)
}

/// Acknowledgements wait for the disk.
fn flushed_each() -> TopicConfig {
    partitions(1).set("flush.messages", "1").unwrap()
}

impl Bench {
    fn producer(&self) -> ProducerBuilder {
        self.engine.producer()
    }

    /// Everything in a partition: offset and value.
    fn read(&self, topic: &str, partition: u32) -> Vec<(u64, String)> {
        let log = self.engine.log(topic, partition).unwrap();
        let mut found = Vec::new();
        let mut from = Offset(0);
        loop {
            let records = log.read(from, 1 << 20, Duration::ZERO).unwrap();
            if records.is_empty() {
                return found;
            }
            for record in records.iter() {
                found.push((record.offset.0, String::from_utf8(record.value.unwrap_or_default().to_vec()).unwrap()));
                from = record.offset.next();
            }
        }
    }
}

#[test]
fn every_acknowledged_record_lies_at_its_offset_in_the_order_of_its_thread() {
    const THREADS: usize = 8;
    const EACH: usize = 3_000;
    let bench = bench(&[("t", partitions(3))]);
    for linger in [Duration::ZERO, Duration::from_millis(1)] {
        let producer = bench.producer().acks(Acks::Leader).linger(linger).batch_bytes(2_000).open().unwrap();
        let send = |thread: usize| {
            let sent: Vec<(String, Delivery)> = (0..EACH)
                .map(|n| {
                    let value = format!("{}-{thread}-{n}", linger.as_millis());
                    let partition = u32::try_from(n % 3).unwrap();
                    let delivery = producer.send(Record::new("t", &value).partition(partition)).unwrap();
                    (value, delivery)
                })
                .collect();
            sent.into_iter().map(|(value, delivery)| (value, delivery.wait().unwrap())).collect::<Vec<_>>()
        };
        let acked: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS).map(|thread| scope.spawn(move || send(thread))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let logs: Vec<Vec<(u64, String)>> = (0..3).map(|partition| bench.read("t", partition)).collect();
        for of_thread in acked {
            let mut last = [None; 3];
            for (value, told) in of_thread {
                let (partition, offset) = (told.partition as usize, told.offset.unwrap().0);
                assert_eq!(logs[partition][usize::try_from(offset).unwrap()], (offset, value));
                assert!(last[partition] < Some(offset), "overtaken");
                last[partition] = Some(offset);
            }
        }
    }
}

#[test]
fn what_was_acknowledged_is_there_after_reopening() {
    let Bench { dir, engine } = bench(&[("t", partitions(1))]);
    let producer = engine.producer().open().unwrap();
    let deliveries: Vec<Delivery> =
        (0..500).map(|n| producer.send(Record::new("t", &format!("{n}"))).unwrap()).collect();
    for delivery in deliveries {
        delivery.wait().unwrap();
    }
    drop(producer);
    engine.close().unwrap();
    drop(engine);
    let bench = Bench { engine: Engine::open(dir.path()).unwrap(), dir };
    assert!(bench.read("t", 0).into_iter().eq((0..500).map(|n| (n, n.to_string()))));
}

/// Remembers on which thread it was told of which tag.
#[derive(Default)]
struct Threads(Mutex<Vec<(u64, Option<u64>, String)>>);

impl DeliverySink for Threads {
    fn deliver(&self, report: DeliveryReport<'_>) {
        let thread = thread::current().name().unwrap_or("").to_owned();
        for (tag, placed) in report.records() {
            self.0.lock().unwrap().push((tag, placed.unwrap().0.map(|offset| offset.0), thread.clone()));
        }
    }
}

#[test]
fn a_lone_sender_without_linger_has_its_answer_on_its_own_thread_before_send_returns() {
    let bench = bench(&[("t", partitions(1))]);
    let sink = Arc::new(Threads::default());
    let producer = bench.producer().linger(Duration::ZERO).delivery_sink(sink.clone()).open().unwrap();
    let own = thread::current().name().unwrap().to_owned();
    for tag in 0..10 {
        producer.send_tagged(Record::new("t", "v"), tag).unwrap();
        assert_eq!(sink.0.lock().unwrap().last(), Some(&(tag, Some(tag), own.clone())));
    }
    assert!(producer.send(Record::new("t", "v")).unwrap().is_done());
}

#[test]
fn callbacks_run_on_their_own_thread_in_the_order_of_the_log() {
    let bench = bench(&[("t", partitions(1))]);
    let heard = Arc::new(Mutex::new(Vec::new()));
    let (done, wait) = std::sync::mpsc::channel();
    let producer = bench.producer().batch_bytes(500).open().unwrap();
    for n in 0..1_000_u64 {
        let (heard, done) = (heard.clone(), done.clone());
        let callback = move |told: Result<kafkalog::RecordMetadata>| {
            let name = thread::current().name().map(str::to_owned);
            heard.lock().unwrap().push((told.unwrap().offset.unwrap().0, name));
            if n == 999 {
                done.send(()).unwrap();
            }
        };
        producer.send_with(Record::new("t", "v"), callback).unwrap();
    }
    wait.recv_timeout(LONG).unwrap();
    let heard = heard.lock().unwrap();
    assert!(heard.iter().map(|(offset, _)| *offset).eq(0..1_000));
    assert!(heard.iter().all(|(_, name)| name.as_deref() == Some("kafkalog-callbacks")));
}

/// The smallest executor: one future, its thread unparked by the waker.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(done) => return done,
            Poll::Pending => thread::park(),
        }
    }
}

#[test]
fn deliveries_can_be_awaited_without_any_runtime() {
    let bench = bench(&[("t", partitions(1)), ("flushed", flushed_each())]);
    let producer = bench.producer().open().unwrap();
    for topic in ["t", "flushed"] {
        let placed = block_on(async {
            let first = producer.send(Record::new(topic, "one"))?;
            let second = producer.send(Record::new(topic, "two"))?;
            Result::Ok((first.await?, second.await?))
        });
        let (first, second) = placed.unwrap();
        assert_eq!((first.offset, second.offset), (Some(Offset(0)), Some(Offset(1))));
    }
    assert_eq!(bench.engine.offsets("flushed", 0).unwrap().flushed, Offset(2));
}

#[test]
fn dropping_a_delivery_cancels_nothing() {
    let bench = bench(&[("t", partitions(1)), ("flushed", flushed_each())]);
    let producer = bench.producer().open().unwrap();
    for topic in ["t", "flushed"] {
        drop(producer.send(Record::new(topic, "v")).unwrap());
        producer.flush(LONG).unwrap();
        assert_eq!(bench.read(topic, 0), [(0, "v".to_owned())]);
    }
}

#[test]
fn the_rung_of_the_acknowledgement_is_what_acks_and_flush_messages_ask_for() {
    let bench = bench(&[("lazy", partitions(1)), ("flushed", flushed_each())]);
    let flushed = |topic| bench.engine.offsets(topic, 0).unwrap().flushed;
    for (acks, at_least) in [(Acks::Leader, Rung::Flushed), (Acks::All, Rung::Replicated)] {
        let producer = bench.producer().acks(acks).linger(Duration::ZERO).open().unwrap();
        let told = producer.send(Record::new("flushed", "v")).unwrap().wait().unwrap();
        assert!(told.rung >= at_least, "{told:?}");
        assert_eq!(flushed("flushed"), told.offset.unwrap().next());
    }
    let producer = bench.producer().acks(Acks::None).open().unwrap();
    let told = producer.send(Record::new("lazy", "v")).unwrap().wait().unwrap();
    assert_eq!((told.rung, told.offset), (Rung::Buffered, None));
    let told = producer.send(Record::new("lazy", "v")).unwrap().wait_for(Rung::Flushed).unwrap();
    assert!(told.rung >= Rung::Flushed);
    assert!(flushed("lazy") >= told.offset.unwrap().next(), "a higher rung than acks was asked for");
}

#[test]
fn a_record_that_is_too_large_fails_alone() {
    let bench = bench(&[("t", partitions(1).set("max.message.bytes", "1000").unwrap())]);
    let producer = bench.producer().set("max.request.size", "5000").unwrap().open().unwrap();
    let refused = producer.send(Record::new("t", &[b'x'; 5_000])).unwrap_err();
    assert_eq!(refused.code(), ErrorCode::MESSAGE_TOO_LARGE);
    let header = [Header { key: b"h", value: Some(b"v") }];
    let sent: Vec<Delivery> = (0..30)
        .map(|n| match n {
            10 => producer.send(Record::new("t", &[b'x'; 2_000])).unwrap(),
            _ => producer.send(Record::new("t", &format!("{n}")).key("k").headers(&header)).unwrap(),
        })
        .collect();
    assert_eq!(producer.flush(LONG).unwrap_err().code(), ErrorCode::MESSAGE_TOO_LARGE);
    for (n, delivery) in sent.into_iter().enumerate() {
        match delivery.wait() {
            Ok(told) => assert_eq!(told.offset.unwrap().0, (n - usize::from(n > 10)) as u64),
            Err(refused) => assert_eq!((n, refused.code()), (10, ErrorCode::MESSAGE_TOO_LARGE)),
        }
    }
    let expected = (0..30).filter(|n| *n != 10).map(|n: u32| n.to_string());
    assert!(bench.read("t", 0).into_iter().map(|(_, value)| value).eq(expected));
}

#[test]
fn when_the_directory_is_full_every_waiter_is_told_and_a_flush_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::builder(dir.path()).set("dir.max.bytes", "20000000").unwrap().open().unwrap();
    engine.create_topic("t", partitions(2)).unwrap();
    let producer = engine.producer().batch_bytes(100_000).open().unwrap();
    let value = vec![b'x'; 90_000];
    let sent: Vec<Delivery> =
        (0..300).map(|n| producer.send(Record::new("t", &value).partition(n % 2)).unwrap()).collect();
    assert!(producer.flush(LONG).is_err());
    let told: Vec<_> = sent.into_iter().map(Delivery::wait).collect();
    let failed = told.iter().filter(|told| told.is_err()).count();
    assert!(failed > 0 && failed < told.len(), "{failed} of {}", told.len());
    assert_eq!(producer.pending(), 0);
    let stats = engine.stats_json();
    assert!(stats.starts_with('{'), "{stats}");
}

#[test]
fn memory_that_is_used_up_is_used_again() {
    let bench = bench(&[("t", partitions(40))]);
    let builder = bench.producer().linger(LONG).batch_bytes(16_384);
    let producer = builder.set("buffer.memory", "65536").unwrap().open().unwrap();
    // Forty open batches would take ten times the memory: whoever needs room makes it.
    for n in 0..400 {
        drop(producer.send(Record::new("t", "v").partition(n % 40)).unwrap());
    }
    producer.flush(LONG).unwrap();
    assert_eq!((0..40).map(|partition| bench.read("t", partition).len()).sum::<usize>(), 400);
    assert!(producer.stats().buffer_waits > 0);
    assert_eq!(producer.stats().buffer_free_bytes, 65_536);
}

#[test]
fn a_batch_that_nobody_waits_for_goes_when_its_linger_has_passed() {
    let bench = bench(&[("t", partitions(1))]);
    let told = Arc::new(AtomicUsize::new(0));
    let (done, wait) = std::sync::mpsc::channel();
    let producer = bench.producer().linger(Duration::from_millis(20)).open().unwrap();
    for _ in 0..3 {
        let (told, done) = (told.clone(), done.clone());
        let callback = move |result: Result<kafkalog::RecordMetadata>| {
            result.unwrap();
            if told.fetch_add(1, SeqCst) == 2 {
                done.send(()).unwrap();
            }
        };
        producer.send_with(Record::new("t", "v"), callback).unwrap();
    }
    wait.recv_timeout(LONG).expect("kafkalog-node carries it");
    assert_eq!(bench.read("t", 0).len(), 3);
}

#[test]
fn closing_the_engine_sends_what_producers_still_hold_and_then_refuses() {
    let Bench { dir, engine } = bench(&[("t", partitions(1))]);
    let producer = engine.producer().linger(LONG).open().unwrap();
    let delivery = producer.send(Record::new("t", "v")).unwrap();
    engine.close().unwrap();
    assert_eq!(delivery.wait().unwrap().offset, Some(Offset(0)));
    assert_eq!(producer.send(Record::new("t", "w")).unwrap_err().code(), ErrorCode::CLOSED);
    drop((producer, engine));
    let bench = Bench { engine: Engine::open(dir.path()).unwrap(), dir };
    assert_eq!(bench.read("t", 0), [(0, "v".to_owned())]);
}

#[test]
fn all_codecs_go_through_a_producer_and_come_back() {
    let bench = bench(&[("t", partitions(1))]);
    for (n, codec) in ["none", "gzip", "snappy", "lz4", "zstd"].into_iter().enumerate() {
        let opened = bench.producer().set("compression.type", codec).and_then(ProducerBuilder::open);
        let producer = match opened {
            Ok(producer) => producer,
            Err(absent) if absent.code() == ErrorCode::UNSUPPORTED_COMPRESSION_TYPE => continue,
            Err(other) => panic!("{codec}: {other}"),
        };
        for value in 0..500 {
            drop(producer.send(Record::new("t", &format!("{codec} value {value}"))).unwrap());
        }
        producer.flush(LONG).unwrap();
        let values = bench.read("t", 0);
        assert!(values.iter().filter(|(_, value)| value.starts_with(codec)).count() == 500, "{codec} ({n})");
    }
}
