//! A batch on its way out: checked once, unfolded once, and handed out in as many pieces as the readers want.

use super::faults::Faults;
use super::records::Slice;
use crate::error::{Error, ErrorCode, Result};
use crate::record::{BatchHeader, Inflater, RecordIter, BATCH_HEADER_BYTES};
use crate::types::{Codec, Offset};
use bytes::Bytes;
use std::sync::Arc;

/// Length, attributes, both deltas, both lengths and the header count: a byte each.
const RECORD_BYTES_MIN: usize = 7;

/// What the batches have to stand before their records are handed out.
#[derive(Debug)]
pub(super) struct Checker {
    pub checks_crcs: bool,
    pub inflate: Inflater,
    /// Whom the records tell when they do not parse.
    pub faults: Option<Arc<Faults>>,
}

/// A batch that was checked and is partly handed out.
#[derive(Debug)]
pub(super) struct OpenBatch {
    pub header: BatchHeader,
    pub payload: Bytes,
    /// Byte of the next record.
    pub at: usize,
    pub left: u32,
}

/// Records to hand out, and where in the batch they end.
#[derive(Debug)]
pub(super) struct Walked {
    pub slice: Slice,
    pub at: usize,
    pub left: u32,
}

impl OpenBatch {
    /// Unfolds the records of a batch whose checksum was compared, or is not to be. `header` is the one of `bytes`, which is the whole batch.
    pub fn open(header: BatchHeader, bytes: &Bytes, inflate: &mut Inflater) -> Result<OpenBatch> {
        let Ok(left) = u32::try_from(header.record_count) else {
            return Err(Error::new(ErrorCode::INVALID_RECORD, format!("{} records", header.record_count)));
        };
        let payload = match header.codec()? {
            Codec::None => bytes.slice(BATCH_HEADER_BYTES..),
            codec => Bytes::copy_from_slice(inflate.inflate(codec, &bytes[BATCH_HEADER_BYTES..])?),
        };
        // A count that cannot be is refused before anybody makes room for so many.
        if left as usize > payload.len() / RECORD_BYTES_MIN {
            let message = format!("{left} records in {} bytes", payload.len());
            return Err(Error::new(ErrorCode::INVALID_RECORD, message));
        }
        Ok(OpenBatch { header, payload, at: 0, left })
    }

    pub fn end(&self) -> Offset {
        self.header.end_offset()
    }

    /// All the rest of a batch, by what its header says. Its checksum fits, so these are the bytes that somebody meant.
    pub fn rest(&self, from: Offset) -> Walked {
        let slice =
            Slice { from, generation: 0, at: self.at, left: self.left, count: self.left, next_offset: self.end() };
        Walked { slice, at: self.payload.len(), left: 0 }
    }

    /// Walks over the records of a batch from where it stands, drops those below `from`, stops after `room`.
    /// Records before a bad one are found, the bad one is an error only when it comes first.
    pub fn walk(&self, from: Offset, room: u32) -> Result<Walked> {
        let mut records = RecordIter::resume(&self.header, &self.payload, self.at, self.left);
        let (mut at, mut left) = (self.at, self.left);
        let mut found = Slice { from, generation: 0, at, left, count: 0, next_offset: from };
        while found.count < room {
            match records.next() {
                None => left = 0,
                Some(Err(_)) if found.count > 0 => break,
                Some(record) => {
                    let record = record?;
                    (at, left) = (records.position(), left - 1);
                    if record.offset >= from {
                        found.count += 1;
                        found.next_offset = record.offset.next();
                    } else if found.count == 0 {
                        (found.at, found.left) = (at, left);
                    }
                }
            }
            if left == 0 {
                // Behind the last record the position jumps over whatever compaction has taken out.
                found.next_offset = self.end();
                break;
            }
        }
        Ok(Walked { slice: found, at, left })
    }
}
