//! `.txnindex`: the aborted transactions whose marker lies in the segment.

use crate::disk::Disk;
use crate::error::Result;
use crate::types::Offset;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One aborted transaction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AbortedTxn {
    pub producer_id: i64,
    /// Offset of its first data batch.
    pub first_offset: Offset,
    /// Offset of its abort marker.
    pub last_offset: Offset,
    /// The last stable offset right after the marker.
    pub last_stable_offset: Offset,
}

/// The transaction index of one segment. The file comes into being with the first entry.
pub struct TxnIndex;

impl TxnIndex {
    /// Remembers where the file is or will be; opens it if it exists. CORRUPT_MESSAGE for a file that is not sane (rebuild then:
    /// `TxnIndex::discard`).
    pub fn open(disk: &Arc<dyn Disk>, path: &Path, base: Offset) -> Result<TxnIndex> {
        let _ = (disk, path, base);
        todo!()
    }
    /// Removes the file if there is one and starts empty.
    pub fn discard(disk: &Arc<dyn Disk>, path: &Path, base: Offset) -> Result<TxnIndex> {
        let _ = (disk, path, base);
        todo!()
    }
    /// Adds an entry; its `last_offset` must be above the last one's (CORRUPT_MESSAGE otherwise).
    pub fn append(&self, aborted: AbortedTxn) -> Result<()> {
        let _ = aborted;
        todo!()
    }
    /// Appends to `into` the transactions that overlap `[from, to)`. True when later segments need not be asked.
    pub fn collect(&self, from: Offset, to: Offset, into: &mut Vec<AbortedTxn>) -> Result<bool> {
        let _ = (from, to, into);
        todo!()
    }
    /// All entries.
    pub fn entries(&self) -> Vec<AbortedTxn> {
        todo!()
    }
    /// Drops entries from the first with `last_offset >= offset` on.
    pub fn truncate_to(&self, offset: Offset) -> Result<()> {
        let _ = offset;
        todo!()
    }
    /// fdatasync, if there is a file.
    pub fn sync(&self) -> Result<()> {
        todo!()
    }
    /// Whether the file exists.
    pub fn exists(&self) -> bool {
        todo!()
    }
    /// The file was renamed.
    pub fn renamed_to(&self, path: PathBuf) {
        let _ = path;
        todo!()
    }
}
