//! One partition of this node: its log, opened when somebody needs it, and the one place that decides who may append and
//! how far the high watermark goes.

use super::append::rung_in;
use super::house::House;
use super::listeners::{Listeners, Notify, Subscription};
use super::notices::Level;
use super::replica::{Moved, Seat};
use super::slot::{AtRest, Slot};
use super::topic::Settings;
use super::upkeep::EXPIRY_UNKNOWN;
use crate::error::{Error, ErrorCode, Result};
use crate::storage::{AbortedTxn, Fetch, Fetched, Log, LogOffsets};
use crate::time::Instant;
use crate::types::{LeaderEpoch, NodeId, Offset, Rung, Timestamp, TopicPartition};
use parking_lot::{MappedRwLockReadGuard, RwLock};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

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
    /// Its part in a cluster; `None` where this is the only replica.
    pub(super) seat: Option<Box<Seat>>,
    pub(super) listeners: Arc<Listeners>,
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
    /// The newest leader epoch that its log had when it was opened.
    pub(super) epoch_found: AtomicU32,
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
            seat: house.links.as_ref().map(|links| Box::new(Seat::new(house.node_id, Arc::clone(links)))),
            listeners: Arc::default(),
            me: me.clone(),
            touched: AtomicBool::new(false),
            enlisted: AtomicBool::new(false),
            grew: AtomicBool::new(false),
            failure_told: AtomicBool::new(false),
            epoch_found: AtomicU32::new(0),
            counters: Counters::default(),
        })
    }

    /// Topic and number.
    #[must_use]
    pub fn id(&self) -> &TopicPartition {
        &self.id
    }

    /// The newest reign that this node has heard of. Where nobody else can lead it is the last of those whose records are there: 0, unless
    /// a cluster or Kafka wrote them.
    #[must_use]
    pub fn leader_epoch(&self) -> LeaderEpoch {
        match &self.seat {
            Some(seat) => seat.leader().1,
            None => LeaderEpoch(self.epoch_found.load(Ordering::Relaxed)),
        }
    }

    /// Whether this node leads.
    #[must_use]
    pub fn is_leading(&self) -> bool {
        self.seat.as_ref().is_none_or(|seat| seat.is_leading())
    }

    /// Who leads, as far as this node has heard; `None` when nobody does, or where nobody else can.
    #[must_use]
    pub fn leader(&self) -> Option<NodeId> {
        self.seat.as_ref().and_then(|seat| seat.leader().0)
    }

    /// What only the owner of a lone log may do.
    pub(super) fn check_alone(&self, what: &str) -> Result<()> {
        if self.seat.is_none() {
            return Ok(());
        }
        let text = format!("{}: only one whom nobody replicates may {what}", self.id);
        Err(Error::new(ErrorCode::STATE, text))
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
            if self.seat.is_some() {
                // Whoever leads it resigns with the next tick.
                self.house.has_failed.store(true, Ordering::Release);
                self.house.wake_by(self.house.clock.monotonic());
            }
        }
    }

    /// Whether every acknowledgement waits for a flush (`flush.messages=1`).
    #[must_use]
    pub fn must_flush_before_ack(&self) -> bool {
        self.settings.must_flush_before_ack()
    }

    /// `min.insync.replicas` of its topic.
    #[must_use]
    pub fn min_insync_replicas(&self) -> u32 {
        self.settings.min_insync_replicas()
    }

    /// Waits until everything below `end` has reached `rung`, running or joining a group commit on this thread when that
    /// takes one. Answers the rung that was reached, which may be higher.
    ///
    /// # Errors
    /// KAFKA_STORAGE_ERROR when the sync failed: the partition is offline. REQUEST_TIMED_OUT when `deadline` passed.
    /// OFFSET_OUT_OF_RANGE when `end` lies behind the log's end.
    pub fn wait_for(&self, end: Offset, rung: Rung, deadline: Option<Instant>) -> Result<Rung> {
        // A group commit is not interrupted, its outcome counts. The deadline bounds the wait for other replicas.
        if let Slot::Resting(AtRest { offsets: Some(offsets), .. }) = &*self.slot.read() {
            if end <= offsets.flushed && self.seat.is_none() {
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
            if let Some(seat) = &self.seat {
                return self.wait_replicated(seat, self.leader_epoch(), end, deadline);
            }
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

    /// Drops everything from `end` on (the batch that holds it included); durable on return. Answers the new log end. What makes no
    /// sense in the part that would be left refuses the cut, and nothing is changed. STATE in a cluster, where the leader decides
    /// about that.
    pub fn truncate_to(&self, end: Offset) -> Result<Offset> {
        self.check_alone("cut a log")?;
        let log = self.log()?;
        let cut = log.truncate_to(end).and_then(|()| self.house.take_back_marks(self.id(), &log));
        let outcome = cut.map(|()| log.log_end());
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
        self.check_hosted()?;
        Ok(self.log()?.offsets())
    }

    /// The same, without opening a log for it.
    #[cfg(any(test, feature = "sim"))]
    #[must_use]
    pub fn offsets_if_open(&self) -> Option<LogOffsets> {
        match &*self.slot.read() {
            Slot::Open(log) => Some(log.offsets()),
            Slot::Resting(_) | Slot::Deleted => None,
        }
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
    ///
    /// # Errors
    /// OFFSET_OUT_OF_RANGE past the high watermark; POLICY_VIOLATION where `cleanup.policy` lacks `delete`; NOT_LEADER_OR_FOLLOWER.
    pub fn delete_records(&self, before: Option<Offset>) -> Result<Offset> {
        if let Some(seat) = &self.seat {
            seat.check_leading(self)?;
        }
        let log = self.log()?;
        let log_start = log.delete_records(before)?;
        let files = log.apply_retention(self.house.clock.realtime());
        self.house.upkeep.expect_file_deletes(self, &log);
        let moved = Moved { watermark: true, ..self.settle(&log) };
        self.tell(log, moved);
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
