//! What a leader checks before it takes a client's batch.

use super::{BatchHeader, BatchView, Inflater};
use crate::config::LogConfig;
use crate::error::Result;
use crate::types::{Timestamp, TimestampType};

/// What a topic asks of a client's batch, beyond the format.
#[derive(Clone, Copy, Debug)]
pub struct ClientRules {
    /// A compacted topic: every record needs a key.
    pub keys_required: bool,
    /// `message.timestamp.type`.
    pub timestamp_type: TimestampType,
    /// The earliest and the latest timestamp that a record may carry, where the type is `CreateTime`.
    pub timestamp_earliest: Timestamp,
    pub timestamp_latest: Timestamp,
}

impl ClientRules {
    /// The rules of a topic at this moment.
    #[must_use]
    pub fn of(config: &LogConfig, now: Timestamp) -> ClientRules {
        let _ = (config, now);
        todo!()
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
    /// The largest timestamp of the records, which is what the header should say.
    #[must_use]
    pub fn max_timestamp(&self) -> i64 {
        self.max_timestamp
    }
}

impl BatchView<'_> {
    /// Everything a leader asks of a client's batch, in one pass over the bytes. Also right before that:
    /// [`BatchView::parse_only`], which sees that there is exactly one whole batch.
    pub fn validate_from_client(&self, inflate: &mut Inflater, rules: &ClientRules) -> Result<Validated> {
        let _ = (inflate, rules);
        todo!()
    }
}
