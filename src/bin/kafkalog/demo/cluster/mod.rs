//! Three nodes that replicate one topic, in this very process: the leader falls silent in the middle of each pass, another goes on, the dead one
//! comes back and catches up. In the end every file of the three directories is compared.
//!
//! A node of one process cannot be killed with SIGKILL alone. It is cut off instead, by a transport of our own between the engine and its
//! channel: from one moment to the next nothing that it says is heard and it hears nothing; what it has acknowledged until then stands
//! as it would after a kill.

mod plug;
mod verify;

use super::input::Input;
use super::{send, Say, LEVELS};
use crate::failure::{Failure, Outcome};
use crate::print;
use kafkalog::{ChannelHub, Delivery, Engine, ErrorCode, NodeId, Producer, TopicConfig};
use plug::Plug;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use verify::{compare, Compared, Replicated};

/// The topic that is replicated.
pub const TOPIC: &str = "demo-replicated";
/// Passes, in the order of what they promise: acks=0, 1 and all.
pub const PASSES: usize = 3;
const NODES: u32 = 3;
/// Any cluster has an identity; this one says "kafkalog-demo-id".
pub const CLUSTER_ID: &str = "a2Fma2Fsb2ctZGVtby1pZA";
/// Whatever a cluster has to do takes less than this, or something is wrong.
const PATIENCE: Duration = Duration::from_secs(60);
/// Sends under way before the oldest is waited for.
const UNDER_WAY_MAX: usize = 1_000;
/// How often somebody looks who waits.
const LOOK: Duration = Duration::from_millis(5);

/// What one pass over the three nodes came to.
pub struct Pass {
    pub level: usize,
    pub sent: u64,
    /// Where each acknowledged record is said to be: partition and offset (`None` with acks=0), by its number.
    pub acked: Vec<Option<(u32, Option<u64>)>>,
    pub failed: u64,
    /// From the cut to the first record that a partition of the dead leader acknowledged again.
    pub outage: Option<Duration>,
    pub elapsed: Duration,
}

impl Pass {
    pub fn acked_count(&self) -> u64 {
        self.acked.iter().flatten().count() as u64
    }
}

/// Everything about the three nodes.
pub struct Report {
    pub passes: Vec<Pass>,
    pub compared: Compared,
    pub dirs: Vec<PathBuf>,
}

struct Seat {
    dir: PathBuf,
    plug: Arc<Plug>,
    engine: Option<Engine>,
}

struct Cluster {
    hub: ChannelHub,
    seats: Vec<Seat>,
    partitions: u32,
    lives: u32,
}

pub fn run(dir: &Path, partitions: u32, input: &Input, say: &mut Say) -> Outcome<Report> {
    let mut cluster = Cluster { hub: ChannelHub::new(), seats: Vec::new(), partitions, lives: 0 };
    for id in 1..=NODES {
        let place = dir.join(format!("node-{id}"));
        std::fs::create_dir_all(&place).map_err(|error| Failure::file(&place, &error))?;
        cluster.seats.push(Seat { dir: place, plug: Arc::default(), engine: None });
    }
    for id in 1..=NODES {
        cluster.start(id)?;
    }
    cluster.wait("the nodes find each other", |cluster| {
        let described = cluster.engine(1).describe_cluster()?;
        Ok(described.nodes.iter().filter(|node| !node.is_fenced).count() == NODES as usize)
    })?;
    let config = TopicConfig::new().partitions(partitions).replication(3).set("min.insync.replicas", "2")?;
    cluster.engine(1).create_topic(TOPIC, config)?;
    say.line(&format!(
        "\nthree nodes, topic {TOPIC}: {partitions} partitions, 3 replicas, min.insync.replicas=2; the leader of partition 0 is cut off \
         in the middle of each pass"
    ))?;
    let mut passes = Vec::new();
    for level in 0..PASSES {
        passes.push(cluster.pass(input, level, say)?);
    }
    let dirs: Vec<PathBuf> = cluster.seats.iter().map(|seat| seat.dir.clone()).collect();
    cluster.close()?;
    let compared = compare(&dirs, partitions, input, &passes.iter().collect::<Vec<_>>(), None)?;
    Ok(Report { passes, compared, dirs })
}

impl Cluster {
    fn engine(&self, id: u32) -> &Engine {
        self.seats[id as usize - 1].engine.as_ref().expect("only whoever is running is asked")
    }

    fn start(&mut self, id: u32) -> Outcome {
        self.lives += 1;
        let voters: Vec<String> = (1..=NODES).map(|id| format!("{id}@inproc://node-{id}")).collect();
        let inner = self.hub.transport(&format!("node-{id}"))?;
        let plug = Arc::new(Plug::new(inner));
        let seat = &mut self.seats[id as usize - 1];
        let engine = Engine::builder(&seat.dir)
            .set("node.id", &id.to_string())?
            .set("cluster.id", CLUSTER_ID)?
            .set("controller.quorum.voters", &voters.join(","))?
            .set("listeners", &format!("inproc://node-{id}"))?
            .transport(Arc::clone(&plug) as _)
            .open()
            .map_err(|error| Failure::opening(&seat.dir, &error))?;
        (seat.plug, seat.engine) = (plug, Some(engine));
        Ok(())
    }

    /// Looks until it is so, for a minute at the most.
    fn wait(&self, what: &str, is_so: impl Fn(&Cluster) -> Outcome<bool>) -> Outcome {
        let start = Instant::now();
        while !is_so(self)? {
            if start.elapsed() > PATIENCE {
                return Err(Failure::failed(format!("waited for a minute: {what}")));
            }
            std::thread::park_timeout(LOOK);
        }
        Ok(())
    }

    fn leader(&self, asked: u32, partition: u32) -> Outcome<Option<NodeId>> {
        match self.engine(asked).describe_replicas(TOPIC, partition) {
            Ok(replicas) => Ok(replicas.leader),
            Err(error) if error.code() == ErrorCode::UNKNOWN_TOPIC_OR_PARTITION => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// All lines with one level of acks; in the middle the leader of partition 0 is lost, in the end it is back.
    fn pass(&mut self, input: &Input, level: usize, say: &mut Say) -> Outcome<Pass> {
        self.wait("every replica is in sync", |cluster| cluster.is_whole(1))?;
        let victim = self.leader(1, 0)?.map_or(1, |leader| leader.0);
        let sender = victim % NODES + 1;
        let producer = self.engine(sender).producer().acks(LEVELS[level].acks).open()?;
        let mut sending = Sending::new(level, input, &producer);
        let start = Instant::now();
        sending.send(0..input.record_count() / 2)?;
        self.seats[victim as usize - 1].plug.pull();
        let cut_at = Instant::now();
        sending.send(input.record_count() / 2..input.record_count())?;
        sending.finish();
        let mut pass = sending.pass;
        pass.elapsed = start.elapsed();
        producer.close(PATIENCE)?;
        self.wait("another node leads", |cluster| {
            Ok(cluster.leader(sender, 0)?.is_some_and(|leader| leader.0 != victim))
        })?;
        pass.outage = pass.outage.map(|at| at.saturating_sub(cut_at - start));
        say.line(&format!(
            "{:<9} {} sent by node {sender}, {} acknowledged, {} failed in {:.3} s; node {victim} cut off, node {} leads",
            LEVELS[level].name,
            print::count(pass.sent),
            print::count(pass.acked_count()),
            print::count(pass.failed),
            pass.elapsed.as_secs_f64(),
            self.leader(sender, 0)?.map_or_else(|| "none".to_owned(), |leader| leader.to_string())
        ))?;
        // Its process would be gone; ours closes what it cannot kill. Nobody hears it do so.
        if let Some(engine) = self.seats[victim as usize - 1].engine.take() {
            let _ = engine.close_timeout(Duration::from_secs(5)); // it cannot leave in order, being cut off
        }
        self.start(victim)?;
        self.wait("the lost node catches up", |cluster| cluster.is_whole(sender))?;
        Ok(pass)
    }

    /// Every partition has its three replicas in sync, as `asked` hears.
    fn is_whole(&self, asked: u32) -> Outcome<bool> {
        for partition in 0..self.partitions {
            match self.engine(asked).describe_replicas(TOPIC, partition) {
                Ok(replicas) if replicas.isr.len() == NODES as usize && replicas.leader.is_some() => {}
                Ok(_) => return Ok(false),
                Err(error) if error.code() == ErrorCode::UNKNOWN_TOPIC_OR_PARTITION => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(true)
    }

    /// One after the other, as an operator would.
    fn close(mut self) -> Outcome {
        self.wait("every replica is in sync", |cluster| cluster.is_whole(1))?;
        for seat in &mut self.seats {
            if let Some(engine) = seat.engine.take() {
                engine.close()?;
            }
        }
        Ok(())
    }
}

struct Sending<'a> {
    input: &'a Input,
    producer: &'a Producer,
    under_way: VecDeque<(u64, Delivery)>,
    start: Instant,
    pass: Pass,
}

impl<'a> Sending<'a> {
    fn new(level: usize, input: &'a Input, producer: &'a Producer) -> Sending<'a> {
        let records = usize::try_from(input.record_count()).unwrap_or(usize::MAX);
        let pass =
            Pass { level, sent: 0, acked: vec![None; records], failed: 0, outage: None, elapsed: Duration::ZERO };
        Sending { input, producer, under_way: VecDeque::new(), start: Instant::now(), pass }
    }

    fn send(&mut self, numbers: std::ops::Range<u64>) -> Outcome {
        let is_second_half = numbers.start > 0;
        for number in numbers {
            match send::send(self.producer, TOPIC, self.input, self.pass.level, number) {
                Ok(delivery) => self.under_way.push_back((number, delivery)),
                Err(error) => self.refused(number, &error),
            }
            self.pass.sent += 1;
            if self.under_way.len() > UNDER_WAY_MAX {
                self.settle_oldest(is_second_half);
            }
        }
        Ok(())
    }

    fn finish(&mut self) {
        while !self.under_way.is_empty() {
            self.settle_oldest(true);
        }
    }

    fn settle_oldest(&mut self, is_second_half: bool) {
        let Some((number, delivery)) = self.under_way.pop_front() else { return };
        match delivery.wait() {
            Ok(placed) => {
                let place = usize::try_from(number).expect("it has a place");
                self.pass.acked[place] = Some((placed.partition, placed.offset.map(|offset| offset.0)));
                // Partition 0 is the one that has lost its leader.
                if is_second_half && placed.partition == 0 && number >= self.input.record_count() / 2 {
                    self.pass.outage.get_or_insert(self.start.elapsed());
                }
            }
            Err(error) => self.refused(number, &error),
        }
    }

    fn refused(&mut self, number: u64, error: &kafkalog::Error) {
        if self.pass.failed == 0 {
            eprintln!("kafkalog: record {number} was not acknowledged: {error}");
        }
        self.pass.failed += 1;
    }
}
