//! Records that differ from the one before in their offset delta and their value alone, as those of a sensor do: same lengths, same
//! timestamp, no key, no headers. To know that such a record is well-formed, its first bytes are compared with what they have to be.

/// What the record behind one that was found well-formed looks like, if it is alike.
#[derive(Clone, Copy, Debug)]
pub(super) struct Alike {
    /// The first bytes of the next record, as a little-endian number.
    head: u128,
    mask: u128,
    /// Bit of `head` where the offset delta begins.
    offset_at: u32,
    /// Bytes of one record.
    bytes: usize,
}

/// Offset deltas of two bytes: 64 up to here (exclusive).
const TWO_BYTES: std::ops::Range<u32> = 64..8191;

impl Alike {
    /// For the record with offset delta `index` at `begin..end`, which [`plain_keyless`](super::iter::plain_keyless) has found
    /// well-formed. `None` for the first few and for the last of the two-byte offset deltas.
    #[inline]
    pub(super) fn of(records: &[u8], begin: usize, end: usize, index: u32) -> Option<Alike> {
        if !TWO_BYTES.contains(&index) {
            return None;
        }
        let head: [u8; 16] = *records.get(begin..)?.first_chunk()?;
        let length_of = |at: usize| 1 + usize::from(head[at] >> 7);
        let timestamp_at = length_of(0) + 1;
        let offset_at = timestamp_at + length_of(timestamp_at);
        let value_length_at = offset_at + 2 + 1; // behind the offset delta and the key
        let value_at = value_length_at + length_of(value_length_at);
        let alike = Alike {
            head: u128::from_le_bytes(head),
            mask: (1 << (8 * value_at)) - 1,
            offset_at: 8 * offset_at as u32,
            bytes: end - begin,
        };
        alike.next()
    }

    /// Where the record at `at` ends, if it is the one that is expected.
    #[inline(always)]
    pub(super) fn next_at(self, records: &[u8], at: usize) -> Option<usize> {
        let head: &[u8; 16] = records.get(at..)?.first_chunk()?;
        let end = at + self.bytes;
        let is_alike = (u128::from_le_bytes(*head) ^ self.head) & self.mask == 0;
        // The last byte says "no headers".
        (is_alike && records.get(end - 1) == Some(&0)).then_some(end)
    }

    /// The same with the offset delta one higher; `None` when that takes a third byte.
    #[inline(always)]
    pub(super) fn next(self) -> Option<Alike> {
        let raw = (self.head >> self.offset_at) as u32;
        // Zigzag: one more is two more. A carry out of the lower seven bits goes to the second byte, past the flag.
        let low = (raw & 0x7f) + 2;
        let high = (raw >> 8 & 0x7f) + (low >> 7);
        if high > 0x7f {
            return None;
        }
        let next = low & 0x7f | 0x80 | high << 8;
        let cleared = self.head & !(0xffff << self.offset_at);
        Some(Alike { head: cleared | u128::from(next) << self.offset_at, ..self })
    }
}

#[cfg(test)]
mod tests {
    use super::super::iter::{plain_keyless, RawRecord};
    use super::super::{BatchBuilder, RecordRef, BATCH_HEADER_BYTES};
    use super::*;
    use crate::types::Codec;

    fn payload(count: u32, value: &[u8]) -> Vec<u8> {
        let mut builder = BatchBuilder::new(Codec::None, None);
        for _ in 0..count {
            builder.append(RecordRef { key: None, value: Some(value), headers: &[] }, 7).expect("appends");
        }
        builder.seal(None, false).expect("seals").bytes()[BATCH_HEADER_BYTES..].to_vec()
    }

    /// Walks as a validator does; how many records were recognised by their likeness.
    fn walk(records: &[u8], count: u32) -> Option<u32> {
        let (mut at, mut like, mut recognised) = (0, None::<Alike>, 0);
        for index in 0..count {
            if let Some(end) = like.and_then(|like| like.next_at(records, at)) {
                let plain = plain_keyless(records, at, index);
                assert_eq!(plain, Some((end, 0)), "record {index}");
                (at, like, recognised) = (end, like.and_then(Alike::next), recognised + 1);
                continue;
            }
            let begin = at;
            match plain_keyless(records, at, index) {
                Some((end, _)) => {
                    at = end;
                    like = Alike::of(records, begin, end, index);
                }
                // Sixteen bytes are looked at, so the last ones of tiny records go the long way.
                None => {
                    let record = RawRecord::parse(records, &mut at).ok()?;
                    if record.offset_delta != index as i32 || record.key.is_some() || record.timestamp_delta != 0 {
                        return None;
                    }
                    like = None;
                }
            }
        }
        (at == records.len()).then_some(recognised)
    }

    #[test]
    fn records_of_one_size_are_recognised_and_nothing_else_is() {
        for value in [&b""[..], b"x", &[7; 50], &[7; 100], &[7; 8000]] {
            let recognised = walk(&payload(8191, value), 8191).expect("well-formed");
            assert!(recognised > 8100, "{recognised} with {} bytes", value.len());
        }
    }

    #[test]
    fn one_changed_byte_is_never_overlooked() {
        let good = payload(70, b"some value");
        let record_bytes = (good.len() - payload(64, b"some value").len()) / 6;
        let last_but_three = good.len() - 4 * record_bytes;
        for at in last_but_three..last_but_three + record_bytes {
            let mut bad = good.clone();
            bad[at] ^= 0x10;
            // Attributes, timestamp and value may be others: then it is another good record.
            let may_change = matches!(at - last_but_three, 1 | 2 | 7..17);
            assert_eq!(walk(&bad, 70).is_some(), may_change, "byte {} of the record", at - last_but_three);
        }
    }
}
