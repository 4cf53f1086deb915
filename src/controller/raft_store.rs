//! The metadata log as the `raft` crate reads it: in memory, a mirror of what the node persists. Bounded by snapshots.

use super::raft_convert::{entry_to_raft, hard_state_to_raft, snapshot_to_raft};
use super::raft_message::Restored;
use crate::error::{Error, ErrorCode, Result};
use raft::eraftpb::{ConfState, Entry, HardState, Snapshot};
use raft::{GetEntriesContext, RaftState, Storage, StorageError};
use std::cell::Cell;
use std::collections::VecDeque;

/// Entries below a snapshot that stay in memory, so that who lags a little need not get the snapshot.
const ENTRIES_KEPT: u64 = 1_000;

#[derive(Default)]
pub(super) struct RaftStore {
    hard_state: HardState,
    snapshot: Snapshot,
    /// Index and term of the entry before the first.
    before: (u64, u64),
    entries: VecDeque<Entry>,
    wants_snapshot: Cell<bool>,
}

impl RaftStore {
    /// # Errors
    /// KAFKA_STORAGE_ERROR: what was found does not fit together; entries that were acknowledged are missing.
    pub fn restore(restored: &Restored) -> Result<RaftStore> {
        let refuse = |why: String| Err(Error::fatal(ErrorCode::KAFKA_STORAGE_ERROR, format!("metadata log: {why}")));
        let snapshot = restored.snapshot.as_ref().map(snapshot_to_raft).unwrap_or_default();
        let before = (snapshot.get_metadata().index, snapshot.get_metadata().term);
        let mut store = RaftStore { snapshot, before, ..RaftStore::default() };
        for entry in restored.entries.iter().filter(|entry| entry.index > before.0) {
            let (index, term) = store.last();
            if store.entries.is_empty() && entry.term < term {
                // A crash between the snapshot of another node and the cut of our log left entries that were never committed.
                break;
            }
            if entry.index != index + 1 || entry.term < term {
                return refuse(format!("entry {} of term {} after {index} of term {term}", entry.index, entry.term));
            }
            store.entries.push_back(entry_to_raft(entry));
        }
        let mut hard_state = hard_state_to_raft(restored.hard_state);
        if hard_state.commit > store.last().0 {
            return refuse(format!("committed up to {}, but it ends at {}", hard_state.commit, store.last().0));
        }
        hard_state.commit = hard_state.commit.max(before.0);
        if hard_state.term < store.last().1 {
            return refuse(format!("the term {} is older than the log's {}", hard_state.term, store.last().1));
        }
        store.hard_state = hard_state;
        Ok(store)
    }

    pub fn set_hard_state(&mut self, state: &HardState) {
        self.hard_state = state.clone();
    }

    pub fn last(&self) -> (u64, u64) {
        self.entries.back().map_or(self.before, |entry| (entry.index, entry.term))
    }

    pub fn snapshot_now(&self) -> &Snapshot {
        &self.snapshot
    }

    pub fn conf_state(&self) -> &ConfState {
        self.snapshot.get_metadata().get_conf_state()
    }

    pub fn append(&mut self, entries: &[Entry]) {
        let Some(first) = entries.first() else { return };
        assert!(first.index > self.before.0 && first.index <= self.last().0 + 1, "metadata entries leave no gap");
        self.entries.truncate(usize::try_from(first.index - self.before.0 - 1).expect("in memory"));
        self.entries.extend(entries.iter().cloned());
    }

    /// Another node's snapshot takes the place of everything.
    pub fn install(&mut self, snapshot: Snapshot) {
        self.before = (snapshot.get_metadata().index, snapshot.get_metadata().term);
        self.entries.clear();
        self.snapshot = snapshot;
    }

    /// A snapshot of our own image: old entries go.
    pub fn compact(&mut self, snapshot: Snapshot) {
        let keep_from = snapshot.get_metadata().index.saturating_sub(ENTRIES_KEPT);
        while self.entries.front().is_some_and(|entry| entry.index <= keep_from) {
            let gone = self.entries.pop_front().expect("just seen");
            self.before = (gone.index, gone.term);
        }
        self.snapshot = snapshot;
        self.wants_snapshot.set(false);
    }

    /// Somebody needs a snapshot that is newer than ours.
    pub fn poll_wants_snapshot(&self) -> bool {
        self.wants_snapshot.replace(false)
    }

    fn at(&self, index: u64) -> Option<&Entry> {
        let position = index.checked_sub(self.before.0 + 1)?;
        self.entries.get(usize::try_from(position).ok()?)
    }
}

impl Storage for RaftStore {
    fn initial_state(&self) -> raft::Result<RaftState> {
        Ok(RaftState { hard_state: self.hard_state.clone(), conf_state: self.conf_state().clone() })
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        _context: GetEntriesContext,
    ) -> raft::Result<Vec<Entry>> {
        if low <= self.before.0 {
            return Err(raft::Error::Store(StorageError::Compacted));
        }
        if high > self.last().0 + 1 {
            return Err(raft::Error::Store(StorageError::Unavailable));
        }
        let bytes_max = max_size.into().unwrap_or(u64::MAX);
        let mut bytes = 0;
        let mut taken: Vec<Entry> = Vec::new();
        for entry in (low..high).filter_map(|index| self.at(index)) {
            bytes += (entry.data.len() + entry.context.len() + 32) as u64;
            if bytes > bytes_max && !taken.is_empty() {
                break;
            }
            taken.push(entry.clone());
        }
        Ok(taken)
    }

    fn term(&self, index: u64) -> raft::Result<u64> {
        if index == self.before.0 {
            return Ok(self.before.1);
        }
        if index < self.before.0 {
            return Err(raft::Error::Store(StorageError::Compacted));
        }
        self.at(index).map(|entry| entry.term).ok_or(raft::Error::Store(StorageError::Unavailable))
    }

    fn first_index(&self) -> raft::Result<u64> {
        Ok(self.before.0 + 1)
    }

    fn last_index(&self) -> raft::Result<u64> {
        Ok(self.last().0)
    }

    /// A snapshot that is older than asked for, or that does not know the node it is for, would be refused there for ever.
    fn snapshot(&self, request_index: u64, to: u64) -> raft::Result<Snapshot> {
        let conf = self.conf_state();
        let knows = conf.voters.contains(&to) || conf.learners.contains(&to);
        let index = self.snapshot.get_metadata().index;
        if index == 0 || index < request_index || index < self.before.0 || !knows {
            self.wants_snapshot.set(true);
            return Err(raft::Error::Store(StorageError::SnapshotTemporarilyUnavailable));
        }
        Ok(self.snapshot.clone())
    }
}
