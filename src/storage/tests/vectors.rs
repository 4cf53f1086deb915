use super::*;
use crate::testing::shared;
use serde_json::Value;

/// A writable copy: opening a directory may trim indexes and write our mark.
fn copy_of(from: &Path) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let to = dir.path().join(from.file_name().expect("a name"));
    std::fs::create_dir(&to).expect("creates");
    for entry in std::fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        std::fs::write(to.join(entry.file_name()), std::fs::read(entry.path()).expect("reads")).expect("copies");
    }
    (dir, to)
}

fn check(entry: &Value, root: &Path, clean: bool) {
    let name = entry["dir"].as_str().expect("a name");
    let summary = &entry["summary"];
    let number = |key: &str| summary[key].as_u64().unwrap_or_else(|| panic!("{name}: {key}"));
    let (_guard, dir) = copy_of(&root.join(name));
    let mut opening =
        opening(Arc::new(RealDisk), &dir, LogConfig { retention_age: None, ..LogConfig::default() }, clean);
    opening.log_start = Offset(number("log_start_offset"));
    let log = Log::open(opening).unwrap_or_else(|e| panic!("{name}: {e}"));
    assert!(log.recovery_report().damage.is_none(), "{name}: {:?}", log.recovery_report());
    assert_eq!(log.log_end().0, number("log_end_offset"), "{name}");
    assert_eq!(log.log_start().0, number("log_start_offset"), "{name}");
    let segments = log.segment_summaries();
    let expected = summary["segments"].as_array().expect("segments");
    assert_eq!(segments.len(), expected.len(), "{name}");
    for (found, wanted) in segments.iter().zip(expected) {
        let number = |key: &str| wanted[key].as_i64().unwrap_or_else(|| panic!("{name}: {key}"));
        assert_eq!(found.base_offset.0 as i64, number("base_offset"), "{name}");
        assert_eq!(found.log_bytes as i64, number("log_bytes"), "{name}");
        assert_eq!(found.end_offset.0 as i64, number("next_offset"), "{name}");
        assert_eq!(found.max_timestamp.map_or(-1, |t| t.0), number("max_timestamp"), "{name} {found:?}");
    }
    let epochs: Vec<(u64, u64)> = log.leader_epochs().iter().map(|(e, o)| (u64::from(e.0), o.0)).collect();
    let wanted: Vec<(u64, u64)> = summary["leader_epochs"]
        .as_array()
        .expect("epochs")
        .iter()
        .map(|pair| (pair[0].as_u64().expect("epoch"), pair[1].as_u64().expect("offset")))
        .collect();
    assert_eq!(epochs, wanted, "{name}");
    let (mut batch_count, mut records, mut control, mut next) = (0, 0, 0, log.log_start());
    let mut inflater = Inflater::new(1 << 26);
    while next < log.log_end() {
        let fetch = Fetch { from: next, bytes_max: 10_000, up_to: UpTo::LogEnd, min_one_message: true };
        let fetched = log.read(fetch).expect("reads");
        for found in batches(&fetched.batches) {
            let (_, view) = found.expect("whole");
            view.verify().expect("right checksum");
            batch_count += 1;
            control += u64::from(view.header().is_control());
            for record in view.records(&mut inflater).expect("unfolds") {
                record.expect("parses");
                records += 1;
            }
            next = view.header().end_offset();
        }
    }
    assert_eq!((batch_count, records), (number("batches"), number("records")), "{name}");
    assert_eq!(control, number("control_batches"), "{name}");
    let aborted = log.aborted_transactions(log.log_start(), log.log_end()).expect("reads");
    assert_eq!(aborted.len() as u64, number("aborted_txns"), "{name}");
}

#[test]
fn every_directory_that_kafka_wrote_opens_with_exactly_its_content() {
    let Some(shared) = shared() else { return };
    let root = shared.join("vectors/segments");
    let manifest: Value =
        serde_json::from_slice(&std::fs::read(root.join("manifest.json")).expect("a manifest")).expect("json");
    for entry in manifest["entries"].as_array().expect("entries") {
        check(entry, &root, false);
        if entry["clean"].as_bool() == Some(true) {
            check(entry, &root, true);
        }
    }
}
