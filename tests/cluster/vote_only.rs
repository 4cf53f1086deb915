//! Two nodes with data, and one that only votes (`node.holds.data=false`).

use crate::world::{id, producer, put, take, until, Cluster};
use kafkalog::{ErrorCode, NodeId, StartAt, TopicConfig};

#[test]
fn two_data_nodes_and_a_vote_survive_the_loss_of_a_data_node() {
    let mut cluster = Cluster::with_last(&[], &[("node.holds.data", "false")]);
    let refused =
        cluster.engine(1).create_topic("three", TopicConfig::new().replication(3)).expect_err("two have data");
    assert_eq!(refused.code(), ErrorCode::INVALID_REPLICATION_FACTOR, "{refused}");
    cluster.engine(1).create_topic("t", TopicConfig::new().partitions(4).replication(2)).expect("creates");
    cluster.wait_for_topic("t");
    for partition in 0..4 {
        let found = cluster.engine(3).describe_replicas("t", partition).expect("is known");
        assert!(!found.replicas.contains(&NodeId(3)), "{found:?}");
    }
    let refused = cluster.engine(1).reassign("t", 0, Some(vec![NodeId(1), NodeId(3)])).expect_err("keeps no replicas");
    assert_eq!(refused.code(), ErrorCode::INVALID_REPLICA_ASSIGNMENT, "{refused}");

    // The one that only votes sends and reads as any other.
    let sender = producer(cluster.engine(3));
    put(&sender, "t", "before").expect("is acknowledged");
    let leader = cluster.leader("t");
    let survivor = 3 - leader;
    until("both have it", || (cluster.engine(leader).describe_replicas("t", 0).ok()?.isr.len() == 2).then_some(()));
    cluster.cut_off(leader);
    for n in 0..8 {
        sender
            .send(kafkalog::Record::new("t", &format!("after {n}")).partition(0))
            .and_then(|delivery| delivery.wait())
            .expect("is acknowledged");
    }
    assert_eq!(cluster.leader("t"), survivor);
    let mut consumer = cluster.engine(3).consumer().assign(id("t"), StartAt::Earliest).open().expect("opens");
    let found = take(&mut consumer, 8);
    assert!(found.iter().any(|value| value == "after 0"), "{found:?}");
    let stranger = cluster.engine(3).dir().join("t-0");
    assert!(!stranger.exists(), "{}", stranger.display());
}
