//! What a failed sync leaves behind, and how a later opening makes up for it.
//!
//! When writing back fails, Linux keeps the pages and the names in memory and counts them as clean: whoever syncs again hears that all is
//! well, and a power cut still takes what never arrived. So a log that fails leaves a file in its directory, `kafkalog-sync-failed`, and
//! the next opening, in this process or in a later one, makes everything anew that no sync vouches for: each file of the last segment and
//! each small file is copied, synced, and renamed over itself. Then the file goes. What the file says is of renames that have to be done
//! again ([`renames`](super::renames)).
//!
//! A disk that is full loses nothing that it had taken: only a sync that fails for lack of room leaves the file. Otherwise a full disk would
//! keep the log closed, for copies need room.
//!
//! The file is not synced: it has to live as long as the page cache lies, no longer. A power cut may leave it behind, which costs one copy.

use super::checkpoint::{sync_dir_of, with_suffix};
use super::names::{parse_file_name, FileKind, FileState};
use super::recovery::remove_if_there;
use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::types::Offset;
use std::io;
use std::path::Path;

/// The file's name in a partition directory. Kafka ignores files it does not know there.
pub const DOUBT_FILE: &str = "kafkalog-sync-failed";
/// Bytes that are copied at once.
const CHUNK_BYTES: u64 = 1 << 20;

/// Leaves the file, as well as a failing disk lets it, if `failure` came from the system. Whoever can remember the failure otherwise
/// says so in [`Opening::in_doubt`](super::Opening::in_doubt) as well.
pub(crate) fn note(disk: &dyn Disk, dir: &Path, failure: &Error) {
    if leaves_doubt(failure) {
        // There already, or refused: there is nothing else to be done about it here.
        let _ = disk.create(&dir.join(DOUBT_FILE), 0);
    }
}

/// Whether something that was written before may not arrive: a sync failed, or the disk is broken. A refusal for lack of room is neither.
pub(crate) fn leaves_doubt(failure: &Error) -> bool {
    failure.is_of_sync()
        || failure
            .io_kind()
            .is_some_and(|kind| kind != io::ErrorKind::StorageFull && kind != io::ErrorKind::QuotaExceeded)
}

pub(super) fn is_noted(disk: &dyn Disk, dir: &Path) -> Result<bool> {
    let path = dir.join(DOUBT_FILE);
    disk.exists(&path).map_err(|e| Error::io("look for", &path, e))
}

pub(super) fn forget(disk: &dyn Disk, dir: &Path) -> Result<()> {
    remove_if_there(disk, &dir.join(DOUBT_FILE))
}

/// Makes anew what may not have arrived. `last` is the base of the last segment: the others were synced before they had a successor.
///
/// A crash leaves each file as it was or as the same file anew.
pub(super) fn dispel(disk: &dyn Disk, dir: &Path, last: Option<Offset>) -> Result<()> {
    for entry in disk.list(dir).map_err(|e| Error::io("list directory", dir, e))? {
        let is_vouched_for = match parse_file_name(&entry.name) {
            Some(file) if file.state != FileState::Live => true, // on its way out
            Some(file) => file.kind != FileKind::Snapshot && last.is_some_and(|last| file.base < last),
            None => entry.is_dir || entry.name == DOUBT_FILE || entry.name.ends_with(".tmp"),
        };
        if !is_vouched_for {
            make_anew(disk, &dir.join(&entry.name))?;
        }
    }
    disk.sync_dir(dir).map_err(|e| Error::sync("sync directory", dir, e))
}

/// The directory itself, if it is empty: whoever made it may not have heard that its name arrived. One that has files has, for its
/// first file comes after that.
pub(super) fn make_empty_dir_anew(disk: &dyn Disk, dir: &Path) -> Result<()> {
    let io = |doing, path, e| Error::io(doing, path, e);
    let is_there = disk.exists(dir).map_err(|e| io("look for", dir, e))?;
    if is_there {
        let entries = disk.list(dir).map_err(|e| io("list directory", dir, e))?;
        if entries.iter().any(|entry| entry.name != DOUBT_FILE) {
            return Ok(());
        }
        forget(disk, dir)?;
        disk.remove_dir(dir).map_err(|e| io("remove directory", dir, e))?;
    }
    disk.create_dir(dir).map_err(|e| io("create directory", dir, e))?;
    sync_dir_of(disk, dir)
}

fn make_anew(disk: &dyn Disk, path: &Path) -> Result<()> {
    let tmp = with_suffix(path, ".tmp");
    remove_if_there(disk, &tmp)?;
    copy(disk, path, &tmp).map_err(|e| Error::io("copy", path, e))?;
    disk.rename(&tmp, path).map_err(|e| Error::io("rename to", path, e))
}

fn copy(disk: &dyn Disk, from: &Path, to: &Path) -> io::Result<()> {
    let source = disk.open_read(from)?;
    let (length, target) = (source.len()?, disk.create(to, 0)?);
    let mut chunk = vec![0; CHUNK_BYTES.min(length) as usize];
    let mut at = 0;
    while at < length {
        let piece = &mut chunk[..CHUNK_BYTES.min(length - at) as usize];
        source.read_at(at, piece)?;
        target.write_at(at, piece)?;
        at += piece.len() as u64;
    }
    target.sync_data()
}
