//! What operators want to know of the controller. Nothing is decided here.

#[cfg(feature = "quorum")]
use super::active::Controller;
use super::decide::{Decider, Outcome};
#[cfg(feature = "quorum")]
use super::request::{QuorumProgress, QuorumState, RegisteredNode};
use super::request::{Reply, TopicConfigs};
use crate::error::Result;
use std::sync::Arc;

impl Decider<'_> {
    /// What these topics have set for themselves, in this order.
    ///
    /// # Errors
    /// UNKNOWN_TOPIC_OR_PARTITION.
    pub(super) fn describe_configs(&self, topics: &[Arc<str>]) -> Result<Outcome> {
        let configs = topics.iter().map(|name| {
            let settings = self.topic(name)?.settings.clone().into_iter().collect();
            Ok(TopicConfigs { topic: Arc::clone(name), settings })
        });
        Ok(Outcome { reply: Reply::Configs(configs.collect::<Result<_>>()?), ..Outcome::empty() })
    }
}

#[cfg(feature = "quorum")]
impl Controller {
    /// How the quorum stands; `None` where this node is not the active controller.
    pub fn describe_quorum(&self) -> Option<QuorumState> {
        if !self.is_active() {
            return None;
        }
        let nodes = self.image().nodes().map(|node| RegisteredNode {
            node: node.registration.node,
            address: node.registration.address.clone(),
            rack: node.registration.rack.clone(),
            standing: node.standing,
            epoch: node.registration.epoch,
        });
        Some(QuorumState {
            leader: self.leader()?,
            term: self.term(),
            metadata_offset: self.image().offset(),
            replicas: self.quorum_replicas(),
            nodes: nodes.collect(),
        })
    }

    /// How far everybody's copy of the metadata is, by number; empty where this node does not lead.
    pub fn quorum_replicas(&self) -> Vec<QuorumProgress> {
        self.quorum.replicas()
    }
}
