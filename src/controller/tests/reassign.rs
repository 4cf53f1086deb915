use super::world::{nodes, World, TOPIC};
use crate::controller::*;
use crate::error::ErrorCode;
use crate::types::NodeId;

fn reassign(ids: &[u32]) -> ControllerRequest {
    ControllerRequest::AlterReassignment { name: TOPIC.into(), partition: 0, replicas: Some(nodes(ids)) }
}

const CANCEL: fn() -> ControllerRequest =
    || ControllerRequest::AlterReassignment { name: TOPIC.into(), partition: 0, replicas: None };

#[test]
fn new_replicas_are_added_first_and_old_ones_go_when_all_are_in_sync() {
    let mut world = World::with_topic(4, &[0, 1, 2], &[]);
    world.ask(&reassign(&[3, 1, 2])).unwrap();
    let state = world.partition(0);
    assert_eq!((&state.replicas, &state.adding, &state.removing), (&nodes(&[3, 1, 2, 0]), &nodes(&[3]), &nodes(&[0])));
    assert_eq!((world.leader(), world.epochs().0), (Some(0), 0));
    world.set_isr(&[0, 1, 2]);
    let result = world.propose(0, world.proposal(&[0, 1, 2, 3]));
    assert_eq!(result, Err(ErrorCode::NEW_LEADER_ELECTED), "the leader was to go");
    let state = world.partition(0);
    assert_eq!((&state.replicas, &state.isr), (&nodes(&[3, 1, 2]), &nodes(&[3, 1, 2])));
    assert!(state.adding.is_empty() && state.removing.is_empty());
    assert_eq!((world.leader(), world.epochs().0), (Some(3), 1));
}

#[test]
fn removing_and_reordering_alone_are_done_at_once() {
    let mut world = World::with_topic(3, &[0, 1, 2], &[]);
    world.ask(&reassign(&[1, 0, 2])).unwrap();
    assert_eq!((world.partition(0).replicas.clone(), world.epochs()), (nodes(&[1, 0, 2]), (0, 1)));
    world.ask(&reassign(&[1, 0])).unwrap();
    assert_eq!((world.partition(0).replicas.clone(), world.isr()), (nodes(&[1, 0]), vec![0, 1]));
    assert_eq!(world.epochs(), (1, 2), "a replica that goes begins a new reign");
}

#[test]
fn a_reassignment_can_be_called_off() {
    let mut world = World::with_topic(4, &[0, 1], &[]);
    assert_eq!(world.refusal(&CANCEL()), ErrorCode::NO_REASSIGNMENT_IN_PROGRESS);
    world.ask(&reassign(&[2, 3])).unwrap();
    world.ask(&CANCEL()).unwrap();
    let state = world.partition(0);
    assert_eq!((sorted(&state.replicas), state.leader), (nodes(&[0, 1]), Some(NodeId(0))));
    assert!(state.adding.is_empty() && state.removing.is_empty());
}

#[test]
fn calling_off_is_refused_when_only_new_replicas_are_in_sync() {
    let mut world = World::with_topic(4, &[0, 1], &[]);
    world.ask(&reassign(&[2, 3])).unwrap();
    world.set_isr(&[0, 2]);
    world.fence(0);
    assert_eq!(world.isr(), [2]);
    assert_eq!(world.refusal(&CANCEL()), ErrorCode::INVALID_REPLICA_ASSIGNMENT);
}

#[test]
fn the_only_ones_who_may_have_everything_are_not_let_go_though_nobody_leads() {
    let refused = |world: &mut World| {
        for request in [CANCEL(), reassign(&[0, 1]), reassign(&[3, 1])] {
            assert_eq!(world.refusal(&request), ErrorCode::INVALID_REPLICA_ASSIGNMENT);
        }
    };
    let mut world = World::with_topic(4, &[0, 1], &[]);
    world.ask(&reassign(&[2, 1])).unwrap();
    world.set_isr(&[0, 2]);
    world.fence(0);
    refused(&mut world);
    world.fence(2);
    assert_eq!((world.leader(), world.isr(), world.partition(0).elr.clone()), (None, vec![], nodes(&[2])));
    refused(&mut world);
    world.register(2, 2, None).unwrap();
    assert_eq!((world.leader(), world.isr(), world.partition(0).elr.clone()), (None, vec![], nodes(&[])));
    refused(&mut world);
}

#[test]
fn a_last_leader_that_was_taken_away_is_not_elected_with_the_empty_replica_it_gets_later() {
    let mut world = World::with_topic(4, &[0, 1], &[("min.insync.replicas", "2")]);
    world.ask(&reassign(&[2, 1])).unwrap();
    world.set_isr(&[0, 2]);
    [0, 2].into_iter().for_each(|node| world.fence(node));
    assert_eq!(world.partition(0).last_known_leader, Some(NodeId(2)));
    world.ask(&CANCEL()).unwrap();
    let state = world.partition(0);
    assert_eq!((&state.elr, state.last_known_leader), (&nodes(&[0]), Some(NodeId(0))));
}

#[test]
fn another_target_takes_the_place_of_the_one_under_way() {
    let mut world = World::with_topic(5, &[0, 1], &[]);
    world.ask(&reassign(&[2, 1])).unwrap();
    world.ask(&reassign(&[3, 1])).unwrap();
    let state = world.partition(0);
    assert_eq!((&state.replicas, &state.adding, &state.removing), (&nodes(&[3, 1, 0]), &nodes(&[3]), &nodes(&[0])));
    world.ask(&reassign(&[0, 1])).unwrap();
    let state = world.partition(0);
    assert_eq!((&state.replicas, state.adding.len(), state.removing.len()), (&nodes(&[0, 1]), 0, 0));
}

#[test]
fn replicas_that_are_not_there_cannot_be_assigned() {
    let mut world = World::with_topic(3, &[0, 1], &[]);
    for ids in [&[][..], &[0, 0], &[0, 9]] {
        assert_eq!(world.refusal(&reassign(ids)), ErrorCode::INVALID_REPLICA_ASSIGNMENT);
    }
}

#[test]
fn a_decommissioned_node_is_empty_in_the_end() {
    let mut world = World::with_topic(4, &[0, 1, 2], &[]);
    let away = ControllerRequest::DecommissionNode { node: NodeId(0) };
    assert_eq!(world.ask(&away).unwrap(), Reply::Decommission { replicas_left: 1 });
    assert_eq!(world.partition(0).adding, nodes(&[3]));
    let before = world.epochs();
    assert_eq!(world.ask(&away).unwrap(), Reply::Decommission { replicas_left: 1 });
    assert_eq!(world.epochs(), before, "asked again, it only counts");
    let _ = world.propose(0, world.proposal(&[0, 1, 2, 3]));
    assert_eq!(world.ask(&away).unwrap(), Reply::Decommission { replicas_left: 0 });
    assert_eq!(world.leader(), Some(3));
    world.ask(&ControllerRequest::UnregisterNode { node: NodeId(0) }).unwrap();
}

#[test]
fn nobody_is_decommissioned_whom_nobody_can_replace() {
    let mut world = World::with_topic(3, &[0, 1, 2], &[]);
    let away = |id| ControllerRequest::DecommissionNode { node: NodeId(id) };
    assert_eq!(world.refusal(&away(0)), ErrorCode::INVALID_REPLICATION_FACTOR);
    assert_eq!(world.refusal(&away(9)), ErrorCode::BROKER_ID_NOT_REGISTERED);
}

fn sorted(nodes: &[NodeId]) -> Vec<NodeId> {
    let mut nodes = nodes.to_vec();
    nodes.sort_unstable();
    nodes
}
