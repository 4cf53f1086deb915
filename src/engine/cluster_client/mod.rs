//! A program that hosts no data and talks with a cluster: producers, consumers and an operator's requests, all of them carried out by
//! nodes elsewhere.
//!
//! One thread, `kafkalog-client`, does what is due in time (repetitions, deadlines, batches whose linger is over); everything else runs on
//! the threads of the users and of the transport.

mod admin;
mod builder;
mod core;
mod describe;
mod thread;
mod topics;

pub use builder::ClusterClientBuilder;

use self::core::ClientCore;
use super::close::Callbacks;
use crate::consumer::ConsumerBuilder;
use crate::error::{Error, Result};
use crate::node::CloseReport;
use crate::producer::ProducerBuilder;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A connection with a cluster, by [`Engine::connect`](super::Engine::connect) or [`ClusterClient::builder`]. Clones are handles of the same
/// one; all may be used from any thread. It is closed by [`close`](ClusterClient::close), or when the last handle and the last producer
/// are dropped.
///
/// It finds the nodes by their addresses in `bootstrap.servers`, connects with all of them, and goes on by itself when leaders change, nodes
/// come and go, or none is there for a while. A call that asks the cluster something blocks for `default.api.timeout.ms` at the most, and its
/// error then says what was tried: REQUEST_TIMED_OUT. Such a call has no business on the engine's own threads and in callbacks of
/// [`Waker::on_news`](crate::Waker::on_news).
#[derive(Clone)]
pub struct ClusterClient {
    core: Arc<ClientCore>,
}

impl ClusterClient {
    /// Settings first.
    #[must_use]
    pub fn builder() -> ClusterClientBuilder {
        ClusterClientBuilder::new()
    }

    /// A producer's settings; it opens with [`ProducerBuilder::open`]. The first send to a topic asks the cluster for it, which may block; it
    /// is created where the nodes' `auto.create.topics.enable` says so.
    ///
    /// # Durability
    /// As a producer of one of the nodes: with `acks=all` an acknowledged record survives the loss of all in-sync replicas but one.
    #[must_use]
    pub fn producer(&self) -> ProducerBuilder {
        ProducerBuilder::new(Arc::clone(&self.core) as Arc<dyn crate::producer::Host>)
    }

    /// A consumer's settings; it opens with [`ConsumerBuilder::open`]. A consumer does not keep the connection open: once that is closed, its
    /// polls answer CLOSED.
    #[must_use]
    pub fn consumer(&self) -> ConsumerBuilder {
        let config = &self.core.config;
        let client = Arc::clone(&self.core.client);
        ConsumerBuilder::over_cluster(client, config.api_timeout, config.fetch_pinned_bytes_max)
    }

    /// The first failure that ended it as a whole (a bug caught on one of its threads), if there was one.
    #[must_use]
    pub fn fatal_error(&self) -> Option<Error> {
        self.core.fatal.get()
    }

    /// Closes it for every clone, as [`close_timeout`](ClusterClient::close_timeout) with `shutdown.timeout.ms`.
    ///
    /// # Errors
    /// As [`close_timeout`](ClusterClient::close_timeout).
    pub fn close(&self) -> Result<CloseReport> {
        self.close_timeout(self.core.config.shutdown_timeout)
    }

    /// Closes it for every clone: no more work is accepted, producers send what they hold, then the connections end. What is not
    /// acknowledged by then, because nobody is there to do so, is failed and counted in the report.
    ///
    /// # Errors
    /// TIMED_OUT when somebody else is at it, or a callback runs, after `timeout`: the call can be repeated.
    pub fn close_timeout(&self, timeout: Duration) -> Result<CloseReport> {
        self.core.close(timeout, Callbacks::Wait)
    }
}

impl fmt::Debug for ClusterClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterClient").field("bootstrap", &self.core.config.bootstrap).finish_non_exhaustive()
    }
}
