//! Leader epochs of an open log, as replication asks for them.

use super::log::Log;
use crate::error::Result;
use crate::types::{LeaderEpoch, Offset};

impl Log {
    /// A reign begins at the log end, before it has written anything (`LeaderEpochFileCache.assign`).
    ///
    /// # Durability
    /// On return a power cut does not take it back.
    ///
    /// # Errors
    /// KAFKA_STORAGE_ERROR, fatal.
    pub fn begin_leader_epoch(&self, epoch: LeaderEpoch) -> Result<()> {
        let mut appender = self.appender.lock();
        self.check_open(&appender)?;
        let log_end = self.log_end();
        appender.epochs.assign(epoch, log_end).map_err(|e| self.fail(e)).map(|_| ())
    }

    /// The newest epoch that has records here, or was begun here; `None` in a log that never had any.
    pub fn latest_leader_epoch(&self) -> Option<LeaderEpoch> {
        self.appender.lock().epochs.latest()
    }

    /// The largest known epoch not above `epoch`, and where it ends; `None` for one newer than all known.
    pub fn end_of_leader_epoch(&self, epoch: LeaderEpoch) -> Option<(LeaderEpoch, Offset)> {
        let appender = self.appender.lock();
        let log_end = self.log_end();
        appender.epochs.end_offset_for(epoch, log_end)
    }

    /// Forgets epochs that begin at or behind `end`, which may be the log end: a reign that wrote nothing leaves an epoch there.
    ///
    /// # Errors
    /// KAFKA_STORAGE_ERROR, fatal.
    pub fn truncate_leader_epochs(&self, end: Offset) -> Result<()> {
        let mut appender = self.appender.lock();
        self.check_open(&appender)?;
        if appender.epochs.truncate_from_end(end) {
            appender.epochs.persist().map_err(|e| self.fail(e))?;
        }
        Ok(())
    }
}
