//! The producer: chooses a partition, encodes each record straight into an open batch, and lets whoever fills a batch
//! (or waits for it) carry it to the log on its own thread.

mod builder;
mod delivery;
mod handle;
mod host;
mod partitioner;
mod record;
mod sink;
mod stats;

pub use builder::ProducerBuilder;
pub use delivery::Delivery;
pub use handle::Producer;
pub use partitioner::{PartitionChoice, Partitioner};
pub use record::{Header, Record, RecordMetadata};
pub use sink::{BatchPlacement, DeliveryReport, DeliverySink};
pub use stats::ProducerStats;

pub(crate) use host::{Host, Wakeable};
