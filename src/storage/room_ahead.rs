//! Blocks allocated ahead of the appender.
//!
//! A write that lands in allocated blocks is cheaper than one for which the file system has to find them (`ARCHITECTURE.md` says how
//! much, and how to measure it). The room lies behind the
//! end of the file and is no part of its length, so nobody who reads the directory sees it; `du` does. It is a wish, never a promise:
//! a file system that does not grant it is not asked again, and nothing depends on it.
//!
//! Crash here: the blocks stay allocated behind the end. Recovery gives them back when it opens the segment.

use crate::disk::DiskFile;
use std::io;

/// Files below this size get no room: thousands of quiet partitions must not hold blocks that they never fill.
const FILE_BYTES_MIN: u64 = 256 * 1024;
/// A file gets half of its size, and never more than this at once.
const ROOM_BYTES_MAX: u64 = 4 << 20;

#[derive(Debug, Default)]
pub(super) struct RoomAhead {
    /// Up to here blocks were allocated by us; 0: nowhere.
    end: u64,
    refused: bool,
}

impl RoomAhead {
    /// For a segment that was allocated whole when it was created (`preallocate`).
    pub(super) fn unwanted() -> RoomAhead {
        RoomAhead { end: 0, refused: true }
    }

    /// Sees to it, where the disk is willing, that the write of `bytes` at `at` meets allocated blocks. Nothing is allocated past
    /// `file_bytes_max`.
    pub(super) fn make(&mut self, file: &dyn DiskFile, at: u64, bytes: u64, file_bytes_max: u64) {
        if at + bytes <= self.end || self.refused || at < FILE_BYTES_MIN {
            return;
        }
        let from = self.end.max(at);
        let room = (at / 2).min(ROOM_BYTES_MAX).max(bytes).min(file_bytes_max.saturating_sub(from));
        if room == 0 {
            return;
        }
        // An error is the answer of a disk that is full or failing: the write itself will say so, or it will not.
        match file.reserve_behind(from, room) {
            Ok(true) => self.end = from + room,
            Ok(false) | Err(_) => self.refused = true,
        }
    }

    /// Gives back what lies behind `len`, the file's end.
    pub(super) fn give_back(&mut self, file: &dyn DiskFile, len: u64) -> io::Result<()> {
        if std::mem::take(&mut self.end) > len {
            file.set_len(len)?;
        }
        Ok(())
    }

    /// The file was cut: what lay behind its end is gone.
    pub(super) fn lost(&mut self) {
        self.end = 0;
    }
}

/// After a crash: gives back what the dead process had allocated behind `len`, the file's end.
pub(super) fn give_back_leftover(file: &dyn DiskFile, len: u64) -> io::Result<()> {
    // Half of the smallest room: what a file system rounds its own allocations up to is left alone.
    if file.allocated_bytes()? > len + FILE_BYTES_MIN / 4 {
        file.set_len(len)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{Disk, RealDisk};

    #[test]
    fn a_small_file_gets_no_room_and_a_larger_one_gets_it_back_off_when_it_ends() {
        let temp = tempfile::tempdir().expect("temp dir");
        let file = RealDisk.create(&temp.path().join("a"), 0).expect("creates");
        let mut room = RoomAhead::default();
        room.make(&*file, 0, 1000, 1 << 30);
        assert_eq!((room.end, room.refused), (0, false), "too small");
        file.write_at(0, &vec![1; 1 << 20]).expect("writes");
        file.sync_data().expect("syncs"); // delayed allocation is over
        let before = file.allocated_bytes().expect("counts");
        room.make(&*file, 1 << 20, 1000, 1 << 30);
        if room.refused {
            eprintln!("SKIPPED: this file system is not given room ahead");
            return;
        }
        assert!(file.allocated_bytes().expect("counts") > before, "blocks are there");
        assert_eq!(file.len().expect("len"), 1 << 20, "but the file is no longer");
        room.give_back(&*file, 1 << 20).expect("gives back");
        assert_eq!(file.allocated_bytes().expect("counts"), before);
    }

    #[test]
    fn nothing_is_allocated_past_the_largest_size_of_a_segment() {
        let temp = tempfile::tempdir().expect("temp dir");
        let file = RealDisk.create(&temp.path().join("a"), 0).expect("creates");
        let mut room = RoomAhead::default();
        room.make(&*file, 900_000, 1000, 1_000_000);
        assert!(room.end <= 1_000_000);
        room.make(&*file, 1_000_000, 1000, 1_000_000);
        assert!(room.end <= 1_000_000);
    }

    #[test]
    fn a_refusal_is_final_and_harmless() {
        let disk = crate::sim::SimDisk::new(1);
        disk.create_dir("/d".as_ref()).expect("creates");
        let file = disk.create("/d/a".as_ref(), 0).expect("creates");
        let mut room = RoomAhead::default();
        room.make(&*file, 1 << 20, 1000, 1 << 30);
        assert!(room.refused);
        room.give_back(&*file, 1 << 20).expect("nothing to give back");
    }
}
