//! A cluster of three processes, and the verbs that are its clients.

use crate::{program, run, Dir};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

const CLUSTER_ID: &str = "4L6g3nShT-eMCtK--X86sw";

/// One node, ended when dropped.
struct Node {
    process: Child,
    ready: String,
}

impl Node {
    fn start(root: &Path, node: u32) -> Node {
        let url = |node: u32| format!("unix://{}", root.join(format!("{node}.sock")).display());
        let mut command = program();
        command.arg("serve").arg("--dir").arg(root.join(format!("data-{node}")));
        command.args(["--node-id", &node.to_string(), "--listen", &url(node), "--cluster-id", CLUSTER_ID]);
        for peer in 1..=3 {
            command.arg("--peer").arg(format!("{peer}={}", url(peer)));
        }
        command.arg("--secret-file").arg(root.join("secret"));
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut ready = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut ready).unwrap();
        Node { process, ready }
    }

    /// Asks it to end, and waits for that.
    fn end(mut self) -> Option<i32> {
        Command::new("kill").arg(self.process.id().to_string()).status().unwrap();
        self.process.wait().unwrap().code()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.process.kill(); // it may have ended already
        let _ = self.process.wait();
    }
}

#[test]
fn three_nodes_serve_clients_hand_over_what_they_lead_and_end_in_order() {
    let dir = Dir::new();
    let secret = dir.file("secret", "open sesame\n");
    let root = secret.parent().unwrap().to_owned();
    let mut nodes: Vec<Node> = (1..=3).map(|node| Node::start(&root, node)).collect();
    for (node, number) in nodes.iter().zip(1..) {
        let said = format!("Node {number} of cluster {CLUSTER_ID} listens on unix://");
        assert!(node.ready.starts_with(&said), "{}", node.ready);
    }
    let bootstrap: Vec<String> = (1..=3).map(|node| format!("unix://{}/{node}.sock", root.display())).collect();
    let verb = |words: &[&str], input: &str| {
        let (verb, args) = words.split_first().unwrap();
        let mut command = program();
        command.arg(verb).arg("--bootstrap-server").arg(bootstrap.join(",")).arg("--secret-file").arg(&secret);
        command.args(args);
        run(command, input)
    };
    let json =
        |words: &[&str]| -> Value { serde_json::from_str(&verb(&[words, &["--json"]].concat(), "").ok()).unwrap() };

    verb(&["topics", "--create", "--topic", "t", "--partitions", "3", "--replication-factor", "3"], "").ok();
    verb(&["console-producer", "--topic", "t"], "one\ntwo\nthree\n").ok();
    let read = verb(&["console-consumer", "--topic", "t", "--from-beginning", "--max-messages", "3"], "").ok();
    let mut lines: Vec<&str> = read.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["one", "three", "two"]);
    let offsets = verb(&["get-offsets", "--topic", "t"], "").ok();
    let ends: u64 = offsets.lines().map(|line| line.rsplit(':').next().unwrap().parse::<u64>().unwrap()).sum();
    assert_eq!(ends, 3);

    let described = verb(&["topics", "--describe", "--topic", "t"], "").ok();
    assert_eq!(described.lines().filter(|line| line.contains("\tLeader: ") && line.contains("\tIsr: ")).count(), 3);
    let quorum = json(&["quorum", "describe", "--status"]);
    assert_eq!(
        (&quorum["cluster_id"], &quorum["quorum"]["voters"]),
        (&CLUSTER_ID.into(), &serde_json::json!([1, 2, 3]))
    );
    let replicas = json(&["replicas", "--topic", "t"]);
    assert_eq!(replicas["partitions"].as_array().unwrap().len(), 3);
    verb(&["leader-election", "--election-type", "preferred", "--all-topic-partitions"], "").ok();
    verb(&["delete-records", "--topic", "t", "--partition", "0", "--offset", "-1"], "").ok();

    // Two of three go on; a node that ends in order leads nothing any more.
    assert_eq!(nodes.remove(0).end(), Some(0));
    for partition in json(&["topics", "--describe", "--topic", "t"])["topics"][0]["partitions"].as_array().unwrap() {
        assert!([2, 3].map(Value::from).contains(&partition["leader"]), "{partition}");
    }
    verb(&["console-producer", "--topic", "t"], "four\n").ok();
    for node in nodes {
        assert_eq!(node.end(), Some(0));
    }
}

#[test]
fn what_a_client_or_a_node_lacks_is_refused_before_anything_is_done() {
    let dir = Dir::new();
    let absent = dir.path();
    let absent = absent.to_str().unwrap();
    let refusals: &[(&[&str], i32, &str)] = &[
        (&["topics", "--list"], 2, "--dir"),
        (&["topics", "--list", "--dir", absent, "--bootstrap-server", "tcp://a:1"], 2, "--bootstrap-server"),
        (&["topics", "--list", "--dir", absent, "--secret-file", absent], 2, "--bootstrap-server"),
        (&["get-offsets", "--bootstrap-server", "tcp://a:1", "--secret-file", absent], 3, absent),
        (&["quorum", "describe", "--status"], 2, "--bootstrap-server"),
        (&["quorum", "--bootstrap-server", "tcp://a:1", "describe"], 2, "--status"),
        (&["leader-election", "--bootstrap-server", "tcp://a:1", "--all-topic-partitions"], 2, "--election-type"),
        (&["leader-election", "--bootstrap-server", "tcp://a:1", "--election-type", "unclean"], 2, "--all-topic"),
        (&["replicas", "--bootstrap-server", "tcp://a:1", "--partitions", "0"], 2, "--topic"),
        (&["serve", "--dir", absent], 2, "--listen"),
        (&["serve", "--dir", absent, "--listen", "tcp://a:1", "--peer", "2=tcp://b:1"], 2, "--node-id"),
        (&["serve", "--dir", absent, "--listen", "nowhere"], 2, "listeners"),
        (&["serve", "--dir", absent, "--listen", "tcp://a:1", "--property", "listeners=tcp://b:1"], 2, "listeners"),
        (&["serve", "--dir", absent, "--listen", "tcp://a:1", "--secret-file", absent], 3, absent),
    ];
    for (words, status, named) in refusals {
        let mut command = program();
        command.args(*words);
        let error = run(command, "").fails(*status);
        assert!(error.contains(named), "{words:?}: {error}");
        assert!(!dir.path().exists(), "{words:?} has made the directory");
    }
}
