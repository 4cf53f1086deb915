//! Looking at bytes that somebody else may have damaged.

use super::*;
use crate::types::{LeaderEpoch, Offset};

fn good() -> Vec<u8> {
    let records = [Owned::new(1000, Some(b"key"), Some(b"value")), Owned::new(1001, None, Some(b"other"))];
    built(Codec::None, &records).into_bytes()
}

#[test]
fn flipping_any_bit_behind_the_magic_is_detected() {
    for codec in built_in_codecs() {
        let records: Vec<Owned> = (0..20).map(|n| Owned::new(n, Some(b"key"), Some(b"the same value"))).collect();
        let bytes = built(codec, &records).into_bytes();
        assert_eq!(BatchView::parse(&bytes).unwrap().header().codec().unwrap(), codec);
        for bit in 17 * 8..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            // A header that stops making sense is refused before the checksum is looked at.
            let detected = BatchView::parse(&damaged).map_or(true, |view| !view.crc_matches());
            assert!(detected, "{codec:?} bit {bit}");
        }
    }
}

#[test]
fn a_walk_hands_out_whole_batches_and_stops_before_a_torn_tail() {
    let mut bytes = Vec::new();
    for base in [0u64, 2, 9] {
        let mut batch = good();
        stamp_header(&mut batch, Offset(base), LeaderEpoch(4));
        bytes.extend_from_slice(&batch);
    }
    let size = good().len();
    let places = |bytes: &[u8]| -> Vec<(usize, u64)> {
        batches(bytes).map(|step| step.unwrap()).map(|(at, view)| (at, view.header().base_offset.0)).collect()
    };
    assert_eq!(places(&bytes), [(0, 0), (size, 2), (2 * size, 9)]);
    for cut in 2 * size..3 * size {
        let mut walk = batches(&bytes[..cut]);
        assert_eq!(walk.by_ref().map(|step| step.unwrap().0).collect::<Vec<_>>(), [0, size]);
        assert_eq!((walk.position(), walk.rest()), (2 * size, cut - 2 * size), "cut at {cut}");
    }
    assert_eq!(places(&[]), []);
}

#[test]
fn a_walk_ends_with_an_error_where_no_batch_can_begin() {
    let mut bytes = good();
    let size = bytes.len();
    bytes.extend_from_slice(&[0; 30]);
    let mut walk = batches(&bytes);
    assert!(walk.next().unwrap().is_ok());
    assert_eq!(code(walk.next().unwrap()), ErrorCode::CORRUPT_MESSAGE);
    assert!(walk.next().is_none());
    assert_eq!((walk.position(), walk.rest()), (size, 30));
}

#[test]
fn headers_that_make_no_sense_are_refused_without_looking_at_the_checksum() {
    let nonsense: [(usize, &[u8]); 7] = [
        (0, &[0x80]),                                           // base offset negative
        (0, &[0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), // plus one leaves 63 bits
        (8, &[0, 0, 0, 48]),                                    // shorter than a header
        (8, &[0x04, 0, 0, 0]),                                  // longer than the limit
        (8, &[0xff, 0xff, 0xff, 0xff]),                         // negative
        (16, &[1]),                                             // an old magic
        (23, &[0xff, 0xff, 0xff, 0xff]),                        // last offset delta negative
    ];
    for (at, bytes) in nonsense {
        let mut batch = good();
        batch[at..at + bytes.len()].copy_from_slice(bytes);
        assert_eq!(code(BatchHeader::parse(&batch)), ErrorCode::CORRUPT_MESSAGE, "{bytes:x?} at {at}");
    }
    assert_eq!(code(BatchHeader::parse(&good()[..60])), ErrorCode::CORRUPT_MESSAGE);
}

#[test]
fn a_place_is_stamped_without_touching_the_checksum() {
    let mut batch = built(Codec::None, &[Owned::new(5, None, None)]);
    assert_eq!(batch.header().leader_epoch, None);
    let crc = batch.header().crc;
    batch.stamp(Offset(u64::from(u32::MAX) + 7), LeaderEpoch(12));
    let header = BatchHeader::parse(batch.bytes()).unwrap();
    assert_eq!(&header, batch.header());
    assert_eq!((header.crc, header.leader_epoch), (crc, Some(LeaderEpoch(12))));
    assert!(BatchView::parse(batch.bytes()).unwrap().crc_matches());
}

#[test]
fn the_append_time_becomes_every_records_timestamp_and_the_checksum_follows() {
    let mut batch = built(Codec::None, &[Owned::new(5, None, None), Owned::new(6, None, None)]);
    batch.set_log_append_time(Timestamp(777));
    assert_eq!(&BatchHeader::parse(batch.bytes()).unwrap(), batch.header());
    let times: Vec<i64> = read(batch.bytes()).unwrap().iter().map(|record| record.timestamp).collect();
    assert_eq!(times, [777, 777]);
    let before = batch.clone();
    batch.set_log_append_time(Timestamp(777));
    assert_eq!(batch, before);
}

#[test]
fn offsets_that_do_not_rise_within_the_batch_are_refused_by_a_reader() {
    let three: Vec<Owned> = (0..3).map(|n| Owned::new(n, None, None)).collect();
    let batch = built(Codec::None, &three).into_bytes();
    // Each record takes seven bytes; its offset delta is the fourth.
    let delta_at = |index: usize| BATCH_HEADER_BYTES + 7 * index + 3;
    for (index, zigzag) in [(1, 0), (2, 2), (2, 6), (0, 1)] {
        let bytes = tampered(&batch, |bytes| bytes[delta_at(index)] = zigzag);
        assert_eq!(code(read(&bytes)), ErrorCode::INVALID_RECORD, "record {index} with {zigzag}");
    }
    // A gap is what compaction leaves.
    let gap = tampered(&batch, |bytes| {
        bytes[26] = 5;
        bytes[delta_at(2)] = 10;
    });
    assert_eq!(read(&gap).unwrap().len(), 3);
}

#[test]
fn more_or_fewer_records_than_the_header_says_are_refused() {
    let batch = built(Codec::None, &[Owned::new(0, None, None), Owned::new(1, None, None)]).into_bytes();
    for count in [1, 3, -1i32, i32::MAX] {
        let bytes = tampered(&batch, |bytes| bytes[57..61].copy_from_slice(&count.to_be_bytes()));
        assert_eq!(code(read(&bytes)), ErrorCode::INVALID_RECORD, "{count}");
    }
}

#[test]
fn a_record_iterator_ends_after_its_first_error() {
    let batch = built(Codec::None, &[Owned::new(0, None, None), Owned::new(1, None, None)]).into_bytes();
    let bytes = tampered(&batch, |bytes| bytes[57..61].copy_from_slice(&9i32.to_be_bytes()));
    let view = BatchView::parse(&bytes).unwrap();
    let mut inflate = Inflater::new(LIMIT);
    let mut records = view.records(&mut inflate).unwrap();
    assert!(records.next().unwrap().is_ok());
    assert!(records.next().unwrap().is_ok());
    assert!(records.next().unwrap().is_err());
    assert!(records.next().is_none());
}
