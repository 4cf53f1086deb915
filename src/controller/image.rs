//! What all records so far add up to. Every node that stands at the same offset has the same image.

use super::change::Change;
use super::metadata::{MetadataRecord, NodeRegistration, NodeStanding, PartitionState, TopicId};
use crate::error::{Error, ErrorCode, Result};
use crate::types::NodeId;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A registered node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct NodeState {
    pub registration: NodeRegistration,
    pub standing: NodeStanding,
}

impl NodeState {
    /// May lead and be in sync.
    pub fn is_active(&self) -> bool {
        self.standing == NodeStanding::Unfenced
    }
}

/// A topic with its partitions, by number without gaps.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Topic {
    pub name: Arc<str>,
    pub id: TopicId,
    pub settings: BTreeMap<String, String>,
    pub partitions: Vec<PartitionState>,
}

/// The metadata image.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Image {
    pub(super) offset: u64,
    pub(super) nodes: BTreeMap<NodeId, NodeState>,
    pub(super) topics: BTreeMap<TopicId, Topic>,
    pub(super) names: BTreeMap<Arc<str>, TopicId>,
}

impl Image {
    /// The offset in the metadata log (raft's index) of the last record that was applied; 0 of the empty image.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    pub fn node(&self, node: NodeId) -> Option<&NodeState> {
        self.nodes.get(&node)
    }

    /// All registered nodes, by number.
    pub fn nodes(&self) -> impl Iterator<Item = &NodeState> {
        self.nodes.values()
    }

    /// Whether the node is registered, neither fenced nor on its way out.
    pub fn is_active(&self, node: NodeId) -> bool {
        self.nodes.get(&node).is_some_and(NodeState::is_active)
    }

    pub fn topic(&self, id: &TopicId) -> Option<&Topic> {
        self.topics.get(id)
    }

    pub fn topic_named(&self, name: &str) -> Option<&Topic> {
        self.names.get(name).and_then(|id| self.topics.get(id))
    }

    /// All topics, by id.
    pub fn topics(&self) -> impl Iterator<Item = &Topic> {
        self.topics.values()
    }

    pub fn partition(&self, topic: &TopicId, partition: u32) -> Option<&PartitionState> {
        self.topics.get(topic)?.partitions.get(partition as usize)
    }

    /// Every partition with its topic and number, by topic id, then number.
    pub fn partitions(&self) -> impl Iterator<Item = (&Topic, u32, &PartitionState)> {
        self.topics.values().flat_map(|topic| (0..).zip(&topic.partitions).map(move |(n, state)| (topic, n, state)))
    }

    pub fn partition_count(&self) -> usize {
        self.topics.values().map(|topic| topic.partitions.len()).sum()
    }

    /// The whole image as records: what a snapshot is made of.
    pub fn to_records(&self) -> Vec<MetadataRecord> {
        let nodes = self.nodes.values().map(|node| MetadataRecord::NodeRegistered {
            registration: node.registration.clone(),
            standing: node.standing,
        });
        let topics =
            self.topics.values().flat_map(|topic| {
                let created = MetadataRecord::TopicCreated {
                    name: Arc::clone(&topic.name),
                    id: topic.id,
                    settings: topic.settings.clone().into_iter().collect(),
                };
                let partitions = (0..).zip(&topic.partitions).map(|(partition, state)| {
                    MetadataRecord::PartitionChanged { topic: topic.id, partition, state: state.clone() }
                });
                std::iter::once(created).chain(partitions)
            });
        nodes.chain(topics).collect()
    }

    /// The image that these records of a snapshot, taken at `offset`, describe.
    ///
    /// # Errors
    /// CORRUPT_MESSAGE: they contradict each other.
    pub fn from_records(offset: u64, records: &[MetadataRecord]) -> Result<Image> {
        let mut image = Image::default();
        for record in records {
            image.apply_from_snapshot(record)?;
        }
        image.offset = offset;
        Ok(image)
    }

    /// Applies the records of one entry of the log.
    ///
    /// # Errors
    /// CORRUPT_MESSAGE: a record that is not possible here. That is a bug or damage; the image is of no use any more and whoever
    /// holds it must stop.
    pub fn apply_entry(&mut self, offset: u64, records: &[MetadataRecord]) -> Result<Vec<Change>> {
        if offset <= self.offset {
            let message = format!("metadata offset {offset} after {}", self.offset);
            return Err(Error::fatal(ErrorCode::CORRUPT_MESSAGE, message));
        }
        let within = |error: Error| error.within(format_args!("metadata offset {offset}")).into_fatal();
        let changes = records.iter().map(|record| self.apply(record).map_err(within)).collect::<Result<_>>()?;
        self.offset = offset;
        Ok(changes)
    }
}

impl Topic {
    /// A setting of its own.
    pub fn setting(&self, name: &str) -> Option<&str> {
        self.settings.get(name).map(String::as_str)
    }
}
