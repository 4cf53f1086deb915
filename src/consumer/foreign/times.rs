//! Finding a record by its timestamp. The writer's time indexes are hearsay here: headers are walked, and what was walked is remembered.

use super::log::{ForeignLog, State};
use crate::error::Result;
use crate::record::{BatchView, Inflater, INFLATED_BYTES_MAX};
use crate::types::{Offset, Timestamp};

#[derive(Clone, Copy)]
pub(super) struct Newest {
    /// What was walked is this file, this long.
    identity: Option<(u64, u64)>,
    bytes: u64,
    timestamp: i64,
}

impl ForeignLog {
    pub(super) fn first_at_or_after(&self, state: &mut State, at: Timestamp) -> Result<Option<(Offset, Timestamp)>> {
        let listing = state.listing.as_ref().expect("listed by the caller");
        let (count, log_start) = (listing.bases.len(), listing.log_start);
        let floor = listing.bases.partition_point(|base| *base <= log_start).saturating_sub(1);
        let mut inflate = Inflater::new(INFLATED_BYTES_MAX);
        for index in floor..count {
            if !self.open(state, index)? {
                continue; // expired meanwhile
            }
            let segment = state.current.as_ref().expect("just opened");
            let len = segment.len()?;
            let known = state.newest.get(&segment.base);
            let is_this = |known: &&Newest| known.identity == segment.identity && known.bytes == len;
            if known.filter(is_this).is_some_and(|known| known.timestamp < at.0) {
                continue;
            }
            let (mut position, mut newest) = (0, i64::MIN);
            while let Some(header) = segment.header_at(position, len)? {
                newest = newest.max(header.max_timestamp);
                if header.max_timestamp >= at.0 && header.last_offset() >= log_start {
                    let bytes = segment.batch_at(position, &header)?;
                    if let Some(found) = first_in_batch(&bytes, at, log_start, &mut inflate)? {
                        return Ok(Some(found));
                    }
                }
                position += u64::from(header.batch_bytes);
            }
            if segment.is_sealed && segment.identity.is_some() {
                let walked = Newest { identity: segment.identity, bytes: len, timestamp: newest };
                state.newest.insert(segment.base, walked);
            }
        }
        Ok(None)
    }
}

fn first_in_batch(
    bytes: &[u8],
    at: Timestamp,
    from: Offset,
    inflate: &mut Inflater,
) -> Result<Option<(Offset, Timestamp)>> {
    let view = BatchView::parse(bytes)?;
    if !view.crc_matches() {
        // Being written right now, or damaged: whoever reads it is told.
        return Ok(None);
    }
    for record in view.records(inflate)? {
        let record = record?;
        if let Some(timestamp) = record.timestamp.filter(|timestamp| *timestamp >= at && record.offset >= from) {
            return Ok(Some((record.offset, timestamp)));
        }
    }
    Ok(None)
}
