//! Any member serves any partition.

use crate::world::{id, producer, put, take, until, Cluster, PATIENCE};
use kafkalog::{Acks, ErrorCode, Offset, Record, StartAt, Timestamp, TopicPartition};
use std::time::Duration;

#[test]
fn what_is_sent_by_any_member_is_read_by_any_member() {
    let cluster = Cluster::new();
    cluster.create("t", 2);
    let stranger = cluster.stranger("t");
    let mut consumers: Vec<_> = (1..=3)
        .map(|member| cluster.engine(member).consumer().assign(id("t"), StartAt::Earliest).open().expect("opens"))
        .collect();
    for member in 1..=3 {
        put(&producer(cluster.engine(member)), "t", &format!("by {member}")).expect("is acknowledged");
    }
    for consumer in &mut consumers {
        assert_eq!(take(consumer, 3), ["by 1", "by 2", "by 3"]);
        assert_eq!(consumer.end_offsets(&[id("t")]).expect("is told")[0].0, 3);
    }
    // Where there is no replica, none is made by reading, or by asking about it.
    let engine = cluster.engine(stranger);
    assert!(engine.describe_replicas("t", 0).expect("is known").states.is_empty());
    let refused = [engine.offsets("t", 0).expect_err("is elsewhere"), engine.log("t", 0).expect_err("is elsewhere")];
    assert!(refused.iter().all(|error| error.code() == ErrorCode::NOT_LEADER_OR_FOLLOWER), "{refused:?}");
    assert_eq!(engine.delete_records("t", 0, Offset(1)).expect("the leader does"), Offset(1));
    assert_eq!(engine.delete_records("t", 0, None).expect("the leader does"), Offset(3));
    let dir = cluster.engine(stranger).dir().join("t-0");
    assert!(!dir.exists(), "{}", dir.display());
}

#[test]
fn deleting_records_elsewhere_takes_no_longer_than_the_caller_waits() {
    let mut cluster = Cluster::new();
    cluster.create("t", 2);
    let stranger = cluster.stranger("t");
    put(&producer(cluster.engine(stranger)), "t", "v").expect("is acknowledged");
    cluster.cut_off(cluster.leader("t"));
    let engine = cluster.engine(stranger);
    let late = engine.within(Duration::ZERO).delete_records("t", 0, Offset(1)).expect_err("nobody answers at once");
    assert_eq!(late.code(), ErrorCode::REQUEST_TIMED_OUT, "{late}");
    // Who has patience hears of the next leader.
    assert_eq!(engine.within(PATIENCE).delete_records("t", 0, None).expect("another leads"), Offset(1));
}

#[test]
fn a_poll_wakes_when_a_record_arrives_at_a_leader_elsewhere() {
    let cluster = Cluster::new();
    cluster.create("t", 1);
    let stranger = cluster.stranger("t");
    let builder = cluster.engine(stranger).consumer().set("fetch.max.wait.ms", "30000").expect("legal");
    let mut consumer = builder.assign(id("t"), StartAt::Latest).open().expect("opens");
    let waker = consumer.waker();
    let seen = waker.ticket();
    assert!(consumer.poll_now(0).expect("polls").is_empty());
    put(&producer(cluster.engine(cluster.leader("t"))), "t", "late").expect("is acknowledged");
    // The news come from the fetch that waits at the leader: long before anything times out.
    let began = std::time::Instant::now();
    while consumer.poll_now(0).expect("polls").is_empty() {
        assert!(waker.wait(seen, PATIENCE));
    }
    assert!(began.elapsed() < Duration::from_secs(30));
}

#[test]
fn offsets_by_name_and_by_time_are_asked_at_the_leader() {
    let cluster = Cluster::new();
    cluster.create("t", 1);
    let sender = cluster.engine(1).producer().acks(Acks::All).open().expect("opens");
    for at in [1_000, 2_000, 3_000] {
        let record = Record::new("t", "v").timestamp(Timestamp(at));
        sender.send(record).expect("sends").wait().expect("is acknowledged");
    }
    for member in 1..=3 {
        let consumer = cluster.engine(member).consumer().open().expect("opens");
        let one = [id("t")];
        assert_eq!(consumer.beginning_offsets(&one).expect("is told")[0].0, 0);
        until("the replica here has heard that they are committed", || {
            (consumer.end_offsets(&one).expect("is told")[0].0 == 3).then_some(())
        });
        let found = consumer.offsets_for_times(&[(id("t"), Timestamp(1_500)), (id("t"), Timestamp(9_000))]);
        let found: Vec<_> = found.expect("is told").into_iter().map(|one| one.map(|(offset, _)| offset.0)).collect();
        assert_eq!(found, [Some(1), None]);
        let unknown = consumer.end_offsets(&[TopicPartition::new("nowhere", 0)]).expect_err("there is none");
        assert_eq!(unknown.code(), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, "{unknown}");
    }
}

#[test]
fn a_position_outside_a_log_elsewhere_is_moved_as_the_policy_says() {
    let cluster = Cluster::new();
    cluster.create("t", 1);
    let stranger = cluster.engine(cluster.stranger("t"));
    let sender = producer(stranger);
    put(&sender, "t", "only").expect("is acknowledged");
    let start = StartAt::Offset(Offset(77));
    let builder = stranger.consumer().set("auto.offset.reset", "earliest").expect("legal");
    let mut consumer = builder.assign(id("t"), start).open().expect("opens");
    assert_eq!(take(&mut consumer, 1), ["only"]);
    let builder = stranger.consumer().set("auto.offset.reset", "none").expect("legal");
    let mut consumer = builder.assign(id("t"), start).open().expect("opens");
    let waker = consumer.waker();
    let refused = loop {
        let seen = waker.ticket();
        match consumer.poll_now(0) {
            Ok(_) => assert!(waker.wait(seen, PATIENCE)),
            Err(refused) => break refused,
        }
    };
    assert_eq!(refused.code(), ErrorCode::OFFSET_OUT_OF_RANGE, "{refused}");
}

#[test]
fn a_consumer_reads_on_when_the_replica_beside_it_is_taken_away() {
    let cluster = Cluster::new();
    cluster.create("t", 2);
    let replicas = cluster.replicas("t");
    let (leader, stranger) = (cluster.leader("t"), cluster.stranger("t"));
    let leaves = *replicas.iter().find(|id| **id != leader).expect("a follower");
    let mut consumer = cluster.engine(leaves).consumer().assign(id("t"), StartAt::Earliest).open().expect("opens");
    let sender = producer(cluster.engine(stranger));
    put(&sender, "t", "before").expect("is acknowledged");
    assert_eq!(take(&mut consumer, 1), ["before"]);
    let next = [leader, stranger].map(kafkalog::NodeId).to_vec();
    cluster.engine(1).reassign("t", 0, Some(next.clone())).expect("is decided");
    until("it has moved", || {
        let found = cluster.engine(leaves).describe_replicas("t", 0).ok()?;
        (found.replicas == next).then_some(())
    });
    put(&sender, "t", "after").expect("is acknowledged");
    assert_eq!(take(&mut consumer, 1), ["after"]);
}

#[test]
fn when_the_leader_is_gone_producers_and_consumers_go_on_by_themselves() {
    let mut cluster = Cluster::new();
    cluster.create("t", 3);
    let leader = cluster.leader("t");
    let other = leader % 3 + 1;
    let sender = producer(cluster.engine(other));
    let mut consumer = cluster.engine(other).consumer().assign(id("t"), StartAt::Earliest).open().expect("opens");
    put(&sender, "t", "before").expect("is acknowledged");
    assert_eq!(take(&mut consumer, 1), ["before"]);
    cluster.cut_off(leader);
    put(&sender, "t", "after").expect("is acknowledged");
    assert_eq!(take(&mut consumer, 1), ["after"]);
    assert_ne!(cluster.leader("t"), leader);
}
