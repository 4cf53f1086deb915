use super::reign::{at, ids, reign, state, Reign};
use crate::error::ErrorCode;
use crate::replication::{FetchVerdict, IsrMember, IsrProposal, IsrVerdict, NodeEpoch, PartitionEpoch, Standing};
use crate::types::{Acks, LeaderEpoch, NodeId};

#[test]
fn a_replica_joins_when_it_vouches_for_the_high_watermark_and_for_the_start_of_the_epoch() {
    let mut reign = reign(&[1, 2, 3], &[1, 2], 1, 10);
    reign.fetch(3, 9, 1);
    assert_eq!(reign.proposal(), None, "the epoch begins at 10");
    reign.append_to(12, 2);
    reign.fetch(2, 12, 3);
    assert_eq!(reign.high_watermark(), 12);
    reign.fetch(3, 11, 4);
    assert_eq!(reign.proposal(), None, "12 is committed");
    reign.fetch_vouching(3, 12, 11, 5);
    assert_eq!(reign.proposal(), None, "it has 12 and does not vouch for it");
    reign.fetch(3, 12, 6);
    let member = |node, life| IsrMember { node: NodeId(node), node_epoch: Some(NodeEpoch(life)) };
    assert_eq!(
        reign.full_proposal(),
        Some(IsrProposal {
            leader_epoch: LeaderEpoch(5),
            partition_epoch: PartitionEpoch(10),
            in_sync_replicas: vec![member(1, 1), member(2, 1), member(3, 1)],
        })
    );
    assert_eq!((reign.committed(), reign.maximal()), (vec![1, 2], vec![1, 2, 3]));
    reign.append_to(15, 7);
    reign.fetch(2, 15, 8);
    assert_eq!(reign.high_watermark(), 12, "the joiner counts already");
    reign.fetch(3, 15, 9);
    assert_eq!(reign.high_watermark(), 15);
}

#[test]
fn who_is_fenced_or_shutting_down_or_registered_anew_does_not_join() {
    let fenced = Standing { is_fenced: true, ..Standing::default() };
    let leaving = Standing { is_shutting_down: true, ..Standing::default() };
    let reborn = Standing { node_epoch: Some(NodeEpoch(2)), ..Standing::default() };
    for standing in [fenced, leaving, reborn] {
        let mut reign = reign(&[1, 2], &[1], 1, 10);
        reign.stand(2, standing, 1);
        let request = reign.request(10, 10);
        let verdict = reign.send(2, 1, &request, 2);
        assert_eq!(verdict == FetchVerdict::Refuse(ErrorCode::NOT_LEADER_OR_FOLLOWER), standing == reborn);
        assert_eq!(reign.proposal(), None, "{standing:?}");
        reign.stand(2, Standing { node_epoch: standing.node_epoch, ..Standing::default() }, 3);
        let request = reign.request(10, 10);
        reign.send(2, standing.node_epoch.map_or(1, |life| life.0), &request, 4);
        assert_eq!(reign.proposal(), Some(vec![1, 2]), "{standing:?}");
    }
}

#[test]
#[cfg_attr(feature = "bug-isr-shrink-before-commit", ignore = "planted")]
fn members_leave_after_one_to_one_and_a_half_times_the_lag_limit() {
    let mut reign = reign(&[1, 2, 3], &[1, 2, 3], 1, 10);
    reign.fetch(2, 10, 1);
    reign.fetch(3, 4, 1);
    reign.leader.handle_timeout(at(14_999));
    assert_eq!(reign.leader.poll_timeout(), at(15_000));
    reign.leader.handle_timeout(at(15_000));
    reign.leader.handle_timeout(at(30_000));
    assert_eq!(reign.proposal(), None, "the grace period since the election is not over");
    reign.leader.handle_timeout(at(45_000));
    assert_eq!(reign.proposal(), Some(vec![1, 2]), "node 2 is silent, but has everything");
    assert_eq!((reign.committed(), reign.maximal()), (vec![1, 2, 3], vec![1, 2, 3]));
    reign.accept(&[1, 2], 10, 45_001);
    assert_eq!((reign.committed(), reign.high_watermark()), (vec![1, 2], 10));
}

#[test]
fn a_follower_that_always_had_what_there_was_at_its_fetch_before_is_in_sync() {
    let mut reign = reign(&[1, 2], &[1, 2], 1, 0);
    for round in 1..200 {
        reign.append_to(round * 10, round * 1000);
        reign.fetch(2, (round - 1) * 10, round * 1000);
        reign.leader.handle_timeout(at(round * 1000));
    }
    assert_eq!(reign.proposal(), None);
    for round in 200..250 {
        reign.append_to(round * 10, round * 1000);
        reign.fetch(2, 1990 + (round - 200), round * 1000);
        reign.leader.handle_timeout(at(round * 1000));
    }
    assert_eq!(reign.proposal(), Some(vec![1]), "it fetches, and is left behind");
}

#[test]
fn a_follower_that_fetches_everything_and_vouches_for_nothing_leaves_too() {
    let mut reign = reign(&[1, 2, 3], &[1, 2, 3], 1, 0);
    for round in 1..60 {
        reign.append_to(round, round * 1000);
        reign.fetch_vouching(2, round, 0, round * 1000);
        reign.fetch_vouching(3, round, round.saturating_sub(9), round * 1000);
        reign.leader.handle_timeout(at(round * 1000));
    }
    assert_eq!(reign.proposal(), Some(vec![1, 3]), "node 3 vouches for everything, nine seconds later");
}

#[test]
#[cfg_attr(feature = "bug-isr-shrink-before-commit", ignore = "planted")]
fn who_is_about_to_leave_counts_until_the_controller_has_said_so() {
    let mut reign = reign(&[1, 2, 3], &[1, 2, 3], 2, 0);
    reign.append_to(5, 1);
    reign.fetch(2, 5, 40_000);
    reign.leader.handle_timeout(at(40_000));
    assert_eq!(reign.proposal(), Some(vec![1, 2]));
    assert_eq!(reign.high_watermark(), 0);
    assert!(reign.leader.admit(Acks::All).is_ok());
    reign.refuse(ErrorCode::OPERATION_NOT_ATTEMPTED, 10, 40_001);
    assert_eq!((reign.maximal(), reign.high_watermark()), (vec![1, 2, 3], 0));
    reign.leader.handle_timeout(at(60_000));
    assert_eq!(reign.proposal(), Some(vec![1, 2]), "it is tried again");
    reign.accept(&[1, 2], 10, 60_001);
    assert_eq!(reign.high_watermark(), 5);
}

/// Node 2 has proposed itself.
fn expanding() -> Reign {
    let mut reign = reign(&[1, 2, 3], &[1], 1, 10);
    reign.fetch(2, 10, 1);
    assert_eq!(reign.proposal(), Some(vec![1, 2]));
    reign
}

#[test]
fn one_change_at_a_time() {
    let mut reign = expanding();
    reign.fetch(3, 10, 2);
    reign.append_to(20, 3);
    reign.leader.handle_timeout(at(60_000));
    assert_eq!(reign.proposal(), Some(vec![1, 2]), "the same one, again");
    assert_eq!(reign.maximal(), [1, 2]);
    reign.accept(&[1, 2], 10, 60_001);
    reign.fetch(3, 20, 60_002);
    assert_eq!(reign.proposal(), Some(vec![1, 2, 3]));
}

#[test]
fn a_refused_join_is_withdrawn_before_the_high_watermark_goes_on_without_it() {
    for code in [ErrorCode::INELIGIBLE_REPLICA, ErrorCode::OPERATION_NOT_ATTEMPTED] {
        let mut reign = expanding();
        reign.append_to(15, 2);
        reign.refuse(code, 10, 3);
        let withdrawal = reign.full_proposal().unwrap();
        assert_eq!(withdrawal.in_sync_replicas, [IsrMember { node: NodeId(1), node_epoch: None }]);
        assert_eq!((reign.maximal(), reign.high_watermark()), (vec![1, 2], 10), "a copy may still be accepted");
        reign.refuse(code, 10, 4);
        assert_eq!(reign.proposal(), None, "a refusal that comes twice, or of the withdrawal itself");
        reign.leader.handle_timeout(at(1_004));
        assert_eq!(reign.proposal(), Some(vec![1]));
        reign.accept(&[1], 10, 1_005);
        assert_eq!(reign.maximal(), [1]);
        // Node 2 is still caught up in the leader's eyes; once it is known to be fenced nobody waits for it.
        reign.stand(2, Standing { is_fenced: true, ..Standing::default() }, 1_006);
        assert_eq!(reign.high_watermark(), 15);
    }
}

#[test]
fn a_copy_of_the_refused_join_that_is_accepted_after_all_finds_the_leader_still_counting() {
    let mut reign = expanding();
    reign.refuse(ErrorCode::INELIGIBLE_REPLICA, 10, 2);
    assert_eq!(reign.proposal(), Some(vec![1]));
    reign.leader.handle_partition(&state(&[1, 2, 3], &[1, 2], 11), 1, at(3));
    assert_eq!((reign.committed(), reign.maximal()), (vec![1, 2], vec![1, 2]));
    reign.refuse(ErrorCode::INVALID_UPDATE_VERSION, 10, 4);
    assert_eq!(reign.maximal(), [1, 2]);
}

#[test]
fn a_controller_that_does_not_count_withdrawals_ends_them_too() {
    let mut reign = expanding();
    reign.verdict(10, Ok((ids(&[1]), PartitionEpoch(10))), 2);
    assert_eq!(reign.maximal(), [1, 2], "no answer to a join");
    reign.refuse(ErrorCode::INELIGIBLE_REPLICA, 10, 3);
    assert_eq!(reign.proposal(), Some(vec![1]));
    reign.verdict(10, Ok((ids(&[1]), PartitionEpoch(10))), 4);
    assert_eq!(reign.maximal(), [1]);
    reign.fetch(2, 10, 5);
    assert_eq!(reign.proposal(), None, "not at once again");
    reign.fetch(2, 10, 1_100);
    assert_eq!(reign.proposal(), Some(vec![1, 2]));
}

#[test]
fn what_newer_state_has_to_clear_up_waits_for_it() {
    for code in [
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode::UNKNOWN_TOPIC_ID,
        ErrorCode::FENCED_LEADER_EPOCH,
        ErrorCode::INVALID_UPDATE_VERSION,
        ErrorCode::INVALID_REQUEST,
        ErrorCode::NEW_LEADER_ELECTED,
    ] {
        let mut reign = expanding();
        reign.refuse(code, 10, 2);
        reign.leader.handle_timeout(at(100_000));
        assert_eq!((reign.proposal(), reign.maximal()), (None, vec![1, 2]), "{code:?}");
        reign.leader.handle_partition(&state(&[1, 2, 3], &[1, 3], 12), 1, at(100_001));
        assert_eq!(reign.maximal(), [1, 3], "{code:?}");
    }
}

#[test]
fn other_refusals_and_silence_are_followed_by_the_same_proposal() {
    for code in [None, Some(ErrorCode::NOT_CONTROLLER), Some(ErrorCode::REQUEST_TIMED_OUT)] {
        let mut reign = expanding();
        if let Some(code) = code {
            reign.refuse(code, 10, 500);
        }
        let due = if code.is_some() { 1_500 } else { 1_001 };
        assert_eq!(reign.leader.poll_timeout(), at(due));
        reign.leader.handle_timeout(at(due - 1));
        assert_eq!(reign.proposal(), None);
        reign.leader.handle_timeout(at(due));
        assert_eq!((reign.proposal(), reign.maximal()), (Some(vec![1, 2]), vec![1, 2]));
    }
}

#[test]
fn verdicts_of_other_states_and_of_other_reigns_are_ignored() {
    let mut reign = expanding();
    reign.verdict(9, Ok((ids(&[1]), PartitionEpoch(10))), 2);
    let verdict = IsrVerdict {
        leader_epoch: LeaderEpoch(4),
        proposed_upon: PartitionEpoch(10),
        outcome: Ok((ids(&[1]), PartitionEpoch(11))),
    };
    reign.leader.handle_isr_verdict(verdict, at(3));
    assert_eq!(reign.maximal(), [1, 2]);
    reign.leader.handle_partition(&state(&[1, 2, 3], &[1, 2, 3], 9), 1, at(4));
    assert_eq!(reign.maximal(), [1, 2], "older state is ignored");
    reign.accept(&[1, 2], 10, 5);
    reign.accept(&[1, 2], 10, 6);
    assert_eq!((reign.committed(), reign.maximal()), (vec![1, 2], vec![1, 2]));
}

#[test]
fn the_high_watermark_waits_for_who_has_caught_up_and_is_about_to_join() {
    let mut reign = reign(&[1, 2, 3], &[1], 1, 10);
    reign.fetch(2, 10, 1);
    reign.refuse(ErrorCode::INELIGIBLE_REPLICA, 10, 2);
    reign.accept(&[1], 10, 3);
    reign.append_to(20, 4);
    assert_eq!(reign.high_watermark(), 10, "node 2 was caught up a moment ago");
    reign.leader.handle_timeout(at(30_002));
    assert_eq!(reign.high_watermark(), 20, "and has fallen behind since");
}

#[test]
fn new_replicas_follow_and_removed_ones_are_strangers() {
    let mut reign = reign(&[1, 2], &[1, 2], 2, 10);
    reign.fetch(2, 10, 1);
    reign.leader.handle_partition(&state(&[1, 3, 4], &[1], 11), 1, at(2));
    let request = reign.request(10, 10);
    assert_eq!(reign.send(2, 1, &request, 3), FetchVerdict::Refuse(ErrorCode::UNKNOWN_LEADER_EPOCH));
    reign.fetch(4, 10, 4);
    assert_eq!(reign.proposal(), Some(vec![1, 4]));
}
