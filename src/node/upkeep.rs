//! What a node does by itself: flushes that are due, retention, files whose time has come, checkpoints. Nothing is looked at
//! before something happened to it, so a node at rest has nothing to come back for.

use super::house::House;
use super::notices::Level;
use super::partition::Partition;
use super::replica::Moved;
use super::slot::Slot;
use super::Node;
use crate::config::LogConfig;
use crate::error::Result;
use crate::storage::Log;
use crate::time::Instant;
use crate::types::{Timestamp, TopicPartition};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// `Partition::expiry` of a log that nobody looked at yet.
pub(super) const EXPIRY_UNKNOWN: i64 = i64::MIN;
/// `Partition::expiry` of a log in which nothing will ever expire by age, as it is.
pub(super) const EXPIRY_NEVER: i64 = i64::MAX;
/// After opening, retention leaves the start alone for a while (Kafka's log.initial.task.delay.ms).
const RETENTION_FIRST_DELAY: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(super) struct Upkeep {
    retention_check_interval: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Appended to since somebody last looked whether a flush is due.
    active: BTreeMap<TopicPartition, Weak<Partition>>,
    /// Has files that wait for file.delete.delay.ms.
    file_deletes: BTreeMap<TopicPartition, (Weak<Partition>, Instant)>,
    retention_due: Option<Instant>,
    retention_last: Option<Instant>,
}

impl State {
    fn retention_by(&mut self, when: Instant) -> Instant {
        let due = self.retention_due.map_or(when, |due| due.min(when));
        self.retention_due = Some(due);
        due
    }
}

impl Upkeep {
    pub(super) fn new(retention_check_interval: Duration) -> Upkeep {
        Upkeep { retention_check_interval, state: Mutex::default() }
    }

    /// The first append since the last look: flush, retention and checkpoints may have something to do in time.
    pub(super) fn enlist(&self, partition: &Partition, log: &Log) {
        let house = &partition.house;
        let now = house.clock.monotonic();
        let flush_due = log.flush_due();
        let retention_due = {
            let mut state = self.state.lock();
            state.active.insert(partition.id().clone(), partition.me.clone());
            has_retention(&partition.settings.log_config()).then(|| {
                partition.grew.store(true, Ordering::Release);
                let after = state.retention_last.unwrap_or(now) + self.retention_check_interval;
                state.retention_by(after)
            })
        };
        let checkpoint_due = house.checkpoints.moved(house.clock.as_ref());
        if let Some(due) = [flush_due, retention_due, checkpoint_due].into_iter().flatten().min() {
            house.wake_upkeep_by(due);
        }
    }

    /// Files of this log were renamed and wait to be removed.
    pub(super) fn expect_file_deletes(&self, partition: &Partition, log: &Log) {
        let house = &partition.house;
        match log.delete_due_files(house.clock.monotonic()) {
            Ok(None) => {}
            Ok(Some(due)) => {
                self.state.lock().file_deletes.insert(partition.id().clone(), (partition.me.clone(), due));
                house.wake_upkeep_by(due);
            }
            Err(failed) => {
                house.tell(Level::Warn, || format!("{}: {}", partition.id(), failed.message()));
            }
        }
    }

    /// What is on disk at the start has an age, too; and so has what a changed setting looks at anew.
    pub(super) fn expect_retention(&self, house: &House, at_start: bool) {
        let interval = self.retention_check_interval;
        let delay = if at_start { interval.min(RETENTION_FIRST_DELAY) } else { interval };
        let due = self.state.lock().retention_by(house.clock.monotonic() + delay);
        house.wake_upkeep_by(due);
    }
}

/// Whether anything is ever deleted because of its age or the log's size.
pub(super) fn has_retention(config: &LogConfig) -> bool {
    config.cleanup_policy.delete && (config.retention_age.is_some() || config.retention_bytes.is_some())
}

impl Node {
    /// Does what is due at `now` and says when to come back; `None` when nothing is pending. Whoever runs the node calls it
    /// then, and whenever the [`Alarm`](super::Alarm) says so; calling it more often does no harm. A host with two threads calls its halves.
    pub fn tick(&self, now: Instant) -> Option<Instant> {
        [self.tick_upkeep(now), self.tick_membership(now)].into_iter().flatten().min()
    }

    /// The half of [`tick`](Node::tick) that may wait for the disk, for as long as a sync takes: flushes, retention, checkpoints,
    /// deletes. One thread at a time; all else goes on meanwhile, but [`close`](Node::close), which waits for its end.
    pub fn tick_upkeep(&self, now: Instant) -> Option<Instant> {
        if self.house.check_open().is_err() {
            return None;
        }
        let dues = [
            self.flush_due_logs(now),
            self.apply_due_retention(now),
            self.house.delete_due_files(now),
            self.house.deletions.remove_due(&self.house, now),
            self.house.write_due_checkpoints(now),
        ];
        dues.into_iter().flatten().min()
    }

    /// The half of [`tick`](Node::tick) that others wait for: what this node has to say to its cluster.
    pub fn tick_membership(&self, now: Instant) -> Option<Instant> {
        if self.house.check_open().is_err() {
            return None;
        }
        self.house.counters.ticks.fetch_add(1, Ordering::Relaxed);
        self.tick_member(now)
    }

    /// The part of [`tick_membership`](Node::tick_membership) that tells the controller that this node lives, for a thread that does nothing
    /// else: it never waits for the disk, and that one may. Says when to come again; `None` for good where the node is in no cluster.
    pub fn beat(&self, now: Instant) -> Option<Instant> {
        if self.house.check_open().is_err() {
            return None;
        }
        self.beat_member(now)
    }

    #[cfg(feature = "quorum")]
    fn beat_member(&self, now: Instant) -> Option<Instant> {
        self.member()?.beat(now)
    }

    #[cfg(not(feature = "quorum"))]
    fn beat_member(&self, _: Instant) -> Option<Instant> {
        None
    }

    #[cfg(feature = "quorum")]
    fn tick_member(&self, now: Instant) -> Option<Instant> {
        self.member()?.tick(now)
    }

    #[cfg(not(feature = "quorum"))]
    fn tick_member(&self, _: Instant) -> Option<Instant> {
        None
    }

    fn flush_due_logs(&self, now: Instant) -> Option<Instant> {
        let upkeep = &self.house.upkeep;
        let active = std::mem::take(&mut upkeep.state.lock().active);
        let mut next: Option<Instant> = None;
        for (id, weak) in active {
            let Some(partition) = weak.upgrade() else { continue };
            // Off the list before we look: an append that we do not see puts it on again.
            partition.enlisted.swap(false, Ordering::AcqRel);
            // A failure was told to everybody by now.
            let due = partition.flush_if(|due| due <= now).unwrap_or(None);
            if let Some(due) = due {
                next = Some(next.map_or(due, |next| next.min(due)));
                if !partition.enlisted.swap(true, Ordering::AcqRel) {
                    upkeep.state.lock().active.insert(id, weak);
                }
            }
        }
        next
    }

    fn apply_due_retention(&self, now: Instant) -> Option<Instant> {
        let upkeep = &self.house.upkeep;
        {
            let mut state = upkeep.state.lock();
            let due = state.retention_due?;
            if due > now {
                return Some(due);
            }
            state.retention_due = None;
            state.retention_last = Some(now);
        }
        let today = self.house.clock.realtime();
        let mut soonest = EXPIRY_NEVER;
        for topic in self.topic_handles() {
            if !has_retention(&topic.log_config()) {
                continue;
            }
            for partition in topic.partitions() {
                let expires = partition.expiry.load(Ordering::Acquire);
                if partition.grew.swap(false, Ordering::AcqRel) || expires <= today.0 {
                    partition.apply_retention(today);
                }
                soonest = soonest.min(partition.expiry.load(Ordering::Acquire));
            }
        }
        let mut state = upkeep.state.lock();
        if soonest != EXPIRY_NEVER {
            let ahead = Duration::from_millis(u64::try_from(soonest.saturating_sub(today.0)).unwrap_or(0));
            state.retention_by(now + ahead.max(upkeep.retention_check_interval));
        }
        state.retention_due
    }
}

impl House {
    fn delete_due_files(&self, now: Instant) -> Option<Instant> {
        let due: Vec<Arc<Partition>> = {
            let mut state = self.upkeep.state.lock();
            let (due, later) =
                std::mem::take(&mut state.file_deletes).into_iter().partition(|(_, (_, due))| *due <= now);
            state.file_deletes = later;
            let due: BTreeMap<_, (Weak<Partition>, Instant)> = due;
            due.into_values().filter_map(|(partition, _)| partition.upgrade()).collect()
        };
        for partition in due {
            // A resting log has removed its files already.
            if let Slot::Open(log) = &*partition.slot.read() {
                self.upkeep.expect_file_deletes(&partition, log);
            }
        }
        self.upkeep.state.lock().file_deletes.values().map(|(_, due)| *due).min()
    }
}

impl Partition {
    /// Flushes an open log whose deadline `is_due` accepts; answers the deadline that is left.
    pub(super) fn flush_if(&self, is_due: impl FnOnce(Instant) -> bool) -> Result<Option<Instant>> {
        let slot = self.slot.read();
        let Slot::Open(log) = &*slot else { return Ok(None) };
        // An offline partition asks for nothing any more.
        let Some(due) = log.flush_due() else { return log.failure().map_or(Ok(None), Err) };
        if !is_due(due) {
            log.begin_writeback();
            return Ok(Some(due));
        }
        if let Err(failed) = log.flush() {
            drop(slot);
            self.tell_failure(&failed);
            return Err(failed);
        }
        let moved = self.settle(log);
        let left = log.flush_due();
        let listeners = moved.is_worth_telling();
        drop(slot);
        self.spread(moved, listeners);
        self.house.checkpoints_moved();
        Ok(left)
    }

    fn apply_retention(&self, today: Timestamp) {
        let expiry = match self.apply_retention_to_log(today) {
            Ok(next) => next.map_or(EXPIRY_NEVER, |next| next.0),
            Err(failed) => {
                self.house.tell(Level::Warn, || format!("{}: retention: {}", self.id(), failed.message()));
                // Until the next append: an offline partition would fail every time.
                EXPIRY_NEVER
            }
        };
        self.expiry.store(expiry, Ordering::Release);
    }

    fn apply_retention_to_log(&self, today: Timestamp) -> Result<Option<Timestamp>> {
        let log = self.log()?;
        let outcome = log.apply_retention(today)?;
        log.expire_producers(today);
        if outcome.segments_deleted > 0 {
            self.house.counters.segments_deleted.fetch_add(outcome.segments_deleted.into(), Ordering::Relaxed);
            self.house.upkeep.expect_file_deletes(self, &log);
            self.house.checkpoints_moved();
        }
        let moved = Moved { watermark: outcome.segments_deleted > 0, ..self.settle(&log) };
        self.tell(log, moved);
        Ok(outcome.next_expiry)
    }
}
