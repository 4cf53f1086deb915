//! The threads of one transport: started quietly, counted, waited for.

use crate::disk::BlockedSignals;
use parking_lot::{Condvar, Mutex};
use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

#[derive(Default)]
pub(super) struct Threads {
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Default)]
struct State {
    handles: Vec<JoinHandle<()>>,
    running: usize,
}

impl Threads {
    /// Starts `kafkalog-net-SUFFIX`, which takes no asynchronous signals.
    pub fn spawn(self: &Arc<Self>, suffix: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let mut state = self.state.lock();
        state.handles.retain(|handle| !handle.is_finished());
        let own = Arc::clone(self);
        let _quiet = BlockedSignals::new();
        let handle = thread::Builder::new().name(format!("kafkalog-net-{suffix}")).spawn(move || {
            let _ending = Ending(own);
            work();
        })?;
        state.handles.push(handle);
        state.running += 1;
        Ok(())
    }

    /// Waits until all threads but this one have ended. False when `timeout` passed first.
    pub fn wait(&self, timeout: Duration) -> bool {
        let mut state = self.state.lock();
        let me = thread::current().id();
        let own = usize::from(state.handles.iter().any(|handle| handle.thread().id() == me));
        let outcome = self.ended.wait_while_for(&mut state, |state| state.running > own, timeout);
        if outcome.timed_out() {
            return false;
        }
        let handles = std::mem::take(&mut state.handles);
        drop(state);
        for handle in handles.into_iter().filter(|handle| handle.thread().id() != me) {
            // A panic was printed where it happened; it has ended that thread and nothing else.
            let _ = handle.join();
        }
        true
    }
}

struct Ending(Arc<Threads>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.state.lock().running -= 1;
        self.0.ended.notify_all();
    }
}
