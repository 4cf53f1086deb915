//! Replicas move: first the new ones are added, and only when all that shall stay are in sync the old ones go
//! (Kafka's `PartitionReassignmentReplicas` and `PartitionReassignmentRevert`).

use super::decide::{Decider, Outcome};
use super::elect::PartitionChange;
use super::image::Topic;
use super::metadata::PartitionState;
use super::placement::Placement;
use super::request::Reply;
use crate::error::{Error, ErrorCode, Result};
use crate::types::NodeId;
use std::collections::BTreeMap;

impl Decider<'_> {
    /// Gives a partition new replicas, or calls a reassignment off.
    pub(super) fn alter_reassignment(
        &self,
        name: &str,
        partition: u32,
        replicas: Option<&[NodeId]>,
    ) -> Result<Outcome> {
        let topic = self.topic(name)?;
        let state = topic.partitions.get(partition as usize).ok_or_else(|| {
            Error::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, format!("{name} has no partition {partition}"))
        })?;
        let mut outcome = Outcome::empty();
        match replicas {
            Some(replicas) => {
                self.check_replicas(replicas)?;
                self.reassign((topic, partition, state), replicas, &mut outcome)?;
            }
            None => self.cancel((topic, partition, state), &mut outcome)?,
        }
        Ok(outcome)
    }

    fn reassign(&self, place: (&Topic, u32, &PartitionState), target: &[NodeId], outcome: &mut Outcome) -> Result<()> {
        let (topic, _, state) = place;
        // A reassignment under way is merged: what it was adding is dropped unless it is wanted still.
        let current = stable_replicas(state);
        let acceptable = |node: NodeId| self.image.is_active(node);
        let mut change = PartitionChange::of(state, self.min_isr(topic), &acceptable);
        change.election = self.election(topic);
        change.adding = target.iter().copied().filter(|node| !current.contains(node)).collect();
        change.removing = current.iter().copied().filter(|node| !target.contains(node)).collect();
        change.replicas = target.iter().copied().chain(change.removing.iter().copied()).collect();
        change.isr.retain(|node| change.replicas.contains(node));
        if change.adding.is_empty() && change.removing.is_empty() {
            // Another order only.
            change.replicas = target.to_vec();
        }
        check_somebody_stays(place, &change.replicas)?;
        self.commit_change(outcome, place, change);
        Ok(())
    }

    /// Back to the replicas from before.
    fn cancel(&self, place: (&Topic, u32, &PartitionState), outcome: &mut Outcome) -> Result<()> {
        let (topic, partition, state) = place;
        if state.adding.is_empty() && state.removing.is_empty() {
            let message = format!("{}-{partition} is not being reassigned", topic.name);
            return Err(Error::new(ErrorCode::NO_REASSIGNMENT_IN_PROGRESS, message));
        }
        let stays = |node: &NodeId| !state.adding.contains(node);
        let acceptable = |node: NodeId| self.image.is_active(node);
        let mut change = PartitionChange::of(state, self.min_isr(topic), &acceptable);
        change.election = self.election(topic);
        change.replicas.retain(stays);
        change.isr.retain(stays);
        change.elr.retain(stays);
        change.adding.clear();
        change.removing.clear();
        check_somebody_stays(place, &change.replicas)?;
        self.commit_change(outcome, place, change);
        Ok(())
    }

    /// Moves every replica of a node elsewhere. Can be asked again: it starts what is not yet on its way, and counts what is left.
    pub(super) fn decommission_node(&self, node: NodeId) -> Result<Outcome> {
        if self.image.node(node).is_none() {
            let message = format!("node {node} is not registered");
            return Err(Error::new(ErrorCode::BROKER_ID_NOT_REGISTERED, message));
        }
        let placement = Placement::of(self.image, self.lot);
        let mut load: BTreeMap<NodeId, usize> = BTreeMap::new();
        for replica in self.image.partitions().flat_map(|(_, _, state)| &state.replicas) {
            *load.entry(*replica).or_default() += 1;
        }
        let mut outcome = Outcome::empty();
        let mut replicas_left = 0;
        for place in self.image.partitions().filter(|(_, _, state)| state.replicas.contains(&node)) {
            let (topic, partition, state) = place;
            replicas_left += 1;
            if state.removing.contains(&node) {
                continue;
            }
            let target: Vec<NodeId> = state.replicas.iter().copied().filter(|r| !state.removing.contains(r)).collect();
            let substitute = placement.substitute(&state.replicas, node, &load).ok_or_else(|| {
                let message = format!("nobody can take the place of node {node} in {}-{partition}", topic.name);
                Error::new(ErrorCode::INVALID_REPLICATION_FACTOR, message)
            })?;
            *load.entry(substitute).or_default() += 1;
            let target: Vec<NodeId> = target.into_iter().map(|r| if r == node { substitute } else { r }).collect();
            self.reassign(place, &target, &mut outcome)?;
        }
        outcome.reply = Reply::Decommission { replicas_left };
        Ok(outcome)
    }
}

/// Not all of those go at once who may have everything that is committed: those in ISR and ELR, or, when nobody is left there, the last
/// leader. Replicas that a reassignment was adding may be the only ones.
fn check_somebody_stays((topic, partition, state): (&Topic, u32, &PartitionState), replicas: &[NodeId]) -> Result<()> {
    let mut holders: Vec<NodeId> = state.isr.iter().chain(&state.elr).copied().collect();
    if holders.is_empty() {
        holders.extend(state.last_known_leader);
    }
    if holders.is_empty() || holders.iter().any(|node| replicas.contains(node)) {
        return Ok(());
    }
    let message =
        format!("only {holders:?} may have all records of {}-{partition}; without them some would be lost", topic.name);
    Err(Error::new(ErrorCode::INVALID_REPLICA_ASSIGNMENT, message))
}

/// The replicas that a partition had before the reassignment that is under way.
fn stable_replicas(state: &PartitionState) -> Vec<NodeId> {
    state.replicas.iter().copied().filter(|node| !state.adding.contains(node)).collect()
}
