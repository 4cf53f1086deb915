//! What applying records did to the image: what the node has to react to.

use super::image::{Image, Topic};
use super::metadata::{PartitionState, TopicId};
use crate::types::NodeId;
use std::sync::Arc;

/// One change of the image.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Change {
    /// A node is new, has a new address, incarnation or standing.
    Node {
        node: NodeId,
    },
    NodeRemoved {
        node: NodeId,
    },
    TopicCreated {
        id: TopicId,
    },
    TopicSettings {
        id: TopicId,
    },
    /// The topic as it was, so that its replicas can be deleted.
    TopicRemoved {
        topic: Topic,
    },
    /// A partition is new (`before` is `None`) or has another state.
    Partition {
        topic: TopicId,
        name: Arc<str>,
        partition: u32,
        before: Option<Box<PartitionState>>,
        after: Box<PartitionState>,
    },
}

impl Image {
    /// What separates this image from an `earlier` one: after a snapshot was installed. Removals first, so that a name may come back.
    pub fn changes_since(&self, earlier: &Image) -> Vec<Change> {
        let mut changes = Vec::new();
        for topic in earlier.topics().filter(|topic| self.topic(&topic.id).is_none()) {
            changes.push(Change::TopicRemoved { topic: topic.clone() });
        }
        for node in earlier.nodes().map(|node| node.registration.node).filter(|node| self.node(*node).is_none()) {
            changes.push(Change::NodeRemoved { node });
        }
        for node in self.nodes() {
            let id = node.registration.node;
            if earlier.node(id) != Some(node) {
                changes.push(Change::Node { node: id });
            }
        }
        for topic in self.topics() {
            self.topic_changes(topic, earlier.topic(&topic.id), &mut changes);
        }
        changes
    }

    fn topic_changes(&self, topic: &Topic, before: Option<&Topic>, into: &mut Vec<Change>) {
        match before {
            None => into.push(Change::TopicCreated { id: topic.id }),
            Some(before) if before.settings != topic.settings => into.push(Change::TopicSettings { id: topic.id }),
            Some(_) => {}
        }
        for (index, state) in topic.partitions.iter().enumerate() {
            let before = before.and_then(|topic| topic.partitions.get(index));
            if before != Some(state) {
                into.push(Change::Partition {
                    topic: topic.id,
                    name: Arc::clone(&topic.name),
                    partition: u32::try_from(index).expect("a partition number"),
                    before: before.cloned().map(Box::new),
                    after: Box::new(state.clone()),
                });
            }
        }
    }
}
