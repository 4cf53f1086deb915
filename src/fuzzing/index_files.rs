//! Any bytes as each of the small files: what is read can be asked and added to, and what is written again reads the same.
//!
//! ```text
//!  0      1      2
//!  +------+------+-------
//!  | kind | base | bytes
//!  +------+------+-------
//! ```

use super::partition_files::{segment_path, sound_snapshot, write, DIR, ROOT};
use crate::disk::Disk;
use crate::error::{Error, ErrorCode};
use crate::node::{Catalogue, TOPICS_FILE};
use crate::record::crc32c;
use crate::sim::SimDisk;
use crate::storage::leader_epochs::{LeaderEpochs, LEADER_EPOCH_FILE};
use crate::storage::meta_properties::{MetaProperties, META_PROPERTIES_FILE};
use crate::storage::names::FileKind;
use crate::storage::producer_states::snapshot;
use crate::storage::{
    partition_metadata, txn_index, AbortedTxn, OffsetCheckpoint, OffsetIndex, ProducerStates, TimeIndex, TxnIndex,
};
use crate::types::{LeaderEpoch, Offset, Position, Timestamp};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Room for entries in an index that is added to; a file may have more, and counts as full then.
const INDEX_BYTES_MAX: u32 = 256;

/// Any bytes as the small file that the first one names.
pub fn index_files(data: &[u8]) {
    let [kind, base, bytes @ ..] = data else { return };
    let base = Offset(u64::from(*base) << (base % 32));
    match kind % 9 {
        0 => offset_index(base, bytes),
        1 => time_index(base, bytes),
        2 => txn_index(base, bytes),
        3 => producer_snapshot(base, bytes),
        4 => offset_checkpoint(bytes),
        5 => leader_epochs(base, bytes),
        6 => catalogue(bytes),
        7 => meta_properties(bytes),
        _ => metadata(bytes),
    }
}

/// A partition directory with one file in it.
fn disk_with(path: &Path, bytes: &[u8]) -> Arc<dyn Disk> {
    let disk = SimDisk::new(1);
    for dir in [ROOT, DIR] {
        disk.create_dir(Path::new(dir)).expect("a fresh disk");
    }
    write(&disk, path, bytes);
    Arc::new(disk)
}

/// Bytes that make no sense may be called so; nothing else may go wrong on a disk without faults.
fn check_refusal(error: &Error) {
    let expected = [ErrorCode::CORRUPT_MESSAGE, ErrorCode::UNSUPPORTED_VERSION];
    assert!(expected.contains(&error.code()), "{error}");
}

fn offset_index(base: Offset, bytes: &[u8]) {
    let path = segment_path(base, FileKind::Index);
    let disk = disk_with(&path, bytes);
    let entries = {
        let sealed = OffsetIndex::open_sealed(&disk, &path, base);
        let foreign = OffsetIndex::open_foreign(&disk, &path, base);
        let entries = sealed.entries().expect("any content is survivable");
        assert_eq!(foreign.entries().expect("any content is survivable"), entries);
        assert!(entries.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 < pair[1].1));
        let known = entries.iter().map(|(offset, _)| *offset);
        for target in known.chain([Offset::ZERO, base, base.plus(77), Offset::MAX]) {
            let expected = entries.iter().rev().find(|(offset, _)| *offset <= target);
            let found = sealed.lookup(target);
            assert_eq!(found, *expected.unwrap_or(&(base, Position(0))));
            assert_eq!(foreign.lookup(target), found);
        }
        entries
    };
    let active = OffsetIndex::open_active(&disk, &path, base, INDEX_BYTES_MAX).expect("any content is survivable");
    assert_eq!(active.entries().expect("it is mapped"), entries);
    let last = entries.last().copied();
    let (offset, position) =
        last.map_or((base, Position(0)), |(offset, at)| (offset.next(), Position(at.0.saturating_add(9))));
    let mut expected = entries;
    for n in 0..3 {
        if active.append(offset.plus(n), Position(position.0.saturating_add(n as u32))).is_ok() {
            expected.push((offset.plus(n), Position(position.0 + n as u32)));
        }
    }
    // A line that goes back is no line.
    if !expected.is_empty() {
        assert!(active.append(base, Position(0)).is_err());
    }
    assert_eq!(active.entries().expect("it is mapped"), expected);
    active.seal();
    active.sync().expect("a disk without faults");
    drop(active);
    let again = OffsetIndex::open_active(&disk, &path, base, INDEX_BYTES_MAX).expect("any content is survivable");
    assert_eq!(again.entries().expect("it is mapped"), expected);
    let middle = expected.get(expected.len() / 2).map_or(base, |(offset, _)| *offset);
    again.truncate_to(middle).expect("it is active");
    expected.retain(|(offset, _)| *offset < middle);
    assert_eq!(again.entries().expect("it is mapped"), expected);
}

fn time_index(base: Offset, bytes: &[u8]) {
    let path = segment_path(base, FileKind::TimeIndex);
    let disk = disk_with(&path, bytes);
    let entries = {
        let sealed = TimeIndex::open_sealed(&disk, &path, base);
        let foreign = TimeIndex::open_foreign(&disk, &path, base);
        let entries = sealed.entries().expect("any content is survivable");
        assert_eq!(foreign.entries().expect("any content is survivable"), entries);
        assert!(entries
            .windows(2)
            .all(|pair| pair[0].timestamp < pair[1].timestamp && pair[0].offset <= pair[1].offset));
        let known = entries.iter().map(|entry| entry.timestamp);
        for at in known.chain([Timestamp(i64::MIN), Timestamp(0), Timestamp(i64::MAX)]) {
            let found = sealed.lookup(at);
            assert_eq!(found, entries.iter().rev().find(|entry| entry.timestamp <= at).copied());
            assert_eq!(foreign.lookup(at), found);
        }
        entries
    };
    let active = TimeIndex::open_active(&disk, &path, base, INDEX_BYTES_MAX).expect("any content is survivable");
    assert_eq!(active.entries().expect("it is mapped"), entries);
    let mut expected = entries;
    let (at, offset) = expected.last().map_or((-1, base), |last| (last.timestamp.0, last.offset));
    for n in 1..4 {
        let entry = (Timestamp(at.saturating_add(n)), offset.plus(n as u64));
        if active.maybe_append(entry.0, entry.1, n == 3).is_ok_and(|added| added) {
            expected.push(crate::storage::TimeEntry { timestamp: entry.0, offset: entry.1 });
        }
    }
    assert!(!active.maybe_append(Timestamp(-1), offset.plus(9), true).unwrap_or(false));
    assert_eq!(active.entries().expect("it is mapped"), expected);
    active.seal();
    drop(active);
    let again = TimeIndex::open_active(&disk, &path, base, INDEX_BYTES_MAX).expect("any content is survivable");
    assert_eq!(again.entries().expect("it is mapped"), expected);
    again.reset().expect("it is active");
    assert_eq!(again.last_entry().expect("it is mapped"), None);
}

fn txn_index(base: Offset, bytes: &[u8]) {
    let path = segment_path(base, FileKind::TxnIndex);
    let disk = disk_with(&path, bytes);
    let all = |index: &TxnIndex| {
        let mut entries = Vec::new();
        index.collect(Offset::ZERO, Offset(u64::MAX), &mut entries).expect("it was read when it was opened");
        entries
    };
    let index = match TxnIndex::open(&disk, &path, base) {
        Ok(index) => index,
        Err(e) => {
            check_refusal(&e);
            TxnIndex::discard(&disk, &path, base).expect("a disk without faults")
        }
    };
    let mut expected = all(&index);
    match txn_index::decode(bytes) {
        Ok(decoded) => assert!(expected.is_empty() || decoded == expected),
        Err(e) => {
            check_refusal(&e);
            assert!(expected.is_empty());
        }
    }
    let last = index.last_offset().unwrap_or(base);
    let entry =
        AbortedTxn { producer_id: 5, first_offset: last, last_offset: last.next(), last_stable_offset: last.plus(2) };
    if entry.last_stable_offset <= Offset::MAX {
        index.append(entry).expect("its marker is the newest");
        expected.push(entry);
        assert!(index.append(entry).is_err(), "a marker is there once");
    }
    drop(index);
    let index = TxnIndex::open(&disk, &path, base).expect("ours is sane");
    assert_eq!(all(&index), expected);
    index.truncate_to(last.next()).expect("a disk without faults");
    expected.retain(|entry| entry.last_offset <= last);
    assert_eq!(all(&index), expected);
}

fn producer_snapshot(base: Offset, bytes: &[u8]) {
    let mut sound = bytes.to_vec();
    sound_snapshot(&mut sound);
    for bytes in [bytes, &sound] {
        match snapshot::decode(bytes) {
            Ok(entries) => {
                let again = snapshot::decode(&snapshot::encode(&entries)).expect("ours is sane");
                assert_eq!(again, entries);
            }
            Err(e) => check_refusal(&e),
        }
        let disk = disk_with(&snapshot::path(Path::new(DIR), base), bytes);
        let load = || {
            let (now, never) = (Timestamp(0), Duration::MAX);
            ProducerStates::load(&*disk, Path::new(DIR), Offset::ZERO, Offset::MAX, now, never)
                .expect("a snapshot that makes no sense is none")
        };
        let states = load().states;
        states.take_snapshot(&*disk, Path::new(DIR), base, true).expect("a disk without faults");
        assert_eq!(load().states, states, "a snapshot of what a snapshot said says the same");
    }
}

fn offset_checkpoint(bytes: &[u8]) {
    let path = Path::new("/data/checkpoint");
    let disk = disk_with(path, bytes);
    match OffsetCheckpoint::read(&*disk, path) {
        Ok(checkpoint) => {
            checkpoint.write(&*disk, path).expect("a disk without faults");
            assert_eq!(OffsetCheckpoint::read(&*disk, path).expect("ours is sane"), checkpoint);
        }
        Err(e) => check_refusal(&e),
    }
}

fn leader_epochs(base: Offset, bytes: &[u8]) {
    let disk = disk_with(&Path::new(DIR).join(LEADER_EPOCH_FILE), bytes);
    let open = || LeaderEpochs::open(&disk, Path::new(DIR)).expect("a disk without faults");
    let (mut epochs, unreadable) = open();
    if let Some(e) = unreadable {
        check_refusal(&e);
    }
    let ascends = |epochs: &LeaderEpochs| {
        let pairs = epochs.entries().windows(2);
        pairs.into_iter().all(|pair| pair[0].0 < pair[1].0 && pair[0].1 < pair[1].1)
    };
    assert!(ascends(&epochs));
    let _ = (epochs.epoch_for_offset(base), epochs.end_offset_for(LeaderEpoch(3), base));
    epochs.truncate_from_start(Offset(base.0 / 2));
    epochs.assign(LeaderEpoch(5), base).expect("a disk without faults");
    epochs.truncate_from_end(base.plus(1000));
    assert!(ascends(&epochs));
    epochs.persist().expect("a disk without faults");
    let (again, unreadable) = open();
    assert!(unreadable.is_none() && again.entries() == epochs.entries());
}

fn catalogue(bytes: &[u8]) {
    // Once as it is, once behind a header that lets it in.
    let mut sound = b"KLTOPICS\0\0\0\x01".to_vec();
    sound.extend(u32::try_from(bytes.len()).expect("an input is short").to_be_bytes());
    sound.extend(crc32c(bytes).to_be_bytes());
    sound.extend(bytes);
    let dir = Path::new(ROOT);
    for bytes in [bytes, &sound] {
        let disk = disk_with(&dir.join(TOPICS_FILE), bytes);
        match Catalogue::read(&*disk, dir) {
            Ok(found) => {
                let found = found.expect("the file is there");
                found.write(&*disk, dir).expect("a disk without faults");
                assert_eq!(Catalogue::read(&*disk, dir).expect("ours is sane"), Some(found));
            }
            Err(e) => check_refusal(&e),
        }
    }
}

fn meta_properties(bytes: &[u8]) {
    let dir = Path::new(ROOT);
    let disk = disk_with(&dir.join(META_PROPERTIES_FILE), bytes);
    match MetaProperties::read(&*disk, dir) {
        Ok(found) => {
            let found = found.expect("the file is there");
            // One that lacks a field (of the days of ZooKeeper) is read but not written.
            if found.write(&*disk, dir).is_ok() {
                assert_eq!(MetaProperties::read(&*disk, dir).expect("ours is sane"), Some(found));
            }
        }
        Err(e) => check_refusal(&e),
    }
}

fn metadata(bytes: &[u8]) {
    let dir = Path::new(DIR);
    let disk = disk_with(&dir.join(partition_metadata::PARTITION_METADATA_FILE), bytes);
    match partition_metadata::read(&*disk, dir) {
        Ok(id) => {
            let id = id.expect("the file is there");
            partition_metadata::write(&*disk, dir, &id).expect("a disk without faults");
            assert_eq!(partition_metadata::read(&*disk, dir).expect("ours is sane"), Some(id));
        }
        Err(e) => check_refusal(&e),
    }
}
