//! `.timeindex`: the largest timestamp so far and the last offset of the batch that brought it.

use crate::disk::Disk;
use crate::error::Result;
use crate::types::{Offset, Timestamp};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One entry: when it was written, no record of the segment up to `offset` had a timestamp above `timestamp`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TimeEntry {
    pub timestamp: Timestamp,
    pub offset: Offset,
}

/// The time index of one segment. One writer at a time, any number of readers beside it.
pub struct TimeIndex;

impl TimeIndex {
    /// Opens the index for appending, creating the file when it is absent. At most `max_bytes` (`segment.index.bytes`,
    /// rounded down to whole entries) are ever used; the file grows to that by doubling.
    pub fn open_active(disk: &Arc<dyn Disk>, path: &Path, base: Offset, max_bytes: u32) -> Result<TimeIndex> {
        let _ = (disk, path, base, max_bytes);
        todo!()
    }
    /// An index that is only read; the file is opened by the first lookup. Absent or unreadable files answer like empty ones.
    pub fn open_sealed(disk: &Arc<dyn Disk>, path: &Path, base: Offset) -> TimeIndex {
        let _ = (disk, path, base);
        todo!()
    }
    /// As `open_sealed`, but reads the file into memory instead of mapping it: for a directory that another process writes.
    pub fn open_foreign(disk: &Arc<dyn Disk>, path: &Path, base: Offset) -> TimeIndex {
        let _ = (disk, path, base);
        todo!()
    }
    /// The entry with the largest timestamp that is not above `at`; `None` means start at the base.
    pub fn lookup(&self, at: Timestamp) -> Option<TimeEntry> {
        let _ = at;
        todo!()
    }
    /// Adds an entry if `timestamp` is above the last one's; says whether it did. `skip_full_check` may use the slot
    /// that is kept for the entry at roll or close. Errors as in `OffsetIndex::append`.
    pub fn maybe_append(&self, timestamp: Timestamp, offset: Offset, skip_full_check: bool) -> Result<bool> {
        let _ = (timestamp, offset, skip_full_check);
        todo!()
    }
    /// Whether only the slot for the forced entry is left.
    pub fn is_full(&self) -> bool {
        todo!()
    }
    /// All entries, in order.
    pub fn entries(&self) -> Result<Vec<TimeEntry>> {
        todo!()
    }
    /// Number of entries.
    pub fn count(&self) -> Result<usize> {
        todo!()
    }
    /// The newest entry.
    pub fn last_entry(&self) -> Result<Option<TimeEntry>> {
        todo!()
    }
    /// Drops every entry with an offset >= `offset`. Active index only (STATE otherwise).
    pub fn truncate_to(&self, offset: Offset) -> Result<()> {
        let _ = offset;
        todo!()
    }
    /// Drops all entries, for a rebuild. Active index only (STATE otherwise).
    pub fn reset(&self) -> Result<()> {
        todo!()
    }
    /// Ends writing: the file is cut to its entries as soon as the mapping is gone, the next lookup opens it read-only.
    /// Nothing is synced. Sealing twice is fine.
    pub fn seal(&self) {
        todo!()
    }
    /// Makes all entries durable (msync, or fdatasync when sealed).
    pub fn sync(&self) -> Result<()> {
        todo!()
    }
    /// Lets go of a sealed index's mapping; the next lookup opens it again. No effect while active.
    pub fn unload(&self) {
        todo!()
    }
    /// The file was renamed to `path` (`.deleted`, `.swap`).
    pub fn renamed_to(&self, path: PathBuf) {
        let _ = path;
        todo!()
    }
}
