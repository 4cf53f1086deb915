//! Topics are created, grown, set and deleted (Kafka's `ReplicationControlManager`).

use super::decide::{invalid, Decider, Outcome};
use super::elect::PartitionChange;
use super::image::Topic;
use super::metadata::{MetadataRecord, PartitionState, TopicSetting};
use super::placement::Placement;
use super::request::{CreateTopic, Reply};
use crate::error::{Error, ErrorCode, Result};
use crate::types::NodeId;
use std::collections::BTreeMap;
use std::sync::Arc;

impl Decider<'_> {
    /// Creates a topic. The name is legal (the caller looked); here it must be free and collide with none.
    pub(super) fn create_topic(&self, request: &CreateTopic) -> Result<Outcome> {
        let CreateTopic { name, id, settings, .. } = request;
        if self.image.topic_named(name).is_some() || self.image.topic(id).is_some() {
            return Err(Error::new(ErrorCode::TOPIC_ALREADY_EXISTS, format!("topic {name} exists already")));
        }
        if let Some(other) = self.image.topics().find(|topic| metric_name(&topic.name) == metric_name(name)) {
            let message = format!("{name} and {} differ in '.' and '_' only", other.name);
            return Err(Error::new(ErrorCode::INVALID_TOPIC_EXCEPTION, message));
        }
        let assignments = self.assignments_of(request)?;
        self.check_room(assignments.len())?;
        let settings = unique_settings(settings)?;
        let mut outcome = Outcome::empty();
        outcome.records.push(MetadataRecord::TopicCreated { name: Arc::clone(name), id: *id, settings });
        self.new_partitions(*id, 0, &assignments, &mut outcome)?;
        outcome.reply = Reply::TopicCreated { id: *id };
        Ok(outcome)
    }

    fn assignments_of(&self, request: &CreateTopic) -> Result<Vec<Vec<NodeId>>> {
        if request.assignments.is_empty() {
            let partitions = request.partitions.unwrap_or(self.config.partitions);
            let factor = request.replication_factor.unwrap_or(self.config.replication_factor);
            if partitions == 0 {
                return Err(Error::new(ErrorCode::INVALID_PARTITIONS, "a topic has at least one partition"));
            }
            self.check_room(partitions as usize)?;
            return Placement::of(self.image, self.lot).place(0, partitions, factor);
        }
        if request.partitions.is_some() || request.replication_factor.is_some() {
            return Err(invalid("a manual assignment goes without a number of partitions and a replication factor"));
        }
        let by_number: BTreeMap<u32, &Vec<NodeId>> = request.assignments.iter().map(|(n, nodes)| (*n, nodes)).collect();
        let without_gaps =
            by_number.keys().copied().eq(0..u32::try_from(request.assignments.len()).unwrap_or(u32::MAX));
        if !without_gaps {
            let message = "the assigned partitions are not 0 to n-1, each once";
            return Err(Error::new(ErrorCode::INVALID_REPLICA_ASSIGNMENT, message));
        }
        let assignments: Vec<Vec<NodeId>> = by_number.into_values().cloned().collect();
        self.check_assignments(&assignments, assignments[0].len())?;
        Ok(assignments)
    }

    /// Grows a topic. Keys that were in one partition may go to another from now on.
    pub(super) fn create_partitions(&self, name: &str, count: u32, given: &[Vec<NodeId>]) -> Result<Outcome> {
        let topic = self.topic(name)?;
        let first = u32::try_from(topic.partitions.len()).expect("a number of partitions");
        let Some(added) = count.checked_sub(first).filter(|added| *added > 0) else {
            let message = format!("topic {name} has {first} partitions; {count} is no increase");
            return Err(Error::new(ErrorCode::INVALID_PARTITIONS, message));
        };
        self.check_room(added as usize)?;
        let factor = topic.partitions.first().map_or(1, |state| state.replicas.len() - state.adding.len());
        let assignments = if given.is_empty() {
            Placement::of(self.image, self.lot).place(first, added, u32::try_from(factor).unwrap_or(u32::MAX))?
        } else {
            if given.len() != added as usize {
                let message = format!("{added} new partitions with {} assignments", given.len());
                return Err(Error::new(ErrorCode::INVALID_REPLICA_ASSIGNMENT, message));
            }
            self.check_assignments(given, factor)?;
            given.to_vec()
        };
        let mut outcome = Outcome::empty();
        self.new_partitions(topic.id, first, &assignments, &mut outcome)?;
        Ok(outcome)
    }

    fn check_assignments(&self, assignments: &[Vec<NodeId>], factor: usize) -> Result<()> {
        for replicas in assignments {
            self.check_replicas(replicas)?;
            if replicas.len() != factor {
                let message = format!("{replicas:?} are {} replicas, the others {factor}", replicas.len());
                return Err(Error::new(ErrorCode::INVALID_REPLICA_ASSIGNMENT, message));
            }
        }
        Ok(())
    }

    fn check_room(&self, added: usize) -> Result<()> {
        if self.image.partition_count().saturating_add(added) <= self.config.partitions_max {
            return Ok(());
        }
        let message = format!("{added} more partitions would be more than {} in all", self.config.partitions_max);
        Err(Error::new(ErrorCode::POLICY_VIOLATION, message))
    }

    /// The active replicas are in sync, the first of them leads.
    fn new_partitions(&self, topic: [u8; 16], first: u32, lists: &[Vec<NodeId>], outcome: &mut Outcome) -> Result<()> {
        for (partition, replicas) in (first..).zip(lists) {
            let isr: Vec<NodeId> = replicas.iter().copied().filter(|node| self.image.is_active(*node)).collect();
            let Some(leader) = isr.first().copied() else {
                let message = format!("all of {replicas:?} are fenced or leaving");
                return Err(Error::new(ErrorCode::INVALID_REPLICA_ASSIGNMENT, message));
            };
            let state = PartitionState { replicas: replicas.clone(), isr, leader: Some(leader), ..Default::default() };
            outcome.records.push(MetadataRecord::PartitionChanged { topic, partition, state });
        }
        Ok(())
    }

    /// Deletes a topic. A topic of that name created later has another id.
    pub(super) fn delete_topic(&self, name: &str) -> Result<Outcome> {
        let mut outcome = Outcome::empty();
        outcome.records.push(MetadataRecord::TopicRemoved { id: self.topic(name)?.id });
        Ok(outcome)
    }

    /// Sets and unsets settings. What they mean for partitions is decided at once: ELRs that a lower `min.insync.replicas` makes
    /// void, unclean elections that are allowed now.
    pub(super) fn alter_topic_config(&self, name: &str, changes: &[(String, Option<String>)]) -> Result<Outcome> {
        let topic = self.topic(name)?;
        let mut settings = topic.settings.clone();
        for (name, value) in changes {
            match value {
                Some(value) => settings.insert(name.clone(), value.clone()),
                None => settings.remove(name),
            };
        }
        let mut outcome = Outcome::empty();
        if settings == topic.settings {
            return Ok(outcome);
        }
        let list = settings.clone().into_iter().collect();
        outcome.records.push(MetadataRecord::TopicSettingsChanged { id: topic.id, settings: list });
        let then = Topic { settings, ..topic.clone() };
        let acceptable = |node: NodeId| self.image.is_active(node);
        for (partition, state) in (0..).zip(&topic.partitions) {
            let mut change = PartitionChange::of(state, self.min_isr(&then), &acceptable);
            change.election = self.election(&then);
            self.commit_change(&mut outcome, (topic, partition, state), change);
        }
        Ok(outcome)
    }
}

/// Kafka's metrics cannot tell these apart.
fn metric_name(name: &str) -> String {
    name.replace('.', "_")
}

fn unique_settings(settings: &[TopicSetting]) -> Result<Vec<TopicSetting>> {
    let map: BTreeMap<String, String> = settings.iter().cloned().collect();
    if map.len() < settings.len() {
        return Err(Error::new(ErrorCode::INVALID_CONFIG, "a setting is given twice"));
    }
    Ok(map.into_iter().collect())
}
