//! `controller.mode=static`: no quorum; these tests are the host that appoints the leaders.

use crate::world::{id, producer, put, take, until, Cluster};
use kafkalog::{Acks, Engine, ErrorCode, LeaderEpoch, NodeId, NodeSeat, Offset, Record, StartAt, TopicConfig};
use std::time::Duration;

const STATIC: (&str, &str) = ("controller.mode", "static");

fn cluster() -> Cluster {
    Cluster::with(&[STATIC])
}

/// On every node, as its host would.
fn create(cluster: &Cluster, topic: &str) {
    for member in 1..=3 {
        let config = TopicConfig::new().partitions(1).replication(3).set("min.insync.replicas", "2").expect("legal");
        cluster.engine(member).create_topic(topic, config).expect("creates");
    }
}

fn appoint(engine: &Engine, leader: Option<u32>, epoch: u32) -> kafkalog::Result<()> {
    engine.set_leader("t", 0, leader.map(NodeId), LeaderEpoch(epoch))
}

fn appoint_all(cluster: &Cluster, leader: u32, epoch: u32) {
    for member in 1..=3 {
        appoint(cluster.engine(member), Some(leader), epoch).expect("is obeyed");
    }
}

fn wait_for_isr(engine: &Engine, count: usize) {
    until("so many are in sync", || {
        let found = engine.describe_replicas("t", 0).expect("is known");
        (found.isr.len() == count).then_some(())
    });
}

/// What the node says of its own log: its last epoch, and where it ends.
fn own_end(engine: &Engine) -> (Option<LeaderEpoch>, Offset) {
    let found = engine.describe_replicas("t", 0).expect("is known");
    let own = found.states.iter().find(|state| state.node == engine.node_id()).expect("has a replica");
    (own.last_leader_epoch, own.log_end)
}

fn all_records(engine: &Engine, count: usize) -> Vec<String> {
    let mut consumer = engine.consumer().assign(id("t"), StartAt::Earliest).open().expect("opens");
    take(&mut consumer, count)
}

#[test]
fn the_host_replaces_a_leader_that_it_cannot_reach_and_nothing_acknowledged_is_lost() {
    let cluster = cluster();
    create(&cluster, "t");
    let refused =
        producer(cluster.engine(1)).send(Record::new("nowhere", "v")).map(|_| ()).expect_err("nobody makes it");
    assert_eq!(refused.code(), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, "{refused}");
    appoint_all(&cluster, 1, 1);
    let sender = producer(cluster.engine(2));
    for n in 0..5 {
        put(&sender, "t", &format!("before {n}")).expect("is acknowledged");
    }
    wait_for_isr(cluster.engine(1), 3);

    // Node 1 is not told: it goes on in its epoch, and those who were told acknowledge nothing of it any more.
    for member in [2, 3] {
        appoint(cluster.engine(member), None, 2).expect("is obeyed");
    }
    let stale = cluster.engine(1).producer().acks(Acks::Leader).linger(Duration::ZERO).open().expect("opens");
    stale.send(Record::new("t", "by nobody else")).expect("sends").wait().expect("one copy is enough for acks=1");
    let waits = producer(cluster.engine(1)).send(Record::new("t", "sent again")).expect("sends");
    until("it is in the log of the old leader", || (own_end(cluster.engine(1)).1 == Offset(7)).then_some(()));

    // Of the two that are fenced, whoever has more.
    let next = [2, 3].into_iter().max_by_key(|member| own_end(cluster.engine(*member))).expect("there are two");
    for member in [2, 3] {
        appoint(cluster.engine(member), Some(next), 3).expect("is obeyed");
    }
    put(&producer(cluster.engine(next)), "t", "after").expect("two of three are enough");
    assert!(!waits.is_done(), "nobody but node 1 has it");

    // Node 1 hears of it: gives up what only it has, and sends again what was not acknowledged.
    appoint(cluster.engine(1), Some(next), 3).expect("is obeyed");
    waits.wait().expect("the next leader has it");
    wait_for_isr(cluster.engine(next), 3);
    let expected = ["before 0", "before 1", "before 2", "before 3", "before 4", "after", "sent again"];
    for member in 1..=3 {
        assert_eq!(all_records(cluster.engine(member), 7), expected, "at node {member}");
        let engine = cluster.engine(member);
        until("the logs are the same", || (own_end(engine) == (Some(LeaderEpoch(3)), Offset(7))).then_some(()));
    }
}

#[test]
fn stale_epochs_are_refused_also_by_another_life_of_the_node() {
    let mut cluster = cluster();
    create(&cluster, "t");
    appoint_all(&cluster, 1, 5);
    put(&producer(cluster.engine(3)), "t", "first").expect("is acknowledged");
    let fenced = |engine: &Engine, leader, epoch| {
        let refused = appoint(engine, leader, epoch).expect_err("is stale");
        assert_eq!(refused.code(), ErrorCode::FENCED_LEADER_EPOCH, "{refused}");
    };
    for member in 1..=3 {
        fenced(cluster.engine(member), Some(2), 4);
        fenced(cluster.engine(member), Some(2), 5);
        appoint(cluster.engine(member), Some(1), 5).expect("the same again is nothing");
    }

    // A follower goes on by itself.
    cluster.reopen(2);
    put(&producer(cluster.engine(1)), "t", "second").expect("is acknowledged");
    wait_for_isr(cluster.engine(1), 3);
    fenced(cluster.engine(2), Some(2), 5);
    fenced(cluster.engine(2), None, 4);

    // A leader does not: its epoch was of another life, and only it knows who was in sync then.
    cluster.reopen(1);
    let found = cluster.engine(1).describe_replicas("t", 0).expect("is known");
    assert_eq!((found.leader, found.leader_epoch, found.isr.len()), (None, LeaderEpoch(5), 3));
    fenced(cluster.engine(1), Some(1), 5);
    appoint_all(&cluster, 1, 6);
    assert_eq!(put(&producer(cluster.engine(2)), "t", "third").expect("is acknowledged"), Offset(2));
    assert_eq!(all_records(cluster.engine(3), 3), ["first", "second", "third"]);
}

#[test]
fn topics_live_and_die_as_each_host_says_and_what_needs_a_quorum_is_refused() {
    let mut cluster = cluster();
    create(&cluster, "t");
    appoint_all(&cluster, 2, 1);
    put(&producer(cluster.engine(1)), "t", "v").expect("is acknowledged");
    let engine = cluster.engine(1);
    let refused = [
        engine.reassign("t", 0, None).expect_err("nobody decides"),
        engine.elect_leaders(kafkalog::ElectionType::Preferred, None).map(|_| ()).expect_err("nobody decides"),
        engine.change_voters(NodeId(1), NodeSeat::None).expect_err("nobody votes"),
        engine.set_leader("t", 0, Some(NodeId(9)), LeaderEpoch(2)).expect_err("has no replica"),
        engine.remove_node(NodeId(2)).expect_err("has replicas"),
    ];
    assert!(refused.iter().all(|error| error.code() == ErrorCode::INVALID_REQUEST), "{refused:?}");
    assert!(engine.describe_cluster().expect("is known").voters.is_empty());
    engine.add_node(NodeId(7), "inproc://n7").expect("is noted");
    assert_eq!(engine.describe_cluster().expect("is known").nodes.len(), 4);
    engine.remove_node(NodeId(7)).expect("has nothing");
    for member in 1..=3 {
        cluster.engine(member).delete_topic("t").expect("deletes");
    }
    cluster.reopen(3);
    assert!(cluster.engine(3).topics().expect("lists").is_empty());
    create(&cluster, "t");
    appoint_all(&cluster, 3, 1);
    assert_eq!(put(&producer(cluster.engine(1)), "t", "anew").expect("is acknowledged"), Offset(0));
}

#[test]
fn a_directory_keeps_the_authority_that_it_had() {
    let mut cluster = cluster();
    create(&cluster, "t");
    let refused = cluster.reopen_with(1, &[("controller.mode", "quorum")]).expect_err("its leaders were appointed");
    assert_eq!(refused.code(), ErrorCode::INVALID_CONFIG, "{refused}");
    let mut elected = Cluster::new();
    elected.create("t", 3);
    let refused = elected.reopen_with(1, &[STATIC]).expect_err("has a quorum");
    assert_eq!(refused.code(), ErrorCode::INVALID_CONFIG, "{refused}");
    let refused = elected.engine(2).set_leader("t", 0, None, LeaderEpoch(99)).expect_err("is elected");
    assert_eq!(refused.code(), ErrorCode::STATE, "{refused}");
}
