//! The cap on the whole data directory (`dir.max.bytes`): who may still grow, and what happens when nobody may.
//!
//! Appends stop `dir.reserve.bytes` below the cap, so that what has to be written besides them (indexes, checkpoints, whatever
//! recovery rebuilds) has room left. The cap itself is held at the file seam, see `metered_disk`.

use super::house::House;
use super::metered_disk::{Meter, MeteredDisk};
use super::partition::Partition;
use super::replica::Moved;
use super::slot::Slot;
use crate::config::{DirFullPolicy, EngineConfig};
use crate::disk::Disk;
use crate::error::{Error, ErrorCode, Result};
use parking_lot::Mutex;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

/// What an append may need besides its own bytes: blocks that are begun, a new segment with its indexes, a snapshot.
const HEADROOM_BYTES: u64 = 64 << 10;

#[derive(Debug)]
pub(super) struct Space {
    cap: Option<Cap>,
}

#[derive(Debug)]
struct Cap {
    meter: Arc<Meter>,
    reserve_bytes: u64,
    /// Promised to appends that are on their way to the file.
    promised: AtomicU64,
    /// Goes up whenever segments were dropped, so that ten refused appends drop one segment, not ten.
    rounds: AtomicU64,
    dropping: Mutex<()>,
}

/// Room for one append, held until its bytes are counted in the file.
pub(super) struct Promise<'a> {
    held: Option<(&'a Cap, u64)>,
}

impl Drop for Promise<'_> {
    fn drop(&mut self) {
        if let Some((cap, bytes)) = self.held {
            cap.promised.fetch_sub(bytes, Ordering::Relaxed);
        }
    }
}

/// The append does not fit; made of what is needed to try again.
pub(super) struct Full {
    round: u64,
    error: Error,
}

impl Space {
    /// The books, and the disk to use from now on. Counts what lies in `dir` when there is a cap.
    pub(super) fn open(config: &EngineConfig, disk: Arc<dyn Disk>, dir: &Path) -> Result<(Space, Arc<dyn Disk>)> {
        let Some(bytes_max) = config.dir_bytes_max else { return Ok((Space { cap: None }, disk)) };
        let meter = Arc::new(Meter::new(bytes_max));
        meter.walk(&*disk, dir).map_err(|e| Error::io("measure", dir, e))?;
        let metered = Arc::new(MeteredDisk { inner: disk, meter: Arc::clone(&meter) });
        let cap = Cap {
            meter,
            reserve_bytes: config.dir_reserve_bytes,
            promised: AtomicU64::new(0),
            rounds: AtomicU64::new(0),
            dropping: Mutex::default(),
        };
        Ok((Space { cap: Some(cap) }, metered))
    }

    pub(super) fn used_and_max(&self) -> Option<(u64, u64)> {
        self.cap.as_ref().map(|cap| (cap.meter.used(), cap.meter.bytes_max()))
    }

    /// Promises room for an append of `bytes`. Free when there is no cap.
    pub(super) fn promise(&self, bytes: usize) -> std::result::Result<Promise<'_>, Full> {
        let Some(cap) = &self.cap else { return Ok(Promise { held: None }) };
        let round = cap.rounds.load(Ordering::Acquire);
        let bytes = bytes as u64 + HEADROOM_BYTES;
        let promised = cap.promised.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let promise = Promise { held: Some((cap, bytes)) };
        let used = cap.meter.used();
        let limit = cap.meter.bytes_max().saturating_sub(cap.reserve_bytes);
        if used.saturating_add(promised) <= limit {
            return Ok(promise);
        }
        let text = format!(
            "dir.max.bytes={} is reached: {used} are used, {} are kept in reserve, {bytes} more were asked for",
            cap.meter.bytes_max(),
            cap.reserve_bytes
        );
        Err(Full { round, error: Error::new(ErrorCode::POLICY_VIOLATION, text) })
    }
}

impl House {
    /// Drops the topic's oldest segment if its policy says so; the append is tried again then. Otherwise, or when there is nothing
    /// to drop, the refusal.
    pub(super) fn make_room(&self, partition: &Partition, full: Full) -> Result<()> {
        let Some(cap) = &self.space.cap else { return Err(full.error) };
        let refusal = |error: Error| error.within(partition.id());
        if partition.settings.log_config().dir_full_policy != DirFullPolicy::DropOldest {
            return Err(refusal(full.error));
        }
        let _one_at_a_time = cap.dropping.lock();
        if cap.rounds.load(Ordering::Acquire) != full.round {
            return Ok(()); // somebody else made room meanwhile
        }
        if !self.drop_oldest_of(partition)? {
            return Err(refusal(full.error));
        }
        cap.rounds.fetch_add(1, Ordering::AcqRel);
        Ok(())
    }

    /// Among the topic's partitions, the one whose oldest segment has the oldest records gives it up.
    fn drop_oldest_of(&self, partition: &Partition) -> Result<bool> {
        let mut candidates: Vec<(i64, Arc<Partition>)> = Vec::new();
        for sibling in partition.settings.partitions() {
            if let Some(oldest) = sibling.oldest_data()? {
                candidates.push((oldest, sibling));
            }
        }
        candidates.sort_by_key(|(oldest, sibling)| (*oldest, sibling.id().partition));
        for (_, sibling) in candidates {
            if sibling.drop_oldest_segment()? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Partition {
    /// Timestamp (ms) of the newest record of the oldest segment; `None` when the partition holds nothing.
    fn oldest_data(&self) -> Result<Option<i64>> {
        if let Slot::Resting(rest) = &*self.slot.read() {
            if !rest.on_disk {
                return Ok(None);
            }
        }
        let oldest = self.log()?.segment_summaries().into_iter().find(|segment| segment.log_bytes > 0);
        Ok(oldest.map(|segment| segment.max_timestamp.map_or(i64::MIN, |newest| newest.0)))
    }

    fn drop_oldest_segment(&self) -> Result<bool> {
        let log = self.log()?;
        if log.failure().is_some() {
            return Ok(false);
        }
        // Under flush.messages=1 only what was flushed is below the high watermark, and only that may be dropped.
        if self.must_flush_before_ack() {
            log.flush_up_to(log.log_end())?;
        }
        let moved = self.settle(&log);
        let freed = log.drop_oldest_segment()?;
        if freed > 0 {
            self.house.counters.segments_dropped_for_space.fetch_add(1, Ordering::Relaxed);
            self.house.checkpoints_moved();
        }
        let moved = Moved { watermark: moved.watermark || freed > 0, ..moved };
        self.tell(log, moved);
        Ok(freed > 0)
    }
}
