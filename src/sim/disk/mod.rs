//! A file system in memory that forgets what was not synced.
//!
//! Bytes written, lengths set, names made, moved and removed are visible at once and stay visible while the machine runs. Until
//! the file, or the directory, is synced they are only *pending*: [`SimDisk::crash`] is the power cut that keeps, drops or
//! tears them as its seed decides. The model promises as little as POSIX does:
//!
//! - Of the bytes written to a file since its last sync any sectors of 512 bytes survive, in any mixture of old and new states;
//!   so does any length that the file had, or one between. A sector is whole.
//! - Syncing a file does not save its name, and saving a directory's names does not save that directory's own name.
//! - Names survive in the order in which they were made, or in any order; a rename happens whole or not at all.
//! - A sync that fails loses what it should have saved, although it stays readable until the crash, and the next sync says Ok.
//!
//! Beyond that the disk watches its callers: it panics when a file is cut under a mapping, and when bytes change that somebody
//! has mapped for reading.

mod content;
mod faults;
mod handles;
mod names;
mod state;
#[cfg(test)]
mod tests;

pub use faults::{FaultKind, FaultyCalls, Repeat};

use super::clock::SimClock;
use super::counting::{Call, CallCounts};
use crate::disk::{DirEntry, DirLock, Disk, DiskFile};
use crate::planted::planted;

use faults::died;
use handles::{Handle, SimFile, SimLock};
use names::{errno, Inode};
use parking_lot::Mutex;
use state::State;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// What a device writes whole or not at all.
pub const SECTOR_BYTES: usize = 512;

/// The disk as one process sees it; a clone is the same process. The next process has the value that
/// [`crash`](SimDisk::crash) or [`restart`](SimDisk::restart) returns, and on this one every call fails from then on.
#[derive(Clone, Debug)]
pub struct SimDisk {
    shared: Shared,
    generation: u64,
}

type Shared = Arc<Mutex<State>>;

impl SimDisk {
    /// An empty disk with a root directory and plenty of room. The seed decides what short and failed calls leave behind.
    #[must_use]
    pub fn new(seed: u64) -> SimDisk {
        SimDisk::with_clock(seed, Arc::new(SimClock::default()))
    }

    /// As [`new`](SimDisk::new); files are dated by `clock`.
    #[must_use]
    pub fn with_clock(seed: u64, clock: Arc<SimClock>) -> SimDisk {
        SimDisk { shared: Arc::new(Mutex::new(State::new(seed, clock))), generation: 0 }
    }

    /// Cuts the power. What was synced is there, what was not is there, torn or gone as `seed` decides. The old process is dead,
    /// its locks are free, armed faults are forgotten. The disk for the next process is returned.
    #[must_use = "the disk that crashed answers nobody any more"]
    pub fn crash(&self, seed: u64) -> SimDisk {
        let mut state = self.shared.lock();
        state.cut_power(&mut fastrand::Rng::with_seed(seed));
        self.next_process(&mut state)
    }

    /// Kills the process alone: everything written is there, and what was not synced is still pending.
    #[must_use = "the disk of the dead process answers nobody any more"]
    pub fn restart(&self) -> SimDisk {
        self.next_process(&mut self.shared.lock())
    }

    fn next_process(&self, state: &mut State) -> SimDisk {
        state.end_process();
        SimDisk { shared: self.shared.clone(), generation: state.generation }
    }

    /// Lets the `nth` call from now (the first is 1) of these `calls` fail, and with [`Repeat::Forever`] all after it.
    pub fn fail_nth(&self, calls: FaultyCalls, nth: u64, kind: FaultKind, repeat: Repeat) {
        self.shared.lock().faults.arm(calls, nth, kind, repeat);
    }

    /// Forgets the faults that are still armed.
    pub fn clear_faults(&self) {
        self.shared.lock().faults.clear();
    }

    /// While a test looks around, its own calls are not among those that fail, and are not counted for that.
    pub fn suspend_faults(&self, is_suspended: bool) {
        self.shared.lock().faults.is_suspended = is_suspended;
    }

    /// How many calls have failed because of [`fail_nth`](SimDisk::fail_nth).
    #[must_use]
    pub fn faults_fired(&self) -> u64 {
        self.shared.lock().faults.fired()
    }

    /// Whether the process that sees the disk so still lives: nobody has ended it, and no call was armed with
    /// [`FaultKind::Die`] and made.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.shared.lock().is_alive(self.generation)
    }

    /// The calls that have failed because of [`fail_nth`](SimDisk::fail_nth) since this was asked last, and how.
    #[must_use]
    pub fn take_failed_calls(&self) -> Vec<(Call, FaultKind)> {
        self.shared.lock().faults.take_told()
    }

    /// Makes the disk smaller or larger. What is there stays there.
    pub fn set_capacity_bytes(&self, bytes: u64) {
        self.shared.lock().capacity_bytes = bytes;
    }

    /// Everything that was asked of the disk until now, by all processes.
    #[must_use]
    pub fn counts(&self) -> CallCounts {
        self.shared.lock().counts
    }

    /// All files as a reader sees them now, by path.
    #[must_use]
    pub fn snapshot(&self) -> BTreeMap<String, Vec<u8>> {
        let state = self.shared.lock();
        let files = state.names.files().into_iter();
        files.map(|(path, inode)| (path, state.file(inode).content.live().to_vec())).collect()
    }

    /// Lets bits rot: turns the bits of `mask` over in one byte, in memory and on the platters. Panics when the file is shorter.
    pub fn rot(&self, path: &Path, at: usize, mask: u8) -> io::Result<()> {
        let mut state = self.shared.lock();
        let inode = state.names.find(path)?;
        state.file_mut(inode).content.rot(at, mask);
        Ok(())
    }

    fn begin(&self, call: Call) -> io::Result<parking_lot::MutexGuard<'_, State>> {
        let mut state = self.shared.lock();
        state.begin(self.generation, call)?;
        Ok(state)
    }

    fn open_as(&self, path: &Path, is_writable: bool) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.begin(Call::Open)?;
        let inode = state.names.find(path)?;
        if state.names.is_dir(inode) {
            return Err(errno(libc::EISDIR));
        }
        Ok(self.opened(&mut state, inode, is_writable))
    }

    fn opened(&self, state: &mut State, inode: Inode, is_writable: bool) -> Arc<dyn DiskFile> {
        state.file_mut(inode).opens += 1;
        Arc::new(SimFile::new(self.handle(inode), is_writable))
    }

    fn handle(&self, inode: Inode) -> Handle {
        Handle { shared: self.shared.clone(), generation: self.generation, inode }
    }
}

impl Disk for SimDisk {
    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        let state = self.begin(Call::List)?;
        let entries = state.names.entries(state.names.find(dir)?)?;
        let entry =
            |(name, inode): (&String, &Inode)| DirEntry { name: name.clone(), is_dir: state.names.is_dir(*inode) };
        Ok(entries.iter().map(entry).collect())
    }

    fn create(&self, path: &Path, reserve: u64) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.begin(Call::Create)?;
        let place = state.names.place(path)?;
        if state.names.at(&place).is_some() {
            return Err(errno(libc::EEXIST));
        }
        if !state.has_room(reserve) {
            return Err(errno(libc::ENOSPC));
        }
        let inode = state.add_file(place);
        state.file_mut(inode).reserved_bytes = reserve;
        Ok(self.opened(&mut state, inode, true))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.open_as(path, true)
    }

    fn open_read(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.open_as(path, false)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.begin(Call::CreateDir)?;
        if state.names.find(dir).is_ok_and(|inode| state.names.is_dir(inode)) {
            return Ok(());
        }
        let place = state.names.place(dir)?;
        if state.names.at(&place).is_some() {
            return Err(errno(libc::EEXIST));
        }
        let inode = state.next_inode();
        let step = state.next_step();
        state.names.add_dir(step, place, inode);
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.begin(Call::Rename)?;
        let (from, to) = (state.names.place(from)?, state.names.place(to)?);
        let inode = state.names.at(&from).ok_or_else(|| errno(libc::ENOENT))?;
        if let Some(replaced) = state.names.at(&to) {
            if replaced == inode {
                return Ok(());
            }
            match (state.names.is_dir(inode), state.names.is_dir(replaced)) {
                (false, true) => return Err(errno(libc::EISDIR)),
                (true, false) => return Err(errno(libc::ENOTDIR)),
                (true, true) if !state.names.entries(replaced)?.is_empty() => return Err(errno(libc::ENOTEMPTY)),
                _ => {}
            }
        }
        let step = state.next_step();
        state.names.rename(step, inode, from, to);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.begin(Call::Remove)?;
        let place = state.names.place(path)?;
        let inode = state.names.at(&place).ok_or_else(|| errno(libc::ENOENT))?;
        if state.names.is_dir(inode) {
            return Err(errno(libc::EISDIR));
        }
        let step = state.next_step();
        state.names.remove(step, place, inode);
        Ok(())
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.begin(Call::RemoveDir)?;
        let place = state.names.place(dir)?;
        let inode = state.names.at(&place).ok_or_else(|| errno(libc::ENOENT))?;
        if !state.names.entries(inode)?.is_empty() {
            return Err(errno(libc::ENOTEMPTY));
        }
        let step = state.next_step();
        state.names.remove(step, place, inode);
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.shared.lock();
        let fault = state.begin_faulty(self.generation, Call::SyncDir)?;
        let inode = state.names.find(dir)?;
        state.names.entries(inode)?;
        match fault {
            // The planted bug, as in the real disk.
            None if planted!("bug-no-dir-fsync") => Ok(()),
            None => {
                if state.names.sync(inode) {
                    state.collect();
                }
                Ok(())
            }
            Some(FaultKind::Die) => Err(died()),
            Some(kind) => {
                let State { names, rng, .. } = &mut *state;
                names.fail_sync(inode, rng);
                Err(kind.error())
            }
        }
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        let state = self.begin(Call::Exists)?;
        match state.names.find(path) {
            Ok(_) => Ok(true),
            Err(e) if matches!(e.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR)) => Ok(false),
            Err(e) => Err(e),
        }
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn DirLock>> {
        let mut state = self.begin(Call::Lock)?;
        let place = state.names.place(path)?;
        let inode = match state.names.at(&place) {
            Some(inode) => inode,
            None => state.add_file(place),
        };
        if !state.locks.insert(inode) {
            return Err(errno(libc::EWOULDBLOCK));
        }
        Ok(Box::new(SimLock { handle: self.handle(inode) }))
    }
}
