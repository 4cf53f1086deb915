//! One partition as a producer sees it: its accumulator behind a short lock, its leader, and where its waiters wait.

use super::accumulator::Accumulator;
use super::host::{HostPartition, HostTopic};
use super::parking::Parking;
use super::topics::TopicState;
use crate::error::Result;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Alone on its cache lines, so that senders to different partitions do not slow each other down.
#[repr(align(128))]
pub(super) struct PartitionQueue {
    pub accumulator: Mutex<Accumulator>,
    pub parking: Parking,
    pub topic: Arc<str>,
    pub partition: u32,
    /// Batches waiting to be appended, for the adaptive partitioner.
    pub load: AtomicU32,
    host: Arc<dyn HostTopic>,
    // Shared with the topic: it was deleted.
    retired: Arc<AtomicBool>,
    log: OnceLock<Arc<dyn HostPartition>>,
}

impl PartitionQueue {
    pub fn new(topic: &TopicState, partition: u32, batch_bytes: usize, linger: Duration) -> PartitionQueue {
        PartitionQueue {
            accumulator: Mutex::new(Accumulator::new(batch_bytes, linger)),
            parking: Parking::default(),
            topic: topic.name.clone(),
            partition,
            load: AtomicU32::new(0),
            host: topic.host.clone(),
            retired: topic.retired.clone(),
            log: OnceLock::new(),
        }
    }

    /// The leader of the partition, found once.
    pub fn log(&self) -> Result<&Arc<dyn HostPartition>> {
        if let Some(log) = self.log.get() {
            return Ok(log);
        }
        let found = self.host.partition(self.partition)?;
        Ok(self.log.get_or_init(|| found))
    }

    /// The topic is gone: the next send looks it up again.
    pub fn retire(&self) {
        self.retired.store(true, Relaxed);
    }

    /// The leader, where something was appended already.
    pub fn known_log(&self) -> Option<&Arc<dyn HostPartition>> {
        self.log.get()
    }

    /// To be called with what the accumulator says, after every change of its queue.
    pub fn set_load(&self, load: u32) {
        if self.load.load(Relaxed) != load {
            self.load.store(load, Relaxed);
        }
    }
}
