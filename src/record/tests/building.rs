//! What a builder promises beyond the bytes.

use super::*;
use crate::types::ProducerStamp;

fn value(bytes: &[u8]) -> RecordRef<'_> {
    RecordRef { value: Some(bytes), ..RecordRef::default() }
}

#[test]
fn a_builder_without_records_seals_nothing() {
    for codec in built_in_codecs() {
        let mut builder = BatchBuilder::new(codec, None);
        assert_eq!(code(builder.seal(None, false)), ErrorCode::STATE);
        assert_eq!((builder.count(), builder.bytes()), (0, BATCH_HEADER_BYTES));
    }
}

#[test]
fn the_size_that_a_builder_tells_is_the_size_that_it_seals() {
    let mut builder = BatchBuilder::new(Codec::None, None);
    for length in [0, 1, 63, 64, 8191, 8192, 100_000] {
        let bytes = vec![7; length];
        let before = builder.bytes();
        let record = RecordRef { key: Some(&bytes), ..value(&bytes) };
        builder.append(record, 5).unwrap();
        assert!(builder.bytes() - before <= record_bytes_upper_bound(record), "{length}");
    }
    let told = builder.bytes();
    let batch = builder.seal(None, false).unwrap();
    assert_eq!((told, batch.header().batch_bytes as usize), (batch.bytes().len(), told));
    assert_eq!(builder.bytes(), BATCH_HEADER_BYTES);
}

#[test]
fn the_size_limit_counts_from_the_second_record_on() {
    let mut builder = BatchBuilder::new(Codec::None, None);
    let record = value(&[0; 500]);
    assert!(builder.has_room_for(record, 100));
    builder.append(record, 0).unwrap();
    assert!(!builder.has_room_for(record, 1000));
    assert!(builder.has_room_for(record, 1200));
}

#[test]
fn headers_count_towards_the_room_that_a_record_needs() {
    let mut builder = BatchBuilder::new(Codec::None, None);
    builder.append(value(b"x"), 0).unwrap();
    let headers = [Header { key: b"key", value: Some(&[0; 300]) }];
    assert!(builder.has_room_for(value(b"x"), 200));
    assert!(!builder.has_room_for(RecordRef { headers: &headers, ..value(b"x") }, 200));
}

#[test]
fn an_estimate_learns_from_the_batches_before() {
    let Some(codec) = built_in_codecs().nth(1) else { return };
    let mut builder = BatchBuilder::new(codec, None);
    let mut estimates = Vec::new();
    for _ in 0..100 {
        for n in 0..50 {
            builder.append(value(b"always the same words, again and again"), n).unwrap();
        }
        estimates.push(builder.estimated_bytes());
        builder.seal(None, false).unwrap();
    }
    assert!(estimates[0] > 2000 && estimates[99] < estimates[0] * 2 / 3, "{estimates:?}");
}

#[test]
fn buffers_that_are_given_back_are_used_again() {
    for codec in built_in_codecs() {
        let mut builder = BatchBuilder::new(codec, None);
        let mut places = Vec::new();
        for round in 0..6 {
            for n in 0..100 {
                builder.append(value(b"always the same words, again and again"), n).unwrap();
            }
            let bytes = builder.seal(None, false).unwrap().into_bytes();
            if round > 0 {
                places.push(bytes.as_ptr());
            }
            builder.give_back(bytes);
        }
        places.dedup();
        assert_eq!(places.len(), 1, "{codec:?}");
    }
}

#[test]
fn a_refused_record_leaves_the_batch_as_it_was() {
    let mut builder = BatchBuilder::new(Codec::None, None);
    let bad_header = [Header { key: b"\xff", value: None }];
    let huge = vec![0; BATCH_BYTES_MAX as usize];
    let refused = |builder: &mut BatchBuilder| {
        assert_eq!(code(builder.append(value(b"x"), -2)), ErrorCode::INVALID_TIMESTAMP);
        assert_eq!(code(builder.append(value(b"x"), i64::MIN)), ErrorCode::INVALID_TIMESTAMP);
        let record = RecordRef { headers: &bad_header, ..value(b"x") };
        assert_eq!(code(builder.append(record, 0)), ErrorCode::INVALID_RECORD);
        assert_eq!(code(builder.append(value(&huge), 0)), ErrorCode::MESSAGE_TOO_LARGE);
    };
    refused(&mut builder);
    builder.append(value(b"good"), i64::MAX).unwrap();
    refused(&mut builder);
    builder.append(value(b"good"), -1).unwrap();
    let batch = builder.seal(None, false).unwrap();
    assert_eq!((batch.record_count(), batch.max_timestamp()), (2, i64::MAX));
    let times: Vec<i64> = read(batch.bytes()).unwrap().iter().map(|record| record.timestamp).collect();
    assert_eq!(times, [i64::MAX, -1]);
}

#[test]
fn a_batch_never_passes_its_largest_size() {
    let mut builder = BatchBuilder::new(Codec::None, None);
    let big = vec![0; (BATCH_BYTES_MAX as usize - 300) / 2];
    builder.append(value(&big), 0).unwrap();
    builder.append(value(&big), 0).unwrap();
    while builder.append(value(b""), 0).is_ok() {}
    assert!(!builder.has_room_for(value(b""), usize::MAX));
    let batch = builder.seal(None, false).unwrap();
    assert!(batch.bytes().len() <= BATCH_BYTES_MAX as usize);
    assert!(BatchView::parse(batch.bytes()).is_ok());
}

#[test]
fn a_producer_needs_an_id_an_epoch_and_a_sequence_and_a_transaction_needs_a_producer() {
    let mut builder = BatchBuilder::new(Codec::None, None);
    builder.append(value(b"x"), 0).unwrap();
    let good = ProducerStamp { id: 1, epoch: 0, base_sequence: Some(0) };
    assert_eq!(code(builder.seal(None, true)), ErrorCode::STATE);
    for bad in [
        ProducerStamp { id: -1, ..good },
        ProducerStamp { epoch: -1, ..good },
        ProducerStamp { base_sequence: None, ..good },
        ProducerStamp { base_sequence: Some(-1), ..good },
    ] {
        assert_eq!(code(builder.seal(Some(bad), false)), ErrorCode::STATE);
    }
    let batch = builder.seal(Some(good), true).unwrap();
    assert!(batch.header().is_transactional());
    assert_eq!(batch.producer(), Some(good));
}

#[test]
fn records_that_do_not_shrink_are_left_plain() {
    for codec in built_in_codecs() {
        let batch = built(codec, &[Owned::new(0, None, Some(b"?"))]);
        assert_eq!(batch.header().codec().unwrap(), Codec::None);
        assert_eq!(read(batch.bytes()).unwrap().len(), 1);
    }
}

#[test]
fn clearing_forgets_the_records() {
    let mut builder = BatchBuilder::new(Codec::None, None);
    builder.append(value(b"x"), 900).unwrap();
    builder.clear();
    assert_eq!((builder.count(), builder.bytes()), (0, BATCH_HEADER_BYTES));
    builder.append(value(b"y"), 5).unwrap();
    let batch = builder.seal(None, false).unwrap();
    assert_eq!((batch.base_timestamp(), batch.max_timestamp()), (5, 5));
}

#[test]
fn the_sequence_of_the_last_record_wraps() {
    let mut builder = BatchBuilder::new(Codec::None, None);
    for _ in 0..3 {
        builder.append(value(b"x"), 0).unwrap();
    }
    let stamp = ProducerStamp { id: 1, epoch: 0, base_sequence: Some(i32::MAX - 1) };
    let batch = builder.seal(Some(stamp), false).unwrap();
    assert_eq!(batch.header().last_sequence(), Some(0));
}

proptest::proptest! {
    #[test]
    fn the_short_way_and_the_long_way_write_the_same_record(
        lengths in proptest::collection::vec((0usize..4200, 0usize..300, 0i64..9000, proptest::prelude::any::<u8>()), 1..40),
    ) {
        let mut short = BatchBuilder::new(Codec::None, None);
        let mut long = BatchBuilder::new(Codec::None, None);
        for (value_bytes, key_bytes, later, kind) in lengths {
            let (value, key) = (vec![kind; value_bytes], vec![kind; key_bytes]);
            let record = RecordRef {
                key: (kind % 3 != 0).then_some(&key[..]),
                value: (kind % 7 != 0).then_some(&value[..]),
                headers: if kind % 5 == 0 { &[Header { key: b"h", value: None }] } else { &[] },
            };
            let timestamp = if kind % 11 == 0 { 1_000 - later } else { 1_000 + later }.max(-1);
            proptest::prop_assert_eq!(short.append(record, timestamp).ok(), long.append_slowly(record, timestamp).ok());
        }
        let (short, long) = (short.seal(None, false).unwrap(), long.seal(None, false).unwrap());
        proptest::prop_assert_eq!(short.bytes(), long.bytes());
    }

    #[test]
    fn offsets_past_the_short_numbers_are_written_all_the_same(value_bytes in 0usize..3) {
        let mut builder = BatchBuilder::new(Codec::None, None);
        for _ in 0..8300 {
            builder.append(value(&b"xyz"[..value_bytes]), 7).unwrap();
        }
        let batch = builder.seal(None, false).unwrap();
        proptest::prop_assert_eq!(read(batch.bytes()).unwrap().len(), 8300);
    }
}
