//! Reading: whole batches from an offset up to a bound, and offsets by time.

use super::api::{Fetch, Fetched, UpTo};
use super::log::Log;
use super::segment::Segment;
use super::tail::Tail;
use crate::error::{Error, ErrorCode, Result};
use crate::record::{batches, BatchHeader, BATCH_HEADER_BYTES};
use crate::types::{Offset, Position, Timestamp};
use bytes::Bytes;
use std::io;

/// So many batches ahead a header is asked for.
const HEADERS_AHEAD: usize = 4;

/// What is put together for one answer at the most, from pieces in memory.
const TOGETHER_BYTES_MAX: usize = 256 * 1024;

/// A reader this close to the log end counts as one that follows it.
const TAIL_OFFSETS: u64 = 4096;

impl Log {
    /// Whole batches, beginning with the one that holds `fetch.from`, none of it at or past the bound. Sealed segments come from
    /// their mapping, the hot tail from memory, the rest from `pread`; the bytes may be kept for as long as one likes.
    /// Checksums are not compared here.
    ///
    /// # Errors
    /// OFFSET_OUT_OF_RANGE below the log start or past the log end; CORRUPT_MESSAGE where the file makes no sense;
    /// KAFKA_STORAGE_ERROR. At the bound, or between it and the log end, the answer is empty.
    pub fn read(&self, fetch: Fetch) -> Result<Fetched> {
        self.read_by(fetch, |tail, bound| tail.get(fetch.from, bound), Tail::ask)
    }

    /// As [`read`](Log::read), for a replica: several batches also where they come from memory.
    ///
    /// # Errors
    /// As [`read`](Log::read).
    pub fn read_for_replica(&self, fetch: Fetch) -> Result<Fetched> {
        let bytes_max = fetch.bytes_max.min(TOGETHER_BYTES_MAX);
        self.read_by(fetch, |tail, bound| tail.get_run(fetch.from, bound, bytes_max), Tail::ask_for_replica)
    }

    fn read_by(
        &self,
        fetch: Fetch,
        from_tail: impl FnOnce(&Tail, Offset) -> Option<Bytes>,
        ask: impl FnOnce(&Tail),
    ) -> Result<Fetched> {
        let offsets = self.offsets();
        let readable = if self.failure().is_some() { offsets.flushed } else { offsets.log_end };
        if fetch.from < offsets.log_start || fetch.from > offsets.log_end {
            return Err(self.out_of_range(fetch.from));
        }
        let bound = match fetch.up_to {
            UpTo::LogEnd => readable,
            UpTo::HighWatermark => offsets.high_watermark.min(readable),
            UpTo::Offset(offset) => offset.min(readable),
        };
        if fetch.from >= bound {
            return Ok(Fetched { batches: Bytes::new() });
        }
        if let Some(batches) = from_tail(&self.tail, bound) {
            return Ok(Fetched { batches });
        }
        if offsets.log_end.since(fetch.from) <= TAIL_OFFSETS {
            ask(&self.tail);
        }
        let batches = self.read_segments(fetch, bound)?;
        Ok(Fetched { batches })
    }

    fn read_segments(&self, fetch: Fetch, bound: Offset) -> Result<Bytes> {
        let segments = self.segments();
        let mut index = segments.floor(fetch.from);
        while let Some(segment) = segments.get(index) {
            match read_segment(segment, fetch, bound) {
                Ok(Some(bytes)) => return Ok(bytes),
                // Compaction may leave a gap at a segment's end, but nothing leaves an empty one in the middle.
                Ok(None) if segment.is_sealed() && segment.bytes() == 0 => {
                    return Err(self.missing(segment, fetch.from))
                }
                Ok(None) => index += 1,
                // Retention took the file away between the look at the list and the look at the disk.
                Err(e) if e.io_kind() == Some(io::ErrorKind::NotFound) && fetch.from < self.log_start() => {
                    return Err(self.out_of_range(fetch.from));
                }
                Err(e) => return Err(e),
            }
        }
        // A truncation or retention may have come between the look at the numbers and the look at the list.
        if self.log_end() < bound || fetch.from < self.log_start() {
            return Ok(Bytes::new());
        }
        Err(self.missing(segments.active(), fetch.from))
    }

    /// Offsets that the log has given out, and no batch that holds them.
    fn missing(&self, segment: &Segment, from: Offset) -> Error {
        let what = format!("no batch holds offset {from}, and the log goes on to {}", self.log_end());
        segment.placed(Error::new(ErrorCode::CORRUPT_MESSAGE, what), segment.bytes())
    }

    fn out_of_range(&self, asked: Offset) -> Error {
        let what = format!(
            "{}: offset {asked} was asked for, {} to {} are there",
            self.partition,
            self.log_start(),
            self.log_end()
        );
        Error::new(ErrorCode::OFFSET_OUT_OF_RANGE, what)
    }

    /// The first record whose timestamp is not below `at`, and its timestamp. The time index only says where to begin; the answer is
    /// read from the log.
    ///
    /// # Errors
    /// As [`read`](Log::read).
    pub fn offset_for_timestamp(&self, at: Timestamp) -> Result<Option<(Offset, Timestamp)>> {
        let log_start = self.log_start();
        let segments = self.segments();
        for segment in segments.iter().skip(segments.floor(log_start)) {
            let times = segment.times()?;
            if times.newest < at.0 {
                continue;
            }
            if let Some(found) = self.first_at_or_after(segment, at, log_start, times.index_is_right)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn first_at_or_after(
        &self,
        segment: &Segment,
        at: Timestamp,
        from: Offset,
        index_is_right: bool,
    ) -> Result<Option<(Offset, Timestamp)>> {
        // Up to this entry's offset nothing is newer than its timestamp, which is not above `at`... only a smaller one is safe.
        let hint = segment.time_index.lookup(Timestamp(at.0.saturating_sub(1))).filter(|_| index_is_right);
        let start = match hint {
            Some(entry) => segment.confirmed_hint(entry.offset)?,
            None => Position(0),
        };
        let mut position = start;
        while let Some(header) = segment.header_at(position)? {
            if header.max_timestamp >= at.0 && header.last_offset() >= from {
                let first = |offset, timestamp| (timestamp >= at && offset >= from).then_some((offset, timestamp));
                if let Some(found) = self.search_batch(segment, position, &header, first)? {
                    return Ok(Some(found));
                }
            }
            position = segment.after(position, &header)?;
        }
        Ok(None)
    }

    /// Shows the records that have a timestamp to `look`, until it has found what it looks for.
    fn search_batch<R>(
        &self,
        segment: &Segment,
        position: Position,
        header: &BatchHeader,
        mut look: impl FnMut(Offset, Timestamp) -> Option<R>,
    ) -> Result<Option<R>> {
        let bytes = segment.bytes_at(u64::from(position.0), header.batch_bytes as usize)?;
        let Some(next) = batches(&bytes).next() else { return Ok(None) };
        let (_, view) = next.map_err(|e| segment.placed(e, u64::from(position.0)))?;
        view.verify().map_err(|e| segment.placed(e, u64::from(position.0)))?;
        let mut foreign = self.foreign.lock();
        for record in view.records(&mut foreign.inflater)? {
            let record = record?;
            if let Some(found) = record.timestamp.and_then(|timestamp| look(record.offset, timestamp)) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The record with the largest timestamp, the first of them if there are several.
    ///
    /// # Errors
    /// As [`read`](Log::read).
    pub fn offset_of_max_timestamp(&self) -> Result<Option<(Offset, Timestamp)>> {
        let log_start = self.log_start();
        let segments = self.segments();
        let mut newest = None;
        for segment in segments.iter().skip(segments.floor(log_start)) {
            // What was deleted from the first one is still in its file.
            let of_segment = match segment.base < log_start {
                true => self.newest_from(segment, log_start)?,
                false => Some(segment.times()?.newest).filter(|newest| *newest >= 0),
            };
            newest = newest.max(of_segment);
        }
        match newest {
            Some(newest) => self.offset_for_timestamp(Timestamp(newest)),
            None => Ok(None),
        }
    }

    /// The largest timestamp of the records from `from` on.
    fn newest_from(&self, segment: &Segment, from: Offset) -> Result<Option<i64>> {
        let Some((mut position, _)) = segment.locate(from)? else { return Ok(None) };
        let mut newest = None;
        while let Some(header) = segment.header_at(position)? {
            if header.base_offset >= from {
                newest = newest.max(Some(header.max_timestamp).filter(|newest| *newest >= 0));
            } else {
                self.search_batch(segment, position, &header, |offset, timestamp| {
                    newest = newest.max((offset >= from).then_some(timestamp.0));
                    None::<()>
                })?;
            }
            position = segment.after(position, &header)?;
        }
        Ok(newest)
    }
}

/// `None` when the segment has nothing from there on; empty when what it has does not lie below the bound, or is too large.
fn read_segment(segment: &Segment, fetch: Fetch, bound: Offset) -> Result<Option<Bytes>> {
    let Some((position, first)) = segment.locate(fetch.from)? else { return Ok(None) };
    if first.end_offset() > bound {
        return Ok(Some(Bytes::new()));
    }
    let mut want = fetch.bytes_max;
    if fetch.min_one_message {
        want = want.max(first.batch_bytes as usize);
    }
    let at = u64::from(position.0);
    let bytes = segment.bytes_at(at, want)?;
    // What lies past the segment's end is damage, and the next segment's offsets.
    let whole = Whole::below(&bytes, first.base_offset, bound.min(segment.end())).map_err(|e| segment.placed(e, at))?;
    let behind = match whole.behind {
        None => segment.base_offset_at(at + whole.bytes as u64)?,
        known => known,
    };
    let Some(behind) = behind.filter(|behind| *behind < whole.next) else {
        return Ok(Some(bytes.slice(..whole.bytes)));
    };
    if whole.last_at > 0 {
        return Ok(Some(bytes.slice(..whole.last_at)));
    }
    // Offsets lie outside of the checksum, and an index line behind the two would let a reader pass what lies between.
    let what = format!("a batch that ends before offset {} and one at {behind} behind it", whole.next);
    Err(segment.placed(Error::new(ErrorCode::CORRUPT_MESSAGE, what), at))
}

/// The whole batches that a piece of a segment begins with.
struct Whole {
    bytes: usize,
    /// Where the last of them begins.
    last_at: usize,
    /// Where the last of them ends.
    next: Offset,
    /// What the header behind them says, if the piece goes that far.
    behind: Option<Offset>,
}

impl Whole {
    /// Below `bound`, with offsets that grow from `from` on. What makes no sense is an error only for whoever asks for it: the whole
    /// batches before it are answered first.
    fn below(bytes: &[u8], from: Offset, bound: Offset) -> Result<Whole> {
        let mut whole = Whole { bytes: 0, last_at: 0, next: from, behind: None };
        while whole.next < bound && bytes.len() - whole.bytes >= BATCH_HEADER_BYTES {
            let at = whole.bytes;
            let header = match BatchHeader::parse(&bytes[at..]) {
                Ok(header) if header.base_offset >= whole.next => header,
                Ok(header) if at > 0 => {
                    whole.behind = Some(header.base_offset);
                    break;
                }
                Ok(header) => {
                    let next = whole.next;
                    let what = format!("a batch at offset {} where {next} or more was expected", header.base_offset);
                    return Err(Error::new(ErrorCode::CORRUPT_MESSAGE, what));
                }
                Err(_) if at > 0 => break,
                Err(e) => return Err(e),
            };
            let end = at + header.batch_bytes as usize;
            if end > bytes.len() || header.end_offset() > bound {
                whole.behind = Some(header.base_offset);
                break;
            }
            // Batches are mostly of one size: a look at where one of the next headers should be brings it nearer while this one is
            // judged. Cold memory, header by header, would cost a tenth of a sequential read.
            std::hint::black_box(bytes.get(end + HEADERS_AHEAD * header.batch_bytes as usize).copied());
            (whole.last_at, whole.bytes, whole.next) = (at, end, header.end_offset());
        }
        Ok(whole)
    }
}
