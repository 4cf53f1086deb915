//! An engine made of vectors, for the unit tests: it can be held in the middle of an append, refuse, and lose its disk.

use super::fake_replica::FakeReplica;
use super::host::{Appended, Host, HostPartition, HostTopic, Judgement, Wakeable};
use super::{Producer, ProducerBuilder};
use crate::error::{Error, ErrorCode, Result};
use crate::record::{batches, Inflater, SealedBatch};
use crate::time::{Clock, Instant, SystemClock};
use crate::types::{Acks, LeaderEpoch, Offset, Rung, Timestamp};
use parking_lot::{Condvar, Mutex};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Weak};
use std::thread::ThreadId;
use std::time::Duration;

type Callbacks = Vec<Box<dyn FnOnce() + Send>>;

pub(super) struct FakeHost {
    clock: Arc<dyn Clock>,
    topics: Mutex<Vec<(String, Arc<dyn HostTopic>)>>,
    producers: Mutex<Vec<Weak<dyn Wakeable>>>,
    pub wake_at: AtomicU64,
    callbacks: Mutex<Callbacks>,
    pub warnings: Mutex<Vec<String>>,
    pub is_closed: AtomicBool,
}

/// A clock that is told the time.
#[derive(Default)]
pub(super) struct ToldClock(AtomicU64);

impl ToldClock {
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(u64::try_from(by.as_nanos()).unwrap(), SeqCst);
    }
}

impl Clock for ToldClock {
    fn monotonic(&self) -> Instant {
        Instant(self.0.load(SeqCst))
    }
    fn realtime(&self) -> Timestamp {
        Timestamp(1_000 + i64::try_from(self.0.load(SeqCst) / 1_000_000).unwrap())
    }
}

pub(super) struct FakeTopic {
    partitions: Vec<Arc<FakePartition>>,
}

#[derive(Default)]
pub(super) struct FakePartition {
    state: Mutex<State>,
    moved: Condvar,
    pub flushes_before_ack: AtomicBool,
}

#[derive(Default)]
struct State {
    batches: Vec<Vec<u8>>,
    log_end: u64,
    flushed: u64,
    flush_count: u32,
    threads: Vec<ThreadId>,
    refusal: Option<Error>,
    flush_refusal: Option<Error>,
    bytes_max: Option<usize>,
    is_held: bool,
    inside: u32,
}

impl FakeHost {
    pub fn new() -> Arc<FakeHost> {
        FakeHost::with_clock(Arc::new(SystemClock::new()))
    }

    pub fn with_clock(clock: Arc<dyn Clock>) -> Arc<FakeHost> {
        Arc::new(FakeHost {
            clock,
            topics: Mutex::default(),
            producers: Mutex::default(),
            wake_at: AtomicU64::new(u64::MAX),
            callbacks: Mutex::default(),
            warnings: Mutex::default(),
            is_closed: AtomicBool::new(false),
        })
    }

    pub fn create(&self, topic: &str, partitions: usize) -> Arc<FakeTopic> {
        let made = Arc::new(FakeTopic { partitions: (0..partitions).map(|_| Arc::default()).collect() });
        self.add(topic, made.clone());
        made
    }

    /// A topic with one partition that other nodes may lead.
    pub fn create_shared(&self, topic: &str) -> Arc<FakeReplica> {
        let made = Arc::<FakeReplica>::default();
        self.add(topic, made.clone());
        made
    }

    fn add(&self, topic: &str, made: Arc<dyn HostTopic>) {
        let mut topics = self.topics.lock();
        topics.retain(|(name, _)| name != topic);
        topics.push((topic.to_string(), made));
    }

    pub fn builder(self: &Arc<Self>) -> ProducerBuilder {
        ProducerBuilder::new(self.clone())
    }

    /// A producer with these settings.
    pub fn producer(self: &Arc<Self>, settings: &[(&str, &str)]) -> Producer {
        let with = |builder: ProducerBuilder, (name, value): &(&str, &str)| builder.set(name, value).unwrap();
        settings.iter().fold(self.builder(), with).open().unwrap()
    }

    /// What `kafkalog-node` does when it wakes.
    pub fn tick(&self) -> Option<Instant> {
        let producers: Vec<_> = self.producers.lock().iter().filter_map(Weak::upgrade).collect();
        producers.iter().filter_map(|producer| producer.run(self.clock.monotonic())).min()
    }

    /// What `kafkalog-callbacks` does.
    pub fn run_callbacks(&self) -> usize {
        let callbacks = std::mem::take(&mut *self.callbacks.lock());
        let count = callbacks.len();
        callbacks.into_iter().for_each(|callback| callback());
        count
    }
}

impl Host for FakeHost {
    fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }
    fn topic(&self, name: &str) -> Result<Arc<dyn HostTopic>> {
        let topics = self.topics.lock();
        match topics.iter().find(|(known, _)| known == name) {
            Some((_, topic)) => Ok(topic.clone()),
            None => Err(Error::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, name)),
        }
    }
    fn register(&self, producer: Weak<dyn Wakeable>) {
        self.producers.lock().push(producer);
    }
    fn wake_by(&self, when: Instant) {
        self.wake_at.fetch_min(when.0, SeqCst);
    }
    fn call_back(&self, callback: Box<dyn FnOnce() + Send>) {
        self.callbacks.lock().push(callback);
    }
    fn log_warning(&self, line: &str) {
        self.warnings.lock().push(line.to_string());
    }
    fn refusal(&self) -> Option<Error> {
        self.is_closed.load(SeqCst).then(|| Error::new(ErrorCode::CLOSED, "closed"))
    }
}

impl FakeTopic {
    pub fn at(&self, partition: usize) -> &Arc<FakePartition> {
        &self.partitions[partition]
    }

    /// Values of all partitions, in no particular order.
    pub fn all_values(&self) -> Vec<String> {
        self.partitions.iter().flat_map(|partition| partition.values()).collect()
    }
}

impl HostTopic for FakeTopic {
    fn partition_count(&self) -> u32 {
        u32::try_from(self.partitions.len()).unwrap()
    }
    fn partition(&self, partition: u32) -> Result<Arc<dyn HostPartition>> {
        Ok(self.partitions[partition as usize].clone())
    }
}

impl FakePartition {
    /// The values in the log, in its order.
    pub fn values(&self) -> Vec<String> {
        let state = self.state.lock();
        let mut inflater = Inflater::new(1 << 20);
        let mut values = Vec::new();
        for batch in &state.batches {
            let (_, view) = batches(batch).next().unwrap().unwrap();
            view.verify().unwrap();
            for record in view.records(&mut inflater).unwrap() {
                values.push(String::from_utf8(record.unwrap().value.unwrap_or(b"-").to_vec()).unwrap());
            }
        }
        values
    }

    /// Records of each batch.
    pub fn batch_sizes(&self) -> Vec<u32> {
        let state = self.state.lock();
        state
            .batches
            .iter()
            .map(|batch| batches(batch).next().unwrap().unwrap().1.header().record_count as u32)
            .collect()
    }

    /// Who appended each batch.
    pub fn threads(&self) -> Vec<ThreadId> {
        self.state.lock().threads.clone()
    }

    pub fn flush_count(&self) -> u32 {
        self.state.lock().flush_count
    }

    pub fn refuse(&self, error: Option<Error>) {
        self.state.lock().refusal = error;
    }

    pub fn refuse_flushes(&self, error: Error) {
        self.state.lock().flush_refusal = Some(error);
    }

    pub fn limit_batches(&self, bytes_max: usize) {
        self.state.lock().bytes_max = Some(bytes_max);
    }

    /// From now on appends stop in the middle, until `release`.
    pub fn hold(&self) {
        self.state.lock().is_held = true;
    }

    pub fn release(&self) {
        self.state.lock().is_held = false;
        self.moved.notify_all();
    }

    /// Waits until somebody is inside an append.
    pub fn wait_until_inside(&self) {
        let mut state = self.state.lock();
        self.moved.wait_while(&mut state, |state| state.inside == 0);
    }
}

impl HostPartition for FakePartition {
    fn append(&self, batch: &mut SealedBatch, acks: Acks) -> Result<Appended> {
        let mut state = self.state.lock();
        state.inside += 1;
        assert_eq!(state.inside, 1, "one appender at a time");
        self.moved.notify_all();
        self.moved.wait_while(&mut state, |state| state.is_held);
        state.inside -= 1;
        if let Some(refusal) = &state.refusal {
            return Err(refusal.clone());
        }
        if state.bytes_max.is_some_and(|max| batch.bytes().len() > max) {
            return Err(Error::new(ErrorCode::MESSAGE_TOO_LARGE, "larger than max.message.bytes"));
        }
        let base = Offset(state.log_end);
        batch.stamp(base, crate::types::LeaderEpoch(0));
        state.log_end += u64::from(batch.record_count());
        state.batches.push(batch.bytes().to_vec());
        state.threads.push(std::thread::current().id());
        let rung = match acks {
            _ if self.must_flush_before_ack() => Rung::Written,
            _ => Rung::Replicated,
        };
        let last_offset = Offset(state.log_end - 1);
        Ok(Appended { base_offset: base, last_offset, log_append_time: None, rung, leader_epoch: LeaderEpoch(0) })
    }
    fn must_flush_before_ack(&self) -> bool {
        self.flushes_before_ack.load(SeqCst)
    }
    fn wait_for(&self, end: Offset, _: Rung, _: Option<Instant>) -> Result<Rung> {
        let mut state = self.state.lock();
        if state.flushed < end.0 {
            if let Some(refusal) = &state.flush_refusal {
                return Err(refusal.clone());
            }
            state.flushed = state.log_end;
            state.flush_count += 1;
        }
        Ok(Rung::Replicated)
    }
    fn judge(&self, end: Offset, _: LeaderEpoch, needed: Rung) -> Judgement {
        let state = self.state.lock();
        let rung =
            if end.0 <= state.flushed || !self.must_flush_before_ack() { Rung::Replicated } else { Rung::Written };
        if rung >= needed {
            Judgement::Reached(rung)
        } else {
            Judgement::Wait
        }
    }
}
