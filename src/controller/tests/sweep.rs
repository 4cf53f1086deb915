use super::world::{World, TOPIC};
use crate::controller::*;
use crate::error::ErrorCode;
use crate::types::NodeId;

fn elect(world: &mut World, election: ElectionType, partitions: &[(&str, u32)]) -> Vec<ErrorCode> {
    let partitions = partitions.iter().map(|(name, n)| ((*name).into(), *n)).collect();
    let Ok(Reply::Partitions(results)) = world.ask(&ControllerRequest::ElectLeaders { election, partitions }) else {
        panic!()
    };
    results.into_iter().map(|result| result.code).collect()
}

/// Node 1 leads, node 0 is preferred and has caught up again.
fn imbalanced() -> World {
    let mut world = World::with_topic(3, &[0, 1, 2], &[]);
    world.fence(0);
    world.beat(0, false, false).unwrap();
    assert_eq!(world.leader(), Some(1));
    world
}

#[test]
fn a_preferred_election_answers_for_each_partition() {
    let mut world = imbalanced();
    let asked = &[(TOPIC, 0), (TOPIC, 7), ("nothing", 0)][..];
    let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    let codes = elect(&mut world, ElectionType::Preferred, asked);
    assert_eq!(codes, [ErrorCode::PREFERRED_LEADER_NOT_AVAILABLE, unknown, unknown]);
    world.set_isr(&[0, 1, 2]);
    assert_eq!(elect(&mut world, ElectionType::Preferred, &[(TOPIC, 0)]), [ErrorCode::NONE]);
    assert_eq!(world.leader(), Some(0));
    assert_eq!(elect(&mut world, ElectionType::Preferred, &[(TOPIC, 0)]), [ErrorCode::ELECTION_NOT_NEEDED]);
    assert_eq!(elect(&mut world, ElectionType::Preferred, &[]), [], "of all, those that need none are not named");
}

#[test]
fn leaderships_go_back_to_preferred_leaders_by_themselves() {
    let mut world = imbalanced();
    assert!(world.decide(|decider| decider.rebalance_leaders()).records.is_empty(), "not in sync yet");
    world.set_isr(&[0, 1, 2]);
    let outcome = world.decide(|decider| decider.rebalance_leaders());
    world.commit(outcome);
    assert_eq!((world.leader(), world.isr()), (Some(0), vec![0, 1, 2]));
}

#[test]
fn an_unclean_election_on_request_needs_the_topics_word_too() {
    let mut world = World::with_topic(2, &[0, 1], &[]);
    assert_eq!(elect(&mut world, ElectionType::Unclean, &[(TOPIC, 0)]), [ErrorCode::ELECTION_NOT_NEEDED]);
    world.set_isr(&[0]);
    world.fence(0);
    assert_eq!(elect(&mut world, ElectionType::Unclean, &[(TOPIC, 0)]), [ErrorCode::ELIGIBLE_LEADERS_NOT_AVAILABLE]);
    assert!(world.decide(|decider| decider.elect_leaderless()).records.is_empty());
    world.config.unclean_leader_election = true;
    assert_eq!(elect(&mut world, ElectionType::Unclean, &[(TOPIC, 0)]), [ErrorCode::NONE]);
    assert_eq!((world.leader(), world.partition(0).recovery), (Some(1), LeaderRecovery::Recovering));
}

#[test]
fn the_sweep_elects_the_leaderless_within_its_limit() {
    let mut world = World::with_nodes(2);
    let request = CreateTopic { partitions: Some(10), replication_factor: Some(1), ..super::world::create(TOPIC, 1) };
    world.ask(&ControllerRequest::CreateTopic(request)).unwrap();
    world.fence(0);
    world.fence(1);
    // As after a restart of everybody at once: alive again, but nobody has elected yet.
    let records: Vec<MetadataRecord> = [0, 1]
        .map(|id| MetadataRecord::NodeStandingChanged {
            node: NodeId(id),
            epoch: world.epoch(id),
            standing: NodeStanding::Unfenced,
        })
        .into();
    world.image.apply_entry(world.image.offset() + 1, &records).unwrap();
    world.config.sweep_partitions_max = 4;
    for expected in [4, 4, 2, 0] {
        let outcome = world.decide(|decider| decider.elect_leaderless());
        assert_eq!(outcome.records.len(), expected);
        world.commit(outcome);
    }
}
