//! What lies in a data directory: partitions and their segments, by name and size.

use crate::error::Result;
use crate::types::{Offset, Timestamp, TopicPartition};
use std::path::{Path, PathBuf};

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
    /// From the checkpoints of the data directory; `None` where they do not name this partition.
    pub recovery_point: Option<Offset>,
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

impl DataDirView {
    /// Reads names, sizes, checkpoints and batch headers of everything under `dir`. Safe beside a live writer.
    ///
    /// # Errors
    /// `LOG_DIR_NOT_FOUND`, or what reading met.
    pub fn read(dir: &Path) -> Result<DataDirView> {
        let _ = dir;
        todo!()
    }
}

impl PartitionView {
    /// One partition's directory by itself, as Kafka or we wrote it.
    ///
    /// # Errors
    /// What reading met; a directory whose name is not a partition's is `INVALID_ARG`.
    pub fn read(dir: &Path) -> Result<PartitionView> {
        let _ = dir;
        todo!()
    }

    /// The offset behind the last whole batch.
    #[must_use]
    pub fn log_end(&self) -> Offset {
        todo!()
    }

    /// Bytes of all `.log` files.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.segments.iter().map(|s| s.log_bytes).sum()
    }
}
