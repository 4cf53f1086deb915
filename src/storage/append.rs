//! Appending: judge, roll if need be, stamp, write, publish. One lock, one system call.

use super::api::Appended;
use super::log::{duplicate, Appender, Log};
use super::producer_states::{EndTxn, Origin, ProducerBatch, Verdict};
use crate::config::LogConfig;
use crate::error::{Error, ErrorCode, Result};
use crate::record::control::{self, ControlType};
use crate::record::{BatchHeader, BatchView, Compressor, Inflater, SealedBatch};
use crate::types::{Codec, LeaderEpoch, Offset, Position, ProducerStamp, Timestamp, TimestampType};
use bytes::Bytes;
use std::io;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// A batch of this size or less is copied for tailing readers, so that the appender keeps its buffer.
const TAIL_COPY_BYTES_MAX: usize = 4096;

/// What the append path has to know of a batch.
pub(super) struct Incoming {
    pub(super) bytes: u32,
    pub(super) last_offset_delta: u32,
    pub(super) max_timestamp: i64,
    producer: Option<ProducerStamp>,
    is_transactional: bool,
}

impl Incoming {
    pub(super) fn of(header: &BatchHeader) -> Incoming {
        Incoming {
            bytes: header.batch_bytes,
            last_offset_delta: header.last_offset_delta,
            max_timestamp: header.max_timestamp,
            producer: header.producer,
            is_transactional: header.is_transactional(),
        }
    }

    fn for_producer(&self, base_offset: Offset) -> Option<ProducerBatch> {
        Some(ProducerBatch {
            producer: self.producer?,
            base_offset,
            last_offset_delta: self.last_offset_delta,
            max_timestamp: self.max_timestamp,
            is_transactional: self.is_transactional,
        })
    }
}

impl Log {
    /// Appends one batch that this program has encoded or validated, as the partition's leader. The batch gets its offsets and the
    /// leader epoch in place.
    ///
    /// # Durability
    /// On return the batch survives the death of the process. It survives a power cut once [`flushed`](Log::flushed) has
    /// passed it ([`flush_up_to`](Log::flush_up_to)).
    ///
    /// # Errors
    /// MESSAGE_TOO_LARGE (`max.message.bytes`), RECORD_LIST_TOO_LARGE (`segment.bytes`), INVALID_TIMESTAMP, 45/47/48 (idempotence),
    /// KAFKA_STORAGE_ERROR (fatal: the disk failed and the log is off). After any error the batch is not in the log and never will be.
    pub fn append(&self, batch: &mut SealedBatch, epoch: LeaderEpoch, now: Timestamp) -> Result<Appended> {
        let mut appender = self.appender.lock();
        if appender.config.compression.is_some_and(|codec| batch.header().codec().ok() != Some(codec)) {
            let config = appender.config.clone();
            drop(appender); // compressing takes its time
            self.recompress(batch, &config)?;
            appender = self.appender.lock();
        }
        self.check_open(&appender)?;
        let log_append_time = (appender.config.timestamp_type == TimestampType::LogAppendTime).then_some(now);
        match log_append_time {
            Some(now) => batch.set_log_append_time(now),
            None => self.check_timestamps(&appender.config, batch, now)?,
        }
        let incoming = Incoming::of(batch.header());
        self.check_size(&appender.config, incoming.bytes)?;
        let base = match self.admit(&mut appender, &incoming, epoch, now)? {
            Admitted::At(base) => base,
            Admitted::Duplicate(earlier) => return Ok(earlier),
        };
        batch.stamp(base, epoch);
        self.write(&mut appender, u64::from(incoming.bytes), |file, at| file.write_at(at, batch.bytes()))?;
        self.place(&mut appender, &incoming, base);
        self.keep_for_tail(batch, base, &incoming);
        let last_offset = base.plus(u64::from(incoming.last_offset_delta));
        Ok(Appended { base_offset: base, last_offset, log_append_time, duplicate: false })
    }

    /// Hands the bytes of a batch that is in the file to the readers who follow the end, if there are any.
    pub(super) fn keep_for_tail(&self, batch: &mut SealedBatch, base: Offset, incoming: &Incoming) {
        if !self.tail.is_wanted() {
            return;
        }
        let end = base.plus(u64::from(incoming.last_offset_delta) + 1);
        let bytes = if batch.bytes().len() <= TAIL_COPY_BYTES_MAX || self.tail.is_for_replicas() {
            Bytes::copy_from_slice(batch.bytes())
        } else {
            Bytes::from(batch.take_bytes())
        };
        self.tail.push(base, end, bytes);
    }

    pub(super) fn check_size(&self, config: &LogConfig, bytes: u32) -> Result<()> {
        if bytes > config.max_message_bytes {
            let what = format!(
                "{}: a batch of {bytes} bytes, max.message.bytes is {}",
                self.partition, config.max_message_bytes
            );
            return Err(Error::new(ErrorCode::MESSAGE_TOO_LARGE, what));
        }
        if bytes > config.segment_bytes {
            let what =
                format!("{}: a batch of {bytes} bytes, segment.bytes is {}", self.partition, config.segment_bytes);
            return Err(Error::new(ErrorCode::RECORD_LIST_TOO_LARGE, what));
        }
        Ok(())
    }

    /// The topic's `compression.type` is not the batch's.
    fn recompress(&self, batch: &mut SealedBatch, config: &LogConfig) -> Result<()> {
        let Some(codec) = config.compression else { return Ok(()) };
        let mut foreign = self.foreign.lock();
        let Foreign { inflater, compressor } = &mut *foreign;
        if !compressor.as_ref().is_some_and(|(kept, _)| *kept == codec) {
            *compressor = Some((codec, Compressor::new(codec, None)?));
        }
        let (_, compressor) = compressor.as_mut().expect("just made");
        batch.recompress(compressor, inflater)
    }

    /// `message.timestamp.before.max.ms` and `.after.max.ms`, for batches of our own making.
    pub(super) fn check_timestamps(&self, config: &LogConfig, batch: &SealedBatch, now: Timestamp) -> Result<()> {
        let newest = batch.header().max_timestamp;
        if is_beyond(newest.saturating_sub(now.0), config.timestamp_after_max) {
            let what = format!("timestamp {newest} is more than message.timestamp.after.max.ms after now ({})", now.0);
            return Err(Error::new(ErrorCode::INVALID_TIMESTAMP, what));
        }
        if config.timestamp_before_max.is_none() {
            return Ok(()); // Kafka's default; otherwise each record has to be asked
        }
        let view = BatchView::parse(batch.bytes())?;
        for record in view.records(&mut self.foreign.lock().inflater)? {
            let Some(timestamp) = record?.timestamp else { continue };
            if is_beyond(now.0.saturating_sub(timestamp.0), config.timestamp_before_max) {
                let oldest = timestamp.0;
                let what =
                    format!("timestamp {oldest} is more than message.timestamp.before.max.ms before now ({})", now.0);
                return Err(Error::new(ErrorCode::INVALID_TIMESTAMP, what));
            }
        }
        Ok(())
    }

    /// [`admit`](Log::admit) for a batch without a producer: never a duplicate.
    pub(super) fn admit_fresh(
        &self,
        appender: &mut Appender,
        incoming: &Incoming,
        epoch: LeaderEpoch,
        now: Timestamp,
    ) -> Result<Offset> {
        match self.admit(appender, incoming, epoch, now)? {
            Admitted::At(base) => Ok(base),
            Admitted::Duplicate(_) => unreachable!("only batches of an idempotent producer can be duplicates"),
        }
    }

    /// Every decision before the write: segment, duplicate or gap, epoch.
    pub(super) fn admit(
        &self,
        appender: &mut Appender,
        incoming: &Incoming,
        epoch: LeaderEpoch,
        now: Timestamp,
    ) -> Result<Admitted> {
        let base = self.log_end();
        if base.plus(u64::from(incoming.last_offset_delta)) > Offset::MAX {
            let what = format!("{}: no offsets are left after {base}", self.partition);
            return Err(Error::new(ErrorCode::OFFSET_OUT_OF_RANGE, what));
        }
        self.roll_if_needed(appender, incoming, base, now)?;
        if let Some(batch) = incoming.for_producer(base) {
            if let Verdict::Duplicate { base_offset, last_offset, .. } =
                appender.producers.judge(&batch, Origin::Client)?
            {
                return Ok(Admitted::Duplicate(duplicate(base_offset, last_offset)));
            }
        }
        appender.epochs.assign(epoch, base).map_err(|e| self.fail(e))?;
        Ok(Admitted::At(base))
    }

    /// Writes at the end of the active segment. A failed write is final; what it left is cut off again as far as the disk allows.
    pub(super) fn write(
        &self,
        appender: &mut Appender,
        bytes: u64,
        write: impl FnOnce(&dyn crate::disk::DiskFile, u64) -> io::Result<()>,
    ) -> Result<()> {
        let at = appender.active.bytes();
        appender.room.make(&*appender.file, at, bytes, u64::from(appender.config.segment_bytes));
        let Err(source) = write(&*appender.file, at) else {
            return Ok(());
        };
        let failure = Error::io("write segment", appender.active.path(), source);
        // Best effort: the log is off whatever this says, and recovery cuts a torn tail.
        let _ = appender.file.set_len(at);
        Err(self.fail(failure))
    }

    /// The batch is in the file: the index may learn a line, then the readers may see it.
    pub(super) fn place(&self, appender: &mut Appender, incoming: &Incoming, base: Offset) {
        let last_offset = base.plus(u64::from(incoming.last_offset_delta));
        let at = appender.active.bytes();
        if appender.bytes_since_index > u64::from(appender.config.index_interval_bytes) {
            self.index(appender, last_offset, at, incoming.max_timestamp);
        }
        appender.bytes_since_index += u64::from(incoming.bytes);
        self.count_for_writeback(appender, u64::from(incoming.bytes));
        if let Some(batch) = incoming.for_producer(base) {
            appender.producers.update(&batch);
            if incoming.is_transactional {
                self.note_unstable(appender);
            }
        }
        appender.active.publish(u64::from(incoming.bytes), last_offset, incoming.max_timestamp);
        self.log_end.store(last_offset.next().0, Ordering::Release);
        if self.dirty_since.load(Ordering::Relaxed) == 0 {
            self.changed.store(true, Ordering::Release);
            self.dirty_since.store(self.clock.monotonic().0.max(1), Ordering::Release);
        }
    }

    fn index(&self, appender: &mut Appender, last_offset: Offset, at: u64, max_timestamp: i64) {
        let Ok(position) = u32::try_from(at).map(Position) else { return };
        let active = &appender.active;
        let newest = active.max_timestamp().filter(|(newest, _)| newest.0 >= max_timestamp);
        let (timestamp, offset) = newest.unwrap_or((Timestamp(max_timestamp), last_offset));
        // An index that cannot grow (a full disk) has fewer lines: lookups start earlier, nothing is wrong.
        if active.offset_index.append(last_offset, position).is_ok() {
            let _ = active.time_index.maybe_append(timestamp, offset, false);
        }
        appender.bytes_since_index = 0;
    }

    pub(super) fn note_end_txn(&self, appender: &mut Appender, marker: &EndTxn) -> Result<()> {
        if let Some(aborted) = appender.producers.end_txn(marker) {
            appender.active.txn_index.append(aborted)?;
        }
        self.note_unstable(appender);
        Ok(())
    }
}

/// What only foreign or recompressed batches need, kept so that codecs keep their contexts.
pub(super) struct Foreign {
    pub(super) inflater: Inflater,
    compressor: Option<(Codec, Compressor)>,
}

impl Foreign {
    pub(super) fn new(inflated_bytes_max: usize) -> Foreign {
        Foreign { inflater: Inflater::new(inflated_bytes_max), compressor: None }
    }
}

fn is_beyond(distance_ms: i64, limit: Option<Duration>) -> bool {
    limit.is_some_and(|limit| u128::try_from(distance_ms).is_ok_and(|distance| distance > limit.as_millis()))
}

pub(super) enum Admitted {
    At(Offset),
    Duplicate(Appended),
}

/// The transaction marker in a control batch; `None` for data and for other control records.
pub(crate) fn end_txn_of(view: &BatchView<'_>) -> Result<Option<EndTxn>> {
    let header = view.header();
    let (true, Some(producer)) = (header.is_control(), header.producer) else { return Ok(None) };
    // Control batches are never compressed, so nothing is ever unfolded here.
    let mut inflater = Inflater::new(0);
    let Some(record) = view.records(&mut inflater)?.next().transpose()? else { return Ok(None) };
    let is_abort = match ControlType::parse(record.key.unwrap_or_default())? {
        ControlType::Abort => true,
        ControlType::Commit => false,
        _ => return Ok(None),
    };
    Ok(Some(EndTxn {
        producer_id: producer.id,
        producer_epoch: producer.epoch,
        coordinator_epoch: control::parse_end_txn_value(record.value.unwrap_or_default())?,
        is_abort,
        offset: header.base_offset,
        timestamp: header.max_timestamp,
    }))
}
