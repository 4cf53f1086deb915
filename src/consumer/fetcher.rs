//! One partition's share of a consumer: where it stands, what it holds, what it hands out. Reads no log and knows no time.
//!
//! ```text
//!            position
//!               v
//!   ..handed out| open batch: the rest of it | held: whole batches, not looked at yet | to be asked for..
//! ```

use super::records::{FetchedBatch, Slice};
use crate::error::{Error, ErrorCode, Result};
use crate::record::{batches, BatchHeader, BatchView, Inflater, RecordIter, BATCH_HEADER_BYTES};
use crate::storage::AbortedTxn;
use crate::types::{Codec, Offset, TopicPartition};
use bytes::Bytes;

/// What the batches have to stand before their records are handed out.
#[derive(Debug)]
pub(super) struct Checker {
    pub checks_crcs: bool,
    pub inflate: Inflater,
}

/// See the picture above.
#[derive(Debug)]
pub(super) struct Fetcher {
    id: TopicPartition,
    position: Offset,
    /// The position was once inside the log. If it is not any more at the upper end, the log was cut.
    proven: bool,
    open: Option<OpenBatch>,
    held: Bytes,
    aborted: Vec<AbortedTxn>,
    /// Raised at this position until a seek.
    failed: Option<Error>,
}

/// A batch that was checked and is partly handed out.
#[derive(Debug)]
struct OpenBatch {
    header: BatchHeader,
    payload: Bytes,
    /// Byte of the next record.
    at: usize,
    left: u32,
}

/// Records to hand out, found on a walk that also checked them, and where the walk ended.
#[derive(Debug)]
struct Walked {
    slice: Slice,
    at: usize,
    left: u32,
}

impl Fetcher {
    pub fn new(id: TopicPartition, position: Offset, proven: bool) -> Fetcher {
        Fetcher { id, position, proven, open: None, held: Bytes::new(), aborted: Vec::new(), failed: None }
    }

    pub fn id(&self) -> &TopicPartition {
        &self.id
    }

    /// The offset of the next record to hand out.
    pub fn position(&self) -> Offset {
        self.position
    }

    pub fn is_proven(&self) -> bool {
        self.proven
    }

    pub fn failed(&self) -> Option<&Error> {
        self.failed.as_ref()
    }

    /// Whether the next records have to be read first.
    pub fn is_drained(&self) -> bool {
        self.open.is_none() && self.held.is_empty()
    }

    pub fn seek(&mut self, to: Offset, proven: bool) {
        *self = Fetcher::new(self.id.clone(), to, proven);
    }

    /// Reading at the position failed in a way that only a seek can mend.
    pub fn fail(&mut self, error: Error) {
        self.failed = Some(error);
    }

    /// Whole batches, the first of which holds the position. `aborted` are the transactions to leave out, by first offset.
    pub fn handle_fetched(&mut self, batches: Bytes, aborted: Vec<AbortedTxn>) {
        debug_assert!(self.is_drained());
        self.proven = true;
        self.held = batches;
        self.aborted = aborted;
    }

    /// Moves up to `room` records into `out` and the position behind them. Says how many bytes they pin. What cannot be read
    /// ends it; the failure is then found in [`failed`](Fetcher::failed).
    pub fn take(&mut self, mut room: u32, checker: &mut Checker, out: &mut Vec<FetchedBatch>) -> Taken {
        let mut taken = Taken::default();
        while room > 0 && self.failed.is_none() && (self.open.is_some() || self.open_next(checker)) {
            if let Some(batch) = self.take_from_open(room) {
                room -= batch.len() as u32;
                taken.records += batch.len() as u32;
                taken.bytes += batch.pinned_bytes() as u64;
                out.push(batch);
            }
        }
        taken
    }

    fn take_from_open(&mut self, room: u32) -> Option<FetchedBatch> {
        let open = self.open.as_mut()?;
        let walked = match walk(open, self.position, room) {
            Ok(walked) => walked,
            Err(error) => {
                let place = format_args!("{} at offset {} (seek to {} to go past)", self.id, self.position, open.end());
                self.failed = Some(error.within(place));
                return None;
            }
        };
        self.position = walked.slice.next_offset;
        (open.at, open.left) = (walked.at, walked.left);
        let (header, payload) = (open.header, open.payload.clone());
        if walked.left == 0 {
            self.open = None;
        }
        (walked.slice.count > 0).then(|| FetchedBatch::new(&self.id, header, payload, walked.slice))
    }

    /// Opens the next held batch that has anything to hand out. False when there is none.
    fn open_next(&mut self, checker: &mut Checker) -> bool {
        while !self.held.is_empty() {
            match self.next_header() {
                Ok(header) => {
                    let bytes = self.held.split_to(header.batch_bytes as usize);
                    if header.end_offset() <= self.position {
                        continue;
                    }
                    match self.open_batch(header, bytes, checker) {
                        Ok(Some(open)) => {
                            self.open = Some(open);
                            return true;
                        }
                        // Control records and aborted ones are nobody's: the position goes over them.
                        Ok(None) => self.position = header.end_offset(),
                        Err(error) => return self.stop_at(&header, error),
                    }
                }
                Err(error) => {
                    self.held = Bytes::new();
                    self.failed = Some(error.within(format_args!("{} at offset {}", self.id, self.position)));
                    return false;
                }
            }
        }
        false
    }

    fn next_header(&self) -> Result<BatchHeader> {
        match batches(&self.held).next() {
            Some(found) => found.map(|(_, batch)| *batch.header()),
            None => Err(Error::new(ErrorCode::CORRUPT_MESSAGE, format!("{} bytes are no whole batch", self.held.len()))),
        }
    }

    fn stop_at(&mut self, header: &BatchHeader, error: Error) -> bool {
        let (first, last, end) = (header.base_offset, header.last_offset(), header.end_offset());
        let place = format_args!("{}, batch {first}..={last} (seek to {end} to go past)", self.id);
        self.failed = Some(error.within(place));
        false
    }

    fn open_batch(&self, header: BatchHeader, bytes: Bytes, checker: &mut Checker) -> Result<Option<OpenBatch>> {
        if checker.checks_crcs {
            BatchView::parse(&bytes)?.verify()?;
        }
        if header.is_control() || header.record_count == 0 || self.is_aborted(&header) {
            return Ok(None);
        }
        let Ok(left) = u32::try_from(header.record_count) else {
            return Err(Error::new(ErrorCode::INVALID_RECORD, format!("{} records", header.record_count)));
        };
        let payload = match header.codec()? {
            Codec::None => bytes.slice(BATCH_HEADER_BYTES..),
            codec => Bytes::copy_from_slice(checker.inflate.inflate(codec, &bytes[BATCH_HEADER_BYTES..])?),
        };
        Ok(Some(OpenBatch { header, payload, at: 0, left }))
    }

    fn is_aborted(&self, header: &BatchHeader) -> bool {
        let Some(producer) = header.producer.filter(|_| header.is_transactional()) else { return false };
        self.aborted.iter().any(|txn| {
            txn.producer_id == producer.id
                && txn.first_offset <= header.base_offset
                && header.base_offset < txn.last_offset
        })
    }
}

impl OpenBatch {
    fn end(&self) -> Offset {
        self.header.end_offset()
    }
}

/// What [`Fetcher::take`] moved.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Taken {
    pub records: u32,
    pub bytes: u64,
}

/// Walks over the records of a batch from where it stands, drops those below `from`, stops after `room`. Each record is parsed
/// here once, so that whoever iterates later meets no surprise. Records before a bad one are found, the bad one is an
/// error only when it comes first.
fn walk(open: &OpenBatch, from: Offset, room: u32) -> Result<Walked> {
    let mut records = RecordIter::resume(&open.header, &open.payload, open.at, open.left);
    let mut start = open.at;
    let mut skipped = 0;
    let mut count = 0;
    let mut next = from;
    while count < room || skipped + count == open.left {
        match records.next() {
            None if skipped + count == open.left => break,
            None => return Err(Error::new(ErrorCode::INVALID_RECORD, "fewer records than the header says")),
            Some(Err(_)) if count > 0 => {
                let (at, left) = (records.position(), open.left - skipped - count);
                return Ok(walked(start, open.left - skipped, count, next, at, left));
            }
            Some(Err(error)) => return Err(error),
            Some(Ok(record)) if record.offset < from && count == 0 => {
                skipped += 1;
                start = records.position();
            }
            Some(Ok(record)) => {
                if record.offset < next || record.offset >= open.end() {
                    let message = format!("record {} lies outside {next}..{}", record.offset, open.end());
                    return Err(Error::new(ErrorCode::INVALID_RECORD, message));
                }
                count += 1;
                next = record.offset.next();
            }
        }
    }
    let left = open.left - skipped - count;
    // Behind the last record the position jumps over whatever compaction has taken out.
    let next = if left == 0 { open.end() } else { next };
    Ok(walked(start, open.left - skipped, count, next, records.position(), left))
}

fn walked(start: usize, left_from_start: u32, count: u32, next_offset: Offset, at: usize, left: u32) -> Walked {
    Walked { slice: Slice { at: start, left: left_from_start, count, next_offset }, at, left }
}
