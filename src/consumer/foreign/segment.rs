//! One segment file of somebody else's.

use crate::disk::{Disk, DiskFile};
use crate::error::{Error, ErrorCode, Result};
use crate::record::{batches, BatchHeader, BatchView, BATCH_HEADER_BYTES};
use crate::storage::names::{file_name, FileKind};
use crate::storage::OffsetIndex;
use crate::types::Offset;
use bytes::Bytes;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One open segment.
pub(super) struct ForeignSegment {
    pub base: Offset,
    /// A later segment exists: nothing is appended any more, and what is not whole is damage.
    pub is_sealed: bool,
    path: PathBuf,
    file: Arc<dyn DiskFile>,
    pub identity: Option<(u64, u64)>,
    offset_index: OffsetIndex,
    mapping: Option<Bytes>,
}

/// Where a search for an offset ended.
pub(super) enum Place {
    /// The first batch that does not end below it.
    At(u64, BatchHeader),
    /// Every batch does: here the next one will begin, with this offset.
    End(u64, Offset),
}

/// Whole batches, and the last of them.
pub(super) struct Run {
    pub bytes: Bytes,
    pub last_at: u64,
    pub last: BatchHeader,
}

impl ForeignSegment {
    /// `None` when the file is gone.
    pub fn open(disk: &Arc<dyn Disk>, dir: &Path, base: Offset) -> Result<Option<ForeignSegment>> {
        let path = dir.join(file_name(base, FileKind::Log));
        // Asked before the open: should the file be replaced in between, it counts as another one, which is safe.
        let identity = identity(&path);
        let file = match disk.open_read(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io("open segment", &path, error)),
        };
        Ok(Some(ForeignSegment {
            base,
            is_sealed: false,
            offset_index: OffsetIndex::open_foreign(disk, &dir.join(file_name(base, FileKind::Index)), base),
            path,
            file,
            identity,
            mapping: None,
        }))
    }

    /// Whether its name still means the file that is open here.
    pub fn is_still_there(&self) -> bool {
        self.identity.is_some() && identity(&self.path) == self.identity
    }

    pub fn len(&self) -> Result<u64> {
        self.file.len().map_err(|e| Error::io("measure segment", &self.path, e))
    }

    pub fn is_mapped(&self) -> bool {
        self.mapping.is_some()
    }

    /// Maps the file. Only when a later segment holds records: then this one was cut to its size for good.
    pub fn map(&mut self) -> Result<()> {
        if self.mapping.is_none() {
            let mapped = self.file.map(self.len()?).map_err(|e| Error::io("map segment", &self.path, e))?;
            self.mapping = Some(mapped);
        }
        Ok(())
    }

    /// `len` bytes from `at`, all of which must be there.
    fn bytes_at(&self, at: u64, len: usize) -> Result<Bytes> {
        if let Some(mapped) = &self.mapping {
            let at = at as usize;
            return Ok(mapped.slice(at..at + len));
        }
        let mut buffer = vec![0; len];
        self.file.read_at(at, &mut buffer).map_err(|e| Error::io("read segment", &self.path, e))?;
        Ok(Bytes::from(buffer))
    }

    /// The batch header at `at`. `None` where there is none yet: too few bytes, or, unless sealed, bytes that are no header.
    pub fn header_at(&self, at: u64, len: u64) -> Result<Option<BatchHeader>> {
        if at + BATCH_HEADER_BYTES as u64 > len {
            return if self.is_sealed && at < len { Err(self.torn(at, len)) } else { Ok(None) };
        }
        let parsed = match &self.mapping {
            Some(mapped) => BatchHeader::parse(&mapped[at as usize..]),
            None => {
                let mut head = [0; BATCH_HEADER_BYTES];
                self.file.read_at(at, &mut head).map_err(|e| Error::io("read segment", &self.path, e))?;
                BatchHeader::parse(&head)
            }
        };
        match parsed {
            Ok(header) if at + u64::from(header.batch_bytes) <= len => Ok(Some(header)),
            Ok(_) if self.is_sealed => Err(self.torn(at, len)),
            Err(error) if self.is_sealed => Err(self.placed(error, at)),
            Ok(_) | Err(_) => Ok(None),
        }
    }

    fn torn(&self, at: u64, len: u64) -> Error {
        let message = format!("{}: the {} bytes from byte {at} are no whole batch", self.path.display(), len - at);
        Error::new(ErrorCode::CORRUPT_MESSAGE, message)
    }

    fn placed(&self, error: Error, at: u64) -> Error {
        error.within(format_args!("{} at byte {at}", self.path.display()))
    }

    /// Finds the batch that holds `target` or the first one behind it, from an index hint that is believed only if the
    /// log confirms it.
    pub fn locate(&self, target: Offset, len: u64) -> Result<Place> {
        let (indexed, position) = self.offset_index.lookup(target);
        let hint = u64::from(position.0);
        let is_confirmed = hint > 0
            && hint < len
            && matches!(self.header_at(hint, len), Ok(Some(header)) if header.last_offset() == indexed);
        let mut at = if is_confirmed { hint } else { 0 };
        let mut end = self.base;
        while let Some(header) = self.header_at(at, len)? {
            if header.last_offset() >= target {
                return Ok(Place::At(at, header));
            }
            end = header.end_offset();
            at += u64::from(header.batch_bytes);
        }
        Ok(Place::End(at, end))
    }

    /// Whether the batch header at `at` still is this one.
    pub fn still_holds(&self, at: u64, header: &BatchHeader, len: u64) -> bool {
        matches!(self.header_at(at, len), Ok(Some(found)) if found == *header)
    }

    /// Whole batches from `at` on, about `bytes_max` of them, at least one. `None` when the first one is not complete yet.
    pub fn run_at(&self, at: u64, first: &BatchHeader, bytes_max: usize, len: u64) -> Result<Option<Run>> {
        let want = bytes_max.max(first.batch_bytes as usize) as u64;
        let bytes = self.bytes_at(at, want.min(len - at) as usize)?;
        let mut walk = batches(&bytes);
        let mut ends = 0;
        let mut last = None;
        let mut before = None;
        while let Some(Ok((found_at, view))) = walk.next() {
            before = last.replace((found_at, *view.header()));
            ends = found_at + view.bytes().len();
        }
        let Some((last_at, header)) = last else { return Ok(None) };
        if self.is_sealed || self.is_complete(&bytes[last_at..ends], at + ends as u64, len)? {
            return Ok(Some(run(bytes.slice(..ends), at, last_at, header)));
        }
        Ok(before.map(|(before_at, header)| run(bytes.slice(..last_at), at, before_at, header)))
    }

    /// Whether a batch whose bytes seem to be all there is. Its checksum says so; if that does not fit, then only a batch behind
    /// it, because a writer writes one after the other: then it is damage, and whoever checks it will say so.
    fn is_complete(&self, batch: &[u8], next_at: u64, len: u64) -> Result<bool> {
        let view = BatchView::parse(batch)?;
        if view.crc_matches() {
            return Ok(true);
        }
        let next = self.header_at(next_at, len)?;
        Ok(next.is_some_and(|next| next.base_offset >= view.header().end_offset()))
    }

    /// One whole batch.
    pub fn batch_at(&self, at: u64, header: &BatchHeader) -> Result<Bytes> {
        self.bytes_at(at, header.batch_bytes as usize)
    }
}

fn run(bytes: Bytes, at: u64, last_at: usize, last: BatchHeader) -> Run {
    Run { bytes, last_at: at + last_at as u64, last }
}

/// Device and inode: tells a file that was made anew under the old name. Asked of the operating system itself, because the
/// simulator has no second processes.
fn identity(path: &Path) -> Option<(u64, u64)> {
    std::fs::metadata(path).ok().map(|found| (found.dev(), found.ino()))
}
