//! Who is a replica, who is in the ISR, and who should join or leave it.

use super::super::facts::{IsrMember, Standing};
use super::super::isr::sorted;
use super::super::progress::Progress;
use super::Leader;
use crate::time::Instant;
use crate::types::NodeId;
use std::fmt::Write;

impl Leader {
    pub(super) fn expand(&mut self, node: NodeId, now: Instant) {
        if !self.isr.may_expand(now) || self.isr.committed().contains(&node) {
            return;
        }
        let has_all_committed = self.follower(node).is_some_and(|follower| {
            let reached = |end| follower.vouched().is_some_and(|vouched| vouched >= end);
            follower.is_eligible() && reached(self.high_watermark) && reached(self.epoch_start)
        });
        if has_all_committed {
            let nodes = self.isr.committed().iter().chain([&node]);
            let members = nodes.map(|&node| self.member(node)).collect();
            self.isr.propose(members, now);
        }
    }

    pub(super) fn shrink(&mut self, now: Instant) {
        if self.isr.is_in_flight() {
            return;
        }
        let lags = |node: &NodeId| {
            let follower = self.follower(*node);
            follower.is_some_and(|follower| !follower.is_in_sync(self.log.log_end, now, self.replica_lag_time_max))
        };
        let kept = self.isr.committed().iter().filter(|node| !lags(node));
        let members: Vec<IsrMember> = kept.map(|&node| self.member(node)).collect();
        if members.len() < self.isr.committed().len() {
            self.isr.propose(members, now);
        }
    }

    fn member(&self, node: NodeId) -> IsrMember {
        let mine = (node == self.me).then_some(self.node_epoch);
        IsrMember { node, node_epoch: mine.or_else(|| self.follower(node).and_then(Progress::node_epoch)) }
    }

    pub(super) fn assign(&mut self, replicas: Vec<NodeId>, now: Instant) {
        let replicas = sorted(replicas);
        self.replica_count = replicas.len();
        self.followers.retain(|follower| replicas.contains(&follower.node()));
        for node in replicas {
            self.know(node, now);
        }
        self.know_members(now);
    }

    /// The high watermark waits for every member of the ISR, so every member has to be known.
    pub(super) fn know_members(&mut self, now: Instant) {
        assert!(self.isr.committed().contains(&self.me), "node {} leads and is not in the ISR", self.me);
        for index in 0..self.isr.committed().len() {
            self.know(self.isr.committed()[index], now);
        }
    }

    fn know(&mut self, node: NodeId, now: Instant) {
        if node == self.me {
            return;
        }
        if let Err(place) = self.followers.binary_search_by_key(&node, Progress::node) {
            let is_in_sync = self.isr.committed().contains(&node);
            self.followers.insert(place, Progress::new(node, is_in_sync, now));
        }
    }

    /// Which setting asks for how many, who is in sync, and what keeps each of the others out.
    pub(super) fn describe_shortage(&self) -> String {
        let in_sync: Vec<String> = self.isr.committed().iter().map(ToString::to_string).collect();
        let mut text =
            format!("min.insync.replicas is {}, in sync is [{}]", self.min_insync_replicas, in_sync.join(", "));
        for follower in self.followers.iter().filter(|follower| !self.isr.committed().contains(&follower.node())) {
            let _ = write!(text, "; missing is {}, ", follower.node()); // a String takes everything
            let _ = match (follower.standing(), follower.vouched()) {
                (Standing { is_fenced: true, .. }, _) => write!(text, "which is fenced"),
                (Standing { is_shutting_down: true, .. }, _) => write!(text, "which is shutting down"),
                (_, None) => write!(text, "which has not fetched in this epoch"),
                (_, Some(vouched)) => write!(text, "which is at {vouched} of {}", self.log.log_end),
            };
        }
        text
    }
}
