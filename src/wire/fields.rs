//! Takes bytes off the front and puts them at the end: big-endian, every length checked before anything is allocated for it.

use super::limits::{RECORDS_BYTES_MAX, SHARED_BYTES_MIN};
use crate::error::{Error, ErrorCode, Result};
use crate::transport::{Frame, FRAME_PARTS_MAX};
use bytes::{Buf, Bytes};
use std::fmt::Display;

/// Builds a frame. Fields go into one buffer; long record batches become parts of their own, as they are.
pub(super) struct Writer {
    frame: Frame,
    fields: Vec<u8>,
    /// The first thing that was above its limit. What was written from there on is never sent.
    fault: Option<Error>,
}

/// The fields of a fetch or an answer of one partition go in without growing.
const FIELDS_BYTES: usize = 256;

impl Default for Writer {
    fn default() -> Writer {
        Writer { frame: Frame::default(), fields: Vec::with_capacity(FIELDS_BYTES), fault: None }
    }
}

impl Writer {
    pub fn raw(&mut self, bytes: &[u8]) {
        self.fields.extend_from_slice(bytes);
    }

    /// A count or length. Above `max`, the message is not sent.
    pub fn count(&mut self, count: usize, max: usize, of: &str) {
        match u32::try_from(count) {
            Ok(fits) if count <= max => self.raw(&fits.to_be_bytes()),
            _ => {
                let error = || Error::new(ErrorCode::MESSAGE_TOO_LARGE, format!("{count} {of}, at most {max} travel"));
                self.fault.get_or_insert_with(error);
            }
        }
    }

    /// A length and that many bytes.
    pub fn bytes(&mut self, bytes: &[u8], max: usize, of: &str) {
        self.count(bytes.len(), max, of);
        if self.fault.is_none() {
            self.raw(bytes);
        }
    }

    /// A length and record batches, which are not copied unless they are short or the frame has many parts already.
    pub fn records(&mut self, records: &Bytes) {
        // Two parts for these, one for the fields at the end.
        let has_room = self.frame.parts().len() + 3 <= FRAME_PARTS_MAX;
        if records.len() < SHARED_BYTES_MIN || !has_room {
            return self.bytes(records, RECORDS_BYTES_MAX, "bytes of records");
        }
        self.count(records.len(), RECORDS_BYTES_MAX, "bytes of records");
        self.frame.push(std::mem::take(&mut self.fields).into());
        self.frame.push(records.clone());
    }

    /// # Errors
    /// MESSAGE_TOO_LARGE: something was above its limit.
    pub fn into_frame(mut self) -> Result<Frame> {
        if let Some(error) = self.fault {
            return Err(error);
        }
        self.frame.push(self.fields.into());
        Ok(self.frame)
    }
}

/// What is left to be read of a frame, part by part.
pub(super) struct Parts {
    first: Bytes,
    later: std::vec::IntoIter<Bytes>,
    later_bytes: usize,
}

impl From<Bytes> for Parts {
    fn from(first: Bytes) -> Parts {
        Parts { first, later: Vec::new().into_iter(), later_bytes: 0 }
    }
}

impl Parts {
    /// Without its first `skipped` bytes, which lie in the first part.
    pub fn behind(frame: Frame, skipped: usize) -> Parts {
        let bytes = frame.bytes();
        let mut later = frame.into_parts().into_iter();
        let mut first = later.next().unwrap_or_default();
        let later_bytes = bytes - first.len();
        first.advance(skipped);
        Parts { first, later, later_bytes }
    }

    fn bytes(&self) -> usize {
        self.first.len() + self.later_bytes
    }

    /// Brings `count` bytes, which are there, into the first part. They are copied only if they were sent in pieces.
    fn bring(&mut self, count: usize) {
        while self.first.len() < count {
            let Some(next) = self.later.next() else { return };
            self.later_bytes -= next.len();
            self.first = if self.first.is_empty() { next } else { [&*self.first, &*next].concat().into() };
        }
    }

    pub fn into_joined(self) -> Bytes {
        let mut parts = Frame::from(self.first);
        self.later.for_each(|part| parts.push(part));
        parts.into_joined()
    }
}

/// Takes fields off the front. Every error is CORRUPT_MESSAGE and names the message that was being read.
pub(super) struct Reader {
    rest: Parts,
    what: &'static str,
}

impl Reader {
    pub fn new(bytes: impl Into<Parts>, what: &'static str) -> Reader {
        Reader { rest: bytes.into(), what }
    }

    pub fn corrupt(&self, how: impl Display) -> Error {
        Error::new(ErrorCode::CORRUPT_MESSAGE, format!("{}: {how}", self.what))
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        self.rest.bring(N);
        match self.rest.first.first_chunk() {
            Some(taken) => {
                let taken = *taken;
                self.rest.first.advance(N);
                Ok(taken)
            }
            None => Err(self.corrupt(format_args!("{N} bytes expected, {} there", self.rest.bytes()))),
        }
    }

    /// A count of things that take at least `each_bytes`: neither above `max` nor more than can be there.
    pub fn count(&mut self, max: usize, each_bytes: usize) -> Result<usize> {
        let count = u32::from_be_bytes(self.array()?) as usize;
        if count > max || count.saturating_mul(each_bytes) > self.rest.bytes() {
            let left = self.rest.bytes();
            return Err(self.corrupt(format_args!("a count of {count}, at most {max}, {left} bytes left")));
        }
        Ok(count)
    }

    /// A length and that many bytes: a slice of what arrived, which it keeps in memory as a whole.
    pub fn bytes(&mut self, max: usize) -> Result<Bytes> {
        let count = self.count(max, 1)?;
        self.rest.bring(count);
        Ok(self.rest.first.split_to(count))
    }

    pub fn records(&mut self) -> Result<Bytes> {
        self.bytes(RECORDS_BYTES_MAX)
    }

    /// A length and a text of at most `max` bytes, handed to `take`.
    pub fn text<T>(&mut self, max: usize, take: impl FnOnce(&str) -> T) -> Result<T> {
        let bytes = self.bytes(max)?;
        std::str::from_utf8(&bytes).map(take).map_err(|_| self.corrupt("a text is not UTF-8"))
    }

    /// Nothing may follow.
    pub fn end(self) -> Result<()> {
        if self.rest.bytes() == 0 {
            Ok(())
        } else {
            Err(self.corrupt(format_args!("{} bytes too many", self.rest.bytes())))
        }
    }
}
