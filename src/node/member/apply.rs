//! The image becomes true of this node: topics, roles of partitions, peers.
//!
//! Called by the metadata runner, one change after the other, with no lock held.

use super::super::notices::Level;
use super::super::replica::Orders;
use super::super::{Node, Partition};
use super::Member;
use crate::controller::{Change, Image, NodeStanding, PartitionState, TopicId};
use crate::replication::{NodeEpoch, Standing};
use crate::time::Instant;
use crate::types::NodeId;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::sync::Arc;
use std::time::Duration;

/// How long a disk is left alone that refused what the cluster has decided.
const OBEYS_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// A partition that has changed: its topic's name, and its state before.
type Before<'a> = (&'a Arc<str>, Option<&'a PartitionState>);

impl Member {
    pub(super) fn handle_image(&self, image: &Arc<Image>, changes: &[Change]) {
        let before = std::mem::replace(&mut *self.image.write(), Arc::clone(image));
        let Some(node) = self.node.upgrade() else { return };
        let nodes = nodes_of(changes);
        for changed in &nodes {
            self.connect(*changed, image);
        }
        self.learn_node_epoch(image);
        if self.is_static() || self.is_complete.load(Ordering::Acquire) {
            self.obey(&node, image, changes);
        } else if self.node_epoch().is_some() {
            self.is_complete.store(true, Ordering::Release);
            self.obey(&node, image, &image.changes_since(&Image::default()));
        } else {
            self.publish_view(image);
        }
        self.handle_applied(image.offset());
        for gone in nodes.into_iter().filter(|node| !is_fenced(&before, *node) && is_fenced(image, *node)) {
            self.handle_fenced(gone);
        }
    }

    /// Carries out what is new. Not before the image has this life's registration, behind everything that former lives have heard: decided
    /// anew one by one, old decisions take away replicas and topics that later ones have given back (a broker, too, publishes no
    /// image before it has caught up, `BrokerServer`). Then everything is new.
    fn obey(&self, node: &Node, image: &Arc<Image>, changes: &[Change]) {
        let nodes = nodes_of(changes);
        let mut partitions: BTreeMap<(TopicId, u32), Before<'_>> = BTreeMap::new();
        let mut concerns_topics = false;
        for change in changes {
            match change {
                Change::Node { .. } | Change::NodeRemoved { .. } => {}
                Change::TopicCreated { .. } | Change::TopicSettings { .. } => concerns_topics = true,
                Change::TopicRemoved { topic } => {
                    concerns_topics = true;
                    self.forget_topic(&topic.id, topic.partitions.len());
                    self.adopt(node, image, Some(&topic.name));
                }
                Change::Partition { topic, name, partition, before, .. } => {
                    // One more than the topic had.
                    concerns_topics |= before.is_none();
                    partitions.entry((*topic, *partition)).or_insert((name, before.as_deref()));
                }
            }
        }
        if concerns_topics || self.obeys_again_at.lock().is_some() {
            self.adopt(node, image, None);
        }
        self.publish_view(image);
        for ((topic, number), (name, before)) in &partitions {
            // As it stands in the end: what came between was never true of this image's nodes.
            let Some(after) = image.partition(topic, *number) else { continue };
            self.give_orders(node, image, (*topic, name, *number), after);
            self.leave_partition(node, (*topic, name, *number), *before, after);
            self.tell_news(name, *number, *before, after);
        }
        // Behind the orders: whoever leads no more must not commit by a setting that came with his successor.
        if concerns_topics {
            self.obey_settings(node, image, changes);
        }
        self.handle_standings(node, image, &nodes);
    }

    /// The cluster has given a node up that was silent for `broker.session.timeout.ms`. Over a network that loses everything no
    /// connection breaks: whoever waits for its answer tries the next leader now, not after `request.timeout.ms`.
    fn handle_fenced(&self, node: NodeId) {
        if node != self.me {
            self.calls.handle_peer_down(node);
        }
    }

    /// Where the others are, and who they are in this life.
    fn connect(&self, node: NodeId, image: &Image) {
        if node == self.me {
            return;
        }
        let address = image.node(node).map(|known| known.registration.address.as_str());
        // A voter's address stands in the settings; the image knows it better, once it knows it.
        let fallback = self.config.voters.iter().find(|(voter, _)| *voter == node).map(|(_, address)| address.as_str());
        let address = address.filter(|address| !address.is_empty()).or(fallback);
        if let Err(error) = self.transport.set_peer(node, address) {
            self.tell(Level::Warn, format!("node {node} cannot be reached: {error}"));
        }
    }

    /// Whether the metadata know this life, and by which number.
    fn learn_node_epoch(&self, image: &Image) {
        let mine = image.node(self.me).filter(|known| known.registration.incarnation == self.incarnation);
        let epoch = mine.map_or(0, |known| known.registration.epoch);
        if self.node_epoch.swap(epoch, Ordering::AcqRel) != epoch && epoch > 0 {
            self.fetchers.handle_node_epoch(NodeEpoch(epoch), self.now());
        }
    }

    pub(super) fn adopt(&self, node: &Node, image: &Image, removed: Option<&Arc<str>>) {
        let is_complete = self.is_complete.load(Ordering::Acquire);
        let outcome = match removed {
            Some(name) => node.forget_cluster_topic(name),
            None => node.adopt_topics(image, is_complete),
        };
        let mut again_at = self.obeys_again_at.lock();
        match outcome {
            Ok(()) if removed.is_none() => *again_at = None, // all of them are as the image says
            Ok(()) => {}
            Err(failed) => {
                let due = self.now() + OBEYS_AGAIN_AFTER;
                let is_new = again_at.replace(due).is_none();
                drop(again_at);
                node.house.wake_by(due);
                if is_new {
                    let what =
                        format!("the topics of the cluster could not be written down, which is tried again: {failed}");
                    self.tell(Level::Error, what);
                }
            }
        }
    }

    /// The disk may have room again, and this node may lead what it does not have.
    pub(super) fn tick_obedience(&self, now: Instant) -> Option<Instant> {
        let due = (*self.obeys_again_at.lock())?;
        if due <= now {
            *self.obeys_again_at.lock() = Some(now + OBEYS_AGAIN_AFTER);
            self.runner().repeat_image();
        }
        *self.obeys_again_at.lock()
    }

    fn obey_settings(&self, node: &Node, image: &Image, changes: &[Change]) {
        for change in changes {
            let Change::TopicSettings { id } = change else { continue };
            let Some(topic) = image.topic(id).and_then(|topic| node.topic(&topic.name)) else { continue };
            for partition in topic.partitions() {
                partition.handle_min_insync_replicas(self.now());
            }
        }
    }

    /// The part that one partition of this node has from now on.
    fn give_orders(
        &self,
        node: &Node,
        image: &Image,
        (topic, name, number): (TopicId, &Arc<str>, u32),
        state: &PartitionState,
    ) {
        let Some(partition) = node.topic(name).filter(|known| known.id() == topic).and_then(|t| t.partition(number))
        else {
            return;
        };
        let standings: Vec<(NodeId, Standing)> = state
            .replicas
            .iter()
            .filter(|other| **other != self.me)
            .map(|other| (*other, standing(image, *other)))
            .collect();
        let orders = Orders {
            state,
            node_epoch: self.node_epoch(),
            standings: &standings,
            config: &self.config,
            now: self.now(),
        };
        if partition.take_orders(&orders) {
            self.follow_orders(&partition);
        }
    }

    /// Whom it is fetched from, if from anybody.
    fn follow_orders(&self, partition: &Arc<Partition>) {
        let now = self.now();
        match partition.following() {
            Some(leader) => self.fetchers.add(Arc::clone(partition) as _, leader, now),
            None => self.fetchers.remove(partition.topic_id_partition(), now),
        }
        if partition.is_leading() {
            *self.leaders_due.lock() = now;
        } else {
            self.proposals.lock().forget(partition.topic_id_partition());
        }
    }

    /// A replica that the cluster has taken away is deleted here, also if that was before this life.
    fn leave_partition(
        &self,
        node: &Node,
        (topic, name, number): (TopicId, &Arc<str>, u32),
        before: Option<&PartitionState>,
        after: &PartitionState,
    ) {
        let was_ours = before.is_some_and(|before| before.replicas.contains(&self.me));
        // What an appointing host says is not the word of a majority: only a removal that it has asked for removes.
        if after.replicas.contains(&self.me) || (self.is_static() && !was_ours) {
            return;
        }
        let known = node.topic(name).filter(|known| known.id() == topic);
        if let Some(partition) = known.and_then(|topic| topic.partition(number)).filter(|known| known.is_on_disk()) {
            match partition.give_up_replica() {
                Ok(()) => self.tell(Level::Info, format!("{name}-{number}: the cluster has taken this replica away")),
                Err(failed) => {
                    self.tell(Level::Error, format!("{name}-{number}: its replica could not be removed: {failed}"));
                }
            }
        }
    }

    fn forget_topic(&self, id: &TopicId, partitions: usize) {
        let now = self.now();
        for number in 0..u32::try_from(partitions).unwrap_or(u32::MAX) {
            let id = crate::wire::TopicIdPartition { topic: *id, partition: number };
            self.fetchers.remove(id, now);
            self.proposals.lock().forget(id);
        }
    }

    /// Nodes that came, went, were fenced or live anew: leaders hear of their followers, and of this life of their own.
    fn handle_standings(&self, node: &Node, image: &Image, nodes: &BTreeSet<NodeId>) {
        if nodes.is_empty() {
            return;
        }
        let now = self.now();
        let knows_us = nodes.contains(&self.me);
        for (topic, number, state) in image.partitions() {
            let leads = state.leader == Some(self.me);
            if !leads {
                continue;
            }
            if knows_us {
                self.give_orders(node, image, (topic.id, &topic.name, number), state);
            }
            let Some(partition) = node.topic(&topic.name).and_then(|topic| topic.partition(number)) else { continue };
            for other in nodes.iter().filter(|other| state.replicas.contains(other) && **other != self.me) {
                partition.handle_standing(*other, standing(image, *other), now);
            }
        }
    }

    fn handle_applied(&self, offset: u64) {
        self.membership.lock().handle_metadata_offset(offset);
        self.proposals.lock().handle_metadata_offset(offset);
        self.run_errands();
    }
}

fn nodes_of(changes: &[Change]) -> BTreeSet<NodeId> {
    let node_of = |change: &Change| match change {
        Change::Node { node } | Change::NodeRemoved { node } => Some(*node),
        _ => None,
    };
    changes.iter().filter_map(node_of).collect()
}

fn is_fenced(image: &Image, node: NodeId) -> bool {
    image.node(node).is_none_or(|known| known.standing == NodeStanding::Fenced)
}

fn standing(image: &Image, node: NodeId) -> Standing {
    let Some(known) = image.node(node) else { return Standing { is_fenced: true, ..Standing::default() } };
    Standing {
        is_fenced: known.standing == NodeStanding::Fenced,
        is_shutting_down: known.standing == NodeStanding::InControlledShutdown,
        // With appointed leaders nobody counts the lives of others.
        node_epoch: Some(NodeEpoch(known.registration.epoch)).filter(|epoch| epoch.0 > 0),
    }
}
