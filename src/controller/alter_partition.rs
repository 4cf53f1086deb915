//! A leader proposes another ISR (Kafka's AlterPartition): the order of the checks is Kafka's.

use super::decide::{Decider, Outcome};
use super::elect::PartitionChange;
use super::image::{Image, Topic};
use super::metadata::{LeaderRecovery, NodeStanding, PartitionState};
use super::request::{AlterPartition, AlterPartitionResult, IsrMember, Reply};
use crate::error::{ErrorCode, Result};
use crate::planted::planted;
use crate::types::NodeId;

impl Decider<'_> {
    /// Decides every partition by itself.
    ///
    /// # Errors
    /// STALE_BROKER_EPOCH for the whole request; the rest is in the results.
    pub(super) fn alter_partitions(
        &self,
        node: NodeId,
        node_epoch: u64,
        proposals: &[AlterPartition],
    ) -> Result<Outcome> {
        self.check_node_epoch(node, node_epoch)?;
        let mut outcome = Outcome::empty();
        let mut results: Vec<AlterPartitionResult> = Vec::with_capacity(proposals.len());
        for proposal in proposals {
            // A second proposal for the same partition is based on what the first one changed.
            let seen = |r: &AlterPartitionResult| r.topic == proposal.topic && r.partition == proposal.partition;
            let state = if results.iter().any(seen) {
                Err(ErrorCode::INVALID_REQUEST)
            } else {
                self.alter_partition(node, proposal, &mut outcome)
            };
            results.push(AlterPartitionResult { topic: proposal.topic, partition: proposal.partition, state });
        }
        outcome.reply = Reply::AlterPartition(results);
        Ok(outcome)
    }

    fn alter_partition(
        &self,
        node: NodeId,
        proposal: &AlterPartition,
        outcome: &mut Outcome,
    ) -> std::result::Result<PartitionState, ErrorCode> {
        let (topic, state) = place_of(self.image, proposal)?;
        let resigns = resigns(node, proposal, state);
        check_proposal(node, proposal, state, resigns)?;
        if proposal.isr.iter().any(|member| !is_eligible(self.image, *member)) {
            return Err(ErrorCode::INELIGIBLE_REPLICA);
        }
        let acceptable = |node: NodeId| self.image.is_active(node);
        let mut change = PartitionChange::of(state, self.min_isr(topic), &acceptable);
        change.election = self.election(topic);
        change.isr = ordered(state, proposal);
        change.recovery = proposal.recovery;
        let Some(after) = self.commit_change(outcome, (topic, proposal.partition, state), change) else {
            return Ok(state.clone());
        };
        if after.leader == Some(node) {
            Ok(after)
        } else {
            // The change completed a reassignment that takes the leader away, or it resigns.
            Err(ErrorCode::NEW_LEADER_ELECTED)
        }
    }
}

/// The topic and state that a proposal speaks of.
pub(super) fn place_of<'a>(
    image: &'a Image,
    proposal: &AlterPartition,
) -> std::result::Result<(&'a Topic, &'a PartitionState), ErrorCode> {
    let topic = image.topic(&proposal.topic).ok_or(ErrorCode::UNKNOWN_TOPIC_ID)?;
    let state = image.partition(&proposal.topic, proposal.partition).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    Ok((topic, state))
}

/// A leader whose log has failed leaves itself out and nobody comes in (ours; Kafka's says which of its directories are offline, KIP-858).
/// One of those that are left leads next.
fn resigns(node: NodeId, proposal: &AlterPartition, state: &PartitionState) -> bool {
    let stays = |member: &IsrMember| member.node != node && state.isr.contains(&member.node);
    !proposal.isr.is_empty() && proposal.isr.iter().all(stays)
}

/// The checks that need the partition only, in Kafka's order. Only one that `resigns` may leave itself out.
pub(super) fn check_proposal(
    node: NodeId,
    proposal: &AlterPartition,
    state: &PartitionState,
    resigns: bool,
) -> std::result::Result<(), ErrorCode> {
    // Whoever knows more than this controller is right: another one decides by now.
    if proposal.leader_epoch > state.leader_epoch || proposal.partition_epoch > state.partition_epoch {
        return Err(ErrorCode::NOT_CONTROLLER);
    }
    if !planted!("bug-no-fencing") {
        if proposal.leader_epoch < state.leader_epoch {
            return Err(ErrorCode::FENCED_LEADER_EPOCH);
        }
        if state.leader != Some(node) {
            return Err(ErrorCode::INVALID_REQUEST);
        }
        if proposal.partition_epoch < state.partition_epoch {
            return Err(ErrorCode::INVALID_UPDATE_VERSION);
        }
    }
    let mut members: Vec<NodeId> = proposal.isr.iter().map(|member| member.node).collect();
    let is_subset = members.iter().all(|member| state.replicas.contains(member));
    let has_leader = members.contains(&node);
    members.sort_unstable();
    members.dedup();
    if !is_subset || !(has_leader || resigns) || members.len() != proposal.isr.len() {
        return Err(ErrorCode::INVALID_REQUEST);
    }
    let recovering = proposal.recovery == LeaderRecovery::Recovering;
    if recovering && (members.len() > 1 || state.recovery == LeaderRecovery::Recovered) {
        return Err(ErrorCode::INVALID_REQUEST);
    }
    Ok(())
}

/// The proposed ISR in the order of the assignment, so that equal sets are equal lists.
pub(super) fn ordered(state: &PartitionState, proposal: &AlterPartition) -> Vec<NodeId> {
    let proposed = |node: &NodeId| proposal.isr.iter().any(|member| member.node == *node);
    state.replicas.iter().copied().filter(proposed).collect()
}

fn is_eligible(image: &Image, member: IsrMember) -> bool {
    image.node(member.node).is_some_and(|node| {
        let same_epoch = member.node_epoch.is_none_or(|epoch| epoch == node.registration.epoch);
        node.standing == NodeStanding::Unfenced && same_epoch
    })
}
