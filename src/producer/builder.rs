//! `ProducerBuilder`: settings first, then one `open`.

use super::host::Wakeable;
use super::shared::Shared;
use super::{DeliverySink, Host, Partitioner, Producer};
use crate::config::ProducerConfig;
use crate::error::Result;
use crate::record::check_level;
use crate::types::Acks;
use std::sync::Arc;
use std::time::Duration;

/// Settings of a producer, with Kafka 4.0's defaults.
pub struct ProducerBuilder {
    host: Arc<dyn Host>,
    config: ProducerConfig,
    partitioner: Option<Arc<dyn Partitioner>>,
    sink: Option<Arc<dyn DeliverySink>>,
}

impl ProducerBuilder {
    pub(crate) fn new(host: Arc<dyn Host>) -> ProducerBuilder {
        ProducerBuilder { host, config: ProducerConfig::default(), partitioner: None, sink: None }
    }

    /// Who must have a record before its send is acknowledged (`acks`, default all).
    #[must_use]
    pub fn acks(mut self, acks: Acks) -> Self {
        self.config.acks = acks;
        self
    }

    /// Any producer setting by Kafka's name.
    ///
    /// # Errors
    /// INVALID_CONFIG for an unknown name or a value out of range, naming both.
    pub fn set(mut self, name: &str, value: &str) -> Result<Self> {
        self.config.set(name, value)?;
        Ok(self)
    }

    /// How long a batch waits for company (`linger.ms`, default 5 ms).
    #[must_use]
    pub fn linger(mut self, linger: Duration) -> Self {
        self.config.linger = linger;
        self
    }

    /// The size at which a batch is full (`batch.size`, default 16384 bytes).
    #[must_use]
    pub fn batch_bytes(mut self, bytes: u32) -> Self {
        self.config.batch_bytes = bytes;
        self
    }

    /// A partitioner of your own (`partitioner.class`).
    #[must_use]
    pub fn partitioner(mut self, partitioner: Arc<dyn Partitioner>) -> Self {
        self.partitioner = Some(partitioner);
        self
    }

    /// Who hears of records sent with `send_tagged`.
    #[must_use]
    pub fn delivery_sink(mut self, sink: Arc<dyn DeliverySink>) -> Self {
        self.sink = Some(sink);
        self
    }

    /// Opens the producer.
    ///
    /// # Errors
    /// INVALID_CONFIG for an impossible combination, CLOSED when the engine is.
    pub fn open(self) -> Result<Producer> {
        self.config.check()?;
        check_level(self.config.compression, self.config.compression_level)?;
        if let Some(refused) = self.host.refusal() {
            return Err(refused);
        }
        let shared = Shared::new(self.host, self.config, self.partitioner, self.sink);
        let as_wakeable: Arc<dyn Wakeable> = shared.clone();
        shared.host.register(Arc::downgrade(&as_wakeable));
        Ok(Producer::new(shared))
    }
}

impl std::fmt::Debug for ProducerBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProducerBuilder").finish_non_exhaustive()
    }
}
