//! What a consumer promises, through the public API.

use kafkalog::{
    AppendOptions, Consumer, ConsumerRecords, Engine, ErrorCode, Offset, PartitionLog, StartAt, Timestamp, TopicConfig,
    TopicPartition,
};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::Arc;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(20);
const NOW: Duration = Duration::ZERO;

fn engine(topic: TopicConfig) -> (tempfile::TempDir, Engine) {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path()).unwrap();
    engine.create_topic("t", topic).unwrap();
    (dir, engine)
}

fn append(log: &PartitionLog, values: &[String]) -> u64 {
    let filled = log.append_with(AppendOptions::default(), |batch| {
        values.iter().try_for_each(|value| batch.push(Some(b"k"), Some(value.as_bytes()), &[], None))
    });
    filled.unwrap().0
}

fn values(range: std::ops::Range<u64>) -> Vec<String> {
    range.map(|i| format!("v{i}")).collect()
}

fn tp(partition: u32) -> TopicPartition {
    TopicPartition::new("t", partition)
}

fn from_start(engine: &Engine, settings: &[(&str, &str)]) -> Consumer {
    consumer(engine, StartAt::Earliest, settings)
}

fn consumer(engine: &Engine, start: StartAt, settings: &[(&str, &str)]) -> Consumer {
    let mut builder = engine.consumer().assign(tp(0), start);
    for (key, value) in settings {
        builder = builder.set(key, value).unwrap();
    }
    builder.open().unwrap()
}

fn read(records: &ConsumerRecords) -> Vec<(u64, String)> {
    records.iter().map(|r| (r.offset.0, String::from_utf8(r.value.unwrap().to_vec()).unwrap())).collect()
}

fn expected(range: std::ops::Range<u64>) -> Vec<(u64, String)> {
    range.map(|i| (i, format!("v{i}"))).collect()
}

#[test]
fn everything_that_was_written_is_read_once_in_order_in_polls_of_any_size() {
    // Small segments, so that positions cross many rolls.
    let (_dir, engine) = engine(TopicConfig::new().set("segment.bytes", "2000").unwrap());
    let log = engine.log("t", 0).unwrap();
    let mut next = 0;
    for size in (1..40).cycle().take(120) {
        assert_eq!(append(&log, &values(next..next + size)), next);
        next += size;
    }
    for records_max in ["1", "7", "500", "100000"] {
        let mut consumer = from_start(&engine, &[("max.poll.records", records_max)]);
        let mut found = Vec::new();
        while (found.len() as u64) < next {
            let records = consumer.poll(SOON).unwrap();
            assert!(!records.is_empty() && records.len() <= records_max.parse().unwrap());
            found.extend(read(&records));
            assert_eq!(consumer.position(&tp(0)), Some(Offset(found.len() as u64)));
        }
        assert_eq!(found, expected(0..next));
        assert!(consumer.poll(NOW).unwrap().is_empty());
    }
}

#[test]
fn a_seek_into_the_middle_of_a_batch_hands_out_nothing_below_it() {
    let (_dir, engine) = engine(TopicConfig::new());
    let log = engine.log("t", 0).unwrap();
    append(&log, &values(0..10));
    append(&log, &values(10..20));
    let mut consumer = from_start(&engine, &[]);
    for offset in 0..20 {
        consumer.seek(&tp(0), StartAt::Offset(Offset(offset))).unwrap();
        assert_eq!(read(&consumer.poll(SOON).unwrap()), expected(offset..20));
    }
    consumer.seek(&tp(0), StartAt::Latest).unwrap();
    assert!(consumer.poll(NOW).unwrap().is_empty());
    consumer.seek(&tp(0), StartAt::Earliest).unwrap();
    assert_eq!(consumer.poll(SOON).unwrap().len(), 20);
}

#[test]
fn a_blocked_poll_returns_with_what_another_thread_writes() {
    let (_dir, engine) = engine(TopicConfig::new());
    let log = engine.log("t", 0).unwrap();
    let mut consumer = from_start(&engine, &[]);
    for round in 0..50 {
        let log = log.clone();
        let writer = std::thread::spawn(move || append(&log, &values(round..round + 1)));
        assert_eq!(read(&consumer.poll(SOON).unwrap()), expected(round..round + 1));
        writer.join().unwrap();
    }
}

#[test]
fn a_wake_ends_a_blocked_poll_and_a_listener_hears_of_news() {
    let (_dir, engine) = engine(TopicConfig::new());
    let log = engine.log("t", 0).unwrap();
    let mut consumer = from_start(&engine, &[]);
    let heard = Arc::new(AtomicU32::new(0));
    let count = heard.clone();
    consumer.waker().on_news(Arc::new(move || {
        count.fetch_add(1, Ordering::SeqCst);
    }));
    let waker = consumer.waker();
    let other = std::thread::spawn(move || waker.wake());
    assert!(consumer.poll(Duration::MAX).unwrap().is_empty());
    other.join().unwrap();
    let before = heard.load(Ordering::SeqCst);
    assert!(before > 0);
    append(&log, &values(0..1));
    assert!(heard.load(Ordering::SeqCst) > before);
    // Without holding the consumer: look, wait, look again.
    let seen = consumer.waker().ticket();
    assert_eq!(consumer.poll_now(0).unwrap().len(), 1);
    append(&log, &values(1..2));
    assert!(consumer.waker().wait(seen, SOON));
    assert_eq!(consumer.poll_now(0).unwrap().len(), 1);
}

#[test]
fn an_offset_outside_the_log_follows_the_policy_and_is_never_silent() {
    let (_dir, engine) = engine(TopicConfig::new());
    append(&engine.log("t", 0).unwrap(), &values(0..10));
    let outside = StartAt::Offset(Offset(500));

    let mut none = consumer(&engine, outside, &[("auto.offset.reset", "none")]);
    for _ in 0..2 {
        let error = none.poll(SOON).unwrap_err();
        assert_eq!(error.code(), ErrorCode::OFFSET_OUT_OF_RANGE);
        assert!(error.message().contains("500") && error.message().contains("10"), "{error}");
    }
    none.seek(&tp(0), StartAt::Offset(Offset(9))).unwrap();
    assert_eq!(read(&none.poll(SOON).unwrap()), expected(9..10));

    let mut earliest = consumer(&engine, outside, &[("auto.offset.reset", "earliest")]);
    let records = earliest.poll(SOON).unwrap();
    assert_eq!(read(&records), expected(0..10));
    assert_eq!((records.resets()[0].from, records.resets()[0].to), (Offset(500), Offset(0)));

    let mut latest = consumer(&engine, outside, &[("auto.offset.reset", "latest")]);
    let records = latest.poll(NOW).unwrap();
    assert!(records.is_empty());
    assert_eq!(records.resets()[0].to, Offset(10));
    append(&engine.log("t", 0).unwrap(), &values(10..11));
    assert_eq!(read(&latest.poll(SOON).unwrap()), expected(10..11));
}

#[test]
fn a_position_that_was_deleted_under_the_consumer_is_reported() {
    let (_dir, engine) = engine(TopicConfig::new().set("segment.bytes", "1024").unwrap());
    let log = engine.log("t", 0).unwrap();
    for i in 0..100 {
        append(&log, &values(i..i + 1));
    }
    let mut consumer = from_start(&engine, &[("auto.offset.reset", "none"), ("max.poll.records", "1")]);
    engine.delete_records("t", 0, Offset(50)).unwrap();
    let error = consumer.poll(SOON).unwrap_err();
    assert_eq!(error.code(), ErrorCode::OFFSET_OUT_OF_RANGE);
    consumer.seek(&tp(0), StartAt::Earliest).unwrap();
    assert_eq!(read(&consumer.poll(SOON).unwrap()), expected(50..51));
}

#[test]
fn partitions_take_turns_and_a_paused_one_keeps_its_position() {
    let (_dir, engine) = engine(TopicConfig::new().partitions(3));
    for partition in 0..3 {
        append(&engine.log("t", partition).unwrap(), &values(0..100));
    }
    let mut builder = engine.consumer().set("max.poll.records", "10").unwrap();
    for partition in 0..3 {
        builder = builder.assign(tp(partition), StartAt::Earliest);
    }
    let mut consumer = builder.open().unwrap();
    let turns: Vec<u32> = (0..6).map(|_| consumer.poll(SOON).unwrap().iter().next().unwrap().partition).collect();
    assert_eq!(turns, [0, 1, 2, 0, 1, 2]);
    consumer.pause(&[tp(1)]).unwrap();
    assert_eq!(consumer.paused(), [tp(1)]);
    let mut seen = [0; 3];
    loop {
        let records = consumer.poll(NOW).unwrap();
        if records.is_empty() {
            break;
        }
        records.iter().for_each(|r| seen[r.partition as usize] += 1);
    }
    assert_eq!(seen, [80, 0, 80]);
    assert_eq!(consumer.position(&tp(1)), Some(Offset(20)));
    consumer.resume(&[tp(1)]).unwrap();
    assert_eq!(consumer.poll(SOON).unwrap().len(), 10);
    assert_eq!(consumer.pause(&[tp(9)]).unwrap_err().code(), ErrorCode::STATE);
}

#[test]
fn records_outlive_their_consumer_their_engine_and_their_files() {
    let (dir, engine) = engine(TopicConfig::new().set("segment.bytes", "1024").unwrap());
    let log = engine.log("t", 0).unwrap();
    for i in 0..200 {
        append(&log, &values(i..i + 1));
    }
    let mut consumer = from_start(&engine, &[("max.poll.records", "200")]);
    let mut all = Vec::new();
    while consumer.position(&tp(0)) != Some(Offset(200)) {
        all.push(consumer.poll(SOON).unwrap());
    }
    assert!(all.iter().all(|records| records.pinned_bytes() > 0));
    drop(consumer);
    drop(log);
    engine.delete_topic("t").unwrap();
    engine.close().unwrap();
    drop(engine);
    drop(dir);
    let found = std::thread::spawn(move || all.iter().flat_map(read).collect::<Vec<_>>());
    assert_eq!(found.join().unwrap(), expected(0..200));
}

#[test]
fn pinned_bytes_are_bounded_and_room_comes_back_when_records_are_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::builder(dir.path()).set("fetch.pinned.max.bytes", "65536").unwrap().open().unwrap();
    engine.create_topic("t", TopicConfig::new()).unwrap();
    let log = engine.log("t", 0).unwrap();
    let large = "x".repeat(30_000);
    for _ in 0..5 {
        append(&log, std::slice::from_ref(&large));
    }
    let mut consumer = from_start(&engine, &[("max.poll.records", "1")]);
    let mut held: Vec<ConsumerRecords> = (0..3).map(|_| consumer.poll(SOON).unwrap()).collect();
    assert!(held.iter().all(|records| records.len() == 1));
    let full = consumer.poll(NOW).unwrap_err();
    assert_eq!(full.code(), ErrorCode::QUEUE_FULL);
    assert!(full.is_retriable());
    held.pop();
    assert_eq!(consumer.poll(SOON).unwrap().iter().next().unwrap().offset, Offset(3));
    // The same with a poll that is blocked already.
    let (last, waiting) = (held.pop(), held);
    let releasing = std::thread::spawn(move || drop(last));
    assert_eq!(consumer.poll(SOON).unwrap().len(), 1);
    releasing.join().unwrap();
    drop(waiting);
}

#[test]
fn a_damaged_batch_is_an_error_at_its_offset_until_the_consumer_seeks_past_it() {
    let (dir, engine) = engine(TopicConfig::new().set("segment.bytes", "1024").unwrap());
    let log = engine.log("t", 0).unwrap();
    for i in 0..40 {
        append(&log, &values(i..i + 1));
    }
    engine.close().unwrap();
    drop((log, engine));
    // The second batch of the first segment, which is sealed.
    let first = dir.path().join("t-0/00000000000000000000.log");
    let mut bytes = std::fs::read(&first).unwrap();
    let at = bytes.windows(2).position(|w| w == b"v1").unwrap();
    bytes[at] ^= 0x20;
    std::fs::write(&first, bytes).unwrap();

    let engine = Engine::open(dir.path()).unwrap();
    let mut consumer = from_start(&engine, &[]);
    assert_eq!(read(&consumer.poll(SOON).unwrap()), expected(0..1));
    for _ in 0..3 {
        let error = consumer.poll(SOON).unwrap_err();
        assert_eq!(error.code(), ErrorCode::CORRUPT_MESSAGE);
        assert!(error.message().contains("seek to 2 to go past"), "{error}");
        assert_eq!(consumer.position(&tp(0)), Some(Offset(1)));
    }
    consumer.seek(&tp(0), StartAt::Offset(Offset(2))).unwrap();
    let mut found = Vec::new();
    while found.len() < 38 {
        found.extend(read(&consumer.poll(SOON).unwrap()));
    }
    assert_eq!(found, expected(2..40));
    // Who asks for no checks gets what lies there.
    let mut careless = from_start(&engine, &[("check.crcs", "false")]);
    assert!(careless.poll(SOON).unwrap().len() > 2);
}

#[test]
fn offsets_by_time_are_those_of_a_linear_scan() {
    let (_dir, engine) = engine(TopicConfig::new().set("segment.bytes", "1024").unwrap());
    let log = engine.log("t", 0).unwrap();
    // Out of order on purpose.
    let stamps: Vec<i64> = (0..150).map(|i: i64| 1_700_000_000_000 + (i * 37) % 90 * 10).collect();
    for pair in stamps.chunks(2) {
        let filled = log.append_with(AppendOptions::default(), |batch| {
            pair.iter().try_for_each(|at| batch.push(None, Some(b"x"), &[], Some(Timestamp(*at))))
        });
        filled.unwrap();
    }
    let consumer = from_start(&engine, &[]);
    for at in (1_699_999_999_990..1_700_000_000_920).step_by(5) {
        let linear = stamps.iter().position(|stamp| *stamp >= at).map(|i| (Offset(i as u64), Timestamp(stamps[i])));
        let found = consumer.offsets_for_times(&[(tp(0), Timestamp(at))]).unwrap();
        assert_eq!(found, [linear], "{at}");
        assert_eq!(log.offset_for_timestamp(Timestamp(at)).unwrap(), linear);
    }
    assert_eq!(consumer.beginning_offsets(&[tp(0)]).unwrap(), [Offset(0)]);
    assert_eq!(consumer.end_offsets(&[tp(0)]).unwrap(), [Offset(150)]);
    let unknown = consumer.end_offsets(&[TopicPartition::new("nope", 0)]).unwrap_err();
    assert_eq!(unknown.code(), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
}

#[test]
fn fetch_min_bytes_waits_for_company_and_gives_up_in_time() {
    let (_dir, engine) = engine(TopicConfig::new());
    let log = engine.log("t", 0).unwrap();
    append(&log, &values(0..1));
    let settings = [("fetch.min.bytes", "1000"), ("fetch.max.wait.ms", "30000")];
    let mut consumer = from_start(&engine, &settings);
    // No time to wait: what there is.
    assert_eq!(consumer.poll(NOW).unwrap().len(), 1);
    append(&log, &values(1..2));
    let writer = std::thread::spawn(move || append(&log, &values(2..202)));
    let records = consumer.poll(SOON).unwrap();
    assert_eq!(read(&records), expected(1..202));
    writer.join().unwrap();
}

#[test]
fn a_partition_log_reads_whole_batches_and_waits_for_the_next() {
    let (_dir, engine) = engine(TopicConfig::new());
    let log = engine.log("t", 0).unwrap();
    append(&log, &values(0..10));
    append(&log, &values(10..20));
    assert_eq!(read(&log.read(Offset(3), 1, NOW).unwrap()).first().unwrap().0, 3);
    assert_eq!(read(&log.read(Offset(0), 1 << 20, NOW).unwrap()), expected(0..20));
    assert!(log.read(Offset(20), 1 << 20, NOW).unwrap().is_empty());
    assert_eq!(log.read(Offset(21), 1 << 20, NOW).unwrap_err().code(), ErrorCode::OFFSET_OUT_OF_RANGE);
    let writer = {
        let log = log.clone();
        std::thread::spawn(move || append(&log, &values(20..21)))
    };
    assert_eq!(read(&log.read(Offset(20), 1 << 20, SOON).unwrap()), expected(20..21));
    writer.join().unwrap();
    assert_eq!(log.offsets().unwrap().log_end, Offset(21));
    log.sync(SOON).unwrap();
    assert_eq!(log.offsets().unwrap().flushed, Offset(21));
    let refused = log.append_with(AppendOptions::default(), |_| Ok(()));
    assert_eq!(refused.unwrap_err().code(), ErrorCode::STATE);
}

#[test]
fn unknown_partitions_and_settings_are_refused_by_name() {
    let (_dir, engine) = engine(TopicConfig::new());
    let unknown = engine.consumer().assign(TopicPartition::new("nope", 0), StartAt::Earliest).open().unwrap_err();
    assert_eq!(unknown.code(), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    let refused = engine.consumer().set("max.poll.recrods", "5").unwrap_err();
    assert_eq!(refused.code(), ErrorCode::INVALID_CONFIG);
    assert!(refused.message().contains("max.poll.recrods"));
    let mut consumer = engine.consumer().open().unwrap();
    assert!(consumer.poll(NOW).unwrap().is_empty());
    assert_eq!(consumer.seek(&tp(0), StartAt::Earliest).unwrap_err().code(), ErrorCode::STATE);
    consumer.assign(&[(tp(0), StartAt::Earliest)]).unwrap();
    assert_eq!(consumer.assignment(), [tp(0)]);
}

#[test]
fn a_read_committed_consumer_sees_no_aborted_and_no_undecided_record() {
    let vectors = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/vectors/segments/transactions-0");
    if !vectors.is_dir() {
        println!("SKIP: ../shared is absent, so its vectors were not read");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let copied = dir.path().join("transactions-0");
    std::fs::create_dir(&copied).unwrap();
    let (mut aborted, mut logs) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(&vectors).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, copied.join(path.file_name().unwrap())).unwrap();
        match path.extension().and_then(|e| e.to_str()) {
            Some("txnindex") => aborted.extend(kafkalog::inspect::LogDump::txn_index(&path).unwrap()),
            Some("log") => logs.push(path),
            _ => {}
        }
    }
    logs.sort();
    // The last segment's producers with an open transaction are undecided.
    let manifest = std::fs::read(vectors.join("../manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    let entry = manifest["entries"].as_array().unwrap().iter().find(|e| e["dir"] == "transactions-0").unwrap();
    let open = entry["summary"]["open_transactions"].as_object().unwrap();
    let stable = open.values().filter_map(serde_json::Value::as_u64).min().unwrap_or(u64::MAX);
    let (mut all, mut committed) = (Vec::new(), Vec::new());
    for log in &logs {
        let mut dump = kafkalog::inspect::LogDump::open(log).unwrap();
        while let Some(batch) = dump.next_batch().unwrap() {
            if batch.is_control {
                continue;
            }
            let is_aborted = aborted.iter().any(|txn| {
                batch.is_transactional
                    && batch.producer.is_some_and(|producer| producer.id == txn.producer_id)
                    && (txn.first_offset..txn.last_offset).contains(&batch.base_offset)
            });
            let offsets: Vec<u64> = dump.records().unwrap().iter().map(|record| record.offset.0).collect();
            if !is_aborted && batch.last_offset.0 < stable {
                committed.extend(&offsets);
            }
            all.extend(offsets);
        }
    }
    assert!(!aborted.is_empty() && committed.len() < all.len());
    let engine = Engine::builder(dir.path()).set("log.retention.ms", "-1").unwrap().open().unwrap();
    let id = TopicPartition::new("transactions", 0);
    for (level, expected) in [("read_uncommitted", all), ("read_committed", committed)] {
        let builder = engine.consumer().set("isolation.level", level).unwrap();
        let mut consumer = builder.assign(id.clone(), StartAt::Earliest).open().unwrap();
        let mut found = Vec::new();
        loop {
            let records = consumer.poll(NOW).unwrap();
            if records.is_empty() {
                break;
            }
            found.extend(records.iter().map(|r| r.offset.0));
        }
        assert_eq!(found, expected, "{level}");
    }
}

#[test]
fn consumers_move_between_threads_and_records_are_shared() {
    fn is_send<T: Send>() {}
    fn is_shared<T: Send + Sync + 'static>() {}
    is_send::<Consumer>();
    is_shared::<ConsumerRecords>();
    is_shared::<PartitionLog>();
    is_shared::<kafkalog::Waker>();
    is_shared::<kafkalog::ReadOnlyEngine>();
}
