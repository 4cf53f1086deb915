//! Opening a data directory: whose is it, was it closed in order, which topics and partitions are there. No log is opened.

use super::catalogue::{Catalogue, TopicEntry};
use super::checkpoints::Checkpoints;
use super::deletions::Deletions;
use super::house::House;
use super::notices::{Level, Notices};
use super::open_partitions::OpenPartitions;
use super::partition::Partition;
use super::replica::Links;
use super::slot::AtRest;
use super::space::Space;
use super::topic::{Settings, Topic};
use super::upkeep::{has_retention, Upkeep};
use super::{Node, World};
use crate::config::{EngineConfig, TopicOverrides};
use crate::disk::Disk;
use crate::error::{Error, ErrorCode, Result};
use crate::storage::log_dir::{clean_shutdown_epoch, take_clean_shutdown};
use crate::storage::meta_properties::MetaProperties;
use crate::storage::names::{parse_dir_name, DirMark};
use crate::storage::{partition_metadata, LogDir, OpenFiles};
use crate::types::{NodeId, TopicPartition};
use parking_lot::{Mutex, RwLock};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// A directory name that Kafka itself keeps beside the partitions.
const KAFKA_REMOTE_CACHE: &str = "remote-log-index-cache";
/// The log of a cluster's metadata lies beside them, too, and is no partition of anybody's.
pub(super) const METADATA_DIR: &str = "__cluster_metadata-0";

/// What the listing of a data directory shows.
#[derive(Default)]
struct Found {
    /// Partition numbers by topic.
    live: BTreeMap<Arc<str>, BTreeSet<u32>>,
    deleted: Vec<PathBuf>,
    strangers: Vec<String>,
}

impl Node {
    /// Opens a data directory, or makes a new one. Nothing is read of the logs yet: each is opened, and recovered if the
    /// last run did not end in order, when it is first needed.
    ///
    /// # Errors
    /// STATE when another process (or another engine of this one) has the directory open, or when it belongs to another node;
    /// LOG_DIR_NOT_FOUND when `dir` is not a directory; UNSUPPORTED_VERSION when a newer version wrote it; CORRUPT_MESSAGE
    /// when the catalogue is damaged; KAFKA_STORAGE_ERROR when the disk is full, read-only, or permission is missing.
    /// Nothing was changed then.
    pub fn open(dir: &Path, config: EngineConfig, world: World) -> Result<Node> {
        Node::open_with(dir, config, world, None)
    }

    /// As [`open`](Node::open); with `links` for a member of a cluster.
    pub(super) fn open_with(
        dir: &Path,
        config: EngineConfig,
        world: World,
        links: Option<Arc<dyn Links>>,
    ) -> Result<Node> {
        config.check()?;
        let World { clock, disk, seed } = world;
        let lock = LogDir::open(&disk, dir)?;
        // Everything that may refuse comes before the first change.
        let known = MetaProperties::read(disk.as_ref(), dir)?;
        let node_id = config.node_id.or(known.as_ref().and_then(|known| known.node_id)).unwrap_or(NodeId(0));
        if let Some(known) = &known {
            known.check_owner(dir, node_id)?;
        }
        let catalogue = Catalogue::read(disk.as_ref(), dir)?;
        if links.is_none() {
            check_is_alone(catalogue.as_ref(), dir)?;
        }
        let overrides = read_overrides(catalogue.as_ref())?;
        let found = look_around(disk.as_ref(), dir)?;

        let identity = MetaProperties::claim(disk.as_ref(), dir, node_id)?;
        // Before any log is touched: whatever happens from here on counts as a crash until the next orderly end.
        let previous_epoch = clean_shutdown_epoch(disk.as_ref(), dir)?;
        let was_clean = take_clean_shutdown(disk.as_ref(), dir)?;
        let checkpoints = Checkpoints::new([
            config.recovery_point_checkpoint_interval,
            config.high_watermark_checkpoint_interval,
            config.log_start_checkpoint_interval,
        ]);
        let complaints = checkpoints.load(disk.as_ref(), dir);
        let (space, disk) = Space::open(&config, disk, dir)?;
        let house = Arc::new(House {
            dir: dir.to_owned(),
            space,
            files: Arc::new(OpenFiles::new(config.open_files_max)),
            open: OpenPartitions::new(config.open_partitions_max),
            upkeep: Upkeep::new(config.retention_check_interval),
            checkpoints,
            notices: Notices::new(Arc::clone(&clock)),
            counters: super::house::HouseCounters::default(),
            alarm: OnceLock::new(),
            upkeep_alarm: OnceLock::new(),
            closed: AtomicBool::new(false),
            has_failed: AtomicBool::new(false),
            deletions: Deletions::default(),
            // The time, too: a simulation that reopens with one seed must not draw the same names again.
            randomness: Mutex::new(fastrand::Rng::with_seed(seed ^ clock.realtime().0.unsigned_abs())),
            node_id,
            links,
            left_with: AtomicU64::new(0),
            previous_epoch,
            disk,
            clock,
        });
        for complaint in complaints {
            house.tell(Level::Warn, || format!("checkpoint ignored: {}", complaint.message()));
        }
        let node = Node {
            opened_at: house.clock.monotonic(),
            config,
            identity,
            topics: RwLock::default(),
            catalogue: Mutex::new(catalogue.unwrap_or_default()),
            catalogue_is_behind: AtomicBool::new(false),
            lock: Mutex::new(Some(lock)),
            #[cfg(feature = "quorum")]
            member: OnceLock::new(),
            house,
        };
        node.move_in(found, &overrides, was_clean)?;
        Ok(node)
    }

    /// Brings catalogue and directories together.
    fn move_in(&self, mut found: Found, overrides: &BTreeMap<String, TopicOverrides>, was_clean: bool) -> Result<()> {
        let house = &self.house;
        for stranger in &found.strangers {
            house.tell(Level::Warn, || format!("{stranger}: not a partition's directory, left alone"));
        }
        self.finish_deletions(&mut found)?;
        self.adopt(&found)?;
        let catalogue = self.catalogue.lock();
        let nothing = TopicOverrides::new();
        let mut topics = self.topics.write();
        let mut retention = false;
        for (name, entry) in &catalogue.topics {
            let name: Arc<str> = Arc::from(name.as_str());
            let on_disk = found.live.get(&name);
            let overrides = overrides.get(&*name).unwrap_or(&nothing);
            let topic = self.topic_of(&name, entry, overrides, |partition| {
                let on_disk = on_disk.is_some_and(|numbers| numbers.contains(&partition.partition));
                Ok(self.as_left(partition, on_disk, was_clean))
            })?;
            retention |= on_disk.is_some() && has_retention(&topic.log_config());
            topics.insert(name, topic);
        }
        if retention {
            house.upkeep.expect_retention(house, true);
        }
        Ok(())
    }

    /// How the last run left a partition.
    fn as_left(&self, partition: &TopicPartition, on_disk: bool, was_clean: bool) -> AtRest {
        if !on_disk {
            return AtRest { clean: true, ..AtRest::default() };
        }
        let marks = self.house.checkpoints.of(partition);
        AtRest {
            recovery_point: marks.recovery_point,
            log_start: marks.log_start,
            high_watermark: marks.high_watermark,
            clean: was_clean,
            in_doubt: false,
            on_disk,
            offsets: None,
        }
    }

    pub(super) fn topic_of(
        &self,
        name: &Arc<str>,
        entry: &TopicEntry,
        overrides: &TopicOverrides,
        rest: impl Fn(&TopicPartition) -> Result<AtRest>,
    ) -> Result<Arc<Topic>> {
        let settings = Arc::new(Settings::new(entry.id, self.config.log_config(overrides)));
        let partitions = (0..entry.partition_count).map(|number| {
            let id = TopicPartition { topic: Arc::clone(name), partition: number };
            let rest = rest(&id)?;
            Ok(Partition::new(id, &self.house, &settings, rest))
        });
        let partitions = partitions.collect::<Result<Vec<_>>>()?;
        settings.set_partitions(&partitions);
        Ok(Arc::new(Topic {
            name: Arc::clone(name),
            replication_factor: entry.replication_factor,
            partitions: RwLock::new(partitions),
            overrides: RwLock::new(overrides.clone()),
            partition_count: AtomicU32::new(entry.partition_count),
            settings,
        }))
    }

    /// Topics whose deletion a crash interrupted, and directories that waited for theirs.
    fn finish_deletions(&self, found: &mut Found) -> Result<()> {
        let mut catalogue = self.catalogue.lock();
        let leaving: Vec<String> =
            catalogue.topics.iter().filter(|(_, entry)| entry.deleting).map(|(name, _)| name.clone()).collect();
        for name in &leaving {
            for number in found.live.remove(name.as_str()).into_iter().flatten() {
                self.house.rename_for_deletion(&TopicPartition::new(name.as_str(), number), Duration::ZERO)?;
            }
            catalogue.topics.remove(name);
        }
        if !leaving.is_empty() {
            self.house.disk.sync_dir(&self.house.dir).map_err(|e| Error::sync("sync directory", &self.house.dir, e))?;
            catalogue.write(self.house.disk.as_ref(), &self.house.dir)?;
        }
        for dir in &found.deleted {
            self.house.deletions.expect(dir.clone(), self.house.clock.monotonic());
        }
        self.house.deletions.remove_due(&self.house, self.house.clock.monotonic());
        Ok(())
    }

    /// Directories without an entry were written by Kafka: their topics become ours.
    fn adopt(&self, found: &Found) -> Result<()> {
        let mut catalogue = self.catalogue.lock();
        let mut changed = false;
        for (topic, numbers) in &found.live {
            let partition_count = numbers.last().map_or(0, |last| last + 1);
            match catalogue.topics.get_mut(&**topic) {
                Some(entry) if entry.partition_count >= partition_count => {}
                Some(entry) => {
                    entry.partition_count = partition_count;
                    changed = true;
                }
                None => {
                    let id = self.id_on_disk(topic, numbers)?;
                    let entry = TopicEntry {
                        id,
                        partition_count,
                        replication_factor: 1,
                        deleting: false,
                        in_cluster: false,
                        overrides: BTreeMap::new(),
                    };
                    catalogue.topics.insert(topic.to_string(), entry);
                    self.house.tell(Level::Info, || format!("{topic}: found in {partition_count} directories"));
                    changed = true;
                }
            }
        }
        if changed {
            catalogue.write(self.house.disk.as_ref(), &self.house.dir)?;
        }
        Ok(())
    }

    fn id_on_disk(&self, topic: &Arc<str>, numbers: &BTreeSet<u32>) -> Result<[u8; 16]> {
        for &number in numbers {
            let dir = self.house.partition_dir(&TopicPartition { topic: Arc::clone(topic), partition: number });
            if let Some(id) = partition_metadata::read(self.house.disk.as_ref(), &dir)? {
                return Ok(id);
            }
        }
        Ok(self.draw_topic_id())
    }

    /// Drawn from the world's seed, so that a simulation repeats itself. As Kafka's, its text does not begin with `-`.
    pub(crate) fn draw_topic_id(&self) -> [u8; 16] {
        let mut randomness = self.house.randomness.lock();
        loop {
            let id = randomness.u128(1..).to_be_bytes();
            if !partition_metadata::format_id(&id).starts_with('-') {
                return id;
            }
        }
    }
}

/// What a member of a cluster has written may be acknowledged by others; alone, nobody may go on with it.
fn check_is_alone(catalogue: Option<&Catalogue>, dir: &Path) -> Result<()> {
    let of_cluster = |catalogue: &Catalogue| catalogue.topics.values().any(|entry| entry.in_cluster);
    if !catalogue.is_some_and(of_cluster) {
        return Ok(());
    }
    let text = format!(
        "{} belongs to a member of a cluster: open it with controller.quorum.voters and listeners as before, or read-only",
        dir.display()
    );
    Err(Error::new(ErrorCode::STATE, text))
}

/// The settings of every topic, checked again: they may have been written by a version that knew more of them.
fn read_overrides(catalogue: Option<&Catalogue>) -> Result<BTreeMap<String, TopicOverrides>> {
    let mut all = BTreeMap::new();
    for (name, entry) in catalogue.into_iter().flat_map(|catalogue| &catalogue.topics) {
        let mut overrides = TopicOverrides::new();
        for (key, value) in &entry.overrides {
            overrides.set(key, value).map_err(|e| e.within(format!("topic {name}")))?;
        }
        all.insert(name.clone(), overrides);
    }
    Ok(all)
}

fn look_around(disk: &dyn Disk, dir: &Path) -> Result<Found> {
    let mut found = Found::default();
    let entries = disk.list(dir).map_err(|e| Error::io("list", dir, e))?;
    for entry in
        entries.into_iter().filter(|entry| entry.is_dir && ![KAFKA_REMOTE_CACHE, METADATA_DIR].contains(&&*entry.name))
    {
        match parse_dir_name(&entry.name) {
            Some((id, DirMark::Live)) => {
                if id.partition >= super::TOPIC_PARTITIONS_MAX {
                    let text = format!(
                        "{}: partition number above {}",
                        dir.join(&entry.name).display(),
                        super::TOPIC_PARTITIONS_MAX - 1
                    );
                    return Err(Error::new(ErrorCode::INVALID_PARTITIONS, text));
                }
                match found.live.get_mut(&id.topic) {
                    Some(numbers) => {
                        numbers.insert(id.partition);
                    }
                    None => {
                        found.live.insert(id.topic, BTreeSet::from([id.partition]));
                    }
                }
            }
            Some((_, DirMark::Deleted)) => found.deleted.push(dir.join(entry.name)),
            Some((_, DirMark::Stray | DirMark::Future)) | None => found.strangers.push(entry.name),
        }
    }
    Ok(found)
}
