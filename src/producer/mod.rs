//! The producer: chooses a partition, encodes each record straight into an open batch, and lets whoever fills a batch
//! (or waits for it) carry it to the log on its own thread.
//!
//! A partition that only this process can lead is written to by `sender`: an append there is the whole story. Where another node may
//! lead, now or later, `ship` takes over: a sealed batch becomes a `parcel`, which is appended here or handed over, and comes back to
//! the front of its queue (`outbound`, `retry`) until it has reached its rung or its time is up. `news` and `waiting` learn of that
//! from other threads.

mod accumulator;
mod attempts;
mod batch;
mod builder;
mod delivery;
#[cfg(test)]
mod fake;
#[cfg(test)]
mod fake_replica;
mod finish;
mod handle;
mod host;
mod memory;
mod news;
mod outbound;
mod pace;
mod parcel;
mod parking;
mod partitioner;
mod queue;
mod record;
mod retry;
mod sender;
mod shared;
mod ship;
mod sink;
mod spares;
mod split;
mod stats;
mod teller;
#[cfg(test)]
mod tests;
mod topics;
mod unfinished;
mod upkeep;
mod waiting;

pub use builder::ProducerBuilder;
pub use delivery::Delivery;
pub use handle::Producer;
pub use partitioner::{PartitionChoice, Partitioner};
pub use record::{Record, RecordMetadata};
pub use sink::{BatchPlacement, DeliveryReport, DeliverySink};
pub use stats::ProducerStats;

pub(crate) use host::{Appended, Host, HostPartition, HostTopic, Judgement, Wakeable};
pub(crate) use host::{Seat, Submitted};
