//! Opening an engine.

use super::callbacks::CallbackThread;
use super::close::Closing;
use super::cluster_types::ClusterEvent;
use super::core::{Core, Fatal};
use super::doorstep::Doorstep;
use super::helpers::Helpers;
use super::node_thread::{NodeThread, StatsSink};
use super::timer::Timer;
use super::{Engine, LogSink};
use crate::config::EngineConfig;
use crate::disk::{coarse_realtime_ms, fork_generation, Disk, RealDisk};
use crate::error::{Error, ErrorCode, Result};
use crate::node::{Alarm, Node, World};
use crate::time::SystemClock;
use crate::transport::Transport;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::Arc;

/// Settings first, then [`open`](EngineBuilder::open).
pub struct EngineBuilder {
    dir: PathBuf,
    config: EngineConfig,
    log_sink: Option<Arc<dyn LogSink>>,
    stats_sink: Option<StatsSink>,
    transport: Option<Arc<dyn Transport>>,
    cluster_sink: Option<ClusterSink>,
}

/// Hears of leaders and ISRs.
type ClusterSink = Arc<dyn Fn(&ClusterEvent) + Send + Sync>;

impl EngineBuilder {
    pub(super) fn new(dir: &Path) -> EngineBuilder {
        EngineBuilder {
            dir: dir.to_owned(),
            config: EngineConfig::default(),
            log_sink: None,
            stats_sink: None,
            transport: None,
            cluster_sink: None,
        }
    }

    /// Sets one setting by Kafka's name; `log.*` names give the topics their defaults.
    ///
    /// # Errors
    /// INVALID_CONFIG for an unknown name or a value out of range, naming the legal range.
    pub fn set(mut self, name: &str, value: &str) -> Result<EngineBuilder> {
        self.config.set(name, value)?;
        Ok(self)
    }

    /// Who receives the engine's log lines. Without one they are dropped: the library never prints.
    #[must_use]
    pub fn log_sink(mut self, sink: Arc<dyn LogSink>) -> EngineBuilder {
        self.log_sink = Some(sink);
        self
    }

    /// Who receives the statistics as JSON every `statistics.interval.ms`, on a thread of the engine.
    #[must_use]
    pub fn stats_sink(mut self, sink: Arc<dyn Fn(&str) + Send + Sync>) -> EngineBuilder {
        self.stats_sink = Some(sink);
        self
    }

    /// Frames to the other nodes of the cluster go this way. Without one, the engine makes one for `listeners` (`tcp://`, `tls://`, `unix://`).
    #[must_use]
    pub fn transport(mut self, transport: Arc<dyn Transport>) -> EngineBuilder {
        self.transport = Some(transport);
        self
    }

    /// Who hears of new leaders and in-sync replicas, on whatever thread brings the news. It must be quick and must not block.
    #[must_use]
    pub fn cluster_sink(mut self, sink: Arc<dyn Fn(&ClusterEvent) + Send + Sync>) -> EngineBuilder {
        self.cluster_sink = Some(sink);
        self
    }

    /// Opens the directory, creating it when it is not there (its parent must be). Logs are opened, and recovered after a crash, when
    /// they are first needed.
    ///
    /// # Errors
    /// One clear error, and nothing changed on disk: STATE when the directory is open already, in this process or in another, or
    /// belongs to another node; LOG_DIR_NOT_FOUND when it is not a directory or its parent is missing; UNSUPPORTED_VERSION when a
    /// newer version wrote it; CORRUPT_MESSAGE when the topic catalogue is damaged; KAFKA_STORAGE_ERROR when the disk is full or
    /// read-only or permission is missing; INVALID_CONFIG for settings that cannot go together.
    ///
    /// # In a cluster
    /// With `controller.quorum.voters` the engine is one node of several and begins to take part; it does not wait for the others. Topics
    /// are created as soon as a majority of the voters is there.
    pub fn open(self) -> Result<Engine> {
        self.open_on(Arc::new(RealDisk))
    }

    pub(super) fn open_on(self, disk: Arc<dyn Disk>) -> Result<Engine> {
        self.config.check()?;
        let born = fork_generation();
        let world = World { clock: Arc::new(SystemClock::with_coarse(coarse_realtime_ms)), disk, seed: seed()? };
        let stats_sink = self.stats_sink.zip(self.config.statistics_interval);
        let (node, doorstep) = open_node(&self.dir, self.config, world, self.transport, self.cluster_sink)?;
        let timer = Arc::new(Timer::new());
        node.set_alarm(Arc::clone(&timer) as Arc<dyn Alarm>);
        let fatal = Arc::new(Fatal::default());
        let helpers = Helpers::new();
        node.set_upkeep_alarm(Arc::clone(&helpers.flush.timer) as Arc<dyn Alarm>);
        let closing = Arc::new(Closing::new(helpers.clone()));
        let callbacks = {
            let fatal = Arc::clone(&fatal);
            CallbackThread::new(move |error| fatal.set(error))
        };
        let core = Core {
            node: Arc::clone(&node),
            timer: Arc::clone(&timer),
            helpers: helpers.clone(),
            callbacks,
            closing: Arc::clone(&closing),
            fatal: Arc::clone(&fatal),
            is_closing: AtomicBool::new(false),
            doorstep,
            born,
        };
        let started = helpers.start(&node, &fatal);
        let thread = NodeThread { node, timer, helpers, closing, fatal, log_sink: self.log_sink, stats_sink };
        if let Err(refused) = started.and_then(|()| thread.start()) {
            core.closing.thread_is_gone(); // there is nobody to wait for
            return Err(refused);
        }
        Ok(Engine { core: Arc::new(core), patience: None })
    }
}

impl fmt::Debug for EngineBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineBuilder").field("dir", &self.dir).finish_non_exhaustive()
    }
}

#[cfg(feature = "quorum")]
fn open_node(
    dir: &Path,
    mut config: EngineConfig,
    world: World,
    transport: Option<Arc<dyn Transport>>,
    sink: Option<ClusterSink>,
) -> Result<(Arc<Node>, Doorstep)> {
    if !config.cluster.is_member() {
        return Ok((Arc::new(Node::open(dir, config, world)?), Doorstep::default()));
    }
    let (doorstep, transport) = match transport {
        Some(transport) => (Doorstep::default(), transport),
        None => Doorstep::open(&mut config, world.seed)?,
    };
    let node = Node::open_in_cluster(dir, config, world, transport)?;
    if let (Some(member), Some(sink)) = (node.member(), sink) {
        member.listen(move |news| sink(&super::cluster::event_of(news)));
    }
    Ok((node, doorstep))
}

#[cfg(not(feature = "quorum"))]
fn open_node(
    dir: &Path,
    config: EngineConfig,
    world: World,
    _: Option<Arc<dyn Transport>>,
    _: Option<ClusterSink>,
) -> Result<(Arc<Node>, Doorstep)> {
    if config.cluster.is_member() {
        let text = "controller.quorum.voters and controller.mode=static need a build with the feature `quorum`";
        return Err(Error::new(ErrorCode::INVALID_CONFIG, text));
    }
    Ok((Arc::new(Node::open(dir, config, world)?), Doorstep::default()))
}

fn seed() -> Result<u64> {
    getrandom::u64().map_err(|e| Error::new(ErrorCode::UNKNOWN_SERVER_ERROR, format!("no randomness: {e}")))
}
