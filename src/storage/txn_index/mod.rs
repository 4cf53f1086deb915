//! `.txnindex`: the aborted transactions whose abort marker lies in the segment.
//!
//! A reader of committed records asks it which producers' records to skip. Not mapped, not cached: most segments have none,
//! and the file is created by the first entry only.

#[cfg(test)]
mod tests;

use crate::disk::{Disk, DiskFile};
use crate::error::{Error, ErrorCode, Result};
use crate::types::Offset;
use parking_lot::RwLock;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes of one entry.
pub const TXN_ENTRY_BYTES: usize = 34;
/// The only version there is.
const TXN_ENTRY_VERSION: i16 = 0;
/// Entries that are read at a time.
const READ_ENTRIES: u64 = 512;

/// One aborted transaction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AbortedTxn {
    pub producer_id: i64,
    /// Offset of its first data batch.
    pub first_offset: Offset,
    /// Offset of its abort marker.
    pub last_offset: Offset,
    /// The last stable offset right after the marker.
    pub last_stable_offset: Offset,
}

// transaction index entry, all big-endian
//  0         2             10             18            26                   34
//  +---------+-------------+--------------+-------------+--------------------+
//  | version | producer id | first offset | last offset | last stable offset |
//  | i16 = 0 | i64         | i64          | i64         | i64                |
//  +---------+-------------+--------------+-------------+--------------------+
impl AbortedTxn {
    fn encode(&self) -> [u8; TXN_ENTRY_BYTES] {
        let mut bytes = [0; TXN_ENTRY_BYTES];
        bytes[..2].copy_from_slice(&TXN_ENTRY_VERSION.to_be_bytes());
        bytes[2..10].copy_from_slice(&self.producer_id.to_be_bytes());
        bytes[10..18].copy_from_slice(&self.first_offset.0.to_be_bytes());
        bytes[18..26].copy_from_slice(&self.last_offset.0.to_be_bytes());
        bytes[26..].copy_from_slice(&self.last_stable_offset.0.to_be_bytes());
        bytes
    }

    /// `None` for what no aborted transaction can be: it has a producer, and data before its marker.
    fn decode(bytes: &[u8]) -> Option<AbortedTxn> {
        let number = |at: usize| Some(i64::from_be_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        let offset = |at: usize| number(at).and_then(|value| u64::try_from(value).ok()).map(Offset);
        let entry = AbortedTxn {
            producer_id: number(2).filter(|id| *id >= 0)?,
            first_offset: offset(10)?,
            last_offset: offset(18)?,
            last_stable_offset: offset(26)?,
        };
        let version = i16::from_be_bytes(bytes[..2].try_into().ok()?);
        (version == TXN_ENTRY_VERSION && entry.first_offset < entry.last_offset).then_some(entry)
    }
}

/// The entries in the bytes of a file, a part of one at the end left aside. CORRUPT_MESSAGE for bytes that are none.
pub fn decode(bytes: &[u8]) -> Result<Vec<AbortedTxn>> {
    let entries = bytes.chunks_exact(TXN_ENTRY_BYTES).enumerate();
    let decoded = entries.map(|(place, bytes)| {
        let entry = AbortedTxn::decode(bytes);
        entry.ok_or_else(|| Error::new(ErrorCode::CORRUPT_MESSAGE, format!("entry {place} makes no sense")))
    });
    decoded.collect()
}

/// The transaction index of one segment. One writer at a time, readers beside it.
pub struct TxnIndex {
    disk: Arc<dyn Disk>,
    base: Offset,
    state: RwLock<State>,
}

struct State {
    path: PathBuf,
    count: u64,
    /// Marker offset of the newest entry.
    last_offset: Option<Offset>,
    exists: bool,
    /// Open from the first write until the segment is sealed.
    file: Option<Arc<dyn DiskFile>>,
}

impl State {
    fn corrupt(&self, why: impl fmt::Display) -> Error {
        Error::new(ErrorCode::CORRUPT_MESSAGE, format!("transaction index {} {why}", self.path.display()))
    }
    fn failed(&self, doing: &str) -> impl FnOnce(io::Error) -> Error + '_ {
        let doing = doing.to_owned();
        move |error| Error::io(&doing, &self.path, error)
    }
}

impl TxnIndex {
    /// Remembers where the file is or will be, and reads it through if it is there. CORRUPT_MESSAGE for one that is not sane; its
    /// segment is to be rebuilt then, with [`discard`](TxnIndex::discard). A part of an entry at the end is not looked at.
    pub fn open(disk: &Arc<dyn Disk>, path: &Path, base: Offset) -> Result<TxnIndex> {
        let mut index = TxnIndex::absent(disk, path, base);
        let state = index.state.get_mut();
        let file = match disk.open_read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(index),
            opened => opened.map_err(state.failed("open"))?,
        };
        let count = file.len().map_err(state.failed("look at"))? / TXN_ENTRY_BYTES as u64;
        let mut last = None;
        for_each(&*file, state, count, |place, entry| {
            if entry.last_offset < base || last.is_some_and(|last| entry.last_offset <= last) {
                return Err(format!("entry {place} has its marker at {}, base is {base}", entry.last_offset));
            }
            last = Some(entry.last_offset);
            Ok(true)
        })?;
        (state.count, state.last_offset, state.exists) = (count, last, true);
        Ok(index)
    }

    /// Removes the file if there is one and starts empty; not synced.
    pub fn discard(disk: &Arc<dyn Disk>, path: &Path, base: Offset) -> Result<TxnIndex> {
        match disk.remove(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", path, error)),
            _ => Ok(TxnIndex::absent(disk, path, base)),
        }
    }

    fn absent(disk: &Arc<dyn Disk>, path: &Path, base: Offset) -> TxnIndex {
        let state = State { path: path.to_owned(), count: 0, last_offset: None, exists: false, file: None };
        TxnIndex { disk: Arc::clone(disk), base, state: RwLock::new(state) }
    }

    /// Adds an entry, creating the file for the first one. Not synced.
    ///
    /// # Errors
    /// CORRUPT_MESSAGE when its marker does not lie above the last entry's and in the segment; KAFKA_STORAGE_ERROR.
    pub fn append(&self, aborted: AbortedTxn) -> Result<()> {
        let mut state = self.state.write();
        if aborted.last_offset < self.base || state.last_offset.is_some_and(|last| aborted.last_offset <= last) {
            return Err(state.corrupt(format_args!("takes ascending markers only, not {}", aborted.last_offset)));
        }
        let file = self.writable(&mut state)?;
        let at = state.count * TXN_ENTRY_BYTES as u64;
        file.write_at(at, &aborted.encode()).map_err(state.failed("write"))?;
        state.count += 1;
        state.last_offset = Some(aborted.last_offset);
        Ok(())
    }

    fn writable(&self, state: &mut State) -> Result<Arc<dyn DiskFile>> {
        if let Some(file) = &state.file {
            return Ok(Arc::clone(file));
        }
        let file = if state.exists {
            self.disk.open(&state.path).map_err(state.failed("open"))?
        } else {
            self.disk.create(&state.path, 0).map_err(state.failed("create"))?
        };
        state.exists = true;
        state.file = Some(Arc::clone(&file));
        Ok(file)
    }

    /// Appends to `into` the transactions with records in `[from, to)`. True when later segments need not be asked: at the
    /// marker of the last entry looked at, everything below `to` was decided.
    pub fn collect(&self, from: Offset, to: Offset, into: &mut Vec<AbortedTxn>) -> Result<bool> {
        let mut is_complete = false;
        self.read(|entry| {
            if entry.last_offset >= from && entry.first_offset < to {
                into.push(entry);
            }
            is_complete = entry.last_stable_offset >= to;
            !is_complete
        })?;
        Ok(is_complete)
    }

    /// All entries.
    #[cfg(test)]
    pub fn entries(&self) -> Result<Vec<AbortedTxn>> {
        let mut entries = Vec::new();
        self.read(|entry| {
            entries.push(entry);
            true
        })?;
        Ok(entries)
    }

    /// Gives the entries to `take` until it has enough.
    fn read(&self, mut take: impl FnMut(AbortedTxn) -> bool) -> Result<()> {
        let state = self.state.read();
        if state.count == 0 {
            return Ok(());
        }
        let file = match &state.file {
            Some(file) => Arc::clone(file),
            None => self.disk.open_read(&state.path).map_err(state.failed("open"))?,
        };
        for_each(&*file, &state, state.count, |_, entry| Ok(take(entry)))
    }

    /// Drops the entries from the first one on whose marker lies at `end` or above. Not synced: an entry that comes back
    /// after a crash names a marker that is gone, and recovery rebuilds the file.
    pub fn truncate_to(&self, end: Offset) -> Result<()> {
        let (mut kept, mut last_offset) = (0, None);
        self.read(|entry| {
            let is_kept = entry.last_offset < end;
            if is_kept {
                (kept, last_offset) = (kept + 1, Some(entry.last_offset));
            }
            is_kept
        })?;
        let mut state = self.state.write();
        if kept < state.count {
            let file = self.writable(&mut state)?;
            file.set_len(kept * TXN_ENTRY_BYTES as u64).map_err(state.failed("cut"))?;
            (state.count, state.last_offset) = (kept, last_offset);
        }
        Ok(())
    }

    /// Closes the file until it is needed again; syncs nothing.
    pub fn seal(&self) {
        self.state.write().file = None;
    }

    /// Marker offset of the newest entry.
    #[must_use]
    pub fn last_offset(&self) -> Option<Offset> {
        self.state.read().last_offset
    }

    /// Makes all entries durable; the file's name when the caller syncs the directory. No effect when there is no file.
    pub fn sync(&self) -> Result<()> {
        let (path, file) = {
            let state = self.state.read();
            if !state.exists {
                return Ok(());
            }
            let file = match &state.file {
                Some(file) => Arc::clone(file),
                None => self.disk.open(&state.path).map_err(state.failed("open"))?,
            };
            (state.path.clone(), file)
        };
        file.sync_data().map_err(|e| Error::sync("sync", &path, e))
    }
}

/// Gives the first `count` entries to `take`, which answers whether it wants more, or what is wrong with this one.
fn for_each(
    file: &dyn DiskFile,
    state: &State,
    count: u64,
    mut take: impl FnMut(u64, AbortedTxn) -> std::result::Result<bool, String>,
) -> Result<()> {
    let mut place = 0;
    let mut chunk = Vec::new();
    while place < count {
        let entries = READ_ENTRIES.min(count - place);
        chunk.resize(entries as usize * TXN_ENTRY_BYTES, 0);
        file.read_at(place * TXN_ENTRY_BYTES as u64, &mut chunk).map_err(state.failed("read"))?;
        for bytes in chunk.chunks_exact(TXN_ENTRY_BYTES) {
            let entry = AbortedTxn::decode(bytes);
            let entry = entry.ok_or_else(|| state.corrupt(format_args!("entry {place} makes no sense")))?;
            if !take(place, entry).map_err(|why| state.corrupt(why))? {
                return Ok(());
            }
            place += 1;
        }
    }
    Ok(())
}

impl fmt::Debug for TxnIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.read();
        f.debug_struct("TxnIndex").field("base", &self.base).field("count", &state.count).finish_non_exhaustive()
    }
}
