//! One node without threads: topics, their partitions, and what has to be done from time to time.
//!
//! Whoever runs a [`Node`] calls it: users' threads append and read, one thread (or a simulator's loop) calls
//! [`tick`](Node::tick) when the answer of the last tick, or the [`Alarm`], says so. The node has no thread and no clock of its
//! own, takes one lock at a time, and calls listeners with none.
//!
//! A crash at any moment leaves a directory that opens: topics are added to the catalogue before their directories are made,
//! are marked as "being deleted" there before their directories go, and everything else is Kafka's own set of files.

mod admin;
mod append;
mod append_all;
mod catalogue;
mod checkpoints;
mod close;
mod cluster;
mod deletions;
mod house;
mod listeners;
#[cfg(feature = "quorum")]
mod member;
#[cfg(feature = "quorum")]
mod metadata;
mod metered_disk;
mod notices;
mod open_partitions;
mod partition;
mod replica;
mod slot;
mod space;
mod start;
mod stats;
#[cfg(test)]
mod tests;
mod topic;
mod upkeep;

pub use admin::TOPIC_PARTITIONS_MAX;
pub use append::{Grouped, Placed};
pub use catalogue::Catalogue;
#[cfg(test)]
pub(crate) use catalogue::TopicEntry;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use catalogue::TOPICS_FILE;
pub use close::CloseReport;
pub use listeners::{Notify, Subscription};
pub use notices::{Alarm, LogLevel, Notice};
pub use partition::Partition;
pub use stats::{NodeStats, PartitionStats};
pub use topic::{Topic, TopicDescription};

use crate::config::EngineConfig;
use crate::disk::Disk;
use crate::error::{Error, ErrorCode, Result};
use crate::storage::meta_properties::MetaProperties;
use crate::storage::LogDir;
use crate::time::{Clock, Instant};
use house::House;
#[cfg(feature = "quorum")]
pub(crate) use member::{Answered, ClusterNews, Member};
use parking_lot::{Mutex, RwLock};
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

/// Everything of the world that a node may touch.
#[derive(Clone)]
pub struct World {
    pub clock: Arc<dyn Clock>,
    pub disk: Arc<dyn Disk>,
    /// Where every random choice comes from.
    pub seed: u64,
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").field("seed", &self.seed).finish_non_exhaustive()
    }
}

/// Reads the catalogue of a data directory without a lock and without writing anything; `None` when there is none (a
/// directory that Kafka wrote).
pub fn read_catalogue(disk: &dyn Disk, dir: &Path) -> Result<Option<Catalogue>> {
    Catalogue::read(disk, dir)
}

/// One node. Every call from any thread.
pub struct Node {
    house: Arc<House>,
    config: EngineConfig,
    identity: MetaProperties,
    topics: RwLock<BTreeMap<Arc<str>, Arc<Topic>>>,
    // Changes of the catalogue, one at a time: held while the file is written.
    catalogue: Mutex<Catalogue>,
    /// Settings are obeyed that could not be written into it.
    catalogue_is_behind: AtomicBool,
    opened_at: Instant,
    lock: Mutex<Option<LogDir>>,
    /// Its part in a cluster, if it is one of several.
    #[cfg(feature = "quorum")]
    member: OnceLock<Arc<Member>>,
}

impl Node {
    /// The topic of this name.
    #[must_use]
    pub fn topic(&self, name: &str) -> Option<Arc<Topic>> {
        self.topics.read().get(name).cloned()
    }

    /// The partition, whose log is opened when somebody first needs it. UNKNOWN_TOPIC_OR_PARTITION when there is none.
    pub fn partition(&self, topic: &str, partition: u32) -> Result<Arc<Partition>> {
        self.house.check_open()?;
        let found = self.topic(topic).ok_or_else(|| unknown_topic(topic))?;
        found.partition(partition).ok_or_else(|| {
            let text = format!("{topic} has {} partitions, there is no {partition}", found.partition_count());
            Error::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, text)
        })
    }

    /// Every topic, by name.
    #[must_use]
    pub fn topics(&self) -> Vec<TopicDescription> {
        self.topic_handles().iter().map(|topic| topic.describe()).collect()
    }

    /// Handles of every topic, by name.
    #[must_use]
    pub fn topic_handles(&self) -> Vec<Arc<Topic>> {
        self.topics.read().values().cloned().collect()
    }

    /// The settings that the node was opened with.
    #[must_use]
    pub fn config(&self) -> &EngineConfig {
        &self.config
    }

    /// Who owns the directory.
    #[must_use]
    pub fn identity(&self) -> &MetaProperties {
        &self.identity
    }

    /// The data directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.house.dir
    }

    /// The node's one clock.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.house.clock
    }

    /// Who is to be woken when `tick` has something to do earlier than it said. Only the first one counts.
    pub fn set_alarm(&self, alarm: Arc<dyn Alarm>) {
        let _ = self.house.alarm.set(alarm); // a second one has nobody to wake
    }

    /// Who is to be woken when [`tick_upkeep`](Node::tick_upkeep) has something to do, where that is another thread's. Only the first one
    /// counts.
    pub fn set_upkeep_alarm(&self, alarm: Arc<dyn Alarm>) {
        let _ = self.house.upkeep_alarm.set(alarm); // as above
    }

    /// Puts a line among the notices.
    pub fn notice(&self, level: LogLevel, facility: &'static str, text: impl FnOnce() -> String) {
        self.house.tell_as(level, facility, text);
    }

    /// The next line for the log, oldest first.
    pub fn poll_notice(&self) -> Option<Notice> {
        self.house.notices.poll()
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").field("dir", &self.house.dir).field("topics", &self.topics.read().len()).finish()
    }
}

fn unknown_topic(topic: &str) -> Error {
    Error::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, format!("there is no topic {topic:?}"))
}
