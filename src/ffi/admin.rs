//! Topics: create, delete, grow, alter, empty, describe.

use super::buf::kafkalog_buf_t;
use super::conf::kafkalog_conf_t;
use super::engine::kafkalog_engine_t;
use super::error::kafkalog_error_t;
use super::guard::{borrow, borrow_or_none, guard, guard_new};
use super::kafkalog_code_t;
use super::pointers::{duration, invalid, output, text, text_or_none, Signed};
use super::tplist::{kafkalog_tplist_t, KAFKALOG_OFFSET_END};
use crate::{Engine, Error, ErrorCode, Offset, Result, TopicConfig, TopicPartition};
use std::ffi::c_char;
use std::ptr::null_mut;
use std::time::Instant;

/// The number of partitions that a caller asks for; 0 is judged where all topics are made.
fn partition_count(number: i32) -> Result<u32> {
    let refusal = || Error::new(ErrorCode::INVALID_PARTITIONS, format!("partitions is {number}; legal are 1 and more"));
    u32::try_from(number).map_err(|_| refusal())
}

/// What a new topic is to be. -1 leaves partitions and replication to the engine's defaults.
fn topic_config(partitions: i32, replication: i16, conf: Option<&kafkalog_conf_t>) -> Result<TopicConfig> {
    let mut config = TopicConfig::new();
    if partitions != -1 {
        config = config.partitions(partition_count(partitions)?);
    }
    if replication != -1 {
        let refusal = || {
            Error::new(
                ErrorCode::INVALID_REPLICATION_FACTOR,
                format!("replication is {replication}; legal are -1, 1 and more"),
            )
        };
        config = config.replication(u16::try_from(replication).map_err(|_| refusal())?);
    }
    if let Some(conf) = conf {
        for (name, value) in &conf.read()?.values {
            config = config.set(name, value)?;
        }
    }
    Ok(config)
}

/// Creates a topic. `partitions` -1 is `num.partitions`, `replication` -1 is `default.replication.factor`; `topic_conf` (NULL: the engine's defaults) has topic
/// settings such as `retention.ms`.
///
/// Nothing is taken over. [MT], blocks for the creation, for another node's decision up to `timeout_ms`. Codes: REQUEST_TIMED_OUT (7), TOPIC_ALREADY_EXISTS (36), INVALID_TOPIC_EXCEPTION (17),
/// INVALID_PARTITIONS (37), INVALID_REPLICATION_FACTOR (38), INVALID_CONFIG (40), KAFKA_STORAGE_ERROR (56), _INVALID_ARG,
/// _REENTRANT, _CLOSED, _FATAL.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_topic_create(
    e: *mut kafkalog_engine_t,
    topic: *const c_char,
    partitions: i32,
    replication: i16,
    topic_conf: *const kafkalog_conf_t,
    timeout_ms: i32,
    err: *mut *mut kafkalog_error_t,
) -> kafkalog_code_t {
    // SAFETY: every pointer is NULL or as the header asks.
    unsafe {
        guard(e, err, |handle| {
            let limit = duration(timeout_ms)?;
            let topic = text(topic, "topic")?;
            let config = topic_config(partitions, replication, borrow_or_none(topic_conf, "topic_conf")?)?;
            handle.core.alive()?.engine.within(limit).create_topic(topic, config)
        })
    }
}

/// Deletes a topic and its files. Batches that were read stay valid.
///
/// [MT], blocks for the deletion, for another node's decision up to `timeout_ms`. Codes: REQUEST_TIMED_OUT (7), UNKNOWN_TOPIC_OR_PARTITION (3), KAFKA_STORAGE_ERROR (56), _INVALID_ARG, _CLOSED, _FATAL.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_topic_delete(
    e: *mut kafkalog_engine_t,
    topic: *const c_char,
    timeout_ms: i32,
    err: *mut *mut kafkalog_error_t,
) -> kafkalog_code_t {
    // SAFETY: every pointer is NULL or as the header asks.
    unsafe {
        guard(e, err, |handle| {
            let limit = duration(timeout_ms)?;
            handle.core.alive()?.engine.within(limit).delete_topic(text(topic, "topic")?)
        })
    }
}

/// Adds partitions, until there are `total`. Keys may go to other partitions from then on.
///
/// [MT], blocks for the creation, for another node's decision up to `timeout_ms`. Codes: REQUEST_TIMED_OUT (7), UNKNOWN_TOPIC_OR_PARTITION (3), INVALID_PARTITIONS (37; not more than there are),
/// KAFKA_STORAGE_ERROR (56), _INVALID_ARG, _CLOSED, _FATAL.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_topic_add_partitions(
    e: *mut kafkalog_engine_t,
    topic: *const c_char,
    total: i32,
    timeout_ms: i32,
    err: *mut *mut kafkalog_error_t,
) -> kafkalog_code_t {
    // SAFETY: every pointer is NULL or as the header asks.
    unsafe {
        guard(e, err, |handle| {
            let limit = duration(timeout_ms)?;
            handle.core.alive()?.engine.within(limit).add_partitions(text(topic, "topic")?, partition_count(total)?)
        })
    }
}

/// Changes one setting of a topic; `value_or_null` NULL goes back to the engine's default.
///
/// [MT], blocks for writing it down, for another node's decision up to `timeout_ms`. Codes: REQUEST_TIMED_OUT (7), UNKNOWN_TOPIC_OR_PARTITION (3), INVALID_CONFIG (40), KAFKA_STORAGE_ERROR (56),
/// _INVALID_ARG, _CLOSED, _FATAL.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_topic_alter(
    e: *mut kafkalog_engine_t,
    topic: *const c_char,
    key: *const c_char,
    value_or_null: *const c_char,
    timeout_ms: i32,
    err: *mut *mut kafkalog_error_t,
) -> kafkalog_code_t {
    // SAFETY: every pointer is NULL or as the header asks.
    unsafe {
        guard(e, err, |handle| {
            let limit = duration(timeout_ms)?;
            let (topic, key) = (text(topic, "topic")?, text(key, "key")?);
            let value = text_or_none(value_or_null, "value_or_null")?;
            handle.core.alive()?.engine.within(limit).alter_topic(topic, key, value)
        })
    }
}

fn delete_before(engine: &Engine, id: &TopicPartition, before: i64) -> Result<i64> {
    let before = match before {
        KAFKALOG_OFFSET_END => None,
        0.. => Some(Offset(before.unsigned_abs())),
        _ => return Err(invalid(format!("offset is {before}; legal are -1 (all that may be read), 0 and more"))),
    };
    Ok(engine.delete_records(&id.topic, id.partition, before)?.0.signed())
}

/// Deletes, in each partition of the list, the records before its offset (KAFKALOG_OFFSET_END: all that may be read). Each entry gets a
/// code, and as offset the first one that is left.
///
/// [MT], blocks for writing it down, for leaders on other nodes up to `timeout_ms` in all. Codes of entries: UNKNOWN_TOPIC_OR_PARTITION
/// (3), OFFSET_OUT_OF_RANGE (1), REQUEST_TIMED_OUT (7), POLICY_VIOLATION (44; cleanup.policy), KAFKA_STORAGE_ERROR (56). Codes:
/// _INVALID_ARG, _REENTRANT, _CLOSED, _FATAL.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_topic_delete_records(
    e: *mut kafkalog_engine_t,
    before: *mut kafkalog_tplist_t,
    timeout_ms: i32,
    err: *mut *mut kafkalog_error_t,
) -> kafkalog_code_t {
    // SAFETY: every pointer is NULL or as the header asks.
    unsafe {
        guard(e, err, |handle| {
            let (limit, began) = (duration(timeout_ms)?, Instant::now());
            let mut entries = borrow(before, "before")?.write()?;
            let engine = &handle.core.alive()?.engine;
            for entry in entries.iter_mut() {
                let engine = engine.within(limit.saturating_sub(began.elapsed()));
                let left = entry.topic_partition().and_then(|id| delete_before(&engine, &id, entry.offset));
                entry.settle(left);
            }
            Ok(())
        })
    }
}

/// How many partitions a topic has.
///
/// [MT], never blocks. Codes: UNKNOWN_TOPIC_OR_PARTITION (3), _INVALID_ARG, _CLOSED, _FATAL.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_topic_partition_count(
    e: *const kafkalog_engine_t,
    topic: *const c_char,
    count: *mut i32,
) -> kafkalog_code_t {
    // SAFETY: every pointer is NULL or as the header asks.
    unsafe {
        guard(e, null_mut(), |handle| {
            let count = output(count, "count")?;
            *count = 0;
            let topic = text(topic, "topic")?;
            *count = handle.core.alive()?.engine.describe(topic)?.partition_count.signed();
            Ok(())
        })
    }
}

/// Topics, partitions, their offsets and settings as a JSON object; all topics for `topic_or_null` NULL. Fields are only ever added.
///
/// The caller ends `*json` with kafkalog_buf_destroy(). [MT], may open partitions. Codes: UNKNOWN_TOPIC_OR_PARTITION (3),
/// KAFKA_STORAGE_ERROR (56), _INVALID_ARG, _CLOSED, _FATAL.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_metadata(
    e: *const kafkalog_engine_t,
    topic_or_null: *const c_char,
    json: *mut *mut kafkalog_buf_t,
    err: *mut *mut kafkalog_error_t,
) -> kafkalog_code_t {
    // SAFETY: every pointer is NULL or as the header asks.
    unsafe {
        guard_new(e, json, err, |handle| {
            let topic = text_or_none(topic_or_null, "topic_or_null")?;
            Ok(kafkalog_buf_t::new(handle.core.alive()?.engine.metadata_json(topic)?))
        })
    }
}
