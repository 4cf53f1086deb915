//! The words in which a log is opened, asked and answered.

use super::open_files::OpenFiles;
use crate::config::LogConfig;
use crate::disk::Disk;
use crate::time::Clock;
use crate::types::{Offset, Timestamp, TopicPartition};
use bytes::Bytes;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// The four numbers of a log.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LogOffsets {
    /// First offset that retention left us.
    pub log_start: Offset,
    /// End of what consumers may read.
    pub high_watermark: Offset,
    /// End of what a sync has covered (Kafka's recovery point).
    pub flushed: Offset,
    /// Next free offset.
    pub log_end: Offset,
}

/// What opening a log needs to know.
#[derive(Clone)]
pub struct Opening {
    pub disk: Arc<dyn Disk>,
    pub clock: Arc<dyn Clock>,
    /// The partition's directory; created when absent (its parent must exist).
    pub dir: PathBuf,
    pub partition: TopicPartition,
    pub config: LogConfig,
    /// Checkpointed end of what is known to be durable; 0 when unknown.
    pub recovery_point: Offset,
    /// Checkpointed log start; 0 when unknown.
    pub log_start: Offset,
    /// Checkpointed high watermark; 0 when unknown.
    pub high_watermark: Offset,
    /// Whether the log was closed in order: then nothing is scanned.
    pub clean: bool,
    /// An earlier opening has failed: what no sync vouches for is made anew ([`doubt`](super::doubt)).
    pub in_doubt: bool,
    /// The topic's id, written to `partition.metadata` when that is absent, compared when it is there.
    pub topic_id: Option<[u8; 16]>,
    pub files: Arc<OpenFiles>,
}

impl fmt::Debug for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opening").field("dir", &self.dir).field("clean", &self.clean).finish_non_exhaustive()
    }
}

/// Where an append went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Appended {
    pub base_offset: Offset,
    pub last_offset: Offset,
    /// The leader's time, when the topic says LogAppendTime.
    pub log_append_time: Option<Timestamp>,
    /// The batch was in the log already (a retry of an idempotent producer); nothing was written.
    pub duplicate: bool,
}

/// How far a read may go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UpTo {
    /// For followers, who read what is not replicated yet.
    LogEnd,
    HighWatermark,
    Offset(Offset),
}

/// What to read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fetch {
    pub from: Offset,
    /// Upper bound of the answer, in bytes.
    pub bytes_max: usize,
    pub up_to: UpTo,
    /// Answer with one whole batch even when it is larger than `bytes_max`.
    pub min_one_message: bool,
}

/// Whole batches, checksums not yet compared. The first may begin below the offset asked for.
#[derive(Clone, Debug)]
pub struct Fetched {
    pub batches: Bytes,
}

/// What a segment holds, for people and tools.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SegmentSummary {
    pub base_offset: Offset,
    /// Next free offset: the end of this segment.
    pub end_offset: Offset,
    /// Bytes of the `.log` file.
    pub log_bytes: u64,
    /// Largest record timestamp; `None` when the segment has none.
    pub max_timestamp: Option<Timestamp>,
    pub sealed: bool,
}

/// What a retention pass did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RetentionOutcome {
    pub segments_deleted: u32,
    pub bytes_deleted: u64,
    /// When something will qualify by age if nothing else happens; `None` when nothing will.
    pub next_expiry: Option<Timestamp>,
}

/// What syncing has cost so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SyncCounters {
    /// fdatasync calls on `.log` files.
    pub syncs: u64,
    /// Nanoseconds spent in them.
    pub sync_nanos: u64,
}
