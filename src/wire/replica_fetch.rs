//! A follower's fetch of many partitions from one leader, and the session that spares repeating them (KIP-227).
//!
//! A partition that a session's fetch does not list stands as it was listed last, under its old number, until it is answered. An
//! answer lists the partitions that have news and no others. A session that the leader does not know, or knows at another epoch, is
//! FETCH_SESSION_ID_NOT_FOUND (70) or INVALID_FETCH_SESSION_EPOCH (71), sent as `Response::Failed`; the follower opens a new one.

use super::field::{layout, listed, variants, Field};
use super::fields::{Reader, Writer};
use super::limits::PARTITIONS_MAX;
use crate::controller::TopicId;
use crate::error::{ErrorCode, Result};
use crate::replication::{Correlation, FetchOutcome, FetchRequest, FetchResponse, NodeEpoch};
use crate::types::{LeaderEpoch, Offset};
use bytes::Bytes;
use std::num::NonZeroU32;

/// The number of a session, chosen by the leader.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct FetchSessionId(pub NonZeroU32);

/// Counts the fetches of a session from 1 on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct FetchSessionEpoch(NonZeroU32);

/// What a fetch wants of its session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum FetchSession {
    /// Every partition is listed and nothing is to be remembered (Kafka's epoch -1).
    None { closes: Option<FetchSessionId> },
    /// Every partition is listed; the leader may open a session and names it in the answer (Kafka's epoch 0).
    Open { closes: Option<FetchSessionId> },
    /// Only what has changed since the session's last fetch.
    Incremental { id: FetchSessionId, epoch: FetchSessionEpoch },
}

/// One partition of one life of a topic.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct TopicIdPartition {
    pub topic: TopicId,
    pub partition: u32,
}

/// Kafka's Fetch, of a follower.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ReplicaFetchRequest {
    /// The life of the node that asks; which node it is, the transport knows (KIP-903).
    pub node_epoch: NodeEpoch,
    /// Of all partitions together. The first batch is sent even if it is longer.
    pub bytes_max: u32,
    /// How long the leader may wait for news when it has none (`replica.fetch.wait.max.ms`).
    pub wait_max_ms: u32,
    pub session: FetchSession,
    /// All; in a session those that were added or have something else to say.
    pub partitions: Vec<ReplicaFetchPartition>,
    /// What the session shall drop.
    pub forgotten: Vec<TopicIdPartition>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ReplicaFetchPartition {
    pub partition: TopicIdPartition,
    pub fetch: FetchRequest,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ReplicaFetchResponse {
    /// The session that is open now.
    pub session: Option<FetchSessionId>,
    pub partitions: Vec<ReplicaFetchPartitionResponse>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ReplicaFetchPartitionResponse {
    pub partition: TopicIdPartition,
    pub fetched: FetchResponse,
}

impl FetchSessionEpoch {
    pub const FIRST: FetchSessionEpoch = FetchSessionEpoch(NonZeroU32::MIN);
    const MAX: u32 = i32::MAX as u32;

    /// That of the next fetch: after the largest comes the first.
    pub fn next(self) -> FetchSessionEpoch {
        FetchSessionEpoch::of(self.0.get() + 1).unwrap_or(FetchSessionEpoch::FIRST)
    }

    /// `None` below 1 and above the largest 32-bit signed number.
    pub fn of(number: u32) -> Option<FetchSessionEpoch> {
        NonZeroU32::new(number).filter(|number| number.get() <= FetchSessionEpoch::MAX).map(FetchSessionEpoch)
    }
}

/// An id, 0 for none, and Kafka's epoch: -1 none, 0 open, above that the session's.
impl Field for FetchSession {
    const BYTES_MIN: usize = 8;

    fn put(&self, w: &mut Writer) {
        let (id, epoch) = match *self {
            FetchSession::None { closes } => (closes, -1),
            FetchSession::Open { closes } => (closes, 0),
            FetchSession::Incremental { id, epoch } => {
                (Some(id), i32::try_from(epoch.0.get()).expect("no epoch is above i32::MAX"))
            }
        };
        put_session(id, w);
        epoch.put(w);
    }

    fn get(r: &mut Reader) -> Result<FetchSession> {
        let (id, epoch) = (get_session(r)?, i32::get(r)?);
        match (id, epoch, u32::try_from(epoch).ok().and_then(FetchSessionEpoch::of)) {
            (closes, -1, _) => Ok(FetchSession::None { closes }),
            (closes, 0, _) => Ok(FetchSession::Open { closes }),
            (Some(id), _, Some(epoch)) => Ok(FetchSession::Incremental { id, epoch }),
            _ => Err(r.corrupt(format_args!("session {id:?} at epoch {epoch}"))),
        }
    }
}

fn put_session(id: Option<FetchSessionId>, w: &mut Writer) {
    id.map_or(0, |id| id.0.get()).put(w);
}

fn get_session(r: &mut Reader) -> Result<Option<FetchSessionId>> {
    Ok(NonZeroU32::new(u32::get(r)?).map(FetchSessionId))
}

impl Field for ReplicaFetchResponse {
    const BYTES_MIN: usize = 8;

    fn put(&self, w: &mut Writer) {
        put_session(self.session, w);
        self.partitions.put(w);
    }

    fn get(r: &mut Reader) -> Result<ReplicaFetchResponse> {
        Ok(ReplicaFetchResponse { session: get_session(r)?, partitions: Vec::get(r)? })
    }
}

layout! {
    NodeEpoch { 0: u64 }
    Correlation { 0: u64 }
    TopicIdPartition { topic: TopicId, partition: u32 }
    ReplicaFetchRequest {
        node_epoch: NodeEpoch,
        bytes_max: u32,
        wait_max_ms: u32,
        session: FetchSession,
        partitions: Vec<ReplicaFetchPartition>,
        forgotten: Vec<TopicIdPartition>,
    }
    ReplicaFetchPartition { partition: TopicIdPartition, fetch: FetchRequest }
    FetchRequest {
        correlation: Correlation,
        current_leader_epoch: Option<LeaderEpoch>,
        fetch_offset: Offset,
        last_fetched_epoch: Option<LeaderEpoch>,
        log_start: Offset,
        vouched: Offset,
        bytes_max: u32,
    }
    ReplicaFetchPartitionResponse { partition: TopicIdPartition, fetched: FetchResponse }
    FetchResponse {
        correlation: Correlation,
        leader_epoch: LeaderEpoch,
        high_watermark: Offset,
        log_start: Offset,
        log_end: Offset,
        outcome: FetchOutcome,
    }
}

variants! {
    FetchOutcome, "fetch outcome" {
        0 Records(records: Bytes),
        1 Diverging { epoch: LeaderEpoch, end_offset: Offset },
        2 Error(code: ErrorCode),
    }
}

listed! {
    TopicIdPartition: PARTITIONS_MAX, "partitions";
    ReplicaFetchPartition: PARTITIONS_MAX, "partitions";
    ReplicaFetchPartitionResponse: PARTITIONS_MAX, "partitions";
}
