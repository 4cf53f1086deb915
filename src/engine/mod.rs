//! The runtime around a node, and the handle that users hold.
//!
//! Four threads at the most, all quiet: `kafkalog-node` sees to batches whose linger is over and to the cluster, `kafkalog-flush` to what
//! nobody waits for (flushes by time, retention, checkpoints), and both sleep without a time limit when there is nothing to come; in a
//! cluster `kafkalog-heart` says that this node lives; `kafkalog-callbacks` is started by the first Rust callback. Everything else runs on the threads of the users.

mod admin;
#[cfg(feature = "quorum")]
mod appointed;
mod builder;
mod callbacks;
mod close;
#[cfg(feature = "quorum")]
mod cluster;
mod cluster_client;
mod cluster_json;
#[cfg(feature = "quorum")]
mod cluster_stats;
mod cluster_types;
mod core;
mod doorstep;
mod elsewhere;
mod helpers;
mod host;
mod log_sink;
mod metrics;
mod node_thread;
mod orders;
#[cfg(feature = "quorum")]
mod replicated;
mod stats;
mod timer;

pub use builder::EngineBuilder;
pub use cluster_client::{ClusterClient, ClusterClientBuilder};
pub use cluster_types::{
    ClusterDescription, ClusterEvent, NodeDescription, PartitionEnds, PartitionOutcome, PartitionReplicas,
    QuorumReplica, ReplicaState,
};
pub use log_sink::LogSink;

use self::core::Core;
use crate::consumer::{ConsumerBuilder, PartitionLog, ReadOnlyEngine};
use crate::error::{Error, Result};
use crate::node::CloseReport;
use crate::producer::ProducerBuilder;
use crate::types::NodeId;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// An open data directory. Clones are handles of the same engine; all may be used from any thread. It is closed by
/// [`close`](Engine::close), or when the last handle and the last producer are dropped.
#[derive(Clone)]
pub struct Engine {
    core: Arc<Core>,
    /// What this handle's questions to the controller may take, instead of `request.timeout.ms`.
    patience: Option<Duration>,
}

impl Engine {
    /// Opens `dir` with the default settings, creating it when it is not there.
    ///
    /// # Errors
    /// As [`EngineBuilder::open`].
    pub fn open(dir: impl AsRef<Path>) -> Result<Engine> {
        Engine::builder(dir).open()
    }

    /// Settings first.
    pub fn builder(dir: impl AsRef<Path>) -> EngineBuilder {
        EngineBuilder::new(dir.as_ref())
    }

    /// Reads and tails a directory that another process may be writing: no lock, nothing is changed.
    ///
    /// # Errors
    /// As [`ReadOnlyEngine::open`].
    pub fn open_read_only(dir: impl AsRef<Path>) -> Result<ReadOnlyEngine> {
        ReadOnlyEngine::open(dir)
    }

    /// Connects with a cluster that this program hosts no data of: `bootstrap` are addresses of some of its nodes
    /// (`bootstrap.servers`, here without commas), `settings` those of a client by Kafka's names. A transport of one's own is given
    /// to [`ClusterClient::builder`]. Does not wait for the cluster.
    ///
    /// # Errors
    /// As [`ClusterClientBuilder::connect`].
    pub fn connect(bootstrap: &[impl AsRef<str>], settings: &[(&str, &str)]) -> Result<ClusterClient> {
        let servers: Vec<&str> = bootstrap.iter().map(AsRef::as_ref).collect();
        let mut builder = ClusterClient::builder().set("bootstrap.servers", &servers.join(","))?;
        for (name, value) in settings {
            builder = builder.set(name, value)?;
        }
        builder.connect()
    }

    /// A producer's settings; it opens with [`ProducerBuilder::open`].
    #[must_use]
    pub fn producer(&self) -> ProducerBuilder {
        ProducerBuilder::new(Arc::clone(&self.core) as Arc<dyn crate::producer::Host>)
    }

    /// A consumer's settings; it opens with [`ConsumerBuilder::open`]. A consumer does not keep the engine open. In a cluster it reads every
    /// partition: those that have a replica here up to the replica's own high watermark, all others at their leaders.
    #[must_use]
    pub fn consumer(&self) -> ConsumerBuilder {
        let node = &self.core.node;
        ConsumerBuilder::over_node(Arc::clone(node), node.config().fetch_pinned_bytes_max)
    }

    /// Direct access to the log of one partition.
    ///
    /// # Errors
    /// UNKNOWN_TOPIC_OR_PARTITION, CLOSED; NOT_LEADER_OR_FOLLOWER in a cluster when this node has no replica.
    pub fn log(&self, topic: &str, partition: u32) -> Result<PartitionLog> {
        self.core.check()?;
        let node = &self.core.node;
        let partition = node.partition(topic, partition)?;
        partition.check_hosted()?;
        Ok(PartitionLog::new(partition, Arc::clone(node.clock()), node.config().fetch_pinned_bytes_max))
    }

    /// A handle of the same engine, whose changes of topics and of the cluster may take this long instead of `request.timeout.ms` where a
    /// controller or another node decides them. What took too long may be decided all the same.
    #[must_use]
    pub fn within(&self, timeout: Duration) -> Engine {
        Engine { core: Arc::clone(&self.core), patience: Some(timeout) }
    }

    /// The number of this node.
    #[must_use]
    pub fn node_id(&self) -> NodeId {
        self.core.node.identity().node_id.unwrap_or_default()
    }

    /// The data directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.core.node.dir()
    }

    /// The first failure that ended the engine as a whole (a bug caught on one of its threads), if there was one. One atomic load.
    #[must_use]
    pub fn fatal_error(&self) -> Option<Error> {
        self.core.fatal.get()
    }

    /// Everything that was appended to any partition before the call survives a power cut after it.
    ///
    /// # Errors
    /// KAFKA_STORAGE_ERROR for the first partition that failed, after all were tried; TIMED_OUT when `timeout` passed before all were
    /// tried. A sync that the operating system does not return from is not interrupted.
    pub fn sync_all(&self, timeout: Duration) -> Result<()> {
        self.core.check()?;
        self.core.sync_all(timeout)
    }

    /// Closes the engine for every clone, as [`close_timeout`](Engine::close_timeout) with `shutdown.timeout.ms`.
    pub fn close(&self) -> Result<CloseReport> {
        self.close_timeout(self.core.node.config().shutdown_timeout)
    }

    /// Closes the engine for every clone: no more work is accepted, producers send what they hold, every log is flushed and closed,
    /// and the directory is marked as closed in order and unlocked. The report says what could not be done.
    ///
    /// # Errors
    /// TIMED_OUT when `timeout` passed first: closing goes on in the background, and the call can be repeated.
    pub fn close_timeout(&self, timeout: Duration) -> Result<CloseReport> {
        self.core.close(timeout, close::Callbacks::Wait)
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("dir", &self.dir()).finish_non_exhaustive()
    }
}
