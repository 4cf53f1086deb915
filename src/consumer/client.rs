//! The consumer: positions of its partitions, and one poll that serves them in turn.

use super::faults::Faults;
use super::lane::Lane;
use super::limits::Pinned;
use super::open_batch::Checker;
use super::records::{ConsumerRecords, FetchedBatch, PositionReset};
use super::source::{Source, Sources};
use super::{StartAt, Waker};
use crate::config::{ConsumerConfig, IsolationLevel};
use crate::error::{Error, ErrorCode, Result};
use crate::record::{Inflater, INFLATED_BYTES_MAX};
use crate::types::{Offset, Timestamp, TopicPartition};
use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Reads partitions that it was assigned, each from a position of its own. `&mut self` says: one thread at a time.
pub struct Consumer {
    sources: Arc<dyn Sources>,
    config: ConsumerConfig,
    lanes: Vec<Lane>,
    /// Whose turn it is.
    turn: usize,
    checker: Checker,
    pinned: Pinned,
    waker: Waker,
}

/// What one poll has gathered.
#[derive(Default)]
struct Harvest {
    batches: Vec<FetchedBatch>,
    resets: Vec<PositionReset>,
    records: u32,
    /// Bytes that the records pin.
    bytes: u64,
    /// Bytes that were read for them, which may be more.
    fetched: u64,
}

impl Consumer {
    pub(super) fn new(
        sources: Arc<dyn Sources>,
        config: ConsumerConfig,
        pinned_bytes_max: u64,
        assigned: &[(TopicPartition, StartAt)],
    ) -> Result<Consumer> {
        config.check()?;
        let waker = Waker::new();
        let faults = Some(Arc::new(Faults::new(waker.clone())));
        let checker = Checker { checks_crcs: config.checks_crcs, inflate: Inflater::new(INFLATED_BYTES_MAX), faults };
        let pinned = Pinned::new(pinned_bytes_max, waker.clone());
        let mut consumer = Consumer { sources, config, lanes: Vec::new(), turn: 0, checker, pinned, waker };
        consumer.assign(assigned)?;
        Ok(consumer)
    }

    /// The next records, at most `max.poll.records` of them, from the partitions in turn. Waits up to `timeout` for the
    /// first one (and up to `fetch.max.wait.ms` of that for `fetch.min.bytes`); empty when none came or
    /// [`Waker::wake`] was called.
    ///
    /// # Errors
    /// `OFFSET_OUT_OF_RANGE` (with `auto.offset.reset=none`, or when the log was cut below the position) and
    /// `CORRUPT_MESSAGE` come back at each poll until a [`seek`](Consumer::seek) moves that partition. Records that were
    /// found before the bad place are handed out first. `QUEUE_FULL`: `fetch.pinned.max.bytes` of earlier records are still held.
    pub fn poll(&mut self, timeout: Duration) -> Result<ConsumerRecords> {
        let began = Instant::now();
        let mut harvest = Harvest::default();
        loop {
            let seen = self.waker.ticket();
            let outcome = self.gather(&mut harvest, self.config.poll_records_max);
            let patience = if harvest.records == 0 {
                outcome?;
                timeout
            } else if outcome.is_ok() && self.wants_company(&harvest) {
                timeout.min(self.config.fetch_wait_max)
            } else {
                Duration::ZERO
            };
            let passed = began.elapsed();
            if passed >= patience || self.waker.take_wake() {
                return self.hand_out(harvest);
            }
            self.waker.wait(seen, patience - passed);
        }
    }

    /// Whether `fetch.min.bytes` says to wait for more records before these are handed out.
    fn wants_company(&self, harvest: &Harvest) -> bool {
        harvest.bytes < u64::from(self.config.fetch_bytes_min)
            && harvest.records < self.config.poll_records_max
            && self.pinned.has_room(harvest.bytes)
    }

    /// As [`poll`](Consumer::poll) without waiting, and with a limit of its own (0: `max.poll.records`).
    ///
    /// # Errors
    /// As for [`poll`](Consumer::poll).
    pub fn poll_now(&mut self, records_max: u32) -> Result<ConsumerRecords> {
        let room = if records_max == 0 { self.config.poll_records_max } else { records_max };
        let mut harvest = Harvest::default();
        let outcome = self.gather(&mut harvest, room);
        if harvest.records == 0 {
            outcome?;
        }
        self.hand_out(harvest)
    }

    fn hand_out(&self, harvest: Harvest) -> Result<ConsumerRecords> {
        if harvest.records == 0 && !self.pinned.has_room(0) && self.has_more() {
            return Err(self.pinned.full());
        }
        let pin = (harvest.bytes > 0).then(|| self.pinned.take(harvest.bytes));
        Ok(ConsumerRecords::new(harvest.batches, harvest.resets, pin))
    }

    /// One round over the partitions, beginning with the one whose turn it is.
    fn gather(&mut self, harvest: &mut Harvest, room: u32) -> Result<()> {
        self.take_faults();
        for _ in 0..self.lanes.len() {
            if harvest.records >= room {
                return Ok(());
            }
            let at = self.turn % self.lanes.len();
            // Whatever comes of it, the next one is next: a failed partition does not keep the others from being read.
            match self.gather_from(at, harvest, room) {
                Ok(()) => self.turn = at + 1,
                Err(error) if harvest.records == 0 => {
                    self.turn = at + 1;
                    return Err(error);
                }
                // The records first; the error stays and is met again by the next poll, whose turn begins here.
                Err(error) => {
                    self.turn = at;
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    fn take_faults(&mut self) {
        let faults = self.checker.faults.as_ref().map(|faults| faults.take()).unwrap_or_default();
        for fault in faults {
            if let Ok(at) = self.find(&fault.id) {
                self.lanes[at].fetcher.handle_fault(fault.generation, fault.at, fault.error);
            }
        }
    }

    fn gather_from(&mut self, at: usize, harvest: &mut Harvest, room: u32) -> Result<()> {
        if self.lanes[at].is_paused {
            return Ok(());
        }
        while harvest.records < room {
            if let Some(error) = self.lanes[at].fetcher.failed() {
                return Err(error.clone());
            }
            if !self.pinned.has_room(harvest.bytes) {
                return Ok(());
            }
            if self.lanes[at].fetcher.is_drained() && !self.fetch(at, harvest)? {
                return Ok(());
            }
            let lane = &mut self.lanes[at];
            let taken = lane.fetcher.take(room - harvest.records, &mut self.checker, &mut harvest.batches);
            harvest.records += taken.records;
            harvest.bytes += taken.bytes;
        }
        Ok(())
    }

    /// Reads the next batches of a partition. False when there are none, or the poll has read enough.
    fn fetch(&mut self, at: usize, harvest: &mut Harvest) -> Result<bool> {
        let budget = u64::from(self.config.fetch_bytes_max).saturating_sub(harvest.fetched);
        let committed = self.reads_committed();
        let lane = &mut self.lanes[at];
        // The limit is soft until there is a record: a long run of what is nobody's must not look like the end.
        if (budget == 0 && harvest.records > 0) || !lane.news.is_fresh.swap(false, Ordering::SeqCst) {
            return Ok(false);
        }
        let bytes_max = budget.min(u64::from(self.config.partition_fetch_bytes_max));
        let mut read = lane.read(bytes_max, committed);
        if let Err(error) = &read {
            if error.code() == ErrorCode::OFFSET_OUT_OF_RANGE {
                lane.news.is_fresh.store(true, Ordering::SeqCst);
                harvest.resets.push(lane.reset(self.config.offset_reset, committed, error)?);
                read = lane.read(bytes_max, committed);
            }
        }
        // Fresh again unless the end was met: from there on only the partition itself says so.
        lane.news.is_fresh.fetch_or(!matches!(read, Ok(0)), Ordering::SeqCst);
        match read {
            Ok(bytes) => {
                harvest.fetched += bytes;
                Ok(bytes > 0)
            }
            Err(error) => {
                if is_lasting(&error) {
                    lane.fetcher.fail(error.clone());
                }
                Err(error)
            }
        }
    }

    /// Whether anything could be read if there were room for it.
    fn has_more(&self) -> bool {
        self.lanes
            .iter()
            .any(|lane| !lane.is_paused && (!lane.fetcher.is_drained() || lane.news.is_fresh.load(Ordering::SeqCst)))
    }

    /// Replaces the assignment; each partition begins where its start says. With an unknown partition the old assignment stays.
    ///
    /// # Errors
    /// `UNKNOWN_TOPIC_OR_PARTITION`, or what finding the starts met.
    pub fn assign(&mut self, partitions: &[(TopicPartition, StartAt)]) -> Result<()> {
        let mut lanes: Vec<Lane> = Vec::with_capacity(partitions.len());
        for (id, start) in partitions {
            let source = self.sources.open(id, &self.config)?;
            let lane = Lane::open(id, source, *start, self.reads_committed(), self.waker())?;
            match lanes.iter_mut().find(|known| known.fetcher.id() == id) {
                Some(known) => *known = lane,
                None => lanes.push(lane),
            }
        }
        (self.lanes, self.turn) = (lanes, 0);
        Ok(())
    }

    fn reads_committed(&self) -> bool {
        self.config.isolation == IsolationLevel::ReadCommitted
    }

    /// The partitions it reads, in the order they were assigned.
    #[must_use]
    pub fn assignment(&self) -> Vec<TopicPartition> {
        self.lanes.iter().map(|lane| lane.fetcher.id().clone()).collect()
    }

    /// Moves a partition's position; also clears an error that was raised at the old one.
    ///
    /// # Errors
    /// `STATE` when the partition is not assigned; what a timestamp lookup met.
    pub fn seek(&mut self, partition: &TopicPartition, to: StartAt) -> Result<()> {
        let at = self.find(partition)?;
        let committed = self.reads_committed();
        self.lanes[at].seek(to, committed)
    }

    /// Leaves these partitions out of the polls until [`resume`](Consumer::resume). Their positions stay.
    ///
    /// # Errors
    /// `STATE` when one is not assigned; then none is paused.
    pub fn pause(&mut self, partitions: &[TopicPartition]) -> Result<()> {
        self.set_paused(partitions, true)
    }

    /// Takes paused partitions back in.
    ///
    /// # Errors
    /// `STATE` when one is not assigned; then none is resumed.
    pub fn resume(&mut self, partitions: &[TopicPartition]) -> Result<()> {
        self.set_paused(partitions, false)
    }

    fn set_paused(&mut self, partitions: &[TopicPartition], is_paused: bool) -> Result<()> {
        let places = partitions.iter().map(|p| self.find(p)).collect::<Result<Vec<usize>>>()?;
        for at in places {
            self.lanes[at].is_paused = is_paused;
        }
        Ok(())
    }

    /// The partitions that are paused.
    #[must_use]
    pub fn paused(&self) -> Vec<TopicPartition> {
        self.lanes.iter().filter(|lane| lane.is_paused).map(|lane| lane.fetcher.id().clone()).collect()
    }

    /// The offset that the next poll begins at; `None` when the partition is not assigned.
    #[must_use]
    pub fn position(&self, partition: &TopicPartition) -> Option<Offset> {
        self.find(partition).ok().map(|at| self.lanes[at].fetcher.position())
    }

    /// For each partition the first record with this timestamp or a later one; `None` when there is none. Partitions need
    /// not be assigned.
    ///
    /// # Errors
    /// `UNKNOWN_TOPIC_OR_PARTITION`, or what reading met.
    pub fn offsets_for_times(
        &self,
        wanted: &[(TopicPartition, Timestamp)],
    ) -> Result<Vec<Option<(Offset, Timestamp)>>> {
        wanted.iter().map(|(id, at)| self.source(id)?.offset_for_timestamp(*at)).collect()
    }

    /// The first offset of each partition. They need not be assigned.
    ///
    /// # Errors
    /// `UNKNOWN_TOPIC_OR_PARTITION`, or what reading met.
    pub fn beginning_offsets(&self, partitions: &[TopicPartition]) -> Result<Vec<Offset>> {
        partitions.iter().map(|id| Ok(self.source(id)?.bounds(false)?.start)).collect()
    }

    /// The offset behind the last record that may be read, of each partition. They need not be assigned. Where the replica beside this
    /// consumer is a follower, that is the end that it has heard of: its leader's, one fetch ago (Kafka asks the leader).
    ///
    /// # Errors
    /// `UNKNOWN_TOPIC_OR_PARTITION`, or what reading met.
    pub fn end_offsets(&self, partitions: &[TopicPartition]) -> Result<Vec<Offset>> {
        let committed = self.reads_committed();
        partitions.iter().map(|id| Ok(self.source(id)?.bounds(committed)?.end)).collect()
    }

    /// What wakes a blocked [`poll`](Consumer::poll), and what one can wait on beside it.
    #[must_use]
    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }

    fn source(&self, id: &TopicPartition) -> Result<Arc<dyn Source>> {
        match self.find(id) {
            Ok(at) => Ok(Arc::clone(&self.lanes[at].source)),
            Err(_) => self.sources.open(id, &self.config),
        }
    }

    fn find(&self, partition: &TopicPartition) -> Result<usize> {
        let found = self.lanes.iter().position(|lane| lane.fetcher.id() == partition);
        found.ok_or_else(|| Error::new(ErrorCode::STATE, format!("{partition} is not assigned to this consumer")))
    }
}

/// Whether the same bytes would give the same error again.
fn is_lasting(error: &Error) -> bool {
    let lasting = [ErrorCode::CORRUPT_MESSAGE, ErrorCode::INVALID_RECORD, ErrorCode::UNSUPPORTED_COMPRESSION_TYPE];
    lasting.contains(&error.code())
}

impl fmt::Debug for Consumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer").field("assignment", &self.assignment()).finish_non_exhaustive()
    }
}
