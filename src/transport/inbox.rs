//! The door between a transport and its node. Once closed, frames vanish before it.

use super::{Frame, Receive};
use crate::types::NodeId;
use bytes::Bytes;
use parking_lot::{Condvar, Mutex};
use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

/// Where a transport delivers. Clones are the same door; after [`close`](Inbox::close) all of them do nothing.
#[derive(Clone)]
pub struct Inbox(Arc<Door>);

struct Door {
    state: Mutex<State>,
    emptied: Condvar,
}

struct State {
    receiver: Option<Arc<dyn Receive>>,
    /// Calls that are inside now.
    inside: usize,
}

thread_local! {
    /// The doors that this thread has gone through and not come back from.
    static PASSED: RefCell<Vec<*const Door>> = const { RefCell::new(Vec::new()) };
}

impl Inbox {
    pub fn new(receiver: Arc<dyn Receive>) -> Inbox {
        let state = Mutex::new(State { receiver: Some(receiver), inside: 0 });
        Inbox(Arc::new(Door { state, emptied: Condvar::new() }))
    }

    /// Hands over a frame on this thread.
    pub fn deliver(&self, from: NodeId, frame: Bytes) {
        if let Some(visit) = self.enter() {
            visit.receiver.deliver(from, frame);
        }
    }

    /// Hands over a frame as it was sent, on this thread.
    pub fn deliver_parts(&self, from: NodeId, frame: Frame) {
        if let Some(visit) = self.enter() {
            visit.receiver.deliver_parts(from, frame);
        }
    }

    /// Tells that the connection with `peer` begins or has ended.
    pub fn peer_state(&self, peer: NodeId, up: bool) {
        if let Some(visit) = self.enter() {
            visit.receiver.peer_state(peer, up);
        }
    }

    /// Closes the door for good and waits until the calls of other threads have come back. Callable from inside.
    pub fn close(&self) {
        let own = PASSED
            .try_with(|passed| passed.borrow().iter().filter(|door| **door == Arc::as_ptr(&self.0)).count())
            .unwrap_or_default();
        let mut state = self.0.state.lock();
        let receiver = state.receiver.take();
        while state.inside > own {
            self.0.emptied.wait(&mut state);
        }
        drop(state);
        // Perhaps the last one: what it does when it goes must not find the door's lock taken.
        drop(receiver);
    }

    fn enter(&self) -> Option<Visit<'_>> {
        let receiver = {
            let mut state = self.0.state.lock();
            let receiver = Arc::clone(state.receiver.as_ref()?);
            state.inside += 1;
            receiver
        };
        // A thread that is being torn down has no list any more; it does not close doors either.
        let _ = PASSED.try_with(|passed| passed.borrow_mut().push(Arc::as_ptr(&self.0)));
        Some(Visit { door: &self.0, receiver })
    }
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox").field("is_open", &self.0.state.lock().receiver.is_some()).finish()
    }
}

struct Visit<'a> {
    door: &'a Arc<Door>,
    receiver: Arc<dyn Receive>,
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        let _ = PASSED.try_with(|passed| passed.borrow_mut().pop()); // as in `enter`
        let mut state = self.door.state.lock();
        state.inside -= 1;
        if state.receiver.is_none() {
            self.door.emptied.notify_all();
        }
    }
}
