//! Producing, offsets, and what operators ask.

use super::fake::{leads, logs, metadata, Outcomes, Sent, World, ID, ONE, TWO};
use crate::client::ClientProduced;
use crate::config::IsolationLevel;
use crate::controller::{ControllerRequest, ControllerResponse, CreateTopic, Reply};
use crate::error::{Error, ErrorCode};
use crate::types::{Acks, LeaderEpoch, Offset, Rung, TopicPartition};
use crate::wire::{
    encode, CurrentLeader, DeleteRecordsPartitionResponse, DeleteRecordsResponse, DescribeReplicasPartitionResponse,
    DescribeReplicasResponse, LedReplicas, ListOffsetsPartitionResponse, ListOffsetsResponse, ListedOffset, Message,
    OffsetSpec, ProducePartitionResponse, ProduceResponse, Produced, Request, Response,
};
use bytes::Bytes;

fn error(code: ErrorCode) -> Error {
    Error::new(code, "no")
}

fn produced(result: Result<Produced, Error>, current_leader: Option<CurrentLeader>) -> Response {
    let partitions = vec![ProducePartitionResponse { partition: logs(), result, current_leader }];
    Response::Produce(ProduceResponse { partitions })
}

fn at(base_offset: u64) -> Produced {
    Produced { base_offset: Offset(base_offset), log_append_time: None, rung: Rung::Replicated }
}

fn produce(world: &World, acks: Acks) -> Outcomes<ClientProduced> {
    let outcomes = Outcomes::new();
    world.client.produce(&logs(), vec![Bytes::from_static(b"batch")], acks, world.in_ms(3_000), outcomes.done());
    outcomes
}

fn epoch_of(sent: &Sent) -> Option<LeaderEpoch> {
    match &sent.request {
        Request::Produce(request) => request.partitions[0].current_leader_epoch,
        Request::ListOffsets(request) => request.partitions[0].current_leader_epoch,
        other => panic!("{other:?}"),
    }
}

#[test]
fn batches_go_to_the_leader_with_its_epoch_and_the_time_that_is_left() {
    let world = World::knowing();
    let outcomes = produce(&world, Acks::All);
    let sent = world.only_sent();
    let Request::Produce(request) = &sent.request else { panic!() };
    assert_eq!((sent.to, request.acks, request.timeout_ms), (ONE, Acks::All, 3_000));
    assert_eq!(
        (epoch_of(&sent), &request.partitions[0].batches[..]),
        (Some(LeaderEpoch(1)), &[Bytes::from("batch")][..])
    );
    world.answer(&sent, produced(Ok(at(40)), None));
    let expected = ClientProduced { base_offset: Some(Offset(40)), log_append_time: None, rung: Rung::Replicated };
    assert_eq!(outcomes.only().unwrap(), expected);
}

#[test]
fn with_acks_0_nobody_answers_and_nobody_waits() {
    let world = World::knowing();
    let outcomes = produce(&world, Acks::None);
    assert_eq!(outcomes.only().unwrap().rung, Rung::Buffered);
    assert_eq!(world.only_sent().correlation, None);
}

#[test]
fn whoever_asks_the_wrong_node_hears_it_at_once_and_the_next_call_follows_the_hint() {
    let world = World::knowing();
    let outcomes = produce(&world, Acks::All);
    let refusal = produced(Err(error(ErrorCode::NOT_LEADER_OR_FOLLOWER)), Some(leads(TWO, 2)));
    world.answer(&world.only_sent(), refusal);
    assert_eq!(outcomes.only().unwrap_err().code(), ErrorCode::NOT_LEADER_OR_FOLLOWER);
    let _outcomes = produce(&world, Acks::All);
    let sent = world.only_sent();
    assert_eq!((sent.to, epoch_of(&sent)), (TWO, Some(LeaderEpoch(2))));
    // It knows nothing of that: back to what the metadata say.
    world.answer(&sent, produced(Err(error(ErrorCode::UNKNOWN_LEADER_EPOCH)), None));
    let _outcomes = produce(&world, Acks::All);
    assert_eq!(world.only_sent().to, ONE);
}

#[test]
fn without_a_leader_nothing_is_sent_and_a_lost_or_silent_leader_is_a_retriable_error() {
    let world = World::knowing();
    let lost = produce(&world, Acks::All);
    world.client.handle_peer_state(ONE, false);
    assert_eq!(lost.only().unwrap_err().code(), ErrorCode::NETWORK_EXCEPTION);
    let silent = produce(&world, Acks::All);
    world.pass(3_000);
    assert_eq!(silent.only().unwrap_err().code(), ErrorCode::REQUEST_TIMED_OUT);
    world.network.take_all();
    world.client.view().replace(metadata(11, None, 2));
    let error = produce(&world, Acks::All).only().unwrap_err();
    assert!(error.code() == ErrorCode::LEADER_NOT_AVAILABLE && error.is_retriable());
    assert!(world.network.take_all().is_empty());
    let outcomes = Outcomes::new();
    world.client.produce(&TopicPartition::new("none", 0), vec![], Acks::All, world.in_ms(1), outcomes.done());
    assert_eq!(outcomes.only().unwrap_err().code(), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
}

#[test]
fn an_answer_about_something_else_is_none() {
    let world = World::knowing();
    let outcomes = produce(&world, Acks::All);
    let other =
        ProducePartitionResponse { partition: TopicPartition::new("x", 0), result: Ok(at(1)), current_leader: None };
    world.answer(&world.only_sent(), Response::Produce(ProduceResponse { partitions: vec![other] }));
    assert_eq!(outcomes.only().unwrap_err().code(), ErrorCode::CORRUPT_MESSAGE);
}

#[test]
fn an_answer_that_cannot_be_read_is_a_failure_of_what_was_asked() {
    let world = World::knowing();
    let outcomes = produce(&world, Acks::All);
    let correlation = world.only_sent().correlation.unwrap();
    let message = Message::Response { correlation, response: produced(Ok(at(1)), None) };
    let frame = encode(&message).unwrap().into_joined();
    world.client.handle_frame(ONE, frame.slice(..11));
    world.client.handle_frame(TWO, frame.slice(..20));
    assert_eq!(outcomes.count(), 0);
    world.client.handle_frame(ONE, frame.slice(..20));
    assert_eq!(outcomes.only().unwrap_err().code(), ErrorCode::CORRUPT_MESSAGE);
}

fn listed(found: Result<Option<ListedOffset>, Error>, current_leader: Option<CurrentLeader>) -> Response {
    let partitions = vec![ListOffsetsPartitionResponse { partition: logs(), found, current_leader }];
    Response::ListOffsets(ListOffsetsResponse { partitions })
}

fn list(world: &World, ms: u64) -> Outcomes<Option<ListedOffset>> {
    let (outcomes, isolation) = (Outcomes::new(), IsolationLevel::ReadUncommitted);
    world.client.list_offsets(&logs(), OffsetSpec::Latest, isolation, world.in_ms(ms), outcomes.done());
    outcomes
}

#[test]
fn offsets_are_asked_for_until_the_leader_knows_what_is_committed() {
    let world = World::knowing();
    let outcomes = list(&world, 3_000);
    world.answer(&world.only_sent(), listed(Err(error(ErrorCode::OFFSET_NOT_AVAILABLE)), None));
    world.pass(99);
    assert!(world.network.take_all().is_empty());
    world.pass(1);
    let refusal = listed(Err(error(ErrorCode::NOT_LEADER_OR_FOLLOWER)), Some(leads(TWO, 2)));
    world.answer(&world.only_sent(), refusal);
    world.pass(200);
    let sent = world.only_sent();
    assert_eq!((sent.to, epoch_of(&sent)), (TWO, Some(LeaderEpoch(2))));
    let found = ListedOffset { offset: Offset(9), timestamp: None, leader_epoch: None };
    world.answer(&sent, listed(Ok(Some(found)), None));
    assert_eq!(outcomes.only().unwrap(), Some(found));
}

#[test]
fn what_is_new_in_the_view_is_tried_at_once_and_the_deadline_ends_it() {
    let world = World::knowing();
    world.client.view().replace(metadata(11, None, 2));
    let outcomes = list(&world, 1_000);
    assert!(world.network.take_all().is_empty());
    world.client.view().replace(metadata(12, Some(TWO), 3));
    let sent = world.only_sent();
    assert_eq!(sent.to, TWO);
    world.answer(&sent, listed(Err(error(ErrorCode::KAFKA_STORAGE_ERROR)), None));
    for _ in 0..10 {
        world.pass(100);
        world.network.take_all().iter().for_each(|sent| {
            world.answer(sent, listed(Err(error(ErrorCode::KAFKA_STORAGE_ERROR)), None));
        });
    }
    let late = outcomes.only().unwrap_err();
    assert_eq!(late.code(), ErrorCode::REQUEST_TIMED_OUT);
    let nothing_there = list(&world, 1_000);
    world.answer(&world.only_sent(), listed(Err(error(ErrorCode::INVALID_REQUEST)), None));
    assert_eq!(nothing_there.only().unwrap_err().code(), ErrorCode::INVALID_REQUEST, "no repetition mends that");
}

#[test]
fn a_topic_that_nobody_knows_is_looked_for_three_times() {
    let (world, outcomes) = (World::knowing(), Outcomes::new());
    let partition = TopicPartition::new("none", 0);
    world.client.delete_records(&partition, None, world.in_ms(60_000), outcomes.done());
    world.pass(100);
    world.pass(200);
    assert_eq!(outcomes.count(), 0);
    world.pass(400);
    assert_eq!(outcomes.only().unwrap_err().code(), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
}

#[test]
fn records_are_deleted_at_the_leader() {
    let (world, outcomes) = (World::knowing(), Outcomes::new());
    world.client.delete_records(&logs(), Some(Offset(5)), world.in_ms(1_000), outcomes.done());
    let sent = world.only_sent();
    let Request::DeleteRecords(request) = &sent.request else { panic!() };
    assert_eq!((request.timeout_ms, request.partitions[0].before), (1_000, Some(Offset(5))));
    let low_watermark = Ok(Offset(5));
    let partitions = vec![DeleteRecordsPartitionResponse { partition: logs(), low_watermark, current_leader: None }];
    world.answer(&sent, Response::DeleteRecords(DeleteRecordsResponse { partitions }));
    assert_eq!(outcomes.only().unwrap(), Offset(5));
}

#[test]
fn how_far_the_replicas_are_is_asked_of_whoever_turns_out_to_lead() {
    let (world, outcomes) = (World::knowing(), Outcomes::new());
    world.client.describe_replicas(&logs(), world.in_ms(1_000), outcomes.done());
    let answer = |replicas, current_leader| {
        let partitions = vec![DescribeReplicasPartitionResponse { partition: logs(), replicas, current_leader }];
        Response::DescribeReplicas(DescribeReplicasResponse { partitions })
    };
    let sent = world.only_sent();
    assert_eq!(sent.to, ONE);
    let refusal = Error::new(ErrorCode::NOT_LEADER_OR_FOLLOWER, "not here");
    world.answer(&sent, answer(Err(refusal), Some(leads(TWO, 8))));
    world.pass(100);
    let sent = world.only_sent();
    assert_eq!(sent.to, TWO);
    let led = LedReplicas { leader_epoch: LeaderEpoch(8), high_watermark: Offset(5), states: vec![] };
    world.answer(&sent, answer(Ok(led.clone()), None));
    assert_eq!(outcomes.only().unwrap(), led);
}

fn create(world: &World, id: u8, ms: u64) -> Outcomes<Reply> {
    let outcomes = Outcomes::new();
    let request = CreateTopic {
        name: "logs".into(),
        id: [id; 16],
        partitions: None,
        replication_factor: None,
        assignments: vec![],
        settings: vec![],
    };
    world.client.ask_controller(ControllerRequest::CreateTopic(request), world.in_ms(ms), outcomes.done());
    outcomes
}

fn said(result: Result<Reply, Error>, leader: Option<crate::types::NodeId>, metadata_offset: u64) -> Response {
    Response::Controller(ControllerResponse { result, leader, metadata_offset })
}

#[test]
fn the_controller_is_followed_and_its_answer_is_given_when_the_view_has_caught_up() {
    let world = World::knowing();
    let outcomes = create(&world, 7, 3_000);
    let sent = world.only_sent();
    assert_eq!(sent.to, ONE);
    world.answer(&sent, said(Err(error(ErrorCode::NOT_CONTROLLER)), Some(TWO), 10));
    let sent = world.only_sent();
    assert_eq!(sent.to, TWO, "at once");
    world.answer(&sent, said(Ok(Reply::TopicCreated { id: ID }), Some(TWO), 20));
    assert_eq!(outcomes.count(), 0);
    world.client.view().replace(metadata(19, Some(ONE), 0));
    assert_eq!(outcomes.count(), 0);
    world.client.view().replace(metadata(20, Some(ONE), 0));
    assert_eq!(outcomes.only().unwrap(), Reply::TopicCreated { id: ID });
}

#[test]
fn a_controller_that_does_not_know_who_is_one_is_asked_again_later() {
    let world = World::knowing();
    let outcomes = create(&world, 7, 1_000);
    world.answer(&world.only_sent(), said(Err(error(ErrorCode::NOT_CONTROLLER)), None, 10));
    assert_eq!(world.client.view().controller(), None);
    world.pass(100);
    assert!(world.network.take_all().is_empty());
    world.client.view().replace(metadata(11, Some(ONE), 0));
    world.answer(&world.only_sent(), said(Err(error(ErrorCode::INVALID_CONFIG)), Some(ONE), 11));
    assert_eq!(outcomes.only().unwrap_err().code(), ErrorCode::INVALID_CONFIG);
}

#[test]
fn a_topic_that_exists_already_because_of_this_request_was_created() {
    let world = World::knowing();
    for (id, is_ours) in [(7, true), (8, false)] {
        let outcomes = create(&world, id, 1_000);
        world.answer(&world.only_sent(), said(Err(error(ErrorCode::TOPIC_ALREADY_EXISTS)), Some(ONE), 10));
        assert_eq!(outcomes.only().is_ok(), is_ours);
    }
}

#[test]
fn the_end_answers_everybody() {
    let world = World::knowing();
    let (asked, waiting) = (produce(&world, Acks::All), list(&world, 1_000));
    world.network.take_all().iter().skip(1).for_each(|sent| {
        world.answer(sent, listed(Err(error(ErrorCode::OFFSET_NOT_AVAILABLE)), None));
    });
    world.client.close(&error(ErrorCode::CLOSED));
    assert_eq!(asked.only().unwrap_err().code(), ErrorCode::CLOSED);
    assert_eq!(waiting.only().unwrap_err().code(), ErrorCode::CLOSED);
    assert_eq!(produce(&world, Acks::All).only().unwrap_err().code(), ErrorCode::CLOSED);
    assert!(list(&world, 1_000).only().is_err());
}

#[test]
fn whoever_blocks_gets_the_answer_or_the_end_of_its_time() {
    let world = World::knowing();
    let client = std::sync::Arc::clone(&world.client);
    let deadline = world.in_ms(60_000);
    let asked = std::sync::Arc::new(std::sync::Barrier::new(2));
    let there = std::sync::Arc::clone(&asked);
    let waiter = std::thread::spawn(move || {
        client.wait(deadline, |done| {
            client.list_offsets(&logs(), OffsetSpec::Earliest, IsolationLevel::ReadUncommitted, deadline, done);
            there.wait();
        })
    });
    asked.wait();
    world.answer(&world.only_sent(), listed(Ok(None), None));
    assert_eq!(waiter.join().unwrap().unwrap(), None);
    let late = world.client.wait::<()>(world.now(), std::mem::forget);
    assert_eq!(late.unwrap_err().code(), ErrorCode::REQUEST_TIMED_OUT);
    let dropped = world.client.wait::<()>(deadline, drop);
    assert_eq!(dropped.unwrap_err().code(), ErrorCode::DESTROY);
}
