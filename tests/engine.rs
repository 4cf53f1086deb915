//! What an engine promises to whoever embeds it.

use kafkalog::{
    Acks, Consumer, Engine, EngineBuilder, ErrorCode, LogLevel, LogSink, Offset, Record, StartAt, TopicConfig,
    TopicPartition,
};
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Far more than anything here takes; a test that waits this long has failed.
const PATIENCE: Duration = Duration::from_secs(60);

fn builder(dir: &Path, settings: &[(&str, &str)]) -> EngineBuilder {
    settings.iter().fold(Engine::builder(dir), |builder, (name, value)| builder.set(name, value).expect("legal"))
}

fn open(dir: &Path, settings: &[(&str, &str)]) -> Engine {
    builder(dir, settings).open().expect("opens")
}

fn close(engine: &Engine) {
    let report = engine.close().expect("closes");
    assert!(report.is_clean(), "{report}");
}

fn send(engine: &Engine, topic: &str, values: impl IntoIterator<Item = String>) {
    let producer = engine.producer().acks(Acks::Leader).open().expect("opens");
    for value in values {
        drop(producer.send(Record::new(topic, &value)).expect("sends"));
    }
    producer.flush(PATIENCE).expect("flushes");
}

/// The values of one partition up to its high watermark.
fn values(engine: &Engine, topic: &str, partition: u32) -> Vec<String> {
    let end = engine.offsets(topic, partition).expect("offsets").high_watermark;
    let id = TopicPartition::new(topic, partition);
    let mut consumer = engine.consumer().assign(id.clone(), StartAt::Earliest).open().expect("opens");
    let mut values = Vec::new();
    while consumer.position(&id).expect("is assigned") < end {
        collect(&mut consumer, &mut values);
    }
    values
}

fn collect(consumer: &mut Consumer, values: &mut Vec<String>) {
    let records = consumer.poll(Duration::from_millis(100)).expect("polls");
    for record in records.iter() {
        values.push(String::from_utf8(record.value.expect("has a value").to_vec()).expect("is text"));
    }
}

fn stats(engine: &Engine) -> Value {
    serde_json::from_str(&engine.stats_json()).expect("is JSON")
}

/// As `du` counts, in bytes; a file that goes away meanwhile counts nothing.
fn occupied(path: &Path) -> u64 {
    let Ok(metadata) = fs::symlink_metadata(path) else { return 0 };
    let entries = if metadata.is_dir() { fs::read_dir(path).ok() } else { None };
    let below: u64 = entries.into_iter().flatten().map(|entry| occupied(&entry.expect("entry").path())).sum();
    metadata.blocks() * 512 + below
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).expect("lists");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Descriptors of files below `dir`: other tests of this process open their own.
fn open_descriptors(dir: &Path) -> usize {
    let links = fs::read_dir("/proc/self/fd").expect("lists");
    links.filter_map(|link| fs::read_link(link.ok()?.path()).ok()).filter(|target| target.starts_with(dir)).count()
}

#[test]
fn topics_and_records_survive_an_orderly_end() {
    let dir = tempfile::tempdir().expect("temp dir");
    let engine = open(dir.path(), &[]);
    let config = TopicConfig::new().partitions(2).set("retention.ms", "3600000").expect("legal");
    engine.create_topic("orders", config).expect("creates");
    engine.create_topic("bills", TopicConfig::new()).expect("creates");
    engine.add_partitions("orders", 4).expect("grows");
    engine.alter_topic("orders", "segment.bytes", Some("1048576")).expect("alters");
    engine.delete_topic("bills").expect("deletes");
    send(&engine, "orders", (0..1000).map(|n| format!("value {n}")));
    let before = engine.topics().expect("lists");
    close(&engine);
    let engine = open(dir.path(), &[]);
    assert_eq!(engine.topics().expect("lists"), before);
    assert_eq!(engine.describe("orders").expect("is there").partition_count, 4);
    let settings = engine.topic_settings("orders").expect("is there");
    assert!(settings.contains(&("segment.bytes", "1048576".to_owned(), true)), "{settings:?}");
    assert!(settings.contains(&("flush.ms", "1000".to_owned(), false)), "{settings:?}");
    let mut all: Vec<String> = (0..4).flat_map(|number| values(&engine, "orders", number)).collect();
    all.sort_by_key(|value| value["value ".len()..].parse::<u32>().expect("is a number"));
    assert_eq!(all, (0..1000).map(|n| format!("value {n}")).collect::<Vec<_>>());
    assert_eq!(stats(&engine)["recovery"]["scanned_bytes"], 0, "nothing had to be recovered");
    close(&engine);
}

#[test]
fn after_the_end_every_handle_says_closed() {
    let dir = tempfile::tempdir().expect("temp dir");
    let engine = open(dir.path(), &[]);
    engine.create_topic("t", TopicConfig::new()).expect("creates");
    let (clone, producer) = (engine.clone(), engine.producer().open().expect("opens"));
    close(&engine);
    close(&clone);
    let code = |outcome: kafkalog::Result<()>| outcome.expect_err("is refused").code();
    assert_eq!(code(clone.create_topic("u", TopicConfig::new())), ErrorCode::CLOSED);
    assert_eq!(code(clone.offsets("t", 0).map(|_| ())), ErrorCode::CLOSED);
    assert_eq!(code(producer.send(Record::new("t", "late")).map(|_| ())), ErrorCode::CLOSED);
    assert_eq!(clone.fatal_error().map(|e| e.code()), None);
    open(dir.path(), &[]);
}

#[test]
fn the_last_handle_that_goes_closes_the_engine_in_order() {
    let dir = tempfile::tempdir().expect("temp dir");
    {
        let engine = open(dir.path(), &[]);
        engine.create_topic("t", TopicConfig::new()).expect("creates");
        let producer = engine.producer().open().expect("opens");
        drop(engine);
        drop(producer.send(Record::new("t", "sent without an engine in hand")).expect("sends"));
    }
    let engine = open(dir.path(), &[]);
    assert_eq!(values(&engine, "t", 0).len(), 1, "what a producer held was sent");
    assert_eq!(stats(&engine)["recovery"]["scanned_bytes"], 0);
}

#[test]
fn closing_waits_for_callbacks_and_a_callback_may_close() {
    let dir = tempfile::tempdir().expect("temp dir");
    let engine = open(dir.path(), &[]);
    engine.create_topic("t", TopicConfig::new()).expect("creates");
    let producer = engine.producer().open().expect("opens");
    let (told, hear) = std::sync::mpsc::channel();
    let inner = engine.clone();
    let callback = move |outcome: kafkalog::Result<kafkalog::RecordMetadata>| {
        let closed = inner.close_timeout(PATIENCE).map(|report| report.is_clean());
        told.send((outcome.is_ok(), closed)).expect("somebody listens");
    };
    producer.send_with(Record::new("t", "x"), callback).expect("sends");
    producer.flush(PATIENCE).expect("flushes");
    let (delivered, closed) = hear.recv_timeout(PATIENCE).expect("is called");
    assert!(delivered);
    assert!(closed.expect("closes"));
    close(&engine);
}

#[test]
fn dropping_an_engine_waits_for_no_callback() {
    let dir = tempfile::tempdir().expect("temp dir");
    // If the drop waited for the callback, it would do so for an hour.
    let engine = open(dir.path(), &[("shutdown.timeout.ms", "3600000")]);
    engine.create_topic("t", TopicConfig::new()).expect("creates");
    let producer = engine.producer().open().expect("opens");
    let (release, wait) = std::sync::mpsc::channel::<()>();
    let (told, hear) = std::sync::mpsc::channel();
    let callback = move |_: kafkalog::Result<kafkalog::RecordMetadata>| {
        told.send(()).expect("somebody listens");
        wait.recv().expect("is released");
        told.send(()).expect("somebody listens");
    };
    producer.send_with(Record::new("t", "x"), callback).expect("sends");
    producer.flush(PATIENCE).expect("flushes");
    hear.recv_timeout(PATIENCE).expect("is called");
    drop(producer);
    drop(engine);
    release.send(()).expect("it still waits");
    hear.recv_timeout(PATIENCE).expect("the callback ends as if nothing had been");
    // The callback was the last one to hold the producer, and with it the engine.
    let begun = Instant::now();
    let engine = loop {
        match Engine::open(dir.path()) {
            Err(busy) if busy.code() == ErrorCode::STATE => assert!(begun.elapsed() < PATIENCE, "{busy}"),
            outcome => break outcome.expect("opens"),
        }
    };
    assert_eq!(values(&engine, "t", 0), ["x"]);
    assert_eq!(stats(&engine)["recovery"]["scanned_bytes"], 0, "it was closed in order");
}

#[test]
fn a_close_that_timed_out_can_be_repeated() {
    let dir = tempfile::tempdir().expect("temp dir");
    let engine = open(dir.path(), &[]);
    engine.create_topic("t", TopicConfig::new()).expect("creates");
    send(&engine, "t", ["x".to_owned()]);
    let refused = engine.close_timeout(Duration::ZERO).expect_err("needs more time than none");
    assert_eq!(refused.code(), ErrorCode::TIMED_OUT);
    assert_eq!(engine.topics().expect_err("takes no more work").code(), ErrorCode::CLOSED);
    close(&engine);
    assert_eq!(values(&open(dir.path(), &[]), "t", 0), ["x"]);
}

#[test]
fn a_panic_on_a_thread_of_ours_ends_the_engine_and_not_the_host() {
    let dir = tempfile::tempdir().expect("temp dir");
    let settings = [("statistics.interval.ms", "1")];
    let engine = builder(dir.path(), &settings).stats_sink(Arc::new(|_: &str| panic!("on purpose"))).open();
    let engine = engine.expect("opens");
    let begun = Instant::now();
    let fatal = loop {
        assert!(begun.elapsed() < PATIENCE);
        if let Some(fatal) = engine.fatal_error() {
            break fatal;
        }
        std::thread::yield_now();
    };
    assert!(fatal.is_fatal() && fatal.code() == ErrorCode::PANIC, "{fatal}");
    assert!(fatal.message().contains("on purpose"), "{fatal}");
    assert_eq!(engine.topics().expect_err("is over").code(), ErrorCode::PANIC);
    engine.close().expect("closes all the same");
    open(dir.path(), &[]);
}

#[test]
fn threads_of_ours_take_no_asynchronous_signals() {
    let dir = tempfile::tempdir().expect("temp dir");
    let _engine = open(dir.path(), &[]);
    // A thread gives itself its name when it begins to run, which may be after `open` has returned.
    let begun = Instant::now();
    while masks_of("kafkalog-node").is_empty() || masks_of("kafkalog-flush").is_empty() {
        assert!(begun.elapsed() < PATIENCE);
        std::thread::yield_now();
    }
    for blocked in [masks_of("kafkalog-node"), masks_of("kafkalog-flush")].concat() {
        let has = |signal: u32| blocked & (1 << (signal - 1)) != 0;
        assert!([1, 2, 13, 14, 15, 17].into_iter().all(has), "HUP, INT, PIPE, ALRM, TERM, CHLD: {blocked:x}");
        assert!(![4, 6, 7, 8, 11, 27].into_iter().any(has), "ILL, ABRT, BUS, FPE, SEGV, PROF: {blocked:x}");
    }
}

/// The signals that the threads of this name block.
fn masks_of(thread: &str) -> Vec<u64> {
    let mut masks = Vec::new();
    for task in fs::read_dir("/proc/self/task").expect("lists") {
        let task = task.expect("entry").path();
        let Ok(name) = fs::read_to_string(task.join("comm")) else { continue };
        let Ok(status) = fs::read_to_string(task.join("status")) else { continue };
        if name.trim_end() == thread {
            let blocked = status.lines().find_map(|line| line.strip_prefix("SigBlk:")).expect("is told");
            masks.push(u64::from_str_radix(blocked.trim(), 16).expect("is a mask"));
        }
    }
    masks
}

#[test]
fn a_directory_that_cannot_be_opened_is_refused_with_one_clear_error_and_left_as_it_was() {
    let dir = tempfile::tempdir().expect("temp dir");
    let engine = open(dir.path(), &[("node.id", "3")]);
    let refusal = |dir: &Path, settings: &[(&str, &str)]| builder(dir, settings).open().expect_err("is refused");
    let locked = refusal(dir.path(), &[]);
    assert_eq!(locked.code(), ErrorCode::STATE, "{locked}");
    close(&engine);
    drop(engine);
    let before = names(dir.path());
    let foreign = refusal(dir.path(), &[("node.id", "4")]);
    assert_eq!(foreign.code(), ErrorCode::STATE, "{foreign}");
    fs::write(dir.path().join("kafkalog-topics"), b"KLTOPICS\0\0\0\x09\0\0\0\0\0\0\0\0").expect("writes");
    let newer = refusal(dir.path(), &[]);
    assert_eq!(newer.code(), ErrorCode::UNSUPPORTED_VERSION, "{newer}");
    fs::remove_file(dir.path().join("kafkalog-topics")).expect("removes");
    let file = dir.path().join("meta.properties");
    assert_eq!(refusal(&file, &[]).code(), ErrorCode::LOG_DIR_NOT_FOUND);
    assert_eq!(names(dir.path()), before);
    let engine = open(dir.path(), &[]);
    assert_eq!(engine.node_id().0, 3);
}

/// Runs the ignored test `child` over `dir` in a process of its own, as a user whom permissions bind: as nobody when this one is root.
fn run_bound_by_permissions(child: &str, dir: &Path) {
    use std::os::unix::process::CommandExt;
    const NOBODY: u32 = 65534;
    let copies = tempfile::tempdir().expect("temp dir");
    let program = copies.path().join("tests");
    // The build directory may be closed to others.
    fs::copy(std::env::current_exe().expect("has a path"), &program).expect("copies");
    for path in [copies.path(), &program] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("sets");
    }
    let mut command = Command::new(&program);
    command.args(["--exact", child, "--ignored", "--nocapture"]).env("KAFKALOG_TEST_DIR", dir).current_dir("/");
    if fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0) {
        command.uid(NOBODY).gid(NOBODY);
    }
    let output = command.output().expect("runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}{}", String::from_utf8_lossy(&output.stderr));
}

/// Not a test of its own: see `without_permission_to_write_nothing_is_opened`.
#[test]
#[ignore = "runs as a child only"]
fn child_without_permission() {
    let Some(dir) = std::env::var_os("KAFKALOG_TEST_DIR").map(PathBuf::from) else { return };
    assert!(fs::write(dir.join("probe"), "").is_err(), "permissions do not bind this user");
    assert_eq!(Engine::open(&dir).expect_err("is refused").code(), ErrorCode::KAFKA_STORAGE_ERROR);
    let reader = Engine::open_read_only(&dir).expect("reading is allowed");
    assert_eq!(reader.topics().expect("lists").len(), 1);
}

#[test]
fn without_permission_to_write_nothing_is_opened() {
    let dir = tempfile::tempdir().expect("temp dir");
    let engine = open(dir.path(), &[]);
    engine.create_topic("t", TopicConfig::new()).expect("creates");
    send(&engine, "t", ["value".to_owned()]);
    close(&engine);
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o555)).expect("sets");
    run_bound_by_permissions("child_without_permission", dir.path());
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("sets");
}

/// Not a test of its own: the child that `what_was_acknowledged_is_there_after_kill_9` kills.
#[test]
#[ignore = "runs as a child only"]
fn child_that_is_killed() {
    let Some(dir) = std::env::var_os("KAFKALOG_TEST_DIR").map(PathBuf::from) else { return };
    let engine = open(&dir, &[]);
    engine.create_topic("t", TopicConfig::new().set("segment.bytes", "16384").expect("legal")).expect("creates");
    let producer = engine.producer().acks(Acks::Leader).set("linger.ms", "0").expect("legal").open().expect("opens");
    let mut out = std::io::stdout().lock();
    for n in 0.. {
        let value = format!("value {n}");
        producer.send(Record::new("t", &value)).expect("sends").wait().expect("is acknowledged");
        writeln!(out, "acked {n}").expect("the parent listens");
    }
}

#[test]
fn what_was_acknowledged_is_there_after_kill_9() {
    let dir = tempfile::tempdir().expect("temp dir");
    let mut child = Command::new(std::env::current_exe().expect("has a path"))
        .args(["--exact", "child_that_is_killed", "--ignored", "--nocapture"])
        .env("KAFKALOG_TEST_DIR", dir.path())
        .stdout(Stdio::piped())
        .spawn()
        .expect("starts");
    let lines = BufReader::new(child.stdout.take().expect("is piped")).lines();
    let acked = lines
        .map(|line| line.expect("reads"))
        .filter_map(|line| line.strip_prefix("acked ").and_then(|n| n.parse::<usize>().ok()))
        .find(|n| *n >= 2000)
        .expect("the child goes on until it is killed");
    child.kill().expect("kills");
    child.wait().expect("is gone");
    let engine = open(dir.path(), &[]);
    let found = values(&engine, "t", 0);
    assert!(found.len() > acked, "{acked} were acknowledged, {} are there", found.len());
    for (n, value) in found.iter().enumerate() {
        assert_eq!(*value, format!("value {n}"));
    }
    send(&engine, "t", ["after".to_owned()]);
    assert_eq!(values(&engine, "t", 0).last().map(String::as_str), Some("after"));
    close(&engine);
}

#[test]
fn an_idle_engine_makes_no_wake_ups() {
    let dir = tempfile::tempdir().expect("temp dir");
    let settings = [
        ("log.flush.interval.ms", "1"),
        ("log.retention.ms", "-1"),
        ("log.flush.offset.checkpoint.interval.ms", "1"),
        ("log.flush.start.offset.checkpoint.interval.ms", "1"),
        ("replica.high.watermark.checkpoint.interval.ms", "1"),
    ];
    let engine = open(dir.path(), &settings);
    engine.create_topic("t", TopicConfig::new().partitions(3)).expect("creates");
    send(&engine, "t", (0..100).map(|n| n.to_string()));
    let asleep = || stats(&engine)["node"]["next_wakeup_in_ms"].is_null();
    let begun = Instant::now();
    while !asleep() {
        assert!(begun.elapsed() < PATIENCE, "{}", engine.stats_json());
        std::thread::yield_now();
    }
    for number in 0..3 {
        let offsets = engine.offsets("t", number).expect("offsets");
        assert_eq!(offsets.flushed, offsets.log_end, "it went to sleep with everything done");
    }
    let before = stats(&engine)["node"].clone();
    let read: usize = (0..3).map(|number| values(&engine, "t", number).len()).sum();
    assert_eq!(read, 100);
    assert!(asleep(), "reading gives it nothing to do");
    let after = stats(&engine)["node"].clone();
    assert_eq!((&after["wakeups"], &after["ticks"]), (&before["wakeups"], &before["ticks"]));
}

#[test]
fn a_full_directory_never_grows_past_its_cap() {
    for policy in ["reject", "drop-oldest"] {
        let dir = tempfile::tempdir().expect("temp dir");
        let max = 3 << 20;
        let engine = open(dir.path(), &[("dir.max.bytes", &max.to_string())]);
        let config = TopicConfig::new().partitions(2).set("segment.bytes", "65536").expect("legal");
        engine.create_topic("t", config.set("dir.full.policy", policy).expect("legal")).expect("creates");
        let producer = engine.producer().acks(Acks::Leader).set("linger.ms", "0").expect("legal").open();
        let producer = producer.expect("opens");
        let mut refused = 0;
        for n in 0..800_u32 {
            let value = [0_u8; 10_000];
            let record = Record::new("t", &value).partition(n % 2);
            if let Err(error) = producer.send(record).and_then(kafkalog::Delivery::wait) {
                assert_eq!(error.code(), ErrorCode::POLICY_VIOLATION, "{error}");
                refused += 1;
            }
            assert!(occupied(dir.path()) <= max, "{policy}: {} after {n}", occupied(dir.path()));
        }
        assert_eq!(refused > 0, policy == "reject", "{policy}: {refused} refused");
        let newest = engine.offsets("t", 1).expect("offsets").log_end;
        assert_eq!(newest == Offset(400), policy == "drop-oldest");
        close(&engine);
        assert!(occupied(dir.path()) <= max);
        assert_eq!(open(dir.path(), &[]).offsets("t", 1).expect("offsets").log_end, newest);
    }
}

#[test]
fn a_thousand_partitions_of_three_segments_open_lazily_with_few_descriptors() {
    let dir = tempfile::tempdir().expect("temp dir");
    let settings = [("open.partitions.max", "10"), ("open.files.max", "16")];
    let engine = open(dir.path(), &settings);
    let config = TopicConfig::new().partitions(1000).set("segment.bytes", "1024").expect("legal");
    engine.create_topic("t", config).expect("creates");
    let value = "x".repeat(900);
    for _ in 0..3 {
        let producer = engine.producer().acks(Acks::Leader).open().expect("opens");
        producer.send(Record::new("t", &value).partition(0)).expect("sends").wait().expect("is acknowledged");
    }
    close(&engine);
    drop(engine);
    // Every partition is a copy of the first: a thousand of them are written in no time.
    let first: Vec<(String, Vec<u8>)> = names(&dir.path().join("t-0"))
        .into_iter()
        .map(|name| (name.clone(), fs::read(dir.path().join("t-0").join(name)).expect("reads")))
        .collect();
    assert_eq!(first.iter().filter(|(name, _)| name.ends_with(".log")).count(), 3);
    for number in 1..1000 {
        let to = dir.path().join(format!("t-{number}"));
        fs::create_dir(&to).expect("creates");
        first.iter().for_each(|(name, bytes)| fs::write(to.join(name), bytes).expect("writes"));
    }

    let begun = Instant::now();
    let engine = open(dir.path(), &settings);
    println!("an engine of 1,000 partitions of 3 segments opened in {:?}", begun.elapsed());
    assert_eq!(stats(&engine)["node"]["logs_opened"], 0, "opening the engine opens no log");
    let begun = Instant::now();
    let mut most = 0;
    for number in 0..1000 {
        assert_eq!(engine.offsets("t", number).expect("offsets").log_end, Offset(3));
        most = most.max(if number % 10 == 0 { open_descriptors(dir.path()) } else { 0 });
    }
    println!("each of them opened once, at most ten at a time, in {:?}", begun.elapsed());
    assert!(most <= 10 * 6, "{most} descriptors for ten open logs");
    assert_eq!(values(&engine, "t", 777), [value.clone(), value.clone(), value]);
    assert_eq!(stats(&engine)["recovery"]["scanned_bytes"], 0);
    close(&engine);
}

#[test]
fn statistics_and_metrics_tell_what_was_done() {
    let dir = tempfile::tempdir().expect("temp dir");
    let engine = open(dir.path(), &[]);
    engine.create_topic("t", TopicConfig::new()).expect("creates");
    let producer = engine.producer().set("client.id", "tester").expect("legal").open().expect("opens");
    producer.send(Record::new("t", "x")).expect("sends").wait().expect("is acknowledged");
    engine.sync_all(PATIENCE).expect("syncs");
    let stats = stats(&engine);
    let partition = &stats["topics"]["t"]["partitions"]["0"];
    assert_eq!(
        (&partition["records"], &partition["log_end"], &partition["flushed"]),
        (&1.into(), &1.into(), &1.into())
    );
    assert!(stats["totals"]["fsyncs"].as_u64() >= Some(1) && stats["totals"]["appended_bytes"].as_u64() > Some(60));
    assert_eq!(stats["producers"][0]["client_id"], "tester");
    let metrics = engine.metrics_text();
    assert!(metrics.contains("\nkafkalog_records_total{topic=\"t\",partition=\"0\"} 1\n"), "{metrics}");
    assert!(metrics.ends_with("# EOF\n"));
    let metadata: Value = serde_json::from_str(&engine.metadata_json(Some("t")).expect("describes")).expect("is JSON");
    assert_eq!(metadata["topics"][0]["partitions"][0]["log_end"], 1);
    assert_eq!(metadata["topics"][0]["config"]["flush.ms"]["value"], "1000");
    let unknown = engine.metadata_json(Some("u")).expect_err("is unknown");
    assert_eq!(unknown.code(), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
}

#[test]
fn the_log_sink_hears_of_a_torn_tail() {
    #[derive(Default)]
    struct Lines(Mutex<Vec<String>>);
    impl LogSink for Lines {
        fn log(&self, level: LogLevel, _: &str, text: &str) {
            self.0.lock().expect("is whole").push(format!("{level:?}: {text}"));
        }
    }
    let dir = tempfile::tempdir().expect("temp dir");
    let engine = open(dir.path(), &[]);
    engine.create_topic("t", TopicConfig::new()).expect("creates");
    send(&engine, "t", (0..10).map(|n| n.to_string()));
    close(&engine);
    drop(engine);
    fs::remove_file(dir.path().join(".kafka_cleanshutdown")).expect("removes");
    let log = dir.path().join("t-0/00000000000000000000.log");
    fs::OpenOptions::new().append(true).open(&log).expect("opens").write_all(&[7; 33]).expect("writes");
    let lines = Arc::new(Lines::default());
    let engine = builder(dir.path(), &[]).log_sink(lines.clone()).open().expect("opens");
    assert_eq!(values(&engine, "t", 0).len(), 10);
    let begun = Instant::now();
    while !lines.0.lock().expect("is whole").iter().any(|line| line.contains("torn tail of 33 bytes")) {
        assert!(begun.elapsed() < PATIENCE, "{:?}", lines.0);
        std::thread::yield_now();
    }
    close(&engine);
}
