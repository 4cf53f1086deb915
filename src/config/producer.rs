//! The settings of one producer.

use super::lookup::{parse, refused, rows};
use super::table::Scope;
use super::value::Value;
use crate::error::Result;
use crate::types::{Acks, Codec};
use std::collections::BTreeMap;
use std::time::Duration;

/// Resolved settings of a producer. Read the fields; write them with [`set`](ProducerConfig::set), which knows the ranges
/// and remembers what was set by hand.
#[derive(Clone, PartialEq, Debug)]
pub struct ProducerConfig {
    /// `acks`.
    pub acks: Acks,
    /// `batch.size`.
    pub batch_bytes: u32,
    /// `linger.ms`.
    pub linger: Duration,
    /// `buffer.memory`.
    pub buffer_bytes: u64,
    /// `max.block.ms`.
    pub block_max: Duration,
    /// `max.request.size`.
    pub request_bytes_max: u32,
    /// `compression.type`.
    pub compression: Codec,
    /// The level of the chosen codec; `None` leaves it to the codec.
    pub compression_level: Option<i32>,
    /// `delivery.timeout.ms`; when not set by hand never below `linger.ms + request.timeout.ms`.
    pub delivery_timeout: Duration,
    /// `request.timeout.ms`.
    pub request_timeout: Duration,
    /// `retries`.
    pub retries: u32,
    /// `retry.backoff.ms`.
    pub retry_backoff: Duration,
    /// `retry.backoff.max.ms`.
    pub retry_backoff_max: Duration,
    /// `partitioner.ignore.keys`.
    pub partitioner_ignores_keys: bool,
    /// `partitioner.adaptive.partitioning.enable`.
    pub partitioner_is_adaptive: bool,
    /// `client.id`; empty when none was given.
    pub client_id: String,
    gzip_level: Option<i32>,
    zstd_level: Option<i32>,
    explicit: BTreeMap<&'static str, String>,
}

impl Default for ProducerConfig {
    fn default() -> ProducerConfig {
        let mut config = ProducerConfig {
            acks: Acks::All,
            batch_bytes: 0,
            linger: Duration::ZERO,
            buffer_bytes: 0,
            block_max: Duration::ZERO,
            request_bytes_max: 0,
            compression: Codec::None,
            compression_level: None,
            delivery_timeout: Duration::ZERO,
            request_timeout: Duration::ZERO,
            retries: 0,
            retry_backoff: Duration::ZERO,
            retry_backoff_max: Duration::ZERO,
            partitioner_ignores_keys: false,
            partitioner_is_adaptive: false,
            client_id: String::new(),
            gzip_level: None,
            zstd_level: None,
            explicit: BTreeMap::new(),
        };
        for row in rows(Scope::Producer) {
            config.apply(
                row.name,
                &row.kind.parse(row.default, 1).expect("a test holds every default against its range"),
            );
        }
        config.derive();
        config
    }
}

impl ProducerConfig {
    /// Sets one setting by Kafka's name. INVALID_CONFIG (40) for unknown names and values out of range.
    pub fn set(&mut self, name: &str, text: &str) -> Result<()> {
        let (found, value) = parse(Scope::Producer, name, text)?;
        self.apply(found.name, &value);
        self.explicit.insert(found.name, value.to_string());
        self.derive();
        Ok(())
    }

    /// Refuses combinations that cannot work. INVALID_CONFIG (40), naming the settings.
    pub fn check(&self) -> Result<()> {
        let least = self.linger.saturating_add(self.request_timeout);
        if self.delivery_timeout < least {
            return Err(refused(format!(
                "delivery.timeout.ms={} is below linger.ms + request.timeout.ms = {}",
                self.delivery_timeout.as_millis(),
                least.as_millis()
            )));
        }
        if self.buffer_bytes < u64::from(self.batch_bytes) {
            return Err(refused(format!(
                "buffer.memory={} cannot hold one batch of batch.size={}",
                self.buffer_bytes, self.batch_bytes
            )));
        }
        Ok(())
    }

    fn apply(&mut self, name: &str, value: &Value) {
        match name {
            "acks" => self.acks = acks(value.text()),
            "batch.size" => self.batch_bytes = value.u32(),
            "linger.ms" => self.linger = value.millis(),
            "buffer.memory" => self.buffer_bytes = value.u64(),
            "max.block.ms" => self.block_max = value.millis(),
            "max.request.size" => self.request_bytes_max = value.u32(),
            "compression.type" => self.compression = codec(value.text()),
            "compression.gzip.level" => self.gzip_level = Some(level(value)).filter(|level| *level != -1),
            "compression.zstd.level" => self.zstd_level = Some(level(value)),
            "delivery.timeout.ms" => self.delivery_timeout = value.millis(),
            "request.timeout.ms" => self.request_timeout = value.millis(),
            "retries" => self.retries = value.u32(),
            "retry.backoff.ms" => self.retry_backoff = value.millis(),
            "retry.backoff.max.ms" => self.retry_backoff_max = value.millis(),
            "partitioner.ignore.keys" => self.partitioner_ignores_keys = value.bool(),
            "partitioner.adaptive.partitioning.enable" => self.partitioner_is_adaptive = value.bool(),
            "client.id" => value.text().clone_into(&mut self.client_id),
            other => unreachable!("{other} has a row and no field"),
        }
    }

    /// The fields that follow from others.
    fn derive(&mut self) {
        if !self.explicit.contains_key("delivery.timeout.ms") {
            let least = self.linger.saturating_add(self.request_timeout);
            self.delivery_timeout = least.max(Duration::from_millis(120_000));
        }
        self.compression_level = match self.compression {
            Codec::None | Codec::Snappy | Codec::Lz4 => None,
            Codec::Gzip => self.gzip_level,
            Codec::Zstd => self.zstd_level,
        };
    }
}

fn acks(text: &str) -> Acks {
    match text {
        "0" => Acks::None,
        "1" => Acks::Leader,
        _ => Acks::All,
    }
}

fn level(value: &Value) -> i32 {
    i32::try_from(value.int()).expect("the row's range lies within 32 bits")
}

/// The codec of a word that a row allows.
pub(super) fn codec(text: &str) -> Codec {
    match text {
        "gzip" => Codec::Gzip,
        "snappy" => Codec::Snappy,
        "lz4" => Codec::Lz4,
        "zstd" => Codec::Zstd,
        _ => Codec::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(settings: &[(&str, &str)]) -> ProducerConfig {
        let mut config = ProducerConfig::default();
        for (name, value) in settings {
            config.set(name, value).unwrap();
        }
        config
    }

    #[test]
    fn the_defaults_are_those_of_kafka_4() {
        let config = ProducerConfig::default();
        assert_eq!((config.acks, config.batch_bytes, config.linger), (Acks::All, 16384, Duration::from_millis(5)));
        assert_eq!((config.delivery_timeout, config.compression), (Duration::from_secs(120), Codec::None));
        let backoff = (config.retry_backoff.as_millis(), config.retry_backoff_max.as_millis());
        assert_eq!((config.retries, backoff), (2_147_483_647, (100, 1000)));
        config.check().unwrap();
    }

    #[test]
    fn a_delivery_timeout_that_cannot_hold_is_refused_when_explicit_and_raised_when_not() {
        let error = with(&[("linger.ms", "1000"), ("delivery.timeout.ms", "30000")]).check().unwrap_err();
        assert_eq!(error.message(), "delivery.timeout.ms=30000 is below linger.ms + request.timeout.ms = 31000");
        let raised = with(&[("linger.ms", "100000")]);
        raised.check().unwrap();
        assert_eq!(raised.delivery_timeout, Duration::from_secs(130));
        with(&[("linger.ms", "9223372036854775807")]).check().unwrap();
    }

    #[test]
    fn a_buffer_that_cannot_hold_one_batch_is_refused() {
        let error = with(&[("buffer.memory", "1000")]).check().unwrap_err();
        assert_eq!(error.message(), "buffer.memory=1000 cannot hold one batch of batch.size=16384");
        with(&[("batch.size", "1000"), ("buffer.memory", "1000")]).check().unwrap();
    }

    #[test]
    fn the_level_is_that_of_the_chosen_codec_in_whichever_order_they_are_set() {
        assert_eq!(with(&[("compression.zstd.level", "9"), ("compression.type", "zstd")]).compression_level, Some(9));
        assert_eq!(with(&[("compression.type", "gzip")]).compression_level, None);
        assert_eq!(with(&[("compression.type", "gzip"), ("compression.gzip.level", "4")]).compression_level, Some(4));
    }
}
