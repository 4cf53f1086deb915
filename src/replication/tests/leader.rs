use super::list_log::ListLog;
use super::reign::{at, facts, reign, state, Reign};
use crate::error::ErrorCode;
use crate::replication::{
    AckVerdict, FetchOutcome, FetchRequest, FetchVerdict, Fetching, LeaderOutput, LogFacts, NodeEpoch, Standing,
};
use crate::types::{Acks, LeaderEpoch, NodeId, Offset};

#[test]
fn a_lone_replica_commits_what_it_vouches_for() {
    let mut reign = reign(&[1], &[1], 2, 3);
    assert_eq!(reign.high_watermark(), 3, "min.insync.replicas counts no more than there are replicas");
    reign.log = LogFacts { vouched: Offset(4), ..facts(7) };
    reign.leader.handle_log(reign.log, at(1));
    assert_eq!(reign.high_watermark(), 4);
    assert_eq!(reign.leader.poll_output(), Some(LeaderOutput::HighWatermarkAdvanced(Offset(4))));
    assert_eq!(reign.leader.poll_output(), None);
    reign.append_to(7, 2);
    assert_eq!(reign.high_watermark(), 7);
}

#[test]
fn the_high_watermark_is_the_least_vouched_end_of_the_isr_once_all_have_fetched() {
    let mut reign = reign(&[1, 2, 3], &[1, 2, 3], 1, 10);
    reign.fetch(2, 10, 1);
    assert_eq!(reign.high_watermark(), 0, "node 3 has not fetched in this reign");
    reign.fetch_vouching(3, 10, 4, 2);
    assert_eq!(reign.high_watermark(), 4, "what is fetched and not vouched for does not count");
    reign.fetch(3, 10, 3);
    assert_eq!(reign.high_watermark(), 10);
}

#[test]
fn a_new_leader_keeps_its_high_watermark_and_clients_hear_no_offset_below_the_epochs_start() {
    let mut reign = reign(&[1, 2], &[1, 2], 1, 10);
    assert_eq!(reign.leader.latest_offset().unwrap_err().code(), ErrorCode::OFFSET_NOT_AVAILABLE);
    reign.fetch(2, 9, 1);
    assert_eq!(reign.leader.latest_offset().unwrap_err().code(), ErrorCode::OFFSET_NOT_AVAILABLE);
    reign.fetch(2, 10, 2);
    assert_eq!(reign.leader.latest_offset().unwrap(), Offset(10));
    let request = reign.request(0, 0);
    reign.send(2, 2, &request, 3);
    assert_eq!(reign.high_watermark(), 10, "a follower that lost everything does not take it back");
}

#[test]
fn the_high_watermark_rests_while_the_isr_is_too_small() {
    let mut reign = reign(&[1, 2, 3], &[1], 2, 0);
    reign.append_to(5, 1);
    assert_eq!(reign.high_watermark(), 0);
    reign.fetch(2, 5, 2);
    assert_eq!(reign.proposal(), Some(vec![1, 2]));
    assert_eq!(reign.high_watermark(), 0, "joining is not yet committed");
    reign.accept(&[1, 2], 10, 3);
    assert_eq!(reign.high_watermark(), 5);
}

#[test]
fn lowering_min_insync_replicas_lets_it_go_on() {
    let mut reign = reign(&[1, 2, 3], &[1], 2, 0);
    reign.append_to(5, 1);
    reign.leader.handle_min_insync_replicas(1, at(2));
    assert_eq!(reign.high_watermark(), 5);
}

#[test]
fn acks_all_is_refused_with_words_while_the_committed_isr_is_too_small() {
    let mut reign = reign(&[1, 2, 3], &[1], 2, 8);
    reign.stand(3, Standing { is_fenced: true, ..Standing::default() }, 1);
    let error = reign.leader.admit(Acks::All).unwrap_err();
    assert_eq!(error.code(), ErrorCode::NOT_ENOUGH_REPLICAS);
    let words = "min.insync.replicas is 2, in sync is [1]; missing is 2, which has not fetched in this epoch; \
                 missing is 3, which is fenced";
    assert_eq!(error.message(), words);
    assert_eq!(reign.leader.admit(Acks::Leader).unwrap(), LeaderEpoch(5));
    assert_eq!(reign.leader.admit(Acks::None).unwrap(), LeaderEpoch(5));
    reign.fetch(2, 8, 2);
    assert!(reign.leader.admit(Acks::All).is_err(), "a pending join does not count before it is committed");
    reign.accept(&[1, 2], 10, 3);
    assert_eq!(reign.leader.admit(Acks::All).unwrap(), LeaderEpoch(5));
}

#[test]
fn an_acknowledgement_waits_for_the_high_watermark_and_tells_when_the_isr_shrank_meanwhile() {
    let mut reign = reign(&[1, 2], &[1, 2], 2, 0);
    reign.append_to(5, 1);
    assert_eq!(reign.leader.judge_ack(LeaderEpoch(5), Offset(5)), AckVerdict::Wait);
    reign.fetch(2, 5, 2);
    assert_eq!(reign.leader.judge_ack(LeaderEpoch(5), Offset(5)), AckVerdict::Done);
    assert_eq!(reign.leader.judge_ack(LeaderEpoch(4), Offset(5)), AckVerdict::NotLeader);
    reign.leader.handle_partition(&state(&[1, 2], &[1], 11), 2, at(3));
    assert_eq!(reign.leader.judge_ack(LeaderEpoch(5), Offset(5)), AckVerdict::NotEnoughReplicasAfterAppend);
}

#[test]
fn a_node_that_registers_anew_has_to_say_anew_what_it_has() {
    let mut reign = reign(&[1, 2], &[1, 2], 1, 0);
    reign.fetch(2, 0, 1);
    reign.append_to(5, 2);
    reign.stand(2, Standing { node_epoch: Some(NodeEpoch(2)), ..Standing::default() }, 3);
    let late = reign.request(5, 5);
    assert_eq!(reign.send(2, 1, &late, 4), FetchVerdict::Refuse(ErrorCode::NOT_LEADER_OR_FOLLOWER));
    assert_eq!(reign.high_watermark(), 0);
    let request = reign.request(5, 5);
    reign.send(2, 2, &request, 5);
    assert_eq!(reign.high_watermark(), 5);
}

#[test]
fn a_fetch_that_was_overtaken_or_repeated_does_not_count() {
    let mut reign = reign(&[1, 2], &[1], 1, 10);
    let (early, late) = (reign.request(3, 3), reign.request(10, 10));
    reign.stand(2, Standing { is_fenced: true, ..Standing::default() }, 1);
    reign.send(2, 1, &late, 2);
    assert_eq!(reign.send(2, 1, &early, 3), FetchVerdict::Serve { from: Offset(3), bytes_max: 100 });
    reign.stand(2, Standing::default(), 4);
    reign.send(2, 1, &late, 5);
    assert_eq!(reign.proposal(), None, "the newest fetch, repeated, says nothing new");
    reign.fetch(2, 10, 6);
    assert_eq!(reign.proposal(), Some(vec![1, 2]));
}

#[test]
fn a_waiting_fetch_that_is_looked_at_again_says_nothing_new_about_its_follower() {
    let mut reign = reign(&[1, 2], &[1, 2], 1, 10);
    let request = reign.request(10, 10);
    let fetching = Fetching {
        from: NodeId(2),
        node_epoch: NodeEpoch(1),
        log: reign.log,
        epoch_end: Some((LeaderEpoch(5), Offset(10))),
    };
    assert_eq!(reign.leader.reread_fetch(fetching, &request), FetchVerdict::Serve { from: Offset(10), bytes_max: 100 });
    assert_eq!(reign.high_watermark(), 0);
}

#[test]
#[cfg_attr(feature = "bug-no-fencing", ignore = "planted")]
fn every_fetch_is_held_against_the_reign() {
    let mut reign = reign(&[1, 2], &[1, 2], 1, 10);
    let with_epoch = |reign: &mut Reign, epoch: Option<u32>| FetchRequest {
        current_leader_epoch: epoch.map(LeaderEpoch),
        ..reign.request(10, 10)
    };
    let old = with_epoch(&mut reign, Some(4));
    assert_eq!(reign.send(2, 1, &old, 1), FetchVerdict::Refuse(ErrorCode::FENCED_LEADER_EPOCH));
    let new = with_epoch(&mut reign, Some(6));
    assert_eq!(reign.send(2, 1, &new, 2), FetchVerdict::Refuse(ErrorCode::UNKNOWN_LEADER_EPOCH));
    let none = with_epoch(&mut reign, None);
    assert_eq!(reign.send(2, 1, &none, 3), FetchVerdict::Serve { from: Offset(10), bytes_max: 100 });
    assert_eq!(reign.high_watermark(), 0, "none of them counts");
    let stranger = reign.request(10, 10);
    assert_eq!(reign.send(9, 1, &stranger, 4), FetchVerdict::Refuse(ErrorCode::UNKNOWN_LEADER_EPOCH));
    let stranger = with_epoch(&mut reign, None);
    assert_eq!(reign.send(9, 1, &stranger, 5), FetchVerdict::Refuse(ErrorCode::NOT_LEADER_OR_FOLLOWER));
}

#[test]
fn a_fetch_that_makes_no_sense_is_refused() {
    let mut reign = reign(&[1, 2], &[1, 2], 1, 10);
    let sound = reign.request(5, 5);
    for broken in [
        FetchRequest { vouched: Offset(6), ..sound },
        FetchRequest { log_start: Offset(6), ..sound },
        FetchRequest { last_fetched_epoch: None, ..sound },
    ] {
        assert_eq!(reign.send(2, 1, &broken, 1), FetchVerdict::Refuse(ErrorCode::INVALID_REQUEST));
    }
}

#[test]
fn a_fetch_outside_of_the_log_is_out_of_range() {
    let mut reign = reign(&[1, 2], &[1, 2], 1, 10);
    let request = reign.request(11, 11);
    let past = FetchRequest { last_fetched_epoch: None, log_start: Offset(11), ..request };
    assert_eq!(reign.send(2, 1, &past, 1), FetchVerdict::Refuse(ErrorCode::OFFSET_OUT_OF_RANGE));
    reign.log.log_start = Offset(6);
    let below = reign.request(5, 5);
    assert_eq!(reign.send(2, 1, &below, 2), FetchVerdict::Refuse(ErrorCode::OFFSET_OUT_OF_RANGE));
    let unknown = reign.request(8, 8);
    let fetching = Fetching { from: NodeId(2), node_epoch: NodeEpoch(1), log: reign.log, epoch_end: None };
    let verdict = reign.leader.handle_fetch(fetching, &unknown, at(3));
    assert_eq!(verdict, FetchVerdict::Refuse(ErrorCode::OFFSET_OUT_OF_RANGE), "an epoch that nobody knows");
}

#[test]
fn a_diverging_fetch_is_told_where_and_does_not_count() {
    let log = ListLog::of(&[1, 3, 5]);
    let mut reign = reign(&[1, 2], &[1, 2], 1, 3);
    for (offset, epoch, expected) in [
        (3, 4, FetchVerdict::Diverged { epoch: LeaderEpoch(3), end_offset: Offset(2) }),
        (2, 2, FetchVerdict::Diverged { epoch: LeaderEpoch(1), end_offset: Offset(1) }),
        (3, 3, FetchVerdict::Diverged { epoch: LeaderEpoch(3), end_offset: Offset(2) }),
        (2, 3, FetchVerdict::Serve { from: Offset(2), bytes_max: 100 }),
    ] {
        let last_fetched_epoch = Some(LeaderEpoch(epoch));
        let request = FetchRequest { last_fetched_epoch, ..reign.request(offset, offset) };
        let epoch_end = log.end_offset_for(LeaderEpoch(epoch));
        let fetching = Fetching { from: NodeId(2), node_epoch: NodeEpoch(1), log: log.facts(), epoch_end };
        assert_eq!(reign.leader.handle_fetch(fetching, &request, at(1)), expected);
    }
    assert_eq!(reign.high_watermark(), 2);
}

#[test]
fn the_answer_carries_the_number_of_the_question_and_the_ends_of_the_leader() {
    let mut reign = reign(&[1, 2], &[1, 2], 1, 10);
    reign.fetch(2, 7, 1);
    let request = reign.request(7, 7);
    let response = reign.leader.respond(&request, FetchOutcome::Error(ErrorCode::KAFKA_STORAGE_ERROR));
    assert_eq!(response.correlation, request.correlation);
    assert_eq!((response.leader_epoch, response.high_watermark), (LeaderEpoch(5), Offset(7)));
    assert_eq!((response.log_start, response.log_end), (Offset(0), Offset(10)));
}

#[test]
fn the_low_watermark_is_the_lowest_log_start_of_who_is_not_fenced() {
    let mut reign = reign(&[1, 2, 3], &[1, 2], 1, 10);
    reign.stand(3, Standing { is_fenced: true, ..Standing::default() }, 1);
    assert_eq!(reign.leader.low_watermark(), None, "node 2 has not fetched");
    reign.fetch(2, 10, 2);
    reign.leader.handle_log(LogFacts { log_start: Offset(4), ..facts(10) }, at(3));
    assert_eq!(reign.leader.low_watermark(), Some(Offset(0)));
    reign.log.log_start = Offset(4);
    let request = FetchRequest { log_start: Offset(3), ..reign.request(10, 10) };
    reign.send(2, 1, &request, 4);
    assert_eq!(reign.leader.low_watermark(), Some(Offset(3)));
}

#[test]
#[should_panic(expected = "log end 9 was 10 in this reign")]
fn a_log_that_shrinks_under_its_leader_stops_it() {
    reign(&[1, 2], &[1, 2], 1, 10).append_to(9, 1);
}

#[test]
#[should_panic(expected = "leads and is not in the ISR")]
fn a_leader_outside_of_the_isr_is_a_bug() {
    reign(&[1, 2], &[2], 1, 10);
}
