//! What a segment's batches say of their timestamps, and whether its time index says the same.
//!
//! No checksum guards a time index: a line may be in order and false. What this process wrote it knows; of what was there when the segment was
//! opened nothing is believed before the batch headers were walked, once, by the first search by time that has to know.

use super::segment::Segment;
use crate::error::Result;
use crate::types::{Offset, Position, Timestamp};
use parking_lot::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};

pub(super) struct Times {
    /// Largest timestamp of what was published since the segment was opened.
    published: AtomicI64,
    inherited: Mutex<Inherited>,
}

/// The part of the segment that was there before.
struct Inherited {
    bytes: u64,
    /// Lines of the index at or above were written by this process.
    end: Offset,
    /// The largest timestamp that those lines go on from; `None`: nobody goes on.
    claimed: Option<i64>,
    walked: Option<Walked>,
}

/// What a search may rely on.
#[derive(Clone, Copy)]
pub(super) struct Walked {
    /// No batch has a larger timestamp.
    pub(super) newest: i64,
    /// No line of the time index promises more than the batches keep.
    pub(super) index_is_right: bool,
}

impl Times {
    pub(super) fn new(bytes: u64) -> Times {
        let inherited = Inherited { bytes, end: Offset::MAX, claimed: None, walked: None };
        Times { published: AtomicI64::new(i64::MIN), inherited: Mutex::new(inherited) }
    }

    /// The segment ends here now: so much was found by a scan, which believed its time index about the newest timestamp.
    pub(super) fn inherit(&self, bytes: u64, end: Offset, newest: Option<Timestamp>) {
        let claimed = Some(newest.map_or(-1, |newest| newest.0));
        *self.inherited.lock() = Inherited { bytes, end, claimed, walked: None };
        self.published.store(i64::MIN, Ordering::Release);
    }

    pub(super) fn publish(&self, max_timestamp: i64) {
        self.published.fetch_max(max_timestamp, Ordering::AcqRel);
    }
}

impl Segment {
    /// The largest timestamp in this segment, and whether its time index can be used. Walks the headers of what was not written by
    /// this process, the first time.
    ///
    /// # Errors
    /// CORRUPT_MESSAGE where they cannot be walked; KAFKA_STORAGE_ERROR.
    pub(super) fn times(&self) -> Result<Walked> {
        let mut inherited = self.times.inherited.lock();
        let walked = match inherited.walked {
            Some(walked) => walked,
            None => {
                let walked = walk(self, &inherited)?;
                inherited.walked = Some(walked);
                walked
            }
        };
        drop(inherited);
        Ok(Walked { newest: walked.newest.max(self.times.published.load(Ordering::Acquire)), ..walked })
    }

    /// Whether the newest timestamp that the time index claims is worth deleting records for. The batch that it names has to have it, and
    /// no batch at the segment's end a larger one; where that is not so, all headers are asked.
    pub(super) fn confirmed_newest(&self) -> Result<Option<Timestamp>> {
        let Some((claimed, offset)) = self.max_timestamp() else { return Ok(None) };
        let named = self.locate(offset)?;
        let mut is_plausible = named.is_some_and(|(_, header)| header.max_timestamp == claimed.0);
        let mut at = self.confirmed_hint(Offset(self.end().0.saturating_sub(1)))?;
        while let Some(header) = self.header_at(at)?.filter(|_| is_plausible) {
            is_plausible = header.max_timestamp <= claimed.0;
            at = self.after(at, &header)?;
        }
        let newest = if is_plausible { claimed.0 } else { self.times()?.newest };
        Ok((newest >= 0).then_some(Timestamp(newest)))
    }
}

/// Holds the lines of the time index against the headers of the inherited batches.
fn walk(segment: &Segment, inherited: &Inherited) -> Result<Walked> {
    let (mut newest, mut index_is_right) = (i64::MIN, true);
    if inherited.bytes == 0 {
        return Ok(Walked { newest, index_is_right });
    }
    // A file that cannot be read answers lookups like an empty one.
    let lines = segment.time_index.entries().unwrap_or_default();
    let mut lines = lines.iter().take_while(|line| line.offset < inherited.end).peekable();
    let mut at = Position(0);
    while u64::from(at.0) < inherited.bytes {
        let Some(header) = segment.header_at(at)? else { break };
        // A line promises that up to its offset nothing is newer.
        while let Some(line) = lines.next_if(|line| line.offset < header.base_offset) {
            index_is_right &= newest <= line.timestamp.0;
        }
        newest = newest.max(header.max_timestamp);
        at = segment.after(at, &header)?;
    }
    index_is_right &= lines.all(|line| newest <= line.timestamp.0);
    // Lines of this process go on from what the index claimed.
    index_is_right &= inherited.claimed.is_none_or(|claimed| newest <= claimed);
    Ok(Walked { newest, index_is_right })
}
