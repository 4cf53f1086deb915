//! What a leader knows of one follower: where it is, in which life, and when it last had everything.
//!
//! Two lags count. By its *log end* a follower is caught up by Kafka's rule (`Replica.updateFetchStateOrThrow`): at a fetch it had
//! all that the leader had, at that moment or at its fetch before. By its *vouched end* it is caught up when it vouches for all that
//! the leader had at some moment not too long ago; a replica whose disk hangs would otherwise keep fetching, stay in sync, and hold
//! the high watermark back for ever.

use super::facts::{FollowerState, NodeEpoch, Standing};
use super::message::{Correlation, FetchRequest};
use crate::time::Instant;
use crate::types::{NodeId, Offset};
use std::time::Duration;

/// One follower, seen by its leader. Nothing is known of its ends until it fetched in this reign and in this life.
#[derive(Clone, Debug)]
pub(super) struct Progress {
    node: NodeId,
    standing: Standing,
    heard: Option<Heard>,
    /// `None`: never in this reign.
    caught_up_at: Option<Instant>,
    /// It vouches for all that the leader had then.
    vouched_all_of: Option<Instant>,
    /// The leader's end at that moment, which the follower does not vouch for yet.
    vouching_mark: Option<(Offset, Instant)>,
}

/// Its newest fetch.
#[derive(Clone, Copy, Debug)]
struct Heard {
    node_epoch: NodeEpoch,
    correlation: Correlation,
    log_start: Offset,
    log_end: Offset,
    vouched: Offset,
    at: Instant,
    /// The leader's log end at that fetch, or at an earlier one if it was higher.
    leader_end: Offset,
}

impl Progress {
    /// At the beginning of a reign members of the ISR have a grace period, others have never been caught up.
    pub fn new(node: NodeId, is_in_sync: bool, now: Instant) -> Progress {
        let since = is_in_sync.then_some(now);
        Progress {
            node,
            standing: Standing::default(),
            heard: None,
            caught_up_at: since,
            vouched_all_of: since,
            vouching_mark: None,
        }
    }

    /// A fetch that passed all checks. Says whether it counts: one that was sent before the newest (or is the newest, repeated) does
    /// not.
    pub fn handle_fetch(
        &mut self,
        node_epoch: NodeEpoch,
        fetch: &FetchRequest,
        leader_end: Offset,
        now: Instant,
    ) -> bool {
        let before = self.heard.filter(|heard| heard.node_epoch == node_epoch);
        if before.is_some_and(|before| fetch.correlation <= before.correlation) {
            return false;
        }
        if fetch.fetch_offset >= leader_end {
            self.caught_up_at = self.caught_up_at.max(Some(now));
        } else if let Some(before) = before.filter(|before| fetch.fetch_offset >= before.leader_end) {
            self.caught_up_at = self.caught_up_at.max(Some(before.at));
        }
        self.hear_vouched(fetch.vouched, leader_end, now);
        self.heard = Some(Heard {
            node_epoch,
            correlation: fetch.correlation,
            log_start: fetch.log_start,
            log_end: fetch.fetch_offset,
            vouched: fetch.vouched,
            at: now,
            leader_end: before.map_or(leader_end, |before| before.leader_end.max(leader_end)),
        });
        true
    }

    fn hear_vouched(&mut self, vouched: Offset, leader_end: Offset, now: Instant) {
        if vouched >= leader_end {
            self.vouched_all_of = Some(now);
            self.vouching_mark = None;
            return;
        }
        match self.vouching_mark {
            Some((end, _)) if vouched < end => return,
            Some((_, at)) => self.vouched_all_of = self.vouched_all_of.max(Some(at)),
            None => {}
        }
        self.vouching_mark = Some((leader_end, now));
    }

    /// The controller's word. A node that registered anew has to say anew what it has.
    pub fn handle_standing(&mut self, standing: Standing) {
        self.standing = standing;
        self.heard = self.heard.filter(|heard| standing.node_epoch <= Some(heard.node_epoch));
    }

    /// Kafka's *caught up*, by both ends.
    pub fn is_in_sync(&self, leader_end: Offset, now: Instant, lag_time_max: Duration) -> bool {
        let recently = |at: Option<Instant>| at.is_some_and(|at| now.since(at) <= lag_time_max);
        (self.log_end() == Some(leader_end) || recently(self.caught_up_at))
            && (self.vouched() == Some(leader_end) || recently(self.vouched_all_of))
    }

    /// May join the ISR as far as the controller's word goes (KIP-841, KIP-903): not fenced, not shutting down, and fetching in the
    /// life in which it is registered.
    pub fn is_eligible(&self) -> bool {
        let Standing { is_fenced, is_shutting_down, node_epoch } = self.standing;
        !is_fenced && !is_shutting_down && (node_epoch.is_none() || node_epoch == self.node_epoch())
    }

    /// Whether a fetch comes from a life that is known to be over.
    pub fn is_over(&self, node_epoch: NodeEpoch) -> bool {
        Some(node_epoch) < self.node_epoch().max(self.standing.node_epoch)
    }

    pub fn node(&self) -> NodeId {
        self.node
    }

    /// The life in which it fetched last.
    pub fn node_epoch(&self) -> Option<NodeEpoch> {
        self.heard.map(|heard| heard.node_epoch)
    }

    pub fn log_start(&self) -> Option<Offset> {
        self.heard.map(|heard| heard.log_start)
    }

    pub fn log_end(&self) -> Option<Offset> {
        self.heard.map(|heard| heard.log_end)
    }

    pub fn vouched(&self) -> Option<Offset> {
        self.heard.map(|heard| heard.vouched)
    }

    /// `None` while it has not fetched in this reign.
    pub fn state(&self, leader_end: Offset, now: Instant, lag_time_max: Duration) -> Option<FollowerState> {
        let heard = self.heard?;
        let is_at_end = heard.log_end >= leader_end;
        let lag = if is_at_end { Some(Duration::ZERO) } else { self.caught_up_at.map(|at| now.since(at)) };
        Some(FollowerState {
            node: self.node,
            log_start: heard.log_start,
            log_end: heard.log_end,
            vouched: heard.vouched,
            lag,
            is_in_sync: self.is_in_sync(leader_end, now, lag_time_max),
        })
    }

    pub fn standing(&self) -> Standing {
        self.standing
    }
}
