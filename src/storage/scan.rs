//! Walking a segment from front to back: to find its end, to rebuild its indexes, to replay its producers.

use super::append::end_txn_of;
use super::epoch_replay;
use super::leader_epochs::LeaderEpochs;
use super::producer_states::{EndTxn, ProducerBatch, ProducerStates};
use super::segment::Segment;
use crate::error::{Error, ErrorCode, Result};
use crate::record::{BatchHeader, BatchView, BATCH_HEADER_BYTES};
use crate::types::{Offset, Position, Timestamp};

/// Bytes read at a time; a larger batch is read in one piece.
const CHUNK_BYTES: usize = 1 << 20;

/// How much of the active segment is believed.
pub(super) struct ScanPlan {
    /// Compare checksums of what is scanned.
    pub compare_checksums: bool,
    /// Log and indexes below are right: begin here.
    pub trusted: (Offset, Position),
    /// A bad batch below is damage; at or above it is a torn tail.
    pub durable: Offset,
    /// `durable` was noted by us after a sync: a log that ends below has lost something.
    pub durable_is_known: bool,
    /// Closed in order: begin at the last index entry.
    pub is_clean: bool,
}

/// What the active segment holds.
pub(super) struct Scan {
    /// Whole, believable batches.
    pub bytes: u64,
    pub file_bytes: u64,
    pub end: Offset,
    pub scanned_bytes: u64,
    pub bytes_since_index: u64,
    pub producers: ProducerStates,
    pub damage: Option<Error>,
}

/// Scans the active segment by `plan`, rebuilds what its indexes lack, and sets its end.
pub(super) fn scan(
    active: &Segment,
    plan: &ScanPlan,
    epochs: &mut LeaderEpochs,
    producers: (ProducerStates, Offset),
    index_interval_bytes: u32,
) -> Result<Scan> {
    let (mut states, covered) = producers;
    let (mut next, mut position) = plan.trusted;
    if plan.is_clean && position == Position(0) {
        if let Some(known) = last_indexed(active)? {
            (next, position) = known;
        }
    }
    // Producers that the snapshot does not cover are below the place where the scan begins: replay them by their headers.
    let mut damage = None;
    if covered < next {
        damage = damage_in(replay_between(active, covered, position, &mut states))?;
    }
    if !plan.is_clean {
        active.offset_index.truncate_to(next)?;
        active.time_index.truncate_to(next)?;
        active.txn_index.truncate_to(next)?;
    }
    let mut newest = newest_before(active, next);
    let mut walk = Walk::new(active, position);
    let mut since_index = 0_u64;
    let mut bytes = u64::from(position.0);
    let mut end = if position == Position(0) { active.base } else { next };
    let mut refused = None;
    loop {
        let at = walk.at;
        let batch = match walk.step(plan.compare_checksums) {
            Ok(Some(batch)) => batch,
            Ok(None) => break,
            Err(e) if e.code() == ErrorCode::CORRUPT_MESSAGE => {
                refused = Some(e);
                break;
            }
            Err(e) => return Err(e),
        };
        let header = *batch.header();
        let (place, marker) = match judge(active, at, end, &batch) {
            Ok(judged) => judged,
            Err(e) => {
                refused = Some(e);
                break;
            }
        };
        if newest.is_none_or(|(newest, _): (Timestamp, Offset)| newest.0 < header.max_timestamp) {
            newest = (header.max_timestamp >= 0).then_some((Timestamp(header.max_timestamp), header.last_offset()));
        }
        if since_index > u64::from(index_interval_bytes) && !plan.is_clean {
            // A full index has no more lines; the appender rolls.
            if active.offset_index.append(header.last_offset(), place).is_ok() {
                if let Some((timestamp, offset)) = newest {
                    let _ = active.time_index.maybe_append(timestamp, offset, false);
                }
            }
            since_index = 0;
        }
        since_index += u64::from(header.batch_bytes);
        if !plan.is_clean {
            epoch_replay::note(epochs, &header, end); // after a clean end the file has them all
        }
        if header.base_offset >= covered {
            note(&mut states, &batch, marker, active)?;
        }
        end = header.end_offset();
        bytes = at + u64::from(header.batch_bytes);
    }
    let file_bytes = active.bytes();
    if damage.is_some() {
        // What was found first is what is told.
    } else if end < plan.durable && bytes < file_bytes {
        let why = refused.unwrap_or_else(|| Error::new(ErrorCode::CORRUPT_MESSAGE, "a batch is cut short"));
        damage = Some(active.placed(why, bytes));
    } else if end < plan.durable && plan.durable_is_known {
        let what = format!("the log ends at offset {end}, but everything below {} was durable", plan.durable);
        damage = Some(active.placed(Error::new(ErrorCode::CORRUPT_MESSAGE, what), bytes));
    }
    if damage.is_none() {
        // After a clean end nothing was rebuilt: lines of batches that are not there would stand in the way of those to come.
        active.offset_index.truncate_to(end)?;
        active.time_index.truncate_to(end)?;
        active.txn_index.truncate_to(end)?;
    }
    active.set_end(bytes, end, newest);
    Ok(Scan {
        bytes,
        file_bytes,
        end,
        scanned_bytes: if plan.compare_checksums { bytes - u64::from(position.0) } else { 0 },
        bytes_since_index: since_index,
        producers: states,
        damage,
    })
}

/// Where a whole batch at byte `at` lies, and the marker in it, if it may lie there in a segment that went up to `end` before it.
pub(super) fn judge(
    segment: &Segment,
    at: u64,
    end: Offset,
    batch: &BatchView<'_>,
) -> Result<(Position, Option<EndTxn>)> {
    let header = batch.header();
    // Nothing of ours makes a file that long.
    let place = u32::try_from(at).ok().map(Position);
    let is_in_order = header.base_offset >= end && segment.offset_index.can_append(header.last_offset());
    let Some(place) = place.filter(|_| is_in_order) else {
        let what = format!("batch at offset {} where {end} or more was expected", header.base_offset);
        return Err(Error::new(ErrorCode::CORRUPT_MESSAGE, what));
    };
    // There may be a right checksum around a marker that says nothing.
    Ok((place, end_txn_of(batch)?))
}

/// The end of the last batch that the offset index knows, if the log confirms it.
fn last_indexed(active: &Segment) -> Result<Option<(Offset, Position)>> {
    let Some((offset, position)) = active.offset_index.last_entry()? else { return Ok(None) };
    match active.header_at(position) {
        Ok(Some(header)) if header.last_offset() == offset => Ok(Some((header.base_offset, position))),
        _ => Ok(None),
    }
}

/// The newest timestamp below `next`, as the time index has it.
fn newest_before(active: &Segment, next: Offset) -> Option<(Timestamp, Offset)> {
    let last = active.time_index.last_entry().ok().flatten()?;
    (last.offset < next).then_some((last.timestamp, last.offset))
}

fn replay_between(active: &Segment, from: Offset, until: Position, states: &mut ProducerStates) -> Result<()> {
    let mut at = active.confirmed_hint(from)?;
    while at < until {
        let Some(header) = active.header_at(at)? else { break };
        if header.base_offset >= from && header.producer.is_some() {
            note_at(active, at, &header, states)?;
        }
        at = active.after(at, &header)?;
    }
    Ok(())
}

/// Bytes that make no sense are damage to be reported; only a disk that fails keeps a log from opening.
pub(super) fn damage_in(replayed: Result<()>) -> Result<Option<Error>> {
    match replayed {
        Ok(()) => Ok(None),
        Err(e) if e.code() == ErrorCode::KAFKA_STORAGE_ERROR => Err(e),
        Err(e) => Ok(Some(e)),
    }
}

/// Replays the producers of a sealed segment from `from` on: headers, and the bodies of control batches.
pub(super) fn replay(segment: &Segment, from: Offset, states: &mut ProducerStates) -> Result<()> {
    let mut at = if from > segment.base { segment.confirmed_hint(from)? } else { Position(0) };
    while let Some(header) = segment.header_at(at)? {
        if header.base_offset >= from && header.producer.is_some() {
            note_at(segment, at, &header, states)?;
        }
        at = segment.after(at, &header)?;
    }
    Ok(())
}

fn note_at(segment: &Segment, at: Position, header: &BatchHeader, states: &mut ProducerStates) -> Result<()> {
    let bytes = segment.bytes_at(u64::from(at.0), header.batch_bytes as usize)?;
    let view = BatchView::parse(&bytes).map_err(|e| segment.placed(e, u64::from(at.0)))?;
    let marker = end_txn_of(&view).map_err(|e| segment.placed(e, u64::from(at.0)))?;
    note(states, &view, marker, segment)
}

fn note(states: &mut ProducerStates, batch: &BatchView<'_>, marker: Option<EndTxn>, segment: &Segment) -> Result<()> {
    let header = batch.header();
    let Some(producer) = header.producer else { return Ok(()) };
    if header.is_control() {
        if let Some(marker) = marker {
            if let Some(aborted) = states.end_txn(&marker) {
                let known = segment.txn_index.last_offset().is_some_and(|last| last >= aborted.last_offset);
                if !segment.is_sealed() && !known {
                    segment.txn_index.append(aborted)?;
                }
            }
        }
        return Ok(());
    }
    states.update(&ProducerBatch {
        producer,
        base_offset: header.base_offset,
        last_offset_delta: header.last_offset_delta,
        max_timestamp: header.max_timestamp,
        is_transactional: header.is_transactional(),
    });
    Ok(())
}

/// Compares every checksum of a sealed segment, and that its offsets grow. Bytes looked at, and the first damage.
pub(super) fn verify(segment: &Segment) -> Result<(u64, Option<Error>)> {
    if segment.bytes() == 0 {
        // Nothing rolls an empty segment.
        let what = format!("nothing is left of offsets {} to {}", segment.base, segment.end());
        return Ok((0, Some(segment.placed(Error::new(ErrorCode::CORRUPT_MESSAGE, what), 0))));
    }
    let mut walk = Walk::new(segment, Position(0));
    let mut end = segment.base;
    loop {
        let at = walk.at;
        match walk.step(true) {
            Ok(Some(batch)) => {
                let header = batch.header();
                if header.base_offset < end || header.end_offset() > segment.end() {
                    let (from, to) = (header.base_offset, header.end_offset());
                    let what = format!("offsets {from} to {to} in a place for {end} to {}", segment.end());
                    return Ok((at, Some(segment.placed(Error::new(ErrorCode::CORRUPT_MESSAGE, what), at))));
                }
                end = header.end_offset();
            }
            Ok(None) if at == segment.bytes() => return Ok((at, None)),
            Ok(None) => {
                let what = format!("{} bytes that are no whole batch", segment.bytes() - at);
                return Ok((at, Some(segment.placed(Error::new(ErrorCode::CORRUPT_MESSAGE, what), at))));
            }
            Err(e) if e.code() == ErrorCode::CORRUPT_MESSAGE => return Ok((at, Some(segment.placed(e, at)))),
            Err(e) => return Err(e),
        }
    }
}

/// Reads a segment front to back in large pieces.
pub(super) struct Walk<'a> {
    segment: &'a Segment,
    /// Where the next batch begins in the file.
    pub(super) at: u64,
    chunk: bytes::Bytes,
    chunk_at: u64,
}

impl<'a> Walk<'a> {
    pub(super) fn new(segment: &'a Segment, at: Position) -> Walk<'a> {
        Walk { segment, at: u64::from(at.0), chunk: bytes::Bytes::new(), chunk_at: u64::from(at.0) }
    }

    /// The next whole batch; `None` at the end or before a tail that is shorter than its batch claims to be.
    pub(super) fn step(&mut self, compare_checksum: bool) -> Result<Option<BatchView<'_>>> {
        if !self.fill(BATCH_HEADER_BYTES)? {
            return Ok(None);
        }
        let header = BatchHeader::parse(self.rest())?;
        if !self.fill(header.batch_bytes as usize)? {
            return Ok(None);
        }
        let start = (self.at - self.chunk_at) as usize;
        self.at += u64::from(header.batch_bytes);
        let view = BatchView::parse(&self.chunk[start..])?;
        if compare_checksum {
            view.verify()?;
        }
        Ok(Some(view))
    }

    fn rest(&self) -> &[u8] {
        &self.chunk[(self.at - self.chunk_at) as usize..]
    }

    /// Sees that `want` bytes from `at` on are in the chunk; false when the file ends before.
    fn fill(&mut self, want: usize) -> Result<bool> {
        if self.rest().len() >= want {
            return Ok(true);
        }
        self.chunk = self.segment.bytes_at(self.at, want.max(CHUNK_BYTES))?;
        self.chunk_at = self.at;
        Ok(self.chunk.len() >= want)
    }
}
