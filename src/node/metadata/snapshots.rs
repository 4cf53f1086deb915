//! Snapshots of the image: `00000000000000001234-0000000007.checkpoint` is the image below offset 1234, whose last entry was of epoch 7.
//!
//! The name is Kafka's (`OffsetAndEpoch`, KIP-630), the content ours: `RaftSnapshot` in an envelope with the magic KLOGSNAP.

use super::envelope::{Envelope, ENVELOPE_BYTES};
use crate::controller::RaftSnapshot;
use crate::disk::Disk;
use crate::error::{Error, ErrorCode, Result};
use crate::storage::checkpoint::{read_file, replace_file};
use crate::storage::doubt;
use std::path::Path;

const ENVELOPE: Envelope = Envelope { magic: *b"KLOGSNAP", version: 1 };
const SUFFIX: &str = ".checkpoint";
const OFFSET_DIGITS: usize = 20;
const EPOCH_DIGITS: usize = 10;
/// A file is only believed up to this size: the most that a snapshot's records may be, and who votes.
const SNAPSHOT_FILE_BYTES_MAX: u64 = (64 * 1024 * 1024 + 64 * 1024 + ENVELOPE_BYTES) as u64;

/// Index and term.
type SnapshotId = (u64, u64);

fn name_of((index, term): SnapshotId) -> String {
    format!("{index:0OFFSET_DIGITS$}-{term:0EPOCH_DIGITS$}{SUFFIX}")
}

fn parse_name(name: &str) -> Option<SnapshotId> {
    let (index, term) = name.strip_suffix(SUFFIX)?.split_once('-')?;
    let id = (index.parse().ok()?, term.parse().ok()?);
    (name_of(id) == name).then_some(id)
}

/// Oldest first.
pub(super) fn list(disk: &dyn Disk, dir: &Path) -> Result<Vec<SnapshotId>> {
    let entries = disk.list(dir).map_err(|e| Error::io("list directory", dir, e))?;
    let mut found: Vec<SnapshotId> = entries.iter().filter_map(|entry| parse_name(&entry.name)).collect();
    found.sort_unstable();
    Ok(found)
}

/// The newest one that is whole. Whether the log behind an older one is there is for the caller to see.
///
/// # Errors
/// UNSUPPORTED_VERSION; CORRUPT_MESSAGE: there are some and none is whole; KAFKA_STORAGE_ERROR.
pub(super) fn newest(disk: &dyn Disk, dir: &Path) -> Result<Option<RaftSnapshot>> {
    let mut damage = None;
    for id in list(disk, dir)?.into_iter().rev() {
        match read(disk, dir, id) {
            Err(error) if error.code() == ErrorCode::CORRUPT_MESSAGE => damage = damage.or(Some(error)),
            read => return read.map(Some),
        }
    }
    damage.map_or(Ok(None), Err)
}

fn read(disk: &dyn Disk, dir: &Path, id: SnapshotId) -> Result<RaftSnapshot> {
    let path = dir.join(name_of(id));
    let corrupt = |why: &str| Error::new(ErrorCode::CORRUPT_MESSAGE, format!("{} {why}", path.display()));
    let bytes = read_file(disk, &path, SNAPSHOT_FILE_BYTES_MAX)?.ok_or_else(|| corrupt("is gone"))?;
    let snapshot = RaftSnapshot::decode(ENVELOPE.open(&bytes, &path)?).map_err(|e| e.within(path.display()))?;
    if (snapshot.index, snapshot.term) != id {
        return Err(corrupt("is of another offset or epoch than its name says"));
    }
    Ok(snapshot)
}

/// Durable on return. A crash leaves no file of that name, or a whole one; the older ones are still there. A failure leaves a note, so that
/// opening the log makes it anew before entries go that only it covers.
pub(super) fn write(disk: &dyn Disk, dir: &Path, snapshot: &RaftSnapshot) -> Result<()> {
    let path = dir.join(name_of((snapshot.index, snapshot.term)));
    let written = replace_file(disk, &path, &ENVELOPE.seal(&snapshot.encode()));
    written.inspect_err(|failure| doubt::note(disk, dir, failure))
}

/// Removes those before `index`. A crash may leave some of them: they are older than one that is whole, and go the next time.
pub(super) fn remove_before(disk: &dyn Disk, dir: &Path, index: u64) -> Result<()> {
    for id in list(disk, dir)?.into_iter().filter(|id| id.0 < index) {
        let path = dir.join(name_of(id));
        disk.remove(&path).map_err(|e| Error::io("remove", &path, e))?;
    }
    Ok(())
}
