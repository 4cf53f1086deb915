//! Records what a cluster does to its clients, as lines of JSON: every send, how it ended, every poll. `tests/lab/run` breaks the
//! cluster meanwhile, and a checker of histories says afterwards whether every promise was kept.
//!
//! ```text
//! history record FILE bootstrap.servers=URL[,URL] cluster.id=ID ... [NAME=VALUE ...]
//! history log DIR REPLICA TOPIC        one line a partition: what lies in this directory
//! ```
//!
//! While it records it obeys the lines of its standard input and answers each with one line: `isr` (leaders and in-sync replicas as the
//! cluster tells them), `elect` (preferred leaders), `stop` (no more sends; waits until every one has ended), `drain` (the first consumer
//! reads to the end). The end of the input ends it.

use kafkalog::{
    ClusterClient, Consumer, ElectionType, Engine, ErrorCode, Producer, Record, RecordMetadata, StartAt, TopicPartition,
};
use serde_json::{json, Value};
use std::collections::BTreeMap;
use std::error::Error;
use std::fs::File;
use std::io::{BufRead, BufWriter, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// How long one poll waits.
const POLL: Duration = Duration::from_millis(100);
/// How long a drained consumer may take to come to the end.
const DRAIN_MAX: Duration = Duration::from_secs(60);

fn main() -> Outcome {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["record", file, ..] => record(file, &words[2..]),
        ["log", dir, replica, topic] => log(dir, replica, topic),
        _ => Err("history record FILE NAME=VALUE... | history log DIR REPLICA TOPIC".into()),
    }
}

/// What is recorded, by all threads, and the clock that they share.
struct History {
    file: Mutex<BufWriter<File>>,
    began: (u128, Instant),
    next: AtomicU64,
}

impl History {
    /// Nanoseconds since 1970, by a clock that never goes back.
    fn now(&self) -> u64 {
        let (base, began) = self.began;
        u64::try_from(base + began.elapsed().as_nanos()).expect("until the year 2554")
    }

    fn say(&self, event: &Value) {
        writeln!(self.file.lock().expect("nobody panics with it"), "{event}").expect("the history can be written");
    }
}

/// How the load is made; every other setting goes to the client, or with `producer.` and `consumer.` before it to these.
struct Load {
    topic: String,
    partitions: u32,
    producers: usize,
    window: usize,
    pace: Duration,
    /// The second consumer begins anew from the first record this often, and what it reads then was committed long ago; zero: there is none.
    afresh: Duration,
}

fn record(file: &str, words: &[String]) -> Outcome {
    let mut settings = BTreeMap::new();
    for word in words {
        let (name, value) = word.split_once('=').ok_or_else(|| format!("{word}: not of the form name=value"))?;
        settings.insert(name.to_owned(), value.to_owned());
    }
    let mut take = |name: &str, default: &str| settings.remove(name).unwrap_or_else(|| default.to_owned());
    let load = Load {
        topic: take("topic", "t"),
        partitions: take("partitions", "3").parse()?,
        producers: take("producers", "4").parse()?,
        window: take("window", "1").parse()?,
        pace: Duration::from_micros(take("pace.us", "5000").parse()?),
        afresh: Duration::from_millis(take("afresh.ms", "2000").parse()?),
    };
    let began = (SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos(), Instant::now());
    let file = Mutex::new(BufWriter::new(File::create(file)?));
    let history = Arc::new(History { file, began, next: AtomicU64::new(0) });
    let of = |prefix: &str| -> Vec<(String, String)> {
        let own = settings.iter().filter_map(|(name, value)| Some((name.strip_prefix(prefix)?, value)));
        own.map(|(name, value)| (name.to_owned(), value.clone())).collect()
    };
    let (for_producers, for_consumers) = (of("producer."), of("consumer."));
    let mut builder = ClusterClient::builder();
    for (name, value) in
        settings.iter().filter(|(name, _)| !name.starts_with("producer.") && !name.starts_with("consumer."))
    {
        builder = builder.set(name, value)?;
    }
    let client = builder.connect()?;
    let run = Arc::new(Run { client, history, load, stop: AtomicBool::new(false), drained: AtomicBool::new(false) });
    let mut producers = Vec::new();
    for number in 0..run.load.producers {
        let mut builder = run.client.producer();
        for (name, value) in &for_producers {
            builder = builder.set(name, value)?;
        }
        let (run, producer) = (Arc::clone(&run), builder.open()?);
        // Every other one waits for each acknowledgement before its next send.
        let window = if number % 2 == 0 { 1 } else { run.load.window };
        producers.push(thread::spawn(move || run.produce(&format!("p{number}"), &producer, window)));
    }
    let second = Some(("c2", Some(run.load.afresh))).filter(|_| !run.load.afresh.is_zero());
    let consumers = [("c1", None)].into_iter().chain(second).map(|(name, afresh)| {
        let (run, settings) = (Arc::clone(&run), for_consumers.clone());
        thread::spawn(move || run.consume(name, &settings, afresh))
    });
    let consumers = consumers.collect();
    obey(&run, producers, consumers)
}

fn obey(
    run: &Arc<Run>,
    mut producers: Vec<thread::JoinHandle<()>>,
    mut consumers: Vec<thread::JoinHandle<Outcome>>,
) -> Outcome {
    for line in std::io::stdin().lock().lines() {
        let answer = match line?.trim() {
            "isr" => run.isr(),
            "elect" => run.elect(),
            "stop" => {
                run.stop.store(true, Ordering::Release);
                producers.drain(..).for_each(|thread| thread.join().expect("a producer does not panic"));
                json!({ "sent": run.history.next.load(Ordering::Acquire) })
            }
            "drain" => {
                run.drained.store(true, Ordering::Release);
                let ends = consumers.drain(..).map(|thread| thread.join().expect("a consumer does not panic"));
                let failed: Vec<String> = ends.filter_map(|end| Some(end.err()?.to_string())).collect();
                json!({ "failed": failed })
            }
            other => json!({ "error": format!("{other}: isr, elect, stop or drain") }),
        };
        writeln!(std::io::stdout(), "{answer}")?;
    }
    run.stop.store(true, Ordering::Release);
    run.drained.store(true, Ordering::Release);
    run.history.file.lock().expect("nobody panics with it").flush()?;
    Ok(())
}

struct Run {
    client: ClusterClient,
    history: Arc<History>,
    load: Load,
    stop: AtomicBool,
    drained: AtomicBool,
}

impl Run {
    fn isr(&self) -> Value {
        let of = |partition: u32| match self.client.describe_replicas(&self.load.topic, partition) {
            Ok(known) => json!({
                "p": partition,
                "leader": known.leader.map(|node| node.0),
                "epoch": known.leader_epoch.0,
                "isr": known.isr.iter().map(|node| node.0).collect::<Vec<_>>(),
            }),
            Err(error) => json!({ "p": partition, "error": error.to_string() }),
        };
        json!({ "partitions": (0..self.load.partitions).map(of).collect::<Vec<_>>() })
    }

    fn elect(&self) -> Value {
        match self.client.elect_leaders(ElectionType::Preferred, None) {
            Ok(outcomes) => json!({ "asked": outcomes.len() }),
            Err(error) => json!({ "error": error.to_string() }),
        }
    }

    /// Sends until it is told to stop, at most `window` records without an end at a time, and waits for the last of them.
    fn produce(&self, name: &str, producer: &Producer, window: usize) {
        let under_way = Arc::new(AtomicUsize::new(0));
        let mut rng = fastrand::Rng::with_seed(name.bytes().map(u64::from).sum());
        let mut due = Instant::now();
        while !self.stop.load(Ordering::Acquire) {
            due += self.load.pace;
            let now = Instant::now();
            match due.checked_duration_since(now) {
                Some(left) => thread::sleep(left),
                None => due = now, // it stood still: nothing is made up for
            }
            if under_way.load(Ordering::Acquire) < window {
                self.send(name, producer, rng.u32(0..self.load.partitions), &under_way);
            }
        }
        while under_way.load(Ordering::Acquire) > 0 {
            thread::sleep(Duration::from_millis(5)); // delivery.timeout.ms ends every send
        }
    }

    fn send(&self, name: &str, producer: &Producer, partition: u32, under_way: &Arc<AtomicUsize>) {
        let id = self.history.next.fetch_add(1, Ordering::AcqRel);
        let value = format!("{name}-{id}");
        let t = self.history.now();
        self.history.say(&json!({ "e": "send", "id": id, "t": t, "prod": name, "p": partition, "v": value }));
        under_way.fetch_add(1, Ordering::AcqRel);
        let (history, left) = (Arc::clone(&self.history), Arc::clone(under_way));
        let record = Record::new(&self.load.topic, &value).partition(partition);
        let sent = producer.send_with(record, move |outcome| {
            let t = history.now();
            history.say(&end_of_send(id, t, outcome));
            left.fetch_sub(1, Ordering::AcqRel);
        });
        if let Err(refused) = sent {
            // Nobody took it, so it is nowhere.
            self.history.say(&json!({ "e": "fail", "id": id, "t": self.history.now(), "why": refused.to_string() }));
            under_way.fetch_sub(1, Ordering::AcqRel);
        }
    }

    /// Reads everything from the first record on until it is drained; with `afresh` begins again every so often.
    fn consume(&self, name: &str, settings: &[(String, String)], afresh: Option<Duration>) -> Outcome {
        let mut life = 0;
        while afresh.is_some() && !self.drained.load(Ordering::Acquire) || life == 0 {
            let own = format!("{name}.{life}");
            life += 1;
            let (mut consumer, partitions) = self.open_consumer(&own, settings)?;
            let began = Instant::now();
            while !self.drained.load(Ordering::Acquire) && afresh.is_none_or(|time| began.elapsed() < time) {
                self.poll(&own, &mut consumer)?;
            }
            if afresh.is_none() {
                self.read_to_the_end(&own, &mut consumer, &partitions)?;
            }
        }
        Ok(())
    }

    fn open_consumer(&self, name: &str, settings: &[(String, String)]) -> Outcome<(Consumer, Vec<TopicPartition>)> {
        let topic = &self.load.topic;
        let partitions: Vec<_> = (0..self.load.partitions).map(|p| TopicPartition::new(topic.as_str(), p)).collect();
        loop {
            let mut builder = self.client.consumer().set("auto.offset.reset", "none")?;
            for (key, value) in settings {
                builder = builder.set(key, value)?;
            }
            for partition in &partitions {
                builder = builder.assign(partition.clone(), StartAt::Offset(kafkalog::Offset(0)));
            }
            match builder.open() {
                Ok(consumer) => {
                    for partition in 0..self.load.partitions {
                        let t = self.history.now();
                        self.history.say(&json!({ "e": "assign", "t": t, "cons": name, "p": partition, "off": 0 }));
                    }
                    return Ok((consumer, partitions));
                }
                Err(error) if error.is_retriable() && !self.drained.load(Ordering::Acquire) => thread::sleep(POLL),
                Err(error) => return Err(format!("{name} could not begin: {error}").into()),
            }
        }
    }

    fn poll(&self, name: &str, consumer: &mut Consumer) -> Outcome {
        let records = match consumer.poll(POLL) {
            Ok(records) => records,
            Err(error) if error.is_retriable() || error.code() == ErrorCode::REQUEST_TIMED_OUT => {
                self.history
                    .say(&json!({ "e": "note", "t": self.history.now(), "cons": name, "error": error.to_string() }));
                return Ok(());
            }
            Err(error) => return Err(format!("{name}: {error}").into()),
        };
        if let Some(reset) = records.resets().first() {
            return Err(format!("{name}: a position was set anew: {reset:?}").into());
        }
        if let Some(damage) = records.damage() {
            return Err(format!("{name}: {damage}").into());
        }
        let mut found: BTreeMap<u32, Vec<Value>> = BTreeMap::new();
        for record in records.iter() {
            let value = String::from_utf8_lossy(record.value.unwrap_or_default());
            found.entry(record.partition).or_default().push(json!([record.offset.0, value]));
        }
        let t = self.history.now();
        for (partition, records) in found {
            self.history.say(&json!({ "e": "poll", "t": t, "cons": name, "p": partition, "recs": records }));
        }
        Ok(())
    }

    fn read_to_the_end(&self, name: &str, consumer: &mut Consumer, partitions: &[TopicPartition]) -> Outcome {
        let ends = consumer.end_offsets(partitions)?;
        let began = Instant::now();
        while partitions
            .iter()
            .zip(&ends)
            .any(|(partition, end)| consumer.position(partition).is_none_or(|at| at < *end))
        {
            if began.elapsed() > DRAIN_MAX {
                return Err(format!("{name} does not come to the end: {ends:?}").into());
            }
            self.poll(name, consumer)?;
        }
        Ok(())
    }
}

/// An error says whether the record may be in the log; when it does not, nothing is known.
fn end_of_send(id: u64, t: u64, outcome: kafkalog::Result<RecordMetadata>) -> Value {
    match outcome {
        Ok(placed) => json!({ "e": "ack", "id": id, "t": t, "off": placed.offset.map(|offset| offset.0) }),
        Err(error) => {
            let is_certain = error.message().ends_with("it is not in the log");
            let how = if is_certain { "fail" } else { "unknown" };
            json!({ "e": how, "id": id, "t": t, "why": error.to_string() })
        }
    }
}

/// What lies in the files of a directory, whoever has it open.
fn log(dir: &str, replica: &str, topic: &str) -> Outcome {
    let engine = Engine::open_read_only(dir)?;
    let count = engine.topics()?.iter().find(|own| &*own.name == topic).map_or(0, |own| own.partition_count);
    for number in 0..count {
        let partition = TopicPartition::new(topic, number);
        let mut consumer = engine.consumer().assign(partition.clone(), StartAt::Earliest).open()?;
        let one = std::slice::from_ref(&partition);
        let (start, end) = (consumer.beginning_offsets(one)?[0], consumer.end_offsets(one)?[0]);
        let mut found = Vec::new();
        while consumer.position(&partition).is_none_or(|at| at < end) {
            let records = consumer.poll(POLL)?;
            if let Some(damage) = records.damage() {
                return Err(format!("{partition}: {damage}").into());
            }
            for record in records.iter().filter(|record| record.offset < end) {
                found.push(json!([record.offset.0, String::from_utf8_lossy(record.value.unwrap_or_default())]));
            }
        }
        let line = json!({ "e": "log", "rep": replica, "p": number, "start": start.0, "end": end.0, "recs": found });
        writeln!(std::io::stdout(), "{line}")?;
    }
    Ok(())
}
