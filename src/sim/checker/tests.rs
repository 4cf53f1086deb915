//! Histories with a violation in each, which has to be found, and clean ones, which have to pass.

use super::*;
use crate::error::{Error, ErrorCode, Result};
use crate::record::BatchView;
use crate::sim::findings::{Broken, Finding};
use crate::sim::payload::batch;
use crate::storage::LogOffsets;
use crate::types::Timestamp;

mod losses;

const A: NodeId = NodeId(0);
const B: NodeId = NodeId(1);
const C: NodeId = NodeId(2);

/// Batches of one record each, one behind the other.
#[derive(Clone, Default)]
struct ListLog {
    batches: Vec<Vec<u8>>,
    flushed: Option<u64>,
}

impl ReadLog for ListLog {
    fn read_log(&self, from: Offset) -> Result<Bytes> {
        let at = usize::try_from(from.0).expect("small");
        match self.batches.get(at..) {
            Some(rest) => Ok(rest.concat().into()),
            None => Err(Error::new(ErrorCode::OFFSET_OUT_OF_RANGE, format!("{from} is past the end"))),
        }
    }
}

fn id(producer: u32, number: u64) -> RecordId {
    RecordId { producer, number }
}

impl ListLog {
    fn append(&mut self, id: RecordId, epoch: u32) {
        let mut sealed = batch(id, &[10], None, Timestamp(1));
        sealed.stamp(Offset(self.batches.len() as u64), LeaderEpoch(epoch));
        self.batches.push(sealed.into_bytes());
    }

    fn with(ids: std::ops::Range<u64>, epoch: u32) -> ListLog {
        let mut log = ListLog::default();
        ids.for_each(|number| log.append(id(1, number), epoch));
        log
    }

    fn end(&self) -> u64 {
        self.batches.len() as u64
    }
}

fn name() -> TopicPartition {
    TopicPartition::new("t", 0)
}

struct Stage {
    checker: Checker,
    lives: BTreeMap<NodeId, u64>,
    registered: BTreeMap<NodeId, u64>,
    last_leader: Option<NodeId>,
    offset: u64,
}

impl Stage {
    /// All three in sync, nobody leads yet.
    fn new(flushes: bool) -> Stage {
        let (lives, registered) = (BTreeMap::new(), BTreeMap::new());
        let mut stage = Stage { checker: Checker::new(flushes), lives, registered, last_leader: None, offset: 0 };
        for node in [A, B, C] {
            stage.start(node);
            stage.register(node);
        }
        stage.decide(1, &[A, B, C], &[]).expect("the first decision");
        stage
    }

    /// A new life of the node is open.
    fn start(&mut self, node: NodeId) {
        let life = self.lives.entry(node).or_default();
        *life += 1;
        self.checker.handle_start(node);
        self.checker.handle_birth(node, *life);
    }

    fn register(&mut self, node: NodeId) {
        self.registered.insert(node, self.lives[&node]);
    }

    fn decide(&mut self, epoch: u32, isr: &[NodeId], elr: &[NodeId]) -> Checked {
        self.offset += 1;
        let decision = Decision {
            leader: isr.first().copied(),
            leader_epoch: LeaderEpoch(epoch),
            partition_epoch: u32::try_from(self.offset).expect("small"),
            replicas: vec![A, B, C],
            isr: isr.to_vec(),
            elr: elr.to_vec(),
            last_known_leader: self.last_leader,
        };
        self.last_leader = decision.leader.or(self.last_leader);
        let mark = ImageMark { offset: self.offset, registered: self.registered.clone() };
        self.checker.handle_decision(&mark, &name(), &decision)
    }

    fn see(&mut self, node: NodeId, epoch: u32, leads: bool, log: &ListLog, high_watermark: u64) -> Checked {
        let end = log.end();
        let offsets = LogOffsets {
            log_start: Offset(0),
            high_watermark: Offset(high_watermark),
            flushed: Offset(log.flushed.unwrap_or(end)),
            log_end: Offset(end),
        };
        self.checker.handle_sighting(&Sighting {
            node,
            life: self.lives[&node],
            partition: &name(),
            leader_epoch: LeaderEpoch(epoch),
            leads,
            is_offline: false,
            offsets,
            log,
        })
    }

    fn lead(&mut self, node: NodeId, epoch: u32, log: &ListLog, high_watermark: u64) -> Checked {
        self.see(node, epoch, true, log, high_watermark)
    }

    fn follow(&mut self, node: NodeId, epoch: u32, log: &ListLog, high_watermark: u64) -> Checked {
        self.see(node, epoch, false, log, high_watermark)
    }

    fn cut_power(&mut self, node: NodeId, log: &mut ListLog, kept: usize) -> Checked {
        log.batches.truncate(kept);
        self.checker.handle_kill(node);
        let outcome = self.checker.handle_power_cut(node, |_| log.batches.concat()).map(|_| ());
        self.start(node);
        outcome
    }

    /// Five batches, all of them committed and everywhere.
    fn with_five(flushes: bool) -> (Stage, ListLog) {
        let mut stage = Stage::new(flushes);
        let log = ListLog::with(0..5, 1);
        stage.follow(B, 1, &log, 0).expect("follows");
        stage.follow(C, 1, &log, 0).expect("follows");
        stage.lead(A, 1, &log, 5).expect("leads");
        (stage, log)
    }
}

fn broken(outcome: Checked) -> Option<Broken> {
    outcome.err().map(|Finding { broken, .. }| broken)
}

#[test]
fn a_cluster_that_changes_leaders_and_keeps_everything_passes() {
    let (mut stage, log) = Stage::with_five(true);
    stage.checker.handle_acked(A, &name(), id(1, 4), Offset(4)).expect("committed");
    stage.checker.handle_served(B, &name(), &log.batches[..3].concat().into()).expect("committed");
    // A has written more that nobody has; B leads, and A follows it.
    let mut ahead = log.clone();
    ahead.append(id(2, 1), 1);
    stage.lead(A, 1, &ahead, 5).expect("not committed");
    stage.decide(2, &[B, C], &[]).expect("elected");
    stage.lead(B, 2, &log, 4).expect("has everything, and does not know it yet");
    let mut next = log.clone();
    next.append(id(1, 5), 2);
    stage.follow(C, 2, &next, 5).expect("follows");
    stage.lead(B, 2, &next, 6).expect("commits");
    stage.follow(A, 2, &log, 5).expect("cut to where the logs part");
    stage.follow(A, 2, &next, 6).expect("caught up");
    stage.decide(2, &[A, B, C], &[]).expect("in sync again");
    stage.follow(A, 2, &next, 6).expect("in sync");
    for node in [A, B, C] {
        stage.checker.check_whole(node, &name(), &next).expect("the same everywhere");
    }
    stage.checker.check_all_acked().expect("all there");
    assert_eq!(stage.checker.checks().committed, 6);
}

#[test]
fn a_new_leader_without_a_committed_batch_is_found() {
    let (mut stage, log) = Stage::with_five(false);
    let short = ListLog { batches: log.batches[..4].to_vec(), ..log };
    assert_eq!(broken(stage.lead(B, 2, &short, 4)), Some(Broken::Lost));
}

#[test]
fn a_new_leader_with_another_batch_in_the_place_of_a_committed_one_is_found() {
    let (mut stage, mut log) = Stage::with_five(false);
    log.batches.truncate(4);
    log.append(id(2, 9), 1);
    assert_eq!(broken(stage.lead(B, 2, &log, 4)), Some(Broken::Lost));
}

#[test]
fn a_member_of_the_isr_without_a_committed_batch_is_found_before_it_leads() {
    let mut stage = Stage::new(false);
    let (log, short) = (ListLog::with(0..5, 1), ListLog::with(0..4, 1));
    stage.lead(A, 1, &log, 5).expect("it says so");
    assert_eq!(broken(stage.follow(B, 1, &short, 4)), Some(Broken::Lost));
}

#[test]
fn an_eligible_replica_counts_as_a_member_and_one_that_left_does_not() {
    for (elr, expected) in [(&[B][..], Some(Broken::Lost)), (&[][..], None)] {
        let mut stage = Stage::new(false);
        stage.decide(1, &[A, C], elr).expect("left");
        stage.lead(A, 1, &ListLog::with(0..5, 1), 5).expect("leads");
        assert_eq!(broken(stage.follow(B, 1, &ListLog::with(0..4, 1), 4)), expected);
    }
}

#[test]
fn a_replica_that_is_cut_below_its_high_watermark_is_found() {
    let (mut stage, log) = Stage::with_five(false);
    stage.decide(1, &[A, C], &[]).expect("out of sync");
    stage.follow(B, 1, &log, 5).expect("knows of five");
    let short = ListLog { batches: log.batches[..3].to_vec(), ..log };
    assert_eq!(broken(stage.follow(B, 1, &short, 3)), Some(Broken::Lost));
}

#[test]
fn two_leaders_of_one_epoch_are_found() {
    let (mut stage, log) = Stage::with_five(false);
    assert_eq!(broken(stage.lead(B, 1, &log, 5)), Some(Broken::TwoLeaders));
}

#[test]
fn epochs_that_go_back_are_found_at_a_node_and_in_the_metadata() {
    let (mut stage, log) = Stage::with_five(false);
    stage.follow(B, 3, &log, 5).expect("newer");
    assert_eq!(broken(stage.follow(B, 2, &log, 5)), Some(Broken::EpochBack));
    let (mut stage, _) = Stage::with_five(false);
    stage.decide(4, &[A, B, C], &[]).expect("newer");
    assert_eq!(broken(stage.decide(3, &[A, B, C], &[])), Some(Broken::EpochBack));
}

#[test]
fn a_high_watermark_that_goes_back_in_its_reign_or_passes_the_end_is_found() {
    let (mut stage, log) = Stage::with_five(false);
    assert_eq!(broken(stage.lead(A, 1, &log, 4)), Some(Broken::WatermarkBack));
    let (mut stage, log) = Stage::with_five(false);
    assert_eq!(broken(stage.follow(B, 1, &log, 6)), Some(Broken::WatermarkBack));
}

#[test]
fn a_follower_that_shows_more_than_is_committed_is_found() {
    let mut stage = Stage::new(false);
    let log = ListLog::with(0..5, 1);
    stage.lead(A, 1, &log, 3).expect("leads");
    assert_eq!(broken(stage.follow(B, 1, &log, 4)), Some(Broken::ReadUncommitted));
}

#[test]
fn an_acknowledgement_of_what_is_not_committed_is_found() {
    let (mut stage, mut log) = Stage::with_five(false);
    log.append(id(2, 1), 1);
    stage.lead(A, 1, &log, 5).expect("not committed");
    assert_eq!(broken(stage.checker.handle_acked(A, &name(), id(2, 1), Offset(5))), Some(Broken::AckedTooEarly));
    assert_eq!(broken(stage.checker.handle_acked(A, &name(), id(2, 1), Offset(4))), Some(Broken::Lost));
}

#[test]
fn what_was_served_must_be_committed_and_stay_as_it_is() {
    let (mut stage, log) = Stage::with_five(false);
    let mut others = ListLog::with(0..4, 1);
    others.append(id(9, 9), 1);
    others.append(id(9, 10), 1);
    let mut serve = |log: &ListLog, at: usize| stage.checker.handle_served(A, &name(), &log.batches[at].clone().into());
    serve(&log, 4).expect("committed");
    assert_eq!(broken(serve(&others, 4)), Some(Broken::ReadUncommitted));
    assert_eq!(broken(serve(&others, 5)), Some(Broken::ReadUncommitted));
}

#[test]
fn a_record_that_was_refused_is_found_in_the_log() {
    let (mut stage, mut log) = Stage::with_five(false);
    stage.checker.handle_refused(id(2, 1), 2);
    log.append(id(2, 2), 1);
    assert_eq!(broken(stage.lead(A, 1, &log, 6)), Some(Broken::FailedPresent));
}

#[test]
fn a_record_that_is_there_twice_or_before_an_earlier_one_is_found() {
    let (mut stage, mut log) = Stage::with_five(false);
    log.append(id(1, 2), 1);
    assert_eq!(broken(stage.lead(A, 1, &log, 6)), Some(Broken::Duplicate));
    let (mut stage, mut log) = Stage::with_five(false);
    log.append(id(1, 8), 1);
    log.append(id(1, 7), 1);
    assert_eq!(broken(stage.lead(A, 1, &log, 7)), Some(Broken::Reordered));
}

#[test]
fn a_member_that_has_not_flushed_what_is_committed_is_found_where_flushing_was_promised() {
    for (flushes, expected) in [(true, Some(Broken::NotDurable)), (false, None)] {
        let (mut stage, mut log) = Stage::with_five(flushes);
        log.flushed = Some(4);
        assert_eq!(broken(stage.follow(B, 1, &log, 5)), expected);
    }
}

#[test]
fn a_power_cut_that_takes_what_was_flushed_is_found() {
    let (mut stage, mut log) = Stage::with_five(false);
    log.flushed = Some(4);
    stage.follow(B, 1, &log, 5).expect("in sync");
    stage.cut_power(B, &mut log.clone(), 4).expect("only what was not flushed");
    assert_eq!(broken(stage.cut_power(B, &mut log, 3)), Some(Broken::NotDurable));
}

#[test]
fn who_has_heard_that_it_keeps_no_replica_may_have_removed_it_without_opening_it() {
    for (heard, expected) in [(true, None), (false, Some(Broken::NotDurable))] {
        let (mut stage, log) = Stage::with_five(true);
        let before = stage.checker.decision(&name()).cloned().expect("is decided");
        stage.checker.handle_heard(C, &name(), &before);
        stage.offset += 1;
        let next = Decision { partition_epoch: 7, replicas: vec![A, B], isr: vec![A, B], ..before.clone() };
        let mark = ImageMark { offset: stage.offset, registered: stage.registered.clone() };
        stage.checker.handle_decision(&mark, &name(), &next).expect("without C");
        stage.checker.handle_heard(C, &name(), if heard { &next } else { &before });
        assert_eq!(broken(stage.cut_power(C, &mut log.clone(), 0)), expected);
    }
}

#[test]
fn damage_in_what_was_flushed_is_found_after_a_power_cut() {
    let (mut stage, mut log) = Stage::with_five(true);
    let last = log.batches[2].len() - 1;
    log.batches[2][last] ^= 1;
    assert!(!BatchView::parse(&log.batches[2]).expect("a batch").crc_matches());
    assert_eq!(broken(stage.cut_power(B, &mut log, 5)), Some(Broken::NotDurable));
}

#[test]
fn a_leader_that_was_deposed_before_it_began_need_not_have_what_was_committed_after_it() {
    for (committed_before, expected) in [(5, None), (6, Some(Broken::Lost))] {
        let (mut stage, log) = Stage::with_five(false);
        let mut next = log.clone();
        next.append(id(1, 5), 1);
        stage.lead(A, 1, &next, committed_before).expect("commits");
        stage.decide(3, &[C, A], &[]).expect("nobody has heard of the second reign");
        stage.lead(C, 3, &next, 6).expect("commits");
        assert_eq!(broken(stage.lead(B, 2, &log, 5)), expected);
    }
}

#[test]
fn what_a_dying_node_has_cut_is_no_loss_of_what_was_flushed() {
    let (mut stage, mut log) = Stage::with_five(false);
    log.append(id(2, 1), 1);
    stage.decide(1, &[A, C], &[]).expect("out of sync");
    stage.follow(B, 1, &log, 5).expect("one more, flushed, not committed");
    let offsets =
        LogOffsets { log_start: Offset(0), high_watermark: Offset(5), flushed: Offset(5), log_end: Offset(5) };
    stage.checker.handle_last_look(B, &name(), offsets);
    stage.cut_power(B, &mut log, 5).expect("it was cut");
}

#[test]
fn in_the_end_a_replica_with_less_more_or_other_batches_is_found() {
    let (stage, log) = Stage::with_five(false);
    let whole = |log: &ListLog| broken(stage.checker.check_whole(B, &name(), log));
    assert_eq!(whole(&log), None);
    let (mut more, mut other) = (log.clone(), ListLog::with(0..4, 1));
    more.append(id(7, 7), 1);
    other.append(id(7, 7), 1);
    assert_eq!(whole(&more), Some(Broken::Diverged));
    assert_eq!(whole(&other), Some(Broken::Diverged));
    assert_eq!(whole(&ListLog::with(0..4, 1)), Some(Broken::Diverged));
}
