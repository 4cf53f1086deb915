//! One file, entry by entry, as Kafka's DumpLogSegments walks it.

use crate::error::Result;
use crate::types::{Codec, LeaderEpoch, Offset, Position, ProducerStamp, Timestamp, TimestampType};
use std::path::Path;

/// The batches of one `.log` file, read in pieces.
#[derive(Debug)]
pub struct LogDump {}

/// One batch's header.
#[derive(Clone, Debug)]
pub struct BatchDump {
    pub position: u64,
    pub bytes: u32,
    pub base_offset: Offset,
    pub last_offset: Offset,
    pub count: i32,
    pub producer: Option<ProducerStamp>,
    /// Sequence of the last record; `None` without a producer's sequence.
    pub last_sequence: Option<i32>,
    pub leader_epoch: Option<LeaderEpoch>,
    pub is_transactional: bool,
    pub is_control: bool,
    /// Milliseconds since the epoch, where the cleaner set one.
    pub delete_horizon: Option<Timestamp>,
    pub timestamp_type: TimestampType,
    pub max_timestamp: Option<Timestamp>,
    /// `None`: a codec number that nobody knows.
    pub codec: Option<Codec>,
    pub crc: u32,
    /// Whether the checksum fits.
    pub is_valid: bool,
}

/// One record, copied out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DumpedRecord {
    pub offset: Offset,
    pub timestamp: Option<Timestamp>,
    pub sequence: Option<i32>,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

/// One entry of an `.index`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IndexDump {
    pub offset: Offset,
    pub position: Position,
}

/// One entry of a `.timeindex`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TimeDump {
    pub timestamp: Timestamp,
    pub offset: Offset,
}

/// One entry of a `.txnindex`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TxnDump {
    pub producer_id: i64,
    pub first_offset: Offset,
    pub last_offset: Offset,
    pub last_stable_offset: Offset,
}

/// One producer of a `.snapshot`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProducerDump {
    pub producer_id: i64,
    pub producer_epoch: i16,
    pub last_sequence: i32,
    pub last_offset: i64,
    pub offset_delta: i32,
    pub timestamp: i64,
    pub coordinator_epoch: i32,
    pub current_txn_first_offset: Option<Offset>,
}

impl LogDump {
    /// Opens a `.log` file by path, wherever it lies.
    ///
    /// # Errors
    /// `INVALID_ARG` when the name is not a segment's; what opening met.
    pub fn open(path: &Path) -> Result<LogDump> {
        let _ = path;
        todo!()
    }

    /// The next whole batch; `None` at the end of the file or at bytes that are none (see [`rest`](LogDump::rest)).
    ///
    /// # Errors
    /// What reading met.
    pub fn next_batch(&mut self) -> Result<Option<BatchDump>> {
        todo!()
    }

    /// The records of the batch that [`next_batch`](LogDump::next_batch) returned last.
    ///
    /// # Errors
    /// `CORRUPT_MESSAGE`, `INVALID_RECORD`, `UNSUPPORTED_COMPRESSION_TYPE`.
    pub fn records(&mut self) -> Result<Vec<DumpedRecord>> {
        todo!()
    }

    /// Bytes behind the last whole batch: a torn tail, or damage.
    #[must_use]
    pub fn rest(&self) -> u64 {
        todo!()
    }

    /// Entries of an `.index`; tools stop at the first zero entry behind slot 0, and so does this.
    ///
    /// # Errors
    /// `INVALID_ARG` for a name that is not a segment's; what reading met.
    pub fn index(path: &Path) -> Result<Vec<IndexDump>> {
        let _ = path;
        todo!()
    }

    /// Entries of a `.timeindex`.
    ///
    /// # Errors
    /// As for [`index`](LogDump::index).
    pub fn time_index(path: &Path) -> Result<Vec<TimeDump>> {
        let _ = path;
        todo!()
    }

    /// Entries of a `.txnindex`.
    ///
    /// # Errors
    /// As for [`index`](LogDump::index); `CORRUPT_MESSAGE`.
    pub fn txn_index(path: &Path) -> Result<Vec<TxnDump>> {
        let _ = path;
        todo!()
    }

    /// Producers of a `.snapshot`.
    ///
    /// # Errors
    /// As for [`index`](LogDump::index); `CORRUPT_MESSAGE` when its checksum does not fit.
    pub fn snapshot(path: &Path) -> Result<Vec<ProducerDump>> {
        let _ = path;
        todo!()
    }
}
