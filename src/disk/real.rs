//! The operating system's file system.

use super::mmap;
use super::os;
use super::process::ForkAwareLock;
use super::{DirEntry, DirLock, Disk, DiskFile, WritableMap};
use crate::planted::planted;
use bytes::Bytes;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::Arc;

/// Files and directories of the operating system. Every descriptor is `O_CLOEXEC`.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            // A partition's directory may be a link to another disk. A link to nowhere is listed as the file that it is.
            let is_dir = kind.is_dir() || (kind.is_symlink() && entry.path().is_dir());
            // Our own names are ASCII: a name that is not UTF-8 is a stranger's, and the replacement character in it
            // keeps it from looking like one of ours.
            entries.push(DirEntry { name: entry.file_name().to_string_lossy().into_owned(), is_dir });
        }
        Ok(entries)
    }

    fn create(&self, path: &Path, reserve: u64) -> io::Result<Arc<dyn DiskFile>> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(path)?;
        if let Err(source) = os::reserve(&file, reserve) {
            // The caller was told that there is no file, so there is none. The reservation's error is the story; that the
            // removal failed too would only hide it, and an empty file is one that recovery knows.
            let _ = fs::remove_file(path);
            return Err(source);
        }
        Ok(RealFile::boxed(file))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(RealFile::boxed(OpenOptions::new().read(true).write(true).open(path)?))
    }

    fn open_read(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(RealFile::boxed(File::open(path)?))
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        match fs::create_dir(dir) {
            Err(e) if e.kind() == ErrorKind::AlreadyExists && dir.is_dir() => Ok(()),
            outcome => outcome,
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        fs::remove_dir(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        // The planted bug: names are believed durable because the call returned. The fault tools must see through it.
        if planted!("bug-no-dir-fsync") {
            return Ok(());
        }
        File::open(dir)?.sync_all()
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        path.try_exists()
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn DirLock>> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        Ok(Box::new(RealLock { _held: ForkAwareLock::take(file)? }))
    }
}

/// Shared with its writable mappings, which cut it to size when they go.
#[derive(Debug)]
struct RealFile {
    file: Arc<File>,
    /// What `RLIMIT_FSIZE` was when the file was opened.
    bytes_max: u64,
}

impl RealFile {
    fn boxed(file: File) -> Arc<dyn DiskFile> {
        Arc::new(RealFile { file: Arc::new(file), bytes_max: os::file_bytes_limit() })
    }

    /// Nothing of what does not fit whole is written.
    fn check_end(&self, at: u64, bytes: u64) -> io::Result<()> {
        if at.checked_add(bytes).is_some_and(|end| end <= self.bytes_max) {
            return Ok(());
        }
        Err(io::Error::from_raw_os_error(libc::EFBIG))
    }
}

impl DiskFile for RealFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn modified_ms(&self) -> io::Result<i64> {
        let metadata = self.file.metadata()?;
        Ok(metadata.mtime().saturating_mul(1000).saturating_add(metadata.mtime_nsec() / 1_000_000))
    }

    fn allocated_bytes(&self) -> io::Result<u64> {
        // POSIX counts in units of 512 bytes, whatever the file system's blocks are.
        Ok(self.file.metadata()?.blocks() * 512)
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(into, at)
    }

    fn write_at(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.check_end(at, bytes.len() as u64)?;
        self.file.write_all_at(bytes, at)
    }

    fn write_pieces_at(&self, at: u64, pieces: &[&[u8]]) -> io::Result<()> {
        self.check_end(at, pieces.iter().map(|piece| piece.len() as u64).sum())?;
        let written = os::write_pieces_once(&self.file, at, pieces)?;
        // A short write is rare: finish each piece by itself.
        for (start, rest) in rests(written, pieces) {
            self.write_at(at + start as u64, rest)?;
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.check_end(len, 0)?;
        self.file.set_len(len)
    }

    fn reserve_behind(&self, from: u64, bytes: u64) -> io::Result<bool> {
        // Only where it was measured to pay: xfs allocates ahead by itself, and copy-on-write gains nothing.
        if !os::is_ext4(&self.file)? || self.check_end(from, bytes).is_err() {
            return Ok(false);
        }
        os::reserve_from(&self.file, from, bytes)
    }

    fn begin_writeback(&self, len: u64) -> io::Result<()> {
        os::begin_writeback(&self.file, len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn map(&self, len: u64) -> io::Result<Bytes> {
        mmap::map(&self.file, len)
    }

    fn map_mut(&self, len: u64) -> io::Result<Arc<dyn WritableMap>> {
        self.check_end(len, 0)?;
        os::allocate(&self.file, len)?;
        Ok(Arc::new(mmap::Writable::new(self.file.clone(), len)?))
    }
}

/// What is still to be written of some pieces when `written` bytes of them have been, and where it belongs.
fn rests<'a>(written: usize, pieces: &'a [&'a [u8]]) -> impl Iterator<Item = (usize, &'a [u8])> {
    let starts = pieces.iter().scan(0, |end, piece| {
        let start = *end;
        *end += piece.len();
        Some((start, *piece))
    });
    starts
        .map(move |(start, piece)| {
            let done = written.saturating_sub(start).min(piece.len());
            (start + done, &piece[done..])
        })
        .filter(|(_, rest)| !rest.is_empty())
}

#[derive(Debug)]
struct RealLock {
    _held: ForkAwareLock,
}

impl DirLock for RealLock {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_write_of_several_pieces_is_finished_wherever_it_stopped() {
        for pieces in [&["abc", "defg", "h"][..], &["", "xy"], &["xy", ""], &["", ""], &["solo"], &[]] {
            let whole = pieces.concat();
            let pieces: Vec<&[u8]> = pieces.iter().map(|piece| piece.as_bytes()).collect();
            for written in 0..=whole.len() {
                let mut file = whole.as_bytes()[..written].to_vec();
                for (start, rest) in rests(written, &pieces) {
                    assert_eq!(start, file.len());
                    file.extend_from_slice(rest);
                }
                assert_eq!(file, whole.as_bytes(), "stopped after {written}");
            }
        }
    }
}
