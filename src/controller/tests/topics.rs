use super::world::{create, nodes, registration, World, TOPIC};
use crate::controller::*;
use crate::error::ErrorCode;
use crate::types::NodeId;
use std::collections::BTreeSet;

fn ask(world: &mut World, request: CreateTopic) -> Result<Reply, ErrorCode> {
    world.ask(&ControllerRequest::CreateTopic(request)).map_err(|error| error.code())
}

#[test]
fn a_topic_gets_the_defaults_and_an_id() {
    let mut world = World::with_nodes(3);
    (world.config.partitions, world.config.replication_factor) = (4, 3);
    assert_eq!(ask(&mut world, create(TOPIC, 5)).unwrap(), Reply::TopicCreated { id: [5; 16] });
    let topic = world.image.topic_named(TOPIC).unwrap();
    assert_eq!(topic.partitions.len(), 4);
    for state in &topic.partitions {
        assert_eq!(state.replicas.len(), 3);
        assert_eq!((state.leader, &state.isr), (Some(state.replicas[0]), &state.replicas));
        assert_eq!((state.leader_epoch.0, state.partition_epoch), (0, 0));
    }
}

#[test]
fn what_cannot_be_created_has_kafkas_code() {
    let mut world = World::with_topic(3, &[0], &[]);
    let base = create("new", 2);
    let manual = |lists: &[(u32, &[u32])]| CreateTopic {
        assignments: lists.iter().map(|(n, ids)| (*n, nodes(ids))).collect(),
        ..base.clone()
    };
    let cases = [
        (create(TOPIC, 2), ErrorCode::TOPIC_ALREADY_EXISTS),
        (create("other", 1), ErrorCode::TOPIC_ALREADY_EXISTS),
        (CreateTopic { partitions: Some(0), ..base.clone() }, ErrorCode::INVALID_PARTITIONS),
        (CreateTopic { replication_factor: Some(0), ..base.clone() }, ErrorCode::INVALID_REPLICATION_FACTOR),
        (CreateTopic { replication_factor: Some(4), ..base.clone() }, ErrorCode::INVALID_REPLICATION_FACTOR),
        (CreateTopic { partitions: Some(30_000), ..base.clone() }, ErrorCode::POLICY_VIOLATION),
        (CreateTopic { partitions: Some(1), ..manual(&[(0, &[0])]) }, ErrorCode::INVALID_REQUEST),
        (CreateTopic { replication_factor: Some(1), ..manual(&[(0, &[0])]) }, ErrorCode::INVALID_REQUEST),
        (manual(&[(1, &[0])]), ErrorCode::INVALID_REPLICA_ASSIGNMENT),
        (manual(&[(0, &[0]), (2, &[0])]), ErrorCode::INVALID_REPLICA_ASSIGNMENT),
        (manual(&[(0, &[0]), (0, &[1])]), ErrorCode::INVALID_REPLICA_ASSIGNMENT),
        (manual(&[(0, &[])]), ErrorCode::INVALID_REPLICA_ASSIGNMENT),
        (manual(&[(0, &[0, 0])]), ErrorCode::INVALID_REPLICA_ASSIGNMENT),
        (manual(&[(0, &[0, 9])]), ErrorCode::INVALID_REPLICA_ASSIGNMENT),
        (manual(&[(0, &[0, 1]), (1, &[0])]), ErrorCode::INVALID_REPLICA_ASSIGNMENT),
        (
            CreateTopic { settings: vec![("a".into(), "1".into()), ("a".into(), "2".into())], ..base.clone() },
            ErrorCode::INVALID_CONFIG,
        ),
    ];
    for (request, code) in cases {
        assert_eq!(ask(&mut world, request.clone()), Err(code), "{request:?}");
    }
    ask(&mut world, create("a.b", 2)).unwrap();
    assert_eq!(ask(&mut world, create("a_b", 3)), Err(ErrorCode::INVALID_TOPIC_EXCEPTION));
}

#[test]
fn fenced_nodes_are_not_in_sync_and_all_fenced_is_refused() {
    let mut world = World::with_nodes(3);
    world.fence(0);
    let mut request = create(TOPIC, 1);
    request.assignments = vec![(0, nodes(&[0, 1]))];
    ask(&mut world, request).unwrap();
    assert_eq!((world.leader(), world.isr()), (Some(1), vec![1]));
    let mut request = create("other", 2);
    request.assignments = vec![(0, nodes(&[0]))];
    assert_eq!(ask(&mut world, request), Err(ErrorCode::INVALID_REPLICA_ASSIGNMENT));
    world.fence(1);
    world.fence(2);
    assert_eq!(ask(&mut world, create("third", 3)), Err(ErrorCode::INVALID_REPLICATION_FACTOR));
}

#[test]
fn replicas_are_spread_over_racks_nodes_and_leaders() {
    let mut world = World::empty();
    for (id, rack) in [(0, "a"), (1, "a"), (2, "b"), (3, "b"), (4, "c"), (5, "c")] {
        world.ask(&registration(id, 1, None, Some(rack))).unwrap();
        world.beat(id, false, false).unwrap();
    }
    let request = CreateTopic { partitions: Some(12), replication_factor: Some(3), ..create(TOPIC, 1) };
    ask(&mut world, request).unwrap();
    let topic = world.image.topic_named(TOPIC).unwrap();
    for state in &topic.partitions {
        let racks: BTreeSet<_> =
            state.replicas.iter().map(|n| &world.image.node(*n).unwrap().registration.rack).collect();
        assert_eq!(racks.len(), 3, "{state:?}");
    }
    for id in 0..6 {
        let leads = topic.partitions.iter().filter(|state| state.leader == Some(NodeId(id))).count();
        assert_eq!(leads, 2, "node {id}");
    }
}

#[test]
fn fenced_nodes_and_mere_voters_get_replicas_last_or_never() {
    let mut world = World::with_nodes(3);
    world.fence(1);
    let ControllerRequest::RegisterNode(mut voter) = registration(9, 1, None, None) else { unreachable!() };
    voter.holds_data = false;
    world.ask(&ControllerRequest::RegisterNode(voter)).unwrap();
    world.beat(9, false, false).unwrap();
    let request = CreateTopic { partitions: Some(6), replication_factor: Some(3), ..create(TOPIC, 1) };
    ask(&mut world, request).unwrap();
    for state in &world.image.topic_named(TOPIC).unwrap().partitions {
        assert_eq!(state.replicas[2], NodeId(1));
        assert_eq!(state.isr.len(), 2);
    }
    let too_many = CreateTopic { replication_factor: Some(4), ..create("x", 2) };
    assert_eq!(ask(&mut world, too_many), Err(ErrorCode::INVALID_REPLICATION_FACTOR));
}

#[test]
fn partitions_can_only_become_more() {
    let mut world = World::with_topic(3, &[0, 1], &[]);
    let grow = |count, lists: &[&[u32]]| ControllerRequest::CreatePartitions {
        name: TOPIC.into(),
        count,
        assignments: lists.iter().map(|ids| nodes(ids)).collect(),
    };
    assert_eq!(world.refusal(&grow(1, &[])), ErrorCode::INVALID_PARTITIONS);
    assert_eq!(world.refusal(&grow(0, &[])), ErrorCode::INVALID_PARTITIONS);
    assert_eq!(world.refusal(&grow(3, &[&[0, 1]])), ErrorCode::INVALID_REPLICA_ASSIGNMENT);
    assert_eq!(world.refusal(&grow(2, &[&[0]])), ErrorCode::INVALID_REPLICA_ASSIGNMENT);
    world.ask(&grow(2, &[&[2, 0]])).unwrap();
    assert_eq!(world.partition(1).replicas, nodes(&[2, 0]));
    world.ask(&grow(5, &[])).unwrap();
    assert!((2..5).all(|n| world.partition(n).replicas.len() == 2));
}

#[test]
fn a_topic_that_is_created_again_is_another_one() {
    let mut world = World::with_topic(1, &[0], &[]);
    let delete = ControllerRequest::DeleteTopic { name: TOPIC.into() };
    world.ask(&delete).unwrap();
    assert_eq!(world.refusal(&delete), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    ask(&mut world, create(TOPIC, 2)).unwrap();
    assert_eq!(world.image.topic_named(TOPIC).unwrap().id, [2; 16]);
}

#[test]
fn a_lower_minimum_voids_the_eligible_and_an_unclean_permit_elects_at_once() {
    let mut world = World::with_topic(3, &[0, 1, 2], &[("min.insync.replicas", "3")]);
    world.set_isr(&[0, 1]);
    assert_eq!(world.elr(), [2]);
    let set = |name: &str, value: Option<&str>| ControllerRequest::AlterTopicConfig {
        name: TOPIC.into(),
        changes: vec![(name.into(), value.map(str::to_owned))],
    };
    world.ask(&set("min.insync.replicas", Some("2"))).unwrap();
    assert_eq!(world.elr(), [] as [u32; 0]);
    world.ask(&set("min.insync.replicas", None)).unwrap();
    assert_eq!(world.image.topic_named(TOPIC).unwrap().setting("min.insync.replicas"), None);
    world.set_isr(&[0]);
    world.fence(0);
    assert_eq!(world.leader(), None);
    world.ask(&set("unclean.leader.election.enable", Some("true"))).unwrap();
    assert_eq!((world.leader(), world.partition(0).recovery), (Some(1), LeaderRecovery::Recovering));
}
