//! The files of one partition directory as a fuzzer can write them down.
//!
//! ```text
//!  0       1           2                3          4
//!  +-------+-----------+----------------+----------+---
//!  | flags | log start | recovery point | interval | files, each: kind u8, base u8, bytes u16, bytes
//!  +-------+-----------+----------------+----------+---
//! ```
//! The last file may be shorter than it says. What no fuzzer guesses (checksums) is put right when the flags ask for it.

use crate::disk::Disk;
use crate::record::{crc32c, BATCH_HEADER_BYTES, LOG_OVERHEAD_BYTES};
use crate::sim::SimDisk;
use crate::storage::doubt::DOUBT_FILE;
use crate::storage::leader_epochs::LEADER_EPOCH_FILE;
use crate::storage::names::{file_name, file_name_in_state, FileKind, FileState};
use crate::storage::partition_metadata::PARTITION_METADATA_FILE;
use crate::storage::MARK_FILE;
use crate::types::Offset;
use std::collections::BTreeMap;
use std::path::Path;

/// Batches get the checksum that fits, and magic 2.
pub(super) const SOUND_BATCHES: u8 = 1;
/// Recovery mark and snapshots get the checksum that fits.
pub(super) const SOUND_SUMS: u8 = 2;
pub(super) const SMALL_SEGMENTS: u8 = 4;
/// The log is cut somewhere before it is appended to.
pub(super) const TRUNCATE: u8 = 8;

pub(super) const ROOT: &str = "/data";
pub(super) const DIR: &str = "/data/t-0";
const HEADER_BYTES: usize = 4;
const FILE_HEADER_BYTES: usize = 4;
const FILES_MAX: usize = 40;

/// What a file is; its number is its place here.
const KINDS: [Kind; 15] = [
    Kind::Segment(FileKind::Log, FileState::Live),
    Kind::Segment(FileKind::Index, FileState::Live),
    Kind::Segment(FileKind::TimeIndex, FileState::Live),
    Kind::Segment(FileKind::TxnIndex, FileState::Live),
    Kind::Segment(FileKind::Snapshot, FileState::Live),
    Kind::Named(LEADER_EPOCH_FILE),
    Kind::Named(MARK_FILE),
    Kind::Named(PARTITION_METADATA_FILE),
    Kind::Segment(FileKind::Log, FileState::Swap),
    Kind::Segment(FileKind::Index, FileState::Swap),
    Kind::Segment(FileKind::Log, FileState::Cleaned),
    Kind::Segment(FileKind::Log, FileState::Deleted),
    Kind::Named("leader-epoch-checkpoint.tmp"),
    Kind::Named("stranger"),
    Kind::Named(DOUBT_FILE),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Segment(FileKind, FileState),
    Named(&'static str),
}

/// What one input says.
#[derive(Clone, Debug, Default)]
pub(super) struct PartitionFiles {
    pub flags: u8,
    pub log_start: u8,
    pub recovery_point: u8,
    /// `index.interval.bytes`, in eights.
    pub interval: u8,
    /// By name.
    pub files: BTreeMap<String, Vec<u8>>,
}

impl PartitionFiles {
    pub(super) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    pub(super) fn decode(data: &[u8]) -> Option<PartitionFiles> {
        let (head, mut rest) = data.split_at_checked(HEADER_BYTES)?;
        let mut found = PartitionFiles {
            flags: head[0],
            log_start: head[1],
            recovery_point: head[2],
            interval: head[3],
            ..Self::default()
        };
        while let Some((head, bytes)) = rest.split_at_checked(FILE_HEADER_BYTES) {
            if found.files.len() == FILES_MAX {
                break;
            }
            let len = usize::from(u16::from_be_bytes([head[2], head[3]])).min(bytes.len());
            let kind = KINDS[usize::from(head[0]) % KINDS.len()];
            let mut content = bytes[..len].to_vec();
            found.put_right(kind, &mut content);
            let name = match kind {
                Kind::Segment(kind, state) => file_name_in_state(base_of(head[1]), kind, state),
                Kind::Named(name) => name.to_owned(),
            };
            found.files.insert(name, content);
            rest = &bytes[len..];
        }
        Some(found)
    }

    /// The bytes that [`decode`](PartitionFiles::decode) reads; files that they cannot name are left out.
    #[cfg(test)]
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut data = vec![self.flags, self.log_start, self.recovery_point, self.interval];
        for (name, bytes) in &self.files {
            let parsed = crate::storage::names::parse_file_name(name);
            let kind = match parsed {
                Some(file) => Kind::Segment(file.kind, file.state),
                None => match KINDS.iter().find(|kind| matches!(kind, Kind::Named(known) if known == name)) {
                    Some(known) => *known,
                    None => continue,
                },
            };
            let number = KINDS.iter().position(|known| *known == kind).expect("a kind that has a number");
            let base = parsed.map_or(0, |file| u8::try_from(file.base.0).expect("a seed has small bases"));
            data.extend([u8::try_from(number).expect("few kinds"), base]);
            data.extend(u16::try_from(bytes.len()).expect("a seed has small files").to_be_bytes());
            data.extend(bytes);
        }
        data
    }

    fn put_right(&self, kind: Kind, content: &mut [u8]) {
        match kind {
            Kind::Segment(FileKind::Log, _) if self.has(SOUND_BATCHES) => sound_batches(content),
            Kind::Segment(FileKind::Snapshot, _) if self.has(SOUND_SUMS) => sound_snapshot(content),
            Kind::Named(MARK_FILE) if self.has(SOUND_SUMS) => sound_mark(content),
            _ => {}
        }
    }

    /// Whether something says that the log was synced up to somewhere.
    pub(super) fn has_mark(&self) -> bool {
        self.files.contains_key(MARK_FILE)
    }

    /// A disk with these files on it, all of them durable.
    pub(super) fn lay_out(&self) -> SimDisk {
        let disk = SimDisk::new(1);
        for dir in [ROOT, DIR] {
            disk.create_dir(Path::new(dir)).expect("a fresh disk");
        }
        for (name, bytes) in &self.files {
            write(&disk, &Path::new(DIR).join(name), bytes);
        }
        for dir in ["/", ROOT, DIR] {
            disk.sync_dir(Path::new(dir)).expect("a disk without faults");
        }
        disk
    }
}

/// A file with these bytes, durable but for its name.
pub(super) fn write(disk: &dyn Disk, path: &Path, bytes: &[u8]) {
    let file = disk.create(path, 0).expect("a name that is free");
    file.write_at(0, bytes).and_then(|()| file.sync_data()).expect("a disk without faults");
}

/// Small ones as they are, and the places where numbers end.
fn base_of(byte: u8) -> Offset {
    match byte {
        255 => Offset::MAX,
        254 => Offset(Offset::MAX.0 - 1),
        253 => Offset(u64::from(u32::MAX)),
        252 => Offset(i32::MAX as u64),
        small => Offset(small.into()),
    }
}

fn sound_batches(content: &mut [u8]) {
    let mut rest = content;
    while rest.len() >= BATCH_HEADER_BYTES {
        let length = u32::from_be_bytes([rest[8], rest[9], rest[10], rest[11]]) as usize;
        let bytes = length.saturating_add(LOG_OVERHEAD_BYTES);
        if bytes < BATCH_HEADER_BYTES || bytes > rest.len() {
            return;
        }
        let (batch, behind) = rest.split_at_mut(bytes);
        batch[16] = 2;
        let crc = crc32c(&batch[21..]);
        batch[17..21].copy_from_slice(&crc.to_be_bytes());
        rest = behind;
    }
}

pub(super) fn sound_snapshot(content: &mut [u8]) {
    if content.len() < 10 {
        return;
    }
    content[..2].copy_from_slice(&1_i16.to_be_bytes());
    let count = u32::try_from((content.len() - 10) / 46).expect("an input is short");
    content[6..10].copy_from_slice(&count.to_be_bytes());
    let crc = crc32c(&content[6..]);
    content[2..6].copy_from_slice(&crc.to_be_bytes());
}

fn sound_mark(content: &mut [u8]) {
    if content.len() < 52 {
        return;
    }
    content[..8].copy_from_slice(b"KLOGMARK");
    let crc = crc32c(&content[..48]);
    content[48..52].copy_from_slice(&crc.to_be_bytes());
}

/// Only used to name files outside of a whole input.
pub(super) fn segment_path(base: Offset, kind: FileKind) -> std::path::PathBuf {
    Path::new(DIR).join(file_name(base, kind))
}
