//! The promises of the indexes, with any content of their files.

mod any_content;

use super::{OffsetIndex, TimeEntry, TimeIndex};
use crate::disk::{Disk, RealDisk};
use crate::error::ErrorCode;
use crate::record::batches;
use crate::storage::names::FileKind;
use crate::types::{Offset, Position, Timestamp};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

const BASE: Offset = Offset(45);
const BYTES_MAX: u32 = 10 << 20;

struct Room {
    dir: tempfile::TempDir,
    disk: Arc<dyn Disk>,
}

impl Room {
    fn new() -> Room {
        Room { dir: tempfile::tempdir().unwrap(), disk: Arc::new(RealDisk) }
    }
    fn path(&self) -> PathBuf {
        self.dir.path().join("00000000000000000045.index")
    }
    fn bytes(&self) -> Vec<u8> {
        std::fs::read(self.path()).unwrap()
    }
    fn offsets(&self) -> OffsetIndex {
        self.offsets_of(BYTES_MAX)
    }
    fn offsets_of(&self, bytes_max: u32) -> OffsetIndex {
        OffsetIndex::open_active(&self.disk, &self.path(), BASE, bytes_max).unwrap()
    }
    fn sealed_offsets(&self) -> OffsetIndex {
        OffsetIndex::open_sealed(&self.disk, &self.path(), BASE)
    }
    fn times_of(&self, bytes_max: u32) -> TimeIndex {
        TimeIndex::open_active(&self.disk, &self.path(), BASE, bytes_max).unwrap()
    }
    fn times(&self) -> TimeIndex {
        self.times_of(BYTES_MAX)
    }
}

fn at(offset: u64, position: u32) -> (Offset, Position) {
    (Offset(offset), Position(position))
}

fn time(timestamp: i64, offset: u64) -> TimeEntry {
    TimeEntry { timestamp: Timestamp(timestamp), offset: Offset(offset) }
}

#[test]
fn a_lookup_finds_the_largest_entry_that_is_not_above() {
    let room = Room::new();
    let index = room.offsets();
    assert_eq!(index.lookup(Offset(92)), at(45, 0), "an empty index says: from the beginning");
    for (offset, position) in [(51, 100), (60, 200), (64, 300)] {
        index.append(Offset(offset), Position(position)).unwrap();
    }
    for (target, expected) in [
        (0, at(45, 0)),
        (50, at(45, 0)),
        (51, at(51, 100)),
        (59, at(51, 100)),
        (60, at(60, 200)),
        (64, at(64, 300)),
        (u64::MAX, at(64, 300)),
    ] {
        assert_eq!(index.lookup(Offset(target)), expected, "{target}");
    }
    assert_eq!(index.last_entry().unwrap(), Some(at(64, 300)));
    assert_eq!(index.count().unwrap(), 3);
}

#[test]
fn entries_have_kafkas_bytes() {
    let room = Room::new();
    let index = room.offsets();
    index.append(Offset(45 + 0x0102), Position(0x0304)).unwrap();
    index.seal();
    assert_eq!(room.bytes(), [0, 0, 1, 2, 0, 0, 3, 4]);
    let room = Room::new();
    let index = room.times();
    index.maybe_append(Timestamp(0x0102), Offset(45 + 3), false).unwrap();
    index.seal();
    assert_eq!(room.bytes(), [0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 3]);
}

#[test]
fn entries_ascend_and_stay_near_the_base() {
    let room = Room::new();
    let index = room.offsets();
    index.append(Offset(51), Position(100)).unwrap();
    for (offset, position) in [(51, 200), (50, 200), (44, 200), (52, 100), (45 + (1 << 31), 200), (60, 1 << 31)] {
        let error = index.append(Offset(offset), Position(position)).unwrap_err();
        assert_eq!(error.code(), ErrorCode::CORRUPT_MESSAGE, "{offset}");
    }
    assert!(index.can_append(Offset(45 + i32::MAX as u64)));
    assert!(!index.can_append(Offset(46 + i32::MAX as u64)) && !index.can_append(Offset(44)));
    index.append(Offset(45 + i32::MAX as u64), Position(i32::MAX as u32)).unwrap();
    assert_eq!(index.count().unwrap(), 2);
}

#[test]
fn a_full_index_refuses_and_keeps_what_it_has() {
    let room = Room::new();
    let index = room.offsets_of(8 * 5 + 7);
    for entry in 0..5 {
        assert!(!index.is_full());
        index.append(Offset(46 + entry), Position(1 + entry as u32)).unwrap();
    }
    assert!(index.is_full());
    assert_eq!(index.append(Offset(99), Position(99)).unwrap_err().code(), ErrorCode::STATE);
    index.seal();
    assert_eq!(room.bytes().len(), 40);
    let smaller = room.offsets_of(16);
    assert!(smaller.is_full(), "a setting that shrank takes nothing away");
    assert_eq!(smaller.count().unwrap(), 5);
}

#[test]
fn an_unused_index_is_an_empty_file_and_a_growing_one_doubles() {
    let room = Room::new();
    let index = room.offsets();
    assert_eq!(room.bytes().len(), 0);
    for entry in 0..513u32 {
        index.append(Offset(46 + u64::from(entry)), Position(entry + 1)).unwrap();
        let expected = if entry < 512 { 4096 } else { 8192 };
        assert_eq!(room.bytes().len(), expected);
    }
    assert_eq!(index.entries().unwrap().len(), 513);
    index.sync().unwrap();
    index.seal();
    assert_eq!(room.bytes().len(), 513 * 8, "sealing cuts to the entries");
    assert_eq!(index.lookup(Offset(558)), at(558, 513));
    index.sync().unwrap();
}

#[test]
fn a_reopened_index_goes_on_where_it_ended() {
    let room = Room::new();
    let index = room.offsets();
    (0..600).for_each(|entry| index.append(Offset(46 + entry), Position(1 + entry as u32)).unwrap());
    index.seal();
    let index = room.offsets();
    assert_eq!(index.last_entry().unwrap(), Some(at(645, 600)));
    index.append(Offset(646), Position(601)).unwrap();
    drop(index);
    assert_eq!(room.bytes().len(), 8192, "dropped without sealing, as a crash leaves it");
    let sealed = room.sealed_offsets();
    assert_eq!((sealed.count().unwrap(), sealed.lookup(Offset(9999))), (601, at(646, 601)));
    assert_eq!(room.offsets().count().unwrap(), 601);
}

#[test]
fn truncation_drops_entries_at_or_behind_the_end_and_they_stay_away() {
    for (end, kept) in [(57, 12), (56, 11), (52, 7), (46, 1), (45, 0), (0, 0)] {
        let room = Room::new();
        let index = room.offsets();
        (0..12).for_each(|entry| index.append(Offset(45 + entry), Position(1 + entry as u32)).unwrap());
        index.truncate_to(Offset(end)).unwrap();
        assert_eq!(index.count().unwrap(), kept, "{end}");
        drop(index);
        assert_eq!(room.offsets().count().unwrap(), kept, "{end}, after a crash");
        assert_eq!(room.bytes().len(), if kept == 0 { 0 } else { 4096 });
    }
    let room = Room::new();
    let index = room.offsets();
    (0..1500).for_each(|entry| index.append(Offset(46 + entry), Position(1 + entry as u32)).unwrap());
    index.reset().unwrap();
    assert_eq!(index.entries().unwrap(), []);
    assert!(room.bytes().iter().all(|byte| *byte == 0));
    index.append(Offset(45), Position(7)).unwrap();
    assert_eq!(index.entries().unwrap(), [at(45, 7)]);
}

#[test]
fn a_sealed_index_reads_only() {
    let room = Room::new();
    let index = room.offsets();
    index.append(Offset(46), Position(1)).unwrap();
    index.seal();
    index.seal();
    for refused in [index.append(Offset(47), Position(2)), index.truncate_to(Offset(0)), index.reset()] {
        assert_eq!(refused.unwrap_err().code(), ErrorCode::STATE);
    }
    assert_eq!(index.lookup(Offset(50)), at(46, 1));
    index.unload();
    assert_eq!(index.entries().unwrap(), [at(46, 1)]);
}

#[test]
fn a_sealed_index_that_is_absent_answers_like_an_empty_one_until_it_is_there() {
    let room = Room::new();
    let index = room.sealed_offsets();
    assert_eq!(index.lookup(Offset(99)), at(45, 0));
    assert_eq!(index.entries().unwrap_err().code(), ErrorCode::KAFKA_STORAGE_ERROR);
    std::fs::write(room.path(), [0, 0, 0, 1, 0, 0, 0, 2]).unwrap();
    assert_eq!(index.lookup(Offset(99)), at(46, 2));
}

#[test]
fn a_retired_index_leaves_its_file_to_another() {
    let room = Room::new();
    let index = room.offsets();
    index.append(Offset(46), Position(1)).unwrap();
    index.seal();
    assert_eq!(index.lookup(Offset(50)), at(46, 1));
    index.retire();
    let another = room.offsets();
    another.append(Offset(47), Position(2)).unwrap();
    assert_eq!((index.lookup(Offset(50)), index.entries().unwrap()), (at(45, 0), vec![]));
    assert_eq!(index.append(Offset(48), Position(3)).unwrap_err().code(), ErrorCode::STATE);
    index.seal();
    index.unload();
    index.sync().unwrap();
    assert_eq!(another.entries().unwrap(), [at(46, 1), at(47, 2)]);
}

#[test]
fn a_foreign_index_is_copied_and_looks_again_when_told_to() {
    let room = Room::new();
    let writer = room.offsets();
    writer.append(Offset(46), Position(1)).unwrap();
    let reader = OffsetIndex::open_foreign(&room.disk, &room.path(), BASE);
    assert_eq!(reader.lookup(Offset(99)), at(46, 1));
    writer.append(Offset(50), Position(2)).unwrap();
    assert_eq!(reader.lookup(Offset(99)), at(46, 1));
    reader.unload();
    assert_eq!(reader.lookup(Offset(99)), at(50, 2));
    writer.reset().unwrap();
    writer.seal();
    assert_eq!((room.bytes().len(), reader.lookup(Offset(99))), (0, at(50, 2)), "the copy outlives the file's bytes");
}

#[test]
fn a_time_index_takes_only_later_timestamps_and_keeps_a_slot() {
    let room = Room::new();
    let index = room.times_of(12 * 4);
    assert_eq!(index.last_entry().unwrap(), None);
    assert!(!index.maybe_append(Timestamp(-1), Offset(45), false).unwrap(), "no timestamp, no entry");
    assert!(index.maybe_append(Timestamp(10), Offset(50), false).unwrap());
    assert!(!index.maybe_append(Timestamp(10), Offset(51), false).unwrap());
    assert!(!index.maybe_append(Timestamp(9), Offset(52), false).unwrap());
    assert!(index.maybe_append(Timestamp(20), Offset(53), false).unwrap());
    assert_eq!(index.maybe_append(Timestamp(30), Offset(49), false).unwrap_err().code(), ErrorCode::CORRUPT_MESSAGE);
    assert!(index.maybe_append(Timestamp(30), Offset(53), false).unwrap(), "the same offset may come again");
    assert!(index.is_full());
    assert_eq!(index.maybe_append(Timestamp(40), Offset(60), false).unwrap_err().code(), ErrorCode::STATE);
    assert!(index.maybe_append(Timestamp(40), Offset(60), true).unwrap(), "the kept slot is for the last entry");
    assert_eq!(index.maybe_append(Timestamp(50), Offset(61), true).unwrap_err().code(), ErrorCode::STATE);
    let expected = [time(10, 50), time(20, 53), time(30, 53), time(40, 60)];
    assert_eq!(index.entries().unwrap(), expected);
    for (at, found) in [(9, None), (10, Some(0)), (19, Some(0)), (20, Some(1)), (39, Some(2)), (i64::MAX, Some(3))] {
        assert_eq!(index.lookup(Timestamp(at)), found.map(|entry: usize| expected[entry]), "{at}");
    }
    index.truncate_to(Offset(53)).unwrap();
    assert_eq!(index.last_entry().unwrap(), Some(time(10, 50)));
}

#[test]
fn zeros_are_an_entry_only_where_they_can_be_one() {
    let room = Room::new();
    let reread = |bytes: &[u8]| {
        std::fs::write(room.path(), bytes).unwrap();
        let times = TimeIndex::open_sealed(&room.disk, &room.path(), BASE).count().unwrap();
        (room.sealed_offsets().count().unwrap(), times)
    };
    assert_eq!(reread(&[]), (0, 0));
    assert_eq!(reread(&[0; 8]), (1, 0));
    assert_eq!(reread(&[0; 12]), (1, 1), "a cut file says what it says: record 0 at time 0");
    assert_eq!(reread(&[0; 4096]), (0, 0), "a preallocated one says nothing");
    let first_zero = [&[0; 8][..], &[0, 0, 0, 5, 0, 0, 0, 9], &[0; 16]].concat();
    assert_eq!(reread(&first_zero).0, 2);
    assert_eq!(reread(&[0xff; 24]), (0, 0));
    assert_eq!(reread(&[0, 0, 0, 1, 0, 0, 0, 2, 9, 9]).0, 1, "a rest is not looked at");
}

#[test]
fn lookups_run_beside_appends_growth_and_truncation() {
    let room = Room::new();
    let index = room.offsets();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    for target in [46, 700, 5000, u64::MAX] {
                        let (offset, position) = index.lookup(Offset(target));
                        assert!(offset.0 <= target || offset == BASE);
                        // Whoever writes below puts every entry at ten times its distance from the base.
                        assert_eq!(u64::from(position.0), (offset.0 - BASE.0) * 10);
                    }
                }
            });
        }
        for round in 0..30u64 {
            let from = index.last_entry().unwrap().map_or(1, |(offset, _)| offset.0 - BASE.0 + 1);
            for relative in from..from + 1000 {
                index.append(Offset(BASE.0 + relative), Position(relative as u32 * 10)).unwrap();
            }
            match round % 2 {
                0 => index.truncate_to(Offset(BASE.0 + from + 10)).unwrap(),
                _ => index.sync().unwrap(),
            }
        }
        index.seal();
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn kafkas_own_indexes_point_at_the_batches_they_name() {
    let Some(shared) = crate::testing::shared() else { return };
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    for vector in crate::storage::vectors::segments(&shared) {
        for (name, path) in vector.files(FileKind::Log) {
            let (base, log) = (name.base, std::fs::read(&path).unwrap());
            let expected = vector.segment(base.0);
            let offsets = OffsetIndex::open_sealed(&disk, &path.with_extension("index"), base);
            let times = TimeIndex::open_sealed(&disk, &path.with_extension("timeindex"), base);
            assert_eq!(expected["index_entries"], offsets.count().unwrap(), "{}", path.display());
            assert_eq!(expected["timeindex_entries"], times.count().unwrap(), "{}", path.display());
            for (offset, position) in offsets.entries().unwrap() {
                let (_, batch) = batches(&log[position.0 as usize..]).next().unwrap().unwrap();
                assert_eq!(batch.header().last_offset(), offset, "{}", path.display());
                assert_eq!(offsets.lookup(offset), (offset, position));
            }
            for entry in times.entries().unwrap() {
                let mut all = batches(&log).map(|batch| batch.unwrap().1);
                let batch = all.find(|batch| batch.header().last_offset() == entry.offset).unwrap();
                assert_eq!(batch.header().max_timestamp, entry.timestamp.0, "{}", path.display());
                assert_eq!(times.lookup(entry.timestamp), Some(entry));
            }
            if vector.manifest["clean"] == true && !log.is_empty() {
                assert_eq!(
                    expected["max_timestamp"],
                    times.last_entry().unwrap().map_or(-1, |entry| entry.timestamp.0)
                );
            }
        }
    }
}
