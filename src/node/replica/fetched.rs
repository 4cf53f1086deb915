//! What a follower may take of the bytes that a leader hands out: those parts of a batch that its checksum does not cover.
//!
//! Kafka's checksum begins behind the leader epoch, so a flipped bit in a base offset or an epoch goes through it. The follower knows
//! where it stands, in which reign, and that offsets grow; so it sees nearly all of them. A hole is legal (a repair or a compaction may
//! have left one), but only if what comes behind goes on from there: one batch that jumps ahead alone has a damaged offset.

use crate::error::{Error, ErrorCode, Result};
use crate::record::{batches, BatchHeader};
use crate::types::{LeaderEpoch, Offset, TopicPartition};

/// Where a follower stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub partition: &'a TopicPartition,
    /// The log end: what was asked for.
    pub at: Offset,
    /// Whom it follows leads in this one; nothing newer can be in its log.
    pub leader_epoch: LeaderEpoch,
    /// The newest epoch of the own log.
    pub latest_epoch: Option<LeaderEpoch>,
}

/// How many of these bytes fit behind the log, and what is wrong with what comes after them. Whole batches; their checksums are the
/// business of whoever appends them.
pub(super) fn fitting(place: Place<'_>, bytes: &[u8]) -> (usize, Result<()>) {
    let (mut end, mut epoch) = (place.at, place.latest_epoch.unwrap_or_default());
    let mut fits = 0;
    // Where a batch begins that jumped ahead and that nothing has confirmed yet.
    let mut ahead = None;
    for next in batches(bytes) {
        let followed = next.and_then(|(position, view)| {
            follows(place, view.header(), end, epoch)?;
            Ok((position, view))
        });
        let (position, view) = match followed {
            Ok(found) => found,
            Err(wrong) => return (ahead.unwrap_or(fits), Err(wrong)),
        };
        let header = view.header();
        if header.base_offset > end && ahead.is_none() {
            ahead = Some(position);
        } else if header.base_offset == end {
            ahead = None;
        }
        end = header.last_offset().next();
        epoch = header.leader_epoch.unwrap_or(epoch);
        fits = position + view.bytes().len();
    }
    match ahead {
        Some(position) => {
            let what = format!("a hole before {end} that no batch behind it confirms");
            (position, Err(corrupt(place, &what)))
        }
        None => (bytes.len(), Ok(())),
    }
}

fn follows(place: Place<'_>, header: &BatchHeader, end: Offset, epoch: LeaderEpoch) -> Result<()> {
    if header.base_offset < end {
        return Err(corrupt(place, &format!("a batch at {} where {end} is next", header.base_offset)));
    }
    match header.leader_epoch {
        Some(own) if own < epoch || own > place.leader_epoch => {
            let what = format!("a batch at {} of epoch {}, after {} in {}", end, own.0, epoch.0, place.leader_epoch.0);
            Err(corrupt(place, &what))
        }
        _ => Ok(()),
    }
}

fn corrupt(place: Place<'_>, what: &str) -> Error {
    Error::new(ErrorCode::CORRUPT_MESSAGE, format!("{}: {what}", place.partition))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::BATCH_HEADER_BYTES;
    use crate::record::{stamp_header, BatchBuilder, RecordRef};
    use crate::types::Codec;

    const EPOCH_AT: usize = 12;

    /// Batches of three records each.
    fn slab(bases: &[u64], epoch: u32) -> Vec<u8> {
        bases.iter().flat_map(|base| batch(*base, epoch)).collect()
    }

    fn batch(base: u64, epoch: u32) -> Vec<u8> {
        let mut builder = BatchBuilder::new(Codec::None, None);
        for value in ["one", "two", "three"] {
            let record = RecordRef { key: None, value: Some(value.as_bytes()), headers: &[] };
            builder.append(record, 1).expect("fits");
        }
        let mut bytes = builder.seal(None, false).expect("has records").bytes().to_vec();
        stamp_header(&mut bytes, Offset(base), LeaderEpoch(epoch));
        bytes
    }

    fn judged(at: u64, bytes: &[u8]) -> (usize, bool) {
        let partition = TopicPartition::new("t", 0);
        let place = Place {
            partition: &partition,
            at: Offset(at),
            leader_epoch: LeaderEpoch(5),
            latest_epoch: Some(LeaderEpoch(2)),
        };
        let (fits, outcome) = fitting(place, bytes);
        if let Err(error) = &outcome {
            assert_eq!(error.code(), ErrorCode::CORRUPT_MESSAGE);
        }
        (fits, outcome.is_ok())
    }

    #[test]
    fn batches_that_go_on_where_the_log_ends_are_taken_whole() {
        let bytes = slab(&[6, 9, 12], 5);
        assert_eq!(judged(6, &bytes), (bytes.len(), true));
        assert_eq!(judged(6, &[]), (0, true));
    }

    #[test]
    fn a_flipped_bit_of_a_base_offset_is_refused_with_everything_behind_it() {
        let one = slab(&[6], 5).len();
        for bit in 0..64 {
            let mut bytes = slab(&[6, 9, 12], 5);
            bytes[one + bit / 8] ^= 1 << (bit % 8);
            let (fits, is_whole) = judged(6, &bytes);
            assert!(!is_whole && (fits == one || fits == 0), "bit {bit}: {fits} of {}", bytes.len());
            // Of the last batch too, which nothing follows.
            let mut last = slab(&[6, 9], 5);
            last[one + bit / 8] ^= 1 << (bit % 8);
            assert!(!judged(6, &last).1, "bit {bit} of the last batch");
        }
    }

    #[test]
    fn an_epoch_that_goes_back_or_is_not_yet_is_refused() {
        let one = slab(&[6], 5).len();
        for epoch in [0u8, 1, 6, 64] {
            let mut bytes = slab(&[6, 9], 5);
            bytes[one + EPOCH_AT + 3] = epoch;
            assert_eq!(judged(6, &bytes), (one, false), "epoch {epoch}");
        }
        assert!(!judged(6, &slab(&[6], 1)).1, "older than the own log");
        assert!(one > BATCH_HEADER_BYTES);
    }

    #[test]
    fn a_hole_is_taken_when_what_comes_behind_goes_on_from_there() {
        let bytes = slab(&[6, 20, 23], 5);
        assert_eq!(judged(6, &bytes), (bytes.len(), true));
        let one = slab(&[6], 5).len();
        assert_eq!(judged(6, &slab(&[6, 20], 5)), (one, false));
        assert_eq!(judged(6, &slab(&[6, 20, 9, 12], 5)), (one, false));
    }
}
