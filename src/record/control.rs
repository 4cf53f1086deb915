//! Control batches: records that the log writes for itself and that no application sees.

use super::SealedBatch;
use crate::error::Result;
use crate::types::Timestamp;

/// What a control record says, by the second number of its key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ControlType {
    Abort,
    Commit,
    LeaderChange,
    SnapshotHeader,
    SnapshotFooter,
    KraftVersion,
    KraftVoters,
    /// A newer program's; to be passed over.
    Unknown(i16),
}

/// How a transaction ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TxnResult {
    Abort,
    Commit,
}

impl ControlType {
    /// Reads the key of a control record.
    pub fn parse(key: &[u8]) -> Result<ControlType> {
        let _ = key;
        todo!()
    }
}

/// The one batch that ends a transaction of a producer in a partition.
#[must_use]
pub fn end_txn_marker(
    producer_id: i64,
    producer_epoch: i16,
    result: TxnResult,
    coordinator_epoch: i32,
    now: Timestamp,
) -> SealedBatch {
    let _ = (producer_id, producer_epoch, result, coordinator_epoch, now);
    todo!()
}

/// Reads the coordinator epoch out of the value of an ABORT or COMMIT record.
pub fn parse_end_txn_value(value: &[u8]) -> Result<i32> {
    let _ = value;
    todo!()
}
