//! Applying one record to the image. What the deciders never write is refused, so that a bug or damage is seen where it appears.

use super::change::Change;
use super::image::{Image, NodeState, Topic};
use super::metadata::{MetadataRecord, NodeRegistration, NodeStanding, PartitionState, TopicId, TopicSetting};
use crate::error::{Error, ErrorCode, Result};
use crate::types::NodeId;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

impl Image {
    pub(super) fn apply(&mut self, record: &MetadataRecord) -> Result<Change> {
        match record {
            MetadataRecord::NodeRegistered { registration, standing } => self.apply_registered(registration, *standing),
            MetadataRecord::NodeStandingChanged { node, epoch, standing } => {
                self.registered(*node, *epoch)?.standing = *standing;
                Ok(Change::Node { node: *node })
            }
            MetadataRecord::NodeRemoved { node, epoch } => {
                self.registered(*node, *epoch)?;
                self.nodes.remove(node);
                Ok(Change::NodeRemoved { node: *node })
            }
            MetadataRecord::TopicCreated { name, id, settings } => self.apply_created(name, *id, settings),
            MetadataRecord::TopicSettingsChanged { id, settings } => {
                self.existing(id)?.settings = unique(settings)?;
                Ok(Change::TopicSettings { id: *id })
            }
            MetadataRecord::TopicRemoved { id } => {
                let topic = self.topics.remove(id).ok_or_else(|| impossible("removes an unknown topic"))?;
                self.names.remove(&topic.name);
                Ok(Change::TopicRemoved { topic })
            }
            MetadataRecord::PartitionChanged { topic, partition, state } => {
                let known = self.partition(topic, *partition);
                check_epochs(known, state)?;
                self.apply_partition(topic, *partition, state)
            }
        }
    }

    /// As [`apply`](Image::apply) for records of a snapshot, where partitions begin at any epoch.
    pub(super) fn apply_from_snapshot(&mut self, record: &MetadataRecord) -> Result<Change> {
        match record {
            MetadataRecord::PartitionChanged { topic, partition, state }
                if self.partition(topic, *partition).is_none() =>
            {
                self.apply_partition(topic, *partition, state)
            }
            _ => self.apply(record),
        }
    }

    fn apply_registered(&mut self, registration: &NodeRegistration, standing: NodeStanding) -> Result<Change> {
        let node = registration.node;
        if let Some(known) = self.nodes.get(&node).map(|known| &known.registration) {
            let same = known.incarnation == registration.incarnation && known.epoch == registration.epoch;
            if registration.epoch <= known.epoch && !same {
                return Err(impossible(format_args!(
                    "node {node} registers with epoch {} after {}",
                    registration.epoch, known.epoch
                )));
            }
        }
        self.nodes.insert(node, NodeState { registration: registration.clone(), standing });
        Ok(Change::Node { node })
    }

    fn registered(&mut self, node: NodeId, epoch: u64) -> Result<&mut NodeState> {
        let known = self.nodes.get_mut(&node).filter(|known| known.registration.epoch == epoch);
        known.ok_or_else(|| impossible(format_args!("node {node} is not registered with epoch {epoch}")))
    }

    fn existing(&mut self, id: &TopicId) -> Result<&mut Topic> {
        self.topics.get_mut(id).ok_or_else(|| impossible("speaks of an unknown topic"))
    }

    fn apply_created(&mut self, name: &Arc<str>, id: TopicId, settings: &[TopicSetting]) -> Result<Change> {
        if self.topics.contains_key(&id) || self.names.contains_key(name) {
            return Err(impossible(format_args!("topic {name} exists already")));
        }
        let settings = unique(settings)?;
        self.topics.insert(id, Topic { name: Arc::clone(name), id, settings, partitions: Vec::new() });
        self.names.insert(Arc::clone(name), id);
        Ok(Change::TopicCreated { id })
    }

    fn apply_partition(&mut self, topic: &TopicId, partition: u32, state: &PartitionState) -> Result<Change> {
        check_state(state).map_err(|error| error.within(format_args!("partition {partition}")))?;
        let topic = self.existing(topic)?;
        let index = partition as usize;
        let count = topic.partitions.len();
        let before = match topic.partitions.get_mut(index) {
            Some(known) => Some(Box::new(std::mem::replace(known, state.clone()))),
            None if index == count => {
                topic.partitions.push(state.clone());
                None
            }
            None => return Err(impossible(format_args!("partition {partition} of {} leaves a gap", topic.name))),
        };
        Ok(Change::Partition {
            topic: topic.id,
            name: Arc::clone(&topic.name),
            partition,
            before,
            after: Box::new(state.clone()),
        })
    }
}

fn impossible(what: impl std::fmt::Display) -> Error {
    Error::new(ErrorCode::CORRUPT_MESSAGE, format!("impossible metadata record: {what}"))
}

fn unique(settings: &[TopicSetting]) -> Result<BTreeMap<String, String>> {
    let map: BTreeMap<String, String> = settings.iter().cloned().collect();
    if map.len() < settings.len() {
        return Err(impossible("a setting stands twice"));
    }
    Ok(map)
}

fn check_epochs(known: Option<&PartitionState>, state: &PartitionState) -> Result<()> {
    let fits = match known {
        None => state.partition_epoch == 0,
        Some(known) => {
            let follows = known.partition_epoch.checked_add(1) == Some(state.partition_epoch);
            // An authority outside of the house may skip epochs.
            let same_reign = state.leader_epoch == known.leader_epoch && state.leader == known.leader;
            follows && (same_reign || state.leader_epoch > known.leader_epoch)
        }
    };
    if fits {
        Ok(())
    } else {
        Err(impossible(format_args!("epochs of {state:?} do not follow {known:?}")))
    }
}

fn check_state(state: &PartitionState) -> Result<()> {
    let replicas: BTreeSet<NodeId> = state.replicas.iter().copied().collect();
    let among = |nodes: &[NodeId]| {
        let set: BTreeSet<NodeId> = nodes.iter().copied().collect();
        set.len() == nodes.len() && set.is_subset(&replicas)
    };
    let lists = [&state.replicas, &state.adding, &state.removing, &state.isr, &state.elr];
    let sane = !replicas.is_empty()
        && lists.iter().all(|nodes| among(nodes))
        && !state.isr.iter().any(|node| state.elr.contains(node))
        && !state.adding.iter().any(|node| state.removing.contains(node))
        && state.leader.is_none_or(|leader| state.isr.contains(&leader));
    if sane {
        Ok(())
    } else {
        Err(impossible(format_args!("{state:?} contradicts itself")))
    }
}
