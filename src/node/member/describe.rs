//! What the cluster looks like from here, and news of it for the host.

use super::super::cluster::MemberStanding;
use super::super::notices::Level;
use super::Member;
use crate::controller::{ControllerEvent, Image, Membership, PartitionState, QuorumProgress};
use crate::transport::{ClusterId, PeerStats};
use crate::types::{LeaderEpoch, NodeId, TopicPartition};
use parking_lot::Mutex;
use std::sync::Arc;

/// Something that a host wants to hear of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum ClusterNews {
    Leader { partition: TopicPartition, leader: Option<NodeId>, leader_epoch: LeaderEpoch },
    Isr { partition: TopicPartition, leader_epoch: LeaderEpoch, in_sync_replicas: Vec<NodeId>, under_min_isr: bool },
}

type Listener = Arc<dyn Fn(&ClusterNews) + Send + Sync>;

#[derive(Default)]
pub(super) struct Listeners(Mutex<Vec<Listener>>);

/// The cluster, as this node knows it.
#[derive(Clone, Debug)]
pub(crate) struct ClusterState {
    pub cluster: ClusterId,
    pub image: Arc<Image>,
    /// The active controller.
    pub controller: Option<NodeId>,
    /// This node decides.
    pub is_controller: bool,
    /// Which leadership of the quorum that is.
    pub term: u64,
    pub membership: Membership,
    pub peers: Vec<PeerStats>,
}

impl Member {
    /// The state of the cluster.
    pub(crate) fn describe(&self) -> ClusterState {
        let standing = self.runner().standing();
        ClusterState {
            cluster: self.cluster,
            image: standing.image,
            controller: standing.leader,
            is_controller: standing.is_active,
            term: standing.term,
            membership: standing.membership,
            peers: self.transport.peer_stats(),
        }
    }

    /// The offset of the image, for whoever looks often whether it is a new one.
    #[cfg_attr(not(any(test, feature = "sim")), allow(dead_code))]
    pub(crate) fn image_offset(&self) -> u64 {
        self.runner().image_offset()
    }

    /// How far everybody's copy of the metadata is, by number; empty where this node does not lead the quorum. May wait for this node's disk.
    pub(crate) fn quorum_replicas(&self) -> Vec<QuorumProgress> {
        self.runner().quorum_replicas()
    }

    /// Whether the cluster counts on this life of the node: it is registered, has caught up, and is not fenced.
    pub(crate) fn takes_part(&self) -> bool {
        // With appointed leaders nobody registers, and nobody is fenced.
        self.is_static() || self.membership.lock().standing() == MemberStanding::Unfenced
    }

    /// Calls `listener` for everything new, on the thread that brings it, with no lock held. It must be quick.
    pub(crate) fn listen(&self, listener: impl Fn(&ClusterNews) + Send + Sync + 'static) {
        self.listeners.0.lock().push(Arc::new(listener));
    }

    pub(super) fn tell_news(
        &self,
        name: &Arc<str>,
        number: u32,
        before: Option<&PartitionState>,
        after: &PartitionState,
    ) {
        let listeners = self.listeners.0.lock().clone();
        if listeners.is_empty() {
            return;
        }
        let partition = || TopicPartition { topic: Arc::clone(name), partition: number };
        let mut news = Vec::new();
        if before.is_none_or(|before| (before.leader, before.leader_epoch) != (after.leader, after.leader_epoch)) {
            let (leader, leader_epoch) = (after.leader, after.leader_epoch);
            news.push(ClusterNews::Leader { partition: partition(), leader, leader_epoch });
        }
        if before.is_none_or(|before| before.isr != after.isr) {
            let wanted = self.min_isr_of(name).min(after.replicas.len());
            let under_min_isr = after.isr.len() < wanted;
            let (leader_epoch, in_sync_replicas) = (after.leader_epoch, after.isr.clone());
            news.push(ClusterNews::Isr { partition: partition(), leader_epoch, in_sync_replicas, under_min_isr });
        }
        for one in &news {
            listeners.iter().for_each(|listener| listener(one));
        }
    }

    fn min_isr_of(&self, name: &str) -> usize {
        let topic = self.node.upgrade().and_then(|node| node.topic(name));
        topic.map_or(1, |topic| topic.log_config().min_insync_replicas as usize)
    }

    pub(super) fn tell(&self, level: Level, text: String) {
        if let Some(node) = self.node.upgrade() {
            node.house.tell_as(level, "cluster", || text);
        }
    }

    /// The active controller, this node, has done something that an operator wants to hear of.
    pub(super) fn tell_event(&self, event: &ControllerEvent) {
        let (level, text) = match event {
            ControllerEvent::UncleanLeaderElected { topic, partition, leader, isr_before } => (
                Level::Error,
                format!("{topic}-{partition}: node {leader} was elected uncleanly, in sync were {isr_before:?}; records may be lost"),
            ),
            ControllerEvent::LastReplicaRestartedUncleanly { topic, partition, node } => (
                Level::Warn,
                format!("{topic}-{partition}: node {node}, the last in sync, was not closed in order; what it had not flushed is lost"),
            ),
            ControllerEvent::NodeFenced { node } => (Level::Warn, format!("node {node} is fenced")),
            ControllerEvent::NodeUnfenced { node } => (Level::Info, format!("node {node} takes part")),
            ControllerEvent::NodeRegistered { node, node_epoch, cleanly } => {
                let how = if *cleanly { "" } else { ", after it had not been closed in order" };
                (Level::Info, format!("node {node} is registered with epoch {node_epoch}{how}"))
            }
            ControllerEvent::PartitionOffline { topic, partition } => {
                (Level::Error, format!("{topic}-{partition}: nobody can lead it; it is offline"))
            }
        };
        self.tell(level, text);
    }

    /// The view that this node's own producers and consumers go by.
    pub(super) fn publish_view(&self, image: &Image) {
        let controller = self.runner().standing().leader;
        self.view.replace(super::super::cluster::describe(image, self.cluster, controller, None));
    }
}
