//! Batches that somebody else encoded: judged before anything is locked, appended when their turn comes.

use super::api::Appended;
use super::append::{Admitted, Incoming};
use super::log::Log;
use crate::error::Result;
use crate::record::{stamp_header, BatchView, ClientRules, SealedBatch, Validated, BATCH_HEADER_BYTES};
use crate::types::{LeaderEpoch, Timestamp, TimestampType};
use bytes::Bytes;

/// A client's batch that has passed the leader's whole check list.
pub struct JudgedBatch<'a> {
    bytes: &'a [u8],
    validated: Validated,
    /// It cannot go into the file as it is: LogAppendTime, a wrong maximum timestamp, another `compression.type`.
    must_change: bool,
}

impl Log {
    /// Appends one batch of foreign bytes as the leader: [`judge_raw`](Log::judge_raw) and [`append_judged`](Log::append_judged).
    ///
    /// # Errors
    /// Those of both.
    pub fn append_raw(&self, batch: &[u8], epoch: LeaderEpoch, now: Timestamp) -> Result<Appended> {
        self.append_judged(self.judge_raw(batch, now)?, epoch, now)
    }

    /// The leader's check list for a client's batch (Kafka's `LogValidator`), all of it that needs no place in the log. The appender is
    /// not held up meanwhile.
    ///
    /// # Errors
    /// CORRUPT_MESSAGE, INVALID_RECORD, UNSUPPORTED_COMPRESSION_TYPE, INVALID_TIMESTAMP for bytes that are not one valid batch of a client;
    /// MESSAGE_TOO_LARGE (`max.message.bytes`), RECORD_LIST_TOO_LARGE (`segment.bytes`).
    pub fn judge_raw<'a>(&self, batch: &'a [u8], now: Timestamp) -> Result<JudgedBatch<'a>> {
        let config = self.config();
        let view = BatchView::parse_only(batch)?;
        let header = view.header();
        self.check_size(&config, header.batch_bytes)?;
        let validated = view.validate_from_client(&mut self.foreign.lock().inflater, &ClientRules::of(&config, now))?;
        let must_change = validated.max_timestamp() != header.max_timestamp
            || header.timestamp_type() != config.timestamp_type
            || config.timestamp_type == TimestampType::LogAppendTime
            || config.compression.is_some_and(|codec| header.codec().ok() != Some(codec));
        Ok(JudgedBatch { bytes: batch, validated, must_change })
    }

    /// Appends a batch that was judged. The bytes are not copied unless they have to change.
    ///
    /// # Errors
    /// As [`append`](Log::append).
    pub fn append_judged(&self, judged: JudgedBatch<'_>, epoch: LeaderEpoch, now: Timestamp) -> Result<Appended> {
        let JudgedBatch { bytes, validated, must_change } = judged;
        if must_change {
            return self.append(&mut SealedBatch::from_validated(bytes.to_vec(), validated), epoch, now);
        }
        let mut appender = self.appender.lock();
        self.check_open(&appender)?;
        let incoming = Incoming::of(validated.header());
        let base = match self.admit(&mut appender, &incoming, epoch, now)? {
            Admitted::At(base) => base,
            Admitted::Duplicate(earlier) => return Ok(earlier),
        };
        let mut head: [u8; BATCH_HEADER_BYTES] =
            bytes[..BATCH_HEADER_BYTES].try_into().expect("a parsed batch has a whole header");
        stamp_header(&mut head, base, epoch);
        self.write(&mut appender, u64::from(incoming.bytes), |file, at| {
            file.write_pieces_at(at, &[&head, &bytes[BATCH_HEADER_BYTES..]])
        })?;
        self.place(&mut appender, &incoming, base);
        let last_offset = base.plus(u64::from(incoming.last_offset_delta));
        if self.tail.is_wanted() {
            let mut copy = bytes.to_vec();
            copy[..BATCH_HEADER_BYTES].copy_from_slice(&head);
            self.tail.push(base, last_offset.next(), Bytes::from(copy));
        }
        Ok(Appended { base_offset: base, last_offset, log_append_time: None, duplicate: false })
    }
}
