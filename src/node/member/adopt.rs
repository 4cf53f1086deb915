//! The topics of the cluster's metadata become topics of this directory: the catalogue follows the image.

use super::super::admin::untouched;
use super::super::catalogue::TopicEntry;
use super::super::notices::Level;
use super::super::Node;
use crate::config::TopicOverrides;
use crate::controller::{Image, Topic as ImageTopic};
use crate::error::Result;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::Arc;

impl Node {
    /// Brings the catalogue into step with the image: one write for everything that is new. Topics that the image does not have are
    /// deleted where it `is_complete`, else they wait; what never belonged to the cluster is left alone.
    ///
    /// # Errors
    /// The disk's. Settings are obeyed all the same: a leader that commits by older ones than the controller decides by loses records.
    pub(super) fn adopt_topics(&self, image: &Image, is_complete: bool) -> Result<()> {
        self.obey_image(image);
        let written = self.write_image(image, is_complete);
        self.catalogue_is_behind.store(written.is_err(), Ordering::Relaxed);
        written
    }

    fn write_image(&self, image: &Image, is_complete: bool) -> Result<()> {
        for name in self.topics_that_go(image, is_complete) {
            self.delete_topic(&name)?;
        }
        let mut catalogue = self.catalogue.lock();
        let mut changed = catalogue.clone();
        for topic in image.topics() {
            let entry = entry_of(topic);
            match changed.topics.get(&*topic.name) {
                Some(known) if !known.in_cluster => {
                    let what = format!(
                        "{}: the cluster has a topic of this name, and this directory one of its own; move it away to take part",
                        topic.name
                    );
                    self.house.tell(Level::Error, || what);
                }
                _ => {
                    changed.topics.insert(topic.name.to_string(), entry);
                }
            }
        }
        if changed == *catalogue {
            return Ok(());
        }
        self.write_catalogue(&mut catalogue, changed)?;
        let mut topics = self.topics.write();
        for (name, entry) in catalogue.topics.iter().filter(|(_, entry)| entry.in_cluster && !entry.deleting) {
            match topics.get(&**name) {
                None => {
                    let overrides = self.overrides_of(name, &entry.overrides);
                    let name: Arc<str> = Arc::from(name.as_str());
                    let topic = self.topic_of(&name, entry, &overrides, |_| Ok(untouched()))?;
                    topics.insert(name, topic);
                }
                Some(topic) => {
                    if topic.partition_count() < entry.partition_count {
                        self.extend_topic(topic, entry.partition_count);
                    }
                }
            }
        }
        Ok(())
    }

    /// What is new about the settings of topics that are here.
    fn obey_image(&self, image: &Image) {
        let catalogue = self.catalogue.lock();
        let topics = self.topics.read();
        // Then it says nothing about what is obeyed.
        let is_behind = self.catalogue_is_behind.load(Ordering::Relaxed);
        for topic in image.topics() {
            let known = topics.get(&*topic.name).filter(|known| known.id() == topic.id);
            let Some((known, entry)) = known.zip(catalogue.topics.get(&*topic.name)) else { continue };
            if is_behind || entry.overrides != topic.settings {
                let overrides = self.overrides_of(&topic.name, &topic.settings);
                if known.overrides() != overrides {
                    self.obey_overrides(known, overrides);
                }
            }
        }
    }

    pub(super) fn has_cluster_topics(&self) -> bool {
        self.catalogue.lock().topics.values().any(|entry| entry.in_cluster)
    }

    /// The cluster has deleted a topic.
    pub(super) fn forget_cluster_topic(&self, name: &str) -> Result<()> {
        let is_ours = self.catalogue.lock().topics.get(name).is_some_and(|entry| entry.in_cluster);
        if is_ours {
            self.delete_topic(name)?;
        }
        Ok(())
    }

    /// Gone from the image, or there again with another identity.
    fn topics_that_go(&self, image: &Image, is_complete: bool) -> Vec<String> {
        let catalogue = self.catalogue.lock();
        let of_cluster = catalogue.topics.iter().filter(|(_, entry)| entry.in_cluster);
        let goes = of_cluster.filter(|(name, entry)| match image.topic_named(name) {
            Some(topic) => topic.id != entry.id,
            None => is_complete,
        });
        goes.map(|(name, _)| name.clone()).collect()
    }

    /// Settings that this version does not know, or not with such values, are left out and said so.
    fn overrides_of(&self, name: &str, settings: &BTreeMap<String, String>) -> TopicOverrides {
        let mut overrides = TopicOverrides::new();
        for (key, value) in settings {
            if let Err(refused) = overrides.set(key, value) {
                self.house.tell(Level::Warn, || format!("topic {name}: {refused}"));
            }
        }
        overrides
    }
}

fn entry_of(topic: &ImageTopic) -> TopicEntry {
    let replicas = topic.partitions.first().map_or(0, |first| first.replicas.len());
    TopicEntry {
        id: topic.id,
        partition_count: u32::try_from(topic.partitions.len()).expect("as many as fit into the metadata"),
        replication_factor: u16::try_from(replicas).expect("as many as there are nodes"),
        deleting: false,
        in_cluster: true,
        overrides: topic.settings.clone(),
    }
}
