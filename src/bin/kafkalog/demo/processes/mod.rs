//! Three nodes that are three processes, over Unix sockets, and this process as their client: in the middle of each pass the leader is
//! killed with SIGKILL, the producer goes on with another one, the dead node is started again and catches up. In the end the files of all
//! three are read and compared.

mod node;
mod sending;
mod summary;

use super::cluster::{compare, Pass, CLUSTER_ID, PASSES, TOPIC};
use super::input::Input;
use super::{Args, Say, LEVELS};
use crate::failure::{Failure, Outcome, Status};
use crate::print;
use kafkalog::{ClusterClient, NodeId, Offset, TopicConfig};
use node::{Changes, Node, Place};
use sending::Tally;
use std::collections::BTreeSet;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

const NODES: u32 = 3;
/// Whatever a cluster has to do takes less than this, or something is wrong.
const PATIENCE: Duration = Duration::from_secs(60);
/// What was sent is acknowledged or refused (`delivery.timeout.ms`) by then.
const DELIVERY_MAX: Duration = Duration::from_secs(150);
/// How often somebody looks who waits.
const LOOK: Duration = Duration::from_millis(5);
/// The longest path of a Unix socket.
const SOCKET_PATH_BYTES_MAX: usize = 100;

/// What one pass came to, and how the cluster took the loss of its leader.
struct Killed {
    pass: Pass,
    victim: NodeId,
    leader: NodeId,
    /// From the kill until a node that is left said that another one leads partition 0.
    elected: Option<Duration>,
    /// From the start of the dead node until it was in sync everywhere.
    caught_up: Duration,
}

struct Processes {
    places: Vec<Place>,
    nodes: Vec<Option<Node>>,
    secret: PathBuf,
    changes: Changes,
    client: ClusterClient,
    partitions: u32,
}

pub fn run(dir: &Path, args: &Args, input: &Input, json: bool) -> Outcome {
    let mut say = Say { json };
    let mut processes = Processes::start(dir, args.partitions)?;
    say.line(&format!(
        "{} lines ({}) from {}, {}: topic {TOPIC} of {} partitions, 3 replicas, min.insync.replicas=2, on three processes in {}",
        print::count(input.line_count()),
        print::bytes(input.bytes()),
        input.name(),
        print::counted(u64::from(input.rounds()), "round"),
        args.partitions,
        dir.display()
    ))?;
    let mut passes = Vec::new();
    for level in 0..PASSES {
        passes.push(processes.pass(input, level, &mut say)?);
    }
    let high_watermarks = processes.settle()?;
    let dirs: Vec<PathBuf> = processes.places.iter().map(|place| place.dir.clone()).collect();
    processes.end()?;
    let partitions = args.partitions;
    let sent: Vec<&Pass> = passes.iter().map(|killed| &killed.pass).collect();
    let compared = compare(&dirs, partitions, input, &sent, Some(&high_watermarks))?;
    let summary = summary::Summary { input, dir, partitions, passes: &passes, compared: &compared };
    summary.print(json, &high_watermarks)?;
    if compared.is_as_promised(partitions) {
        Ok(())
    } else {
        Err(Failure::failed("what was found is not what was promised"))
    }
}

impl Processes {
    fn start(dir: &Path, partitions: u32) -> Outcome<Processes> {
        let places = places(dir)?;
        let secret = dir.join("secret");
        write_secret(&secret)?;
        let changes = Changes::default();
        let nodes: Vec<Option<Node>> = places
            .iter()
            .map(|place| Node::start(place, &places, &secret, &changes).map(Some))
            .collect::<Outcome<_>>()?;
        let servers: Vec<&str> = places.iter().map(|place| place.url.as_str()).collect();
        let word = std::fs::read_to_string(&secret).map_err(|error| Failure::file(&secret, &error))?;
        let client = ClusterClient::builder()
            .set("bootstrap.servers", &servers.join(","))?
            .set("cluster.id", CLUSTER_ID)?
            .set("cluster.secret", word.trim_end())?
            .connect()?;
        let processes = Processes { places, nodes, secret, changes, client, partitions };
        processes.wait("the nodes find each other", |processes| {
            Ok(processes.client.describe_cluster()?.nodes.len() == NODES as usize)
        })?;
        let config = TopicConfig::new().partitions(partitions).replication(3).set("min.insync.replicas", "2")?;
        processes.client.create_topic(TOPIC, config)?;
        Ok(processes)
    }

    /// Looks until it is so, for a minute at the most.
    fn wait(&self, what: &str, is_so: impl Fn(&Processes) -> Outcome<bool>) -> Outcome {
        let start = Instant::now();
        while !is_so(self)? {
            if start.elapsed() > PATIENCE {
                let logs = self.places[0].log.display();
                return Err(Failure::failed(format!(
                    "waited for a minute: {what}; what the nodes say: {logs} and its like"
                )));
            }
            std::thread::park_timeout(LOOK);
        }
        Ok(())
    }

    /// Who leads each partition now.
    fn leaders(&self) -> Outcome<Vec<Option<NodeId>>> {
        self.client.topics()?;
        (0..self.partitions).map(|n| Ok(self.client.describe_partition(TOPIC, n)?.leader)).collect()
    }

    /// Every partition has its three replicas in sync.
    fn is_whole(&self) -> Outcome<bool> {
        self.client.topics()?;
        for partition in 0..self.partitions {
            let known = self.client.describe_partition(TOPIC, partition)?;
            if known.isr.len() != NODES as usize || known.leader.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// All lines with one level of acks; in the middle the leader of partition 0 is killed, in the end it is back.
    fn pass(&mut self, input: &Input, level: usize, say: &mut Say) -> Outcome<Killed> {
        self.wait("every replica is in sync", Processes::is_whole)?;
        let leaders = self.leaders()?;
        let victim = leaders[0].ok_or_else(|| Failure::failed("partition 0 has no leader"))?;
        let led: BTreeSet<u32> =
            (0..).zip(&leaders).filter(|(_, leader)| **leader == Some(victim)).map(|(n, _)| n).collect();
        let seat = victim.0 as usize - 1;
        let node = self.nodes[seat].take().ok_or_else(|| Failure::failed("the leader is not running"))?;
        let process = node.process();

        let (records, half) = (input.record_count(), input.record_count() / 2);
        let tally = Arc::new(Tally::new(records));
        let producer = self.client.producer().acks(LEVELS[level].acks).delivery_sink(tally.clone()).open()?;
        let begin = Instant::now();
        tally.send(&producer, TOPIC, input, level, 0..half)?;
        tally.wait_for(half, led);
        let killed_at = Instant::now();
        node.kill()?;
        tally.send(&producer, TOPIC, input, level, half..records)?;
        let closed = producer.close(DELIVERY_MAX);
        let elapsed = begin.elapsed();
        let counts = tally.take();
        if counts.acked.iter().flatten().count() as u64 + counts.failed < records {
            closed?; // each record's own failure is counted, but here some have no outcome at all
        }
        if let Some(failure) = &counts.first_failure {
            eprintln!("kafkalog: {} not acknowledged, the first: {failure}", print::counted(counts.failed, "record"));
        }
        let leads_now = |leader: Option<NodeId>| leader.filter(|leader| *leader != victim);
        self.wait("another node leads", |processes| Ok(leads_now(processes.leaders()?[0]).is_some()))?;
        let leader = leads_now(self.leaders()?[0]).unwrap_or(victim);
        let elected = self.changes.elected(0, victim, killed_at).map(|(at, _)| at - killed_at);
        // With acks=0 the acknowledgement is the producer's own, and says nothing of the cluster.
        let outage = counts.again.filter(|_| level > 0).map(|again| again.saturating_duration_since(killed_at));

        let started = Instant::now();
        self.nodes[seat] = Some(Node::start(&self.places[seat], &self.places, &self.secret, &self.changes)?);
        self.wait("the dead node catches up", Processes::is_whole)?;
        let caught_up = started.elapsed();
        let pass = Pass { level, sent: records, acked: counts.acked, failed: counts.failed, outage, elapsed };
        let killed = Killed { pass, victim, leader, elected, caught_up };
        say.line(&killed.line(process))?;
        Ok(killed)
    }

    /// Waits until everybody has everything, and answers how far that is in each partition.
    fn settle(&self) -> Outcome<Vec<Offset>> {
        self.wait("every replica is in sync", Processes::is_whole)?;
        let mut high_watermarks = Vec::new();
        for partition in 0..self.partitions {
            let start = Instant::now();
            let end = loop {
                let known = self.client.describe_replicas(TOPIC, partition)?;
                let end = known.high_watermark.filter(|high_watermark| {
                    known.states.len() == NODES as usize
                        && known.states.iter().all(|state| state.log_end == *high_watermark)
                });
                match end {
                    Some(end) => break end,
                    None if start.elapsed() > PATIENCE => {
                        return Err(Failure::failed(format!("{TOPIC}-{partition}: the replicas stay apart")));
                    }
                    None => std::thread::park_timeout(LOOK),
                }
            };
            high_watermarks.push(end);
        }
        Ok(high_watermarks)
    }

    /// One after the other, as an operator would.
    fn end(mut self) -> Outcome {
        self.client.close()?;
        self.nodes.iter_mut().filter_map(Option::take).try_for_each(|node| node.end(PATIENCE))
    }
}

/// Directories, addresses and logs of the three. Nobody's files are overwritten.
fn places(dir: &Path) -> Outcome<Vec<Place>> {
    let dir = std::fs::canonicalize(dir).map_err(|error| Failure::file(dir, &error))?;
    let mut sockets = dir.clone();
    if sockets.as_os_str().len() + "/node-1.sock".len() > SOCKET_PATH_BYTES_MAX {
        sockets = std::env::temp_dir().join(format!("kafkalog-{}", std::process::id()));
        std::fs::create_dir_all(&sockets).map_err(|error| Failure::file(&sockets, &error))?;
    }
    let place = |id: u32| {
        let own = dir.join(format!("node-{id}"));
        if own.exists() {
            let text = format!("{}: it is there already; take another directory", own.display());
            return Err(Failure::new(Status::CannotOpen, text));
        }
        let url = format!("unix://{}", sockets.join(format!("node-{id}.sock")).display());
        Ok(Place { id, log: dir.join(format!("node-{id}.log")), dir: own, url })
    };
    (1..=NODES).map(place).collect()
}

/// Drawn anew for each cluster, for the eyes of this user only.
fn write_secret(path: &Path) -> Outcome {
    let number = getrandom::u64().map_err(|error| Failure::failed(format!("no randomness: {error}")))?;
    let file = std::fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(path);
    let written = file.and_then(|mut file| writeln!(file, "{number:016x}"));
    written.map_err(|error| Failure::file(path, &error))
}

impl Killed {
    fn line(&self, process: u32) -> String {
        let Killed { pass, victim, leader, .. } = self;
        let seconds = |time: Duration| format!("{:.2} s", time.as_secs_f64());
        let elected = self.elected.map_or("when nobody saw it".to_owned(), |time| format!("after {}", seconds(time)));
        let again =
            pass.outage.map_or_else(String::new, |time| format!(", acknowledges again after {}", seconds(time)));
        format!(
            "{:<9} {} sent, {} acknowledged, {} failed in {}; node {victim} (process {process}) killed with SIGKILL in the middle: node \
             {leader} leads {elected}{again}; node {victim} is back in sync {} after its start",
            LEVELS[pass.level].name,
            print::count(pass.sent),
            print::count(pass.acked_count()),
            print::count(pass.failed),
            seconds(pass.elapsed),
            seconds(self.caught_up)
        )
    }
}
