//! What lies in a data directory: partitions and their segments, by name and size.

use super::walk::LogWalk;
use crate::disk::{Disk, RealDisk};
use crate::error::{Error, ErrorCode, Result};
use crate::storage::checkpoint::{HIGH_WATERMARK_FILE, LOG_START_FILE, RECOVERY_POINT_FILE};
use crate::storage::log_dir::has_clean_shutdown;
use crate::storage::names::{file_name, parse_dir_name, parse_file_name, DirMark, FileKind, FileState};
use crate::storage::{partition_metadata, read_flushed_mark, LeaderEpochs, OffsetCheckpoint};
use crate::types::{Offset, Timestamp, TopicPartition};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One data directory as its files are now.
#[derive(Clone, Debug)]
pub struct DataDirView {
    pub path: PathBuf,
    /// Ordered by topic and partition.
    pub partitions: Vec<PartitionView>,
    /// Whether the last writer closed it cleanly (and nobody has opened it since).
    pub clean: bool,
}

/// One partition's directory.
#[derive(Clone, Debug)]
pub struct PartitionView {
    pub id: TopicPartition,
    pub path: PathBuf,
    /// Topic id of `partition.metadata`.
    pub topic_id: Option<[u8; 16]>,
    /// In offset order.
    pub segments: Vec<SegmentView>,
    /// Everything below is known to be flushed: by the checkpoint, by the mark that each flush leaves, or by a clean shutdown.
    /// `None` when nobody says.
    pub recovery_point: Option<Offset>,
    /// From the checkpoints of the data directory; `None` where they do not name this partition.
    pub high_watermark: Option<Offset>,
    pub log_start: Option<Offset>,
    /// `leader-epoch-checkpoint`: epoch and its first offset.
    pub leader_epochs: Vec<(u32, Offset)>,
}

/// One segment: sizes by the file system, offsets by a walk over its batch headers.
#[derive(Clone, Debug)]
pub struct SegmentView {
    pub path: PathBuf,
    pub base_offset: Offset,
    pub log_bytes: u64,
    pub index_bytes: Option<u64>,
    pub time_index_bytes: Option<u64>,
    pub txn_index_bytes: Option<u64>,
    /// `None` when there is no whole batch in it.
    pub first_offset: Option<Offset>,
    pub last_offset: Option<Offset>,
    pub max_timestamp: Option<Timestamp>,
    pub batches: u64,
    /// Bytes of whole batches from the start; the rest is a torn tail, or damage.
    pub valid_bytes: u64,
}

/// The three offset checkpoints of a data directory. What cannot be read counts as empty here; `check` reports it.
pub(super) struct Checkpoints {
    pub recovery_points: OffsetCheckpoint,
    pub high_watermarks: OffsetCheckpoint,
    pub log_starts: OffsetCheckpoint,
    pub clean: bool,
}

impl Checkpoints {
    pub fn read(dir: &Path) -> Checkpoints {
        let read = |name| OffsetCheckpoint::read_lenient(&RealDisk, &dir.join(name)).0;
        Checkpoints {
            recovery_points: read(RECOVERY_POINT_FILE),
            high_watermarks: read(HIGH_WATERMARK_FILE),
            log_starts: read(LOG_START_FILE),
            clean: has_clean_shutdown(&RealDisk, dir).unwrap_or(false),
        }
    }
}

impl DataDirView {
    /// Reads names, sizes, checkpoints and batch headers of everything under `dir`. Safe beside a live writer.
    ///
    /// # Errors
    /// `LOG_DIR_NOT_FOUND`, or what reading met.
    pub fn read(dir: &Path) -> Result<DataDirView> {
        let checkpoints = Checkpoints::read(dir);
        let mut partitions = Vec::new();
        for (id, path) in partition_dirs(dir)? {
            partitions.push(PartitionView::read_with(id, &path, Some(&checkpoints))?);
        }
        Ok(DataDirView { path: dir.to_owned(), partitions, clean: checkpoints.clean })
    }
}

/// The directories of live partitions, ordered by topic and partition.
pub(super) fn partition_dirs(dir: &Path) -> Result<Vec<(TopicPartition, PathBuf)>> {
    let mut found = Vec::new();
    for entry in list(dir)? {
        if let (true, Some((id, DirMark::Live))) = (entry.is_dir, parse_dir_name(&entry.name)) {
            found.push((id, dir.join(&entry.name)));
        }
    }
    found.sort();
    Ok(found)
}

pub(super) fn list(dir: &Path) -> Result<Vec<crate::disk::DirEntry>> {
    RealDisk.list(dir).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => {
            Error::new(ErrorCode::LOG_DIR_NOT_FOUND, format!("{} is no directory", dir.display()))
        }
        _ => Error::io("list", dir, error),
    })
}

/// Base offsets of the live segments of a partition's directory, ascending.
pub(super) fn segment_bases(dir: &Path) -> Result<Vec<Offset>> {
    let entries = list(dir)?;
    let names = entries.iter().filter_map(|entry| parse_file_name(&entry.name));
    let mut bases: Vec<Offset> = names
        .filter(|name| name.kind == FileKind::Log && name.state == FileState::Live)
        .map(|name| name.base)
        .collect();
    bases.sort_unstable();
    Ok(bases)
}

impl PartitionView {
    /// One partition's directory by itself, as Kafka or we wrote it.
    ///
    /// # Errors
    /// What reading met; a directory whose name is not a partition's is `INVALID_ARG`.
    pub fn read(dir: &Path) -> Result<PartitionView> {
        let name = dir.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let Some((id, _)) = parse_dir_name(name) else {
            let message = format!("{} is not named like a partition's directory", dir.display());
            return Err(Error::new(ErrorCode::INVALID_ARG, message));
        };
        PartitionView::read_with(id, dir, None)
    }

    fn read_with(id: TopicPartition, dir: &Path, checkpoints: Option<&Checkpoints>) -> Result<PartitionView> {
        // The mark and the checkpoints first: a live writer moves them behind the log's end, never before it.
        let marked = read_flushed_mark(&RealDisk, dir);
        let of = |checkpoint: &OffsetCheckpoint| checkpoint.offsets.get(&id).copied();
        let checkpointed = checkpoints.and_then(|all| of(&all.recovery_points));
        let segments = segment_bases(dir)?
            .into_iter()
            .filter_map(|base| SegmentView::read(dir, base).transpose())
            .collect::<Result<Vec<SegmentView>>>()?;
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let (epochs, _) = LeaderEpochs::open(&disk, dir)?;
        let mut view = PartitionView {
            path: dir.to_owned(),
            topic_id: partition_metadata::read(&RealDisk, dir).ok().flatten(),
            segments,
            recovery_point: marked.max(checkpointed),
            high_watermark: checkpoints.and_then(|all| of(&all.high_watermarks)),
            log_start: checkpoints.and_then(|all| of(&all.log_starts)),
            leader_epochs: epochs.entries().iter().map(|(epoch, start)| (epoch.0, *start)).collect(),
            id,
        };
        if checkpoints.is_some_and(|all| all.clean) {
            view.recovery_point = Some(view.log_end());
        }
        Ok(view)
    }

    /// The offset behind the last whole batch.
    #[must_use]
    pub fn log_end(&self) -> Offset {
        self.segments.last().map_or(Offset::ZERO, |last| last.last_offset.map_or(last.base_offset, Offset::next))
    }

    /// Bytes of all `.log` files.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.segments.iter().map(|s| s.log_bytes).sum()
    }
}

impl SegmentView {
    /// `None` when the file has gone meanwhile.
    fn read(dir: &Path, base: Offset) -> Result<Option<SegmentView>> {
        let path = dir.join(file_name(base, FileKind::Log));
        let mut walk = match LogWalk::open(&path) {
            Ok(walk) => walk,
            Err(error) if error.io_kind() == Some(std::io::ErrorKind::NotFound) => return Ok(None),
            Err(error) => return Err(error),
        };
        let bytes_of = |kind| RealDisk.open_read(&dir.join(file_name(base, kind))).and_then(|file| file.len()).ok();
        let mut view = SegmentView {
            base_offset: base,
            log_bytes: walk.len(),
            index_bytes: bytes_of(FileKind::Index),
            time_index_bytes: bytes_of(FileKind::TimeIndex),
            txn_index_bytes: bytes_of(FileKind::TxnIndex),
            first_offset: None,
            last_offset: None,
            max_timestamp: None,
            batches: 0,
            valid_bytes: 0,
            path,
        };
        while let Some((_, header)) = walk.step_header()? {
            view.batches += 1;
            view.first_offset = view.first_offset.or(Some(header.base_offset));
            view.last_offset = Some(header.last_offset());
            let timestamp = (header.max_timestamp >= 0).then_some(Timestamp(header.max_timestamp));
            view.max_timestamp = view.max_timestamp.max(timestamp);
            view.valid_bytes = walk.at();
        }
        Ok(Some(view))
    }
}
