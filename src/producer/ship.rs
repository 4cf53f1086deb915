//! The way of batches to a leader that may be anywhere: appended on this thread where the leader is here, handed over where it is not,
//! put back and tried again where that fails.
//!
//! One load of a partition is on its way at a time. Whoever sends one elsewhere leaves the appender's role with it, and batches gather
//! behind; the thread that brings the answer takes the role and carries on.

use super::attempts::Next;
use super::batch::{Batch, Outcome};
use super::host::{Appended, HostPartition, Seat};
use super::outbound::{Landed, Parcels, Reign};
use super::parcel::Parcel;
use super::queue::PartitionQueue;
use super::retry::{is_doubtful, verdict, Failure, Verdict};
use super::sender::{Role, HANDOVERS_MAX};
use super::shared::Shared;
use super::unfinished::Unfinished;
use super::BatchPlacement;
use crate::error::{Error, ErrorCode};
use crate::types::{Acks, Offset};
use std::collections::VecDeque;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::Arc;

/// A batch of no more than this that goes alone is copied for the log.
const COPY_BYTES_MAX: usize = 4096;

impl Shared {
    /// Carries a batch, and what became ready meanwhile. The caller has the appender's role.
    #[cold]
    pub fn ship(&self, queue: &Arc<PartitionQueue>, batch: Box<Batch>) {
        let role = Role { queue };
        self.pack(queue, batch);
        self.go_ahead(queue, role);
    }

    /// Carries on with what waits for its next attempt, if the time has come or the leader is another one. False when not.
    pub fn resume(&self, queue: &Arc<PartitionQueue>) -> bool {
        let Some(log) = queue.known_log() else { return false };
        if !queue.accumulator.lock().is_asleep() {
            return false;
        }
        let reign = Reign::of(log.as_ref());
        let is_time = queue.accumulator.lock().poll_again(self.clock.monotonic(), reign);
        if is_time {
            self.go_ahead(queue, Role { queue });
        }
        is_time
    }

    /// One attempt after the other, as long as there is something to carry.
    fn go_ahead(&self, queue: &Arc<PartitionQueue>, role: Role<'_>) {
        let log = queue.known_log().expect("nothing is packed before the partition was found");
        for turn in 1.. {
            // When a load went elsewhere, the role went with it.
            let is_back = self.attempt(queue, log.as_ref());
            if !is_back || !self.has_more(queue, log.as_ref(), turn < HANDOVERS_MAX) {
                break;
            }
        }
        std::mem::forget(role);
    }

    /// Seals a batch and those that are ready behind it.
    fn pack(&self, queue: &Arc<PartitionQueue>, first: Box<Batch>) {
        let mut batches = VecDeque::from([first]);
        if batches[0].has_company {
            queue.accumulator.lock().poll_company(&mut batches);
        }
        let mut parcels = Parcels::new();
        let mut queue_time_ns = 0;
        for mut batch in batches {
            queue_time_ns += self.queue_time_ns(&batch);
            if batch.completion.opened_at().is_none() {
                batch.completion.set_opened_at(self.clock.monotonic());
            }
            match batch.builder.seal(None, false) {
                Ok(sealed) => {
                    parcels.push_back(Parcel::of(self, sealed.share(), &mut batch));
                    self.recycle(batch);
                }
                Err(error) => {
                    self.give_up(queue, batch, &error);
                }
            }
        }
        let mut accumulator = queue.accumulator.lock();
        accumulator.tally.queue_time_ns += queue_time_ns;
        accumulator.handle_packed(parcels);
    }

    /// One attempt. False when it is on its way: the answer brings the appender's role back.
    fn attempt(&self, queue: &Arc<PartitionQueue>, log: &dyn HostPartition) -> bool {
        let reign = Reign::of(log);
        if queue.accumulator.lock().has_unfinished_of_others(reign) {
            // What was appended here under another leadership must not be overtaken.
            self.finish(queue);
            let accumulator = queue.accumulator.lock();
            if accumulator.outbound.is_pausing() {
                return true;
            }
            if accumulator.has_unfinished_of_others(reign) {
                drop(accumulator);
                self.wait_for_somebody(queue, reign, "older batches have not heard of their leader's end yet");
                return true;
            }
        }
        match reign.seat {
            Seat::Here => {
                let load = queue.accumulator.lock().poll_load(self.config.request_bytes_max as usize);
                self.append_load(queue, log, load, reign);
                // What moved while nothing was held yet was not noticed by anybody.
                self.finish(queue);
                true
            }
            Seat::Elsewhere => self.send_load(queue, log, reign),
            Seat::Unknown => {
                self.wait_for_somebody(queue, reign, "no leader is known");
                true
            }
        }
    }

    fn wait_for_somebody(&self, queue: &Arc<PartitionQueue>, tried: Reign, why: &str) {
        let text = format!("{}-{}: {why}", queue.topic, queue.partition);
        let error = Error::new(ErrorCode::LEADER_NOT_AVAILABLE, text);
        let failure = Failure { error: &error, is_doubtful: false, is_attempt: false, tried };
        let waiting = queue.accumulator.lock().poll_load(usize::MAX);
        self.put_back(queue, waiting, &failure);
    }

    /// Back in front, told that it failed where that was the last attempt.
    fn put_back(&self, queue: &Arc<PartitionQueue>, parcels: Parcels, failure: &Failure<'_>) {
        let lost = self.take_back(queue, &mut queue.accumulator.lock(), parcels, failure);
        self.tell_lost(queue, lost);
    }

    pub fn tell_lost(&self, queue: &PartitionQueue, lost: Vec<(Box<Parcel>, Error)>) {
        for (parcel, error) in lost {
            self.fail_parcel(queue, parcel, error);
        }
    }

    pub fn fail_parcel(&self, queue: &PartitionQueue, parcel: Box<Parcel>, error: Error) {
        parcel.settle(self, queue, Outcome::Failed(error), None);
    }

    fn count_retries(&self, load: &Parcels) {
        for again in load.iter().filter(|parcel| parcel.trail.attempts > 0) {
            self.counters.batches_retried.fetch_add(1, Relaxed);
            self.counters.records_retried.fetch_add(u64::from(again.records()), Relaxed);
        }
    }

    /// Appends a load on this thread: in one write, where that is possible. What is refused goes alone.
    fn append_load(&self, queue: &Arc<PartitionQueue>, log: &dyn HostPartition, mut load: Parcels, tried: Reign) {
        self.count_retries(&load);
        if load.len() > 1 || load.front().is_some_and(|first| first.bytes() > COPY_BYTES_MAX) {
            let mut lent: Vec<_> = load.iter_mut().map(|parcel| parcel.sealed.lend()).collect();
            let grouped = log.append_group(&mut lent, self.config.acks);
            let headers: Vec<_> = lent.iter().take(grouped.placed).map(|batch| *batch.header()).collect();
            for (parcel, batch) in load.iter_mut().zip(lent) {
                parcel.sealed.take_back(batch);
            }
            for header in headers {
                let parcel = load.pop_front().expect("each was made of one");
                let rung = grouped.rung(header.end_offset());
                let at = Appended {
                    base_offset: header.base_offset,
                    last_offset: header.last_offset(),
                    log_append_time: None,
                    rung,
                    leader_epoch: header.leader_epoch.unwrap_or(tried.leader_epoch),
                };
                self.hold_or_settle(queue, log, parcel, at);
            }
        }
        while let Some(parcel) = load.pop_front() {
            let mut one = parcel.sealed.to_sealed();
            match log.append(&mut one, self.config.acks) {
                Ok(at) => self.hold_or_settle(queue, log, parcel, at),
                Err(error) => {
                    // After an append that failed here the batch is certainly not in the log, except where the disk broke off.
                    let is_doubtful = error.code() == ErrorCode::KAFKA_STORAGE_ERROR;
                    let failure = Failure { error: &error, is_doubtful, is_attempt: true, tried };
                    if self.refused(queue, parcel, &failure) {
                        // Those behind it must not overtake it.
                        queue.accumulator.lock().handle_packed(load);
                        return;
                    }
                }
            }
        }
    }

    /// A parcel that was refused by itself. True when it will come again.
    fn refused(&self, queue: &Arc<PartitionQueue>, parcel: Box<Parcel>, failure: &Failure<'_>) -> bool {
        match verdict(failure.error, parcel.records(), true) {
            Verdict::Split => match self.split_parcel(parcel) {
                Ok(pieces) => queue.accumulator.lock().handle_packed(pieces),
                Err((parcel, error)) => {
                    self.fail_parcel(queue, parcel, error);
                    return false;
                }
            },
            Verdict::Retry => self.put_back(queue, [parcel].into(), failure),
            Verdict::Fail => {
                let error = self.final_error(queue, &parcel, failure.error);
                self.fail_parcel(queue, parcel, error);
            }
        }
        !queue.accumulator.lock().outbound.is_idle()
    }

    fn hold_or_settle(&self, queue: &PartitionQueue, log: &dyn HostPartition, parcel: Box<Parcel>, at: Appended) {
        let (base_offset, end) = (Some(at.base_offset), at.last_offset.next());
        let outcome =
            Outcome::Placed(BatchPlacement { base_offset, log_append_time: at.log_append_time, rung: at.rung });
        if let Some(completion) = parcel.completion() {
            completion.set_leader_epoch(at.leader_epoch);
        }
        // Behind older ones that are not finished it waits for its turn to be told.
        if self.is_enough(log, at.rung) && queue.accumulator.lock().unfinished.oldest().is_none() {
            queue.accumulator.lock().outbound.handle_success();
            parcel.settle(self, queue, outcome, Some(end));
            return;
        }
        let Some(completion) = parcel.completion().cloned() else { return };
        let unfinished = Unfinished {
            completion: completion.clone(),
            audience: Default::default(),
            outcome,
            end,
            leader_epoch: at.leader_epoch,
            records: parcel.records(),
            bytes: parcel.bytes(),
            reserved_bytes: 0,
            held_at: self.clock.monotonic(),
            sequence: parcel.sequence,
            parcel: Some(parcel),
        };
        queue.accumulator.lock().hold(unfinished);
        completion.mark_written();
    }

    /// Hands a load to the leader elsewhere. True when the answer is here already and was dealt with.
    fn send_load(&self, queue: &Arc<PartitionQueue>, log: &dyn HostPartition, tried: Reign) -> bool {
        let now = self.clock.monotonic();
        let (number, batches, deadline);
        {
            let mut accumulator = queue.accumulator.lock();
            let load = accumulator.poll_load(self.config.request_bytes_max as usize);
            if load.is_empty() {
                return true; // purged meanwhile
            }
            self.count_retries(&load);
            batches = load.iter().map(|parcel| parcel.sealed.bytes().clone()).collect();
            let expiry = load.iter().map(|parcel| parcel.expires_at()).min();
            deadline = (now + self.config.request_timeout).min(expiry.unwrap_or(now));
            number = accumulator.launch(load, tried);
        }
        self.look_after(queue);
        let (me, there) = (self.me.clone(), queue.clone());
        let done = move |answer| {
            if let Some(shared) = me.upgrade() {
                shared.handle_answer(&there, number, answer);
            }
        };
        log.submit(batches, self.config.acks, deadline, Box::new(done));
        let landed = queue.accumulator.lock().outbound.handle_boarded();
        let is_back = landed.is_some();
        if let Some(landed) = landed {
            self.land(queue, landed);
        }
        is_back
    }

    /// An answer from elsewhere: this thread carries on.
    fn handle_answer(&self, queue: &Arc<PartitionQueue>, number: u64, answer: crate::Result<Appended>) {
        let landed = queue.accumulator.lock().outbound.handle_answer(number, answer);
        let Some(landed) = landed else { return };
        let role = Role { queue };
        self.land(queue, landed);
        let log = queue.known_log().expect("it was asked");
        if self.has_more(queue, log.as_ref(), true) {
            self.go_ahead(queue, role);
        } else {
            std::mem::forget(role);
        }
    }

    fn land(&self, queue: &Arc<PartitionQueue>, landed: Landed) {
        let Landed { mut parcels, answer, tried } = landed;
        match answer {
            Ok(at) => {
                queue.accumulator.lock().outbound.handle_success();
                for parcel in parcels {
                    let (base_offset, end) = self.place_in_load(&parcel, &at);
                    if let Some(completion) = parcel.completion() {
                        completion.set_leader_epoch(at.leader_epoch);
                    }
                    let placement = match self.config.acks {
                        Acks::None => BatchPlacement::BUFFERED,
                        _ => BatchPlacement { base_offset, log_append_time: at.log_append_time, rung: at.rung },
                    };
                    parcel.settle(self, queue, Outcome::Placed(placement), Some(end));
                }
            }
            Err(_) if self.config.acks == Acks::None => {
                parcels.into_iter().for_each(|parcel| parcel.fail_unheard(self, queue));
            }
            Err(error) => {
                let is_doubtful = is_doubtful(&error);
                let failure = Failure { error: &error, is_doubtful, is_attempt: true, tried };
                match verdict(&error, 2, true) {
                    Verdict::Retry => self.put_back(queue, parcels, &failure),
                    Verdict::Split | Verdict::Fail if parcels.len() > 1 => {
                        parcels.iter_mut().for_each(|parcel| parcel.goes_alone = true);
                        queue.accumulator.lock().handle_packed(parcels);
                    }
                    Verdict::Split | Verdict::Fail => {
                        if let Some(parcel) = parcels.pop_front() {
                            self.refused(queue, parcel, &failure);
                        }
                    }
                }
            }
        }
    }

    fn place_in_load(&self, parcel: &Parcel, at: &Appended) -> (Option<Offset>, Offset) {
        let base = at.base_offset.plus(parcel.load_delta);
        (Some(base), base.plus(u64::from(parcel.records())))
    }

    /// After an attempt: gives up the appender's role, or says that there is more to carry, packed.
    fn has_more(&self, queue: &Arc<PartitionQueue>, log: &dyn HostPartition, carry_on: bool) -> bool {
        let next = {
            let mut accumulator = queue.accumulator.lock();
            let next = accumulator.handle_attempted(carry_on);
            queue.set_load(accumulator.load());
            next
        };
        queue.parking.announce();
        match next {
            Next::Parcels => true,
            Next::Batch(batch) => {
                self.pack(queue, batch);
                true
            }
            Next::Nothing => {
                // Somebody may have become the leader while the role was ours.
                let reign = Reign::of(log);
                if carry_on && queue.accumulator.lock().poll_again(self.clock.monotonic(), reign) {
                    return true;
                }
                queue.retire_if_gone();
                self.look_after(queue);
                false
            }
        }
    }
}
