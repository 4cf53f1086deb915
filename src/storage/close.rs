//! The end of writing: everything durable, nothing allocated in vain.

use super::log::{Appender, Log};
use crate::error::{Error, Result};
use std::sync::atomic::Ordering;

impl Log {
    /// The active segment is at its end, or nobody writes it any more: blocks that were allocated behind it are given back.
    pub(super) fn give_room_back(&self, appender: &mut Appender) -> Result<()> {
        let len = appender.active.bytes();
        let outcome = appender.room.give_back(&*appender.file, len);
        outcome.map_err(|e| self.fail(Error::io("give back room behind", appender.active.path(), e)))
    }

    /// Closes the log: flushes everything, trims the indexes, snapshots the producers. Appends are refused afterwards; reads go on
    /// while somebody holds the log.
    ///
    /// # Errors
    /// KAFKA_STORAGE_ERROR: not everything is durable; the log must not be taken for clean.
    pub fn close(&self) -> Result<()> {
        {
            let mut appender = self.appender.lock();
            if appender.closed {
                return Ok(());
            }
            appender.closed = true;
            appender.active.finish_time_index(&appender);
        }
        if let Some(failure) = self.failure() {
            return Err(failure);
        }
        if !self.changed.load(Ordering::Acquire) {
            // Closed in order before and only read since: everything is on the disk already.
            self.appender.lock().active.seal();
            return Ok(());
        }
        self.give_room_back(&mut self.appender.lock())?;
        self.flush()?;
        let mut appender = self.appender.lock();
        appender.epochs.persist()?;
        appender.producers.take_snapshot(&*self.disk, &self.dir, self.log_end(), true)?;
        appender.active.seal();
        self.disk.sync_dir(&self.dir).map_err(|e| Error::sync("sync directory", &self.dir, e))?;
        drop(appender);
        self.remove_doomed(|_| true)?;
        Ok(())
    }
}
