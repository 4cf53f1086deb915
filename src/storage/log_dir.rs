//! A data directory: its lock and the marker of a clean shutdown.

use crate::disk::Disk;
use crate::error::Result;
use std::path::Path;
use std::sync::Arc;

/// A locked data directory. Dropping it lets go of the lock.
pub struct LogDir;

impl LogDir {
    /// Creates the directory if it is absent (its parent must exist; both made durable) and takes its lock. Errors say
    /// which of these it is: another open holds it (STATE), not a directory (LOG_DIR_NOT_FOUND), read-only or without
    /// permission (KAFKA_STORAGE_ERROR).
    pub fn open(disk: &Arc<dyn Disk>, dir: &Path) -> Result<LogDir> {
        let _ = (disk, dir);
        todo!()
    }
    /// The directory.
    pub fn path(&self) -> &Path {
        todo!()
    }
}

/// Writes `.kafka_cleanshutdown`, durably. The last act of an orderly shutdown.
pub fn write_clean_shutdown(disk: &dyn Disk, dir: &Path) -> Result<()> {
    let _ = (disk, dir);
    todo!()
}
/// Removes the marker if there is one (durable on return) and says whether there was. The first act of a start.
pub fn take_clean_shutdown(disk: &dyn Disk, dir: &Path) -> Result<bool> {
    let _ = (disk, dir);
    todo!()
}
/// Whether the marker is there; for read-only opens.
pub fn has_clean_shutdown(disk: &dyn Disk, dir: &Path) -> Result<bool> {
    let _ = (disk, dir);
    todo!()
}
