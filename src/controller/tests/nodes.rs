use super::world::{registration, World, SECOND, TOPIC};
use crate::controller::*;
use crate::error::ErrorCode;
use crate::time::Instant;
use crate::types::NodeId;
use std::collections::BTreeSet;

fn standing(world: &World, id: u32) -> NodeStanding {
    world.image.node(NodeId(id)).unwrap().standing
}

#[test]
fn a_node_begins_fenced_and_is_unfenced_when_it_has_caught_up() {
    let mut world = World::empty();
    world.register(1, 77, None).unwrap();
    assert_eq!(standing(&world, 1), NodeStanding::Fenced);
    let node_epoch = world.epoch(1);
    let early = Heartbeat {
        node: NodeId(1),
        node_epoch,
        metadata_offset: node_epoch - 1,
        wants_fenced: false,
        wants_shutdown: false,
    };
    let reply = world.ask(&ControllerRequest::Heartbeat(early)).unwrap();
    assert_eq!(reply, Reply::Heartbeat { is_fenced: true, is_caught_up: false, should_shut_down: false });
    let reply = world.beat(1, true, false).unwrap();
    assert_eq!(
        reply,
        Reply::Heartbeat { is_fenced: true, is_caught_up: true, should_shut_down: false },
        "it wants to be fenced"
    );
    let reply = world.beat(1, false, false).unwrap();
    assert_eq!(reply, Reply::Heartbeat { is_fenced: false, is_caught_up: true, should_shut_down: false });
    assert_eq!(standing(&world, 1), NodeStanding::Unfenced);
}

#[test]
fn the_same_incarnation_may_register_again_and_keeps_its_epoch() {
    let mut world = World::with_nodes(1);
    let epoch = world.epoch(0);
    assert_eq!(world.register(0, 1, None).unwrap(), Reply::Registered { node_epoch: epoch });
    assert_eq!(standing(&world, 0), NodeStanding::Unfenced);
    let moved = registration(0, 1, None, Some("rack"));
    assert_eq!(world.ask(&moved).unwrap(), Reply::Registered { node_epoch: epoch });
    assert_eq!(world.image.node(NodeId(0)).unwrap().registration.rack.as_deref(), Some("rack"));
}

#[test]
fn another_process_with_the_number_of_a_living_node_is_refused_until_the_session_ends() {
    let mut world = World::with_nodes(1);
    let refusal = world.refusal(&registration(0, 2, None, None));
    assert_eq!(refusal, ErrorCode::DUPLICATE_BROKER_REGISTRATION);
    let before = world.epoch(0);
    world.now = Instant(0) + world.config.session_timeout;
    world.register(0, 2, None).unwrap();
    assert!(world.epoch(0) > before);
}

#[test]
fn a_heartbeat_of_a_stranger_or_an_old_epoch_is_refused() {
    let mut world = World::with_nodes(1);
    let beat = |node, node_epoch| {
        let (metadata_offset, wants_fenced, wants_shutdown) = (9, false, false);
        ControllerRequest::Heartbeat(Heartbeat {
            node: NodeId(node),
            node_epoch,
            metadata_offset,
            wants_fenced,
            wants_shutdown,
        })
    };
    assert_eq!(world.refusal(&beat(5, 1)), ErrorCode::BROKER_ID_NOT_REGISTERED);
    assert_eq!(world.refusal(&beat(0, 99)), ErrorCode::STALE_BROKER_EPOCH);
}

#[test]
fn a_session_ends_without_heartbeats() {
    let mut world = World::with_nodes(2);
    world.now = Instant(0) + SECOND * 5;
    world.beat(1, false, false).unwrap();
    assert_eq!(world.sessions.poll_timeout(), Some(Instant(0) + SECOND * 9));
    assert_eq!(world.sessions.expired(Instant(0) + SECOND * 9), [NodeId(0)]);
    assert_eq!(world.sessions.expired(Instant(0) + SECOND * 14), [NodeId(0), NodeId(1)]);
    let fresh = Sessions::fresh(&world.image, SECOND * 9, &BTreeSet::new(), Instant(0) + SECOND * 20);
    assert_eq!(fresh.expired(Instant(0) + SECOND * 28), [], "a new active controller gives everybody a whole session");
}

#[test]
fn a_lost_connection_leaves_a_third_of_the_session_and_a_heartbeat_gives_back_the_whole() {
    let mut world = World::with_nodes(2);
    let at = |seconds: u32| Instant(0) + SECOND * seconds;
    world.sessions.handle_link_lost(NodeId(0), at(1));
    assert_eq!(world.sessions.poll_timeout(), Some(at(4)));
    assert_eq!(world.sessions.expired(at(4)), [NodeId(0)]);
    world.now = at(3);
    world.beat(0, false, false).unwrap();
    assert_eq!(world.sessions.expired(at(11)), [NodeId(1)], "it has connected again");
    world.sessions.handle_link_lost(NodeId(1), at(8));
    assert_eq!(world.sessions.poll_timeout(), Some(at(9)), "nobody lives longer for having no connection");
    let unlinked = BTreeSet::from([NodeId(1), NodeId(7)]);
    let fresh = Sessions::fresh(&world.image, SECOND * 9, &unlinked, at(20));
    assert_eq!(fresh.expired(at(23)), [NodeId(1)], "nor under a new active controller");
}

#[test]
fn fencing_takes_a_node_out_of_its_isrs_and_leaderships() {
    let mut world = World::with_topic(3, &[0, 1, 2], &[]);
    world.fence(0);
    assert_eq!((world.leader(), world.isr(), world.elr()), (Some(1), vec![1, 2], vec![]));
    assert_eq!(world.epochs(), (1, 1));
    world.beat(0, false, false).unwrap();
    assert_eq!((world.leader(), world.isr()), (Some(1), vec![1, 2]), "it has to catch up first");
    assert!(world.events.contains(&ControllerEvent::NodeFenced { node: NodeId(0) }));
}

#[test]
fn the_last_in_sync_replica_is_eligible_while_fenced_and_leads_when_it_returns() {
    let mut world = World::with_topic(3, &[0, 1, 2], &[]);
    world.fence(1);
    world.fence(2);
    world.fence(0);
    assert_eq!((world.leader(), world.isr(), world.elr()), (None, vec![], vec![0]));
    assert!(world.events.contains(&ControllerEvent::PartitionOffline { topic: TOPIC.into(), partition: 0 }));
    world.beat(2, false, false).unwrap();
    assert_eq!(world.leader(), None, "node 2 may miss records");
    world.beat(0, false, false).unwrap();
    assert_eq!((world.leader(), world.isr(), world.elr()), (Some(0), vec![0], vec![]));
    assert_eq!(world.partition(0).recovery, LeaderRecovery::Recovered);
}

#[test]
fn an_eligible_replica_saves_a_partition_below_its_minimum() {
    let mut world = World::with_topic(3, &[0, 1, 2], &[("min.insync.replicas", "2")]);
    world.fence(2);
    world.fence(1);
    assert_eq!((world.isr(), world.elr()), (vec![0], vec![1]));
    world.fence(0);
    assert_eq!((world.isr(), world.elr()), (vec![], vec![1, 0]));
    world.beat(1, false, false).unwrap();
    assert_eq!((world.leader(), world.isr(), world.elr()), (Some(1), vec![1], vec![0]));
}

#[test]
fn unclean_election_needs_the_topics_word_and_is_reported() {
    let mut world = World::with_topic(2, &[0, 1], &[("unclean.leader.election.enable", "true")]);
    world.set_isr(&[0]);
    world.fence(0);
    assert_eq!((world.leader(), world.isr(), world.elr()), (Some(1), vec![1], vec![]));
    assert_eq!(world.partition(0).recovery, LeaderRecovery::Recovering);
    let loud = ControllerEvent::UncleanLeaderElected {
        topic: TOPIC.into(),
        partition: 0,
        leader: NodeId(1),
        isr_before: vec![NodeId(0)],
    };
    assert!(world.events.contains(&loud), "{:?}", world.events);
}

#[test]
fn a_node_that_stopped_uncleanly_leaves_isr_and_elr_where_others_are_left() {
    let mut world = World::with_topic(3, &[0, 1, 2], &[("min.insync.replicas", "3")]);
    let _ = world.register(0, 2, None);
    world.now = Instant(0) + world.config.session_timeout;
    for id in [1, 2] {
        world.beat(id, false, false).unwrap();
    }
    world.register(0, 2, None).unwrap();
    assert_eq!((world.leader(), world.isr(), world.elr()), (Some(1), vec![1, 2], vec![]), "not even eligible");
}

#[test]
fn a_node_that_stopped_cleanly_stays_eligible() {
    let mut world = World::with_topic(3, &[0, 1, 2], &[("min.insync.replicas", "3")]);
    let epoch = world.epoch(0);
    world.now = Instant(0) + world.config.session_timeout;
    world.register(0, 2, Some(epoch)).unwrap();
    assert_eq!((world.leader(), world.isr(), world.elr()), (Some(1), vec![1, 2], vec![0]));
    world.register(0, 3, Some(epoch)).unwrap();
    assert_eq!(world.elr(), [] as [u32; 0], "the epoch on its disk is not that of its last life: a crash came between");
}

#[test]
fn the_last_leader_leads_again_when_the_last_member_stopped_uncleanly_and_that_is_reported() {
    let mut world = World::with_topic(2, &[0, 1], &[]);
    world.set_isr(&[0]);
    world.fence(0);
    world.register(0, 2, None).unwrap();
    assert_eq!((world.leader(), world.isr(), world.elr()), (None, vec![], vec![]), "node 1 may miss records");
    let loud = ControllerEvent::LastReplicaRestartedUncleanly { topic: TOPIC.into(), partition: 0, node: NodeId(0) };
    assert!(world.events.contains(&loud));
    world.beat(0, false, false).unwrap();
    assert_eq!((world.leader(), world.isr()), (Some(0), vec![0]));
    assert_eq!(world.partition(0).recovery, LeaderRecovery::Recovering);
    let elected = |event: &ControllerEvent| matches!(event, ControllerEvent::UncleanLeaderElected { .. });
    assert!(world.events.iter().any(elected), "{:?}", world.events);
}

#[test]
fn when_all_who_had_everything_stopped_uncleanly_the_last_leader_leads_whoever_comes_back_last() {
    for order in [[0, 1], [1, 0]] {
        let mut world = World::with_topic(3, &[0, 1, 2], &[("min.insync.replicas", "2")]);
        [2, 1, 0].into_iter().for_each(|id| world.fence(id));
        assert_eq!((world.leader(), world.isr(), world.elr()), (None, vec![], vec![1, 0]));
        for id in order {
            world.register(id, 2, None).unwrap();
        }
        assert_eq!(world.elr(), [] as [u32; 0], "nobody is known to have everything");
        world.beat(2, false, false).unwrap();
        world.beat(1, false, false).unwrap();
        assert_eq!(world.leader(), None, "neither of them led last");
        world.beat(0, false, false).unwrap();
        assert_eq!((world.leader(), world.isr(), world.elr()), (Some(0), vec![0], vec![]));
    }
}

#[test]
fn a_lone_replica_leads_again_after_an_unclean_stop() {
    let mut world = World::with_topic(1, &[0], &[]);
    world.fence(0);
    world.register(0, 2, None).unwrap();
    world.beat(0, false, false).unwrap();
    assert_eq!((world.leader(), world.isr()), (Some(0), vec![0]));
    let elected = |event: &ControllerEvent| matches!(event, ControllerEvent::UncleanLeaderElected { .. });
    assert!(!world.events.iter().any(elected), "nobody else could have had more");
}

#[test]
fn a_node_that_shuts_down_hands_its_leaderships_over_and_goes_when_everybody_knows() {
    let mut world = World::with_topic(3, &[0, 1, 2], &[]);
    let reply = world.beat(0, false, true).unwrap();
    assert_eq!(reply, Reply::Heartbeat { is_fenced: false, is_caught_up: true, should_shut_down: false });
    assert_eq!(standing(&world, 0), NodeStanding::InControlledShutdown);
    assert_eq!((world.leader(), world.isr()), (Some(1), vec![1, 2]));
    let stays = world.beat(0, false, true).unwrap();
    assert_eq!(stays, Reply::Heartbeat { is_fenced: false, is_caught_up: true, should_shut_down: false });
    world.beat(1, false, false).unwrap();
    world.beat(2, false, false).unwrap();
    let goes = world.beat(0, false, true).unwrap();
    assert_eq!(goes, Reply::Heartbeat { is_fenced: false, is_caught_up: true, should_shut_down: true });
    world.register(0, 2, Some(world.epoch(0))).unwrap();
    assert_eq!(standing(&world, 0), NodeStanding::Fenced, "and may come back at once");
}

#[test]
fn a_fenced_node_may_go_at_once() {
    let mut world = World::with_nodes(2);
    world.fence(0);
    let reply = world.beat(0, false, true).unwrap();
    assert_eq!(reply, Reply::Heartbeat { is_fenced: true, is_caught_up: true, should_shut_down: true });
}

#[test]
fn a_node_with_replicas_cannot_be_forgotten() {
    let mut world = World::with_topic(3, &[0, 1], &[]);
    let forget = |id| ControllerRequest::UnregisterNode { node: NodeId(id) };
    assert_eq!(world.refusal(&forget(0)), ErrorCode::INVALID_REQUEST);
    assert_eq!(world.refusal(&forget(8)), ErrorCode::BROKER_ID_NOT_REGISTERED);
    world.ask(&forget(2)).unwrap();
    assert_eq!(world.image.node(NodeId(2)), None);
}
