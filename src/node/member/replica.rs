//! A partition of this node, as fetching sees it.

use super::super::cluster::{Replica, Serving};
use super::super::Partition;
use crate::replication::{FetchRequest, FetchResponse};
use crate::time::Instant;
use crate::types::NodeId;
use crate::wire::TopicIdPartition;

impl Partition {
    /// As replicas name it: by the topic's identity, not by its name.
    pub(in crate::node) fn topic_id_partition(&self) -> TopicIdPartition {
        TopicIdPartition { topic: self.settings.topic_id, partition: self.id().partition }
    }
}

impl Replica for Partition {
    fn id(&self) -> TopicIdPartition {
        self.topic_id_partition()
    }

    fn serve(&self, serving: Serving, fetch: &FetchRequest, now: Instant) -> Option<FetchResponse> {
        self.serve_fetch(serving, fetch, now)
    }

    fn poll_fetch(&self, leader: NodeId, now: Instant) -> Option<FetchRequest> {
        Partition::poll_fetch(self, leader, now)
    }

    fn poll_fetch_timeout(&self) -> Option<Instant> {
        Partition::poll_fetch_timeout(self)
    }

    fn handle_fetch_response(&self, from: NodeId, response: FetchResponse, now: Instant) {
        Partition::handle_fetch_response(self, from, response, now);
    }
}
