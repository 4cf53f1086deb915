use super::fake::{at, part, World, CLIENT, OTHER};
use crate::config::IsolationLevel;
use crate::config::IsolationLevel::{ReadCommitted, ReadUncommitted};
use crate::controller::ControllerRequest;
use crate::error::ErrorCode;
use crate::types::{Acks, LeaderEpoch, Offset, Rung, Timestamp};
use crate::wire::{
    ConsumerFetchPartition, ConsumerFetchPartitionResponse, ConsumerFetchRequest, CurrentLeader,
    DeleteRecordsPartition, DeleteRecordsRequest, DescribeReplicasRequest, ListOffsetsPartition,
    ListOffsetsPartitionResponse, ListOffsetsRequest, ListedOffset, MetadataRequest, OffsetSpec, ProducePartition,
    ProducePartitionResponse, ProduceRequest, Request, Response,
};
use bytes::Bytes;

pub(super) fn produce(acks: Acks, partitions: &[u32], timeout_ms: u32) -> Request {
    let partitions = partitions.iter().map(|number| ProducePartition {
        partition: part(*number),
        current_leader_epoch: Some(LeaderEpoch(1)),
        batches: vec![Bytes::from_static(&[40])],
    });
    Request::Produce(ProduceRequest { acks, timeout_ms, partitions: partitions.collect() })
}

fn produced(world: &World) -> Vec<ProducePartitionResponse> {
    match world.heard.only() {
        Response::Produce(answer) => answer.partitions,
        other => panic!("{other:?}"),
    }
}

/// Base offset and rung, or the error's number, of each partition.
fn outcomes(answer: &[ProducePartitionResponse]) -> Vec<Result<(u64, Rung), ErrorCode>> {
    let outcome = |answer: &ProducePartitionResponse| match &answer.result {
        Ok(produced) => Ok((produced.base_offset.0, produced.rung)),
        Err(error) => Err(error.code()),
    };
    answer.iter().map(outcome).collect()
}

#[test]
fn with_acks_1_the_answer_comes_at_once_and_with_acks_0_there_is_none() {
    let world = World::new();
    world.ask(produce(Acks::Leader, &[0, 1], 100));
    assert_eq!(outcomes(&produced(&world)), [Ok((3, Rung::Written)), Ok((3, Rung::Written))]);
    world.ask_as(CLIENT, 0, produce(Acks::None, &[0], 100), 0);
    assert!(world.heard.take().is_empty());
    assert_eq!((world.log(0).end(), world.clients.waiting_count()), (5, 0));
}

#[test]
fn with_acks_all_the_answer_comes_when_all_partitions_are_replicated() {
    let world = World::new();
    world.ask(produce(Acks::All, &[0, 1], 100));
    assert_eq!((world.clients.waiting_count(), *world.woken.lock()), (1, Some(at(100))));
    world.change(0, |log| log.high_watermark = 4);
    world.change(0, |log| log.high_watermark = 4);
    assert!(world.heard.take().is_empty());
    world.change(1, |log| log.high_watermark = 4);
    assert_eq!(outcomes(&produced(&world)), [Ok((3, Rung::Replicated)), Ok((3, Rung::Replicated))]);
    world.change(1, |log| log.high_watermark = 4);
    assert_eq!((world.clients.tick(at(1_000)), world.heard.take().len()), (None, 0));
}

#[test]
fn each_partition_has_its_own_outcome_and_those_that_wait_have_an_end() {
    let world = World::new();
    world.change(1, |log| (log.leader, log.epoch) = (Some(OTHER), 2));
    world.ask(produce(Acks::All, &[0, 1, 7], 100));
    assert_eq!(world.clients.tick(at(99)), Some(at(100)));
    assert!(world.heard.take().is_empty());
    assert_eq!(world.clients.tick(at(100)), None);
    let answer = produced(&world);
    let codes = [
        Err(ErrorCode::REQUEST_TIMED_OUT),
        Err(ErrorCode::NOT_LEADER_OR_FOLLOWER),
        Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
    ];
    assert_eq!(outcomes(&answer), codes);
    let hints: Vec<_> = answer.iter().map(|answer| answer.current_leader).collect();
    assert_eq!(hints, [None, Some(CurrentLeader { node: OTHER, leader_epoch: LeaderEpoch(2) }), None]);
    assert_eq!(world.log(0).end(), 4, "written, and may be replicated yet");
}

#[test]
fn whatever_happens_to_the_leader_ends_the_wait() {
    type Change = fn(&mut super::fake::Log);
    let cases: [(Change, ErrorCode); 4] = [
        (|log| log.leader = Some(OTHER), ErrorCode::NOT_LEADER_OR_FOLLOWER),
        (|log| log.epoch = 3, ErrorCode::NOT_LEADER_OR_FOLLOWER),
        (|log| log.broken = true, ErrorCode::KAFKA_STORAGE_ERROR),
        (|log| (log.high_watermark, log.has_few_replicas) = (4, true), ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND),
    ];
    for (change, code) in cases {
        let world = World::new();
        world.ask(produce(Acks::All, &[0], 100));
        world.change(0, change);
        assert_eq!(outcomes(&produced(&world)), [Err(code)]);
    }
}

#[test]
fn what_is_refused_before_it_is_written_is_answered_at_once() {
    let world = World::new();
    world.change(0, |log| log.has_few_replicas = true);
    world.ask(produce(Acks::All, &[0], 100));
    assert_eq!(outcomes(&produced(&world)), [Err(ErrorCode::NOT_ENOUGH_REPLICAS)]);
    world.change(0, |log| log.epoch = 2);
    world.ask(produce(Acks::Leader, &[0], 100));
    let answer = produced(&world);
    assert_eq!(outcomes(&answer), [Err(ErrorCode::FENCED_LEADER_EPOCH)]);
    assert_eq!(answer[0].current_leader.unwrap().leader_epoch, LeaderEpoch(2));
    world.change(1, |log| log.epoch = 0);
    world.ask(produce(Acks::Leader, &[1], 100));
    assert_eq!(outcomes(&produced(&world)), [Err(ErrorCode::UNKNOWN_LEADER_EPOCH)]);
    let nothing = ProducePartition { partition: part(1), current_leader_epoch: None, batches: vec![] };
    let request = ProduceRequest { acks: Acks::All, timeout_ms: 1, partitions: vec![nothing] };
    world.ask(Request::Produce(request));
    assert_eq!(outcomes(&produced(&world)), [Err(ErrorCode::INVALID_REQUEST)]);
    assert_eq!((world.log(0).end(), world.log(1).end()), (3, 3));
}

#[test]
fn with_flush_messages_1_the_delivering_thread_flushes_before_anything_is_acknowledged() {
    let world = World::new();
    for number in 0..2 {
        world.change(number, |log| log.must_flush = true);
    }
    world.ask(produce(Acks::Leader, &[0], 100));
    assert_eq!(outcomes(&produced(&world)), [Ok((3, Rung::Flushed))]);
    world.ask(produce(Acks::All, &[0, 1], 100));
    assert_eq!((world.log(0).flushed, world.log(1).flushed), (5, 4), "before the replicas have it");
    world.ask_as(CLIENT, 0, produce(Acks::None, &[1], 100), 0);
    assert_eq!(world.log(1).flushed, 4);
}

#[test]
fn several_batches_of_a_partition_follow_each_other_and_share_one_outcome() {
    let world = World::new();
    let batches = vec![Bytes::from_static(&[41]), Bytes::from_static(&[42])];
    let share = ProducePartition { partition: part(0), current_leader_epoch: None, batches };
    let request = ProduceRequest { acks: Acks::All, timeout_ms: 1, partitions: vec![share.clone()] };
    world.ask(Request::Produce(request));
    world.change(0, |log| log.high_watermark = 4);
    assert!(world.heard.take().is_empty(), "the last one's end counts");
    world.change(0, |log| log.high_watermark = 5);
    assert_eq!(outcomes(&produced(&world)), [Ok((3, Rung::Replicated))]);
    let batches = vec![Bytes::from_static(&[43]), Bytes::new(), Bytes::from_static(&[44])];
    let request =
        ProduceRequest { acks: Acks::Leader, timeout_ms: 1, partitions: vec![ProducePartition { batches, ..share }] };
    world.ask(Request::Produce(request));
    assert_eq!(outcomes(&produced(&world)), [Err(ErrorCode::CORRUPT_MESSAGE)]);
    assert_eq!(world.log(0).records[3..], [41, 42], "none of the second three");
}

pub(super) fn fetch(from: &[(u32, u64)], bytes_min: u32, bytes_max: u32, isolation: IsolationLevel) -> Request {
    let partitions = from.iter().map(|(number, from)| ConsumerFetchPartition {
        partition: part(*number),
        fetch_offset: Offset(*from),
        current_leader_epoch: Some(LeaderEpoch(1)),
        bytes_max: 100,
    });
    let partitions = partitions.collect();
    Request::ConsumerFetch(ConsumerFetchRequest { wait_max_ms: 50, bytes_min, bytes_max, isolation, partitions })
}

fn fetched(world: &World) -> Vec<ConsumerFetchPartitionResponse> {
    match world.heard.only() {
        Response::ConsumerFetch(answer) => answer.partitions,
        other => panic!("{other:?}"),
    }
}

fn records(answer: &[ConsumerFetchPartitionResponse]) -> Vec<Result<Vec<u8>, ErrorCode>> {
    let one = |answer: &ConsumerFetchPartitionResponse| match &answer.records {
        Ok(records) => Ok(records.to_vec()),
        Err(error) => Err(error.code()),
    };
    answer.iter().map(one).collect()
}

#[test]
fn a_fetch_gets_what_is_there_below_the_high_watermark_or_the_last_stable_offset() {
    let world = World::new();
    world.change(0, |log| (log.high_watermark, log.last_stable) = (2, Some(1)));
    world.ask(fetch(&[(0, 0), (1, 1)], 1, 100, ReadUncommitted));
    let answer = fetched(&world);
    assert_eq!(records(&answer), [Ok(vec![10, 20]), Ok(vec![20, 30])]);
    assert_eq!((answer[0].high_watermark, answer[0].last_stable_offset), (Offset(2), Offset(1)));
    world.ask(fetch(&[(0, 0)], 1, 100, ReadCommitted));
    assert_eq!(records(&fetched(&world)), [Ok(vec![10])]);
    // The first batch is sent even if it is too long; the others have to do with what is left.
    world.ask(fetch(&[(0, 0), (1, 1)], 1, 0, ReadUncommitted));
    assert_eq!(records(&fetched(&world)), [Ok(vec![10]), Ok(vec![])]);
    world.ask(fetch(&[(0, 0), (1, 1)], 1, 3, ReadUncommitted));
    assert_eq!(records(&fetched(&world)), [Ok(vec![10, 20]), Ok(vec![20])]);
}

#[test]
fn a_fetch_that_finds_too_little_waits_for_more_or_for_the_end_of_its_time() {
    let world = World::new();
    world.ask(fetch(&[(0, 3), (1, 3)], 2, 100, ReadUncommitted));
    world.change(1, |log| {
        log.records.push(40);
        log.high_watermark = 4;
    });
    assert!(world.heard.take().is_empty(), "one byte of two");
    world.change(0, |log| log.records.push(50));
    assert!(world.heard.take().is_empty(), "not replicated yet");
    world.change(0, |log| log.high_watermark = 4);
    assert_eq!(records(&fetched(&world)), [Ok(vec![50]), Ok(vec![40])]);
    world.ask(fetch(&[(0, 4), (1, 3)], 2, 100, ReadUncommitted));
    assert!(world.heard.take().is_empty());
    assert_eq!(world.clients.tick(at(50)), None);
    assert_eq!(records(&fetched(&world)), [Ok(vec![]), Ok(vec![40])]);
    let Request::ConsumerFetch(request) = fetch(&[(0, 4)], 1, 100, ReadUncommitted) else { panic!() };
    world.ask(Request::ConsumerFetch(ConsumerFetchRequest { wait_max_ms: 0, ..request }));
    assert_eq!(records(&fetched(&world)), [Ok(vec![])]);
}

#[test]
fn a_fetch_behind_the_high_watermark_waits_and_one_outside_the_log_does_not() {
    let world = World::new();
    world.change(0, |log| log.high_watermark = 1);
    world.ask(fetch(&[(0, 3)], 1, 100, ReadUncommitted));
    assert!(world.heard.take().is_empty(), "a new leader whose high watermark is behind");
    world.change(0, |log| (log.leader, log.epoch) = (Some(OTHER), 2));
    let answer = fetched(&world);
    assert_eq!(records(&answer), [Err(ErrorCode::NOT_LEADER_OR_FOLLOWER)]);
    assert_eq!(answer[0].current_leader.unwrap().node, OTHER);
    world.ask(fetch(&[(1, 4), (1, 3)], 1, 100, ReadUncommitted));
    assert_eq!(records(&fetched(&world)), [Err(ErrorCode::OFFSET_OUT_OF_RANGE), Ok(vec![])]);
    world.ask(fetch(&[], 1, 100, ReadUncommitted));
    assert!(fetched(&world).is_empty());
}

pub(super) fn delete(number: u32, before: Option<u64>) -> Request {
    let partitions = vec![DeleteRecordsPartition { partition: part(number), before: before.map(Offset) }];
    Request::DeleteRecords(DeleteRecordsRequest { timeout_ms: 100, partitions })
}

fn low_watermark(world: &World) -> Result<Offset, ErrorCode> {
    match world.heard.only() {
        Response::DeleteRecords(answer) => answer.partitions[0].low_watermark.clone().map_err(|error| error.code()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn records_are_deleted_when_every_replica_that_is_alive_has_moved_its_start() {
    let world = World::new();
    world.ask(delete(0, Some(2)));
    assert_eq!((world.log(0).log_start, world.heard.take().len()), (2, 0));
    world.change(0, |log| log.followers_log_start = None);
    world.change(0, |log| log.followers_log_start = Some(1));
    assert!(world.heard.take().is_empty());
    world.change(0, |log| log.followers_log_start = Some(2));
    assert_eq!(low_watermark(&world), Ok(Offset(2)));
    world.ask(delete(0, None));
    assert_eq!(world.log(0).log_start, 3);
    world.clients.tick(at(100));
    assert_eq!(low_watermark(&world), Err(ErrorCode::REQUEST_TIMED_OUT));
    world.ask(delete(1, Some(4)));
    assert_eq!(low_watermark(&world), Err(ErrorCode::OFFSET_OUT_OF_RANGE));
    world.ask(delete(1, None));
    world.change(1, |log| log.leader = None);
    assert_eq!(low_watermark(&world), Err(ErrorCode::NOT_LEADER_OR_FOLLOWER));
}

fn list(world: &World, spec: OffsetSpec, isolation: IsolationLevel) -> ListOffsetsPartitionResponse {
    let current_leader_epoch = Some(LeaderEpoch(1));
    let partitions = vec![ListOffsetsPartition { partition: part(0), current_leader_epoch, spec }];
    world.ask(Request::ListOffsets(ListOffsetsRequest { isolation, partitions }));
    match world.heard.only() {
        Response::ListOffsets(mut answer) => answer.partitions.pop().unwrap(),
        other => panic!("{other:?}"),
    }
}

fn listed(offset: u64, timestamp: Option<i64>, epoch: u32) -> Result<Option<ListedOffset>, ErrorCode> {
    let (timestamp, leader_epoch) = (timestamp.map(Timestamp), Some(LeaderEpoch(epoch)));
    Ok(Some(ListedOffset { offset: Offset(offset), timestamp, leader_epoch }))
}

#[test]
fn offsets_are_found_by_name_and_by_time_below_what_clients_may_see() {
    let world = World::new();
    let found = |spec, isolation| list(&world, spec, isolation).found.map_err(|error| error.code());
    let by_time = |at| OffsetSpec::Timestamp(Timestamp(at));
    assert_eq!(found(OffsetSpec::Earliest, ReadUncommitted), listed(0, None, 0));
    assert_eq!(found(OffsetSpec::Latest, ReadUncommitted), listed(3, None, 1));
    assert_eq!(found(by_time(11), ReadUncommitted), listed(1, Some(20), 0));
    assert_eq!(found(by_time(31), ReadUncommitted), Ok(None));
    assert_eq!(found(OffsetSpec::MaxTimestamp, ReadUncommitted), listed(2, Some(30), 1));
    world.change(0, |log| log.last_stable = Some(2));
    assert_eq!(found(OffsetSpec::Latest, ReadCommitted), listed(2, None, 1));
    assert_eq!(found(OffsetSpec::MaxTimestamp, ReadCommitted), Ok(None));
    assert_eq!(found(by_time(30), ReadCommitted), Ok(None));
}

#[test]
fn a_new_leader_tells_no_end_before_its_high_watermark_has_reached_its_epoch() {
    let world = World::new();
    world.change(0, |log| log.high_watermark = 1);
    let found = |spec| list(&world, spec, ReadUncommitted).found.map_err(|error| error.code());
    let not_yet = Err(ErrorCode::OFFSET_NOT_AVAILABLE);
    assert_eq!(found(OffsetSpec::Latest), not_yet);
    assert_eq!(found(OffsetSpec::Timestamp(Timestamp(11))), not_yet);
    assert_eq!(found(OffsetSpec::MaxTimestamp), not_yet);
    assert_eq!(found(OffsetSpec::Earliest), listed(0, None, 0));
    assert_eq!(found(OffsetSpec::Timestamp(Timestamp(10))), listed(0, Some(10), 0), "below what is committed");
    world.change(0, |log| log.leader = Some(OTHER));
    assert_eq!(list(&world, OffsetSpec::Latest, ReadUncommitted).current_leader.unwrap().node, OTHER);
}

#[test]
fn how_far_the_replicas_are_its_leader_says_and_others_say_who_that_is() {
    let world = World::new();
    let ask = |world: &World| {
        world.ask(Request::DescribeReplicas(DescribeReplicasRequest { partitions: vec![part(0), part(9)] }));
        match world.heard.only() {
            Response::DescribeReplicas(answer) => answer.partitions,
            other => panic!("{other:?}"),
        }
    };
    let answer = ask(&world);
    let led = answer[0].replicas.as_ref().unwrap();
    assert_eq!((led.leader_epoch, led.high_watermark, led.states[0].log_end), (LeaderEpoch(1), Offset(3), Offset(3)));
    assert_eq!(answer[1].replicas.as_ref().unwrap_err().code(), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    world.change(0, |log| (log.leader, log.epoch) = (Some(OTHER), 2));
    let answer = ask(&world);
    assert_eq!(answer[0].replicas.as_ref().unwrap_err().code(), ErrorCode::NOT_LEADER_OR_FOLLOWER);
    assert_eq!(answer[0].current_leader.unwrap().node, OTHER);
}

#[test]
fn metadata_are_answered_and_what_is_not_for_clients_is_given_back() {
    let world = World::new();
    world.ask(Request::Metadata(MetadataRequest { topics: Some(vec!["a".into(), "b".into()]) }));
    let Response::Metadata(answer) = world.heard.only() else { panic!() };
    assert_eq!(answer.metadata_offset, 2);
    let other = Request::Controller(ControllerRequest::DeleteTopic { name: "logs".into() });
    assert!(world.clients.handle_request(OTHER, None, other, at(0)).is_some());
}

#[test]
fn a_client_that_is_gone_is_not_answered_and_a_node_that_closes_answers_nobody() {
    let world = World::new();
    world.ask(produce(Acks::All, &[0], 100));
    world.ask_as(OTHER, 5, fetch(&[(0, 4)], 1, 100, ReadUncommitted), 0);
    world.clients.handle_peer_down(CLIENT);
    assert_eq!(world.clients.waiting_count(), 1);
    world.change(0, |log| log.high_watermark = 4);
    assert!(world.heard.take().is_empty());
    world.clients.close();
    assert_eq!((world.clients.tick(at(1_000)), world.clients.waiting_count()), (None, 0));
    assert!(world.heard.take().is_empty());
}
