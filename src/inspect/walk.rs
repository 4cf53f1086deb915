//! Walking a `.log` file from front to back in pieces, whatever lies in it.

use super::dump::real_disk;
use crate::disk::{Disk, DiskFile, RealDisk};
use crate::error::{Error, ErrorCode, Result};
use crate::record::{BatchHeader, BatchView, BATCH_HEADER_BYTES};
use crate::storage::names::{parse_file_name, FileKind, SegmentFileName};
use crate::storage::OffsetIndex;
use crate::types::Offset;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes read at a time; a larger batch is read in one piece.
const CHUNK_BYTES: usize = 1 << 20;
/// Where the magic byte is in a batch, and what it is.
const MAGIC_AT: usize = 16;
const MAGIC: u8 = 2;

/// An open log file and the place of the next batch.
pub(super) struct LogWalk {
    path: PathBuf,
    file: Arc<dyn DiskFile>,
    len: u64,
    at: u64,
    buffer: Vec<u8>,
    /// Where in the file the buffer begins.
    buffer_at: u64,
}

/// Why there is no batch at a place that is not the end.
#[derive(Debug)]
pub(super) enum Stop {
    /// Fewer bytes than the batch needs.
    Incomplete,
    /// Bytes that are no header.
    Nonsense(Error),
}

/// The base offset of a file that belongs to a segment. `INVALID_ARG` for any other name.
pub(super) fn base_of(path: &Path, kind: FileKind) -> Result<Offset> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    // A file that was marked for deletion may be looked at as well.
    match parse_file_name(name) {
        Some(SegmentFileName { base, kind: found, .. }) if found == kind => Ok(base),
        _ => {
            let message = format!("{} is not named like a {kind:?} file of a segment", path.display());
            Err(Error::new(ErrorCode::INVALID_ARG, message))
        }
    }
}

impl LogWalk {
    pub fn open(path: &Path) -> Result<LogWalk> {
        let file = RealDisk.open_read(path).map_err(|e| Error::io("open", path, e))?;
        let len = file.len().map_err(|e| Error::io("measure", path, e))?;
        Ok(LogWalk { path: path.to_owned(), file, len, at: 0, buffer: Vec::new(), buffer_at: 0 })
    }

    /// Bytes of the file when it was opened; what a writer adds meanwhile is not looked at.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Where the next batch begins.
    pub fn at(&self) -> u64 {
        self.at
    }

    pub fn go_to(&mut self, at: u64) {
        self.at = at;
    }

    /// The batch at the current place, header sane and all there, and moves behind it. `Err(Stop)` where there is none.
    pub fn step(&mut self) -> Result<Option<std::result::Result<(u64, BatchView<'_>), Stop>>> {
        let at = self.at;
        if at >= self.len {
            return Ok(None);
        }
        if self.len - at < BATCH_HEADER_BYTES as u64 {
            return Ok(Some(Err(Stop::Incomplete)));
        }
        let header = match BatchHeader::parse(self.bytes(at, BATCH_HEADER_BYTES)?) {
            Ok(header) => header,
            Err(error) => return Ok(Some(Err(Stop::Nonsense(error)))),
        };
        if u64::from(header.batch_bytes) > self.len - at {
            return Ok(Some(Err(Stop::Incomplete)));
        }
        self.at = at + u64::from(header.batch_bytes);
        let view = BatchView::parse(self.bytes(at, header.batch_bytes as usize)?)?;
        Ok(Some(Ok((at, view))))
    }

    /// Goes to the batch that the offset index names for `offset`, if the log confirms it: a walk need not begin at the front.
    pub fn skip_to(&mut self, offset: Offset, base: Offset) -> Result<()> {
        let index = self.path.with_extension("index");
        let (indexed, position) = OffsetIndex::open_foreign(&real_disk(), &index, base).lookup(offset);
        let at = u64::from(position.0);
        if at > 0 && at + BATCH_HEADER_BYTES as u64 <= self.len {
            let before = self.at;
            self.at = at;
            match self.step_header()? {
                Some((_, header)) if header.last_offset() == indexed => self.at = at,
                _ => self.at = before,
            }
        }
        Ok(())
    }

    /// The header at the current place without the rest, and moves behind the batch. For walks that need no records.
    pub fn step_header(&mut self) -> Result<Option<(u64, BatchHeader)>> {
        let at = self.at;
        if self.len.saturating_sub(at) < BATCH_HEADER_BYTES as u64 {
            return Ok(None);
        }
        let mut head = [0; BATCH_HEADER_BYTES];
        self.file.read_at(at, &mut head).map_err(|e| Error::io("read", &self.path, e))?;
        match BatchHeader::parse(&head) {
            Ok(header) if u64::from(header.batch_bytes) <= self.len - at => {
                self.at = at + u64::from(header.batch_bytes);
                Ok(Some((at, header)))
            }
            Ok(_) | Err(_) => Ok(None),
        }
    }

    /// `len` bytes from `at`, which must be in the file.
    fn bytes(&mut self, at: u64, len: usize) -> Result<&[u8]> {
        let held = self.buffer_at..self.buffer_at + self.buffer.len() as u64;
        if !(held.start <= at && at + len as u64 <= held.end) {
            let want = len.max(CHUNK_BYTES).min((self.len - at) as usize);
            self.buffer.resize(want, 0);
            self.buffer_at = at;
            self.file.read_at(at, &mut self.buffer).map_err(|e| Error::io("read", &self.path, e))?;
        }
        let from = (at - self.buffer_at) as usize;
        Ok(&self.buffer[from..from + len])
    }

    /// The next place from `from` on where a sound batch begins, with a base offset of `base` or more.
    pub fn find_sound(&mut self, from: u64, base: Offset) -> Result<Option<(u64, BatchHeader)>> {
        let mut at = from;
        while at + BATCH_HEADER_BYTES as u64 <= self.len {
            let want = CHUNK_BYTES.min((self.len - at) as usize);
            let chunk = self.bytes(at, want)?;
            let last = want - BATCH_HEADER_BYTES;
            let candidate = (0..=last).find(|i| {
                chunk[i + MAGIC_AT] == MAGIC
                    && matches!(BatchHeader::parse(&chunk[*i..]), Ok(header) if header.base_offset >= base)
            });
            let Some(candidate) = candidate else {
                at += last as u64 + 1;
                continue;
            };
            at += candidate as u64;
            if let Some(header) = self.sound_at(at)? {
                return Ok(Some((at, header)));
            }
            at += 1;
        }
        Ok(None)
    }

    /// The header of the batch at `at` if it is whole and has the checksum that it says.
    pub fn sound_at(&mut self, at: u64) -> Result<Option<BatchHeader>> {
        if at + BATCH_HEADER_BYTES as u64 > self.len {
            return Ok(None);
        }
        let Ok(header) = BatchHeader::parse(self.bytes(at, BATCH_HEADER_BYTES)?) else { return Ok(None) };
        if u64::from(header.batch_bytes) > self.len - at {
            return Ok(None);
        }
        let view = BatchView::parse(self.bytes(at, header.batch_bytes as usize)?)?;
        Ok(view.crc_matches().then_some(header))
    }
}

impl std::fmt::Debug for LogWalk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogWalk").field("path", &self.path).field("at", &self.at).finish_non_exhaustive()
    }
}
