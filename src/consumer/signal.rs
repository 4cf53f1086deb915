//! What a waiting reader parks on: one counter, one condvar, whoever has news bumps it.

use parking_lot::{Condvar, Mutex};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a reader looks before it parks. Waking a parked thread costs some 34 us, so a little more than that pays off.
const SPIN: Duration = Duration::from_micros(40);

/// A moment in the life of a [`Waker`]: taken before looking for work, compared when waiting for more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ticket(u64);

/// Wakes a poll that is blocked, from any thread; also what one waits on without holding the consumer. Cheap to clone.
///
/// Whoever shares a consumer behind a lock takes a [`ticket`](Waker::ticket), polls with no timeout under the lock,
/// lets the lock go and then [`wait`](Waker::wait)s: news that arrives in between is not missed.
#[derive(Clone, Debug)]
pub struct Waker(Arc<State>);

impl Waker {
    /// Makes a blocked poll return, empty-handed. When none is blocked, the next one that would block returns at once.
    pub fn wake(&self) {
        todo!()
    }

    /// Now, for a later [`wait`](Waker::wait).
    #[must_use]
    pub fn ticket(&self) -> Ticket {
        Ticket(self.0.news.load(Ordering::Acquire))
    }

    /// Waits until there is news since `seen` (records, a lost partition, a wake), at most `timeout`. False: time is up.
    pub fn wait(&self, seen: Ticket, timeout: Duration) -> bool {
        let _ = (seen, timeout, SPIN, Instant::now());
        todo!()
    }
}

#[derive(Debug, Default)]
struct State {
    news: AtomicU64,
    calls: AtomicU64,
    sleepers: Mutex<u32>,
    wake: Condvar,
}
