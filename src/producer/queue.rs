//! One partition as a producer sees it: its accumulator behind a short lock, its leader, and where its waiters wait.

use super::accumulator::Accumulator;
use super::host::{HostPartition, HostTopic, Seat};
use super::news::News;
use super::parking::Parking;
use super::shared::Shared;
use super::topics::TopicState;
use crate::error::{Error, ErrorCode, Result};
use parking_lot::Mutex;
use std::any::Any;
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
    found: OnceLock<Found>,
}

struct Found {
    log: Arc<dyn HostPartition>,
    is_shared: bool,
    _subscription: Option<Box<dyn Any + Send + Sync>>,
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
            found: OnceLock::new(),
        }
    }

    /// The partition, found once.
    #[inline]
    pub fn log(self: &Arc<Self>, shared: &Shared) -> Result<&Arc<dyn HostPartition>> {
        match self.found.get() {
            Some(found) => Ok(&found.log),
            None => self.find(shared),
        }
    }

    #[cold]
    fn find(self: &Arc<Self>, shared: &Shared) -> Result<&Arc<dyn HostPartition>> {
        let log = self.host.partition(self.partition)?;
        let found = self.found.get_or_init(|| {
            let subscription = log.subscribe(News::of(shared, self));
            // Who says that he knows of no others and does not lead himself is not believed.
            let is_shared = subscription.is_some() || log.seat() != Seat::Here;
            Found { log, is_shared, _subscription: subscription }
        });
        Ok(&found.log)
    }

    /// Whether another node may lead the partition, now or later. False until it was found.
    #[inline]
    pub fn is_shared(&self) -> bool {
        self.found.get().is_some_and(|found| found.is_shared)
    }

    /// The topic is gone: the next send looks it up again.
    pub fn retire(&self) {
        self.retired.store(true, Relaxed);
    }

    /// Where another node may lead, the topic counts as gone when nothing is left here and nobody knew the partition at last. Not
    /// earlier: by another queue newer records would overtake those that wait.
    pub fn retire_if_gone(&self) {
        let accumulator = self.accumulator.lock();
        let is_unknown = |error: &Error| error.code() == ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
        if accumulator.outbound.last_error().is_some_and(is_unknown) && accumulator.sequence_oldest().is_none() {
            self.retire();
        }
    }

    /// The partition, where something was appended already.
    pub fn known_log(&self) -> Option<&Arc<dyn HostPartition>> {
        self.found.get().map(|found| &found.log)
    }

    /// To be called with what the accumulator says, after every change of its queue.
    pub fn set_load(&self, load: u32) {
        if self.load.load(Relaxed) != load {
            self.load.store(load, Relaxed);
        }
    }
}
