//! Whole batches in a run of bytes, looked at in place.

use super::header::{corrupt, parse_batch_bytes, parse_magic, ATTRIBUTES_AT};
use super::{crc32c, BatchHeader, Inflater, RecordIter, BATCH_HEADER_BYTES, LOG_OVERHEAD_BYTES};
use crate::error::{Error, ErrorCode, Result};

/// Walks the whole batches that `bytes` begins with.
#[must_use]
pub fn batches(bytes: &[u8]) -> Batches<'_> {
    Batches { bytes, position: 0, failed: false }
}

/// An iterator over whole batches and the places where they begin.
///
/// It ends at the end of the bytes, or before a tail that may be the beginning of a batch ([`rest`](Batches::rest) tells
/// how long it is), or after an error: bytes that cannot be a batch. Checksums are not looked at.
#[derive(Clone, Debug)]
pub struct Batches<'a> {
    bytes: &'a [u8],
    position: usize,
    failed: bool,
}

impl<'a> Batches<'a> {
    /// Where the next batch begins: behind all that were handed out.
    #[cfg(test)]
    pub fn position(&self) -> usize {
        self.position
    }

    /// How many bytes were not handed out.
    #[must_use]
    pub fn rest(&self) -> usize {
        self.bytes.len() - self.position
    }

    fn step(&mut self) -> Result<Option<(usize, BatchView<'a>)>> {
        let rest = &self.bytes[self.position..];
        // Nonsense is told apart from a torn tail as soon as the bytes allow it.
        if rest.len() < LOG_OVERHEAD_BYTES {
            return Ok(None);
        }
        let batch_bytes = parse_batch_bytes(rest)? as usize;
        if rest.len() > 16 {
            parse_magic(rest)?;
        }
        if rest.len() < batch_bytes {
            return Ok(None);
        }
        let bytes = &rest[..batch_bytes];
        let header = BatchHeader::parse(bytes)?;
        let at = self.position;
        self.position += batch_bytes;
        Ok(Some((at, BatchView { header, bytes })))
    }
}

impl<'a> Iterator for Batches<'a> {
    type Item = Result<(usize, BatchView<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let step = self.step();
        self.failed = step.is_err();
        step.map_err(|error| error.within(format_args!("at byte {}", self.position))).transpose()
    }
}

/// One whole batch, in place. Its header made sense; its checksum and records are not yet looked at.
#[derive(Clone, Copy, Debug)]
pub struct BatchView<'a> {
    header: BatchHeader,
    bytes: &'a [u8],
}

impl<'a> BatchView<'a> {
    /// The first batch of `bytes`.
    ///
    /// # Errors
    /// As [`BatchHeader::parse`], and CORRUPT_MESSAGE when the batch is not all there.
    pub fn parse(bytes: &'a [u8]) -> Result<BatchView<'a>> {
        let header = BatchHeader::parse(bytes)?;
        let Some(bytes) = bytes.get(..header.batch_bytes as usize) else {
            return Err(corrupt(format!(
                "{} of the {} bytes of a batch are missing",
                header.batch_bytes as usize - bytes.len(),
                header.batch_bytes
            )));
        };
        Ok(BatchView { header, bytes })
    }

    /// The only batch of one produce request.
    ///
    /// # Errors
    /// CORRUPT_MESSAGE for bytes that are no whole batch, INVALID_RECORD for no batch or more than one.
    pub fn parse_only(bytes: &'a [u8]) -> Result<BatchView<'a>> {
        if bytes.is_empty() {
            return Err(Error::new(ErrorCode::INVALID_RECORD, "an append needs a batch, and there is none"));
        }
        let batch = BatchView::parse(bytes)?;
        if batch.bytes.len() < bytes.len() {
            let rest = bytes.len() - batch.bytes.len();
            return Err(Error::new(
                ErrorCode::INVALID_RECORD,
                format!("an append takes exactly one batch, and {rest} bytes follow the first"),
            ));
        }
        Ok(batch)
    }

    /// What the header says.
    #[must_use]
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// The whole batch.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The records, as they lie: plain, or one compressed stream.
    #[must_use]
    pub fn payload(&self) -> &'a [u8] {
        &self.bytes[BATCH_HEADER_BYTES..]
    }

    /// Whether the bytes have the checksum that the header says.
    #[must_use]
    pub fn crc_matches(&self) -> bool {
        crc32c(&self.bytes[ATTRIBUTES_AT..]) == self.header.crc
    }

    /// The same, as a result.
    ///
    /// # Errors
    /// CORRUPT_MESSAGE, with both checksums.
    pub fn verify(&self) -> Result<()> {
        self.header.verify(self.bytes)
    }

    /// The records without copying: straight from the bytes, or unfolded into the inflater's own buffer.
    ///
    /// # Errors
    /// UNSUPPORTED_COMPRESSION_TYPE, CORRUPT_MESSAGE when the payload does not unfold, INVALID_RECORD when it unfolds to
    /// more than the inflater's limit or the record count is negative.
    pub fn records<'s>(&'s self, inflate: &'s mut Inflater) -> Result<RecordIter<'s>> {
        RecordIter::new(&self.header, self.payload(), inflate)
    }
}
