//! A node's registration beside the real decisions of the controller.

use super::super::*;
use super::world::MILLI;
use crate::controller::{
    ControllerConfig, ControllerRequest, ControllerResponse, Decider, Image, NodeStanding, Reply, Sessions,
};
use crate::error::{Error, ErrorCode};
use crate::time::Instant;
use crate::types::NodeId;
use std::collections::BTreeSet;
use std::time::Duration;

const ME: NodeId = NodeId(4);
const SESSION: Duration = Duration::from_millis(1_500);

fn settings(incarnation: u64, previous_epoch: Option<u64>) -> NodeMembershipSettings {
    NodeMembershipSettings {
        node: ME,
        incarnation,
        address: "inproc://4".into(),
        rack: None,
        holds_data: true,
        previous_epoch,
        voters: vec![NodeId(1), NodeId(2), NodeId(3)],
        heartbeat_interval: MILLI * 300,
        session_timeout: SESSION,
        backoff: MILLI * 100,
    }
}

/// A controller without a quorum: what it decides holds at once.
struct World {
    now: Instant,
    active: NodeId,
    image: Image,
    sessions: Sessions,
    config: ControllerConfig,
    member: NodeMembership,
    asked: Vec<(NodeId, ControllerRequest)>,
    fenced: u32,
}

impl World {
    fn new(member: NodeMembership) -> World {
        let now = Instant(1_000_000_000);
        let image = Image::default();
        let sessions = Sessions::fresh(&image, SESSION, &BTreeSet::new(), now);
        let config = ControllerConfig { session_timeout: SESSION, ..ControllerConfig::default() };
        World { now, active: NodeId(2), image, sessions, config, member, asked: Vec::new(), fenced: 0 }
    }

    fn answer(&mut self, to: NodeId, request: &ControllerRequest) -> ControllerResponse {
        let offset = self.image.offset() + 1;
        if to != self.active {
            let result = Err(Error::new(ErrorCode::NOT_CONTROLLER, "ask the other one"));
            return ControllerResponse { result, leader: Some(self.active), metadata_offset: offset - 1 };
        }
        let decider = Decider {
            image: &self.image,
            config: &self.config,
            sessions: &self.sessions,
            now: self.now,
            offset_next: offset,
            lot: 0,
        };
        let result = decider.decide(request).map(|outcome| {
            if !outcome.records.is_empty() {
                self.image.apply_entry(offset, &outcome.records).unwrap();
            }
            outcome.reply
        });
        if let (ControllerRequest::Heartbeat(beat), Ok(_)) = (request, &result) {
            let (epoch, offset) = (beat.node_epoch, beat.metadata_offset);
            if self.standing() == Some(NodeStanding::Fenced) {
                self.sessions.forget(ME);
            } else {
                self.sessions.handle_heartbeat(ME, epoch, offset, self.now);
            }
            if beat.wants_shutdown {
                self.sessions.handle_leaving(ME, self.image.offset());
            }
        }
        ControllerResponse { result, leader: Some(self.active), metadata_offset: self.image.offset() }
    }

    fn standing(&self) -> Option<NodeStanding> {
        self.image.node(ME).map(|node| node.standing)
    }

    fn sweep(&mut self) {
        for node in self.sessions.expired(self.now) {
            self.fenced += 1;
            let decider = Decider {
                image: &self.image,
                config: &self.config,
                sessions: &self.sessions,
                now: self.now,
                offset_next: self.image.offset() + 1,
                lot: 0,
            };
            let records = decider.fence_node(node).records;
            self.image.apply_entry(self.image.offset() + 1, &records).unwrap();
            self.sessions.forget(node);
        }
    }

    /// Everything that is due now, over a network that loses as the closure says.
    fn work(&mut self, mut loses: impl FnMut() -> bool) {
        while let Some(call) = self.member.poll_call(self.now) {
            self.asked.push((call.to, call.request.clone()));
            if loses() {
                continue;
            }
            let response = self.answer(call.to, &call.request);
            if !loses() {
                self.member.handle_response(call.number, Ok(response), self.now);
            }
        }
    }

    fn run(&mut self, time: Duration, mut loses: impl FnMut() -> bool) {
        let end = self.now + time;
        while self.now < end {
            self.sweep();
            self.work(&mut loses);
            self.now = self.now + MILLI * 10;
        }
    }

    fn catch_up(&mut self) {
        self.member.handle_metadata_offset(self.image.offset());
    }

    fn events(&mut self) -> Vec<MemberEvent> {
        std::iter::from_fn(|| self.member.poll_event()).collect()
    }
}

#[test]
fn a_node_finds_the_controller_registers_and_is_unfenced_once_it_has_caught_up() {
    let mut world = World::new(NodeMembership::new(settings(77, None)));
    world.work(|| false);
    let asked: Vec<NodeId> = world.asked.iter().map(|(to, _)| *to).collect();
    assert_eq!(asked[..3], [NodeId(1), NodeId(2), NodeId(2)], "sent on, registered, and the first heartbeat at once");
    world.catch_up();
    world.work(|| false);
    assert_eq!(world.member.standing(), MemberStanding::Unfenced);
    assert!(matches!(world.events()[..], [MemberEvent::Registered { node_epoch: 1 }, MemberEvent::Unfenced]));
    world.run(Duration::from_secs(30), || false);
    assert_eq!(world.fenced, 0);
    assert!((100..110).contains(&world.asked.len()), "{} requests in 30 s", world.asked.len());
    let ends = world.member.session_ends_at().unwrap();
    assert!(ends > world.now && ends <= world.now + SESSION);
}

#[test]
fn a_node_that_is_behind_stays_fenced_and_says_so_when_it_is_not() {
    let mut world = World::new(NodeMembership::new(settings(77, None)));
    let mut other = NodeMembership::new(NodeMembershipSettings { node: NodeId(9), ..settings(5, None) });
    other.handle_controller(Some(world.active));
    let call = other.poll_call(world.now).unwrap();
    world.answer(call.to, &call.request);
    world.run(Duration::from_secs(1), || false);
    assert_eq!((world.member.standing(), world.standing()), (MemberStanding::Fenced, Some(NodeStanding::Fenced)));
    assert!(world
        .asked
        .iter()
        .any(|(_, request)| matches!(request, ControllerRequest::Heartbeat(beat) if beat.wants_fenced)));
    world.work(|| false);
    world.catch_up();
    world.work(|| false);
    assert_eq!(world.member.standing(), MemberStanding::Unfenced, "without waiting for the interval");
}

#[test]
fn a_controller_that_forgot_the_node_is_told_again_by_the_same_incarnation() {
    let mut world = World::new(NodeMembership::new(settings(77, Some(3))));
    world.work(|| false);
    world.catch_up();
    world.run(Duration::from_secs(1), || false);
    world.image = Image::default();
    world.sessions = Sessions::fresh(&world.image, SESSION, &BTreeSet::new(), world.now);
    world.run(Duration::from_secs(1), || false);
    assert_eq!(world.standing(), Some(NodeStanding::Unfenced));
    let registrations = world.asked.iter().filter_map(|(_, request)| match request {
        ControllerRequest::RegisterNode(request) => Some((request.incarnation, request.previous_epoch)),
        _ => None,
    });
    let registrations: Vec<_> = registrations.skip_while(|seen| seen.1.is_some()).collect();
    assert_eq!(registrations, [(77, None)], "that it stopped in order was true once");
}

#[test]
fn a_second_process_with_the_number_is_refused_until_the_session_of_the_first_is_over() {
    let mut world = World::new(NodeMembership::new(settings(77, None)));
    world.work(|| false);
    world.catch_up();
    world.run(Duration::from_secs(1), || false);
    assert_eq!(world.standing(), Some(NodeStanding::Unfenced));
    world.member = NodeMembership::new(settings(78, None));
    world.run(Duration::from_secs(1), || false);
    assert_eq!(world.member.standing(), MemberStanding::Registering);
    let refusals = world.events();
    assert!(
        matches!(&refusals[..], [MemberEvent::Refused(error)] if error.code() == ErrorCode::DUPLICATE_BROKER_REGISTRATION)
    );
    world.run(Duration::from_secs(1), || false);
    world.catch_up();
    world.work(|| false);
    assert_eq!(world.member.standing(), MemberStanding::Unfenced);
}

#[test]
fn a_node_leaves_in_order_and_comes_back_as_one_that_did() {
    let mut world = World::new(NodeMembership::new(settings(77, None)));
    world.work(|| false);
    world.catch_up();
    world.run(Duration::from_secs(1), || false);
    world.events();
    world.member.begin_shutdown();
    world.work(|| false);
    assert_eq!(world.member.standing(), MemberStanding::Leaving, "not before the others know");
    world.catch_up();
    world.run(MILLI * 400, || false);
    assert_eq!(world.member.standing(), MemberStanding::Gone);
    let events = world.events();
    let [MemberEvent::MayShutDown { node_epoch: Some(epoch) }] = events[..] else { panic!("{events:?}") };
    assert_eq!((world.member.poll_timeout(), world.member.poll_call(world.now)), (None, None));
    world.member = NodeMembership::new(settings(78, Some(epoch)));
    world.run(MILLI * 100, || false);
    assert!(world.member.node_epoch() > Some(epoch));
}

#[test]
fn a_node_that_nobody_knows_leaves_at_once() {
    let mut member = NodeMembership::new(settings(77, None));
    member.begin_shutdown();
    assert!(matches!(member.poll_event(), Some(MemberEvent::MayShutDown { node_epoch: None })));
}

#[test]
fn a_life_that_nobody_registered_leaves_behind_what_it_found() {
    let mut member = NodeMembership::new(settings(77, Some(3)));
    member.begin_shutdown();
    assert!(matches!(member.poll_event(), Some(MemberEvent::MayShutDown { node_epoch: Some(3) })));
}

#[test]
fn two_nodes_that_name_each_other_are_not_asked_without_a_pause() {
    let mut world = World::new(NodeMembership::new(settings(77, None)));
    world.active = NodeId(99); // nobody
    let end = world.now + MILLI * 1_000;
    while world.now < end {
        while let Some(call) = world.member.poll_call(world.now) {
            world.asked.push((call.to, call.request));
            let leader = Some(if call.to == NodeId(1) { NodeId(2) } else { NodeId(1) });
            let result = Err(Error::new(ErrorCode::NOT_CONTROLLER, "the other one"));
            let response = ControllerResponse { result, leader, metadata_offset: 0 };
            world.member.handle_response(call.number, Ok(response), world.now);
        }
        world.now = world.now + MILLI;
    }
    assert!((10..=24).contains(&world.asked.len()), "{} questions in a second", world.asked.len());
}

#[test]
fn whatever_is_lost_one_call_is_out_at_a_time_and_the_node_comes_in_again() {
    for seed in 0..100 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut world = World::new(NodeMembership::new(settings(77, None)));
        for _ in 0..20 {
            let lost = rng.u32(..100);
            world.active = NodeId(rng.u32(1..4));
            world.run(MILLI * 200, || rng.u32(..100) < lost);
            world.catch_up();
        }
        world.run(Duration::from_secs(3), || false);
        world.catch_up();
        world.run(Duration::from_secs(1), || false);
        assert_eq!(world.standing(), Some(NodeStanding::Unfenced), "seed {seed}");
        assert_eq!(world.member.standing(), MemberStanding::Unfenced, "seed {seed}");
    }
}

#[test]
fn an_answer_that_comes_late_or_twice_does_nothing() {
    let mut member = NodeMembership::new(settings(77, None));
    let now = Instant(1_000_000_000);
    let first = member.poll_call(now).unwrap();
    assert_eq!(member.poll_call(now + MILLI), None, "one at a time");
    let later = first.deadline;
    let second = member.poll_call(later).unwrap();
    assert!(second.to != first.to, "another voter is tried");
    let registered = |node_epoch| {
        Ok(ControllerResponse { result: Ok(Reply::Registered { node_epoch }), leader: None, metadata_offset: 0 })
    };
    member.handle_response(first.number, registered(3), later);
    assert_eq!(member.node_epoch(), None);
    member.handle_response(second.number, registered(4), later);
    member.handle_response(second.number, registered(5), later);
    assert_eq!(member.node_epoch(), Some(4));
}

#[test]
fn a_node_that_hears_no_answers_is_heard_by_whoever_is_the_controller_within_every_session() {
    let mut world = World::new(NodeMembership::new(settings(77, None)));
    world.run(Duration::from_secs(1), || false);
    world.catch_up();
    world.run(Duration::from_secs(1), || false);
    assert_eq!(world.standing(), Some(NodeStanding::Unfenced));
    world.asked.clear();
    let mut is_answer = false;
    let mut deaf = || {
        is_answer = !is_answer;
        !is_answer
    };
    for next in [1, 3, 2] {
        world.run(Duration::from_secs(5), &mut deaf);
        world.active = NodeId(next);
    }
    assert_eq!((world.fenced, world.standing()), (0, Some(NodeStanding::Unfenced)));
    assert!(world.asked.len() <= 3 * 21, "{} heartbeats in 15 s: each is tried for half a session", world.asked.len());
    world.run(Duration::from_secs(1), || false);
    world.asked.clear();
    world.run(MILLI * 1_200, || false);
    assert_eq!(world.asked.len(), 4, "to the one that answers alone: {:?}", world.asked);
    assert!(world.events().iter().all(|event| !matches!(event, MemberEvent::Fenced)));
}
