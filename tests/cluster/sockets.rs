//! The same over TCP, and over TLS.

use crate::world::{id, put, take, until, CLUSTER_ID, PATIENCE};
use kafkalog::{Acks, Engine, ErrorCode, NodeId, StartAt, TopicConfig};
use std::net::TcpListener;
use std::time::Duration;
use tempfile::TempDir;

/// Ports that were free a moment ago.
fn free_ports() -> [u16; 3] {
    let listeners = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    listeners.map(|listener| listener.local_addr().expect("is bound").port())
}

#[test]
fn a_client_works_over_tcp_and_goes_on_without_the_leader() {
    a_client_works_and_goes_on_without_the_leader("tcp://127.0.0.1", &[], &[]);
}

#[cfg(feature = "tls")]
#[test]
fn a_client_works_over_tls_and_goes_on_without_the_leader() {
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tls/");
    let settings = |keystore: &str| {
        let files = [("ssl.keystore.location", keystore), ("ssl.truststore.location", "ca.pem")];
        files.map(|(name, file)| (name, format!("{data}{file}")))
    };
    a_client_works_and_goes_on_without_the_leader("tls://localhost", &settings("node.pem"), &settings("stranger.pem"));
}

/// `ssl` are further settings of nodes and client, `strangers` those of a client that is not let in and does not know the secret either.
fn a_client_works_and_goes_on_without_the_leader(host: &str, ssl: &[(&str, String)], strangers: &[(&str, String)]) {
    let further = |settings: &[(&'static str, &str)], ssl: &[(&str, String)]| -> Vec<(String, String)> {
        let own = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        own.chain(ssl.iter().map(|(name, value)| ((*name).to_owned(), value.clone()))).collect()
    };
    fn lent(settings: &[(String, String)]) -> Vec<(&str, &str)> {
        settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }
    let urls = free_ports().map(|port| format!("{host}:{port}"));
    let voters = (1..).zip(&urls).map(|(number, url)| format!("{number}@{url}")).collect::<Vec<_>>().join(",");
    let dirs = [(); 3].map(|()| tempfile::tempdir().expect("temp dir"));
    let open = |number: usize, dir: &TempDir, url: &str, secret: &str| {
        let number = number.to_string();
        let settings = [
            ("node.id", number.as_str()),
            ("listeners", url),
            ("cluster.id", CLUSTER_ID),
            ("cluster.secret", secret),
            ("controller.quorum.voters", &voters),
        ];
        let builder = Engine::builder(dir.path());
        let settings = further(&settings, ssl);
        let set = settings.iter();
        set.fold(builder, |builder, (name, value)| builder.set(name, value).expect("legal")).open().expect("opens")
    };
    let engines: Vec<Engine> = (0..3).map(|index| open(index + 1, &dirs[index], &urls[index], "sesame")).collect();
    let settings = further(&[("cluster.secret", "sesame")], ssl);
    let client = Engine::connect(&urls, &lent(&settings)).expect("connects");
    until("the members take part", || {
        let nodes = client.describe_cluster().expect("is told").nodes;
        (nodes.len() == 3).then_some(())
    });
    client.create_topic("t", TopicConfig::new().partitions(1).replication(3)).expect("creates");
    let sender = client.producer().acks(Acks::All).linger(Duration::ZERO).open().expect("opens");
    let mut consumer = client.consumer().assign(id("t"), StartAt::Earliest).open().expect("opens");
    put(&sender, "t", "before").expect("is acknowledged");
    assert_eq!(take(&mut consumer, 1), ["before"]);
    // One more, which nobody has made known; another one does not know the secret.
    let more = [(); 2].map(|()| tempfile::tempdir().expect("temp dir"));
    let stranger = open(5, &more[1], &format!("{host}:0"), "says me");
    let joined = open(4, &more[0], &format!("{host}:0"), "sesame");
    until("the one that joins takes part", || joined.takes_part().expect("is a member").then_some(()));
    client.reassign("t", 0, Some([2, 3, 4].map(NodeId).to_vec())).expect("is decided");
    until("it has moved", || {
        let found = client.describe_replicas("t", 0).expect("is told");
        (found.replicas == [2, 3, 4].map(NodeId) && found.isr.len() == 3).then_some(())
    });
    assert!(!stranger.takes_part().expect("is a member"));
    assert!(client.describe_cluster().expect("is told").nodes.iter().all(|node| node.id != NodeId(5)));
    stranger.close_timeout(PATIENCE).expect("closes");
    let leader = client.describe_replicas("t", 0).expect("is told").leader.expect("somebody leads");
    let engines: Vec<Engine> = engines.into_iter().chain([joined]).collect();
    engines[leader.0 as usize - 1].close_timeout(PATIENCE).expect("closes");
    put(&sender, "t", "after").expect("is acknowledged");
    assert_eq!(take(&mut consumer, 1), ["after"]);

    let theirs = further(&[("cluster.id", CLUSTER_ID), ("default.api.timeout.ms", "2000")], strangers);
    let stranger = Engine::connect(&urls, &lent(&theirs));
    let refused = stranger.expect("begins").describe_cluster().expect_err("is not let in");
    assert_eq!(refused.code(), ErrorCode::REQUEST_TIMED_OUT, "{refused}");
    assert!(refused.message().contains(&urls[0]), "{refused}");
    let other =
        [("cluster.id", "a2Fma2Fsb2ctZGVtby1pZA"), ("cluster.secret", "sesame"), ("default.api.timeout.ms", "2000")];
    let other = Engine::connect(&urls, &lent(&further(&other, ssl))).expect("begins");
    let refused = other.describe_cluster().expect_err("is another cluster");
    assert!(refused.message().contains("another cluster"), "{refused}");
    assert!(client.close_timeout(PATIENCE).expect("closes").is_clean());
    for engine in engines {
        let _ = engine.close_timeout(PATIENCE);
    }
}
