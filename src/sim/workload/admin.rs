//! What an administrator does to the cluster, and what he was promised.

use crate::controller::{ControllerRequest, CreateTopic, ElectionType};
use crate::sim::checker::Decision;
use crate::sim::plan::{Plan, TopicPlan};
use crate::types::{NodeId, TopicPartition};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A topic never has more partitions.
const PARTITIONS_MAX: u32 = 4;

pub struct Admin {
    topics: Vec<TopicPlan>,
    nodes: Vec<NodeId>,
    flushes: bool,
    serial: u64,
    /// Topics whose creation, and partition counts whose growth, was confirmed.
    promised: Arc<Mutex<BTreeMap<String, u32>>>,
}

/// What to ask for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wanted {
    Election,
    Reassignment,
    Growth,
    MinInsync,
}

impl Admin {
    pub fn new(plan: &Plan) -> Admin {
        Admin {
            topics: plan.topics.clone(),
            nodes: plan.nodes.clone(),
            flushes: plan.flushes,
            serial: 0,
            promised: Arc::default(),
        }
    }

    /// The creation of a topic that is planned and not confirmed, and what to note when it is.
    pub fn next_creation(&mut self) -> Option<(ControllerRequest, Box<dyn FnOnce() + Send>)> {
        let promised = self.promised.lock().clone();
        let topic = self.topics.iter().find(|topic| !promised.contains_key(&topic.name))?.clone();
        self.serial += 1;
        let mut id = [7; 16];
        id[8..].copy_from_slice(&self.serial.to_be_bytes());
        let mut settings = vec![("min.insync.replicas".to_owned(), topic.min_insync.to_string())];
        if self.flushes {
            settings.push(("flush.messages".to_owned(), "1".to_owned()));
        }
        let request = ControllerRequest::CreateTopic(CreateTopic {
            name: topic.name.as_str().into(),
            id,
            partitions: Some(topic.partitions),
            replication_factor: Some(topic.replication),
            assignments: Vec::new(),
            settings,
        });
        Some((request, self.note(topic.name, topic.partitions)))
    }

    fn note(&self, name: String, partitions: u32) -> Box<dyn FnOnce() + Send> {
        let promised = Arc::clone(&self.promised);
        Box::new(move || {
            let mut promised = promised.lock();
            let count = promised.entry(name).or_default();
            *count = partitions.max(*count);
        })
    }

    /// A topic is there, whoever said so.
    pub fn handle_found(&mut self, partitions: &BTreeSet<TopicPartition>) {
        let mut promised = self.promised.lock();
        for partition in partitions {
            promised.entry(partition.topic.to_string()).or_insert(1);
        }
    }

    /// Everything that was promised, as partitions.
    pub fn promised(&self) -> Vec<TopicPartition> {
        let promised = self.promised.lock();
        let partitions = |(name, count): (&String, &u32)| {
            let name: Arc<str> = name.as_str().into();
            (0..*count).map(move |number| TopicPartition::new(name.clone(), number)).collect::<Vec<_>>()
        };
        promised.iter().flat_map(partitions).collect()
    }

    /// The same replicas, with another one preferred.
    pub fn prefer(partition: &TopicPartition, decision: &Decision, first: NodeId) -> ControllerRequest {
        let others = decision.replicas.iter().copied().filter(|node| *node != first);
        let replicas = Some(std::iter::once(first).chain(others).collect());
        ControllerRequest::AlterReassignment { name: partition.topic.clone(), partition: partition.partition, replicas }
    }

    /// The preferred leader of this partition is to lead it.
    pub fn elect(partition: &TopicPartition) -> ControllerRequest {
        let partitions = vec![(partition.topic.clone(), partition.partition)];
        ControllerRequest::ElectLeaders { election: ElectionType::Preferred, partitions }
    }

    /// Some change of this kind to a partition that is there.
    pub fn next_change(
        &mut self,
        wanted: Wanted,
        partition: &TopicPartition,
        decision: &Decision,
        rng: &mut fastrand::Rng,
    ) -> (ControllerRequest, Box<dyn FnOnce() + Send>) {
        let name = partition.topic.clone();
        let nothing = Box::new(|| ());
        match wanted {
            Wanted::Election => {
                let partitions = if rng.bool() { Vec::new() } else { vec![(name, partition.partition)] };
                (ControllerRequest::ElectLeaders { election: ElectionType::Preferred, partitions }, nothing)
            }
            Wanted::Reassignment => {
                let mut replicas = self.nodes.clone();
                rng.shuffle(&mut replicas);
                replicas.truncate(decision.replicas.len().min(3));
                let replicas = (rng.u8(..5) > 0).then_some(replicas);
                (ControllerRequest::AlterReassignment { name, partition: partition.partition, replicas }, nothing)
            }
            Wanted::Growth => {
                let count = rng.u32(2..=PARTITIONS_MAX);
                let note = self.note(name.to_string(), count);
                (ControllerRequest::CreatePartitions { name, count, assignments: Vec::new() }, note)
            }
            Wanted::MinInsync => {
                let value = rng.u32(1..=3).to_string();
                let changes = vec![("min.insync.replicas".to_owned(), Some(value))];
                (ControllerRequest::AlterTopicConfig { name, changes }, nothing)
            }
        }
    }
}
