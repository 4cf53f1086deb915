//! Elections on request, and those that come by themselves every now and then.

use super::decide::{line, Decider, Outcome};
use super::elect::{Election, PartitionChange};
use super::image::Topic;
use super::metadata::PartitionState;
use super::request::{ElectionType, PartitionResult, Reply};
use crate::error::{ErrorCode, Result};
use crate::types::NodeId;
use std::sync::Arc;

impl Decider<'_> {
    /// Elects leaders of these partitions, or of all that need it.
    pub(super) fn elect_leaders(&self, kind: ElectionType, asked: &[(Arc<str>, u32)]) -> Result<Outcome> {
        let mut outcome = Outcome::empty();
        let mut results: Vec<PartitionResult> = Vec::new();
        if asked.is_empty() {
            for place in self.image.partitions() {
                let code = self.elect_one(kind, place, &mut outcome);
                if code != ErrorCode::ELECTION_NOT_NEEDED {
                    results.push(line(&place.0.name, place.1, code));
                }
            }
        }
        for (name, partition) in asked {
            let topic = self.image.topic_named(name);
            let state = topic.and_then(|topic| topic.partitions.get(*partition as usize));
            let seen = results.iter().any(|r| r.name == *name && r.partition == *partition);
            let code = match (topic, state) {
                _ if seen => continue,
                (Some(topic), Some(state)) => self.elect_one(kind, (topic, *partition, state), &mut outcome),
                _ => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            };
            results.push(line(name, *partition, code));
        }
        outcome.reply = Reply::Partitions(results);
        Ok(outcome)
    }

    fn elect_one(&self, kind: ElectionType, place: (&Topic, u32, &PartitionState), outcome: &mut Outcome) -> ErrorCode {
        let (topic, _, state) = place;
        let (needed, election, refusal) = match kind {
            ElectionType::Preferred => {
                let needed = state.leader != state.replicas.first().copied();
                (needed, Election::Preferred, ErrorCode::PREFERRED_LEADER_NOT_AVAILABLE)
            }
            ElectionType::Unclean => {
                (state.leader.is_none(), self.election(topic), ErrorCode::ELIGIBLE_LEADERS_NOT_AVAILABLE)
            }
        };
        if !needed {
            return ErrorCode::ELECTION_NOT_NEEDED;
        }
        if kind == ElectionType::Preferred && !self.preferred_could_lead(state) {
            return refusal;
        }
        let acceptable = |node: NodeId| self.image.is_active(node);
        let mut change = PartitionChange::of(state, self.min_isr(topic), &acceptable);
        change.election = election;
        match self.commit_change(outcome, place, change) {
            Some(after) if after.leader.is_some() => ErrorCode::NONE,
            _ => refusal,
        }
    }

    fn preferred_could_lead(&self, state: &PartitionState) -> bool {
        state.replicas.first().is_some_and(|preferred| {
            let eligible = state.isr.contains(preferred) || (state.isr.is_empty() && state.elr.contains(preferred));
            eligible && self.image.is_active(*preferred)
        })
    }

    /// Gives leaderships back to preferred leaders that are in sync. At most `sweep_partitions_max` of them.
    pub(crate) fn rebalance_leaders(&self) -> Outcome {
        let due = |state: &PartitionState| {
            state.leader != state.replicas.first().copied() && self.preferred_could_lead(state)
        };
        self.sweep(Election::Preferred, due)
    }

    /// Elects leaders of partitions that have none and whose topic would rather lose records than wait.
    pub(crate) fn elect_leaderless(&self) -> Outcome {
        self.sweep(Election::Unclean, |state| state.leader.is_none())
    }

    fn sweep(&self, election: Election, due: impl Fn(&PartitionState) -> bool) -> Outcome {
        let mut outcome = Outcome::empty();
        let acceptable = |node: NodeId| self.image.is_active(node);
        for place in self.image.partitions().filter(|(_, _, state)| due(state)) {
            if outcome.records.len() >= self.config.sweep_partitions_max {
                break;
            }
            let mut change = PartitionChange::of(place.2, self.min_isr(place.0), &acceptable);
            change.election = if election == Election::Unclean { self.election(place.0) } else { election };
            self.commit_change(&mut outcome, place, change);
        }
        outcome
    }
}
