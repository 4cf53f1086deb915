//! Version numbers, and the names and sentences of the error codes as C strings.

use super::kafkalog_code_t;
use crate::ErrorCode;
use std::ffi::c_char;

const fn number(digits: &str) -> u32 {
    let (digits, mut value, mut i) = (digits.as_bytes(), 0, 0);
    while i < digits.len() {
        assert!(digits[i].is_ascii_digit());
        value = value * 10 + (digits[i] - b'0') as u32;
        i += 1;
    }
    value
}

const MAJOR: u32 = number(env!("CARGO_PKG_VERSION_MAJOR"));
const MINOR: u32 = number(env!("CARGO_PKG_VERSION_MINOR"));
const PATCH: u32 = number(env!("CARGO_PKG_VERSION_PATCH"));
const _: () = assert!(MAJOR < 256 && MINOR < 256 && PATCH < 256);

/// The number in the soname: nothing is removed or changed as long as it stays.
const ABI: u32 = MAJOR;

/// All names and sentences behind one another, each with its NUL, put together by the compiler: C strings that live for ever,
/// and not a byte of state.
static TEXT: [u8; text_bytes()] = text();
/// Where name and sentence of each code of [`ErrorCode::ALL`] begin; the last row is for unknown numbers.
static STARTS: [(usize, usize); ErrorCode::ALL.len() + 1] = starts();

/// No code has this number.
const UNKNOWN: ErrorCode = ErrorCode(i32::MIN);

const fn nth(i: usize) -> ErrorCode {
    if i < ErrorCode::ALL.len() {
        ErrorCode::ALL[i]
    } else {
        UNKNOWN
    }
}

const fn text_bytes() -> usize {
    let (mut bytes, mut i) = (0, 0);
    while i <= ErrorCode::ALL.len() {
        bytes += nth(i).name().len() + 1 + nth(i).text().len() + 1;
        i += 1;
    }
    bytes
}

const fn starts() -> [(usize, usize); ErrorCode::ALL.len() + 1] {
    let (mut starts, mut at, mut i) = ([(0, 0); ErrorCode::ALL.len() + 1], 0, 0);
    while i <= ErrorCode::ALL.len() {
        let text_at = at + nth(i).name().len() + 1;
        starts[i] = (at, text_at);
        at = text_at + nth(i).text().len() + 1;
        i += 1;
    }
    starts
}

const fn text() -> [u8; text_bytes()] {
    let (mut all, mut at, mut i) = ([0; text_bytes()], 0, 0);
    while i <= ErrorCode::ALL.len() {
        let pieces = [nth(i).name().as_bytes(), nth(i).text().as_bytes()];
        let mut piece = 0;
        while piece < pieces.len() {
            let mut byte = 0;
            while byte < pieces[piece].len() {
                all[at] = pieces[piece][byte];
                at += 1;
                byte += 1;
            }
            at += 1; // The NUL is there already.
            piece += 1;
        }
        i += 1;
    }
    all
}

fn row(code: kafkalog_code_t) -> (usize, usize) {
    let known = ErrorCode::ALL.iter().position(|known| known.0 == code);
    STARTS[known.unwrap_or(ErrorCode::ALL.len())]
}

/// The library's version as 0xMMmmpp00: compare with KAFKALOG_VERSION_NUMBER of the header you were compiled with.
///
/// [MT][CB], never blocks.
#[no_mangle]
pub extern "C" fn kafkalog_version() -> u32 {
    MAJOR << 24 | MINOR << 16 | PATCH << 8
}

/// The library's version in words, for example "0.1.0".
///
/// Static. [MT][CB], never blocks.
#[no_mangle]
pub extern "C" fn kafkalog_version_str() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// The number in the soname: programs compiled against an equal KAFKALOG_ABI_VERSION run with this library.
///
/// [MT][CB], never blocks.
#[no_mangle]
pub extern "C" fn kafkalog_abi_version() -> u32 {
    ABI
}

/// The name of a code in capital letters, for example "TOPIC_ALREADY_EXISTS"; "UNKNOWN" for a number that has none.
///
/// Static. [MT][CB], never blocks.
#[no_mangle]
pub extern "C" fn kafkalog_code_name(code: kafkalog_code_t) -> *const c_char {
    TEXT[row(code).0..].as_ptr().cast()
}

/// One sentence about a code, in English.
///
/// Static. [MT][CB], never blocks.
#[no_mangle]
pub extern "C" fn kafkalog_code_str(code: kafkalog_code_t) -> *const c_char {
    TEXT[row(code).1..].as_ptr().cast()
}

/// 1 if a call that answered this code may succeed later, unchanged, else 0.
///
/// [MT][CB], never blocks.
#[no_mangle]
pub extern "C" fn kafkalog_code_is_retriable(code: kafkalog_code_t) -> i32 {
    ErrorCode(code).is_retriable().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CStr;

    fn said(text: *const c_char) -> &'static str {
        // SAFETY: the functions under test return static C strings.
        unsafe { CStr::from_ptr(text) }.to_str().expect("they are ASCII")
    }

    #[test]
    fn every_code_has_its_name_and_sentence_as_a_c_string() {
        for code in ErrorCode::ALL {
            assert_eq!(said(kafkalog_code_name(code.0)), code.name());
            assert_eq!(said(kafkalog_code_str(code.0)), code.text());
        }
        assert_eq!(said(kafkalog_code_name(12345)), "UNKNOWN");
    }

    #[test]
    fn the_version_number_and_the_version_text_say_the_same() {
        let [major, minor, patch, zero] = kafkalog_version().to_be_bytes();
        assert_eq!(zero, 0);
        assert_eq!(said(kafkalog_version_str()), format!("{major}.{minor}.{patch}"));
    }
}
