//! The end of an engine. `kafkalog-node` does the work, and whoever closes waits for it with a limit: a disk that hangs can hold up the
//! thread, never the host. A member of a cluster hands over what it leads before its logs are closed.

use super::core::{Core, Fatal};
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
    /// Of the last attempt.
    outcome: Option<Result<CloseReport>>,
    thread_is_gone: bool,
}

#[derive(Default)]
pub(super) struct Closing {
    state: Mutex<State>,
    changed: Condvar,
}

impl Closing {
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
        let is_over = !matches!(&outcome, Err(error) if error.code() == ErrorCode::TIMED_OUT);
        let mut state = self.state.lock();
        state.is_running = false;
        state.outcome = Some(outcome);
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
        let mut report = node.close(deadline)?;
        report.undelivered_records = self.state.lock().undelivered_records;
        Ok(report)
    }

    pub(super) fn thread_is_gone(&self) {
        self.state.lock().thread_is_gone = true;
        self.changed.notify_all();
    }

    /// Waits for the end; an attempt that timed out is ordered anew.
    fn wait(&self, node: &Node, timer: &Timer, deadline: Instant) -> Result<CloseReport> {
        let clock = node.clock();
        let mut state = self.state.lock();
        if matches!(&state.outcome, Some(Err(error)) if error.code() == ErrorCode::TIMED_OUT) {
            state.outcome = None;
        }
        if state.outcome.is_none() && state.thread_is_gone {
            drop(state);
            return self.attempt(node, timer, deadline); // there never was a thread to do it
        }
        if state.outcome.is_none() && !state.is_running {
            state.order = Some(deadline);
            drop(state);
            timer.wake_now();
            state = self.state.lock();
        }
        loop {
            if let (Some(outcome), true) = (&state.outcome, state.thread_is_gone) {
                return outcome.clone();
            }
            if let Some(Err(error)) = &state.outcome {
                if error.code() == ErrorCode::TIMED_OUT {
                    return Err(error.clone());
                }
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
        if self.timer.is_this_thread() {
            return self.close_on_node_thread(deadline);
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

    /// The last handle was a producer that this thread was just looking after: it cannot wait for itself.
    fn close_on_node_thread(&self, deadline: Instant) -> Result<CloseReport> {
        self.closing.state.lock().order = Some(deadline);
        self.callbacks.end();
        Err(Error::new(ErrorCode::TIMED_OUT, "closing goes on in the background"))
    }
}
