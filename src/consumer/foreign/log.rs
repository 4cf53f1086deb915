//! A partition's directory as a source of batches.

use super::segment::{ForeignSegment, Place};
use super::times::Newest;
use super::watch::WatchThread;
use crate::consumer::source::{Ask, Bounds, Source};
use crate::disk::Disk;
use crate::error::{Error, ErrorCode, Result};
use crate::node::Notify;
use crate::record::BatchHeader;
use crate::storage::checkpoint::{OffsetCheckpoint, LOG_START_FILE};
use crate::storage::names::{parse_file_name, partition_dir_name, FileKind, FileState};
use crate::storage::AbortedTxn;
use crate::types::{Offset, Timestamp, TopicPartition};
use bytes::Bytes;
use parking_lot::Mutex;
use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// How often a read begins anew because files came or went under it. More often than this and somebody plays tricks.
const ATTEMPTS_MAX: u32 = 32;
/// Two changes of a directory may carry the same time when they are closer than the kernel's clock tick. So a listing made
/// this soon after a change is made again.
const TICK_MAX: Duration = Duration::from_millis(50);

/// Reads one partition's directory for one reader.
pub(in crate::consumer) struct ForeignLog {
    id: TopicPartition,
    disk: Arc<dyn Disk>,
    data_dir: PathBuf,
    dir: PathBuf,
    watch: Arc<WatchThread>,
    state: Mutex<State>,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) listing: Option<Listing>,
    /// The segment that was read last.
    pub(super) current: Option<ForeignSegment>,
    cursor: Option<Cursor>,
    /// The largest timestamps of sealed segments, as far as somebody walked them: their time indexes are hearsay.
    pub(super) newest: BTreeMap<Offset, Newest>,
}

/// The segments by name.
pub(super) struct Listing {
    /// Base offsets, ascending. Empty while the directory is being made.
    pub(super) bases: Vec<Offset>,
    pub(super) log_start: Offset,
    /// When the directory had changed last, and when it was looked at.
    changed: Option<SystemTime>,
    looked: SystemTime,
}

/// Where the reader stands in the files.
#[derive(Clone, Copy)]
struct Cursor {
    base: Offset,
    /// The next batch begins here, with this offset or a later one.
    at: u64,
    next: Offset,
    /// The batch before it, to see whether the log still is the same.
    last: Option<(u64, BatchHeader)>,
}

/// What became of one look at a segment.
enum Look {
    Found(Bytes),
    /// Nothing at or behind the offset in this segment. What is wanted lies behind `end`, or nowhere.
    End {
        end: Offset,
    },
    /// Files came or went: list them again.
    Changed,
}

impl ForeignLog {
    pub fn new(disk: Arc<dyn Disk>, data_dir: &Path, id: TopicPartition, watch: Arc<WatchThread>) -> ForeignLog {
        let dir = data_dir.join(partition_dir_name(&id));
        ForeignLog { id, disk, data_dir: data_dir.to_owned(), dir, watch, state: Mutex::default() }
    }

    fn list(&self, state: &mut State) -> Result<()> {
        let looked = SystemTime::now();
        let changed = self.dir_changed();
        let mut bases = Vec::new();
        match self.disk.list(&self.dir) {
            Ok(entries) => bases.extend(entries.iter().filter_map(|entry| {
                let name = parse_file_name(&entry.name)?;
                (name.kind == FileKind::Log && name.state == FileState::Live).then_some(name.base)
            })),
            // A topic's directories may come into being with the first record.
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.data_dir.is_dir() => {}
            Err(error) => return Err(Error::io("list", &self.dir, error)),
        }
        bases.sort_unstable();
        state.newest.retain(|base, _| bases.binary_search(base).is_ok());
        let (starts, _) = OffsetCheckpoint::read_lenient(&*self.disk, &self.data_dir.join(LOG_START_FILE));
        let checkpointed = starts.offsets.get(&self.id).copied().unwrap_or(Offset::ZERO);
        let log_start = bases.first().copied().unwrap_or(Offset::ZERO).max(checkpointed);
        if state.current.as_ref().is_some_and(|current| !current.is_still_there()) {
            state.current = None;
        }
        state.listing = Some(Listing { bases, log_start, changed, looked });
        Ok(())
    }

    fn dir_changed(&self) -> Option<SystemTime> {
        std::fs::metadata(&self.dir).and_then(|found| found.modified()).ok()
    }

    /// Lists the files again if they may have changed. True when there are other segments than before.
    fn refresh(&self, state: &mut State) -> Result<bool> {
        let Some(before) = &state.listing else {
            self.list(state)?;
            return Ok(true);
        };
        let is_settled = |changed: SystemTime| changed + TICK_MAX < before.looked;
        if self.dir_changed() == before.changed && before.changed.is_some_and(is_settled) {
            return Ok(false);
        }
        let (bases, log_start) = (before.bases.clone(), before.log_start);
        let had_current = state.current.is_some();
        self.list(state)?;
        let after = state.listing.as_ref().expect("just listed");
        Ok(after.bases != bases || after.log_start != log_start || state.current.is_some() != had_current)
    }

    /// Makes the segment at `index` of the listing the current one. False when its file is gone.
    pub(super) fn open(&self, state: &mut State, index: usize) -> Result<bool> {
        let listing = state.listing.as_ref().expect("listed before anything is opened");
        let base = listing.bases[index];
        if state.current.as_ref().is_none_or(|current| current.base != base) {
            state.current = ForeignSegment::open(&self.disk, &self.dir, base)?;
        }
        let Some(current) = &mut state.current else { return Ok(false) };
        if let Some(next) = listing.bases.get(index + 1) {
            current.is_sealed = true;
            if current.is_mapped() {
                return Ok(true);
            }
            // An empty next segment may mean that the roll is not over, and with `preallocate` this file not yet cut to size.
            let next = ForeignSegment::open(&self.disk, &self.dir, *next)?;
            if next.is_some_and(|next| next.len().is_ok_and(|len| len > 0)) {
                current.map()?;
            }
        }
        Ok(true)
    }

    fn try_read(&self, state: &mut State, ask: Ask) -> Result<Look> {
        let listing = state.listing.as_ref().expect("listed before anything is read");
        if ask.from < listing.log_start {
            return Err(self.out_of_range(state, ask.from));
        }
        let count = listing.bases.len();
        let floor = listing.bases.partition_point(|base| *base <= ask.from);
        let mut end = listing.log_start;
        for index in floor.saturating_sub(1)..count {
            if !self.open(state, index)? {
                return Ok(Look::Changed);
            }
            match self.look(state, ask)? {
                // A gap at the end of a segment: the next one has what is wanted.
                Look::End { end: here } => end = here,
                found => return Ok(found),
            }
        }
        Ok(Look::End { end })
    }

    /// Looks into the current segment.
    fn look(&self, state: &mut State, ask: Ask) -> Result<Look> {
        let current = state.current.as_ref().expect("opened by the caller");
        let len = current.len()?;
        let place = match state.cursor.filter(|cursor| cursor.base == current.base && cursor.next == ask.from) {
            Some(cursor) => {
                if cursor.last.is_some_and(|(at, header)| !current.still_holds(at, &header, len)) {
                    return Err(self.cut(state, ask.from));
                }
                match current.header_at(cursor.at, len)? {
                    Some(header) => Place::At(cursor.at, header),
                    None => return Ok(Look::End { end: cursor.next }),
                }
            }
            None => current.locate(ask.from, len)?,
        };
        let (at, first) = match place {
            Place::At(at, first) => (at, first),
            Place::End(at, end) => {
                if end == ask.from {
                    state.cursor = Some(Cursor { base: current.base, at, next: end, last: None });
                }
                return Ok(Look::End { end });
            }
        };
        let Some(run) = current.run_at(at, &first, ask.bytes_max, len)? else {
            return Ok(Look::End { end: ask.from.max(current.base) });
        };
        state.cursor = Some(Cursor {
            base: current.base,
            at: at + run.bytes.len() as u64,
            next: run.last.end_offset(),
            last: Some((run.last_at, run.last)),
        });
        Ok(Look::Found(run.bytes))
    }

    /// The batch that was read last is not there any more: the writer cut its log.
    fn cut(&self, state: &mut State, position: Offset) -> Error {
        *state = State::default();
        let ends = match self.end(state) {
            Ok(end) => format!("it ends at {end} now"),
            Err(error) => format!("and cannot be read now ({error})"),
        };
        let message = format!("{}: the log was cut below position {position}; {ends}", self.id);
        Error::new(ErrorCode::OFFSET_OUT_OF_RANGE, message)
    }

    fn out_of_range(&self, state: &mut State, asked: Offset) -> Error {
        let start = state.listing.as_ref().map_or(Offset::ZERO, |listing| listing.log_start);
        match self.end(state) {
            Ok(end) => {
                let message = format!("{}: offset {asked} was asked for, {start} to {end} are there", self.id);
                Error::new(ErrorCode::OFFSET_OUT_OF_RANGE, message)
            }
            Err(error) => error,
        }
    }

    /// The offset behind the last whole batch.
    fn end(&self, state: &mut State) -> Result<Offset> {
        for _ in 0..ATTEMPTS_MAX {
            self.refresh(state)?;
            let listing = state.listing.as_ref().expect("just listed");
            let (count, log_start) = (listing.bases.len(), listing.log_start);
            if count == 0 {
                return Ok(log_start);
            }
            if self.open(state, count - 1)? {
                let current = state.current.as_ref().expect("just opened");
                return Ok(self.end_of(current)?.max(log_start));
            }
            state.listing = None;
        }
        Err(self.restless())
    }

    fn end_of(&self, last: &ForeignSegment) -> Result<Offset> {
        let len = last.len()?;
        let end = match last.locate(Offset::MAX, len)? {
            Place::End(_, end) => end,
            Place::At(_, header) => header.end_offset(),
        };
        // The very last batch counts only once its bytes are all there.
        if end == last.base {
            return Ok(end);
        }
        match last.locate(Offset(end.0 - 1), len)? {
            Place::At(at, header) => Ok(match last.run_at(at, &header, 0, len)? {
                Some(run) => run.last.end_offset(),
                None => header.base_offset,
            }),
            Place::End(_, end) => Ok(end),
        }
    }

    fn restless(&self) -> Error {
        let message = format!("{}: the files changed {ATTEMPTS_MAX} times while they were read", self.dir.display());
        Error::new(ErrorCode::KAFKA_STORAGE_ERROR, message)
    }

    /// A topic that is neither in the directory nor in the catalogue any more.
    fn check_present(&self) -> Result<()> {
        if self.dir.is_dir() || super::super::read_only::is_known(&*self.disk, &self.data_dir, &self.id)? {
            return Ok(());
        }
        Err(Error::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, format!("{} is not in this directory", self.id)))
    }
}

impl Source for ForeignLog {
    fn read(&self, ask: Ask) -> Result<Bytes> {
        refuse_committed(ask.committed)?;
        let state = &mut *self.state.lock();
        for _ in 0..ATTEMPTS_MAX {
            // A sealed segment is read to its end without asking; at the tail anything may have happened.
            let looked = state.current.as_ref().is_none_or(|current| !current.is_sealed);
            if looked || state.listing.is_none() {
                self.refresh(state)?;
            }
            match self.try_read(state, ask)? {
                Look::Found(bytes) => return Ok(bytes),
                Look::Changed => state.listing = None,
                // What comes after this look is told by the watch.
                Look::End { .. } if !looked && self.refresh(state)? => {}
                Look::End { end } if ask.from > end => return Err(self.out_of_range(state, ask.from)),
                Look::End { .. } => {
                    self.check_present()?;
                    return Ok(Bytes::new());
                }
            }
        }
        Err(self.restless())
    }

    fn bounds(&self, committed: bool) -> Result<Bounds> {
        refuse_committed(committed)?;
        self.check_present()?;
        let state = &mut *self.state.lock();
        let end = self.end(state)?;
        let start = state.listing.as_ref().map_or(Offset::ZERO, |listing| listing.log_start);
        Ok(Bounds { start, end })
    }

    fn offset_for_timestamp(&self, at: Timestamp) -> Result<Option<(Offset, Timestamp)>> {
        self.check_present()?;
        let state = &mut *self.state.lock();
        self.refresh(state)?;
        self.first_at_or_after(state, at)
    }

    fn aborted(&self, _from: Offset, _to: Offset) -> Result<Vec<AbortedTxn>> {
        refuse_committed(true)?;
        Ok(Vec::new())
    }

    fn subscribe(&self, listener: Arc<dyn Notify>) -> Box<dyn Any + Send + Sync> {
        Box::new(self.watch.subscribe(&self.dir, listener))
    }
}

/// Which transactions are still open is known to the writer alone; its files say it only after a replay.
fn refuse_committed(committed: bool) -> Result<()> {
    if committed {
        let message = "isolation.level=read_committed is not possible in a directory that is opened read-only";
        return Err(Error::new(ErrorCode::INVALID_CONFIG, message));
    }
    Ok(())
}

impl fmt::Debug for ForeignLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ForeignLog({})", self.dir.display())
    }
}
