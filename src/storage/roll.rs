//! When the active segment ends and the next one begins.

use super::append::Incoming;
use super::log::{Appender, Log};
use super::names::{file_name, FileKind};
use super::renames::rename_durably;
use super::room_ahead::RoomAhead;
use super::segment::Segment;
use crate::config::LogConfig;
use crate::error::{Error, Result};
use crate::planted::planted;
use crate::record::crc32c;
use crate::types::{Offset, Timestamp, TopicPartition};
use std::sync::atomic::Ordering;
use std::sync::Arc;
use std::time::Duration;

impl Log {
    /// Rolls where Kafka would before this batch comes.
    pub(super) fn roll_if_needed(
        &self,
        appender: &mut Appender,
        incoming: &Incoming,
        base: Offset,
        now: Timestamp,
    ) -> Result<()> {
        let last_offset = base.plus(u64::from(incoming.last_offset_delta));
        if should_roll(appender, incoming, last_offset, now) {
            self.roll(appender, base)?;
        }
        Ok(())
    }

    /// Seals the active segment and begins a new one at `base`.
    ///
    /// Crash before the sync is over: the old segment is still the last one, its tail may be torn, recovery cuts it. Crash after: the old
    /// one is whole; the new one is absent or empty. So a segment that has a successor is always durable, and recovery
    /// never has to touch it.
    pub(super) fn roll(&self, appender: &mut Appender, base: Offset) -> Result<()> {
        let old = appender.active.clone();
        let config = appender.config.clone();
        if old.bytes() == 0 {
            return self.rename_empty(appender, &old, base);
        }
        self.changed.store(true, Ordering::Release);
        old.finish_time_index(appender);
        self.give_room_back(appender)?;
        let began = std::time::Instant::now();
        if !planted!("bug-ack-before-fsync") {
            appender.file.sync_data().map_err(|e| self.fail(Error::sync("sync segment", old.path(), e)))?;
        }
        self.commit.note_sync(began.elapsed());
        // Its name too, or a power cut could keep the new segment's and leave a hole.
        self.sync_dir_if_dirty()?;
        self.commit.raise(old.end());
        // Indexes can be rebuilt, but a disk that fails to write them is failing: nobody shall hear of it later than now.
        old.sync_indexes().map_err(|e| self.fail(e))?;
        let (reserve, room) = match config.preallocate {
            true => (u64::from(config.segment_bytes), RoomAhead::unwanted()),
            false => (0, RoomAhead::default()),
        };
        let new = Arc::new(self.setup(&config).create(base, reserve).map_err(|e| self.fail(e))?);
        appender.producers.take_snapshot(&*self.disk, &self.dir, base, false).map_err(|e| self.fail(e))?;
        self.dir_dirty.store(true, Ordering::Release);
        appender.file = new.writer()?;
        appender.room = room;
        appender.active = new.clone();
        appender.bytes_since_index = 0;
        appender.jitter = draw_jitter(&config, &self.partition, base);
        self.replace_segments(self.segments().with(new));
        old.seal();
        self.write_mark(appender, base);
        Ok(())
    }

    /// The offsets leap further than the active segment reaches, and nothing is in it yet: another replica's, before anything was written
    /// here. An empty segment with a successor is what damage looks like, so its file gets another name instead.
    ///
    /// Crash before the rename is durable: the log is empty where it was. After: it is empty at `base`; the old indexes belong to no log.
    fn rename_empty(&self, appender: &mut Appender, old: &Segment, base: Offset) -> Result<()> {
        if old.base == base {
            return Ok(()); // it is the new segment already
        }
        let config = appender.config.clone();
        self.changed.store(true, Ordering::Release);
        let setup = self.setup(&config);
        setup.clear(base).map_err(|e| self.fail(e))?;
        old.offset_index.retire();
        old.time_index.retire();
        // Durable before the mark, which must not speak of a segment that a power cut takes away again.
        let rename = (file_name(old.base, FileKind::Log), file_name(base, FileKind::Log));
        rename_durably(&*self.disk, &self.dir, &[rename]).map_err(|e| self.fail(e))?;
        setup.clear(old.base).map_err(|e| self.fail(e))?;
        let new = Arc::new(setup.open_active(base).map_err(|e| self.fail(e))?);
        new.set_end(0, base, None);
        appender.producers.take_snapshot(&*self.disk, &self.dir, base, false).map_err(|e| self.fail(e))?;
        self.dir_dirty.store(true, Ordering::Release);
        appender.file = new.writer()?;
        appender.active = new.clone();
        appender.bytes_since_index = 0;
        appender.jitter = draw_jitter(&config, &self.partition, base);
        self.replace_segments(self.segments().with_active(new));
        self.write_mark(appender, base);
        Ok(())
    }
}

/// Kafka's `LogSegment.shouldRoll`, plus room in the indexes.
fn should_roll(appender: &Appender, incoming: &Incoming, last_offset: Offset, now: Timestamp) -> bool {
    let (active, config) = (&appender.active, &appender.config);
    if active.bytes() + u64::from(incoming.bytes) > u64::from(config.segment_bytes) {
        return true;
    }
    if active.bytes() == 0 {
        return !active.offset_index.can_append(last_offset);
    }
    let age_max = config.segment_age_max.saturating_sub(appender.jitter);
    is_older(active, incoming.max_timestamp, now, age_max)
        || active.offset_index.is_full()
        || active.time_index.is_full()
        || !active.offset_index.can_append(last_offset)
}

/// Age by the records' own timestamps where they have some, else by the wall clock.
fn is_older(active: &Segment, max_timestamp: i64, now: Timestamp, age_max: Duration) -> bool {
    let passed = match active.first_timestamp() {
        Some(first) => max_timestamp.saturating_sub(first.0),
        None => now.0.saturating_sub(active.created.0),
    };
    u128::try_from(passed).is_ok_and(|passed| passed > age_max.as_millis())
}

/// `segment.jitter.ms`: spread over [0, jitter) by partition and segment, the same in every run.
pub(super) fn draw_jitter(config: &LogConfig, partition: &TopicPartition, base: Offset) -> Duration {
    let most = config.segment_jitter.min(config.segment_age_max);
    let mut seed = partition.to_string().into_bytes();
    seed.extend_from_slice(&base.0.to_be_bytes());
    most.mul_f64(f64::from(crc32c(&seed)) / (f64::from(u32::MAX) + 1.0))
}
