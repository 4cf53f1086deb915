//! One partition of this node: its log, opened when somebody needs it, and the one place that decides who may append and
//! how far the high watermark goes.

use super::house::House;
use super::listeners::{Listeners, Notify, Subscription};
use super::notices::Level;
use super::slot::{AtRest, Slot};
use super::topic::Settings;
use super::upkeep::EXPIRY_UNKNOWN;
use crate::error::{Error, ErrorCode, Result};
use crate::record::SealedBatch;
use crate::storage::{AbortedTxn, Appended, Fetch, Fetched, Log, LogOffsets};
use crate::time::Instant;
use crate::types::{Acks, LeaderEpoch, Offset, Rung, Timestamp, TopicPartition};
use parking_lot::{MappedRwLockReadGuard, RwLock};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

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

impl Grouped {
    /// The rung that everything below `end` had reached.
    #[must_use]
    pub fn rung(&self, end: Offset) -> Rung {
        rung_in(self.offsets, end)
    }
}

/// What appending has done since the node was opened.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) appends: AtomicU64,
    pub(super) records: AtomicU64,
    pub(super) bytes: AtomicU64,
    /// Of logs that were closed meanwhile; the open log counts for itself.
    pub(super) past_syncs: AtomicU64,
    pub(super) past_sync_nanos: AtomicU64,
}

/// One partition. A handle stays good while the log behind it is closed and opened again; it ends with its topic.
#[derive(Debug)]
pub struct Partition {
    id: TopicPartition,
    pub(super) house: Arc<House>,
    pub(super) settings: Arc<Settings>,
    // Everybody who works on the log holds this for reading, a sync included, so that nobody closes the log (or deletes its
    // directory) below their feet. Only opening, resting and deleting take it for writing.
    pub(super) slot: RwLock<Slot>,
    listeners: Arc<Listeners>,
    pub(super) me: Weak<Partition>,
    /// Used since the clock hand of the open partitions last came by.
    pub(super) touched: AtomicBool,
    /// On the list of partitions that the next tick looks at.
    pub(super) enlisted: AtomicBool,
    /// Appended to since the last retention pass.
    pub(super) grew: AtomicBool,
    /// When something expires by age, in ms since the epoch; see `upkeep`.
    pub(super) expiry: AtomicI64,
    /// The storage failure was told already.
    failure_told: AtomicBool,
    pub(super) counters: Counters,
}

pub(super) type OpenLog<'a> = MappedRwLockReadGuard<'a, Log>;

impl Partition {
    pub(super) fn new(
        id: TopicPartition,
        house: &Arc<House>,
        settings: &Arc<Settings>,
        rest: AtRest,
    ) -> Arc<Partition> {
        Arc::new_cyclic(|me| Partition {
            id,
            house: Arc::clone(house),
            settings: Arc::clone(settings),
            expiry: AtomicI64::new(rest.first_expiry()),
            slot: RwLock::new(Slot::Resting(rest)),
            listeners: Arc::default(),
            me: me.clone(),
            touched: AtomicBool::new(false),
            enlisted: AtomicBool::new(false),
            grew: AtomicBool::new(false),
            failure_told: AtomicBool::new(false),
            counters: Counters::default(),
        })
    }

    /// Topic and number.
    #[must_use]
    pub fn id(&self) -> &TopicPartition {
        &self.id
    }

    /// The epoch that this node's appends are stamped with.
    #[must_use]
    pub fn leader_epoch(&self) -> LeaderEpoch {
        // The first reign, until somebody else can lead.
        LeaderEpoch(0)
    }

    /// Appends one batch on the caller's thread. Waits neither for a flush nor for replicas: look at [`Placed::rung`], and
    /// at [`must_flush_before_ack`](Partition::must_flush_before_ack), then call [`wait_for`](Partition::wait_for).
    ///
    /// # Errors
    /// NOT_ENOUGH_REPLICAS before anything is written, when `acks` is all and `min.insync.replicas` cannot be met;
    /// KAFKA_STORAGE_ERROR when this partition is offline; POLICY_VIOLATION when `dir.max.bytes` leaves no room.
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
        let (log, epoch) = match self.log().and_then(|log| Ok((log, self.admit(acks)?))) {
            Ok(admitted) => admitted,
            Err(refused) => return Grouped { refused: Some(refused), ..Grouped::default() },
        };
        if !log.takes_groups() {
            return Grouped::default();
        }
        let (placed, outcome) = log.append_group(batches, epoch, self.now());
        let mut grouped = Grouped { placed, ..Grouped::default() };
        if let Some(last) = batches[..placed].last() {
            let (first, last) = (batches[0].header().base_offset, last.header().last_offset());
            let placed_bytes = batches[..placed].iter().map(|batch| batch.header().batch_bytes as usize).sum();
            self.count(placed as u64, last.next().since(first), placed_bytes);
            grouped.offsets = self.settled(log);
        } else {
            drop(log);
        }
        if let Err(failed) = outcome {
            self.tell_failure(&failed);
            grouped.refused = Some(failed);
        }
        grouped
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
            let epoch = self.admit(acks)?;
            return match put(&log, epoch, self.now()) {
                Ok(appended) => Ok(self.placed(log, appended, bytes)),
                Err(failed) => {
                    drop(log);
                    self.tell_failure(&failed);
                    Err(failed)
                }
            };
        }
    }

    /// The leader's time, as exactly as the topic needs it.
    fn now(&self) -> Timestamp {
        if self.settings.is_time_critical() {
            self.house.clock.realtime()
        } else {
            self.house.clock.realtime_coarse()
        }
    }

    /// The one place that decides whether an append is ours to take: do we lead, and are enough replicas in sync.
    fn admit(&self, acks: Acks) -> Result<LeaderEpoch> {
        const IN_SYNC: u32 = 1; // ourselves
        let wanted = self.settings.min_insync_replicas();
        if acks == Acks::All && wanted > IN_SYNC {
            let text = format!("{}: min.insync.replicas is {wanted}, in sync is {IN_SYNC}", self.id);
            return Err(Error::new(ErrorCode::NOT_ENOUGH_REPLICAS, text));
        }
        Ok(self.leader_epoch())
    }

    fn placed(&self, log: OpenLog<'_>, appended: Appended, bytes: usize) -> Placed {
        let end = appended.last_offset.next();
        if !appended.duplicate {
            self.count(1, end.since(appended.base_offset), bytes);
        }
        let rung = rung_in(self.settled(log), end);
        Placed {
            base_offset: appended.base_offset,
            last_offset: appended.last_offset,
            timestamp: appended.log_append_time,
            rung,
            duplicate: appended.duplicate,
        }
    }

    fn count(&self, appends: u64, records: u64, bytes: usize) {
        self.counters.appends.fetch_add(appends, Ordering::Relaxed);
        self.counters.records.fetch_add(records, Ordering::Relaxed);
        self.counters.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Something was appended: moves the high watermark, sees to it that the flush comes, tells the listeners.
    fn settled(&self, log: OpenLog<'_>) -> LogOffsets {
        let moved = self.settle(&log);
        // A read-modify-write, not a load: a tick that took us off the list before this sees the append, one that does so
        // after it finds us on the list again.
        if !self.enlisted.swap(true, Ordering::AcqRel) {
            self.house.upkeep.enlist(self, &log);
        }
        let offsets = log.offsets();
        if offsets.log_end.since(offsets.flushed) >= self.settings.flush_count() {
            self.house.wake_by(self.house.clock.monotonic()); // flush.messages: not on the way to this acknowledgement
        }
        self.tell(log, moved);
        offsets
    }

    /// Raises the high watermark to what every in-sync replica vouches for: with one replica, to what this one does, which
    /// is its flushed end under `flush.messages=1` and its log end otherwise. True when it moved.
    pub(super) fn settle(&self, log: &Log) -> bool {
        let vouched = if self.must_flush_before_ack() { log.flushed() } else { log.log_end() };
        log.advance_high_watermark(vouched)
    }

    /// Lets go of the log, then tells the listeners if there was something to tell.
    pub(super) fn tell(&self, log: OpenLog<'_>, moved: bool) {
        let somebody = moved && self.listeners.any();
        drop(log);
        if somebody {
            self.listeners.notify();
        }
    }

    pub(super) fn first_expiry(&self) -> i64 {
        match &*self.slot.read() {
            Slot::Resting(rest) => rest.first_expiry(),
            Slot::Open(_) | Slot::Deleted => EXPIRY_UNKNOWN,
        }
    }

    pub(super) fn tell_everybody(&self) {
        self.listeners.notify();
    }

    /// Says once that this partition went offline.
    pub(super) fn tell_failure(&self, error: &Error) {
        if error.code() == ErrorCode::KAFKA_STORAGE_ERROR && !self.failure_told.swap(true, Ordering::Relaxed) {
            self.house.tell(Level::Error, || format!("{} is offline: {}", self.id, error.message()));
            self.listeners.notify();
        }
    }

    /// Whether every acknowledgement waits for a flush (`flush.messages=1`).
    #[must_use]
    pub fn must_flush_before_ack(&self) -> bool {
        self.settings.must_flush_before_ack()
    }

    /// Waits until everything below `end` has reached `rung`, running or joining a group commit on this thread when that
    /// takes one. Answers the rung that was reached, which may be higher.
    ///
    /// # Errors
    /// KAFKA_STORAGE_ERROR when the sync failed: the partition is offline. REQUEST_TIMED_OUT when `deadline` passed.
    /// OFFSET_OUT_OF_RANGE when `end` lies behind the log's end.
    pub fn wait_for(&self, end: Offset, rung: Rung, deadline: Option<Instant>) -> Result<Rung> {
        // A group commit is not interrupted, its outcome counts. The deadline bounds the wait for other replicas, and as long as
        // there are none nobody is waited for.
        let _ = deadline;
        if let Slot::Resting(AtRest { offsets: Some(offsets), .. }) = &*self.slot.read() {
            if end <= offsets.flushed {
                return Ok(Rung::Replicated); // resting logs were flushed whole
            }
        }
        let log = self.log()?;
        let log_end = log.log_end();
        if end > log_end {
            let text = format!("{}: waiting for {end}, but the log ends at {log_end}", self.id);
            return Err(Error::new(ErrorCode::OFFSET_OUT_OF_RANGE, text));
        }
        let needs_flush = match rung {
            Rung::Buffered | Rung::Written => false,
            Rung::Flushed => true,
            Rung::Replicated => self.must_flush_before_ack(),
        };
        if needs_flush && log.flushed() < end {
            if let Err(failed) = log.flush_up_to(end) {
                drop(log);
                self.tell_failure(&failed);
                return Err(failed);
            }
        }
        let moved = self.settle(&log);
        let offsets = log.offsets();
        self.tell(log, moved);
        if rung == Rung::Replicated && offsets.high_watermark < end {
            let text = format!("{}: {end} is not replicated yet", self.id);
            return Err(Error::new(ErrorCode::REQUEST_TIMED_OUT, text));
        }
        Ok(rung_in(offsets, end))
    }

    /// Makes everything appended before the call durable, the indexes included. A resting log is that already.
    ///
    /// # Errors
    /// KAFKA_STORAGE_ERROR: the partition is offline.
    pub fn sync(&self) -> Result<()> {
        self.flush_if(|_| true).map(|_| ())
    }

    /// Appends batches exactly as another log has them, offsets and epochs included: what a follower or a mirror does. They are
    /// checked (checksums, offsets that grow), not judged. Errors as `append`, CORRUPT_MESSAGE for what is not whole.
    pub fn append_verbatim(&self, batches: &[u8]) -> Result<Placed> {
        self.append_with(batches.len(), Acks::Leader, |log, _, _| log.append_verbatim(batches))
    }

    /// Drops everything from `end` on (the batch that holds it included); durable on return. Answers the new log end.
    pub fn truncate_to(&self, end: Offset) -> Result<Offset> {
        let log = self.log()?;
        let outcome = log.truncate_to(end).map(|()| log.log_end());
        drop(log);
        if let Err(failed) = &outcome {
            self.tell_failure(failed);
        }
        self.listeners.notify();
        outcome
    }

    /// The first record that has the largest timestamp of all: its offset and timestamp.
    pub fn offset_of_max_timestamp(&self) -> Result<Option<(Offset, Timestamp)>> {
        self.log()?.offset_of_max_timestamp()
    }

    /// Every leader epoch and the offset where it began.
    pub fn leader_epochs(&self) -> Result<Vec<(LeaderEpoch, Offset)>> {
        Ok(self.log()?.leader_epochs())
    }

    /// Reads whole batches; their checksums are not compared yet.
    pub fn read(&self, fetch: Fetch) -> Result<Fetched> {
        self.log()?.read(fetch)
    }

    /// Log start, high watermark, flushed end, log end.
    pub fn offsets(&self) -> Result<LogOffsets> {
        self.house.check_open()?;
        match &*self.slot.read() {
            Slot::Open(log) => return Ok(log.offsets()),
            Slot::Resting(AtRest { offsets: Some(offsets), .. }) => return Ok(*offsets),
            Slot::Resting(_) | Slot::Deleted => {}
        }
        Ok(self.log()?.offsets())
    }

    /// The first record whose timestamp is `at` or later: its offset and timestamp.
    pub fn offset_for_timestamp(&self, at: Timestamp) -> Result<Option<(Offset, Timestamp)>> {
        self.log()?.offset_for_timestamp(at)
    }

    /// End of what a `read_committed` consumer may read.
    pub fn last_stable_offset(&self) -> Result<Offset> {
        Ok(self.log()?.last_stable_offset())
    }

    /// The aborted transactions with records in `[from, to)`: what a `read_committed` consumer drops.
    pub fn aborted_transactions(&self, from: Offset, to: Offset) -> Result<Vec<AbortedTxn>> {
        self.log()?.aborted_transactions(from, to)
    }

    /// Deletes the records below `before` (`None`: below the high watermark), as far as whole segments go, and answers the new
    /// log start, which is durable on return.
    pub fn delete_records(&self, before: Option<Offset>) -> Result<Offset> {
        let log = self.log()?;
        let log_start = log.delete_records(before)?;
        let files = log.apply_retention(self.house.clock.realtime());
        self.house.upkeep.expect_file_deletes(self, &log);
        self.tell(log, true);
        self.house.checkpoints_moved();
        self.house.write_log_starts()?;
        files?;
        Ok(log_start)
    }

    /// The storage failure that took this partition offline, if one did.
    #[must_use]
    pub fn failure(&self) -> Option<Error> {
        match &*self.slot.read() {
            Slot::Open(log) => log.failure(),
            Slot::Resting(_) | Slot::Deleted => None,
        }
    }

    /// Tells `listener` whenever the high watermark or the log start moves, the partition goes offline or its topic is
    /// deleted. Subscribe first, look afterwards, and keep the subscription: making one waits for a sync that runs.
    pub fn subscribe(&self, listener: Arc<dyn Notify>) -> Subscription {
        let subscription = self.listeners.add(listener);
        // Whoever moves the watermark asks for listeners while it holds the slot. Having had the slot alone, we know: what
        // moved before, we see; what moves from now on, we are told.
        drop(self.slot.write());
        subscription
    }
}

/// The highest rung that everything below `end` has reached.
fn rung_in(offsets: LogOffsets, end: Offset) -> Rung {
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
