//! Where a metadata log lives, and how its entries are opened behind a snapshot.

use super::entries::{from_batch, offset_of};
use super::snapshots;
use crate::config::LogConfig;
use crate::controller::{RaftEntry, RaftSnapshot};
use crate::disk::Disk;
use crate::error::{Error, ErrorCode, Result};
use crate::record::{batches, Inflater, INFLATED_BYTES_MAX};
use crate::storage::names::{parse_file_name, partition_dir_name, FileKind};
use crate::storage::{Fetch, Log, OpenFiles, Opening, UpTo};
use crate::time::Clock;
use crate::types::{Offset, TopicPartition};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Kafka's name (`Topic.CLUSTER_METADATA_TOPIC_NAME`).
const METADATA_TOPIC: &str = "__cluster_metadata";
/// Kafka's id (`Uuid.METADATA_TOPIC_ID`).
const METADATA_TOPIC_ID: [u8; 16] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
/// One read while opening.
const READ_BYTES: usize = 1024 * 1024;

/// Where a metadata log lives.
#[derive(Clone)]
pub(crate) struct MetadataPlace {
    pub disk: Arc<dyn Disk>,
    pub clock: Arc<dyn Clock>,
    /// The node's data directory, which exists and is locked by the caller.
    pub data_dir: PathBuf,
    /// `metadata.log.segment.bytes`; the largest entry has to fit.
    pub segment_bytes: u32,
}

impl fmt::Debug for MetadataPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetadataPlace").field("dir", &self.dir()).finish_non_exhaustive()
    }
}

impl MetadataPlace {
    /// Four of the largest entries.
    pub const SEGMENT_BYTES: u32 = 64 * 1024 * 1024 + 64 * 1024;

    pub fn dir(&self) -> PathBuf {
        self.data_dir.join(partition_dir_name(&partition()))
    }

    pub(super) fn make_dir(&self) -> Result<()> {
        let dir = self.dir();
        if !self.disk.exists(&dir).map_err(|e| Error::io("look for", &dir, e))? {
            self.disk.create_dir(&dir).map_err(|e| Error::io("create directory", &dir, e))?;
        }
        // A crash may have come between the two.
        self.disk.sync_dir(&self.data_dir).map_err(|e| Error::sync("sync directory", &self.data_dir, e))
    }

    pub(super) fn has_segments(&self) -> Result<bool> {
        let dir = self.dir();
        let entries = self.disk.list(&dir).map_err(|e| Error::io("list directory", &dir, e))?;
        Ok(entries.iter().filter_map(|entry| parse_file_name(&entry.name)).any(|file| file.kind == FileKind::Log))
    }

    /// Whether nothing was ever written here.
    pub(super) fn is_new(&self) -> Result<bool> {
        Ok(!self.has_segments()? && snapshots::list(&*self.disk, &self.dir())?.is_empty())
    }

    /// Opens the log with records from `log_start` on; one that ends before begins there anew.
    fn open_log(&self, log_start: Offset, commit: u64) -> Result<Log> {
        let config = LogConfig {
            segment_bytes: self.segment_bytes,
            max_message_bytes: self.segment_bytes,
            segment_index_bytes: (self.segment_bytes / 256).max(4096),
            retention_age: None,
            file_delete_delay: Duration::ZERO,
            ..LogConfig::default()
        };
        let log = Log::open(Opening {
            disk: self.disk.clone(),
            clock: self.clock.clone(),
            dir: self.dir(),
            partition: partition(),
            config,
            recovery_point: Offset::ZERO,
            log_start,
            high_watermark: Offset(commit),
            clean: false,
            in_doubt: false,
            topic_id: Some(METADATA_TOPIC_ID),
            files: Arc::new(OpenFiles::new(1)),
        })?;
        match &log.recovery_report().damage {
            Some(damage) => Err(damage.clone().within("metadata log").into_fatal()),
            None => Ok(log),
        }
    }

    /// The log behind a snapshot.
    pub(super) fn open_behind(&self, snapshot: Option<&RaftSnapshot>, commit: u64) -> Result<Log> {
        let end = Offset(snapshot.map_or(0, |snapshot| snapshot.index));
        // The last entry that the snapshot covers stays readable for now: it tells whether the rest belongs behind it.
        let log = self.open_log(Offset(end.0.saturating_sub(1)), commit)?;
        if log.log_start() > end {
            return refuse(format!("entries from {end} to {} are gone and no snapshot covers them", log.log_start()));
        }
        let Some(snapshot) = snapshot else { return Ok(log) };
        let belongs = log.log_end() >= end
            && (log.log_start() == end
                || read_entries(&log, offset_of(snapshot.index), end)?.iter().all(|last| last.term == snapshot.term));
        let log = if belongs { log } else { self.begin_anew(log, end)? };
        log.advance_high_watermark(end);
        log.delete_records(Some(end))?;
        Ok(log)
    }

    /// An empty log that begins at `at`, after a snapshot that covers everything below is durable.
    ///
    /// Crash before the cut is over: the old log or a prefix of it, which opening judges again. After: a log that ends below `at`,
    /// which opening begins anew.
    pub(super) fn begin_anew(&self, log: Log, at: Offset) -> Result<Log> {
        let first = log.segment_summaries().first().map_or(Offset::ZERO, |segment| segment.base_offset);
        if first >= at {
            return refuse(format!("a snapshot that ends at {at}, and the log begins at {first}"));
        }
        log.truncate_to(first)?;
        drop(log);
        self.open_log(at, at.0)
    }
}

fn partition() -> TopicPartition {
    TopicPartition::new(METADATA_TOPIC, 0)
}

pub(super) fn refuse<T>(why: String) -> Result<T> {
    Err(Error::fatal(ErrorCode::KAFKA_STORAGE_ERROR, format!("metadata log: {why}")))
}

/// The entries of `[from, to)`, none missing.
pub(super) fn read_entries(log: &Log, from: Offset, to: Offset) -> Result<Vec<RaftEntry>> {
    let mut entries = Vec::new();
    let mut inflater = Inflater::new(INFLATED_BYTES_MAX);
    let mut next = from;
    while next < to {
        let fetch = Fetch { from: next, bytes_max: READ_BYTES, up_to: UpTo::Offset(to), min_one_message: true };
        let fetched = log.read(fetch)?;
        for batch in batches(&fetched.batches) {
            let entry = from_batch(&batch?.1, &mut inflater)?;
            if offset_of(entry.index) != next {
                return refuse(format!("an entry at offset {} where {next} should be", offset_of(entry.index)));
            }
            next = next.next();
            entries.push(entry);
        }
        if fetched.batches.is_empty() {
            return refuse(format!("no entry at offset {next}, and it ends at {to}"));
        }
    }
    Ok(entries)
}
