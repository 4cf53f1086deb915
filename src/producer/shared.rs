//! What all clones of a producer share, and the way of one record into its batch.

use super::batch::Batch;
use super::host::Host;
use super::memory::BufferMemory;
use super::queue::PartitionQueue;
use super::spares::bound;
use super::stats::Counters;
use super::teller::Teller;
use super::topics::{Found, TopicState, TopicTable};
use super::{partitioner, DeliverySink, PartitionChoice, Partitioner, Record};
use crate::config::ProducerConfig;
use crate::error::{Error, ErrorCode, Result};
use crate::record::{record_bytes_upper_bound, RecordRef, BATCH_HEADER_BYTES};
use crate::time::{Clock, Instant};
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::{Arc, Weak};

/// Emptied batches kept for reuse at most.
const SPARES_MAX: u64 = 64;

pub(super) struct Shared {
    pub me: Weak<Shared>,
    pub host: Arc<dyn Host>,
    pub clock: Arc<dyn Clock>,
    pub config: ProducerConfig,
    pub partitioner: Option<Arc<dyn Partitioner>>,
    pub sink: Option<Arc<dyn DeliverySink>>,
    pub topics: TopicTable,
    pub memory: BufferMemory,
    pub counters: Counters,
    pub is_closed: AtomicBool,
    /// The first failure since the last flush.
    pub failure: Mutex<Option<Error>>,
    /// Queues that the timer has to look at.
    pub listed: Mutex<Vec<Arc<PartitionQueue>>>,
    /// When the timer will come, as far as we asked; `u64::MAX` is never.
    pub wake_at: AtomicU64,
    // linger.ms is not 0.
    lingers: bool,
    // Boxed, because a batch is handed from queue to queue and should not be copied each time.
    #[allow(clippy::vec_box)]
    pub spares: Mutex<Vec<Box<Batch>>>,
    /// Memory of batches that were sealed and kept until they were acknowledged; as many as spares at the most.
    pub buffers: Mutex<Vec<Vec<u8>>>,
    pub spares_max: usize,
    queues_made: AtomicUsize,
}

/// Where a partition came from: only the sticky rule may change its mind.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Choice {
    Fixed,
    Sticky,
}

impl Shared {
    pub fn new(
        host: Arc<dyn Host>,
        config: ProducerConfig,
        partitioner: Option<Arc<dyn Partitioner>>,
        sink: Option<Arc<dyn DeliverySink>>,
    ) -> Arc<Shared> {
        Arc::new_cyclic(|me| Shared {
            me: me.clone(),
            clock: host.clock().clone(),
            host,
            memory: BufferMemory::new(config.buffer_bytes),
            lingers: !config.linger.is_zero(),
            // A quarter of the memory at most.
            spares_max: (config.buffer_bytes / u64::from(config.batch_bytes.max(1)) / 4).clamp(4, SPARES_MAX) as usize,
            config,
            partitioner,
            sink,
            topics: TopicTable::new(),
            counters: Counters::default(),
            is_closed: AtomicBool::new(false),
            failure: Mutex::new(None),
            listed: Mutex::default(),
            wake_at: AtomicU64::new(u64::MAX),
            spares: Mutex::default(),
            buffers: Mutex::default(),
            queues_made: AtomicUsize::new(0),
        })
    }

    /// Puts a record into the open batch of its partition, and carries to the log what became full by that.
    #[inline]
    pub fn enqueue<T: Teller>(&self, record: &Record<'_>, teller: T) -> Result<T::Told> {
        let topic = match self.topics.get(record.topic) {
            Some(topic) => topic,
            None => self.find_topic(record.topic)?,
        };
        let bytes = RecordRef { key: record.key, value: record.value, headers: record.headers };
        let record_bytes = BATCH_HEADER_BYTES + record_bytes_upper_bound(bytes);
        if record_bytes > self.config.request_bytes_max as usize {
            return Err(self.too_large(record, record_bytes));
        }
        let (mut partition, choice) = self.choose(&topic, record)?;
        let mut spare: Option<Box<Batch>> = None;
        loop {
            let queue = topic.queue(partition, || self.new_queue(&topic, partition));
            let mut accumulator = queue.accumulator.lock();
            if choice == Choice::Sticky {
                // It may have changed while we waited for the lock.
                let now_sticky = topic.sticky.load(Relaxed);
                if now_sticky != partition {
                    partition = now_sticky;
                    continue;
                }
            }
            if accumulator.is_closed {
                drop(accumulator);
                return Err(self.refuse_closed(spare));
            }
            if !accumulator.has_room_for(bytes) {
                // A full batch is a good moment to leave a sticky partition that has had its share.
                let switch = choice == Choice::Sticky && accumulator.poll_sticky_switch();
                // What is full goes first.
                let full = accumulator.poll_full();
                let batch = if switch || full.is_some() {
                    None
                } else {
                    spare.take().or_else(|| self.batch_at_hand(&mut accumulator, record_bytes, queue))
                };
                let Some(batch) = batch else {
                    drop(accumulator);
                    if switch {
                        self.switch_sticky(&topic, partition);
                    }
                    match full {
                        Some(full) => self.carry_on_pace(queue, full),
                        None if switch => {}
                        // Not under the lock: it may wait for memory.
                        None => spare = Some(self.new_batch(queue, record_bytes)?),
                    }
                    continue;
                };
                accumulator.open(bound(batch, queue));
            }
            let goes_at_once = accumulator.goes_at_once();
            let timestamp = match record.timestamp {
                Some(told) => told,
                None => accumulator.timestamp(&*self.clock),
            };
            let (open, receipt) = match accumulator.handle_record(bytes, timestamp) {
                Ok(taken) => taken,
                Err(refused) => {
                    let empty = accumulator.take_empty();
                    drop(accumulator);
                    return Err(self.refuse(refused, empty.or(spare)));
                }
            };
            let is_first = receipt.offset_delta == 0;
            if is_first && !goes_at_once {
                open.completion.set_opened_at(self.clock.monotonic());
            }
            let told = teller.join(open, receipt);
            let sendable = accumulator.poll_after_record();
            let switch = choice == Choice::Sticky && accumulator.poll_sticky_switch();
            // Without linger nobody has to come back: either it goes now, or whoever appends takes it over.
            let wake_at = if is_first && self.lingers { accumulator.linger_until() } else { None };
            let is_new_on_list = wake_at.is_some() && !std::mem::replace(&mut accumulator.is_listed, true);
            drop(accumulator);
            if let Some(at) = wake_at {
                if is_new_on_list {
                    self.listed.lock().push(queue.clone());
                }
                self.wake_by(at);
            }
            if switch {
                self.switch_sticky(&topic, partition);
            }
            if let Some(sendable) = sendable {
                self.carry_on_pace(queue, sendable);
            }
            if spare.is_some() {
                self.recycle_unused(spare);
            }
            return Ok(told);
        }
    }

    /// Carries a batch on the thread of a sender.
    #[inline]
    fn carry_on_pace(&self, queue: &Arc<PartitionQueue>, batch: Box<Batch>) {
        self.carry(queue, batch);
        if queue.is_shared() {
            self.keep_pace(queue);
        }
    }

    #[cold]
    #[inline(never)]
    fn find_topic(&self, name: &str) -> Result<Found<'_>> {
        let found = self.topics.get_or_find(name, || {
            if self.is_closed.load(Relaxed) {
                return Err(self.closed());
            }
            let host = self.host.topic(name)?;
            Ok(TopicState::new(name.into(), host, fastrand::u64(..)))
        });
        found.map_err(|refused| self.refuse(refused, None))
    }

    /// Counts a record that never came into a batch.
    #[cold]
    #[inline(never)]
    pub fn refuse(&self, refused: Error, unused: Option<Box<Batch>>) -> Error {
        self.counters.records_refused.fetch_add(1, Relaxed);
        self.recycle_unused(unused);
        refused
    }

    #[cold]
    #[inline(never)]
    fn refuse_closed(&self, unused: Option<Box<Batch>>) -> Error {
        self.refuse(self.closed(), unused)
    }

    fn new_queue(&self, topic: &TopicState, partition: u32) -> PartitionQueue {
        let queue = PartitionQueue::new(topic, partition, self.config.batch_bytes as usize, self.config.linger);
        let mut accumulator = queue.accumulator.lock();
        accumulator.keeps_spare = self.queues_made.fetch_add(1, Relaxed) < self.spares_max;
        // Close goes through the queues that exist after it has set this.
        accumulator.is_closed = self.is_closed.load(SeqCst);
        drop(accumulator);
        queue
    }

    #[inline]
    fn choose(&self, topic: &TopicState, record: &Record<'_>) -> Result<(u32, Choice)> {
        let partition_count = topic.host.partition_count();
        let fixed = if let Some(wanted) = record.partition {
            wanted
        } else if let Some(custom) = &self.partitioner {
            custom.partition(PartitionChoice {
                topic: record.topic,
                key: record.key,
                value: record.value,
                partition_count,
            })
        } else if let Some(key) = record.key.filter(|_| !self.config.partitioner_ignores_keys) {
            partitioner::partition_of_key(key, partition_count.max(1))
        } else {
            return Ok((topic.sticky.load(Relaxed), Choice::Sticky));
        };
        if fixed < partition_count {
            return Ok((fixed, Choice::Fixed));
        }
        Err(self.no_such_partition(record, fixed, partition_count))
    }

    #[cold]
    fn no_such_partition(&self, record: &Record<'_>, fixed: u32, partition_count: u32) -> Error {
        let text = format!("{} has {partition_count} partitions, there is no partition {fixed}", record.topic);
        let by_partitioner = record.partition.is_none() && self.partitioner.is_some();
        let code = if by_partitioner { ErrorCode::INVALID_ARG } else { ErrorCode::UNKNOWN_TOPIC_OR_PARTITION };
        self.refuse(Error::new(code, text), None)
    }

    #[cold]
    fn switch_sticky(&self, topic: &TopicState, from: u32) {
        let loads = if self.config.partitioner_is_adaptive { topic.loads() } else { Vec::new() };
        let next = partitioner::next_sticky(topic.host.partition_count().max(1), &loads, fastrand::u64(..));
        // Somebody else may have switched meanwhile; then his choice stands.
        let _ = topic.sticky.compare_exchange(from, next, Relaxed, Relaxed);
    }

    #[cold]
    fn too_large(&self, record: &Record<'_>, bytes: usize) -> Error {
        let limit = self.config.request_bytes_max;
        let text = format!("{}: a record of up to {bytes} bytes is larger than max.request.size={limit}", record.topic);
        self.refuse(Error::new(ErrorCode::MESSAGE_TOO_LARGE, text), None)
    }

    #[cold]
    pub fn closed(&self) -> Error {
        self.host.refusal().unwrap_or_else(|| Error::new(ErrorCode::DESTROY, "the producer is closed"))
    }

    /// Asks the timer to come not later than `when`.
    pub fn wake_by(&self, when: Instant) {
        if when.0 < self.wake_at.load(Relaxed) && when.0 < self.wake_at.fetch_min(when.0, Relaxed) {
            self.host.wake_by(when);
        }
    }
}
