//! Every batch of `../shared/vectors/record-batch`, as six other producers wrote them.

use super::*;
use crate::types::{LeaderEpoch, Offset, ProducerStamp};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::path::PathBuf;

pub(super) fn manifest(folder: &str) -> Option<(PathBuf, Vec<Value>)> {
    let folder = crate::testing::shared()?.join("vectors").join(folder);
    let text = std::fs::read_to_string(folder.join("manifest.json")).unwrap();
    let manifest: Value = serde_json::from_str(&text).unwrap();
    Some((folder, manifest["entries"].as_array().unwrap().clone()))
}

pub(super) fn text<'v>(entry: &'v Value, name: &str) -> &'v str {
    entry[name].as_str().unwrap_or_else(|| panic!("{name} of {entry}"))
}

fn number(entry: &Value, name: &str) -> i64 {
    entry[name].as_i64().unwrap_or_else(|| panic!("{name} of {entry}"))
}

/// Whether bytes are what the manifest says: hex, null, or a length and a hash.
fn assert_bytes(found: Option<&[u8]>, expected: &Value, what: &str) {
    match (found, expected) {
        (None, Value::Null) => {}
        (Some(found), Value::String(hex)) => assert_eq!(found, unhex(hex), "{what}"),
        (Some(found), Value::Object(long)) => {
            assert_eq!(Some(found.len() as u64), long["len"].as_u64(), "{what}");
            let hash: String = Sha256::digest(found).iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(Some(hash.as_str()), long["sha256"].as_str(), "{what}");
        }
        (found, expected) => panic!("{what}: {found:x?} is not {expected}"),
    }
}

fn assert_header(header: &BatchHeader, entry: &Value, file: &str) {
    let codec = match text(entry, "codec") {
        "none" => Codec::None,
        "gzip" => Codec::Gzip,
        "snappy" => Codec::Snappy,
        "lz4" => Codec::Lz4,
        "zstd" => Codec::Zstd,
        other => panic!("{other}"),
    };
    assert_eq!(header.codec().unwrap(), codec, "{file}");
    assert_eq!(header.base_offset.0 as i64, number(entry, "base_offset"), "{file}");
    assert_eq!(i64::from(header.batch_bytes), number(entry, "size"), "{file}");
    assert_eq!(i64::from(header.batch_bytes) - LOG_OVERHEAD_BYTES as i64, number(entry, "length"), "{file}");
    assert_eq!(header.leader_epoch.map_or(-1, |epoch| i64::from(epoch.0)), number(entry, "leader_epoch"), "{file}");
    assert_eq!(i64::from(header.crc), number(entry, "crc"), "{file}");
    assert_eq!(i64::from(header.attributes), number(entry, "attributes"), "{file}");
    assert_eq!(i64::from(header.last_offset_delta), number(entry, "last_offset_delta"), "{file}");
    assert_eq!(header.base_timestamp, number(entry, "base_timestamp"), "{file}");
    assert_eq!(header.max_timestamp, number(entry, "max_timestamp"), "{file}");
    let stamp = header.producer.map_or((-1, -1, -1), |p| (p.id, p.epoch, p.base_sequence.unwrap_or(-1)));
    assert_eq!(stamp.0, number(entry, "producer_id"), "{file}");
    assert_eq!(i64::from(stamp.1), number(entry, "producer_epoch"), "{file}");
    assert_eq!(i64::from(stamp.2), number(entry, "base_sequence"), "{file}");
    assert_eq!(i64::from(header.record_count), number(entry, "count"), "{file}");
    assert_eq!(Some(header.is_transactional()), entry["transactional"].as_bool(), "{file}");
    assert_eq!(Some(header.is_control()), entry["control"].as_bool(), "{file}");
    let log_append_time = header.timestamp_type() == crate::types::TimestampType::LogAppendTime;
    assert_eq!(Some(log_append_time), entry["log_append_time"].as_bool(), "{file}");
}

fn assert_record(record: RecordView<'_>, base: Offset, expected: &Value, file: &str) {
    assert_eq!(record.offset.since(base) as i64, number(expected, "offset_delta"), "{file}");
    assert_eq!(record.timestamp.map_or(-1, |at| at.0), number(expected, "timestamp"), "{file}");
    assert_bytes(record.key, &expected["key"], file);
    assert_bytes(record.value, &expected["value"], file);
    let headers = expected["headers"].as_array().unwrap();
    assert_eq!(record.header_count as usize, headers.len(), "{file}");
    assert_eq!(record.headers().count(), headers.len(), "{file}");
    for (header, expected) in record.headers().zip(headers) {
        let (key, value) = match expected {
            Value::Array(pair) => (&pair[0], &pair[1]),
            pair => (&pair["key"], &pair["value"]),
        };
        assert_bytes(Some(header.key), key, file);
        assert_bytes(header.value, value, file);
    }
}

#[test]
fn every_producers_batches_decode_to_what_the_manifest_says() {
    let Some((folder, entries)) = manifest("record-batch") else { return };
    let mut inflate = Inflater::new(LIMIT);
    let mut decoded = 0;
    for entry in &entries {
        let file = text(entry, "file");
        let bytes = std::fs::read(folder.join(file)).unwrap();
        let mut walk = batches(&bytes);
        let (at, view) = walk.next().unwrap().unwrap();
        assert_eq!((at, walk.rest()), (0, 0), "{file}");
        assert_header(view.header(), entry, file);
        view.verify().unwrap();
        if !is_built_in(view.header().codec().unwrap()) {
            assert_eq!(code(view.records(&mut inflate)), ErrorCode::UNSUPPORTED_COMPRESSION_TYPE);
            continue;
        }
        let expected = entry["records"].as_array().unwrap();
        let records: Vec<RecordView<'_>> = view.records(&mut inflate).unwrap().map(|r| r.expect(file)).collect();
        assert_eq!(records.len(), expected.len(), "{file}");
        for (record, expected) in records.into_iter().zip(expected) {
            assert_record(record, view.header().base_offset, expected, file);
        }
        decoded += 1;
    }
    assert!(decoded >= 90, "only {decoded} decoded");
}

#[test]
fn a_leader_takes_what_kafka_takes_unchanged_and_refuses_what_kafka_refuses() {
    let Some((folder, entries)) = manifest("record-batch") else { return };
    for entry in &entries {
        let file = text(entry, "file");
        let bytes = std::fs::read(folder.join(file)).unwrap();
        if !is_built_in(BatchHeader::parse(&bytes).unwrap().codec().unwrap()) {
            continue;
        }
        let verdict = validate(&bytes, &any_time());
        match text(&entry["kafka_produce_path"], "verdict") {
            "accept" => {
                let sealed = SealedBatch::from_validated(bytes.clone(), verdict.expect(file));
                assert_eq!(entry["kafka_produce_path"]["stored_bytes_equal_sent"].as_bool(), Some(true));
                assert_eq!(sealed.bytes(), bytes, "{file}");
            }
            _ => assert_eq!(
                verdict.expect_err(file).code().name(),
                text(&entry["kafka_produce_path"], "error"),
                "{file}"
            ),
        }
    }
}

#[test]
fn our_builder_writes_the_bytes_that_kafkas_own_producer_writes() {
    let Some((folder, entries)) = manifest("record-batch") else { return };
    let mut written = 0;
    for entry in entries.iter().filter(|entry| text(entry, "producer") == "java" && text(entry, "codec") == "none") {
        let file = text(entry, "file");
        let bytes = std::fs::read(folder.join(file)).unwrap();
        let view = BatchView::parse(&bytes).unwrap();
        let header = *view.header();
        // A builder leaves no gaps and leaves control batches and append times to those who know them.
        if header.is_control()
            || header.last_offset_delta as i32 != header.record_count - 1
            || header.attributes & 8 != 0
        {
            continue;
        }
        let mut builder = BatchBuilder::new(Codec::None, None);
        let mut inflate = Inflater::new(LIMIT);
        for record in view.records(&mut inflate).unwrap() {
            let record = Owned::from(record.unwrap());
            record.append_to(&mut builder).unwrap();
        }
        let stamp: Option<ProducerStamp> = header.producer;
        let mut batch = builder.seal(stamp, header.is_transactional()).unwrap();
        if let Some(epoch) = header.leader_epoch {
            batch.stamp(header.base_offset, epoch);
        } else {
            assert_eq!((header.base_offset, LeaderEpoch::default()), (Offset::ZERO, LeaderEpoch(0)), "{file}");
        }
        assert_eq!(batch.bytes(), bytes, "{file}");
        written += 1;
    }
    assert!(written >= 12, "only {written} written");
}

#[test]
fn markers_are_written_as_kafka_writes_them() {
    let Some((folder, entries)) = manifest("record-batch") else { return };
    for entry in entries.iter().filter(|entry| text(entry, "scenario") == "marker") {
        let bytes = std::fs::read(folder.join(text(entry, "file"))).unwrap();
        let header = BatchHeader::parse(&bytes).unwrap();
        let record = &read(&bytes).unwrap()[0];
        let result = match control::ControlType::parse(record.key.as_ref().unwrap()).unwrap() {
            control::ControlType::Abort => control::TxnResult::Abort,
            control::ControlType::Commit => control::TxnResult::Commit,
            other => panic!("{other:?}"),
        };
        let epoch = control::parse_end_txn_value(record.value.as_ref().unwrap()).unwrap();
        let stamp = header.producer.unwrap();
        let mut ours = control::end_txn_marker(stamp.id, stamp.epoch, result, epoch, Timestamp(record.timestamp));
        if let Some(leader_epoch) = header.leader_epoch {
            ours.stamp(header.base_offset, leader_epoch);
        }
        assert_eq!(ours.bytes(), bytes);
    }
}
