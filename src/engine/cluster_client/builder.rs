//! Becoming a client of a cluster.

use super::super::callbacks::CallbackThread;
use super::super::core::Fatal;
use super::super::timer::Timer;
use super::super::LogSink;
use super::core::{ClientCore, Ears};
use super::thread::{ClientThread, Ending, Lines};
use super::ClusterClient;
use crate::client::{Calls, Client, ClientParts, ClientSettings, ClusterView};
use crate::config::ClientConfig;
use crate::disk::{coarse_realtime_ms, fork_generation};
use crate::error::{Error, ErrorCode, Result};
use crate::node::Alarm;
use crate::time::{Clock, SystemClock};
use crate::transport::{Inbox, SocketSettings, SocketTransport, TlsKeys, Transport, CLIENT_ID_MIN};
use parking_lot::Mutex;
use std::fmt;
use std::sync::atomic::AtomicBool;
use std::sync::Arc;

/// Settings first, then [`connect`](ClusterClientBuilder::connect).
pub struct ClusterClientBuilder {
    config: ClientConfig,
    transport: Option<Arc<dyn Transport>>,
    log_sink: Option<Arc<dyn LogSink>>,
}

impl ClusterClientBuilder {
    pub(super) fn new() -> ClusterClientBuilder {
        ClusterClientBuilder { config: ClientConfig::default(), transport: None, log_sink: None }
    }

    /// Sets one setting by Kafka's name, `bootstrap.servers` first of all.
    ///
    /// # Errors
    /// INVALID_CONFIG for an unknown name or a value out of range, naming the legal range.
    pub fn set(mut self, name: &str, value: &str) -> Result<ClusterClientBuilder> {
        self.config.set(name, value)?;
        Ok(self)
    }

    /// Frames to the nodes go this way. Without one, sockets are used (`tcp://`, `tls://`, `unix://`).
    #[must_use]
    pub fn transport(mut self, transport: Arc<dyn Transport>) -> ClusterClientBuilder {
        self.transport = Some(transport);
        self
    }

    /// Who receives log lines. Without one they are dropped: the library never prints.
    #[must_use]
    pub fn log_sink(mut self, sink: Arc<dyn LogSink>) -> ClusterClientBuilder {
        self.log_sink = Some(sink);
        self
    }

    /// Begins to look for the cluster, and does not wait until it is found: the program may be there before the nodes are. The first call that
    /// needs them does, for `default.api.timeout.ms` at the most.
    ///
    /// # Errors
    /// INVALID_CONFIG for settings that cannot go together; INVALID_ARG for an address that the transport cannot dial; TRANSPORT_HOST or NOMEM
    /// when a thread cannot be started.
    pub fn connect(self) -> Result<ClusterClient> {
        self.config.check()?;
        let seed =
            getrandom::u64().map_err(|e| Error::new(ErrorCode::UNKNOWN_SERVER_ERROR, format!("no randomness: {e}")))?;
        let transport = match self.transport {
            Some(transport) => transport,
            None => sockets(&self.config, seed)?,
        };
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::with_coarse(coarse_realtime_ms));
        let timer = Arc::new(Timer::new());
        let alarm = Arc::clone(&timer);
        let client = Client::new(ClientParts {
            transport: Arc::clone(&transport),
            calls: Arc::new(Calls::new()),
            view: ClusterView::new(),
            clock: Arc::clone(&clock),
            wake_by: Arc::new(move |when| alarm.wake_by(when)),
            settings: ClientSettings {
                client_id: self.config.client_id.clone(),
                bootstrap: self.config.bootstrap.clone(),
                request_timeout: self.config.request_timeout,
                retry_backoff: self.config.retry_backoff,
                retry_backoff_max: self.config.retry_backoff_max,
                metadata_max_age: self.config.metadata_max_age,
            },
        });
        let (fatal, ending, lines) =
            (Arc::new(Fatal::default()), Arc::new(Ending::default()), Arc::new(Lines::default()));
        let callbacks = {
            let fatal = Arc::clone(&fatal);
            CallbackThread::new(move |error| fatal.set(error))
        };
        let core = ClientCore {
            config: self.config,
            client: Arc::clone(&client),
            transport: Arc::clone(&transport),
            clock,
            timer: Arc::clone(&timer),
            callbacks,
            fatal: Arc::clone(&fatal),
            ending: Arc::clone(&ending),
            lines: Arc::clone(&lines),
            is_closing: AtomicBool::new(false),
            closed: Mutex::default(),
            born: fork_generation(),
        };
        let thread = ClientThread {
            client: Arc::clone(&client),
            transport,
            timer,
            fatal,
            ending,
            lines,
            log_sink: self.log_sink,
        };
        if let Err(refused) = thread.start() {
            core.ending.thread_is_gone(); // there is nobody to wait for
            return Err(refused);
        }
        // From here on the core ends what was begun when it is dropped.
        core.transport.start(CLIENT_ID_MIN, Inbox::new(Arc::new(Ears(Arc::downgrade(&client)))))?;
        client.start()?;
        Ok(ClusterClient { core: Arc::new(core) })
    }
}

/// What carries `tcp://`, `tls://` and `unix://`.
fn sockets(config: &ClientConfig, seed: u64) -> Result<Arc<dyn Transport>> {
    let is_ours = |url: &&String| ["tcp://", "tls://", "unix://"].iter().any(|scheme| url.starts_with(scheme));
    if let Some(other) = config.bootstrap.iter().find(|url| !is_ours(url)) {
        let text =
            format!("bootstrap.servers={other}: that needs a transport of its own (ClusterClientBuilder::transport)");
        return Err(Error::new(ErrorCode::INVALID_CONFIG, text));
    }
    Ok(Arc::new(SocketTransport::new(SocketSettings {
        cluster: config.cluster_id.unwrap_or_default(), // zeros: whichever is there
        secret: config.secret.clone(),
        tls: TlsKeys::load(&config.ssl)?,
        seed,
        ..SocketSettings::default()
    })))
}

impl fmt::Debug for ClusterClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterClientBuilder").field("bootstrap", &self.config.bootstrap).finish_non_exhaustive()
    }
}
