//! What all partitions of a node share: the directory, the disk, the clock, and the books that are kept of them.

use super::checkpoints::Checkpoints;
use super::deletions::Deletions;
use super::notices::{Alarm, LogLevel, Notices};
use super::open_partitions::OpenPartitions;
use super::replica::Links;
use super::space::Space;
use super::upkeep::Upkeep;
use crate::disk::Disk;
use crate::error::{Error, ErrorCode, Result};
use crate::storage::names::partition_dir_name;
use crate::storage::OpenFiles;
use crate::time::{Clock, Instant};
use crate::types::{NodeId, TopicPartition};
use parking_lot::Mutex;
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

/// What has happened since the node was opened.
#[derive(Debug, Default)]
pub(super) struct HouseCounters {
    pub(super) ticks: AtomicU64,
    pub(super) opened: AtomicU64,
    pub(super) rested: AtomicU64,
    pub(super) recovery_scanned_bytes: AtomicU64,
    pub(super) recovery_truncated_bytes: AtomicU64,
    pub(super) checkpoints_written: AtomicU64,
    pub(super) segments_deleted: AtomicU64,
    pub(super) segments_dropped_for_space: AtomicU64,
}

pub(super) struct House {
    pub(super) dir: PathBuf,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) space: Space,
    pub(super) files: Arc<OpenFiles>,
    pub(super) open: OpenPartitions,
    pub(super) upkeep: Upkeep,
    pub(super) checkpoints: Checkpoints,
    pub(super) notices: Notices,
    pub(super) counters: HouseCounters,
    pub(super) deletions: Deletions,
    pub(super) randomness: Mutex<fastrand::Rng>,
    pub(super) node_id: NodeId,
    /// The cluster; `None` for a node that is alone.
    pub(super) links: Option<Arc<dyn Links>>,
    /// The node epoch with which it left its cluster in order; 0 when it did not.
    pub(super) left_with: AtomicU64,
    /// The node epoch that the last clean shutdown left behind.
    pub(super) previous_epoch: Option<u64>,
    pub(super) alarm: OnceLock<Arc<dyn Alarm>>,
    /// Of the thread that does the upkeep, where that is another one.
    pub(super) upkeep_alarm: OnceLock<Arc<dyn Alarm>>,
    pub(super) closed: AtomicBool,
    /// A partition of a cluster has gone offline since this was looked at last.
    pub(super) has_failed: AtomicBool,
}

impl House {
    pub(super) fn check_open(&self) -> Result<()> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::new(ErrorCode::CLOSED, "the engine is closed"));
        }
        Ok(())
    }

    pub(super) fn partition_dir(&self, partition: &TopicPartition) -> PathBuf {
        self.dir.join(partition_dir_name(partition))
    }

    pub(super) fn left_with(&self) -> Option<u64> {
        Some(self.left_with.load(Ordering::Acquire)).filter(|epoch| *epoch > 0)
    }

    pub(super) fn wake_by(&self, when: Instant) {
        if let Some(alarm) = self.alarm.get() {
            alarm.wake_by(when);
        }
    }

    /// As [`wake_by`](House::wake_by), for what may have to wait for the disk.
    pub(super) fn wake_upkeep_by(&self, when: Instant) {
        match self.upkeep_alarm.get() {
            Some(alarm) => alarm.wake_by(when),
            None => self.wake_by(when),
        }
    }

    /// Something for the log; whoever runs the node comes to fetch it.
    pub(super) fn tell(&self, level: LogLevel, text: impl FnOnce() -> String) {
        self.tell_as(level, "node", text);
    }

    pub(super) fn tell_as(&self, level: LogLevel, facility: &'static str, text: impl FnOnce() -> String) {
        if self.notices.push(level, facility, text()) {
            self.wake_by(self.clock.monotonic());
        }
    }

    /// A flushed end, high watermark or log start moved: the files that say so are due some time.
    pub(super) fn checkpoints_moved(&self) {
        if let Some(due) = self.checkpoints.moved(self.clock.as_ref()) {
            self.wake_upkeep_by(due);
        }
    }
}

impl fmt::Debug for House {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("House").field("dir", &self.dir).finish_non_exhaustive()
    }
}
