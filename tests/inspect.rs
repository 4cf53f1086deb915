//! What lies on disk, told without opening it: against Kafka's own directories, against damage of every kind.

use kafkalog::inspect::{
    cache, check, CheckScope, DamageKind, DataDirView, LogDump, PartitionView, Repair, RepairStep, Severity,
};
use kafkalog::{AppendOptions, Engine, ErrorCode, Offset, StartAt, Timestamp, TopicConfig, TopicPartition};
use serde_json::Value;
use std::path::{Path, PathBuf};

fn vectors() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/vectors/segments");
    if !path.is_dir() {
        println!("SKIP: ../shared is absent, so its vectors were not read");
        return None;
    }
    Some(path)
}

fn entries(vectors: &Path) -> Vec<Value> {
    let manifest: Value = serde_json::from_slice(&std::fs::read(vectors.join("manifest.json")).unwrap()).unwrap();
    manifest["entries"].as_array().unwrap().clone()
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to.join(entry.file_name()));
        } else {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

fn u64_of(value: &Value) -> u64 {
    value.as_u64().unwrap()
}

#[test]
fn every_directory_of_kafka_has_the_content_of_the_manifest() {
    let Some(vectors) = vectors() else { return };
    for entry in entries(&vectors) {
        let (name, summary) = (entry["dir"].as_str().unwrap(), &entry["summary"]);
        let dir = vectors.join(name);
        let view = PartitionView::read(&dir).unwrap();
        assert_eq!(view.log_end().0, u64_of(&summary["log_end_offset"]), "{name}");
        assert_eq!(view.size_bytes(), u64_of(&summary["bytes"]), "{name}");
        let epochs: Vec<(u64, u64)> = view.leader_epochs.iter().map(|(e, o)| (u64::from(*e), o.0)).collect();
        let expected: Vec<(u64, u64)> =
            summary["leader_epochs"].as_array().unwrap().iter().map(|e| (u64_of(&e[0]), u64_of(&e[1]))).collect();
        assert_eq!(epochs, expected, "{name}");
        let segments = summary["segments"].as_array().unwrap();
        assert_eq!(view.segments.len(), segments.len(), "{name}");
        let (mut records, mut batches, mut control, mut codecs) = (0, 0, 0, std::collections::BTreeMap::new());
        for (segment, expected) in view.segments.iter().zip(segments) {
            assert_eq!(segment.base_offset.0, u64_of(&expected["base_offset"]), "{name}");
            assert_eq!(segment.batches, u64_of(&expected["batches"]), "{name}");
            assert_eq!(segment.log_bytes, u64_of(&expected["log_bytes"]), "{name}");
            assert_eq!(segment.valid_bytes, segment.log_bytes, "{name}");
            assert_eq!(segment.last_offset.unwrap().0 + 1, u64_of(&expected["next_offset"]), "{name}");
            assert_eq!(segment.max_timestamp.unwrap().0, expected["max_timestamp"].as_i64().unwrap(), "{name}");
            let index = LogDump::index(&segment.path.with_extension("index")).unwrap();
            assert_eq!(index.len() as u64, u64_of(&expected["index_entries"]), "{name}");
            let times = LogDump::time_index(&segment.path.with_extension("timeindex")).unwrap();
            assert_eq!(times.len() as u64, u64_of(&expected["timeindex_entries"]), "{name}");
            let mut dump = LogDump::open(&segment.path).unwrap();
            let mut next = segment.base_offset;
            while let Some(batch) = dump.next_batch().unwrap() {
                assert!(batch.is_valid && batch.base_offset >= next, "{name}");
                let found = dump.records().unwrap();
                assert_eq!(found.len() as i32, batch.count, "{name}");
                assert_eq!(found.last().unwrap().offset, batch.last_offset, "{name}");
                records += found.len() as u64;
                batches += 1;
                control += u64::from(batch.is_control);
                let codec = format!("{:?}", batch.codec.unwrap()).to_lowercase();
                *codecs.entry(codec).or_insert(0) += 1;
                next = batch.last_offset.next();
            }
            assert_eq!(dump.rest(), 0, "{name}");
        }
        assert_eq!(records, u64_of(&summary["records"]), "{name}");
        assert_eq!(batches, u64_of(&summary["batches"]), "{name}");
        assert_eq!(control, u64_of(&summary["control_batches"]), "{name}");
        for (codec, count) in summary["codecs"].as_object().unwrap() {
            assert_eq!(codecs.get(codec).copied(), count.as_u64(), "{name} {codec}");
        }
        let mut aborted = 0;
        for file in entry["files"].as_object().unwrap().keys() {
            if file.ends_with(".txnindex") {
                aborted += LogDump::txn_index(&dir.join(file)).unwrap().len() as u64;
            }
            if let Some(offset) = file.strip_suffix(".snapshot") {
                let offset = offset.trim_start_matches('0');
                let expected = &summary["snapshots"][if offset.is_empty() { "0" } else { offset }];
                assert_eq!(LogDump::snapshot(&dir.join(file)).unwrap().len() as u64, u64_of(expected), "{name} {file}");
            }
        }
        assert_eq!(aborted, u64_of(&summary["aborted_txns"]), "{name}");
    }
}

#[test]
fn a_check_finds_no_damage_in_what_kafka_wrote() {
    let Some(vectors) = vectors() else { return };
    let mut records = 0;
    for entry in entries(&vectors) {
        let dir = vectors.join(entry["dir"].as_str().unwrap());
        let report = check(&dir, CheckScope::All).unwrap();
        assert!(report.damages.is_empty(), "{:?}", report.damages);
        assert_eq!(report.records, u64_of(&entry["summary"]["records"]));
        assert_eq!(report.batches, u64_of(&entry["summary"]["batches"]));
        records += report.records;
    }
    // All of them together, as one data directory.
    let report = check(&vectors, CheckScope::All).unwrap();
    assert!(report.is_sound(), "{:?}", report.damages);
    assert_eq!((report.records, report.partitions), (records, entries(&vectors).len() as u64));
}

#[test]
fn a_flipped_byte_anywhere_is_found_or_harmless_and_never_a_panic() {
    let Some(vectors) = vectors() else { return };
    let mut found = 0;
    let mut harmless = Vec::new();
    for name in ["rolled-empty-0", "transactions-0", "producer-epochs-0"] {
        let dir = tempfile::tempdir().unwrap();
        let copied = dir.path().join(name);
        copy(&vectors.join(name), &copied);
        let files: Vec<PathBuf> = std::fs::read_dir(&copied).unwrap().map(|e| e.unwrap().path()).collect();
        for file in files {
            let good = std::fs::read(&file).unwrap();
            let step = (good.len() / 12).max(1);
            for at in (0..good.len()).step_by(step).chain(0..good.len().min(24)) {
                let mut bad = good.clone();
                bad[at] ^= 0x10;
                std::fs::write(&file, &bad).unwrap();
                let report = check(&copied, CheckScope::All).unwrap();
                // A torn tail is what damage at the very end of an unfinished log looks like.
                if report.damages.is_empty() {
                    harmless.push((file.file_name().unwrap().to_owned(), at));
                } else {
                    found += 1;
                }
                drop(PartitionView::read(&copied));
            }
            std::fs::write(&file, &good).unwrap();
        }
    }
    println!("{found} found, {} harmless", harmless.len());
    // Outside the checksum: the first 17 bytes of a batch (offset and epoch can only be compared with their neighbours), and the
    // topic id, which nothing else knows.
    for (file, at) in &harmless {
        let name = file.to_string_lossy();
        assert!(name.ends_with(".log") || name == "partition.metadata", "{name} byte {at} went unnoticed");
    }
    assert!(found > 3 * harmless.len(), "{found} found, {} harmless", harmless.len());
}

#[test]
fn a_file_that_is_cut_anywhere_is_found_or_harmless_and_never_a_panic() {
    let Some(vectors) = vectors() else { return };
    let dir = tempfile::tempdir().unwrap();
    let copied = dir.path().join("transactions-0");
    copy(&vectors.join("transactions-0"), &copied);
    let files: Vec<PathBuf> = std::fs::read_dir(&copied).unwrap().map(|e| e.unwrap().path()).collect();
    for file in files {
        let good = std::fs::read(&file).unwrap();
        for len in (0..good.len()).step_by((good.len() / 15).max(1)) {
            std::fs::write(&file, &good[..len]).unwrap();
            drop(check(&copied, CheckScope::All).unwrap());
            drop(PartitionView::read(&copied));
            if file.extension().is_some_and(|e| e == "log") {
                let mut dump = LogDump::open(&file).unwrap();
                while dump.next_batch().unwrap().is_some() {}
            }
        }
        std::fs::write(&file, &good).unwrap();
    }
    assert!(check(&copied, CheckScope::All).unwrap().damages.is_empty());
}

/// A data directory of ours with a hundred records in many segments, closed in order.
fn ours() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let engine = Engine::open(&data).unwrap();
    engine.create_topic("t", TopicConfig::new().set("segment.bytes", "1024").unwrap()).unwrap();
    let log = engine.log("t", 0).unwrap();
    for i in 0..100_i64 {
        let filled = log.append_with(AppendOptions::default(), |batch| {
            batch.push(Some(b"key"), Some(format!("v{i}").as_bytes()), &[], Some(Timestamp(1_700_000_000_000 + i)))
        });
        filled.unwrap();
    }
    engine.close().unwrap();
    dir
}

fn logs(data: &Path) -> Vec<PathBuf> {
    let view = DataDirView::read(data).unwrap();
    view.partitions[0].segments.iter().map(|segment| segment.path.clone()).collect()
}

fn count_records(data: &Path) -> (Vec<u64>, u64) {
    let engine = Engine::open(data).unwrap();
    let id = TopicPartition::new("t", 0);
    let mut consumer = engine.consumer().assign(id.clone(), StartAt::Earliest).open().unwrap();
    let end = engine.offsets("t", 0).unwrap().log_end;
    let mut found = Vec::new();
    while consumer.position(&id) != Some(end) {
        found.extend(consumer.poll(std::time::Duration::from_secs(20)).unwrap().iter().map(|r| r.offset.0));
    }
    engine.close().unwrap();
    (found, end.0)
}

#[test]
fn what_we_wrote_is_sound_closed_or_open_and_a_view_tells_of_it() {
    let dir = ours();
    let data = dir.path().join("data");
    let report = check(&data, CheckScope::All).unwrap();
    assert!(report.damages.is_empty(), "{:?}", report.damages);
    assert_eq!((report.records, report.partitions), (100, 1));
    let view = DataDirView::read(&data).unwrap();
    assert!(view.clean);
    assert_eq!(view.partitions[0].log_end(), Offset(100));
    assert_eq!(view.partitions[0].recovery_point, Some(Offset(100)));
    let engine = Engine::open(&data).unwrap();
    let log = engine.log("t", 0).unwrap();
    log.append_with(AppendOptions::default(), |batch| batch.push(None, Some(b"more"), &[], None)).unwrap();
    let report = check(&data, CheckScope::All).unwrap();
    assert!(report.is_sound(), "{:?}", report.damages);
    assert_eq!(report.records, 101);
}

#[test]
fn an_index_that_lies_is_found_and_written_anew_without_a_loss() {
    let dir = ours();
    let data = dir.path().join("data");
    let first = logs(&data).remove(0);
    std::fs::write(first.with_extension("index"), [0, 0, 0, 3, 0, 0, 0, 77]).unwrap();
    std::fs::remove_file(first.with_extension("timeindex")).unwrap();
    let report = check(&data, CheckScope::All).unwrap();
    assert!(report.damages.iter().all(|damage| damage.severity == Severity::Rebuildable));
    assert!(report.damages.iter().any(|damage| damage.kind == DamageKind::BadIndex));
    assert!(report.damages.iter().any(|damage| damage.kind == DamageKind::MissingFile));
    let plan = Repair::plan(&data).unwrap();
    assert_eq!(plan.steps(), [RepairStep::RebuildIndexes { log: first.clone() }]);
    assert_eq!(plan.records_lost_max(), 0);
    let done = plan.apply(|_| true).unwrap();
    assert!(done.remaining.is_empty(), "{:?}", done.remaining);
    assert_eq!(done.copies.len(), 1);
    assert!(done.copies[0].starts_with(dir.path().join("data.damaged-1")));
    assert_eq!(count_records(&data).0, (0..100).collect::<Vec<u64>>());
}

#[test]
fn a_damaged_batch_inside_a_sealed_segment_is_taken_out_only_when_the_user_agrees() {
    let dir = ours();
    let data = dir.path().join("data");
    let second = logs(&data).remove(1);
    let good = std::fs::read(&second).unwrap();
    let mut dump = LogDump::open(&second).unwrap();
    dump.next_batch().unwrap();
    let batch = dump.next_batch().unwrap().unwrap();
    let mut bad = good.clone();
    bad[batch.position as usize + 64] ^= 0xff;
    std::fs::write(&second, &bad).unwrap();

    let plan = Repair::plan(&data).unwrap();
    let damage = &plan.report().damages[0];
    assert_eq!((damage.severity, damage.kind), (Severity::Loss, DamageKind::BadChecksum));
    assert_eq!((damage.position, damage.offset), (Some(batch.position), Some(batch.base_offset.0)));
    assert_eq!(plan.records_lost_max(), 1);
    let declined = plan.apply(|_| false).unwrap();
    assert!(declined.done.is_empty() && declined.copies.is_empty() && !declined.remaining.is_empty());
    assert_eq!(std::fs::read(&second).unwrap(), bad);

    let done = Repair::plan(&data).unwrap().apply(|_| true).unwrap();
    assert!(done.remaining.is_empty(), "{:?}", done.remaining);
    let copy = done.copies.iter().find(|copy| copy.extension().is_some_and(|e| e == "log")).unwrap();
    assert_eq!(std::fs::read(copy).unwrap(), bad);
    let lost = batch.base_offset.0;
    assert_eq!(count_records(&data).0, (0..100).filter(|offset| *offset != lost).collect::<Vec<u64>>());
}

#[test]
fn a_log_that_ends_below_what_was_flushed_is_a_loss_that_repair_makes_usable_again() {
    let dir = ours();
    let data = dir.path().join("data");
    let last = logs(&data).pop().unwrap();
    let bytes = std::fs::read(&last).unwrap();
    std::fs::write(&last, &bytes[..bytes.len() - 20]).unwrap();
    let plan = Repair::plan(&data).unwrap();
    assert!(!plan.report().is_sound());
    assert!(plan.report().damages.iter().any(|damage| damage.severity == Severity::Loss));
    let done = plan.apply(|_| true).unwrap();
    assert!(done.remaining.is_empty(), "{:?}", done.remaining);
    assert_eq!(count_records(&data), ((0..99).collect(), 99));
}

#[test]
fn a_repair_needs_the_lock_and_a_whole_data_directory() {
    let dir = ours();
    let data = dir.path().join("data");
    let engine = Engine::open(&data).unwrap();
    let refused = Repair::plan(&data).unwrap().apply(|_| true).unwrap_err();
    assert_eq!(refused.code(), ErrorCode::STATE);
    engine.close().unwrap();
    assert_eq!(Repair::plan(&data.join("t-0")).unwrap_err().code(), ErrorCode::INVALID_ARG);
    assert_eq!(check(&data.join("no-such.log"), CheckScope::All).unwrap_err().code(), ErrorCode::INVALID_ARG);
    assert_eq!(DataDirView::read(&data.join("nowhere")).unwrap_err().code(), ErrorCode::LOG_DIR_NOT_FOUND);
}

#[test]
fn the_cache_view_says_what_an_unplugged_machine_would_lose() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path()).unwrap();
    // Never flushed by itself.
    let topic = TopicConfig::new().set("flush.ms", "9223372036854775807").unwrap();
    engine.create_topic("t", topic).unwrap();
    let log = engine.log("t", 0).unwrap();
    for _ in 0..10 {
        let filled = log.append_with(AppendOptions::default(), |batch| batch.push(None, Some(b"value"), &[], None));
        filled.unwrap();
    }
    let report = cache(dir.path()).unwrap();
    let partition = &report.partitions[0];
    assert_eq!((partition.recovery_point, partition.log_end), (Offset(0), Offset(10)));
    let segment = &partition.segments[0];
    assert_eq!(segment.unflushed_bytes, segment.log_bytes);
    // The kernel may have written the pages by itself meanwhile, or not tell about them.
    let is_dirty = segment.dirty_bytes != Some(0);
    println!("{report:?}");
    assert_eq!(report.unplug_loss.records, if is_dirty { 10 } else { 0 });
    assert!(!is_dirty || report.unplug_loss.age.is_some());
    log.sync(std::time::Duration::from_secs(20)).unwrap();
    let report = cache(dir.path()).unwrap();
    if report.knows_dirty {
        let loss = report.unplug_loss;
        assert_eq!((loss.records, loss.bytes, loss.age), (0, 0, None));
    }
    engine.close().unwrap();
    let report = cache(dir.path()).unwrap();
    assert_eq!((report.unplug_loss.records, report.partitions[0].recovery_point), (0, Offset(10)));
}

#[test]
fn a_live_writer_is_never_taken_for_damage() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path()).unwrap();
    engine.create_topic("t", TopicConfig::new().set("segment.bytes", "30000").unwrap()).unwrap();
    let log = engine.log("t", 0).unwrap();
    let is_over = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let writer = {
        let is_over = is_over.clone();
        std::thread::spawn(move || {
            while !is_over.load(std::sync::atomic::Ordering::SeqCst) {
                let filled = log.append_with(AppendOptions::default(), |batch| {
                    (0..20).try_for_each(|_| batch.push(None, Some(&[7; 100]), &[], None))
                });
                filled.unwrap();
            }
        })
    };
    let mut records = 0;
    for _ in 0..20 {
        let report = check(dir.path(), CheckScope::All).unwrap();
        assert!(report.is_sound(), "{:?}", report.damages);
        assert!(report.records >= records);
        records = report.records;
        let view = DataDirView::read(dir.path()).unwrap();
        assert!(view.partitions.iter().all(|partition| partition.log_end().0 >= records));
        cache(dir.path()).unwrap();
    }
    is_over.store(true, std::sync::atomic::Ordering::SeqCst);
    writer.join().unwrap();
}

#[test]
fn a_transaction_index_that_was_lost_or_lies_is_written_anew_from_the_log() {
    let Some(vectors) = vectors() else { return };
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let copied = data.join("transactions-0");
    copy(&vectors.join("transactions-0"), &copied);
    let view = PartitionView::read(&copied).unwrap();
    let path = view.segments[2].path.with_extension("txnindex");
    let good = std::fs::read(&path).unwrap();
    let mut bad = good.clone();
    bad[9] ^= 1;
    std::fs::write(&path, bad).unwrap();
    let done = Repair::plan(&data).unwrap().apply(|_| true).unwrap();
    assert!(done.remaining.is_empty(), "{:?}", done.remaining);
    assert_eq!(std::fs::read(&path).unwrap(), good);
    std::fs::write(copied.join("leader-epoch-checkpoint"), "0\n1\n5 0\n").unwrap();
    let done = Repair::plan(&data).unwrap().apply(|_| true).unwrap();
    assert_eq!(done.done, [RepairStep::RebuildEpochs { partition: copied.clone() }]);
    assert!(done.remaining.is_empty(), "{:?}", done.remaining);
    assert_eq!(PartitionView::read(&copied).unwrap().leader_epochs, view.leader_epochs);
}
