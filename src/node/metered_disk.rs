//! A disk that knows what everything in a data directory occupies, and lets nothing grow past a cap (`dir.max.bytes`).
//!
//! It sits at the file seam, so that nothing can be forgotten: segments, indexes, snapshots, checkpoints and their temporary
//! files all pass here. Every file counts in whole blocks, as `du` counts; a mapped index counts with what was allocated for it.

use crate::disk::{DirEntry, DirLock, Disk, DiskFile, WritableMap};
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

/// What file systems allocate in; a directory counts as one, too.
const BLOCK_BYTES: u64 = 4096;
/// What a name costs its directory.
const NAME_BYTES: u64 = 128;

/// The sum, and who it is made of.
#[derive(Debug)]
pub(super) struct Meter {
    bytes_max: u64,
    used: AtomicU64,
    // Every file and directory below the data directory. Ordered by path: a directory's content follows it.
    sizes: Mutex<BTreeMap<PathBuf, Arc<AtomicU64>>>,
}

fn in_blocks(bytes: u64) -> u64 {
    bytes.div_ceil(BLOCK_BYTES) * BLOCK_BYTES
}

impl Meter {
    pub(super) fn new(bytes_max: u64) -> Meter {
        Meter { bytes_max, used: AtomicU64::new(0), sizes: Mutex::default() }
    }

    pub(super) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    pub(super) fn bytes_max(&self) -> u64 {
        self.bytes_max
    }

    fn charge(&self, bytes: u64) -> io::Result<()> {
        let before = self.used.fetch_add(bytes, Ordering::Relaxed);
        if bytes == 0 || before.saturating_add(bytes) <= self.bytes_max {
            return Ok(());
        }
        self.release(bytes);
        let text = format!("dir.max.bytes={} is reached: {before} are used, {bytes} more were needed", self.bytes_max);
        Err(io::Error::new(io::ErrorKind::StorageFull, text))
    }

    fn release(&self, bytes: u64) {
        let before = self.used.fetch_sub(bytes, Ordering::Relaxed);
        debug_assert!(before >= bytes, "released {bytes} of {before}");
    }

    fn cell(&self, path: &Path) -> Arc<AtomicU64> {
        Arc::clone(self.sizes.lock().entry(path.to_owned()).or_default())
    }

    fn is_known(&self, path: &Path) -> bool {
        self.sizes.lock().contains_key(path)
    }

    fn forget(&self, path: &Path) {
        let gone = self.sizes.lock().remove(path);
        if let Some(size) = gone {
            // What an open file still adds or gives back is its own business from now on: it is not in the directory.
            self.release(size.swap(0, Ordering::Relaxed) + NAME_BYTES);
        }
    }

    /// A file or directory changes its name, and everything below it does.
    fn rename(&self, from: &Path, to: &Path) {
        self.forget(to);
        let mut sizes = self.sizes.lock();
        let moved: Vec<PathBuf> = sizes
            .range(from.to_owned()..)
            .map(|(path, _)| path)
            .take_while(|path| path.starts_with(from))
            .cloned()
            .collect();
        for path in moved {
            if let (Some(size), Ok(rest)) = (sizes.remove(&path), path.strip_prefix(from)) {
                sizes.insert(if rest.as_os_str().is_empty() { to.to_owned() } else { to.join(rest) }, size);
            }
        }
    }

    /// Counts what lies there already, whether it fits or not.
    pub(super) fn walk(&self, disk: &dyn Disk, dir: &Path) -> io::Result<()> {
        self.found(dir, BLOCK_BYTES);
        for entry in disk.list(dir)? {
            let path = dir.join(entry.name);
            if entry.is_dir {
                self.walk(disk, &path)?;
            } else {
                let file = disk.open_read(&path)?;
                self.found(&path, in_blocks(file.len()?).max(in_blocks(file.allocated_bytes()?)));
            }
        }
        Ok(())
    }

    fn found(&self, path: &Path, bytes: u64) {
        self.cell(path).store(bytes, Ordering::Relaxed);
        self.used.fetch_add(bytes + NAME_BYTES, Ordering::Relaxed);
    }
}

/// See the module.
pub(super) struct MeteredDisk {
    pub(super) inner: Arc<dyn Disk>,
    pub(super) meter: Arc<Meter>,
}

impl MeteredDisk {
    fn metered(&self, path: &Path, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        Arc::new(MeteredFile { inner: file, size: self.meter.cell(path), meter: Arc::clone(&self.meter) })
    }
}

impl Disk for MeteredDisk {
    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        self.inner.list(dir)
    }

    fn create(&self, path: &Path, reserve: u64) -> io::Result<Arc<dyn DiskFile>> {
        let bytes = in_blocks(reserve);
        self.meter.charge(bytes + NAME_BYTES)?;
        match self.inner.create(path, reserve) {
            Ok(file) => {
                self.meter.cell(path).store(bytes, Ordering::Relaxed);
                Ok(self.metered(path, file))
            }
            Err(e) => {
                self.meter.release(bytes + NAME_BYTES);
                Err(e)
            }
        }
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.inner.open(path)?;
        Ok(self.metered(path, file))
    }

    fn open_read(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.inner.open_read(path)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        if self.meter.is_known(dir) {
            return self.inner.create_dir(dir);
        }
        self.meter.charge(BLOCK_BYTES + NAME_BYTES)?;
        let outcome = self.inner.create_dir(dir);
        match &outcome {
            Ok(()) => self.meter.cell(dir).store(BLOCK_BYTES, Ordering::Relaxed),
            Err(_) => self.meter.release(BLOCK_BYTES + NAME_BYTES),
        }
        outcome
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.inner.rename(from, to)?;
        self.meter.rename(from, to);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.inner.remove(path)?;
        self.meter.forget(path);
        Ok(())
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        self.inner.remove_dir(dir)?;
        self.meter.forget(dir);
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.inner.sync_dir(dir)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.inner.exists(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn DirLock>> {
        self.inner.lock(path)
    }
}

struct MeteredFile {
    inner: Arc<dyn DiskFile>,
    size: Arc<AtomicU64>,
    meter: Arc<Meter>,
}

impl MeteredFile {
    /// Makes room for the file to reach `end`; the same again when it is that long already.
    fn grow_to(&self, end: u64) -> io::Result<()> {
        let (wanted, held) = (in_blocks(end), self.size.load(Ordering::Relaxed));
        if wanted > held {
            self.meter.charge(wanted - held)?;
            self.size.store(wanted, Ordering::Relaxed);
        }
        Ok(())
    }
}

fn shrink(meter: &Meter, size: &AtomicU64, to: u64) {
    let (wanted, held) = (in_blocks(to), size.load(Ordering::Relaxed));
    if wanted < held {
        size.store(wanted, Ordering::Relaxed);
        meter.release(held - wanted);
    }
}

impl DiskFile for MeteredFile {
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn modified_ms(&self) -> io::Result<i64> {
        self.inner.modified_ms()
    }

    fn allocated_bytes(&self) -> io::Result<u64> {
        self.inner.allocated_bytes()
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        self.inner.read_at(at, into)
    }

    fn write_at(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.grow_to(at + bytes.len() as u64)?;
        self.inner.write_at(at, bytes)
    }

    fn write_pieces_at(&self, at: u64, pieces: &[&[u8]]) -> io::Result<()> {
        self.grow_to(at + pieces.iter().map(|piece| piece.len() as u64).sum::<u64>())?;
        self.inner.write_pieces_at(at, pieces)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.grow_to(len)?;
        self.inner.set_len(len)?;
        shrink(&self.meter, &self.size, len);
        Ok(())
    }

    fn begin_writeback(&self, len: u64) -> io::Result<()> {
        self.inner.begin_writeback(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.inner.sync_data()
    }

    fn map(&self, len: u64) -> io::Result<Bytes> {
        self.inner.map(len)
    }

    fn map_mut(&self, len: u64) -> io::Result<Arc<dyn WritableMap>> {
        self.grow_to(len)?;
        let inner = self.inner.map_mut(len)?;
        let (size, meter) = (Arc::clone(&self.size), Arc::clone(&self.meter));
        Ok(Arc::new(MeteredMap { inner: Some(inner), trim: AtomicU64::new(u64::MAX), size, meter }))
    }
}

struct MeteredMap {
    // Taken only by drop.
    inner: Option<Arc<dyn WritableMap>>,
    trim: AtomicU64,
    size: Arc<AtomicU64>,
    meter: Arc<Meter>,
}

impl MeteredMap {
    fn inner(&self) -> &dyn WritableMap {
        &**self.inner.as_ref().expect("taken only by drop")
    }
}

impl WritableMap for MeteredMap {
    fn capacity(&self) -> usize {
        self.inner().capacity()
    }

    fn read(&self, at: usize, into: &mut [u8]) {
        self.inner().read(at, into);
    }

    fn write(&self, at: usize, bytes: &[u8]) {
        self.inner().write(at, bytes);
    }

    fn sync(&self) -> io::Result<()> {
        self.inner().sync()
    }

    fn trim_on_close(&self, len: u64) {
        self.trim.store(len, Ordering::Relaxed);
        self.inner().trim_on_close(len);
    }
}

impl Drop for MeteredMap {
    fn drop(&mut self) {
        drop(self.inner.take()); // cuts the file; only then is the space free
        let len = self.trim.load(Ordering::Relaxed);
        if len != u64::MAX {
            shrink(&self.meter, &self.size, len);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::RealDisk;

    fn metered(dir: &Path, bytes_max: u64) -> MeteredDisk {
        let meter = Arc::new(Meter::new(bytes_max));
        meter.walk(&RealDisk, dir).expect("walks");
        MeteredDisk { inner: Arc::new(RealDisk), meter }
    }

    #[test]
    fn what_is_counted_on_the_way_is_what_a_walk_finds_afterwards() {
        let temp = tempfile::tempdir().expect("temp dir");
        let disk = metered(temp.path(), 1 << 20);
        let (sub, gone) = (temp.path().join("t-0"), temp.path().join("t-0.x-delete"));
        disk.create_dir(&sub).expect("creates");
        let file = disk.create(&sub.join("a"), 10_000).expect("creates");
        file.write_at(0, &[1; 20_000]).expect("writes");
        file.write_at(10, &[1; 20]).expect("writes over");
        file.set_len(5_000).expect("cuts");
        let index = disk.create(&sub.join("b"), 0).expect("creates");
        let map = index.map_mut(65_536).expect("maps");
        map.trim_on_close(8);
        drop(map);
        disk.create(&sub.join("b.tmp"), 0).expect("creates").write_at(0, b"x").expect("writes");
        disk.rename(&sub.join("b.tmp"), &sub.join("b")).expect("renames over");
        disk.rename(&sub, &gone).expect("renames");
        drop((file, index));
        let fresh = metered(temp.path(), 1 << 20);
        assert_eq!(disk.meter.used(), fresh.meter.used());
        disk.remove(&gone.join("a")).expect("removes");
        disk.remove(&gone.join("b")).expect("removes");
        disk.remove_dir(&gone).expect("removes");
        assert_eq!(disk.meter.used(), BLOCK_BYTES + NAME_BYTES);
    }

    #[test]
    fn nothing_grows_past_the_cap_and_a_refusal_takes_nothing() {
        let temp = tempfile::tempdir().expect("temp dir");
        let disk = metered(temp.path(), 40_000);
        let file = disk.create(&temp.path().join("a"), 0).expect("creates");
        let before = disk.meter.used();
        for refused in [
            file.write_at(0, &[0; 40_000]).err(),
            file.set_len(40_000).err(),
            file.map_mut(40_000).err(),
            disk.create(&temp.path().join("b"), 40_000).err(),
        ] {
            assert_eq!(refused.expect("is refused").kind(), io::ErrorKind::StorageFull);
        }
        assert_eq!((disk.meter.used(), file.len().expect("len")), (before, 0));
    }
}
