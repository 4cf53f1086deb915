//! `verifiable-producer`: the workload of the fault tools. It prints one line for each acknowledged record, after the
//! acknowledgement and what it promises has come true, and writes each line with one system call:
//!
//! ```text
//! topic/partition/offset crc        the crc-32c of the value, in hexadecimal
//! # ...                             a comment: acks=0 promises nothing, so its records are no claims
//! ```
//!
//! With --json a line is an object. With --times a claim ends in ` @` and the milliseconds since the start, taken after the
//! acknowledgement: `.ci/flush-window` needs to know
//! how old a lost record was.
//!
//! With --listen the process is a node of a cluster, with --bootstrap-server a client of one; it produces to the leaders wherever they are.
//!
//! With one producer and one partition the lines come in the order of the log.

use crate::claim;
use crate::failure::{Failure, Outcome};
use crate::membership::{create_topic, Membership};
use crate::target::{Property, Target, Writing};
use kafkalog::{Delivery, Producer, Record, Rung, TopicConfig};
use std::collections::VecDeque;
use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Sends under way with --async before the oldest is waited for.
const UNDER_WAY_MAX: usize = 1000;
/// As a node of a cluster: how long the others may take to come.
const JOIN_MAX: Duration = Duration::from_secs(60);

#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    at: Writing,
    #[command(flatten)]
    membership: Membership,
    /// The topic; created when it is not there
    #[arg(long, default_value = "verifiable")]
    topic: String,
    /// Partitions of a new topic
    #[arg(long, default_value_t = 1, value_name = "N")]
    partitions: u32,
    /// Replicas of a new topic
    #[arg(long, default_value_t = 1, value_name = "N")]
    replication_factor: u16,
    /// 0, 1 or all
    #[arg(long, default_value = "all")]
    acks: String,
    /// flush.messages of a new topic: 1 makes every acknowledgement wait for the flush
    #[arg(long, value_name = "N")]
    flush_messages: Option<u64>,
    /// flush.ms of a new topic
    #[arg(long, value_name = "MS")]
    flush_ms: Option<u64>,
    /// segment.bytes of a new topic
    #[arg(long, value_name = "BYTES")]
    segment_bytes: Option<u32>,
    /// Another setting of a new topic; may be repeated
    #[arg(long = "config", value_name = "K=V", value_parser = crate::target::property)]
    configs: Vec<Property>,
    /// batch.size of the producers
    #[arg(long, value_name = "BYTES")]
    batch_size: Option<u32>,
    /// linger.ms of the producers
    #[arg(long, default_value_t = 0, value_name = "MS")]
    linger_ms: u64,
    /// Producers, each on a thread of its own
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    producers: u32,
    /// none, gzip, snappy, lz4 or zstd
    #[arg(long, default_value = "none")]
    codec: String,
    /// Decides keys, values and partitions
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Records in all; without end when it is not given
    #[arg(long, value_name = "N")]
    max_messages: Option<u64>,
    /// Bytes of a value
    #[arg(long, default_value_t = 100, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(..=1 << 26))]
    payload_bytes: u32,
    /// End each line with the time of its acknowledgement
    #[arg(long)]
    times: bool,
    /// Do not wait for each acknowledgement before the next send
    #[arg(long = "async")]
    is_async: bool,
}

pub fn run(args: &Args, json: bool) -> Outcome {
    let config = topic_config(args)?;
    let target = args.at.open_as(&args.membership)?;
    create_topic(&target, &args.topic, &config, JOIN_MAX)?;
    let (next, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let run = &Run { args, json, target: &target, began: Instant::now(), next, stop };
    let outcome = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..args.producers).map(|number| scope.spawn(move || run.produce(number))).collect();
        let outcomes: Vec<Outcome> =
            threads.into_iter().map(|thread| thread.join().expect("a panic has been reported by its thread")).collect();
        outcomes.into_iter().collect::<Outcome>()
    });
    let closed = target.close();
    outcome?;
    closed?;
    Ok(())
}

fn topic_config(args: &Args) -> Outcome<TopicConfig> {
    let mut config = TopicConfig::new().partitions(args.partitions).replication(args.replication_factor);
    let numbers = [
        ("flush.messages", args.flush_messages),
        ("flush.ms", args.flush_ms),
        ("segment.bytes", args.segment_bytes.map(u64::from)),
    ];
    for (name, number) in numbers {
        if let Some(number) = number {
            config = config.set(name, &number.to_string())?;
        }
    }
    for (name, value) in &args.configs {
        config = config.set(name, value)?;
    }
    Ok(config)
}

struct Run<'a> {
    args: &'a Args,
    json: bool,
    target: &'a Target,
    began: Instant,
    /// Number of the next record, over all producers.
    next: AtomicU64,
    stop: AtomicBool,
}

impl Run<'_> {
    fn produce(&self, number: u32) -> Outcome {
        let outcome = self.produce_until_stopped(number);
        if outcome.is_err() {
            self.stop.store(true, Ordering::Release);
        }
        outcome
    }

    fn produce_until_stopped(&self, number: u32) -> Outcome {
        let args = self.args;
        let mut builder = self.target.producer().set("acks", &args.acks)?;
        builder = builder.set("linger.ms", &args.linger_ms.to_string())?.set("compression.type", &args.codec)?;
        if let Some(bytes) = args.batch_size {
            builder = builder.set("batch.size", &bytes.to_string())?;
        }
        let producer = builder.open()?;
        let mut rng = fastrand::Rng::with_seed(args.seed ^ (u64::from(number) << 32));
        let mut under_way = VecDeque::new();
        let partitions = self.partitions()?;
        while !self.stop.load(Ordering::Acquire) {
            let record = self.next.fetch_add(1, Ordering::Relaxed);
            if args.max_messages.is_some_and(|max| record >= max) {
                break;
            }
            let value = payload(&mut rng, record, args.payload_bytes as usize);
            under_way
                .push_back((self.send(&producer, record, &value, rng.u32(0..partitions))?, crc32c::crc32c(&value)));
            let left = if args.is_async { UNDER_WAY_MAX } else { 0 };
            while under_way.len() > left || under_way.front().is_some_and(|(delivery, _)| delivery.is_done()) {
                let (delivery, crc) = under_way.pop_front().expect("there is a first one");
                self.claim(delivery, crc)?;
            }
        }
        for (delivery, crc) in under_way {
            self.claim(delivery, crc)?;
        }
        Ok(producer.close(Duration::from_secs(60))?)
    }

    /// A topic that was there already may have another number of partitions than was asked for.
    fn partitions(&self) -> Outcome<u32> {
        let topics = self.target.topics()?;
        let own = topics.iter().find(|topic| *topic.name == *self.args.topic);
        own.map(|topic| topic.partition_count).ok_or_else(|| Failure::failed("the topic is gone"))
    }

    fn send(&self, producer: &Producer, record: u64, value: &[u8], partition: u32) -> Outcome<Delivery> {
        let key = record.to_be_bytes();
        Ok(producer.send(Record::new(&self.args.topic, value).key(&key).partition(partition))?)
    }

    /// Waits until the promise of the acknowledgement holds, and says so.
    fn claim(&self, delivery: Delivery, crc: u32) -> Outcome {
        let placed = delivery.wait()?;
        if self.args.flush_messages == Some(1) && self.args.acks != "0" && placed.rung < Rung::Flushed {
            let rung = placed.rung;
            return Err(Failure::failed(format!("acknowledged at {rung:?} although flush.messages=1")));
        }
        let at_ms = self.args.times.then(|| u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX));
        let mut line = match placed.offset {
            Some(offset) => claim::record(self.json, (&placed.topic, placed.partition, offset.0), crc, at_ms),
            None => claim::note(self.json, &format!("buffered {crc:08x}")),
        };
        line.push('\n');
        // Standard output of a Rust program is buffered by lines: one line, one write.
        let mut out = std::io::stdout().lock();
        out.write_all(line.as_bytes())?;
        Ok(out.flush()?)
    }
}

/// The number of the record and bytes by lot, so that no two values are alike.
fn payload(rng: &mut fastrand::Rng, record: u64, bytes: usize) -> Vec<u8> {
    let mut value = record.to_be_bytes().to_vec();
    value.resize(bytes, 0);
    if bytes > 8 {
        rng.fill(&mut value[8..]);
    }
    value
}
