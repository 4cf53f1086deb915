//! A partition of three nodes made of one vector, for the unit tests: the leader may be here, elsewhere or nowhere, requests and answers may
//! be lost, and replication happens when the test says so.

use super::host::{Appended, HostPartition, HostTopic, Judgement, Seat, Submitted};
use crate::error::{Error, ErrorCode, Result};
use crate::node::Notify;
use crate::record::{batches, ClientRules, Inflater, SealedBatch};
use crate::time::Instant;
use crate::types::{Acks, LeaderEpoch, Offset, Rung, Timestamp};
use bytes::Bytes;
use parking_lot::Mutex;
use std::any::Any;
use std::collections::VecDeque;
use std::sync::Arc;

/// What happens to one attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fault {
    None,
    /// Refused before anything was written.
    Refuse(ErrorCode),
    /// Written, and the answer says this all the same. Where the leader is here, this is a refusal.
    LoseAnswer(ErrorCode),
}

#[derive(Clone, Default)]
pub(super) struct FakeReplica(Arc<Mutex<State>>);

struct State {
    seat: Seat,
    leader_epoch: u32,
    batches: Vec<Bytes>,
    log_end: u64,
    high_watermark: u64,
    flushed: u64,
    flushes_before_ack: bool,
    /// Followers are as fast as the leader.
    replicates_at_once: bool,
    /// Answers from elsewhere come when they are asked for.
    holds_answers: bool,
    /// News come late.
    holds_news: bool,
    too_few_in_sync: bool,
    bytes_max: usize,
    faults: VecDeque<Fault>,
    waiting: Vec<Waiting>,
    listeners: Vec<Arc<dyn Notify>>,
    submits: u32,
}

struct Waiting {
    answer: Result<Appended>,
    acks: Acks,
    done: Submitted,
}

impl Default for State {
    fn default() -> State {
        State {
            seat: Seat::Here,
            leader_epoch: 1,
            batches: Vec::new(),
            log_end: 0,
            high_watermark: 0,
            flushed: 0,
            flushes_before_ack: false,
            replicates_at_once: true,
            holds_answers: false,
            holds_news: false,
            too_few_in_sync: false,
            bytes_max: usize::MAX,
            faults: VecDeque::new(),
            waiting: Vec::new(),
            listeners: Vec::new(),
            submits: 0,
        }
    }
}

impl State {
    fn append(&mut self, mut sealed: SealedBatch) -> Offset {
        let base = Offset(self.log_end);
        sealed.stamp(base, LeaderEpoch(self.leader_epoch));
        self.log_end += u64::from(sealed.record_count());
        self.batches.push(Bytes::from(sealed.into_bytes()));
        base
    }

    fn replicate_at_once(&mut self) {
        if self.replicates_at_once {
            self.high_watermark = self.log_end;
        }
    }

    fn appended(&self, base_offset: Offset) -> Appended {
        let last_offset = Offset(self.log_end - 1);
        let rung = if last_offset.0 < self.high_watermark { Rung::Replicated } else { Rung::Written };
        let leader_epoch = LeaderEpoch(self.leader_epoch);
        Appended { base_offset, last_offset, log_append_time: None, rung, leader_epoch }
    }

    /// Answers that may go out now.
    fn ready(&mut self, all: bool) -> Vec<Waiting> {
        let high_watermark = self.high_watermark;
        let is_ready = |one: &mut Waiting| {
            let is_there = |at: &Appended| one.acks != Acks::All || at.last_offset.0 < high_watermark;
            all || one.answer.as_ref().map_or(true, is_there)
        };
        let (ready, rest) = std::mem::take(&mut self.waiting)
            .into_iter()
            .map(|mut one| (is_ready(&mut one), one))
            .fold((Vec::new(), Vec::new()), |(mut ready, mut rest), (is_ready, one)| {
                if is_ready { &mut ready } else { &mut rest }.push(one);
                (ready, rest)
            });
        self.waiting = rest;
        ready
    }
}

impl FakeReplica {
    pub fn set_faults(&self, faults: impl IntoIterator<Item = Fault>) {
        self.0.lock().faults = faults.into_iter().collect();
    }

    pub fn push_fault(&self, fault: Fault) {
        self.0.lock().faults.push_back(fault);
    }

    pub fn limit_batches(&self, bytes_max: usize) {
        self.0.lock().bytes_max = bytes_max;
    }

    pub fn flush_before_ack(&self) {
        self.0.lock().flushes_before_ack = true;
    }

    pub fn set_too_few_in_sync(&self, too_few: bool) {
        self.0.lock().too_few_in_sync = too_few;
    }

    /// Whether followers fetch only in `replicate` from now on.
    pub fn hold_replication(&self, holds: bool) {
        self.0.lock().replicates_at_once = !holds;
    }

    /// Whether answers come only in `answer` from now on.
    pub fn hold_answers(&self, holds: bool) {
        self.0.lock().holds_answers = holds;
    }

    /// The followers have everything; whoever waits is told.
    pub fn replicate(&self) {
        let ready = {
            let mut state = self.0.lock();
            state.high_watermark = state.log_end;
            if state.holds_answers {
                Vec::new()
            } else {
                state.ready(false)
            }
        };
        send(ready);
        self.notify();
    }

    /// Lets the answers go that may, or, with `all`, those that wait for followers too, as a timeout.
    pub fn answer(&self, all: bool) -> usize {
        let ready = self.0.lock().ready(all);
        let high_watermark = self.0.lock().high_watermark;
        let ready: Vec<Waiting> = ready
            .into_iter()
            .map(|one| match &one.answer {
                Ok(at) if one.acks == Acks::All && at.last_offset.0 >= high_watermark => {
                    Waiting { answer: Err(Error::new(ErrorCode::REQUEST_TIMED_OUT, "no answer")), ..one }
                }
                _ => one,
            })
            .collect();
        let count = ready.len();
        send(ready);
        count
    }

    /// Another leader, or none. What the followers do not have is gone, unless the new leader is one that had it.
    pub fn move_leader(&self, seat: Seat, keeps_all: bool) {
        let orphans = {
            let mut state = self.0.lock();
            state.seat = seat;
            state.leader_epoch += 1;
            if !keeps_all {
                let high_watermark = state.high_watermark;
                state.batches.retain(|batch| end_of(batch) <= high_watermark);
                state.log_end = state.batches.last().map_or(0, end_of);
            }
            state.high_watermark = state.log_end;
            if state.holds_answers {
                for one in &mut state.waiting {
                    one.answer = Err(Error::new(ErrorCode::NOT_LEADER_OR_FOLLOWER, "it does not lead any more"));
                }
                Vec::new()
            } else {
                std::mem::take(&mut state.waiting)
            }
        };
        for one in orphans {
            (one.done)(Err(Error::new(ErrorCode::NOT_LEADER_OR_FOLLOWER, "it does not lead any more")));
        }
        self.notify();
    }

    /// Whether news come late. When they do not, all of them come now.
    pub fn hold_news(&self, holds: bool) {
        self.0.lock().holds_news = holds;
        self.notify();
    }

    fn notify(&self) {
        let state = self.0.lock();
        let listeners = if state.holds_news { Vec::new() } else { state.listeners.clone() };
        drop(state);
        listeners.iter().for_each(|listener| listener.notify());
    }

    pub fn submits(&self) -> u32 {
        self.0.lock().submits
    }

    /// Base offset, records and values of each batch.
    pub fn log(&self) -> Vec<(u64, Vec<String>)> {
        let state = self.0.lock();
        let mut inflater = Inflater::new(1 << 20);
        let mut log = Vec::new();
        for batch in &state.batches {
            let (_, view) = batches(batch).next().unwrap().unwrap();
            view.verify().unwrap();
            let text = |value: Option<&[u8]>| String::from_utf8(value.unwrap_or(b"-").to_vec()).unwrap();
            let values = view.records(&mut inflater).unwrap().map(|record| text(record.unwrap().value)).collect();
            log.push((view.header().base_offset.0, values));
        }
        log
    }

    pub fn values(&self) -> Vec<String> {
        self.log().into_iter().flat_map(|(_, values)| values).collect()
    }
}

fn end_of(batch: &Bytes) -> u64 {
    batches(batch).next().unwrap().unwrap().1.header().end_offset().0
}

fn send(answers: Vec<Waiting>) {
    for Waiting { answer, done, .. } in answers {
        let told = answer.map(|at| Appended { rung: Rung::Replicated, ..at });
        done(told);
    }
}

impl HostTopic for FakeReplica {
    fn partition_count(&self) -> u32 {
        1
    }
    fn partition(&self, _: u32) -> Result<Arc<dyn HostPartition>> {
        Ok(Arc::new(self.clone()))
    }
}

impl HostPartition for FakeReplica {
    fn seat(&self) -> Seat {
        self.0.lock().seat
    }

    fn leader_epoch(&self) -> LeaderEpoch {
        LeaderEpoch(self.0.lock().leader_epoch)
    }

    fn append(&self, batch: &mut SealedBatch, acks: Acks) -> Result<Appended> {
        let appended = {
            let mut state = self.0.lock();
            if state.seat != Seat::Here {
                return Err(Error::new(ErrorCode::NOT_LEADER_OR_FOLLOWER, "not here"));
            }
            if let Some(Fault::Refuse(code) | Fault::LoseAnswer(code)) = state.faults.pop_front() {
                return Err(Error::new(code, "on purpose"));
            }
            if batch.bytes().len() > state.bytes_max {
                return Err(Error::new(ErrorCode::MESSAGE_TOO_LARGE, "larger than max.message.bytes"));
            }
            let base = state.append(batch.clone());
            let _ = acks;
            // What happens from here on is told by news only.
            let appended = Appended { rung: Rung::Written, ..state.appended(base) };
            state.replicate_at_once();
            appended
        };
        // As a partition does: before it comes back.
        self.notify();
        Ok(appended)
    }

    fn submit(&self, batches: Vec<Bytes>, acks: Acks, _: Instant, done: Submitted) {
        let ready = {
            let mut state = self.0.lock();
            assert!(state.waiting.is_empty(), "one load at a time");
            state.submits += 1;
            let fault = state.faults.pop_front().unwrap_or(Fault::None);
            let too_large = batches.iter().any(|batch| batch.len() > state.bytes_max);
            let refused = match fault {
                _ if state.seat != Seat::Elsewhere => Some(ErrorCode::NOT_LEADER_OR_FOLLOWER),
                Fault::Refuse(code) => Some(code),
                _ if too_large => Some(ErrorCode::MESSAGE_TOO_LARGE),
                Fault::None | Fault::LoseAnswer(_) => None,
            };
            let answer = if let Some(code) = refused {
                Err(Error::new(code, "on purpose"))
            } else {
                let base = Offset(state.log_end);
                for batch in &batches {
                    let (_, view) = crate::record::batches(batch).next().unwrap().unwrap();
                    let (timestamp_earliest, timestamp_latest) = (Timestamp(0), Timestamp(i64::MAX));
                    let rules = ClientRules { keys_required: false, timestamp_earliest, timestamp_latest };
                    let validated = view.validate_from_client(&mut Inflater::new(1 << 20), &rules).unwrap();
                    state.append(SealedBatch::from_validated(batch.to_vec(), validated));
                }
                state.replicate_at_once();
                match fault {
                    Fault::LoseAnswer(code) => Err(Error::new(code, "on purpose")),
                    _ => Ok(state.appended(base)),
                }
            };
            state.waiting.push(Waiting { answer, acks, done });
            if state.holds_answers && acks != Acks::None {
                Vec::new()
            } else {
                state.ready(false)
            }
        };
        send(ready);
    }

    fn must_flush_before_ack(&self) -> bool {
        self.0.lock().flushes_before_ack
    }

    fn wait_for(&self, end: Offset, rung: Rung, _: Option<Instant>) -> Result<Rung> {
        assert_eq!(rung, Rung::Flushed, "nobody waits inside for other nodes");
        let mut state = self.0.lock();
        if end.0 > state.log_end {
            return Err(Error::new(ErrorCode::OFFSET_OUT_OF_RANGE, "cut off"));
        }
        state.flushed = state.log_end;
        Ok(Rung::Flushed)
    }

    fn judge(&self, end: Offset, admitted: LeaderEpoch, needed: Rung) -> Judgement {
        let state = self.0.lock();
        if state.seat != Seat::Here || state.leader_epoch != admitted.0 {
            return Judgement::Lost(Error::new(ErrorCode::NOT_LEADER_OR_FOLLOWER, "its reign is over"));
        }
        let is_vouched_for = !state.flushes_before_ack || end.0 <= state.flushed;
        let rung = match () {
            () if end.0 <= state.high_watermark && is_vouched_for => Rung::Replicated,
            () if end.0 <= state.flushed => Rung::Flushed,
            () => Rung::Written,
        };
        if rung < needed {
            return Judgement::Wait;
        }
        if state.too_few_in_sync {
            return Judgement::Lost(Error::new(ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND, "too few are in sync"));
        }
        Judgement::Reached(rung)
    }

    fn subscribe(&self, listener: Arc<dyn Notify>) -> Option<Box<dyn Any + Send + Sync>> {
        let mut state = self.0.lock();
        state.listeners.push(listener.clone());
        Some(Box::new(Unsubscribe { state: self.0.clone(), listener }))
    }
}

struct Unsubscribe {
    state: Arc<Mutex<State>>,
    listener: Arc<dyn Notify>,
}

impl Drop for Unsubscribe {
    fn drop(&mut self) {
        self.state.lock().listeners.retain(|known| !Arc::ptr_eq(known, &self.listener));
    }
}
