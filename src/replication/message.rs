//! The fetch conversation of one partition: plain structs, turned into frames elsewhere.
//!
//! Messages may be lost, repeated and overtaken. A fetch is therefore numbered by its follower, and its answer repeats the number.

use super::facts::LogFacts;
use crate::error::ErrorCode;
use crate::planted::planted;
use crate::types::{LeaderEpoch, Offset};
use bytes::Bytes;

/// The number of a fetch: grows during a node's life, because it begins with the node's monotonic time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Correlation(pub u64);

/// A follower asks for what comes next, and by that acknowledges what came before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FetchRequest {
    pub correlation: Correlation,
    /// The reign that the follower follows. `None` is served without a check and without counting as an acknowledgement.
    pub current_leader_epoch: Option<LeaderEpoch>,
    /// The follower's log end.
    pub fetch_offset: Offset,
    /// The newest epoch of the follower's log; `None` only when it is empty.
    pub last_fetched_epoch: Option<LeaderEpoch>,
    pub log_start: Offset,
    /// The end that the follower vouches for, never past `fetch_offset`. This moves the high watermark.
    pub vouched: Offset,
    pub bytes_max: u32,
}

/// The leader's answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FetchResponse {
    /// That of the request.
    pub correlation: Correlation,
    /// That of the node that answers.
    pub leader_epoch: LeaderEpoch,
    pub high_watermark: Offset,
    pub log_start: Offset,
    /// Kafka asks for this one separately (ListOffsets) when a fetch was out of range.
    pub log_end: Offset,
    pub outcome: FetchOutcome,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FetchOutcome {
    /// Whole batches from the fetch offset on, as they lie in the leader's log; empty when there is nothing new.
    Records(Bytes),
    /// The logs differ below the fetch offset: the leader's largest epoch that is not above the follower's, and where it ends.
    Diverging { epoch: LeaderEpoch, end_offset: Offset },
    /// OFFSET_OUT_OF_RANGE, FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH, NOT_LEADER_OR_FOLLOWER and the like.
    Error(ErrorCode),
}

impl FetchResponse {
    /// Of a node that does not lead and can only say so.
    #[must_use]
    pub fn refusal(request: &FetchRequest, leader_epoch: LeaderEpoch, code: ErrorCode) -> FetchResponse {
        FetchResponse::new(request, leader_epoch, Offset::ZERO, LogFacts::default(), FetchOutcome::Error(code))
    }

    pub(super) fn new(
        request: &FetchRequest,
        leader_epoch: LeaderEpoch,
        high_watermark: Offset,
        log: LogFacts,
        outcome: FetchOutcome,
    ) -> FetchResponse {
        let LogFacts { log_start, log_end, .. } = log;
        FetchResponse { correlation: request.correlation, leader_epoch, high_watermark, log_start, log_end, outcome }
    }

    /// The epoch whose end the follower's own epoch cache has to be asked for before it can handle this answer.
    #[must_use]
    pub fn diverging_epoch(&self) -> Option<LeaderEpoch> {
        match self.outcome {
            FetchOutcome::Diverging { epoch, .. } => Some(epoch),
            FetchOutcome::Records(_) | FetchOutcome::Error(_) => None,
        }
    }
}

/// Compares the reign that a sender believes in with the receiver's (KIP-320). `None` is not compared.
///
/// # Errors
/// FENCED_LEADER_EPOCH when the sender is behind, UNKNOWN_LEADER_EPOCH when the receiver is.
pub fn check_leader_epoch(senders: Option<LeaderEpoch>, mine: LeaderEpoch) -> Result<(), ErrorCode> {
    match senders {
        Some(epoch) if epoch < mine && !planted!("bug-no-fencing") => Err(ErrorCode::FENCED_LEADER_EPOCH),
        Some(epoch) if epoch > mine => Err(ErrorCode::UNKNOWN_LEADER_EPOCH),
        _ => Ok(()),
    }
}
