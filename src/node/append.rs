//! Appending to a partition on the caller's thread, and what follows from it.

use super::partition::{OpenLog, Partition};
use super::replica::Moved;
use crate::error::{Error, ErrorCode, Result};
use crate::record::SealedBatch;
use crate::storage::{Appended, Log, LogOffsets};
use crate::types::{Acks, LeaderEpoch, Offset, Rung, Timestamp};
use std::sync::atomic::Ordering;

/// Where an append went and how far it has climbed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Placed {
    pub base_offset: Offset,
    pub last_offset: Offset,
    /// The leader's time, when the topic says LogAppendTime.
    pub timestamp: Option<Timestamp>,
    pub rung: Rung,
    /// The batch was in the log already; nothing was written.
    pub duplicate: bool,
    /// The reign in which it was appended; what becomes of it is known in that reign alone ([`Partition::judge_ack`]).
    pub leader_epoch: LeaderEpoch,
}

/// What became of batches that went to the log together.
#[derive(Debug, Default)]
pub struct Grouped {
    /// How many are in the log, counted from the first.
    pub placed: usize,
    /// The log's offsets then; what they say of the end of each batch is its rung.
    pub offsets: LogOffsets,
    /// Why the next one is not.
    pub refused: Option<Error>,
}

/// What was done as the leader.
pub(super) struct Done<T> {
    pub(super) value: T,
    pub(super) leader_epoch: LeaderEpoch,
    /// The log's offsets in the same reign.
    pub(super) offsets: LogOffsets,
    pub(super) moved: Moved,
}

impl Grouped {
    /// The rung that everything below `end` had reached.
    #[must_use]
    pub fn rung(&self, end: Offset) -> Rung {
        rung_in(self.offsets, end)
    }
}

impl Partition {
    /// Appends one batch on the caller's thread. Waits neither for a flush nor for replicas: look at [`Placed::rung`], and
    /// at [`must_flush_before_ack`](Partition::must_flush_before_ack), then call [`wait_for`](Partition::wait_for).
    ///
    /// # Errors
    /// NOT_LEADER_OR_FOLLOWER when another node leads, or nobody. NOT_ENOUGH_REPLICAS before anything is written, when `acks` is
    /// all and `min.insync.replicas` cannot be met; KAFKA_STORAGE_ERROR when this partition is offline; POLICY_VIOLATION when
    /// `dir.max.bytes` leaves no room.
    ///
    /// # Durability
    /// On return the batch survives the death of the process.
    pub fn append(&self, batch: &mut SealedBatch, acks: Acks) -> Result<Placed> {
        let bytes = batch.bytes().len();
        self.append_with(bytes, acks, |log, epoch, now| log.append(batch, epoch, now))
    }

    /// As [`append`](Partition::append), for bytes that somebody else encoded: everything about them is checked first.
    pub fn append_raw(&self, batch: &[u8], acks: Acks) -> Result<Placed> {
        self.append_with(batch.len(), acks, |log, epoch, now| log.append_raw(batch, epoch, now))
    }

    /// Appends batches of a producer without an id one behind the other in one write, where the topic's settings allow; otherwise,
    /// and when `dir.max.bytes` leaves no room for all of them, nothing is done and `placed` is 0: then append them one by one.
    pub fn append_group(&self, batches: &mut [SealedBatch], acks: Acks) -> Grouped {
        let bytes = batches.iter().map(|batch| batch.bytes().len()).sum();
        let Ok(_promise) = self.house.space.promise(bytes) else { return Grouped::default() };
        let log = match self.log() {
            Ok(log) if log.takes_groups() => log,
            Ok(_) => return Grouped::default(),
            Err(refused) => return Grouped { refused: Some(refused), ..Grouped::default() },
        };
        let now = self.now();
        let done = match self.as_leader(&log, acks, |epoch| log.append_group(batches, epoch, now)) {
            Ok(done) => done,
            Err(refused) => return Grouped { refused: Some(refused), ..Grouped::default() },
        };
        let Done { value: (placed, outcome), offsets, moved, .. } = done;
        let mut grouped = Grouped { placed, offsets, refused: None };
        if let Some(last) = batches[..placed].last() {
            let (first, last) = (batches[0].header().base_offset, last.header().last_offset());
            let placed_bytes = batches[..placed].iter().map(|batch| batch.header().batch_bytes as usize).sum();
            self.count(placed as u64, last.next().since(first), placed_bytes);
            self.settled(log, offsets, moved);
        } else {
            self.tell(log, moved);
        }
        if let Err(failed) = outcome {
            self.tell_failure(&failed);
            grouped.refused = Some(failed);
        }
        grouped
    }

    /// Appends batches exactly as another log has them, offsets and epochs included: what a mirror does. They are
    /// checked (checksums, offsets that grow), not judged.
    ///
    /// # Errors
    /// As `append`; CORRUPT_MESSAGE for what is not whole; STATE in a cluster, where only the leader's batches may come that way.
    pub fn append_verbatim(&self, batches: &[u8]) -> Result<Placed> {
        self.check_alone("append as they are")?;
        self.append_with(batches.len(), Acks::Leader, |log, _, _| log.append_verbatim(batches))
    }

    fn append_with(
        &self,
        bytes: usize,
        acks: Acks,
        put: impl FnOnce(&Log, LeaderEpoch, Timestamp) -> Result<Appended>,
    ) -> Result<Placed> {
        loop {
            let _promise = match self.house.space.promise(bytes) {
                Ok(promise) => promise,
                Err(full) => {
                    self.house.make_room(self, full)?; // an error ends the loop
                    continue;
                }
            };
            let log = self.log()?;
            let now = self.now();
            let done = self.as_leader(&log, acks, |epoch| put(&log, epoch, now))?;
            return match done.value {
                Ok(appended) => {
                    let placed = self.placed(appended, done.leader_epoch, done.offsets, bytes);
                    self.settled(log, done.offsets, done.moved);
                    Ok(placed)
                }
                Err(failed) => {
                    self.tell(log, done.moved);
                    self.tell_failure(&failed);
                    Err(failed)
                }
            };
        }
    }

    /// The one place that decides whether an append is ours to take: do we lead, and are enough replicas in sync. In a cluster
    /// no reign ends while `work` runs.
    pub(super) fn as_leader<T>(&self, log: &Log, acks: Acks, work: impl FnOnce(LeaderEpoch) -> T) -> Result<Done<T>> {
        if let Some(seat) = &self.seat {
            return seat.as_leader(self, log, acks, work);
        }
        const IN_SYNC: u32 = 1; // ourselves
        let wanted = self.settings.min_insync_replicas();
        if acks == Acks::All && wanted > IN_SYNC {
            let text = format!("{}: min.insync.replicas is {wanted}, in sync is {IN_SYNC}", self.id());
            return Err(Error::new(ErrorCode::NOT_ENOUGH_REPLICAS, text));
        }
        // No new reign begins here, and none may be older than one whose records lie before.
        let epoch = self.leader_epoch();
        let value = work(epoch);
        let moved = self.settle(log);
        Ok(Done { value, leader_epoch: epoch, offsets: log.offsets(), moved })
    }

    /// The leader's time, as exactly as the topic needs it.
    pub(super) fn now(&self) -> Timestamp {
        if self.settings.is_time_critical() {
            self.house.clock.realtime()
        } else {
            self.house.clock.realtime_coarse()
        }
    }

    pub(super) fn placed(
        &self,
        appended: Appended,
        leader_epoch: LeaderEpoch,
        offsets: LogOffsets,
        bytes: usize,
    ) -> Placed {
        let end = appended.last_offset.next();
        if !appended.duplicate {
            self.count(1, end.since(appended.base_offset), bytes);
        }
        Placed {
            base_offset: appended.base_offset,
            last_offset: appended.last_offset,
            timestamp: appended.log_append_time,
            rung: rung_in(offsets, end),
            duplicate: appended.duplicate,
            leader_epoch,
        }
    }

    pub(super) fn count(&self, appends: u64, records: u64, bytes: usize) {
        self.counters.appends.fetch_add(appends, Ordering::Relaxed);
        self.counters.records.fetch_add(records, Ordering::Relaxed);
        self.counters.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Something was appended: sees to it that the flush comes, tells the listeners and the followers.
    pub(super) fn settled(&self, log: OpenLog<'_>, offsets: LogOffsets, moved: Moved) {
        self.expect_flush(&log, offsets.log_end.since(offsets.flushed));
        self.tell(log, moved);
    }

    /// Something was appended, and so many records are not flushed: the upkeep hears what it has to know.
    pub(super) fn expect_flush(&self, log: &Log, unflushed: u64) {
        // A read-modify-write, not a load: a tick that took us off the list before this sees the append, one that does so
        // after it finds us on the list again.
        if !self.enlisted.swap(true, Ordering::AcqRel) {
            self.house.upkeep.enlist(self, log);
        }
        // flush.messages: not on the way to this acknowledgement.
        if unflushed >= self.settings.flush_count() || log.calls_for_writeback() {
            self.house.wake_upkeep_by(self.house.clock.monotonic());
        }
    }

    /// Raises the high watermark to what every in-sync replica vouches for: with one replica, to what this one does, which
    /// is its flushed end under `flush.messages=1` and its log end otherwise. [`tell`](Partition::tell) what moved.
    pub(super) fn settle(&self, log: &Log) -> Moved {
        if let Some(seat) = &self.seat {
            return seat.handle_log(self, log);
        }
        let vouched = if self.must_flush_before_ack() { log.flushed() } else { log.log_end() };
        Moved::watermark(log.advance_high_watermark(vouched))
    }

    /// Lets go of the log, then tells whoever has to hear of it.
    pub(super) fn tell(&self, log: OpenLog<'_>, moved: Moved) {
        let somebody = moved.is_worth_telling() && self.listeners.any();
        drop(log);
        self.spread(moved, somebody);
    }
}

/// The highest rung that everything below `end` has reached.
pub(super) fn rung_in(offsets: LogOffsets, end: Offset) -> Rung {
    if end <= offsets.high_watermark {
        Rung::Replicated
    } else if end <= offsets.flushed {
        Rung::Flushed
    } else if end <= offsets.log_end {
        Rung::Written
    } else {
        Rung::Buffered
    }
}
