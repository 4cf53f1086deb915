//! A program that hosts no data does everything that a member's own user can.

use crate::world::{id, put, take, until, Cluster, PATIENCE};
use kafkalog::{Acks, ClusterClient, ElectionType, ErrorCode, NodeId, Offset, Producer, Record, StartAt, TopicConfig};
use std::sync::Arc;
use std::time::Duration;

fn connect(cluster: &Cluster) -> ClusterClient {
    connect_with(cluster, "client", "inproc://n1,inproc://n2,inproc://n3")
}

fn connect_with(cluster: &Cluster, name: &str, servers: &str) -> ClusterClient {
    let transport = Arc::new(cluster.hub.transport(name).expect("a free name"));
    let builder = ClusterClient::builder().transport(transport).set("bootstrap.servers", servers).expect("legal");
    builder.connect().expect("connects")
}

fn producer(client: &ClusterClient) -> Producer {
    client.producer().acks(Acks::All).linger(Duration::ZERO).open().expect("opens")
}

#[test]
fn it_creates_sends_and_reads() {
    let cluster = Cluster::new();
    let client = connect(&cluster);
    client.create_topic("t", TopicConfig::new().partitions(3).replication(3)).expect("creates");
    assert_eq!(client.describe("t").expect("is known").partition_count, 3);
    let sender = producer(&client);
    let partitions = [0, 1, 2].map(|partition| kafkalog::TopicPartition::new("t", partition));
    let all = partitions.iter().cloned();
    let mut consumer =
        all.fold(client.consumer(), |consumer, one| consumer.assign(one, StartAt::Earliest)).open().expect("opens");
    let mut sent = Vec::new();
    for number in 0..30 {
        let value = format!("value {number}");
        let metadata = sender.send(Record::new("t", &value).partition(number % 3)).expect("sends").wait();
        assert_eq!(metadata.expect("is acknowledged").offset, Some(Offset(u64::from(number / 3))));
        sent.push(value);
    }
    let mut read = take(&mut consumer, 30);
    read.sort();
    sent.sort();
    assert_eq!(read, sent);
    let ends = client.offsets("t", 1).expect("is told");
    assert_eq!((ends.log_start, ends.high_watermark), (Offset(0), Offset(10)));
    let report = client.close().expect("closes");
    assert!(report.is_clean(), "{report}");
    assert_eq!(consumer.poll(PATIENCE).expect_err("is over").code(), ErrorCode::CLOSED);
    assert_eq!(client.topics().expect_err("is over").code(), ErrorCode::CLOSED);
}

#[test]
fn it_finds_all_nodes_by_one_and_needs_that_one_no_more() {
    let mut cluster = Cluster::new();
    cluster.create("t", 3);
    let leader = cluster.leader("t");
    let client = connect_with(&cluster, "client", &format!("inproc://n{leader}"));
    let sender = producer(&client);
    let mut consumer = client.consumer().assign(id("t"), StartAt::Earliest).open().expect("opens");
    put(&sender, "t", "before").expect("is acknowledged");
    assert_eq!(take(&mut consumer, 1), ["before"]);
    cluster.cut_off(leader);
    put(&sender, "t", "after").expect("is acknowledged");
    assert_eq!(take(&mut consumer, 1), ["after"]);
    let found = until("the client has heard of the new leader", || {
        client.describe_replicas("t", 0).expect("is told").leader.filter(|now| now.0 != leader)
    });
    assert_eq!(found.0, cluster.leader("t"));
}

#[test]
fn a_leader_that_is_closed_in_order_costs_nobody_a_record() {
    let cluster = Cluster::new();
    cluster.create("t", 3);
    let client = connect(&cluster);
    let leader = cluster.leader("t");
    let sender = producer(&client);
    let mut consumer = client.consumer().assign(id("t"), StartAt::Earliest).open().expect("opens");
    let mut sent: Vec<String> = Vec::new();
    let mut deliveries = Vec::new();
    for number in 0..200 {
        if number == 100 {
            cluster.engine(leader).close_timeout(PATIENCE).expect("closes");
        }
        sent.push(format!("{number}"));
        deliveries.push(sender.send(Record::new("t", &sent[number])).expect("sends"));
    }
    for delivery in deliveries {
        delivery.wait().expect("is acknowledged");
    }
    let mut read = Vec::new();
    while read.last() != sent.last() {
        read.extend(take(&mut consumer, 1));
    }
    // A batch whose answer was lost may be there twice; none is missing and none overtook another.
    read.dedup();
    let mut first_seen: Vec<String> = Vec::new();
    for value in read {
        if !first_seen.contains(&value) {
            first_seen.push(value);
        }
    }
    assert_eq!(first_seen, sent);
}

#[test]
fn a_topic_is_created_by_a_send_where_the_cluster_does_that() {
    let cluster = Cluster::with(&[("default.replication.factor", "2"), ("num.partitions", "1")]);
    let client = connect(&cluster);
    put(&producer(&client), "new", "first").expect("is acknowledged");
    assert_eq!(client.describe("new").expect("is known").replication_factor, 2);
    let illegal = put(&producer(&client), "no/name", "v").expect_err("is refused");
    assert_eq!(illegal.code(), ErrorCode::INVALID_TOPIC_EXCEPTION, "{illegal}");

    let cluster = Cluster::with(&[("auto.create.topics.enable", "false")]);
    let client = connect(&cluster);
    let refused = put(&producer(&client), "new", "first").expect_err("is refused");
    assert_eq!(refused.code(), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, "{refused}");
}

#[test]
fn what_only_the_controller_and_the_leaders_know_is_told_to_whoever_asks() {
    let mut cluster = Cluster::new();
    cluster.create("t", 3);
    let client = connect(&cluster);
    let sender = producer(&client);
    put(&sender, "t", "one").expect("is acknowledged");
    put(&sender, "t", "two").expect("is acknowledged");
    let quorum = until("everybody has all metadata", || {
        let now = client.describe_quorum().expect("is told");
        now.quorum_replicas.iter().all(|replica| replica.log_end == now.metadata_offset + 1).then_some(now)
    });
    assert_eq!(
        (quorum.cluster_id.to_string(), quorum.voters),
        (crate::world::CLUSTER_ID.to_owned(), vec![NodeId(1), NodeId(2), NodeId(3)])
    );
    assert_eq!(quorum.quorum_replicas.len(), 3);
    assert!(quorum.nodes.iter().all(|node| !node.is_fenced && node.epoch > 0), "{:?}", quorum.nodes);
    let leader = quorum.quorum_leader.expect("somebody leads").0;
    let own = cluster.engine(leader).describe_cluster().expect("describes");
    assert_eq!(own.quorum_replicas.len(), 3, "its leader knows it without asking");

    let replicas = until("the followers have said that they have it", || {
        let now = client.describe_replicas("t", 0).expect("is told");
        now.states.iter().all(|state| state.lag_records == 0).then_some(now)
    });
    assert_eq!((replicas.high_watermark, replicas.isr.len()), (Some(Offset(2)), 3));
    assert_eq!(replicas.states.iter().map(|state| state.log_end).collect::<Vec<_>>(), [Offset(2); 3]);
    assert!(client.offset_of_max_timestamp("t", 0).expect("is told").is_some());
    assert_eq!(client.describe_replicas("t", 1).expect_err("none").code(), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);

    let other = (1..=3).find(|id| *id != leader).expect("there are three");
    cluster.cut_off(other);
    until("it is known to be gone", || {
        let now = client.describe_quorum().expect("is told");
        now.nodes.iter().find(|node| node.id.0 == other).filter(|node| node.is_fenced).map(|_| ())
    });
}

#[test]
fn an_operator_needs_no_node_of_his_own() {
    let cluster = Cluster::new();
    let client = connect(&cluster);
    let found = client.describe_cluster().expect("is told");
    assert_eq!(found.nodes.iter().map(|node| node.id.0).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(found.cluster_id.to_string(), crate::world::CLUSTER_ID);
    client.create_topic("t", TopicConfig::new().partitions(1).replication(2)).expect("creates");
    let again = client.create_topic("t", TopicConfig::new()).expect_err("is there");
    assert_eq!(again.code(), ErrorCode::TOPIC_ALREADY_EXISTS);
    client.add_partitions("t", 2).expect("grows");
    assert_eq!(client.describe("t").expect("is known").partition_count, 2);
    client.alter_topic("t", "retention.ms", Some("1000")).expect("is altered");
    assert_eq!(
        client.alter_topic("t", "retention.ms", Some("soon")).expect_err("is no number").code(),
        ErrorCode::INVALID_CONFIG
    );
    let configs = client.describe_configs(&["t"]).expect("is told");
    assert_eq!(
        configs[0].iter().map(|(key, value)| (key.as_str(), value.as_str())).collect::<Vec<_>>(),
        [("retention.ms", "1000")]
    );
    assert_eq!(
        client.describe_configs(&["t", "u"]).expect_err("there is no u").code(),
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
    );
    for outcome in client.elect_leaders(ElectionType::Preferred, None).expect("is decided") {
        assert!(
            outcome.result.is_ok()
                || outcome.result.as_ref().is_err_and(|e| e.code() == ErrorCode::ELECTION_NOT_NEEDED)
        );
    }
    let before = client.describe_replicas("t", 0).expect("is told").replicas;
    let other = (1..=3).map(NodeId).find(|node| !before.contains(node)).expect("there is one");
    client.reassign("t", 0, Some(vec![before[0], other])).expect("is decided");
    until("the replica has moved", || {
        let now = client.describe_replicas("t", 0).expect("is told").replicas;
        (now == [before[0], other]).then_some(())
    });
    put(&producer(&client), "t", "gone").expect("is acknowledged");
    let ends = [0, 1].map(|partition| client.offsets("t", partition).expect("is told").high_watermark);
    let used = u32::from(ends[1] > ends[0]);
    assert_eq!(client.delete_records("t", used, Offset(1)).expect("is done"), Offset(1));
    assert_eq!(client.offsets("t", used).expect("is told").log_start, Offset(1));
    client.delete_topic("t").expect("is gone");
    assert!(client.topics().expect("is told").is_empty());
    let unknown = client.delete_topic("t").expect_err("is gone");
    assert_eq!(unknown.code(), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
}
