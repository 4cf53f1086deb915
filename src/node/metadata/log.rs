//! The metadata log on the disk: entries, snapshots, and what this node has promised.
//!
//! Order of every write, and what a crash in between leaves (each file is replaced whole, each append synced before the next step):
//!
//! 1. term and vote. After it: a promise that nobody heard of. The commit beside them is the one before, true of the log as it lies.
//! 2. a snapshot. After it: one that covers entries still there. Of another node's, the log may not belong behind it: opening looks at
//!    the entry where it ends and begins the log anew unless its term is the snapshot's.
//! 3. the log start, and with another node's snapshot a new log; after the commit, so that a lost snapshot shows.
//! 4. the cut, then the entries. After it: a prefix of them, none acknowledged.
//!
//! The commit is written with the others, every [`COMMIT_LAG_MAX`] entries and at close: raft finds it again from the other voters.

use super::entries::{epoch_of, offset_of, to_batch};
use super::place::{read_entries, refuse, MetadataPlace};
use super::{hard_state, snapshots};
use crate::controller::{HardState, Persist, Quorum, RaftEntry, RaftSnapshot, Restored};
use crate::error::{Error, ErrorCode, Result};
use crate::storage::Log;
use crate::time::Instant;
use crate::types::{NodeId, Offset};
use std::fmt;
use std::path::{Path, PathBuf};

/// So many committed entries may be behind what the hard state on the disk says.
pub(super) const COMMIT_LAG_MAX: u64 = 1_000;
/// The metadata log of one node. One caller at a time.
pub(crate) struct MetadataLog {
    place: MetadataPlace,
    dir: PathBuf,
    /// `None` after the first failure: nothing is believed until it is opened again.
    log: Option<Log>,
    /// What the file says.
    written: HardState,
    /// True of the log as it lies.
    commit: u64,
}

impl fmt::Debug for MetadataLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_open = self.log.is_some();
        f.debug_struct("MetadataLog").field("dir", &self.dir).field("is_open", &is_open).finish_non_exhaustive()
    }
}

impl MetadataLog {
    /// Makes this node one of the first voters of a new cluster; every one of them is told the same list, once. False, and nothing
    /// done, where there is a metadata log already. A crash before it returned is mended by calling it again.
    ///
    /// Never for a node that was a voter and has lost its disk: it could vote twice in one term.
    pub fn bootstrap(place: &MetadataPlace, voters: &[NodeId]) -> Result<bool> {
        let (disk, dir) = (&*place.disk, place.dir());
        place.make_dir()?;
        let start = Quorum::bootstrap(voters);
        let found = hard_state::read(disk, &dir)?;
        if !place.is_new()? || found.is_some_and(|state| state != start.hard_state) {
            return Ok(false);
        }
        hard_state::write(disk, &dir, start.hard_state)?;
        // Crash here: a hard state that speaks of an entry, and nothing else. Opening refuses, this call goes on.
        if let Some(snapshot) = &start.snapshot {
            snapshots::write(disk, &dir, snapshot)?;
        }
        Ok(true)
    }

    /// Opens the log and says what was found; a directory without one is a node that will join.
    ///
    /// # Errors
    /// KAFKA_STORAGE_ERROR, CORRUPT_MESSAGE or UNSUPPORTED_VERSION: something that this node acknowledged, its vote, or what holds them
    /// together is missing or cannot be read. What raft itself can see of that, `Controller::open` refuses.
    pub fn open(place: MetadataPlace) -> Result<(MetadataLog, Restored)> {
        place.make_dir()?;
        let dir = place.dir();
        let hard_state = open_hard_state(&place, &dir)?;
        let snapshot = snapshots::newest(&*place.disk, &dir)?;
        if snapshot.is_none() && hard_state.commit > 0 && !place.has_segments()? {
            let commit = hard_state.commit;
            return refuse(format!(
                "committed up to {commit}, and there is nothing: call bootstrap again, if it was begun"
            ));
        }
        let log = place.open_behind(snapshot.as_ref(), hard_state.commit)?;
        let covered = snapshot.as_ref().map_or(0, |snapshot| snapshot.index);
        let entries = read_entries(&log, Offset(covered), log.log_end())?;
        snapshots::remove_before(&*place.disk, &dir, covered)?;
        // A crash may have come between a snapshot and the commit that goes with it.
        let commit = hard_state.commit.max(covered);
        let log = MetadataLog { place, dir, log: Some(log), written: hard_state, commit };
        Ok((log, Restored { hard_state: HardState { commit, ..hard_state }, snapshot, entries }))
    }

    /// Carries out what the quorum asks for.
    ///
    /// # Durability
    /// On return everything is durable but a commit that came alone.
    ///
    /// # Errors
    /// KAFKA_STORAGE_ERROR, fatal and final: any part may be on the disk; opening again tells.
    pub fn persist(&mut self, persist: &Persist) -> Result<()> {
        let outcome = self.write(persist);
        if outcome.is_err() {
            self.log = None;
        }
        outcome.map_err(Error::into_fatal)
    }

    fn write(&mut self, persist: &Persist) -> Result<()> {
        let commit = persist.hard_state.map_or(0, |state| state.commit).max(self.commit);
        if let Some(state) = persist.hard_state {
            self.write_hard_state(HardState { commit: self.commit, ..state })?;
        }
        if let Some(snapshot) = &persist.snapshot {
            self.write_snapshot(snapshot, persist.resets_log)?;
        }
        if let Some(first) = persist.entries.first() {
            self.append(offset_of(first.index), &persist.entries)?;
        }
        self.handle_commit(commit)
    }

    /// Term and vote: nothing is written unless one of them has changed.
    fn write_hard_state(&mut self, state: HardState) -> Result<()> {
        if (state.term, state.vote) != (self.written.term, self.written.vote) {
            if state.term < self.written.term {
                return refuse(format!("the term would go back from {} to {}", self.written.term, state.term));
            }
            hard_state::write(&*self.place.disk, &self.dir, state)?;
            self.written = state;
        }
        Ok(())
    }

    fn write_commit(&mut self) -> Result<()> {
        if self.commit != self.written.commit {
            let state = HardState { commit: self.commit, ..self.written };
            hard_state::write(&*self.place.disk, &self.dir, state)?;
            self.written = state;
        }
        Ok(())
    }

    fn handle_commit(&mut self, commit: u64) -> Result<()> {
        let log = open(&self.log)?;
        if Offset(commit) > log.log_end() {
            return refuse(format!("committed up to {commit}, and it ends at {}", log.log_end()));
        }
        log.advance_high_watermark(Offset(commit));
        self.commit = commit;
        if commit >= self.written.commit + COMMIT_LAG_MAX {
            self.write_commit()?;
        }
        Ok(())
    }

    fn write_snapshot(&mut self, snapshot: &RaftSnapshot, resets_log: bool) -> Result<()> {
        let end = Offset(snapshot.index);
        epoch_of(snapshot.term)?;
        snapshots::write(&*self.place.disk, &self.dir, snapshot)?;
        if resets_log {
            let log = self.log.take().ok_or_else(closed)?;
            self.log = Some(self.place.begin_anew(log, end)?);
        }
        let log = open(&self.log)?;
        if log.log_end() < end {
            return refuse(format!("a snapshot that ends at {end}, and the log ends at {}", log.log_end()));
        }
        log.advance_high_watermark(end);
        self.commit = self.commit.max(snapshot.index);
        self.write_commit()?;
        let log = open(&self.log)?;
        log.delete_records(Some(end))?;
        log.apply_retention(self.place.clock.realtime())?;
        log.delete_due_files(self.place.clock.monotonic())?;
        snapshots::remove_before(&*self.place.disk, &self.dir, snapshot.index)
    }

    /// Appends after cutting the log there.
    fn append(&mut self, first: Offset, entries: &[RaftEntry]) -> Result<()> {
        let log = open(&self.log)?;
        if first.0 < self.commit || first > log.log_end() {
            let (commit, end) = (self.commit, log.log_end());
            return refuse(format!("entries at offset {first}; committed up to {commit}, and it ends at {end}"));
        }
        log.truncate_to(first)?;
        let now = self.place.clock.realtime();
        for entry in entries {
            let placed = log.append(&mut to_batch(entry, now)?, epoch_of(entry.term)?, now)?;
            if placed.base_offset != offset_of(entry.index) {
                return refuse(format!("entry {} would lie at offset {}", entry.index, placed.base_offset));
            }
        }
        log.flush_up_to(log.log_end())
    }

    /// What nobody waits for: notes how far the log is durable (`flush.ms`), so that opening can tell damage from a torn tail.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<()> {
        let Some(log) = &self.log else { return Ok(()) };
        if log.flush_due().is_some_and(|at| at <= now) {
            log.flush().inspect_err(|_| self.log = None)?;
        }
        Ok(())
    }

    /// Writes down what an orderly end can save the next start; everything that matters is durable already.
    pub fn close(&mut self) -> Result<()> {
        let Some(log) = &self.log else { return Ok(()) };
        log.close()?;
        self.write_commit()?;
        self.log = None;
        Ok(())
    }

    /// Offsets of the first entry that is kept and of the next one.
    #[cfg(test)]
    pub fn range(&self) -> (Offset, Offset) {
        let log = self.log.as_ref().expect("open");
        (log.log_start(), log.log_end())
    }
}

fn open(log: &Option<Log>) -> Result<&Log> {
    log.as_ref().ok_or_else(closed)
}

fn closed() -> Error {
    Error::fatal(ErrorCode::KAFKA_STORAGE_ERROR, "metadata log: it has failed or is closed")
}

/// Reads the hard state, or makes the first one.
fn open_hard_state(place: &MetadataPlace, dir: &Path) -> Result<HardState> {
    let lost = "its vote would be lost";
    if let Some(state) = hard_state::read(&*place.disk, dir).map_err(|e| e.within(lost).into_fatal())? {
        return Ok(state);
    }
    if !place.is_new()? {
        return refuse(format!("{} is missing, and other files are there: {lost}", hard_state::HARD_STATE_FILE));
    }
    hard_state::write(&*place.disk, dir, HardState::default())?;
    Ok(HardState::default())
}
