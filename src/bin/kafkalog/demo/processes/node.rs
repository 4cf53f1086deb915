//! One of the three nodes: `serve` in a child process, which says on its standard output what happens.

use super::super::cluster::CLUSTER_ID;
use crate::failure::{Failure, Outcome};
use kafkalog::NodeId;
use parking_lot::Mutex;
use serde_json::Value;
use std::fs::OpenOptions;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Where a node lives.
#[derive(Clone)]
pub struct Place {
    pub id: u32,
    pub dir: PathBuf,
    pub url: String,
    /// What it says on standard error.
    pub log: PathBuf,
}

/// A change of leaders that one of the nodes has told of.
#[derive(Clone, Copy)]
struct Change {
    at: Instant,
    partition: u32,
    leader: Option<NodeId>,
}

/// What all of them have told.
#[derive(Clone, Default)]
pub struct Changes(Arc<Mutex<Vec<Change>>>);

/// A running node. It ends when this is dropped: in order if there is time, else killed.
pub struct Node {
    child: Child,
    /// It goes on for as long as this is open, and not longer than this process.
    stdin: Option<ChildStdin>,
}

impl Changes {
    /// When the first node heard, after `since`, that somebody else than `victim` leads.
    pub fn elected(&self, partition: u32, victim: NodeId, since: Instant) -> Option<(Instant, NodeId)> {
        let changes = self.0.lock();
        let others = changes.iter().filter(|change| change.partition == partition && change.at >= since);
        others.filter_map(|change| Some((change.at, change.leader.filter(|leader| *leader != victim)?))).min()
    }

    fn listen(&self, out: ChildStdout, topic: &'static str) {
        let changes = self.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                let Ok(event) = serde_json::from_str::<Value>(&line) else { continue };
                let partition = event["partition"].as_u64().and_then(|number| u32::try_from(number).ok());
                let is_meant = event["event"] == "leader_changed" && event["topic"] == topic;
                if let Some(partition) = partition.filter(|_| is_meant) {
                    let leader = event["leader"].as_u64().and_then(|node| u32::try_from(node).ok()).map(NodeId);
                    changes.0.lock().push(Change { at: Instant::now(), partition, leader });
                }
            }
        });
    }
}

impl Node {
    pub fn start(place: &Place, all: &[Place], secret: &std::path::Path, changes: &Changes) -> Outcome<Node> {
        let failed = |what: &str, error: &std::io::Error| Failure::failed(format!("{what}: {error}"));
        let own = std::env::current_exe().map_err(|error| failed("the own program's path", &error))?;
        let log = OpenOptions::new().create(true).append(true).open(&place.log);
        let log = log.map_err(|error| Failure::file(&place.log, &error))?;
        let mut command = Command::new(own);
        command.args(["serve", "--json", "--end-with-stdin", "--dir"]).arg(&place.dir);
        command.args(["--node-id", &place.id.to_string(), "--listen", &place.url, "--cluster-id", CLUSTER_ID]);
        command.arg("--secret-file").arg(secret);
        for peer in all {
            command.args(["--peer", &format!("{}={}", peer.id, peer.url)]);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
        let mut child = command.spawn().map_err(|error| failed("starting a node", &error))?;
        let stdin = child.stdin.take();
        changes.listen(child.stdout.take().expect("it was asked for"), super::super::cluster::TOPIC);
        Ok(Node { child, stdin })
    }

    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL; on return the process is gone.
    pub fn kill(mut self) -> Outcome {
        let killed = self.child.kill().and_then(|()| self.child.wait());
        killed.map(|_| ()).map_err(|error| Failure::failed(format!("killing a node: {error}")))
    }

    /// Asks it to end, and waits until it has.
    pub fn end(mut self, patience: Duration) -> Outcome {
        drop(self.stdin.take());
        let began = Instant::now();
        loop {
            let ended =
                self.child.try_wait().map_err(|error| Failure::failed(format!("waiting for a node: {error}")))?;
            match ended {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(Failure::failed(format!("a node has not ended in order: {status}"))),
                None if began.elapsed() > patience => return Err(Failure::failed("a node does not end")),
                None => std::thread::park_timeout(super::LOOK),
            }
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended already, and then there is nobody to be killed or waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
