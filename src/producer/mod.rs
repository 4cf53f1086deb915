//! The producer: chooses a partition, encodes each record straight into an open batch, and lets whoever fills a batch
//! (or waits for it) carry it to the log on its own thread.

mod accumulator;
mod batch;
mod builder;
mod delivery;
#[cfg(test)]
mod fake;
mod finish;
mod handle;
mod host;
mod memory;
mod parking;
mod partitioner;
mod queue;
mod record;
mod sender;
mod shared;
mod sink;
mod spares;
mod stats;
mod teller;
#[cfg(test)]
mod tests;
mod topics;
mod upkeep;

pub use builder::ProducerBuilder;
pub use delivery::Delivery;
pub use handle::Producer;
pub use partitioner::{PartitionChoice, Partitioner};
pub use record::{Record, RecordMetadata};
pub use sink::{BatchPlacement, DeliveryReport, DeliverySink};
pub use stats::ProducerStats;

pub(crate) use host::{Appended, Host, HostPartition, HostTopic, Judgement, Wakeable};
#[allow(unused_imports)] // until a cluster is wired
pub(crate) use host::{Seat, Submitted};
