//! `.index`: the last offset of a batch, and where in the `.log` that batch starts.

use super::table::{Entry, Table};
use crate::disk::Disk;
use crate::error::{Error, ErrorCode, Result};
use crate::types::{Offset, Position};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// How far an entry's offset may be from the base: the field is signed in Kafka.
const RELATIVE_OFFSET_MAX: u64 = i32::MAX as u64;

// offset index entry
//  0          4          8
//  +----------+----------+
//  | relative | position |   both i32 big-endian, never negative; relative = last offset of the batch - base offset,
//  | offset   |          |   strictly ascending; position = first byte of the batch
//  +----------+----------+
#[derive(Clone, Copy)]
struct OffsetEntry {
    relative: u32,
    position: u32,
}

impl Entry for OffsetEntry {
    const BYTES: usize = 8;

    fn put(self, into: &mut [u8]) {
        into[..4].copy_from_slice(&self.relative.to_be_bytes());
        into[4..8].copy_from_slice(&self.position.to_be_bytes());
    }

    fn get(from: &[u8]) -> Option<OffsetEntry> {
        Some(OffsetEntry { relative: get_i32(&from[..4])?, position: get_i32(&from[4..8])? })
    }

    fn follows(self, previous: OffsetEntry) -> bool {
        self.relative > previous.relative && self.position > previous.position
    }
}

/// A signed field that must not be negative.
pub(super) fn get_i32(from: &[u8]) -> Option<u32> {
    let value = u32::from_be_bytes(from.try_into().ok()?);
    (value <= i32::MAX as u32).then_some(value)
}

/// `offset` as its distance from `base`; `None` when an entry cannot say it.
pub(super) fn relative_to(base: Offset, offset: Offset) -> Option<u32> {
    let relative = offset.0.checked_sub(base.0).filter(|relative| *relative <= RELATIVE_OFFSET_MAX)?;
    u32::try_from(relative).ok()
}

pub(super) fn out_of_reach(base: Offset, offset: Offset) -> Error {
    let message = format!("offset {offset} cannot be indexed in the segment at {base}");
    Error::new(ErrorCode::CORRUPT_MESSAGE, message)
}

/// The offset index of one segment. One writer at a time (whoever holds the partition's lock), any number of readers
/// beside it. At most one of these per file and process.
pub struct OffsetIndex {
    base: Offset,
    table: Table<OffsetEntry>,
}

impl OffsetIndex {
    /// Opens the index for appending, creating the file when it is absent. At most `bytes_max` (`segment.index.bytes`,
    /// rounded down to whole entries) are used; the file begins empty, then 4 KiB, and grows to that by doubling. Behind the
    /// last believable entry the file is cut.
    pub fn open_active(disk: &Arc<dyn Disk>, path: &Path, base: Offset, bytes_max: u32) -> Result<OffsetIndex> {
        Ok(OffsetIndex { base, table: Table::open_active(disk, path, bytes_max)? })
    }

    /// An index that is only read; the file is opened by whoever asks first.
    #[must_use]
    pub fn open_sealed(disk: &Arc<dyn Disk>, path: &Path, base: Offset) -> OffsetIndex {
        OffsetIndex { base, table: Table::open_sealed(disk, path, false) }
    }

    /// As [`open_sealed`](OffsetIndex::open_sealed), but reads the file into memory instead of mapping it: for a
    /// directory that another process writes (and might cut). [`unload`](OffsetIndex::unload) makes it look again.
    #[must_use]
    pub fn open_foreign(disk: &Arc<dyn Disk>, path: &Path, base: Offset) -> OffsetIndex {
        OffsetIndex { base, table: Table::open_sealed(disk, path, true) }
    }

    /// A hint where to start looking for `target`: the entry with the largest offset that is not above it, else
    /// (base, 0). The offset is the **last** one of the batch at the position. The caller checks that the position makes
    /// sense. An absent or unreadable file answers like an empty one.
    #[must_use]
    pub fn lookup(&self, target: Offset) -> (Offset, Position) {
        let found = self.table.last_where(|entry| self.base.plus(entry.relative.into()) <= target);
        found.map_or((self.base, Position(0)), |entry| self.absolute(entry))
    }

    /// Adds an entry: `offset` is the last of the batch that starts at `position`.
    ///
    /// # Errors
    /// CORRUPT_MESSAGE when it does not lie above the last entry or is too far from the base; STATE when full or sealed;
    /// KAFKA_STORAGE_ERROR when the file cannot grow. Nothing is added then, and the index stays usable.
    pub fn append(&self, offset: Offset, position: Position) -> Result<()> {
        let relative = relative_to(self.base, offset).filter(|_| position.0 <= i32::MAX as u32);
        let relative = relative.ok_or_else(|| out_of_reach(self.base, offset))?;
        self.table.push(OffsetEntry { relative, position: position.0 })
    }

    /// Whether no further entry fits into an active index.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.table.active_count() >= self.table.entries_max()
    }

    /// Whether `offset` is near enough to the base for an entry. Where not, the segment must be rolled.
    #[must_use]
    pub fn can_append(&self, offset: Offset) -> bool {
        relative_to(self.base, offset).is_some()
    }

    /// All entries, in order.
    pub fn entries(&self) -> Result<Vec<(Offset, Position)>> {
        Ok(self.table.entries()?.into_iter().map(|entry| self.absolute(entry)).collect())
    }

    /// Number of entries.
    #[cfg(test)]
    pub fn count(&self) -> Result<usize> {
        self.table.count()
    }

    /// The newest entry.
    pub fn last_entry(&self) -> Result<Option<(Offset, Position)>> {
        Ok(self.table.last()?.map(|entry| self.absolute(entry)))
    }

    /// Drops every entry with an offset of `end` or above. STATE unless active.
    pub fn truncate_to(&self, end: Offset) -> Result<()> {
        self.table.truncate_where(|entry| self.base.plus(entry.relative.into()) < end)
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

    fn absolute(&self, entry: OffsetEntry) -> (Offset, Position) {
        (self.base.plus(entry.relative.into()), Position(entry.position))
    }
}

impl fmt::Debug for OffsetIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OffsetIndex").field("base", &self.base).finish_non_exhaustive()
    }
}
