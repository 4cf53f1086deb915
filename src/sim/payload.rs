//! What simulated producers write: records that say who wrote them, and as the how many'th.

use crate::error::Result;
use crate::record::{batches, BatchBuilder, BatchView, Inflater, RecordRef, SealedBatch, INFLATED_BYTES_MAX};
use crate::types::{Codec, ProducerStamp, Timestamp};
use std::fmt;

/// One record of one producer; no other record is the same.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct RecordId {
    pub producer: u32,
    pub number: u64,
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p{}/{}", self.producer, self.number)
    }
}

impl RecordId {
    fn parse(value: &[u8]) -> Option<RecordId> {
        let text = std::str::from_utf8(value.split(|byte| *byte == b' ').next()?).ok()?;
        let (producer, number) = text.strip_prefix('p')?.split_once('/')?;
        Some(RecordId { producer: producer.parse().ok()?, number: number.parse().ok()? })
    }
}

/// A batch of records with these numbers, each with so many bytes more than its name takes.
pub fn batch(first: RecordId, fillings: &[usize], stamp: Option<ProducerStamp>, at: Timestamp) -> SealedBatch {
    let mut builder = BatchBuilder::new(Codec::None, None);
    for (number, filling) in (first.number..).zip(fillings) {
        let mut value = format!("{} ", RecordId { number, ..first }).into_bytes();
        value.resize(value.len() + filling, b'.');
        let record = RecordRef { key: None, value: Some(&value), headers: &[] };
        builder.append(record, at.0).expect("a small record fits");
    }
    builder.seal(stamp, false).expect("there are records")
}

/// The names of a batch's records, in order.
///
/// # Errors
/// CORRUPT_MESSAGE for a checksum that is wrong; `None` in the list for a record that no simulated producer wrote.
pub fn names(batch: &BatchView<'_>) -> Result<Vec<Option<RecordId>>> {
    batch.verify()?;
    let mut inflater = Inflater::new(INFLATED_BYTES_MAX);
    let records = batch.records(&mut inflater)?;
    records.map(|record| Ok(record?.value.and_then(RecordId::parse))).collect()
}

/// The end of the whole and sound batches that these bytes begin with, one behind the other in offsets from `next` on.
pub fn sound_end(bytes: &[u8], mut next: u64, mut each: impl FnMut(&BatchView<'_>)) -> u64 {
    for view in batches(bytes) {
        let Ok((_, view)) = view else { break };
        if view.header().base_offset.0 != next || !view.crc_matches() {
            break;
        }
        next = view.header().end_offset().0;
        each(&view);
    }
    next
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_tells_the_names_of_its_records() {
        let first = RecordId { producer: 3, number: 41 };
        let sealed = batch(first, &[0, 100], None, Timestamp(5));
        let view = BatchView::parse(sealed.bytes()).expect("is a batch");
        assert_eq!(names(&view).expect("sound"), [Some(first), Some(RecordId { producer: 3, number: 42 })]);
        assert_eq!(RecordId::parse(b"something else"), None);
    }
}
