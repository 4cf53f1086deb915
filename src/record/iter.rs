//! The records of a batch, one after the other, without copying.
//!
//! ```text
//! length          varint   bytes after this field
//! attributes      i8       0
//! timestamp delta varlong  to the base timestamp; may be negative
//! offset delta    varint   to the base offset
//! key length      varint   -1 is null;  key
//! value length    varint   -1 is null;  value
//! header count    varint;  each: key length varint, key, value length varint (-1 is null), value
//! ```

use super::header::NO_TIMESTAMP;
use super::varint::Window;
use super::{sequence, varint, BatchHeader, Inflater};
use crate::error::{Error, ErrorCode, Result};
use crate::types::{Offset, Timestamp, TimestampType};

/// One header of a record: a key that is never null and a value that may be.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Header<'a> {
    /// UTF-8 in batches that a leader took; whatever the bytes are in others.
    pub key: &'a [u8],
    /// `None` is null, which is not the same as empty.
    pub value: Option<&'a [u8]>,
}

/// One record, borrowed from its batch.
#[derive(Clone, Copy, Debug)]
pub struct RecordView<'a> {
    /// Its place in the log.
    pub offset: Offset,
    /// When the producer made it or the leader appended it; `None` when the producer did not say.
    pub timestamp: Option<Timestamp>,
    /// `None` is null, which is not the same as empty.
    pub key: Option<&'a [u8]>,
    /// `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// How many headers [`headers`](Self::headers) yields.
    pub header_count: u32,
    /// The producer's number for it, when the batch carries sequences.
    pub sequence: Option<i32>,
    headers: &'a [u8],
}

impl<'a> RecordView<'a> {
    /// The headers, in the producer's order; keys may repeat.
    #[must_use]
    pub fn headers(&self) -> Headers<'a> {
        Headers { bytes: self.headers, at: 0, left: self.header_count }
    }
}

/// The headers of one record.
#[derive(Clone, Debug)]
pub struct Headers<'a> {
    bytes: &'a [u8],
    at: usize,
    left: u32,
}

impl<'a> Iterator for Headers<'a> {
    type Item = Header<'a>;

    fn next(&mut self) -> Option<Header<'a>> {
        if self.left == 0 {
            return None;
        }
        self.left -= 1;
        // The record was parsed to its end, headers included, so that neither can fail here.
        let key = take_bytes(self.bytes, &mut self.at).ok().flatten()?;
        let value = take_bytes(self.bytes, &mut self.at).ok()?;
        Some(Header { key, value })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left as usize, Some(self.left as usize))
    }
}

/// Why a record is refused. A plain text, so that the hot loop carries no allocation.
pub(super) type Flaw = &'static str;

/// One record as it lies, deltas and all.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct RawRecord<'a> {
    pub timestamp_delta: i64,
    pub offset_delta: i32,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    pub header_count: u32,
    headers: &'a [u8],
}

impl<'a> RawRecord<'a> {
    /// Reads the record at `at` and moves `at` behind it. Everything is checked, down to the last byte of the last header.
    #[inline(always)]
    pub fn parse(bytes: &'a [u8], at: &mut usize) -> std::result::Result<RawRecord<'a>, Flaw> {
        if let Some((record, end)) = RawRecord::parse_plain(bytes, *at) {
            *at = end;
            return Ok(record);
        }
        RawRecord::parse_any(bytes, at)
    }

    /// A record without headers whose numbers are all short, as nearly all are; `None` leaves the judgement to
    /// [`parse_any`](RawRecord::parse_any). Also answers where the next record begins.
    #[inline(always)]
    fn parse_plain(bytes: &'a [u8], at: usize) -> Option<(RawRecord<'a>, usize)> {
        let mut window = Window::at(bytes, at)?;
        let length = usize::try_from(window.take()?).ok()?;
        let end = at + window.taken() + length;
        let body_at = at + window.taken() + 1; // behind the attributes, which may be anything
        let mut window = Window::at(bytes, body_at)?;
        let timestamp_delta = i64::from(window.take()?);
        let offset_delta = window.take()?;
        let key_bytes = window.take()?;
        let (key, value_bytes, value_at) = if key_bytes == -1 {
            let value_bytes = window.take()?;
            (None, value_bytes, body_at + window.taken())
        } else {
            let key_at = body_at + window.taken();
            let key_end = key_at + usize::try_from(key_bytes).ok()?;
            let mut window = Window::at(bytes, key_end)?;
            let value_bytes = window.take()?;
            (Some(bytes.get(key_at..key_end)?), value_bytes, key_end + window.taken())
        };
        // The value ends where the one byte begins that says "no headers", and that is the record's last.
        let value_end = end.checked_sub(1)?;
        let value = bytes.get(value_at..value_end)?;
        if usize::try_from(value_bytes).ok()? != value.len() || *bytes.get(value_end)? != 0 {
            return None;
        }
        let record =
            RawRecord { timestamp_delta, offset_delta, key, value: Some(value), header_count: 0, headers: &[] };
        Some((record, end))
    }

    fn parse_any(bytes: &'a [u8], at: &mut usize) -> std::result::Result<RawRecord<'a>, Flaw> {
        let length = varint::get_i32(bytes, at).ok_or("its length is no number or missing")?;
        let length = usize::try_from(length).map_err(|_| "its length is negative")?;
        let body = bytes[*at..].get(..length).ok_or("it runs past the end of the records")?;
        *at += length;
        // Bits of the attributes are unused, so any byte does; a missing one shows at the next field.
        let mut at = 1;
        let timestamp_delta = varint::get_i64(body, &mut at).ok_or("its timestamp is no number or missing")?;
        let offset_delta = varint::get_i32(body, &mut at).ok_or("its offset is no number or missing")?;
        let key = take_bytes(body, &mut at)?;
        let value = take_bytes(body, &mut at)?;
        let header_count = varint::get_i32(body, &mut at).ok_or("its header count is no number or missing")?;
        let header_count = u32::try_from(header_count).map_err(|_| "its header count is negative")?;
        let headers = &body[at..];
        if header_count > 0 || !headers.is_empty() {
            check_headers(headers, header_count)?;
        }
        Ok(RawRecord { timestamp_delta, offset_delta, key, value, header_count, headers })
    }

    pub fn headers(&self) -> Headers<'a> {
        Headers { bytes: self.headers, at: 0, left: self.header_count }
    }
}

/// For a validator, who only wants to know that all is well: where the record at `at` ends and its timestamp delta, if it has
/// the offset delta `index`, no key, no headers and only short numbers; `None` leaves it to [`RawRecord::parse`].
#[inline(always)]
pub(super) fn plain_keyless(bytes: &[u8], at: usize, index: u32) -> Option<(usize, i64)> {
    // Two bytes at most for each of four numbers, the attributes, the key.
    let head: &[u8; 16] = bytes.get(at..)?.first_chunk()?;
    // The numbers as they lie, zigzag and all; `& 15` is what the compiler needs to be told.
    let number = |place: &mut usize| -> Option<u32> {
        let first = head[*place & 15];
        *place += 1;
        if first < 0x80 {
            return Some(u32::from(first));
        }
        let second = head[*place & 15];
        *place += 1;
        (second < 0x80).then_some(u32::from(first & 0x7f) | u32::from(second) << 7)
    };
    let mut place = 0;
    let length = number(&mut place)?;
    let end = at + place + (length >> 1) as usize;
    place += 1; // attributes, which may be anything
    let timestamp_delta = number(&mut place)?;
    let offset_delta = number(&mut place)?;
    let key = head[place & 15];
    place += 1;
    let value_bytes = number(&mut place)?;
    let value_end = at + place + (value_bytes >> 1) as usize;
    let is_plain = (length | value_bytes) & 1 == 0 // neither is negative
        && key == NULL
        && offset_delta == index << 1
        && value_end + 1 == end
        && *bytes.get(value_end)? == 0;
    is_plain.then_some((end, i64::from((timestamp_delta >> 1) as i32 ^ -((timestamp_delta & 1) as i32))))
}

/// The length -1 as a varint.
const NULL: u8 = 1;

fn check_headers(bytes: &[u8], count: u32) -> std::result::Result<(), Flaw> {
    // A header takes two bytes at least; a count that cannot be is refused before it is counted to.
    if count as usize > bytes.len() / 2 {
        return Err("it has fewer headers than it says");
    }
    let mut at = 0;
    for _ in 0..count {
        take_bytes(bytes, &mut at)?.ok_or("a header has no key")?;
        take_bytes(bytes, &mut at)?;
    }
    if at != bytes.len() {
        return Err("bytes follow its last header");
    }
    Ok(())
}

/// A length and as many bytes; `None` for the length -1.
#[inline]
fn take_bytes<'a>(bytes: &'a [u8], at: &mut usize) -> std::result::Result<Option<&'a [u8]>, Flaw> {
    let length = varint::get_i32(bytes, at).ok_or("the length of a field is no number or missing")?;
    let Ok(length) = usize::try_from(length) else {
        return if length == -1 { Ok(None) } else { Err("the length of a field is negative") };
    };
    let field = bytes[*at..].get(..length).ok_or("a field runs past the end of its record")?;
    *at += length;
    Ok(Some(field))
}

/// Walks the records of one batch. It sees that there are as many as the header says, that their offsets rise within
/// those of the batch, and that nothing follows the last. After an error it ends.
#[derive(Debug)]
pub struct RecordIter<'a> {
    header: BatchHeader,
    records: &'a [u8],
    at: usize,
    /// How many were handed out.
    count: u32,
    offset_delta_next: i64,
    done: bool,
}

impl<'a> RecordIter<'a> {
    pub(super) fn new(header: &BatchHeader, payload: &'a [u8], inflate: &'a mut Inflater) -> Result<RecordIter<'a>> {
        if header.record_count < 0 {
            return Err(invalid(header, format_args!("a record count of {}", header.record_count)));
        }
        // An emptied batch has nothing to unfold, and nobody looks at its payload.
        let done = header.record_count == 0;
        let records = if done { &[][..] } else { inflate.inflate(header.codec()?, payload)? };
        Ok(RecordIter { header: *header, records, at: 0, count: 0, offset_delta_next: 0, done })
    }

    /// Goes on in the middle of a batch: `records` is its whole payload, unfolded; the next record begins at byte `at`, and
    /// `left` records are to come. For readers that keep a batch and hand it out in pieces.
    #[must_use]
    pub fn resume(header: &BatchHeader, records: &'a [u8], at: usize, left: u32) -> RecordIter<'a> {
        let count = u32::try_from(header.record_count).unwrap_or(0).saturating_sub(left);
        RecordIter { header: *header, records, at, count, offset_delta_next: 0, done: left == 0 }
    }

    /// The byte behind the records that were handed out.
    #[must_use]
    pub fn position(&self) -> usize {
        self.at
    }

    fn step(&mut self) -> std::result::Result<RecordView<'a>, Flaw> {
        let raw = RawRecord::parse(self.records, &mut self.at)?;
        let offset_delta = i64::from(raw.offset_delta);
        if offset_delta < self.offset_delta_next || offset_delta > i64::from(self.header.last_offset_delta) {
            return Err("its offset does not follow the one before, within the batch");
        }
        self.offset_delta_next = offset_delta + 1;
        self.count += 1;
        if self.count == self.header.record_count as u32 && self.at != self.records.len() {
            return Err("bytes follow it, and it is the last");
        }
        // Not negative, as was just seen.
        let offset_delta = raw.offset_delta as u32;
        let timestamp = match self.header.timestamp_type() {
            TimestampType::LogAppendTime => self.header.max_timestamp,
            // Wraps as Kafka's arithmetic does; a leader takes no batch where that gives a negative time.
            TimestampType::CreateTime => self.header.base_timestamp.wrapping_add(raw.timestamp_delta),
        };
        let base_sequence = self.header.producer.and_then(|stamp| stamp.base_sequence);
        Ok(RecordView {
            offset: self.header.base_offset.plus(u64::from(offset_delta)),
            timestamp: (timestamp != NO_TIMESTAMP).then_some(Timestamp(timestamp)),
            key: raw.key,
            value: raw.value,
            header_count: raw.header_count,
            sequence: base_sequence.map(|base| sequence::add(base, offset_delta)),
            headers: raw.headers,
        })
    }
}

impl<'a> Iterator for RecordIter<'a> {
    type Item = Result<RecordView<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let index = self.count;
        let step = self.step();
        self.done = step.is_err() || self.count == self.header.record_count as u32;
        Some(step.map_err(|flaw| flawed(&self.header, index, flaw)))
    }
}

/// INVALID_RECORD, naming the batch.
#[cold]
pub(super) fn invalid(header: &BatchHeader, what: impl std::fmt::Display) -> Error {
    Error::new(ErrorCode::INVALID_RECORD, format!("the batch at offset {} has {what}", header.base_offset))
}

/// INVALID_RECORD, naming the batch and the record.
#[cold]
pub(super) fn flawed(header: &BatchHeader, index: u32, flaw: Flaw) -> Error {
    invalid(header, format_args!("a bad record with index {index}: {flaw}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Bytes that are mostly the small numbers that records are made of.
    fn byte() -> impl Strategy<Value = u8> {
        prop_oneof![Just(0u8), Just(1), 2u8..40, Just(0x80), Just(0x81), any::<u8>()]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]
        #[test]
        fn the_short_way_and_the_long_way_find_the_same_record(bytes in prop::collection::vec(byte(), 0..60), at in 0usize..4) {
            let at = at.min(bytes.len());
            if let Some((record, end)) = RawRecord::parse_plain(&bytes, at) {
                let mut slow_end = at;
                prop_assert_eq!(RawRecord::parse_any(&bytes, &mut slow_end), Ok(record));
                prop_assert_eq!(end, slow_end);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]
        #[test]
        fn what_a_validator_skips_is_a_record_as_it_should_be(
            bytes in prop::collection::vec(byte(), 0..60),
            at in 0usize..4,
            index in 0u32..3,
        ) {
            if let Some((end, timestamp_delta)) = plain_keyless(&bytes, at, index) {
                let mut slow_end = at;
                let record = RawRecord::parse_any(&bytes, &mut slow_end);
                prop_assert!(record.is_ok());
                let Ok(record) = record else { return Ok(()) };
                prop_assert_eq!((end, timestamp_delta), (slow_end, record.timestamp_delta));
                prop_assert_eq!((record.offset_delta as u32, record.header_count), (index, 0));
                prop_assert!(record.key.is_none() && record.value.is_some());
            }
        }
    }

    #[test]
    fn ordinary_records_go_the_short_way() {
        for (key, value) in [(None, "v".repeat(100)), (Some("k"), "v".repeat(100)), (Some(""), "v".repeat(7000))] {
            let mut builder = super::super::BatchBuilder::new(crate::types::Codec::None, None);
            let record =
                super::super::RecordRef { key: key.map(str::as_bytes), value: Some(value.as_bytes()), headers: &[] };
            for _ in 0..200 {
                builder.append(record, 1_000).expect("appends");
            }
            let sealed = builder.seal(None, false).expect("seals");
            let payload = &sealed.bytes()[super::super::BATCH_HEADER_BYTES..];
            assert_eq!(key.is_none(), plain_keyless(payload, 0, 0).is_some());
            let (found, _) = RawRecord::parse_plain(payload, 0).expect("the short way");
            assert_eq!((found.key, found.value), (record.key, record.value));
        }
    }
}
