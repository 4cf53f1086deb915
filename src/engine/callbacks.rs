//! `kafkalog-callbacks`: runs the users' Rust callbacks, one after the other, so that none of them can hold up a log.

use crate::disk::BlockedSignals;
use crate::error::{Error, Result};
use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::fmt;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::Arc;
use std::thread::{self, ThreadId};
use std::time::Duration;

type Callback = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct State {
    waiting: VecDeque<Callback>,
    /// The thread, while there is one.
    thread: Option<ThreadId>,
    is_busy: bool,
    /// No more are expected: the thread ends when it has run what waits.
    is_ending: bool,
}

pub(super) struct CallbackThread {
    state: Mutex<State>,
    changed: Condvar,
    on_panic: Box<dyn Fn(Error) + Send + Sync>,
}

impl CallbackThread {
    pub(super) fn new(on_panic: impl Fn(Error) + Send + Sync + 'static) -> Arc<CallbackThread> {
        Arc::new(CallbackThread { state: Mutex::default(), changed: Condvar::new(), on_panic: Box::new(on_panic) })
    }

    /// Runs `callback` after all that were given earlier. When no thread can be started, at once.
    pub(super) fn run(self: &Arc<Self>, callback: Callback) {
        let mut state = self.state.lock();
        state.waiting.push_back(callback);
        if state.thread.is_some() {
            drop(state);
            self.changed.notify_all();
        } else if let Err(refused) = self.start(&mut state) {
            let all = std::mem::take(&mut state.waiting);
            drop(state);
            (self.on_panic)(refused);
            all.into_iter().for_each(|callback| self.run_one(callback));
        }
    }

    fn start(self: &Arc<Self>, state: &mut State) -> Result<()> {
        let own = Arc::clone(self);
        let _quiet = BlockedSignals::new();
        let thread = thread::Builder::new()
            .name("kafkalog-callbacks".into())
            .spawn(move || own.work())
            .map_err(|e| super::node_thread::no_thread("kafkalog-callbacks", &e))?;
        state.thread = Some(thread.thread().id());
        Ok(())
    }

    fn work(&self) {
        let mut state = self.state.lock();
        loop {
            while let Some(callback) = state.waiting.pop_front() {
                state.is_busy = true;
                drop(state);
                self.run_one(callback);
                state = self.state.lock();
                state.is_busy = false;
            }
            self.changed.notify_all();
            if state.is_ending {
                state.thread = None;
                return;
            }
            self.changed.wait(&mut state);
        }
    }

    fn run_one(&self, callback: Callback) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(callback)) {
            (self.on_panic)(super::node_thread::panicked("a callback", &*panic));
        }
    }

    /// Lets the thread end once it has run what waits.
    pub(super) fn end(&self) {
        self.state.lock().is_ending = true;
        self.changed.notify_all();
    }

    /// Waits until every callback has run. False when `timeout` passed first, or when asked by a callback.
    pub(super) fn wait_until_done(&self, timeout: Duration) -> bool {
        let mut state = self.state.lock();
        if state.thread == Some(thread::current().id()) {
            return false;
        }
        let is_busy = |state: &mut State| state.is_busy || !state.waiting.is_empty();
        !self.changed.wait_while_for(&mut state, is_busy, timeout).timed_out()
    }

    pub(super) fn is_this_thread(&self) -> bool {
        self.state.lock().thread == Some(thread::current().id())
    }
}

impl fmt::Debug for CallbackThread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallbackThread").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn callbacks_run_in_order_on_a_thread_of_their_own_also_after_an_end() {
        let callbacks = CallbackThread::new(|e| panic!("{e}"));
        let (told, hear) = mpsc::channel();
        for round in 0..2 {
            for i in 0..100 {
                let told = told.clone();
                callbacks.run(Box::new(move || {
                    let name = thread::current().name().map(str::to_owned);
                    told.send((round * 100 + i, name)).expect("somebody listens");
                }));
            }
            assert!(callbacks.wait_until_done(Duration::from_secs(60)));
            callbacks.end();
        }
        let heard: Vec<_> = hear.try_iter().collect();
        assert!(heard.iter().all(|(_, name)| name.as_deref() == Some("kafkalog-callbacks")));
        assert_eq!(heard.iter().map(|(i, _)| *i).collect::<Vec<_>>(), (0..200).collect::<Vec<_>>());
    }

    #[test]
    fn a_callback_that_panics_is_told_and_the_next_one_runs() {
        let (told, hear) = mpsc::channel();
        let callbacks = CallbackThread::new(move |e| told.send(e.message().to_owned()).expect("somebody listens"));
        callbacks.run(Box::new(|| panic!("on purpose")));
        let (ran, wait) = mpsc::channel();
        callbacks.run(Box::new(move || ran.send(()).expect("somebody listens")));
        wait.recv().expect("runs");
        assert!(hear.recv().expect("is told").contains("on purpose"));
    }
}
