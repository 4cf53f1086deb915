//! The records of a batch, one after the other, without copying.

use super::{BatchHeader, Inflater};
use crate::error::Result;
use crate::types::{Offset, Timestamp};

/// One header of a record: a key that is never null and a value that may be.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Header<'a> {
    pub key: &'a [u8],
    pub value: Option<&'a [u8]>,
}

/// One record, borrowed from its batch.
#[derive(Clone, Copy, Debug)]
pub struct RecordView<'a> {
    /// Its place in the log.
    pub offset: Offset,
    /// When the producer made it or the leader appended it; `None` for a producer that did not say.
    pub timestamp: Option<Timestamp>,
    pub key: Option<&'a [u8]>,
    /// `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// How many headers [`headers`](Self::headers) yields.
    pub header_count: u32,
    /// The producer's number for it, when the batch carries sequences.
    pub sequence: Option<i32>,
    pub(super) headers: &'a [u8],
}

impl<'a> RecordView<'a> {
    /// The headers, in the producer's order; keys may repeat.
    #[must_use]
    pub fn headers(&self) -> Headers<'a> {
        Headers { bytes: self.headers, left: self.header_count }
    }
}

/// The headers of one record.
#[derive(Clone, Debug)]
pub struct Headers<'a> {
    bytes: &'a [u8],
    left: u32,
}

impl<'a> Iterator for Headers<'a> {
    type Item = Header<'a>;
    fn next(&mut self) -> Option<Header<'a>> {
        let _ = (self.bytes, self.left);
        todo!()
    }
}

/// Walks the records of one batch. After an error it ends.
#[derive(Debug)]
pub struct RecordIter<'a> {
    header: BatchHeader,
    bytes: &'a [u8],
}

impl<'a> RecordIter<'a> {
    pub(super) fn new(header: &BatchHeader, payload: &'a [u8], inflate: &'a mut Inflater) -> Result<RecordIter<'a>> {
        let _ = (payload, inflate);
        Ok(RecordIter { header: *header, bytes: &[] })
    }
}

impl<'a> Iterator for RecordIter<'a> {
    type Item = Result<RecordView<'a>>;
    fn next(&mut self) -> Option<Self::Item> {
        let _ = (self.header, self.bytes);
        todo!()
    }
}
