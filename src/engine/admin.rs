//! Topics: create, change, describe, delete.

use super::Engine;
use crate::config::TopicConfig;
#[cfg(feature = "quorum")]
use crate::controller::ControllerRequest;
use crate::error::{Error, ErrorCode, Result};
use crate::node::{Topic, TopicDescription};
use crate::storage::partition_metadata::format_id;
use crate::storage::LogOffsets;
use crate::types::{Offset, TopicPartition};
use serde_json::{json, Map, Value};
use std::sync::Arc;

impl Engine {
    /// Creates a topic; durable on return. Its partitions take no space on disk before they are used.
    ///
    /// # Errors
    /// INVALID_TOPIC_EXCEPTION, TOPIC_ALREADY_EXISTS, INVALID_PARTITIONS, INVALID_REPLICATION_FACTOR, KAFKA_STORAGE_ERROR.
    pub fn create_topic(&self, name: &str, config: TopicConfig) -> Result<()> {
        self.core.check()?;
        let node = &self.core.node;
        #[cfg(feature = "quorum")]
        if node.member().is_some() {
            return self.create_replicated(name, &config);
        }
        let partitions = config.partition_count().unwrap_or(node.config().partitions_default);
        node.create_topic(name, partitions, config.replication_factor(), config.overrides())
    }

    /// Deletes a topic; durable on return. Its files go after `file.delete.delay.ms`.
    ///
    /// # Errors
    /// UNKNOWN_TOPIC_OR_PARTITION, KAFKA_STORAGE_ERROR.
    pub fn delete_topic(&self, name: &str) -> Result<()> {
        self.core.check()?;
        #[cfg(feature = "quorum")]
        if self.core.node.member().is_some() {
            return self.ask_controller(ControllerRequest::DeleteTopic { name: name.into() }).map(|_| ());
        }
        self.core.node.delete_topic(name)
    }

    /// Grows a topic to `partitions` partitions; durable on return.
    ///
    /// # Errors
    /// INVALID_PARTITIONS when it has as many or more, UNKNOWN_TOPIC_OR_PARTITION, KAFKA_STORAGE_ERROR.
    pub fn add_partitions(&self, name: &str, partitions: u32) -> Result<()> {
        self.core.check()?;
        #[cfg(feature = "quorum")]
        if self.core.node.member().is_some() {
            let request = super::orders::create_partitions(name, partitions);
            return self.ask_controller(request).map(|_| ());
        }
        self.core.node.add_partitions(name, partitions)
    }

    /// Sets one setting of a topic, `None` goes back to the engine's default; durable on return, and open logs obey at once.
    ///
    /// # Errors
    /// INVALID_CONFIG, UNKNOWN_TOPIC_OR_PARTITION, KAFKA_STORAGE_ERROR.
    pub fn alter_topic(&self, name: &str, key: &str, value: Option<&str>) -> Result<()> {
        self.core.check()?;
        #[cfg(feature = "quorum")]
        if self.core.node.member().is_some() {
            let request = super::orders::alter_topic(name, key, value)?;
            return self.ask_controller(request).map(|_| ());
        }
        self.core.node.alter_topic(name, key, value)
    }

    /// Every topic, by name.
    ///
    /// # Errors
    /// CLOSED, FORKED, or what ended the engine.
    pub fn topics(&self) -> Result<Vec<TopicDescription>> {
        self.core.check()?;
        Ok(self.core.node.topics())
    }

    /// One topic.
    ///
    /// # Errors
    /// UNKNOWN_TOPIC_OR_PARTITION, CLOSED.
    pub fn describe(&self, name: &str) -> Result<TopicDescription> {
        Ok(self.topic(name)?.describe())
    }

    /// Every setting of a topic as it is in force, and whether it was set for this topic.
    ///
    /// # Errors
    /// UNKNOWN_TOPIC_OR_PARTITION, CLOSED.
    pub fn topic_settings(&self, name: &str) -> Result<Vec<(&'static str, String, bool)>> {
        Ok(self.topic(name)?.overrides().effective(self.core.node.config()))
    }

    /// Log start, high watermark, flushed end and log end of a partition. Opens its log.
    ///
    /// # Errors
    /// UNKNOWN_TOPIC_OR_PARTITION, KAFKA_STORAGE_ERROR, CLOSED; NOT_LEADER_OR_FOLLOWER in a cluster when this node has no replica (a
    /// consumer's `end_offsets` asks the leader).
    pub fn offsets(&self, topic: &str, partition: u32) -> Result<LogOffsets> {
        self.core.check()?;
        self.core.node.partition(topic, partition)?.offsets()
    }

    /// Deletes the records of a partition below `before`, or below its high watermark (`None`); durable on return, which is the new
    /// log start.
    ///
    /// # Errors
    /// OFFSET_OUT_OF_RANGE past the high watermark, UNKNOWN_TOPIC_OR_PARTITION, KAFKA_STORAGE_ERROR; REQUEST_TIMED_OUT in a cluster, where
    /// the leader is asked, wherever it is ([`within`](Engine::within) says for how long).
    pub fn delete_records(&self, topic: &str, partition: u32, before: impl Into<Option<Offset>>) -> Result<Offset> {
        self.core.check()?;
        let before = before.into();
        let partition = self.core.node.partition(topic, partition)?;
        #[cfg(feature = "quorum")]
        if !partition.is_leading() {
            return self.delete_records_elsewhere(partition.id(), before);
        }
        partition.delete_records(before)
    }

    /// Topics, partitions, offsets and settings as JSON; all topics for `None`. Fields are only ever added:
    ///
    /// ```text
    /// {"cluster_id": "..", "node_id": 0, "topics": [{"name": "orders", "id": "..", "replication_factor": 1,
    ///   "partitions": [{"partition": 0, "leader": 0, "leader_epoch": 0, "replicas": [0], "isr": [0], "log_start": 0,
    ///                   "high_watermark": 9, "flushed": 9, "log_end": 9, "error": null}],
    ///   "config": {"retention.ms": {"value": "1000", "is_default": false}, ..}}]}
    /// ```
    ///
    /// # Errors
    /// UNKNOWN_TOPIC_OR_PARTITION, CLOSED. What opening one partition meets is told in its `error`.
    pub fn metadata_json(&self, topic: Option<&str>) -> Result<String> {
        self.core.check()?;
        let node = &self.core.node;
        let topics = match topic {
            Some(name) => vec![self.topic(name)?],
            None => node.topic_handles(),
        };
        let topics: Vec<Value> = topics.iter().map(|topic| self.topic_json(topic)).collect();
        let whole = json!({
            "cluster_id": node.identity().cluster_id, "node_id": self.node_id().0, "topics": topics,
        });
        Ok(whole.to_string())
    }

    fn topic(&self, name: &str) -> Result<Arc<Topic>> {
        self.core.check()?;
        self.core
            .node
            .topic(name)
            .ok_or_else(|| Error::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, format!("there is no topic {name:?}")))
    }

    fn topic_json(&self, topic: &Topic) -> Value {
        let node = self.node_id().0;
        let partitions: Vec<Value> = topic
            .partitions()
            .iter()
            .map(|partition| {
                let TopicPartition { partition: number, .. } = partition.id();
                let mut fields = json!({
                    "partition": number, "leader": node, "leader_epoch": partition.leader_epoch().0,
                    "replicas": [node], "isr": [node], "error": null,
                });
                #[cfg(feature = "quorum")]
                self.put_replicas(&mut fields, partition.id());
                let failure = match partition.offsets() {
                    Ok(offsets) => {
                        put_offsets(&mut fields, offsets);
                        partition.failure()
                    }
                    Err(failed) => Some(failed),
                };
                fields["error"] = json!(failure.map(|failed| failed.to_string()));
                fields
            })
            .collect();
        let config: Map<String, Value> = topic
            .overrides()
            .effective(self.core.node.config())
            .into_iter()
            .map(|(name, value, is_own)| (name.to_owned(), json!({"value": value, "is_default": !is_own})))
            .collect();
        json!({
            "name": &**topic.name(), "id": format_id(&topic.id()),
            "replication_factor": topic.describe().replication_factor,
            "partitions": partitions, "config": config,
        })
    }
}

pub(super) fn put_offsets(fields: &mut Value, offsets: LogOffsets) {
    fields["log_start"] = json!(offsets.log_start.0);
    fields["high_watermark"] = json!(offsets.high_watermark.0);
    fields["flushed"] = json!(offsets.flushed.0);
    fields["log_end"] = json!(offsets.log_end.0);
}
