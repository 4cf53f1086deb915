//! An answer that somebody waits for.

use crate::error::{Error, ErrorCode, Result};
use std::fmt;

/// Called exactly once, on whatever thread has the answer, with no lock held.
pub(crate) type Done<T> = Box<dyn FnOnce(Result<T>) + Send>;

/// Keeps a [`Done`] until it is kept or dropped: dropped, the answer is DESTROY.
pub(crate) struct Promise<T>(Option<Done<T>>);

impl<T> Promise<T> {
    pub fn new(done: Done<T>) -> Promise<T> {
        Promise(Some(done))
    }

    pub fn keep(mut self, outcome: Result<T>) {
        if let Some(done) = self.0.take() {
            done(outcome);
        }
    }
}

impl<T> Drop for Promise<T> {
    fn drop(&mut self) {
        if let Some(done) = self.0.take() {
            done(Err(gone()));
        }
    }
}

/// There is nobody any more to carry something out.
pub(super) fn gone() -> Error {
    Error::new(ErrorCode::DESTROY, "whoever asked the cluster is closed")
}

impl<T> fmt::Debug for Promise<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Promise")
    }
}
