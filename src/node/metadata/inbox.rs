//! The calls that wait for whoever works on the metadata, in order.

use super::core::Call;
use crate::controller::ControllerRequest;
use crate::time::Instant;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Calls that may wait while somebody works. Messages beyond are lost, as on any network; requests are refused.
pub(crate) const INBOX_MAX: usize = 10_000;

/// What the thread that brings a call does next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Bringer {
    /// The work that the call makes, unless somebody is at it.
    Stays,
    /// Goes on: the call lies there with its time, for whoever is at work or for the next tick. The thread is another node's, which has a
    /// disk of its own to wait for.
    Leaves,
}

impl Bringer {
    /// Whoever brings a sign of life has to bring the next one in time, and does not stay for other people's syncs.
    pub(super) fn with(self, request: &ControllerRequest) -> Bringer {
        if request.is_sign_of_life() {
            return Bringer::Leaves;
        }
        self
    }
}

#[derive(Default)]
pub(super) struct Inbox {
    calls: Mutex<VecDeque<(Call, Instant)>>,
    /// There is a tick among them, and no second one.
    has_tick: AtomicBool,
    /// What that one has to tell when its turn comes.
    deaf_nanos: AtomicU64,
}

impl Inbox {
    /// Gives the call back when there are too many.
    pub fn post(&self, call: Call, now: Instant) -> Result<(), Box<Call>> {
        let mut calls = self.calls.lock();
        if calls.len() >= INBOX_MAX {
            return Err(Box::new(call));
        }
        calls.push_back((call, now));
        Ok(())
    }

    /// Time has passed, for `deaf` of it nobody could be heard.
    pub fn post_tick(&self, now: Instant, deaf: Duration) {
        self.deaf_nanos.fetch_add(u64::try_from(deaf.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
        if !self.has_tick.swap(true, Ordering::AcqRel) && self.post(Call::Tick { deaf: Duration::ZERO }, now).is_err() {
            self.has_tick.store(false, Ordering::Release); // whoever filled the inbox has more to do than time to tell
        }
    }

    /// The tick is still waiting for its turn.
    pub fn has_tick(&self) -> bool {
        self.has_tick.load(Ordering::Acquire)
    }

    /// The oldest call, and when it came.
    pub fn next(&self) -> Option<(Call, Instant)> {
        let (mut call, came_at) = self.calls.lock().pop_front()?;
        if let Call::Tick { deaf } = &mut call {
            self.has_tick.store(false, Ordering::Release);
            *deaf = Duration::from_nanos(self.deaf_nanos.swap(0, Ordering::Relaxed));
        }
        Some((call, came_at))
    }

    pub fn is_empty(&self) -> bool {
        self.calls.lock().is_empty()
    }
}
