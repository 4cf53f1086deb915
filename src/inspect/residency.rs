//! What the page cache holds of each segment, and what pulling the plug now would cost.

use super::view::{partition_dirs, segment_bases, Checkpoints};
use super::walk::LogWalk;
use crate::disk::{page_cache, RealDisk};
use crate::error::{Error, Result};
use crate::record::BatchHeader;
use crate::storage::names::{file_name, FileKind};
use crate::storage::read_flushed_mark;
use crate::time::{Clock, SystemClock};
use crate::types::{Offset, Timestamp, TopicPartition};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How exactly the first dirty page is looked for.
const CLEAN_STEP_BYTES: u64 = 4096;

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

/// What pulling the plug now would take, by the best knowledge: records behind the recovery point whose pages are not on the
/// device; where the system does not tell of pages, all behind the recovery point. A file system that notes a file's new
/// length a few seconds after its pages may take those seconds as well.
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
/// `LOG_DIR_NOT_FOUND`, or what reading met.
pub fn cache(dir: &Path) -> Result<CacheReport> {
    let checkpoints = Checkpoints::read(dir);
    let now = SystemClock::new().realtime();
    let mut report = CacheReport { partitions: Vec::new(), unplug_loss: UnplugLoss::default(), knows_dirty: true };
    for (id, path) in partition_dirs(dir)? {
        let partition = partition_cache(id, &path, &checkpoints, now)?;
        report.knows_dirty &= partition.segments.iter().all(|segment| segment.dirty_bytes.is_some());
        report.unplug_loss.add(&partition.unplug_loss);
        report.partitions.push(partition);
    }
    Ok(report)
}

fn partition_cache(id: TopicPartition, dir: &Path, known: &Checkpoints, now: Timestamp) -> Result<PartitionCache> {
    let checkpointed = known.recovery_points.offsets.get(&id).copied();
    let recovery_point = read_flushed_mark(&RealDisk, dir).max(checkpointed).unwrap_or(Offset::ZERO);
    let bases = segment_bases(dir)?;
    let mut partition = PartitionCache {
        id,
        recovery_point,
        log_end: bases.last().copied().unwrap_or(Offset::ZERO),
        segments: Vec::new(),
        unplug_loss: UnplugLoss::default(),
    };
    for (index, base) in bases.iter().enumerate() {
        // A segment that ends at or below the recovery point need not be opened: its end is where the next one begins.
        let end = bases.get(index + 1).copied();
        let is_flushed = known.clean || end.is_some_and(|end| end <= recovery_point);
        let path = dir.join(file_name(*base, FileKind::Log));
        match segment_cache(&path, *base, is_flushed, end.is_none(), &mut partition, now) {
            Err(error) if error.io_kind() == Some(std::io::ErrorKind::NotFound) => {} // expired meanwhile
            outcome => outcome?,
        }
    }
    if known.clean {
        partition.recovery_point = partition.log_end;
    }
    Ok(partition)
}

fn segment_cache(
    path: &Path,
    base: Offset,
    is_flushed: bool,
    is_last: bool,
    partition: &mut PartitionCache,
    now: Timestamp,
) -> Result<()> {
    let file = std::fs::File::open(path).map_err(|e| Error::io("open", path, e))?;
    let mut segment = SegmentCache {
        path: path.to_owned(),
        base_offset: base,
        log_bytes: file.metadata().map_err(|e| Error::io("measure", path, e))?.len(),
        resident_bytes: None,
        dirty_bytes: None,
        unflushed_bytes: 0,
    };
    // Asked before any header is read.
    if let Some(pages) =
        page_cache(&file, 0, segment.log_bytes).map_err(|e| Error::io("ask for the pages of", path, e))?
    {
        segment.resident_bytes = Some(pages.cached_bytes);
        segment.dirty_bytes = pages.dirty_bytes.map(|dirty| dirty + pages.writeback_bytes.unwrap_or(0));
    }
    if !is_flushed || is_last {
        let clean_until = if is_flushed { segment.log_bytes } else { clean_until(&file, segment.log_bytes) };
        let mut walk = LogWalk::open(path)?;
        walk.skip_to(partition.recovery_point, base)?;
        while let Some((_, header)) = walk.step_header()? {
            partition.log_end = header.end_offset();
            if !is_flushed && header.end_offset() > partition.recovery_point {
                segment.unflushed_bytes += u64::from(header.batch_bytes);
                if walk.at() > clean_until {
                    partition.unplug_loss.add_batch(&header, partition.recovery_point, now);
                }
            }
        }
    }
    partition.segments.push(segment);
    Ok(())
}

/// The byte before which no page is dirty or on its way to the device; 0 where the system does not tell.
fn clean_until(file: &std::fs::File, len: u64) -> u64 {
    let is_clean = |bytes: u64| match page_cache(file, 0, bytes) {
        Ok(Some(pages)) => pages.dirty_bytes == Some(0) && pages.writeback_bytes == Some(0),
        Ok(None) | Err(_) => false,
    };
    let (mut clean, mut end) = (0, len);
    if is_clean(len) {
        return len;
    }
    while end - clean > CLEAN_STEP_BYTES {
        let middle = clean + (end - clean) / 2;
        if is_clean(middle) {
            clean = middle;
        } else {
            end = middle;
        }
    }
    clean
}

impl UnplugLoss {
    fn add(&mut self, other: &UnplugLoss) {
        self.records += other.records;
        self.bytes += other.bytes;
        self.age = self.age.max(other.age);
    }

    fn add_batch(&mut self, header: &BatchHeader, flushed: Offset, now: Timestamp) {
        self.records += header.end_offset().since(header.base_offset.max(flushed));
        self.bytes += u64::from(header.batch_bytes);
        // The newest timestamp of the batch: when it was written at the latest.
        if header.max_timestamp >= 0 {
            let age = u64::try_from(now.0.saturating_sub(header.max_timestamp)).unwrap_or(0);
            self.age = self.age.max(Some(Duration::from_millis(age)));
        }
    }
}
