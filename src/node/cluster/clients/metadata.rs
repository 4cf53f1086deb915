//! The metadata image in the words of clients.

use crate::controller::{Image, NodeStanding, Topic};
use crate::error::{Error, ErrorCode};
use crate::transport::ClusterId;
use crate::types::NodeId;
use crate::wire::{MetadataNode, MetadataPartition, MetadataResponse, MetadataTopic, MetadataTopicDescription};
use std::sync::Arc;

/// What `image` says of these topics, or of all. Nodes that are fenced are not alive; those on their way out still are.
pub(crate) fn describe(
    image: &Image,
    cluster: ClusterId,
    controller: Option<NodeId>,
    topics: Option<&[Arc<str>]>,
) -> MetadataResponse {
    let is_alive = |node: NodeId| image.node(node).is_some_and(|node| node.standing != NodeStanding::Fenced);
    let describe_topic = |topic: &Topic| {
        let partitions = (0..).zip(&topic.partitions).map(|(partition, state)| MetadataPartition {
            partition,
            leader: state.leader,
            leader_epoch: state.leader_epoch,
            replicas: state.replicas.clone(),
            isr: state.isr.clone(),
            elr: state.elr.clone(),
            offline_replicas: state.replicas.iter().copied().filter(|node| !is_alive(*node)).collect(),
        });
        let description = Ok(MetadataTopicDescription { id: topic.id, partitions: partitions.collect() });
        MetadataTopic { name: Arc::clone(&topic.name), description }
    };
    let topics = match topics {
        None => image.topics().map(describe_topic).collect(),
        Some(names) => {
            names.iter().map(|name| image.topic_named(name).map_or_else(|| unknown(name), describe_topic)).collect()
        }
    };
    let alive = image.nodes().filter(|node| is_alive(node.registration.node));
    let nodes = alive.map(|node| MetadataNode {
        node: node.registration.node,
        address: node.registration.address.clone(),
        rack: node.registration.rack.clone(),
    });
    MetadataResponse { cluster, controller, metadata_offset: image.offset(), nodes: nodes.collect(), topics }
}

fn unknown(name: &Arc<str>) -> MetadataTopic {
    let error = Error::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, format!("there is no topic {name}"));
    MetadataTopic { name: Arc::clone(name), description: Err(error) }
}
