//! Writes the seeds of the targets that take files: small logs that the code itself has written, and damaged copies of them.
//!
//!     cargo test --lib -- --ignored fuzzing::seeds

use super::partition_files::{PartitionFiles, DIR, ROOT, SMALL_SEGMENTS, SOUND_BATCHES, SOUND_SUMS, TRUNCATE};
use super::segment_recover::batch;
use crate::config::LogConfig;
use crate::disk::Disk;
use crate::node::{Catalogue, TopicEntry, TOPICS_FILE};
use crate::record::control::{end_txn_marker, TxnResult};
use crate::record::{BatchBuilder, RecordRef, SealedBatch};
use crate::sim::{SimClock, SimDisk};
use crate::storage::meta_properties::{MetaProperties, META_PROPERTIES_FILE};
use crate::storage::{partition_metadata, Log, OffsetCheckpoint, OpenFiles, Opening};
use crate::types::{Codec, LeaderEpoch, NodeId, Offset, ProducerStamp, Timestamp, TopicPartition};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const NOW: Timestamp = Timestamp(1_735_689_600_000);

fn folder(target: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn open(disk: &SimDisk, segment_bytes: u32) -> Log {
    let config =
        LogConfig { segment_bytes, index_interval_bytes: 100, segment_index_bytes: 128, ..LogConfig::default() };
    Log::open(Opening {
        disk: Arc::new(disk.clone()),
        clock: Arc::new(SimClock::default()),
        dir: DIR.into(),
        partition: TopicPartition::new("t", 0),
        config,
        recovery_point: Offset::ZERO,
        log_start: Offset::ZERO,
        high_watermark: Offset::MAX,
        clean: false,
        in_doubt: false,
        topic_id: Some([9; 16]),
        files: Arc::new(OpenFiles::new(2)),
    })
    .unwrap()
}

fn new_disk() -> SimDisk {
    let disk = SimDisk::new(1);
    disk.create_dir(Path::new(ROOT)).unwrap();
    disk.create_dir(Path::new("/other")).unwrap();
    disk
}

fn files_of(disk: &SimDisk, flags: u8) -> PartitionFiles {
    let prefix = format!("{DIR}/");
    let files =
        disk.snapshot().into_iter().filter_map(|(path, bytes)| Some((path.strip_prefix(&prefix)?.to_owned(), bytes)));
    // An index is as long as its mapping while it is written; what matters are its entries.
    let files: BTreeMap<String, Vec<u8>> = files
        .map(|(name, mut bytes)| {
            while name.ends_with("index") && bytes.last() == Some(&0) {
                bytes.pop();
            }
            (name, bytes)
        })
        .collect();
    PartitionFiles { flags, interval: 12, files, ..PartitionFiles::default() }
}

fn compressed(codec: Codec) -> SealedBatch {
    let mut builder = BatchBuilder::new(codec, None);
    for n in 0..20_i64 {
        let record = RecordRef { key: Some(b"key"), value: Some(b"the same value again and again"), headers: &[] };
        builder.append(record, NOW.0 + n).unwrap();
    }
    builder.seal(None, false).unwrap()
}

fn transaction(log: &Log, id: i64, result: TxnResult) {
    let mut builder = BatchBuilder::new(Codec::None, None);
    builder.append(RecordRef { key: None, value: Some(b"maybe"), headers: &[] }, NOW.0).unwrap();
    let stamp = ProducerStamp { id, epoch: 0, base_sequence: Some(0) };
    let mut data = builder.seal(Some(stamp), true).unwrap();
    log.append(&mut data, LeaderEpoch(1), NOW).unwrap();
    let mut marker = end_txn_marker(id, 0, result, 2, NOW);
    marker.stamp(log.log_end(), LeaderEpoch(1));
    log.append_verbatim(marker.bytes()).unwrap();
}

/// Logs of every kind that the files have: by name, the files before and after the close.
fn logs() -> Vec<(String, PartitionFiles)> {
    let mut found = Vec::new();
    let mut add = |name: &str, segment_bytes: u32, fill: &dyn Fn(&Log)| {
        let disk = new_disk();
        let log = open(&disk, segment_bytes);
        fill(&log);
        let small = if segment_bytes < 1000 { SMALL_SEGMENTS } else { 0 };
        found.push((format!("{name}-open"), files_of(&disk, SOUND_BATCHES | SOUND_SUMS | small)));
        log.flush().unwrap();
        found.push((format!("{name}-flushed"), files_of(&disk, SOUND_BATCHES | small)));
        log.close().unwrap();
        drop(log);
        found.push((format!("{name}-closed"), files_of(&disk, SOUND_BATCHES | SOUND_SUMS | TRUNCATE | small)));
    };
    let put = |log: &Log, serial: u8, stamp: Option<ProducerStamp>| {
        log.append(&mut batch(serial, stamp), LeaderEpoch(u32::from(serial / 4)), NOW).unwrap();
        log.advance_high_watermark(log.log_end());
    };
    add("empty", 1 << 20, &|_| {});
    add("plain", 1 << 20, &|log| (0..6).for_each(|n| put(log, n, None)));
    add("rolled", 300, &|log| (0..9).for_each(|n| put(log, n, None)));
    add("idempotent", 400, &|log| {
        (0..6).for_each(|n| put(log, n, Some(ProducerStamp { id: 7, epoch: 0, base_sequence: Some(n.into()) })));
    });
    add("transactions", 600, &|log| {
        transaction(log, 1, TxnResult::Commit);
        transaction(log, 2, TxnResult::Abort);
        transaction(log, 3, TxnResult::Abort);
    });
    add("codecs", 1 << 20, &|log| {
        for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
            log.append(&mut compressed(codec), LeaderEpoch(0), NOW).unwrap();
        }
    });
    found
}

/// Each damage once, to the file that it hits hardest.
fn damaged(files: &PartitionFiles) -> Vec<(&'static str, PartitionFiles)> {
    let change = |suffix: &str, change: &dyn Fn(&mut Vec<u8>)| {
        let mut copy = files.clone();
        copy.flags &= !(SOUND_BATCHES | SOUND_SUMS);
        let hit = copy.files.iter_mut().rev().find(|(name, _)| name.ends_with(suffix));
        hit.into_iter().for_each(|(_, bytes)| change(bytes));
        copy
    };
    let without = |suffix: &str| {
        let mut copy = files.clone();
        copy.files.retain(|name, _| !name.ends_with(suffix));
        copy
    };
    let cut = |bytes: &mut Vec<u8>| bytes.truncate(bytes.len() * 2 / 3);
    let flip = |bytes: &mut Vec<u8>| {
        let middle = bytes.len() / 2;
        bytes.get_mut(middle).into_iter().for_each(|byte| *byte ^= 0x20);
    };
    let mut swapped = files.clone();
    if let Some((name, bytes)) = files.files.iter().find(|(name, _)| name.ends_with(".log")) {
        swapped.files.insert(format!("{name}.swap"), bytes.clone());
        swapped.files.insert(format!("{name}.deleted"), bytes.clone());
    }
    let mut started = files.clone();
    (started.log_start, started.recovery_point) = (200, 3);
    vec![
        ("torn", change(".log", &cut)),
        ("rotten", change(".log", &flip)),
        ("zeros", change(".log", &|bytes| bytes.extend([0; 64]))),
        ("index-rotten", change(".index", &flip)),
        ("time-rotten", change(".timeindex", &|bytes| bytes.extend([0x11; 24]))),
        ("unmarked", without("mark")),
        ("epochless", change("leader-epoch-checkpoint", &flip)),
        ("snapshot-rotten", change(".snapshot", &flip)),
        ("swapped", swapped),
        ("behind-log-start", started),
    ]
}

#[test]
#[ignore = "writes into fuzz/seeds"]
fn write_the_seeds_of_segment_recover() {
    let folder = folder("segment_recover");
    for (name, files) in logs() {
        std::fs::write(folder.join(&name), files.encode()).unwrap();
        if name == "rolled-flushed" || name == "idempotent-closed" || name == "transactions-flushed" {
            for (damage, copy) in damaged(&files) {
                std::fs::write(folder.join(format!("{name}-{damage}")), copy.encode()).unwrap();
            }
        }
    }
}

#[test]
#[ignore = "writes into fuzz/seeds"]
fn write_the_seeds_of_index_files() {
    let folder = folder("index_files");
    let write = |name: &str, kind: u8, bytes: &[u8]| {
        let seed = |bytes: &[u8]| [&[kind, 0], bytes].concat();
        std::fs::write(folder.join(name), seed(bytes)).unwrap();
        std::fs::write(folder.join(format!("{name}-cut")), seed(&bytes[..bytes.len() * 2 / 3])).unwrap();
        let mut rotten = bytes.to_vec();
        rotten[bytes.len() / 2] ^= 0x80;
        std::fs::write(folder.join(format!("{name}-rotten")), seed(&rotten)).unwrap();
    };
    for (name, files) in logs().into_iter().filter(|(name, _)| name.ends_with("-closed")) {
        for (file, bytes) in files.files.iter().filter(|(_, bytes)| !bytes.is_empty()) {
            let kinds = [
                ".index",
                ".timeindex",
                ".txnindex",
                ".snapshot",
                "-",
                "leader-epoch-checkpoint",
                "-",
                "-",
                "metadata",
            ];
            if let Some(kind) = kinds.iter().position(|suffix| file.ends_with(suffix)) {
                let name = format!("{}{}", name.trim_end_matches("closed"), kinds[kind].trim_start_matches('.'));
                write(&name, u8::try_from(kind).unwrap(), bytes);
            }
        }
    }
    let disk = new_disk();
    let dir = Path::new("/other");
    let offsets = [("orders", 0, 1234), ("orders", 3, 99)].map(|(t, p, o)| (TopicPartition::new(t, p), Offset(o)));
    OffsetCheckpoint { offsets: offsets.into() }.write(&disk, &dir.join("checkpoint")).unwrap();
    let topic = TopicEntry {
        id: [7; 16],
        partition_count: 3,
        replication_factor: 1,
        deleting: false,
        in_cluster: false,
        overrides: BTreeMap::from([("retention.ms".to_owned(), "1000".to_owned())]),
    };
    Catalogue { topics: BTreeMap::from([("orders".to_owned(), topic)]) }.write(&disk, dir).unwrap();
    let meta = MetaProperties {
        cluster_id: Some("a cluster=1".into()),
        node_id: Some(NodeId(1)),
        directory_id: Some([5; 16]),
    };
    meta.write(&disk, dir).unwrap();
    partition_metadata::write(&disk, dir, &[3; 16]).unwrap();
    let written = disk.snapshot();
    let other = |name: &str| &written[&format!("/other/{name}")];
    write("checkpoint", 4, other("checkpoint"));
    write("catalogue", 6, other(TOPICS_FILE));
    // Behind the header: what the target puts a sound one in front of.
    write("catalogue-body", 6, &other(TOPICS_FILE)[20..]);
    write("meta", 7, other(META_PROPERTIES_FILE));
}
