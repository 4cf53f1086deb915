//! What a topic is created with, and what it keeps of it.

use super::engine::EngineConfig;
use super::log::{CleanupPolicy, DirFullPolicy, LogConfig};
use super::lookup::{find, parse, rows};
use super::producer::codec;
use super::table::Scope;
use super::value::Value;
use crate::error::Result;
use crate::types::TimestampType;
use std::collections::BTreeMap;
use std::time::Duration;

/// How a topic is created: partitions, replicas, and settings that differ from the engine's defaults.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TopicConfig {
    partitions: Option<u32>,
    replication: Option<u16>,
    overrides: TopicOverrides,
}

impl TopicConfig {
    /// `num.partitions` partitions, one replica, the engine's defaults.
    #[must_use]
    pub fn new() -> TopicConfig {
        TopicConfig::default()
    }

    /// The number of partitions. Zero is refused when the topic is created (INVALID_PARTITIONS, 37).
    #[must_use]
    pub fn partitions(mut self, count: u32) -> TopicConfig {
        self.partitions = Some(count);
        self
    }

    /// The number of replicas of each partition.
    #[must_use]
    pub fn replication(mut self, factor: u16) -> TopicConfig {
        self.replication = Some(factor);
        self
    }

    /// A setting of this topic by Kafka's name, for example `retention.ms`.
    ///
    /// # Errors
    /// INVALID_CONFIG (40) for an unknown name or a value out of range.
    pub fn set(mut self, name: &str, value: &str) -> Result<TopicConfig> {
        self.overrides.set(name, value)?;
        Ok(self)
    }

    /// The partitions asked for; `None` leaves it to `num.partitions`.
    #[must_use]
    pub fn partition_count(&self) -> Option<u32> {
        self.partitions
    }

    /// The replicas asked for; one unless said otherwise.
    #[must_use]
    pub fn replication_factor(&self) -> u16 {
        self.replication.unwrap_or(1)
    }

    /// The replicas asked for; `None` leaves it to `default.replication.factor`.
    #[must_use]
    pub fn replication_factor_set(&self) -> Option<u16> {
        self.replication
    }

    /// The settings that differ from the engine's defaults.
    #[must_use]
    pub fn overrides(&self) -> &TopicOverrides {
        &self.overrides
    }
}

/// The settings of a topic that differ from the engine's defaults. Every entry is known and in its range.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TopicOverrides(BTreeMap<&'static str, String>);

impl TopicOverrides {
    /// None.
    #[must_use]
    pub fn new() -> TopicOverrides {
        TopicOverrides::default()
    }

    /// Sets one. INVALID_CONFIG (40) for an unknown name or a value out of range.
    pub fn set(&mut self, name: &str, text: &str) -> Result<()> {
        let (found, value) = parse(Scope::Topic, name, text)?;
        self.0.insert(found.name, value.to_string());
        Ok(())
    }

    /// Goes back to the engine's default; false when there was nothing to go back from. INVALID_CONFIG (40) for an unknown name.
    pub fn remove(&mut self, name: &str) -> Result<bool> {
        Ok(self.0.remove(find(Scope::Topic, name)?.name).is_some())
    }

    /// The value that was set, if one was.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Names and values in alphabetical order.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.iter().map(|(name, value)| (*name, value.as_str()))
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Every topic setting with the value it has under this engine, and whether it was set for the topic itself.
    #[must_use]
    pub fn effective(&self, engine: &EngineConfig) -> Vec<(&'static str, String, bool)> {
        rows(Scope::Topic)
            .map(|row| match self.0.get(row.name) {
                Some(value) => (row.name, value.clone(), true),
                None => (row.name, engine.topic_default(row), false),
            })
            .collect()
    }

    pub(super) fn apply(&self, config: &mut LogConfig) {
        for (name, text) in &self.0 {
            let row = find(Scope::Topic, name).expect("checked when it was set").row;
            apply_to_log(config, row.name, &row.kind.parse(text, 1).expect("checked when it was set"));
        }
    }
}

pub(super) fn apply_to_log(config: &mut LogConfig, name: &str, value: &Value) {
    let unlimited = |value: &Value| value.u64_or_unlimited().map(Duration::from_millis);
    let never = |value: &Value| value.u64_or_never().map(Duration::from_millis);
    match name {
        "segment.bytes" => config.segment_bytes = value.u32(),
        "segment.ms" => config.segment_age_max = value.millis(),
        "segment.jitter.ms" => config.segment_jitter = value.millis(),
        "segment.index.bytes" => config.segment_index_bytes = value.u32(),
        "index.interval.bytes" => config.index_interval_bytes = value.u32(),
        "flush.messages" => config.flush_messages = value.u64_or_never(),
        "flush.ms" => config.flush_interval = never(value),
        "retention.bytes" => config.retention_bytes = value.u64_or_unlimited(),
        "retention.ms" => config.retention_age = unlimited(value),
        "max.message.bytes" => config.max_message_bytes = value.u32(),
        "cleanup.policy" => config.cleanup_policy = CleanupPolicy { delete: true, compact: false },
        "file.delete.delay.ms" => config.file_delete_delay = value.millis(),
        "compression.type" => config.compression = (value.text() != "producer").then(|| codec(value.text())),
        "preallocate" => config.preallocate = value.bool(),
        "message.timestamp.type" => {
            config.timestamp_type = match value.text() {
                "LogAppendTime" => TimestampType::LogAppendTime,
                _ => TimestampType::CreateTime,
            }
        }
        "message.timestamp.before.max.ms" => config.timestamp_before_max = never(value),
        "message.timestamp.after.max.ms" => config.timestamp_after_max = never(value),
        "min.insync.replicas" => config.min_insync_replicas = value.u32(),
        "unclean.leader.election.enable" => config.unclean_leader_election = value.bool(),
        "dir.full.policy" => {
            config.dir_full_policy = match value.text() {
                "drop-oldest" => DirFullPolicy::DropOldest,
                _ => DirFullPolicy::Reject,
            }
        }
        other => unreachable!("{other} has a row and no field"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorCode;
    use crate::types::Codec;

    #[test]
    fn an_override_wins_over_the_engines_default_and_removing_it_brings_the_default_back() {
        let mut engine = EngineConfig::default();
        engine.set("log.flush.interval.ms", "50").unwrap();
        let mut overrides = TopicOverrides::new();
        assert_eq!(engine.log_config(&overrides).flush_interval, Some(Duration::from_millis(50)));
        overrides.set("flush.ms", "9223372036854775807").unwrap();
        overrides.set("compression.type", "lz4").unwrap();
        let config = engine.log_config(&overrides);
        assert_eq!((config.flush_interval, config.compression), (None, Some(Codec::Lz4)));
        assert!(overrides.remove("flush.ms").unwrap());
        assert_eq!(engine.log_config(&overrides).flush_interval, Some(Duration::from_millis(50)));
        let effective = overrides.effective(&engine);
        assert!(effective.contains(&("flush.ms", "50".to_owned(), false)));
        assert!(effective.contains(&("compression.type", "lz4".to_owned(), true)));
    }

    #[test]
    fn a_topic_refuses_what_is_no_topic_setting() {
        let refused = |name, value| TopicConfig::new().set(name, value).unwrap_err().code();
        assert_eq!(refused("log.retention.ms", "1"), ErrorCode::INVALID_CONFIG);
        assert_eq!(refused("segment.bytes", "1023"), ErrorCode::INVALID_CONFIG);
        assert_eq!(refused("cleanup.policy", "compact"), ErrorCode::INVALID_CONFIG);
        assert_eq!(refused("min.compaction.lag.ms", "1"), ErrorCode::INVALID_CONFIG);
    }
}
