//! `kafkalog_batch_t`: records that were read, without having been copied. It pins the bytes until it is released.

use super::error::{c_string, end};
use super::guard::Birth;
use super::kafkalog_code_t;
use super::pointers::{kafkalog_bytes_t, Signed};
use super::records::{kafkalog_header_t, kafkalog_view_t};
use crate::{ConsumerRecord, ConsumerRecords, ErrorCode, FetchedBatch, Result};
use std::ffi::{c_char, c_void, CString};
use std::sync::Arc;

/// Records that were read. Immutable, so any thread may look at it; it may outlive what it was read with, and the engine.
pub struct kafkalog_batch_t {
    views: Vec<kafkalog_view_t>,
    topics: Vec<(Arc<str>, CString)>,
    headers: Vec<kafkalog_header_t>,
    /// Where in `headers` those of each record begin. Empty when no record has any.
    header_starts: Vec<usize>,
    next_offset: i64,
    /// What the views and headers point into.
    _records: ConsumerRecords,
    birth: Birth,
}

impl kafkalog_batch_t {
    /// The table of views over what was read; `None` when that is nothing.
    pub(super) fn of(records: ConsumerRecords) -> Option<kafkalog_batch_t> {
        let next_offset = records.batches().last()?.next_offset().0.signed();
        let mut batch = kafkalog_batch_t {
            views: Vec::with_capacity(records.len()),
            topics: Vec::new(),
            headers: Vec::new(),
            header_starts: Vec::new(),
            next_offset,
            _records: ConsumerRecords::default(),
            birth: Birth::now(),
        };
        for fetched in records.batches() {
            let topic_index = batch.topic_index(fetched);
            for record in fetched {
                batch.push(&record, topic_index);
            }
        }
        // Moving the owner does not move the bytes: they lie in shared buffers and mappings.
        batch._records = records;
        Some(batch)
    }

    fn topic_index(&mut self, fetched: &FetchedBatch) -> u32 {
        let topic = fetched.topic();
        let known = self.topics.iter().rposition(|(known, _)| Arc::ptr_eq(known, topic) || known == topic);
        let index = known.unwrap_or_else(|| {
            self.topics.push((topic.clone(), c_string(topic)));
            self.topics.len() - 1
        });
        u32::try_from(index).expect("fewer topics than records")
    }

    fn push(&mut self, record: &ConsumerRecord<'_>, topic_index: u32) {
        if record.header_count() > 0 || !self.header_starts.is_empty() {
            self.push_headers(record);
        }
        self.views.push(kafkalog_view_t {
            offset: record.offset.0.signed(),
            timestamp_ms: record.timestamp.map_or(-1, |timestamp| timestamp.0),
            key: start(record.key),
            value: start(record.value),
            key_len: length(record.key),
            value_len: length(record.value),
            partition: record.partition.signed(),
            leader_epoch: record.leader_epoch.map_or(-1, |epoch| epoch.0.signed()),
            topic_index,
            header_count: record.header_count(),
            reserved: 0,
        });
    }

    fn push_headers(&mut self, record: &ConsumerRecord<'_>) {
        self.header_starts.resize(self.views.len(), self.headers.len());
        self.header_starts.push(self.headers.len());
        self.headers.extend(record.headers().map(|header| kafkalog_header_t {
            name: kafkalog_bytes_t::of(Some(header.key)),
            value: kafkalog_bytes_t::of(header.value),
        }));
    }

    fn header(&self, record: usize, header: usize) -> Option<kafkalog_header_t> {
        let view = self.views.get(record)?;
        if header >= view.header_count as usize {
            return None;
        }
        Some(self.headers[self.header_starts[record] + header])
    }
}

/// Puts what was read into `*out`: NULL when it is nothing.
pub(super) fn give(records: ConsumerRecords, out: &mut *mut kafkalog_batch_t) -> Result<()> {
    *out = kafkalog_batch_t::of(records).map_or(std::ptr::null_mut(), |batch| Box::into_raw(Box::new(batch)));
    Ok(())
}

fn start(bytes: Option<&[u8]>) -> *const c_void {
    bytes.map_or(std::ptr::null(), |bytes| bytes.as_ptr().cast())
}

fn length(bytes: Option<&[u8]>) -> i32 {
    bytes.map_or(-1, |bytes| i32::try_from(bytes.len()).expect("no batch is that large"))
}

/// The records as one array of `*count`; NULL and 0 for NULL.
///
/// It belongs to the batch and ends with it, and so do the keys and values it points to. NULL for `count` answers NULL. [MT][CB],
/// never blocks.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_batch_views(b: *const kafkalog_batch_t, count: *mut usize) -> *const kafkalog_view_t {
    // SAFETY: NULL or writable, says the header.
    let Some(count) = (unsafe { count.as_mut() }) else { return std::ptr::null() };
    *count = 0;
    // SAFETY: NULL or alive, says the header.
    let Some(batch) = (unsafe { b.as_ref() }) else { return std::ptr::null() };
    *count = batch.views.len();
    batch.views.as_ptr()
}

/// The name of the topic that a view means by its `topic_index`; NULL when there is none.
///
/// It belongs to the batch and ends with it. [MT][CB], never blocks.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_batch_topic(b: *const kafkalog_batch_t, topic_index: u32) -> *const c_char {
    // SAFETY: NULL or alive, says the header.
    let topic = unsafe { b.as_ref() }.and_then(|batch| batch.topics.get(topic_index as usize));
    topic.map_or(std::ptr::null(), |(_, name)| name.as_ptr())
}

/// Header number `header` of record number `record`.
///
/// What `*out` points to belongs to the batch and ends with it. [MT][CB], never blocks. Codes: _INVALID_ARG, also when there is no
/// such record or header.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_batch_header(
    b: *const kafkalog_batch_t,
    record: usize,
    header: usize,
    out: *mut kafkalog_header_t,
) -> kafkalog_code_t {
    // SAFETY: NULL or writable, says the header.
    let Some(out) = (unsafe { out.as_mut() }) else { return ErrorCode::INVALID_ARG.0 };
    // SAFETY: NULL or alive, says the header.
    match unsafe { b.as_ref() }.and_then(|batch| batch.header(record, header)) {
        Some(found) => *out = found,
        None => return ErrorCode::INVALID_ARG.0,
    }
    ErrorCode::NONE.0
}

/// Where to read on: the offset behind the last record of the batch, in that record's partition. -1 for NULL.
///
/// [MT][CB], never blocks.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_batch_next_offset(b: *const kafkalog_batch_t) -> i64 {
    // SAFETY: NULL or alive, says the header.
    unsafe { b.as_ref() }.map_or(-1, |batch| batch.next_offset)
}

/// Lets a batch and everything it points to go; NULL is fine. From any thread, also after the end of its consumer or engine.
///
/// [MT][CB], never blocks.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_batch_release(b: *mut kafkalog_batch_t) {
    // SAFETY: NULL or alive, and given back once, says the header.
    unsafe { end(b, |batch| batch.birth) };
}
