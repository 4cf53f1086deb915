use super::list_log::ListLog;
use crate::error::ErrorCode;
use crate::replication::{
    AckVerdict, Correlation, FetchOutcome, FetchRequest, FetchVerdict, Fetching, IsrMember, IsrProposal, IsrVerdict,
    Leader, LeaderOutput, LeaderSetup, LogFacts, NodeEpoch, PartitionEpoch, PartitionState, Standing,
};
use crate::time::Instant;
use crate::types::{Acks, LeaderEpoch, NodeId, Offset};
use std::time::Duration;

const LAG_MAX: Duration = Duration::from_millis(30_000);

fn at(ms: u64) -> Instant {
    Instant(ms * 1_000_000)
}

fn ids(nodes: &[u32]) -> Vec<NodeId> {
    nodes.iter().copied().map(NodeId).collect()
}

fn facts(end: u64) -> LogFacts {
    LogFacts { log_start: Offset(0), log_end: Offset(end), vouched: Offset(end) }
}

/// Node 1 leads in epoch 5, with every record of epoch 5; time is in milliseconds.
struct Reign {
    leader: Leader,
    log: LogFacts,
    correlation: u64,
}

fn reign(replicas: &[u32], isr: &[u32], min_isr: u32, end: u64) -> Reign {
    let setup = LeaderSetup {
        me: NodeId(1),
        node_epoch: NodeEpoch(1),
        leader_epoch: LeaderEpoch(5),
        partition: state(replicas, isr, 10),
        min_insync_replicas: min_isr,
        replica_lag_time_max: LAG_MAX,
        log: facts(end),
        high_watermark: Offset(0),
    };
    Reign { leader: Leader::new(setup, at(0)), log: facts(end), correlation: 0 }
}

fn state(replicas: &[u32], isr: &[u32], partition_epoch: u32) -> PartitionState {
    let partition_epoch = PartitionEpoch(partition_epoch);
    PartitionState { replicas: ids(replicas), in_sync_replicas: ids(isr), partition_epoch }
}

impl Reign {
    fn append_to(&mut self, end: u64, ms: u64) {
        self.log = facts(end);
        self.leader.handle_log(self.log, at(ms));
    }

    fn request(&mut self, offset: u64, vouched: u64) -> FetchRequest {
        self.correlation += 1;
        FetchRequest {
            correlation: Correlation(self.correlation),
            current_leader_epoch: Some(LeaderEpoch(5)),
            fetch_offset: Offset(offset),
            last_fetched_epoch: Some(LeaderEpoch(5)),
            log_start: Offset(0),
            vouched: Offset(vouched),
            bytes_max: 100,
        }
    }

    fn send(&mut self, from: u32, life: u64, request: &FetchRequest, ms: u64) -> FetchVerdict {
        let epoch_end = request.last_fetched_epoch.map(|epoch| (epoch, self.log.log_end));
        let fetching = Fetching { from: NodeId(from), node_epoch: NodeEpoch(life), log: self.log, epoch_end };
        self.leader.handle_fetch(fetching, request, at(ms))
    }

    /// A healthy fetch of node `from`, which vouches for all it has.
    fn fetch(&mut self, from: u32, offset: u64, ms: u64) {
        self.fetch_vouching(from, offset, offset, ms);
    }

    fn fetch_vouching(&mut self, from: u32, offset: u64, vouched: u64, ms: u64) {
        let request = self.request(offset, vouched);
        let verdict = self.send(from, 1, &request, ms);
        assert_eq!(verdict, FetchVerdict::Serve { from: Offset(offset), bytes_max: 100 });
    }

    fn high_watermark(&self) -> u64 {
        self.leader.high_watermark().0
    }

    fn maximal(&self) -> Vec<u32> {
        self.leader.maximal_in_sync_replicas().iter().map(|node| node.0).collect()
    }

    fn committed(&self) -> Vec<u32> {
        self.leader.in_sync_replicas().iter().map(|node| node.0).collect()
    }

    fn proposal(&mut self) -> Option<Vec<u32>> {
        self.full_proposal().map(|proposal| proposal.in_sync_replicas.iter().map(|member| member.node.0).collect())
    }

    fn full_proposal(&mut self) -> Option<IsrProposal> {
        loop {
            match self.leader.poll_output()? {
                LeaderOutput::ProposeIsr(proposal) => return Some(proposal),
                LeaderOutput::HighWatermarkAdvanced(end) => assert_eq!(end, self.leader.high_watermark()),
            }
        }
    }

    fn accept(&mut self, isr: &[u32], upon: u32, ms: u64) {
        self.verdict(upon, Ok((ids(isr), PartitionEpoch(upon + 1))), ms);
    }

    fn refuse(&mut self, code: ErrorCode, upon: u32, ms: u64) {
        self.verdict(upon, Err(code), ms);
    }

    fn verdict(&mut self, upon: u32, outcome: Result<(Vec<NodeId>, PartitionEpoch), ErrorCode>, ms: u64) {
        let verdict = IsrVerdict { leader_epoch: LeaderEpoch(5), proposed_upon: PartitionEpoch(upon), outcome };
        self.leader.handle_isr_verdict(verdict, at(ms));
    }

    fn stand(&mut self, node: u32, standing: Standing, ms: u64) {
        self.leader.handle_standing(NodeId(node), standing, at(ms));
    }
}

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
    reign.leader.handle_partition(&state(&[1, 2], &[1], 11), at(3));
    assert_eq!(reign.leader.judge_ack(LeaderEpoch(5), Offset(5)), AckVerdict::NotEnoughReplicasAfterAppend);
}

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
    reign.leader.handle_partition(&state(&[1, 2, 3], &[1, 2], 11), at(3));
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
        reign.leader.handle_partition(&state(&[1, 2, 3], &[1, 3], 12), at(100_001));
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
    reign.leader.handle_partition(&state(&[1, 2, 3], &[1, 2, 3], 9), at(4));
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
fn new_replicas_follow_and_removed_ones_are_strangers() {
    let mut reign = reign(&[1, 2], &[1, 2], 2, 10);
    reign.fetch(2, 10, 1);
    reign.leader.handle_partition(&state(&[1, 3, 4], &[1], 11), at(2));
    let request = reign.request(10, 10);
    assert_eq!(reign.send(2, 1, &request, 3), FetchVerdict::Refuse(ErrorCode::UNKNOWN_LEADER_EPOCH));
    reign.fetch(4, 10, 4);
    assert_eq!(reign.proposal(), Some(vec![1, 4]));
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
