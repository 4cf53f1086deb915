//! `kafkalog_engine_t`: one open directory, and what all its children share.

use super::buf::kafkalog_buf_t;
use super::conf::{kafkalog_conf_t, Settings};
use super::error::kafkalog_error_t;
use super::event::Content;
use super::guard::{self, destroy, guard, guard_new, guard_value, Birth, Handle};
use super::kafkalog_code_t;
use super::log_sink::{self, Lines};
use super::pointers::{duration, invalid};
use super::queue::{kafkalog_queue_t, Queue};
use super::transport::HostTransport;
use crate::{CloseReport, Engine, Error, ErrorCode, LogLevel, LogSink, Result, Scope, Waker};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

/// One open directory. Any thread at any time.
pub struct kafkalog_engine_t {
    pub(super) core: Arc<Core>,
}

impl Handle for kafkalog_engine_t {
    fn birth(&self) -> Birth {
        self.core.birth
    }

    fn core(&self) -> Option<&Core> {
        Some(&self.core)
    }
}

/// What the handle of an engine and those of its children hold together. The directory is closed when it is asked for, or
/// with the last of them.
pub(super) struct Core {
    pub(super) engine: Engine,
    pub(super) birth: Birth,
    /// The panic that ended it.
    fatal: OnceLock<Error>,
    is_closed: AtomicBool,
    is_destroyed: AtomicBool,
    main: Arc<Queue>,
    lines: Arc<Lines>,
    /// Who may be waiting for something, and has to hear of the end.
    queues: Mutex<Vec<Weak<Queue>>>,
    pollers: Mutex<Vec<Weak<Waker>>>,
    defaults: Defaults,
    shutdown_timeout: Duration,
    /// For an engine that listens under a scheme of the host's.
    host_transport: Option<Arc<HostTransport>>,
}

/// Producer and consumer settings that the engine was opened with.
#[derive(Default)]
struct Defaults {
    producer: BTreeMap<String, String>,
    consumer: BTreeMap<String, String>,
}

impl Core {
    /// The engine, while it takes new work through this door.
    #[inline]
    pub(super) fn alive(&self) -> Result<&Core> {
        if self.is_destroyed.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorCode::DESTROY, "the engine was destroyed"));
        }
        if self.is_closed.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorCode::CLOSED, "the engine is closed"));
        }
        match self.fatal.get() {
            None => Ok(self),
            Some(first) => Err(Error::fatal(ErrorCode::FATAL, first.message())),
        }
    }

    /// Ends the engine because of a bug of ours: close and destroy still work, everything else answers _FATAL.
    pub(super) fn fail(&self, error: Error) {
        if self.fatal.set(error.clone()).is_ok() {
            self.lines.log(LogLevel::Error, log_sink::FACILITY_OF_BUGS, error.message());
            self.wake_pollers();
        }
    }

    /// Where the host's own transport goes.
    pub(super) fn host_transport(&self, scheme: &str) -> Result<&HostTransport> {
        let found = self.host_transport.as_deref().filter(|transport| transport.scheme() == scheme);
        found.ok_or_else(|| invalid(format!("this engine was not opened with listeners={scheme}://..")))
    }

    fn first_failure(&self) -> Option<Error> {
        self.fatal.get().cloned().or_else(|| self.engine.fatal_error())
    }

    /// Lets a queue hear of the engine's end.
    pub(super) fn adopt(&self, queue: &Arc<Queue>) {
        remember(&self.queues, queue);
    }

    /// Lets a consumer that polls hear of the engine's end.
    pub(super) fn adopt_poller(&self, waker: &Arc<Waker>) {
        remember(&self.pollers, waker);
    }

    /// What a producer or consumer is to be set up with: the engine's settings for it, and over them its own.
    pub(super) fn settings(&self, scope: Scope, own: Option<&kafkalog_conf_t>) -> Result<BTreeMap<String, String>> {
        let mut settings = match scope {
            Scope::Producer => self.defaults.producer.clone(),
            _ => self.defaults.consumer.clone(),
        };
        if let Some(own) = own {
            settings.extend(own.read()?.values.clone());
        }
        Ok(settings)
    }

    /// From now on nothing new is begun, and nobody waits for records.
    fn close(&self, timeout: Duration) -> Result<CloseReport> {
        self.is_closed.store(true, Ordering::Relaxed);
        self.wake_pollers();
        let report = self.engine.close_timeout(timeout)?;
        self.close_queues();
        Ok(report)
    }

    fn wake_pollers(&self) {
        for waker in still_there(&self.pollers) {
            waker.wake();
        }
    }

    fn close_queues(&self) {
        self.main.close();
        for queue in still_there(&self.queues) {
            queue.close();
        }
    }
}

fn remember<T>(all: &Mutex<Vec<Weak<T>>>, one: &Arc<T>) {
    let mut all = all.lock();
    all.retain(|other| other.strong_count() > 0);
    all.push(Arc::downgrade(one));
}

fn still_there<T>(all: &Mutex<Vec<Weak<T>>>) -> Vec<Arc<T>> {
    all.lock().iter().filter_map(Weak::upgrade).collect()
}

/// The engine's own settings, and those that producers and consumers begin with.
fn sorted(settings: &Settings) -> (BTreeMap<String, String>, Defaults) {
    let (mut own, mut defaults) = (BTreeMap::new(), Defaults::default());
    for (name, value) in &settings.values {
        let knows = |scope| crate::settings().iter().any(|row| row.scope() == scope && row.name() == name);
        let is_own = crate::validate_setting(Scope::Engine, name, value).is_ok();
        // A default of topics is nothing but that; a setting of the engine itself may be one of its clients as well.
        let is_shared = !is_own || knows(Scope::Engine);
        if is_shared && knows(Scope::Producer) {
            defaults.producer.insert(name.clone(), value.clone());
        }
        if is_shared && knows(Scope::Consumer) {
            defaults.consumer.insert(name.clone(), value.clone());
        }
        // What nobody knows goes to the engine too: its refusal says best where the setting belongs.
        if is_own || !(knows(Scope::Producer) || knows(Scope::Consumer)) {
            own.insert(name.clone(), value.clone());
        }
    }
    (own, defaults)
}

fn open(settings: &Settings) -> Result<kafkalog_engine_t> {
    guard::install_panic_hook();
    let (mut own, defaults) = sorted(settings);
    let no_dir = || Error::new(ErrorCode::INVALID_CONFIG, "log.dirs is not set: which directory shall be opened?");
    let dir = own.remove("log.dirs").filter(|dir| !dir.is_empty()).ok_or_else(no_dir)?;
    let number = |name: &str| own.get(name).and_then(|value| value.trim().parse().ok());
    let shutdown_timeout = Duration::from_millis(number("shutdown.timeout.ms").unwrap_or(30_000));
    let main = Arc::<Queue>::default();
    let wants_log = own.get("log.queue").is_some_and(|value| value.trim() == "true");
    let lines = Arc::new(Lines { host: settings.log, queue: main.clone(), wants_events: wants_log });
    let stats = main.clone();
    let mut builder = Engine::builder(dir)
        .log_sink(lines.clone())
        .stats_sink(Arc::new(move |json: &str| stats.announce(Content::Stats(json.to_owned()))));
    let events = main.clone();
    builder = builder.cluster_sink(Arc::new(move |event| events.announce(Content::Cluster(event.clone().into()))));
    let host_transport = own.get("listeners").and_then(|url| foreign_scheme(url)).map(HostTransport::new).map(Arc::new);
    if let Some(transport) = &host_transport {
        builder = builder.transport(transport.clone());
    }
    if let Some(url) = own.get("listeners").filter(|url| url.trim().starts_with("inproc://")) {
        let cluster_id = own.get("cluster.id").map_or("", |id| id.trim());
        builder = builder.transport(super::hubs::transport(cluster_id, url)?);
    }
    for (name, value) in &own {
        builder = builder.set(name, value)?;
    }
    let core = Core {
        engine: builder.open()?,
        birth: Birth::now(),
        fatal: OnceLock::new(),
        is_closed: AtomicBool::new(false),
        is_destroyed: AtomicBool::new(false),
        main,
        lines,
        queues: Mutex::default(),
        pollers: Mutex::default(),
        defaults,
        shutdown_timeout,
        host_transport,
    };
    let core = Arc::new(core);
    if let Some(transport) = &core.host_transport {
        transport.serve(&core);
    }
    Ok(kafkalog_engine_t { core })
}

/// The scheme of an address, unless the library carries it itself.
fn foreign_scheme(url: &str) -> Option<&str> {
    let (scheme, _) = url.trim().split_once("://")?;
    (!["tcp", "tls", "unix", "inproc"].contains(&scheme)).then_some(scheme)
}

/// What a close that came to its end could not do, as one error.
fn verdict(report: &CloseReport) -> Result<()> {
    let first = report.unsynced_partitions.first().map(|(_, error)| error).or(report.problems.first());
    match first {
        Some(error) => Err(Error::new(error.code(), report.to_string())),
        None if report.undelivered_records > 0 => Err(Error::new(ErrorCode::PURGE_QUEUE, report.to_string())),
        None => Ok(()),
    }
}

/// Opens the directory that `log.dirs` names, creating it when it is not there, and recovers it when it was not closed. Producer and
/// consumer settings in `conf` become the defaults of this engine's producers and consumers.
///
/// `conf` stays the caller's and is copied. The caller ends `*out` with kafkalog_engine_destroy(). [MT], blocks for the recovery.
/// Codes: INVALID_CONFIG (40), _STATE (open already, here or in another process), LOG_DIR_NOT_FOUND (57), UNSUPPORTED_VERSION (35),
/// CORRUPT_MESSAGE (2), KAFKA_STORAGE_ERROR (56), _INVALID_ARG, _REENTRANT.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_engine_open(
    conf: *const kafkalog_conf_t,
    out: *mut *mut kafkalog_engine_t,
    err: *mut *mut kafkalog_error_t,
) -> kafkalog_code_t {
    // SAFETY: every pointer is NULL or as the header asks.
    unsafe { guard_new(conf, out, err, |conf| open(&conf.read()?.clone())) }
}

/// Closes an engine: takes no more work, sends what producers hold, flushes and syncs, ends its threads. Then its queues do not
/// block any more. Afterwards its children answer _CLOSED.
///
/// [MT], blocks up to `timeout_ms` (-1: for ever). May be called again, after _TIMED_OUT to go on where it stopped. Codes: _TIMED_OUT,
/// KAFKA_STORAGE_ERROR (56; closed, but not all of it is on disk), _PURGE_QUEUE (closed, but records of producers were given up),
/// _INVALID_ARG.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_engine_close(
    e: *mut kafkalog_engine_t,
    timeout_ms: i32,
    err: *mut *mut kafkalog_error_t,
) -> kafkalog_code_t {
    // SAFETY: every pointer is NULL or as the header asks.
    unsafe {
        guard(e, err, |handle| {
            let timeout = duration(timeout_ms)?;
            verdict(&handle.core.close(timeout)?)
        })
    }
}

/// Ends an engine; NULL is fine. It is closed first, within `shutdown.timeout.ms`; nobody has to poll for that. Children may be
/// destroyed before or after; until then they answer _DESTROY.
///
/// [MT], blocks for the close. Never call it inside a callback.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_engine_destroy(e: *mut kafkalog_engine_t) {
    // SAFETY: NULL or alive, and given back once, says the header.
    unsafe {
        destroy(e, |handle| {
            handle.core.is_destroyed.store(true, Ordering::Relaxed);
            // Whoever wants to know calls kafkalog_engine_close() first. Recovery finds again what could not be closed.
            let _ = handle.core.close(handle.core.shutdown_timeout);
            handle.core.close_queues();
        });
    }
}

/// The first failure that ended the engine, as its code and `*err`; 0 while there is none.
///
/// [MT], never blocks. Codes: whatever it was, for example _PANIC; _INVALID_ARG.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_engine_fatal_error(
    e: *const kafkalog_engine_t,
    err: *mut *mut kafkalog_error_t,
) -> kafkalog_code_t {
    // SAFETY: every pointer is NULL or as the header asks.
    unsafe { guard(e, err, |handle| handle.core.first_failure().map_or(Ok(()), Err)) }
}

/// Returns once everything that was appended to any partition before the call survives a power cut.
///
/// [MT], blocks up to `timeout_ms` (-1: for ever). Codes: _TIMED_OUT, KAFKA_STORAGE_ERROR (56), _INVALID_ARG, _CLOSED, _FATAL.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_engine_sync(e: *mut kafkalog_engine_t, timeout_ms: i32) -> kafkalog_code_t {
    // SAFETY: NULL or alive, says the header.
    unsafe { guard(e, null_mut(), |handle| handle.core.alive()?.engine.sync_all(duration(timeout_ms)?)) }
}

/// The main queue: errors, log lines (`log.queue=true`) and statistics (`statistics.interval.ms`). NULL when `e` is NULL or forked.
///
/// A new reference, which the caller ends with kafkalog_queue_destroy(). [MT], never blocks.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_engine_queue(e: *mut kafkalog_engine_t) -> *mut kafkalog_queue_t {
    // SAFETY: NULL or alive, says the header.
    unsafe {
        guard_value(e, null_mut(), |handle| {
            let queue = kafkalog_queue_t::new(handle.core.main.clone(), handle.core.clone());
            Ok(Box::into_raw(Box::new(queue)))
        })
    }
}

/// What the engine has done and holds, as a JSON object. Fields are only ever added.
///
/// The caller ends `*json` with kafkalog_buf_destroy(). [MT], never blocks for long. Codes: _INVALID_ARG.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_engine_stats(
    e: *const kafkalog_engine_t,
    json: *mut *mut kafkalog_buf_t,
) -> kafkalog_code_t {
    // SAFETY: every pointer is NULL or as the header asks.
    unsafe { guard_new(e, json, null_mut(), |handle| Ok(kafkalog_buf_t::new(handle.core.engine.stats_json()))) }
}

/// The same numbers as OpenMetrics text, for Prometheus and its like. Metrics are only ever added.
///
/// The caller ends `*openmetrics` with kafkalog_buf_destroy(). [MT], never blocks for long. Codes: _INVALID_ARG.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_engine_metrics_text(
    e: *const kafkalog_engine_t,
    openmetrics: *mut *mut kafkalog_buf_t,
) -> kafkalog_code_t {
    // SAFETY: every pointer is NULL or as the header asks.
    unsafe {
        guard_new(e, openmetrics, null_mut(), |handle| Ok(kafkalog_buf_t::new(handle.core.engine.metrics_text())))
    }
}
