use super::world::{World, TOPIC};
use crate::controller::*;
use crate::error::ErrorCode;
use crate::types::{LeaderEpoch, NodeId};

#[test]
fn a_leader_shrinks_and_grows_its_isr_without_a_new_reign() {
    let mut world = World::with_topic(3, &[0, 1, 2], &[]);
    let after = world.propose(0, world.proposal(&[0, 2])).unwrap();
    assert_eq!((world.isr(), world.epochs()), (vec![0, 2], (0, 1)));
    assert_eq!(&after, world.partition(0));
    world.propose(0, world.proposal(&[2, 1, 0])).unwrap();
    assert_eq!((world.isr(), world.epochs()), (vec![0, 1, 2], (0, 2)), "in the order of the assignment");
}

#[test]
fn proposing_what_is_so_already_changes_nothing() {
    let mut world = World::with_topic(3, &[0, 1, 2], &[]);
    assert_eq!(world.propose(0, world.proposal(&[2, 1, 0])).unwrap(), *world.partition(0));
    assert_eq!(world.epochs(), (0, 0));
}

#[test]
fn a_leader_that_leaves_itself_out_resigns_and_another_of_the_isr_leads() {
    let mut world = World::with_topic(3, &[0, 1, 2], &[]);
    world.set_isr(&[0, 2]);
    assert_eq!(world.propose(0, world.proposal(&[1])), Err(ErrorCode::INVALID_REQUEST), "not to somebody outside");
    assert_eq!(world.propose(0, world.proposal(&[])), Err(ErrorCode::INVALID_REQUEST), "not to nobody");
    assert_eq!(world.propose(0, world.proposal(&[2])), Err(ErrorCode::NEW_LEADER_ELECTED));
    assert_eq!((world.leader(), world.isr(), world.epochs()), (Some(2), vec![2], (1, 2)));
}

#[test]
#[cfg_attr(feature = "bug-no-fencing", ignore = "planted")]
fn the_checks_come_in_kafkas_order() {
    let mut world = World::with_topic(3, &[0, 1, 2], &[]);
    world.fence(2);
    world.beat(2, false, false).unwrap();
    world.fence(0);
    world.beat(0, false, false).unwrap();
    assert_eq!((world.leader(), world.epochs()), (Some(1), (1, 2)));
    let base = world.proposal(&[1]);
    let with = |change: &dyn Fn(&mut AlterPartition)| {
        let mut proposal = base.clone();
        change(&mut proposal);
        proposal
    };
    let cases: [(u32, AlterPartition, ErrorCode); 11] = [
        (1, with(&|p| p.topic = [9; 16]), ErrorCode::UNKNOWN_TOPIC_ID),
        (1, with(&|p| p.partition = 4), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
        (1, with(&|p| p.leader_epoch = LeaderEpoch(2)), ErrorCode::NOT_CONTROLLER),
        // A newer partition epoch counts before an older leader epoch.
        (
            0,
            with(&|p| {
                p.partition_epoch = 3;
                p.leader_epoch = LeaderEpoch(0);
            }),
            ErrorCode::NOT_CONTROLLER,
        ),
        // An older leader epoch before the wrong sender, the wrong sender before an older partition epoch.
        (0, with(&|p| p.leader_epoch = LeaderEpoch(0)), ErrorCode::FENCED_LEADER_EPOCH),
        (0, with(&|p| p.partition_epoch = 0), ErrorCode::INVALID_REQUEST),
        (1, with(&|p| p.partition_epoch = 0), ErrorCode::INVALID_UPDATE_VERSION),
        (1, world.proposal(&[1, 7]), ErrorCode::INVALID_REQUEST),
        (1, world.proposal(&[1, 2, 2]), ErrorCode::INVALID_REQUEST),
        (1, world.proposal(&[0, 2]), ErrorCode::INVALID_REQUEST),
        (1, with(&|p| p.recovery = LeaderRecovery::Recovering), ErrorCode::INVALID_REQUEST),
    ];
    for (from, proposal, code) in cases {
        assert_eq!(world.propose(from, proposal.clone()), Err(code), "{proposal:?}");
    }
    assert_eq!(world.epochs(), (1, 2), "nothing changed");
}

#[test]
fn a_member_that_is_fenced_leaving_or_of_another_life_is_not_eligible() {
    let mut world = World::with_topic(4, &[0, 1, 2, 3], &[]);
    let stale = world.epoch(1);
    world.fence(1);
    assert_eq!(world.propose(0, world.proposal(&[0, 1])), Err(ErrorCode::INELIGIBLE_REPLICA));
    world.beat(2, false, true).unwrap();
    assert_eq!(world.propose(0, world.proposal(&[0, 2])), Err(ErrorCode::INELIGIBLE_REPLICA));
    world.register(1, 2, Some(stale)).unwrap();
    world.beat(1, false, false).unwrap();
    let mut proposal = world.proposal(&[0, 1]);
    proposal.isr[1].node_epoch = Some(stale);
    assert_eq!(world.propose(0, proposal.clone()), Err(ErrorCode::INELIGIBLE_REPLICA));
    proposal.isr[1].node_epoch = Some(world.epoch(1));
    assert!(world.propose(0, proposal).is_ok());
}

#[test]
fn a_request_of_another_life_of_the_node_is_stale() {
    let mut world = World::with_topic(2, &[0, 1], &[]);
    let request =
        ControllerRequest::AlterPartition { node: NodeId(0), node_epoch: 99, partitions: vec![world.proposal(&[0])] };
    assert_eq!(world.refusal(&request), ErrorCode::STALE_BROKER_EPOCH);
}

#[test]
fn the_same_partition_twice_in_one_request_counts_once() {
    let mut world = World::with_topic(2, &[0, 1], &[]);
    let partitions = vec![world.proposal(&[0]), world.proposal(&[0])];
    let request = ControllerRequest::AlterPartition { node: NodeId(0), node_epoch: world.epoch(0), partitions };
    let Ok(Reply::AlterPartition(results)) = world.ask(&request) else { panic!() };
    assert!(results[0].state.is_ok());
    assert_eq!(results[1].state, Err(ErrorCode::INVALID_REQUEST));
}

#[test]
fn a_recovering_leader_is_alone_until_it_says_that_it_is_done() {
    let mut world = World::with_topic(2, &[0, 1], &[("unclean.leader.election.enable", "true")]);
    world.set_isr(&[0]);
    world.fence(0);
    world.beat(0, false, false).unwrap();
    assert_eq!(world.partition(0).recovery, LeaderRecovery::Recovering);
    let mut alone = world.proposal(&[1]);
    alone.recovery = LeaderRecovery::Recovering;
    let mut both = world.proposal(&[0, 1]);
    both.recovery = LeaderRecovery::Recovering;
    assert_eq!(world.propose(1, both), Err(ErrorCode::INVALID_REQUEST));
    assert_eq!(world.propose(1, alone.clone()).unwrap().recovery, LeaderRecovery::Recovering);
    let done = world.propose(1, world.proposal(&[0, 1])).unwrap();
    assert_eq!((done.recovery, done.isr.len()), (LeaderRecovery::Recovered, 2));
    let back = AlterPartition { partition_epoch: done.partition_epoch, ..alone };
    assert_eq!(world.propose(1, back), Err(ErrorCode::INVALID_REQUEST), "and cannot go back");
}

#[test]
fn below_the_minimum_those_who_leave_become_eligible() {
    let mut world = World::with_topic(3, &[0, 1, 2], &[("min.insync.replicas", "2")]);
    world.set_isr(&[0, 1]);
    assert_eq!(world.elr(), [] as [u32; 0]);
    world.set_isr(&[0]);
    assert_eq!(world.elr(), [1]);
    world.set_isr(&[0, 2]);
    assert_eq!(world.elr(), [] as [u32; 0]);
    assert_eq!(world.image.topic_named(TOPIC).unwrap().partitions.len(), 1);
}
