//! The static mode: no quorum, an authority outside says who leads. It has the same image and the same words for topics; leaders are
//! appointed, epochs are the host's.
//!
//! Every node has a controller of its own, which hears of its own host alone. What is to be the same everywhere is made from what all hosts
//! say alike: the identity of a topic from its name, the place of its replicas from that and from the nodes that are known.
//!
//! **The ISR is its leader's.** A reign begins with the leader alone in it; the others join when they have everything, and leave when they
//! lag, as the leader says, and it is written down on its node before it counts. No other node knows it. So two things are the host's to
//! see to, which a quorum would: whoever is appointed has everything that was acknowledged, and a leader that is replaced has heard of it,
//! or cannot acknowledge any more without those who have.

use super::alter_partition::{check_proposal, ordered, place_of};
use super::change::Change;
use super::decide::{invalid, ControllerConfig, Decider, Outcome};
use super::image::Image;
use super::metadata::{MetadataRecord, NodeRegistration, NodeStanding, PartitionState, TopicId};
use super::request::{AlterPartition, AlterPartitionResult, ControllerEvent, ControllerRequest, Reply};
use super::sessions::Sessions;
use crate::error::{Error, ErrorCode, Result};
use crate::time::Instant;
use crate::types::{ClusterId, LeaderEpoch, NodeId};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What a host says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Appointment {
    /// A node is there, and under which address.
    Node(NodeRegistration),
    /// Who leads a partition (`None`: nobody) in which epoch.
    Leader { topic: Arc<str>, partition: u32, leader: Option<NodeId>, epoch: LeaderEpoch },
}

/// What an appointment or request did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Appointed {
    pub reply: Reply,
    pub changes: Vec<Change>,
    pub events: Vec<ControllerEvent>,
}

impl Appointed {
    fn nothing() -> Appointed {
        Appointed { reply: Reply::Done, changes: Vec::new(), events: Vec::new() }
    }
}

/// The controller of a node whose host appoints leaders.
#[derive(Clone, Debug)]
pub(crate) struct AppointedController {
    me: NodeId,
    config: ControllerConfig,
    image: Image,
}

/// The same wherever a topic of this name is made in this cluster, and made again.
pub(crate) fn appointed_topic_id(cluster: ClusterId, name: &str) -> TopicId {
    let mut hash = Sha256::new();
    hash.update(cluster.0);
    hash.update(name.as_bytes());
    let digest = hash.finalize();
    let mut id: TopicId = digest[..16].try_into().expect("32 bytes");
    // Kafka draws no id whose text begins with '-'.
    id[0] &= 0x7f;
    id
}

impl AppointedController {
    /// Knows nothing yet.
    #[cfg(test)]
    pub fn new(me: NodeId, config: ControllerConfig) -> AppointedController {
        AppointedController { me, config, image: Image::default() }
    }

    /// Knows what an earlier life had written down ([`Image::to_records`]). What that one led, nobody leads: the reign died with it, and
    /// its epoch is not taken a second time.
    ///
    /// # Errors
    /// CORRUPT_MESSAGE: the records contradict each other.
    pub fn restored(
        me: NodeId,
        config: ControllerConfig,
        mut records: Vec<MetadataRecord>,
    ) -> Result<AppointedController> {
        for record in &mut records {
            if let MetadataRecord::PartitionChanged { state, .. } = record {
                if state.leader == Some(me) {
                    state.last_known_leader = state.leader.take();
                    state.partition_epoch += 1;
                }
            }
        }
        Ok(AppointedController { me, config, image: Image::from_records(1, &records)? })
    }

    pub fn image(&self) -> &Image {
        &self.image
    }

    /// Does what the host says.
    ///
    /// # Errors
    /// FENCED_LEADER_EPOCH: a later epoch was seen, or this one with another leader; UNKNOWN_TOPIC_OR_PARTITION; INVALID_REQUEST: the node
    /// has no replica; CORRUPT_MESSAGE: a node's own epoch went back.
    pub fn handle_appointment(&mut self, appointment: &Appointment) -> Result<Appointed> {
        match appointment {
            Appointment::Node(registration) => {
                let registration = registration.clone();
                let record = MetadataRecord::NodeRegistered { registration, standing: NodeStanding::Unfenced };
                self.commit(&[record], Reply::Done, Vec::new())
            }
            Appointment::Leader { topic, partition, leader, epoch } => {
                self.set_leader(topic, *partition, *leader, *epoch)
            }
        }
    }

    fn set_leader(
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
            let seen = now.leader_epoch.0;
            let message =
                format!("{topic}-{partition}: epoch {} when {seen} was seen; appoint with a higher one", epoch.0);
            return Err(Error::new(ErrorCode::FENCED_LEADER_EPOCH, message));
        }
        if let Some(stranger) = leader.filter(|leader| !now.replicas.contains(leader)) {
            return Err(invalid(format!("node {stranger} has no replica of {topic}-{partition}")));
        }
        if again {
            return Ok(Appointed::nothing());
        }
        let mut state = PartitionState { leader, leader_epoch: epoch, last_known_leader: None, ..now.clone() };
        state.partition_epoch += 1;
        let mut events = Vec::new();
        match leader {
            // Its ISR stays written down, so that the host can see who may follow.
            None => state.last_known_leader = now.leader.or(now.last_known_leader),
            Some(leader) => {
                if self.knows_isr_of(now) && !now.isr.contains(&leader) {
                    let (topic, isr_before) = (Arc::clone(&found.name), now.isr.clone());
                    events.push(ControllerEvent::UncleanLeaderElected { topic, partition, leader, isr_before });
                }
                if now.leader != Some(leader) {
                    state.isr = vec![leader];
                }
            }
        }
        let record = MetadataRecord::PartitionChanged { topic: found.id, partition, state };
        self.commit(&[record], Reply::Done, events)
    }

    /// This node led last, so the ISR is what it said.
    fn knows_isr_of(&self, state: &PartitionState) -> bool {
        state.leader.or(state.last_known_leader) == Some(self.me)
    }

    /// Topics are created, grown, set and deleted as with a quorum, but for leaders: nobody leads before he is appointed. AlterPartition of
    /// the leader in office is taken as decided.
    ///
    /// # Errors
    /// As with a quorum; INVALID_REQUEST for what only a quorum does.
    pub fn handle_request(&mut self, request: &ControllerRequest, now: Instant) -> Result<Appointed> {
        let lot_of = |id: &TopicId| u64::from_be_bytes(id[..8].try_into().expect("eight bytes"));
        let lot = match request {
            ControllerRequest::AlterPartition { node, partitions, .. } => {
                return self.alter_partitions(*node, partitions);
            }
            ControllerRequest::CreateTopic(create) => lot_of(&create.id),
            ControllerRequest::CreatePartitions { name, .. } => {
                self.image.topic_named(name).map_or(0, |topic| lot_of(&topic.id))
            }
            ControllerRequest::DeleteTopic { .. }
            | ControllerRequest::AlterTopicConfig { .. }
            | ControllerRequest::DescribeConfigs { .. }
            | ControllerRequest::UnregisterNode { .. } => 0,
            _ => {
                return Err(invalid("controller.mode=static: leaders and nodes are appointed, and no quorum decides"));
            }
        };
        let sessions = Sessions::fresh(&self.image, self.config.session_timeout, &BTreeSet::new(), now);
        let decider = Decider {
            image: &self.image,
            config: &self.config,
            sessions: &sessions,
            now,
            offset_next: self.image.offset() + 1,
            lot,
        };
        let Outcome { mut records, reply, events } = decider.decide(request)?;
        match request {
            // What a quorum would decide about leaders then, the host does.
            ControllerRequest::AlterTopicConfig { .. } => {
                records.retain(|record| matches!(record, MetadataRecord::TopicSettingsChanged { .. }));
            }
            _ => records.iter_mut().for_each(without_leader),
        }
        if records.is_empty() {
            return Ok(Appointed { reply, ..Appointed::nothing() });
        }
        self.commit(&records, reply, events)
    }

    fn alter_partitions(&mut self, node: NodeId, proposals: &[AlterPartition]) -> Result<Appointed> {
        let mut all = Appointed::nothing();
        let mut results = Vec::new();
        for proposal in proposals {
            let decided = place_of(&self.image, proposal).and_then(|(_, state)| {
                check_proposal(node, proposal, state, false)?;
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

/// A partition that was just made.
fn without_leader(record: &mut MetadataRecord) {
    if let MetadataRecord::PartitionChanged { state, .. } = record {
        state.leader = None;
        state.isr.clear();
    }
}
