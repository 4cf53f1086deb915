//! One file, entry by entry, as Kafka's DumpLogSegments walks it.

use super::walk::{base_of, LogWalk};
use crate::disk::{Disk, RealDisk};
use crate::error::{Error, ErrorCode, Result};
use crate::record::{BatchView, Inflater, RecordView, INFLATED_BYTES_MAX};
use crate::storage::checkpoint::read_file;
use crate::storage::names::FileKind;
use crate::storage::producer_states::snapshot;
use crate::storage::{txn_index, AbortedTxn, OffsetIndex, TimeIndex};
use crate::types::{Codec, LeaderEpoch, Offset, Position, ProducerStamp, Timestamp, TimestampType};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// A transaction index or a snapshot larger than this is not believed.
const SMALL_FILE_BYTES_MAX: u64 = 64 << 20;

/// The batches of one `.log` file, read in pieces.
pub struct LogDump {
    walk: LogWalk,
    /// The batch that was read last.
    current: Vec<u8>,
    inflate: Inflater,
}

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
    /// Of the newest data batch; `None` after a marker that began a new epoch.
    pub last_sequence: Option<i32>,
    pub last_offset: Option<Offset>,
    /// Last offset - first offset of the newest data batch.
    pub offset_delta: u32,
    /// Of the newest batch or marker.
    pub timestamp: Option<Timestamp>,
    pub coordinator_epoch: Option<i32>,
    /// Where the open transaction began.
    pub txn_first_offset: Option<Offset>,
}

impl TxnDump {
    pub(super) fn entry(&self) -> AbortedTxn {
        let TxnDump { producer_id, first_offset, last_offset, last_stable_offset } = *self;
        AbortedTxn { producer_id, first_offset, last_offset, last_stable_offset }
    }
}

impl LogDump {
    /// Opens a `.log` file by path, wherever it lies.
    ///
    /// # Errors
    /// `INVALID_ARG` when the name is not a segment's; what opening met.
    pub fn open(path: &Path) -> Result<LogDump> {
        base_of(path, FileKind::Log)?;
        Ok(LogDump { walk: LogWalk::open(path)?, current: Vec::new(), inflate: Inflater::new(INFLATED_BYTES_MAX) })
    }

    /// The next whole batch; `None` at the end of the file or at bytes that are none (see [`rest`](LogDump::rest)).
    ///
    /// # Errors
    /// What reading met.
    pub fn next_batch(&mut self) -> Result<Option<BatchDump>> {
        let Some(Ok((position, view))) = self.walk.step()? else { return Ok(None) };
        self.current.clear();
        self.current.extend_from_slice(view.bytes());
        let header = view.header();
        Ok(Some(BatchDump {
            position,
            bytes: header.batch_bytes,
            base_offset: header.base_offset,
            last_offset: header.last_offset(),
            count: header.record_count,
            producer: header.producer,
            last_sequence: header.last_sequence(),
            leader_epoch: header.leader_epoch,
            is_transactional: header.is_transactional(),
            is_control: header.is_control(),
            delete_horizon: header.has_delete_horizon().then_some(Timestamp(header.base_timestamp)),
            timestamp_type: header.timestamp_type(),
            max_timestamp: (header.max_timestamp >= 0).then_some(Timestamp(header.max_timestamp)),
            codec: header.codec().ok(),
            crc: header.crc,
            is_valid: view.crc_matches(),
        }))
    }

    /// The records of the batch that [`next_batch`](LogDump::next_batch) returned last.
    ///
    /// # Errors
    /// `CORRUPT_MESSAGE`, `INVALID_RECORD`, `UNSUPPORTED_COMPRESSION_TYPE`; `STATE` before the first batch.
    pub fn records(&mut self) -> Result<Vec<DumpedRecord>> {
        if self.current.is_empty() {
            return Err(Error::new(ErrorCode::STATE, "no batch was read yet"));
        }
        let view = BatchView::parse(&self.current)?;
        let records = view.records(&mut self.inflate)?;
        records.map(|record| record.map(|record| DumpedRecord::of(&record))).collect()
    }

    /// Bytes behind the last whole batch: a torn tail, or damage.
    #[must_use]
    pub fn rest(&self) -> u64 {
        self.walk.len() - self.walk.at()
    }

    /// Entries of an `.index`; tools stop at the first zero entry behind slot 0, and so does this.
    ///
    /// # Errors
    /// `INVALID_ARG` for a name that is not a segment's; what reading met.
    pub fn index(path: &Path) -> Result<Vec<IndexDump>> {
        let base = base_of(path, FileKind::Index)?;
        must_exist(path)?;
        let entries = OffsetIndex::open_foreign(&real_disk(), path, base).entries()?;
        Ok(entries.into_iter().map(|(offset, position)| IndexDump { offset, position }).collect())
    }

    /// Entries of a `.timeindex`.
    ///
    /// # Errors
    /// As for [`index`](LogDump::index).
    pub fn time_index(path: &Path) -> Result<Vec<TimeDump>> {
        let base = base_of(path, FileKind::TimeIndex)?;
        must_exist(path)?;
        let entries = TimeIndex::open_foreign(&real_disk(), path, base).entries()?;
        Ok(entries.into_iter().map(|entry| TimeDump { timestamp: entry.timestamp, offset: entry.offset }).collect())
    }

    /// Entries of a `.txnindex`.
    ///
    /// # Errors
    /// As for [`index`](LogDump::index); `CORRUPT_MESSAGE`.
    pub fn txn_index(path: &Path) -> Result<Vec<TxnDump>> {
        base_of(path, FileKind::TxnIndex)?;
        let entries = txn_index::decode(&bytes_of(path)?).map_err(|e| e.within(path.display()))?;
        Ok(entries
            .into_iter()
            .map(|txn| TxnDump {
                producer_id: txn.producer_id,
                first_offset: txn.first_offset,
                last_offset: txn.last_offset,
                last_stable_offset: txn.last_stable_offset,
            })
            .collect())
    }

    /// Producers of a `.snapshot`.
    ///
    /// # Errors
    /// As for [`index`](LogDump::index); `CORRUPT_MESSAGE` when its checksum does not fit.
    pub fn snapshot(path: &Path) -> Result<Vec<ProducerDump>> {
        base_of(path, FileKind::Snapshot)?;
        let entries = snapshot::decode(&bytes_of(path)?).map_err(|e| e.within(path.display()))?;
        Ok(entries
            .into_iter()
            .map(|entry| ProducerDump {
                producer_id: entry.producer_id,
                producer_epoch: entry.epoch,
                last_sequence: entry.last_sequence,
                last_offset: entry.last_offset,
                offset_delta: entry.offset_delta,
                timestamp: (entry.timestamp >= 0).then_some(Timestamp(entry.timestamp)),
                coordinator_epoch: entry.coordinator_epoch,
                txn_first_offset: entry.txn_first_offset,
            })
            .collect())
    }
}

impl fmt::Debug for LogDump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.walk.fmt(f)
    }
}

impl DumpedRecord {
    fn of(record: &RecordView<'_>) -> DumpedRecord {
        let owned = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
        DumpedRecord {
            offset: record.offset,
            timestamp: record.timestamp,
            sequence: record.sequence,
            key: owned(record.key),
            value: owned(record.value),
            headers: record.headers().map(|header| (header.key.to_vec(), owned(header.value))).collect(),
        }
    }
}

/// The readers of caches take an absent file for an empty one; whoever names a file wants to know.
fn must_exist(path: &Path) -> Result<()> {
    RealDisk.open_read(path).map(|_| ()).map_err(|e| Error::io("open", path, e))
}

fn bytes_of(path: &Path) -> Result<Vec<u8>> {
    must_exist(path)?;
    Ok(read_file(&RealDisk, path, SMALL_FILE_BYTES_MAX)?.unwrap_or_default())
}

pub(super) fn real_disk() -> Arc<dyn Disk> {
    Arc::new(RealDisk)
}
