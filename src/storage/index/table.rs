//! A file of equally long entries in ascending order: what the two indexes have in common.

use crate::disk::{Disk, DiskFile, WritableMap};
use crate::error::{Error, ErrorCode, Result};
use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use std::io;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

/// What an active index maps first. Thousands of partitions may be open, most of them small.
const FIRST_MAP_BYTES: usize = 4096;
/// How much of a file is read at a time when its entries are counted.
const COUNT_CHUNK_BYTES: usize = 48 * 1024;
/// A foreign index is only copied up to here; lookups behind that take longer, nothing else.
const FOREIGN_BYTES_MAX: usize = 64 << 20;
/// No entry is longer.
const ENTRY_BYTES_MAX: usize = 12;

/// One entry of an index.
pub(super) trait Entry: Copy {
    const BYTES: usize;
    fn put(self, into: &mut [u8]);
    /// `None` for bytes that no entry has (a sign bit where there must be none).
    fn get(from: &[u8]) -> Option<Self>;
    /// Whether this entry may stand behind `previous`.
    fn follows(self, previous: Self) -> bool;
}

/// The entries of one index file.
pub(super) struct Table<E> {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    /// Another process writes the file, and may cut it: so it is copied, never mapped.
    is_foreign: bool,
    /// Entries that readers may look at while the index is active; means nothing otherwise. Written by the one writer only.
    count: AtomicUsize,
    entries_max: AtomicUsize,
    /// Taken for reading by lookups and appends, for writing by whatever replaces the backing or takes entries away.
    backing: RwLock<Backing>,
    /// Held by a sync as long as it keeps the mapping alive: a mapping that is to cut its file when it goes must be gone before
    /// another index opens the file.
    syncing: Mutex<()>,
    entry: PhantomData<fn() -> E>,
}

enum Backing {
    /// Not mapped before the first entry.
    Active { file: Arc<dyn DiskFile>, map: Option<Arc<dyn WritableMap>> },
    /// Sealed, to be opened by whoever asks first.
    Unopened,
    /// Sealed; exactly the entries.
    Sealed(Bytes),
    /// The file is another's now. Whoever still asks gets what an empty index answers.
    Retired,
}

impl<E: Entry> Table<E> {
    pub(super) fn open_active(disk: &Arc<dyn Disk>, path: &Path, bytes_max: u32) -> Result<Table<E>> {
        let mut table = Table::open_sealed(disk, path, false);
        table.activate(bytes_max)?;
        Ok(table)
    }

    pub(super) fn open_sealed(disk: &Arc<dyn Disk>, path: &Path, is_foreign: bool) -> Table<E> {
        const { assert!(E::BYTES <= ENTRY_BYTES_MAX) };
        Table {
            disk: Arc::clone(disk),
            path: path.to_owned(),
            is_foreign,
            count: AtomicUsize::new(0),
            entries_max: AtomicUsize::new(0),
            backing: RwLock::new(Backing::Unopened),
            syncing: Mutex::new(()),
            entry: PhantomData,
        }
    }

    /// Makes the index writable, creating the file when it is absent.
    fn activate(&mut self, bytes_max: u32) -> Result<()> {
        let path = &self.path;
        let file = match self.disk.open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.disk.create(path, 0),
            opened => opened,
        };
        let file = file.map_err(|e| Error::io("open", path, e))?;
        let count = count_entries::<E>(&*file).map_err(|e| Error::io("read", path, e))?;
        // Behind the entries lie zeros or, after a crash, anything: old bytes must not come back to life when new entries grow
        // towards them. Nobody has the file mapped: whoever had was retired.
        let bytes = count * E::BYTES;
        let bytes_in_file = file.len().map_err(|e| Error::io("look at", path, e))?;
        if bytes_in_file > bytes as u64 {
            file.set_len(bytes as u64).map_err(|e| Error::io("cut", path, e))?;
        }
        // A larger index than the setting now allows keeps its entries and counts as full.
        let entries_max = (bytes_max as usize / E::BYTES).max(1);
        let map = match count {
            0 => None,
            _ => Some(map_for::<E>(&*file, path, count, entries_max.max(count))?),
        };
        self.entries_max.store(entries_max, Ordering::Relaxed);
        self.count.store(count, Ordering::Release);
        *self.backing.get_mut() = Backing::Active { file, map };
        Ok(())
    }

    /// Entries that fit, for an active index.
    pub(super) fn entries_max(&self) -> usize {
        self.entries_max.load(Ordering::Relaxed)
    }

    /// Number of entries of an active index.
    pub(super) fn active_count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Adds an entry. Nanoseconds, except when the mapping has to grow.
    pub(super) fn push(&self, entry: E) -> Result<()> {
        loop {
            let count = self.count.load(Ordering::Relaxed);
            let file = {
                let backing = self.backing.read();
                let Backing::Active { file, map } = &*backing else {
                    return Err(self.refusal(ErrorCode::STATE, "is sealed"));
                };
                match map {
                    Some(map) if map.capacity() >= (count + 1) * E::BYTES => {
                        if count > 0 && !get::<E>(&**map, count - 1).is_none_or(|last| entry.follows(last)) {
                            return Err(self.refusal(ErrorCode::CORRUPT_MESSAGE, "takes ascending entries only"));
                        }
                        let mut bytes = [0; ENTRY_BYTES_MAX];
                        entry.put(&mut bytes[..E::BYTES]);
                        map.write(count * E::BYTES, &bytes[..E::BYTES]);
                        self.count.store(count + 1, Ordering::Release);
                        return Ok(());
                    }
                    _ if count >= self.entries_max() => {
                        return Err(self.refusal(ErrorCode::STATE, "is full"));
                    }
                    _ => Arc::clone(file),
                }
            };
            self.grow(&*file, count + 1)?;
        }
    }

    fn refusal(&self, code: ErrorCode, why: &str) -> Error {
        Error::new(code, format!("index {} {why}", self.path.display()))
    }

    /// Maps the file again, larger. Both mappings show the same pages; readers go over to the new one.
    fn grow(&self, file: &dyn DiskFile, entries: usize) -> Result<()> {
        let larger = map_for::<E>(file, &self.path, entries, self.entries_max())?;
        if let Backing::Active { map, .. } = &mut *self.backing.write() {
            *map = Some(larger);
        }
        Ok(())
    }

    /// The last entry of those at the beginning for which `is_wanted` holds. Unreadable indexes have none.
    pub(super) fn last_where(&self, is_wanted: impl Fn(E) -> bool) -> Option<E> {
        self.view(|view| view.first_not(&is_wanted).checked_sub(1).and_then(|last| view.get(last))).unwrap_or(None)
    }

    pub(super) fn last(&self) -> Result<Option<E>> {
        self.view(|view| view.count().checked_sub(1).and_then(|last| view.get(last)))
    }

    pub(super) fn entries(&self) -> Result<Vec<E>> {
        self.view(|view| (0..view.count()).map_while(|index| view.get(index)).collect())
    }

    #[cfg(test)]
    pub(super) fn count(&self) -> Result<usize> {
        self.view(|view| view.count())
    }

    /// Keeps the entries at the beginning for which `is_kept` holds. What is dropped is zeroed, so that it does not come back
    /// with a crash.
    pub(super) fn truncate_where(&self, is_kept: impl Fn(E) -> bool) -> Result<()> {
        let backing = self.backing.write();
        let Backing::Active { map, .. } = &*backing else {
            return Err(self.refusal(ErrorCode::STATE, "is sealed"));
        };
        let Some(map) = map else { return Ok(()) };
        let count = self.count.load(Ordering::Relaxed);
        let kept = View::<E>::Mapped(&**map, count, PhantomData).first_not(&is_kept);
        const ZEROS: [u8; 4096] = [0; 4096];
        let (mut at, end) = (kept * E::BYTES, count * E::BYTES);
        while at < end {
            let step = ZEROS.len().min(end - at);
            map.write(at, &ZEROS[..step]);
            at += step;
        }
        self.count.store(kept, Ordering::Release);
        Ok(())
    }

    pub(super) fn seal(&self) {
        let mut backing = self.backing.write();
        if let Backing::Active { map, .. } = &*backing {
            if let Some(map) = map {
                map.trim_on_close((self.count.load(Ordering::Relaxed) * E::BYTES) as u64);
            }
            *backing = Backing::Unopened;
        }
    }

    pub(super) fn sync(&self) -> Result<()> {
        let _syncing = self.syncing.lock();
        let active = match &*self.backing.read() {
            Backing::Active { file, map } => Some((Arc::clone(file), map.clone())),
            Backing::Retired => return Ok(()),
            Backing::Unopened | Backing::Sealed(_) => None,
        };
        let synced = match &active {
            Some((_, Some(map))) => map.sync(),
            Some((file, None)) => file.sync_data(),
            None => self.disk.open(&self.path).and_then(|file| file.sync_data()),
        };
        synced.map_err(|e| Error::sync("sync", &self.path, e))
    }

    pub(super) fn unload(&self) {
        let mut backing = self.backing.write();
        if matches!(*backing, Backing::Sealed(_)) {
            *backing = Backing::Unopened;
        }
    }

    pub(super) fn retire(&self) {
        let _no_sync = self.syncing.lock();
        *self.backing.write() = Backing::Retired;
    }

    /// Looks at the entries, opening a sealed file if need be.
    fn view<R>(&self, look: impl FnOnce(View<'_, E>) -> R) -> Result<R> {
        loop {
            {
                match &*self.backing.read() {
                    Backing::Active { map: Some(map), .. } => {
                        // Loaded under the lock: whatever lowers the count holds it for writing.
                        let count = self.count.load(Ordering::Acquire);
                        return Ok(look(View::Mapped(&**map, count, PhantomData)));
                    }
                    Backing::Active { map: None, .. } | Backing::Retired => return Ok(look(View::Read(&[]))),
                    Backing::Sealed(bytes) => return Ok(look(View::Read(bytes))),
                    Backing::Unopened => {}
                }
            }
            let mut backing = self.backing.write();
            if matches!(*backing, Backing::Unopened) {
                let bytes = self.load().map_err(|e| Error::io("read", &self.path, e))?;
                *backing = Backing::Sealed(bytes);
            }
        }
    }

    fn load(&self) -> io::Result<Bytes> {
        let file = self.disk.open_read(&self.path)?;
        let bytes = count_entries::<E>(&*file)? * E::BYTES;
        if bytes == 0 {
            return Ok(Bytes::new());
        }
        if !self.is_foreign {
            // Only the entries: should zeros behind them be cut off later, the mapping stays whole.
            return file.map(bytes as u64);
        }
        let mut copy = vec![0; bytes.min(FOREIGN_BYTES_MAX / E::BYTES * E::BYTES)];
        file.read_at(0, &mut copy)?;
        Ok(copy.into())
    }
}

/// A mapping with room for `entries`, by doubling from the first size up to `entries_max`.
fn map_for<E: Entry>(
    file: &dyn DiskFile,
    path: &Path,
    entries: usize,
    entries_max: usize,
) -> Result<Arc<dyn WritableMap>> {
    let bytes = (entries * E::BYTES).next_power_of_two().max(FIRST_MAP_BYTES);
    let bytes = (bytes / E::BYTES).clamp(entries, entries_max.max(entries)) * E::BYTES;
    file.map_mut(bytes as u64).map_err(|e| Error::io("map", path, e))
}

/// How many entries a file has: up to the first that is not one, that does not follow the one before, or the zeros
/// of a preallocated tail (which follow nothing). A length that is no multiple of the entry's has a rest that is not looked at.
fn count_entries<E: Entry>(file: &dyn DiskFile) -> io::Result<usize> {
    let slots = file.len()? / E::BYTES as u64;
    let slots = usize::try_from(slots).unwrap_or(usize::MAX);
    let chunk_slots = COUNT_CHUNK_BYTES / E::BYTES;
    let mut chunk = vec![0; chunk_slots.min(slots) * E::BYTES];
    let (mut count, mut previous, mut is_first_zero) = (0, None, false);
    'file: while count < slots {
        let bytes = chunk_slots.min(slots - count) * E::BYTES;
        file.read_at((count * E::BYTES) as u64, &mut chunk[..bytes])?;
        for slot in chunk[..bytes].chunks_exact(E::BYTES) {
            match E::get(slot) {
                Some(entry) if previous.is_none_or(|previous| entry.follows(previous)) => previous = Some(entry),
                _ => break 'file,
            }
            is_first_zero |= count == 0 && slot.iter().all(|b| *b == 0);
            count += 1;
        }
    }
    // Zeros are an honest first entry (first record, time 0), but not when nothing but zeros follows.
    Ok(if count == 1 && is_first_zero && slots > 1 { 0 } else { count })
}

/// Entries that do not move while somebody looks.
enum View<'a, E> {
    Mapped(&'a dyn WritableMap, usize, PhantomData<E>),
    Read(&'a [u8]),
}

impl<E: Entry> View<'_, E> {
    fn count(&self) -> usize {
        match self {
            View::Mapped(_, count, _) => *count,
            View::Read(bytes) => bytes.len() / E::BYTES,
        }
    }

    fn get(&self, index: usize) -> Option<E> {
        match self {
            View::Mapped(map, ..) => get(*map, index),
            View::Read(bytes) => E::get(bytes.get(index * E::BYTES..(index + 1) * E::BYTES)?),
        }
    }

    /// Binary search for the first entry that fails `holds`. Ends and stays in bounds whatever the entries are.
    fn first_not(&self, holds: &impl Fn(E) -> bool) -> usize {
        let (mut low, mut high) = (0, self.count());
        while low < high {
            let middle = low + (high - low) / 2;
            if self.get(middle).is_some_and(holds) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }
}

fn get<E: Entry>(map: &dyn WritableMap, index: usize) -> Option<E> {
    let mut bytes = [0; ENTRY_BYTES_MAX];
    map.read(index * E::BYTES, &mut bytes[..E::BYTES]);
    E::get(&bytes[..E::BYTES])
}
