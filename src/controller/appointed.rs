//! The static mode: no quorum, an authority outside says who leads. It has the same image and the same words for topics; leaders are
//! appointed, epochs are the host's, and what a leader says of its ISR holds.

use super::alter_partition::{check_proposal, ordered, place_of};
use super::change::Change;
use super::decide::{invalid, ControllerConfig, Decider};
use super::image::Image;
use super::metadata::{LeaderRecovery, MetadataRecord, NodeRegistration, NodeStanding, PartitionState};
use super::request::{AlterPartition, AlterPartitionResult, ControllerEvent, ControllerRequest, Reply};
use super::sessions::Sessions;
use crate::error::{Error, ErrorCode, Result};
use crate::time::Instant;
use crate::types::{LeaderEpoch, NodeId};
use std::sync::Arc;

/// What an appointment or request did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Appointed {
    pub reply: Reply,
    pub changes: Vec<Change>,
    pub events: Vec<ControllerEvent>,
}

/// The controller of a node whose host appoints leaders. Nothing of it is kept: the host says it all again after a restart.
#[derive(Debug)]
pub(crate) struct AppointedController {
    config: ControllerConfig,
    image: Image,
    rng: fastrand::Rng,
}

impl AppointedController {
    /// Knows nothing yet. `seed` decides where replicas go that nobody assigned.
    pub fn new(config: ControllerConfig, seed: u64) -> AppointedController {
        AppointedController { config, image: Image::default(), rng: fastrand::Rng::with_seed(seed) }
    }

    pub fn image(&self) -> &Image {
        &self.image
    }

    /// A node is there, and may lead.
    ///
    /// # Errors
    /// CORRUPT_MESSAGE: its epoch went back.
    pub fn set_node(&mut self, registration: NodeRegistration) -> Result<Appointed> {
        self.commit(
            &[MetadataRecord::NodeRegistered { registration, standing: NodeStanding::Unfenced }],
            Reply::Done,
            Vec::new(),
        )
    }

    /// Appoints a leader (`None`: nobody) for the epoch. One that is not in the ISR becomes the ISR, which may lose records and is reported.
    ///
    /// # Errors
    /// FENCED_LEADER_EPOCH: a later epoch was seen, or this one with another leader; UNKNOWN_TOPIC_OR_PARTITION; INVALID_REQUEST: the node
    /// has no replica.
    pub fn set_leader(
        &mut self,
        topic: &str,
        partition: u32,
        leader: Option<NodeId>,
        epoch: LeaderEpoch,
    ) -> Result<Appointed> {
        let unknown = || Error::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, format!("no partition {topic}-{partition}"));
        let found = self.image.topic_named(topic).ok_or_else(unknown)?;
        let now = found.partitions.get(partition as usize).ok_or_else(unknown)?;
        let again = now.leader_epoch == epoch && now.leader == leader;
        if epoch <= now.leader_epoch && !again {
            let message = format!("{topic}-{partition}: epoch {} after {}", epoch.0, now.leader_epoch.0);
            return Err(Error::new(ErrorCode::FENCED_LEADER_EPOCH, message));
        }
        if let Some(stranger) = leader.filter(|leader| !now.replicas.contains(leader)) {
            return Err(invalid(format!("node {stranger} has no replica of {topic}-{partition}")));
        }
        if again {
            return Ok(Appointed { reply: Reply::Done, changes: Vec::new(), events: Vec::new() });
        }
        let mut events = Vec::new();
        let mut state = PartitionState { leader, leader_epoch: epoch, ..now.clone() };
        state.partition_epoch += 1;
        state.last_known_leader = if leader.is_none() { now.leader.or(now.last_known_leader) } else { None };
        if let Some(leader) = leader.filter(|leader| !now.isr.contains(leader)) {
            let topic = Arc::clone(&found.name);
            events.push(ControllerEvent::UncleanLeaderElected {
                topic,
                partition,
                leader,
                isr_before: now.isr.clone(),
            });
            state.isr = vec![leader];
            state.recovery = LeaderRecovery::Recovering;
        }
        let record = MetadataRecord::PartitionChanged { topic: found.id, partition, state };
        self.commit(&[record], Reply::Done, events)
    }

    /// Topics are created, grown, set and deleted as with a quorum; AlterPartition of the leader in office is taken as decided.
    ///
    /// # Errors
    /// As with a quorum; INVALID_REQUEST for what only a quorum does.
    pub fn handle_request(&mut self, request: &ControllerRequest, now: Instant) -> Result<Appointed> {
        match request {
            ControllerRequest::AlterPartition { node, partitions, .. } => self.alter_partitions(*node, partitions),
            ControllerRequest::CreateTopic(_)
            | ControllerRequest::CreatePartitions { .. }
            | ControllerRequest::DeleteTopic { .. }
            | ControllerRequest::DescribeConfigs { .. }
            | ControllerRequest::AlterTopicConfig { .. } => {
                let sessions = Sessions::fresh(&self.image, self.config.session_timeout, now);
                let decider = Decider {
                    image: &self.image,
                    config: &self.config,
                    sessions: &sessions,
                    now,
                    offset_next: self.image.offset() + 1,
                    lot: self.rng.u64(..),
                };
                let outcome = decider.decide(request)?;
                self.commit(&outcome.records, outcome.reply, outcome.events)
            }
            _ => Err(invalid("leaders and nodes are appointed here; no quorum decides")),
        }
    }

    fn alter_partitions(&mut self, node: NodeId, proposals: &[AlterPartition]) -> Result<Appointed> {
        let mut all = Appointed { reply: Reply::Done, changes: Vec::new(), events: Vec::new() };
        let mut results = Vec::new();
        for proposal in proposals {
            let decided = place_of(&self.image, proposal).and_then(|(_, state)| {
                check_proposal(node, proposal, state)?;
                let isr = ordered(state, proposal);
                let mut after = PartitionState { isr, recovery: proposal.recovery, ..state.clone() };
                after.elr.retain(|node| !after.isr.contains(node));
                after.partition_epoch += u32::from(after != *state);
                Ok((after.partition_epoch > state.partition_epoch, after))
            });
            if let Ok((true, state)) = &decided {
                let (topic, partition) = (proposal.topic, proposal.partition);
                let record = MetadataRecord::PartitionChanged { topic, partition, state: state.clone() };
                all.changes.extend(self.commit(&[record], Reply::Done, Vec::new())?.changes);
            }
            let state = decided.map(|(_, state)| state);
            results.push(AlterPartitionResult { topic: proposal.topic, partition: proposal.partition, state });
        }
        all.reply = Reply::AlterPartition(results);
        Ok(all)
    }

    fn commit(&mut self, records: &[MetadataRecord], reply: Reply, events: Vec<ControllerEvent>) -> Result<Appointed> {
        let changes = self.image.apply_entry(self.image.offset() + 1, records)?;
        Ok(Appointed { reply, changes, events })
    }
}
