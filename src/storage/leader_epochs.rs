//! Which leader epoch began at which offset: `leader-epoch-checkpoint`.

use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::types::{LeaderEpoch, Offset};
use std::path::Path;
use std::sync::Arc;

/// The file's name inside a partition directory.
pub const LEADER_EPOCH_FILE: &str = "leader-epoch-checkpoint";

/// The epochs of one log, ascending in epoch and start offset.
pub struct LeaderEpochs;

impl LeaderEpochs {
    /// Reads the file of partition directory `dir`; an unreadable one counts as empty and is reported beside
    /// (the log rebuilds the epochs from its batches then).
    pub fn open(disk: &Arc<dyn Disk>, dir: &Path) -> (LeaderEpochs, Option<Error>) {
        let _ = (disk, dir);
        todo!()
    }
    /// `epoch` begins at `start`. Nothing happens when `epoch` is the newest and began at or before `start` (one compare:
    /// cheap enough for every batch); otherwise entries with an epoch or start not below are removed, and the file
    /// is durable on return. Says whether anything changed.
    pub fn assign(&mut self, epoch: LeaderEpoch, start: Offset) -> Result<bool> {
        let _ = (epoch, start);
        todo!()
    }
    /// As `assign`, in memory only: for recovery, which calls [`persist`](LeaderEpochs::persist) once at its end.
    pub fn assign_in_memory(&mut self, epoch: LeaderEpoch, start: Offset) -> bool {
        let _ = (epoch, start);
        todo!()
    }
    /// The newest epoch.
    pub fn latest(&self) -> Option<LeaderEpoch> {
        todo!()
    }
    /// All entries, ascending.
    pub fn entries(&self) -> &[(LeaderEpoch, Offset)] {
        todo!()
    }
    /// The epoch in which `offset` was (or will be) written.
    pub fn epoch_for_offset(&self, offset: Offset) -> Option<LeaderEpoch> {
        let _ = offset;
        todo!()
    }
    /// Where `epoch` ends: the largest known epoch not above it, and the start of the next higher one or `log_end`. `None` when unknown.
    pub fn end_offset_for(&self, epoch: LeaderEpoch, log_end: Offset) -> Option<(LeaderEpoch, Offset)> {
        let _ = (epoch, log_end);
        todo!()
    }
    /// Drops entries that start at or after `end`. Memory only, like `truncate_from_start`: a stale file is clipped at the next
    /// open, so [`persist`](LeaderEpochs::persist) may come later. Says whether anything changed.
    pub fn truncate_from_end(&mut self, end: Offset) -> bool {
        let _ = end;
        todo!()
    }
    /// Drops entries that start at or before `start`, except that the last of them now starts at `start`.
    pub fn truncate_from_start(&mut self, start: Offset) -> bool {
        let _ = start;
        todo!()
    }
    /// Writes the file if memory differs from it; durable on return.
    pub fn persist(&mut self) -> Result<()> {
        todo!()
    }
    /// The partition directory was renamed.
    pub fn renamed_to(&mut self, dir: &Path) {
        let _ = dir;
        todo!()
    }
}
