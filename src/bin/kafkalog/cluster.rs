//! A running cluster, as verbs reach it: `--bootstrap-server` beside `--dir`.

use crate::failure::{Failure, Outcome, Status};
use crate::target::{property, Property};
use clap::Args;
use kafkalog::{ConsumerBuilder, Engine, ErrorCode, ReadOnlyEngine, TopicDescription};
use std::path::{Path, PathBuf};

/// Where a cluster is, for verbs that work on nothing else.
#[derive(Args, Debug)]
pub struct Cluster {
    /// Addresses of one or more nodes, separated by commas: tcp://host:port, unix:///path
    #[arg(long, value_name = "URL,...", value_delimiter = ',', required = true)]
    bootstrap_server: Vec<String>,
    #[command(flatten)]
    keys: Keys,
}

/// The same, for verbs that also work on a directory.
#[derive(Args, Debug)]
pub struct MaybeCluster {
    /// Instead of --dir: addresses of one or more nodes of a running cluster, separated by commas
    #[arg(long, value_name = "URL,...", value_delimiter = ',', conflicts_with = "dir")]
    bootstrap_server: Vec<String>,
    #[command(flatten)]
    keys: Keys,
}

/// What a cluster wants to know of a client.
#[derive(Args, Debug)]
pub struct Keys {
    /// The cluster's id; without it whichever cluster answers
    #[arg(long, value_name = "ID")]
    cluster_id: Option<String>,
    /// A file with the cluster's secret
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// A setting of the engine that this command is, such as request.timeout.ms; may be repeated
    #[arg(long = "command-property", value_name = "K=V", value_parser = property)]
    command_properties: Vec<Property>,
}

impl Cluster {
    pub fn connect(&self) -> Outcome<Engine> {
        connect(&self.bootstrap_server, &self.keys)
    }
}

impl MaybeCluster {
    /// The cluster, if one was named.
    pub fn connect(&self) -> Outcome<Option<Engine>> {
        if !self.bootstrap_server.is_empty() {
            return connect(&self.bootstrap_server, &self.keys).map(Some);
        }
        let keys = &self.keys;
        if keys.cluster_id.is_some() || keys.secret_file.is_some() || !keys.command_properties.is_empty() {
            return Err(Failure::usage(
                "--cluster-id, --secret-file and --command-property go with --bootstrap-server",
            ));
        }
        Ok(None)
    }
}

fn connect(bootstrap: &[String], keys: &Keys) -> Outcome<Engine> {
    let mut settings = keys.command_properties.clone();
    if let Some(id) = &keys.cluster_id {
        settings.push(("cluster.id".to_owned(), id.clone()));
    }
    if let Some(path) = &keys.secret_file {
        settings.push(("cluster.secret".to_owned(), secret(path)?));
    }
    let at = bootstrap.join(",");
    Engine::connect(bootstrap, &settings).map_err(|error| {
        let status = match Failure::from(error.clone()).status() {
            Status::Usage => Status::Usage,
            _ => Status::CannotOpen,
        };
        Failure::new(status, format!("{at}: {}", error.message()))
    })
}

/// The first line of a file: what comes behind it (most editors leave a line end) is no part of a secret.
pub fn secret(path: &Path) -> Outcome<String> {
    let text = std::fs::read_to_string(path).map_err(|error| Failure::file(path, &error))?;
    match text.lines().next().map(str::trim_end) {
        Some(secret) if !secret.is_empty() => Ok(secret.to_owned()),
        _ => Err(Failure::new(Status::CannotOpen, format!("{}: there is no secret in its first line", path.display()))),
    }
}

/// What a verb reads from.
pub enum Source {
    Dir(ReadOnlyEngine),
    Cluster(Engine),
}

impl Source {
    pub fn topics(&self) -> kafkalog::Result<Vec<TopicDescription>> {
        match self {
            Source::Dir(engine) => engine.topics(),
            Source::Cluster(engine) => engine.topics(),
        }
    }

    pub fn topic(&self, name: &str) -> Outcome<TopicDescription> {
        self.topics()?.into_iter().find(|topic| &*topic.name == name).ok_or_else(|| {
            let whose = match self {
                Source::Dir(_) => "directory",
                Source::Cluster(_) => "cluster",
            };
            let message = format!("there is no topic {name:?} in this {whose}");
            kafkalog::Error::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, message).into()
        })
    }

    pub fn consumer(&self) -> ConsumerBuilder {
        match self {
            Source::Dir(engine) => engine.consumer(),
            Source::Cluster(engine) => engine.consumer(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_the_first_line_of_its_file() {
        let path = std::env::temp_dir().join(format!("kafkalog-secret-{}", std::process::id()));
        std::fs::write(&path, "open sesame\r\nnot this\n").unwrap();
        assert_eq!(secret(&path).unwrap(), "open sesame");
        std::fs::write(&path, "\nnot this\n").unwrap();
        assert_eq!(secret(&path).unwrap_err().status(), Status::CannotOpen);
        std::fs::remove_file(&path).unwrap();
        assert!(secret(&path).is_err());
    }
}
