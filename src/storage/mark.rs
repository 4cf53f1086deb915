//! `kafkalog-recovery-mark`: how far a partition's log and indexes are durable, so that recovery begins there.
//!
//! Kafka has no such file (its recovery point is checkpointed once a minute for all partitions). Ours is rewritten in place
//! after each flush and not synced: after `kill -9` it is exact, after a power cut it may be old, never too new, since it is written
//! after the sync that it speaks of. A mark that is absent, torn or does not fit the log counts as none.
//!
//! ```text
//!  0        8    10   12       20       28       36       44   48       52
//!  +--------+----+----+--------+--------+--------+--------+----+--------+
//!  | magic  | ver| flg| flushed| indexed| segment|position| 0  | crc32c |   all big-endian
//!  +--------+----+----+--------+--------+--------+--------+----+--------+
//! ```
//! `flushed`: log durable below; `indexed`: indexes too, and the batch with that base offset starts at byte `position` of the segment with
//! base `segment`. Flag 1: no idempotent producer had written by `indexed`.

use crate::disk::{Disk, DiskFile};
use crate::error::{Error, ErrorCode, Result};
use crate::record::crc32c;
use crate::types::Offset;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The file's name in a partition directory. Kafka ignores files it does not know there.
pub const MARK_FILE: &str = "kafkalog-recovery-mark";
const MAGIC: [u8; 8] = *b"KLOGMARK";
const VERSION: u16 = 1;
const MARK_BYTES: usize = 52;
const FLAG_NO_PRODUCERS: u16 = 1;

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Mark {
    pub flushed: Offset,
    pub indexed: Offset,
    pub segment: Offset,
    pub position: u64,
    pub no_producers: bool,
}

impl Mark {
    fn encode(&self) -> [u8; MARK_BYTES] {
        let mut bytes = [0; MARK_BYTES];
        bytes[0..8].copy_from_slice(&MAGIC);
        bytes[8..10].copy_from_slice(&VERSION.to_be_bytes());
        let flags = if self.no_producers { FLAG_NO_PRODUCERS } else { 0 };
        bytes[10..12].copy_from_slice(&flags.to_be_bytes());
        bytes[12..20].copy_from_slice(&self.flushed.0.to_be_bytes());
        bytes[20..28].copy_from_slice(&self.indexed.0.to_be_bytes());
        bytes[28..36].copy_from_slice(&self.segment.0.to_be_bytes());
        bytes[36..44].copy_from_slice(&self.position.to_be_bytes());
        let crc = crc32c(&bytes[..48]);
        bytes[48..52].copy_from_slice(&crc.to_be_bytes());
        bytes
    }

    /// `Ok(None)`: no mark that can be believed. `Err`: written by a newer program.
    fn decode(bytes: &[u8; MARK_BYTES], path: &Path) -> Result<Option<Mark>> {
        let u64_at = |at: usize| u64::from_be_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
        let u16_at = |at: usize| u16::from_be_bytes(bytes[at..at + 2].try_into().expect("two bytes"));
        let crc = u32::from_be_bytes(bytes[48..52].try_into().expect("four bytes"));
        if bytes[0..8] != MAGIC || crc != crc32c(&bytes[..48]) {
            return Ok(None);
        }
        if u16_at(8) > VERSION {
            let what = format!("{}: format version {}, this program knows {VERSION}", path.display(), u16_at(8));
            return Err(Error::new(ErrorCode::UNSUPPORTED_VERSION, what));
        }
        let mark = Mark {
            flushed: Offset(u64_at(12)),
            indexed: Offset(u64_at(20)),
            segment: Offset(u64_at(28)),
            position: u64_at(36),
            no_producers: u16_at(10) & FLAG_NO_PRODUCERS != 0,
        };
        // No log ends past the largest offset and the one after it.
        let is_sane = mark.flushed.max(mark.indexed) <= Offset::MAX.next();
        Ok(is_sane.then_some(mark))
    }
}

/// The end of what the mark of partition directory `dir` says is durable, for tools that only read. `None`: no mark that can
/// be believed.
pub fn read_flushed_mark(disk: &dyn Disk, dir: &Path) -> Option<Offset> {
    let path = dir.join(MARK_FILE);
    let file = disk.open_read(&path).ok()?;
    let mut bytes = [0; MARK_BYTES];
    file.read_at(0, &mut bytes).ok()?;
    Some(Mark::decode(&bytes, &path).ok()??.flushed)
}

/// The open mark file of one log.
pub(super) struct MarkFile {
    path: PathBuf,
    file: Arc<dyn DiskFile>,
}

impl fmt::Debug for MarkFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MarkFile").field("path", &self.path).finish_non_exhaustive()
    }
}

impl MarkFile {
    /// Opens or creates the file and reads what it says.
    pub(super) fn open(disk: &dyn Disk, dir: &Path) -> Result<(MarkFile, Option<Mark>)> {
        let path = dir.join(MARK_FILE);
        let there = disk.exists(&path).map_err(|e| Error::io("look for", &path, e))?;
        let opened = if there { disk.open(&path) } else { disk.create(&path, 0) };
        let file = opened.map_err(|e| Error::io("open recovery mark", &path, e))?;
        let mut bytes = [0; MARK_BYTES];
        let len = file.len().map_err(|e| Error::io("measure recovery mark", &path, e))?;
        let mark = if len < MARK_BYTES as u64 {
            None
        } else {
            file.read_at(0, &mut bytes).map_err(|e| Error::io("read recovery mark", &path, e))?;
            Mark::decode(&bytes, &path)?
        };
        Ok((MarkFile { path, file }, mark))
    }

    /// Rewrites the mark, unsynced.
    pub(super) fn write(&self, mark: &Mark) -> Result<()> {
        self.file.write_at(0, &mark.encode()).map_err(|e| Error::io("write recovery mark", &self.path, e))
    }

    /// Rewrites the mark, durable on return: before a truncation the old one must be gone for good.
    pub(super) fn write_synced(&self, mark: &Mark) -> Result<()> {
        self.write(mark)?;
        self.file.sync_data().map_err(|e| Error::sync("sync recovery mark", &self.path, e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARK: Mark =
        Mark { flushed: Offset(9), indexed: Offset(7), segment: Offset(5), position: 1234, no_producers: true };

    #[test]
    fn a_mark_reads_back_as_it_was_written() {
        assert_eq!(Mark::decode(&MARK.encode(), Path::new("m")).expect("ours"), Some(MARK));
    }

    #[test]
    fn a_damaged_mark_counts_as_none_and_a_newer_one_is_refused() {
        for at in 0..MARK_BYTES {
            let mut bytes = MARK.encode();
            bytes[at] ^= 0x40;
            assert_eq!(Mark::decode(&bytes, Path::new("m")).expect("not newer"), None, "byte {at}");
        }
        let mut bytes = MARK.encode();
        bytes[9] = 2;
        let crc = crc32c(&bytes[..48]);
        bytes[48..].copy_from_slice(&crc.to_be_bytes());
        let newer = Mark::decode(&bytes, Path::new("m")).expect_err("newer");
        assert!(newer.message().contains("version 2") && newer.message().contains("knows 1"), "{newer}");
    }
}
