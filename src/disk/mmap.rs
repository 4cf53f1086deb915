//! Mappings of files: sealed ones for reading, small allocated ones for writing.

use super::WritableMap;
use bytes::Bytes;
use memmap2::{Mmap, MmapOptions, MmapRaw};
use std::fs::File;
use std::io::{self, ErrorKind};
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

/// Maps the first `len` bytes of a file that never shrinks any more.
pub(super) fn map(file: &File, len: u64) -> io::Result<Bytes> {
    if len == 0 {
        return Ok(Bytes::new());
    }
    // Touching a page behind the end of the file would be a SIGBUS.
    if len > file.metadata()?.len() {
        return Err(io::Error::new(ErrorKind::UnexpectedEof, "the file is shorter than what is to be mapped"));
    }
    // No advice to the kernel: 256 MiB read in order took 18-24 ms from memory and 116-123 ms from the disk without any; SEQUENTIAL and
    // WILLNEED were no better than the noise, POPULATE_READ was up to twice as slow, and the last two would also drag a whole
    // segment into memory for one record.
    // SAFETY: a slice needs bytes that nobody changes or takes away. Whoever calls `DiskFile::map` promises it: the range lies
    // within the file, is written no more, and is never cut. Removing the file leaves the mapping whole.
    let map: Mmap = unsafe { MmapOptions::new().len(addressable(len)?).map(file)? };
    Ok(Bytes::from_owner(map))
}

/// A shared mapping of an allocated file. The two fields go in this order: nobody cuts a mapped file.
#[derive(Debug)]
pub(super) struct Writable {
    map: MmapRaw,
    trim: Trim,
}

impl Writable {
    /// Maps the first `len` bytes, which the caller has allocated.
    pub(super) fn new(file: Arc<File>, len: u64) -> io::Result<Writable> {
        if len == 0 {
            return Err(io::Error::new(ErrorKind::InvalidInput, "nothing to map"));
        }
        let map = MmapOptions::new().len(addressable(len)?).map_raw(&*file)?;
        Ok(Writable { map, trim: Trim { file, len: AtomicU64::new(UNTRIMMED) } })
    }

    fn check(&self, at: usize, bytes: usize) {
        let end = at.checked_add(bytes);
        assert!(end.is_some_and(|end| end <= self.map.len()), "{at}+{bytes} is outside a map of {}", self.map.len());
    }
}

impl WritableMap for Writable {
    fn capacity(&self) -> usize {
        self.map.len()
    }

    fn read(&self, at: usize, into: &mut [u8]) {
        self.check(at, into.len());
        // SAFETY: the range was checked, the mapping lives as long as `self`, `into` is memory of the caller's own and so
        // does not overlap it. The writer does not touch these bytes while we copy: `WritableMap` makes that its
        // callers' promise.
        unsafe { ptr::copy_nonoverlapping(self.map.as_ptr().add(at), into.as_mut_ptr(), into.len()) }
    }

    fn write(&self, at: usize, bytes: &[u8]) {
        self.check(at, bytes.len());
        // SAFETY: as in `read`; that there is one writer is the same promise.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), self.map.as_mut_ptr().add(at), bytes.len()) }
    }

    fn sync(&self) -> io::Result<()> {
        self.map.flush()
    }

    fn trim_on_close(&self, len: u64) {
        self.trim.len.store(len, Ordering::Relaxed);
    }
}

const UNTRIMMED: u64 = u64::MAX;

/// Cuts the file after its mapping is gone.
#[derive(Debug)]
struct Trim {
    file: Arc<File>,
    len: AtomicU64,
}

impl Drop for Trim {
    fn drop(&mut self) {
        let len = *self.len.get_mut();
        if len != UNTRIMMED && self.file.metadata().is_ok_and(|metadata| metadata.len() > len) {
            // An error is harmless, and there is nobody left to tell: the file keeps a tail of zeros, which is what every
            // crash leaves too and what opening the file knows how to read.
            let _ = self.file.set_len(len);
        }
    }
}

fn addressable(len: u64) -> io::Result<usize> {
    usize::try_from(len).map_err(|_| io::Error::from(ErrorKind::FileTooLarge))
}
