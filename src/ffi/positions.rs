//! Where a consumer reads: seek, pause, resume, position, offsets for times.

use super::consumer::{kafkalog_consumer_t, partitions};
use super::error::kafkalog_error_t;
use super::guard::{borrow, guard};
use super::kafkalog_code_t;
use super::pointers::{duration, Signed};
use super::tplist::{kafkalog_tplist_t, KAFKALOG_OFFSET_END};
use crate::{Error, ErrorCode, Timestamp};
use std::ptr::null_mut;
use std::time::Instant;

/// Moves partitions to the offsets in the list, or to KAFKALOG_OFFSET_*. At the first entry that cannot be moved it stops; those
/// before it are moved.
///
/// [MT], never blocks for longer than a read. Codes: _STATE (not assigned), _INVALID_ARG, _REENTRANT, _CLOSED, _DESTROY, _FATAL.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_consumer_seek(
    c: *mut kafkalog_consumer_t,
    l: *const kafkalog_tplist_t,
    err: *mut *mut kafkalog_error_t,
) -> kafkalog_code_t {
    // SAFETY: every pointer is NULL or as the header asks.
    unsafe {
        guard(c, err, |handle| {
            let wanted = handle.starts(&borrow(l, "l")?.read()?)?;
            let mut consumer = handle.open()?;
            let moved = wanted.iter().try_for_each(|(id, start)| consumer.seek(id, *start));
            handle.look_again();
            moved
        })
    }
}

/// Leaves partitions out of the polls until kafkalog_consumer_resume(). Their positions stay.
///
/// [MT], never blocks for longer than a read. Codes: _STATE (one is not assigned; then none is paused), _INVALID_ARG, _REENTRANT,
/// _CLOSED, _DESTROY, _FATAL.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_consumer_pause(
    c: *mut kafkalog_consumer_t,
    l: *const kafkalog_tplist_t,
) -> kafkalog_code_t {
    // SAFETY: every pointer is NULL or as the header asks.
    unsafe {
        guard(c, null_mut(), |handle| {
            let named = partitions(&borrow(l, "l")?.read()?)?;
            handle.open()?.pause(&named)
        })
    }
}

/// Takes paused partitions back in.
///
/// [MT], never blocks for longer than a read. Codes: as kafkalog_consumer_pause().
#[no_mangle]
pub unsafe extern "C" fn kafkalog_consumer_resume(
    c: *mut kafkalog_consumer_t,
    l: *const kafkalog_tplist_t,
) -> kafkalog_code_t {
    // SAFETY: every pointer is NULL or as the header asks.
    unsafe {
        guard(c, null_mut(), |handle| {
            let named = partitions(&borrow(l, "l")?.read()?)?;
            handle.open()?.resume(&named)?;
            handle.look_again();
            Ok(())
        })
    }
}

/// Puts the position of each partition, the offset that the next poll begins at, into the list; the code of an entry is _STATE when it
/// is not assigned.
///
/// [MT], never blocks for longer than a read. Codes: _INVALID_ARG, _REENTRANT, _CLOSED, _DESTROY, _FATAL.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_consumer_position(
    c: *const kafkalog_consumer_t,
    inout: *mut kafkalog_tplist_t,
) -> kafkalog_code_t {
    // SAFETY: every pointer is NULL or as the header asks.
    unsafe {
        guard(c, null_mut(), |handle| {
            let mut entries = borrow(inout, "inout")?.write()?;
            let consumer = handle.open()?;
            for entry in entries.iter_mut() {
                let found = entry.topic_partition().and_then(|id| {
                    let unassigned = || Error::new(ErrorCode::STATE, format!("{id} is not assigned"));
                    Ok(consumer.position(&id).ok_or_else(unassigned)?.0.signed())
                });
                entry.settle(found);
            }
            Ok(())
        })
    }
}

/// For each partition of the list: its offset is a timestamp, and becomes the offset of the first record with this timestamp or a
/// later one, KAFKALOG_OFFSET_END when there is none. Codes of entries: UNKNOWN_TOPIC_OR_PARTITION (3), or what reading met.
///
/// Partitions need not be assigned. [MT], blocks for reading. Codes: _INVALID_ARG, _REENTRANT, _TIMED_OUT (some entries were not
/// looked up and have that code), _CLOSED, _DESTROY, _FATAL.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_consumer_offsets_for_times(
    c: *mut kafkalog_consumer_t,
    inout: *mut kafkalog_tplist_t,
    timeout_ms: i32,
    err: *mut *mut kafkalog_error_t,
) -> kafkalog_code_t {
    // SAFETY: every pointer is NULL or as the header asks.
    unsafe {
        guard(c, err, |handle| {
            let (limit, began) = (duration(timeout_ms)?, Instant::now());
            let mut entries = borrow(inout, "inout")?.write()?;
            let mut in_time = Ok(());
            for (i, entry) in entries.iter_mut().enumerate() {
                if i > 0 && began.elapsed() > limit {
                    let late = Error::new(ErrorCode::TIMED_OUT, format!("{i} partitions were looked up in time"));
                    entry.settle(Err(late.clone()));
                    in_time = Err(late);
                    continue;
                }
                let consumer = handle.open()?;
                let found = entry.topic_partition().and_then(|id| {
                    let found = consumer.offsets_for_times(&[(id, Timestamp(entry.offset))])?;
                    Ok(found.first().copied().flatten().map_or(KAFKALOG_OFFSET_END, |(at, _)| at.0.signed()))
                });
                entry.settle(found);
            }
            in_time
        })
    }
}
