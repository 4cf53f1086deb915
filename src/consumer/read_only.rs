//! A data directory seen from outside: no lock, nothing written, beside a live writer or after it.

use super::foreign::{ForeignLog, WatchThread};
use super::source::{Source, Sources};
use super::ConsumerBuilder;
use crate::config::{ConsumerConfig, EngineConfig};
use crate::disk::{Disk, RealDisk};
use crate::error::{Error, ErrorCode, Result};
use crate::node::{read_catalogue, TopicDescription};
use crate::storage::meta_properties::MetaProperties;
use crate::storage::names::{parse_dir_name, partition_dir_name, DirMark};
use crate::storage::partition_metadata;
use crate::types::{NodeId, TopicPartition};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Reads and tails a data directory that another process may be writing. Cheap to clone; any thread at any time.
///
/// It sees what lies complete in the files, also records that are not flushed or not yet acknowledged: a power cut may take
/// such records back, and then a reader whose position is gone is told so. `isolation.level=read_committed` is not possible
/// here.
#[derive(Clone)]
pub struct ReadOnlyEngine(Arc<Files>);

struct Files {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    node_id: Option<NodeId>,
    watch: Arc<WatchThread>,
}

impl ReadOnlyEngine {
    /// Opens `dir` for reading.
    ///
    /// # Errors
    /// `LOG_DIR_NOT_FOUND`; `KAFKA_STORAGE_ERROR` when it cannot be read; `UNSUPPORTED_VERSION` when it was written by a newer version.
    pub fn open(dir: impl AsRef<Path>) -> Result<ReadOnlyEngine> {
        let dir = dir.as_ref();
        if !dir.is_dir() {
            let message = format!("{} is no directory", dir.display());
            return Err(Error::new(ErrorCode::LOG_DIR_NOT_FOUND, message));
        }
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let owner = MetaProperties::read(&*disk, dir)?;
        read_catalogue(&*disk, dir)?;
        let node_id = owner.and_then(|owner| owner.node_id);
        Ok(ReadOnlyEngine(Arc::new(Files { disk, dir: dir.to_owned(), node_id, watch: WatchThread::new() })))
    }

    /// A consumer over this directory.
    #[must_use]
    pub fn consumer(&self) -> ConsumerBuilder {
        let pinned_bytes_max = EngineConfig::default().fetch_pinned_bytes_max;
        ConsumerBuilder::over(Arc::clone(&self.0) as Arc<dyn Sources>, pinned_bytes_max)
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.dir
    }

    /// Who owns the directory; `None` when it does not say.
    #[must_use]
    pub fn node_id(&self) -> Option<NodeId> {
        self.0.node_id
    }

    /// Every topic, by name: from the catalogue, and from the directories where there is none.
    ///
    /// # Errors
    /// `CORRUPT_MESSAGE` when the catalogue is damaged, or what listing met.
    pub fn topics(&self) -> Result<Vec<TopicDescription>> {
        let Files { disk, dir, .. } = &*self.0;
        let Some(catalogue) = read_catalogue(&**disk, dir)? else { return self.topics_by_directory() };
        let live = catalogue.topics.into_iter().filter(|(_, entry)| !entry.deleting);
        Ok(live
            .map(|(name, entry)| TopicDescription {
                name: name.into(),
                id: entry.id,
                partition_count: entry.partition_count,
                replication_factor: entry.replication_factor,
                overrides: entry.overrides,
            })
            .collect())
    }

    fn topics_by_directory(&self) -> Result<Vec<TopicDescription>> {
        let Files { disk, dir, .. } = &*self.0;
        let mut topics: BTreeMap<Arc<str>, TopicDescription> = BTreeMap::new();
        for entry in disk.list(dir).map_err(|e| Error::io("list", dir, e))? {
            let Some((id, DirMark::Live)) = parse_dir_name(&entry.name) else { continue };
            if !entry.is_dir {
                continue;
            }
            let topic_id = partition_metadata::read(&**disk, &dir.join(&entry.name)).ok().flatten();
            let topic = topics.entry(Arc::clone(&id.topic)).or_insert_with(|| TopicDescription {
                name: Arc::clone(&id.topic),
                id: topic_id.unwrap_or_default(),
                partition_count: 0,
                replication_factor: 1,
                overrides: BTreeMap::new(),
            });
            topic.partition_count = topic.partition_count.max(id.partition + 1);
        }
        Ok(topics.into_values().collect())
    }
}

impl Sources for Files {
    fn open(&self, partition: &TopicPartition, _config: &ConsumerConfig) -> Result<Arc<dyn Source>> {
        if !self.dir.join(partition_dir_name(partition)).is_dir() && !is_known(&*self.disk, &self.dir, partition)? {
            let message = format!("{partition} is not in {}", self.dir.display());
            return Err(Error::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, message));
        }
        let watch = Arc::clone(&self.watch);
        Ok(Arc::new(ForeignLog::new(Arc::clone(&self.disk), &self.dir, partition.clone(), watch)))
    }
}

/// Whether the catalogue names the partition. Its directory may come later, with the first record.
pub(super) fn is_known(disk: &dyn Disk, dir: &Path, partition: &TopicPartition) -> Result<bool> {
    let catalogue = read_catalogue(disk, dir)?.unwrap_or_default();
    let entry = catalogue.topics.get(&*partition.topic);
    Ok(entry.is_some_and(|entry| !entry.deleting && partition.partition < entry.partition_count))
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Files").field("dir", &self.dir).finish_non_exhaustive()
    }
}

impl fmt::Debug for ReadOnlyEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
