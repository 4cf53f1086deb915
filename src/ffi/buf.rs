//! `kafkalog_buf_t`: text of any length that the library gives out, mostly JSON.

use super::error::end;
use super::guard::Birth;
use std::ffi::c_char;

/// A piece of text, followed by a NUL that its length does not count. Immutable, so any thread may look at it.
pub struct kafkalog_buf_t {
    bytes: Box<[u8]>,
    birth: Birth,
}

impl kafkalog_buf_t {
    pub(super) fn new(text: String) -> kafkalog_buf_t {
        let mut bytes = text.into_bytes();
        bytes.push(0);
        kafkalog_buf_t { bytes: bytes.into_boxed_slice(), birth: Birth::now() }
    }
}

/// The text, UTF-8 and NUL-terminated; "" for NULL.
///
/// It belongs to the buffer and ends with it. [MT][CB], never blocks.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_buf_data(b: *const kafkalog_buf_t) -> *const c_char {
    // SAFETY: NULL or alive, says the header.
    unsafe { b.as_ref() }.map_or(c"".as_ptr(), |buf| buf.bytes.as_ptr().cast())
}

/// Length of the text in bytes, its NUL not counted; 0 for NULL.
///
/// The buffer stays the caller's. [MT][CB], never blocks.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_buf_len(b: *const kafkalog_buf_t) -> usize {
    // SAFETY: NULL or alive, says the header.
    unsafe { b.as_ref() }.map_or(0, |buf| buf.bytes.len() - 1)
}

/// Ends a buffer; NULL is fine.
///
/// [MT][CB], never blocks.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_buf_destroy(b: *mut kafkalog_buf_t) {
    // SAFETY: NULL or alive, and given back once, says the header.
    unsafe { end(b, |buf| buf.birth) };
}
