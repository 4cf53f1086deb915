//! `.index`: the last offset of a batch and where in the `.log` that batch starts.

use crate::disk::Disk;
use crate::error::Result;
use crate::types::{Offset, Position};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The offset index of one segment. One writer at a time, any number of readers beside it.
pub struct OffsetIndex;

impl OffsetIndex {
    /// Opens the index for appending, creating the file when it is absent. At most `max_bytes` (`segment.index.bytes`,
    /// rounded down to whole entries) are ever used; the file grows to that by doubling.
    pub fn open_active(disk: &Arc<dyn Disk>, path: &Path, base: Offset, max_bytes: u32) -> Result<OffsetIndex> {
        let _ = (disk, path, base, max_bytes);
        todo!()
    }
    /// An index that is only read; the file is opened by the first lookup. Absent or unreadable files answer like empty ones.
    pub fn open_sealed(disk: &Arc<dyn Disk>, path: &Path, base: Offset) -> OffsetIndex {
        let _ = (disk, path, base);
        todo!()
    }
    /// As `open_sealed`, but reads the file into memory instead of mapping it: for a directory that another process writes.
    pub fn open_foreign(disk: &Arc<dyn Disk>, path: &Path, base: Offset) -> OffsetIndex {
        let _ = (disk, path, base);
        todo!()
    }
    /// A hint where to start looking for `target`: the entry with the largest offset that is not above it, else (base, 0).
    /// The offset is the last one of the batch at the position. The caller checks that the position makes sense.
    pub fn lookup(&self, target: Offset) -> (Offset, Position) {
        let _ = target;
        todo!()
    }
    /// Adds an entry: `offset` is the last of the batch that starts at `position`. CORRUPT_MESSAGE when it is not above
    /// the last entry or too far from the base; STATE when full or sealed; KAFKA_STORAGE_ERROR when the file cannot grow (nothing is
    /// added, the index stays usable).
    pub fn append(&self, offset: Offset, position: Position) -> Result<()> {
        let _ = (offset, position);
        todo!()
    }
    /// Whether no further entry fits (or `relative offset` would not).
    pub fn is_full(&self) -> bool {
        todo!()
    }
    /// Whether `offset` is near enough to the base for an entry.
    pub fn can_append(&self, offset: Offset) -> bool {
        let _ = offset;
        todo!()
    }
    /// All entries, in order.
    pub fn entries(&self) -> Result<Vec<(Offset, Position)>> {
        todo!()
    }
    /// Number of entries.
    pub fn count(&self) -> Result<usize> {
        todo!()
    }
    /// The newest entry.
    pub fn last_entry(&self) -> Result<Option<(Offset, Position)>> {
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
