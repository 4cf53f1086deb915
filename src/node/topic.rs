//! A topic of this node, and its settings as all of its partitions see them.

use super::partition::Partition;
use crate::config::{LogConfig, TopicOverrides};
use crate::types::TimestampType;
use parking_lot::RwLock;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// A limit for timestamps below this is a question of milliseconds.
const TIGHT_BELOW: Duration = Duration::from_secs(60);

/// The settings of a topic, shared by its partitions. What every append asks lies in atomics.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) topic_id: [u8; 16],
    must_flush_before_ack: AtomicBool,
    min_insync_replicas: AtomicU32,
    /// `flush.messages` where it is more than one; `u64::MAX` is never.
    flush_count: AtomicU64,
    is_time_critical: AtomicBool,
    log_config: RwLock<Arc<LogConfig>>,
    partitions: RwLock<Vec<Weak<Partition>>>,
}

impl Settings {
    pub(super) fn new(topic_id: [u8; 16], config: LogConfig) -> Settings {
        let settings = Settings {
            topic_id,
            must_flush_before_ack: AtomicBool::new(false),
            min_insync_replicas: AtomicU32::new(1),
            flush_count: AtomicU64::new(u64::MAX),
            is_time_critical: AtomicBool::new(false),
            log_config: RwLock::new(Arc::new(LogConfig::default())),
            partitions: RwLock::default(),
        };
        settings.set(config);
        settings
    }

    pub(super) fn set(&self, config: LogConfig) {
        self.must_flush_before_ack.store(config.flush_messages == Some(1), Ordering::Release);
        self.min_insync_replicas.store(config.min_insync_replicas, Ordering::Release);
        let count = config.flush_messages.filter(|count| *count > 1).unwrap_or(u64::MAX);
        self.flush_count.store(count, Ordering::Release);
        let is_tight = |limit: Option<Duration>| limit.is_some_and(|limit| limit < TIGHT_BELOW);
        let is_time_critical = config.timestamp_type == TimestampType::LogAppendTime
            || is_tight(config.timestamp_after_max)
            || is_tight(config.timestamp_before_max);
        self.is_time_critical.store(is_time_critical, Ordering::Release);
        *self.log_config.write() = Arc::new(config);
    }

    pub(super) fn must_flush_before_ack(&self) -> bool {
        self.must_flush_before_ack.load(Ordering::Acquire)
    }

    pub(super) fn min_insync_replicas(&self) -> u32 {
        self.min_insync_replicas.load(Ordering::Acquire)
    }

    pub(super) fn flush_count(&self) -> u64 {
        self.flush_count.load(Ordering::Acquire)
    }

    /// Whether milliseconds of the leader's clock decide something: otherwise the coarse clock does.
    pub(super) fn is_time_critical(&self) -> bool {
        self.is_time_critical.load(Ordering::Acquire)
    }

    pub(super) fn set_partitions(&self, partitions: &[Arc<Partition>]) {
        *self.partitions.write() = partitions.iter().map(Arc::downgrade).collect();
    }

    /// All partitions of the topic, for those who know only one of them.
    pub(super) fn partitions(&self) -> Vec<Arc<Partition>> {
        self.partitions.read().iter().filter_map(Weak::upgrade).collect()
    }

    pub(super) fn log_config(&self) -> Arc<LogConfig> {
        Arc::clone(&self.log_config.read())
    }
}

/// A topic. The handle outlives the topic's deletion; its partitions then answer UNKNOWN_TOPIC_OR_PARTITION.
#[derive(Debug)]
pub struct Topic {
    pub(super) name: Arc<str>,
    pub(super) replication_factor: u16,
    pub(super) settings: Arc<Settings>,
    pub(super) overrides: RwLock<TopicOverrides>,
    pub(super) partitions: RwLock<Vec<Arc<Partition>>>,
    pub(super) partition_count: AtomicU32,
}

impl Topic {
    /// The topic's name.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The topic's id, as in `partition.metadata`.
    #[must_use]
    pub fn id(&self) -> [u8; 16] {
        self.settings.topic_id
    }

    /// How many partitions there are; may grow, never shrinks.
    #[must_use]
    pub fn partition_count(&self) -> u32 {
        self.partition_count.load(Ordering::Acquire)
    }

    /// One of them.
    #[must_use]
    pub fn partition(&self, partition: u32) -> Option<Arc<Partition>> {
        self.partitions.read().get(partition as usize).cloned()
    }

    /// All of them, in order.
    #[must_use]
    pub fn partitions(&self) -> Vec<Arc<Partition>> {
        self.partitions.read().clone()
    }

    /// The settings as the logs see them.
    #[must_use]
    pub fn log_config(&self) -> Arc<LogConfig> {
        self.settings.log_config()
    }

    /// The settings that differ from the engine's.
    #[must_use]
    pub fn overrides(&self) -> TopicOverrides {
        self.overrides.read().clone()
    }

    /// What there is to say about it.
    #[must_use]
    pub fn describe(&self) -> TopicDescription {
        TopicDescription {
            name: Arc::clone(&self.name),
            id: self.id(),
            partition_count: self.partition_count(),
            replication_factor: self.replication_factor,
            overrides: self.overrides.read().iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect(),
        }
    }
}

/// What there is to say about a topic without opening its logs.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct TopicDescription {
    pub name: Arc<str>,
    pub id: [u8; 16],
    pub partition_count: u32,
    pub replication_factor: u16,
    /// The settings that differ from the engine's, by Kafka's names.
    pub overrides: BTreeMap<String, String>,
}
