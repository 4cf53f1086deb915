//! What a producer needs of the engine that opened it, as small as it can be.

use super::ProducerStats;
use crate::error::{Error, Result};
use crate::node::Grouped;
use crate::record::SealedBatch;
use crate::time::{Clock, Instant};
use crate::types::{Acks, Offset, Rung, Timestamp};
use std::sync::{Arc, Weak};

/// The engine, as its producers see it.
pub(crate) trait Host: Send + Sync {
    /// The one clock of the engine.
    fn clock(&self) -> &Arc<dyn Clock>;
    /// A topic by name, created with the engine's defaults when it is not there and `auto.create.topics.enable` allows;
    /// otherwise UNKNOWN_TOPIC_OR_PARTITION.
    fn topic(&self, name: &str) -> Result<Arc<dyn HostTopic>>;
    /// Registers a producer for [`wake_by`](Host::wake_by) and for the engine's close. Weak: the engine keeps no
    /// producer alive.
    fn register(&self, producer: Weak<dyn Wakeable>);
    /// Sees to it that `kafkalog-node` calls `run` of every registered producer not later than `when`. Cheap when that
    /// thread wakes early enough anyway.
    fn wake_by(&self, when: Instant);
    /// Runs a user's callback on `kafkalog-callbacks`, after all that were given earlier.
    fn call_back(&self, callback: Box<dyn FnOnce() + Send>);
    /// One line for the log sink.
    fn log_warning(&self, line: &str);
    /// Why no more work is accepted, once the engine is closed or forked.
    fn refusal(&self) -> Option<Error>;
}

/// A topic, as producers see it.
pub(crate) trait HostTopic: Send + Sync {
    /// At least 1; may grow. Asked at every send: one atomic load.
    fn partition_count(&self) -> u32;
    /// The leader of one partition.
    fn partition(&self, partition: u32) -> Result<Arc<dyn HostPartition>>;
}

/// The leader of a partition, as producers see it. Implemented by `node::Partition`.
pub(crate) trait HostPartition: Send + Sync {
    /// Appends on this thread; waits neither for a flush nor for replicas.
    fn append(&self, batch: &mut SealedBatch, acks: Acks) -> Result<Appended>;
    /// Appends batches in one write. Nothing is placed and nothing refused where they have to go one by one.
    fn append_group(&self, batches: &mut [SealedBatch], acks: Acks) -> Grouped {
        let _ = (batches, acks);
        Grouped::default()
    }
    /// `flush.messages=1`.
    fn must_flush_before_ack(&self) -> bool;
    /// Waits until everything below `end` is on `rung`, leading the group commit if need be; answers the rung reached.
    fn wait_for(&self, end: Offset, rung: Rung, deadline: Option<Instant>) -> Result<Rung>;
    /// The end of what is on `rung` now.
    fn end_of(&self, rung: Rung) -> Offset;
}

/// Where a batch was put.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Appended {
    pub base_offset: Offset,
    pub last_offset: Offset,
    pub log_append_time: Option<Timestamp>,
    pub rung: Rung,
}

/// The producer, as `kafkalog-node` and the closing engine see it.
pub(crate) trait Wakeable: Send + Sync {
    /// Does what is due (linger passed, acknowledgements that nobody waits for, expiries) and says when to come back.
    fn run(&self, now: Instant) -> Option<Instant>;
    /// Flushes until `deadline`, then fails what is left; afterwards every send answers CLOSED. Returns the records failed.
    fn close_with_engine(&self, deadline: Instant) -> u64;
    /// Counters for the engine's stats.
    fn stats(&self) -> ProducerStats;
    /// `client.id`.
    fn client_id(&self) -> &str;
}
