//! Renames in a partition directory that a later power cut must not undo.
//!
//! A segment on its way out gets another name, and its directory is synced. Should that fail, the old name may come back after a power
//! cut, long after the next process has gone on without the segment. So the renames of a sync that failed are written to the note that
//! [`doubt`](super::doubt) leaves, a line each, and the next opening does them again, there and back, and syncs.

use super::doubt::DOUBT_FILE;
use super::names::{file_name, file_name_in_state, parse_file_name, FileKind, FileState};
use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::types::Offset;
use std::io;
use std::path::{Path, PathBuf};

/// A note is only read up to this size: a few segments' files.
const NOTE_BYTES_MAX: u64 = 64 << 10;

/// From one file name to the other, in one directory.
pub(super) type Rename = (String, String);

/// What takes a live file out of the log.
pub(super) fn to_deleted(base: Offset, kind: FileKind) -> Rename {
    (file_name(base, kind), file_name_in_state(base, kind, FileState::Deleted))
}

/// Carries out those whose file is there, makes them durable, and answers the new paths.
///
/// A crash leaves any of them done. A failure leaves a note of them.
pub(super) fn rename_durably(disk: &dyn Disk, dir: &Path, renames: &[Rename]) -> Result<Vec<PathBuf>> {
    let mut done: Vec<&Rename> = Vec::new();
    let outcome = renames.iter().try_for_each(|rename| {
        let (from, to) = (dir.join(&rename.0), dir.join(&rename.1));
        match disk.rename(&from, &to) {
            Ok(()) => done.push(rename),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(Error::io("rename", &from, e)),
        }
        Ok(())
    });
    let outcome = outcome.and_then(|()| disk.sync_dir(dir).map_err(|e| Error::sync("sync directory", dir, e)));
    if let Err(failure) = outcome {
        note(disk, dir, &done);
        return Err(failure);
    }
    Ok(done.into_iter().map(|(_, to)| dir.join(to)).collect())
}

/// As well as a failing disk lets it. Not synced: see [`doubt`](super::doubt).
fn note(disk: &dyn Disk, dir: &Path, done: &[&Rename]) {
    let path = dir.join(DOUBT_FILE);
    let lines: String = done.iter().map(|(from, to)| format!("{from} {to}\n")).collect();
    let file = match disk.create(&path, 0) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => disk.open(&path),
        created => created,
    };
    let _ = file.and_then(|file| file.write_at(file.len()?, lines.as_bytes()));
}

/// Does again what the note speaks of. Where the old name is there again, or the new one is gone, a power cut came between: nothing to do.
pub(super) fn redo_noted(disk: &dyn Disk, dir: &Path) -> Result<()> {
    let mut some = false;
    for (from, to) in noted(disk, dir)? {
        let (old, new) = (dir.join(from), dir.join(to));
        let exists = |path: &Path| disk.exists(path).map_err(|e| Error::io("look for", path, e));
        if exists(&new)? && !exists(&old)? {
            disk.rename(&new, &old).map_err(|e| Error::io("rename", &new, e))?;
            disk.rename(&old, &new).map_err(|e| Error::io("rename", &old, e))?;
            some = true;
        }
    }
    if some {
        disk.sync_dir(dir).map_err(|e| Error::sync("sync directory", dir, e))?;
    }
    Ok(())
}

/// What a power cut left half written, or anybody else wrote, is passed over.
fn noted(disk: &dyn Disk, dir: &Path) -> Result<Vec<Rename>> {
    let path = dir.join(DOUBT_FILE);
    let io = |e| Error::io("read", &path, e);
    let file = match disk.open_read(&path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        opened => opened.map_err(io)?,
    };
    let mut bytes = vec![0; file.len().map_err(io)?.min(NOTE_BYTES_MAX) as usize];
    file.read_at(0, &mut bytes).map_err(io)?;
    let is_ours = |name: &str| parse_file_name(name).is_some();
    let lines = bytes.split_inclusive(|byte| *byte == b'\n').filter_map(|line| line.strip_suffix(b"\n"));
    let renames = lines.filter_map(|line| std::str::from_utf8(line).ok()?.split_once(' '));
    Ok(renames
        .filter(|(from, to)| from != to && is_ours(from) && is_ours(to))
        .map(|(from, to)| (from.to_owned(), to.to_owned()))
        .collect())
}
