//! What a leader checks before it takes a client's batch.

use super::header::NO_TIMESTAMP;
use super::iter::{flawed, invalid, plain_keyless, RawRecord};
use super::{BatchHeader, BatchView, Inflater};
use crate::config::LogConfig;
use crate::error::{Error, ErrorCode, Result};
use crate::types::{Offset, Timestamp, TimestampType};

/// What a topic asks of a client's batch, beyond the format.
#[derive(Clone, Copy, Debug)]
pub struct ClientRules {
    /// A compacted topic: every record needs a key.
    pub keys_required: bool,
    /// The earliest and the latest timestamp that a record may carry.
    pub timestamp_earliest: Timestamp,
    pub timestamp_latest: Timestamp,
}

impl ClientRules {
    /// The rules of a topic at this moment. Where the leader's clock counts, the client's timestamps may be any.
    #[must_use]
    pub fn of(config: &LogConfig, now: Timestamp) -> ClientRules {
        let millis = |limit: Option<std::time::Duration>| {
            let limit = limit.filter(|_| config.timestamp_type == TimestampType::CreateTime);
            limit.map_or(i64::MAX, |limit| i64::try_from(limit.as_millis()).unwrap_or(i64::MAX))
        };
        ClientRules {
            keys_required: config.cleanup_policy.compact,
            timestamp_earliest: Timestamp(now.0.saturating_sub(millis(config.timestamp_before_max)).max(0)),
            timestamp_latest: Timestamp(now.0.saturating_add(millis(config.timestamp_after_max))),
        }
    }
}

/// The proof that a batch was looked at, and what was found.
#[derive(Clone, Copy, Debug)]
pub struct Validated {
    header: BatchHeader,
    max_timestamp: i64,
}

impl Validated {
    /// The header as the client sent it.
    #[must_use]
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// The largest timestamp of the records, which is what the header should say; -1 is none.
    #[must_use]
    pub fn max_timestamp(&self) -> i64 {
        self.max_timestamp
    }
}

impl BatchView<'_> {
    /// Everything a leader asks of a client's batch, in one pass over the bytes.
    /// [`BatchView::parse_only`] before it sees that there is exactly one whole batch.
    ///
    /// Stricter than Kafka, which stores or repairs them: offset deltas other than 0, 1, 2 and so on, timestamps below
    /// -1, a log append time of the client's, negative lengths other than -1, header keys that are not UTF-8,
    /// a producer without an epoch and a transaction without a producer are all refused.
    ///
    /// # Errors
    /// One bad record refuses the whole batch. CORRUPT_MESSAGE for a wrong checksum or a payload that does not unfold,
    /// UNSUPPORTED_COMPRESSION_TYPE, INVALID_TIMESTAMP where a record's time is out of range, INVALID_RECORD for all else.
    pub fn validate_from_client(&self, inflate: &mut Inflater, rules: &ClientRules) -> Result<Validated> {
        self.verify()?;
        let header = self.header();
        check_header(header)?;
        let records = inflate.inflate(header.codec()?, self.payload())?;
        let max_timestamp = check_records(header, records, rules)?;
        Ok(Validated { header: *header, max_timestamp })
    }
}

fn check_header(header: &BatchHeader) -> Result<()> {
    if header.base_offset != Offset::ZERO {
        return Err(invalid(header, "a base offset, which is the leader's to give"));
    }
    if header.record_count < 1 || i64::from(header.record_count) != i64::from(header.last_offset_delta) + 1 {
        let (count, delta) = (header.record_count, header.last_offset_delta);
        return Err(invalid(header, format_args!("{count} records and a last offset delta of {delta}")));
    }
    if header.is_control() {
        return Err(invalid(header, "control records, which only a broker may write"));
    }
    match header.producer {
        Some(stamp) if stamp.base_sequence.is_none() => return Err(invalid(header, "a producer id and no sequence")),
        Some(stamp) if stamp.epoch < 0 => return Err(invalid(header, "a producer id and no producer epoch")),
        None if header.is_transactional() => return Err(invalid(header, "a transaction and no producer id")),
        _ => {}
    }
    if header.timestamp_type() == TimestampType::LogAppendTime {
        return Err(Error::new(ErrorCode::INVALID_TIMESTAMP, "the log append time is the leader's to give"));
    }
    Ok(())
}

/// Walks over the records once and returns their largest timestamp.
fn check_records(header: &BatchHeader, records: &[u8], rules: &ClientRules) -> Result<i64> {
    let mut at = 0;
    let mut max_timestamp = NO_TIMESTAMP;
    let mut first_without_key = None;
    for index in 0..header.record_count {
        let (timestamp_delta, has_key) = match plain_keyless(records, at, index as u32) {
            Some((end, timestamp_delta)) => {
                at = end;
                (timestamp_delta, false)
            }
            None => {
                let record = RawRecord::parse(records, &mut at).map_err(|flaw| flawed(header, index as u32, flaw))?;
                if record.offset_delta != index {
                    return Err(flawed(header, index as u32, "its offset does not follow the one before"));
                }
                let is_bad = |key: &[u8]| std::str::from_utf8(key).is_err();
                if record.header_count > 0 && record.headers().any(|header| is_bad(header.key)) {
                    return Err(flawed(header, index as u32, "a header key is not UTF-8"));
                }
                (record.timestamp_delta, record.key.is_some())
            }
        };
        // Readers add likewise; what wraps around to a negative number is refused as one.
        let timestamp = header.base_timestamp.wrapping_add(timestamp_delta);
        if timestamp != NO_TIMESTAMP {
            if timestamp < rules.timestamp_earliest.0 || timestamp > rules.timestamp_latest.0 {
                return Err(untimely(index, timestamp, rules));
            }
            max_timestamp = max_timestamp.max(timestamp);
        }
        // A bad timestamp further on would be the batch's error, as it is in Kafka; so go on and see.
        if rules.keys_required && !has_key {
            first_without_key = first_without_key.or(Some(index as u32));
        }
    }
    if at != records.len() {
        return Err(invalid(header, format_args!("{} bytes behind its last record", records.len() - at)));
    }
    match first_without_key {
        Some(index) => Err(flawed(header, index, "the topic is compacted and the record has no key")),
        None => Ok(max_timestamp),
    }
}

#[cold]
fn untimely(index: i32, timestamp: i64, rules: &ClientRules) -> Error {
    let (earliest, latest) = (rules.timestamp_earliest.0, rules.timestamp_latest.0);
    Error::new(
        ErrorCode::INVALID_TIMESTAMP,
        format!("the timestamp {timestamp} of the record with index {index} is not between {earliest} and {latest}"),
    )
}
