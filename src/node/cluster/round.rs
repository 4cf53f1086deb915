//! One look at the partitions of a session, for one answer. The session's lock is not held.

use super::replica::{Replica, Serving};
use crate::error::ErrorCode;
use crate::replication::{FetchOutcome, FetchRequest, FetchResponse};
use crate::time::Instant;
use crate::transport::{FRAME_BYTES_MAX, FRAME_PARTS_MAX};
use crate::wire::{ReplicaFetchPartitionResponse, TopicIdPartition};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Partitions of one answer.
pub(super) const ANSWER_PARTITIONS_MAX: usize = 10_000;
/// Records of one answer, unless the first batch alone is longer.
pub(super) const ANSWER_BYTES_MAX: u32 = FRAME_BYTES_MAX - AROUND_BYTES_MAX;
/// Partitions with records in one answer: two parts of the frame each, and one at the end.
const ANSWER_PARTS_MAX: usize = (FRAME_PARTS_MAX - 1) / 2;
/// What an answer's frame has room for beside the records; the bytes around those of one partition, and more.
const AROUND_BYTES_MAX: u32 = 1024 * 1024;
const AROUND_PARTITION_BYTES: usize = 96;
const _: () = assert!(ANSWER_PARTITIONS_MAX * AROUND_PARTITION_BYTES < AROUND_BYTES_MAX as usize);

/// Partitions to be looked at, in this order.
pub(super) struct Round {
    pub looks: Vec<Look>,
    /// What was found so far.
    pub found: Found,
    /// Of records, in the whole answer.
    pub bytes_max: u32,
}

pub(super) struct Look {
    pub id: TopicIdPartition,
    /// `None`: no such partition is here.
    pub replica: Option<Arc<dyn Replica>>,
    pub fetch: FetchRequest,
    /// How many bytes, the round knows.
    pub serving: Serving,
    pub what: LookFor,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum LookFor {
    /// Its fetch is heard, and answered only if it is refused. It stays in the queue.
    Nothing,
    Records,
    /// The high watermark and the log start.
    Quiet,
}

#[derive(Default)]
pub(super) struct Found {
    pub answers: Vec<ReplicaFetchPartitionResponse>,
    /// Only the high watermark or the log start is new, and that can wait.
    pub quiet: Vec<TopicIdPartition>,
    /// There was no room for these.
    pub left: Vec<TopicIdPartition>,
    /// The answer goes out, whatever was found.
    pub is_due: bool,
    /// The quiet ones were looked at.
    pub has_quiet: bool,
    bytes: u32,
    parts: usize,
    is_full: bool,
}

impl Round {
    pub fn look(self, now: Instant) -> Found {
        let Round { looks, mut found, bytes_max } = self;
        let is_lone = looks.len() == 1;
        let mut answered: BTreeSet<TopicIdPartition> = found.answers.iter().map(|answer| answer.partition).collect();
        for look in looks {
            let id = look.id;
            if !answered.contains(&id) && found.look(look, bytes_max, now) && !is_lone {
                answered.insert(id);
            }
        }
        found
    }
}

impl Found {
    pub fn due(is_due: bool) -> Found {
        Found { is_due, ..Found::default() }
    }

    /// Says whether there is an answer.
    fn look(&mut self, look: Look, bytes_max: u32, now: Instant) -> bool {
        let Look { id, replica, fetch, mut serving, what } = look;
        self.is_full |= self.answers.len() >= ANSWER_PARTITIONS_MAX || self.parts >= ANSWER_PARTS_MAX;
        let wants_records = what == LookFor::Records && !self.is_full;
        if what == LookFor::Records && self.is_full {
            self.left.push(id);
            if !serving.is_new {
                return false;
            }
        }
        let room = bytes_max.saturating_sub(self.bytes);
        if wants_records {
            serving.bytes_max = fetch.bytes_max.min(room);
            serving.is_first = self.parts == 0;
        }
        let answer = match &replica {
            Some(replica) => replica.serve(serving, &fetch, now),
            None => {
                let epoch = fetch.current_leader_epoch.unwrap_or_default();
                Some(FetchResponse::refusal(&fetch, epoch, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION))
            }
        };
        // Others were served before it, so there may only have been no room for its next batch: it is the first next time. (With the
        // whole room for itself it has nothing; an append that came between has left word of itself.)
        let may_have_more = wants_records && !serving.is_first;
        match answer {
            Some(answer) if what == LookFor::Quiet || !is_empty(&answer) => {
                self.answer(id, answer);
                return true;
            }
            Some(answer) if wants_records && !(may_have_more && answer.log_end > fetch.fetch_offset) => {
                self.quiet.push(id)
            }
            _ if may_have_more => {
                self.left.push(id);
                self.is_full |= serving.bytes_max < fetch.bytes_max;
            }
            _ => {}
        }
        false
    }

    fn answer(&mut self, partition: TopicIdPartition, fetched: FetchResponse) {
        if let FetchOutcome::Records(records) = &fetched.outcome {
            self.bytes = self.bytes.saturating_add(u32::try_from(records.len()).unwrap_or(u32::MAX));
            self.parts += usize::from(!records.is_empty());
        }
        self.answers.push(ReplicaFetchPartitionResponse { partition, fetched });
    }
}

fn is_empty(answer: &FetchResponse) -> bool {
    matches!(&answer.outcome, FetchOutcome::Records(records) if records.is_empty())
}
