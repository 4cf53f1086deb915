//! What a client has to know of the cluster in order to find the leaders.

use super::field::{layout, listed};
use super::limits::{NODES_MAX, PARTITIONS_MAX, TOPICS_MAX};
use crate::controller::TopicId;
use crate::error::Error;
use crate::transport::ClusterId;
use crate::types::{LeaderEpoch, NodeId};
use std::sync::Arc;

/// Kafka's Metadata.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct MetadataRequest {
    /// `None`: all.
    pub topics: Option<Vec<Arc<str>>>,
}

#[derive(Clone, Debug)]
pub(crate) struct MetadataResponse {
    pub cluster: ClusterId,
    pub controller: Option<NodeId>,
    /// Where the metadata stand that this speaks of: an answer with a smaller number is older, whoever it comes from.
    pub metadata_offset: u64,
    /// Those that are alive.
    pub nodes: Vec<MetadataNode>,
    pub topics: Vec<MetadataTopic>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct MetadataNode {
    pub node: NodeId,
    /// As [`Transport::set_peer`](crate::transport::Transport::set_peer) reads it.
    pub address: String,
    pub rack: Option<String>,
}

#[derive(Clone, Debug)]
pub(crate) struct MetadataTopic {
    pub name: Arc<str>,
    pub description: Result<MetadataTopicDescription, Error>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct MetadataTopicDescription {
    pub id: TopicId,
    pub partitions: Vec<MetadataPartition>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct MetadataPartition {
    pub partition: u32,
    /// `None`: LEADER_NOT_AVAILABLE, ask again.
    pub leader: Option<NodeId>,
    pub leader_epoch: LeaderEpoch,
    pub replicas: Vec<NodeId>,
    pub isr: Vec<NodeId>,
    /// Eligible leader replicas (KIP-966).
    pub elr: Vec<NodeId>,
    /// Replicas of nodes that are not alive.
    pub offline_replicas: Vec<NodeId>,
}

layout! {
    MetadataRequest { topics: Option<Vec<Arc<str>>> }
    MetadataResponse {
        cluster: ClusterId,
        controller: Option<NodeId>,
        metadata_offset: u64,
        nodes: Vec<MetadataNode>,
        topics: Vec<MetadataTopic>,
    }
    MetadataNode { node: NodeId, address: String, rack: Option<String> }
    MetadataTopic { name: Arc<str>, description: Result<MetadataTopicDescription, Error> }
    MetadataTopicDescription { id: TopicId, partitions: Vec<MetadataPartition> }
    MetadataPartition {
        partition: u32,
        leader: Option<NodeId>,
        leader_epoch: LeaderEpoch,
        replicas: Vec<NodeId>,
        isr: Vec<NodeId>,
        elr: Vec<NodeId>,
        offline_replicas: Vec<NodeId>,
    }
}

listed! {
    MetadataNode: NODES_MAX, "nodes";
    MetadataTopic: TOPICS_MAX, "topics";
    MetadataPartition: PARTITIONS_MAX, "partitions";
}
