//! The end of an engine. `kafkalog-node` does the work, and whoever closes waits for it with a limit: a disk that hangs can hold up the
//! thread, never the host. A member of a cluster hands over what it leads before its logs are closed.

use super::core::{Core, Fatal};
use super::helpers::Helpers;
use super::timer::Timer;
use crate::error::{Error, ErrorCode, Result};
use crate::node::{CloseReport, Node};
use crate::time::Instant;
use parking_lot::{Condvar, Mutex};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// What happens to callbacks that did not run yet.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Callbacks {
    /// Closing is over when they have run.
    Wait,
    /// They run some time: nobody may be kept waiting by a callback.
    LeaveBehind,
}

#[derive(Default)]
struct State {
    /// Somebody wants the engine closed by then.
    order: Option<Instant>,
    is_running: bool,
    undelivered_records: u64,
    /// Of the last attempt, and until when that had time.
    outcome: Option<(Instant, Result<CloseReport>)>,
    thread_is_gone: bool,
}

pub(super) struct Closing {
    helpers: Helpers,
    state: Mutex<State>,
    changed: Condvar,
}

impl Closing {
    pub(super) fn new(helpers: Helpers) -> Closing {
        Closing { helpers, state: Mutex::default(), changed: Condvar::new() }
    }

    /// On `kafkalog-node`: closes if that was ordered. True when there is nothing left to do for the thread.
    pub(super) fn work_on_it(&self, node: &Node, timer: &Timer, fatal: &Fatal) -> bool {
        let deadline = {
            let mut state = self.state.lock();
            match state.order.take() {
                None => return false,
                Some(deadline) => {
                    state.is_running = true;
                    deadline
                }
            }
        };
        let work = AssertUnwindSafe(|| self.attempt(node, timer, deadline));
        let outcome = catch_unwind(work).unwrap_or_else(|panic| {
            let error = super::node_thread::panicked("closing", &*panic);
            fatal.set(error.clone());
            Err(error)
        });
        let is_over = timed_out(&outcome).is_none();
        let mut state = self.state.lock();
        state.is_running = false;
        state.outcome = Some((deadline, outcome));
        drop(state);
        self.changed.notify_all();
        is_over
    }

    fn attempt(&self, node: &Node, timer: &Timer, deadline: Instant) -> Result<CloseReport> {
        for producer in timer.producers() {
            let undelivered = producer.close_with_engine(deadline);
            self.state.lock().undelivered_records += undelivered;
        }
        leave_cluster(node, deadline);
        self.helpers.end(&**node.clock(), deadline)?;
        let mut report = node.close(deadline)?;
        report.undelivered_records = self.state.lock().undelivered_records;
        Ok(report)
    }

    #[cfg(test)]
    pub(super) fn is_running(&self) -> bool {
        self.state.lock().is_running
    }

    pub(super) fn thread_is_gone(&self) {
        self.state.lock().thread_is_gone = true;
        self.changed.notify_all();
    }

    /// Waits for the end. An attempt that timed out is ordered anew, also one of somebody who had less time and is still at it.
    fn wait(&self, node: &Node, timer: &Timer, deadline: Instant) -> Result<CloseReport> {
        let clock = node.clock();
        let mut state = self.state.lock();
        let mut has_waited = false; // before that, what lies there is an earlier call's
        loop {
            match state.outcome.as_ref().map(|(until, outcome)| (*until, timed_out(outcome))) {
                Some((until, Some(error))) if has_waited && until >= deadline => return Err(error.clone()),
                Some((_, Some(_))) => state.outcome = None,
                _ => {}
            }
            has_waited = true;
            match &state.outcome {
                Some((_, outcome)) if state.thread_is_gone => return outcome.clone(),
                None if state.thread_is_gone => {
                    drop(state);
                    return self.attempt(node, timer, deadline); // there never was a thread to do it
                }
                None if !state.is_running && state.order.is_none_or(|until| until < deadline) => {
                    state.order = Some(deadline);
                    drop(state);
                    timer.wake_now();
                    state = self.state.lock();
                    continue;
                }
                _ => {}
            }
            let left = deadline.since(clock.monotonic());
            if left == Duration::ZERO {
                let text = "the engine is not closed yet; closing goes on, close again to wait for it";
                return Err(Error::new(ErrorCode::TIMED_OUT, text));
            }
            self.changed.wait_for(&mut state, left);
        }
    }
}

fn timed_out(outcome: &Result<CloseReport>) -> Option<&Error> {
    outcome.as_ref().err().filter(|error| error.code() == ErrorCode::TIMED_OUT)
}

/// Hands over what this node leads, for half of the time at the most: whatever comes of it, the logs are to be closed in order. Where
/// nobody answers any more it takes no longer than the session, after which others take over in any case.
#[cfg(feature = "quorum")]
fn leave_cluster(node: &Node, deadline: Instant) {
    let now = node.clock().monotonic();
    let longest = node.config().cluster.session_timeout.min(deadline.since(now) / 2);
    node.leave_cluster(now + longest);
}

#[cfg(not(feature = "quorum"))]
fn leave_cluster(_: &Node, _: Instant) {}

impl Core {
    pub(super) fn close(&self, timeout: Duration, callbacks: Callbacks) -> Result<CloseReport> {
        self.check_fork()?;
        self.is_closing.store(true, Ordering::Release);
        let clock = self.node.clock();
        let deadline = clock.monotonic() + timeout;
        if self.timer.is_this_thread() || self.helpers.is_this_thread() {
            return self.close_on_own_thread(deadline);
        }
        let report = self.closing.wait(&self.node, &self.timer, deadline)?;
        if callbacks == Callbacks::Wait && !self.callbacks.is_this_thread() {
            let left = deadline.since(clock.monotonic());
            if !self.callbacks.wait_until_done(left) {
                return Err(Error::new(ErrorCode::TIMED_OUT, "everything is closed, but a callback is still running"));
            }
        }
        self.callbacks.end();
        Ok(report)
    }

    /// The last handle was a producer that this thread was just looking after, or a sink closes: it cannot wait for itself.
    fn close_on_own_thread(&self, deadline: Instant) -> Result<CloseReport> {
        self.closing.state.lock().order = Some(deadline);
        self.timer.wake_now();
        self.callbacks.end();
        Err(Error::new(ErrorCode::TIMED_OUT, "closing goes on in the background"))
    }
}
