//! The topics a producer has sent to. Looking one up takes no lock and no atomic write.

use super::host::HostTopic;
use super::partitioner;
use super::queue::PartitionQueue;
use crate::error::Result;
use parking_lot::RwLock;
use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

/// Topics that can be found without a lock; more than these go through the map.
const SLOTS: usize = 64;

/// One topic: its partitions' queues and the sticky partition.
pub(super) struct TopicState {
    pub name: Arc<str>,
    pub host: Arc<dyn HostTopic>,
    pub sticky: AtomicU32,
    queues: Queues,
    /// The topic was deleted; a topic of that name is another one.
    pub retired: Arc<AtomicBool>,
}

impl TopicState {
    pub fn new(name: Arc<str>, host: Arc<dyn HostTopic>, random: u64) -> TopicState {
        let sticky = AtomicU32::new(partitioner::next_sticky(host.partition_count().max(1), &[], random));
        TopicState { name, host, sticky, queues: Queues::default(), retired: Arc::default() }
    }

    /// The queue of a partition, which must exist.
    #[inline]
    pub fn queue(&self, partition: u32, make: impl FnOnce() -> PartitionQueue) -> &Arc<PartitionQueue> {
        self.queues.get_or_make(partition, make)
    }

    /// All queues that were ever used.
    pub fn queues(&self) -> impl Iterator<Item = &Arc<PartitionQueue>> {
        self.queues.all()
    }

    /// Queue lengths of all partitions; empty as long as some partition never had a queue.
    pub fn loads(&self) -> Vec<u32> {
        let count = self.host.partition_count() as usize;
        let loads: Vec<u32> = self.queues().map(|queue| queue.load.load(Relaxed)).collect();
        if loads.len() == count {
            loads
        } else {
            Vec::new()
        }
    }
}

/// A table that only grows, in chunks of 1, 2, 4, ... so that nothing in it ever moves.
#[derive(Default)]
struct Queues {
    chunks: [OnceLock<Chunk>; 32],
}

type Chunk = Box<[OnceLock<Arc<PartitionQueue>>]>;

impl Queues {
    #[inline]
    fn get_or_make(&self, partition: u32, make: impl FnOnce() -> PartitionQueue) -> &Arc<PartitionQueue> {
        let number = u64::from(partition) + 1;
        let chunk = number.ilog2();
        let slots =
            self.chunks[chunk as usize % 32].get_or_init(|| (0..1u64 << chunk).map(|_| OnceLock::new()).collect());
        slots[(number - (1 << chunk)) as usize].get_or_init(|| Arc::new(make()))
    }

    fn all(&self) -> impl Iterator<Item = &Arc<PartitionQueue>> {
        self.chunks.iter().filter_map(OnceLock::get).flat_map(|slots| slots.iter().filter_map(OnceLock::get))
    }
}

/// All topics by name.
pub(super) struct TopicTable {
    slots: [OnceLock<Arc<TopicState>>; SLOTS],
    all: RwLock<BTreeMap<Arc<str>, Arc<TopicState>>>,
}

/// A topic that was found: borrowed from its slot, or shared when it has none.
pub(super) enum Found<'a> {
    Slot(&'a Arc<TopicState>),
    Map(Arc<TopicState>),
}

impl Deref for Found<'_> {
    type Target = TopicState;
    #[inline]
    fn deref(&self) -> &TopicState {
        match self {
            Found::Slot(topic) => topic,
            Found::Map(topic) => topic,
        }
    }
}

impl TopicTable {
    pub fn new() -> TopicTable {
        TopicTable { slots: [const { OnceLock::new() }; SLOTS], all: RwLock::default() }
    }

    /// The topic called `name`, if it has a slot.
    #[inline]
    pub fn get(&self, name: &str) -> Option<Found<'_>> {
        let topic = self.slots[slot_of(name)].get()?;
        (*topic.name == *name && !topic.retired.load(Relaxed)).then_some(Found::Slot(topic))
    }

    /// The topic called `name`; `find` is asked for one that is not known yet (or was deleted).
    pub fn get_or_find(&self, name: &str, find: impl FnOnce() -> Result<TopicState>) -> Result<Found<'_>> {
        if let Some(topic) = self.all.read().get(name).filter(|topic| !topic.retired.load(Relaxed)) {
            return Ok(Found::Map(topic.clone()));
        }
        // Found without holding the lock: it may create the topic. Of two who find the same one, the first to come wins.
        let found = Arc::new(find()?);
        let mut all = self.all.write();
        if let Some(topic) = all.get(name).filter(|topic| !topic.retired.load(Relaxed)) {
            return Ok(Found::Map(topic.clone()));
        }
        all.insert(found.name.clone(), found.clone());
        let _ = self.slots[slot_of(name)].set(found.clone()); // taken: then this topic is found in the map
        Ok(Found::Map(found))
    }

    /// Every topic, the retired ones that still have a slot included: their last batches may be under way.
    pub fn all(&self) -> Vec<Arc<TopicState>> {
        let mut topics: Vec<Arc<TopicState>> = self.all.read().values().cloned().collect();
        for slotted in self.slots.iter().filter_map(OnceLock::get) {
            if !topics.iter().any(|topic| Arc::ptr_eq(topic, slotted)) {
                topics.push(slotted.clone());
            }
        }
        topics
    }
}

/// Cheap and good enough: length and the last bytes, where names differ most.
#[inline]
fn slot_of(name: &str) -> usize {
    let bytes = name.as_bytes();
    let mut hash = bytes.len() as u64;
    if let Some(last) = bytes.last_chunk::<8>() {
        hash ^= u64::from_le_bytes(*last);
    } else {
        for byte in bytes {
            hash = (hash << 8) ^ u64::from(*byte);
        }
    }
    (hash.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58) as usize % SLOTS
}
