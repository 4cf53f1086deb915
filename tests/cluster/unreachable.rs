//! A cluster that is not there is an error in bounded time, and none for ever.

use crate::world::{id, Cluster, PATIENCE};
use kafkalog::{ChannelHub, ClusterClient, Engine, ErrorCode, Record, StartAt, TopicConfig};
use std::sync::Arc;
use std::time::{Duration, Instant};

fn client(hub: &ChannelHub, settings: &[(&str, &str)]) -> ClusterClient {
    let builder = ClusterClient::builder().transport(Arc::new(hub.transport("client").expect("a free name")));
    let own = [("bootstrap.servers", "inproc://n1,inproc://n2")];
    let set = own.iter().chain(settings);
    set.fold(builder, |builder, (name, value)| builder.set(name, value).expect("legal")).connect().expect("begins")
}

#[test]
fn every_call_says_who_could_not_be_reached() {
    let client = client(&ChannelHub::new(), &[("default.api.timeout.ms", "300")]);
    let producer = client.producer().open().expect("opens");
    let began = Instant::now();
    let consumer = client.consumer().set("default.api.timeout.ms", "300").expect("legal");
    let errors = [
        client.create_topic("t", TopicConfig::new()).expect_err("nobody is there"),
        client.describe_cluster().expect_err("nobody is there"),
        client.offsets("t", 0).expect_err("nobody is there"),
        producer.send(Record::new("t", "v")).expect_err("nobody is there"),
    ];
    for error in errors {
        assert_eq!(error.code(), ErrorCode::REQUEST_TIMED_OUT, "{error}");
        assert!(error.message().contains("inproc://n1") && error.message().contains("inproc://n2"), "{error}");
    }
    let error = consumer.assign(id("t"), StartAt::Earliest).open().expect_err("nobody is there");
    assert_eq!(error.code(), ErrorCode::REQUEST_TIMED_OUT, "{error}");
    assert!(began.elapsed() < PATIENCE);
    assert!(client.close_timeout(PATIENCE).expect("closes").is_clean());
}

#[test]
fn closing_is_bounded_with_nobody_there() {
    let mut cluster = Cluster::new();
    cluster.create("t", 3);
    let client = client(&cluster.hub, &[]);
    let producer = client.producer().open().expect("opens");
    producer.send(Record::new("t", "first")).expect("sends").wait().expect("is acknowledged");
    (1..=3).for_each(|member| cluster.cut_off(member));
    let delivery = producer.send(Record::new("t", "never")).expect("is taken");
    let began = Instant::now();
    let report = client.close_timeout(Duration::from_millis(200)).expect("closes");
    assert!(began.elapsed() < Duration::from_secs(30));
    assert_eq!(report.undelivered_records, 1, "{report}");
    delivery.wait().expect_err("is not delivered");
}

#[test]
fn settings_that_make_no_sense_are_refused_at_once() {
    let refused =
        |servers: &[&str], settings: &[(&str, &str)]| Engine::connect(servers, settings).expect_err("is refused");
    assert_eq!(refused(&[], &[]).code(), ErrorCode::INVALID_CONFIG);
    assert!(refused(&["localhost:9092"], &[]).message().contains("tcp://host:port"));
    assert!(refused(&["inproc://n1"], &[]).message().contains("transport"));
    assert!(refused(&["tcp://localhost:9301"], &[("group.id", "g")]).message().contains("not supported yet"));
}
