use super::world::{create, nodes, TOPIC};
use crate::controller::*;
use crate::error::ErrorCode;
use crate::time::Instant;
use crate::types::{LeaderEpoch, NodeId};

fn controller() -> AppointedController {
    let mut controller = AppointedController::new(ControllerConfig::default(), 1);
    for id in 0..3 {
        let registration = NodeRegistration {
            node: NodeId(id),
            incarnation: 1,
            epoch: 1,
            address: String::new(),
            rack: None,
            holds_data: true,
        };
        controller.set_node(registration).unwrap();
    }
    let request = CreateTopic { assignments: vec![(0, nodes(&[0, 1, 2]))], ..create(TOPIC, 1) };
    controller.handle_request(&ControllerRequest::CreateTopic(request), Instant(0)).unwrap();
    controller
}

fn partition(controller: &AppointedController) -> PartitionState {
    controller.image().partition(&[1; 16], 0).unwrap().clone()
}

#[test]
fn the_host_appoints_and_stale_epochs_are_refused() {
    let mut controller = controller();
    let done = controller.set_leader(TOPIC, 0, Some(NodeId(1)), LeaderEpoch(5)).unwrap();
    assert!(matches!(&done.changes[..], [Change::Partition { .. }]));
    assert_eq!((partition(&controller).leader, partition(&controller).leader_epoch.0), (Some(NodeId(1)), 5));
    let again = controller.set_leader(TOPIC, 0, Some(NodeId(1)), LeaderEpoch(5)).unwrap();
    assert!(again.changes.is_empty());
    for (node, epoch) in [(2, 5), (1, 4), (2, 0)] {
        let error = controller.set_leader(TOPIC, 0, Some(NodeId(node)), LeaderEpoch(epoch)).unwrap_err();
        assert_eq!(error.code(), ErrorCode::FENCED_LEADER_EPOCH);
    }
    controller.set_leader(TOPIC, 0, None, LeaderEpoch(6)).unwrap();
    assert_eq!((partition(&controller).leader, partition(&controller).last_known_leader), (None, Some(NodeId(1))));
}

#[test]
fn strangers_and_unknown_partitions_cannot_be_appointed() {
    let mut controller = controller();
    let code = |r: crate::error::Result<_>| r.map(|_: super::super::appointed::Appointed| ()).unwrap_err().code();
    assert_eq!(code(controller.set_leader(TOPIC, 0, Some(NodeId(9)), LeaderEpoch(5))), ErrorCode::INVALID_REQUEST);
    assert_eq!(code(controller.set_leader(TOPIC, 3, None, LeaderEpoch(5))), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    assert_eq!(code(controller.set_leader("no", 0, None, LeaderEpoch(5))), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    let fence = ControllerRequest::DecommissionNode { node: NodeId(0) };
    assert_eq!(code(controller.handle_request(&fence, Instant(0))), ErrorCode::INVALID_REQUEST);
}

#[test]
fn what_the_leader_says_of_its_isr_holds_and_an_outsider_in_office_is_reported() {
    let mut controller = controller();
    let propose = |controller: &mut AppointedController, from: u32, isr: &[u32]| {
        let state = partition(controller);
        let proposal = AlterPartition {
            topic: [1; 16],
            partition: 0,
            leader_epoch: state.leader_epoch,
            partition_epoch: state.partition_epoch,
            isr: nodes(isr).into_iter().map(|node| IsrMember { node, node_epoch: None }).collect(),
            recovery: LeaderRecovery::Recovered,
        };
        let request =
            ControllerRequest::AlterPartition { node: NodeId(from), node_epoch: 0, partitions: vec![proposal] };
        let Reply::AlterPartition(results) = controller.handle_request(&request, Instant(0)).unwrap().reply else {
            panic!()
        };
        results[0].state.clone()
    };
    assert_eq!(propose(&mut controller, 0, &[1, 0]).unwrap().isr, nodes(&[0, 1]));
    assert_eq!(propose(&mut controller, 1, &[1]), Err(ErrorCode::INVALID_REQUEST));
    let done = controller.set_leader(TOPIC, 0, Some(NodeId(2)), LeaderEpoch(1)).unwrap();
    assert!(matches!(&done.events[..], [ControllerEvent::UncleanLeaderElected { leader: NodeId(2), .. }]));
    assert_eq!(partition(&controller).isr, nodes(&[2]));
}
