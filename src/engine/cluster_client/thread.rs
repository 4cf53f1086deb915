//! `kafkalog-client`: does what is due in time, then sleeps until there is something again.

use super::super::core::Fatal;
use super::super::node_thread::{no_thread, panicked};
use super::super::timer::Timer;
use super::super::LogSink;
use crate::client::Client;
use crate::disk::BlockedSignals;
use crate::error::Result;
use crate::node::LogLevel;
use crate::time::Instant;
use crate::transport::Transport;
use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// Lines for the log sink that wait at the most; the oldest go first.
const LINES_MAX: usize = 64;

/// Lines for the log sink, until the thread comes by.
#[derive(Default)]
pub(super) struct Lines(Mutex<VecDeque<(&'static str, String)>>);

/// How the thread ends, and how that is waited for.
#[derive(Default)]
pub(super) struct Ending {
    is_ordered: AtomicBool,
    is_gone: Mutex<bool>,
    changed: Condvar,
}

pub(super) struct ClientThread {
    pub client: Arc<Client>,
    pub transport: Arc<dyn Transport>,
    pub timer: Arc<Timer>,
    pub fatal: Arc<Fatal>,
    pub ending: Arc<Ending>,
    pub lines: Arc<Lines>,
    pub log_sink: Option<Arc<dyn LogSink>>,
}

impl Lines {
    pub fn push(&self, facility: &'static str, line: String) {
        let mut lines = self.0.lock();
        if lines.len() == LINES_MAX {
            lines.pop_front();
        }
        lines.push_back((facility, line));
    }

    fn poll(&self) -> Option<(&'static str, String)> {
        self.0.lock().pop_front()
    }
}

impl Ending {
    pub fn order(&self, timer: &Timer) {
        self.is_ordered.store(true, Ordering::SeqCst);
        timer.wake_now();
    }

    pub fn thread_is_gone(&self) {
        *self.is_gone.lock() = true;
        self.changed.notify_all();
    }

    /// False when `timeout` passed first.
    pub fn wait(&self, timeout: Duration) -> bool {
        let mut is_gone = self.is_gone.lock();
        let waits = |is_gone: &mut bool| !*is_gone;
        !self.changed.wait_while_for(&mut is_gone, waits, timeout).timed_out() || *is_gone
    }
}

impl ClientThread {
    pub fn start(self) -> Result<()> {
        let _quiet = BlockedSignals::new(); // the new thread begins with the mask of this one
        thread::Builder::new()
            .name("kafkalog-client".into())
            .spawn(move || self.work())
            .map(|_joined_by_its_done_flag| ())
            .map_err(|e| no_thread("kafkalog-client", &e))
    }

    fn work(mut self) {
        self.timer.adopt_this_thread();
        let clock = Arc::clone(self.client.clock());
        loop {
            self.timer.begin_round();
            let due = self.round(clock.monotonic());
            self.pass_lines_on();
            if self.ending.is_ordered.load(Ordering::SeqCst) {
                break;
            }
            self.timer.sleep(due, &*clock);
        }
        // What users gave us goes before we say that we are gone: they may unload what it points into.
        self.log_sink = None;
        let ending = Arc::clone(&self.ending);
        drop(self);
        ending.thread_is_gone();
    }

    fn round(&self, now: Instant) -> Option<Instant> {
        let mut dues = vec![self.guarded("the client's tick", || self.client.tick(now)).flatten()];
        for producer in self.timer.producers() {
            dues.push(self.guarded("a producer's round", || producer.run(now)).flatten());
        }
        dues.into_iter().flatten().min()
    }

    fn pass_lines_on(&self) {
        while let Some(notice) = self.transport.poll_notice() {
            self.lines.push("transport", notice);
        }
        while let Some((facility, line)) = self.lines.poll() {
            if let Some(sink) = &self.log_sink {
                self.guarded("the log sink", || sink.log(LogLevel::Warn, facility, &line));
            }
        }
    }

    fn guarded<T>(&self, what: &str, work: impl FnOnce() -> T) -> Option<T> {
        match catch_unwind(AssertUnwindSafe(work)) {
            Ok(done) => Some(done),
            Err(panic) => {
                self.fatal.set(panicked(what, &*panic));
                None
            }
        }
    }
}
