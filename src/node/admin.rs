//! Creating, changing and deleting topics. The catalogue file is the truth; each change is durable on return.

use super::catalogue::{Catalogue, TopicEntry};
use super::notices::Level;
use super::slot::{AtRest, Slot};
use super::topic::Topic;
use super::upkeep::has_retention;
use super::{unknown_topic, Node};
use crate::config::TopicOverrides;
use crate::error::{Error, ErrorCode, Result};
use crate::storage::names::{collides, validate_topic_name};
use crate::types::TopicPartition;
use std::sync::atomic::Ordering;
use std::sync::Arc;

/// The most partitions that one topic may have.
pub const TOPIC_PARTITIONS_MAX: u32 = 100_000;

impl Node {
    /// Creates a topic. Its partitions take no space on disk before they are used.
    ///
    /// # Errors
    /// INVALID_TOPIC_EXCEPTION for an illegal name, or one that differs from an existing one only in `.` and `_`;
    /// TOPIC_ALREADY_EXISTS; INVALID_PARTITIONS unless 1 to [`TOPIC_PARTITIONS_MAX`]; INVALID_REPLICATION_FACTOR for more
    /// replicas than nodes.
    pub fn create_topic(
        &self,
        name: &str,
        partitions: u32,
        replication: u16,
        overrides: &TopicOverrides,
    ) -> Result<()> {
        self.house.check_open()?;
        validate_topic_name(name)?;
        check_partition_count(partitions)?;
        if replication != 1 {
            let text = format!("{name}: replication factor {replication}, but this is the only node");
            return Err(Error::new(ErrorCode::INVALID_REPLICATION_FACTOR, text));
        }
        let mut catalogue = self.catalogue.lock();
        check_name_is_free(&catalogue, name)?;
        let entry = TopicEntry {
            id: self.draw_topic_id(),
            partition_count: partitions,
            replication_factor: replication,
            deleting: false,
            in_cluster: false,
            overrides: overrides.iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect(),
        };
        let mut changed = catalogue.clone();
        changed.topics.insert(name.to_owned(), entry.clone());
        self.write_catalogue(&mut catalogue, changed)?;
        let name: Arc<str> = Arc::from(name);
        let topic = self.topic_of(&name, &entry, overrides, |_| Ok(untouched()))?;
        self.topics.write().insert(name, topic);
        Ok(())
    }

    /// Grows a topic to `partitions` partitions. INVALID_PARTITIONS when it has as many or more: there are never fewer.
    pub fn add_partitions(&self, name: &str, partitions: u32) -> Result<()> {
        self.house.check_open()?;
        check_partition_count(partitions)?;
        let mut catalogue = self.catalogue.lock();
        let topic = self.topic(name).ok_or_else(|| unknown_topic(name))?;
        let before = topic.partition_count();
        if partitions <= before {
            let text = format!("{name} has {before} partitions already; {partitions} is not more");
            return Err(Error::new(ErrorCode::INVALID_PARTITIONS, text));
        }
        let mut changed = catalogue.clone();
        changed.topics.get_mut(name).ok_or_else(|| unknown_topic(name))?.partition_count = partitions;
        self.write_catalogue(&mut catalogue, changed)?;
        self.extend_topic(&topic, partitions);
        Ok(())
    }

    /// The new partitions of a topic that is written down with so many.
    pub(super) fn extend_topic(&self, topic: &Topic, partitions: u32) {
        let more = (topic.partition_count()..partitions).map(|number| {
            let id = TopicPartition { topic: Arc::clone(&topic.name), partition: number };
            super::Partition::new(id, &self.house, &topic.settings, untouched())
        });
        topic.partitions.write().extend(more);
        topic.settings.set_partitions(&topic.partitions.read());
        topic.partition_count.store(partitions, Ordering::Release);
    }

    /// Sets one setting of a topic (`None`: back to the engine's default). Open logs obey at once, and it survives reopening.
    /// INVALID_CONFIG for an unknown name or a value out of range.
    pub fn alter_topic(&self, name: &str, key: &str, value: Option<&str>) -> Result<()> {
        let change: [(&str, Option<&str>); 1] = [(key, value)];
        self.alter_topic_all(name, &change)
    }

    /// Several at once: all of them, or none when one is refused.
    pub fn alter_topic_all(&self, name: &str, changes: &[(&str, Option<&str>)]) -> Result<()> {
        self.house.check_open()?;
        let mut catalogue = self.catalogue.lock();
        let topic = self.topic(name).ok_or_else(|| unknown_topic(name))?;
        let mut overrides = topic.overrides();
        for (key, value) in changes {
            match value {
                Some(value) => overrides.set(key, value)?,
                None => {
                    overrides.remove(key)?;
                }
            }
        }
        let mut changed = catalogue.clone();
        changed.topics.get_mut(name).ok_or_else(|| unknown_topic(name))?.overrides =
            overrides.iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
        self.write_catalogue(&mut catalogue, changed)?;
        self.obey_overrides(&topic, overrides);
        Ok(())
    }

    /// Settings that are written down hold from now on, for open logs, too.
    pub(super) fn obey_overrides(&self, topic: &Topic, overrides: TopicOverrides) {
        let config = self.config.log_config(&overrides);
        topic.settings.set(config.clone());
        *topic.overrides.write() = overrides;
        for partition in topic.partitions() {
            partition.expiry.store(partition.first_expiry(), Ordering::Release);
            let slot = partition.slot.read();
            if let Slot::Open(log) = &*slot {
                log.set_config(config.clone());
                // A shorter flush.ms may be due before anybody would look.
                partition.enlisted.store(true, Ordering::Release);
                self.house.upkeep.enlist(&partition, log);
            }
        }
        if has_retention(&config) {
            self.house.upkeep.expect_retention(&self.house, false);
        }
    }

    /// Deletes a topic. Its partitions answer UNKNOWN_TOPIC_OR_PARTITION from now on; its directories are renamed before this
    /// returns and removed after `file.delete.delay.ms`. A crash in between is finished by the next start.
    pub fn delete_topic(&self, name: &str) -> Result<()> {
        self.house.check_open()?;
        let mut catalogue = self.catalogue.lock();
        let topic = self.topic(name).ok_or_else(|| unknown_topic(name))?;
        let mut leaving = catalogue.clone();
        leaving.topics.get_mut(name).ok_or_else(|| unknown_topic(name))?.deleting = true;
        self.write_catalogue(&mut catalogue, leaving)?;
        self.topics.write().remove(name);
        // Crash here: the topic is gone for everybody, its directories are renamed by the next start.
        let renamed = self.delete_partitions(&topic);
        self.house.checkpoints.forget(|partition| *partition.topic == *topic.name);
        renamed?;
        let mut without = catalogue.clone();
        without.topics.remove(name);
        self.write_catalogue(&mut catalogue, without)
    }

    fn delete_partitions(&self, topic: &Topic) -> Result<()> {
        let delay = topic.log_config().file_delete_delay;
        let mut outcome = Ok(());
        for partition in topic.partitions() {
            {
                // Waits for whoever is at work in it: nobody may write to a directory that changes its name.
                let mut slot = partition.slot.write();
                if let Slot::Open(log) = &*slot {
                    self.house.open.forget(&partition.me);
                    // Nobody will read it again; how it closes does not matter.
                    if let Err(failed) = log.close() {
                        self.house.tell(Level::Debug, || format!("{}: {failed}", partition.id()));
                    }
                }
                *slot = Slot::Deleted;
                outcome = outcome.and(self.house.rename_for_deletion(partition.id(), delay));
            }
            partition.tell_everybody();
        }
        let dir = &self.house.dir;
        outcome.and(self.house.disk.sync_dir(dir).map_err(|e| Error::sync("sync directory", dir, e)))
    }

    pub(super) fn write_catalogue(&self, catalogue: &mut Catalogue, changed: Catalogue) -> Result<()> {
        changed.write(self.house.disk.as_ref(), &self.house.dir)?;
        *catalogue = changed;
        Ok(())
    }
}

pub(super) fn untouched() -> AtRest {
    AtRest { clean: true, ..AtRest::default() }
}

fn check_partition_count(partitions: u32) -> Result<()> {
    if (1..=TOPIC_PARTITIONS_MAX).contains(&partitions) {
        return Ok(());
    }
    let text = format!("{partitions} partitions; legal are 1 to {TOPIC_PARTITIONS_MAX}");
    Err(Error::new(ErrorCode::INVALID_PARTITIONS, text))
}

fn check_name_is_free(catalogue: &Catalogue, name: &str) -> Result<()> {
    if let Some(entry) = catalogue.topics.get(name) {
        let doing = if entry.deleting { "is still being deleted" } else { "exists already" };
        return Err(Error::new(ErrorCode::TOPIC_ALREADY_EXISTS, format!("{name} {doing}")));
    }
    match catalogue.topics.keys().find(|other| collides(other, name)) {
        None => Ok(()),
        Some(other) => {
            let text = format!("{name} differs from {other} only in '.' and '_'");
            Err(Error::new(ErrorCode::INVALID_TOPIC_EXCEPTION, text))
        }
    }
}
