//! `topics`: Kafka's kafka-topics.sh.

use crate::failure::{Failure, Outcome};
use crate::print;
use crate::quorum::{number, numbers};
use crate::target::{property, Property, Source, Target, Writing};
use kafkalog::{validate_topic_name, NodeId, TopicConfig, TopicDescription};
use serde_json::{json, Value};
use std::io::Write;

#[derive(clap::Args, Debug)]
#[command(group(clap::ArgGroup::new("action").required(true).args(["create", "list", "describe", "alter", "delete"])))]
pub struct Args {
    #[command(flatten)]
    at: Writing,
    /// Create the topic
    #[arg(long)]
    create: bool,
    /// List the names of all topics
    #[arg(long)]
    list: bool,
    /// Describe one topic or all
    #[arg(long)]
    describe: bool,
    /// Add partitions, or change settings
    #[arg(long)]
    alter: bool,
    /// Delete the topic and its records
    #[arg(long)]
    delete: bool,
    /// The topic
    #[arg(long, required_if_eq_any([("create", "true"), ("alter", "true"), ("delete", "true")]))]
    topic: Option<String>,
    /// How many partitions (with --alter: the new total, which may only grow)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    partitions: Option<u32>,
    /// How many replicas of each partition
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    replication_factor: Option<u16>,
    /// A setting of the topic; may be repeated
    #[arg(long = "config", value_name = "K=V", value_parser = property)]
    configs: Vec<Property>,
    /// A setting of the topic that goes back to the default (with --alter); may be repeated
    #[arg(long = "delete-config", value_name = "NAME")]
    delete_configs: Vec<String>,
    /// Create only if the topic is not there yet; else do nothing
    #[arg(long, requires = "create")]
    if_not_exists: bool,
    /// Alter, delete or describe only if the topic is there; else do nothing
    #[arg(long)]
    if_exists: bool,
    /// With --describe: only partitions with fewer in-sync replicas than replicas
    #[arg(long, requires = "describe")]
    under_replicated_partitions: bool,
    /// With --describe: only partitions that nobody leads
    #[arg(long, requires = "describe")]
    unavailable_partitions: bool,
}

pub fn run(args: &Args, json: bool) -> Outcome {
    refuse_flags_of_others(args)?;
    if args.list || args.describe {
        let source = args.at.look()?;
        return if args.list { list(args, &source, json) } else { describe(args, &source, json) };
    }
    let name = args.topic.as_deref().expect("clap requires it");
    // Before the directory is made, or its lock taken: what cannot be is refused without a trace.
    let config = topic_config(args)?;
    if args.create {
        validate_topic_name(name)?;
    }
    let target = if args.create { args.at.open()? } else { args.at.open_existing()? };
    let exists = target.topics()?.iter().any(|topic| &*topic.name == name);
    let skip = if args.create { exists && args.if_not_exists } else { !exists && args.if_exists };
    let done = match () {
        () if skip => "left as it is",
        () if args.create => {
            target.create_topic(name, config)?;
            "created"
        }
        () if args.delete => {
            target.delete_topic(name)?;
            "deleted"
        }
        () => alter(args, name, &target)?,
    };
    target.close()?;
    if json {
        print::json(&json!({ "topic": name, "result": done }))?;
    } else if args.create && !skip {
        print::line(format_args!("Created topic {name}."))?; // Kafka's words
    } else {
        print::line(format_args!("Topic {name} is {done}."))?;
    }
    Ok(())
}

/// As Kafka's tool refuses what the action has no use for.
fn refuse_flags_of_others(args: &Args) -> Outcome {
    let changes = args.create || args.alter;
    let refused = [
        (args.partitions.is_some() && !changes, "--partitions goes with --create or --alter"),
        (
            args.replication_factor.is_some() && !args.create,
            "--replication-factor goes with --create; it cannot be altered",
        ),
        (!args.configs.is_empty() && !changes, "--config goes with --create or --alter"),
        (!args.delete_configs.is_empty() && !args.alter, "--delete-config goes with --alter"),
        (args.if_exists && (args.create || args.list), "--if-exists goes with --alter, --delete or --describe"),
    ];
    match refused.iter().find(|(is_so, _)| *is_so) {
        Some((_, why)) => Err(Failure::usage(*why)),
        None => Ok(()),
    }
}

/// Judges the settings of --create and --alter.
fn topic_config(args: &Args) -> Outcome<TopicConfig> {
    let mut config = TopicConfig::new();
    if let Some(count) = args.partitions {
        config = config.partitions(count);
    }
    if let Some(factor) = args.replication_factor {
        config = config.replication(factor);
    }
    for (name, value) in &args.configs {
        config = config.set(name, value)?;
    }
    Ok(config)
}

fn alter(args: &Args, name: &str, target: &Target) -> Outcome<&'static str> {
    if args.partitions.is_none() && args.configs.is_empty() && args.delete_configs.is_empty() {
        return Err(Failure::usage("--alter needs --partitions, --config or --delete-config"));
    }
    if let Some(total) = args.partitions {
        target.add_partitions(name, total)?;
    }
    for (key, value) in &args.configs {
        target.alter_topic(name, key, Some(value))?;
    }
    for key in &args.delete_configs {
        target.alter_topic(name, key, None)?;
    }
    Ok("altered")
}

fn list(args: &Args, source: &Source, json: bool) -> Outcome {
    let is_wanted = |name: &String| args.topic.as_ref().is_none_or(|wanted| wanted == name);
    let names: Vec<String> = source.topics()?.iter().map(|topic| topic.name.to_string()).filter(is_wanted).collect();
    if json {
        return Ok(print::json(&json!({ "topics": names }))?);
    }
    let mut out = print::stdout();
    for name in names {
        writeln!(out, "{name}")?;
    }
    Ok(out.flush()?)
}

fn describe(args: &Args, source: &Source, json: bool) -> Outcome {
    let topics = match &args.topic {
        None => source.topics()?,
        Some(name) => match source.topic(name) {
            Ok(topic) => vec![topic],
            Err(_) if args.if_exists => Vec::new(),
            Err(failure) => return Err(failure),
        },
    };
    let is_asked = |place: &Place| {
        (!args.under_replicated_partitions || place.isr.len() < place.replicas.len())
            && (!args.unavailable_partitions || place.leader.is_none())
    };
    let is_whole = !args.under_replicated_partitions && !args.unavailable_partitions;
    let mut described = Vec::new();
    for topic in source.with_configs(topics)? {
        let places = (0..topic.partition_count).map(|partition| Place::of(source, &topic, partition));
        let mut places = places.collect::<Outcome<Vec<Place>>>()?;
        places.retain(is_asked);
        if is_whole || !places.is_empty() {
            described.push((places, topic));
        }
    }
    if json {
        let topics: Vec<Value> = described.iter().map(|(places, topic)| as_json(topic, places)).collect();
        return Ok(print::json(&json!({ "topics": topics }))?);
    }
    let mut out = print::stdout();
    for (places, topic) in described {
        if is_whole {
            let configs: Vec<String> = topic.overrides.iter().map(|(name, value)| format!("{name}={value}")).collect();
            writeln!(
                out,
                "Topic: {}\tTopicId: {}\tPartitionCount: {}\tReplicationFactor: {}\tConfigs: {}",
                topic.name,
                print::topic_id(&topic.id),
                topic.partition_count,
                topic.replication_factor,
                configs.join(",")
            )?;
        }
        for place in &places {
            let (name, partition, leader) = (&topic.name, place.partition, number(place.leader));
            let (replicas, isr) = (numbers(&place.replicas), numbers(&place.isr));
            write!(out, "\tTopic: {name}\tPartition: {partition}\tLeader: {leader}\tReplicas: {replicas}\tIsr: {isr}")?;
            match &place.elr {
                Some(elr) => writeln!(out, "\tElr: {}", numbers(elr))?,
                None => writeln!(out)?,
            }
        }
    }
    Ok(out.flush()?)
}

/// Who leads a partition, and who has it.
struct Place {
    partition: u32,
    leader: Option<NodeId>,
    replicas: Vec<NodeId>,
    isr: Vec<NodeId>,
    /// `None` where nobody keeps one.
    elr: Option<Vec<NodeId>>,
}

impl Place {
    fn of(source: &Source, topic: &TopicDescription, partition: u32) -> Outcome<Place> {
        Ok(match source {
            Source::Dir(engine) => {
                let node = engine.node_id().unwrap_or_default();
                Place { partition, leader: Some(node), replicas: vec![node], isr: vec![node], elr: None }
            }
            Source::Cluster(client) => {
                let known = client.describe_partition(&topic.name, partition)?;
                let (leader, replicas, isr, elr) = (known.leader, known.replicas, known.isr, Some(known.elr));
                Place { partition, leader, replicas, isr, elr }
            }
        })
    }
}

fn as_json(topic: &TopicDescription, places: &[Place]) -> Value {
    let numbers = |nodes: &[NodeId]| nodes.iter().map(|node| node.0).collect::<Vec<u32>>();
    let partitions: Vec<Value> = places
        .iter()
        .map(|place| {
            let mut fields = json!({
                "partition": place.partition, "leader": place.leader.map(|node| node.0),
                "replicas": numbers(&place.replicas), "isr": numbers(&place.isr),
            });
            if let Some(elr) = &place.elr {
                fields["elr"] = json!(numbers(elr));
            }
            fields
        })
        .collect();
    json!({
        "topic": &*topic.name,
        "topic_id": print::topic_id(&topic.id),
        "partition_count": topic.partition_count,
        "replication_factor": topic.replication_factor,
        "configs": topic.overrides,
        "partitions": partitions,
    })
}
