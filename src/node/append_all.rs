//! What one client sent for a partition: several encoded batches, of which all are appended in one reign, or none.

use super::append::Placed;
use super::partition::Partition;
use crate::error::{Error, ErrorCode, Result};
use crate::replication::check_leader_epoch;
use crate::storage::{Appended, JudgedBatch, Log};
use crate::types::{Acks, LeaderEpoch, Timestamp};
use bytes::Bytes;

impl Partition {
    /// As [`append_raw`](Partition::append_raw), for batches one behind the other, in the reign that the client follows (KIP-320). All of
    /// them are judged before the first is written, and no reign ends between them: a refusal means that none of them is in the log.
    /// Answers where the first one begins and the last one ends.
    ///
    /// # Errors
    /// As [`append_raw`](Partition::append_raw); FENCED_LEADER_EPOCH and UNKNOWN_LEADER_EPOCH; INVALID_REQUEST for no batch at all. After KAFKA_STORAGE_ERROR
    /// (the disk failed midway), and after an error about an idempotent producer's sequence, those before it are in the log.
    pub fn append_raw_all(&self, batches: &[Bytes], client: Option<LeaderEpoch>, acks: Acks) -> Result<Placed> {
        self.check_reign(client)?; // before anything else is said of the batches
        let bytes = batches.iter().map(Bytes::len).sum();
        loop {
            let _promise = match self.house.space.promise(bytes) {
                Ok(promise) => promise,
                Err(full) => {
                    self.house.make_room(self, full)?; // an error ends the loop
                    continue;
                }
            };
            let log = self.log()?;
            let now = self.now();
            let judged = batches.iter().map(|batch| log.judge_raw(batch, now)).collect::<Result<Vec<_>>>()?;
            let append = |epoch: LeaderEpoch| {
                // It may have ended, and another one of ours begun, since we looked.
                match check_leader_epoch(client, epoch) {
                    Ok(()) => append_judged(&log, judged, epoch, now),
                    Err(code) => {
                        let text = format!("{}: this is epoch {}, the client follows {client:?}", self.id(), epoch.0);
                        (None, Err(Error::new(code, text)))
                    }
                }
            };
            let done = self.as_leader(&log, acks, append)?;
            let (appended, outcome) = done.value;
            let placed = appended.map(|all| self.placed(all, done.leader_epoch, done.offsets, bytes));
            if placed.is_some() {
                self.settled(log, done.offsets, done.moved);
            } else {
                self.tell(log, done.moved);
            }
            if let Err(failed) = outcome {
                self.tell_failure(&failed);
                return Err(failed);
            }
            let nothing = || Error::new(ErrorCode::INVALID_REQUEST, format!("{}: no batch to append", self.id()));
            return placed.ok_or_else(nothing);
        }
    }
}

/// Answers what is in the log, and why not all of it.
fn append_judged(
    log: &Log,
    judged: Vec<JudgedBatch<'_>>,
    epoch: LeaderEpoch,
    now: Timestamp,
) -> (Option<Appended>, Result<()>) {
    let mut all: Option<Appended> = None;
    for batch in judged {
        match log.append_judged(batch, epoch, now) {
            Ok(one) => {
                let first = all.unwrap_or(one);
                all = Some(Appended {
                    last_offset: one.last_offset,
                    duplicate: first.duplicate && one.duplicate,
                    ..first
                });
            }
            Err(error) => return (all, Err(error)),
        }
    }
    (all, Ok(()))
}
