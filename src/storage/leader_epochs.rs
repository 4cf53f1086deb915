//! Which leader epoch began at which offset: the file `leader-epoch-checkpoint`.
//!
//! ```text
//! 0            <- version
//! 2            <- number of entries
//! 0 0          <- epoch 0 from offset 0
//! 3 259        <- epoch 3 from offset 259; epochs 1 and 2 wrote nothing here
//! ```
//! Epochs and offsets both ascend strictly.

use super::checkpoint::{number_of, offset_of, read_entries, write_entries};
use crate::disk::Disk;
use crate::error::{Error, ErrorCode, Result};
use crate::types::{LeaderEpoch, Offset};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The file's name inside a partition directory.
pub const LEADER_EPOCH_FILE: &str = "leader-epoch-checkpoint";

/// The epochs of one log. The room above guards it with the partition's lock.
pub struct LeaderEpochs {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    /// Ascending in both.
    entries: Vec<(LeaderEpoch, Offset)>,
    /// Memory differs from the file.
    is_dirty: bool,
}

impl LeaderEpochs {
    /// Reads the file of the partition directory `dir`. One that makes no sense counts as empty and what was wrong stands
    /// beside: the log's batches carry their epochs, so it can be rebuilt.
    ///
    /// # Errors
    /// KAFKA_STORAGE_ERROR: the disk failed, the file may be fine.
    pub fn open(disk: &Arc<dyn Disk>, dir: &Path) -> Result<(LeaderEpochs, Option<Error>)> {
        let mut entries = Vec::new();
        let path = dir.join(LEADER_EPOCH_FILE);
        let read = read_entries(&**disk, &path, |line| {
            let mut words = line.split_whitespace();
            let epoch = LeaderEpoch(number_of::<i32>(words.next()?)?);
            let start = offset_of(words.next()?)?;
            // A file that breaks the order lies about some epoch; which, nobody can say.
            let ascends = entries.last().is_none_or(|(e, s)| *e < epoch && *s < start);
            entries.push((epoch, start));
            (ascends && words.next().is_none()).then_some(())
        });
        let error = match read {
            Err(error) if error.code() == ErrorCode::KAFKA_STORAGE_ERROR => return Err(error),
            read => read.err(),
        };
        if error.is_some() {
            entries.clear();
        }
        // What could not be read has to be written anew.
        let is_dirty = error.is_some();
        Ok((LeaderEpochs { disk: Arc::clone(disk), path, entries, is_dirty }, error))
    }

    /// `epoch` begins at `start`: a new leader says so before it writes, and every appended batch repeats it. When `epoch` is the
    /// newest already and began at or before `start`, nothing happens (two compares: cheap enough for every batch).
    /// Otherwise entries that are not below in both epoch and start are removed, and the file is durable on return.
    /// Says whether anything changed.
    ///
    /// # Errors
    /// KAFKA_STORAGE_ERROR. Memory has the entry then, the file may not; [`persist`](LeaderEpochs::persist) tries again.
    pub fn assign(&mut self, epoch: LeaderEpoch, start: Offset) -> Result<bool> {
        let changed = self.assign_in_memory(epoch, start);
        if changed {
            self.persist()?;
        }
        Ok(changed)
    }

    /// As [`assign`](LeaderEpochs::assign), in memory only: for recovery, which calls [`persist`](LeaderEpochs::persist)
    /// once at its end.
    pub fn assign_in_memory(&mut self, epoch: LeaderEpoch, start: Offset) -> bool {
        if self.entries.last().is_some_and(|(newest, from)| *newest == epoch && *from <= start) {
            return false;
        }
        self.entries.retain(|(e, s)| *e < epoch && *s < start);
        self.entries.push((epoch, start));
        self.is_dirty = true;
        true
    }

    /// The newest epoch.
    #[must_use]
    pub fn latest(&self) -> Option<LeaderEpoch> {
        self.entries.last().map(|(epoch, _)| *epoch)
    }

    /// All entries, ascending.
    #[must_use]
    pub fn entries(&self) -> &[(LeaderEpoch, Offset)] {
        &self.entries
    }

    /// The epoch in which `offset` was (or would be) written; `None` below the first entry.
    #[must_use]
    pub fn epoch_for_offset(&self, offset: Offset) -> Option<LeaderEpoch> {
        let behind = self.entries.partition_point(|(_, start)| *start <= offset);
        behind.checked_sub(1).map(|index| self.entries[index].0)
    }

    /// Where `epoch` ends: the largest known epoch not above it, and the start of the next higher one (`log_end` for the newest).
    /// An epoch older than all known ends where the oldest begins. `None` for one newer than all known.
    #[must_use]
    pub fn end_offset_for(&self, epoch: LeaderEpoch, log_end: Offset) -> Option<(LeaderEpoch, Offset)> {
        if epoch > self.latest()? {
            return None;
        }
        let above = self.entries.partition_point(|(known, _)| *known <= epoch);
        let end = self.entries.get(above).map_or(log_end, |(_, start)| *start);
        let known = above.checked_sub(1).map_or(epoch, |index| self.entries[index].0);
        Some((known, end))
    }

    /// Drops entries that start at or after `end`. Memory only, like
    /// [`truncate_from_start`](LeaderEpochs::truncate_from_start): a stale file has extra entries that the next open clips
    /// again, so [`persist`](LeaderEpochs::persist) may come later. Says whether anything changed.
    pub fn truncate_from_end(&mut self, end: Offset) -> bool {
        let kept = self.entries.partition_point(|(_, start)| *start < end);
        let changed = kept < self.entries.len();
        self.entries.truncate(kept);
        self.is_dirty |= changed;
        changed
    }

    /// Drops entries that start at or before `start`, except that the last of them begins at `start` now.
    pub fn truncate_from_start(&mut self, start: Offset) -> bool {
        let behind = self.entries.partition_point(|(_, from)| *from <= start);
        let Some(last) = behind.checked_sub(1) else { return false };
        let changed = last > 0 || self.entries[last].1 != start;
        self.entries[last].1 = start;
        self.entries.drain(..last);
        self.is_dirty |= changed;
        changed
    }

    /// Writes the file if memory differs from it; durable on return.
    pub fn persist(&mut self) -> Result<()> {
        if self.is_dirty {
            let lines = self.entries.iter().map(|(epoch, start)| format!("{} {start}", epoch.0));
            write_entries(&*self.disk, &self.path, lines)?;
            self.is_dirty = false;
        }
        Ok(())
    }
}

impl fmt::Debug for LeaderEpochs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeaderEpochs").field("entries", &self.entries).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::RealDisk;

    struct Room {
        dir: tempfile::TempDir,
        epochs: LeaderEpochs,
    }

    fn open(dir: &Path) -> LeaderEpochs {
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let (epochs, error) = LeaderEpochs::open(&disk, dir).unwrap();
        assert!(error.is_none(), "{error:?}");
        epochs
    }

    fn room(entries: &[(u32, u64)]) -> Room {
        let dir = tempfile::tempdir().unwrap();
        let mut epochs = open(dir.path());
        for (epoch, start) in entries {
            epochs.assign(LeaderEpoch(*epoch), Offset(*start)).unwrap();
        }
        Room { dir, epochs }
    }

    impl Room {
        fn all(&self) -> Vec<(u32, u64)> {
            self.epochs.entries().iter().map(|(epoch, start)| (epoch.0, start.0)).collect()
        }
        fn on_disk(&self) -> Vec<(u32, u64)> {
            open(self.dir.path()).entries().iter().map(|(epoch, start)| (epoch.0, start.0)).collect()
        }
        fn assign(&mut self, epoch: u32, start: u64) -> bool {
            self.epochs.assign(LeaderEpoch(epoch), Offset(start)).unwrap()
        }
        fn end_of(&self, epoch: u32, log_end: u64) -> Option<(u32, u64)> {
            self.epochs.end_offset_for(LeaderEpoch(epoch), Offset(log_end)).map(|(e, o)| (e.0, o.0))
        }
    }

    #[test]
    fn nothing_is_known_of_an_empty_log() {
        let room = room(&[]);
        assert_eq!(room.epochs.latest(), None);
        assert_eq!(room.end_of(0, 10), None);
        assert_eq!(room.epochs.epoch_for_offset(Offset(0)), None);
    }

    #[test]
    fn repeating_the_newest_epoch_changes_nothing() {
        let mut room = room(&[(2, 9)]);
        assert!(!room.assign(2, 9));
        assert!(!room.assign(2, 10));
        assert_eq!((room.all(), room.on_disk()), (vec![(2, 9)], vec![(2, 9)]));
    }

    #[test]
    fn an_assigned_epoch_is_on_disk_in_kafkas_words() {
        let room = room(&[(0, 0), (1, 259), (2, 501)]);
        let text = std::fs::read_to_string(room.dir.path().join(LEADER_EPOCH_FILE)).unwrap();
        assert_eq!(text, "0\n3\n0 0\n1 259\n2 501\n");
        assert_eq!(room.on_disk(), room.all());
    }

    #[test]
    fn entries_stay_monotonic_in_epoch_and_in_offset() {
        let mut room = room(&[(1, 5), (2, 6), (3, 7), (4, 8)]);
        assert!(room.assign(5, 7), "starts 7 and 8 are overwritten");
        assert_eq!(room.all(), [(1, 5), (2, 6), (5, 7)]);
        assert!(room.assign(2, 9), "epochs 2 and 5 are overwritten");
        assert_eq!(room.all(), [(1, 5), (2, 9)]);
        assert!(room.assign(2, 4), "an earlier start of the newest epoch counts");
        assert_eq!(room.all(), [(2, 4)]);
        assert!(room.assign(3, 4), "an epoch without records gives way to the next");
        assert_eq!(room.all(), [(3, 4)]);
    }

    #[test]
    fn the_end_of_an_epoch_follows_the_table() {
        let room = room(&[(2, 6), (5, 9), (7, 20)]);
        assert_eq!(room.end_of(7, 30), Some((7, 30)), "the newest ends at the log end");
        assert_eq!(room.end_of(8, 30), None, "a newer one is unknown");
        assert_eq!(room.end_of(1, 30), Some((1, 6)), "an older one ends where the oldest begins");
        assert_eq!(room.end_of(2, 30), Some((2, 9)));
        assert_eq!(room.end_of(4, 30), Some((2, 9)), "one in a gap ends with the one before the gap");
        assert_eq!(room.end_of(6, 30), Some((5, 20)));
    }

    #[test]
    fn every_offset_has_the_epoch_that_began_before_it() {
        let room = room(&[(2, 6), (5, 9)]);
        let epochs: Vec<_> = (5..11).map(|o| room.epochs.epoch_for_offset(Offset(o)).map(|e| e.0)).collect();
        assert_eq!(epochs, [None, Some(2), Some(2), Some(2), Some(5), Some(5)]);
    }

    #[test]
    fn truncation_from_the_end_drops_what_starts_there_or_later() {
        let full = [(2, 6), (3, 8), (4, 11)];
        for (end, expected) in [(12, &full[..]), (11, &full[..2]), (9, &full[..2]), (8, &full[..1]), (0, &[])] {
            let mut room = room(&full);
            assert_eq!(room.epochs.truncate_from_end(Offset(end)), expected.len() < 3, "{end}");
            assert_eq!(room.all(), expected, "{end}");
            assert_eq!(room.on_disk(), full, "the file may wait");
            room.epochs.persist().unwrap();
            assert_eq!(room.on_disk(), expected, "{end}");
        }
    }

    #[test]
    fn truncation_from_the_start_moves_the_epoch_that_is_cut() {
        let full = [(2, 6), (3, 8), (4, 11)];
        let cases: [(u64, &[(u32, u64)]); 6] = [
            (5, &full),
            (6, &full),
            (7, &[(2, 7), (3, 8), (4, 11)]),
            (8, &full[1..]),
            (9, &[(3, 9), (4, 11)]),
            (30, &[(4, 30)]),
        ];
        for (start, expected) in cases {
            let mut room = room(&full);
            assert_eq!(room.epochs.truncate_from_start(Offset(start)), expected != full, "{start}");
            assert_eq!(room.all(), expected, "{start}");
            room.epochs.persist().unwrap();
            assert_eq!(room.on_disk(), expected, "{start}");
        }
        assert!(!room(&[]).epochs.truncate_from_start(Offset(3)));
    }

    #[test]
    fn an_unreadable_file_counts_as_empty_is_reported_and_replaced() {
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        for text in
            ["0\n1\nx 0\n", "0\n2\n3 5\n3 6\n", "0\n2\n3 5\n4 5\n", "0\n2\n1 0\n", "0\n1\n1 0 0\n", "0\n1\n-1 0\n"]
        {
            let dir = tempfile::tempdir().unwrap();
            std::fs::write(dir.path().join(LEADER_EPOCH_FILE), text).unwrap();
            let (mut epochs, error) = LeaderEpochs::open(&disk, dir.path()).unwrap();
            assert_eq!(error.unwrap().code(), ErrorCode::CORRUPT_MESSAGE, "{text:?}");
            assert!(epochs.entries().is_empty());
            epochs.persist().unwrap();
            assert!(open(dir.path()).entries().is_empty());
        }
    }

    #[test]
    fn recovery_writes_the_file_once_at_its_end() {
        let mut room = room(&[]);
        for (epoch, start) in [(0, 0), (0, 5), (1, 9)] {
            room.epochs.assign_in_memory(LeaderEpoch(epoch), Offset(start));
        }
        assert_eq!(room.on_disk(), []);
        room.epochs.persist().unwrap();
        assert_eq!(room.on_disk(), [(0, 0), (1, 9)]);
    }

    #[test]
    fn kafkas_own_files_are_read() {
        let Some(shared) = crate::testing::shared() else { return };
        for entry in crate::storage::vectors::segments(&shared) {
            let expected: Vec<(u32, u64)> = entry.manifest["summary"]["leader_epochs"]
                .as_array()
                .unwrap()
                .iter()
                .map(|pair| (pair[0].as_u64().unwrap() as u32, pair[1].as_u64().unwrap()))
                .collect();
            let read: Vec<_> = open(&entry.dir).entries().iter().map(|(e, s)| (e.0, s.0)).collect();
            assert_eq!(read, expected, "{}", entry.dir.display());
        }
    }
}
