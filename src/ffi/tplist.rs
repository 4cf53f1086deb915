//! `kafkalog_tplist_t`: a list of partitions, each with an offset, a code and metadata.

use super::error::c_string;
use super::guard::{self, guard, guard_plain, guard_value, Birth, Handle};
use super::kafkalog_code_t;
use super::pointers::{self, invalid, kafkalog_bytes_t, output};
use crate::{Error, ErrorCode, Result, TopicPartition};
use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::ffi::{c_char, CString};

/// As an offset: behind the last record.
pub const KAFKALOG_OFFSET_END: i64 = -1;
/// As an offset: at the first record that the log still has.
pub const KAFKALOG_OFFSET_BEGINNING: i64 = -2;
/// As an offset: none is known; where a start is asked for, `auto.offset.reset` decides.
pub const KAFKALOG_OFFSET_INVALID: i64 = -1001;

/// Room for so many entries is made at once, whatever the hint says.
const CAPACITY_HINT_MAX: usize = 4096;

/// A list of partitions. One thread at a time.
pub struct kafkalog_tplist_t {
    // Not for waiting: whoever finds it taken is told so.
    entries: RwLock<Vec<Entry>>,
    birth: Birth,
}

pub(super) struct Entry {
    pub(super) topic: CString,
    pub(super) partition: i32,
    pub(super) offset: i64,
    pub(super) code: kafkalog_code_t,
    metadata: Option<Box<[u8]>>,
}

impl Handle for kafkalog_tplist_t {
    fn birth(&self) -> Birth {
        self.birth
    }
}

impl kafkalog_tplist_t {
    pub(super) fn new(entries: Vec<Entry>) -> kafkalog_tplist_t {
        kafkalog_tplist_t { entries: RwLock::new(entries), birth: Birth::now() }
    }

    pub(super) fn read(&self) -> Result<RwLockReadGuard<'_, Vec<Entry>>> {
        self.entries.try_read().ok_or_else(taken)
    }

    pub(super) fn write(&self) -> Result<RwLockWriteGuard<'_, Vec<Entry>>> {
        self.entries.try_write().ok_or_else(taken)
    }
}

impl Entry {
    pub(super) fn new(topic: &str, partition: i32, offset: i64) -> Entry {
        Entry { topic: c_string(topic), partition, offset, code: 0, metadata: None }
    }

    /// Which partition it names.
    pub(super) fn topic_partition(&self) -> Result<TopicPartition> {
        let topic = self.topic.to_str().map_err(|_| invalid("a topic in the list is not UTF-8"))?;
        Ok(TopicPartition::new(topic, pointers::partition(self.partition)?))
    }

    /// Writes down what a call found for this entry: an offset, or why not.
    pub(super) fn settle(&mut self, outcome: Result<i64>) {
        match outcome {
            Ok(offset) => (self.offset, self.code) = (offset, 0),
            Err(error) => (self.offset, self.code) = (KAFKALOG_OFFSET_INVALID, error.code().0),
        }
    }
}

fn taken() -> Error {
    Error::new(ErrorCode::REENTRANT, "another thread is using this list")
}

fn at(entries: &[Entry], i: usize) -> Result<&Entry> {
    entries.get(i).ok_or_else(|| invalid(format!("the list has {} entries, not one at {i}", entries.len())))
}

/// An empty list; `capacity_hint` may be 0. NULL only inside a callback.
///
/// The caller ends it with kafkalog_tplist_destroy(). [MT], never blocks.
#[no_mangle]
pub extern "C" fn kafkalog_tplist_new(capacity_hint: usize) -> *mut kafkalog_tplist_t {
    guard_plain(std::ptr::null_mut(), || {
        let entries = Vec::with_capacity(capacity_hint.min(CAPACITY_HINT_MAX));
        Ok(Box::into_raw(Box::new(kafkalog_tplist_t::new(entries))))
    })
}

/// Adds a partition; `offset` is an offset, a timestamp or KAFKALOG_OFFSET_*, as the call that takes the list says.
///
/// `topic` is copied. [ONE], never blocks. Codes: _INVALID_ARG, _REENTRANT.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_tplist_add(
    l: *mut kafkalog_tplist_t,
    topic: *const c_char,
    partition: i32,
    offset: i64,
) -> kafkalog_code_t {
    // SAFETY: every pointer is NULL or as the header asks.
    unsafe {
        guard(l, std::ptr::null_mut(), |list| {
            let topic = pointers::text(topic, "topic")?;
            pointers::partition(partition)?;
            list.write()?.push(Entry::new(topic, partition, offset));
            Ok(())
        })
    }
}

/// How many entries there are; 0 for NULL.
///
/// [MT], never blocks.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_tplist_count(l: *const kafkalog_tplist_t) -> usize {
    // SAFETY: NULL or alive, says the header.
    unsafe { guard_value(l, 0, |list| Ok(list.read()?.len())) }
}

/// Entry `i` of the list: what was added, or what a call wrote there. `*code` is 0 or why that call failed for this entry.
///
/// `*topic` belongs to the list and ends with it. [MT], never blocks. Codes: _INVALID_ARG (also for no such entry), _REENTRANT.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_tplist_get(
    l: *const kafkalog_tplist_t,
    i: usize,
    topic: *mut *const c_char,
    partition: *mut i32,
    offset: *mut i64,
    code: *mut kafkalog_code_t,
) -> kafkalog_code_t {
    // SAFETY: every pointer is NULL or as the header asks.
    unsafe {
        if !topic.is_null() {
            *topic = std::ptr::null();
        }
        guard(l, std::ptr::null_mut(), |list| {
            let (topic, partition) = (output(topic, "topic")?, output(partition, "partition")?);
            let (offset, code) = (output(offset, "offset")?, output(code, "code")?);
            let entries = list.read()?;
            let entry = at(&entries, i)?;
            *topic = entry.topic.as_ptr();
            (*partition, *offset, *code) = (entry.partition, entry.offset, entry.code);
            Ok(())
        })
    }
}

/// Gives entry `i` metadata; data NULL takes it away.
///
/// The bytes are copied. [ONE], never blocks. Codes: _INVALID_ARG (also for no such entry), _REENTRANT, _NOMEM.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_tplist_set_metadata(
    l: *mut kafkalog_tplist_t,
    i: usize,
    metadata: kafkalog_bytes_t,
) -> kafkalog_code_t {
    // SAFETY: every pointer is NULL or as the header asks.
    unsafe {
        guard(l, std::ptr::null_mut(), |list| {
            let metadata = match metadata.nullable()? {
                Some(bytes) => Some(copied(bytes)?),
                None => None,
            };
            let mut entries = list.write()?;
            at(&entries, i)?;
            entries[i].metadata = metadata;
            Ok(())
        })
    }
}

/// The metadata of entry `i`; (NULL, 0) when there is none.
///
/// It belongs to the list and ends with it, or when it is set again. [MT], never blocks. Codes: _INVALID_ARG (also for no
/// such entry), _REENTRANT.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_tplist_metadata(
    l: *const kafkalog_tplist_t,
    i: usize,
    metadata: *mut kafkalog_bytes_t,
) -> kafkalog_code_t {
    // SAFETY: every pointer is NULL or as the header asks.
    unsafe {
        guard(l, std::ptr::null_mut(), |list| {
            let metadata = output(metadata, "metadata")?;
            *metadata = kafkalog_bytes_t::NULL;
            *metadata = kafkalog_bytes_t::of(at(&list.read()?, i)?.metadata.as_deref());
            Ok(())
        })
    }
}

/// Ends a list and everything that was looked up in it; NULL is fine.
///
/// [ONE], never blocks.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_tplist_destroy(l: *mut kafkalog_tplist_t) {
    // SAFETY: NULL or alive, and given back once, says the header.
    unsafe { guard::destroy(l, drop) };
}

/// A copy whose size the caller decides: memory that cannot be had is an answer, not the end of the host.
pub(super) fn copied(bytes: &[u8]) -> Result<Box<[u8]>> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(bytes.len())
        .map_err(|_| Error::new(ErrorCode::NOMEM, format!("no memory for {} bytes", bytes.len())))?;
    copy.extend_from_slice(bytes);
    Ok(copy.into_boxed_slice())
}
