//! `ProducerBuilder`: settings first, then one `open`.

use super::{DeliverySink, Host, Partitioner, Producer};
use crate::error::Result;
use crate::types::Acks;
use std::sync::Arc;
use std::time::Duration;

/// Settings of a producer, with Kafka 4.0's defaults.
pub struct ProducerBuilder {
    #[allow(dead_code)]
    host: Arc<dyn Host>,
}

impl ProducerBuilder {
    #[allow(dead_code)]
    pub(crate) fn new(host: Arc<dyn Host>) -> ProducerBuilder {
        ProducerBuilder { host }
    }

    /// Who must have a record before its send is acknowledged (`acks`, default all).
    #[must_use]
    pub fn acks(self, acks: Acks) -> Self {
        let _ = acks;
        self
    }

    /// Any producer setting by Kafka's name.
    ///
    /// # Errors
    /// INVALID_CONFIG for an unknown name or a value out of range, naming both.
    pub fn set(self, name: &str, value: &str) -> Result<Self> {
        let _ = (name, value);
        Ok(self)
    }

    /// How long a batch waits for company (`linger.ms`, default 5 ms; whole milliseconds).
    #[must_use]
    pub fn linger(self, linger: Duration) -> Self {
        let _ = linger;
        self
    }

    /// The size at which a batch is full (`batch.size`, default 16384 bytes).
    #[must_use]
    pub fn batch_bytes(self, bytes: u32) -> Self {
        let _ = bytes;
        self
    }

    /// A partitioner of your own (`partitioner.class`).
    #[must_use]
    pub fn partitioner(self, partitioner: Arc<dyn Partitioner>) -> Self {
        let _ = partitioner;
        self
    }

    /// Who hears of records sent with `send_tagged`.
    #[must_use]
    pub fn delivery_sink(self, sink: Arc<dyn DeliverySink>) -> Self {
        let _ = sink;
        self
    }

    /// Opens the producer.
    ///
    /// # Errors
    /// INVALID_CONFIG for an impossible combination, CLOSED when the engine is.
    pub fn open(self) -> Result<Producer> {
        todo!()
    }
}

impl std::fmt::Debug for ProducerBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProducerBuilder").finish_non_exhaustive()
    }
}
