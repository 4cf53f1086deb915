//! Control batches: records that the log writes for itself and that no application sees.
//!
//! ```text
//! key    version i16 (0), type i16
//! value  of ABORT and COMMIT: version i16 (0), coordinator epoch i32; may be longer
//! ```

// Markers are read from the first day; they are written by the coordinators of transactions and elections, and by tests.
#![cfg_attr(not(test), allow(dead_code))]

use super::{BatchBuilder, RecordRef, SealedBatch};
use crate::error::{Error, ErrorCode, Result};
use crate::types::{Codec, NodeId, ProducerStamp, Timestamp};

const VERSION: i16 = 0;

/// What a control record says.
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
    ///
    /// # Errors
    /// INVALID_RECORD for fewer than four bytes or a negative version.
    pub fn parse(key: &[u8]) -> Result<ControlType> {
        let Some([v0, v1, t0, t1]) = key.first_chunk() else {
            return Err(invalid("a control record's key has four bytes"));
        };
        if i16::from_be_bytes([*v0, *v1]) < 0 {
            return Err(invalid("a control record's version is negative"));
        }
        Ok(match i16::from_be_bytes([*t0, *t1]) {
            0 => ControlType::Abort,
            1 => ControlType::Commit,
            2 => ControlType::LeaderChange,
            3 => ControlType::SnapshotHeader,
            4 => ControlType::SnapshotFooter,
            5 => ControlType::KraftVersion,
            6 => ControlType::KraftVoters,
            unknown => ControlType::Unknown(unknown),
        })
    }

    /// The key of a control record, the mirror image of [`parse`](Self::parse).
    #[must_use]
    pub fn key(self) -> [u8; 4] {
        let number: i16 = match self {
            ControlType::Abort => 0,
            ControlType::Commit => 1,
            ControlType::LeaderChange => 2,
            ControlType::SnapshotHeader => 3,
            ControlType::SnapshotFooter => 4,
            ControlType::KraftVersion => 5,
            ControlType::KraftVoters => 6,
            ControlType::Unknown(number) => number,
        };
        let ([v0, v1], [t0, t1]) = (VERSION.to_be_bytes(), number.to_be_bytes());
        [v0, v1, t0, t1]
    }
}

/// The batch that ends a producer's transaction in a partition.
#[must_use]
pub fn end_txn_marker(
    producer_id: i64,
    producer_epoch: i16,
    result: TxnResult,
    coordinator_epoch: i32,
    now: Timestamp,
) -> SealedBatch {
    let kind = match result {
        TxnResult::Abort => ControlType::Abort,
        TxnResult::Commit => ControlType::Commit,
    };
    let mut value = [0; 6];
    value[..2].copy_from_slice(&VERSION.to_be_bytes());
    value[2..].copy_from_slice(&coordinator_epoch.to_be_bytes());
    control_batch(
        kind,
        &value,
        Some(ProducerStamp { id: producer_id, epoch: producer_epoch, base_sequence: None }),
        now,
    )
}

/// Reads the coordinator epoch out of the value of an ABORT or COMMIT record.
///
/// # Errors
/// INVALID_RECORD for fewer than six bytes or a negative version.
pub fn parse_end_txn_value(value: &[u8]) -> Result<i32> {
    let Some([v0, v1, e0, e1, e2, e3]) = value.first_chunk() else {
        return Err(invalid("the value of an end marker has six bytes"));
    };
    if i16::from_be_bytes([*v0, *v1]) < 0 {
        return Err(invalid("the version of an end marker is negative"));
    }
    Ok(i32::from_be_bytes([*e0, *e1, *e2, *e3]))
}

/// The batch with which a new leader of the metadata log begins its epoch (`LeaderChangeMessage`, version 0).
#[must_use]
pub fn leader_change(leader: NodeId, voters: &[NodeId], granting: &[NodeId], now: Timestamp) -> SealedBatch {
    let mut value = Vec::new();
    value.extend_from_slice(&VERSION.to_be_bytes());
    value.extend_from_slice(&leader.0.to_be_bytes());
    for nodes in [voters, granting] {
        // A compact array counts one more than it holds, in seven bits where no cluster needs an eighth.
        value.push(u8::try_from(nodes.len() + 1).ok().filter(|count| *count < 0x80).expect("a quorum has few voters"));
        for node in nodes {
            value.extend_from_slice(&node.0.to_be_bytes());
            value.push(0); // no tagged fields
        }
    }
    value.push(0); // no tagged fields
    control_batch(ControlType::LeaderChange, &value, None, now)
}

/// Reads who leads out of the value of a LEADER_CHANGE record.
///
/// # Errors
/// INVALID_RECORD for fewer than six bytes, a negative version or a negative id.
pub fn parse_leader_change_value(value: &[u8]) -> Result<NodeId> {
    // The same two fields as an end marker has, by chance.
    let leader = parse_end_txn_value(value)?;
    u32::try_from(leader).map(NodeId).map_err(|_| invalid("a leader's id is negative"))
}

fn control_batch(kind: ControlType, value: &[u8], stamp: Option<ProducerStamp>, now: Timestamp) -> SealedBatch {
    let mut builder = BatchBuilder::new(Codec::None, None);
    let key = kind.key();
    let record = RecordRef { key: Some(&key), value: Some(value), headers: &[] };
    // Only a clock before 1970 could be refused, and the clock promises not to be there.
    builder.append(record, now.0.max(0)).expect("a short record fits an empty batch");
    builder.seal_control(stamp).expect("a batch with one record can be sealed")
}

fn invalid(message: &str) -> Error {
    Error::new(ErrorCode::INVALID_RECORD, message)
}
