//! What a producer needs of the engine that opened it, as small as it can be.

use crate::error::Result;
use crate::time::{Clock, Instant};
use std::sync::{Arc, Weak};

/// The engine, as its producers see it.
pub(crate) trait Host: Send + Sync {
    /// The one clock of the engine.
    fn clock(&self) -> &Arc<dyn Clock>;
    /// Registers a producer for [`wake_by`](Host::wake_by) and for the engine's close. Weak: the engine keeps no
    /// producer alive.
    fn register(&self, producer: Weak<dyn Wakeable>);
    /// Sees to it that `kafkalog-node` calls `run` of every registered producer not later than `when`. Cheap when that
    /// thread wakes early enough anyway.
    fn wake_by(&self, when: Instant);
    /// Runs a user's callback on `kafkalog-callbacks`, after all that were given earlier.
    fn call_back(&self, callback: Box<dyn FnOnce() + Send>);
    /// Creates a topic with the engine's defaults when `auto.create.topics.enable` allows; otherwise
    /// UNKNOWN_TOPIC_OR_PARTITION.
    fn auto_create_topic(&self, topic: &str) -> Result<()>;
    /// One line for the log sink.
    fn log_warning(&self, line: &str);
    /// Why no more work is accepted, once the engine is closed or forked.
    fn refusal(&self) -> Option<crate::error::Error>;
}

/// The producer, as `kafkalog-node` and the closing engine see it.
pub(crate) trait Wakeable: Send + Sync {
    /// Does what is due (linger passed, acknowledgements that nobody waits for, expiries) and says when to come back.
    fn run(&self, now: Instant) -> Option<Instant>;
    /// Flushes within `deadline`, then fails what is left; afterwards every send answers CLOSED.
    fn close_with_engine(&self, deadline: Instant);
    /// Counters for the engine's stats.
    fn stats(&self) -> super::ProducerStats;
    /// `client.id`.
    fn client_id(&self) -> &str;
}
