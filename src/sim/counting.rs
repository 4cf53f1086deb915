//! Counts what is asked of a disk, so that a test can hold a room to its budget, and lets a test in before each sync.

use crate::disk::{DirEntry, DirLock, Disk, DiskFile, WritableMap};
use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use std::fmt;
use std::io;
use std::ops::Sub;
use std::path::Path;
use std::sync::Arc;

/// The calls that a disk, an open file or a writable map knows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[allow(missing_docs)]
pub enum Call {
    List,
    Create,
    Open,
    CreateDir,
    Rename,
    Remove,
    RemoveDir,
    SyncDir,
    Exists,
    Lock,
    /// `len`, `modified_ms` and `allocated_bytes`.
    Stat,
    Read,
    /// `write_at` and `write_pieces_at`.
    Write,
    SetLen,
    Sync,
    /// `begin_writeback`.
    Writeback,
    Map,
    MapMut,
    /// A copy into a writable map. It cannot fail.
    MapWrite,
    MapSync,
}

impl Call {
    const COUNT: usize = Call::MapSync as usize + 1;

    /// Whether the call changes files, names, or what of them is durable.
    #[must_use]
    pub fn is_change(self) -> bool {
        use Call::{
            Create, CreateDir, Lock, MapMut, MapSync, MapWrite, Remove, RemoveDir, Rename, SetLen, Sync, SyncDir, Write,
        };
        matches!(
            self,
            Create
                | CreateDir
                | Rename
                | Remove
                | RemoveDir
                | SyncDir
                | Lock
                | Write
                | SetLen
                | Sync
                | MapMut
                | MapWrite
                | MapSync
        )
    }
}

/// How often each call was made. Subtract an earlier copy to see what one step cost.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct CallCounts {
    calls: [u64; Call::COUNT],
    /// Bytes of all reads.
    pub read_bytes: u64,
    /// Bytes of all writes that go through a file, not through a map.
    pub write_bytes: u64,
}

impl CallCounts {
    /// How often `call` was made.
    #[must_use]
    pub fn of(&self, call: Call) -> u64 {
        self.calls[call as usize]
    }

    /// All calls together, copies into maps left out: they are no system calls.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.calls.iter().sum::<u64>() - self.of(Call::MapWrite)
    }

    pub(super) fn add(&mut self, call: Call) {
        self.calls[call as usize] += 1;
    }
}

impl Sub for CallCounts {
    type Output = CallCounts;
    fn sub(self, earlier: CallCounts) -> CallCounts {
        let mut calls = self.calls;
        for (count, before) in calls.iter_mut().zip(earlier.calls) {
            *count -= before;
        }
        CallCounts {
            calls,
            read_bytes: self.read_bytes - earlier.read_bytes,
            write_bytes: self.write_bytes - earlier.write_bytes,
        }
    }
}

impl fmt::Debug for CallCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use Call::*;
        let all = [
            List, Create, Open, CreateDir, Rename, Remove, RemoveDir, SyncDir, Exists, Lock, Stat, Read, Write, SetLen,
            Sync, Writeback, Map, MapMut, MapWrite, MapSync,
        ];
        let mut out = f.debug_struct("CallCounts");
        for call in all.into_iter().filter(|call| self.of(*call) > 0) {
            out.field(&format!("{call:?}"), &self.of(call));
        }
        out.field("read_bytes", &self.read_bytes).field("write_bytes", &self.write_bytes).finish()
    }
}

/// Any disk, with a count of what was asked of it.
#[derive(Clone)]
pub struct CountingDisk {
    disk: Arc<dyn Disk>,
    counts: Counts,
    before_syncs: BeforeSyncs,
}

type Counts = Arc<Mutex<CallCounts>>;
type BeforeSyncs = Arc<RwLock<Option<Arc<dyn Fn() + Send + Sync>>>>;

impl CountingDisk {
    /// Counts from zero.
    #[must_use]
    pub fn new(disk: Arc<dyn Disk>) -> CountingDisk {
        CountingDisk { disk, counts: Counts::default(), before_syncs: BeforeSyncs::default() }
    }

    /// Has `call` made before the data of a file is synced from now on, on the thread that syncs.
    pub fn before_syncs(&self, call: impl Fn() + Send + Sync + 'static) {
        *self.before_syncs.write() = Some(Arc::new(call));
    }

    /// What was asked until now, successful or not.
    #[must_use]
    pub fn counts(&self) -> CallCounts {
        *self.counts.lock()
    }

    fn count(&self, call: Call) {
        self.counts.lock().add(call);
    }

    fn file(&self, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        Arc::new(CountingFile { file, counts: self.counts.clone(), before_syncs: self.before_syncs.clone() })
    }
}

impl fmt::Debug for CountingDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CountingDisk").field("counts", &self.counts()).finish_non_exhaustive()
    }
}

impl Disk for CountingDisk {
    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        self.count(Call::List);
        self.disk.list(dir)
    }

    fn create(&self, path: &Path, reserve: u64) -> io::Result<Arc<dyn DiskFile>> {
        self.count(Call::Create);
        Ok(self.file(self.disk.create(path, reserve)?))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.count(Call::Open);
        Ok(self.file(self.disk.open(path)?))
    }

    fn open_read(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.count(Call::Open);
        Ok(self.file(self.disk.open_read(path)?))
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.count(Call::CreateDir);
        self.disk.create_dir(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.count(Call::Rename);
        self.disk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.count(Call::Remove);
        self.disk.remove(path)
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        self.count(Call::RemoveDir);
        self.disk.remove_dir(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.count(Call::SyncDir);
        self.disk.sync_dir(dir)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.count(Call::Exists);
        self.disk.exists(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn DirLock>> {
        self.count(Call::Lock);
        self.disk.lock(path)
    }
}

struct CountingFile {
    file: Arc<dyn DiskFile>,
    counts: Counts,
    before_syncs: BeforeSyncs,
}

impl CountingFile {
    fn count(&self, call: Call) {
        self.counts.lock().add(call);
    }

    fn count_write(&self, bytes: usize) {
        let mut counts = self.counts.lock();
        counts.add(Call::Write);
        counts.write_bytes += bytes as u64;
    }
}

impl DiskFile for CountingFile {
    fn len(&self) -> io::Result<u64> {
        self.count(Call::Stat);
        self.file.len()
    }

    fn modified_ms(&self) -> io::Result<i64> {
        self.count(Call::Stat);
        self.file.modified_ms()
    }

    fn allocated_bytes(&self) -> io::Result<u64> {
        self.count(Call::Stat);
        self.file.allocated_bytes()
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        {
            let mut counts = self.counts.lock();
            counts.add(Call::Read);
            counts.read_bytes += into.len() as u64;
        }
        self.file.read_at(at, into)
    }

    fn write_at(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.count_write(bytes.len());
        self.file.write_at(at, bytes)
    }

    fn write_pieces_at(&self, at: u64, pieces: &[&[u8]]) -> io::Result<()> {
        self.count_write(pieces.iter().map(|piece| piece.len()).sum());
        self.file.write_pieces_at(at, pieces)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.count(Call::SetLen);
        self.file.set_len(len)
    }

    fn begin_writeback(&self, len: u64) -> io::Result<()> {
        self.count(Call::Writeback);
        self.file.begin_writeback(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.count(Call::Sync);
        let before = self.before_syncs.read().clone();
        if let Some(before) = before {
            before();
        }
        self.file.sync_data()
    }

    fn map(&self, len: u64) -> io::Result<Bytes> {
        self.count(Call::Map);
        self.file.map(len)
    }

    fn map_mut(&self, len: u64) -> io::Result<Arc<dyn WritableMap>> {
        self.count(Call::MapMut);
        Ok(Arc::new(CountingMap { map: self.file.map_mut(len)?, counts: self.counts.clone() }))
    }
}

struct CountingMap {
    map: Arc<dyn WritableMap>,
    counts: Counts,
}

impl WritableMap for CountingMap {
    fn capacity(&self) -> usize {
        self.map.capacity()
    }

    fn read(&self, at: usize, into: &mut [u8]) {
        self.map.read(at, into);
    }

    fn write(&self, at: usize, bytes: &[u8]) {
        self.counts.lock().add(Call::MapWrite);
        self.map.write(at, bytes);
    }

    fn sync(&self) -> io::Result<()> {
        self.counts.lock().add(Call::MapSync);
        self.map.sync()
    }

    fn trim_on_close(&self, len: u64) {
        self.map.trim_on_close(len);
    }
}
