//! Where batches come from: a partition of an open engine, one of another node, or files that another process writes.

use crate::config::ConsumerConfig;
use crate::error::Result;
use crate::node::Notify;
use crate::storage::AbortedTxn;
use crate::types::{Offset, Timestamp, TopicPartition};
use bytes::Bytes;
use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;

/// Finds the source of a partition.
pub(crate) trait Sources: Send + Sync + Debug {
    /// For a consumer with these settings. `UNKNOWN_TOPIC_OR_PARTITION` when there is none.
    fn open(&self, partition: &TopicPartition, config: &ConsumerConfig) -> Result<Arc<dyn Source>>;
}

/// The ends of what may be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Bounds {
    pub start: Offset,
    /// Behind the last record that a consumer may see.
    pub end: Offset,
}

/// What to read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask {
    pub from: Offset,
    /// Soft: one whole batch comes back however large it is.
    pub bytes_max: usize,
    /// Only what is decided: below the last stable offset.
    pub committed: bool,
}

/// Reads one partition.
pub(crate) trait Source: Send + Sync + Debug {
    /// Whole batches from the one that holds `ask.from` on, checksums not yet compared; empty at the end.
    /// `OFFSET_OUT_OF_RANGE` outside the log, and once after the log was cut below what was read before.
    fn read(&self, ask: Ask) -> Result<Bytes>;

    fn bounds(&self, committed: bool) -> Result<Bounds>;

    fn offset_for_timestamp(&self, at: Timestamp) -> Result<Option<(Offset, Timestamp)>>;

    /// Aborted transactions that overlap `[from, to)`, by first offset.
    fn aborted(&self, from: Offset, to: Offset) -> Result<Vec<AbortedTxn>>;

    /// Tells `listener` of changes until the answer is dropped.
    fn subscribe(&self, listener: Arc<dyn Notify>) -> Box<dyn Any + Send + Sync>;
}
