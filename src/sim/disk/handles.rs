//! What a process holds of the disk: open files, mappings, locks. All of it dies with the process.

use super::super::counting::Call;
use super::faults::{died, FaultKind};
use super::names::{errno, Inode};
use super::state::State;
use super::Shared;
use crate::disk::{DirLock, DiskFile, WritableMap};
use bytes::Bytes;
use parking_lot::MutexGuard;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

/// The right to use one inode, as long as the process lives.
#[derive(Debug)]
pub(super) struct Handle {
    pub(super) shared: Shared,
    pub(super) generation: u64,
    pub(super) inode: Inode,
}

impl Handle {
    fn begin(&self, call: Call) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.shared.lock();
        state.begin(self.generation, call)?;
        Ok(state)
    }
}

#[derive(Debug)]
pub(super) struct SimFile {
    handle: Handle,
    is_writable: bool,
}

impl SimFile {
    /// `handle`'s file must have been told that it is open once more.
    pub(super) fn new(handle: Handle, is_writable: bool) -> SimFile {
        SimFile { handle, is_writable }
    }

    fn begin_change(&self, call: Call) -> io::Result<MutexGuard<'_, State>> {
        let state = self.handle.begin(call)?;
        if self.is_writable {
            Ok(state)
        } else {
            Err(errno(libc::EBADF))
        }
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        let mut state = self.handle.shared.lock();
        if state.is_alive(self.handle.generation) {
            state.close(self.handle.inode);
        }
    }
}

impl DiskFile for SimFile {
    fn len(&self) -> io::Result<u64> {
        let state = self.handle.begin(Call::Stat)?;
        Ok(state.file(self.handle.inode).content.live().len() as u64)
    }

    fn modified_ms(&self) -> io::Result<i64> {
        let state = self.handle.begin(Call::Stat)?;
        Ok(state.file(self.handle.inode).modified_ms)
    }

    fn allocated_bytes(&self) -> io::Result<u64> {
        let state = self.handle.begin(Call::Stat)?;
        Ok(state.file(self.handle.inode).allocated_bytes())
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        let mut state = self.handle.begin(Call::Read)?;
        state.counts.read_bytes += into.len() as u64;
        let live = state.file(self.handle.inode).content.live();
        let found = range(at, into.len())?;
        match live.get(found) {
            Some(bytes) => {
                into.copy_from_slice(bytes);
                Ok(())
            }
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    fn write_at(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.handle.shared.lock();
        let fault = state.begin_faulty(self.handle.generation, Call::Write)?;
        state.counts.write_bytes += bytes.len() as u64;
        if !self.is_writable {
            return Err(errno(libc::EBADF));
        }
        let at = range(at, bytes.len())?.start;
        match fault {
            None => state.write(self.handle.inode, at, bytes),
            Some(kind @ (FaultKind::ShortThenError | FaultKind::Die)) => {
                let written = state.rng.usize(..=bytes.len());
                state.write(self.handle.inode, at, &bytes[..written])?;
                Err(kind.error())
            }
            Some(kind) => Err(kind.error()),
        }
    }

    fn write_pieces_at(&self, at: u64, pieces: &[&[u8]]) -> io::Result<()> {
        self.write_at(at, &pieces.concat())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let len = range(len, 0)?.start;
        self.begin_change(Call::SetLen)?.set_len(self.handle.inode, len)
    }

    fn sync_data(&self) -> io::Result<()> {
        sync(&self.handle, Call::Sync)
    }

    fn map(&self, len: u64) -> io::Result<Bytes> {
        let len = range(len, 0)?.start;
        let mut state = self.handle.begin(Call::Map)?;
        let Some(bytes) = state.file(self.handle.inode).content.live().get(..len) else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        if len == 0 {
            return Ok(Bytes::new());
        }
        let bytes = bytes.to_vec();
        let mapping = Arc::new(Mapping { len, is_writable: false });
        state.file_mut(self.handle.inode).mappings.push(Arc::downgrade(&mapping));
        Ok(Bytes::from_owner(ReadMap { bytes, _mapping: mapping }))
    }

    fn map_mut(&self, len: u64) -> io::Result<Arc<dyn WritableMap>> {
        let len = range(len, 0)?.start;
        let mut state = self.begin_change(Call::MapMut)?;
        if len == 0 {
            return Err(errno(libc::EINVAL));
        }
        if state.file(self.handle.inode).content.live().len() < len {
            state.set_len(self.handle.inode, len)?;
        }
        let mapping = Arc::new(Mapping { len, is_writable: true });
        let file = state.file_mut(self.handle.inode);
        file.mappings.push(Arc::downgrade(&mapping));
        file.opens += 1;
        drop(state);
        let handle = Handle { shared: self.handle.shared.clone(), ..self.handle };
        Ok(Arc::new(SimMap { handle, mapping: Some(mapping), len, trim: AtomicU64::new(u64::MAX) }))
    }
}

fn sync(handle: &Handle, call: Call) -> io::Result<()> {
    let mut state = handle.shared.lock();
    match state.begin_faulty(handle.generation, call)? {
        None => {
            state.file_mut(handle.inode).content.sync();
            Ok(())
        }
        Some(FaultKind::Die) => Err(died()),
        Some(kind) => {
            let State { files, rng, .. } = &mut *state;
            files.get_mut(&handle.inode).expect("an open file is there").content.fail_sync(rng);
            Err(kind.error())
        }
    }
}

/// Counts as long as somebody holds a mapping: the file must not shrink below it.
#[derive(Debug)]
pub(super) struct Mapping {
    pub(super) len: usize,
    /// Bytes under a mapping for reading must not even change.
    pub(super) is_writable: bool,
}

struct ReadMap {
    bytes: Vec<u8>,
    _mapping: Arc<Mapping>,
}

impl AsRef<[u8]> for ReadMap {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[derive(Debug)]
struct SimMap {
    handle: Handle,
    mapping: Option<Arc<Mapping>>,
    len: usize,
    trim: AtomicU64,
}

impl SimMap {
    fn check(&self, at: usize, bytes: usize) {
        let end = at.checked_add(bytes);
        assert!(end.is_some_and(|end| end <= self.len), "{at}+{bytes} is outside a map of {}", self.len);
    }
}

impl WritableMap for SimMap {
    fn capacity(&self) -> usize {
        self.len
    }

    fn read(&self, at: usize, into: &mut [u8]) {
        self.check(at, into.len());
        let state = self.handle.shared.lock();
        if state.is_alive(self.handle.generation) {
            into.copy_from_slice(&state.file(self.handle.inode).content.live()[at..at + into.len()]);
        } else {
            // A dead process reads nothing; its code in the test has to get something.
            into.fill(0);
        }
    }

    fn write(&self, at: usize, bytes: &[u8]) {
        self.check(at, bytes.len());
        let mut state = self.handle.shared.lock();
        if state.is_alive(self.handle.generation) {
            state.counts.add(Call::MapWrite);
            state.write(self.handle.inode, at, bytes).expect("a mapped page is allocated");
        }
    }

    fn sync(&self) -> io::Result<()> {
        sync(&self.handle, Call::MapSync)
    }

    fn trim_on_close(&self, len: u64) {
        self.trim.store(len, Ordering::Relaxed);
    }
}

impl Drop for SimMap {
    fn drop(&mut self) {
        self.mapping = None;
        let mut state = self.handle.shared.lock();
        if !state.is_alive(self.handle.generation) {
            return;
        }
        let len = usize::try_from(*self.trim.get_mut()).unwrap_or(usize::MAX);
        if len < state.file(self.handle.inode).content.live().len() {
            // Growing could fail for want of room, but this shrinks.
            state.set_len(self.handle.inode, len).expect("a file can always be cut");
        }
        state.close(self.handle.inode);
    }
}

#[derive(Debug)]
pub(super) struct SimLock {
    pub(super) handle: Handle,
}

impl DirLock for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut state = self.handle.shared.lock();
        if state.is_alive(self.handle.generation) {
            state.locks.remove(&self.handle.inode);
        }
    }
}

fn range(at: u64, bytes: usize) -> io::Result<std::ops::Range<usize>> {
    let start = usize::try_from(at).map_err(|_| errno(libc::EFBIG))?;
    let end = start.checked_add(bytes).ok_or_else(|| errno(libc::EFBIG))?;
    Ok(start..end)
}
