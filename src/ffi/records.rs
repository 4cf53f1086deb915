//! The structs that carry records over the border, in and out, and their translation.
//!
//! Those in arrays are frozen: a new need gets a new struct and a new function.

use super::pointers::{array, input, invalid, kafkalog_bytes_t};
use crate::{Error, ErrorCode, Header, Record, Result, Timestamp};
use std::mem::{align_of, offset_of, size_of};

/// One header of a record. A name is never null.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct kafkalog_header_t {
    pub name: kafkalog_bytes_t,
    pub value: kafkalog_bytes_t,
}

/// One record to send or append; begin with KAFKALOG_RECORD_INIT. Arrays of it carry `record_size`, which is
/// sizeof(kafkalog_record_t): later versions may append members.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct kafkalog_record_t {
    /// data NULL: no key.
    pub key: kafkalog_bytes_t,
    /// data NULL: a tombstone.
    pub value: kafkalog_bytes_t,
    pub headers: *const kafkalog_header_t,
    pub header_count: usize,
    /// Milliseconds since the epoch; -1: now.
    pub timestamp_ms: i64,
    /// Comes back in the delivery.
    pub tag: u64,
    /// -1: the partitioner chooses.
    pub partition: i32,
    /// 0.
    pub flags: u32,
}

/// One record of a packed call: places in one flat buffer, no pointers. Frozen, 40 bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct kafkalog_packed_t {
    pub key_off: u32,
    /// UINT32_MAX: no key.
    pub key_len: u32,
    pub value_off: u32,
    /// UINT32_MAX: a tombstone.
    pub value_len: u32,
    /// Milliseconds since the epoch; -1: now.
    pub timestamp_ms: i64,
    /// Comes back in the delivery.
    pub tag: u64,
    /// -1: the partitioner chooses.
    pub partition: i32,
    /// 0.
    pub flags: u32,
}

/// What became of one record. Frozen, 32 bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct kafkalog_delivery_t {
    pub tag: u64,
    /// -1 when the record failed, and with acks=0.
    pub offset: i64,
    /// The record's own timestamp, or the time of the append where the topic says so; -1 when the record failed.
    pub timestamp_ms: i64,
    pub partition: i32,
    /// 0, or why the record failed.
    pub code: super::kafkalog_code_t,
}

/// One record that was read. Valid until the batch is released. Frozen, 64 bytes on 64-bit machines.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct kafkalog_view_t {
    pub offset: i64,
    /// -1: the producer gave none.
    pub timestamp_ms: i64,
    pub key: *const std::ffi::c_void,
    pub value: *const std::ffi::c_void,
    /// -1: no key.
    pub key_len: i32,
    /// -1: a tombstone.
    pub value_len: i32,
    pub partition: i32,
    /// -1: none.
    pub leader_epoch: i32,
    /// For kafkalog_batch_topic().
    pub topic_index: u32,
    /// For kafkalog_batch_header().
    pub header_count: u32,
    pub reserved: u64,
}

/// How one direct append is acknowledged; begin with KAFKALOG_APPEND_OPTS_INIT.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct kafkalog_append_opts_t {
    /// sizeof(kafkalog_append_opts_t): later versions may append members.
    pub struct_size: u32,
    /// 0, 1, or -1 for all in-sync replicas.
    pub acks: i32,
    /// How long to wait for that.
    pub timeout_ms: i32,
    /// KAFKALOG_APPEND_FSYNC or 0.
    pub flags: u32,
}

/// In kafkalog_append_opts_t.flags: return only after an fdatasync that covers the batch.
pub const KAFKALOG_APPEND_FSYNC: u32 = 1;

const _: () = {
    assert!(size_of::<kafkalog_packed_t>() == 40 && align_of::<kafkalog_packed_t>() == 8);
    assert!(offset_of!(kafkalog_packed_t, timestamp_ms) == 16 && offset_of!(kafkalog_packed_t, partition) == 32);
    assert!(size_of::<kafkalog_delivery_t>() == 32 && offset_of!(kafkalog_delivery_t, code) == 28);
    assert!(size_of::<kafkalog_append_opts_t>() == 16);
    #[cfg(target_pointer_width = "64")]
    {
        assert!(size_of::<kafkalog_view_t>() == 64 && offset_of!(kafkalog_view_t, topic_index) == 48);
        assert!(size_of::<kafkalog_record_t>() == 72 && offset_of!(kafkalog_record_t, partition) == 64);
    }
};

/// The size of kafkalog_record_t in its first version: what a caller must at least give.
const RECORD_SIZE_FIRST: usize = size_of::<kafkalog_record_t>();
/// The same for kafkalog_append_opts_t.
const APPEND_OPTS_SIZE_FIRST: usize = size_of::<kafkalog_append_opts_t>();

fn too_small(what: &str, given: usize, first: usize) -> Error {
    Error::new(ErrorCode::ABI, format!("{what} is {given}; the first version of the struct has {first} bytes"))
}

/// The caller's array of records, which may be of a newer or older struct than ours.
#[derive(Clone, Copy)]
pub(super) struct Records<'a> {
    bytes: &'a [u8],
    record_size: usize,
}

impl<'a> Records<'a> {
    /// # Safety
    /// `first` is NULL or `count * record_size` bytes can be read there during `'a`, and so can what the records point to.
    pub(super) unsafe fn of(first: *const kafkalog_record_t, record_size: usize, count: usize) -> Result<Records<'a>> {
        if record_size < RECORD_SIZE_FIRST {
            return Err(too_small("record_size", record_size, RECORD_SIZE_FIRST));
        }
        let bytes = record_size.checked_mul(count).ok_or_else(|| invalid("record_size times n is more than memory"))?;
        // SAFETY: the caller's promise.
        Ok(Records { bytes: unsafe { input(first.cast(), bytes, "recs") }?, record_size })
    }

    /// The one record of a call for one.
    ///
    /// # Safety
    /// As [`of`](Records::of), with a count of 1.
    pub(super) unsafe fn one(record: *const kafkalog_record_t, record_size: usize) -> Result<kafkalog_record_t> {
        // SAFETY: the caller's promise.
        let records = unsafe { Records::of(record, record_size, 1) }?;
        Ok(records.iter().next().expect("an array of one record was accepted"))
    }

    pub(super) fn iter(self) -> impl ExactSizeIterator<Item = kafkalog_record_t> + 'a {
        self.bytes.chunks_exact(self.record_size).map(|record| {
            // SAFETY: the chunk has at least the bytes of our struct, all of whose bit patterns are valid; nothing
            // is assumed of its alignment.
            unsafe { record.as_ptr().cast::<kafkalog_record_t>().read_unaligned() }
        })
    }
}

impl kafkalog_record_t {
    /// The record as Rust sees it; its headers are put into `headers`, whose old content goes.
    ///
    /// # Safety
    /// What the members point to can be read during `'a`.
    #[inline]
    pub(super) unsafe fn translate<'h, 'a: 'h>(
        &self,
        topic: &'h str,
        headers: &'h mut Vec<Header<'a>>,
    ) -> Result<Record<'h>> {
        // SAFETY: the caller's promise, for each of the pointers.
        let (key, value, given) = unsafe {
            (self.key.nullable()?, self.value.nullable()?, array(self.headers, self.header_count, "headers")?)
        };
        headers.clear();
        for header in given {
            // SAFETY: as above.
            let (name, value) = unsafe { (header.name.nullable()?, header.value.nullable()?) };
            let key = name.ok_or_else(|| invalid("the name of a header is NULL"))?;
            headers.push(Header { key, value });
        }
        let (partition, timestamp) = (chosen(self.partition, self.flags)?, given_time(self.timestamp_ms));
        Ok(Record { topic, key, value, headers, partition, timestamp })
    }
}

impl kafkalog_packed_t {
    /// The record as Rust sees it, pointing into the call's flat buffer.
    #[inline]
    pub(super) fn translate<'a>(&self, topic: &'a str, bytes: &'a [u8]) -> Result<Record<'a>> {
        let (key, value) = self.key_and_value(bytes)?;
        let (partition, timestamp) = (chosen(self.partition, self.flags)?, self.timestamp());
        Ok(Record { topic, key, value, headers: &[], partition, timestamp })
    }

    #[inline]
    pub(super) fn key_and_value<'a>(&self, bytes: &'a [u8]) -> Result<KeyAndValue<'a>> {
        Ok((cut(bytes, self.key_off, self.key_len)?, cut(bytes, self.value_off, self.value_len)?))
    }

    #[inline]
    pub(super) fn partition(&self) -> Result<Option<u32>> {
        chosen(self.partition, self.flags)
    }

    #[inline]
    pub(super) fn timestamp(&self) -> Option<Timestamp> {
        given_time(self.timestamp_ms)
    }
}

/// Both may be null.
type KeyAndValue<'a> = (Option<&'a [u8]>, Option<&'a [u8]>);

#[inline]
fn cut(bytes: &[u8], at: u32, len: u32) -> Result<Option<&[u8]>> {
    if len == u32::MAX {
        return Ok(None);
    }
    match bytes.get(at as usize..at as usize + len as usize) {
        Some(piece) => Ok(Some(piece)),
        None => Err(outside(bytes.len(), at, len)),
    }
}

#[inline]
fn chosen(partition: i32, flags: u32) -> Result<Option<u32>> {
    match (partition, flags) {
        (-1, 0) => Ok(None),
        (0.., 0) => Ok(Some(partition.unsigned_abs())),
        _ => Err(no_choice(partition, flags)),
    }
}

#[cold]
fn outside(bytes: usize, at: u32, len: u32) -> Error {
    invalid(format!("{len} bytes at {at} are not inside the buffer of {bytes}"))
}

#[cold]
fn no_choice(partition: i32, flags: u32) -> Error {
    match flags {
        0 => invalid(format!("partition is {partition}; legal are -1 (the partitioner chooses), 0 and more")),
        _ => invalid(format!("flags is {flags}; this version knows none")),
    }
}

#[inline]
fn given_time(timestamp_ms: i64) -> Option<Timestamp> {
    // Other negative numbers go on and are refused where every record's timestamp is judged.
    (timestamp_ms != -1).then_some(Timestamp(timestamp_ms))
}

impl kafkalog_append_opts_t {
    /// What the caller says about an append; NULL is the default.
    ///
    /// # Safety
    /// `opts` is NULL or as many bytes as its `struct_size` says can be read there.
    pub(super) unsafe fn translate(opts: *const kafkalog_append_opts_t) -> Result<crate::AppendOptions> {
        if opts.is_null() {
            return Ok(crate::AppendOptions::default());
        }
        // SAFETY: the caller's promise; the size is the first member, so it is there in every version.
        let struct_size = unsafe { opts.cast::<u32>().read_unaligned() } as usize;
        if struct_size < APPEND_OPTS_SIZE_FIRST {
            return Err(too_small("struct_size", struct_size, APPEND_OPTS_SIZE_FIRST));
        }
        // SAFETY: the caller's promise, and its struct is not smaller than ours.
        let opts = unsafe { opts.read_unaligned() };
        if opts.flags & !KAFKALOG_APPEND_FSYNC != 0 {
            return Err(invalid(format!("flags is {}; legal is KAFKALOG_APPEND_FSYNC (1)", opts.flags)));
        }
        Ok(crate::AppendOptions {
            acks: match opts.acks {
                0 => crate::Acks::None,
                1 => crate::Acks::Leader,
                -1 => crate::Acks::All,
                acks => return Err(Error::new(ErrorCode::INVALID_REQUIRED_ACKS, format!("acks is {acks}"))),
            },
            timeout: super::pointers::time_limit(opts.timeout_ms)?,
            fsync: opts.flags & KAFKALOG_APPEND_FSYNC != 0,
        })
    }
}
