//! How a consumer is set up.

use super::live::LiveSources;
#[cfg(feature = "quorum")]
use super::nearest::NearestSources;
use super::remote::RemoteSources;
use super::source::Sources;
use super::Consumer;
use crate::client::Client;
use crate::config::ConsumerConfig;
use crate::error::Result;
use crate::node::Node;
use crate::types::{Offset, Timestamp, TopicPartition};
use std::sync::Arc;
use std::time::Duration;

/// Where reading begins, or goes on after a seek.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StartAt {
    /// The first record that the log still has.
    Earliest,
    /// Behind the last record: only what is written from now on.
    Latest,
    /// This offset. Outside the log, `auto.offset.reset` decides at the next poll.
    Offset(Offset),
    /// The first record with this timestamp or a later one; behind the last record when there is none.
    Timestamp(Timestamp),
}

/// Collects the settings of a [`Consumer`]. Made by `Engine::consumer` or [`ReadOnlyEngine::consumer`](super::ReadOnlyEngine::consumer).
#[derive(Clone, Debug)]
pub struct ConsumerBuilder {
    sources: Arc<dyn Sources>,
    config: ConsumerConfig,
    pinned_bytes_max: u64,
    assigned: Vec<(TopicPartition, StartAt)>,
}

impl ConsumerBuilder {
    /// Over the partitions of an open node; where it is one of several, over those of its cluster.
    pub(crate) fn over_node(node: Arc<Node>, pinned_bytes_max: u64) -> ConsumerBuilder {
        #[cfg(feature = "quorum")]
        if let Some(client) = node.member().map(|member| Arc::clone(member.client())) {
            return ConsumerBuilder::over(Arc::new(NearestSources { node, client }), pinned_bytes_max);
        }
        ConsumerBuilder::over(Arc::new(LiveSources(node)), pinned_bytes_max)
    }

    /// Over the partitions of a cluster that this program is no node of.
    pub(crate) fn over_cluster(client: Arc<Client>, api_timeout: Duration, pinned_bytes_max: u64) -> ConsumerBuilder {
        let mut builder = ConsumerBuilder::over(Arc::new(RemoteSources(client)), pinned_bytes_max);
        builder.config.api_timeout = api_timeout;
        builder
    }

    pub(super) fn over(sources: Arc<dyn Sources>, pinned_bytes_max: u64) -> ConsumerBuilder {
        ConsumerBuilder { sources, config: ConsumerConfig::default(), pinned_bytes_max, assigned: Vec::new() }
    }

    /// Adds one partition to read. The last word counts when a partition is named twice.
    #[must_use]
    pub fn assign(mut self, partition: TopicPartition, start: StartAt) -> ConsumerBuilder {
        self.assigned.push((partition, start));
        self
    }

    /// Sets one of Kafka's consumer settings by name, such as `max.poll.records`.
    ///
    /// # Errors
    /// `INVALID_CONFIG` names the setting and its legal range.
    pub fn set(mut self, key: &str, value: &str) -> Result<ConsumerBuilder> {
        self.config.set(key, value)?;
        Ok(self)
    }

    /// Opens the consumer and finds the starting positions, so that `Latest` means the moment of this call.
    ///
    /// # Errors
    /// `UNKNOWN_TOPIC_OR_PARTITION`, `INVALID_CONFIG`, or what reading the log's ends met.
    pub fn open(self) -> Result<Consumer> {
        Consumer::new(self.sources, self.config, self.pinned_bytes_max, &self.assigned)
    }
}
