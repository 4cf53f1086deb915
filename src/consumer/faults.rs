//! Records that do not parse are met by whoever iterates, perhaps on another thread; the consumer hears of them here.
//!
//! To parse every record a second time, in advance, would cost a reader a third of its speed, for batches that no leader
//! lets into a log.

use super::Waker;
use crate::error::Error;
use crate::types::{Offset, TopicPartition};
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// What the readers of one consumer's records have met.
#[derive(Debug)]
pub(super) struct Faults {
    any: AtomicBool,
    list: Mutex<Vec<Fault>>,
    waker: Waker,
}

/// One record that does not parse.
#[derive(Debug)]
pub(super) struct Fault {
    pub id: TopicPartition,
    pub generation: u32,
    pub at: Offset,
    pub error: Error,
}

impl Faults {
    pub fn new(waker: Waker) -> Faults {
        Faults { any: AtomicBool::new(false), list: Mutex::default(), waker }
    }

    pub fn report(&self, id: TopicPartition, generation: u32, at: Offset, error: Error) {
        self.list.lock().push(Fault { id, generation, at, error });
        self.any.store(true, Ordering::Release);
        self.waker.announce();
    }

    /// What was reported since the last time; one load when nothing was.
    pub fn take(&self) -> Vec<Fault> {
        if !self.any.load(Ordering::Acquire) {
            return Vec::new();
        }
        self.any.store(false, Ordering::Relaxed);
        std::mem::take(&mut self.list.lock())
    }
}
