//! The files: what is written reads back, what is damaged or missing is refused.

use super::*;
use crate::controller::{Quorum, RaftSnapshot, Restored};
use crate::disk::RealDisk;
use crate::error::{Error, ErrorCode, Result};
use crate::node::metadata::hard_state::{self, HARD_STATE_FILE};
use crate::node::metadata::log::COMMIT_LAG_MAX;
use crate::node::metadata::MetadataLog;
use crate::time::SystemClock;
use crate::types::Offset;
use bytes::Bytes;

const VOTERS: [NodeId; 3] = [NodeId(0), NodeId(1), NodeId(2)];

struct Room {
    dir: tempfile::TempDir,
}

impl Room {
    fn new() -> Room {
        Room { dir: tempfile::tempdir().expect("temp dir") }
    }

    fn place(&self) -> MetadataPlace {
        place_on(Arc::new(RealDisk), Arc::new(SystemClock::new()), self.dir.path().to_owned(), 2048)
    }

    fn bootstrapped() -> Room {
        let room = Room::new();
        assert!(MetadataLog::bootstrap(&room.place(), &VOTERS).expect("bootstraps"));
        room
    }

    fn open(&self) -> (MetadataLog, Restored) {
        MetadataLog::open(self.place()).expect("opens")
    }

    fn refusal(&self) -> Error {
        MetadataLog::open(self.place()).map(|_| ()).expect_err("is refused")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place().dir().join(name)
    }

    fn names(&self, suffix: &str) -> Vec<String> {
        let entries = RealDisk.list(&self.place().dir()).expect("lists").into_iter().map(|entry| entry.name);
        let mut names: Vec<String> = entries.filter(|name| name.ends_with(suffix)).collect();
        names.sort();
        names
    }
}

fn snapshot(index: u64, term: u64) -> RaftSnapshot {
    let records = encode_records(&[]).into();
    RaftSnapshot { index, term, voters: VOTERS.to_vec(), learners: Vec::new(), records }
}

fn compacting(at: u64, term: u64) -> Persist {
    Persist { snapshot: Some(snapshot(at, term)), ..Persist::default() }
}

fn installing(at: u64, term: u64) -> Persist {
    let hard_state = Some(hard_state(term, 1, at));
    Persist {
        number: 2,
        must_sync: true,
        snapshot: Some(snapshot(at, term)),
        resets_log: true,
        hard_state,
        entries: Vec::new(),
    }
}

fn append(log: &mut MetadataLog, range: std::ops::Range<u64>, term: u64) -> Result<()> {
    let commit = range.start - 1;
    log.persist(&appending(range.map(|index| entry(index, term)).collect(), Some(hard_state(term, 1, commit))))
}

#[test]
fn a_new_node_has_nothing_and_a_first_voter_what_all_first_voters_have() {
    let joiner = Room::new();
    assert_eq!(joiner.open().1, Restored::default());
    assert_eq!(joiner.open().1, Restored::default());
    let voter = Room::bootstrapped();
    assert_eq!(voter.open().1, Quorum::bootstrap(&VOTERS));
    assert!(!MetadataLog::bootstrap(&voter.place(), &VOTERS).expect("has a log already"));
    assert!(!MetadataLog::bootstrap(&joiner.place(), &VOTERS).expect("has joined already"));
}

#[test]
fn every_kind_of_entry_reads_back_at_its_own_offset() {
    let room = Room::bootstrapped();
    let (mut log, _) = room.open();
    let empty = RaftEntry { index: 2, term: 2, kind: EntryKind::Records, data: Bytes::new() };
    let seat = Bytes::from_static(&[1, 0, 0, 0, 4]);
    let member = RaftEntry { index: 3, term: 2, kind: EntryKind::Membership, data: seat };
    let entries = vec![empty, member, entry(4, 2), entry(5, 3)];
    log.persist(&appending(entries.clone(), Some(hard_state(3, 2, 2)))).expect("writes");
    assert_eq!(log.range(), (Offset(1), Offset(5)));
    drop(log);
    let (_, restored) = room.open();
    assert_eq!(restored.entries, entries);
    assert_eq!((restored.hard_state.term, restored.hard_state.vote), (3, Some(NodeId(2))));
}

#[test]
fn entries_replace_what_lies_there_and_behind_but_nothing_that_was_committed() {
    let room = Room::bootstrapped();
    let (mut log, _) = room.open();
    append(&mut log, 2..60, 2).expect("writes");
    append(&mut log, 40..50, 3).expect("replaces");
    drop(log);
    let (mut log, restored) = room.open();
    let expected: Vec<RaftEntry> = (2..40).map(|i| entry(i, 2)).chain((40..50).map(|i| entry(i, 3))).collect();
    assert_eq!(restored.entries, expected);
    append(&mut log, 45..46, 4).expect("replaces again");
    let error = append(&mut log, 44..46, 4).expect_err("44 was committed");
    assert!(error.is_fatal() && error.message().contains("committed up to 44"), "{error}");
    append(&mut log, 46..47, 4).expect_err("what failed once takes no more");
}

#[test]
fn a_gap_and_a_term_that_goes_back_are_refused() {
    let room = Room::bootstrapped();
    let (mut log, _) = room.open();
    append(&mut log, 3..4, 2).expect_err("2 is missing");
    let (mut log, _) = room.open();
    append(&mut log, 2..3, 5).expect("writes");
    log.persist(&Persist { hard_state: Some(hard_state(4, 1, 1)), ..Persist::default() }).expect_err("goes back");
}

#[test]
fn a_snapshot_takes_the_place_of_whole_segments_and_of_older_snapshots() {
    let room = Room::bootstrapped();
    let (mut log, _) = room.open();
    append(&mut log, 2..100, 2).expect("writes");
    let segments = room.names(".log").len();
    log.persist(&compacting(90, 2)).expect("compacts");
    assert_eq!(log.range(), (Offset(90), Offset(99)));
    assert!(room.names(".log").len() < segments && segments > 2);
    assert_eq!(room.names(".checkpoint"), ["00000000000000000090-0000000002.checkpoint"]);
    drop(log);
    let (mut log, restored) = room.open();
    assert_eq!(restored.snapshot, Some(snapshot(90, 2)));
    assert_eq!(restored.entries.first().map(|entry| entry.index), Some(91));
    assert!(restored.hard_state.commit >= 90);
    log.persist(&compacting(99, 2)).expect("compacts all of it");
    append(&mut log, 100..102, 2).expect("and goes on");
    drop(log);
    assert_eq!(room.open().1.entries, [entry(100, 2), entry(101, 2)]);
}

#[test]
fn another_nodes_snapshot_begins_the_log_anew_above_or_below_its_end() {
    for at in [30, 59, 200] {
        let room = Room::bootstrapped();
        let (mut log, _) = room.open();
        append(&mut log, 2..60, 2).expect("writes");
        log.persist(&installing(at, 5)).expect("installs");
        assert_eq!(log.range(), (Offset(at), Offset(at)));
        append(&mut log, at + 1..at + 3, 5).expect("goes on");
        drop(log);
        let (_, restored) = room.open();
        assert_eq!(restored.snapshot, Some(snapshot(at, 5)));
        assert_eq!(restored.entries, [entry(at + 1, 5), entry(at + 2, 5)]);
        assert!(restored.hard_state.commit >= at);
    }
}

#[test]
fn a_joiner_takes_a_snapshot_first() {
    let room = Room::new();
    let (mut log, _) = room.open();
    log.persist(&installing(77, 3)).expect("installs");
    append(&mut log, 78..80, 3).expect("goes on");
    drop(log);
    assert_eq!(room.open().1.entries, [entry(78, 3), entry(79, 3)]);
}

#[test]
fn the_commit_is_exact_after_a_close_and_little_behind_without_one() {
    let room = Room::bootstrapped();
    let (mut log, _) = room.open();
    append(&mut log, 2..12, 2).expect("writes");
    let commits = |log: &mut MetadataLog, commit| {
        log.persist(&Persist { hard_state: Some(hard_state(2, 1, commit)), ..Persist::default() }).expect("notes");
    };
    commits(&mut log, 11);
    drop(log);
    let (mut log, restored) = room.open();
    assert!(restored.hard_state.commit < 11);
    commits(&mut log, 11);
    log.close().expect("closes");
    let (mut log, restored) = room.open();
    assert_eq!(restored.hard_state.commit, 11);
    append(&mut log, 12..12 + COMMIT_LAG_MAX, 2).expect("writes");
    commits(&mut log, 11 + COMMIT_LAG_MAX);
    drop(log);
    assert_eq!(room.open().1.hard_state.commit, 11 + COMMIT_LAG_MAX);
}

#[test]
fn a_lost_vote_is_refused() {
    let room = Room::bootstrapped();
    let whole = std::fs::read(room.path(HARD_STATE_FILE)).expect("reads");
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 4;
        std::fs::write(room.path(HARD_STATE_FILE), bytes).expect("writes");
        let error = room.refusal();
        assert!(error.is_fatal() && error.message().contains("vote"), "byte {at}: {error}");
    }
    std::fs::remove_file(room.path(HARD_STATE_FILE)).expect("removes");
    let error = room.refusal();
    assert!(error.is_fatal() && error.message().contains("vote"), "{error}");
}

#[test]
fn a_newer_hard_state_is_refused_with_both_versions() {
    let room = Room::bootstrapped();
    let mut bytes = std::fs::read(room.path(HARD_STATE_FILE)).expect("reads");
    bytes[9] = 7;
    let end = bytes.len() - 4;
    let crc = crate::record::crc32c(&bytes[..end]);
    bytes[end..].copy_from_slice(&crc.to_be_bytes());
    std::fs::write(room.path(HARD_STATE_FILE), bytes).expect("writes");
    let error = room.refusal();
    assert_eq!(error.code(), ErrorCode::UNSUPPORTED_VERSION);
    assert!(error.message().contains("version 7") && error.message().contains("up to 1"), "{error}");
}

#[test]
fn a_lost_or_damaged_snapshot_is_refused_and_so_are_entries_that_are_gone() {
    let damaged = Room::bootstrapped();
    let name = damaged.names(".checkpoint").remove(0);
    let mut bytes = std::fs::read(damaged.path(&name)).expect("reads");
    bytes[20] ^= 1;
    std::fs::write(damaged.path(&name), bytes).expect("writes");
    assert_eq!(damaged.refusal().code(), ErrorCode::CORRUPT_MESSAGE);

    let lost = Room::bootstrapped();
    let (mut log, _) = lost.open();
    append(&mut log, 2..60, 2).expect("writes");
    log.persist(&compacting(50, 2)).expect("compacts");
    drop(log);
    std::fs::remove_file(lost.path(&lost.names(".checkpoint")[0])).expect("removes");
    assert!(lost.refusal().message().contains("no snapshot covers them"));

    let gone = Room::bootstrapped();
    let (mut log, _) = gone.open();
    append(&mut log, 2..60, 2).expect("writes");
    log.persist(&compacting(20, 2)).expect("compacts");
    log.close().expect("closes");
    let last = gone.names(".log").pop().expect("a segment");
    std::fs::write(gone.path(&last), b"").expect("writes");
    let error = gone.refusal();
    assert!(error.message().contains("metadata log"), "{error}");
}

#[test]
fn an_unfinished_bootstrap_is_refused_until_it_is_finished() {
    let room = Room::new();
    std::fs::create_dir(room.place().dir()).expect("creates");
    hard_state::write(&RealDisk, &room.place().dir(), Quorum::bootstrap(&VOTERS).hard_state).expect("writes");
    assert!(room.refusal().message().contains("bootstrap"));
    assert!(MetadataLog::bootstrap(&room.place(), &VOTERS).expect("finishes"));
    assert_eq!(room.open().1, Quorum::bootstrap(&VOTERS));
}

#[test]
fn the_directory_passes_for_a_partition_of_kafka() {
    let room = Room::bootstrapped();
    let (mut log, _) = room.open();
    append(&mut log, 2..9, 2).expect("writes");
    log.close().expect("closes");
    let text = std::fs::read_to_string(room.path("partition.metadata")).expect("reads");
    assert_eq!(text, "version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAQ");
    assert_eq!(std::fs::read_to_string(room.path("leader-epoch-checkpoint")).expect("reads"), "0\n1\n2 1\n");
    assert_eq!(room.names(".log"), ["00000000000000000001.log"]);
}
