//! The file seam: everything that touches a disk goes through [`Disk`] and [`DiskFile`].
//!
//! [`RealDisk`] is the operating system; the simulator's disk (feature `sim`) keeps files in memory and forgets what
//! was not synced. A path is whatever the disk makes of it; rooms above only join names to the directory they were given.

mod clock;
mod mmap;
mod os;
mod process;
mod real;
#[cfg(test)]
mod tests;
mod watch;

pub use clock::coarse_realtime_ms;
pub use os::{file_system, page_cache, FileSystem};
pub use process::{fork_generation, open_files_limit, BlockedSignals, EndSignals};
pub use real::RealDisk;
pub use watch::{EventFd, Watch, Watcher};

use bytes::Bytes;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// One entry of a directory listing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DirEntry {
    pub name: String,
    pub is_dir: bool,
}

/// A file system, as far as a log needs one.
///
/// Durability: creating, renaming and removing is durable only after [`sync_dir`](Disk::sync_dir) of the directory
/// returned; bytes only after [`DiskFile::sync_data`] of the same open file returned.
pub trait Disk: Send + Sync + 'static {
    /// The entries of a directory, in no particular order.
    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>>;
    /// Creates an empty file for reading and writing; `AlreadyExists` if there is one. `reserve` bytes are allocated
    /// behind its end (not part of its length), so that a full disk shows here; 0 reserves nothing.
    fn create(&self, path: &Path, reserve: u64) -> io::Result<Arc<dyn DiskFile>>;
    /// Opens an existing file for reading and writing.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;
    /// Opens an existing file for reading only.
    fn open_read(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;
    /// Creates one directory (its parent must exist); fine when it is there already.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;
    /// Renames a file or directory atomically, replacing a file that has the new name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Removes an empty directory.
    fn remove_dir(&self, dir: &Path) -> io::Result<()>;
    /// Makes the names in a directory durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Whether a file or directory of this name is there.
    fn exists(&self, path: &Path) -> io::Result<bool>;
    /// Takes the exclusive lock of one writer on `path` (created if absent) until the returned guard is dropped.
    /// `WouldBlock` when another open holds it, in this process or in another one.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn DirLock>>;
}

/// Pieces that one call writes at the most.
pub const PIECES_MAX: usize = 16;

/// One open file. Dropping it closes it and syncs nothing.
pub trait DiskFile: Send + Sync {
    /// Length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Last modification, in milliseconds since the epoch.
    fn modified_ms(&self) -> io::Result<i64>;
    /// Bytes allocated on the device, holes not counted.
    fn allocated_bytes(&self) -> io::Result<u64>;
    /// Fills `into` from byte `at`; `UnexpectedEof` when the file ends before.
    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<()>;
    /// Writes all of `bytes` at byte `at`, growing the file. After an error any prefix may have been written.
    fn write_at(&self, at: u64, bytes: &[u8]) -> io::Result<()>;
    /// Writes pieces (at most [`PIECES_MAX`]) behind each other as [`write_at`](DiskFile::write_at) does, in one system call where
    /// possible.
    fn write_pieces_at(&self, at: u64, pieces: &[&[u8]]) -> io::Result<()>;
    /// Cuts or extends (with zeros) the file. Never shrink below what a mapping handed out covers.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Asks for `bytes` of allocated blocks from byte `from` on, behind the end of the file; its length stays. False where that
    /// is not possible or not known to pay. [`set_len`](DiskFile::set_len) to the file's own length gives the blocks back.
    fn reserve_behind(&self, from: u64, bytes: u64) -> io::Result<bool> {
        let _ = (from, bytes);
        Ok(false)
    }
    /// Has the system begin to write the first `len` bytes to the disk. Nothing is durable by that, and no error of a
    /// [`sync_data`](DiskFile::sync_data) gets lost. May wait for a busy disk to take it.
    fn begin_writeback(&self, len: u64) -> io::Result<()> {
        let _ = len;
        Ok(())
    }
    /// fdatasync: bytes and length are durable on return. After an error nothing written since the last success may be
    /// believed, ever: the caller gives the file up.
    fn sync_data(&self) -> io::Result<()>;
    /// Maps the file's first `len` bytes for reading. The bytes stay valid as long as they are held, also after the
    /// file was removed. Only for files that never shrink any more.
    fn map(&self, len: u64) -> io::Result<Bytes>;
    /// Allocates `len` bytes (zeros where there was nothing; the file grows to `len`), then maps them for writing. A full disk is an
    /// error here and never a fault later.
    fn map_mut(&self, len: u64) -> io::Result<Arc<dyn WritableMap>>;
}

/// A shared, writable mapping of a small file (an index). All access is by copying, bounds are checked.
///
/// One writer at a time; readers only look at bytes that the writer has published to them by other means (a count
/// with release/acquire ordering).
pub trait WritableMap: Send + Sync {
    /// Mapped bytes.
    fn capacity(&self) -> usize;
    /// Copies out. Panics when out of bounds.
    fn read(&self, at: usize, into: &mut [u8]);
    /// Copies in. Panics when out of bounds.
    fn write(&self, at: usize, bytes: &[u8]);
    /// msync: what was written is durable on return.
    fn sync(&self) -> io::Result<()>;
    /// When the last holder lets go of the mapping, cut the file to `len` bytes (a mapped file never shrinks).
    fn trim_on_close(&self, len: u64);
}

/// Holds a directory's lock until dropped.
pub trait DirLock: Send + Sync {}
