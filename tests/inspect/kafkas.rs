//! Directories that Kafka wrote, as they are and damaged.

use crate::{copy, vectors};
use kafkalog::inspect::{check, CheckScope, LogDump, PartitionView};
use serde_json::Value;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

fn entries(vectors: &Path) -> Vec<Value> {
    let manifest: Value = serde_json::from_slice(&std::fs::read(vectors.join("manifest.json")).unwrap()).unwrap();
    manifest["entries"].as_array().unwrap().clone()
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
            let changed = File::options().write(true).open(&file).unwrap();
            let step = (good.len() / 12).max(1);
            for at in (0..good.len()).step_by(step).chain(0..good.len().min(24)) {
                // In place: a file that is cut to nothing and written anew is waited for by ext4 when it is closed.
                changed.write_all_at(&[good[at] ^ 0x10], at as u64).unwrap();
                let report = check(&copied, CheckScope::All).unwrap();
                // A torn tail is what damage at the very end of an unfinished log looks like.
                if report.damages.is_empty() {
                    harmless.push((file.file_name().unwrap().to_owned(), at));
                } else {
                    found += 1;
                }
                drop(PartitionView::read(&copied));
                changed.write_all_at(&[good[at]], at as u64).unwrap();
            }
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
        let changed = File::options().write(true).open(&file).unwrap();
        // Shorter and shorter: only what is left is as it was.
        for len in (0..good.len()).step_by((good.len() / 15).max(1)).collect::<Vec<_>>().into_iter().rev() {
            changed.set_len(len as u64).unwrap();
            drop(check(&copied, CheckScope::All).unwrap());
            drop(PartitionView::read(&copied));
            if file.extension().is_some_and(|e| e == "log") {
                let mut dump = LogDump::open(&file).unwrap();
                while dump.next_batch().unwrap().is_some() {}
            }
        }
        changed.write_all_at(&good, 0).unwrap();
    }
    assert!(check(&copied, CheckScope::All).unwrap().damages.is_empty());
}
