//! `.snapshot` files: the bytes, and which of them a partition directory holds.

use crate::disk::Disk;
use crate::error::Result;
use crate::types::Offset;
use std::path::{Path, PathBuf};

/// Where the snapshot at `at` lies.
pub fn path(dir: &Path, at: Offset) -> PathBuf {
    let _ = (dir, at);
    todo!()
}
/// The snapshots of a directory, ascending.
pub fn list(disk: &dyn Disk, dir: &Path) -> Result<Vec<Offset>> {
    let _ = (disk, dir);
    todo!()
}
/// Removes the snapshot at `at`; fine when there is none.
pub fn remove(disk: &dyn Disk, dir: &Path, at: Offset) -> Result<()> {
    let _ = (disk, dir, at);
    todo!()
}
/// Removes all above `end` (after a truncation).
pub fn remove_above(disk: &dyn Disk, dir: &Path, end: Offset) -> Result<()> {
    let _ = (disk, dir, end);
    todo!()
}
/// Removes every snapshot that belongs to no segment base, except the newest if it lies beyond the last base.
pub fn remove_strays(disk: &dyn Disk, dir: &Path, segment_bases: &[Offset]) -> Result<()> {
    let _ = (disk, dir, segment_bases);
    todo!()
}
/// fdatasync of the snapshot at `at`; fine when there is none (retention took it).
pub fn sync(disk: &dyn Disk, dir: &Path, at: Offset) -> Result<()> {
    let _ = (disk, dir, at);
    todo!()
}
