//! What all handles of an engine share.

use super::callbacks::CallbackThread;
use super::close::{Callbacks, Closing};
use super::doorstep::Doorstep;
use super::helpers::Helpers;
use super::timer::Timer;
use crate::disk::fork_generation;
use crate::error::{Error, ErrorCode, Result};
use crate::node::Node;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

pub(super) struct Core {
    pub(super) node: Arc<Node>,
    pub(super) timer: Arc<Timer>,
    pub(super) helpers: Helpers,
    pub(super) callbacks: Arc<CallbackThread>,
    pub(super) closing: Arc<Closing>,
    pub(super) fatal: Arc<Fatal>,
    pub(super) is_closing: AtomicBool,
    /// Where others reach it; where it is alone, nowhere.
    pub(super) doorstep: Doorstep,
    /// Which process opened it.
    pub(super) born: Option<u32>,
}

/// The first failure that ended the engine.
#[derive(Debug, Default)]
pub(super) struct Fatal {
    first: OnceLock<Error>,
}

impl Fatal {
    pub(super) fn set(&self, error: Error) {
        let _ = self.first.set(error); // the first one is kept
    }

    pub(super) fn get(&self) -> Option<Error> {
        self.first.get().cloned()
    }
}

impl Core {
    /// Whether the engine still takes work.
    pub(super) fn check(&self) -> Result<()> {
        self.check_fork()?;
        if let Some(fatal) = self.fatal.first.get() {
            return Err(fatal.clone());
        }
        if self.is_closing.load(Ordering::Acquire) {
            return Err(Error::new(ErrorCode::CLOSED, "the engine is closed"));
        }
        Ok(())
    }

    pub(super) fn check_fork(&self) -> Result<()> {
        if self.is_forked() {
            let text = "this process was forked from the one that opened the engine; open an engine of its own here";
            return Err(Error::new(ErrorCode::FORKED, text));
        }
        Ok(())
    }

    fn is_forked(&self) -> bool {
        fork_generation() != self.born
    }

    pub(super) fn sync_all(&self, timeout: Duration) -> Result<()> {
        let clock = self.node.clock();
        let deadline = clock.monotonic() + timeout;
        let mut outcome = Ok(());
        for topic in self.node.topic_handles() {
            for partition in topic.partitions() {
                if clock.monotonic() >= deadline {
                    let text = format!("the time was up before {} was synced", partition.id());
                    return outcome.and(Err(Error::new(ErrorCode::TIMED_OUT, text)));
                }
                outcome = outcome.and(partition.sync());
            }
        }
        outcome
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        if self.is_forked() {
            // The threads are not here, and files and mappings are shared with the parent: closing them in order would change
            // them under its feet. So they stay as they are until this process ends.
            std::mem::forget(Arc::clone(&self.node));
            return;
        }
        let timeout = self.node.config().shutdown_timeout;
        // Whoever wants to know how it went calls close; recovery finds again what was not done.
        let _ = self.close(timeout, Callbacks::LeaveBehind);
        self.callbacks.end();
    }
}
