//! Records in, one sealed batch out.
//!
//! The bytes of the header are reserved in front, every record is encoded behind the one before, and sealing fills in the
//! header: an uncompressed batch is written once and never moved.

use super::header::{attributes, BatchHeader, NO_TIMESTAMP};
use super::iter::Header;
use super::varint::{len_i32, len_i64, push_i32, push_i64, Word, SHORT_END, VARINT_BYTES_MAX};
use super::{Compressor, SealedBatch, BATCH_BYTES_MAX, BATCH_HEADER_BYTES};
use crate::error::{Error, ErrorCode, Result};
use crate::types::{Codec, Offset, ProducerStamp};

/// Length 5, attributes 1, timestamp delta 10, offset delta 5.
const RECORD_OVERHEAD_BYTES_MAX: usize = 21;

/// The length -1 as a varint.
const NULL: u8 = 1;

/// A word is copied whole, and cut to what it holds.
const WORD_BYTES: usize = 16;

/// A new buffer begins with room for as much as the batch before it had, up to here.
const CAPACITY_FORESEEN_MAX: usize = 1 << 20;

/// One record as a builder takes it. Borrowed, so that nothing is copied but into the batch.
#[derive(Clone, Copy, Debug, Default)]
pub struct RecordRef<'a> {
    /// `None` is null, which is not the same as empty.
    pub key: Option<&'a [u8]>,
    /// `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// Their keys must be UTF-8.
    pub headers: &'a [Header<'a>],
}

/// What a record takes at most in a batch, in bytes.
#[inline]
#[must_use]
pub fn record_bytes_upper_bound(record: RecordRef<'_>) -> usize {
    RECORD_OVERHEAD_BYTES_MAX + field_bytes(record.key) + field_bytes(record.value) + headers_bytes(record.headers)
}

/// What an append asks room for beyond the bytes that it writes: with it the last record of a batch does not make the buffer grow.
const RECORD_SLACK_BYTES: usize = 64;

/// Encodes records straight into the bytes of a batch.
#[derive(Debug)]
pub struct BatchBuilder {
    /// Empty, or the space of the header and the records behind it.
    buffer: Vec<u8>,
    count: u32,
    base_timestamp: i64,
    max_timestamp: i64,
    codec: Codec,
    level: Option<i32>,
    /// Made at the first record; `None` for `Codec::None`.
    compressor: Option<Compressor>,
    /// Where the next compressed batch goes.
    spare: Vec<u8>,
    /// What compression left of the batches before, as a part of 1.
    ratio: f32,
    capacity: usize,
}

impl BatchBuilder {
    /// An empty builder that has allocated nothing. A codec or level that is not possible shows at the first
    /// [`append`](Self::append); [`check_level`](super::check_level) asks earlier.
    #[must_use]
    pub fn new(codec: Codec, level: Option<i32>) -> BatchBuilder {
        BatchBuilder::with_capacity(codec, level, 0)
    }

    /// As [`new`](Self::new); the first buffer will have room for `bytes`.
    #[must_use]
    pub fn with_capacity(codec: Codec, level: Option<i32>, bytes: usize) -> BatchBuilder {
        BatchBuilder {
            buffer: Vec::new(),
            count: 0,
            base_timestamp: NO_TIMESTAMP,
            max_timestamp: NO_TIMESTAMP,
            codec,
            level,
            compressor: None,
            spare: Vec::new(),
            ratio: 1.0,
            capacity: bytes,
        }
    }

    /// Adds a record with a timestamp in milliseconds (-1 is none) and returns its offset delta.
    ///
    /// # Errors
    /// The batch stays as it was for each of them: INVALID_TIMESTAMP for a negative one other than -1, INVALID_RECORD for a
    /// header key that is not UTF-8, MESSAGE_TOO_LARGE when the batch would pass [`BATCH_BYTES_MAX`]; at the first record
    /// also what [`check_level`](super::check_level) says.
    #[inline]
    pub fn append(&mut self, record: RecordRef<'_>, timestamp: i64) -> Result<u32> {
        if self.count == 0 {
            self.begin(timestamp)?;
        }
        match self.append_plain(record, timestamp) {
            Some(offset_delta) => Ok(offset_delta),
            None => self.append_any(record, timestamp),
        }
    }

    /// A record without headers whose numbers are all short, as nearly all are: they are put together in a register. `None`
    /// leaves it to [`append_any`](BatchBuilder::append_any), with nothing done.
    #[inline(always)]
    fn append_plain(&mut self, record: RecordRef<'_>, timestamp: i64) -> Option<u32> {
        let value = record.value?;
        let offset_delta = self.count;
        let timestamp_delta = timestamp.wrapping_sub(self.base_timestamp) as u64;
        let key_bytes = record.key.map_or(0, <[u8]>::len);
        if timestamp < self.base_timestamp
            || timestamp < NO_TIMESTAMP
            || offset_delta >= SHORT_END as u32
            || timestamp_delta >= SHORT_END as u64
            || key_bytes.saturating_add(value.len()) >= SHORT_END / 2
            || !record.headers.is_empty()
            || self.buffer.len() > BATCH_BYTES_MAX as usize - SHORT_END
        {
            return None;
        }
        let numbers = Word::default().byte(0).short(timestamp_delta as usize).short(offset_delta as usize);
        let buffer = &mut self.buffer;
        buffer.reserve(3 * WORD_BYTES + key_bytes + value.len());
        match record.key {
            None => {
                let front = numbers.byte(NULL).short(value.len());
                let body_bytes = front.bytes() + value.len() + 1;
                Word::default().short(body_bytes).word(front).push_to(buffer);
            }
            Some(key) => {
                let front = numbers.short(key.len());
                let back = Word::default().short(value.len());
                let body_bytes = front.bytes() + key.len() + back.bytes() + value.len() + 1;
                Word::default().short(body_bytes).word(front).push_to(buffer);
                buffer.extend_from_slice(key);
                back.push_to(buffer);
            }
        }
        buffer.extend_from_slice(value);
        buffer.push(0); // headers
        self.count += 1;
        self.max_timestamp = self.max_timestamp.max(timestamp);
        Some(offset_delta)
    }

    /// What [`append`](BatchBuilder::append) does for any record, however it is made.
    #[cfg(test)]
    pub(super) fn append_slowly(&mut self, record: RecordRef<'_>, timestamp: i64) -> Result<u32> {
        if self.count == 0 {
            self.begin(timestamp)?;
        }
        self.append_any(record, timestamp)
    }

    /// Any other record; the batch has begun.
    fn append_any(&mut self, record: RecordRef<'_>, timestamp: i64) -> Result<u32> {
        // From -1 to the last millisecond it wraps; readers add likewise.
        let timestamp_delta = timestamp.wrapping_sub(self.base_timestamp);
        let offset_delta = self.count as i32;
        let body_bytes = 1
            + len_i64(timestamp_delta)
            + len_i32(offset_delta)
            + field_bytes(record.key)
            + field_bytes(record.value)
            + headers_bytes(record.headers);
        if timestamp < NO_TIMESTAMP
            || body_bytes > (BATCH_BYTES_MAX as usize).saturating_sub(VARINT_BYTES_MAX + self.buffer.len())
        {
            return Err(self.refused(timestamp, body_bytes));
        }
        if !record.headers.is_empty() {
            check_header_keys(record.headers)?;
        }

        // Lengths are below BATCH_BYTES_MAX from here on; the room is made once.
        let buffer = &mut self.buffer;
        buffer.reserve(VARINT_BYTES_MAX + body_bytes);
        push_i32(buffer, body_bytes as i32);
        buffer.push(0); // attributes
        push_i64(buffer, timestamp_delta);
        push_i32(buffer, offset_delta);
        push_field(buffer, record.key);
        push_field(buffer, record.value);
        push_i32(buffer, record.headers.len() as i32);
        for header in record.headers {
            push_field(buffer, Some(header.key));
            push_field(buffer, header.value);
        }

        self.count += 1;
        self.max_timestamp = self.max_timestamp.max(timestamp);
        Ok(offset_delta as u32)
    }

    /// How many records are in the batch.
    #[inline]
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Header and uncompressed records so far.
    #[inline]
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.buffer.len().max(BATCH_HEADER_BYTES)
    }

    /// What the sealed batch will probably take, going by what compression made of the batches before it.
    #[inline]
    #[must_use]
    pub fn estimated_bytes(&self) -> usize {
        if self.codec == Codec::None {
            return self.bytes();
        }
        let plain = self.bytes() - BATCH_HEADER_BYTES;
        BATCH_HEADER_BYTES + (plain as f32 * self.ratio * RATIO_SAFETY) as usize
    }

    /// Whether the batch stays within `batch_bytes_max` with this record, which is taken at its uncompressed size. The
    /// first record always fits.
    #[inline]
    #[must_use]
    pub fn has_room_for(&self, record: RecordRef<'_>, batch_bytes_max: usize) -> bool {
        if self.count == 0 {
            return true;
        }
        let bytes = record_bytes_upper_bound(record);
        self.estimated_bytes() + bytes <= batch_bytes_max && self.buffer.len() + bytes <= BATCH_BYTES_MAX as usize
    }

    /// Takes the batch out: base offset 0, no leader epoch, checksum right. The builder is empty afterwards, and after
    /// [`give_back`](Self::give_back) of the bytes nothing will be allocated for the next batch.
    ///
    /// Records that compression would not make smaller are left as they are, and the batch says so.
    ///
    /// # Errors
    /// The builder stays as it was for each of them: STATE for no records (an empty batch has no bytes), for a transaction
    /// without a producer and for a producer without epoch or sequence; NOMEM when a codec finds no memory.
    pub fn seal(&mut self, stamp: Option<ProducerStamp>, transactional: bool) -> Result<SealedBatch> {
        check_stamp(stamp, transactional)?;
        self.finish(stamp, transactional, false)
    }

    /// As [`seal`](Self::seal), for a control batch, whose producer has no sequence.
    #[cfg_attr(not(test), allow(dead_code))] // see `control`
    pub(super) fn seal_control(&mut self, stamp: Option<ProducerStamp>) -> Result<SealedBatch> {
        self.finish(stamp, stamp.is_some(), true)
    }

    /// Keeps the bytes of a batch that is done for the next.
    pub fn give_back(&mut self, mut buffer: Vec<u8>) {
        buffer.clear();
        let slot = if self.buffer.capacity() == 0 { &mut self.buffer } else { &mut self.spare };
        if slot.capacity() < buffer.capacity() {
            *slot = buffer;
        }
    }

    /// Whether the next batch needs no new memory.
    #[must_use]
    pub fn has_buffer(&self) -> bool {
        self.buffer.capacity() > 0
    }

    /// Forgets all records; the buffer stays.
    pub fn clear(&mut self) {
        self.buffer.clear();
        self.count = 0;
        self.max_timestamp = NO_TIMESTAMP;
    }

    fn begin(&mut self, timestamp: i64) -> Result<()> {
        if self.codec != Codec::None && self.compressor.is_none() {
            self.compressor = Some(Compressor::new(self.codec, self.level)?);
        }
        self.buffer.clear();
        self.buffer.reserve(self.capacity.max(BATCH_HEADER_BYTES) + RECORD_SLACK_BYTES);
        self.buffer.resize(BATCH_HEADER_BYTES, 0);
        self.base_timestamp = timestamp;
        self.max_timestamp = NO_TIMESTAMP;
        Ok(())
    }

    fn finish(&mut self, producer: Option<ProducerStamp>, transactional: bool, control: bool) -> Result<SealedBatch> {
        if self.count == 0 {
            return Err(state("a batch needs a record"));
        }
        let (codec, bytes) = self.take_payload()?;
        let header = BatchHeader {
            base_offset: Offset::ZERO,
            batch_bytes: 0,
            leader_epoch: None,
            crc: 0,
            attributes: attributes(codec, transactional, control),
            last_offset_delta: self.count - 1,
            base_timestamp: self.base_timestamp,
            max_timestamp: self.max_timestamp,
            producer,
            // Every record takes seven bytes at least, so there are far fewer than 2^31.
            record_count: self.count as i32,
        };
        self.clear();
        Ok(SealedBatch::seal(header, bytes))
    }

    /// The records under the space of their header, compressed where that helps.
    fn take_payload(&mut self) -> Result<(Codec, Vec<u8>)> {
        self.capacity = self.buffer.len().min(CAPACITY_FORESEEN_MAX);
        if let Some(compressor) = &mut self.compressor {
            self.spare.clear();
            self.spare.resize(BATCH_HEADER_BYTES, 0);
            compressor.compress(&self.buffer[BATCH_HEADER_BYTES..], &mut self.spare)?;
            let plain_bytes = self.buffer.len() - BATCH_HEADER_BYTES;
            let ratio = (self.spare.len() - BATCH_HEADER_BYTES) as f32 / plain_bytes as f32;
            self.ratio = learned_ratio(self.ratio, ratio);
            if self.spare.len() < self.buffer.len() {
                return Ok((self.codec, std::mem::take(&mut self.spare)));
            }
        }
        Ok((Codec::None, std::mem::take(&mut self.buffer)))
    }

    #[cold]
    fn refused(&self, timestamp: i64, body_bytes: usize) -> Error {
        if timestamp < NO_TIMESTAMP {
            return Error::new(ErrorCode::INVALID_TIMESTAMP, format!("{timestamp} is no timestamp: negative"));
        }
        Error::new(
            ErrorCode::MESSAGE_TOO_LARGE,
            format!(
                "a record of {body_bytes} bytes behind {} others would pass the {BATCH_BYTES_MAX} bytes that a batch may have",
                self.bytes()
            ),
        )
    }
}

/// A length and as many bytes.
#[inline(always)]
fn push_field(buffer: &mut Vec<u8>, field: Option<&[u8]>) {
    push_i32(buffer, field_length(field));
    if let Some(bytes) = field {
        buffer.extend_from_slice(bytes);
    }
}

/// The length that announces a field; the caller has seen that all lengths are small.
#[inline]
fn field_length(field: Option<&[u8]>) -> i32 {
    field.map_or(-1, |bytes| bytes.len() as i32)
}

/// What a field takes with its length.
#[inline]
fn field_bytes(field: Option<&[u8]>) -> usize {
    // A slice is never longer than 2^63.
    field.map_or(1, |bytes| bytes.len() + len_i64(bytes.len() as i64))
}

/// What the headers take with their count.
#[inline]
fn headers_bytes(headers: &[Header<'_>]) -> usize {
    if headers.is_empty() {
        return 1;
    }
    let fields = headers.iter().map(|header| field_bytes(Some(header.key)) + field_bytes(header.value));
    fields.fold(len_i64(headers.len() as i64), usize::saturating_add)
}

fn check_header_keys(headers: &[Header<'_>]) -> Result<()> {
    match headers.iter().find(|header| std::str::from_utf8(header.key).is_err()) {
        None => Ok(()),
        Some(header) => Err(Error::new(
            ErrorCode::INVALID_RECORD,
            format!("the header key {} is not UTF-8", header.key.escape_ascii()),
        )),
    }
}

fn check_stamp(stamp: Option<ProducerStamp>, transactional: bool) -> Result<()> {
    match stamp {
        None if transactional => Err(state("a transactional batch needs a producer")),
        Some(stamp) if stamp.id < 0 || stamp.epoch < 0 || stamp.base_sequence.is_none_or(|first| first < 0) => {
            Err(state("a producer's batch needs an id, an epoch and a sequence, none of them negative"))
        }
        _ => Ok(()),
    }
}

fn state(message: &str) -> Error {
    Error::new(ErrorCode::STATE, message)
}

/// An estimate errs on the large side by this much.
const RATIO_SAFETY: f32 = 1.05;

/// Kafka's way: worse news are believed at once, better ones slowly.
fn learned_ratio(before: f32, seen: f32) -> f32 {
    if seen > before {
        (before + 0.05).max(seen)
    } else {
        (before - 0.005).max(seen)
    }
}
