//! `kafkalog-node`: keeps the node in its cluster and sends batches whose linger is over, then sleeps until there is something again.

use super::close::Closing;
use super::core::Fatal;
use super::helpers::Helpers;
use super::stats::stats_json;
use super::timer::Timer;
use super::LogSink;
use crate::disk::BlockedSignals;
use crate::error::{Error, ErrorCode, Result};
use crate::node::{LogLevel, Node};
use crate::time::Instant;
use std::any::Any;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// Receives the statistics as JSON every `statistics.interval.ms`, on `kafkalog-node`.
pub(super) type StatsSink = Arc<dyn Fn(&str) + Send + Sync>;

pub(super) struct NodeThread {
    pub(super) node: Arc<Node>,
    pub(super) timer: Arc<Timer>,
    pub(super) helpers: Helpers,
    pub(super) closing: Arc<Closing>,
    pub(super) fatal: Arc<Fatal>,
    pub(super) log_sink: Option<Arc<dyn LogSink>>,
    pub(super) stats_sink: Option<(StatsSink, Duration)>,
}

impl NodeThread {
    pub(super) fn start(self) -> Result<()> {
        let _quiet = BlockedSignals::new(); // the new thread begins with the mask of this one
        thread::Builder::new()
            .name("kafkalog-node".into())
            .spawn(move || self.work())
            .map(|_joined_by_its_done_flag| ())
            .map_err(|e| no_thread("kafkalog-node", &e))
    }

    fn work(mut self) {
        self.timer.adopt_this_thread();
        let clock = Arc::clone(self.node.clock());
        let mut stats_due = self.stats_sink.as_ref().map(|(_, every)| clock.monotonic() + *every);
        loop {
            self.timer.begin_round();
            let now = clock.monotonic();
            let mut due = self.round(now);
            if let (Some(at), Some((sink, every))) = (stats_due, &self.stats_sink) {
                if at <= now {
                    let json = stats_json(&self.node, &self.timer, &self.helpers);
                    self.guarded("the statistics sink", || sink(&json));
                    stats_due = Some(now + *every);
                }
                due = earlier(due, stats_due);
            }
            self.pass_notices_on();
            if self.closing.work_on_it(&self.node, &self.timer, &self.fatal) {
                self.pass_notices_on();
                break;
            }
            self.timer.sleep(due, &*clock);
        }
        // What users gave us goes before we say that we are gone: they may unload what it points into.
        self.log_sink = None;
        self.stats_sink = None;
        let closing = Arc::clone(&self.closing);
        drop(self);
        closing.thread_is_gone();
    }

    fn round(&self, now: Instant) -> Option<Instant> {
        let mut due = self.guarded("the node's tick", || self.node.tick_membership(now)).flatten();
        for producer in self.timer.producers() {
            due = earlier(due, self.guarded("a producer's round", || producer.run(now)).flatten());
        }
        due
    }

    fn pass_notices_on(&self) {
        while let Some(notice) = self.node.poll_notice() {
            if let Some(sink) = &self.log_sink {
                self.guarded("the log sink", || sink.log(notice.level, notice.facility, &notice.text));
            }
        }
    }

    fn guarded<T>(&self, what: &str, work: impl FnOnce() -> T) -> Option<T> {
        guarded(&self.node, &self.fatal, what, work)
    }
}

/// A panic ends the engine, not the thread.
pub(super) fn guarded<T>(node: &Node, fatal: &Fatal, what: &str, work: impl FnOnce() -> T) -> Option<T> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(done) => Some(done),
        Err(panic) => {
            let error = panicked(what, &*panic);
            node.notice(LogLevel::Error, "engine", || error.message().to_owned());
            fatal.set(error);
            None
        }
    }
}

fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    [one, other].into_iter().flatten().min()
}

pub(super) fn no_thread(name: &str, source: &std::io::Error) -> Error {
    Error::new(ErrorCode::NOMEM, format!("the thread {name} could not be started: {source}"))
}

/// A panic as an error that ends the engine.
pub(super) fn panicked(what: &str, panic: &(dyn Any + Send)) -> Error {
    let said = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    let said = said.unwrap_or("no words").replace('\n', " ");
    Error::fatal(ErrorCode::PANIC, format!("{what} panicked: {said}"))
}
