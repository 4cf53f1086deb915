//! `.timeindex`: the largest timestamp so far, and the last offset of the batch that brought it.

use super::offset::{get_i32, out_of_reach, relative_to};
use super::table::{Entry, Table};
use crate::disk::Disk;
use crate::error::{Error, ErrorCode, Result};
use crate::types::{Offset, Timestamp};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

// time index entry
//  0           8          12
//  +-----------+----------+
//  | timestamp | relative |   i64 and i32 big-endian, never negative; timestamps strictly ascend, offsets never descend
//  |           | offset   |
//  +-----------+----------+
#[derive(Clone, Copy)]
struct TimeSlot {
    timestamp: i64,
    relative: u32,
}

impl Entry for TimeSlot {
    const BYTES: usize = 12;

    fn put(self, into: &mut [u8]) {
        into[..8].copy_from_slice(&self.timestamp.to_be_bytes());
        into[8..12].copy_from_slice(&self.relative.to_be_bytes());
    }

    fn get(from: &[u8]) -> Option<TimeSlot> {
        let timestamp = i64::from_be_bytes(from[..8].try_into().ok()?);
        (timestamp >= 0).then_some(TimeSlot { timestamp, relative: get_i32(&from[8..12])? })
    }

    fn follows(self, previous: TimeSlot) -> bool {
        self.timestamp > previous.timestamp && self.relative >= previous.relative
    }
}

/// One entry: when it was written, no record of the segment had a timestamp above `timestamp`, and the batch that ends at
/// `offset` was the first that reached it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TimeEntry {
    pub timestamp: Timestamp,
    pub offset: Offset,
}

/// The time index of one segment. One writer at a time (whoever holds the partition's lock), any number of readers beside
/// it. At most one of these per file and process.
pub struct TimeIndex {
    base: Offset,
    table: Table<TimeSlot>,
}

impl TimeIndex {
    /// Opens the index for appending, creating the file when it is absent. At most `bytes_max` (`segment.index.bytes`,
    /// rounded down to whole entries) are used; the file begins empty, then 4 KiB, and grows to that by doubling. Behind the
    /// last believable entry the file is cut.
    pub fn open_active(disk: &Arc<dyn Disk>, path: &Path, base: Offset, bytes_max: u32) -> Result<TimeIndex> {
        Ok(TimeIndex { base, table: Table::open_active(disk, path, bytes_max)? })
    }

    /// An index that is only read; the file is opened by whoever asks first.
    #[must_use]
    pub fn open_sealed(disk: &Arc<dyn Disk>, path: &Path, base: Offset) -> TimeIndex {
        TimeIndex { base, table: Table::open_sealed(disk, path, false) }
    }

    /// As [`open_sealed`](TimeIndex::open_sealed), but reads the file into memory instead of mapping it: for a directory
    /// that another process writes (and might cut). [`unload`](TimeIndex::unload) makes it look again.
    #[must_use]
    pub fn open_foreign(disk: &Arc<dyn Disk>, path: &Path, base: Offset) -> TimeIndex {
        TimeIndex { base, table: Table::open_sealed(disk, path, true) }
    }

    /// The entry with the largest timestamp that is not above `at`: a hint, everything up to its offset is older than `at` or
    /// as old. `None` means start at the base. An absent or unreadable file answers like an empty one.
    #[must_use]
    pub fn lookup(&self, at: Timestamp) -> Option<TimeEntry> {
        self.table.last_where(|slot| slot.timestamp <= at.0).map(|slot| self.absolute(slot))
    }

    /// Adds an entry if `timestamp` lies above the last one's; says whether it did. `skip_full_check` may use the slot that
    /// is kept for the entry at roll or close.
    ///
    /// # Errors
    /// CORRUPT_MESSAGE when the offset lies below the last entry's or too far from the base; STATE when full or sealed;
    /// KAFKA_STORAGE_ERROR when the file cannot grow. Nothing is added then, and the index stays usable.
    pub fn maybe_append(&self, timestamp: Timestamp, offset: Offset, skip_full_check: bool) -> Result<bool> {
        if !skip_full_check && self.is_full() {
            return Err(Error::new(
                ErrorCode::STATE,
                format!("the time index of the segment at {} is full", self.base),
            ));
        }
        let relative = relative_to(self.base, offset).ok_or_else(|| out_of_reach(self.base, offset))?;
        // -1 (no timestamp) is above nothing, not even an empty index.
        if timestamp.0 <= self.table.last()?.map_or(-1, |last| last.timestamp) {
            return Ok(false);
        }
        self.table.push(TimeSlot { timestamp: timestamp.0, relative })?;
        Ok(true)
    }

    /// Whether only the slot for the entry at roll or close is left in an active index.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.table.active_count() + 1 >= self.table.entries_max()
    }

    /// All entries, in order.
    pub fn entries(&self) -> Result<Vec<TimeEntry>> {
        Ok(self.table.entries()?.into_iter().map(|slot| self.absolute(slot)).collect())
    }

    /// Number of entries.
    #[cfg(test)]
    pub fn count(&self) -> Result<usize> {
        self.table.count()
    }

    /// The newest entry: once the segment is sealed, the largest timestamp in it.
    pub fn last_entry(&self) -> Result<Option<TimeEntry>> {
        Ok(self.table.last()?.map(|slot| self.absolute(slot)))
    }

    /// Drops every entry with an offset of `end` or above. STATE unless active.
    pub fn truncate_to(&self, end: Offset) -> Result<()> {
        self.table.truncate_where(|slot| self.base.plus(slot.relative.into()) < end)
    }

    /// Drops all entries, for a rebuild. STATE unless active.
    pub fn reset(&self) -> Result<()> {
        self.table.truncate_where(|_| false)
    }

    /// Ends writing: the file is cut to its entries, the next lookup opens it for reading. Nothing is synced. Sealing twice
    /// is fine.
    pub fn seal(&self) {
        self.table.seal();
    }

    /// Makes all entries durable: msync, or fdatasync when sealed.
    pub fn sync(&self) -> Result<()> {
        self.table.sync()
    }

    /// Lets go of a sealed index's mapping; the next lookup opens it again. No effect while active.
    pub fn unload(&self) {
        self.table.unload();
    }

    /// Lets go of the file for good, because another index is about to be opened on it: from now on this one answers like
    /// an empty one. No lookup sees the mapping any more when this returns.
    pub fn retire(&self) {
        self.table.retire();
    }

    fn absolute(&self, slot: TimeSlot) -> TimeEntry {
        TimeEntry { timestamp: Timestamp(slot.timestamp), offset: self.base.plus(slot.relative.into()) }
    }
}

impl fmt::Debug for TimeIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimeIndex").field("base", &self.base).finish_non_exhaustive()
    }
}
