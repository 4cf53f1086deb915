//! `kafkalog_consumer_t`: reads partitions that it was assigned.
//!
//! The Rust consumer belongs to one thread at a time; here it sits behind a lock that a poll holds only while it looks, never while
//! it waits. So every other call is free from any thread, also beside a poll that blocks.

use super::batch::{self, kafkalog_batch_t};
use super::conf::kafkalog_conf_t;
use super::engine::{kafkalog_engine_t, Core};
use super::error::kafkalog_error_t;
use super::event::Content;
use super::guard::{borrow_or_none, destroy, guard, guard_new, guard_value, Birth, Handle};
use super::kafkalog_code_t;
use super::pointers::{invalid, output, time_limit, Signed};
use super::queue::{kafkalog_queue_t, Queue};
use super::tplist::{
    kafkalog_tplist_t, Entry, KAFKALOG_OFFSET_BEGINNING, KAFKALOG_OFFSET_END, KAFKALOG_OFFSET_INVALID,
};
use crate::door::EventFd;
use crate::{Consumer, ConsumerRecords, Error, ErrorCode, Offset, Result, Scope, StartAt, TopicPartition, Waker};
use parking_lot::{MappedMutexGuard, Mutex, MutexGuard};
use std::collections::BTreeMap;
use std::os::fd::AsRawFd;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// Reads partitions that it was assigned. Polls one at a time, everything else from any thread at any time.
pub struct kafkalog_consumer_t {
    /// `None` once it is closed.
    consumer: Mutex<Option<Consumer>>,
    waker: Arc<Waker>,
    is_polling: AtomicBool,
    /// Somebody asked for a poll to return, and none has yet.
    is_woken: AtomicBool,
    fd: OnceLock<Arc<EventFd>>,
    events: Option<Arc<Queue>>,
    /// Where a start without an offset is: `auto.offset.reset`, unless that is `none`.
    start_default: Option<StartAt>,
    /// With `fetch.min.bytes` above 1: how long records may wait for company (`fetch.max.wait.ms`).
    patience: Option<Duration>,
    core: Arc<Core>,
}

impl Handle for kafkalog_consumer_t {
    fn birth(&self) -> Birth {
        self.core.birth
    }

    fn core(&self) -> Option<&Core> {
        Some(&self.core)
    }
}

impl kafkalog_consumer_t {
    /// The consumer, while its engine works and it is not closed.
    pub(super) fn open(&self) -> Result<MappedMutexGuard<'_, Consumer>> {
        if self.patience.is_some() && self.is_polling.load(Ordering::Acquire) {
            self.look_again(); // That poll holds the lock while records wait for company; now it lets go and comes back.
        }
        self.look_inside()
    }

    fn look_inside(&self) -> Result<MappedMutexGuard<'_, Consumer>> {
        self.core.alive()?;
        MutexGuard::try_map(self.consumer.lock(), Option::as_mut)
            .map_err(|_| Error::new(ErrorCode::DESTROY, "the consumer is closed"))
    }

    fn poll(&self, records_max: u32, limit: Option<Duration>) -> Result<ConsumerRecords> {
        let began = Instant::now();
        loop {
            let left = limit.map(|limit| limit.saturating_sub(began.elapsed()));
            let seen = self.waker.ticket();
            if let Some(fd) = self.fd.get() {
                fd.drain();
            }
            let found = self.look(records_max, left);
            if let Ok(records) = &found {
                self.tell_resets(records);
            }
            if !matches!(&found, Ok(records) if records.is_empty()) {
                // There may be more, and an error stays until somebody seeks: the descriptor says so too.
                self.signal_fd();
                return found;
            }
            if self.is_woken.swap(false, Ordering::SeqCst) || left == Some(Duration::ZERO) {
                return found;
            }
            // When the time is up, the next look is the last one.
            self.waker.wait(seen, left.unwrap_or(Duration::MAX));
        }
    }

    /// A poll that blocks beside this call does not know yet that there is something else to look at.
    pub(super) fn look_again(&self) {
        self.waker.wake();
    }

    fn signal_fd(&self) {
        if let Some(fd) = self.fd.get() {
            fd.signal();
        }
    }

    /// What there is now. A caller who names a number of records does not want to wait for more bytes than those have.
    fn look(&self, records_max: u32, limit: Option<Duration>) -> Result<ConsumerRecords> {
        let mut consumer = self.look_inside()?;
        let found = match self.patience {
            Some(patience) if records_max == 0 => consumer.poll(limit.map_or(patience, |limit| limit.min(patience))),
            _ => consumer.poll_now(records_max),
        };
        MappedMutexGuard::unlock_fair(consumer);
        found
    }

    /// From now on the descriptor hears of everything that a poll may find; what there is already it says at once.
    fn watch(&self) {
        if let Some(fd) = self.fd.get() {
            let listener = fd.clone();
            self.waker.on_news(Arc::new(move || listener.signal()));
            fd.signal();
        }
    }

    /// A position that was moved may have jumped over records: the host can hear of it on its queue.
    fn tell_resets(&self, records: &ConsumerRecords) {
        let Some(events) = &self.events else { return };
        for reset in records.resets() {
            let id = &reset.partition;
            let message = format!("{id}: offset {} is not in the log, reading goes on at {}", reset.from, reset.to);
            let error = kafkalog_error_t::from(&Error::new(ErrorCode::OFFSET_OUT_OF_RANGE, message));
            let moved = Entry::new(&id.topic, id.partition.signed(), reset.to.0.signed());
            events.announce(Content::Error { error, partitions: Some(kafkalog_tplist_t::new(vec![moved])) });
        }
    }

    /// Where to begin, by the number in a list.
    fn start(&self, offset: i64) -> Result<StartAt> {
        match offset {
            0.. => Ok(StartAt::Offset(Offset(offset.unsigned_abs()))),
            KAFKALOG_OFFSET_END => Ok(StartAt::Latest),
            KAFKALOG_OFFSET_BEGINNING => Ok(StartAt::Earliest),
            KAFKALOG_OFFSET_INVALID => self.start_default.ok_or_else(|| {
                Error::new(ErrorCode::INVALID_ARG, "no offset was given, and auto.offset.reset=none gives none either")
            }),
            _ => Err(invalid(format!("offset is {offset}; legal are 0 and more, and KAFKALOG_OFFSET_*"))),
        }
    }

    pub(super) fn starts(&self, entries: &[Entry]) -> Result<Vec<(TopicPartition, StartAt)>> {
        entries.iter().map(|entry| Ok((entry.topic_partition()?, self.start(entry.offset)?))).collect()
    }
}

/// Marks the one poll that may run.
struct Polling<'a>(&'a AtomicBool);

impl Polling<'_> {
    fn begin(is_polling: &AtomicBool) -> Result<Polling<'_>> {
        if is_polling.swap(true, Ordering::Acquire) {
            return Err(Error::new(ErrorCode::REENTRANT, "another thread is polling this consumer"));
        }
        Ok(Polling(is_polling))
    }
}

impl Drop for Polling<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// The value of a setting: every one that was set was found legal.
fn value<'a>(settings: &'a BTreeMap<String, String>, name: &str) -> &'a str {
    let set = settings.get(name).map(String::as_str);
    set.or_else(|| crate::default_of_setting(name)).unwrap_or_default().trim()
}

fn start_default(settings: &BTreeMap<String, String>) -> Option<StartAt> {
    match value(settings, "auto.offset.reset") {
        "earliest" => Some(StartAt::Earliest),
        "none" => None,
        _ => Some(StartAt::Latest),
    }
}

fn patience(settings: &BTreeMap<String, String>) -> Option<Duration> {
    let number = |name| value(settings, name).parse().unwrap_or(0_u64);
    (number("fetch.min.bytes") > 1).then(|| Duration::from_millis(number("fetch.max.wait.ms")))
}

pub(super) fn partitions(entries: &[Entry]) -> Result<Vec<TopicPartition>> {
    entries.iter().map(Entry::topic_partition).collect()
}

/// Opens a consumer that reads nothing yet: kafkalog_consumer_assign() says what. `conf` (NULL: the engine's) has consumer
/// settings such as `auto.offset.reset` and `max.poll.records`; positions that were moved by `auto.offset.reset` are told on
/// `events_or_null` by ERROR events.
///
/// `conf` stays the caller's and is copied; the queue too, and may be destroyed first. The caller ends `*out` with
/// kafkalog_consumer_destroy(). [MT], never blocks. Codes: INVALID_CONFIG (40), _INVALID_ARG, _CLOSED, _DESTROY, _FATAL.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_consumer_new(
    e: *mut kafkalog_engine_t,
    conf: *const kafkalog_conf_t,
    events_or_null: *mut kafkalog_queue_t,
    out: *mut *mut kafkalog_consumer_t,
    err: *mut *mut kafkalog_error_t,
) -> kafkalog_code_t {
    // SAFETY: every pointer is NULL or as the header asks.
    unsafe {
        guard_new(e, out, err, |engine| {
            let core = engine.core.alive()?;
            let mut builder = core.engine.consumer();
            let settings = core.settings(Scope::Consumer, borrow_or_none(conf, "conf")?)?;
            for (name, value) in &settings {
                builder = builder.set(name, value)?;
            }
            let consumer = builder.open()?;
            let waker = Arc::new(consumer.waker());
            core.adopt_poller(&waker);
            Ok(kafkalog_consumer_t {
                waker,
                consumer: Mutex::new(Some(consumer)),
                is_polling: AtomicBool::new(false),
                is_woken: AtomicBool::new(false),
                fd: OnceLock::new(),
                events: borrow_or_none(events_or_null, "events_or_null")?.map(|handle| handle.queue.clone()),
                start_default: start_default(&settings),
                patience: patience(&settings),
                core: engine.core.clone(),
            })
        })
    }
}

/// Closes a consumer: a poll that blocks returns, and every later call answers _DESTROY. Batches that it read stay valid. May be
/// called again.
///
/// [MT], blocks for less than a read. Codes: _INVALID_ARG.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_consumer_close(
    c: *mut kafkalog_consumer_t,
    timeout_ms: i32,
    err: *mut *mut kafkalog_error_t,
) -> kafkalog_code_t {
    // SAFETY: every pointer is NULL or as the header asks.
    unsafe {
        guard(c, err, |handle| {
            time_limit(timeout_ms)?;
            handle.look_again();
            drop(handle.consumer.lock().take());
            handle.look_again(); // for a poll that looked between the two
            Ok(())
        })
    }
}

/// Ends a consumer; NULL is fine. Batches that it read stay valid until they are released.
///
/// No thread may be polling it. [MT], never blocks.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_consumer_destroy(c: *mut kafkalog_consumer_t) {
    // SAFETY: NULL or alive, and given back once, says the header.
    unsafe { destroy(c, drop) };
}

/// Replaces the assignment by the partitions of the list (NULL: none), each from its offset or KAFKALOG_OFFSET_*. Also for
/// partitions that stay: list their position to go on.
///
/// The list is copied. [MT], blocks for opening the partitions. Codes: UNKNOWN_TOPIC_OR_PARTITION (3; then the old assignment stays),
/// KAFKA_STORAGE_ERROR (56), _INVALID_ARG, _REENTRANT, _CLOSED, _DESTROY, _FATAL.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_consumer_assign(
    c: *mut kafkalog_consumer_t,
    l_or_null: *const kafkalog_tplist_t,
    err: *mut *mut kafkalog_error_t,
) -> kafkalog_code_t {
    // SAFETY: every pointer is NULL or as the header asks.
    unsafe {
        guard(c, err, |handle| {
            let wanted = match borrow_or_none(l_or_null, "l_or_null")? {
                Some(list) => handle.starts(&list.read()?)?,
                None => Vec::new(),
            };
            handle.open()?.assign(&wanted)?;
            handle.look_again();
            Ok(())
        })
    }
}

/// The partitions that are assigned, each with its position (KAFKALOG_OFFSET_INVALID before it has one).
///
/// The caller ends `*out` with kafkalog_tplist_destroy(). [MT], never blocks for longer than a read. Codes: _INVALID_ARG, _CLOSED,
/// _DESTROY, _FATAL.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_consumer_assignment(
    c: *const kafkalog_consumer_t,
    out: *mut *mut kafkalog_tplist_t,
) -> kafkalog_code_t {
    // SAFETY: every pointer is NULL or as the header asks.
    unsafe {
        guard_new(c, out, null_mut(), |handle| {
            let consumer = handle.open()?;
            let entry = |id: TopicPartition| {
                let position = consumer.position(&id).map_or(KAFKALOG_OFFSET_INVALID, |at| at.0.signed());
                Entry::new(&id.topic, id.partition.signed(), position)
            };
            Ok(kafkalog_tplist_t::new(consumer.assignment().into_iter().map(entry).collect()))
        })
    }
}

/// The next records, at most `max_records` (0: `max.poll.records`, and as many as `fetch.min.bytes` wants), from the assigned partitions in turn. Waits up to `timeout_ms`
/// (-1: for ever) for the first one; answers 0 with `*out` NULL when none came, and after kafkalog_consumer_wake().
///
/// The caller ends `*out` with kafkalog_batch_release(). [ONE], blocks. Codes: OFFSET_OUT_OF_RANGE (1, with
/// `auto.offset.reset=none`) and CORRUPT_MESSAGE (2) until the partition is moved by a seek, KAFKA_STORAGE_ERROR (56), _QUEUE_FULL
/// (`fetch.pinned.max.bytes` are held by batches that were not released), _REENTRANT, _INVALID_ARG, _CLOSED, _DESTROY, _FATAL.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_consumer_poll(
    c: *mut kafkalog_consumer_t,
    max_records: usize,
    timeout_ms: i32,
    out: *mut *mut kafkalog_batch_t,
) -> kafkalog_code_t {
    // SAFETY: every pointer is NULL or as the header asks.
    unsafe {
        guard(c, null_mut(), |handle| {
            let out = output(out, "out")?;
            *out = null_mut();
            let limit = time_limit(timeout_ms)?;
            let _polling = Polling::begin(&handle.is_polling)?;
            batch::give(handle.poll(u32::try_from(max_records).unwrap_or(u32::MAX), limit)?, out)
        })
    }
}

/// Makes a poll that blocks return at once, empty-handed; when none does, the next one that would block.
///
/// [MT], never blocks.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_consumer_wake(c: *mut kafkalog_consumer_t) {
    // SAFETY: NULL or alive, says the header.
    unsafe {
        guard_value(c, (), |handle| {
            handle.is_woken.store(true, Ordering::SeqCst);
            handle.waker.wake();
            Ok(())
        });
    }
}

/// A descriptor that is readable while a poll may find something (at times it finds nothing after all): for epoll, poll, a host's own
/// event loop. -1 when the process has no descriptor left.
///
/// It belongs to the consumer and ends with it: watch it, do not read, write or close it (kafkalog_consumer_poll() drains it).
/// [MT], never blocks.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_consumer_fd(c: *mut kafkalog_consumer_t) -> i32 {
    // SAFETY: NULL or alive, says the header.
    unsafe {
        guard_value(c, -1, |handle| {
            if handle.fd.get().is_none() {
                let fd = EventFd::new().map_err(|e| Error::new(ErrorCode::NOMEM, format!("eventfd: {e}")))?;
                // Another thread may have been quicker; then this one's is closed again.
                if handle.fd.set(Arc::new(fd)).is_ok() {
                    handle.watch();
                }
            }
            Ok(handle.fd.get().map_or(-1, |fd| fd.as_raw_fd()))
        })
    }
}
