//! A follower's fetch, answered by the leader.

use super::super::cluster::{Known, Serving};
use super::super::notices::Level;
use super::super::partition::Partition;
use super::lead::carry_out;
use super::moved::Moved;
use super::{facts, Role, Seat};
use crate::error::ErrorCode;
use crate::replication::{
    check_leader_epoch, FetchOutcome, FetchRequest, FetchResponse, FetchVerdict, Fetching, LogFacts,
};
use crate::storage::{Fetch, Log, UpTo};
use crate::time::Instant;
use crate::types::{LeaderEpoch, Offset};
use bytes::Bytes;

/// What the leader has decided about a fetch, and in which reign.
struct Decided {
    verdict: FetchVerdict,
    leader_epoch: LeaderEpoch,
    log: LogFacts,
    moved: Moved,
}

impl Partition {
    /// Answers the fetch of a replica; `None` while there is nothing to say that it does not know. Only a new fetch counts as an
    /// acknowledgement, one that is looked at again does not.
    pub(in crate::node) fn serve_fetch(
        &self,
        serving: Serving,
        fetch: &FetchRequest,
        now: Instant,
    ) -> Option<FetchResponse> {
        let seat = self.seat.as_deref()?;
        let refusal = |code| Some(FetchResponse::refusal(fetch, seat.leader().1, code));
        let Ok(log) = self.log() else { return refusal(ErrorCode::KAFKA_STORAGE_ERROR) };
        let decided = match self.decide(seat, &log, serving, fetch, now) {
            Ok(decided) => decided,
            Err(code) => return refusal(code),
        };
        let outcome = match decided.verdict {
            FetchVerdict::Serve { from, bytes_max } => match self.records(&log, from, bytes_max, serving, &decided) {
                Ok(records) => FetchOutcome::Records(records),
                Err(code) => {
                    if code == ErrorCode::CORRUPT_MESSAGE {
                        self.tell_damaged(seat, decided.leader_epoch, from);
                    }
                    FetchOutcome::Error(code)
                }
            },
            FetchVerdict::Diverged { epoch, end_offset } => FetchOutcome::Diverging { epoch, end_offset },
            FetchVerdict::Refuse(code) => FetchOutcome::Error(code),
        };
        let response = {
            let state = seat.state.lock();
            match &state.role {
                // Whoever leads now in another reign may have cut what was read.
                Role::Leader(leader) if leader.leader_epoch() == decided.leader_epoch => {
                    Ok(leader.respond(fetch, outcome))
                }
                _ => Err(ErrorCode::NOT_LEADER_OR_FOLLOWER),
            }
        };
        self.tell(log, decided.moved);
        let response = match response {
            Ok(response) => response,
            Err(code) => return refusal(code),
        };
        let says = Known { high_watermark: response.high_watermark, log_start: response.log_start };
        let is_news = !matches!(&response.outcome, FetchOutcome::Records(records) if records.is_empty());
        (is_news || serving.known != Some(says)).then_some(response)
    }

    /// Once for a place: followers ask again and again.
    fn tell_damaged(&self, seat: &Seat, leader_epoch: LeaderEpoch, at: Offset) {
        let place = Some((leader_epoch, at));
        if std::mem::replace(&mut seat.state.lock().refused_at, place) != place {
            self.house.tell(Level::Error, || {
                format!(
                    "{}: its records from {at} on are damaged here: no follower gets them, see `kafkalog check`",
                    self.id()
                )
            });
        }
    }

    fn decide(
        &self,
        seat: &Seat,
        log: &Log,
        serving: Serving,
        fetch: &FetchRequest,
        now: Instant,
    ) -> std::result::Result<Decided, ErrorCode> {
        let Serving { from, node_epoch, is_new, .. } = serving;
        let must_flush = self.must_flush_before_ack();
        let mut state = seat.state.lock();
        let known_epoch = state.leader_epoch;
        let Role::Leader(leader) = &mut state.role else {
            check_leader_epoch(fetch.current_leader_epoch, known_epoch)?;
            return Err(ErrorCode::NOT_LEADER_OR_FOLLOWER);
        };
        let facts = facts(log, must_flush);
        let leader_epoch = leader.leader_epoch();
        let epoch_end = fetch.last_fetched_epoch.and_then(|epoch| {
            // The usual case needs no lock: our own reign ends at the log end.
            if epoch == leader_epoch && facts.log_end > facts.log_start {
                Some((epoch, facts.log_end))
            } else {
                log.end_of_leader_epoch(epoch)
            }
        });
        let fetching = Fetching { from, node_epoch, log: facts, epoch_end };
        let before = leader.low_watermark();
        let verdict =
            if is_new { leader.handle_fetch(fetching, fetch, now) } else { leader.reread_fetch(fetching, fetch) };
        let low_watermark = leader.low_watermark() != before;
        let moved = Moved { low_watermark, ..carry_out(leader, log) };
        Ok(Decided { verdict, leader_epoch, log: facts, moved })
    }

    fn records(
        &self,
        log: &Log,
        from: Offset,
        asked: u32,
        serving: Serving,
        decided: &Decided,
    ) -> std::result::Result<Bytes, ErrorCode> {
        let bytes_max = asked.min(serving.bytes_max);
        if from >= decided.log.log_end || bytes_max == 0 {
            return Ok(Bytes::new());
        }
        let fetch =
            Fetch { from, bytes_max: bytes_max as usize, up_to: UpTo::LogEnd, min_one_message: serving.is_first };
        match log.read_for_replica(fetch) {
            // There is something, and nothing is found where it has to be.
            Ok(fetched) if fetched.batches.is_empty() && serving.is_first && log.failure().is_none() => {
                Err(ErrorCode::CORRUPT_MESSAGE)
            }
            Ok(fetched) => Ok(fetched.batches),
            Err(failed) => {
                self.tell_failure(&failed);
                Err(failed.code())
            }
        }
    }
}
