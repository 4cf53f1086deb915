//! Following: what to fetch next, and carrying out what an answer asks for.

use super::super::notices::Level;
use super::super::partition::Partition;
use super::super::slot::{AtRest, Slot};
use super::super::space::Promise;
use super::fetched::{fitting, Place};
use super::moved::Moved;
use super::{facts, Role, Seat};
use crate::error::{Error, ErrorCode, Result};
use crate::planted::planted;
use crate::replication::{FetchOutcome, FetchRequest, FetchResponse, Follower, FollowerStep, LogFacts, Settled};
use crate::storage::Log;
use crate::time::Instant;
use crate::types::{LeaderEpoch, NodeId, Offset};
use bytes::Bytes;
use std::sync::atomic::Ordering;

/// What is left to do when the role's lock is released.
enum After {
    Nothing(Moved),
    /// Drop everything and begin anew at this offset.
    Restart(LeaderEpoch, Offset),
}

impl Partition {
    /// The fetch that is to go to `leader` now; `None` when nothing is due, or that node does not lead.
    pub(in crate::node) fn poll_fetch(&self, leader: NodeId, now: Instant) -> Option<FetchRequest> {
        let seat = self.seat.as_deref()?;
        let log = self.log().ok()?;
        let must_flush = self.must_flush_before_ack();
        let mut state = seat.state.lock();
        let Role::Follower(follower) = &mut state.role else { return None };
        if follower.leader() != leader || follower.poll_timeout().is_none_or(|due| due > now) {
            return None;
        }
        follower.poll_fetch(vouched_facts(&log, must_flush), log.latest_leader_epoch(), now)
    }

    /// Whom this replica follows.
    pub(in crate::node) fn following(&self) -> Option<NodeId> {
        match &self.seat.as_ref()?.state.lock().role {
            Role::Follower(follower) => Some(follower.leader()),
            Role::Absent | Role::Waiting | Role::Leader(_) => None,
        }
    }

    /// The cluster has taken this replica away: its files go.
    pub(in crate::node) fn give_up_replica(&self) -> Result<()> {
        let mut slot = self.slot.write();
        if let Some(seat) = &self.seat {
            seat.is_given_up.store(true, Ordering::Release);
        }
        if let Slot::Open(log) = &*slot {
            self.house.open.forget(&self.me);
            let _ = log.close(); // nobody reads it again
        }
        if matches!(&*slot, Slot::Deleted) {
            return Ok(());
        }
        *slot = Slot::Resting(AtRest { clean: true, ..AtRest::default() });
        self.house.checkpoints.forget(|partition| partition == self.id());
        self.house.remove_now(self.id())
    }

    /// When a fetch is due; `None` while one is on its way, or never.
    pub(in crate::node) fn poll_fetch_timeout(&self) -> Option<Instant> {
        match &self.seat.as_ref()?.state.lock().role {
            Role::Follower(follower) => follower.poll_timeout(),
            Role::Absent | Role::Waiting | Role::Leader(_) => None,
        }
    }

    /// Does what an answer of the leader asks for: appends, cuts, and, under `flush.messages=1`, flushes, so that the next fetch vouches
    /// for it.
    pub(in crate::node) fn handle_fetch_response(&self, from: NodeId, response: FetchResponse, now: Instant) {
        let Some(seat) = self.seat.as_deref() else { return };
        let log = match self.log() {
            Ok(log) => log,
            Err(failed) => return self.tell_failure(&failed),
        };
        // Before the role's lock: making room may need it.
        let room = self.room_for(&response);
        match self.obey(seat, &log, (from, response), room.as_ref().err(), now) {
            After::Nothing(moved) => {
                if moved.log_end {
                    self.vouch(&log);
                }
                self.tell(log, moved);
            }
            After::Restart(epoch, log_start) => {
                drop(log);
                self.begin_anew(seat, epoch, log_start, now);
            }
        }
    }

    /// `dir.max.bytes` holds for followers, too; one that has no room falls behind and says so.
    fn room_for(&self, response: &FetchResponse) -> Result<Option<Promise<'_>>> {
        let FetchOutcome::Records(records) = &response.outcome else { return Ok(None) };
        loop {
            match self.house.space.promise(records.len()) {
                Ok(promise) => return Ok(Some(promise)),
                Err(full) => self.house.make_room(self, full)?,
            }
        }
    }

    fn obey(
        &self,
        seat: &Seat,
        log: &Log,
        (from, response): (NodeId, FetchResponse),
        no_room: Option<&Error>,
        now: Instant,
    ) -> After {
        let must_flush = self.must_flush_before_ack();
        let mut state = seat.state.lock();
        let refused_before = state.refused_at;
        let mut refused = None;
        let Role::Follower(follower) = &mut state.role else { return After::Nothing(Moved::default()) };
        let local_end = response.diverging_epoch().and_then(|epoch| log.end_of_leader_epoch(epoch));
        let before = log.log_end();
        let mut step = follower.handle_response(from, response, facts(log, must_flush), local_end, now);
        let mut watermark = false;
        loop {
            step = match step {
                FollowerStep::Append { at, records } => {
                    let leader_epoch = follower.leader_epoch();
                    match self.append_fetched(log, (at, leader_epoch), &records, no_room) {
                        Ok(()) => FollowerStep::Settled(follower.handle_appended(facts(log, must_flush))),
                        Err(error) => {
                            if [ErrorCode::CORRUPT_MESSAGE, ErrorCode::INVALID_RECORD].contains(&error.code()) {
                                refused = Some((leader_epoch, log.log_end()));
                                if refused != refused_before {
                                    self.tell_refused(from, log.log_end(), &error);
                                }
                            }
                            follower.handle_failure(error, now)
                        }
                    }
                }
                FollowerStep::Truncate { to, below_high_watermark } => {
                    if below_high_watermark {
                        self.tell_cut_below(to, log);
                    }
                    let cut = log.truncate_to(to).and_then(|()| log.truncate_leader_epochs(log.log_end()));
                    match cut.and_then(|()| self.house.take_back_marks(self.id(), log)) {
                        Ok(()) => {
                            let _ = follower.handle_truncated(facts(log, must_flush)); // the log has lowered its own
                            watermark = true;
                            break;
                        }
                        Err(error) => follower.handle_failure(error, now),
                    }
                }
                FollowerStep::RestartAt { log_start } => return After::Restart(follower.leader_epoch(), log_start),
                FollowerStep::Settled(settled) => {
                    watermark |= self.settle_follower(log, settled);
                    break;
                }
                FollowerStep::Failed(error) => {
                    self.tell_broken(&error);
                    break;
                }
                FollowerStep::BackOff(code) => {
                    if code == ErrorCode::CORRUPT_MESSAGE && refused.is_none() {
                        refused = Some((follower.leader_epoch(), log.log_end()));
                        if refused != refused_before {
                            self.tell_refused(from, log.log_end(), &Error::new(code, "it finds nothing there itself"));
                        }
                    }
                    self.house.tell(Level::Debug, || format!("{}: fetching waits: {code}", self.id()));
                    break;
                }
                FollowerStep::Idle | FollowerStep::Stop => break,
            };
        }
        state.refused_at = refused.or(refused_before);
        After::Nothing(Moved { watermark, log_end: log.log_end() != before, ..Moved::default() })
    }

    fn append_fetched(
        &self,
        log: &Log,
        (at, leader_epoch): (Offset, LeaderEpoch),
        records: &Bytes,
        no_room: Option<&Error>,
    ) -> Result<()> {
        if let Some(error) = no_room {
            self.house.tell(Level::Warn, || error.message().to_owned());
            return Err(error.clone());
        }
        let place = Place { partition: self.id(), at, leader_epoch, latest_epoch: log.latest_leader_epoch() };
        let (fits, rest) = fitting(place, records);
        if fits == 0 && rest.is_err() {
            return rest;
        }
        let appended = log.append_verbatim(&records[..fits])?;
        if appended.base_offset < at {
            let text = format!("{}: asked for {at}, got {}", self.id(), appended.base_offset);
            return Err(Error::new(ErrorCode::STATE, text));
        }
        self.count(1, appended.last_offset.next().since(appended.base_offset), records.len());
        self.expect_flush(log, log.log_end().since(log.flushed()));
        rest
    }

    fn tell_refused(&self, from: NodeId, end: Offset, error: &Error) {
        self.house.tell(Level::Error, || {
            format!(
                "{}: node {from}, its leader, has damaged records from {end} on ({error}); they are not taken, and asked for again until \
                 they are sound or another node leads",
                self.id()
            )
        });
    }

    fn settle_follower(&self, log: &Log, settled: Settled) -> bool {
        let mut moved = log.advance_high_watermark(settled.high_watermark);
        if settled.log_start > log.log_start() {
            match log.delete_records(Some(settled.log_start)) {
                Ok(_) => {
                    moved = true;
                    self.house.checkpoints_moved();
                }
                Err(failed) => self.tell_failure(&failed),
            }
        }
        moved
    }

    pub(super) fn vouch(&self, log: &Log) {
        if self.must_flush_before_ack() && !planted!("bug-vouch-unflushed") {
            if let Err(failed) = log.flush_up_to(log.log_end()) {
                self.tell_failure(&failed);
            }
        }
    }

    /// The leader's log begins behind the end of ours, or parts from it before its beginning: nothing of it is of use.
    fn begin_anew(&self, seat: &Seat, epoch: LeaderEpoch, log_start: Offset, now: Instant) {
        let must_flush = self.must_flush_before_ack();
        let mut slot = self.slot.write();
        let mut state = seat.state.lock();
        let Role::Follower(follower) = &mut state.role else { return };
        let Slot::Open(log) = &*slot else { return };
        if follower.leader_epoch() != epoch {
            return;
        }
        let what = format!("{}: begins anew at {log_start}, its log ended at {}", self.id(), log.log_end());
        self.house.tell(Level::Warn, || what);
        match self.replace_log(log, log_start) {
            Ok(fresh) => {
                let facts = facts(&fresh, must_flush);
                *slot = Slot::Open(Box::new(fresh));
                let _ = follower.handle_truncated(facts); // the new log knows it
            }
            Err(error) => {
                follower_failed(follower, error.clone(), now);
                self.tell_broken(&error);
            }
        }
        drop(state);
        drop(slot);
        self.spread(Moved::watermark(true), true);
    }

    fn replace_log(&self, old: &Log, log_start: Offset) -> Result<Log> {
        // Nothing of it is read again; how it closes does not matter.
        let _ = old.close();
        self.house.remove_now(self.id())?;
        let rest = AtRest {
            recovery_point: log_start,
            log_start,
            high_watermark: log_start,
            clean: false,
            in_doubt: false,
            on_disk: false,
            offsets: None,
        };
        self.open_from(&rest)
    }

    fn tell_cut_below(&self, to: Offset, log: &Log) {
        let high_watermark = log.high_watermark();
        self.house.tell(Level::Error, || {
            format!(
                "{}: cut to {to}, below the high watermark {high_watermark}: an unclean election has lost records",
                self.id()
            )
        });
    }

    fn tell_broken(&self, error: &Error) {
        self.house.tell(Level::Error, || format!("{}: follows nobody any more: {error}", self.id()));
        self.tell_failure(error);
    }
}

fn follower_failed(follower: &mut Follower, error: Error, now: Instant) {
    let _ = follower.handle_failure(error, now); // whatever it was, it is told by the caller
}

/// What a follower says of its log.
fn vouched_facts(log: &Log, must_flush: bool) -> LogFacts {
    facts(log, must_flush && !planted!("bug-vouch-unflushed"))
}
