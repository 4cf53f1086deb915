//! The way of a batch into a log that only this process can lead, on the thread that filled it. See `ship` for the others.
//!
//! The producer's id and sequence belong into the `seal`.

use super::accumulator::{Accumulator, Tally};
use super::batch::{Batch, Outcome};
use super::host::{Appended, HostPartition};
use super::queue::PartitionQueue;
use super::retry::{verdict, Verdict};
use super::shared::Shared;
use super::unfinished::Unfinished;
use super::BatchPlacement;
use crate::error::ErrorCode;
use crate::record::SealedBatch;
use crate::time::Instant;
use crate::types::{LeaderEpoch, Offset, Rung};
use std::collections::VecDeque;
use std::sync::Arc;

/// So many batches one thread carries in a row, before it goes its own way again.
pub(super) const HANDOVERS_MAX: usize = 32;

/// The appender's role, for the case that a panic takes it away from us: then others may have it.
pub(super) struct Role<'a> {
    pub queue: &'a PartitionQueue,
}

impl Drop for Role<'_> {
    fn drop(&mut self) {
        self.queue.accumulator.lock().handle_appended(false);
        self.queue.parking.announce();
    }
}

/// What an append came to, and how far up the log it went.
pub(super) struct Carried {
    pub outcome: Outcome,
    /// End, rung and leader of what was placed, if anything was.
    pub placed: Option<(Offset, Rung, LeaderEpoch)>,
    pub records: u32,
    pub bytes: usize,
    pub queue_time_ns: u64,
}

/// Several batches on their way together. Kept by the accumulator, so that nothing is allocated for the next.
#[derive(Default)]
pub(super) struct Load {
    batches: VecDeque<Box<Batch>>,
    sealed: Vec<SealedBatch>,
    backs: Vec<Back>,
}

impl Shared {
    /// Appends a batch, and those that became ready meanwhile, on this thread. It has the appender's role.
    pub fn carry(&self, queue: &Arc<PartitionQueue>, batch: Box<Batch>) {
        if queue.log(self).is_ok() && queue.is_shared() {
            return self.ship(queue, batch);
        }
        let role = Role { queue };
        let mut next = Some(batch);
        let mut carried = 0;
        while let Some(batch) = next.take() {
            let (last, load) = if batch.has_company {
                let mut load = self.carry_several(queue, batch);
                carried += load.backs.len();
                (load.backs.pop().expect("one batch at least"), Some(load))
            } else {
                carried += 1;
                (self.carry_one(queue, batch), None)
            };
            next = self.hand_in(queue, last, load, carried < HANDOVERS_MAX);
        }
        std::mem::forget(role);
    }

    /// Gives up the appender's role, or takes over what the others have filled meanwhile. `load` has what came back before `last`.
    fn hand_in(
        &self,
        queue: &Arc<PartitionQueue>,
        last: Back,
        load: Option<Box<Load>>,
        carry_on: bool,
    ) -> Option<Box<Batch>> {
        let mut load = load;
        let mut is_watched = false;
        let (next, is_left_behind, linger_until, is_new_on_list, surplus);
        {
            let mut accumulator = queue.accumulator.lock();
            let mut put_back = |accumulator: &mut Accumulator, back: Back| {
                accumulator.tally += back.tally;
                if let Some(unfinished) = back.unfinished {
                    // Only now may a waiter see it written: here is where he will look for it.
                    unfinished.completion.set_written(unfinished.outcome.clone(), unfinished.end);
                    is_watched |= unfinished.completion.is_watched() || !unfinished.audience.is_empty();
                    accumulator.hold(unfinished);
                }
                let keeps = accumulator.keeps_spare && accumulator.spare.is_none() && !accumulator.is_closed;
                if keeps {
                    accumulator.spare.replace(back.emptied)
                } else {
                    Some(back.emptied)
                }
            };
            if let Some(load) = &mut load {
                for back in load.backs.drain(..) {
                    load.batches.extend(put_back(&mut accumulator, back));
                }
            }
            surplus = put_back(&mut accumulator, last);
            next = accumulator.handle_appended(carry_on);
            queue.set_load(accumulator.load());
            is_left_behind = next.is_none() && accumulator.is_sendable();
            linger_until = if next.is_none() { accumulator.linger_until() } else { None };
            // The timer may have let go of the queue, because it could not do anything while the role was taken.
            let needs_timer = is_watched || is_left_behind || linger_until.is_some();
            is_new_on_list = needs_timer && !std::mem::replace(&mut accumulator.is_listed, true);
        }
        queue.parking.announce();
        if let Some(surplus) = surplus {
            self.recycle(surplus);
        }
        if let Some(mut load) = load {
            for batch in load.batches.drain(..) {
                self.recycle(batch);
            }
            queue.accumulator.lock().load = Some(load);
        }
        if is_new_on_list {
            self.listed.lock().push(queue.clone());
        }
        if is_watched || is_left_behind {
            self.wake_by(self.clock.monotonic());
        } else if let Some(at) = linger_until {
            // Its time may have passed while the role was taken.
            self.wake_by(at);
        }
        next
    }

    /// One batch into the log, and its outcome told, unless its acknowledgement needs a higher rung.
    fn carry_one(&self, queue: &Arc<PartitionQueue>, mut batch: Box<Batch>) -> Back {
        let queue_time_ns = self.queue_time_ns(&batch);
        let failed = |batch: &mut Batch, error| {
            let records = batch.builder.count();
            batch.builder.clear();
            Carried { outcome: Outcome::Failed(error), placed: None, records, bytes: 0, queue_time_ns }
        };
        let carried = match queue.log(self) {
            Ok(log) => match batch.builder.seal(None, false) {
                Ok(sealed) => self.append(queue, log.as_ref(), &mut batch, sealed, queue_time_ns),
                Err(error) => failed(&mut batch, error),
            },
            Err(error) => failed(&mut batch, error),
        };
        self.close_books(queue, batch, carried)
    }

    /// As [`carry_one`](Shared::carry_one), for a batch and those that are ready behind it: in one write, where that is possible. What
    /// is refused goes alone, before those behind it.
    #[inline(never)]
    fn carry_several(&self, queue: &Arc<PartitionQueue>, first: Box<Batch>) -> Box<Load> {
        let mut load = {
            let mut accumulator = queue.accumulator.lock();
            let mut load = accumulator.load.take().unwrap_or_default();
            load.batches.push_back(first);
            accumulator.poll_company(&mut load.batches);
            load
        };
        if let Ok(log) = queue.log(self) {
            // One that cannot be sealed goes alone, and fails with the reason.
            let sealed = load.batches.iter_mut().map_while(|batch| batch.builder.seal(None, false).ok());
            load.sealed.extend(sealed);
            while !load.sealed.is_empty() {
                self.carry_group(queue, log.as_ref(), &mut load);
            }
        }
        while let Some(batch) = load.batches.pop_front() {
            let back = self.carry_one(queue, batch);
            load.backs.push(back);
        }
        load
    }

    /// Appends sealed batches of a load up to the first that is refused, and that one alone.
    fn carry_group(&self, queue: &Arc<PartitionQueue>, log: &dyn HostPartition, load: &mut Load) {
        let Load { batches, sealed, backs } = load;
        let grouped = log.append_group(sealed, self.config.acks);
        for sealed in sealed.drain(..grouped.placed) {
            let mut batch = batches.pop_front().expect("every sealed batch came from one");
            let (header, end) = (sealed.header(), sealed.header().end_offset());
            let rung = grouped.rung(end);
            let placed = BatchPlacement { base_offset: Some(header.base_offset), log_append_time: None, rung };
            let carried = Carried {
                outcome: Outcome::Placed(placed),
                placed: Some((end, rung, header.leader_epoch.unwrap_or_default())),
                records: header.record_count.unsigned_abs(),
                bytes: header.batch_bytes as usize,
                queue_time_ns: self.queue_time_ns(&batch),
            };
            self.give_buffer_back(&mut batch, sealed);
            backs.push(self.close_books(queue, batch, carried));
        }
        if !sealed.is_empty() {
            let alone = sealed.remove(0);
            let mut batch = batches.pop_front().expect("every sealed batch came from one");
            let queue_time_ns = self.queue_time_ns(&batch);
            let carried = self.append(queue, log, &mut batch, alone, queue_time_ns);
            backs.push(self.close_books(queue, batch, carried));
        }
    }

    /// How long it lay in the producer; 0 when nobody had to ask the clock, because it goes at once.
    pub fn queue_time_ns(&self, batch: &Batch) -> u64 {
        let queued_for = batch.completion.opened_at().map(|opened_at| self.clock.monotonic().since(opened_at));
        queued_for.map_or(0, |time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
    }

    /// Tells what became of a batch, or says what its acknowledgement still waits for.
    fn close_books(&self, queue: &Arc<PartitionQueue>, mut batch: Box<Batch>, carried: Carried) -> Back {
        let records = carried.records;
        let mut tally = Tally { queue_time_ns: carried.queue_time_ns, ..Tally::default() };
        if let Outcome::Failed(error) = &carried.outcome {
            if error.code() == ErrorCode::UNKNOWN_TOPIC_OR_PARTITION {
                queue.retire();
            }
        }
        if let Some((end, rung, leader_epoch)) = carried.placed {
            if !queue.known_log().is_none_or(|log| self.is_enough(log.as_ref(), rung)) {
                if batch.completion.opened_at().is_none() {
                    batch.completion.set_opened_at(self.clock.monotonic());
                }
                // From here on it holds only its own bytes of the budget, not a whole buffer.
                let held = carried.bytes.min(batch.reserved_bytes);
                self.memory.give_back(std::mem::take(&mut batch.reserved_bytes) - held);
                batch.is_owed = false;
                let unfinished = Unfinished {
                    completion: batch.completion.clone(),
                    audience: std::mem::take(&mut batch.audience),
                    outcome: carried.outcome,
                    end,
                    leader_epoch,
                    records,
                    bytes: carried.bytes,
                    reserved_bytes: held,
                    held_at: Instant::default(),
                    sequence: batch.sequence,
                    parcel: None,
                };
                return Back { unfinished: Some(unfinished), emptied: batch, tally };
            }
        }
        self.tell(queue, &mut batch.audience, &carried.outcome, &batch.completion);
        if let Outcome::Placed(_) = carried.outcome {
            tally += Tally { records: u64::from(records), batches: 1, bytes: carried.bytes as u64, queue_time_ns: 0 };
        } else {
            self.account(&carried.outcome, records, carried.bytes);
        }
        batch.completion.finish(carried.outcome, carried.placed.map(|(end, ..)| end));
        batch.is_owed = false;
        self.memory.give_back(std::mem::take(&mut batch.reserved_bytes));
        Back { unfinished: None, emptied: batch, tally }
    }

    fn append(
        &self,
        queue: &PartitionQueue,
        log: &dyn HostPartition,
        batch: &mut Batch,
        mut sealed: SealedBatch,
        queue_time_ns: u64,
    ) -> Carried {
        let records = sealed.header().record_count.unsigned_abs();
        let bytes = sealed.bytes().len();
        let failed =
            |error| Carried { outcome: Outcome::Failed(error), placed: None, records, bytes: 0, queue_time_ns };
        let carried = match log.append(&mut sealed, self.config.acks) {
            Ok(at) => Carried {
                outcome: Outcome::Placed(placement(&at)),
                placed: Some((at.last_offset.next(), at.rung, at.leader_epoch)),
                records,
                bytes,
                queue_time_ns,
            },
            Err(error) => match verdict(&error, records, false) {
                Verdict::Fail | Verdict::Retry => {
                    failed(error.within(format_args!("{}-{}", queue.topic, queue.partition)))
                }
                Verdict::Split => match self.append_split(log, &sealed) {
                    Ok(carried) => Carried { queue_time_ns, ..carried },
                    Err(error) => failed(error),
                },
            },
        };
        self.give_buffer_back(batch, sealed);
        carried
    }

    /// Keeps the bytes of a sealed batch for the next one.
    fn give_buffer_back(&self, batch: &mut Batch, sealed: SealedBatch) {
        // A buffer that one huge record has blown up is not worth keeping.
        if sealed.header().batch_bytes <= 4 * self.config.batch_bytes {
            batch.builder.give_back(sealed.into_bytes());
        }
    }
}

/// What comes back from the log.
struct Back {
    unfinished: Option<Unfinished>,
    emptied: Box<Batch>,
    tally: Tally,
}

pub(super) fn placement(at: &Appended) -> BatchPlacement {
    BatchPlacement { base_offset: Some(at.base_offset), log_append_time: at.log_append_time, rung: at.rung }
}
