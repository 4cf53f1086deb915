//! `kafkalog_log_t`: one partition, without producer or consumer around it.

use super::batch::{self, kafkalog_batch_t};
use super::engine::{kafkalog_engine_t, Core};
use super::error::kafkalog_error_t;
use super::guard::{destroy, guard, guard_new, Birth, Handle};
use super::kafkalog_code_t;
use super::pointers::{array, duration, input, invalid, kafkalog_bytes_t, output, partition, text, Signed};
use super::records::{kafkalog_append_opts_t, kafkalog_packed_t, kafkalog_record_t, Records};
use crate::{Error, Offset, PartitionLog, Result, Timestamp};
use std::ffi::{c_char, c_void};
use std::ptr::null_mut;
use std::sync::Arc;

/// One partition. Any thread at any time.
pub struct kafkalog_log_t {
    log: PartitionLog,
    core: Arc<Core>,
}

impl Handle for kafkalog_log_t {
    fn birth(&self) -> Birth {
        self.core.birth
    }

    fn core(&self) -> Option<&Core> {
        Some(&self.core)
    }
}

impl kafkalog_log_t {
    /// A record that says which partition it wants has to mean this one.
    #[inline]
    fn admit(&self, partition: Option<u32>) -> Result<()> {
        match partition {
            Some(wanted) if wanted != self.log.id().partition => Err(self.stranger(wanted)),
            _ => Ok(()),
        }
    }

    #[cold]
    fn stranger(&self, wanted: u32) -> Error {
        invalid(format!("a record for partition {wanted} does not belong into {}", self.log.id()))
    }
}

fn offset(number: i64) -> Result<Offset> {
    u64::try_from(number).map(Offset).map_err(|_| invalid(format!("offset is {number}; legal are 0 and more")))
}

fn at_least_one(n: usize) -> Result<()> {
    if n == 0 {
        return Err(invalid("n is 0; an append takes at least one record"));
    }
    Ok(())
}

/// Opens one partition of a topic for direct access.
///
/// The caller ends `*out` with kafkalog_log_destroy(). [MT], blocks for opening the files. Codes: UNKNOWN_TOPIC_OR_PARTITION (3),
/// KAFKA_STORAGE_ERROR (56), CORRUPT_MESSAGE (2), _INVALID_ARG, _CLOSED, _DESTROY, _FATAL.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_log_open(
    e: *mut kafkalog_engine_t,
    topic: *const c_char,
    partition: i32,
    out: *mut *mut kafkalog_log_t,
    err: *mut *mut kafkalog_error_t,
) -> kafkalog_code_t {
    // SAFETY: every pointer is NULL or as the header asks.
    unsafe {
        guard_new(e, out, err, |engine| {
            let number = self::partition(partition)?;
            let log = engine.core.alive()?.engine.log(text(topic, "topic")?, number)?;
            Ok(kafkalog_log_t { log, core: engine.core.clone() })
        })
    }
}

/// Ends a handle on a partition; NULL is fine. The partition itself stays open.
///
/// [MT], never blocks.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_log_destroy(l: *mut kafkalog_log_t) {
    // SAFETY: NULL or alive, and given back once, says the header.
    unsafe { destroy(l, drop) };
}

/// Appends `n` records as one batch. `*base_offset` is the offset of the first one. `opts` NULL: acks=1, no fsync.
///
/// Everything is copied; tags are ignored. All records are appended or none. [MT], blocks for the write and for what `opts` asks.
/// Codes: MESSAGE_TOO_LARGE (10), INVALID_RECORD (87), KAFKA_STORAGE_ERROR (56), NOT_ENOUGH_REPLICAS (19), REQUEST_TIMED_OUT
/// (7; written, not acknowledged yet), _INVALID_ARG, _ABI, _CLOSED, _DESTROY, _FATAL.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_log_append(
    l: *mut kafkalog_log_t,
    recs: *const kafkalog_record_t,
    record_size: usize,
    n: usize,
    opts: *const kafkalog_append_opts_t,
    base_offset: *mut i64,
) -> kafkalog_code_t {
    // SAFETY: every pointer is NULL or as the header asks.
    unsafe {
        guard(l, null_mut(), |handle| {
            let base_offset = output(base_offset, "base_offset")?;
            *base_offset = -1;
            handle.core.alive()?;
            let (records, options) = (Records::of(recs, record_size, n)?, kafkalog_append_opts_t::translate(opts)?);
            at_least_one(n)?;
            let mut headers = Vec::new();
            let placed = handle.log.append_with(options, |batch| {
                for record in records.iter() {
                    let record = record.translate("", &mut headers)?;
                    handle.admit(record.partition)?;
                    batch.push(record.key, record.value, record.headers, record.timestamp)?;
                }
                Ok(())
            })?;
            *base_offset = placed.0.signed();
            Ok(())
        })
    }
}

/// Appends `n` records out of one flat buffer as one batch: `index` says where in `bytes` keys and values lie.
///
/// As kafkalog_log_append() in everything else. [MT], blocks and codes as there.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_log_append_packed(
    l: *mut kafkalog_log_t,
    bytes: *const c_void,
    bytes_len: usize,
    index: *const kafkalog_packed_t,
    n: usize,
    opts: *const kafkalog_append_opts_t,
    base_offset: *mut i64,
) -> kafkalog_code_t {
    // SAFETY: every pointer is NULL or as the header asks.
    unsafe {
        guard(l, null_mut(), |handle| {
            let base_offset = output(base_offset, "base_offset")?;
            *base_offset = -1;
            handle.core.alive()?;
            let (bytes, index) = (input(bytes, bytes_len, "bytes")?, array(index, n, "index")?);
            let options = kafkalog_append_opts_t::translate(opts)?;
            at_least_one(n)?;
            let placed = handle.log.append_with(options, |batch| {
                for packed in index {
                    handle.admit(packed.partition()?)?;
                    let (key, value) = packed.key_and_value(bytes)?;
                    batch.push(key, value, &[], packed.timestamp())?;
                }
                Ok(())
            })?;
            *base_offset = placed.0.signed();
            Ok(())
        })
    }
}

/// Appends one batch that is encoded already (Kafka's record batch v2, base offset 0), after checking all of it.
///
/// The bytes are copied. `*base_offset` and `opts` as in kafkalog_log_append(). [MT], blocks and codes as there; also CORRUPT_MESSAGE (2),
/// UNSUPPORTED_COMPRESSION_TYPE (76), OUT_OF_ORDER_SEQUENCE_NUMBER (45) and the rest of Kafka's checks.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_log_append_raw(
    l: *mut kafkalog_log_t,
    record_batch_v2: kafkalog_bytes_t,
    opts: *const kafkalog_append_opts_t,
    base_offset: *mut i64,
) -> kafkalog_code_t {
    // SAFETY: every pointer is NULL or as the header asks.
    unsafe {
        guard(l, null_mut(), |handle| {
            let base_offset = output(base_offset, "base_offset")?;
            *base_offset = -1;
            handle.core.alive()?;
            let batch = input(record_batch_v2.data, record_batch_v2.len, "record_batch_v2")?;
            let placed = handle.log.append_raw(batch, kafkalog_append_opts_t::translate(opts)?)?;
            *base_offset = placed.0.signed();
            Ok(())
        })
    }
}

/// Reads records from `offset` on: whole batches of about `max_bytes`, at least one. Waits up to `timeout_ms` (-1: for ever) when
/// there is nothing yet, and answers 0 with `*out` NULL when nothing came.
///
/// The caller ends `*out` with kafkalog_batch_release(). [MT], blocks. Codes: OFFSET_OUT_OF_RANGE (1), CORRUPT_MESSAGE (2),
/// KAFKA_STORAGE_ERROR (56), _QUEUE_FULL (`fetch.pinned.max.bytes` are held by batches that were not released), _INVALID_ARG,
/// _CLOSED, _DESTROY, _FATAL.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_log_read(
    l: *mut kafkalog_log_t,
    offset: i64,
    max_bytes: usize,
    timeout_ms: i32,
    out: *mut *mut kafkalog_batch_t,
) -> kafkalog_code_t {
    // SAFETY: every pointer is NULL or as the header asks.
    unsafe {
        guard(l, null_mut(), |handle| {
            let out = output(out, "out")?;
            *out = null_mut();
            handle.core.alive()?;
            batch::give(handle.log.read(self::offset(offset)?, max_bytes, duration(timeout_ms)?)?, out)
        })
    }
}

/// The first offset that there still is, the end of what may be read, and the end of the log.
///
/// [MT], never blocks. Codes: _INVALID_ARG, _CLOSED, _DESTROY, _FATAL.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_log_offsets(
    l: *const kafkalog_log_t,
    start: *mut i64,
    high_watermark: *mut i64,
    end: *mut i64,
) -> kafkalog_code_t {
    // SAFETY: every pointer is NULL or as the header asks.
    unsafe {
        guard(l, null_mut(), |handle| {
            let start = output(start, "start")?;
            let (high_watermark, end) = (output(high_watermark, "high_watermark")?, output(end, "end")?);
            handle.core.alive()?;
            let offsets = handle.log.offsets()?;
            *start = offsets.log_start.0.signed();
            *high_watermark = offsets.high_watermark.0.signed();
            *end = offsets.log_end.0.signed();
            Ok(())
        })
    }
}

/// The offset of the first record with this timestamp or a later one; KAFKALOG_OFFSET_END (-1) when there is none.
///
/// [MT], blocks for reading. Codes: CORRUPT_MESSAGE (2), KAFKA_STORAGE_ERROR (56), _INVALID_ARG, _CLOSED, _DESTROY, _FATAL.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_log_offset_for_time(
    l: *const kafkalog_log_t,
    timestamp_ms: i64,
    offset: *mut i64,
) -> kafkalog_code_t {
    // SAFETY: every pointer is NULL or as the header asks.
    unsafe {
        guard(l, null_mut(), |handle| {
            let offset = output(offset, "offset")?;
            *offset = super::tplist::KAFKALOG_OFFSET_INVALID;
            handle.core.alive()?;
            let found = handle.log.offset_for_timestamp(Timestamp(timestamp_ms))?;
            *offset = found.map_or(super::tplist::KAFKALOG_OFFSET_END, |(offset, _)| offset.0.signed());
            Ok(())
        })
    }
}

/// Returns once everything that was appended before the call survives a power cut.
///
/// [MT], blocks up to `timeout_ms` (-1: for ever). Codes: REQUEST_TIMED_OUT (7), KAFKA_STORAGE_ERROR (56; final until the engine is
/// opened again), _INVALID_ARG, _CLOSED, _DESTROY, _FATAL.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_log_sync(l: *mut kafkalog_log_t, timeout_ms: i32) -> kafkalog_code_t {
    // SAFETY: NULL or alive, says the header.
    unsafe {
        guard(l, null_mut(), |handle| {
            handle.core.alive()?;
            handle.log.sync(duration(timeout_ms)?)
        })
    }
}
