//! Verbs that are clients of a running cluster, whose nodes are processes of their own.

use crate::cluster::{Places, Process, CLUSTER_ID, PATIENCE};
use crate::{program, run, Dir, Ran};
use serde_json::Value;
use std::time::Instant;

struct Cluster {
    nodes: Vec<Option<Process>>,
    places: Places,
}

impl Cluster {
    fn start() -> Cluster {
        let places = Places::over_unix();
        let mut nodes = [1, 2, 3].map(|node| places.serve(node, &[]));
        nodes.iter_mut().for_each(|node| drop(node.hears_of("takes part")));
        Cluster { nodes: nodes.into_iter().map(Some).collect(), places }
    }

    /// A verb that is told of this node alone.
    fn run(&self, node: usize, words: &[&str], input: &str) -> Ran {
        self.run_at(&self.places.urls[node - 1], words, input)
    }

    fn run_at(&self, servers: &str, words: &[&str], input: &str) -> Ran {
        let (verb, rest) = words.split_first().unwrap();
        let mut command = program();
        command.arg(verb).args(["--bootstrap-server", servers]);
        command.arg("--secret-file").arg(self.places.root.join("secret")).args(rest);
        run(command, input)
    }

    fn ok(&self, node: usize, words: &str) -> String {
        self.run(node, &words.split(' ').collect::<Vec<_>>(), "").ok()
    }

    fn json(&self, node: usize, words: &str) -> Value {
        let out = self.ok(node, &format!("{words} --json"));
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"))
    }

    /// What a verb says, as soon as it says the right thing.
    #[track_caller]
    fn until(&self, node: usize, words: &str, is_right: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let said = self.json(node, words);
            if is_right(&said) {
                return said;
            }
            assert!(Instant::now() < deadline, "in vain: {words}: {said}");
        }
    }
}

fn partitions(described: &Value) -> &Vec<Value> {
    described["topics"][0]["partitions"].as_array().unwrap()
}

fn is_whole(described: &Value) -> bool {
    partitions(described).iter().all(|partition| partition["isr"].as_array().unwrap().len() == 3)
}

#[test]
fn a_running_cluster_is_described_its_leaders_are_moved_and_its_topics_made_through_any_of_its_nodes() {
    let mut cluster = Cluster::start();
    let create = "topics --create --topic t --partitions 3 --replication-factor 3 --config min.insync.replicas=2";
    assert_eq!(cluster.ok(1, create), "Created topic t.\n");
    assert_eq!(cluster.ok(2, &format!("{create} --if-not-exists")), "Topic t is left as it is.\n");
    assert_eq!(cluster.ok(3, "topics --list"), "t\n");
    cluster.ok(2, "configs --alter --entity-name t --add-config retention.ms=86400000");
    let configs = cluster.ok(3, "configs --describe --entity-name t");
    assert!(configs.contains("  retention.ms=86400000 source=DYNAMIC_TOPIC_CONFIG\n"), "{configs}");
    let described = cluster.ok(1, "topics --describe --topic t");
    let mut lines = described.lines();
    let head = lines.next().unwrap();
    assert!(head.starts_with("Topic: t\tTopicId: ") && head.contains("\tReplicationFactor: 3\t"), "{head}");
    assert!(head.ends_with("Configs: min.insync.replicas=2,retention.ms=86400000"), "{head}");
    for (number, line) in lines.enumerate() {
        assert!(line.starts_with(&format!("\tTopic: t\tPartition: {number}\tLeader: ")), "{line}");
        assert!(line.contains("\tReplicas: ") && line.contains("\tIsr: "), "{line}");
    }

    // Whoever is dead among the addresses does not matter.
    let both = format!("unix://{}/nobody.sock,{}", cluster.places.root.display(), cluster.places.urls[1]);
    let properties = ["--producer-property", "acks=all", "--sync"];
    let words = [&["console-producer", "--topic", "t"][..], &properties].concat();
    cluster.run_at(&both, &words, "one\ntwo\nthree\n").ok();
    let mut read: Vec<String> = cluster
        .ok(3, "console-consumer --topic t --from-beginning --max-messages 3")
        .lines()
        .map(str::to_owned)
        .collect();
    read.sort_unstable();
    assert_eq!(read, ["one", "three", "two"]);
    let ends = cluster.ok(1, "get-offsets --topic t");
    let ends: Vec<u64> = ends.lines().map(|line| line.rsplit(':').next().unwrap().parse().unwrap()).collect();
    assert_eq!((ends.len(), ends.iter().sum::<u64>()), (3, 3));
    let newest = cluster.ok(1, "get-offsets --topic t --time max-timestamp");
    assert_eq!(newest.lines().count(), ends.iter().filter(|end| **end > 0).count(), "{newest}");

    let mut claims: Vec<String> = cluster
        .ok(2, "verifiable-producer --topic v --partitions 2 --replication-factor 3 --max-messages 20")
        .lines()
        .map(str::to_owned)
        .collect();
    let mut found: Vec<String> = cluster.ok(3, "verifiable-consumer --topic v").lines().map(str::to_owned).collect();
    claims.sort_unstable();
    found.sort_unstable();
    assert_eq!((claims.len(), claims), (20, found));

    // Whoever does not know the secret, or means another cluster, is not let in.
    let guess = cluster.places.root.join("guess");
    std::fs::write(&guess, "open barley\n").unwrap();
    let guess = guess.to_str().unwrap();
    let hasty = ["--command-property", "default.api.timeout.ms=1000"];
    for (strange, why) in
        [(["--secret-file", guess], "secret"), (["--cluster-id", "a2Fma2Fsb2ctZGVtby1pZA"], "another cluster")]
    {
        let mut command = program();
        command.args(["topics", "--list", "--bootstrap-server", &cluster.places.urls[0]]).args(strange).args(hasty);
        if strange[0] != "--secret-file" {
            command.arg("--secret-file").arg(cluster.places.root.join("secret"));
        }
        let refused = run(command, "").fails(3);
        assert!(refused.contains(why) && refused.contains(&cluster.places.urls[0]), "{refused}");
    }

    // The quorum, and how far everybody is.
    let quorum = cluster.json(2, "quorum describe --status");
    assert_eq!(quorum["cluster_id"], CLUSTER_ID);
    assert_eq!(quorum["quorum"]["voters"], serde_json::json!([1, 2, 3]));
    let status = cluster.ok(3, "quorum describe --status");
    assert!(status.starts_with(&format!("ClusterId:              {CLUSTER_ID}\nLeaderId: ")), "{status}");
    let table = cluster.ok(1, "quorum describe --replication");
    assert_eq!(
        table.lines().filter(|line| line.ends_with("Leader") || line.ends_with("Follower")).count(),
        3,
        "{table}"
    );
    let all_there = |said: &Value| {
        let states = |partition: &Value| partition["states"].as_array().unwrap().clone();
        let rows = said["partitions"].as_array().unwrap();
        rows.iter().all(|row| states(row).len() == 3 && states(row).iter().all(|state| state["lag_records"] == 0))
    };
    let replicas = cluster.until(1, "replicas --topic t", all_there);
    let high: u64 =
        replicas["partitions"].as_array().unwrap().iter().filter_map(|p| p["high_watermark"].as_u64()).sum();
    assert_eq!(high, 3, "{replicas}");

    // A node ends in order, and leads nothing; when it is back, it leads again what it should.
    cluster.nodes[0].take().unwrap().end();
    let led_by_others = cluster.json(2, "topics --describe --topic t");
    assert!(partitions(&led_by_others).iter().all(|p| p["leader"] != 1 && p["leader"].is_u64()), "{led_by_others}");
    let under =
        cluster.until(2, "topics --describe --under-replicated-partitions", |said| !said["topics"][0].is_null());
    assert!(partitions(&under).iter().all(|p| !p["isr"].as_array().unwrap().contains(&1.into())), "{under}");
    assert_eq!(cluster.ok(3, "topics --describe --unavailable-partitions"), "");
    let fenced = cluster.json(3, "quorum describe --status");
    assert_eq!(fenced["nodes"].as_array().unwrap().len(), 3, "those that are away are told, too: {fenced}");
    cluster.nodes[0] = Some(cluster.places.serve(1, &[]));
    for topic in ["t", "v"] {
        cluster.until(3, &format!("topics --describe --topic {topic}"), is_whole);
    }
    let elected = cluster.json(2, "leader-election --election-type preferred --all-topic-partitions");
    assert!(elected["partitions"].as_array().unwrap().iter().all(|p| p["result"] != "failed"), "{elected}");
    let preferred = |said: &Value| partitions(said).iter().all(|p| p["leader"] == p["replicas"][0]);
    cluster.until(1, "topics --describe --topic t", preferred);
    let again = cluster.ok(3, "leader-election --election-type PREFERRED --topic t --partition 0");
    assert_eq!(again, "Valid replica already elected for partitions t-0\n");
    let none =
        cluster.run(1, &["leader-election", "--election-type", "preferred", "--topic", "u", "--partition", "0"], "");
    assert_eq!((none.status, none.out.contains("u-0")), (Some(1), true), "{none:?}");

    let used = ends.iter().position(|end| *end > 0).unwrap().to_string();
    cluster.ok(2, &format!("delete-records --topic t --partition {used} --offset -1"));
    let start = cluster.ok(1, &format!("get-offsets --topic t --partitions {used} --time earliest"));
    assert_eq!(start, format!("t:{used}:{}\n", ends.iter().find(|end| **end > 0).unwrap()));
    cluster.ok(3, "topics --delete --topic v");
    assert_eq!(cluster.ok(1, "topics --list"), "t\n");
    assert!(cluster.run(1, &["topics", "--describe", "--topic", "v"], "").fails(1).contains("in this cluster"));
}

#[test]
fn what_a_client_lacks_is_refused_before_anything_is_done() {
    let dir = Dir::new();
    let absent = dir.path();
    let absent = absent.to_str().unwrap();
    let at = ["--bootstrap-server", "tcp://127.0.0.1:1"];
    let refusals: &[(&[&str], i32, &str)] = &[
        (&["topics", "--list"], 2, "--dir"),
        (&["topics", "--list", "--dir", absent, at[0], at[1]], 2, "--bootstrap-server"),
        (&["topics", "--list", "--dir", absent, "--secret-file", absent], 2, "--bootstrap-server"),
        (&["topics", "--list", "--dir", absent, "--command-config", absent], 2, "--bootstrap-server"),
        (&["topics", "--list", at[0], "nowhere://"], 2, "bootstrap.servers"),
        (&["console-consumer", "--topic", "t"], 2, "--dir"),
        (&["get-offsets", at[0], at[1], "--secret-file", absent], 3, absent),
        (&["get-offsets", at[0], at[1], "--command-config", absent], 3, absent),
        (&["console-producer", "--topic", "t", at[0], at[1], "--engine-property", "a=b"], 2, "--engine-property"),
        (&["console-producer", "--topic", "t", at[0], at[1], "--node-id", "1", "--listen", "tcp://a:1"], 2, "--listen"),
        (&["quorum", "describe", "--status"], 2, "--bootstrap-server"),
        (&["quorum", at[0], at[1], "describe"], 2, "--status"),
        (&["leader-election", at[0], at[1], "--all-topic-partitions"], 2, "--election-type"),
        (&["leader-election", at[0], at[1], "--election-type", "unclean"], 2, "--all-topic"),
        (&["replicas", at[0], at[1], "--partitions", "0"], 2, "--topic"),
        (&["topics", "--list", at[0], at[1], "--command-property", "no.such=1"], 2, "no.such"),
        (
            &["topics", "--list", at[0], "127.0.0.1:1", "--command-property", "default.api.timeout.ms=300"],
            3,
            "127.0.0.1:1",
        ),
    ];
    for (words, status, named) in refusals {
        let mut command = program();
        command.args(*words);
        let error = run(command, "").fails(*status);
        assert!(error.contains(named), "{words:?}: {error}");
        assert!(!dir.path().exists(), "{words:?} has made the directory");
    }
}
