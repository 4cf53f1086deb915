//! The second step of every function: what the caller's pointers point to, checked, as Rust sees it.

use super::guard::null;
use crate::{Error, ErrorCode, Result};
use std::ffi::{c_char, c_void, CStr};
use std::mem::MaybeUninit;
use std::time::Duration;

/// Bytes with a length. For keys, values and header values `data == NULL` is Kafka's null; `len == 0` with any other `data` is
/// empty. Elsewhere `(NULL, 0)` is empty.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct kafkalog_bytes_t {
    pub data: *const c_void,
    pub len: usize,
}

impl kafkalog_bytes_t {
    pub(super) const NULL: kafkalog_bytes_t = kafkalog_bytes_t { data: std::ptr::null(), len: 0 };

    pub(super) fn of(bytes: Option<&[u8]>) -> kafkalog_bytes_t {
        bytes.map_or(kafkalog_bytes_t::NULL, |bytes| kafkalog_bytes_t { data: bytes.as_ptr().cast(), len: bytes.len() })
    }

    /// As a key or value: `data == NULL` is null.
    ///
    /// # Safety
    /// `data` is NULL or `len` bytes can be read there, for as long as `'a`.
    #[inline]
    pub(super) unsafe fn nullable<'a>(self) -> Result<Option<&'a [u8]>> {
        if self.data.is_null() {
            return if self.len == 0 { Ok(None) } else { Err(null("data")) };
        }
        // SAFETY: the caller's promise.
        unsafe { input(self.data, self.len, "data") }.map(Some)
    }
}

pub(super) fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorCode::INVALID_ARG, message)
}

/// What a `const char *` says.
///
/// # Safety
/// `pointer` is NULL or a NUL-terminated string that nobody changes during `'a`.
pub(super) unsafe fn text<'a>(pointer: *const c_char, name: &str) -> Result<&'a str> {
    // SAFETY: the caller's promise.
    unsafe { text_or_none(pointer, name) }?.ok_or_else(|| null(name))
}

/// As [`text`], and NULL means none.
///
/// # Safety
/// As [`text`].
pub(super) unsafe fn text_or_none<'a>(pointer: *const c_char, name: &str) -> Result<Option<&'a str>> {
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: not NULL, and the caller's promise.
    let text = unsafe { CStr::from_ptr(pointer) };
    text.to_str().map(Some).map_err(|_| invalid(format!("`{name}` is not UTF-8")))
}

/// An input buffer; `(NULL, 0)` is empty.
///
/// # Safety
/// `data` is NULL or `len` bytes can be read there, for as long as `'a`.
#[inline]
pub(super) unsafe fn input<'a>(data: *const c_void, len: usize, name: &str) -> Result<&'a [u8]> {
    // SAFETY: the caller's promise.
    unsafe { array(data.cast::<u8>(), len, name) }
}

/// An input array; `(NULL, 0)` is empty.
///
/// # Safety
/// `first` is NULL or `count` aligned elements can be read there, for as long as `'a`.
#[inline]
pub(super) unsafe fn array<'a, T>(first: *const T, count: usize, name: &str) -> Result<&'a [T]> {
    if first.is_null() {
        return if count == 0 { Ok(&[]) } else { Err(null(name)) };
    }
    if count > isize::MAX as usize / size_of::<T>().max(1) || !first.is_aligned() {
        return Err(invalid(format!("`{name}` is misaligned, or its length is more than memory holds")));
    }
    // SAFETY: neither NULL nor misaligned nor longer than isize::MAX; the rest is the caller's promise.
    Ok(unsafe { std::slice::from_raw_parts(first, count) })
}

/// A place that the caller wants to have filled.
///
/// # Safety
/// `place` is NULL or may be written by this call alone.
pub(super) unsafe fn output<'a, T>(place: *mut T, name: &str) -> Result<&'a mut T> {
    // SAFETY: the caller's promise.
    unsafe { place.as_mut() }.ok_or_else(|| null(name))
}

/// Milliseconds as every call takes them: 0 does not wait, -1 waits for ever (`None`).
pub(super) fn time_limit(timeout_ms: i32) -> Result<Option<Duration>> {
    match timeout_ms {
        -1 => Ok(None),
        0.. => Ok(Some(Duration::from_millis(timeout_ms.unsigned_abs().into()))),
        _ => Err(invalid(format!("timeout_ms is {timeout_ms}; legal are -1 (for ever), 0 (do not wait) and more"))),
    }
}

/// As [`time_limit`], for calls that take a `Duration`: for ever is a century.
pub(super) fn duration(timeout_ms: i32) -> Result<Duration> {
    const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 86_400);
    Ok(time_limit(timeout_ms)?.unwrap_or(FOR_EVER))
}

/// A partition number from C.
pub(super) fn partition(number: i32) -> Result<u32> {
    u32::try_from(number).map_err(|_| invalid(format!("partition is {number}; legal are 0 and more")))
}

/// An array for this call to fill; `(NULL, 0)` is empty.
///
/// # Safety
/// `first` is NULL or `count` aligned elements may be written there by this call alone. They need not hold anything yet.
pub(super) unsafe fn array_mut<'a, T>(first: *mut T, count: usize, name: &str) -> Result<&'a mut [MaybeUninit<T>]> {
    // SAFETY: an uninitialised element may be looked at as MaybeUninit; the rest is the caller's promise.
    unsafe { array(first.cast::<MaybeUninit<T>>(), count, name) }?;
    if first.is_null() {
        return Ok(&mut []);
    }
    // SAFETY: the check above passed, and this call alone has the array.
    Ok(unsafe { std::slice::from_raw_parts_mut(first.cast(), count) })
}

/// Numbers that are never negative here and signed in C. None of ours comes near the top; one that did would stop there.
pub(super) trait Signed {
    type Number;
    fn signed(self) -> Self::Number;
}

impl Signed for u32 {
    type Number = i32;
    #[inline]
    fn signed(self) -> i32 {
        i32::try_from(self).unwrap_or(i32::MAX)
    }
}

impl Signed for u64 {
    type Number = i64;
    #[inline]
    fn signed(self) -> i64 {
        i64::try_from(self).unwrap_or(i64::MAX)
    }
}
