//! Directories of deleted topics: renamed at once, removed when `file.delete.delay.ms` has passed, at close or at the next start.

use super::house::House;
use super::notices::Level;
use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::storage::names::{marked_dir_name, DirMark};
use crate::time::Instant;
use crate::types::TopicPartition;
use parking_lot::Mutex;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

#[derive(Debug, Default)]
pub(super) struct Deletions {
    waiting: Mutex<Vec<(Instant, PathBuf)>>,
}

impl Deletions {
    pub(super) fn expect(&self, dir: PathBuf, due: Instant) {
        self.waiting.lock().push((due, dir));
    }

    /// Removes the directories whose time has come; answers when the next one's comes. What cannot be removed is said once
    /// and left for the next start.
    pub(super) fn remove_due(&self, house: &House, now: Instant) -> Option<Instant> {
        let due: Vec<PathBuf> = {
            let mut waiting = self.waiting.lock();
            let (due, later): (Vec<_>, Vec<_>) = waiting.drain(..).partition(|(due, _)| *due <= now);
            *waiting = later;
            due.into_iter().map(|(_, dir)| dir).collect()
        };
        for dir in due {
            if let Err(failed) = house.remove_partition_dir(&dir) {
                house.tell(Level::Warn, || format!("not removed: {}", failed.message()));
            }
        }
        self.waiting.lock().iter().map(|(due, _)| *due).min()
    }
}

impl House {
    fn remove_partition_dir(&self, dir: &Path) -> Result<()> {
        remove_tree(self.disk.as_ref(), dir).map_err(|e| Error::io("remove", dir, e))
    }
}

impl House {
    /// From now on the directory is nobody's. Not durable before the data directory is synced.
    pub(super) fn rename_for_deletion(&self, partition: &TopicPartition, delay: Duration) -> Result<()> {
        let from = self.partition_dir(partition);
        let disk = &self.disk;
        let to = loop {
            let unique = self.randomness.lock().u128(..);
            let to = self.dir.join(marked_dir_name(partition, unique, DirMark::Deleted));
            if !disk.exists(&to).map_err(|e| Error::io("look for", &to, e))? {
                break to;
            }
        };
        match disk.rename(&from, &to) {
            Ok(()) => {
                let due = self.clock.monotonic() + delay;
                self.deletions.expect(to, due);
                self.wake_upkeep_by(due);
                Ok(())
            }
            // Nobody ever touched this partition.
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(Error::io("rename for deletion", &from, e)),
        }
    }
}

impl House {
    /// The directory is gone for good, durably.
    pub(super) fn remove_now(&self, partition: &TopicPartition) -> Result<()> {
        self.rename_for_deletion(partition, Duration::ZERO)?;
        self.disk.sync_dir(&self.dir).map_err(|e| Error::sync("sync directory", &self.dir, e))
    }
}

fn remove_tree(disk: &dyn Disk, dir: &Path) -> io::Result<()> {
    for entry in disk.list(dir)? {
        let path = dir.join(entry.name);
        if entry.is_dir {
            remove_tree(disk, &path)?;
        } else {
            disk.remove(&path)?;
        }
    }
    disk.remove_dir(dir)
}
