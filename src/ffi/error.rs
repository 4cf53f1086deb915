//! `kafkalog_error_t`: what, where and what to do, for callers who want more than a code.

use super::guard::Birth;
use super::kafkalog_code_t;
use crate::{Error, ErrorCode, Result};
use std::ffi::{c_char, CString};

/// Details of one failure. Immutable, so any thread may look at it.
pub struct kafkalog_error_t {
    code: kafkalog_code_t,
    message: CString,
    is_retriable: bool,
    is_fatal: bool,
    birth: Birth,
}

impl From<&Error> for kafkalog_error_t {
    fn from(error: &Error) -> kafkalog_error_t {
        kafkalog_error_t {
            code: error.code().0,
            message: c_string(error.message()),
            is_retriable: error.is_retriable(),
            is_fatal: error.is_fatal(),
            birth: Birth::now(),
        }
    }
}

/// Text for C. A NUL inside (only a hostile name could bring one) becomes a question mark.
pub(super) fn c_string(text: &str) -> CString {
    let bytes: Vec<u8> = text.bytes().map(|b| if b == 0 { b'?' } else { b }).collect();
    CString::new(bytes).expect("every NUL was replaced")
}

/// The code of an outcome; the error itself goes to `*err`, which is NULL after success.
///
/// # Safety
/// `err` is NULL or may be written.
pub(super) unsafe fn answer(outcome: Result<()>, err: *mut *mut kafkalog_error_t) -> kafkalog_code_t {
    let (code, details) = match &outcome {
        Ok(()) => (0, std::ptr::null_mut()),
        Err(error) if err.is_null() => (error.code().0, std::ptr::null_mut()),
        Err(error) => (error.code().0, Box::into_raw(Box::new(kafkalog_error_t::from(error)))),
    };
    if !err.is_null() {
        // SAFETY: not NULL, and the caller's promise.
        unsafe { *err = details };
    }
    code
}

/// The code of an error; 0 for NULL.
///
/// The error stays the caller's. [MT][CB], never blocks.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_error_code(e: *const kafkalog_error_t) -> kafkalog_code_t {
    // SAFETY: NULL or alive, says the header.
    unsafe { e.as_ref() }.map_or(ErrorCode::NONE.0, |error| error.code)
}

/// What went wrong, where, and what to do, in one line of UTF-8; "" for NULL.
///
/// The text belongs to the error and ends with it. [MT][CB], never blocks.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_error_message(e: *const kafkalog_error_t) -> *const c_char {
    // SAFETY: NULL or alive, says the header.
    unsafe { e.as_ref() }.map_or(c"".as_ptr(), |error| error.message.as_ptr())
}

/// 1 if the same call may succeed later, unchanged, else 0.
///
/// The error stays the caller's. [MT][CB], never blocks.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_error_is_retriable(e: *const kafkalog_error_t) -> i32 {
    // SAFETY: NULL or alive, says the header.
    unsafe { e.as_ref() }.map_or(0, |error| error.is_retriable.into())
}

/// 1 if the handle is finished and has to be closed, else 0.
///
/// The error stays the caller's. [MT][CB], never blocks.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_error_is_fatal(e: *const kafkalog_error_t) -> i32 {
    // SAFETY: NULL or alive, says the header.
    unsafe { e.as_ref() }.map_or(0, |error| error.is_fatal.into())
}

/// Ends an error; NULL is fine. Only for errors that came through a `kafkalog_error_t **`.
///
/// [MT][CB], never blocks.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_error_destroy(e: *mut kafkalog_error_t) {
    // SAFETY: NULL or alive, and given back once, says the header.
    unsafe { end(e, |error| error.birth) };
}

/// Ends plain data, also inside a callback; what came through fork() is left lying with the rest of the old process.
///
/// # Safety
/// `object` is NULL or was made by `Box::into_raw` and is given back here for the first time.
pub(super) unsafe fn end<T>(object: *mut T, birth: impl FnOnce(&T) -> Birth) {
    // SAFETY: the caller's promise.
    if unsafe { object.as_ref() }.is_some_and(|object| birth(object).is_here()) {
        // SAFETY: the caller's promise.
        drop(unsafe { Box::from_raw(object) });
    }
}
