use super::super::*;
use super::world::{id, MILLI};
use crate::controller::{AlterPartitionResult, ControllerRequest, ControllerResponse, PartitionState, Reply};
use crate::error::{Error, ErrorCode};
use crate::replication::{IsrMember, IsrProposal, IsrVerdict, NodeEpoch, PartitionEpoch};
use crate::time::Instant;
use crate::types::{LeaderEpoch, NodeId};
use crate::wire::TopicIdPartition;
use std::collections::BTreeMap;

const ME: NodeId = NodeId(1);
const CONTROLLER: NodeId = NodeId(2);
const NOW: Instant = Instant(1_000_000_000);

fn proposals() -> IsrProposals {
    let mut proposals = IsrProposals::new(ME, vec![NodeId(1), CONTROLLER], MILLI * 100, MILLI * 1_000);
    proposals.handle_controller(Some(CONTROLLER));
    proposals.handle_node_epoch(9);
    proposals
}

fn proposal(partition_epoch: u32) -> IsrProposal {
    let member = |node, epoch| IsrMember { node: NodeId(node), node_epoch: Some(NodeEpoch(epoch)) };
    IsrProposal {
        leader_epoch: LeaderEpoch(3),
        partition_epoch: PartitionEpoch(partition_epoch),
        in_sync_replicas: vec![member(1, 9), member(2, 8)],
    }
}

fn accepted(partition: u32, partition_epoch: u32) -> AlterPartitionResult {
    let isr = vec![NodeId(1), NodeId(2)];
    let state = PartitionState { isr, leader_epoch: LeaderEpoch(3), partition_epoch, ..PartitionState::default() };
    AlterPartitionResult { topic: [7; 16], partition, state: Ok(state) }
}

fn response(results: Vec<AlterPartitionResult>, metadata_offset: u64) -> ControllerResponse {
    ControllerResponse { result: Ok(Reply::AlterPartition(results)), leader: Some(CONTROLLER), metadata_offset }
}

fn asked(call: &ControllerCall) -> Vec<(u32, u32)> {
    let ControllerRequest::AlterPartition { node: ME, node_epoch: 9, partitions } = &call.request else {
        panic!("{call:?}")
    };
    partitions.iter().map(|one| (one.partition, one.partition_epoch)).collect()
}

fn verdict(proposed_upon: u32, outcome: Result<u32, ErrorCode>) -> IsrVerdict {
    let outcome = outcome.map(|epoch| (vec![NodeId(1), NodeId(2)], PartitionEpoch(epoch)));
    IsrVerdict { leader_epoch: LeaderEpoch(3), proposed_upon: PartitionEpoch(proposed_upon), outcome }
}

#[test]
fn proposals_of_many_partitions_travel_together_one_request_at_a_time() {
    let mut proposals = proposals();
    proposals.propose(id(1), proposal(4));
    proposals.propose(id(2), proposal(5));
    let call = proposals.poll_call(NOW).unwrap();
    assert_eq!((call.to, asked(&call)), (CONTROLLER, vec![(1, 4), (2, 5)]));
    proposals.propose(id(3), proposal(6));
    proposals.propose(id(1), proposal(4));
    assert_eq!(proposals.poll_call(NOW), None);
    proposals.handle_response(call.number, Ok(response(vec![accepted(1, 5), accepted(2, 6)], 0)), NOW);
    assert_eq!(proposals.poll_verdict(), Some((id(1), verdict(4, Ok(5)))));
    assert_eq!(proposals.poll_verdict(), Some((id(2), verdict(5, Ok(6)))));
    let call = proposals.poll_call(NOW).unwrap();
    assert_eq!(asked(&call), [(3, 6)], "what was on its way was not proposed twice");
}

#[test]
fn a_verdict_waits_for_the_metadata_that_it_speaks_of() {
    let mut proposals = proposals();
    proposals.propose(id(1), proposal(4));
    proposals.propose(id(2), proposal(4));
    let call = proposals.poll_call(NOW).unwrap();
    let refused = AlterPartitionResult { state: Err(ErrorCode::INELIGIBLE_REPLICA), ..accepted(2, 0) };
    proposals.handle_response(call.number, Ok(response(vec![accepted(1, 5), refused], 40)), NOW);
    assert_eq!(proposals.poll_verdict(), Some((id(2), verdict(4, Err(ErrorCode::INELIGIBLE_REPLICA)))));
    proposals.handle_metadata_offset(39);
    assert_eq!(proposals.poll_verdict(), None);
    proposals.handle_metadata_offset(40);
    assert_eq!(proposals.poll_verdict(), Some((id(1), verdict(4, Ok(5)))));
    assert_eq!(proposals.poll_verdict(), None);
    assert_eq!(proposals.poll_timeout(), None);
}

#[test]
fn without_an_answer_it_is_asked_again_unless_something_newer_is_proposed() {
    let mut proposals = proposals();
    proposals.propose(id(1), proposal(4));
    proposals.propose(id(2), proposal(4));
    let call = proposals.poll_call(NOW).unwrap();
    proposals.propose(id(2), proposal(7));
    proposals.handle_response(call.number, Err(Error::new(ErrorCode::NETWORK_EXCEPTION, "gone")), NOW);
    assert_eq!((proposals.poll_call(NOW), proposals.poll_timeout()), (None, Some(NOW + MILLI * 100)));
    let call = proposals.poll_call(NOW + MILLI * 100).unwrap();
    assert_eq!(asked(&call), [(1, 4), (2, 7)]);
    // This one is never heard of again.
    assert_eq!(proposals.poll_call(call.deadline).map(|call| asked(&call)), Some(vec![(1, 4), (2, 7)]));
}

#[test]
fn a_stale_epoch_is_asked_again_under_the_new_one_and_another_reign_is_no_success() {
    let mut proposals = proposals();
    proposals.propose(id(1), proposal(4));
    let call = proposals.poll_call(NOW).unwrap();
    let stale = Err(Error::new(ErrorCode::STALE_BROKER_EPOCH, "registered is another"));
    let refused = ControllerResponse { result: stale, leader: Some(CONTROLLER), metadata_offset: 0 };
    proposals.handle_response(call.number, Ok(refused), NOW);
    assert_eq!(proposals.poll_verdict(), None);
    let later = NOW + MILLI * 100;
    let call = proposals.poll_call(later).unwrap();
    let mut moved = accepted(1, 5);
    moved.state = moved.state.map(|state| PartitionState { leader_epoch: LeaderEpoch(4), ..state });
    proposals.handle_response(call.number, Ok(response(vec![moved], 0)), later);
    assert_eq!(proposals.poll_verdict(), Some((id(1), verdict(4, Err(ErrorCode::NEW_LEADER_ELECTED)))));
}

#[test]
fn nothing_is_asked_before_the_node_is_registered_and_nothing_for_a_partition_that_is_gone() {
    let mut proposals = IsrProposals::new(ME, vec![CONTROLLER], MILLI * 100, MILLI * 1_000);
    proposals.propose(id(1), proposal(4));
    assert_eq!((proposals.poll_call(NOW), proposals.poll_timeout()), (None, None));
    proposals.handle_node_epoch(9);
    let call = proposals.poll_call(NOW).unwrap();
    proposals.forget(id(1));
    proposals.handle_response(call.number, Ok(response(vec![accepted(1, 5)], 0)), NOW);
    assert_eq!((proposals.poll_verdict(), proposals.poll_timeout()), (None, None));
}

#[test]
fn whatever_is_lost_or_late_every_proposal_gets_its_verdict() {
    for seed in 0..100 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let (mut proposals, mut now) = (proposals(), NOW);
        let mut open: BTreeMap<TopicIdPartition, u32> = BTreeMap::new();
        let mut epochs = [0u32; 5];
        let mut calls: Vec<ControllerCall> = Vec::new();
        let mut offset = 0;
        for turn in 0..2_000 {
            let is_calm = turn > 1_500;
            let place = rng.usize(..5);
            let partition = u32::try_from(place).unwrap();
            if !is_calm && rng.u32(..10) == 0 && !open.contains_key(&id(partition)) {
                proposals.propose(id(partition), proposal(epochs[place]));
                open.insert(id(partition), epochs[place]);
            }
            calls.extend(proposals.poll_call(now));
            if !calls.is_empty() && rng.u32(..3) == 0 {
                let call = calls.swap_remove(rng.usize(..calls.len()));
                let results: Vec<_> =
                    asked(&call).into_iter().map(|(partition, epoch)| accepted(partition, epoch + 1)).collect();
                offset += 1;
                match rng.u32(..4) {
                    0 if !is_calm => {}
                    1 if !is_calm => {
                        let error = Error::new(ErrorCode::NETWORK_EXCEPTION, "gone");
                        proposals.handle_response(call.number, Err(error), now);
                    }
                    _ => proposals.handle_response(call.number, Ok(response(results, offset)), now),
                }
            }
            if rng.bool() {
                proposals.handle_metadata_offset(offset);
            }
            while let Some((partition, verdict)) = proposals.poll_verdict() {
                assert_eq!(open.remove(&partition), Some(verdict.proposed_upon.0), "seed {seed}: one verdict each");
                epochs[partition.partition as usize] += 1;
            }
            now = now + MILLI * rng.u32(..20);
        }
        assert!(open.is_empty(), "seed {seed}: {open:?}");
    }
}
