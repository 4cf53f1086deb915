//! What a leader refuses, and with which number.

use super::*;
use crate::config::LogConfig;
use crate::types::{ProducerStamp, TimestampType};
use std::time::Duration;

fn batch_at(timestamps: &[i64]) -> Vec<u8> {
    let records: Vec<Owned> = timestamps.iter().map(|at| Owned::new(*at, Some(b"key"), Some(b"value"))).collect();
    built(Codec::None, &records).into_bytes()
}

#[test]
fn exactly_one_batch_is_taken() {
    let batch = batch_at(&[1, 2]);
    assert!(validate(&batch, &any_time()).is_ok());
    assert_eq!(code(validate(&[], &any_time())), ErrorCode::INVALID_RECORD);
    assert_eq!(code(validate(&[&batch[..], &batch].concat(), &any_time())), ErrorCode::INVALID_RECORD);
    assert_eq!(code(validate(&batch[..batch.len() - 1], &any_time())), ErrorCode::CORRUPT_MESSAGE);
}

#[test]
fn a_header_that_a_client_may_not_send_is_refused() {
    let batch = batch_at(&[1, 2]);
    let refused: [(usize, &[u8], ErrorCode); 8] = [
        (7, &[1], ErrorCode::INVALID_RECORD),                       // a base offset
        (57, &[0, 0, 0, 1], ErrorCode::INVALID_RECORD),             // a count unlike the last delta
        (57, &[0, 0, 0, 0], ErrorCode::INVALID_RECORD),             // no records
        (22, &[0x20], ErrorCode::INVALID_RECORD),                   // control
        (22, &[0x10], ErrorCode::INVALID_RECORD),                   // a transaction of nobody
        (22, &[0x08], ErrorCode::INVALID_TIMESTAMP),                // the leader's time
        (22, &[0x05], ErrorCode::UNSUPPORTED_COMPRESSION_TYPE),     // no such codec
        (43, &[0, 0, 0, 0, 0, 0, 0, 7], ErrorCode::INVALID_RECORD), // a producer without a sequence
    ];
    for (at, bytes, expected) in refused {
        let bad = tampered(&batch, |batch| batch[at..at + bytes.len()].copy_from_slice(bytes));
        assert_eq!(code(validate(&bad, &any_time())), expected, "{bytes:x?} at {at}");
    }
}

#[test]
fn a_producer_without_an_epoch_is_refused() {
    let mut builder = BatchBuilder::new(Codec::None, None);
    Owned::new(1, None, None).append_to(&mut builder).unwrap();
    let stamp = ProducerStamp { id: 7, epoch: 1, base_sequence: Some(0) };
    let batch = builder.seal(Some(stamp), false).unwrap().into_bytes();
    assert!(validate(&batch, &any_time()).is_ok());
    let bad = tampered(&batch, |batch| batch[51..53].copy_from_slice(&[0xff, 0xff]));
    assert_eq!(code(validate(&bad, &any_time())), ErrorCode::INVALID_RECORD);
}

#[test]
fn a_wrong_checksum_is_found_before_anything_else() {
    let mut batch = batch_at(&[1]);
    batch[7] = 1;
    *batch.last_mut().unwrap() ^= 1;
    assert_eq!(code(validate(&batch, &any_time())), ErrorCode::CORRUPT_MESSAGE);
}

#[test]
fn timestamps_are_held_between_the_limits_of_the_topic() {
    let config = LogConfig {
        timestamp_before_max: Some(Duration::from_millis(100)),
        timestamp_after_max: Some(Duration::from_millis(50)),
        ..LogConfig::default()
    };
    let rules = ClientRules::of(&config, Timestamp(1000));
    for legal in [900, 1000, 1050, -1] {
        assert!(validate(&batch_at(&[1000, legal]), &rules).is_ok(), "{legal}");
    }
    for illegal in [899, 1051, 0, i64::MAX] {
        let error = validate(&batch_at(&[1000, illegal]), &rules).unwrap_err();
        assert_eq!(error.code(), ErrorCode::INVALID_TIMESTAMP, "{illegal}");
        assert!(error.message().contains("index 1"), "{}", error.message());
    }
    // Where the leader's clock counts, the client's does not.
    let rules = ClientRules::of(&LogConfig { timestamp_type: TimestampType::LogAppendTime, ..config }, Timestamp(1000));
    assert!(validate(&batch_at(&[0, i64::MAX]), &rules).is_ok());
}

#[test]
fn limits_near_the_ends_of_time_do_not_overflow() {
    let config = LogConfig {
        timestamp_before_max: Some(Duration::MAX),
        timestamp_after_max: Some(Duration::MAX),
        ..LogConfig::default()
    };
    for now in [i64::MIN, 0, i64::MAX] {
        let rules = ClientRules::of(&config, Timestamp(now));
        assert_eq!(rules.timestamp_earliest, Timestamp(0), "{now}");
    }
}

#[test]
fn a_timestamp_that_wraps_around_or_is_negative_is_refused() {
    let batch = batch_at(&[i64::MAX, i64::MAX]);
    // The second record's delta, which is zero, becomes one.
    let delta_at = batch.len() - (batch.len() - BATCH_HEADER_BYTES) / 2 + 2;
    let bad = tampered(&batch, |batch| batch[delta_at] = 2);
    assert_eq!(code(validate(&bad, &any_time())), ErrorCode::INVALID_TIMESTAMP);
    let bad = tampered(&batch_at(&[0, 0]), |batch| batch[delta_at] = 3);
    assert_eq!(code(validate(&bad, &any_time())), ErrorCode::INVALID_TIMESTAMP);
}

#[test]
fn a_compacted_topic_needs_keys_and_a_bad_timestamp_outranks_a_missing_one() {
    let records = [Owned::new(5, Some(b""), None), Owned::new(6, None, Some(b"v")), Owned::new(7, None, Some(b"v"))];
    let batch = built(Codec::None, &records).into_bytes();
    let rules = ClientRules { keys_required: true, ..any_time() };
    let error = validate(&batch, &rules).unwrap_err();
    assert_eq!(error.code(), ErrorCode::INVALID_RECORD);
    assert!(error.message().contains("index 1"), "{}", error.message());
    let rules = ClientRules { timestamp_latest: Timestamp(6), ..rules };
    assert_eq!(code(validate(&batch, &rules)), ErrorCode::INVALID_TIMESTAMP);
    assert!(validate(&batch, &any_time()).is_ok());
}

#[test]
fn a_wrong_max_timestamp_is_put_right_and_nothing_else_changes() {
    for codec in built_in_codecs() {
        let records: Vec<Owned> = (0..50).map(|n| Owned::new(n % 40, None, Some(b"a value of some length"))).collect();
        let batch = built(codec, &records).into_bytes();
        let bad = tampered(&batch, |batch| batch[35..43].copy_from_slice(&9999i64.to_be_bytes()));
        let validated = validate(&bad, &any_time()).unwrap();
        assert_eq!(validated.max_timestamp(), 39);
        assert_eq!(SealedBatch::from_validated(bad, validated).bytes(), batch);
    }
}

#[test]
fn a_codec_changes_only_where_it_should() {
    let mut inflate = Inflater::new(LIMIT);
    for codec in built_in_codecs().filter(|codec| *codec != Codec::None) {
        let mut to = Compressor::new(codec, None).unwrap();
        let records: Vec<Owned> = (0..50).map(|n| Owned::new(n, None, Some(b"a value of some length"))).collect();

        let mut plain = built(Codec::None, &records);
        plain.recompress(&mut to, &mut inflate).unwrap();
        assert_eq!(plain.header().codec().unwrap(), codec);

        let before = plain.clone();
        plain.recompress(&mut to, &mut inflate).unwrap();
        assert_eq!(plain, before, "a batch that has the codec stays as it is");

        let mut marker = control::end_txn_marker(1, 0, control::TxnResult::Abort, 0, Timestamp(0));
        let before = marker.clone();
        marker.recompress(&mut to, &mut inflate).unwrap();
        assert_eq!(marker, before, "a control batch is never compressed");

        let mut tiny = built(Codec::None, &[Owned::new(0, None, Some(b"?"))]);
        let before = tiny.clone();
        tiny.recompress(&mut to, &mut inflate).unwrap();
        assert_eq!(tiny, before, "a batch that would grow stays as it is");
    }
}
