//! What the node counts, as one snapshot. Asking opens no log and waits for nobody who works.

use super::partition::Partition;
use super::slot::Slot;
use super::Node;
use crate::storage::LogOffsets;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::Duration;

/// The node at one moment. All counters since it was opened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NodeStats {
    pub dir: PathBuf,
    pub node_id: u32,
    pub cluster_id: Option<String>,
    pub uptime: Duration,
    /// Times that the node was woken to look after itself.
    pub ticks: u64,
    /// Logs that are open now, and the most that may be.
    pub open_partitions: u64,
    pub open_partitions_max: u64,
    /// Logs that were opened, and those that were closed again to make a place.
    pub logs_opened: u64,
    pub logs_rested: u64,
    /// Bytes whose checksums recovery compared, and bytes that it cut off as torn tails.
    pub recovery_scanned_bytes: u64,
    pub recovery_truncated_bytes: u64,
    pub checkpoints_written: u64,
    pub segments_deleted: u64,
    pub segments_dropped_for_space: u64,
    /// `dir.max.bytes` and what counts against it; `None` when there is no cap.
    pub dir_used_and_max_bytes: Option<(u64, u64)>,
    pub topics: BTreeMap<Arc<str>, Vec<PartitionStats>>,
}

/// One partition at one moment.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct PartitionStats {
    pub partition: u32,
    pub is_open: bool,
    pub is_offline: bool,
    /// `None` until the log was open once.
    pub offsets: Option<LogOffsets>,
    /// Of the `.log` files; 0 while the log is closed.
    pub log_bytes: u64,
    pub segments: u64,
    pub appends: u64,
    pub records: u64,
    pub appended_bytes: u64,
    pub syncs: u64,
    pub sync_nanos: u64,
}

impl Node {
    /// A snapshot of all counters.
    #[must_use]
    pub fn stats(&self) -> NodeStats {
        let house = &self.house;
        let counters = &house.counters;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let topics = self.topic_handles().into_iter().map(|topic| {
            let partitions = topic.partitions().iter().map(|partition| partition.stats()).collect();
            (Arc::clone(&topic.name), partitions)
        });
        NodeStats {
            dir: house.dir.clone(),
            node_id: self.identity.node_id.unwrap_or_default().0,
            cluster_id: self.identity.cluster_id.clone(),
            uptime: house.clock.monotonic().since(self.opened_at),
            ticks: read(&counters.ticks),
            open_partitions: house.open.count() as u64,
            open_partitions_max: self.config.open_partitions_max as u64,
            logs_opened: read(&counters.opened),
            logs_rested: read(&counters.rested),
            recovery_scanned_bytes: read(&counters.recovery_scanned_bytes),
            recovery_truncated_bytes: read(&counters.recovery_truncated_bytes),
            checkpoints_written: read(&counters.checkpoints_written),
            segments_deleted: read(&counters.segments_deleted),
            segments_dropped_for_space: read(&counters.segments_dropped_for_space),
            dir_used_and_max_bytes: house.space.used_and_max(),
            topics: topics.collect(),
        }
    }
}

impl Partition {
    fn stats(&self) -> PartitionStats {
        let counters = &self.counters;
        let mut stats = PartitionStats {
            partition: self.id().partition,
            appends: counters.appends.load(Ordering::Relaxed),
            records: counters.records.load(Ordering::Relaxed),
            appended_bytes: counters.bytes.load(Ordering::Relaxed),
            syncs: counters.past_syncs.load(Ordering::Relaxed),
            sync_nanos: counters.past_sync_nanos.load(Ordering::Relaxed),
            ..PartitionStats::default()
        };
        // Whoever opens or closes a log takes its time; statistics do not wait for that.
        let Some(slot) = self.slot.try_read() else { return stats };
        match &*slot {
            Slot::Open(log) => {
                let syncs = log.sync_counters();
                stats.is_open = true;
                stats.is_offline = log.failure().is_some();
                stats.offsets = Some(log.offsets());
                stats.log_bytes = log.size_bytes();
                stats.segments = log.segment_summaries().len() as u64;
                stats.syncs += syncs.syncs;
                stats.sync_nanos += syncs.sync_nanos;
            }
            Slot::Resting(rest) => stats.offsets = rest.offsets,
            Slot::Deleted => {}
        }
        stats
    }
}
