//! The 61 bytes in front of the records.
//!
//! ```text
//!   0 base offset          i64   ┐ outside the checksum, so that a leader can give a batch its place
//!   8 batch length         i32   │ (bytes after this field) without touching what the producer signed
//!  12 leader epoch         i32   │ -1 from producers
//!  16 magic                i8    ┘ 2
//!  17 crc                  u32   CRC-32C of everything that follows
//!  21 attributes           i16   0-2 codec, 3 log append time, 4 transactional, 5 control, 6 delete horizon
//!  23 last offset delta    i32
//!  27 base timestamp       i64   or the delete horizon (bit 6); what the records' deltas are added to
//!  35 max timestamp        i64   or the append time (bit 3)
//!  43 producer id          i64   -1 none
//!  51 producer epoch       i16   -1 none
//!  53 base sequence        i32   -1 none
//!  57 record count         i32
//!  61 records
//! ```

use super::{crc32c, sequence, BATCH_BYTES_MAX, BATCH_HEADER_BYTES, LOG_OVERHEAD_BYTES};
use crate::error::{Error, ErrorCode, Result};
use crate::types::{Codec, LeaderEpoch, Offset, ProducerStamp, TimestampType};

pub(super) const MAGIC: u8 = 2;
pub(super) const NO_TIMESTAMP: i64 = -1;

const BASE_OFFSET_AT: usize = 0;
const LENGTH_AT: usize = 8;
const LEADER_EPOCH_AT: usize = 12;
const MAGIC_AT: usize = 16;
const CRC_AT: usize = 17;
pub(super) const ATTRIBUTES_AT: usize = 21;
const LAST_OFFSET_DELTA_AT: usize = 23;
const BASE_TIMESTAMP_AT: usize = 27;
const MAX_TIMESTAMP_AT: usize = 35;
const PRODUCER_ID_AT: usize = 43;
const PRODUCER_EPOCH_AT: usize = 51;
const BASE_SEQUENCE_AT: usize = 53;
const RECORD_COUNT_AT: usize = 57;
const _: () = assert!(RECORD_COUNT_AT + 4 == BATCH_HEADER_BYTES);
const _: () = assert!(LENGTH_AT + 4 == LOG_OVERHEAD_BYTES);

const CODEC_MASK: i16 = 0x07;
const LOG_APPEND_TIME: i16 = 0x08;
const TRANSACTIONAL: i16 = 0x10;
const CONTROL: i16 = 0x20;
const DELETE_HORIZON: i16 = 0x40;

/// The header of one batch, its sentinels translated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BatchHeader {
    /// The offset of the first record.
    pub base_offset: Offset,
    /// The whole batch in bytes, header and all.
    pub batch_bytes: u32,
    /// `None` until a leader has stamped it.
    pub leader_epoch: Option<LeaderEpoch>,
    /// The checksum that the bytes carry; nothing here says that it is right.
    pub crc: u32,
    /// The raw attribute bits.
    pub attributes: i16,
    /// What to add to the base offset for the offset of the last record (which compaction may have removed).
    pub last_offset_delta: u32,
    /// What the records' timestamp deltas are added to, in milliseconds.
    pub base_timestamp: i64,
    /// The largest timestamp of a record, or the append time, in milliseconds; -1 is none.
    pub max_timestamp: i64,
    /// Producer id, epoch and sequence, when the batch has an id.
    pub producer: Option<ProducerStamp>,
    /// As the bytes say, so possibly nonsense (negative).
    pub record_count: i32,
}

impl BatchHeader {
    /// Compares the checksum of `batch`, the whole batch that this is the header of.
    ///
    /// # Errors
    /// CORRUPT_MESSAGE, with both checksums.
    pub fn verify(&self, batch: &[u8]) -> Result<()> {
        let found = crc32c(&batch[ATTRIBUTES_AT..]);
        if found == self.crc {
            return Ok(());
        }
        let BatchHeader { base_offset, crc, .. } = self;
        Err(corrupt(format!("the batch at offset {base_offset} says checksum {crc:08x} and has {found:08x}")))
    }

    /// Reads a header without looking at the checksum or behind the header: what recovery and readers walk with.
    ///
    /// # Errors
    /// CORRUPT_MESSAGE for fewer than 61 bytes, a length below 61 or above [`BATCH_BYTES_MAX`], another magic than 2, a
    /// negative base offset or last offset delta, a last offset past [`Offset::MAX`].
    pub fn parse(bytes: &[u8]) -> Result<BatchHeader> {
        let Some(header) = bytes.first_chunk::<BATCH_HEADER_BYTES>() else {
            return Err(corrupt(format!("{} bytes are no batch header", bytes.len())));
        };
        let batch_bytes = parse_batch_bytes(header)?;
        parse_magic(header)?;
        let base_offset = get_i64(header, BASE_OFFSET_AT);
        let last_offset_delta = get_i32(header, LAST_OFFSET_DELTA_AT);
        let (Ok(base_offset), Ok(last_offset_delta)) = (u64::try_from(base_offset), u32::try_from(last_offset_delta))
        else {
            return Err(corrupt(format!(
                "base offset {base_offset} or last offset delta {last_offset_delta} is negative"
            )));
        };
        if base_offset + u64::from(last_offset_delta) > Offset::MAX.0 {
            return Err(corrupt(format!("base offset {base_offset} plus {last_offset_delta} leaves 63 bits")));
        }
        Ok(BatchHeader {
            base_offset: Offset(base_offset),
            batch_bytes,
            leader_epoch: u32::try_from(get_i32(header, LEADER_EPOCH_AT)).ok().map(LeaderEpoch),
            crc: get_i32(header, CRC_AT) as u32,
            attributes: get_i16(header, ATTRIBUTES_AT),
            last_offset_delta,
            base_timestamp: get_i64(header, BASE_TIMESTAMP_AT),
            max_timestamp: get_i64(header, MAX_TIMESTAMP_AT),
            producer: parse_producer(header),
            record_count: get_i32(header, RECORD_COUNT_AT),
        })
    }

    /// Writes the header over the first 61 bytes, the mirror image of [`parse`](Self::parse), `crc` included as it is.
    pub(super) fn put(&self, bytes: &mut [u8]) {
        let length = self.batch_bytes - LOG_OVERHEAD_BYTES as u32;
        bytes[LENGTH_AT..][..4].copy_from_slice(&length.to_be_bytes());
        put_place(bytes, self.base_offset, self.leader_epoch);
        bytes[MAGIC_AT] = MAGIC;
        bytes[CRC_AT..][..4].copy_from_slice(&self.crc.to_be_bytes());
        bytes[ATTRIBUTES_AT..][..2].copy_from_slice(&self.attributes.to_be_bytes());
        bytes[LAST_OFFSET_DELTA_AT..][..4].copy_from_slice(&self.last_offset_delta.to_be_bytes());
        bytes[BASE_TIMESTAMP_AT..][..8].copy_from_slice(&self.base_timestamp.to_be_bytes());
        bytes[MAX_TIMESTAMP_AT..][..8].copy_from_slice(&self.max_timestamp.to_be_bytes());
        let (id, epoch, sequence) = match self.producer {
            Some(stamp) => (stamp.id, stamp.epoch, stamp.base_sequence.unwrap_or(-1)),
            None => (-1, -1, -1),
        };
        bytes[PRODUCER_ID_AT..][..8].copy_from_slice(&id.to_be_bytes());
        bytes[PRODUCER_EPOCH_AT..][..2].copy_from_slice(&epoch.to_be_bytes());
        bytes[BASE_SEQUENCE_AT..][..4].copy_from_slice(&sequence.to_be_bytes());
        bytes[RECORD_COUNT_AT..][..4].copy_from_slice(&self.record_count.to_be_bytes());
    }

    /// Writes the header over the first 61 bytes of the whole batch `bytes`, with the checksum that belongs to them.
    pub(super) fn put_with_crc(&mut self, bytes: &mut [u8]) {
        self.put(bytes);
        self.crc = crc32c(&bytes[ATTRIBUTES_AT..]);
        bytes[CRC_AT..][..4].copy_from_slice(&self.crc.to_be_bytes());
    }

    /// The codec of the records.
    ///
    /// # Errors
    /// UNSUPPORTED_COMPRESSION_TYPE for the three numbers that no codec has.
    pub fn codec(&self) -> Result<Codec> {
        match self.attributes & CODEC_MASK {
            0 => Ok(Codec::None),
            1 => Ok(Codec::Gzip),
            2 => Ok(Codec::Snappy),
            3 => Ok(Codec::Lz4),
            4 => Ok(Codec::Zstd),
            unknown => Err(Error::new(
                ErrorCode::UNSUPPORTED_COMPRESSION_TYPE,
                format!("no codec has the number {unknown} that the batch names"),
            )),
        }
    }

    /// Whose clock the timestamps come from.
    #[must_use]
    pub fn timestamp_type(&self) -> TimestampType {
        if self.attributes & LOG_APPEND_TIME == 0 {
            TimestampType::CreateTime
        } else {
            TimestampType::LogAppendTime
        }
    }

    /// Whether the batch is part of a transaction.
    #[must_use]
    pub fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL != 0
    }

    /// Whether the batch holds control records, which no application sees.
    #[must_use]
    pub fn is_control(&self) -> bool {
        self.attributes & CONTROL != 0
    }

    /// Whether the base timestamp is also the time after which compaction may drop tombstones.
    #[must_use]
    pub fn has_delete_horizon(&self) -> bool {
        self.attributes & DELETE_HORIZON != 0
    }

    /// The last occupied offset.
    #[must_use]
    pub fn last_offset(&self) -> Offset {
        self.base_offset.plus(u64::from(self.last_offset_delta))
    }

    /// The next free offset.
    #[must_use]
    pub fn end_offset(&self) -> Offset {
        self.last_offset().next()
    }

    /// The sequence of the last record, when the batch carries sequences.
    #[must_use]
    pub fn last_sequence(&self) -> Option<i32> {
        let base = self.producer?.base_sequence?;
        Some(sequence::add(base, self.last_offset_delta))
    }

    pub(super) fn set_codec(&mut self, codec: Codec) {
        self.attributes = (self.attributes & !CODEC_MASK) | codec_number(codec);
    }

    pub(super) fn set_log_append_time(&mut self) {
        self.attributes |= LOG_APPEND_TIME;
    }
}

/// The attribute bits of a batch of ours.
pub(super) fn attributes(codec: Codec, transactional: bool, control: bool) -> i16 {
    codec_number(codec) | if transactional { TRANSACTIONAL } else { 0 } | if control { CONTROL } else { 0 }
}

/// The number that names a codec in the attributes.
fn codec_number(codec: Codec) -> i16 {
    match codec {
        Codec::None => 0,
        Codec::Gzip => 1,
        Codec::Snappy => 2,
        Codec::Lz4 => 3,
        Codec::Zstd => 4,
    }
}

/// Gives a whole batch its place in a log. The checksum does not cover these fields and stays right.
///
/// Panics when `bytes` is shorter than a header.
pub fn stamp_header(bytes: &mut [u8], base: Offset, epoch: LeaderEpoch) {
    put_place(bytes, base, Some(epoch));
}

pub(super) fn put_place(bytes: &mut [u8], base: Offset, epoch: Option<LeaderEpoch>) {
    // An offset has 63 bits and an epoch 31; `None` is -1.
    bytes[BASE_OFFSET_AT..][..8].copy_from_slice(&base.0.to_be_bytes());
    let epoch = epoch.map_or(u32::MAX, |epoch| epoch.0);
    bytes[LEADER_EPOCH_AT..][..4].copy_from_slice(&epoch.to_be_bytes());
}

/// The size of the whole batch, from the first 12 bytes.
pub(super) fn parse_batch_bytes(bytes: &[u8]) -> Result<u32> {
    let length = get_i32(bytes, LENGTH_AT);
    let whole = i64::from(length) + LOG_OVERHEAD_BYTES as i64;
    if whole < BATCH_HEADER_BYTES as i64 || whole > i64::from(BATCH_BYTES_MAX) {
        return Err(corrupt(format!("a batch length of {length} is not possible")));
    }
    // Between 61 and 64 Mi.
    Ok(whole as u32)
}

/// Whether the 17th byte says that this is a batch of ours.
pub(super) fn parse_magic(bytes: &[u8]) -> Result<()> {
    match bytes[MAGIC_AT] {
        MAGIC => Ok(()),
        other => Err(corrupt(format!("magic {other} where only 2 is known"))),
    }
}

fn parse_producer(header: &[u8; BATCH_HEADER_BYTES]) -> Option<ProducerStamp> {
    let id = get_i64(header, PRODUCER_ID_AT);
    let sequence = get_i32(header, BASE_SEQUENCE_AT);
    (id >= 0).then(|| ProducerStamp {
        id,
        epoch: get_i16(header, PRODUCER_EPOCH_AT),
        base_sequence: (sequence >= 0).then_some(sequence),
    })
}

pub(super) fn corrupt(message: impl Into<String>) -> Error {
    Error::new(ErrorCode::CORRUPT_MESSAGE, message)
}

fn get_i16(bytes: &[u8], at: usize) -> i16 {
    i16::from_be_bytes([bytes[at], bytes[at + 1]])
}

fn get_i32(bytes: &[u8], at: usize) -> i32 {
    i32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn get_i64(bytes: &[u8], at: usize) -> i64 {
    let mut eight = [0; 8];
    eight.copy_from_slice(&bytes[at..at + 8]);
    i64::from_be_bytes(eight)
}
