//! Nodes of a cluster, each a process of its own. What they say on stdout is what the tests wait for.

use crate::{program, run, Dir};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{channel, Receiver};
use std::time::{Duration, Instant};

pub const CLUSTER_ID: &str = "4L6g3nShT-eMCtK--X86sw";
/// What somebody lacks who listens on tls:// and says no more.
const NO_CERTIFICATES: &str = if cfg!(feature = "tls") { "ssl.keystore.location" } else { "cargo feature `tls`" };
/// Far more than anything here takes.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// A process whose lines are read as they come. Killed when dropped.
pub struct Process {
    child: Child,
    lines: Receiver<String>,
    said: Vec<String>,
}

impl Process {
    fn start(mut command: Command) -> Process {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (told, lines) = channel();
        std::thread::spawn(move || out.lines().map_while(Result::ok).try_for_each(|line| told.send(line)));
        Process { child, lines, said: Vec::new() }
    }

    /// The next line that is meant; those before it are kept.
    #[track_caller]
    pub fn hears(&mut self, is_meant: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.said.push(line.clone());
                    if is_meant(&line) {
                        return line;
                    }
                }
                Err(_) => panic!("it has ended, or says nothing any more: {:#?}", self.said),
            }
        }
    }

    /// As [`hears`](Process::hears), unless it has said so already: lines of different matters come in any order.
    #[track_caller]
    pub fn has_said(&mut self, is_meant: impl Fn(&str) -> bool) {
        if !self.said.iter().any(|line| is_meant(line)) {
            self.hears(is_meant);
        }
    }

    #[track_caller]
    pub fn hears_of(&mut self, words: &str) -> String {
        self.hears(|line| line.contains(words))
    }

    /// Asks it to end; everything that it still said.
    #[track_caller]
    pub fn end(mut self) -> Vec<String> {
        Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        let deadline = Instant::now() + PATIENCE;
        while let Ok(line) = self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            self.said.push(line);
        }
        assert_eq!(self.child.wait().unwrap().code(), Some(0), "{:#?}", self.said);
        std::mem::take(&mut self.said)
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill(); // it may have ended already
        let _ = self.child.wait();
    }
}

/// Three places: a directory and an address each.
pub struct Places {
    pub root: PathBuf,
    pub urls: [String; 3],
    /// Further settings of every node.
    pub properties: Vec<String>,
    _dir: Dir,
}

impl Places {
    pub fn over_unix() -> Places {
        let dir = Dir::new();
        let root = dir.file("secret", "open sesame\n").parent().unwrap().to_owned();
        let urls = [1, 2, 3].map(|node| format!("unix://{}", root.join(format!("{node}.sock")).display()));
        Places { root, urls, properties: Vec::new(), _dir: dir }
    }

    /// On addresses of the loopback network that nobody else has: they are this process's own.
    #[cfg(target_os = "linux")]
    fn over_tcp() -> Places {
        let [.., a, b, c] = std::process::id().to_be_bytes();
        let urls = [1, 2, 3].map(|node| format!("tcp://127.{}.{b}.{c}:{}", 1 + a % 250, 9300 + node));
        Places { urls, ..Places::over_unix() }
    }

    /// On free ports of the host that the certificates name.
    #[cfg(feature = "tls")]
    fn over_tls() -> Places {
        let listeners = [(); 3].map(|()| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
        let urls = listeners.map(|free| format!("tls://127.0.0.1:{}", free.local_addr().unwrap().port()));
        let data = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tls");
        let properties = vec![
            format!("ssl.keystore.location={data}/node-cert.pem"),
            format!("ssl.key.location={data}/node-key.pem"),
            format!("ssl.truststore.location={data}/ca.pem"),
        ];
        Places { urls, properties, ..Places::over_unix() }
    }

    pub fn data(&self, node: usize) -> PathBuf {
        self.root.join(format!("data-{node}"))
    }

    /// A verb as one of the nodes.
    fn verb(&self, verb: &str, node: usize) -> Command {
        let mut command = program();
        command.arg(verb).arg("--dir").arg(self.data(node)).arg("--node-id").arg(node.to_string());
        command.args(["--listen", &self.urls[node - 1], "--cluster-id", CLUSTER_ID]);
        for (peer, url) in (1..).zip(&self.urls) {
            command.arg("--peer").arg(format!("{peer}={url}"));
        }
        command.arg("--secret-file").arg(self.root.join("secret"));
        for property in &self.properties {
            command.args(["--engine-property", property]);
        }
        command
    }

    pub fn serve(&self, node: usize, words: &[&str]) -> Process {
        let mut command = self.verb("serve", node);
        command.args(words);
        let mut process = Process::start(command);
        let line = process.hears_of(&self.urls[node - 1]);
        assert!(line.contains("listen") && line.contains(CLUSTER_ID), "{line}");
        process
    }
}

/// Everything that lies in a directory, which another process may have open.
fn records_in(dir: &Path) -> Vec<String> {
    let mut command = program();
    command.args(["verifiable-consumer", "--read-only", "--no-check", "--dir"]).arg(dir);
    let mut found: Vec<String> = run(command, "").ok().lines().map(str::to_owned).collect();
    found.sort_unstable();
    found
}

fn is_claim(line: &str) -> bool {
    line.starts_with("t/")
}

/// Three processes replicate what one of them produces; one is killed and comes back, one hands over, and nothing that was
/// acknowledged is missing anywhere.
fn a_cluster_of_processes(places: &Places) {
    let topic = ["--topic", "t:1:3:min.insync.replicas=2"];
    let mut one = places.serve(1, &topic);
    let two = places.serve(2, &topic);
    let mut claims: Vec<String> = Vec::new();

    // The third node is the program that produces.
    let mut command = places.verb("verifiable-producer", 3);
    command.args(["--topic", "t", "--replication-factor", "3", "--config", "min.insync.replicas=2"]);
    let mut producer = Process::start(command);
    one.hears_of("Node 1 takes part");
    one.has_said(|line| line.contains("Topic t "));
    one.has_said(|line| line.contains("Partition t-0: in sync") && line.matches(',').count() == 2);
    let settled = |producer: &mut Process| (0..50).map(|_| producer.hears(is_claim)).collect::<Vec<_>>();
    claims.extend(settled(&mut producer));

    // A process dies, and the others go on.
    two.kill();
    one.hears(|line| line.contains("Partition t-0: in sync") && !line.contains('2'));
    claims.extend(settled(&mut producer));
    let two = places.serve(2, &topic);
    one.hears(|line| line.contains("Partition t-0: in sync") && line.contains('2'));
    claims.extend(settled(&mut producer));

    // A process is asked to end: it leads nothing any more when it does.
    let said = one.end();
    assert_eq!(said.last().map(String::as_str), Some("Node 1 has ended in order"));
    claims.extend(settled(&mut producer));
    let mut one = places.serve(1, &topic);
    one.hears_of("Node 1 takes part");
    one.hears(|line| line.contains("Partition t-0: in sync") && line.contains('1'));
    producer.kill();
    one.hears(|line| line.contains("Partition t-0: in sync") && !line.contains('3'));

    let ends = [one.end(), two.end()];
    for said in &ends {
        assert!(said.last().is_some_and(|line| line.ends_with("has ended in order")), "{said:#?}");
    }
    for node in [1, 2] {
        let found = records_in(&places.data(node));
        let missing: Vec<&String> = claims.iter().filter(|claim| found.binary_search(claim).is_err()).collect();
        assert!(missing.is_empty(), "node {node} lacks {missing:?} of {} records", found.len());
    }
}

#[test]
fn three_processes_over_unix_sockets_are_a_cluster() {
    a_cluster_of_processes(&Places::over_unix());
}

#[cfg(target_os = "linux")]
#[test]
fn three_processes_over_tcp_are_a_cluster() {
    a_cluster_of_processes(&Places::over_tcp());
}

#[cfg(feature = "tls")]
#[test]
fn three_processes_over_tls_are_a_cluster() {
    a_cluster_of_processes(&Places::over_tls());
}

#[cfg(feature = "tls")]
#[test]
fn a_client_of_a_cluster_over_tls_shows_a_certificate_too() {
    let places = Places::over_tls();
    let mut nodes = [1, 2, 3].map(|node| places.serve(node, &["--topic", "orders:1:3"]));
    nodes[0].hears_of("Topic orders ");
    let asked = |properties: &[String]| {
        let mut command = program();
        command.args(["topics", "--list", "--bootstrap-server", &places.urls.join(","), "--secret-file"]);
        command.arg(places.root.join("secret"));
        for property in properties {
            command.args(["--command-property", property]);
        }
        run(command, "")
    };
    assert_eq!(asked(&places.properties).ok().trim(), "orders");
    let error = asked(&[]).fails(2);
    assert!(error.contains("ssl.keystore.location"), "{error}");
    nodes.into_iter().for_each(|node| drop(node.end()));
}

#[test]
fn lines_on_standard_input_go_to_a_cluster_from_a_process_that_is_a_node_of_it() {
    let places = Places::over_unix();
    let topic = ["--topic", "t:2:3:min.insync.replicas=2", "--json"];
    let mut nodes = [1, 2, 3].map(|node| places.serve(node, &topic));
    nodes[0].hears_of("\"event\":\"topic\"");
    let [one, two, three] = nodes;
    three.end();
    let mut command = places.verb("console-producer", 3);
    command.args(["--topic", "t", "--sync"]);
    run(command, "one\ntwo\n").ok();
    let nodes = [one, two];
    let found: usize =
        nodes.into_iter().map(Process::end).zip(1..).map(|(_, node)| records_in(&places.data(node)).len()).sum();
    assert_eq!(found, 4, "two nodes have two records each");
}

#[test]
fn what_a_node_lacks_is_refused_before_anything_is_done() {
    let dir = Dir::new();
    let absent = dir.path();
    let absent = absent.to_str().unwrap();
    let refusals: &[(&[&str], i32, &str)] = &[
        (&["serve", "--dir", absent], 2, "--listen"),
        (&["serve", "--dir", absent, "--listen", "tcp://a:1", "--peer", "2=tcp://b:1"], 2, "--node-id"),
        (&["serve", "--dir", absent, "--node-id", "1", "--listen", "nowhere"], 2, "listeners"),
        (&["serve", "--dir", absent, "--node-id", "1", "--listen", "tls://127.0.0.1:9"], 2, NO_CERTIFICATES),
        (
            &["serve", "--dir", absent, "--node-id", "1", "--listen", "tcp://a:1", "--property", "listeners=tcp://b:1"],
            2,
            "listeners",
        ),
        (&["serve", "--dir", absent, "--node-id", "1", "--listen", "tcp://a:1", "--secret-file", absent], 3, absent),
        (
            &["serve", "--dir", absent, "--node-id", "1", "--listen", "tcp://a:1", "--topic", "t:3"],
            2,
            "name:partitions:replicas",
        ),
        (
            &["serve", "--dir", absent, "--node-id", "1", "--listen", "tcp://a:1", "--topic", "t:3:3:no.such=1"],
            2,
            "no.such",
        ),
        (&["serve", "--dir", absent, "--listen", "unix:///tmp/x"], 2, "--node-id"),
        (&["verifiable-producer", "--dir", absent, "--node-id", "3"], 2, "--listen"),
        (&["console-producer", "--topic", "t", "--dir", absent, "--cluster-id", CLUSTER_ID], 2, "--listen"),
    ];
    for (words, status, named) in refusals {
        let mut command = program();
        command.args(*words);
        let error = run(command, "").fails(*status);
        assert!(error.contains(named), "{words:?}: {error}");
        assert!(!dir.path().exists(), "{words:?} has made the directory");
    }
}
