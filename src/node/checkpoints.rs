//! The three files that say how far each partition has come: recovery points, high watermarks, log starts.
//!
//! They are hints: a log believes the lesser of the file and what it finds. So they are written rarely, on intervals of their
//! own, only when something moved, and whole. A log that ends before what a file says has it written at once: what it takes next is
//! not what was committed, or flushed, there.

use super::house::House;
use super::notices::Level;
use super::partition::Partition;
use super::slot::Slot;
use crate::error::{Error, Result};
use crate::storage::checkpoint::{HIGH_WATERMARK_FILE, LOG_START_FILE, RECOVERY_POINT_FILE};
use crate::storage::{Log, LogOffsets, OffsetCheckpoint};
use crate::time::{Clock, Instant};
use crate::types::{Offset, TopicPartition};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// What is written down of one partition.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Marks {
    pub(super) recovery_point: Offset,
    pub(super) high_watermark: Offset,
    pub(super) log_start: Offset,
}

impl From<LogOffsets> for Marks {
    fn from(offsets: LogOffsets) -> Marks {
        Marks { recovery_point: offsets.flushed, high_watermark: offsets.high_watermark, log_start: offsets.log_start }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    RecoveryPoint,
    HighWatermark,
    LogStart,
}

const KINDS: [Kind; 3] = [Kind::RecoveryPoint, Kind::HighWatermark, Kind::LogStart];

impl Kind {
    fn file(self) -> &'static str {
        match self {
            Kind::RecoveryPoint => RECOVERY_POINT_FILE,
            Kind::HighWatermark => HIGH_WATERMARK_FILE,
            Kind::LogStart => LOG_START_FILE,
        }
    }

    fn of(self, marks: &Marks) -> Option<Offset> {
        match self {
            Kind::RecoveryPoint => Some(marks.recovery_point),
            Kind::HighWatermark => Some(marks.high_watermark),
            // Written only where it says more than the name of the first segment.
            Kind::LogStart => Some(marks.log_start).filter(|start| *start > Offset::ZERO),
        }
    }
}

#[derive(Debug)]
struct File {
    interval: Duration,
    due: Option<Instant>,
    written: Option<OffsetCheckpoint>,
}

#[derive(Debug)]
pub(super) struct Checkpoints {
    known: Mutex<BTreeMap<TopicPartition, Marks>>,
    files: Mutex<[File; 3]>,
    // One writer at a time: two would share the name of the temporary file.
    writing: Mutex<()>,
}

impl Checkpoints {
    pub(super) fn new(intervals: [Duration; 3]) -> Checkpoints {
        let files = intervals.map(|interval| File { interval, due: None, written: None });
        Checkpoints { known: Mutex::default(), files: Mutex::new(files), writing: Mutex::default() }
    }

    /// Takes over what the files of a data directory say. What cannot be read counts as absent and is reported.
    pub(super) fn load(&self, disk: &dyn crate::disk::Disk, dir: &Path) -> Vec<Error> {
        let mut complaints = Vec::new();
        let mut known = self.known.lock();
        let mut files = self.files.lock();
        for (kind, file) in KINDS.into_iter().zip(files.iter_mut()) {
            let (checkpoint, complaint) = OffsetCheckpoint::read_lenient(disk, &dir.join(kind.file()));
            complaints.extend(complaint);
            for (partition, offset) in &checkpoint.offsets {
                let marks = known.entry(partition.clone()).or_default();
                match kind {
                    Kind::RecoveryPoint => marks.recovery_point = *offset,
                    Kind::HighWatermark => marks.high_watermark = *offset,
                    Kind::LogStart => marks.log_start = *offset,
                }
            }
            file.written = Some(checkpoint);
        }
        complaints
    }

    pub(super) fn of(&self, partition: &TopicPartition) -> Marks {
        self.known.lock().get(partition).copied().unwrap_or_default()
    }

    /// What a log had reached when it was closed.
    pub(super) fn record(&self, partition: &TopicPartition, marks: Marks) {
        self.known.lock().insert(partition.clone(), marks);
    }

    /// Partitions that are no more.
    pub(super) fn forget(&self, gone: impl Fn(&TopicPartition) -> bool) {
        self.known.lock().retain(|partition, _| !gone(partition));
    }

    /// Something moved. Answers when a file is due, if that is news.
    pub(super) fn moved(&self, clock: &dyn Clock) -> Option<Instant> {
        let mut files = self.files.lock();
        if files.iter().all(|file| file.due.is_some()) {
            return None;
        }
        let now = clock.monotonic();
        files.iter_mut().filter(|file| file.due.is_none()).for_each(|file| file.due = Some(now + file.interval));
        files.iter().filter_map(|file| file.due).min()
    }
}

impl House {
    /// Writes the files that are due and differ from what they say; answers when the next one is.
    pub(super) fn write_due_checkpoints(&self, now: Instant) -> Option<Instant> {
        for kind in KINDS {
            let is_due = {
                let file = &mut self.checkpoints.files.lock()[kind as usize];
                // Wiped before we look: what moves while we write makes it due again.
                let is_due = file.due.is_some_and(|due| due <= now);
                if is_due {
                    file.due = None;
                }
                is_due
            };
            if is_due {
                if let Err(failed) = self.write_checkpoint(kind) {
                    self.tell(Level::Warn, || format!("checkpoint not written: {}", failed.message()));
                    let file = &mut self.checkpoints.files.lock()[kind as usize];
                    file.due = Some(now + file.interval.max(Duration::from_secs(1)));
                }
            }
        }
        self.checkpoints.files.lock().iter().filter_map(|file| file.due).min()
    }

    /// Makes the log starts durable now: what was deleted on request stays deleted.
    pub(super) fn write_log_starts(&self) -> Result<()> {
        self.write_checkpoint(Kind::LogStart)
    }

    /// The log ends here, by a cut or because a crash took the rest. If the files say that more is flushed or committed, that is taken
    /// back, durably on return (Kafka's `LogManager.truncateTo` writes the recovery points as well). Of a damaged log it stays: by it
    /// the next process knows that something is missing.
    pub(super) fn take_back_marks(&self, partition: &TopicPartition, log: &Log) -> Result<()> {
        if log.recovery_report().damage.is_some() {
            return Ok(());
        }
        let offsets = log.offsets();
        let is_past_the_end = |file: &File| {
            let written = file.written.as_ref().and_then(|checkpoint| checkpoint.offsets.get(partition));
            written.is_some_and(|written| *written > offsets.log_end)
        };
        let stale: Vec<Kind> = {
            // It may have looked at the log before it was cut.
            let _not_while_one_is_written = self.checkpoints.writing.lock();
            let files = self.checkpoints.files.lock();
            let kinds = [Kind::RecoveryPoint, Kind::HighWatermark].into_iter();
            kinds.filter(|kind| is_past_the_end(&files[*kind as usize])).collect()
        };
        if !stale.is_empty() {
            self.checkpoints.record(partition, offsets.into());
        }
        stale.into_iter().try_for_each(|kind| self.write_checkpoint(kind))
    }

    /// Before a partition's directory is made: what the files say of an earlier one of its name goes, durably on return, or the next
    /// process would judge the new log by it.
    pub(super) fn drop_marks(&self, partition: &TopicPartition) -> Result<()> {
        let stale: Vec<Kind> = {
            let _not_while_one_is_written = self.checkpoints.writing.lock();
            self.checkpoints.forget(|known| known == partition);
            let files = self.checkpoints.files.lock();
            let names_it = |file: &File| {
                file.written.as_ref().is_some_and(|checkpoint| checkpoint.offsets.contains_key(partition))
            };
            KINDS.into_iter().filter(|kind| names_it(&files[*kind as usize])).collect()
        };
        stale.into_iter().try_for_each(|kind| self.write_checkpoint(kind))
    }

    /// All three, now.
    pub(super) fn write_checkpoints(&self) -> Result<()> {
        KINDS.into_iter().try_for_each(|kind| self.write_checkpoint(kind))
    }

    fn write_checkpoint(&self, kind: Kind) -> Result<()> {
        let _one_at_a_time = self.checkpoints.writing.lock();
        self.collect_marks();
        let offsets: BTreeMap<_, _> = {
            let known = self.checkpoints.known.lock();
            known.iter().filter_map(|(partition, marks)| Some((partition.clone(), kind.of(marks)?))).collect()
        };
        let checkpoint = OffsetCheckpoint { offsets };
        if self.checkpoints.files.lock()[kind as usize].written.as_ref() == Some(&checkpoint) {
            return Ok(());
        }
        checkpoint.write(self.disk.as_ref(), &self.dir.join(kind.file()))?;
        self.counters.checkpoints_written.fetch_add(1, Ordering::Relaxed);
        self.checkpoints.files.lock()[kind as usize].written = Some(checkpoint);
        Ok(())
    }

    fn collect_marks(&self) {
        for partition in self.open.list().iter().filter_map(std::sync::Weak::upgrade) {
            if let Some(marks) = partition.marks() {
                self.checkpoints.record(partition.id(), marks);
            }
        }
    }
}

impl Partition {
    /// Of an open log, without waiting for one that is just being opened or closed. What is known of a damaged one stays as it is.
    fn marks(&self) -> Option<Marks> {
        match &*self.slot.try_read()? {
            Slot::Open(log) if log.recovery_report().damage.is_none() => Some(log.offsets().into()),
            Slot::Open(_) | Slot::Resting(_) | Slot::Deleted => None,
        }
    }
}
