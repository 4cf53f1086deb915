//! Retention: by log start, by size, by age. Oldest first, whole segments only, never past the high watermark.
//!
//! Deletion is rename first (`.deleted`), remove after `file.delete.delay.ms`. Each rename is made durable before the next, so a
//! crash can bring segments back but never leave a hole between those that are left.

use super::api::RetentionOutcome;
use super::log::{Appender, Log};
use super::names::FileKind;
use super::producer_states::snapshot;
use super::recovery::remove_if_there;
use super::renames::{rename_durably, to_deleted};
use super::segment::Segment;
use crate::config::LogConfig;
use crate::error::{Error, ErrorCode, Result};
use crate::time::Instant;
use crate::types::{Offset, Timestamp};
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::Arc;

pub(super) const SEGMENT_FILES: [FileKind; 4] =
    [FileKind::Log, FileKind::Index, FileKind::TimeIndex, FileKind::TxnIndex];

/// Files that are renamed to `.deleted` and wait for their removal.
#[derive(Debug)]
pub(super) struct Doomed {
    paths: Vec<PathBuf>,
    due: Instant,
}

impl Log {
    /// Raises the log start to `before` (`None`: the high watermark) and returns it. Records below are unreadable at once; segments that
    /// lie wholly below go with the next [`apply_retention`](Log::apply_retention). The caller checkpoints the log start.
    ///
    /// # Errors
    /// OFFSET_OUT_OF_RANGE past the high watermark; POLICY_VIOLATION when `cleanup.policy` lacks `delete`.
    pub fn delete_records(&self, before: Option<Offset>) -> Result<Offset> {
        let mut appender = self.appender.lock();
        self.check_open(&appender)?;
        if !appender.config.cleanup_policy.delete {
            let what = format!("{}: records can be deleted only where cleanup.policy has delete", self.partition);
            return Err(Error::new(ErrorCode::POLICY_VIOLATION, what));
        }
        let high_watermark = self.high_watermark();
        let before = before.unwrap_or(high_watermark);
        if before > high_watermark {
            let what =
                format!("{}: cannot delete up to {before}, the high watermark is {high_watermark}", self.partition);
            return Err(Error::new(ErrorCode::OFFSET_OUT_OF_RANGE, what));
        }
        self.raise_log_start(&mut appender, before);
        Ok(self.log_start())
    }

    fn raise_log_start(&self, appender: &mut Appender, to: Offset) {
        if self.log_start.fetch_max(to.0, Ordering::AcqRel) < to.0 {
            self.changed.store(true, Ordering::Release);
            appender.epochs.truncate_from_start(to);
            appender.producers.handle_log_start(to);
        }
    }

    /// Deletes the segments that the log start, `retention.bytes` and `retention.ms` let go.
    ///
    /// # Errors
    /// KAFKA_STORAGE_ERROR, fatal.
    pub fn apply_retention(&self, now: Timestamp) -> Result<RetentionOutcome> {
        let mut appender = self.appender.lock();
        self.check_open(&appender)?;
        let config = appender.config.clone();
        let mut outcome = RetentionOutcome::default();
        let mut total = self.size_bytes();
        let segments = self.segments();
        let mut count = 0;
        for segment in segments.iter() {
            if !self.may_go(segment) || !is_due(segment, &config, total, self.log_start(), now) {
                break;
            }
            total -= segment.bytes();
            outcome.bytes_deleted += segment.bytes();
            count += 1;
        }
        outcome.segments_deleted = count as u32;
        self.delete_first(&mut appender, count)?;
        outcome.next_expiry = self.next_expiry(&config);
        Ok(outcome)
    }

    /// Deletes the oldest segment at once, whatever retention says; bytes freed, 0 when there is none to give.
    ///
    /// # Errors
    /// KAFKA_STORAGE_ERROR, fatal.
    pub fn drop_oldest_segment(&self) -> Result<u64> {
        let mut appender = self.appender.lock();
        self.check_open(&appender)?;
        let oldest = self.segments().first().clone();
        if !self.may_go(&oldest) {
            return Ok(0);
        }
        let freed = oldest.bytes();
        self.delete_first(&mut appender, 1)?;
        drop(appender);
        self.remove_doomed(|_| true)?;
        Ok(freed)
    }

    /// Only what consumers may read may go, and an empty segment stays.
    fn may_go(&self, segment: &Segment) -> bool {
        segment.bytes() > 0 && segment.end() <= self.high_watermark()
    }

    fn delete_first(&self, appender: &mut Appender, count: usize) -> Result<()> {
        if count == 0 {
            return Ok(());
        }
        self.changed.store(true, Ordering::Release);
        if count == self.segments().len() {
            let end = self.log_end();
            self.roll(appender, end)?; // a log has at least one segment
        }
        let segments = self.segments();
        let left = segments.without_first(count);
        // Nobody may begin to read what goes, so the log start moves before the files do.
        self.raise_log_start(appender, left.first().base);
        self.replace_segments(left);
        for segment in segments.iter().take(count) {
            self.doom(segment)?;
            snapshot::remove(&*self.disk, &self.dir, segment.base)?;
        }
        Ok(())
    }

    /// Renames a segment's files to `.deleted`, durably.
    pub(super) fn doom(&self, segment: &Arc<Segment>) -> Result<()> {
        segment.unload();
        let renames = SEGMENT_FILES.map(|kind| to_deleted(segment.base, kind));
        let paths = rename_durably(&*self.disk, &self.dir, &renames).map_err(|e| self.fail(e))?;
        let due = self.clock.monotonic() + self.config().file_delete_delay;
        self.doomed.lock().push(Doomed { paths, due });
        Ok(())
    }

    /// Removes deleted files whose `file.delete.delay.ms` has passed; says when the next is due. Readers that hold bytes of them keep them.
    ///
    /// # Errors
    /// KAFKA_STORAGE_ERROR: tried again the next time, or at the next open.
    pub fn delete_due_files(&self, now: Instant) -> Result<Option<Instant>> {
        self.remove_doomed(|doomed| doomed.due <= now)?;
        Ok(self.doomed.lock().iter().map(|doomed| doomed.due).min())
    }

    pub(super) fn remove_doomed(&self, is_due: impl Fn(&Doomed) -> bool) -> Result<()> {
        let due: Vec<Doomed> = {
            let mut doomed = self.doomed.lock();
            let (due, later) = doomed.drain(..).partition(|doomed| is_due(doomed));
            *doomed = later;
            due
        };
        for doomed in due {
            for path in &doomed.paths {
                remove_if_there(&*self.disk, path)?;
            }
        }
        Ok(())
    }

    /// When the oldest segment will be old enough, if nothing else happens.
    fn next_expiry(&self, config: &LogConfig) -> Option<Timestamp> {
        let age = config.retention_age.filter(|_| config.cleanup_policy.delete)?;
        let oldest = self.segments().first().clone();
        if oldest.bytes() == 0 {
            return None;
        }
        let newest = oldest.max_timestamp().map(|(timestamp, _)| timestamp).or_else(|| oldest.modified())?;
        let age_ms = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
        Some(Timestamp(newest.0.saturating_add(age_ms).saturating_add(1)))
    }
}

/// Whether one of the three rules lets the segment go; `total` is what the log has, this segment included.
fn is_due(segment: &Segment, config: &LogConfig, total: u64, log_start: Offset, now: Timestamp) -> bool {
    if segment.end() <= log_start {
        return true;
    }
    if !config.cleanup_policy.delete {
        return false;
    }
    if config.retention_bytes.is_some_and(|keep| total.saturating_sub(keep) >= segment.bytes() && total > keep) {
        return true;
    }
    let Some(age) = config.retention_age else { return false };
    let is_old = |newest: Option<Timestamp>| {
        let newest = newest.or_else(|| segment.modified());
        newest
            .is_some_and(|newest| u128::try_from(now.0.saturating_sub(newest.0)).is_ok_and(|old| old > age.as_millis()))
    };
    let claimed = segment.max_timestamp().map(|(timestamp, _)| timestamp);
    // Damage must not keep a segment for ever; a disk that cannot be read is asked again the next time.
    is_old(claimed)
        && match segment.confirmed_newest() {
            Ok(newest) => is_old(newest),
            Err(e) => e.code() == ErrorCode::CORRUPT_MESSAGE,
        }
}
