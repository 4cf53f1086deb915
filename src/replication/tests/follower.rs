use super::list_log::ListLog;
use crate::error::{Error, ErrorCode};
use crate::replication::{
    FetchOutcome, FetchRequest, FetchResponse, Follower, FollowerSetup, FollowerStep, LogFacts, Settled,
};
use crate::time::Instant;
use crate::types::{LeaderEpoch, NodeId, Offset};
use bytes::Bytes;
use std::time::Duration;

const LEADER: NodeId = NodeId(1);
const SOME: Bytes = Bytes::from_static(b"batches");

fn at(ms: u64) -> Instant {
    Instant(ms * 1_000_000)
}

fn facts(start: u64, end: u64) -> LogFacts {
    LogFacts { log_start: Offset(start), log_end: Offset(end), vouched: Offset(end) }
}

/// Follows node 1 in epoch 5; back-off is 1 s, a request times out after 30 s.
fn following(log: LogFacts, high_watermark: u64) -> Follower {
    Follower::new(FollowerSetup {
        leader: LEADER,
        leader_epoch: LeaderEpoch(5),
        log,
        high_watermark: Offset(high_watermark),
        bytes_max: 100,
        fetch_backoff: Duration::from_secs(1),
        correlation_last: Default::default(),
        request_timeout: Duration::from_secs(30),
    })
}

fn fetch(follower: &mut Follower, log: LogFacts, ms: u64) -> FetchRequest {
    follower.poll_fetch(log, Some(LeaderEpoch(4)), at(ms)).expect("a fetch is due")
}

/// The leader's log is 0..20, its high watermark 15.
fn answer(request: &FetchRequest, outcome: FetchOutcome) -> FetchResponse {
    FetchResponse {
        correlation: request.correlation,
        leader_epoch: LeaderEpoch(5),
        high_watermark: Offset(15),
        log_start: Offset(0),
        log_end: Offset(20),
        outcome,
    }
}

fn refusal(request: &FetchRequest, code: ErrorCode) -> FetchResponse {
    answer(request, FetchOutcome::Error(code))
}

fn hear(follower: &mut Follower, response: FetchResponse, log: LogFacts, ms: u64) -> FollowerStep {
    follower.handle_response(LEADER, response, log, None, at(ms))
}

fn is_idle(step: &FollowerStep) -> bool {
    matches!(step, FollowerStep::Idle)
}

#[test]
fn it_fetches_from_its_log_end_and_says_what_it_vouches_for() {
    let log = LogFacts { vouched: Offset(7), ..facts(2, 10) };
    let mut follower = following(log, 5);
    let request = fetch(&mut follower, log, 3);
    let expected = FetchRequest {
        correlation: request.correlation,
        current_leader_epoch: Some(LeaderEpoch(5)),
        fetch_offset: Offset(10),
        last_fetched_epoch: Some(LeaderEpoch(4)),
        log_start: Offset(2),
        vouched: Offset(7),
        bytes_max: 100,
    };
    assert_eq!(request, expected);
    assert_eq!(follower.poll_fetch(log, None, at(4)), None, "one fetch at a time");
    assert_eq!(follower.poll_timeout(), Some(at(30_003)));
}

#[test]
fn the_high_watermark_is_the_leaders_as_far_as_there_are_records() {
    let mut follower = following(facts(0, 10), 5);
    let request = fetch(&mut follower, facts(0, 10), 1);
    let response = FetchResponse { log_start: Offset(3), ..answer(&request, FetchOutcome::Records(SOME)) };
    let step = hear(&mut follower, response, facts(0, 10), 2);
    assert!(matches!(step, FollowerStep::Append { at: Offset(10), records } if records == SOME));
    assert_eq!(follower.poll_timeout(), None, "first the append");
    assert_eq!(follower.high_watermark(), Offset(5));
    let settled = follower.handle_appended(facts(0, 12));
    assert_eq!(settled, Settled { high_watermark: Offset(12), log_start: Offset(3) });
    let request = fetch(&mut follower, facts(3, 12), 3);
    assert_eq!(request.fetch_offset, Offset(12));
}

#[test]
fn an_empty_answer_still_brings_the_high_watermark_and_never_takes_it_back() {
    let mut follower = following(facts(0, 20), 5);
    for (leaders, mine) in [(15, 15), (9, 15), (30, 20)] {
        let request = fetch(&mut follower, facts(0, 20), leaders);
        let high_watermark = Offset(leaders);
        let response = FetchResponse { high_watermark, ..answer(&request, FetchOutcome::Records(Bytes::new())) };
        let step = hear(&mut follower, response, facts(0, 20), leaders);
        assert!(matches!(step, FollowerStep::Settled(settled) if settled.high_watermark == Offset(mine)), "{step:?}");
    }
}

#[test]
fn the_log_start_is_never_raised_past_the_own_high_watermark() {
    let mut follower = following(facts(0, 5), 5);
    let request = fetch(&mut follower, facts(0, 5), 1);
    let response = FetchResponse { log_start: Offset(9), ..answer(&request, FetchOutcome::Records(Bytes::new())) };
    let step = hear(&mut follower, response, facts(0, 5), 2);
    assert!(matches!(step, FollowerStep::Settled(settled) if settled.log_start == Offset(5)), "{step:?}");
}

#[test]
fn only_the_answer_to_the_newest_fetch_counts() {
    let log = facts(0, 10);
    let mut follower = following(log, 5);
    let first = fetch(&mut follower, log, 1);
    assert_eq!(follower.poll_fetch(log, None, at(30_000)), None);
    let second = fetch(&mut follower, log, 30_001);
    assert!(second.correlation > first.correlation);
    let records = |request| answer(request, FetchOutcome::Records(SOME));
    assert!(is_idle(&hear(&mut follower, records(&first), log, 30_002)), "given up");
    assert!(is_idle(&follower.handle_response(NodeId(2), records(&second), log, None, at(30_003))), "not the leader");
    assert!(matches!(hear(&mut follower, records(&second), log, 30_004), FollowerStep::Append { .. }));
    assert!(is_idle(&hear(&mut follower, records(&second), log, 30_005)), "repeated, before the append is done");
    follower.handle_appended(facts(0, 12));
    assert!(is_idle(&hear(&mut follower, records(&second), facts(0, 12), 30_006)), "and after it");
    let third = fetch(&mut follower, facts(0, 12), 30_006);
    assert!(is_idle(&hear(&mut follower, records(&second), facts(0, 12), 30_007)), "and during the next");
    assert_eq!(third.fetch_offset, Offset(12));
}

#[test]
fn numbers_grow_over_reigns_and_even_while_time_stands_still() {
    let log = facts(0, 10);
    let mut follower = following(log, 5);
    let first = fetch(&mut follower, log, 7);
    hear(&mut follower, answer(&first, FetchOutcome::Records(Bytes::new())), log, 7);
    let second = fetch(&mut follower, log, 7);
    let third = fetch(&mut following(log, 5), log, 8);
    assert!(first.correlation < second.correlation && second.correlation < third.correlation);
}

#[test]
#[cfg_attr(feature = "bug-hw-truncation", ignore = "planted")]
fn truncation_follows_the_epochs() {
    // Own log: epochs 0@0 2@4 4@8, end 10.
    let log = ListLog::of(&[0, 0, 0, 0, 2, 2, 2, 2, 4, 4]);
    for (epoch, end, to, why) in [
        (3, 9, 8, "largest own epoch not above 3 is 2, which ends at 8"),
        (2, 6, 6, "the leader's epoch 2 is shorter"),
        (2, 9, 8, "the own epoch 2 is shorter"),
        (4, 9, 9, "same epoch"),
        (1, 1, 4, "ask again from the end of epoch 0"),
        (0, 0, 0, "nothing in common"),
    ] {
        let mut follower = following(log.facts(), 0);
        let request = fetch(&mut follower, log.facts(), 1);
        let diverging = FetchOutcome::Diverging { epoch: LeaderEpoch(epoch), end_offset: Offset(end) };
        let response = answer(&request, diverging);
        let local_end = log.end_offset_for(response.diverging_epoch().unwrap());
        let step = follower.handle_response(LEADER, response, log.facts(), local_end, at(2));
        let expected = Offset(to);
        assert!(matches!(step, FollowerStep::Truncate { to, .. } if to == expected), "{why}: {step:?}");
        assert_eq!(follower.high_watermark(), Offset(0), "an answer that parts says nothing of the high watermark");
        assert_eq!(follower.poll_timeout(), None, "first the truncation");
    }
    // The own cache knows nothing.
    let mut follower = following(log.facts(), 0);
    let request = fetch(&mut follower, log.facts(), 1);
    let diverging = FetchOutcome::Diverging { epoch: LeaderEpoch(1), end_offset: Offset(30) };
    let step = hear(&mut follower, answer(&request, diverging), log.facts(), 2);
    assert!(matches!(step, FollowerStep::Truncate { to: Offset(10), .. }), "never past the own end: {step:?}");
}

#[test]
#[cfg_attr(feature = "bug-hw-truncation", ignore = "planted")]
fn a_truncation_below_the_high_watermark_is_pointed_out_and_takes_it_along() {
    let mut follower = following(facts(0, 10), 8);
    let request = fetch(&mut follower, facts(0, 10), 1);
    let diverging = FetchOutcome::Diverging { epoch: LeaderEpoch(3), end_offset: Offset(6) };
    let step = hear(&mut follower, answer(&request, diverging), facts(0, 10), 2);
    assert!(matches!(step, FollowerStep::Truncate { to: Offset(6), below_high_watermark: true }), "{step:?}");
    assert_eq!(follower.handle_truncated(facts(0, 6)).high_watermark, Offset(6));
    assert_eq!(fetch(&mut follower, facts(0, 6), 3).fetch_offset, Offset(6));
}

#[test]
fn out_of_range_goes_to_where_the_leader_is() {
    // Past the leader's end.
    let mut follower = following(facts(0, 30), 8);
    let request = fetch(&mut follower, facts(0, 30), 1);
    let step = hear(&mut follower, refusal(&request, ErrorCode::OFFSET_OUT_OF_RANGE), facts(0, 30), 2);
    assert!(matches!(step, FollowerStep::Truncate { to: Offset(20), .. }), "{step:?}");
    // Past it with a log that begins past it.
    let mut follower = following(facts(25, 30), 25);
    let request = fetch(&mut follower, facts(25, 30), 1);
    let step = hear(&mut follower, refusal(&request, ErrorCode::OFFSET_OUT_OF_RANGE), facts(25, 30), 2);
    assert!(matches!(step, FollowerStep::RestartAt { log_start: Offset(20) }), "{step:?}");
    // Below the leader's start.
    let mut follower = following(facts(0, 5), 5);
    let request = fetch(&mut follower, facts(0, 5), 1);
    let response = FetchResponse { log_start: Offset(12), ..refusal(&request, ErrorCode::OFFSET_OUT_OF_RANGE) };
    let step = hear(&mut follower, response, facts(0, 5), 2);
    assert!(matches!(step, FollowerStep::RestartAt { log_start: Offset(12) }), "{step:?}");
    assert_eq!(follower.handle_truncated(facts(12, 12)).high_watermark, Offset(12));
    // Inside: it may have moved meanwhile.
    let mut follower = following(facts(0, 10), 5);
    let request = fetch(&mut follower, facts(0, 10), 1);
    let step = hear(&mut follower, refusal(&request, ErrorCode::OFFSET_OUT_OF_RANGE), facts(0, 10), 2);
    assert!(matches!(step, FollowerStep::BackOff(ErrorCode::OFFSET_OUT_OF_RANGE)), "{step:?}");
}

#[test]
fn a_leader_of_a_newer_reign_stops_it_for_good() {
    let log = facts(0, 10);
    let mut follower = following(log, 5);
    let request = fetch(&mut follower, log, 1);
    let leader_epoch = LeaderEpoch(6);
    let response = FetchResponse { leader_epoch, ..refusal(&request, ErrorCode::FENCED_LEADER_EPOCH) };
    assert!(matches!(hear(&mut follower, response, log, 2), FollowerStep::Stop));
    assert_eq!(follower.leader_epoch(), LeaderEpoch(5));
    assert_eq!(follower.poll_fetch(log, None, at(1_000_000)), None);
}

#[test]
fn other_refusals_are_waited_out() {
    let log = facts(0, 10);
    for code in [
        ErrorCode::UNKNOWN_LEADER_EPOCH,
        ErrorCode::NOT_LEADER_OR_FOLLOWER,
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode::KAFKA_STORAGE_ERROR,
        ErrorCode::CORRUPT_MESSAGE,
        ErrorCode::FENCED_LEADER_EPOCH, // from somebody who is not ahead of us
    ] {
        let mut follower = following(log, 5);
        let request = fetch(&mut follower, log, 0);
        let step = hear(&mut follower, refusal(&request, code), log, 0);
        assert!(matches!(step, FollowerStep::BackOff(why) if why == code), "{step:?}");
        assert_eq!(follower.poll_fetch(log, None, at(999)), None);
        fetch(&mut follower, log, 1_000);
    }
}

#[test]
fn records_of_another_reign_are_not_appended() {
    let log = facts(0, 10);
    let mut follower = following(log, 5);
    let request = fetch(&mut follower, log, 1);
    let leader_epoch = LeaderEpoch(6);
    let response = FetchResponse { leader_epoch, ..answer(&request, FetchOutcome::Records(SOME)) };
    assert!(matches!(hear(&mut follower, response, log, 2), FollowerStep::BackOff(_)));
}

#[test]
fn damaged_bytes_are_fetched_again_and_a_broken_disk_ends_it() {
    let log = facts(0, 10);
    let mut follower = following(log, 5);
    for ms in [0, 1_000] {
        let request = fetch(&mut follower, log, ms);
        hear(&mut follower, answer(&request, FetchOutcome::Records(SOME)), log, ms);
        let step = follower.handle_failure(Error::new(ErrorCode::CORRUPT_MESSAGE, "x"), at(ms));
        assert!(matches!(step, FollowerStep::BackOff(ErrorCode::CORRUPT_MESSAGE)));
        assert_eq!(follower.poll_timeout(), Some(at(ms + 1_000)));
    }
    let step = follower.handle_failure(Error::new(ErrorCode::KAFKA_STORAGE_ERROR, "x"), at(2_000));
    assert!(matches!(step, FollowerStep::Failed(_)));
    assert_eq!(follower.poll_fetch(log, None, at(1_000_000)), None);
}

#[test]
fn a_log_that_moved_during_a_fetch_is_an_illegal_state() {
    let mut follower = following(facts(0, 10), 5);
    let request = fetch(&mut follower, facts(0, 10), 1);
    let step = hear(&mut follower, answer(&request, FetchOutcome::Records(SOME)), facts(0, 11), 2);
    assert!(matches!(step, FollowerStep::Failed(error) if error.code() == ErrorCode::STATE));
}

#[test]
#[should_panic(expected = "log end 10 after an append at 10")]
fn an_append_that_appends_nothing_is_a_bug() {
    let log = facts(0, 10);
    let mut follower = following(log, 5);
    let request = fetch(&mut follower, log, 1);
    hear(&mut follower, answer(&request, FetchOutcome::Records(SOME)), log, 2);
    follower.handle_appended(log);
}
