//! Power cuts and failing disks in every call of every write; afterwards nothing acknowledged is missing and no promise is broken.

use super::*;
use crate::controller::{Quorum, QuorumConfig, RaftSnapshot, Restored};
use crate::error::Result;
use crate::node::metadata::MetadataLog;
use crate::sim::{FaultKind, FaultyCalls, Repeat};
use crate::time::Instant;

const VOTERS: [NodeId; 3] = [NodeId(0), NodeId(1), NodeId(2)];
const STEPS: usize = 14;
const SEGMENT_BYTES: u32 = 2048;

/// What must be there.
#[derive(Clone, Debug)]
struct Model(Restored);

impl Model {
    fn snapshot_index(&self) -> u64 {
        self.0.snapshot.as_ref().map_or(0, |snapshot| snapshot.index)
    }

    fn last(&self) -> u64 {
        self.0.entries.last().map_or(self.snapshot_index(), |entry| entry.index)
    }

    fn apply(&mut self, persist: &Persist) {
        if let Some(snapshot) = &persist.snapshot {
            if persist.resets_log {
                self.0.entries.clear();
            }
            self.0.entries.retain(|entry| entry.index > snapshot.index);
            self.0.snapshot = Some(snapshot.clone());
            self.0.hard_state.commit = self.0.hard_state.commit.max(snapshot.index);
        }
        if let Some(first) = persist.entries.first() {
            self.0.entries.retain(|entry| entry.index < first.index);
            self.0.entries.extend(persist.entries.iter().cloned());
        }
        self.0.hard_state = persist.hard_state.unwrap_or(self.0.hard_state);
    }

    /// Something that raft might ask for now.
    fn next(&self, rng: &mut fastrand::Rng) -> Persist {
        let HardState { term, vote, commit } = self.0.hard_state;
        let (last, state) = (self.last(), self.0.hard_state);
        let entries = |from: u64, count: u64, term: u64| (from..from + count).map(|i| entry(i, term)).collect();
        let count = rng.u64(1..12);
        match rng.u32(0..8) {
            0 => appending(Vec::new(), Some(HardState { term: term + 1, vote: Some(NodeId(rng.u32(0..3))), commit })),
            1 if commit < last => {
                let from = rng.u64(commit + 1..=last);
                // What is committed now is among what replaces the tail.
                let commit = rng.u64(commit..from + count);
                appending(entries(from, count, term + 1), Some(HardState { term: term + 1, vote: None, commit }))
            }
            2 if commit < last => {
                let hard_state = Some(HardState { term, vote, commit: rng.u64(commit + 1..=last) });
                Persist { hard_state, ..Persist::default() }
            }
            3 if commit > self.snapshot_index() => {
                let index = rng.u64(self.snapshot_index() + 1..=commit);
                let term = self.0.entries.iter().find(|entry| entry.index == index).expect("in the log").term;
                Persist { snapshot: Some(snapshot(index, term)), ..Persist::default() }
            }
            4 => {
                let index = rng.u64(commit + 1..last + 20);
                let hard_state = Some(HardState { term: term + 1, vote: None, commit: index });
                let snapshot = Some(snapshot(index, term + 1));
                Persist { number: 1, must_sync: true, snapshot, resets_log: true, hard_state, entries: Vec::new() }
            }
            _ => appending(entries(last + 1, count, term), Some(state)),
        }
    }
}

fn snapshot(index: u64, term: u64) -> RaftSnapshot {
    let records = encode_records(&[]).into();
    RaftSnapshot { index, term, voters: VOTERS.to_vec(), learners: Vec::new(), records }
}

/// One process: writes until the disk says no. Answers what was acknowledged last, and what was being written.
fn live(disk: &SimDisk, start: &Model, seed: u64) -> (Model, Model) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let (mut acked, mut next) = (start.clone(), start.clone());
    let Ok((mut log, restored)) = MetadataLog::open(sim_place(disk, SEGMENT_BYTES)) else { return (acked, next) };
    acked.0.hard_state.commit = restored.hard_state.commit;
    for step in 0..STEPS {
        let persist = acked.next(&mut rng);
        next = acked.clone();
        next.apply(&persist);
        if log.persist(&persist).is_err() {
            log.persist(&persist).expect_err("what failed once stays off");
            return (acked, next);
        }
        acked = next.clone();
        // Late enough for a flush that nobody waits for.
        if step % 5 == 4 && log.handle_timeout(Instant(u64::MAX)).is_err() {
            return (acked, next);
        }
    }
    if seed % 2 == 0 {
        // A death in here leaves everything where it is.
        let _ = log.close();
    }
    (acked, next)
}

/// Opens what the crash left, and compares.
fn check(disk: &SimDisk, acked: &Model, next: &Model, run: &str) -> Model {
    let (_, found) = MetadataLog::open(sim_place(disk, SEGMENT_BYTES)).unwrap_or_else(|e| panic!("{run}: {e}"));
    Quorum::open(NodeId(0), QuorumConfig::default(), &found, 1, Instant(0)).unwrap_or_else(|e| panic!("{run}: {e}"));
    let (before, after) = (acked.0.hard_state, next.0.hard_state);
    let promise = (found.hard_state.term, found.hard_state.vote);
    assert!(promise == (before.term, before.vote) || promise == (after.term, after.vote), "{run}: {found:?}");
    assert!(found.hard_state.commit <= after.commit.max(before.commit), "{run}: {:?}", found.hard_state);

    let is_new = found.snapshot == next.0.snapshot;
    assert!(is_new || found.snapshot == acked.0.snapshot, "{run}: {:?}", found.snapshot);
    let behind = found.snapshot.as_ref().map_or(0, |snapshot| snapshot.index);
    let old: Vec<&RaftEntry> = acked.0.entries.iter().filter(|entry| entry.index > behind).collect();
    let new: Vec<&RaftEntry> = next.0.entries.iter().filter(|entry| entry.index > behind).collect();
    let common = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
    let entries: Vec<&RaftEntry> = found.entries.iter().collect();
    let of_old = entries.len() >= common && old.starts_with(&entries);
    let of_new = entries.len() >= common && new.starts_with(&entries);
    assert!(of_old || of_new, "{run}: {entries:?}, neither of {old:?} nor of {new:?}");
    Model(found)
}

fn bootstrap(disk: &SimDisk) -> Result<bool> {
    MetadataLog::bootstrap(&sim_place(disk, SEGMENT_BYTES), &VOTERS)
}

#[test]
fn whatever_call_dies_nothing_acknowledged_is_missing_and_no_promise_is_broken() {
    for seed in 0..12 {
        let kind = [FaultKind::Die, FaultKind::Die, FaultKind::Eio, FaultKind::ShortThenError][seed as usize % 4];
        for nth in 1.. {
            let disk = SimDisk::new(seed);
            assert!(bootstrap(&disk).expect("bootstraps"));
            let mut model = Model(Quorum::bootstrap(&VOTERS));
            disk.fail_nth(FaultyCalls::Any, nth, kind, Repeat::Once);
            let run = format!("seed {seed}, call {nth}, {kind:?}");
            let (acked, next) = live(&disk, &model, seed);
            let is_over = disk.faults_fired() == 0;
            let mut disk = disk.crash(seed * 1000 + nth);
            model = check(&disk, &acked, &next, &run);
            // Lives after it, each of which dies somewhere, one of them already while it opens.
            for (life, within) in [(1, 20), (2, 200)] {
                let mut rng = fastrand::Rng::with_seed(seed * 1000 + nth + life);
                disk.fail_nth(FaultyCalls::Any, rng.u64(1..within), FaultKind::Die, Repeat::Once);
                let (acked, next) = live(&disk, &model, rng.u64(..));
                disk = disk.crash(rng.u64(..));
                model = check(&disk, &acked, &next, &format!("{run}, life {life}"));
            }
            if is_over {
                break;
            }
        }
    }
}

/// A disk that failed once takes for clean what it has not written: what the next process finds and acts on has to survive all the same.
#[test]
fn whatever_call_fails_the_next_process_finds_what_a_power_cut_leaves() {
    for seed in 0..6 {
        for nth in 1.. {
            let disk = SimDisk::new(seed);
            assert!(bootstrap(&disk).expect("bootstraps"));
            disk.fail_nth(FaultyCalls::Changes, nth, FaultKind::Eio, Repeat::Once);
            live(&disk, &Model(Quorum::bootstrap(&VOTERS)), seed);
            if disk.faults_fired() == 0 {
                break;
            }
            disk.clear_faults();
            let disk = disk.restart();
            let run = format!("seed {seed}, call {nth}");
            let opened = MetadataLog::open(sim_place(&disk, SEGMENT_BYTES));
            let found = Model(opened.unwrap_or_else(|e| panic!("{run}: {e}")).1);
            for cut in 0..4 {
                check(&disk.crash(cut), &found, &found, &format!("{run}, power cut {cut}"));
            }
        }
    }
}

#[test]
fn a_bootstrap_that_died_anywhere_is_finished_by_another() {
    for nth in 1.. {
        let disk = SimDisk::new(nth);
        disk.fail_nth(FaultyCalls::Any, nth, FaultKind::Die, Repeat::Once);
        let is_over = bootstrap(&disk).is_ok();
        let disk = disk.crash(nth);
        bootstrap(&disk).expect("finishes");
        let (_, restored) = MetadataLog::open(sim_place(&disk, SEGMENT_BYTES)).expect("opens");
        assert_eq!(restored, Quorum::bootstrap(&VOTERS), "call {nth}");
        if is_over {
            break;
        }
    }
}
