//! Reading: consumers that are assigned partitions, direct access to one partition, and a directory that another process
//! is writing.
//!
//! A [`Consumer`] asks its partitions for whole batches, checks them, and hands out [`ConsumerRecords`] that own those bytes
//! without having copied them. Where the bytes come from is behind `source::Source`: a partition of an open engine, the
//! leader of one that has no replica here, the files of a directory that somebody else may be writing ([`ReadOnlyEngine`]).

mod builder;
mod client;
mod faults;
mod fetcher;
mod foreign;
mod lane;
mod limits;
mod live;
#[cfg(feature = "quorum")]
mod nearest;
mod open_batch;
mod partition_log;
mod read_only;
mod records;
mod remote;
mod signal;
mod source;

pub use builder::{ConsumerBuilder, StartAt};
pub use client::Consumer;
pub use partition_log::{AppendOptions, BatchFill, PartitionLog};
pub use read_only::ReadOnlyEngine;
pub use records::{BatchRecords, ConsumerRecord, ConsumerRecords, FetchedBatch, PositionReset, Records};
pub use signal::{Ticket, Waker};
