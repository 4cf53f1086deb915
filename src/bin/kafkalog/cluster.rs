//! A running cluster, as verbs reach it: `--bootstrap-server` beside `--dir`.

use crate::failure::{Failure, Outcome, Status};
use crate::target::{property, Property};
use clap::Args;
use kafkalog::{ClusterClient, ErrorCode, TopicDescription};
use std::path::{Path, PathBuf};

/// How a client of a cluster introduces itself; a node of one, too.
#[derive(Args, Debug, Default)]
pub struct Keys {
    /// The cluster's id, 22 characters: for a client only to be sure whom it meets; needed before the first start of each node of a new
    /// cluster
    #[arg(long, value_name = "ID", global = true)]
    cluster_id: Option<String>,
    /// A file with the cluster's secret in its first line
    #[arg(long, value_name = "FILE", global = true)]
    secret_file: Option<PathBuf>,
}

impl Keys {
    fn is_empty(&self) -> bool {
        self.cluster_id.is_none() && self.secret_file.is_none()
    }

    /// Whoever knocks needs a door.
    pub fn goes_with(&self, doors: &str) -> Outcome {
        if self.is_empty() {
            return Ok(());
        }
        Err(Failure::usage(format!("--cluster-id and --secret-file go with {doors}")))
    }

    /// As settings.
    pub fn settings(&self) -> Outcome<Vec<Property>> {
        let mut settings = Vec::new();
        if let Some(id) = &self.cluster_id {
            settings.push(("cluster.id".to_owned(), id.clone()));
        }
        if let Some(path) = &self.secret_file {
            settings.push(("cluster.secret".to_owned(), secret(path)?));
        }
        Ok(settings)
    }
}

/// Where a cluster is.
#[derive(Args, Debug, Default)]
pub struct Bootstrap {
    /// Addresses of one or more nodes of a running cluster, separated by commas: tcp://host:port, host:port, tls://host:port or unix:///path
    #[arg(long, value_name = "ADDR,...", value_delimiter = ',', global = true)]
    bootstrap_server: Vec<String>,
    /// A file of settings of the client, a name=value in each line, such as cluster.secret=.. or those of TLS
    #[arg(long, value_name = "FILE", global = true)]
    command_config: Option<PathBuf>,
    /// A setting of the client, such as default.api.timeout.ms=5000; may be repeated
    #[arg(long = "command-property", value_name = "K=V", value_parser = property, global = true)]
    command_properties: Vec<Property>,
}

impl Bootstrap {
    pub fn is_given(&self) -> bool {
        !self.bootstrap_server.is_empty()
    }

    /// The cluster, if one was named.
    pub fn connect(&self, keys: &Keys) -> Outcome<Option<ClusterClient>> {
        if self.is_given() {
            return self.connect_with(keys).map(Some);
        }
        if self.command_config.is_some() || !self.command_properties.is_empty() {
            return Err(Failure::usage("--command-config and --command-property go with --bootstrap-server"));
        }
        Ok(None)
    }

    fn connect_with(&self, keys: &Keys) -> Outcome<ClusterClient> {
        let servers: Vec<String> = self.bootstrap_server.iter().map(|server| url(server)).collect();
        let mut builder = ClusterClient::builder().set("bootstrap.servers", &servers.join(","))?;
        if let Some(path) = &self.command_config {
            for (name, value) in settings_in(path)? {
                builder = builder.set(&name, &value).map_err(|error| Failure::opening(path, &error))?;
            }
        }
        for (name, value) in self.command_properties.iter().chain(&keys.settings()?) {
            builder = builder.set(name, value)?;
        }
        let unreachable = |error: &kafkalog::Error| Failure::connecting(&servers.join(","), error);
        let client = builder.connect().map_err(|error| unreachable(&error))?;
        // Nothing is done before somebody has answered.
        client.describe_cluster().map_err(|error| unreachable(&error))?;
        Ok(client)
    }
}

/// `host:port`, as Kafka writes it, is an address of a TCP socket.
fn url(server: &str) -> String {
    let server = server.trim();
    if server.contains("://") || server.is_empty() {
        server.to_owned()
    } else {
        format!("tcp://{server}")
    }
}

/// For verbs that work on nothing else.
#[derive(Args, Debug)]
pub struct Cluster {
    #[command(flatten)]
    bootstrap: Bootstrap,
    #[command(flatten)]
    keys: Keys,
}

impl Cluster {
    pub fn connect(&self) -> Outcome<ClusterClient> {
        let client = self.bootstrap.connect(&self.keys)?;
        client.ok_or_else(|| Failure::usage("--bootstrap-server is needed: this verb asks a running cluster"))
    }
}

pub fn topic(client: &ClusterClient, name: &str) -> Outcome<TopicDescription> {
    client.describe(name).map_err(|error| match error.code() {
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION => {
            kafkalog::Error::new(error.code(), format!("there is no topic {name:?} in this cluster")).into()
        }
        _ => error.into(),
    })
}

/// What is left to be done is done, or a failure.
pub fn close(client: &ClusterClient) -> Outcome {
    match client.close()? {
        report if report.is_clean() => Ok(()),
        report => Err(Failure::failed(report.to_string())),
    }
}

/// The first line of a file: what comes behind it (most editors leave a line end) is no part of a secret.
fn secret(path: &Path) -> Outcome<String> {
    let text = std::fs::read_to_string(path).map_err(|error| Failure::file(path, &error))?;
    match text.lines().next().map(str::trim_end) {
        Some(secret) if !secret.is_empty() => Ok(secret.to_owned()),
        _ => Err(Failure::new(Status::CannotOpen, format!("{}: there is no secret in its first line", path.display()))),
    }
}

/// As Java's property files, without their escapes: comments begin with # or !.
fn settings_in(path: &Path) -> Outcome<Vec<Property>> {
    let text = std::fs::read_to_string(path).map_err(|error| Failure::file(path, &error))?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(['#', '!']));
    let one = |line: &str| match property(line) {
        Ok((name, value)) => Ok((name.trim().to_owned(), value.trim().to_owned())),
        Err(why) => Err(Failure::usage(format!("{}: {line:?}: {why}", path.display()))),
    };
    lines.map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, text: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("kafkalog-{name}-{}", std::process::id()));
        std::fs::write(&path, text).unwrap();
        path
    }

    #[test]
    fn a_secret_is_the_first_line_of_its_file() {
        let path = file("secret", "open sesame\r\nnot this\n");
        assert_eq!(secret(&path).unwrap(), "open sesame");
        std::fs::write(&path, "\nnot this\n").unwrap();
        assert_eq!(secret(&path).unwrap_err().status(), Status::CannotOpen);
        std::fs::remove_file(&path).unwrap();
        assert!(secret(&path).is_err());
    }

    #[test]
    fn a_file_of_settings_has_one_in_each_line() {
        let path = file("settings", "# mine\n\ncluster.secret = open=sesame \n!no\nrequest.timeout.ms=5\n");
        let of = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let expected = [of("cluster.secret", "open=sesame"), of("request.timeout.ms", "5")];
        assert_eq!(settings_in(&path).unwrap(), expected);
        std::fs::write(&path, "nothing\n").unwrap();
        assert_eq!(settings_in(&path).unwrap_err().status(), Status::Usage);
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn an_address_without_a_scheme_is_one_of_tcp() {
        assert_eq!(url("localhost:9301"), "tcp://localhost:9301");
        assert_eq!(url("unix:///run/log.sock"), "unix:///run/log.sock");
    }
}
