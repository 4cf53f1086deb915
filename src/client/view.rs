//! What is known of the cluster: its nodes, its controller, its topics, who leads what.
//!
//! Whole answers of the metadata come by [`ClusterView::replace`]; one that speaks of an older state than the last is ignored. Between them
//! nodes that are asked at the wrong place say who leads instead (KIP-951): such a hint counts while its leader epoch is the highest that
//! was heard of, and until the node that it names refuses. So the leader epoch that is followed goes back only if it was a rumour.

use crate::controller::TopicId;
use crate::error::{Error, ErrorCode, Result};
use crate::transport::ClusterId;
use crate::types::{LeaderEpoch, NodeId, TopicPartition};
use crate::wire::{CurrentLeader, MetadataNode, MetadataPartition, MetadataResponse, MetadataTopic};
use parking_lot::{Mutex, RwLock};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Weak};

/// Is told that the view has changed, on the thread that changed it, with no lock held; must be quick.
pub(crate) type OnChange = Arc<dyn Fn() + Send + Sync>;

/// See above. Every call from any thread.
pub(crate) struct ClusterView {
    known: RwLock<Option<Known>>,
    listeners: Mutex<Listeners>,
}

struct Known {
    cluster: ClusterId,
    metadata_offset: u64,
    controller: Option<NodeId>,
    nodes: BTreeMap<NodeId, MetadataNode>,
    topics: BTreeMap<Arc<str>, Result<Topic>>,
}

struct Topic {
    id: TopicId,
    partitions: BTreeMap<u32, Partition>,
}

struct Partition {
    state: MetadataPartition,
    /// Who leads by word of mouth, in a later epoch than `state`'s.
    hint: Option<CurrentLeader>,
}

#[derive(Default)]
struct Listeners {
    last: u64,
    list: BTreeMap<u64, OnChange>,
}

/// A topic, as the view knows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct TopicView {
    pub id: TopicId,
    pub partition_count: u32,
}

/// Where a partition's requests go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Leading {
    pub leader: CurrentLeader,
    pub topic: TopicId,
}

impl ClusterView {
    pub fn new() -> Arc<ClusterView> {
        Arc::new(ClusterView { known: RwLock::new(None), listeners: Mutex::default() })
    }

    /// Takes over all that `metadata` says, unless it is older than what is known or of another cluster; says whether it was taken.
    pub fn replace(&self, metadata: MetadataResponse) -> bool {
        {
            let mut known = self.known.write();
            let is_news = known.as_ref().is_none_or(|known| {
                known.cluster == metadata.cluster && known.metadata_offset <= metadata.metadata_offset
            });
            if !is_news {
                return false;
            }
            let next = Known::new(metadata, known.as_ref());
            let before = known.replace(next);
            // The same again is no news: whoever waits for some would be tried again for nothing.
            let next = known.as_ref();
            let stand = |known: Option<&Known>| known.map(|known| (known.metadata_offset, known.controller));
            if stand(before.as_ref()) == stand(next) {
                return true;
            }
        }
        self.tell();
        true
    }

    /// Somebody says who leads this partition of this topic. Says whether that was news.
    pub fn handle_hint(&self, partition: &TopicPartition, topic: TopicId, says: CurrentLeader) -> bool {
        let is_news = {
            let mut known = self.known.write();
            let entry = known.as_mut().and_then(|known| known.partition_mut(partition, topic));
            entry.is_some_and(|entry| {
                let is_news = entry.leader().is_none_or(|leader| leader.leader_epoch < says.leader_epoch)
                    && entry.state.leader_epoch < says.leader_epoch;
                if is_news {
                    entry.hint = Some(says);
                }
                is_news
            })
        };
        if is_news {
            self.tell();
        }
        is_news
    }

    /// Whom a hint named does not lead after all: the hint is forgotten.
    pub fn handle_refusal(&self, partition: &TopicPartition, by: Leading) {
        let mut known = self.known.write();
        if let Some(entry) = known.as_mut().and_then(|known| known.partition_mut(partition, by.topic)) {
            entry.hint = entry.hint.filter(|hint| *hint != by.leader);
        }
    }

    /// `by`, taken for the controller, says that somebody else is, or that it does not know. Says whether there is somebody new to ask.
    pub fn handle_controller_hint(&self, by: NodeId, says: Option<NodeId>) -> bool {
        let is_news = {
            let mut known = self.known.write();
            match known.as_mut().filter(|known| known.controller == Some(by) || known.controller.is_none()) {
                Some(known) if known.controller != says => {
                    known.controller = says;
                    says.is_some()
                }
                _ => false,
            }
        };
        if is_news {
            self.tell();
        }
        is_news
    }

    /// Where the metadata stand that are known; `None` before the first.
    pub fn metadata_offset(&self) -> Option<u64> {
        self.known.read().as_ref().map(|known| known.metadata_offset)
    }

    pub fn cluster(&self) -> Option<ClusterId> {
        self.known.read().as_ref().map(|known| known.cluster)
    }

    pub fn controller(&self) -> Option<NodeId> {
        self.known.read().as_ref().and_then(|known| known.controller)
    }

    /// The nodes that are alive, by number.
    pub fn nodes(&self) -> Vec<MetadataNode> {
        self.known.read().as_ref().map_or_else(Vec::new, |known| known.nodes.values().cloned().collect())
    }

    pub fn has_node(&self, node: NodeId) -> bool {
        self.known.read().as_ref().is_some_and(|known| known.nodes.contains_key(&node))
    }

    /// Names of all topics, in their order.
    pub fn topic_names(&self) -> Vec<Arc<str>> {
        self.known.read().as_ref().map_or_else(Vec::new, |known| known.topics.keys().cloned().collect())
    }

    /// # Errors
    /// UNKNOWN_TOPIC_OR_PARTITION; what the metadata say of the topic instead of describing it.
    pub fn topic(&self, name: &str) -> Result<TopicView> {
        let known = self.known.read();
        let topic = known.as_ref().ok_or_else(nothing_known)?.topic(name)?;
        let partition_count = u32::try_from(topic.partitions.len()).unwrap_or(u32::MAX);
        Ok(TopicView { id: topic.id, partition_count })
    }

    /// A partition with its leader as far as is known now.
    ///
    /// # Errors
    /// UNKNOWN_TOPIC_OR_PARTITION.
    pub fn partition(&self, partition: &TopicPartition) -> Result<MetadataPartition> {
        let known = self.known.read();
        let (_, entry) = known.as_ref().ok_or_else(nothing_known)?.partition(partition)?;
        let mut state = entry.state.clone();
        if let Some(hint) = entry.hint {
            (state.leader, state.leader_epoch) = (Some(hint.node), hint.leader_epoch);
        }
        Ok(state)
    }

    /// Where the partition's requests go.
    ///
    /// # Errors
    /// UNKNOWN_TOPIC_OR_PARTITION; LEADER_NOT_AVAILABLE.
    pub fn leader(&self, partition: &TopicPartition) -> Result<Leading> {
        let known = self.known.read();
        let (topic, entry) = known.as_ref().ok_or_else(nothing_known)?.partition(partition)?;
        match entry.leader() {
            Some(leader) => Ok(Leading { leader, topic: topic.id }),
            None => Err(Error::new(ErrorCode::LEADER_NOT_AVAILABLE, format!("{partition} has no leader now"))),
        }
    }

    /// Tells `listener` of every change until the answer is dropped.
    pub fn subscribe(self: &Arc<Self>, listener: OnChange) -> ViewSubscription {
        let mut listeners = self.listeners.lock();
        listeners.last += 1;
        let key = listeners.last;
        listeners.list.insert(key, listener);
        ViewSubscription { view: Arc::downgrade(self), key }
    }

    fn tell(&self) {
        let listeners: Vec<OnChange> = self.listeners.lock().list.values().cloned().collect();
        for listener in listeners {
            listener();
        }
    }
}

/// Ends the news when it is dropped. One more may arrive while that happens.
#[must_use = "dropping it unsubscribes"]
#[derive(Debug)]
pub(crate) struct ViewSubscription {
    view: Weak<ClusterView>,
    key: u64,
}

impl Drop for ViewSubscription {
    fn drop(&mut self) {
        if let Some(view) = self.view.upgrade() {
            let listener = view.listeners.lock().list.remove(&self.key);
            drop(listener); // perhaps its last holder: what it does when it goes must not find the lock taken
        }
    }
}

impl Known {
    fn new(metadata: MetadataResponse, before: Option<&Known>) -> Known {
        let MetadataResponse { cluster, controller, metadata_offset, nodes, topics } = metadata;
        let topics = topics.into_iter().map(|MetadataTopic { name, description }| {
            let before = before.and_then(|before| before.topic(&name).ok());
            let topic = description.map(|described| {
                let before = before.filter(|topic| topic.id == described.id);
                let partitions = described.partitions.into_iter().map(|state| {
                    let hint = before.and_then(|topic| topic.partitions.get(&state.partition)?.hint);
                    let hint = hint.filter(|hint| hint.leader_epoch > state.leader_epoch);
                    (state.partition, Partition { state, hint })
                });
                Topic { id: described.id, partitions: partitions.collect() }
            });
            (name, topic)
        });
        Known {
            cluster,
            metadata_offset,
            controller,
            topics: topics.collect(),
            nodes: nodes.into_iter().map(|node| (node.node, node)).collect(),
        }
    }

    fn topic(&self, name: &str) -> Result<&Topic> {
        match self.topics.get(name) {
            Some(Ok(topic)) => Ok(topic),
            Some(Err(error)) => Err(error.clone()),
            None => Err(Error::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, format!("there is no topic {name}"))),
        }
    }

    fn partition(&self, partition: &TopicPartition) -> Result<(&Topic, &Partition)> {
        let topic = self.topic(&partition.topic)?;
        match topic.partitions.get(&partition.partition) {
            Some(entry) => Ok((topic, entry)),
            None => Err(Error::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, format!("there is no {partition}"))),
        }
    }

    fn partition_mut(&mut self, partition: &TopicPartition, id: TopicId) -> Option<&mut Partition> {
        let topic = self.topics.get_mut(&partition.topic)?.as_mut().ok()?;
        topic.partitions.get_mut(&partition.partition).filter(|_| topic.id == id)
    }
}

impl Partition {
    fn leader(&self) -> Option<CurrentLeader> {
        let leader_epoch: LeaderEpoch = self.state.leader_epoch;
        self.hint.or_else(|| self.state.leader.map(|node| CurrentLeader { node, leader_epoch }))
    }
}

fn nothing_known() -> Error {
    Error::new(ErrorCode::LEADER_NOT_AVAILABLE, "nothing is known of the cluster yet")
}

impl fmt::Debug for ClusterView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterView").field("metadata_offset", &self.metadata_offset()).finish_non_exhaustive()
    }
}
