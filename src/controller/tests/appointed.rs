use super::world::{create, nodes, TOPIC};
use crate::controller::*;
use crate::error::ErrorCode;
use crate::time::Instant;
use crate::types::{ClusterId, LeaderEpoch, NodeId};

fn controller() -> AppointedController {
    let mut controller = AppointedController::new(NodeId(0), ControllerConfig::default());
    for id in 0..3 {
        let registration = NodeRegistration {
            node: NodeId(id),
            incarnation: 1,
            epoch: 1,
            address: String::new(),
            rack: None,
            holds_data: true,
        };
        controller.handle_appointment(&Appointment::Node(registration)).unwrap();
    }
    let request = CreateTopic { assignments: vec![(0, nodes(&[0, 1, 2]))], ..create(TOPIC, 1) };
    controller.handle_request(&ControllerRequest::CreateTopic(request), Instant(0)).unwrap();
    controller
}

fn set_leader(
    controller: &mut AppointedController,
    (topic, partition): (&str, u32),
    leader: Option<u32>,
    epoch: u32,
) -> crate::error::Result<Appointed> {
    let (topic, leader, epoch) = (topic.into(), leader.map(NodeId), LeaderEpoch(epoch));
    controller.handle_appointment(&Appointment::Leader { topic, partition, leader, epoch })
}

fn partition(controller: &AppointedController) -> PartitionState {
    controller.image().partition(&[1; 16], 0).unwrap().clone()
}

#[test]
fn the_host_appoints_and_stale_epochs_are_refused() {
    let mut controller = controller();
    assert_eq!((partition(&controller).leader, partition(&controller).isr), (None, Vec::new()), "nobody is appointed");
    let done = set_leader(&mut controller, (TOPIC, 0), Some(1), 5).unwrap();
    assert!(matches!(&done.changes[..], [Change::Partition { .. }]));
    assert_eq!((partition(&controller).leader, partition(&controller).leader_epoch.0), (Some(NodeId(1)), 5));
    let again = set_leader(&mut controller, (TOPIC, 0), Some(1), 5).unwrap();
    assert!(again.changes.is_empty());
    for (node, epoch) in [(2, 5), (1, 4), (2, 0)] {
        let error = set_leader(&mut controller, (TOPIC, 0), Some(node), epoch).unwrap_err();
        assert_eq!(error.code(), ErrorCode::FENCED_LEADER_EPOCH);
    }
    set_leader(&mut controller, (TOPIC, 0), None, 6).unwrap();
    assert_eq!((partition(&controller).leader, partition(&controller).last_known_leader), (None, Some(NodeId(1))));
}

#[test]
fn strangers_and_unknown_partitions_cannot_be_appointed() {
    let mut controller = controller();
    let code = |r: crate::error::Result<Appointed>| r.map(|_| ()).unwrap_err().code();
    assert_eq!(code(set_leader(&mut controller, (TOPIC, 0), Some(9), 5)), ErrorCode::INVALID_REQUEST);
    assert_eq!(code(set_leader(&mut controller, (TOPIC, 3), None, 5)), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    assert_eq!(code(set_leader(&mut controller, ("no", 0), None, 5)), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    let fence = ControllerRequest::DecommissionNode { node: NodeId(0) };
    assert_eq!(code(controller.handle_request(&fence, Instant(0))), ErrorCode::INVALID_REQUEST);
}

fn propose(controller: &mut AppointedController, from: u32, isr: &[u32]) -> Result<PartitionState, ErrorCode> {
    let state = partition(controller);
    let proposal = AlterPartition {
        topic: [1; 16],
        partition: 0,
        leader_epoch: state.leader_epoch,
        partition_epoch: state.partition_epoch,
        isr: nodes(isr).into_iter().map(|node| IsrMember { node, node_epoch: None }).collect(),
        recovery: LeaderRecovery::Recovered,
    };
    let request = ControllerRequest::AlterPartition { node: NodeId(from), node_epoch: 0, partitions: vec![proposal] };
    let Reply::AlterPartition(results) = controller.handle_request(&request, Instant(0)).unwrap().reply else {
        panic!()
    };
    results[0].state.clone()
}

#[test]
fn what_the_leader_says_of_its_isr_holds_and_an_outsider_in_office_is_reported() {
    let mut controller = controller();
    set_leader(&mut controller, (TOPIC, 0), Some(0), 1).unwrap();
    assert_eq!(partition(&controller).isr, nodes(&[0]), "a reign begins with its leader alone");
    assert_eq!(propose(&mut controller, 0, &[1, 0]).unwrap().isr, nodes(&[0, 1]));
    assert_eq!(propose(&mut controller, 1, &[1]), Err(ErrorCode::INVALID_REQUEST));
    let done = set_leader(&mut controller, (TOPIC, 0), Some(2), 2).unwrap();
    assert!(matches!(&done.events[..], [ControllerEvent::UncleanLeaderElected { leader: NodeId(2), .. }]));
    assert_eq!(partition(&controller).isr, nodes(&[2]));
    // Of node 2's ISR this node knows nothing, so it has nothing to say about its successor.
    assert!(set_leader(&mut controller, (TOPIC, 0), Some(1), 3).unwrap().events.is_empty());
}

#[test]
fn another_life_knows_the_epochs_and_the_last_isr_and_leads_nothing() {
    let mut controller = controller();
    set_leader(&mut controller, (TOPIC, 0), Some(0), 4).unwrap();
    propose(&mut controller, 0, &[0, 2]).unwrap();
    let records = controller.image().to_records();
    let mut next = AppointedController::restored(NodeId(0), ControllerConfig::default(), records).unwrap();
    let state = partition(&next);
    assert_eq!((state.leader, state.last_known_leader, state.leader_epoch.0), (None, Some(NodeId(0)), 4));
    assert_eq!(state.isr, nodes(&[0, 2]), "so that the host can see whom it may appoint");
    for (leader, epoch) in [(Some(0), 4), (Some(2), 4), (Some(0), 3), (None, 3)] {
        let refused = set_leader(&mut next, (TOPIC, 0), leader, epoch).unwrap_err();
        assert_eq!(refused.code(), ErrorCode::FENCED_LEADER_EPOCH, "{leader:?} in {epoch}");
    }
    set_leader(&mut next, (TOPIC, 0), Some(0), 5).unwrap();
    let records = next.image().to_records();
    let other = AppointedController::restored(NodeId(2), ControllerConfig::default(), records).unwrap();
    assert_eq!(partition(&other).leader, Some(NodeId(0)), "a follower goes on following");
}

#[test]
fn settings_and_partitions_change_and_nobody_is_elected_by_that() {
    let mut controller = controller();
    let request = ControllerRequest::AlterTopicConfig {
        name: TOPIC.into(),
        changes: vec![("unclean.leader.election.enable".into(), Some("true".into()))],
    };
    controller.handle_request(&request, Instant(0)).unwrap();
    assert_eq!(partition(&controller).leader, None);
    let request = ControllerRequest::CreatePartitions { name: TOPIC.into(), count: 2, assignments: Vec::new() };
    controller.handle_request(&request, Instant(0)).unwrap();
    let added = controller.image().partition(&[1; 16], 1).unwrap().clone();
    assert_eq!((added.leader, added.replicas.len()), (None, 3));
}

#[test]
fn two_hosts_that_say_the_same_get_the_same_topic() {
    let cluster = ClusterId([7; 16]);
    let made = [0, 1].map(|me| {
        let mut controller = AppointedController::new(NodeId(me), ControllerConfig::default());
        // In another order, and each knows more of itself.
        for id in if me == 0 { [0, 1, 2, 3] } else { [3, 1, 0, 2] } {
            let epoch = if id == me { 77 } else { 0 };
            let address = String::new();
            let node = NodeId(id);
            let registration =
                NodeRegistration { node, incarnation: epoch, epoch, address, rack: None, holds_data: true };
            controller.handle_appointment(&Appointment::Node(registration)).unwrap();
        }
        let (id, factor) = (appointed_topic_id(cluster, "orders"), Some(2));
        let request = CreateTopic { id, partitions: Some(5), replication_factor: factor, ..create("orders", 0) };
        controller.handle_request(&ControllerRequest::CreateTopic(request), Instant(0)).unwrap();
        controller.image().topic_named("orders").unwrap().clone()
    });
    assert_eq!(made[0], made[1]);
    assert_ne!(appointed_topic_id(cluster, "orders"), appointed_topic_id(cluster, "other"));
    assert_ne!(appointed_topic_id(cluster, "orders"), appointed_topic_id(ClusterId([8; 16]), "orders"));
}
