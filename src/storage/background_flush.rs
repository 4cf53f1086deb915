//! The flush that nobody waits for: log, then indexes, then the mark from which recovery would begin.

use super::log::{Appender, Log};
use super::mark::Mark;
use super::producer_states::snapshot;
use crate::error::Result;
use crate::time::Instant;
use crate::types::Offset;
use std::sync::atomic::Ordering;

impl Log {
    /// When `flush.messages` or `flush.ms` asks for a flush; `None` while nothing is unflushed or neither asks.
    pub fn flush_due(&self) -> Option<Instant> {
        let since = self.dirty_since.load(Ordering::Acquire);
        if since == 0 || self.failed.load(Ordering::Acquire) {
            return None;
        }
        let since = Instant(since);
        let config = self.config();
        let unflushed = self.log_end().since(self.flushed());
        if config.flush_messages.is_some_and(|count| count > 1 && unflushed >= count) {
            return Some(since);
        }
        config.flush_interval.map(|interval| since + interval)
    }

    /// Makes everything that was appended before the call durable, indexes and producer state included, and notes it in the recovery
    /// mark. Returns the end of what is durable. Blocks for one or more syncs; appends go on meanwhile.
    ///
    /// # Errors
    /// KAFKA_STORAGE_ERROR, fatal: the log is off.
    pub fn flush(&self) -> Result<Offset> {
        if let Some(failure) = self.failure() {
            return Err(failure);
        }
        // Cleared first: an append from here on asks for the next flush.
        self.dirty_since.store(0, Ordering::Release);
        let (mark, active, cuts) = {
            let appender = self.appender.lock();
            let mark = self.mark_here(&appender);
            if !mark.no_producers {
                appender.producers.take_snapshot(&*self.disk, &self.dir, mark.indexed, false)?;
            }
            if !appender.active.is_sealed() {
                appender.active.finish_time_index(&appender);
            }
            (mark, appender.active.clone(), self.commit.cuts())
        };
        // Twice at the most: `commit` may find that somebody's sync covered us already.
        if !self.commit.commit(mark.indexed, || self.log_end(), || self.sync_log())? {
            return Ok(self.flushed()); // cut meanwhile: the mark was lowered
        }
        self.sync_dir_if_dirty()?;
        if active.is_sealed() {
            return Ok(self.flushed()); // rolled meanwhile: the roll has written a newer mark
        }
        active.sync_indexes().map_err(|e| self.fail(e))?;
        self.put_mark(&mark, cuts)?;
        Ok(self.flushed())
    }

    fn mark_here(&self, appender: &Appender) -> Mark {
        let end = self.log_end();
        Mark {
            flushed: end,
            indexed: end,
            segment: appender.active.base,
            position: appender.active.bytes(),
            no_producers: appender.producers.is_empty(),
        }
    }

    /// After a roll: everything below the new segment is durable.
    pub(super) fn write_mark(&self, appender: &Appender, base: Offset) {
        let mark = Mark {
            flushed: base,
            indexed: base,
            segment: base,
            position: 0,
            no_producers: appender.producers.is_empty(),
        };
        // The mark is a hint that saves time after a crash: an old one is as right as a new one.
        let _ = self.mark.write(&mark);
        debug_assert_eq!(appender.active.base, base);
    }

    fn put_mark(&self, mark: &Mark, cuts: u64) -> Result<()> {
        // Under the lock, so that a truncation or a roll in between cannot be overwritten by an older mark.
        let appender = self.appender.lock();
        if appender.active.base == mark.segment && self.commit.cuts() == cuts {
            self.mark.write(mark)?;
            drop(appender);
            self.drop_old_snapshots(mark)?;
        }
        Ok(())
    }

    /// Snapshots between the active segment's base and the one that belongs to the mark are of no more use.
    fn drop_old_snapshots(&self, mark: &Mark) -> Result<()> {
        if mark.no_producers {
            return Ok(());
        }
        for at in snapshot::list(&*self.disk, &self.dir)? {
            if at > mark.segment && at < mark.indexed {
                snapshot::remove(&*self.disk, &self.dir, at)?;
            }
        }
        Ok(())
    }

    /// Lowers the mark, durably, before a truncation: a mark past the log end must never be seen again.
    pub(super) fn lower_mark(&self, appender: &Appender, end: Offset) -> Result<()> {
        let lowered = Mark {
            flushed: end.min(self.flushed()),
            indexed: appender.active.base.min(end),
            segment: appender.active.base,
            position: 0,
            no_producers: false,
        };
        self.mark.write_synced(&lowered).map_err(|e| self.fail(e))
    }
}
