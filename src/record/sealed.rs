//! A batch that is known to be good.

use super::header::{put_place, stamp_header};
use super::{BatchHeader, Compressor, Inflater, Validated, BATCH_HEADER_BYTES};
use crate::error::Result;
use crate::types::{Codec, LeaderEpoch, Offset, Timestamp};
use bytes::Bytes;

/// A whole valid batch that is not yet in a log: built here, or validated here. The type is the proof, so that nobody
/// validates it again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SealedBatch {
    header: BatchHeader,
    bytes: Vec<u8>,
    /// Whoever lent the bytes wants them back.
    is_lent: bool,
}

/// A sealed batch whose bytes are shared: for somebody who sends them and may have to send them again. Nobody can change them any
/// more, so the proof stays.
#[derive(Clone, Debug)]
pub struct SharedBatch {
    header: BatchHeader,
    bytes: Bytes,
}

impl SharedBatch {
    /// What the header says.
    #[must_use]
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// The whole batch.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// A copy that can be given its place in a log.
    #[must_use]
    pub fn to_sealed(&self) -> SealedBatch {
        SealedBatch { header: self.header, bytes: self.bytes.to_vec(), is_lent: false }
    }

    /// Gives the bytes away, so that they get their place in a log without a copy (unless somebody else holds them as well);
    /// [`take_back`](Self::take_back) has to follow.
    #[must_use]
    pub fn lend(&mut self) -> SealedBatch {
        SealedBatch { header: self.header, bytes: Vec::from(std::mem::take(&mut self.bytes)), is_lent: true }
    }

    /// The memory of the bytes, which are not needed any more; `None` while others hold them, too.
    #[must_use]
    pub fn take_buffer(&mut self) -> Option<Vec<u8>> {
        self.bytes.is_unique().then(|| Vec::from(std::mem::take(&mut self.bytes)))
    }

    /// The bytes that were lent, without the place that they were given.
    ///
    /// # Panics
    /// When these are others.
    pub fn take_back(&mut self, lent: SealedBatch) {
        let SealedBatch { mut bytes, .. } = lent;
        assert!(bytes.len() == self.header.batch_bytes as usize, "another batch came back");
        put_place(&mut bytes, self.header.base_offset, self.header.leader_epoch);
        self.bytes = Bytes::from(bytes);
    }
}

impl SealedBatch {
    /// Writes `header` (its length and checksum are computed here) over the space in front of the records.
    pub(super) fn seal(mut header: BatchHeader, mut bytes: Vec<u8>) -> SealedBatch {
        header.batch_bytes = u32::try_from(bytes.len()).expect("a builder takes less than BATCH_BYTES_MAX");
        header.put_with_crc(&mut bytes);
        SealedBatch { header, bytes, is_lent: false }
    }

    /// The batch that was validated, its max timestamp put right (and the checksum with it) if the client had it wrong.
    ///
    /// `bytes` must be those that [`validate_from_client`](super::BatchView::validate_from_client) saw.
    #[must_use]
    pub fn from_validated(bytes: Vec<u8>, validated: Validated) -> SealedBatch {
        let mut batch = SealedBatch { header: *validated.header(), bytes, is_lent: false };
        debug_assert_eq!(batch.header.batch_bytes as usize, batch.bytes.len());
        if batch.header.max_timestamp != validated.max_timestamp() {
            batch.header.max_timestamp = validated.max_timestamp();
            batch.header.put_with_crc(&mut batch.bytes);
        }
        batch
    }

    /// What the header says; with [`stamp`](Self::stamp) it follows the bytes.
    #[must_use]
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// How many records.
    #[cfg(any(test, feature = "fuzzing"))]
    pub fn record_count(&self) -> u32 {
        // A sealed batch has no gaps: the last delta is the count less one.
        self.header.last_offset_delta + 1
    }

    /// The timestamp that the records' deltas are added to, in milliseconds: the first record's.
    #[cfg(any(test, feature = "fuzzing"))]
    pub fn base_timestamp(&self) -> i64 {
        self.header.base_timestamp
    }

    /// The largest timestamp of a record, or the append time, in milliseconds; -1 is none.
    #[cfg(any(test, feature = "fuzzing"))]
    pub fn max_timestamp(&self) -> i64 {
        self.header.max_timestamp
    }

    /// Who sent it, when that is known.
    #[cfg(any(test, feature = "fuzzing"))]
    pub fn producer(&self) -> Option<crate::types::ProducerStamp> {
        self.header.producer
    }

    /// The whole batch.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The whole batch, to keep or to [give back](super::BatchBuilder::give_back).
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// The batch as it is now, to be sent and kept.
    #[must_use]
    pub fn share(self) -> SharedBatch {
        SharedBatch { header: self.header, bytes: Bytes::from(self.bytes) }
    }

    /// The whole batch, for somebody who keeps it; what is left behind has no bytes and is good for nothing more, unless they were
    /// [lent](SharedBatch::lend).
    pub fn take_bytes(&mut self) -> Vec<u8> {
        if self.is_lent {
            return self.bytes.clone();
        }
        std::mem::take(&mut self.bytes)
    }

    /// Gives the batch its place in a log. The checksum does not cover it.
    pub fn stamp(&mut self, base: Offset, epoch: LeaderEpoch) {
        self.header.base_offset = base;
        self.header.leader_epoch = Some(epoch);
        stamp_header(&mut self.bytes, base, epoch);
    }

    /// Makes `now` the timestamp of every record (`message.timestamp.type=LogAppendTime`); computes the checksum again.
    pub fn set_log_append_time(&mut self, now: Timestamp) {
        let before = self.header;
        self.header.set_log_append_time();
        self.header.max_timestamp = now.0;
        if self.header != before {
            self.header.put_with_crc(&mut self.bytes);
        }
    }

    /// Puts the same records under another codec (a topic's `compression.type`). Does nothing for a batch that has it
    /// already and for control batches. Records that the codec would not make smaller end up plain.
    ///
    /// # Errors
    /// As [`BatchView::records`](super::BatchView::records) for the codec that the batch has.
    pub fn recompress(&mut self, to: &mut Compressor, inflate: &mut Inflater) -> Result<()> {
        let from = self.header.codec()?;
        if from == to.codec() || self.header.is_control() {
            return Ok(());
        }
        let plain = inflate.inflate(from, &self.bytes[BATCH_HEADER_BYTES..])?;
        let mut bytes = Vec::with_capacity(BATCH_HEADER_BYTES + plain.len());
        bytes.resize(BATCH_HEADER_BYTES, 0);
        to.compress(plain, &mut bytes)?;
        let mut codec = to.codec();
        if bytes.len() >= BATCH_HEADER_BYTES + plain.len() {
            if from == Codec::None {
                return Ok(());
            }
            codec = Codec::None;
            bytes.truncate(BATCH_HEADER_BYTES);
            bytes.extend_from_slice(plain);
        }
        let mut header = self.header;
        header.set_codec(codec);
        *self = SealedBatch::seal(header, bytes);
        Ok(())
    }
}
