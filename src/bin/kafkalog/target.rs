//! What a verb works on: a data directory, opened for writing or for looking, or a running cluster.

use crate::cluster::{self, Bootstrap, Keys};
use crate::failure::{Failure, Outcome, Status};
use crate::membership::Membership;
use crate::reading;
use clap::Args;
use kafkalog::{
    validate_setting, ClusterClient, ConsumerBuilder, Engine, Offset, ProducerBuilder, ReadOnlyEngine, Scope,
    TopicConfig, TopicDescription,
};
use std::path::{Path, PathBuf};

/// A name and a value, `K=V` on the command line.
pub type Property = (String, String);

pub fn property(text: &str) -> Result<Property, String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("it is not of the form name=value".to_owned()),
    }
}

/// Before anything is opened, so that a wrong setting leaves no trace.
pub fn check_producer_properties(properties: &[Property]) -> Outcome {
    properties.iter().try_for_each(|(name, value)| Ok(validate_setting(Scope::Producer, name, value)?))
}

/// For verbs that only look.
#[derive(Args, Debug)]
pub struct Looking {
    /// The data directory; another process may be writing it
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,
}

impl Looking {
    pub fn open(&self) -> Outcome<ReadOnlyEngine> {
        open_read_only(&self.dir)
    }
}

pub fn open_read_only(dir: &Path) -> Outcome<ReadOnlyEngine> {
    Engine::open_read_only(dir).map_err(|error| Failure::opening(dir, &error))
}

/// The same, or a running cluster.
#[derive(Args, Debug)]
pub struct LookingAnywhere {
    /// The data directory; another process may be writing it
    #[arg(long, value_name = "DIR", required_unless_present = "bootstrap_server", conflicts_with = "bootstrap_server")]
    pub dir: Option<PathBuf>,
    #[command(flatten)]
    bootstrap: Bootstrap,
    #[command(flatten)]
    keys: Keys,
}

impl LookingAnywhere {
    pub fn open(&self) -> Outcome<Source> {
        if let Some(client) = self.bootstrap.connect(&self.keys)? {
            return Ok(Source::Cluster(client));
        }
        self.keys.goes_with("--bootstrap-server")?;
        open_read_only(self.dir.as_deref().expect("clap requires it")).map(Source::Dir)
    }
}

/// What a verb reads from.
pub enum Source {
    Dir(ReadOnlyEngine),
    Cluster(ClusterClient),
}

impl Source {
    pub fn topics(&self) -> kafkalog::Result<Vec<TopicDescription>> {
        match self {
            Source::Dir(engine) => engine.topics(),
            Source::Cluster(client) => client.topics(),
        }
    }

    pub fn topic(&self, name: &str) -> Outcome<TopicDescription> {
        match self {
            Source::Dir(engine) => reading::topic(engine, name),
            Source::Cluster(client) => cluster::topic(client, name),
        }
    }

    /// With the settings that they have of their own, where those are not told at once.
    pub fn with_configs(&self, mut topics: Vec<TopicDescription>) -> kafkalog::Result<Vec<TopicDescription>> {
        if let Source::Cluster(client) = self {
            let names: Vec<&str> = topics.iter().map(|topic| &*topic.name).collect();
            let configs = client.describe_configs(&names)?;
            topics.iter_mut().zip(configs).for_each(|(topic, configs)| topic.overrides = configs);
        }
        Ok(topics)
    }

    pub fn consumer(&self) -> ConsumerBuilder {
        match self {
            Source::Dir(engine) => engine.consumer(),
            Source::Cluster(client) => client.consumer(),
        }
    }
}

/// For verbs that write: they hold the directory's lock, or are clients of a running cluster.
#[derive(Args, Debug)]
pub struct Writing {
    /// The data directory; no other process may have it open
    #[arg(long, value_name = "DIR", conflicts_with = "bootstrap_server")]
    pub dir: Option<PathBuf>,
    /// A setting of the engine (see `configs --explain engine`); may be repeated
    #[arg(
        long = "engine-property",
        value_name = "K=V",
        value_parser = property,
        conflicts_with = "bootstrap_server"
    )]
    pub engine_properties: Vec<Property>,
    #[command(flatten)]
    bootstrap: Bootstrap,
    #[command(flatten)]
    keys: Keys,
}

impl Writing {
    /// Opens the directory, and makes it when it is not there; or connects.
    pub fn open(&self) -> Outcome<Target> {
        if let Some(client) = self.connect("--bootstrap-server")? {
            return Ok(client);
        }
        open(self.dir()?, &self.engine_properties).map(Target::Node)
    }

    /// The same, perhaps as a node of a cluster.
    pub fn open_as(&self, membership: &Membership) -> Outcome<Target> {
        if membership.is_wanted() {
            if self.bootstrap.is_given() {
                return Err(Failure::usage(
                    "--listen makes this a node of a cluster, --bootstrap-server a client of one",
                ));
            }
            let settings = membership.settings(&self.keys, &self.engine_properties)?;
            return open(self.dir()?, &settings).map(Target::Node);
        }
        match self.connect("--bootstrap-server or --listen")? {
            Some(client) => Ok(client),
            None => open(self.dir()?, &self.engine_properties).map(Target::Node),
        }
    }

    /// Opens a directory that must be there; or connects.
    pub fn open_existing(&self) -> Outcome<Target> {
        if let Some(client) = self.connect("--bootstrap-server")? {
            return Ok(client);
        }
        let dir = self.dir()?;
        if !dir.is_dir() {
            let text = format!("{}: there is no such directory", dir.display());
            return Err(Failure::new(Status::CannotOpen, text));
        }
        self.open()
    }

    /// Opens it for looking.
    pub fn look(&self) -> Outcome<Source> {
        match self.connect("--bootstrap-server")? {
            Some(Target::Cluster(client)) => Ok(Source::Cluster(client)),
            _ => open_read_only(self.dir()?).map(Source::Dir),
        }
    }

    fn dir(&self) -> Outcome<&Path> {
        self.dir.as_deref().ok_or_else(|| Failure::usage("--dir or --bootstrap-server is needed"))
    }

    fn connect(&self, doors: &str) -> Outcome<Option<Target>> {
        let client = self.bootstrap.connect(&self.keys)?;
        if client.is_none() {
            self.keys.goes_with(doors)?;
        }
        Ok(client.map(Target::Cluster))
    }
}

/// What a verb writes to.
pub enum Target {
    Node(Engine),
    Cluster(ClusterClient),
}

impl Target {
    /// Whether others have a say.
    pub fn is_in_cluster(&self) -> bool {
        match self {
            Target::Node(engine) => engine.listener().is_some(),
            Target::Cluster(_) => true,
        }
    }

    pub fn producer(&self) -> ProducerBuilder {
        match self {
            Target::Node(engine) => engine.producer(),
            Target::Cluster(client) => client.producer(),
        }
    }

    pub fn topics(&self) -> kafkalog::Result<Vec<TopicDescription>> {
        match self {
            Target::Node(engine) => engine.topics(),
            Target::Cluster(client) => client.topics(),
        }
    }

    pub fn create_topic(&self, name: &str, config: TopicConfig) -> kafkalog::Result<()> {
        match self {
            Target::Node(engine) => engine.create_topic(name, config),
            Target::Cluster(client) => client.create_topic(name, config),
        }
    }

    pub fn delete_topic(&self, name: &str) -> kafkalog::Result<()> {
        match self {
            Target::Node(engine) => engine.delete_topic(name),
            Target::Cluster(client) => client.delete_topic(name),
        }
    }

    pub fn add_partitions(&self, name: &str, partitions: u32) -> kafkalog::Result<()> {
        match self {
            Target::Node(engine) => engine.add_partitions(name, partitions),
            Target::Cluster(client) => client.add_partitions(name, partitions),
        }
    }

    pub fn alter_topic(&self, name: &str, key: &str, value: Option<&str>) -> kafkalog::Result<()> {
        match self {
            Target::Node(engine) => engine.alter_topic(name, key, value),
            Target::Cluster(client) => client.alter_topic(name, key, value),
        }
    }

    pub fn high_watermark(&self, topic: &str, partition: u32) -> kafkalog::Result<Offset> {
        match self {
            Target::Node(engine) => Ok(engine.offsets(topic, partition)?.high_watermark),
            Target::Cluster(client) => Ok(client.offsets(topic, partition)?.high_watermark),
        }
    }

    pub fn delete_records(&self, topic: &str, partition: u32, before: Offset) -> kafkalog::Result<Offset> {
        match self {
            Target::Node(engine) => engine.delete_records(topic, partition, before),
            Target::Cluster(client) => client.delete_records(topic, partition, before),
        }
    }

    /// Everything in order. What could not be done is a failure.
    pub fn close(self) -> Outcome {
        match self {
            Target::Node(engine) => close(engine),
            Target::Cluster(client) => cluster::close(&client),
        }
    }
}

pub fn open(dir: &Path, properties: &[Property]) -> Outcome<Engine> {
    let mut builder = Engine::builder(dir);
    for (name, value) in properties {
        builder = builder.set(name, value)?;
    }
    builder.open().map_err(|error| Failure::opening(dir, &error))
}

/// Closes the engine: everything flushed, marked clean. What could not be done is a failure.
pub fn close(engine: Engine) -> Outcome {
    match engine.close()? {
        report if report.is_clean() => Ok(()),
        report => Err(Failure::failed(report.to_string())),
    }
}
