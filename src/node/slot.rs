//! Opening and resting: a partition's log is opened when somebody needs it, and closed in order when too many are open.

use super::notices::Level;
use super::partition::{OpenLog, Partition};
use super::upkeep;
use crate::error::{Error, ErrorCode, Result};
use crate::storage::{doubt, Log, LogOffsets, Opening};
use crate::types::Offset;
use parking_lot::RwLockReadGuard;
use std::sync::atomic::Ordering;

/// What a partition's log is doing.
#[derive(Debug)]
pub(super) enum Slot {
    Resting(AtRest),
    Open(Box<Log>),
    Deleted,
}

/// What has to be known of a closed log in order to open it.
#[derive(Clone, Debug, Default)]
pub(super) struct AtRest {
    pub(super) recovery_point: Offset,
    pub(super) log_start: Offset,
    pub(super) high_watermark: Offset,
    /// Nothing has to be scanned.
    pub(super) clean: bool,
    /// The last attempt to open it has failed.
    pub(super) in_doubt: bool,
    /// The directory is there. A partition that nobody ever touched has none.
    pub(super) on_disk: bool,
    /// Known once the log was open in this life of the node.
    pub(super) offsets: Option<LogOffsets>,
}

/// What became of the wish that a log should rest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Rested {
    Now,
    /// Somebody closed or deleted it before.
    WasNotOpen,
    Busy,
}

impl AtRest {
    pub(super) fn first_expiry(&self) -> i64 {
        if self.on_disk {
            upkeep::EXPIRY_UNKNOWN
        } else {
            upkeep::EXPIRY_NEVER
        }
    }
}

impl Partition {
    /// The log, opened if need be. Hold it for one operation.
    pub(super) fn log(&self) -> Result<OpenLog<'_>> {
        loop {
            match RwLockReadGuard::try_map(self.slot.read(), |slot| match slot {
                Slot::Open(log) => Some(&**log),
                Slot::Resting(_) | Slot::Deleted => None,
            }) {
                Ok(log) => {
                    // Written only when it changes: the line stays shared between the threads that work here.
                    if !self.touched.load(Ordering::Relaxed) {
                        self.touched.store(true, Ordering::Relaxed);
                    }
                    return Ok(log);
                }
                Err(slot) => {
                    if matches!(&*slot, Slot::Deleted) {
                        return Err(self.gone());
                    }
                }
            }
            self.open_log()?;
        }
    }

    /// Whether its log has a directory; one that is deleted says so itself when it is asked.
    pub(super) fn is_on_disk(&self) -> bool {
        match &*self.slot.read() {
            Slot::Resting(rest) => rest.on_disk,
            Slot::Open(_) | Slot::Deleted => true,
        }
    }

    fn gone(&self) -> Error {
        Error::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, format!("{}: the topic was deleted", self.id()))
    }

    fn open_log(&self) -> Result<()> {
        self.house.check_open()?;
        self.house.open.take_place();
        let opened = self.open_log_in_place();
        match opened {
            Ok(true) => self.house.open.admit(self.me.clone()),
            Ok(false) | Err(_) => self.house.open.give_back_place(),
        }
        opened.map(|_| ())
    }

    /// False when somebody else was faster.
    fn open_log_in_place(&self) -> Result<bool> {
        let mut slot = self.slot.write();
        let Slot::Resting(rest) = &mut *slot else { return Ok(false) };
        self.check_not_given_up()?;
        let opened = self.open_from(rest);
        rest.in_doubt |= opened.as_ref().is_err_and(doubt::leaves_doubt);
        let log = opened?;
        self.epoch_found.store(log.latest_leader_epoch().unwrap_or_default().0, Ordering::Relaxed);
        *slot = Slot::Open(Box::new(log));
        Ok(true)
    }

    pub(super) fn open_from(&self, rest: &AtRest) -> Result<Log> {
        let house = &self.house;
        if !rest.on_disk {
            house.drop_marks(self.id())?;
        }
        let opening = Opening {
            disk: house.disk.clone(),
            clock: house.clock.clone(),
            dir: house.partition_dir(self.id()),
            partition: self.id().clone(),
            config: (*self.settings.log_config()).clone(),
            recovery_point: rest.recovery_point,
            log_start: rest.log_start,
            high_watermark: rest.high_watermark,
            clean: rest.clean,
            in_doubt: rest.in_doubt,
            topic_id: Some(self.settings.topic_id),
            files: house.files.clone(),
        };
        let log = Log::open(opening)?;
        if self.seat.is_none() {
            let _ = self.settle(&log); // whoever opens it looks at it next
        }
        house.take_back_marks(self.id(), &log)?;
        self.tell_recovery(&log);
        Ok(log)
    }

    fn tell_recovery(&self, log: &Log) {
        let report = log.recovery_report();
        let counters = &self.house.counters;
        counters.opened.fetch_add(1, Ordering::Relaxed);
        counters.recovery_scanned_bytes.fetch_add(report.scanned_bytes, Ordering::Relaxed);
        counters.recovery_truncated_bytes.fetch_add(report.truncated_bytes, Ordering::Relaxed);
        if let Some(damage) = &report.damage {
            self.house.tell(Level::Error, || format!("{}: {}", self.id(), damage.message()));
        }
        if report.truncated_bytes > 0 {
            self.house.tell(Level::Warn, || {
                let at = report.truncated_at.unwrap_or_default();
                format!("{}: a torn tail of {} bytes was cut at offset {at}", self.id(), report.truncated_bytes)
            });
        }
        for leftover in &report.leftovers {
            self.house.tell(Level::Info, || format!("{}: {leftover}", self.id()));
        }
    }

    /// Closes the log in order if nobody is using it, to make a place.
    pub(super) fn rest_if_idle(&self) -> Rested {
        let Some(mut slot) = self.slot.try_write() else { return Rested::Busy };
        let Slot::Open(log) = &*slot else { return Rested::WasNotOpen };
        // An offline partition must not forget why.
        if log.failure().is_some() {
            return Rested::Busy;
        }
        match self.close_log(log) {
            Ok(rest) => {
                *slot = Slot::Resting(rest);
                Rested::Now
            }
            Err(failed) => {
                drop(slot);
                self.tell_failure(&failed);
                Rested::Busy
            }
        }
    }

    /// Flushes and closes; what is needed to open it again without a scan.
    pub(super) fn close_log(&self, log: &Log) -> Result<AtRest> {
        log.delete_due_files(crate::time::Instant(u64::MAX))?;
        log.close()?;
        if self.seat.is_none() {
            let _ = self.settle(log); // told when somebody opens it again
        }
        let offsets = log.offsets();
        let syncs = log.sync_counters();
        self.counters.past_syncs.fetch_add(syncs.syncs, Ordering::Relaxed);
        self.counters.past_sync_nanos.fetch_add(syncs.sync_nanos, Ordering::Relaxed);
        self.house.checkpoints.record(self.id(), offsets.into());
        self.house.checkpoints_moved();
        Ok(AtRest {
            recovery_point: offsets.log_end,
            log_start: offsets.log_start,
            high_watermark: offsets.high_watermark,
            clean: true,
            in_doubt: false,
            on_disk: true,
            offsets: Some(offsets),
        })
    }
}
