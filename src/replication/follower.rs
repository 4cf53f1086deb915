//! One reign seen from a follower: what to fetch next, and what to do with the answer.
//!
//! ```text
//!          poll_fetch                 records                 handle_appended
//!   Ready -----------> InFlight ------------------> Appending ----------------> Ready
//!     ^                 |  |  |   diverging, out of range          handle_truncated
//!     |     nothing new |  |  +--------------------> Truncating ----------------> Ready
//!     +-----------------+  |
//!     +---- BackingOff <---+ refused for now                    Stopped: a new reign is needed
//!           until replica.fetch.backoff.ms are over             Failed: our own log is
//! ```
//!
//! It always fetches from its own log end and lets the leader compare epochs (truncation on fetch): each *diverging* answer moves it
//! down until the logs agree. It never truncates to its high watermark, which may lag behind what it has vouched for (KIP-101).
//!
//! Only the answer to the newest fetch is looked at; anything older, repeated, or from somebody else is harmless.

use super::facts::LogFacts;
use super::message::{Correlation, FetchOutcome, FetchRequest, FetchResponse};
use crate::error::{Error, ErrorCode};
use crate::planted::planted;
use crate::time::Instant;
use crate::types::{LeaderEpoch, NodeId, Offset};
use bytes::Bytes;
use std::time::Duration;

/// What following a reign begins with.
#[derive(Clone, Debug)]
pub struct FollowerSetup {
    pub leader: NodeId,
    pub leader_epoch: LeaderEpoch,
    pub log: LogFacts,
    /// As this node knew it before: from its last role, or from the checkpoint.
    pub high_watermark: Offset,
    /// `replica.fetch.max.bytes`.
    pub bytes_max: u32,
    /// `replica.fetch.backoff.ms`.
    pub fetch_backoff: Duration,
    /// The number of the last fetch that this node has sent for the partition, in whatever reign.
    pub correlation_last: Correlation,
    /// After this much silence the fetch is sent again; has to be longer than the leader lets a fetch wait.
    pub request_timeout: Duration,
}

/// What the node has to do next.
#[derive(Clone, Debug)]
pub enum FollowerStep {
    /// Nothing: the answer was not for us, or is a repeated one.
    Idle,
    /// Nothing for `replica.fetch.backoff.ms`, and why.
    BackOff(ErrorCode),
    /// Append these bytes as they are; their first offset has to be `at`, the log end. Then [`Follower::handle_appended`].
    Append { at: Offset, records: Bytes },
    /// Cut the log to this end and, even if it is there already, the epoch cache. Then [`Follower::handle_truncated`].
    /// `below_high_watermark` happens only after an unclean election and is worth a line in the log.
    Truncate { to: Offset, below_high_watermark: bool },
    /// Drop everything, epochs included, and begin anew here. Then [`Follower::handle_truncated`].
    RestartAt { log_start: Offset },
    /// Nothing new to append; make these known.
    Settled(Settled),
    /// The leader is in a newer reign. No more fetches until the metadata names it.
    Stop,
    /// No more fetches: this replica is broken (KAFKA_STORAGE_ERROR), or its log moved behind our back (STATE).
    Failed(Error),
}

/// What is known once an answer has been dealt with. Both only grow, except by truncation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settled {
    pub high_watermark: Offset,
    /// The log start to raise the log to, if it is lower.
    pub log_start: Offset,
}

#[derive(Debug)]
pub struct Follower {
    leader: NodeId,
    leader_epoch: LeaderEpoch,
    high_watermark: Offset,
    bytes_max: u32,
    fetch_backoff: Duration,
    request_timeout: Duration,
    correlation_last: Correlation,
    state: State,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Ready,
    InFlight {
        fetch_offset: Offset,
        expires_at: Instant,
    },
    /// What the leader said of itself counts once its records are appended.
    Appending {
        at: Offset,
        leaders: Settled,
    },
    Truncating {
        to: Offset,
    },
    BackingOff {
        until: Instant,
    },
    Stopped,
    Failed,
}

impl Follower {
    /// # Panics
    /// When the log's ends are out of order.
    #[must_use]
    pub fn new(setup: FollowerSetup) -> Follower {
        setup.log.check();
        Follower {
            leader: setup.leader,
            leader_epoch: setup.leader_epoch,
            high_watermark: setup.high_watermark.clamp(setup.log.log_start, setup.log.log_end),
            bytes_max: setup.bytes_max,
            fetch_backoff: setup.fetch_backoff,
            request_timeout: setup.request_timeout,
            correlation_last: setup.correlation_last,
            state: State::Ready,
        }
    }

    /// The fetch to send to [`leader`](Follower::leader) now, if there is one. `latest_epoch` is the newest of the epoch cache.
    pub fn poll_fetch(
        &mut self,
        log: LogFacts,
        latest_epoch: Option<LeaderEpoch>,
        now: Instant,
    ) -> Option<FetchRequest> {
        if self.poll_timeout().is_none_or(|due| now < due) {
            return None;
        }
        log.check();
        // Time itself, so that numbers grow over all reigns that this node follows in its life.
        let correlation = Correlation(now.0.max(self.correlation_last.0 + 1));
        self.correlation_last = correlation;
        self.state = State::InFlight { fetch_offset: log.log_end, expires_at: now + self.request_timeout };
        Some(FetchRequest {
            correlation,
            current_leader_epoch: Some(self.leader_epoch),
            fetch_offset: log.log_end,
            last_fetched_epoch: latest_epoch,
            log_start: log.log_start,
            vouched: log.vouched,
            bytes_max: self.bytes_max,
        })
    }

    /// When [`poll_fetch`](Follower::poll_fetch) has something: a moment that is over means now, `None` means after the step at hand
    /// or never.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Ready => Some(Instant::default()),
            State::InFlight { expires_at, .. } => Some(expires_at),
            State::BackingOff { until } => Some(until),
            State::Appending { .. } | State::Truncating { .. } | State::Stopped | State::Failed => None,
        }
    }

    /// An answer. `local_end` is what the own epoch cache answers to `end_offset_for(response.diverging_epoch())`.
    pub fn handle_response(
        &mut self,
        from: NodeId,
        response: FetchResponse,
        log: LogFacts,
        local_end: Option<(LeaderEpoch, Offset)>,
        now: Instant,
    ) -> FollowerStep {
        let State::InFlight { fetch_offset, .. } = self.state else { return FollowerStep::Idle };
        if from != self.leader || response.correlation != self.correlation_last {
            return FollowerStep::Idle;
        }
        if log.log_end != fetch_offset {
            let text = format!("log end was {fetch_offset} when fetching and is {} at the answer", log.log_end);
            return self.fail(Error::new(ErrorCode::STATE, text));
        }
        let FetchResponse { leader_epoch, high_watermark, log_start, log_end, outcome, .. } = response;
        match outcome {
            FetchOutcome::Error(ErrorCode::FENCED_LEADER_EPOCH) if leader_epoch > self.leader_epoch => {
                self.state = State::Stopped;
                FollowerStep::Stop
            }
            // Whatever it says, it says of another reign.
            _ if leader_epoch != self.leader_epoch => self.back_off(ErrorCode::NOT_LEADER_OR_FOLLOWER, now),
            FetchOutcome::Error(ErrorCode::OFFSET_OUT_OF_RANGE) => {
                self.handle_out_of_range(log, log_start, log_end, now)
            }
            FetchOutcome::Error(code) => self.back_off(code, now),
            FetchOutcome::Diverging { epoch, end_offset } => {
                let to = self.truncation_target(epoch, end_offset, local_end).min(log.log_end);
                self.truncate(to, log)
            }
            FetchOutcome::Records(records) => {
                let leaders = Settled { high_watermark, log_start };
                if records.is_empty() {
                    return FollowerStep::Settled(self.settle(leaders, log));
                }
                self.state = State::Appending { at: fetch_offset, leaders };
                FollowerStep::Append { at: fetch_offset, records }
            }
        }
    }

    /// The records of [`FollowerStep::Append`] are in the log.
    ///
    /// # Panics
    /// When no append was asked for, or the log did not grow by it.
    pub fn handle_appended(&mut self, log: LogFacts) -> Settled {
        let State::Appending { at, leaders } = self.state else { panic!("no append was asked for: {:?}", self.state) };
        assert!(log.log_end > at, "log end {} after an append at {at}", log.log_end);
        self.settle(leaders, log)
    }

    /// A step could not be carried out. Bytes that are damaged are fetched again, and so are those for which `dir.max.bytes` left no room
    /// (POLICY_VIOLATION); anything else is the end of this replica until it is opened anew.
    pub fn handle_failure(&mut self, error: Error, now: Instant) -> FollowerStep {
        match error.code() {
            code @ (ErrorCode::CORRUPT_MESSAGE | ErrorCode::INVALID_RECORD | ErrorCode::POLICY_VIOLATION) => {
                self.back_off(code, now)
            }
            _ => self.fail(error),
        }
    }

    /// The log is cut, or begun anew. Says what is left of the high watermark.
    ///
    /// # Panics
    /// When no truncation was asked for, or the log is still longer.
    pub fn handle_truncated(&mut self, log: LogFacts) -> Settled {
        let State::Truncating { to } = self.state else { panic!("no truncation was asked for: {:?}", self.state) };
        assert!(log.log_end <= to, "log end {} after a truncation to {to}", log.log_end);
        log.check();
        self.high_watermark = self.high_watermark.clamp(log.log_start, log.log_end);
        self.state = State::Ready;
        Settled { high_watermark: self.high_watermark, log_start: log.log_start }
    }

    /// For the follower of the next reign.
    #[must_use]
    pub fn correlation_last(&self) -> Correlation {
        self.correlation_last
    }

    #[must_use]
    pub fn leader(&self) -> NodeId {
        self.leader
    }

    #[must_use]
    pub fn leader_epoch(&self) -> LeaderEpoch {
        self.leader_epoch
    }

    #[must_use]
    pub fn high_watermark(&self) -> Offset {
        self.high_watermark
    }

    /// Where the logs may still agree (`AbstractFetcherThread.getOffsetTruncationState`, KIP-279). When the own cache knows nothing
    /// of the leader's epoch or below, or knows that very epoch, this is the end of it; otherwise the leader is asked again from there.
    fn truncation_target(&self, epoch: LeaderEpoch, end: Offset, local_end: Option<(LeaderEpoch, Offset)>) -> Offset {
        if planted!("bug-hw-truncation") {
            return self.high_watermark;
        }
        match local_end {
            Some((local_epoch, local_end)) if local_epoch != epoch => local_end,
            Some((_, local_end)) => local_end.min(end),
            None => end,
        }
    }

    /// `AbstractFetcherThread.fetchOffsetAndTruncate`.
    fn handle_out_of_range(&mut self, log: LogFacts, log_start: Offset, log_end: Offset, now: Instant) -> FollowerStep {
        if log_end < log.log_end {
            self.truncate(log_end, log)
        } else if log_start > log.log_end {
            self.restart_at(log_start)
        } else {
            self.back_off(ErrorCode::OFFSET_OUT_OF_RANGE, now)
        }
    }

    fn truncate(&mut self, to: Offset, log: LogFacts) -> FollowerStep {
        if to < log.log_start {
            return self.restart_at(to);
        }
        self.state = State::Truncating { to };
        FollowerStep::Truncate { to, below_high_watermark: to < self.high_watermark }
    }

    fn restart_at(&mut self, log_start: Offset) -> FollowerStep {
        self.state = State::Truncating { to: log_start };
        FollowerStep::RestartAt { log_start }
    }

    /// The high watermark follows the leader's as far as there are records. It does not go back when a new leader's lags behind.
    fn settle(&mut self, leaders: Settled, log: LogFacts) -> Settled {
        log.check();
        self.high_watermark = self.high_watermark.max(leaders.high_watermark.min(log.log_end));
        self.state = State::Ready;
        let log_start = log.log_start.max(leaders.log_start.min(self.high_watermark));
        Settled { high_watermark: self.high_watermark, log_start }
    }

    fn back_off(&mut self, code: ErrorCode, now: Instant) -> FollowerStep {
        self.state = State::BackingOff { until: now + self.fetch_backoff };
        FollowerStep::BackOff(code)
    }

    fn fail(&mut self, error: Error) -> FollowerStep {
        self.state = State::Failed;
        FollowerStep::Failed(error)
    }
}
