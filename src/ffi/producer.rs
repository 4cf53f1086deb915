//! `kafkalog_producer_t`: records in, delivery reports on a queue.

use super::conf::kafkalog_conf_t;
use super::engine::{kafkalog_engine_t, Core};
use super::error::kafkalog_error_t;
use super::guard::{borrow_or_none, destroy, guard, guard_new, guard_value, Birth, Handle};
use super::kafkalog_code_t;
use super::pointers::{array, array_mut, duration, input, invalid, output, text, Signed};
use super::queue::{kafkalog_queue_t, Queue};
use super::records::{kafkalog_delivery_t, kafkalog_packed_t, kafkalog_record_t, Records};
use crate::{DeliveryReport, DeliverySink, Error, ErrorCode, Producer, Record, RecordMetadata, Result, Scope};
use std::ffi::{c_char, c_void};
use std::mem::MaybeUninit;
use std::ptr::null_mut;
use std::sync::Arc;
use std::time::Duration;

/// For kafkalog_producer_purge(): records that were not written yet.
pub const KAFKALOG_PURGE_QUEUED: u32 = 1;
/// For kafkalog_producer_purge(), together with _QUEUED: also records that were written and wait for their acknowledgement.
pub const KAFKALOG_PURGE_INFLIGHT: u32 = 2;

/// Sends records. Any thread at any time.
pub struct kafkalog_producer_t {
    producer: Producer,
    reports: Option<Arc<Queue>>,
    core: Arc<Core>,
}

impl Handle for kafkalog_producer_t {
    fn birth(&self) -> Birth {
        self.core.birth
    }

    fn core(&self) -> Option<&Core> {
        Some(&self.core)
    }
}

impl kafkalog_producer_t {
    /// Takes one record in, unless nobody polls the reports.
    #[inline]
    fn send(&self, record: Record<'_>, tag: u64) -> Result<()> {
        match &self.reports {
            Some(queue) if !queue.has_room() => Err(Error::new(
                ErrorCode::QUEUE_FULL,
                "too many delivery reports lie unpolled; poll the queue that the producer was given",
            )),
            _ => self.producer.send_tagged(record, tag),
        }
    }
}

/// Turns a batch's outcome into reports, once a batch.
struct Reports(Arc<Queue>);

impl DeliverySink for Reports {
    fn deliver(&self, report: DeliveryReport<'_>) {
        let partition = report.partition.signed();
        let records = report.tags.iter().zip(report.offset_deltas).zip(report.timestamps);
        match report.result {
            Ok(placement) => self.0.deliver(records.map(|((&tag, &delta), &timestamp)| {
                let (offset, timestamp) = placement.place_of(delta, timestamp);
                let offset = offset.map_or(-1, |offset| offset.0.signed());
                kafkalog_delivery_t { tag, offset, timestamp_ms: timestamp.0, partition, code: 0 }
            })),
            Err(error) => self.0.deliver(records.map(|((&tag, _), _)| {
                let code = error.code().0;
                kafkalog_delivery_t { tag, offset: -1, timestamp_ms: -1, partition, code }
            })),
        }
    }
}

/// What one call of many records answers: a code for each, where the caller wants them.
struct Outcome<'a> {
    codes: Option<&'a mut [MaybeUninit<kafkalog_code_t>]>,
    accepted: &'a mut usize,
}

impl<'a> Outcome<'a> {
    /// # Safety
    /// Both pointers are NULL or may be written by this call alone, `codes` for `n` codes.
    unsafe fn of(codes: *mut kafkalog_code_t, accepted: *mut usize, n: usize) -> Result<Outcome<'a>> {
        // SAFETY: the caller's promise.
        let accepted = unsafe { output(accepted, "accepted") }?;
        *accepted = 0;
        // SAFETY: the caller's promise.
        let codes = if codes.is_null() { None } else { Some(unsafe { array_mut(codes, n, "codes") }?) };
        Ok(Outcome { codes, accepted })
    }

    /// Sends them all. A refused record does not harm its neighbours, except that nothing behind one that found no room is
    /// tried: it would only wait as long once more, or overtake it.
    fn send_all<R>(mut self, records: impl Iterator<Item = R>, mut send: impl FnMut(R) -> Result<()>) -> Result<()> {
        let mut refused = ErrorCode::NONE;
        for (i, record) in records.enumerate() {
            if refused == ErrorCode::NONE {
                match send(record) {
                    Ok(()) => {
                        *self.accepted += 1;
                        self.put(i, ErrorCode::NONE);
                        continue;
                    }
                    Err(error) if self.codes.is_none() => return Err(error),
                    Err(error) if ends_the_call(error.code()) => refused = error.code(),
                    Err(error) => {
                        self.put(i, error.code());
                        continue;
                    }
                }
            }
            self.put(i, refused);
        }
        Ok(())
    }

    #[inline]
    fn put(&mut self, i: usize, code: ErrorCode) {
        if let Some(codes) = &mut self.codes {
            codes[i].write(code.0);
        }
    }
}

fn ends_the_call(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::QUEUE_FULL | ErrorCode::CLOSED)
}

/// Opens a producer. `conf` (NULL: the engine's) has producer settings such as `acks`, `linger.ms`, `batch.size`; reports go to
/// `deliveries` (NULL: none are kept).
///
/// `conf` stays the caller's and is copied; `deliveries` too, and may be destroyed first. The caller ends `*out` with
/// kafkalog_producer_destroy(). [MT], never blocks. Codes: INVALID_CONFIG (40), _INVALID_ARG, _CLOSED, _DESTROY, _FATAL.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_producer_new(
    e: *mut kafkalog_engine_t,
    conf: *const kafkalog_conf_t,
    deliveries: *mut kafkalog_queue_t,
    out: *mut *mut kafkalog_producer_t,
    err: *mut *mut kafkalog_error_t,
) -> kafkalog_code_t {
    // SAFETY: every pointer is NULL or as the header asks.
    unsafe {
        guard_new(e, out, err, |engine| {
            let core = engine.core.alive()?;
            let mut builder = core.engine.producer();
            for (name, value) in core.settings(Scope::Producer, borrow_or_none(conf, "conf")?)? {
                builder = builder.set(&name, &value)?;
            }
            let reports = borrow_or_none(deliveries, "deliveries")?.map(|handle| handle.queue.clone());
            if let Some(queue) = &reports {
                builder = builder.delivery_sink(Arc::new(Reports(queue.clone())));
            }
            Ok(kafkalog_producer_t { producer: builder.open()?, reports, core: engine.core.clone() })
        })
    }
}

/// Ends a producer; NULL is fine. What is unsent is purged: its reports come with the code _PURGE_QUEUE or _PURGE_INFLIGHT. Call
/// kafkalog_producer_flush() before to send it.
///
/// [MT], never blocks for longer than a write under way.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_producer_destroy(p: *mut kafkalog_producer_t) {
    // SAFETY: NULL or alive, and given back once, says the header.
    unsafe {
        destroy(p, |producer| {
            producer.producer.purge(true);
            // Nothing is left that could fail, and nobody to be told.
            let _ = producer.producer.close(Duration::ZERO);
        });
    }
}

/// Sends one record; what becomes of it is reported on the producer's queue. `record_size` is sizeof(kafkalog_record_t).
///
/// Everything is copied. [MT], blocks up to `max.block.ms` while `buffer.memory` is used up, and for the write when its batch is
/// full; in a cluster also for replicas that are late with more than 1 MiB, 20 ms at a time unless `max.block.ms` is 0. Codes:
/// UNKNOWN_TOPIC_OR_PARTITION (3), MESSAGE_TOO_LARGE (10), INVALID_RECORD (87), _QUEUE_FULL (also when too many reports
/// lie unpolled), _INVALID_ARG, _ABI, _CLOSED, _DESTROY, _FATAL. A record that was refused is not reported.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_producer_send(
    p: *mut kafkalog_producer_t,
    topic: *const c_char,
    rec: *const kafkalog_record_t,
    record_size: usize,
) -> kafkalog_code_t {
    // SAFETY: every pointer is NULL or as the header asks.
    unsafe {
        guard(p, null_mut(), |producer| {
            producer.core.alive()?;
            let record = Records::one(rec, record_size)?;
            producer.send(record.translate(text(topic, "topic")?, &mut Vec::new())?, record.tag)
        })
    }
}

/// Sends `n` records to one topic. `codes` (NULL: not wanted) gets a code for each, `*accepted` how many were taken in; a record
/// that is refused does not harm its neighbours, but behind one that found no room none is tried. Without `codes` the call stops
/// at the first record that is refused and answers its code.
///
/// Everything is copied. [MT], blocks and codes as kafkalog_producer_send().
#[no_mangle]
pub unsafe extern "C" fn kafkalog_producer_send_batch(
    p: *mut kafkalog_producer_t,
    topic: *const c_char,
    recs: *const kafkalog_record_t,
    record_size: usize,
    n: usize,
    codes: *mut kafkalog_code_t,
    accepted: *mut usize,
) -> kafkalog_code_t {
    // SAFETY: every pointer is NULL or as the header asks.
    unsafe {
        guard(p, null_mut(), |producer| {
            let outcome = Outcome::of(codes, accepted, n)?;
            producer.core.alive()?;
            let (topic, records) = (text(topic, "topic")?, Records::of(recs, record_size, n)?);
            let mut headers = Vec::new();
            outcome.send_all(records.iter(), |record| producer.send(record.translate(topic, &mut headers)?, record.tag))
        })
    }
}

/// Sends `n` records to one topic out of one flat buffer: `index` says where in `bytes` keys and values lie. The form for
/// languages that may not hand over structs with pointers in them, and the fastest one.
///
/// Everything is copied. `codes` and `*accepted` as in kafkalog_producer_send_batch(). [MT], blocks and codes as
/// kafkalog_producer_send().
#[no_mangle]
pub unsafe extern "C" fn kafkalog_producer_send_packed(
    p: *mut kafkalog_producer_t,
    topic: *const c_char,
    bytes: *const c_void,
    bytes_len: usize,
    index: *const kafkalog_packed_t,
    n: usize,
    codes: *mut kafkalog_code_t,
    accepted: *mut usize,
) -> kafkalog_code_t {
    // SAFETY: every pointer is NULL or as the header asks.
    unsafe {
        guard(p, null_mut(), |producer| {
            let outcome = Outcome::of(codes, accepted, n)?;
            producer.core.alive()?;
            let topic = text(topic, "topic")?;
            let (bytes, index) = (input(bytes, bytes_len, "bytes")?, array(index, n, "index")?);
            outcome.send_all(index.iter(), |packed| producer.send(packed.translate(topic, bytes)?, packed.tag))
        })
    }
}

/// Sends one record and waits for its acknowledgement, on this thread. `*out` tells where it lies, or the code of its failure.
///
/// Everything is copied; nothing arrives on the queue. [MT], blocks up to `timeout_ms` (-1: for ever) after the send. Codes: as
/// kafkalog_producer_send(), and what kept the record from being acknowledged; _TIMED_OUT: it may still be written.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_producer_send_wait(
    p: *mut kafkalog_producer_t,
    topic: *const c_char,
    rec: *const kafkalog_record_t,
    record_size: usize,
    timeout_ms: i32,
    out: *mut kafkalog_delivery_t,
) -> kafkalog_code_t {
    // SAFETY: every pointer is NULL or as the header asks.
    unsafe {
        guard(p, null_mut(), |producer| {
            let out = output(out, "out")?;
            *out = kafkalog_delivery_t { tag: 0, offset: -1, timestamp_ms: -1, partition: -1, code: 0 };
            producer.core.alive()?;
            let (record, timeout) = (Records::one(rec, record_size)?, duration(timeout_ms)?);
            out.tag = record.tag;
            let topic = text(topic, "topic")?;
            let sent = record.translate(topic, &mut Vec::new()).and_then(|record| producer.producer.send(record));
            let placed = sent.and_then(|mut delivery| delivery.wait_timeout(timeout).unwrap_or_else(|| Err(late())));
            match &placed {
                Ok(placed) => fill(out, placed),
                Err(error) => out.code = error.code().0,
            }
            placed.map(|_| ())
        })
    }
}

fn fill(out: &mut kafkalog_delivery_t, placed: &RecordMetadata) {
    out.offset = placed.offset.map_or(-1, |offset| offset.0.signed());
    out.timestamp_ms = placed.timestamp.0;
    out.partition = placed.partition.signed();
}

fn late() -> Error {
    Error::new(ErrorCode::TIMED_OUT, "no acknowledgement within timeout_ms; the record may still be written")
}

/// Carries everything that was sent before to the log and waits for its acknowledgement. Nobody has to poll meanwhile.
///
/// [MT], blocks up to `timeout_ms` (-1: for ever). Codes: the first failure of any record since the last flush, _TIMED_OUT,
/// _INVALID_ARG, _DESTROY, _FATAL.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_producer_flush(p: *mut kafkalog_producer_t, timeout_ms: i32) -> kafkalog_code_t {
    // SAFETY: NULL or alive, says the header.
    unsafe {
        guard(p, null_mut(), |producer| {
            producer.core.alive()?;
            producer.producer.flush(duration(timeout_ms)?)
        })
    }
}

/// Fails what is not acknowledged: `flags` is KAFKALOG_PURGE_QUEUED, or that and KAFKALOG_PURGE_INFLIGHT. Each record is reported
/// with the code _PURGE_QUEUE or _PURGE_INFLIGHT; the latter may be in the log all the same.
///
/// [MT], never blocks. Codes: _INVALID_ARG.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_producer_purge(p: *mut kafkalog_producer_t, flags: u32) -> kafkalog_code_t {
    // SAFETY: NULL or alive, says the header.
    unsafe {
        guard(p, null_mut(), |producer| {
            const BOTH: u32 = KAFKALOG_PURGE_QUEUED | KAFKALOG_PURGE_INFLIGHT;
            match flags {
                KAFKALOG_PURGE_QUEUED => producer.producer.purge(false),
                BOTH => producer.producer.purge(true),
                _ => {
                    return Err(invalid(format!(
                        "flags is {flags}; legal are _QUEUED (1), and that with _INFLIGHT (3)"
                    )))
                }
            };
            Ok(())
        })
    }
}

/// Records sent and neither acknowledged nor failed; reports that nobody polled yet do not count.
///
/// [MT], never blocks.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_producer_pending(p: *const kafkalog_producer_t) -> usize {
    // SAFETY: NULL or alive, says the header.
    unsafe { guard_value(p, 0, |producer| Ok(usize::try_from(producer.producer.pending()).unwrap_or(usize::MAX))) }
}
