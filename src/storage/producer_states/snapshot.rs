//! `.snapshot` files: their bytes, and which of them a partition directory holds.
//!
//! ```text
//!  0  version  i16 = 1
//!  2  crc      u32, CRC-32C of everything from byte 6 on
//!  6  count    i32
//! 10  entries, 46 bytes each:
//!      0 producer id i64        14 last offset i64 (-1)    34 coordinator epoch i32 (-1)
//!      8 epoch i16              22 offset delta i32        38 first offset of the open
//!     10 last sequence i32 (-1) 26 timestamp i64              transaction i64 (-1)
//! ```
//! Big-endian; -1 stands for none. Of a producer's batches only the newest is kept.

use crate::disk::Disk;
use crate::error::{Error, ErrorCode, Result};
use crate::record::crc32c;
use crate::storage::checkpoint::read_file;
use crate::storage::names::{file_name, parse_file_name, FileKind, FileState};
use crate::types::Offset;
use std::collections::BTreeSet;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

const VERSION: i16 = 1;
const VERSION_AT: Range<usize> = 0..2;
const CRC_AT: Range<usize> = 2..6;
const COUNT_AT: Range<usize> = 6..10;
const ENTRIES_AT: usize = 10;
const ENTRY_BYTES: usize = 46;
/// A snapshot is only believed up to this size: a million producers in one partition.
const SNAPSHOT_BYTES_MAX: u64 = 46 << 20;

/// One producer in a snapshot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SnapshotEntry {
    pub producer_id: i64,
    pub epoch: i16,
    /// Of the newest data batch; none after a marker that began a new epoch.
    pub last_sequence: Option<i32>,
    /// Of the newest data batch.
    pub last_offset: Option<Offset>,
    /// Last offset - first offset of the newest data batch.
    pub offset_delta: u32,
    /// Of the newest batch or marker, in milliseconds; -1 if it had none.
    pub timestamp: i64,
    /// Of the newest marker.
    pub coordinator_epoch: Option<i32>,
    /// Where the open transaction began.
    pub txn_first_offset: Option<Offset>,
}

impl SnapshotEntry {
    fn put(&self, into: &mut [u8]) {
        let offset = |offset: Option<Offset>| offset.map_or(u64::MAX, |offset| offset.0).to_be_bytes();
        into[..8].copy_from_slice(&self.producer_id.to_be_bytes());
        into[8..10].copy_from_slice(&self.epoch.to_be_bytes());
        into[10..14].copy_from_slice(&self.last_sequence.unwrap_or(-1).to_be_bytes());
        into[14..22].copy_from_slice(&offset(self.last_offset));
        into[22..26].copy_from_slice(&self.offset_delta.to_be_bytes());
        into[26..34].copy_from_slice(&self.timestamp.to_be_bytes());
        into[34..38].copy_from_slice(&self.coordinator_epoch.unwrap_or(-1).to_be_bytes());
        into[38..46].copy_from_slice(&offset(self.txn_first_offset));
    }

    /// `None` when the last batch would begin before offset 0.
    fn get(from: &[u8]) -> Option<SnapshotEntry> {
        let i32_at = |at: usize| Some(i32::from_be_bytes(from.get(at..at + 4)?.try_into().ok()?));
        let i64_at = |at: usize| Some(i64::from_be_bytes(from.get(at..at + 8)?.try_into().ok()?));
        let offset_at = |at: usize| i64_at(at).map(|value| u64::try_from(value).ok().map(Offset));
        let entry = SnapshotEntry {
            producer_id: i64_at(0)?,
            epoch: i16::from_be_bytes(from[8..10].try_into().ok()?),
            last_sequence: i32_at(10).map(|value| (value >= 0).then_some(value))?,
            last_offset: offset_at(14)?,
            offset_delta: u32::try_from(i32_at(22)?).ok()?,
            timestamp: i64_at(26)?,
            coordinator_epoch: i32_at(34).map(|value| (value >= 0).then_some(value))?,
            txn_first_offset: offset_at(38)?,
        };
        entry.last_offset.is_none_or(|last| u64::from(entry.offset_delta) <= last.0).then_some(entry)
    }
}

/// The bytes of a snapshot file.
#[must_use]
pub fn encode(entries: &[SnapshotEntry]) -> Vec<u8> {
    let mut bytes = vec![0; ENTRIES_AT + entries.len() * ENTRY_BYTES];
    bytes[VERSION_AT].copy_from_slice(&VERSION.to_be_bytes());
    let count = i32::try_from(entries.len()).expect("a partition has fewer than 2^31 producers");
    bytes[COUNT_AT].copy_from_slice(&count.to_be_bytes());
    for (entry, into) in entries.iter().zip(bytes[ENTRIES_AT..].chunks_exact_mut(ENTRY_BYTES)) {
        entry.put(into);
    }
    let crc = crc32c(&bytes[COUNT_AT.start..]);
    bytes[CRC_AT].copy_from_slice(&crc.to_be_bytes());
    bytes
}

/// The producers in the bytes of a snapshot file. CORRUPT_MESSAGE or UNSUPPORTED_VERSION for bytes that are none.
pub fn decode(bytes: &[u8]) -> Result<Vec<SnapshotEntry>> {
    let corrupt = |why: String| Error::new(ErrorCode::CORRUPT_MESSAGE, format!("the snapshot {why}"));
    if bytes.len() < ENTRIES_AT {
        return Err(corrupt(format!("has {} bytes only", bytes.len())));
    }
    let version = i16::from_be_bytes([bytes[0], bytes[1]]);
    if version != VERSION {
        let why = format!("the snapshot has version {version}, this program knows {VERSION}");
        return Err(Error::new(ErrorCode::UNSUPPORTED_VERSION, why));
    }
    if bytes[CRC_AT] != crc32c(&bytes[COUNT_AT.start..]).to_be_bytes() {
        return Err(corrupt("fails its checksum".to_owned()));
    }
    let count = u32::from_be_bytes([bytes[6], bytes[7], bytes[8], bytes[9]]);
    let entries = &bytes[ENTRIES_AT..];
    if entries.len() as u64 != u64::from(count) * ENTRY_BYTES as u64 {
        return Err(corrupt(format!("announces {count} producers in {} bytes", entries.len())));
    }
    let entries = entries.chunks_exact(ENTRY_BYTES).enumerate();
    entries
        .map(|(index, e)| SnapshotEntry::get(e).ok_or_else(|| corrupt(format!("entry {index} makes no sense"))))
        .collect()
}

/// Where the snapshot at `at` lies.
#[must_use]
pub fn path(dir: &Path, at: Offset) -> PathBuf {
    dir.join(file_name(at, FileKind::Snapshot))
}

/// Reads the snapshot at `at`; `None` when there is none. Errors as in [`decode`], and KAFKA_STORAGE_ERROR.
pub fn read(disk: &dyn Disk, dir: &Path, at: Offset) -> Result<Option<Vec<SnapshotEntry>>> {
    let path = path(dir, at);
    let bytes = read_file(disk, &path, SNAPSHOT_BYTES_MAX)?;
    bytes.map(|bytes| decode(&bytes).map_err(|e| e.within(path.display()))).transpose()
}

/// Writes the bytes straight under the final name: what a crash leaves half-written, the checksum tells.
pub(super) fn write(disk: &dyn Disk, dir: &Path, at: Offset, bytes: &[u8], sync: bool) -> Result<()> {
    let path = path(dir, at);
    let file = match disk.create(&path, 0) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => disk.open(&path),
        created => created,
    };
    let file = file.map_err(|e| Error::io("create", &path, e))?;
    let written = file.write_at(0, bytes).and_then(|()| file.set_len(bytes.len() as u64));
    if let Err(error) = written {
        // Half a snapshot helps nobody. If removing it fails too, its checksum keeps it from being believed.
        let _ = disk.remove(&path);
        return Err(Error::io("write", &path, error));
    }
    if sync {
        file.sync_data().map_err(|e| Error::sync("sync", &path, e))?;
    }
    Ok(())
}

/// The snapshots of a directory, ascending.
pub fn list(disk: &dyn Disk, dir: &Path) -> Result<Vec<Offset>> {
    let names = disk.list(dir).map_err(|e| Error::io("list", dir, e))?;
    let names = names.iter().filter(|entry| !entry.is_dir).filter_map(|entry| parse_file_name(&entry.name));
    let snapshots = names.filter(|name| name.kind == FileKind::Snapshot && name.state == FileState::Live);
    let mut offsets: Vec<Offset> = snapshots.map(|name| name.base).collect();
    offsets.sort_unstable();
    Ok(offsets)
}

/// Removes the snapshot at `at`; fine when there is none. Not synced: one that comes back is a stray.
pub fn remove(disk: &dyn Disk, dir: &Path, at: Offset) -> Result<()> {
    let path = path(dir, at);
    match disk.remove(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", &path, error)),
        _ => Ok(()),
    }
}

/// Removes all above `end`: after a truncation they speak of batches that are gone.
pub fn remove_above(disk: &dyn Disk, dir: &Path, end: Offset) -> Result<()> {
    let above = list(disk, dir)?.into_iter().filter(|at| *at > end);
    above.into_iter().try_for_each(|at| remove(disk, dir, at))
}

/// Removes every snapshot that belongs to no segment base, except the newest if it lies beyond the last base (the one that a clean
/// shutdown took).
pub fn remove_strays(disk: &dyn Disk, dir: &Path, segment_bases: &[Offset]) -> Result<()> {
    let bases: BTreeSet<&Offset> = segment_bases.iter().collect();
    let mut strays: Vec<Offset> = list(disk, dir)?.into_iter().filter(|at| !bases.contains(at)).collect();
    if strays.last() > bases.last().copied() {
        strays.pop();
    }
    strays.into_iter().try_for_each(|at| remove(disk, dir, at))
}
