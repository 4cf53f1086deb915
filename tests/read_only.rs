//! A directory that is read beside its live writer, and after it.
//!
//! The other process is this test binary itself: a test that finds `KAFKALOG_TEST_DIR` set does the writer's part.

use kafkalog::{
    AppendOptions, Consumer, Engine, ErrorCode, Offset, ReadOnlyEngine, StartAt, Timestamp, TopicConfig, TopicPartition,
};
use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(30);
const NOW: Duration = Duration::ZERO;

fn tp() -> TopicPartition {
    TopicPartition::new("t", 0)
}

fn create(dir: &Path, settings: &[(&str, &str)]) -> Engine {
    let engine = Engine::open(dir).unwrap();
    // The records' timestamps lie years back.
    let mut topic = TopicConfig::new().set("retention.ms", "-1").unwrap();
    for (key, value) in settings {
        topic = topic.set(key, value).unwrap();
    }
    engine.create_topic("t", topic).unwrap();
    engine
}

fn append(engine: &Engine, range: std::ops::Range<u64>) {
    let log = engine.log("t", 0).unwrap();
    let filled = log.append_with(AppendOptions::default(), |batch| {
        range.clone().try_for_each(|i| batch.push(None, Some(format!("v{i}").as_bytes()), &[], Some(stamp(i))))
    });
    assert_eq!(filled.unwrap(), Offset(range.start));
}

fn stamp(i: u64) -> Timestamp {
    Timestamp(1_700_000_000_000 + i as i64)
}

fn reader(dir: &Path, start: StartAt) -> Consumer {
    let read_only = Engine::open_read_only(dir).unwrap();
    read_only.consumer().assign(tp(), start).set("auto.offset.reset", "none").unwrap().open().unwrap()
}

/// Polls until `end`, and checks that nothing is missing, doubled or wrong.
fn expect(consumer: &mut Consumer, range: std::ops::Range<u64>) {
    let mut next = range.start;
    while next < range.end {
        let records = consumer.poll(SOON).unwrap();
        assert!(!records.is_empty(), "nothing at {next} within {SOON:?}");
        for record in &records {
            assert_eq!(record.offset, Offset(next));
            assert_eq!(record.value.unwrap(), format!("v{next}").as_bytes());
            next += 1;
        }
    }
    assert_eq!(next, range.end);
}

/// The writer's part in another process.
fn spawn_writer(test: &str, dir: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env("KAFKALOG_TEST_DIR", dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

fn writer_dir() -> Option<std::path::PathBuf> {
    std::env::var_os("KAFKALOG_TEST_DIR").map(Into::into)
}

#[test]
fn a_second_process_sees_every_record_while_the_first_rolls_and_is_killed() {
    if let Some(dir) = writer_dir() {
        // Writes until it is killed; a line for each thousand.
        let engine = create(&dir, &[("segment.bytes", "20000")]);
        for i in 0.. {
            append(&engine, i * 10..i * 10 + 10);
            if i % 100 == 0 {
                println!("\nwritten {}", i * 10 + 10);
            }
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let mut child = spawn_writer("a_second_process_sees_every_record_while_the_first_rolls_and_is_killed", dir.path());
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut written = lines.filter_map(|line| line.unwrap().strip_prefix("written ")?.parse::<u64>().ok());
    assert_eq!(written.next(), Some(10));
    let mut consumer = reader(dir.path(), StartAt::Earliest);
    let told = written.nth(4).unwrap();
    let mut next = 0;
    while next < told {
        for record in &consumer.poll(SOON).unwrap() {
            assert_eq!(record.value.unwrap(), format!("v{next}").as_bytes());
            next += 1;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // What was written stays readable, and the next writer goes on where the reader stands.
    loop {
        let records = consumer.poll(NOW).unwrap();
        if records.is_empty() {
            break;
        }
        next += records.len() as u64;
    }
    let engine = Engine::open(dir.path()).unwrap();
    assert_eq!(engine.offsets("t", 0).unwrap().log_end, Offset(next));
    append(&engine, next..next + 5);
    expect(&mut consumer, next..next + 5);
}

#[test]
fn a_reader_takes_no_lock_and_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let engine = create(dir.path(), &[]);
    append(&engine, 0..100);
    let before = listing(dir.path());
    let mut consumer = reader(dir.path(), StartAt::Earliest);
    expect(&mut consumer, 0..100);
    let read_only = ReadOnlyEngine::open(dir.path()).unwrap();
    let topics = read_only.topics().unwrap();
    assert_eq!((&*topics[0].name, topics[0].partition_count), ("t", 1));
    assert_eq!(consumer.end_offsets(&[tp()]).unwrap(), [Offset(100)]);
    assert_eq!(consumer.offsets_for_times(&[(tp(), stamp(40))]).unwrap(), [Some((Offset(40), stamp(40)))]);
    assert_eq!(listing(dir.path()), before);
    let unknown = read_only.consumer().assign(TopicPartition::new("x", 0), StartAt::Earliest).open().unwrap_err();
    assert_eq!(unknown.code(), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    let nowhere = ReadOnlyEngine::open(dir.path().join("nowhere")).unwrap_err();
    assert_eq!(nowhere.code(), ErrorCode::LOG_DIR_NOT_FOUND);
}

fn listing(dir: &Path) -> Vec<(String, u64, std::time::SystemTime)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let meta = entry.metadata().unwrap();
        if meta.is_dir() {
            found.extend(listing(&entry.path()));
        } else {
            found.push((entry.path().display().to_string(), meta.len(), meta.modified().unwrap()));
        }
    }
    found.sort();
    found
}

#[test]
fn a_parked_reader_wakes_soon_after_a_write() {
    let dir = tempfile::tempdir().unwrap();
    let engine = create(dir.path(), &[]);
    append(&engine, 0..1);
    let mut consumer = reader(dir.path(), StartAt::Latest);
    let mut delays = Vec::new();
    for i in 1..40 {
        let (tell, told) = std::sync::mpsc::channel();
        let waker = consumer.waker();
        let polling = std::thread::spawn(move || {
            tell.send(()).unwrap();
            let records = consumer.poll(SOON).unwrap();
            (consumer, records.len(), Instant::now())
        });
        told.recv().unwrap();
        // Written while the poll spins, parks or has not begun; the reader has to see it in all three cases.
        let wrote = Instant::now();
        append(&engine, i..i + 1);
        let (back, count, woke) = polling.join().unwrap();
        consumer = back;
        drop(waker);
        assert_eq!(count, 1);
        delays.push(woke.saturating_duration_since(wrote));
    }
    delays.sort();
    println!("woken after {:?} (median), {:?} (worst)", delays[delays.len() / 2], delays[delays.len() - 1]);
}

#[test]
fn a_batch_that_is_not_all_there_is_not_there() {
    let dir = tempfile::tempdir().unwrap();
    let engine = create(dir.path(), &[]);
    append(&engine, 0..3);
    append(&engine, 3..6);
    engine.close().unwrap();
    let log = dir.path().join("t-0/00000000000000000000.log");
    let whole = std::fs::read(&log).unwrap();
    let first = whole.len() / 2;
    for len in first..whole.len() {
        std::fs::write(&log, &whole[..len]).unwrap();
        let mut consumer = reader(dir.path(), StartAt::Earliest);
        assert_eq!(consumer.end_offsets(&[tp()]).unwrap(), [Offset(3)], "{len} bytes");
        assert_eq!(consumer.poll(NOW).unwrap().len(), 3);
        assert!(consumer.poll(NOW).unwrap().is_empty());
        // Zeros behind it (a preallocated file) or bytes that are still missing: the same.
        let mut zeros = whole[..len].to_vec();
        zeros.resize(whole.len() + 4096, 0);
        let is_whole = zeros.starts_with(&whole); // what was missing were zeros
        std::fs::write(&log, zeros).unwrap();
        if !is_whole {
            assert!(consumer.poll(NOW).unwrap().is_empty());
        }
        std::fs::write(&log, &whole).unwrap();
        expect(&mut consumer, 3..6);
    }
}

#[test]
fn a_reader_goes_on_at_the_next_segment_or_says_that_its_position_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let engine = create(dir.path(), &[("segment.bytes", "1024"), ("file.delete.delay.ms", "0")]);
    for i in 0..100 {
        append(&engine, i..i + 1);
    }
    let mut slow = reader(dir.path(), StartAt::Earliest);
    let mut ahead = reader(dir.path(), StartAt::Offset(Offset(60)));
    expect(&mut ahead, 60..100);
    engine.delete_records("t", 0, Offset(50)).unwrap();
    let error = slow.poll(SOON).unwrap_err();
    assert_eq!(error.code(), ErrorCode::OFFSET_OUT_OF_RANGE);
    assert!(error.message().contains("100"), "{error}");
    slow.seek(&tp(), StartAt::Earliest).unwrap();
    expect(&mut slow, 50..100);
    append(&engine, 100..101);
    expect(&mut slow, 100..101);
    expect(&mut ahead, 100..101);
}

#[test]
fn a_log_that_was_cut_below_the_reader_is_an_error_with_both_offsets() {
    let dir = tempfile::tempdir().unwrap();
    let engine = create(dir.path(), &[]);
    append(&engine, 0..3);
    append(&engine, 3..6);
    engine.close().unwrap();
    let log = dir.path().join("t-0/00000000000000000000.log");
    let whole = std::fs::read(&log).unwrap();
    for regrown in [false, true] {
        std::fs::write(&log, &whole).unwrap();
        let mut consumer = reader(dir.path(), StartAt::Earliest);
        expect(&mut consumer, 0..6);
        let file = OpenOptions::new().write(true).open(&log).unwrap();
        file.set_len((whole.len() / 2) as u64).unwrap();
        if regrown {
            // Another record takes the place of those that were cut.
            let mut other = whole[whole.len() / 2..].to_vec();
            let at = other.len() - 3;
            other[at] ^= 0x01;
            (&file).write_all(&[]).unwrap();
            std::os::unix::fs::FileExt::write_all_at(&file, &recrc(other), (whole.len() / 2) as u64).unwrap();
        }
        for _ in 0..2 {
            let error = consumer.poll(SOON).unwrap_err();
            assert_eq!(error.code(), ErrorCode::OFFSET_OUT_OF_RANGE, "{error}");
            assert!(error.message().contains("position 6"), "{error}");
        }
        consumer.seek(&tp(), StartAt::Offset(Offset(3))).unwrap();
        assert_eq!(consumer.poll(NOW).unwrap().len(), if regrown { 3 } else { 0 });
    }
}

/// Makes the checksum of a batch fit again (CRC-32C, bit by bit).
fn recrc(mut batch: Vec<u8>) -> Vec<u8> {
    let mut crc = !0u32;
    for byte in &batch[21..] {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg());
        }
    }
    batch[17..21].copy_from_slice(&(!crc).to_be_bytes());
    batch
}

#[test]
fn a_topic_without_a_directory_yet_is_read_from_its_first_record_on() {
    let dir = tempfile::tempdir().unwrap();
    let engine = create(dir.path(), &[]);
    let mut consumer = reader(dir.path(), StartAt::Latest);
    assert!(consumer.poll(NOW).unwrap().is_empty());
    let writer = std::thread::spawn(move || {
        append(&engine, 0..5);
        engine
    });
    expect(&mut consumer, 0..5);
    let engine = writer.join().unwrap();
    engine.delete_topic("t").unwrap();
    assert_eq!(consumer.poll(SOON).unwrap_err().code(), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
}

#[test]
fn a_directory_that_kafka_wrote_is_read_as_it_is() {
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/vectors/segments");
    if !vectors.is_dir() {
        println!("SKIP: ../shared is absent, so its vectors were not read");
        return;
    }
    let manifest: serde_json::Value =
        serde_json::from_slice(&std::fs::read(vectors.join("manifest.json")).unwrap()).unwrap();
    let read_only = ReadOnlyEngine::open(&vectors).unwrap();
    let topics = read_only.topics().unwrap();
    for entry in manifest["entries"].as_array().unwrap() {
        let (dir, summary) = (entry["dir"].as_str().unwrap(), &entry["summary"]);
        let topic = dir.strip_suffix("-0").unwrap();
        assert!(topics.iter().any(|t| &*t.name == topic), "{topic}");
        let id = TopicPartition::new(topic, 0);
        let mut consumer = read_only.consumer().assign(id.clone(), StartAt::Earliest).open().unwrap();
        assert_eq!(consumer.position(&id).unwrap().0, summary["log_start_offset"].as_u64().unwrap(), "{dir}");
        let end = summary["log_end_offset"].as_u64().unwrap();
        assert_eq!(consumer.end_offsets(std::slice::from_ref(&id)).unwrap(), [Offset(end)], "{dir}");
        let mut count = 0;
        loop {
            let records = consumer.poll(NOW).unwrap();
            if records.is_empty() {
                break;
            }
            count += records.len() as u64;
        }
        let control = summary["control_batches"].as_u64().unwrap();
        assert_eq!(count + control, summary["records"].as_u64().unwrap(), "{dir}");
        assert_eq!(consumer.position(&id), Some(Offset(end)), "{dir}");
    }
}
