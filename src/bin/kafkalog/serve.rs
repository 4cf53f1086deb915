//! `serve`: one node of a cluster as a process of its own, for those who have no program to put it into.
//!
//! Standard output says in a line each what happens, so that others can wait for it (with --json as objects). Leaders and ISRs come from
//! the moment on when the node takes part, beginning with how they are then:
//!
//! ```text
//! Node 1 of cluster 4L6g3nShT-eMCtK--X86sw listens on tcp://127.0.0.1:9301
//! Node 1 takes part
//! Topic orders was created
//! Partition orders-0: leader 2, epoch 3
//! Partition orders-0: in sync 1,2,3
//! Node 1 has ended in order
//! ```

use crate::cluster::Keys;
use crate::failure::{Failure, Outcome};
use crate::membership::{create_topic, wait_to_take_part, Membership};
use crate::quorum::numbers;
use crate::target::{close, property, Property, Target};
use kafkalog::door::EndSignals;
use kafkalog::{ClusterEvent, Engine, LogLevel, LogSink, TopicConfig, TopicPartition};
use serde_json::{json, Value};
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{sync_channel, Receiver};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// How often a node that is not asked to end looks whether it can go on.
const LOOK: Duration = Duration::from_millis(500);
/// Events that nobody has read yet; what comes beyond is left out.
const EVENTS_MAX: usize = 4096;

#[derive(clap::Args, Debug)]
pub struct Args {
    /// The data directory of this node
    #[arg(long, value_name = "DIR", requires = "listen")]
    dir: PathBuf,
    #[command(flatten)]
    membership: Membership,
    #[command(flatten)]
    keys: Keys,
    /// A topic that is created as soon as the cluster is there, unless it is there already; may be repeated, and given to every node.
    /// Settings follow, as in orders:3:3:min.insync.replicas=2
    #[arg(long = "topic", value_name = "NAME:PARTITIONS:REPLICAS[:K=V]...", value_parser = wanted)]
    topics: Vec<WantedTopic>,
    /// A setting of the engine (see `configs --explain engine`); may be repeated
    #[arg(long = "property", alias = "engine-property", value_name = "K=V", value_parser = property)]
    properties: Vec<Property>,
    /// End in order also when standard input ends: with whoever started it
    #[arg(long)]
    end_with_stdin: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct WantedTopic {
    name: String,
    partitions: u32,
    replicas: u16,
    settings: Vec<Property>,
}

fn wanted(text: &str) -> Result<WantedTopic, String> {
    let form = || "it is not of the form name:partitions:replicas[:setting=value]...".to_owned();
    let mut parts = text.split(':');
    let mut next = || parts.next().filter(|part| !part.is_empty()).ok_or_else(form);
    let (name, partitions, replicas) = (next()?.to_owned(), next()?, next()?);
    let partitions = partitions.parse().map_err(|_| form())?;
    let replicas = replicas.parse().map_err(|_| form())?;
    let settings = parts.map(property).collect::<Result<_, _>>()?;
    Ok(WantedTopic { name, partitions, replicas, settings })
}

impl WantedTopic {
    fn config(&self) -> kafkalog::Result<TopicConfig> {
        let config = TopicConfig::new().partitions(self.partitions).replication(self.replicas);
        self.settings.iter().try_fold(config, |config, (name, value)| config.set(name, value))
    }
}

/// Log lines go to stderr.
#[derive(Debug)]
struct Stderr;

impl LogSink for Stderr {
    fn log(&self, level: LogLevel, facility: &str, text: &str) {
        if level <= LogLevel::Info {
            // Nobody to tell when stderr is closed.
            let _ = writeln!(std::io::stderr(), "{level:?} {facility}: {text}");
        }
    }
}

pub fn run(args: &Args, json: bool) -> Outcome {
    let settings = args.membership.settings(&args.keys, &args.properties)?;
    let topics: Vec<(String, TopicConfig)> =
        args.topics.iter().map(|topic| Ok((topic.name.clone(), topic.config()?))).collect::<Outcome<_>>()?;
    // Before any thread is started, so that every one of them leaves these signals to this one.
    let signals = EndSignals::new();
    let (told, heard) = sync_channel(EVENTS_MAX);
    let mut builder = Engine::builder(&args.dir).log_sink(Arc::new(Stderr)).cluster_sink(Arc::new(move |event| {
        let _ = told.try_send(event.clone()); // nobody reads: the cluster does not wait for that
    }));
    for (name, value) in &settings {
        builder = builder.set(name, value)?;
    }
    let engine = builder.open().map_err(|error| Failure::opening(&args.dir, &error))?;
    let node = engine.node_id();
    say_ready(&engine, json)?;
    let failed = Arc::new(Mutex::new(None));
    {
        let (engine, failed) = (engine.clone(), Arc::clone(&failed));
        thread::spawn(move || {
            if let Err(failure) = take_part(&engine, heard, &topics, json) {
                *failed.lock().expect("nobody panics with it") = Some(failure);
            }
        });
    }
    let stop = |failure: Failure| {
        let _ = close(engine.clone()); // the first failure is the one to be told
        Err(failure)
    };
    let is_alone = Arc::new(AtomicBool::new(false));
    if args.end_with_stdin {
        let is_alone = Arc::clone(&is_alone);
        thread::spawn(move || {
            // Whatever is said there is none of our business; an error is an end, too.
            let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
            is_alone.store(true, Ordering::Release);
        });
    }
    while !signals.wait(LOOK) && !is_alone.load(Ordering::Acquire) {
        if let Some(failure) = failed.lock().expect("nobody panics with it").take() {
            return stop(failure);
        }
        if let Some(error) = engine.fatal_error() {
            return stop(error.into());
        }
    }
    close(engine)?;
    say(json, || json!({ "event": "ended", "node": node.0 }), || format!("Node {node} has ended in order"))
}

fn say_ready(engine: &Engine, json: bool) -> Outcome {
    let (node, at) = (engine.node_id(), engine.listener().unwrap_or_default());
    let cluster = engine.describe_cluster()?.cluster_id.to_string();
    say(
        json,
        || json!({ "event": "listening", "node": node.0, "cluster_id": cluster, "listener": at }),
        || format!("Node {node} of cluster {cluster} listens on {at}"),
    )
}

/// Waits until the cluster counts on this node, and creates what it shall have. The end of the engine ends this too.
fn take_part(engine: &Engine, heard: Receiver<ClusterEvent>, topics: &[(String, TopicConfig)], json: bool) -> Outcome {
    let node = engine.node_id();
    if wait_to_take_part(engine, Duration::MAX).is_err() {
        return Ok(()); // it has ended before
    }
    say(json, || json!({ "event": "joined", "node": node.0 }), || format!("Node {node} takes part"))?;
    // What it was told until now is history that it has read again.
    heard.try_iter().for_each(drop);
    say_how_it_is(engine, json)?;
    thread::spawn(move || say_events(&heard, json));
    for (name, config) in topics {
        let created = match create_topic(&Target::Node(engine.clone()), name, config, Duration::MAX) {
            Err(error) if error.code() == kafkalog::ErrorCode::CLOSED => return Ok(()),
            Err(error) => return Err(Failure::from(error)),
            Ok(created) => created,
        };
        let what = if created { "was created" } else { "is there already" };
        let event = || json!({ "event": "topic", "topic": name, "created": created });
        say(json, event, || format!("Topic {name} {what}"))?;
    }
    Ok(())
}

/// Leaders and ISRs as they are now, in the words of the events.
fn say_how_it_is(engine: &Engine, json: bool) -> Outcome {
    for topic in engine.topics().unwrap_or_default() {
        for number in 0..topic.partition_count {
            let Ok(known) = engine.describe_replicas(&topic.name, number) else { continue };
            let partition = TopicPartition::new(topic.name.clone(), number);
            let (leader, leader_epoch, isr) = (known.leader, known.leader_epoch, known.isr);
            let events = [
                ClusterEvent::LeaderChanged { partition: partition.clone(), leader, leader_epoch },
                ClusterEvent::IsrChanged { partition, leader_epoch, isr },
            ];
            for event in events {
                writeln!(std::io::stdout(), "{}", if json { event.to_json() } else { sentence(&event) })?;
            }
        }
    }
    Ok(())
}

fn say_events(heard: &Receiver<ClusterEvent>, json: bool) {
    for event in heard {
        let line = if json { event.to_json() } else { sentence(&event) };
        if writeln!(std::io::stdout(), "{line}").is_err() {
            return; // nobody reads any more
        }
    }
}

fn sentence(event: &ClusterEvent) -> String {
    match event {
        ClusterEvent::LeaderChanged { partition, leader, leader_epoch } => {
            let leader = leader.map_or("none".to_owned(), |node| node.to_string());
            format!("Partition {partition}: leader {leader}, epoch {}", leader_epoch.0)
        }
        ClusterEvent::IsrChanged { partition, isr, .. } => format!("Partition {partition}: in sync {}", numbers(isr)),
    }
}

/// One line, with one write: rust's standard output is buffered by lines.
fn say(json: bool, event: impl FnOnce() -> Value, sentence: impl FnOnce() -> String) -> Outcome {
    let line = if json { event().to_string() } else { sentence() };
    Ok(writeln!(std::io::stdout(), "{line}")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wanted_topic_is_named_with_its_partitions_its_replicas_and_its_settings() {
        let topic = wanted("orders:6:3:min.insync.replicas=2:retention.ms=1000").unwrap();
        assert_eq!((topic.name.as_str(), topic.partitions, topic.replicas), ("orders", 6, 3));
        assert_eq!(topic.config().unwrap().replication_factor(), 3);
        assert_eq!(topic.settings.len(), 2);
        assert!(wanted("t:1:1:no.such.setting=1").unwrap().config().is_err());
        for text in ["orders", "orders:6", "orders:six:3", ":6:3", "orders:6:3:retention.ms", "orders:6:3:"] {
            assert!(wanted(text).is_err(), "{text}");
        }
    }
}
