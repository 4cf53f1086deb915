//! Waiting for an answer on the caller's thread: for users' calls that block. Nothing in this folder waits itself.

use super::promise::{Done, Promise};
use super::Client;
use crate::error::{Error, ErrorCode, Result};
use crate::time::Instant;
use parking_lot::{Condvar, Mutex};
use std::sync::Arc;

/// A place for one answer.
struct Slot<T> {
    answer: Mutex<Option<Result<T>>>,
    came: Condvar,
}

impl Client {
    /// Calls `begin` with something to be called back, and waits until it is. Not from inside of a callback, and not on the thread that
    /// ticks.
    ///
    /// # Errors
    /// What the answer says; REQUEST_TIMED_OUT when `deadline` passed: what was begun may go on.
    pub fn wait<T: Send + 'static>(&self, deadline: Instant, begin: impl FnOnce(Done<T>)) -> Result<T> {
        let slot = Arc::new(Slot { answer: Mutex::new(None), came: Condvar::new() });
        let theirs = Arc::clone(&slot);
        // A `begin` that drops it answers DESTROY.
        let promise = Promise::new(Box::new(move |outcome| {
            *theirs.answer.lock() = Some(outcome);
            theirs.came.notify_all();
        }));
        begin(Box::new(move |outcome| promise.keep(outcome)));
        let mut answer = slot.answer.lock();
        loop {
            if let Some(answer) = answer.take() {
                return answer;
            }
            let left = deadline.since(self.clock().monotonic());
            if left.is_zero() {
                return Err(Error::new(ErrorCode::REQUEST_TIMED_OUT, "the cluster has not answered in time"));
            }
            slot.came.wait_for(&mut answer, left);
        }
    }
}
