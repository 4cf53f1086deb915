//! What the page cache holds of each segment, and what pulling the plug now would cost.

use crate::error::Result;
use crate::types::{Offset, TopicPartition};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Pages of one segment's log.
#[derive(Clone, Debug)]
pub struct SegmentCache {
    pub path: PathBuf,
    pub base_offset: Offset,
    pub log_bytes: u64,
    /// In memory; `None` where the system cannot tell.
    pub resident_bytes: Option<u64>,
    /// In memory and not on the device yet: dirty, or on its way. `None` where the system cannot tell (Linux before 6.5).
    pub dirty_bytes: Option<u64>,
    /// At or behind the recovery point: not known to be flushed, as far as the checkpoint knows.
    pub unflushed_bytes: u64,
}

/// One partition.
#[derive(Clone, Debug)]
pub struct PartitionCache {
    pub id: TopicPartition,
    pub recovery_point: Offset,
    pub log_end: Offset,
    pub segments: Vec<SegmentCache>,
    pub unplug_loss: UnplugLoss,
}

/// What is not known to survive a power cut: an upper bound, since the system may have written pages that nobody reported.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct UnplugLoss {
    pub records: u64,
    pub bytes: u64,
    /// Age of the oldest such record by its timestamp; `None` when there is none.
    pub age: Option<Duration>,
}

/// The whole directory.
#[derive(Clone, Debug)]
pub struct CacheReport {
    pub partitions: Vec<PartitionCache>,
    pub unplug_loss: UnplugLoss,
    /// Whether dirty pages could be counted; if not, the estimate leans on the recovery point alone.
    pub knows_dirty: bool,
}

/// Looks at every segment under `dir`. Safe beside a live writer; brings no page into memory that was not there, except
/// headers of the batches behind the recovery point.
///
/// # Errors
/// As for [`DataDirView::read`](super::DataDirView::read).
pub fn cache(dir: &Path) -> Result<CacheReport> {
    let _ = dir;
    todo!()
}
