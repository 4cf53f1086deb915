//! Cutting the log back to an offset, as a follower must when its tail is not the leader's.

use super::log::{Appender, Log};
use super::names::{file_name_in_state, FileKind, FileState};
use super::producer_states::{snapshot, ProducerStates};
use super::scan::{judge, replay, scan, ScanPlan, Walk};
use super::segment::Segment;
use super::segments::Segments;
use crate::error::{Error, ErrorCode, Result};
use crate::types::{Offset, Position};
use std::sync::atomic::Ordering;
use std::sync::Arc;

impl Log {
    /// Drops every batch that holds `end` or lies behind it: afterwards the log ends where the last batch before `end` ends. Nothing
    /// happens when the log ends there already.
    ///
    /// # Durability
    /// On return the cut is durable. The recovery mark is lowered first, so a crash at any moment leaves a log that ends somewhere
    /// between the old and the new end.
    ///
    /// # Errors
    /// CORRUPT_MESSAGE, INVALID_RECORD: batches that would stay make no sense (nobody compares them below the recovery mark). Nothing
    /// was changed, the log goes on as before. KAFKA_STORAGE_ERROR, fatal: half of the work may be done; reopening recovers.
    pub fn truncate_to(&self, end: Offset) -> Result<()> {
        let mut appender = self.appender.lock();
        self.check_open(&appender)?;
        if end >= self.log_end() {
            return Ok(());
        }
        let segments = self.segments();
        let keep = segments.floor(end);
        let target = segments.get(keep).expect("floor is an index of the list").clone();
        let cut = judge_cut(&target, end)?;
        let producers = self.producers_before(&appender, &segments, keep, cut.1)?;
        // From here on half of the work may be done: only a reopening can tell how much.
        self.truncate_at(&mut appender, &segments, keep, cut, producers).map_err(|e| self.fail(e))
    }

    /// Producer state up to the segment that is cut.
    fn producers_before(
        &self,
        appender: &Appender,
        segments: &Segments,
        keep: usize,
        end: Offset,
    ) -> Result<(ProducerStates, Offset)> {
        let bases: Vec<Offset> = segments.iter().take(keep + 1).map(|segment| segment.base).collect();
        let newest = bases[keep].min(end);
        let (now, expiration) = (self.clock.realtime(), appender.config.producer_id_expiration);
        let loaded = ProducerStates::load(&*self.disk, &self.dir, bases[0], newest, now, expiration)?;
        let (mut producers, mut covers) = (loaded.states, loaded.covers);
        for segment in segments.iter().take(keep).filter(|segment| segment.end() > loaded.covers) {
            replay(segment, covers, &mut producers)?;
            covers = segment.end();
        }
        Ok((producers, covers))
    }

    fn truncate_at(
        &self,
        appender: &mut Appender,
        segments: &Segments,
        keep: usize,
        cut: (Position, Offset),
        producers: (ProducerStates, Offset),
    ) -> Result<()> {
        let target = segments.get(keep).expect("floor is an index of the list").clone();
        let dropped: Vec<Arc<Segment>> = segments.iter().skip(keep + 1).cloned().collect();
        self.changed.store(true, Ordering::Release);
        self.lower_mark(appender, cut.1)?;
        self.tail.clear();
        // The numbers first: nobody starts reading what is about to go, and should the rest fail, they agree with each other.
        self.log_end.store(cut.1 .0, Ordering::Release);
        self.high_watermark.fetch_min(cut.1 .0, Ordering::AcqRel);
        self.log_start.fetch_min(cut.1 .0, Ordering::AcqRel);
        // What is left was synced or not as before.
        self.commit.cut(cut.1);
        for segment in dropped.iter().rev() {
            self.doom(segment)?;
        }
        let kept: Vec<Arc<Segment>> = segments.iter().take(keep).cloned().collect();
        let active = if target.is_sealed() { self.reopen_cut(&target, cut)? } else { self.cut_active(&target, cut)? };
        self.finish(appender, kept, active, cut.1, producers)
    }

    /// The active segment is read by `pread` only, so its file may shrink.
    fn cut_active(&self, target: &Arc<Segment>, (position, end): (Position, Offset)) -> Result<Arc<Segment>> {
        let file = target.writer()?;
        file.set_len(u64::from(position.0)).map_err(|e| self.fail(Error::io("truncate segment", target.path(), e)))?;
        // Old bytes must not come back behind new ones after a power cut.
        file.sync_data().map_err(|e| self.fail(Error::sync("sync segment", target.path(), e)))?;
        target.offset_index.truncate_to(end)?;
        target.time_index.truncate_to(end)?;
        target.txn_index.truncate_to(end)?;
        Ok(target.clone())
    }

    /// A sealed segment may be mapped by readers: the part to keep is written beside and renamed over it.
    ///
    /// Crash before the rename: the `.cleaned` file is removed at the next open. After: the short file is the segment.
    fn reopen_cut(&self, target: &Arc<Segment>, (position, _): (Position, Offset)) -> Result<Arc<Segment>> {
        let cleaned = self.dir.join(file_name_in_state(target.base, FileKind::Log, FileState::Cleaned));
        let kept = target.bytes_at(0, position.0 as usize)?;
        let io = |e| Error::io("write", &cleaned, e);
        let file = self.disk.create(&cleaned, 0).map_err(io)?;
        file.write_at(0, &kept).map_err(io)?;
        file.sync_data().map_err(|e| Error::sync("sync", &cleaned, e))?;
        drop(file);
        target.unload();
        // A lookup of a stale reader must not map the index again that is about to be written anew.
        target.offset_index.retire();
        target.time_index.retire();
        self.disk.rename(&cleaned, target.path()).map_err(|e| self.fail(Error::io("rename", &cleaned, e)))?;
        self.disk.sync_dir(&self.dir).map_err(|e| self.fail(Error::sync("sync directory", &self.dir, e)))?;
        let active = self.setup(&self.config()).open_active(target.base)?;
        active.offset_index.reset()?;
        active.time_index.reset()?;
        Ok(Arc::new(active))
    }

    /// Rebuilds what depends on the log's end: segment, producers, epochs, checkpoints.
    fn finish(
        &self,
        appender: &mut Appender,
        mut kept: Vec<Arc<Segment>>,
        active: Arc<Segment>,
        end: Offset,
        producers: (ProducerStates, Offset),
    ) -> Result<()> {
        snapshot::remove_above(&*self.disk, &self.dir, end)?;
        let config = appender.config.clone();
        let bytes = active.writer()?.len().map_err(|e| self.fail(Error::io("measure segment in", &self.dir, e)))?;
        active.set_end(bytes, end, None);
        let plan = ScanPlan {
            compare_checksums: false,
            trusted: (active.base, Position(0)),
            durable: Offset::ZERO,
            durable_is_known: false,
            is_clean: false,
        };
        appender.epochs.truncate_from_end(end);
        let found = scan(&active, &plan, &mut appender.epochs, producers, config.index_interval_bytes)?;
        // The scan has read batches below the log start, too.
        appender.epochs.truncate_from_start(self.log_start());
        appender.epochs.persist()?;
        if found.end != end.max(active.base) {
            // The same bytes were judged before: the disk gives back others now.
            let what =
                format!("{}: the log was to be cut to {end}, and makes sense up to {}", self.partition, found.end);
            return Err(active.placed(Error::new(ErrorCode::CORRUPT_MESSAGE, what), found.bytes));
        }
        appender.producers = found.producers;
        appender.bytes_since_index = 0;
        appender.file = active.writer()?;
        appender.room.lost();
        appender.active = active.clone();
        kept.push(active);
        self.replace_segments(Segments::new(kept));
        self.note_unstable(appender);
        Ok(())
    }
}

/// Where to cut: the first batch that holds `end` or lies behind it; and where the log ends then, which is where the batch before it
/// ends (compaction leaves gaps, and a reopening would not see one at the log's end). What stays is judged as the scan after the cut
/// judges it, so that a cut is refused before anything is gone.
fn judge_cut(segment: &Segment, end: Offset) -> Result<(Position, Offset)> {
    if end <= segment.base {
        return Ok((Position(0), end)); // nothing of it stays
    }
    let mut walk = Walk::new(segment, Position(0));
    let mut kept = segment.base;
    loop {
        let at = walk.at;
        let judged = match walk.step(false) {
            Ok(Some(batch)) if batch.header().last_offset() < end => {
                judge(segment, at, kept, &batch).map(|_| Some(batch.header().end_offset()))
            }
            Ok(None) if at < segment.bytes() => Err(Error::new(ErrorCode::CORRUPT_MESSAGE, "a batch is cut short")),
            Ok(_) => Ok(None),
            Err(e) => Err(e),
        };
        match judged.map_err(|e| segment.placed(e, at))? {
            Some(batch_end) => kept = batch_end,
            None => break Ok((position_of(segment, at)?, kept.min(end))),
        }
    }
}

fn position_of(segment: &Segment, at: u64) -> Result<Position> {
    let too_far = |_| Error::new(ErrorCode::CORRUPT_MESSAGE, "a batch begins behind 4 GiB");
    u32::try_from(at).map(Position).map_err(too_far).map_err(|e| segment.placed(e, at))
}
