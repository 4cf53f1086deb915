//! What lies on disk, told without opening it: against Kafka's own directories, against damage of every kind.

mod kafkas;
mod repair;
mod sound;

use kafkalog::inspect::DataDirView;
use kafkalog::{AppendOptions, Engine, StartAt, Timestamp, TopicConfig, TopicPartition};
use std::path::{Path, PathBuf};

pub fn vectors() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/vectors/segments");
    if !path.is_dir() {
        println!("SKIP: ../shared is absent, so its vectors were not read");
        return None;
    }
    Some(path)
}

pub fn copy(from: &Path, to: &Path) {
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

/// A data directory of ours with a hundred records in many segments, closed in order.
pub fn ours() -> tempfile::TempDir {
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

pub fn logs(data: &Path) -> Vec<PathBuf> {
    let view = DataDirView::read(data).unwrap();
    view.partitions[0].segments.iter().map(|segment| segment.path.clone()).collect()
}

pub fn count_records(data: &Path) -> (Vec<u64>, u64) {
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
