//! What engines promise that are nodes of one cluster: in one process, over a hub and over sockets.

use kafkalog::{
    Acks, ChannelHub, ClusterEvent, Engine, EngineBuilder, ErrorCode, NodeId, Offset, Record, StartAt, TopicConfig,
    TopicPartition,
};
use std::path::Path;
use std::sync::mpsc::{channel, Receiver};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Far more than anything here takes; a test that waits this long has failed.
const PATIENCE: Duration = Duration::from_secs(60);

struct Node {
    engine: Engine,
    events: Receiver<ClusterEvent>,
}

fn builder(root: &Path, node: u32, listeners: &str, voters: &str) -> EngineBuilder {
    let id = node.to_string();
    let settings = [
        ("node.id", id.as_str()),
        ("listeners", listeners),
        ("controller.quorum.voters", voters),
        ("cluster.id", "4L6g3nShT-eMCtK--X86sw"),
        ("cluster.secret", "open sesame"),
    ];
    let at = Engine::builder(root.join(&id));
    settings.iter().fold(at, |builder, (name, value)| builder.set(name, value).expect("legal"))
}

fn open(builder: EngineBuilder) -> Node {
    let (told, events) = channel();
    let engine = builder.cluster_sink(Arc::new(move |event| drop(told.send(event.clone())))).open().expect("opens");
    Node { engine, events }
}

fn over_a_hub(root: &Path) -> Vec<Node> {
    let hub = ChannelHub::new();
    let voters = "1@inproc://1,2@inproc://2,3@inproc://3";
    let open_one = |node: u32| {
        let transport = hub.transport(&node.to_string()).expect("is free");
        open(builder(root, node, &format!("inproc://{node}"), voters).transport(Arc::new(transport)))
    };
    (1..=3).map(open_one).collect()
}

/// Until it says so, for a minute at the most.
fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if let Some(found) = look() {
            return found;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("not within {PATIENCE:?}: {what}");
}

fn create(engine: &Engine, topic: &str) {
    let config = || TopicConfig::new().partitions(1).replication(3).set("min.insync.replicas", "2").expect("legal");
    until("the topic is there", || match engine.create_topic(topic, config()) {
        Ok(()) => Some(()),
        Err(error) if error.code() == ErrorCode::TOPIC_ALREADY_EXISTS => Some(()),
        Err(_) => None, // nodes are still coming
    });
}

fn send(engine: &Engine, topic: &str, value: &str) -> Offset {
    let producer = engine.producer().acks(Acks::All).open().expect("opens");
    let placed = producer.send(Record::new(topic, value)).expect("sends").wait().expect("is acknowledged");
    placed.offset.expect("acks=all has one")
}

fn leader(engine: &Engine, topic: &str, in_sync: usize) -> NodeId {
    until("somebody leads", || {
        let replicas = engine.describe_replicas(topic, 0).ok()?;
        replicas.leader.filter(|_| replicas.isr.len() == in_sync)
    })
}

fn values(engine: &Engine, topic: &str, count: usize) -> Vec<String> {
    let id = TopicPartition::new(topic, 0);
    let mut consumer = engine.consumer().assign(id, StartAt::Earliest).open().expect("opens");
    let mut values = Vec::new();
    until("everything is read", || {
        let records = consumer.poll(Duration::from_millis(100)).expect("polls");
        values.extend(records.iter().map(|r| String::from_utf8(r.value.expect("has one").to_vec()).expect("text")));
        (values.len() >= count).then_some(())
    });
    values
}

#[test]
fn a_node_that_is_closed_hands_over_first_and_the_last_one_does_not_wait_for_others() {
    let root = tempfile::tempdir().expect("temp dir");
    let mut nodes = over_a_hub(root.path());
    create(&nodes[0].engine, "t");
    let first = leader(&nodes[0].engine, "t", 3);
    for node in &nodes {
        send(&node.engine, "t", &format!("of {}", node.engine.node_id()));
    }
    let leaving = nodes.remove(first.0 as usize - 1);
    let report = leaving.engine.close().expect("closes");
    assert!(report.is_clean(), "{report}");
    let second = until("the others know who leads", || {
        let replicas = nodes[0].engine.describe_replicas("t", 0).ok()?;
        replicas.leader.filter(|leader| *leader != first)
    });
    let heard = until("it is told", || {
        nodes[0]
            .events
            .try_iter()
            .find(|event| matches!(event, ClusterEvent::LeaderChanged { leader, .. } if *leader == Some(second)))
    });
    assert!(matches!(heard, ClusterEvent::LeaderChanged { partition, .. } if &*partition.topic == "t"));
    assert_eq!(send(&nodes[0].engine, "t", "without it"), Offset(3));
    for node in &nodes {
        assert_eq!(values(&node.engine, "t", 4).last().map(String::as_str), Some("without it"));
    }
    // The last one has nobody to hand over to: half of its time would be longer than anybody waits for a test.
    for node in nodes {
        let report = node.engine.close_timeout(Duration::from_secs(3600)).expect("closes");
        assert!(report.is_clean(), "{report}");
    }
}

#[test]
fn nodes_on_free_ports_find_each_other_when_they_are_made_known() {
    let root = tempfile::tempdir().expect("temp dir");
    // Nobody is there; whoever comes is made known by hand.
    let voters = "1@tcp://127.0.0.1:1,2@tcp://127.0.0.1:2,3@tcp://127.0.0.1:3";
    let nodes: Vec<Node> = (1..=3).map(|node| open(builder(root.path(), node, "tcp://127.0.0.1:0", voters))).collect();
    for node in &nodes {
        let at = node.engine.listener().expect("listens");
        assert!(at.starts_with("tcp://127.0.0.1:") && !at.ends_with(":0"), "{at}");
        for other in nodes.iter().filter(|other| other.engine.node_id() != node.engine.node_id()) {
            other.engine.add_node(node.engine.node_id(), &at).expect("is legal");
        }
    }
    create(&nodes[2].engine, "t");
    assert_eq!(send(&nodes[1].engine, "t", "v"), Offset(0));
    let cluster = nodes[0].engine.describe_cluster().expect("describes");
    for node in &nodes {
        let known = cluster.nodes.iter().find(|known| known.id == node.engine.node_id()).expect("is registered");
        assert_eq!(Some(&known.address), node.engine.listener().as_ref(), "the cluster tells the real port");
    }
    let another = nodes[0].engine.listen("tcp://127.0.0.1:0").expect("listens");
    assert_ne!(Some(another), nodes[0].engine.listener());
    let own = nodes[0].engine.node_id();
    assert_eq!(nodes[0].engine.add_node(own, "tcp://127.0.0.1:2").unwrap_err().code(), ErrorCode::INVALID_ARG);
    for node in nodes {
        node.engine.close().expect("closes");
    }
}

#[test]
fn an_engine_alone_has_no_cluster_to_speak_of() {
    let root = tempfile::tempdir().expect("temp dir");
    let engine = Engine::open(root.path().join("alone")).expect("opens");
    assert_eq!(engine.listener(), None);
    let refused = [
        engine.listen("tcp://127.0.0.1:0").err(),
        engine.add_node(NodeId(2), "tcp://127.0.0.1:1").err(),
        engine.remove_node(NodeId(2)).err(),
        engine.describe_cluster().err(),
    ];
    for error in refused {
        assert_eq!(error.map(|error| error.code()), Some(ErrorCode::STATE));
    }
}
