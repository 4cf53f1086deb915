//! The settings of one consumer.

use super::lookup::{parse, refused, rows};
use super::table::Scope;
use super::value::Value;
use crate::error::Result;
use std::time::Duration;

/// `auto.offset.reset`: where to go on when the position is not in the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum OffsetReset {
    /// At the end.
    #[default]
    Latest,
    /// At the first record that there still is.
    Earliest,
    /// Nowhere: poll returns OFFSET_OUT_OF_RANGE (1).
    None,
}

/// `isolation.level`: which records of transactions are handed out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum IsolationLevel {
    /// All, in the order of the log.
    #[default]
    ReadUncommitted,
    /// Only those of committed transactions, up to the first one that is open.
    ReadCommitted,
}

/// Resolved settings of a consumer. Read the fields; write them with [`set`](ConsumerConfig::set), which knows the ranges.
#[derive(Clone, PartialEq, Debug)]
pub struct ConsumerConfig {
    /// `auto.offset.reset`.
    pub offset_reset: OffsetReset,
    /// `max.poll.records`.
    pub poll_records_max: u32,
    /// `fetch.min.bytes`.
    pub fetch_bytes_min: u32,
    /// `fetch.max.bytes`.
    pub fetch_bytes_max: u32,
    /// `max.partition.fetch.bytes`.
    pub partition_fetch_bytes_max: u32,
    /// `fetch.max.wait.ms`.
    pub fetch_wait_max: Duration,
    /// `check.crcs`.
    pub checks_crcs: bool,
    /// `isolation.level`.
    pub isolation: IsolationLevel,
    /// `default.api.timeout.ms`.
    pub api_timeout: Duration,
    /// `client.id`; empty when none was given.
    pub client_id: String,
}

impl Default for ConsumerConfig {
    fn default() -> ConsumerConfig {
        let mut config = ConsumerConfig {
            offset_reset: OffsetReset::Latest,
            poll_records_max: 0,
            fetch_bytes_min: 0,
            fetch_bytes_max: 0,
            partition_fetch_bytes_max: 0,
            fetch_wait_max: Duration::ZERO,
            checks_crcs: false,
            isolation: IsolationLevel::ReadUncommitted,
            api_timeout: Duration::ZERO,
            client_id: String::new(),
        };
        for row in rows(Scope::Consumer) {
            config.apply(
                row.name,
                &row.kind.parse(row.default, 1).expect("a test holds every default against its range"),
            );
        }
        config
    }
}

impl ConsumerConfig {
    /// Sets one setting by Kafka's name. INVALID_CONFIG (40) for unknown names and values out of range.
    pub fn set(&mut self, name: &str, text: &str) -> Result<()> {
        let (found, value) = parse(Scope::Consumer, name, text)?;
        self.apply(found.name, &value);
        Ok(())
    }

    /// Refuses combinations that cannot work. INVALID_CONFIG (40), naming the settings.
    pub fn check(&self) -> Result<()> {
        if self.fetch_bytes_min > self.fetch_bytes_max {
            return Err(refused(format!(
                "fetch.min.bytes={} is above fetch.max.bytes={}, so that every fetch would wait in vain",
                self.fetch_bytes_min, self.fetch_bytes_max
            )));
        }
        Ok(())
    }

    fn apply(&mut self, name: &str, value: &Value) {
        match name {
            "auto.offset.reset" => {
                self.offset_reset = match value.text() {
                    "earliest" => OffsetReset::Earliest,
                    "none" => OffsetReset::None,
                    _ => OffsetReset::Latest,
                }
            }
            "max.poll.records" => self.poll_records_max = value.u32(),
            "fetch.min.bytes" => self.fetch_bytes_min = value.u32(),
            "fetch.max.bytes" => self.fetch_bytes_max = value.u32(),
            "max.partition.fetch.bytes" => self.partition_fetch_bytes_max = value.u32(),
            "fetch.max.wait.ms" => self.fetch_wait_max = value.millis(),
            "check.crcs" => self.checks_crcs = value.bool(),
            "isolation.level" => {
                self.isolation = match value.text() {
                    "read_committed" => IsolationLevel::ReadCommitted,
                    _ => IsolationLevel::ReadUncommitted,
                }
            }
            "default.api.timeout.ms" => self.api_timeout = value.millis(),
            "client.id" => value.text().clone_into(&mut self.client_id),
            other => unreachable!("{other} has a row and no field"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_those_of_kafka_4() {
        let config = ConsumerConfig::default();
        assert_eq!((config.poll_records_max, config.fetch_bytes_max, config.checks_crcs), (500, 52_428_800, true));
        config.check().unwrap();
    }

    #[test]
    fn a_fetch_that_could_never_be_satisfied_is_refused() {
        let mut config = ConsumerConfig::default();
        config.set("fetch.min.bytes", "52428801").unwrap();
        assert!(config.check().unwrap_err().message().starts_with("fetch.min.bytes=52428801 is above fetch.max.bytes"));
    }
}
