//! One batch from its first record to its fate: the bytes being filled, who waits for them, and what came out.

use super::queue::PartitionQueue;
use super::shared::Shared;
use super::{BatchPlacement, DeliveryReport, RecordMetadata};
use crate::error::{Error, ErrorCode, Result};
use crate::record::{BatchBuilder, RecordRef};
use crate::time::Instant;
use crate::types::{LeaderEpoch, Offset, Rung, Timestamp};
use parking_lot::Mutex;
use std::num::NonZeroU32;
use std::sync::atomic::{
    AtomicBool, AtomicU32, AtomicU64, AtomicU8, Ordering::Relaxed, Ordering::Release, Ordering::SeqCst,
};
use std::sync::Arc;
use std::task::Waker;

/// A user's callback.
pub(super) type Callback = Box<dyn FnOnce(Result<RecordMetadata>) + Send>;

/// Later than every moment.
const UNTIMED: u64 = u64::MAX;

/// How far a batch has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum Stage {
    /// Open, queued, or in the hands of the thread that appends it.
    Pending = 0,
    /// In the log, but not yet on the rung that its acknowledgement needs.
    Written = 1,
    /// The outcome is final.
    Done = 2,
}

/// What a delivery remembers of its own record, so that the batch need not.
#[derive(Clone, Copy, Debug)]
pub(super) struct Receipt {
    pub offset_delta: u32,
    // `ABSENT` or the length: a delivery is moved about a lot, so it is kept small.
    key_bytes: u32,
    value_bytes: u32,
    pub timestamp: Timestamp,
}

/// No length, because records are below max.request.size.
const ABSENT: u32 = u32::MAX;

impl Receipt {
    #[inline]
    pub fn new(offset_delta: u32, record: RecordRef<'_>, timestamp: Timestamp) -> Receipt {
        let length = |bytes: Option<&[u8]>| bytes.map_or(ABSENT, |bytes| bytes.len() as u32);
        Receipt { offset_delta, key_bytes: length(record.key), value_bytes: length(record.value), timestamp }
    }
}

/// What became of a batch.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    Placed(BatchPlacement),
    Failed(Error),
    /// It was too large for its topic and went record by record: each has a placement of its own.
    Split(Arc<[Result<BatchPlacement>]>),
}

impl Outcome {
    /// The answer for one record: its own offset in the placement.
    pub fn of(&self, receipt: &Receipt) -> Result<BatchPlacement> {
        match self {
            Outcome::Failed(error) => Err(error.clone()),
            Outcome::Split(each) => each[receipt.offset_delta as usize].clone(),
            Outcome::Placed(at) => {
                let (base_offset, _) = at.place_of(receipt.offset_delta, receipt.timestamp);
                Ok(BatchPlacement { base_offset, ..*at })
            }
        }
    }

    /// The same outcome with what was placed now on `rung`.
    pub fn climbed(self, rung: Rung) -> Outcome {
        match self {
            Outcome::Placed(at) => Outcome::Placed(BatchPlacement { rung, ..at }),
            Outcome::Split(each) => {
                Outcome::Split(each.iter().map(|one| one.clone().map(|at| BatchPlacement { rung, ..at })).collect())
            }
            failed => failed,
        }
    }
}

/// The part of a batch that its deliveries share.
pub(super) struct Completion {
    /// A delivery may outlive every handle of its producer.
    pub shared: Arc<Shared>,
    pub queue: Arc<PartitionQueue>,
    // When it was opened; `UNTIMED` as long as nobody had to ask the clock, because it goes at once.
    opened_at: AtomicU64,
    // Of the leader that took it; only told where there may be several.
    leader_epoch: AtomicU32,
    stage: AtomicU8,
    watched: AtomicBool,
    fate: Mutex<Fate>,
}

struct Fate {
    outcome: Option<Outcome>,
    // End of what was placed; asked of the partition for rungs.
    end: Offset,
    wakers: Vec<(NonZeroU32, Waker)>,
    last_waker: u32,
}

impl Completion {
    pub fn new(shared: Arc<Shared>, queue: Arc<PartitionQueue>) -> Completion {
        Completion {
            shared,
            queue,
            opened_at: AtomicU64::new(UNTIMED),
            leader_epoch: AtomicU32::new(0),
            stage: AtomicU8::new(Stage::Pending as u8),
            watched: AtomicBool::new(false),
            fate: Mutex::new(Fate { outcome: None, end: Offset::ZERO, wakers: Vec::new(), last_waker: 0 }),
        }
    }

    /// Makes it one of `queue`'s.
    pub fn bind(&mut self, queue: &Arc<PartitionQueue>) {
        if !Arc::ptr_eq(&self.queue, queue) {
            self.queue = queue.clone();
        }
    }

    /// Back to the beginning, for the next batch of `queue`.
    pub fn reset(&mut self, queue: &Arc<PartitionQueue>) {
        self.bind(queue);
        *self.stage.get_mut() = Stage::Pending as u8;
        *self.watched.get_mut() = false;
        *self.opened_at.get_mut() = UNTIMED;
        let fate = self.fate.get_mut();
        fate.outcome = None;
        fate.wakers.clear();
        fate.last_waker = 0;
    }

    pub fn set_opened_at(&self, now: Instant) {
        self.opened_at.store(now.0, Relaxed);
    }

    /// When it was opened, if that is known.
    pub fn opened_at(&self) -> Option<Instant> {
        Some(self.opened_at.load(Relaxed)).filter(|at| *at != UNTIMED).map(Instant)
    }

    pub fn set_leader_epoch(&self, leader_epoch: LeaderEpoch) {
        self.leader_epoch.store(leader_epoch.0, Relaxed);
    }

    /// Of the leader that took it, where there may be several.
    pub fn leader_epoch(&self) -> LeaderEpoch {
        LeaderEpoch(self.leader_epoch.load(Relaxed))
    }

    /// When the batch stops waiting for company.
    pub fn linger_until(&self) -> Instant {
        Instant(self.opened_at.load(Relaxed)) + self.shared.config.linger
    }

    /// `delivery.timeout.ms` after it was opened.
    pub fn expires_at(&self) -> Instant {
        Instant(self.opened_at.load(Relaxed)) + self.shared.config.delivery_timeout
    }

    pub fn stage(&self) -> Stage {
        match self.stage.load(SeqCst) {
            0 => Stage::Pending,
            1 => Stage::Written,
            _ => Stage::Done,
        }
    }

    /// Somebody will ask for the outcome without waiting for it (a future, a dropped delivery, an `is_done`). True for
    /// the first to say so.
    pub fn watch(&self) -> bool {
        !self.watched.load(SeqCst) && !self.watched.swap(true, SeqCst)
    }

    pub fn is_watched(&self) -> bool {
        self.watched.load(SeqCst)
    }

    /// The outcome so far and the end of what was placed.
    pub fn outcome(&self) -> Option<(Outcome, Offset)> {
        let fate = self.fate.lock();
        fate.outcome.clone().map(|outcome| (outcome, fate.end))
    }

    /// It is in the log, up to `end`; the acknowledgement waits for more.
    pub fn set_written(&self, outcome: Outcome, end: Offset) {
        let mut fate = self.fate.lock();
        if self.stage() == Stage::Pending {
            (fate.outcome, fate.end) = (Some(outcome), end);
            self.stage.store(Stage::Written as u8, SeqCst);
        }
    }

    /// It is in a log of this process, and may have to be sent again all the same.
    pub fn mark_written(&self) {
        let _fate = self.fate.lock();
        if self.stage() == Stage::Pending {
            self.stage.store(Stage::Written as u8, SeqCst);
        }
    }

    /// The leadership under which it was written is over: all is open again.
    pub fn mark_pending(&self) {
        let _fate = self.fate.lock();
        if self.stage() == Stage::Written {
            self.stage.store(Stage::Pending as u8, SeqCst);
        }
    }

    /// The end of the story. Futures are told here, waiters by the next announcement in the queue's parking. False when
    /// it had ended before.
    pub fn finish(&self, outcome: Outcome, end: Option<Offset>) -> bool {
        let wakers = {
            let mut fate = self.fate.lock();
            if self.stage() == Stage::Done {
                return false;
            }
            fate.outcome = Some(outcome);
            if let Some(end) = end {
                fate.end = end;
            }
            // Those who register a waker do so under the same lock; nobody else has to see it at once.
            self.stage.store(Stage::Done as u8, Release);
            std::mem::take(&mut fate.wakers)
        };
        for (_, waker) in wakers {
            waker.wake();
        }
        true
    }

    /// Registers a waker, in the place that `slot` remembers from the last time. False when the outcome is final.
    pub fn register(&self, slot: &mut Option<NonZeroU32>, waker: &Waker) -> bool {
        let mut fate = self.fate.lock();
        if self.stage() == Stage::Done {
            return false;
        }
        match slot.and_then(|id| fate.wakers.iter_mut().find(|(known, _)| *known == id)) {
            Some((_, known)) => known.clone_from(waker),
            None => {
                fate.last_waker += 1;
                *slot = NonZeroU32::new(fate.last_waker);
                let id = slot.expect("a batch has fewer records than there are numbers");
                fate.wakers.push((id, waker.clone()));
            }
        }
        true
    }

    pub fn deregister(&self, id: NonZeroU32) {
        self.fate.lock().wakers.retain(|(known, _)| *known != id);
    }

    /// What a user is told of one record.
    pub fn metadata(&self, at: BatchPlacement, receipt: &Receipt) -> RecordMetadata {
        RecordMetadata {
            topic: self.queue.topic.clone(),
            partition: self.queue.partition,
            offset: at.base_offset,
            timestamp: at.log_append_time.unwrap_or(receipt.timestamp),
            serialized_key_bytes: Some(receipt.key_bytes).filter(|bytes| *bytes != ABSENT),
            serialized_value_bytes: Some(receipt.value_bytes).filter(|bytes| *bytes != ABSENT),
            rung: at.rung,
        }
    }
}

/// Those who want to be told, besides the deliveries. Travels with the batch.
#[derive(Default)]
pub(super) struct Audience {
    pub tags: Vec<u64>,
    pub offset_deltas: Vec<u32>,
    pub timestamps: Vec<Timestamp>,
    pub callbacks: Vec<(Receipt, Callback)>,
}

impl Audience {
    pub fn is_empty(&self) -> bool {
        self.tags.is_empty() && self.callbacks.is_empty()
    }

    pub fn add_tag(&mut self, tag: u64, receipt: &Receipt) {
        self.tags.push(tag);
        self.offset_deltas.push(receipt.offset_delta);
        self.timestamps.push(receipt.timestamp);
    }

    /// Empties the arrays, keeping their memory.
    pub fn clear(&mut self) {
        self.tags.clear();
        self.offset_deltas.clear();
        self.timestamps.clear();
        self.callbacks.clear();
    }

    /// One report for all tagged records.
    pub fn report<'a>(
        &'a self,
        queue: &'a PartitionQueue,
        result: std::result::Result<&'a BatchPlacement, &'a Error>,
    ) -> DeliveryReport<'a> {
        DeliveryReport {
            topic: &queue.topic,
            partition: queue.partition,
            result,
            tags: &self.tags,
            offset_deltas: &self.offset_deltas,
            timestamps: &self.timestamps,
        }
    }

    /// A report for one tagged record that has a placement of its own.
    pub fn report_alone<'a>(
        &'a self,
        queue: &'a PartitionQueue,
        result: std::result::Result<&'a BatchPlacement, &'a Error>,
        index: usize,
    ) -> DeliveryReport<'a> {
        let one = index..=index;
        let (tags, timestamps) = (&self.tags[one.clone()], &self.timestamps[one]);
        DeliveryReport { tags, offset_deltas: &[0], timestamps, ..self.report(queue, result) }
    }
}

/// A batch that is being filled, waits for its turn, or is being appended.
pub(super) struct Batch {
    pub builder: BatchBuilder,
    pub completion: Arc<Completion>,
    pub audience: Audience,
    /// What it holds of `buffer.memory`.
    pub reserved_bytes: usize,
    /// Counts the batches of a partition from 1.
    pub sequence: u64,
    /// The wall clock when its first record without a timestamp of its own came.
    pub begun_at: Option<Timestamp>,
    /// When it was taken out, others were ready behind it.
    pub has_company: bool,
    /// Somebody has to be told of its outcome by whoever has it.
    pub is_owed: bool,
}

impl Drop for Batch {
    fn drop(&mut self) {
        // Only a panic between taking a batch and telling its outcome comes here with the debt unpaid.
        if self.is_owed {
            let text = "a bug struck while this batch was being appended; it may be in the log";
            let outcome = Outcome::Failed(Error::new(ErrorCode::PANIC, text));
            let Batch { builder, completion, audience, reserved_bytes, .. } = self;
            let shared = &completion.shared;
            shared.account(&outcome, builder.count(), 0);
            shared.tell(&completion.queue, audience, &outcome, completion);
            completion.finish(outcome, None);
            shared.memory.give_back(*reserved_bytes);
        }
    }
}
