//! When the cluster is asked for its metadata, and whom. Pure.

use crate::time::Instant;
use crate::types::NodeId;
use std::collections::BTreeSet;
use std::time::Duration;

/// How long one node may think about the metadata before another one is asked.
pub(super) const METADATA_WAIT_MAX: Duration = Duration::from_secs(2);

/// One question at a time, not more often than the back-off allows, to each node in turn.
#[derive(Debug)]
pub(super) struct Refresh {
    backoff: Backoff,
    age_max: Duration,
    is_wanted: bool,
    is_asking: bool,
    not_before: Instant,
    /// When the last answer is too old; `None` before the first.
    stale_at: Option<Instant>,
    failures: u32,
    /// The node that was asked last.
    last: Option<NodeId>,
}

/// Kafka's pauses: doubled with each failure.
#[derive(Clone, Copy, Debug)]
pub(super) struct Backoff {
    pub first: Duration,
    pub longest: Duration,
}

impl Backoff {
    pub fn after(self, failures: u32) -> Duration {
        self.first.saturating_mul(1 << failures.min(20)).min(self.longest)
    }
}

impl Refresh {
    pub fn new(backoff: Backoff, age_max: Duration) -> Refresh {
        Refresh {
            backoff,
            age_max,
            is_wanted: true,
            is_asking: false,
            not_before: Instant::default(),
            stale_at: None,
            failures: 0,
            last: None,
        }
    }

    /// What is known was found to be wrong.
    pub fn want(&mut self) {
        self.is_wanted = true;
    }

    /// A node to ask now; [`handle_answer`](Refresh::handle_answer) has to follow.
    pub fn poll(&mut self, now: Instant, reachable: &BTreeSet<NodeId>) -> Option<NodeId> {
        if self.stale_at.is_some_and(|stale_at| stale_at <= now) {
            self.is_wanted = true;
        }
        if !self.is_wanted || self.is_asking || now < self.not_before {
            return None;
        }
        let after = |last| reachable.range((std::ops::Bound::Excluded(last), std::ops::Bound::Unbounded)).next();
        let node = self.last.and_then(after).or_else(|| reachable.first()).copied()?;
        self.is_asking = true;
        self.last = Some(node);
        // Another look may be wanted before this one's answer is here; it is not asked for at once.
        self.not_before = now + self.backoff.first;
        Some(node)
    }

    pub fn handle_answer(&mut self, was_of_use: bool, now: Instant) {
        self.is_asking = false;
        if was_of_use {
            (self.is_wanted, self.failures) = (false, 0);
            self.stale_at = Some(now + self.age_max);
        } else {
            self.not_before = now + self.backoff.after(self.failures);
            self.failures += 1;
        }
    }

    /// When to poll again, if no node comes up before.
    pub fn poll_timeout(&self, reachable: &BTreeSet<NodeId>) -> Option<Instant> {
        if self.is_asking || reachable.is_empty() {
            return None;
        }
        if self.is_wanted {
            Some(self.not_before)
        } else {
            self.stale_at.map(|stale_at| stale_at.max(self.not_before))
        }
    }
}
