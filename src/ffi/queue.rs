//! `kafkalog_queue_t`: where everything arrives that no call waits for. The host polls it, or watches its descriptor.

use super::engine::{kafkalog_engine_t, Core};
use super::event::{kafkalog_event_t, Content};
use super::guard::{self, guard_value, Birth, Handle};
use super::pointers::{array_mut, time_limit};
use super::records::kafkalog_delivery_t;
use crate::door::EventFd;
use crate::{Error, ErrorCode, Result};
use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Reports that nobody polls are put together, up to so many in one event.
const EVENT_DELIVERIES_MAX: usize = 8192;
/// When so many reports lie unpolled, sends that would add to them answer QUEUE_FULL.
const QUEUE_DELIVERIES_MAX: usize = 1 << 20;
/// Of log lines and errors a queue keeps so many; the oldest go.
const QUEUE_NEWS_MAX: usize = 1000;

/// A queue of events. Any thread at any time.
pub struct kafkalog_queue_t {
    pub(super) queue: Arc<Queue>,
    core: Arc<Core>,
}

impl Handle for kafkalog_queue_t {
    fn birth(&self) -> Birth {
        self.core.birth
    }

    fn core(&self) -> Option<&Core> {
        Some(&self.core)
    }
}

impl kafkalog_queue_t {
    pub(super) fn new(queue: Arc<Queue>, core: Arc<Core>) -> kafkalog_queue_t {
        kafkalog_queue_t { queue, core }
    }
}

/// The queue itself; the handle and everyone who puts events in share it.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    news: Condvar,
    /// Reports that lie in `state`, to be read without its lock.
    deliveries: AtomicUsize,
}

#[derive(Default)]
struct State {
    // Boxed, because they go out as the pointers that they are.
    #[allow(clippy::vec_box)]
    events: VecDeque<Box<kafkalog_event_t>>,
    /// Polls that shall return empty-handed.
    wakes: usize,
    waiting: usize,
    /// Nothing comes any more that would be worth waiting for.
    is_closed: bool,
    fd: Option<EventFd>,
    is_fd_readable: bool,
}

impl Queue {
    /// Whether another report may be ordered.
    pub(super) fn has_room(&self) -> bool {
        self.deliveries.load(Ordering::Relaxed) < QUEUE_DELIVERIES_MAX
    }

    /// Puts reports in, behind those of the last event while nobody has polled it.
    pub(super) fn deliver(&self, reports: impl ExactSizeIterator<Item = kafkalog_delivery_t>) {
        let count = reports.len();
        let mut state = self.state.lock();
        self.deliveries.fetch_add(count, Ordering::Relaxed);
        if let Some(Content::Deliveries(last)) = state.events.back_mut().map(|event| &mut event.content) {
            if last.len() + count <= EVENT_DELIVERIES_MAX {
                last.extend(reports);
                return; // Whoever had to be told was told when the event came.
            }
        }
        self.push(&mut state, Content::Deliveries(reports.collect()));
    }

    /// Puts an error or a log line in; the oldest of them goes when there are too many.
    pub(super) fn announce(&self, content: Content) {
        let mut state = self.state.lock();
        let is_news = |event: &kafkalog_event_t| !matches!(event.content, Content::Deliveries(_));
        if state.events.len() >= QUEUE_NEWS_MAX
            && state.events.iter().filter(|event| is_news(event)).count() >= QUEUE_NEWS_MAX
        {
            let oldest = state.events.iter().position(|event| is_news(event));
            state.events.remove(oldest.expect("there are many"));
        }
        self.push(&mut state, content);
    }

    fn push(&self, state: &mut State, content: Content) {
        state.events.push_back(kafkalog_event_t::new(content));
        state.settle_fd();
        self.news.notify_one();
    }

    /// The next event; `None` when the limit passed, on a wake, and on a closed queue that is empty.
    fn poll(&self, limit: Option<Duration>) -> Option<Box<kafkalog_event_t>> {
        let mut deadline = None;
        let mut is_late = limit == Some(Duration::ZERO);
        let mut state = self.state.lock();
        loop {
            if let Some(event) = self.pop(&mut state) {
                return Some(event);
            }
            if state.wakes > 0 {
                state.wakes -= 1;
                state.settle_fd();
                return None;
            }
            if is_late || state.is_closed {
                return None;
            }
            state.waiting += 1;
            match limit {
                None => self.news.wait(&mut state),
                Some(limit) => {
                    let deadline = *deadline.get_or_insert_with(|| Instant::now() + limit);
                    is_late = self.news.wait_until(&mut state, deadline).timed_out();
                }
            }
            state.waiting -= 1;
        }
    }

    fn pop(&self, state: &mut State) -> Option<Box<kafkalog_event_t>> {
        let event = state.events.pop_front()?;
        if let Content::Deliveries(deliveries) = &event.content {
            self.deliveries.fetch_sub(deliveries.len(), Ordering::Relaxed);
        }
        state.settle_fd();
        Some(event)
    }

    fn wake(&self) {
        let mut state = self.state.lock();
        // One is kept for a thread that is about to block; more would only make later polls come back for nothing.
        state.wakes = (state.wakes + 1).min(state.waiting.max(1));
        state.settle_fd();
        self.news.notify_one();
    }

    /// From now on a poll does not wait: what is there can still be taken.
    pub(super) fn close(&self) {
        let mut state = self.state.lock();
        state.is_closed = true;
        state.settle_fd();
        self.news.notify_all();
    }

    fn fd(&self) -> Result<i32> {
        let mut state = self.state.lock();
        if state.fd.is_none() {
            state.fd = Some(EventFd::new().map_err(|e| Error::new(ErrorCode::NOMEM, format!("eventfd: {e}")))?);
            state.settle_fd();
        }
        Ok(state.fd.as_ref().expect("made above").as_raw_fd())
    }
}

impl State {
    /// Readable exactly while a poll would not wait.
    fn settle_fd(&mut self) {
        let is_wanted = !self.events.is_empty() || self.wakes > 0 || self.is_closed;
        let Some(fd) = &self.fd else { return };
        if is_wanted != self.is_fd_readable {
            if is_wanted {
                fd.signal();
            } else {
                fd.drain();
            }
            self.is_fd_readable = is_wanted;
        }
    }
}

/// A queue of its own, for the deliveries of one or more producers. NULL when `e` is NULL, forked or closed.
///
/// The caller ends it with kafkalog_queue_destroy(), before or after the engine. [MT], never blocks.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_queue_new(e: *mut kafkalog_engine_t) -> *mut kafkalog_queue_t {
    // SAFETY: NULL or alive, says the header.
    unsafe {
        guard_value(e, std::ptr::null_mut(), |engine| {
            let queue = Arc::<Queue>::default();
            engine.core.alive()?.adopt(&queue);
            Ok(Box::into_raw(Box::new(kafkalog_queue_t::new(queue, engine.core.clone()))))
        })
    }
}

/// Ends this reference to a queue; NULL is fine. Events that were polled stay valid, the others go with the last reference.
///
/// No thread may be polling it. [MT], never blocks.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_queue_destroy(q: *mut kafkalog_queue_t) {
    // SAFETY: NULL or alive, and given back once, says the header.
    unsafe { guard::destroy(q, drop) };
}

/// The next event, waiting up to `timeout_ms` for it (0: do not wait, -1: for ever). NULL when none came, after
/// kafkalog_queue_wake(), and from an empty queue whose engine is closed.
///
/// The caller ends the event with kafkalog_event_destroy(). [MT], blocks; each event goes to one of the threads.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_queue_poll(q: *mut kafkalog_queue_t, timeout_ms: i32) -> *mut kafkalog_event_t {
    // SAFETY: NULL or alive, says the header.
    unsafe {
        guard_value(q, std::ptr::null_mut(), |handle| {
            let event = handle.queue.poll(time_limit(timeout_ms)?);
            Ok(event.map_or(std::ptr::null_mut(), Box::into_raw))
        })
    }
}

/// Up to `max` events into `out`, waiting up to `timeout_ms` for the first one; answers how many.
///
/// The caller ends each with kafkalog_event_destroy(). [MT], blocks.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_queue_poll_many(
    q: *mut kafkalog_queue_t,
    out: *mut *mut kafkalog_event_t,
    max: usize,
    timeout_ms: i32,
) -> usize {
    // SAFETY: every pointer is NULL or as the header asks.
    unsafe {
        guard_value(q, 0, |handle| {
            let out = array_mut(out, max, "out")?;
            let mut limit = time_limit(timeout_ms)?;
            let mut count = 0;
            while count < max {
                let Some(event) = handle.queue.poll(limit) else { break };
                out[count].write(Box::into_raw(event));
                count += 1;
                limit = Some(Duration::ZERO);
            }
            Ok(count)
        })
    }
}

/// Makes one blocked poll return at once; when none is blocked, the next one that would block.
///
/// [MT], never blocks.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_queue_wake(q: *mut kafkalog_queue_t) {
    // SAFETY: NULL or alive, says the header.
    unsafe {
        guard_value(q, (), |handle| {
            handle.queue.wake();
            Ok(())
        });
    }
}

/// A descriptor that is readable while a poll would not wait: for epoll, poll, a host's own event loop. -1 when the process
/// has no descriptor left.
///
/// It belongs to the queue and ends with its last reference: watch it, do not read, write or close it (kafkalog_queue_poll()
/// drains it). [MT], never blocks.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_queue_fd(q: *mut kafkalog_queue_t) -> i32 {
    // SAFETY: NULL or alive, says the header.
    unsafe { guard_value(q, -1, |handle| handle.queue.fd()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(tag: u64) -> kafkalog_delivery_t {
        kafkalog_delivery_t { tag, offset: 0, timestamp_ms: 0, partition: 0, code: 0 }
    }

    fn tags(event: &kafkalog_event_t) -> Vec<u64> {
        match &event.content {
            Content::Deliveries(reports) => reports.iter().map(|report| report.tag).collect(),
            _ => Vec::new(),
        }
    }

    #[test]
    fn reports_that_nobody_polls_share_an_event_until_it_is_full() {
        let queue = Queue::default();
        for i in 0..4 {
            queue.deliver((0..EVENT_DELIVERIES_MAX as u64 / 2).map(report).collect::<Vec<_>>().into_iter().skip(i));
        }
        let sizes: Vec<usize> =
            std::iter::from_fn(|| queue.poll(Some(Duration::ZERO))).map(|event| tags(&event).len()).collect();
        assert_eq!(sizes, [EVENT_DELIVERIES_MAX - 1, EVENT_DELIVERIES_MAX - 5]);
        assert_eq!(queue.deliveries.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn the_oldest_log_lines_go_and_no_report_does() {
        let queue = Queue::default();
        queue.deliver([report(1)].into_iter());
        for i in 0..QUEUE_NEWS_MAX + 5 {
            queue.announce(Content::Log(i.to_string()));
        }
        let events: Vec<_> = std::iter::from_fn(|| queue.poll(Some(Duration::ZERO))).collect();
        assert_eq!(tags(&events[0]), [1]);
        assert_eq!(events.len(), 1 + QUEUE_NEWS_MAX);
        assert!(matches!(&events[1].content, Content::Log(line) if line == "5"));
    }

    #[test]
    fn there_is_no_room_for_more_reports_than_the_limit() {
        let queue = Queue::default();
        queue.deliver((0..QUEUE_DELIVERIES_MAX as u64 - 1).map(report).collect::<Vec<_>>().into_iter());
        assert!(queue.has_room());
        queue.deliver([report(0)].into_iter());
        assert!(!queue.has_room());
        drop(queue.poll(Some(Duration::ZERO)));
        assert!(queue.has_room());
    }
}
