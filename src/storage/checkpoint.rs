//! Kafka's small text files: a version line, a count line, one entry a line; replaced atomically.

use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::types::{Offset, TopicPartition};
use std::collections::BTreeMap;
use std::path::Path;

/// `recovery-point-offset-checkpoint`.
pub const RECOVERY_POINT_FILE: &str = "recovery-point-offset-checkpoint";
/// `replication-offset-checkpoint`: the high watermarks.
pub const HIGH_WATERMARK_FILE: &str = "replication-offset-checkpoint";
/// `log-start-offset-checkpoint`.
pub const LOG_START_FILE: &str = "log-start-offset-checkpoint";

/// One offset per partition, in one of the three offset checkpoint files.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct OffsetCheckpoint {
    pub offsets: BTreeMap<TopicPartition, Offset>,
}

impl OffsetCheckpoint {
    /// Reads the file. An absent or zero-length file has no entries; a malformed one is CORRUPT_MESSAGE with file and line.
    pub fn read(disk: &dyn Disk, path: &Path) -> Result<OffsetCheckpoint> {
        let _ = (disk, path);
        todo!()
    }
    /// As [`read`](OffsetCheckpoint::read), but an unreadable file counts as empty; what was wrong is returned beside it.
    pub fn read_lenient(disk: &dyn Disk, path: &Path) -> (OffsetCheckpoint, Option<Error>) {
        let _ = (disk, path);
        todo!()
    }
    /// Replaces the file atomically; durable on return.
    pub fn write(&self, disk: &dyn Disk, path: &Path) -> Result<()> {
        let _ = (disk, path);
        todo!()
    }
}

/// Writes `<path>.tmp`, syncs it, renames it over `path` and syncs the directory. A crash leaves the old or the new file.
pub fn replace_file(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> Result<()> {
    let _ = (disk, path, bytes);
    todo!()
}

/// Reads a small file whole; `None` when it is absent. CORRUPT_MESSAGE when it is larger than `bytes_max`.
pub fn read_file(disk: &dyn Disk, path: &Path, bytes_max: u64) -> Result<Option<Vec<u8>>> {
    let _ = (disk, path, bytes_max);
    todo!()
}
