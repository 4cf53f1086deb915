//! One append-only file of whole batches, in offset order, with its three indexes.
//!
//! Only the last segment of a log is written. All others are sealed: synced, and they never change again. A sealed segment is read
//! through a mapping (bounded by [`OpenFiles`]), the last one by `pread` below the published length.

use super::api::SegmentSummary;
use super::index::{OffsetIndex, TimeIndex};
use super::log::Appender;
use super::names::{file_name, FileKind};
use super::open_files::OpenFiles;
use super::recovery::remove_if_there;
use super::retention::SEGMENT_FILES;
use super::times::Times;
use super::txn_index::TxnIndex;
use crate::disk::{Disk, DiskFile};
use crate::error::{Error, ErrorCode, Result};
use crate::planted::planted;
use crate::record::{BatchHeader, BATCH_HEADER_BYTES};
use crate::types::{Offset, Position, Timestamp};
use bytes::Bytes;
use parking_lot::Mutex;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::Arc;

/// "No timestamp" and "not known yet" in the atomics below.
const NONE: i64 = -1;

pub(super) struct Segment {
    pub(super) base: Offset,
    /// This segment's name among the engine's mappings.
    key: u64,
    files: Arc<OpenFiles>,
    disk: Arc<dyn Disk>,
    path: PathBuf,
    /// Held from the first write to the last sync: an error of the write-back is reported to this descriptor.
    file: Mutex<Option<Arc<dyn DiskFile>>>,
    /// Whole batches only; readers never look further.
    bytes: AtomicU64,
    /// Next free offset.
    end: AtomicU64,
    max_timestamp: AtomicI64,
    /// Last offset of the batch that brought `max_timestamp`.
    max_timestamp_offset: AtomicU64,
    /// Largest timestamp of the first batch: what `segment.ms` counts from.
    first_timestamp: AtomicI64,
    /// Wall clock when the segment was created or opened.
    pub(super) created: Timestamp,
    sealed: AtomicBool,
    pub(super) offset_index: OffsetIndex,
    pub(super) time_index: TimeIndex,
    pub(super) txn_index: TxnIndex,
    pub(super) times: Times,
}

impl fmt::Debug for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Segment").field("path", &self.path).field("bytes", &self.bytes()).finish_non_exhaustive()
    }
}

/// What every segment of a log is made with.
pub(super) struct SegmentSetup<'a> {
    pub disk: &'a Arc<dyn Disk>,
    pub files: &'a Arc<OpenFiles>,
    pub dir: &'a Path,
    pub index_bytes_max: u32,
    pub now: Timestamp,
}

impl SegmentSetup<'_> {
    pub(super) fn path(&self, base: Offset, kind: FileKind) -> PathBuf {
        self.dir.join(file_name(base, kind))
    }

    /// A new, empty segment; leftovers of its name are removed first. The caller syncs the directory before anybody relies on it.
    pub(super) fn create(&self, base: Offset, reserve: u64) -> Result<Segment> {
        self.clear(base)?;
        let path = self.path(base, FileKind::Log);
        let file = self.disk.create(&path, reserve).map_err(|e| Error::io("create segment", &path, e))?;
        self.assemble(base, path, Some(file), 0)
    }

    /// Removes whatever has the name of a segment.
    pub(super) fn clear(&self, base: Offset) -> Result<()> {
        SEGMENT_FILES.iter().try_for_each(|kind| remove_if_there(&**self.disk, &self.path(base, *kind)))
    }

    /// The last segment of a log, for reading and writing. Its end is what the caller's scan says.
    pub(super) fn open_active(&self, base: Offset) -> Result<Segment> {
        let path = self.path(base, FileKind::Log);
        let file = self.disk.open(&path).map_err(|e| Error::io("open segment", &path, e))?;
        let bytes = file.len().map_err(|e| Error::io("measure segment", &path, e))?;
        self.assemble(base, path, Some(file), bytes)
    }

    fn assemble(&self, base: Offset, path: PathBuf, file: Option<Arc<dyn DiskFile>>, bytes: u64) -> Result<Segment> {
        let (index, time) = (self.path(base, FileKind::Index), self.path(base, FileKind::TimeIndex));
        let offset_index = OffsetIndex::open_active(self.disk, &index, base, self.index_bytes_max)?;
        let time_index = TimeIndex::open_active(self.disk, &time, base, self.index_bytes_max)?;
        self.build(base, path, file, bytes, offset_index, time_index, false)
    }

    /// A sealed segment that ends where the next one begins. Nothing of it is read now.
    pub(super) fn open_sealed(&self, base: Offset, end: Offset) -> Result<Segment> {
        let path = self.path(base, FileKind::Log);
        let file = self.disk.open_read(&path).map_err(|e| Error::io("open segment", &path, e))?;
        let bytes = file.len().map_err(|e| Error::io("measure segment", &path, e))?;
        let offset_index = OffsetIndex::open_sealed(self.disk, &self.path(base, FileKind::Index), base);
        let time_index = TimeIndex::open_sealed(self.disk, &self.path(base, FileKind::TimeIndex), base);
        let segment = self.build(base, path, None, bytes, offset_index, time_index, true)?;
        segment.end.store(end.0, Ordering::Release);
        Ok(segment)
    }

    #[allow(clippy::too_many_arguments)]
    fn build(
        &self,
        base: Offset,
        path: PathBuf,
        file: Option<Arc<dyn DiskFile>>,
        bytes: u64,
        offset_index: OffsetIndex,
        time_index: TimeIndex,
        sealed: bool,
    ) -> Result<Segment> {
        let txn = self.path(base, FileKind::TxnIndex);
        let txn_index = match TxnIndex::open(self.disk, &txn, base) {
            Ok(index) => index,
            // A cache: the scan that follows an unclean end fills it again.
            Err(e) if e.code() == ErrorCode::CORRUPT_MESSAGE => TxnIndex::discard(self.disk, &txn, base)?,
            Err(e) => return Err(e),
        };
        Ok(Segment {
            base,
            key: self.files.key(),
            files: self.files.clone(),
            disk: self.disk.clone(),
            path,
            file: Mutex::new(file),
            bytes: AtomicU64::new(bytes),
            end: AtomicU64::new(base.0),
            max_timestamp: AtomicI64::new(NONE),
            max_timestamp_offset: AtomicU64::new(base.0),
            first_timestamp: AtomicI64::new(NONE),
            created: self.now,
            sealed: AtomicBool::new(sealed),
            offset_index,
            time_index,
            txn_index,
            times: Times::new(bytes),
        })
    }
}

impl Segment {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Acquire)
    }

    pub(super) fn end(&self) -> Offset {
        Offset(self.end.load(Ordering::Acquire))
    }

    pub(super) fn is_sealed(&self) -> bool {
        self.sealed.load(Ordering::Acquire)
    }

    /// Largest timestamp and the last offset of the batch that brought it, as the time index has it where the segment was opened
    /// and not written: [`Times`] knows whether that is true. While somebody else appends, the two may be of neighbouring batches.
    pub(super) fn max_timestamp(&self) -> Option<(Timestamp, Offset)> {
        let known = self.max_timestamp.load(Ordering::Acquire);
        if known != NONE {
            return Some((Timestamp(known), Offset(self.max_timestamp_offset.load(Ordering::Acquire))));
        }
        if !self.is_sealed() {
            return None;
        }
        let last = self.time_index.last_entry().ok().flatten()?;
        self.note_timestamp(last.timestamp.0, last.offset);
        Some((last.timestamp, last.offset))
    }

    /// Last modification of the file: stands in for the largest timestamp where no record has one.
    pub(super) fn modified(&self) -> Option<Timestamp> {
        let held = self.file.lock().clone();
        let file = match held {
            Some(file) => file,
            None => self.disk.open_read(&self.path).ok()?,
        };
        file.modified_ms().ok().map(Timestamp)
    }

    /// `segment.ms` counts from here; read from the first batch once.
    pub(super) fn first_timestamp(&self) -> Option<Timestamp> {
        let known = self.first_timestamp.load(Ordering::Relaxed);
        if known != NONE {
            return Some(Timestamp(known));
        }
        let first = self.header_at(Position(0)).ok().flatten()?;
        self.first_timestamp.store(first.max_timestamp, Ordering::Relaxed);
        (first.max_timestamp != NONE).then_some(Timestamp(first.max_timestamp))
    }

    fn note_timestamp(&self, timestamp: i64, last_offset: Offset) {
        if timestamp > self.max_timestamp.load(Ordering::Relaxed) {
            self.max_timestamp_offset.store(last_offset.0, Ordering::Release);
            self.max_timestamp.store(timestamp, Ordering::Release);
        }
    }

    /// A batch lies at the end of the file now: the readers may see it.
    pub(super) fn publish(&self, batch_bytes: u64, last_offset: Offset, max_timestamp: i64) {
        if self.bytes.load(Ordering::Relaxed) == 0 {
            self.first_timestamp.store(max_timestamp, Ordering::Relaxed);
        }
        self.note_timestamp(max_timestamp, last_offset);
        self.times.publish(max_timestamp);
        self.end.store(last_offset.next().0, Ordering::Release);
        self.bytes.fetch_add(batch_bytes, Ordering::Release);
    }

    /// Sets the end to what a scan found: `bytes` of whole batches up to `end`, newest timestamp included.
    pub(super) fn set_end(&self, bytes: u64, end: Offset, newest: Option<(Timestamp, Offset)>) {
        self.end.store(end.0, Ordering::Release);
        self.bytes.store(bytes, Ordering::Release);
        self.max_timestamp.store(NONE, Ordering::Release);
        if bytes == 0 {
            self.first_timestamp.store(NONE, Ordering::Relaxed);
        }
        if let Some((timestamp, offset)) = newest {
            self.note_timestamp(timestamp.0, offset);
        }
        self.times.inherit(bytes, end, newest.map(|(timestamp, _)| timestamp));
    }

    /// The descriptor that was written through. `STATE` once sealed.
    pub(super) fn writer(&self) -> Result<Arc<dyn DiskFile>> {
        self.file
            .lock()
            .clone()
            .ok_or_else(|| Error::new(ErrorCode::STATE, format!("{} is sealed", self.path.display())))
    }

    /// The forced last entry of the time index (roll, flush, close). Only for him who holds the appender: otherwise the timestamp might be of
    /// one batch and the offset of the next.
    pub(super) fn finish_time_index(&self, _held: &Appender) {
        if let Some((timestamp, offset)) = self.max_timestamp() {
            // A missing entry only makes a search by time start earlier: the file could not grow, or a false last line of a damaged
            // index stands in the way. The log is not touched by either.
            let _ = self.time_index.maybe_append(timestamp, offset, true);
        }
    }

    /// Makes the three indexes durable.
    pub(super) fn sync_indexes(&self) -> Result<()> {
        self.offset_index.sync()?;
        self.time_index.sync()?;
        self.txn_index.sync()
    }

    /// Ends writing. The caller has synced the log and the indexes.
    pub(super) fn seal(&self) {
        self.offset_index.seal();
        self.time_index.seal();
        self.txn_index.seal();
        self.sealed.store(true, Ordering::Release);
        *self.file.lock() = None;
    }

    /// Forgets what is held open; held bytes stay valid.
    pub(super) fn unload(&self) {
        self.files.forget(self.key);
        self.offset_index.unload();
        self.time_index.unload();
    }

    /// The whole sealed file, mapped.
    fn mapping(&self) -> Result<Bytes> {
        let bytes = self.bytes();
        self.files.get(self.key, || {
            let file = self.disk.open_read(&self.path).map_err(|e| Error::io("open segment", &self.path, e))?;
            file.map(bytes).map_err(|e| Error::io("map segment", &self.path, e))
        })
    }

    /// Up to `len` bytes from `at`: a slice of the mapping, or a copy of the tail that is still written.
    pub(super) fn bytes_at(&self, at: u64, len: usize) -> Result<Bytes> {
        let end = self.bytes();
        let len = (end.saturating_sub(at)).min(len as u64) as usize;
        if len == 0 {
            return Ok(Bytes::new());
        }
        let held = self.file.lock().clone();
        if let Some(file) = held {
            let read = self.files.buffers.filled(len, |into| file.read_at(at, into));
            return read.map_err(|e| Error::io("read segment", &self.path, e));
        }
        let at = at as usize;
        Ok(self.mapping()?.slice(at..at + len))
    }

    /// The header of the batch at `at`; `None` where the published bytes end. A batch that claims to reach past them is damage:
    /// whole batches are all that is ever published.
    pub(super) fn header_at(&self, at: Position) -> Result<Option<BatchHeader>> {
        let (at, end) = (u64::from(at.0), self.bytes());
        if at >= end {
            return Ok(None);
        }
        let held = self.file.lock().clone();
        let header = match held {
            Some(file) => {
                let mut head = [0; BATCH_HEADER_BYTES];
                let len = (end - at).min(BATCH_HEADER_BYTES as u64) as usize;
                file.read_at(at, &mut head[..len]).map_err(|e| Error::io("read segment", &self.path, e))?;
                BatchHeader::parse(&head[..len])
            }
            None => BatchHeader::parse(&self.mapping()?[at as usize..]),
        };
        let header = header.map_err(|e| self.placed(e, at))?;
        if at + u64::from(header.batch_bytes) > end {
            let what = format!("a batch of {} bytes reaches past the end of the file ({end})", header.batch_bytes);
            return Err(self.placed(Error::new(ErrorCode::CORRUPT_MESSAGE, what), at));
        }
        Ok(Some(header))
    }

    /// The offset that the batch at byte `at` claims; `None` where none begins, or what begins there makes no sense.
    pub(super) fn base_offset_at(&self, at: u64) -> Result<Option<Offset>> {
        let Ok(at) = u32::try_from(at) else { return Ok(None) };
        match self.header_at(Position(at)) {
            Ok(header) => Ok(header.map(|header| header.base_offset)),
            Err(e) if e.code() == ErrorCode::KAFKA_STORAGE_ERROR => Err(e),
            Err(_) => Ok(None),
        }
    }

    /// Says where in which file the bytes make no sense.
    pub(super) fn placed(&self, error: Error, at: u64) -> Error {
        error.within(format_args!("{} at byte {at}", self.path.display()))
    }

    /// The first batch whose last offset is not below `target`, from an index hint that is believed only if the log confirms it.
    pub(super) fn locate(&self, target: Offset) -> Result<Option<(Position, BatchHeader)>> {
        let mut at = self.confirmed_hint(target)?;
        let mut end = self.base;
        while let Some(header) = self.header_at(at)? {
            // Offsets lie outside of the checksum: that they grow is all that guards them.
            if header.base_offset < end || header.end_offset() > self.end() {
                let what = format!(
                    "a batch at offsets {} to {} where {end} or more was expected",
                    header.base_offset,
                    header.last_offset()
                );
                return Err(self.placed(Error::new(ErrorCode::CORRUPT_MESSAGE, what), u64::from(at.0)));
            }
            if header.last_offset() >= target {
                return Ok(Some((at, header)));
            }
            end = header.end_offset();
            at = self.after(at, &header)?;
        }
        Ok(None)
    }

    /// Where to start looking for `target`. An index is a cache: whatever it says, the batch at its position has to end at its offset.
    pub(super) fn confirmed_hint(&self, target: Offset) -> Result<Position> {
        let (offset, position) = self.offset_index.lookup(target);
        if position == Position(0) || planted!("bug-trust-torn-index") {
            return Ok(position);
        }
        match self.header_at(position) {
            Ok(Some(header)) if header.last_offset() == offset => Ok(position),
            _ => Ok(Position(0)),
        }
    }

    /// The position behind the batch at `at`.
    pub(super) fn after(&self, at: Position, header: &BatchHeader) -> Result<Position> {
        let next = u64::from(at.0) + u64::from(header.batch_bytes);
        u32::try_from(next).map(Position).map_err(|_| {
            let what = format!("{}: a batch at byte {} claims to end past 4 GiB", self.path.display(), at.0);
            Error::new(ErrorCode::CORRUPT_MESSAGE, what)
        })
    }

    pub(super) fn summary(&self) -> SegmentSummary {
        SegmentSummary {
            base_offset: self.base,
            end_offset: self.end(),
            log_bytes: self.bytes(),
            max_timestamp: self.max_timestamp().map(|(timestamp, _)| timestamp),
            sealed: self.is_sealed(),
        }
    }
}
