//! One batch, one record: as text for people and as JSON for machines.

use crate::print;
use kafkalog::inspect::{BatchDump, DumpedRecord};
use kafkalog::Codec;
use serde_json::{json, Map, Value};

fn codec_name(codec: Option<Codec>) -> &'static str {
    match codec {
        Some(Codec::None) => "none",
        Some(Codec::Gzip) => "gzip",
        Some(Codec::Snappy) => "snappy",
        Some(Codec::Lz4) => "lz4",
        Some(Codec::Zstd) => "zstd",
        None => "unknown",
    }
}

pub fn batch_text(batch: &BatchDump) -> String {
    let horizon = batch.delete_horizon.map_or("OptionalLong.empty".to_owned(), |at| format!("OptionalLong[{}]", at.0));
    format!(
        "baseOffset: {} lastOffset: {} count: {} baseSequence: {} lastSequence: {} producerId: {} producerEpoch: {} \
         partitionLeaderEpoch: {} isTransactional: {} isControl: {} deleteHorizonMs: {horizon} position: {} {:?}: {} size: {} \
         magic: 2 compresscodec: {} crc: {} isvalid: {}",
        batch.base_offset,
        batch.last_offset,
        batch.count,
        batch.producer.and_then(|stamp| stamp.base_sequence).unwrap_or(-1),
        batch.last_sequence.unwrap_or(-1),
        batch.producer.map_or(-1, |stamp| stamp.id),
        batch.producer.map_or(-1, |stamp| stamp.epoch),
        batch.leader_epoch.map_or(-1, |epoch| i64::from(epoch.0)),
        batch.is_transactional,
        batch.is_control,
        batch.position,
        batch.timestamp_type,
        batch.max_timestamp.map_or(-1, |at| at.0),
        batch.bytes,
        codec_name(batch.codec),
        batch.crc,
        batch.is_valid
    )
}

pub fn batch_json(batch: &BatchDump) -> Value {
    json!({
        "base_offset": batch.base_offset.0,
        "last_offset": batch.last_offset.0,
        "count": batch.count,
        "base_sequence": batch.producer.and_then(|stamp| stamp.base_sequence),
        "last_sequence": batch.last_sequence,
        "producer_id": batch.producer.map(|stamp| stamp.id),
        "producer_epoch": batch.producer.map(|stamp| stamp.epoch),
        "leader_epoch": batch.leader_epoch.map(|epoch| epoch.0),
        "is_transactional": batch.is_transactional,
        "is_control": batch.is_control,
        "delete_horizon_ms": batch.delete_horizon.map(|at| at.0),
        "position": batch.position,
        "timestamp_type": format!("{:?}", batch.timestamp_type),
        "max_timestamp": batch.max_timestamp.map(|at| at.0),
        "bytes": batch.bytes,
        "codec": codec_name(batch.codec),
        "crc": batch.crc,
        "is_valid": batch.is_valid,
    })
}

pub fn record_json(batch: &BatchDump, record: &DumpedRecord, data: bool) -> Value {
    let mut object = Map::new();
    object.insert("offset".to_owned(), record.offset.0.into());
    object.insert("timestamp".to_owned(), record.timestamp.map(|at| at.0).into());
    object.insert("sequence".to_owned(), record.sequence.into());
    object.insert("key_bytes".to_owned(), record.key.as_ref().map(Vec::len).into());
    object.insert("value_bytes".to_owned(), record.value.as_ref().map(Vec::len).into());
    let names: Vec<Value> = record.headers.iter().map(|(name, _)| String::from_utf8_lossy(name).into()).collect();
    object.insert("header_keys".to_owned(), names.into());
    if let Some((kind, epoch)) = control(batch, record) {
        object.insert("control".to_owned(), json!({ "type": kind, "coordinator_epoch": epoch }));
    } else if data {
        print::put_bytes(&mut object, "key", record.key.as_deref());
        print::put_bytes(&mut object, "value", record.value.as_deref());
    }
    Value::Object(object)
}

/// What a control record says: its type, and the coordinator's epoch of an end marker.
pub fn control(batch: &BatchDump, record: &DumpedRecord) -> Option<(String, Option<i32>)> {
    if !batch.is_control {
        return None;
    }
    // Key: version i16, type i16. Value of an end marker: version i16, epoch of the coordinator i32.
    let key = record.key.as_deref().and_then(|key| key.get(2..4)).and_then(|bytes| bytes.try_into().ok());
    let kind = key.map(i16::from_be_bytes);
    let value = record.value.as_deref().and_then(|value| value.get(2..6)).and_then(|bytes| bytes.try_into().ok());
    let epoch = Some(value.map_or(-1, i32::from_be_bytes));
    Some(match kind {
        Some(0) => ("ABORT".to_owned(), epoch),
        Some(1) => ("COMMIT".to_owned(), epoch),
        Some(2) => ("LEADER_CHANGE(2)".to_owned(), None),
        Some(other) => (format!("UNKNOWN({other})"), None),
        None => ("UNKNOWN(-1)".to_owned(), None),
    })
}
