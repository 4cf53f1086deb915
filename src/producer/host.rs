//! What a producer needs of the engine that opened it, as small as it can be.

use super::ProducerStats;
use crate::error::{Error, ErrorCode, Result};
use crate::node::{Grouped, Notify};
use crate::record::SealedBatch;
use crate::time::{Clock, Instant};
use crate::types::{Acks, LeaderEpoch, Offset, Rung, Timestamp};
use bytes::Bytes;
use std::any::Any;
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

/// A partition, as producers see it: led by this node, or by another one that can be reached through this. Implemented by
/// `node::Partition`.
pub(crate) trait HostPartition: Send + Sync {
    /// Who leads it now. Always [`Here`](Seat::Here) where nobody else ever can.
    fn seat(&self) -> Seat {
        Seat::Here
    }
    /// The reign of the leader that this node knows of. Grows with every change of leadership; asked before and after an attempt to see
    /// whether there is somebody new to try.
    fn leader_epoch(&self) -> LeaderEpoch {
        LeaderEpoch(0)
    }
    /// Appends on this thread; waits neither for a flush nor for replicas. NOT_LEADER_OR_FOLLOWER where another node leads.
    fn append(&self, batch: &mut SealedBatch, acks: Acks) -> Result<Appended>;
    /// Appends batches in one write. Nothing is placed and nothing refused where they have to go one by one.
    fn append_group(&self, batches: &mut [SealedBatch], acks: Acks) -> Grouped {
        let _ = (batches, acks);
        Grouped::default()
    }
    /// Hands batches to the leader elsewhere, in this order and with nothing of anybody else between them; never blocks. `done` is called
    /// exactly once, on any thread (this one included, before this returns), with no lock held, not later than about `deadline`: when
    /// all of them have reached the rung that `acks` asks for, there where they were appended, or have failed together. `Appended`
    /// speaks of all of them: the first offset of the first one, the last one of the last. With `Acks::None` it is called at once, and
    /// what its `Appended` says is not believed.
    ///
    /// An error that is final (MESSAGE_TOO_LARGE, INVALID_RECORD...) means that none of them is in the log.
    fn submit(&self, batches: Vec<Bytes>, acks: Acks, deadline: Instant, done: Submitted) {
        let _ = (batches, acks, deadline);
        done(Err(Error::new(ErrorCode::NOT_LEADER_OR_FOLLOWER, "this node knows no way to another leader")));
    }
    /// `flush.messages=1`.
    fn must_flush_before_ack(&self) -> bool;
    /// Waits until everything below `end` is on `rung`, leading the group commit if need be; answers the rung reached.
    fn wait_for(&self, end: Offset, rung: Rung, deadline: Option<Instant>) -> Result<Rung>;
    /// How a batch stands that was appended here under `admitted` and ends at `end`. Lost with NOT_LEADER_OR_FOLLOWER when that
    /// leadership was over before the batch had reached `needed`, with NOT_ENOUGH_REPLICAS_AFTER_APPEND when it is there and too few
    /// replicas are in sync.
    fn judge(&self, end: Offset, admitted: LeaderEpoch, needed: Rung) -> Judgement;
    /// Has `listener` told whenever the high watermark moves or the leadership changes, until the answer is dropped. `None` for a
    /// partition where nobody else can ever move them; one that is not always [`Here`](Seat::Here) never answers so.
    fn subscribe(&self, listener: Arc<dyn Notify>) -> Option<Box<dyn Any + Send + Sync>> {
        let _ = listener;
        None
    }
}

/// What [`submit`](HostPartition::submit) calls with its answer.
pub(crate) type Submitted = Box<dyn FnOnce(Result<Appended>) + Send>;

/// Where the leader of a partition sits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Seat {
    /// This node leads: append on this thread.
    Here,
    /// Another node leads: hand over.
    Elsewhere,
    /// Nobody leads, as far as this node knows.
    Unknown,
}

/// How an unfinished batch stands.
#[derive(Clone, Debug)]
pub(crate) enum Judgement {
    Wait,
    /// It is on this rung, the needed one or a higher one.
    Reached(Rung),
    /// It will not get there by itself. It may be in the log all the same.
    Lost(Error),
}

/// Where a batch was put.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Appended {
    pub base_offset: Offset,
    pub last_offset: Offset,
    pub log_append_time: Option<Timestamp>,
    pub rung: Rung,
    /// Of the leader that took it.
    pub leader_epoch: LeaderEpoch,
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
