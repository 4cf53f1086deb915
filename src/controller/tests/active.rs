//! The controller with a quorum of one: what is asked, when it is answered, what a broken disk does.

use super::world::{create, registration, TOPIC};
use crate::controller::*;
use crate::error::{Error, ErrorCode};
use crate::time::Instant;
use crate::types::NodeId;
use std::time::Duration;

struct Lone {
    controller: Controller,
    now: Instant,
    unwritten: Vec<u64>,
    replies: Vec<(u64, ControllerResponse)>,
    stopped: Option<Error>,
}

impl Lone {
    fn open() -> Lone {
        Lone::open_with(&Quorum::bootstrap(&[NodeId(0)]))
    }

    fn open_with(start: &Restored) -> Lone {
        let (config, quorum) = (ControllerConfig::default(), QuorumConfig::default());
        let controller = Controller::open(NodeId(0), config, quorum, start, 7, Instant(0)).unwrap();
        Lone { controller, now: Instant(0), unwritten: Vec::new(), replies: Vec::new(), stopped: None }
    }

    fn active() -> Lone {
        Lone::open().until_active()
    }

    fn until_active(self) -> Lone {
        let mut lone = self;
        while !lone.controller.is_active() {
            lone.pass(Duration::from_millis(100));
            lone.write();
        }
        lone
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
        self.controller.handle_timeout(self.now);
        self.collect();
    }

    fn write(&mut self) {
        for number in std::mem::take(&mut self.unwritten) {
            self.controller.handle_persisted(number, self.now);
        }
        self.collect();
    }

    fn last_response(&self) -> &ControllerResponse {
        &self.replies.last().expect("a reply").1
    }

    fn ask(&mut self, id: u64, request: &ControllerRequest) {
        self.controller.handle_request(NodeId(5), id, request, self.now);
        self.collect();
    }

    fn collect(&mut self) {
        while let Some(output) = self.controller.poll_output() {
            match output {
                ControllerOutput::Persist(persist) if persist.must_sync => self.unwritten.push(persist.number),
                ControllerOutput::Reply { to, request_id, response } => {
                    assert_eq!(to, NodeId(5));
                    self.replies.push((request_id, response));
                }
                ControllerOutput::Stopped(error) => self.stopped = Some(error),
                _ => {}
            }
        }
    }

    fn answers(&mut self) -> Vec<(u64, Result<Reply, ErrorCode>)> {
        let code = |response: ControllerResponse| response.result.map_err(|error| error.code());
        std::mem::take(&mut self.replies).into_iter().map(|(id, response)| (id, code(response))).collect()
    }
}

#[test]
fn nothing_is_decided_before_the_controller_is_active() {
    let mut lone = Lone::open();
    lone.ask(1, &ControllerRequest::DeleteTopic { name: TOPIC.into() });
    assert_eq!(lone.answers(), [(1, Err(ErrorCode::NOT_CONTROLLER))]);
}

#[test]
fn the_active_controller_describes_its_quorum_and_what_topics_have_set() {
    let mut lone = Lone::open();
    lone.ask(1, &ControllerRequest::DescribeQuorum);
    assert_eq!(lone.answers(), [(1, Err(ErrorCode::NOT_CONTROLLER))]);
    let mut lone = Lone::active();
    lone.ask(1, &registration(3, 1, None, None));
    lone.write();
    lone.replies.clear();
    lone.ask(2, &ControllerRequest::DescribeQuorum);
    let Ok(Reply::Quorum(state)) = &lone.last_response().result else { panic!("{:?}", lone.replies) };
    let metadata_offset = lone.controller.image().offset();
    assert_eq!((state.leader, state.metadata_offset), (NodeId(0), metadata_offset));
    let own = QuorumProgress { node: NodeId(0), log_end: metadata_offset + 1, is_voter: true };
    let learner = QuorumProgress { node: NodeId(3), log_end: 1, is_voter: false };
    assert_eq!(state.replicas, [own, learner], "all of it is on its own disk, and whoever registers is given it");
    assert_eq!(
        state.nodes.iter().map(|node| (node.node, node.standing)).collect::<Vec<_>>(),
        [(NodeId(3), NodeStanding::Fenced)]
    );
    lone.replies.clear();
    lone.ask(3, &ControllerRequest::DescribeConfigs { topics: Vec::new() });
    lone.ask(4, &ControllerRequest::DescribeConfigs { topics: vec![TOPIC.into()] });
    let expected = [(3, Ok(Reply::Configs(Vec::new()))), (4, Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION))];
    assert_eq!(lone.answers(), expected);
}

#[test]
fn an_answer_waits_until_its_records_are_durable_and_the_next_decision_does_not() {
    let mut lone = Lone::active();
    lone.ask(1, &registration(3, 1, None, None));
    // Decided on an image that has the node already, and refused because it is fenced; the refusal may come at once.
    lone.ask(2, &ControllerRequest::CreateTopic(create(TOPIC, 1)));
    assert_eq!(lone.answers(), [(2, Err(ErrorCode::INVALID_REPLICATION_FACTOR))]);
    assert_eq!(lone.controller.image().node(NodeId(3)), None, "not committed yet");
    let node_epoch = lone.controller.image().offset() + 1;
    lone.ask(
        3,
        &ControllerRequest::Heartbeat(Heartbeat {
            node: NodeId(3),
            node_epoch,
            metadata_offset: node_epoch,
            wants_fenced: false,
            wants_shutdown: false,
        }),
    );
    lone.ask(4, &ControllerRequest::CreateTopic(create(TOPIC, 1)));
    lone.ask(5, &ControllerRequest::ElectLeaders { election: ElectionType::Preferred, partitions: Vec::new() });
    assert_eq!(lone.answers(), [], "all of these wait");
    lone.write();
    assert_eq!(lone.last_response().leader, Some(NodeId(0)));
    assert_eq!(lone.last_response().metadata_offset, lone.controller.image().offset());
    let unfenced = Reply::Heartbeat { is_fenced: false, is_caught_up: true, should_shut_down: false };
    assert_eq!(
        lone.answers(),
        [
            (1, Ok(Reply::Registered { node_epoch })),
            (3, Ok(unfenced)),
            (4, Ok(Reply::TopicCreated { id: [1; 16] })),
            (5, Ok(Reply::Partitions(Vec::new()))),
        ]
    );
    assert!(lone.controller.image().topic_named(TOPIC).is_some());
    lone.pass(Duration::from_secs(10));
    lone.write();
    assert_eq!(lone.controller.image().node(NodeId(3)).unwrap().standing, NodeStanding::Fenced, "its session ended");
}

#[test]
fn a_disk_that_fails_stops_the_quorum_and_everybody_who_waits_hears_of_it() {
    let mut lone = Lone::active();
    lone.ask(1, &registration(0, 1, None, None));
    let error = Error::new(ErrorCode::KAFKA_STORAGE_ERROR, "the disk is gone");
    lone.controller.handle_storage_error(error, lone.now);
    lone.collect();
    assert_eq!(lone.answers(), [(1, Err(ErrorCode::NOT_CONTROLLER))]);
    assert!(lone.stopped.as_ref().is_some_and(Error::is_fatal));
    lone.ask(2, &registration(0, 1, None, None));
    lone.pass(Duration::from_secs(60));
    assert_eq!(lone.answers(), [(2, Err(ErrorCode::NOT_CONTROLLER))]);
    assert!(lone.unwritten.len() <= 1 && lone.controller.poll_timeout().is_none());
}

#[test]
fn a_log_that_lost_what_it_acknowledged_does_not_vote_again() {
    let start = Quorum::bootstrap(&[NodeId(0), NodeId(1)]);
    let mut quorum = Quorum::open(NodeId(0), QuorumConfig::default(), &start, 1, Instant(0)).unwrap();
    let message = RaftMessage {
        verb: RaftVerb::Heartbeat,
        term: 9,
        log_term: 0,
        index: 0,
        commit: 40,
        commit_term: 0,
        request_snapshot: 0,
        reject: false,
        reject_hint: 0,
        context: bytes::Bytes::new(),
        entries: Vec::new(),
        snapshot: None,
    };
    quorum.handle_message(NodeId(1), &message);
    assert!(quorum.is_stopped());
    let stopped = std::iter::from_fn(|| quorum.poll_output()).any(|output| matches!(output, QuorumOutput::Stopped(_)));
    assert!(stopped);
}

#[test]
fn a_log_with_a_hole_or_a_cut_end_does_not_open() {
    let entry = |index, term| RaftEntry { index, term, kind: EntryKind::Records, data: bytes::Bytes::new() };
    let with = |entries: Vec<RaftEntry>, term, commit| {
        let hard_state = HardState { term, vote: None, commit };
        let restored = Restored { hard_state, entries, ..Quorum::bootstrap(&[NodeId(0)]) };
        Quorum::open(NodeId(0), QuorumConfig::default(), &restored, 1, Instant(0)).map(|_| ()).map_err(|e| e.code())
    };
    assert_eq!(with(vec![entry(2, 1), entry(3, 2)], 2, 3), Ok(()));
    for (entries, term, commit) in [
        (vec![entry(2, 1), entry(4, 1)], 1, 1),
        (vec![entry(3, 1)], 1, 1),
        (vec![entry(2, 2), entry(3, 1)], 2, 1),
        (vec![entry(2, 1)], 1, 3),
        (vec![entry(2, 2)], 1, 1),
    ] {
        assert_eq!(with(entries, term, commit), Err(ErrorCode::KAFKA_STORAGE_ERROR));
    }
}

#[test]
fn a_node_whose_connection_ends_is_fenced_before_its_session_would_have_ended() {
    let mut lone = Lone::active();
    lone.ask(1, &registration(5, 1, None, None));
    lone.write();
    let node_epoch = lone.controller.image().node(NodeId(5)).expect("registered").registration.epoch;
    let beat = Heartbeat {
        node: NodeId(5),
        node_epoch,
        metadata_offset: node_epoch,
        wants_fenced: false,
        wants_shutdown: false,
    };
    lone.ask(2, &ControllerRequest::Heartbeat(beat));
    lone.write();
    let standing = |lone: &Lone| lone.controller.image().node(NodeId(5)).expect("registered").standing;
    assert_eq!(standing(&lone), NodeStanding::Unfenced);
    lone.controller.handle_link(NodeId(5), false, lone.now);
    let third = ControllerConfig::default().session_timeout / 3;
    lone.pass(third - Duration::from_millis(1));
    lone.write();
    assert_eq!(standing(&lone), NodeStanding::Unfenced, "it may connect again");
    lone.pass(Duration::from_millis(1));
    lone.write();
    assert_eq!(standing(&lone), NodeStanding::Fenced);
}

#[test]
fn a_node_that_began_to_leave_under_another_controller_goes_though_nothing_else_happens() {
    let mut start = Quorum::bootstrap(&[NodeId(0)]);
    let registered = |node, standing| {
        let (address, node) = (String::new(), NodeId(node));
        let registration = NodeRegistration { node, incarnation: 1, epoch: 1, address, rack: None, holds_data: true };
        MetadataRecord::NodeRegistered { registration, standing }
    };
    let snapshot = start.snapshot.as_mut().expect("it begins with one");
    snapshot.learners = vec![NodeId(5), NodeId(6)];
    let nodes = [registered(5, NodeStanding::InControlledShutdown), registered(6, NodeStanding::Unfenced)];
    snapshot.records = encode_records(&nodes).into();
    let mut lone = Lone::open_with(&start).until_active();
    let metadata_offset = lone.controller.image().offset();
    let mut beat = |node, wants_shutdown| {
        let beat =
            Heartbeat { node: NodeId(node), node_epoch: 1, metadata_offset, wants_fenced: false, wants_shutdown };
        lone.ask(1, &ControllerRequest::Heartbeat(beat));
        let Ok(Reply::Heartbeat { should_shut_down, .. }) = lone.last_response().result else { panic!("answers") };
        should_shut_down
    };
    assert!(!beat(5, true), "nobody knows what the other one knows");
    beat(6, false);
    assert!(beat(5, true));
}

#[test]
fn the_last_voter_cannot_be_removed() {
    let mut lone = Lone::active();
    lone.ask(1, &ControllerRequest::ChangeVoters { node: NodeId(0), seat: NodeSeat::None });
    assert_eq!(lone.answers(), [(1, Err(ErrorCode::INVALID_REQUEST))]);
    lone.ask(2, &ControllerRequest::ChangeVoters { node: NodeId(1), seat: NodeSeat::Learner });
    lone.write();
    assert_eq!(lone.answers(), [(2, Ok(Reply::Done))]);
    assert_eq!(lone.controller.membership().learners, [NodeId(1)]);
}
