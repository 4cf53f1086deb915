//! One batch from its first record to its fate: the bytes being filled, who waits for them, and what came out.

use super::queue::PartitionQueue;
use super::shared::Shared;
use super::{BatchPlacement, DeliveryReport, RecordMetadata};
use crate::error::{Error, ErrorCode, Result};
use crate::record::BatchBuilder;
use crate::time::Instant;
use crate::types::{Offset, Rung, Timestamp};
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering::SeqCst};
use std::sync::Arc;
use std::task::Waker;

/// A user's callback.
pub(super) type Callback = Box<dyn FnOnce(Result<RecordMetadata>) + Send>;

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
    pub key_bytes: Option<u32>,
    pub value_bytes: Option<u32>,
    pub timestamp: Timestamp,
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
    /// When the batch stops waiting for company.
    pub linger_until: Instant,
    /// `delivery.timeout.ms` after it was opened.
    pub expires_at: Instant,
    stage: AtomicU8,
    watched: AtomicBool,
    fate: Mutex<Fate>,
}

struct Fate {
    outcome: Option<Outcome>,
    // End of what was placed; asked of the partition for rungs.
    end: Offset,
    wakers: Vec<(u64, Waker)>,
    next_waker: u64,
}

impl Completion {
    pub fn new(shared: Arc<Shared>, queue: Arc<PartitionQueue>) -> Completion {
        Completion {
            shared,
            queue,
            linger_until: Instant(0),
            expires_at: Instant(0),
            stage: AtomicU8::new(Stage::Pending as u8),
            watched: AtomicBool::new(false),
            fate: Mutex::new(Fate { outcome: None, end: Offset::ZERO, wakers: Vec::new(), next_waker: 0 }),
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
        let fate = self.fate.get_mut();
        fate.outcome = None;
        fate.wakers.clear();
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
            self.stage.store(Stage::Done as u8, SeqCst);
            std::mem::take(&mut fate.wakers)
        };
        for (_, waker) in wakers {
            waker.wake();
        }
        true
    }

    /// Registers a waker, in the place that `slot` remembers from the last time. False when the outcome is final.
    pub fn register(&self, slot: &mut Option<u64>, waker: &Waker) -> bool {
        let mut fate = self.fate.lock();
        if self.stage() == Stage::Done {
            return false;
        }
        match slot.and_then(|id| fate.wakers.iter_mut().find(|(known, _)| *known == id)) {
            Some((_, known)) => known.clone_from(waker),
            None => {
                let id = fate.next_waker;
                fate.next_waker += 1;
                fate.wakers.push((id, waker.clone()));
                *slot = Some(id);
            }
        }
        true
    }

    pub fn deregister(&self, id: u64) {
        self.fate.lock().wakers.retain(|(known, _)| *known != id);
    }

    /// What a user is told of one record.
    pub fn metadata(&self, at: BatchPlacement, receipt: &Receipt) -> RecordMetadata {
        RecordMetadata {
            topic: self.queue.topic.clone(),
            partition: self.queue.partition,
            offset: at.base_offset,
            timestamp: at.log_append_time.unwrap_or(receipt.timestamp),
            serialized_key_bytes: receipt.key_bytes,
            serialized_value_bytes: receipt.value_bytes,
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
    pub opened_at: Instant,
    /// Counts the batches of a partition from 1.
    pub sequence: u64,
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
