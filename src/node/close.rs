//! The orderly end: everything flushed, every log closed, the books written, and last of all the marker that says so.

use super::notices::Level;
use super::slot::Slot;
use super::{Node, Partition};
use crate::error::{Error, ErrorCode, Result};
use crate::storage::log_dir::write_clean_shutdown;
use crate::time::Instant;
use crate::types::TopicPartition;
use std::fmt;
use std::sync::atomic::Ordering;

/// What closing could not do. Empty when everything was done.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct CloseReport {
    /// Records that were sent, but neither acknowledged nor failed before the close gave up on them.
    pub undelivered_records: u64,
    /// Partitions that may hold records that are not durable, and why.
    pub unsynced_partitions: Vec<(TopicPartition, Error)>,
    /// Partitions that an earlier crash left to be recovered, and that nobody opened since: the next start recovers them.
    pub unrecovered_partitions: u32,
    /// Whatever else went wrong (checkpoints, the marker).
    pub problems: Vec<Error>,
    /// The directory is marked as closed in order: the next start scans nothing.
    pub marked_clean: bool,
}

impl CloseReport {
    /// Whether everything was done.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.marked_clean && self.undelivered_records == 0 && self.problems.is_empty()
    }
}

impl fmt::Display for CloseReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_clean() {
            return f.write_str("closed in order");
        }
        write!(
            f,
            "closed with {} undelivered records, {} unsynced partitions, {} unrecovered partitions",
            self.undelivered_records,
            self.unsynced_partitions.len(),
            self.unrecovered_partitions
        )?;
        let first = self.unsynced_partitions.first().map(|(_, e)| e).or(self.problems.first());
        first.map_or(Ok(()), |first| write!(f, "; first problem: {first}"))
    }
}

impl Node {
    /// Closes the node: whatever is asked of it from now on is answered CLOSED. Flushes and closes every log, recovers what an
    /// earlier crash left behind, writes the checkpoints, and marks the directory as closed in order if all of that went
    /// well. The directory is unlocked on return.
    ///
    /// # Errors
    /// TIMED_OUT when `deadline` passes before that: what was begun stays done, and the call can be repeated. A sync that the
    /// operating system does not return from is not interrupted.
    pub fn close(&self, deadline: Instant) -> Result<CloseReport> {
        self.house.closed.store(true, Ordering::Release);
        let mut lock = self.lock.lock();
        let mut report = CloseReport::default();
        if lock.is_none() {
            report.marked_clean = true;
            return Ok(report); // done by an earlier call
        }
        let partitions: Vec<_> = self.topic_handles().iter().flat_map(|topic| topic.partitions()).collect();
        for partition in &partitions {
            self.check_deadline(deadline, "closing", partition.id())?;
            if let Err(failed) = partition.close_if_open() {
                report.unsynced_partitions.push((partition.id().clone(), failed));
            }
        }
        self.recover_the_untouched(&partitions, deadline, &mut report);
        let house = &self.house;
        if let Err(failed) = house.write_checkpoints() {
            report.problems.push(failed);
        }
        house.deletions.remove_due(house, Instant(u64::MAX));
        if report.unsynced_partitions.is_empty() && report.unrecovered_partitions == 0 && report.problems.is_empty() {
            match write_clean_shutdown(house.disk.as_ref(), &house.dir) {
                Ok(()) => report.marked_clean = true,
                Err(failed) => report.problems.push(failed),
            }
        }
        *lock = None;
        Ok(report)
    }

    /// Without this a start after a crash, one touched partition and an orderly end would have to leave the marker away.
    fn recover_the_untouched(
        &self,
        partitions: &[std::sync::Arc<Partition>],
        deadline: Instant,
        report: &mut CloseReport,
    ) {
        for partition in partitions.iter().filter(|partition| partition.needs_recovery()) {
            let in_time = self.house.clock.monotonic() < deadline;
            let outcome = if in_time { partition.recover_and_close() } else { Ok(false) };
            match outcome {
                Ok(true) => {}
                Ok(false) => report.unrecovered_partitions += 1,
                Err(failed) => {
                    self.house.tell(Level::Error, || format!("{}: {}", partition.id(), failed.message()));
                    report.unsynced_partitions.push((partition.id().clone(), failed));
                }
            }
        }
    }

    fn check_deadline(&self, deadline: Instant, doing: &str, partition: &TopicPartition) -> Result<()> {
        if self.house.clock.monotonic() < deadline {
            return Ok(());
        }
        Err(Error::new(ErrorCode::TIMED_OUT, format!("the time was up before {doing} {partition}; close again")))
    }
}

impl Partition {
    fn close_if_open(&self) -> Result<()> {
        let mut outcome = Ok(());
        {
            let mut slot = self.slot.write();
            if let Slot::Open(log) = &*slot {
                match self.close_log(log) {
                    Ok(rest) => {
                        *slot = Slot::Resting(rest);
                        self.house.open.forget(&self.me);
                    }
                    // Stays open, so that a repeated close says the same.
                    Err(failed) => outcome = Err(failed),
                }
            }
        }
        self.tell_everybody();
        outcome
    }

    fn needs_recovery(&self) -> bool {
        matches!(&*self.slot.read(), Slot::Resting(rest) if !rest.clean)
    }

    fn recover_and_close(&self) -> Result<bool> {
        let mut slot = self.slot.write();
        let Slot::Resting(rest) = &*slot else { return Ok(true) };
        let log = self.open_from(rest)?;
        if let Some(damage) = log.failure() {
            return Err(damage);
        }
        let rest = self.close_log(&log)?;
        *slot = Slot::Resting(rest);
        Ok(true)
    }
}
