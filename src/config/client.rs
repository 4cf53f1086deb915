//! The settings of a program that hosts no data.

use super::address::urls;
use super::lookup::{parse, refused, rows};
use super::ssl::SslConfig;
use super::table::Scope;
use super::value::Value;
use crate::error::Result;
use crate::types::{ClusterId, Secret};
use std::time::Duration;

/// Resolved settings of a client. Read the fields; write them with [`set`](ClientConfig::set), which knows the ranges.
#[derive(Clone, PartialEq, Debug)]
pub struct ClientConfig {
    /// `bootstrap.servers`.
    pub bootstrap: Vec<String>,
    /// `cluster.id`; `None` when none was given.
    pub cluster_id: Option<ClusterId>,
    /// `cluster.secret`; `None` when none was given.
    pub secret: Option<Secret>,
    /// `ssl.*`.
    pub ssl: SslConfig,
    /// `client.id`; empty when none was given.
    pub client_id: String,
    /// `default.api.timeout.ms`.
    pub api_timeout: Duration,
    /// `request.timeout.ms`.
    pub request_timeout: Duration,
    /// `retry.backoff.ms`.
    pub retry_backoff: Duration,
    /// `retry.backoff.max.ms`.
    pub retry_backoff_max: Duration,
    /// `metadata.max.age.ms`.
    pub metadata_max_age: Duration,
    /// `fetch.pinned.max.bytes`.
    pub fetch_pinned_bytes_max: u64,
    /// `shutdown.timeout.ms`.
    pub shutdown_timeout: Duration,
}

impl Default for ClientConfig {
    fn default() -> ClientConfig {
        let mut config = ClientConfig {
            bootstrap: Vec::new(),
            cluster_id: None,
            secret: None,
            ssl: SslConfig::default(),
            client_id: String::new(),
            api_timeout: Duration::ZERO,
            request_timeout: Duration::ZERO,
            retry_backoff: Duration::ZERO,
            retry_backoff_max: Duration::ZERO,
            metadata_max_age: Duration::ZERO,
            fetch_pinned_bytes_max: 0,
            shutdown_timeout: Duration::ZERO,
        };
        for row in rows(Scope::Client) {
            config.apply(
                row.name,
                &row.kind.parse(row.default, 1).expect("a test holds every default against its range"),
            );
        }
        config
    }
}

impl ClientConfig {
    /// Sets one setting by Kafka's name. INVALID_CONFIG (40) for unknown names and values out of range.
    pub fn set(&mut self, name: &str, text: &str) -> Result<()> {
        let (found, value) = parse(Scope::Client, name, text)?;
        self.apply(found.name, &value);
        Ok(())
    }

    /// Refuses combinations that cannot work. INVALID_CONFIG (40), naming the settings.
    pub fn check(&self) -> Result<()> {
        if self.bootstrap.is_empty() {
            return Err(refused("bootstrap.servers is empty: there is nowhere to look for the cluster"));
        }
        Ok(())
    }

    fn apply(&mut self, name: &str, value: &Value) {
        match name {
            "bootstrap.servers" => {
                self.bootstrap =
                    if value.text().is_empty() { Vec::new() } else { urls(value.text()).unwrap_or_default() };
            }
            "cluster.id" => self.cluster_id = ClusterId::parse(value.text()),
            "cluster.secret" => {
                let secret = Some(value.text()).filter(|text| !text.is_empty());
                self.secret = secret.map(|secret| Secret::new(secret.as_bytes()));
            }
            "client.id" => value.text().clone_into(&mut self.client_id),
            "default.api.timeout.ms" => self.api_timeout = value.millis(),
            "request.timeout.ms" => self.request_timeout = value.millis(),
            "retry.backoff.ms" => self.retry_backoff = value.millis(),
            "retry.backoff.max.ms" => self.retry_backoff_max = value.millis(),
            "metadata.max.age.ms" => self.metadata_max_age = value.millis(),
            "fetch.pinned.max.bytes" => self.fetch_pinned_bytes_max = value.u64(),
            "shutdown.timeout.ms" => self.shutdown_timeout = value.millis(),
            other => assert!(self.ssl.apply(other, value), "{other} has a row and no field"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_needs_somewhere_to_look() {
        let mut config = ClientConfig::default();
        assert!(config.check().unwrap_err().message().starts_with("bootstrap.servers is empty"));
        config.set("bootstrap.servers", "tcp://a:9301, unix:///run/b.sock").unwrap();
        assert_eq!(config.bootstrap, ["tcp://a:9301", "unix:///run/b.sock"]);
        config.check().unwrap();
        assert!(config.set("bootstrap.servers", "a:9301").unwrap_err().message().contains("tcp://host:port"));
    }

    #[test]
    fn the_defaults_are_those_of_kafka_4() {
        let config = ClientConfig::default();
        let times = [config.api_timeout, config.request_timeout, config.metadata_max_age].map(|time| time.as_secs());
        assert_eq!((times, config.retry_backoff.as_millis()), ([60, 30, 300], 100));
    }
}
