//! Kafka's rules of idempotence, case by case (ProducerStateManagerTest), and the snapshots.

use super::snapshot::{self, SnapshotEntry};
use super::{EndTxn, Loaded, Origin, ProducerBatch, ProducerStates, Verdict};
use crate::disk::RealDisk;
use crate::error::{ErrorCode, Result};
use crate::record::batches;
use crate::storage::names::FileKind;
use crate::storage::txn_index::AbortedTxn;
use crate::types::{Offset, ProducerStamp, Timestamp};
use proptest::prelude::*;
use std::time::Duration;

const ID: i64 = 1;
const DAY: Duration = Duration::from_secs(86_400);

/// A batch of one record.
fn batch(epoch: i16, sequence: i32, offset: u64) -> ProducerBatch {
    ProducerBatch {
        producer: ProducerStamp { id: ID, epoch, base_sequence: Some(sequence) },
        base_offset: Offset(offset),
        last_offset_delta: 0,
        max_timestamp: 1000 + offset as i64,
        is_transactional: false,
    }
}

fn of(id: i64, batch: ProducerBatch) -> ProducerBatch {
    ProducerBatch { producer: ProducerStamp { id, ..batch.producer }, ..batch }
}

fn records(count: u32, batch: ProducerBatch) -> ProducerBatch {
    ProducerBatch { last_offset_delta: count - 1, ..batch }
}

fn transactional(batch: ProducerBatch) -> ProducerBatch {
    ProducerBatch { is_transactional: true, ..batch }
}

fn marker(epoch: i16, coordinator_epoch: i32, offset: u64, is_abort: bool) -> EndTxn {
    let timestamp = 1000 + offset as i64;
    EndTxn { producer_id: ID, producer_epoch: epoch, coordinator_epoch, is_abort, offset: Offset(offset), timestamp }
}

fn after(batches: &[ProducerBatch]) -> ProducerStates {
    let mut states = ProducerStates::new();
    batches.iter().for_each(|batch| states.update(batch));
    states
}

/// The error's number, or 0.
fn code<T>(judged: Result<T>) -> i32 {
    judged.err().map_or(0, |error| error.code().0)
}

fn client(states: &ProducerStates, batch: &ProducerBatch) -> Result<Verdict> {
    states.judge(batch, Origin::Client)
}

#[test]
fn the_first_batch_of_a_producer_may_have_any_sequence() {
    let states = ProducerStates::new();
    assert!(states.is_empty());
    for sequence in [0, 15, i32::MAX] {
        assert_eq!(client(&states, &batch(0, sequence, 9)).unwrap(), Verdict::Fresh);
    }
    let mut without = batch(0, 0, 9);
    without.producer.base_sequence = None;
    assert_eq!(code(client(&states, &without)), 87);
    assert_eq!(code(states.judge(&without, Origin::Coordinator)), 0);
}

#[test]
fn sequences_go_on_without_a_gap() {
    let states = after(&[records(3, batch(0, 0, 100))]);
    assert_eq!(client(&states, &batch(0, 3, 103)).unwrap(), Verdict::Fresh);
    for sequence in [1, 2, 4, 5] {
        assert_eq!(code(client(&states, &batch(0, sequence, 103))), 45, "{sequence}");
    }
    assert_eq!(code(states.judge(&batch(0, 9, 103), Origin::Coordinator)), 0, "a coordinator counts nothing");
}

#[test]
fn the_sequence_after_the_largest_is_zero() {
    let states = after(&[batch(0, i32::MAX, 9)]);
    assert_eq!(client(&states, &batch(0, 0, 10)).unwrap(), Verdict::Fresh);
    assert_eq!(code(client(&states, &batch(0, 1, 10))), 45);
    let states = after(&[records(20, batch(0, i32::MAX - 9, 9))]);
    assert_eq!(client(&states, &batch(0, 10, 29)).unwrap(), Verdict::Fresh);
    assert_eq!(
        client(&states, &records(20, batch(0, i32::MAX - 9, 99))).unwrap(),
        Verdict::Duplicate { base_offset: Offset(9), last_offset: Offset(28), timestamp: 1009 },
        "a batch across the wrap is recognised too"
    );
}

#[test]
fn the_last_five_batches_are_recognised_and_older_ones_are_out_of_order() {
    let sent: Vec<_> = (0..7).map(|n| records(2, batch(0, 2 * n, 50 + 2 * n as u64))).collect();
    let states = after(&sent);
    for (n, sent) in sent.iter().enumerate() {
        let retried = ProducerBatch { base_offset: Offset(999), max_timestamp: 5, ..*sent };
        if n < 2 {
            assert_eq!(code(client(&states, &retried)), 45, "{n}");
        } else {
            let (base_offset, last_offset) = (sent.base_offset, sent.base_offset.next());
            let timestamp = sent.max_timestamp;
            assert_eq!(client(&states, &retried).unwrap(), Verdict::Duplicate { base_offset, last_offset, timestamp });
        }
    }
    assert_eq!(code(client(&states, &batch(0, 12, 999))), 45, "half of a known batch is no duplicate");
    assert_eq!(code(client(&states, &of(2, batch(0, 12, 999)))), 0, "another producer is another matter");
}

#[test]
fn an_older_epoch_is_fenced_and_a_newer_one_begins_at_zero() {
    let states = after(&[batch(5, 0, 1), batch(5, 1, 2)]);
    assert_eq!(code(client(&states, &batch(4, 0, 3))), 47);
    assert_eq!(code(states.judge(&batch(4, 0, 3), Origin::Coordinator)), 47);
    assert_eq!(code(client(&states, &batch(6, 2, 3))), 45);
    assert_eq!(client(&states, &batch(6, 0, 3)).unwrap(), Verdict::Fresh);
    let states = after(&[batch(5, 0, 1), batch(6, 0, 2)]);
    assert_eq!(code(client(&states, &batch(5, 0, 3))), 47, "the old epoch's batches are no duplicates any more");
    assert_eq!(client(&states, &batch(6, 1, 3)).unwrap(), Verdict::Fresh);
}

#[test]
fn judging_changes_nothing() {
    let states = after(&[batch(0, 0, 1)]);
    let before = states.clone();
    let _ = client(&states, &batch(0, 1, 2)).unwrap();
    let _ = states.judge_all(&[batch(0, 1, 2), of(9, batch(0, 0, 3))], Origin::Client).unwrap();
    assert_eq!(states, before);
}

#[test]
fn replicated_batches_are_noted_whatever_they_say() {
    let states = after(&[batch(3, 0, 1), batch(3, 40, 2), batch(1, 7, 3)]);
    assert_eq!(client(&states, &batch(1, 8, 4)).unwrap(), Verdict::Fresh, "the epoch went back with the log");
}

#[test]
fn the_batches_of_one_append_are_judged_in_order() {
    let states = after(&[batch(0, 0, 1)]);
    let all = |batches: &[ProducerBatch]| states.judge_all(batches, Origin::Client);
    assert_eq!(all(&[]).unwrap(), Verdict::Fresh);
    assert_eq!(all(&[batch(0, 1, 2), of(2, batch(0, 7, 3)), batch(0, 2, 4)]).unwrap(), Verdict::Fresh);
    assert_eq!(code(all(&[batch(0, 1, 2), batch(0, 3, 3)])), 45);
    assert_eq!(code(all(&[of(2, batch(0, 7, 3)), of(2, batch(0, 9, 4))])), 45, "also when the producer is new");
    assert_eq!(code(all(&[batch(1, 0, 2), batch(0, 1, 3)])), 47);
    assert_eq!(code(all(&[batch(0, 0, 2), batch(0, 1, 3)])), 45, "old and new together");
    assert_eq!(code(all(&[batch(0, 1, 2), batch(0, 1, 3)])), 45, "twice the same");
    let states = after(&[batch(0, 0, 1), of(2, batch(0, 0, 2)), batch(0, 1, 3)]);
    let retried = [batch(0, 0, 9), of(2, batch(0, 0, 9)), batch(0, 1, 9)];
    let known = Verdict::Duplicate { base_offset: Offset(1), last_offset: Offset(3), timestamp: 1003 };
    assert_eq!(states.judge_all(&retried, Origin::Client).unwrap(), known);
}

#[test]
fn a_transaction_is_open_until_its_marker_and_unstable_until_that_is_replicated() {
    let mut states = after(&[transactional(records(3, batch(0, 0, 10))), transactional(batch(0, 3, 13))]);
    assert_eq!(states.first_unstable_offset(), Some(Offset(10)));
    assert_eq!(code(client(&states, &batch(0, 4, 14))), 48, "plain records of a producer in a transaction");
    assert_eq!(states.end_txn(&marker(0, 0, 14, false)), None, "a commit is not indexed");
    assert_eq!(states.first_unstable_offset(), Some(Offset(10)));
    states.handle_high_watermark(Offset(14));
    assert_eq!(states.first_unstable_offset(), Some(Offset(10)));
    states.handle_high_watermark(Offset(15));
    assert_eq!(states.first_unstable_offset(), None);
    assert_eq!(
        client(&states, &batch(0, 4, 15)).unwrap(),
        Verdict::Fresh,
        "a marker of the same epoch keeps the sequence"
    );
    assert!(matches!(client(&states, &batch(0, 3, 15)).unwrap(), Verdict::Duplicate { .. }));
}

#[test]
fn an_abort_is_indexed_with_the_last_stable_offset_of_that_moment() {
    let mut states = after(&[
        transactional(batch(0, 0, 10)),
        transactional(of(2, batch(0, 0, 11))),
        transactional(of(3, batch(0, 0, 12))),
    ]);
    let end = |id: i64, offset: u64| EndTxn { producer_id: id, ..marker(0, 0, offset, true) };
    let aborted = |id: i64, first: u64, last: u64, stable: u64| AbortedTxn {
        producer_id: id,
        first_offset: Offset(first),
        last_offset: Offset(last),
        last_stable_offset: Offset(stable),
    };
    assert_eq!(states.end_txn(&end(2, 13)), Some(aborted(2, 11, 13, 10)));
    assert_eq!(states.end_txn(&end(1, 14)), Some(aborted(1, 10, 14, 12)));
    assert_eq!(states.end_txn(&end(3, 15)), Some(aborted(3, 12, 15, 16)));
    assert_eq!(states.end_txn(&end(3, 16)), None, "nothing was written since");
    assert_eq!(states.first_unstable_offset(), Some(Offset(10)));
    states.handle_log_start(Offset(16));
    assert_eq!(states.first_unstable_offset(), None);
}

#[test]
fn what_the_transaction_index_could_not_read_again_is_not_given_to_it() {
    let mut states = after(&[transactional(batch(0, 0, 7))]);
    assert_eq!(states.end_txn(&marker(0, 0, 5, true)), None, "it began behind its own marker");
    let mut states = after(&[transactional(batch(0, 0, 7))]);
    let aborted = states.end_txn(&EndTxn { offset: Offset::MAX, ..marker(0, 0, 9, true) }).expect("is aborted");
    assert_eq!(aborted.last_stable_offset, Offset::MAX);
}

#[test]
fn a_marker_of_a_newer_epoch_fences_and_starts_the_sequence_over() {
    let mut states = after(&[batch(0, 0, 1)]);
    assert_eq!(code(states.judge_end_txn(&marker(0, 0, 2, false))), 0);
    states.end_txn(&marker(1, 0, 2, false));
    assert_eq!(code(client(&states, &batch(0, 1, 3))), 47);
    assert_eq!(code(states.judge_end_txn(&marker(0, 0, 3, false))), 47);
    assert_eq!(code(client(&states, &batch(1, 5, 3))), 45);
    assert_eq!(client(&states, &batch(1, 0, 3)).unwrap(), Verdict::Fresh);
}

#[test]
fn an_old_coordinator_is_fenced_also_after_a_restart() {
    let mut states = after(&[transactional(batch(0, 0, 1))]);
    states.end_txn(&marker(0, 3, 2, true));
    let reloaded = through_snapshot(&states);
    for states in [&states, &reloaded] {
        assert_eq!(code(states.judge_end_txn(&marker(0, 2, 3, true))), 52);
        assert_eq!(code(states.judge_end_txn(&marker(0, 3, 3, true))), 0);
        assert_eq!(code(states.judge_end_txn(&marker(0, 4, 3, true))), 0);
        assert_eq!(code(states.judge_end_txn(&EndTxn { producer_id: 99, ..marker(0, 0, 3, true) })), 0);
    }
}

#[test]
fn idle_producers_expire_unless_a_transaction_is_open() {
    let mut states = after(&[batch(0, 0, 0), of(2, batch(0, 0, 1)), transactional(of(3, batch(0, 0, 0)))]);
    let age = Duration::from_millis(500);
    assert_eq!(states.expire(Timestamp(1499), age), 0);
    assert_eq!(states.expire(Timestamp(1500), age), 1);
    assert_eq!(client(&states, &batch(0, 77, 3)).unwrap(), Verdict::Fresh, "a forgotten producer is believed");
    assert_eq!(states.expire(Timestamp(i64::MAX), Duration::MAX), 0);
    assert_eq!(states.expire(Timestamp(i64::MAX), age), 1);
    assert_eq!(states.count(), 1);
}

// Snapshots.

fn through_snapshot(states: &ProducerStates) -> ProducerStates {
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

    /// Whatever a well-behaved producer retries of its last five batches is recognised, and what comes next is taken.
    #[test]
    fn a_retry_is_always_recognised(sizes in prop::collection::vec(1u32..50, 1..30), start in prop_oneof![Just(0), Just(i32::MAX - 100)]) {
        let mut states = ProducerStates::new();
        let mut sent: Vec<ProducerBatch> = Vec::new();
        let (mut sequence, mut offset) = (start, 0);
        for size in sizes {
            let next = records(size, batch(0, sequence, offset));
            prop_assert_eq!(client(&states, &next).unwrap(), Verdict::Fresh);
            states.update(&next);
            sent.push(next);
            for earlier in sent.iter().rev().take(5) {
                let (base_offset, timestamp) = (earlier.base_offset, earlier.max_timestamp);
                let last_offset = base_offset.plus(earlier.last_offset_delta.into());
                let expected = Verdict::Duplicate { base_offset, last_offset, timestamp };
                prop_assert_eq!(client(&states, earlier).unwrap(), expected);
            }
            sequence = crate::record::sequence::add(sequence, size);
            offset += u64::from(size);
        }
    }
}
