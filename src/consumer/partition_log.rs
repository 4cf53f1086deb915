//! One partition without producer or consumer around it: append a batch, read a stretch.

use super::fetcher::Fetcher;
use super::limits::Pinned;
use super::live::Live;
use super::open_batch::Checker;
use super::records::ConsumerRecords;
use super::source::{Ask, Source};
use super::Waker;
use crate::error::Result;
use crate::node::{Notify, Partition, Placed};
use crate::record::{BatchBuilder, Header, Inflater, RecordRef, INFLATED_BYTES_MAX};
use crate::storage::LogOffsets;
use crate::time::Clock;
use crate::types::{Acks, Codec, LeaderEpoch, Offset, Rung, Timestamp, TopicPartition};
use parking_lot::Mutex;
use std::any::Any;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// How one direct append is acknowledged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AppendOptions {
    /// Who must have the batch before the call returns.
    pub acks: Acks,
    /// How long to wait for that; `None` is for ever. On time-out the batch is written, and `REQUEST_TIMED_OUT` says so.
    pub timeout: Option<Duration>,
    /// Return only after an fdatasync that covers the batch, whatever the topic's flush settings are.
    pub fsync: bool,
}

impl Default for AppendOptions {
    fn default() -> AppendOptions {
        AppendOptions { acks: Acks::Leader, timeout: None, fsync: false }
    }
}

/// One partition of an open engine. Cheap to clone; any thread at any time.
#[derive(Clone)]
pub struct PartitionLog(Arc<Inner>);

struct Inner {
    partition: Arc<Partition>,
    live: Live,
    clock: Arc<dyn Clock>,
    /// As many as threads ever appended or read at the same time.
    builders: Mutex<Vec<BatchBuilder>>,
    checkers: Mutex<Vec<Checker>>,
    pinned: Pinned,
    waker: Waker,
    /// Made by the first read that has to wait.
    subscription: OnceLock<Box<dyn Any + Send + Sync>>,
}

struct News(Waker);

impl Notify for News {
    fn notify(&self) {
        self.0.announce();
    }
}

/// Takes the records of one direct append straight into the bytes of a batch.
#[derive(Debug)]
pub struct BatchFill<'a> {
    builder: &'a mut BatchBuilder,
    now: Timestamp,
}

impl BatchFill<'_> {
    /// Adds one record, copying it. Without a timestamp it gets that of the call.
    ///
    /// # Errors
    /// `INVALID_RECORD` or `MESSAGE_TOO_LARGE` when it cannot be encoded.
    pub fn push(
        &mut self,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[Header<'_>],
        timestamp: Option<Timestamp>,
    ) -> Result<()> {
        let record = RecordRef { key, value, headers };
        self.builder.append(record, timestamp.unwrap_or(self.now).0).map(|_| ())
    }
}

impl PartitionLog {
    pub(crate) fn new(partition: Arc<Partition>, clock: Arc<dyn Clock>, pinned_bytes_max: u64) -> PartitionLog {
        let waker = Waker::new();
        PartitionLog(Arc::new(Inner {
            live: Live(Arc::clone(&partition)),
            partition,
            clock,
            builders: Mutex::default(),
            checkers: Mutex::default(),
            pinned: Pinned::new(pinned_bytes_max, waker.clone()),
            waker,
            subscription: OnceLock::new(),
        }))
    }

    /// Which partition this is.
    #[must_use]
    pub fn id(&self) -> &TopicPartition {
        self.0.partition.id()
    }

    /// Appends the records that `fill` pushes as one batch, and returns the offset of the first.
    ///
    /// # Durability
    /// As `options` say; see [`Rung`].
    ///
    /// # Errors
    /// What `fill` returned (then nothing is written), `MESSAGE_TOO_LARGE`, `NOT_ENOUGH_REPLICAS`, `KAFKA_STORAGE_ERROR`;
    /// `REQUEST_TIMED_OUT`: written, not yet acknowledged. `STATE` when no record was pushed.
    pub fn append_with(
        &self,
        options: AppendOptions,
        fill: impl FnOnce(&mut BatchFill<'_>) -> Result<()>,
    ) -> Result<Offset> {
        let mut builder = self.0.builders.lock().pop().unwrap_or_else(|| BatchBuilder::new(Codec::None, None));
        let placed = self.build_and_place(&mut builder, options.acks, fill);
        if placed.is_err() {
            builder.clear();
        }
        self.0.builders.lock().push(builder);
        self.acknowledge(placed?, options)
    }

    fn build_and_place(
        &self,
        builder: &mut BatchBuilder,
        acks: Acks,
        fill: impl FnOnce(&mut BatchFill<'_>) -> Result<()>,
    ) -> Result<Placed> {
        fill(&mut BatchFill { builder, now: self.0.clock.realtime() })?;
        let mut batch = builder.seal(None, false)?;
        let placed = self.0.partition.append(&mut batch, acks);
        builder.give_back(batch.into_bytes());
        placed
    }

    /// Appends one batch that is encoded already (Kafka's record batch v2, base offset 0), after checking all of it. The
    /// offset of its first record comes back.
    ///
    /// # Durability
    /// As `options` say; see [`Rung`].
    ///
    /// # Errors
    /// `CORRUPT_MESSAGE`, `INVALID_RECORD`, `MESSAGE_TOO_LARGE` and the rest of Kafka's leader checks;
    /// `REQUEST_TIMED_OUT`: written, not yet acknowledged.
    pub fn append_raw(&self, batch: &[u8], options: AppendOptions) -> Result<Offset> {
        let placed = self.0.partition.append_raw(batch, options.acks)?;
        self.acknowledge(placed, options)
    }

    /// Appends batches exactly as another log has them, offsets and leader epochs included, and returns the offset of the first:
    /// for mirrors and for restoring a copy. Checksums are compared and offsets have to grow; gaps are legal, nothing else is judged.
    ///
    /// # Durability
    /// On return the batches survive the death of the process.
    ///
    /// # Errors
    /// `CORRUPT_MESSAGE`: a batch that is not whole, or offsets below the log end; batches before it are in the log.
    /// `KAFKA_STORAGE_ERROR`.
    pub fn append_verbatim(&self, batches: &[u8]) -> Result<Offset> {
        Ok(self.0.partition.append_verbatim(batches)?.base_offset)
    }

    /// Drops every record from `end` on and returns the new log end, which is lower when `end` lies inside of a batch. Readers keep
    /// the bytes that they hold.
    ///
    /// # Durability
    /// On return the cut is durable.
    ///
    /// # Errors
    /// `CORRUPT_MESSAGE`, `INVALID_RECORD`: what would be left makes no sense; nothing was changed. `KAFKA_STORAGE_ERROR`: the
    /// partition is offline; reopening finds the old or the new end, or one between.
    pub fn truncate_to(&self, end: Offset) -> Result<Offset> {
        self.0.partition.truncate_to(end)
    }

    /// The first record that has the largest timestamp of all (Kafka's special timestamp -3); `None` for a log without timestamps.
    ///
    /// # Errors
    /// `KAFKA_STORAGE_ERROR`, `CORRUPT_MESSAGE`.
    pub fn offset_of_max_timestamp(&self) -> Result<Option<(Offset, Timestamp)>> {
        self.0.partition.offset_of_max_timestamp()
    }

    /// Every leader epoch and the offset at which it began, ascending.
    ///
    /// # Errors
    /// `KAFKA_STORAGE_ERROR`.
    pub fn leader_epochs(&self) -> Result<Vec<(LeaderEpoch, Offset)>> {
        self.0.partition.leader_epochs()
    }

    fn acknowledge(&self, placed: Placed, options: AppendOptions) -> Result<Offset> {
        let Inner { partition, clock, .. } = &*self.0;
        let end = placed.last_offset.next();
        let deadline = options.timeout.map(|timeout| clock.monotonic() + timeout);
        let owed = match options.acks {
            Acks::None => Rung::Buffered,
            Acks::Leader if partition.must_flush_before_ack() => Rung::Flushed,
            Acks::Leader => Rung::Written,
            Acks::All => Rung::Replicated,
        };
        if placed.rung < owed {
            match owed {
                // What another leader has put in its place meanwhile is not this append.
                Rung::Replicated => partition.wait_acked(placed.leader_epoch, end, deadline)?,
                _ => partition.wait_for(end, owed, deadline)?,
            };
        }
        // A high watermark that ran ahead of the flush is on a higher rung and still not on the platter.
        if options.fsync {
            partition.wait_for(end, Rung::Flushed, deadline)?;
        }
        Ok(placed.base_offset)
    }

    /// Reads records from `from` on: whole batches of about `bytes_max` (at least one), below the high watermark. Waits up to
    /// `timeout` when there is nothing yet, then comes back empty.
    ///
    /// # Errors
    /// `OFFSET_OUT_OF_RANGE` (both offsets in the message), `CORRUPT_MESSAGE`; what does not parse is told by
    /// [`ConsumerRecords::damage`] after the iteration. `QUEUE_FULL`: `fetch.pinned.max.bytes` of
    /// earlier records are still held.
    pub fn read(&self, from: Offset, bytes_max: usize, timeout: Duration) -> Result<ConsumerRecords> {
        let began = Instant::now();
        let mut from = from;
        loop {
            let seen = self.0.waker.ticket();
            let has_room = self.0.pinned.has_room(0);
            if has_room {
                let records = self.read_now(&mut from, bytes_max)?;
                if !records.is_empty() {
                    return Ok(records);
                }
            }
            let passed = began.elapsed();
            if passed >= timeout {
                return if has_room { Ok(ConsumerRecords::default()) } else { Err(self.0.pinned.full()) };
            }
            if self.0.subscription.get().is_none() {
                // Subscribed only now, so that one more look is due before the first wait.
                self.0.subscription.get_or_init(|| self.0.live.subscribe(Arc::new(News(self.0.waker.clone()))));
                continue;
            }
            self.0.waker.wait(seen, timeout.saturating_sub(passed));
        }
    }

    /// One look; `from` moves over what is nobody's (control batches).
    fn read_now(&self, from: &mut Offset, bytes_max: usize) -> Result<ConsumerRecords> {
        let mut checker = self.0.checkers.lock().pop().unwrap_or_else(|| Checker {
            checks_crcs: true,
            inflate: Inflater::new(INFLATED_BYTES_MAX),
            faults: None,
        });
        let found = self.read_with(&mut checker, from, bytes_max);
        self.0.checkers.lock().push(checker);
        found
    }

    fn read_with(&self, checker: &mut Checker, from: &mut Offset, bytes_max: usize) -> Result<ConsumerRecords> {
        let mut fetcher = Fetcher::new(self.id().clone(), *from, false);
        let mut found = Vec::new();
        loop {
            let batches = self.0.live.read(Ask { from: *from, bytes_max, committed: false })?;
            if batches.is_empty() {
                return Ok(ConsumerRecords::default());
            }
            fetcher.handle_fetched(batches, Vec::new());
            let taken = fetcher.take(u32::MAX, checker, &mut found);
            *from = fetcher.position();
            if taken.records > 0 {
                return Ok(ConsumerRecords::new(found, Vec::new(), Some(self.0.pinned.take(taken.bytes))));
            }
            if let Some(error) = fetcher.failed() {
                return Err(error.clone());
            }
        }
    }

    /// Log start, high watermark, flushed end and log end.
    ///
    /// # Errors
    /// `UNKNOWN_TOPIC_OR_PARTITION` once the topic is deleted; `CLOSED`.
    pub fn offsets(&self) -> Result<LogOffsets> {
        self.0.partition.offsets()
    }

    /// The first record with timestamp `at` or a later one.
    ///
    /// # Errors
    /// What reading met.
    pub fn offset_for_timestamp(&self, at: Timestamp) -> Result<Option<(Offset, Timestamp)>> {
        self.0.partition.offset_for_timestamp(at)
    }

    /// Returns once everything that was appended before the call survives a power cut.
    ///
    /// # Errors
    /// `KAFKA_STORAGE_ERROR` is final for this open; `REQUEST_TIMED_OUT`.
    pub fn sync(&self, timeout: Duration) -> Result<()> {
        let end = self.0.partition.offsets()?.log_end;
        let deadline = self.0.clock.monotonic() + timeout;
        self.0.partition.wait_for(end, Rung::Flushed, Some(deadline)).map(|_| ())
    }
}

impl fmt::Debug for PartitionLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PartitionLog({})", self.id())
    }
}
