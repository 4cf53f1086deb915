//! Snapshots: their bytes, which of them is loaded, what they keep.

use super::super::snapshot::{self, SnapshotEntry};
use super::super::Loaded;
use super::*;
use crate::disk::RealDisk;
use crate::error::ErrorCode;
use crate::record::batches;
use crate::storage::names::FileKind;
pub(super) fn through_snapshot(states: &ProducerStates) -> ProducerStates {
    let dir = tempfile::tempdir().unwrap();
    states.take_snapshot(&RealDisk, dir.path(), Offset(7), true).unwrap();
    let loaded = load(dir.path(), 0, 100);
    assert_eq!((loaded.covers, loaded.discarded.len()), (Offset(7), 0));
    loaded.states
}

fn load(dir: &std::path::Path, log_start: u64, log_end: u64) -> Loaded {
    ProducerStates::load(&RealDisk, dir, Offset(log_start), Offset(log_end), Timestamp(1000), DAY).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn snapshots_have_kafkas_bytes() {
    assert_eq!(hex(&snapshot::encode(&[])), "000148674bc700000000");
    let entry = SnapshotEntry {
        producer_id: 7,
        epoch: 1,
        last_sequence: Some(12),
        last_offset: Some(Offset(7)),
        offset_delta: 2,
        timestamp: 1005,
        coordinator_epoch: None,
        txn_first_offset: None,
    };
    let bytes = snapshot::encode(&[entry]);
    assert_eq!(
        hex(&bytes),
        "000124bb9fa700000001000000000000000700010000000c0000000000000007000000020000\
         0000000003edffffffffffffffffffffffff"
    );
    assert_eq!(snapshot::decode(&bytes).unwrap(), [entry]);
}

#[test]
fn a_snapshot_keeps_the_newest_batch_and_the_open_transaction() {
    let mut states = after(&[batch(0, 0, 1), batch(0, 1, 2), transactional(of(2, batch(4, 0, 3)))]);
    states.end_txn(&EndTxn { producer_id: 3, ..marker(6, 2, 4, true) });
    let reloaded = through_snapshot(&states);
    assert!(matches!(client(&reloaded, &batch(0, 1, 9)).unwrap(), Verdict::Duplicate { base_offset: Offset(2), .. }));
    assert_eq!(code(client(&reloaded, &batch(0, 0, 9))), 45, "the older batches are forgotten");
    assert_eq!(client(&reloaded, &batch(0, 2, 9)).unwrap(), Verdict::Fresh);
    assert_eq!(reloaded.first_unstable_offset(), Some(Offset(3)));
    assert_eq!(code(client(&reloaded, &of(2, batch(4, 1, 9)))), 48);
    assert_eq!(code(client(&reloaded, &of(3, batch(6, 1, 9)))), 45, "a producer of which there is only a marker");
    assert_eq!(code(client(&reloaded, &of(3, batch(6, 0, 9)))), 0);
    assert_eq!(through_snapshot(&reloaded), reloaded);
}

#[test]
fn the_newest_valid_snapshot_in_range_is_loaded_and_bad_ones_go() {
    let dir = tempfile::tempdir().unwrap();
    let take = |at: u64, count: u64| {
        let batches: Vec<_> = (0..count).map(|n| of(n as i64, batch(0, 0, n))).collect();
        after(&batches).take_snapshot(&RealDisk, dir.path(), Offset(at), false).unwrap();
    };
    assert_eq!((load(dir.path(), 3, 9).covers, load(dir.path(), 3, 9).states.count()), (Offset(3), 0));
    [(2, 2), (4, 4), (6, 6), (8, 8)].into_iter().for_each(|(at, count)| take(at, count));
    assert_eq!(load(dir.path(), 0, 9).states.count(), 8);
    assert_eq!(load(dir.path(), 0, 7).states.count(), 6, "one beyond the end is not believed");
    assert_eq!(load(dir.path(), 5, 5).covers, Offset(5), "nor one before the start");
    assert_eq!(load(dir.path(), 8, 8).covers, Offset(8));
    let file = |at: u64| snapshot::path(dir.path(), Offset(at));
    let damaged = |bytes: &mut Vec<u8>, how: usize| match how {
        0 => bytes.clear(),
        1 => bytes.truncate(30),
        2 => bytes[20] ^= 1,
        3 => bytes[3] ^= 1,
        4 => bytes[1] = 2,
        _ => bytes.push(0),
    };
    for how in 0..6 {
        take(8, 8);
        let mut bytes = std::fs::read(file(8)).unwrap();
        damaged(&mut bytes, how);
        std::fs::write(file(8), bytes).unwrap();
        let loaded = load(dir.path(), 0, 9);
        assert_eq!((loaded.covers, loaded.states.count()), (Offset(6), 6), "{how}");
        assert_eq!(loaded.discarded, [Offset(8)]);
        assert!(!file(8).exists());
    }
    take(6, 2);
    assert_eq!(load(dir.path(), 0, 9).states.count(), 2, "a shorter one over a longer one leaves no rest");
}

#[test]
fn expired_producers_are_not_loaded() {
    let dir = tempfile::tempdir().unwrap();
    after(&[batch(0, 0, 1), transactional(of(2, batch(0, 0, 2)))])
        .take_snapshot(&RealDisk, dir.path(), Offset(5), false)
        .unwrap();
    let late = Timestamp(2000 + DAY.as_millis() as i64);
    let loaded = ProducerStates::load(&RealDisk, dir.path(), Offset(0), Offset(9), late, DAY).unwrap();
    assert_eq!((loaded.states.count(), loaded.states.first_unstable_offset()), (1, Some(Offset(2))));
}

#[test]
fn strays_are_snapshots_without_a_segment_except_the_newest_beyond_all() {
    let dir = tempfile::tempdir().unwrap();
    let fill = || {
        (1..=9).for_each(|at| {
            ProducerStates::new().take_snapshot(&RealDisk, dir.path(), Offset(at), false).unwrap();
        });
        std::fs::write(dir.path().join("00000000000000000003.snapshot.deleted"), "").unwrap();
        std::fs::write(dir.path().join("3.snapshot"), "").unwrap();
    };
    let left = || snapshot::list(&RealDisk, dir.path()).unwrap().iter().map(|at| at.0).collect::<Vec<_>>();
    let strays = |bases: &[u64]| {
        fill();
        let bases: Vec<_> = bases.iter().map(|base| Offset(*base)).collect();
        snapshot::remove_strays(&RealDisk, dir.path(), &bases).unwrap();
        left()
    };
    assert_eq!(strays(&[0, 3, 6]), [3, 6, 9]);
    assert_eq!(strays(&[9, 3]), [3, 9]);
    assert!(strays(&[20]).is_empty());
    assert_eq!(strays(&[]), [9]);
    fill();
    snapshot::remove_above(&RealDisk, dir.path(), Offset(4)).unwrap();
    assert_eq!(left(), [1, 2, 3, 4]);
    for _ in 0..2 {
        snapshot::remove(&RealDisk, dir.path(), Offset(4)).unwrap();
    }
    assert_eq!(left(), [1, 2, 3]);
}

#[test]
fn kafkas_own_snapshots_say_what_its_logs_say() {
    let Some(shared) = crate::testing::shared() else { return };
    for vector in crate::storage::vectors::segments(&shared) {
        for (name, path) in vector.files(FileKind::Snapshot) {
            let bytes = std::fs::read(&path).unwrap();
            let entries = snapshot::decode(&bytes).unwrap();
            let key = name.base.0.to_string();
            assert_eq!(vector.manifest["summary"]["snapshots"][&key], entries.len(), "{}", path.display());
            assert_eq!(snapshot::encode(&entries), bytes, "{}", path.display());
            let mut sorted = entries.clone();
            sorted.sort_by_key(|entry| entry.producer_id);
            let states = ProducerStates::from_snapshot(&entries);
            let again: Vec<_> = states.producers.iter().map(|(id, entry)| entry.to_snapshot(*id)).collect();
            assert_eq!(again, sorted, "{}", path.display());
            let replayed = replay(&vector, name.base);
            let replayed: Vec<_> = replayed.producers.iter().map(|(id, entry)| entry.to_snapshot(*id)).collect();
            assert_eq!(replayed, sorted, "{}", path.display());
        }
    }
}

/// The state after all batches below `end`, control records read the hard way.
fn replay(vector: &crate::storage::vectors::Vector, end: Offset) -> ProducerStates {
    let mut states = ProducerStates::new();
    let mut aborted = Vec::new();
    for (_, path) in vector.files(FileKind::Log) {
        let log = std::fs::read(path).unwrap();
        for batch in batches(&log) {
            let (_, batch) = batch.unwrap();
            let header = batch.header();
            let Some(producer) = header.producer.filter(|_| header.last_offset() < end) else { continue };
            if !header.is_control() {
                states.update(&ProducerBatch {
                    producer,
                    base_offset: header.base_offset,
                    last_offset_delta: header.last_offset_delta,
                    max_timestamp: header.max_timestamp,
                    is_transactional: header.is_transactional(),
                });
                continue;
            }
            // length, attributes, timestamp and offset delta: one byte each; key: length, version, type; value: length, version, epoch
            let record = &batch.bytes()[61..];
            assert_eq!(record.len(), 17);
            aborted.extend(states.end_txn(&EndTxn {
                producer_id: producer.id,
                producer_epoch: producer.epoch,
                coordinator_epoch: i32::from_be_bytes(record[12..16].try_into().unwrap()),
                is_abort: record[8] == 0,
                offset: header.base_offset,
                timestamp: header.max_timestamp,
            }));
        }
    }
    if vector.manifest["summary"]["log_end_offset"] == end.0 {
        let files = vector.files(FileKind::TxnIndex);
        let indexed: Vec<_> = files
            .iter()
            .flat_map(|(_, path)| crate::storage::txn_index::decode(&std::fs::read(path).unwrap()).unwrap())
            .collect();
        assert_eq!(aborted, indexed);
    }
    states
}

#[test]
fn a_producer_that_a_snapshot_names_twice_leaves_no_transaction_behind() {
    let entry = |first: u64| SnapshotEntry {
        producer_id: ID,
        epoch: 0,
        last_sequence: None,
        last_offset: None,
        offset_delta: 0,
        timestamp: 0,
        coordinator_epoch: None,
        txn_first_offset: Some(Offset(first)),
    };
    let mut states = ProducerStates::from_snapshot(&[entry(3), entry(9)]);
    assert_eq!(states.first_unstable_offset(), Some(Offset(9)));
    states.end_txn(&marker(0, 0, 20, false));
    states.handle_high_watermark(Offset(21));
    assert_eq!(states.first_unstable_offset(), None);
}

proptest! {
    #[test]
    fn any_bytes_are_decoded_or_refused(mut bytes in prop::collection::vec(any::<u8>(), 0..200), fix in any::<bool>()) {
        if fix && bytes.len() >= 10 {
            bytes[..2].copy_from_slice(&[0, 1]);
            let count = (bytes.len() - 10) / 46;
            bytes.truncate(10 + 46 * count);
            bytes[6..10].copy_from_slice(&(count as u32).to_be_bytes());
            let crc = crate::record::crc32c(&bytes[6..]);
            bytes[2..6].copy_from_slice(&crc.to_be_bytes());
        }
        match snapshot::decode(&bytes) {
            Ok(entries) => {
                let states = ProducerStates::from_snapshot(&entries);
                for id in entries.iter().map(|entry| entry.producer_id) {
                    let _ = client(&states, &of(id, batch(0, 0, 1)));
                }
            }
            Err(error) => prop_assert!([ErrorCode::CORRUPT_MESSAGE, ErrorCode::UNSUPPORTED_VERSION].contains(&error.code())),
        }
    }
}
