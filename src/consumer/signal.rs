//! What a waiting reader parks on: one counter, one condvar, whoever has news bumps it.

use parking_lot::{Condvar, Mutex};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
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
#[derive(Clone)]
pub struct Waker(Arc<State>);

struct State {
    news: AtomicU64,
    /// Somebody asked for a poll to return, and none has yet.
    woken: AtomicBool,
    /// Threads that are parked or about to be. Writers look here first, so that news costs them no lock while nobody sleeps.
    sleepers: AtomicU32,
    park: Mutex<()>,
    wake: Condvar,
    listener: Mutex<Option<Listener>>,
    has_listener: AtomicBool,
}

/// Called on whichever thread has the news; must be quick.
type Listener = Arc<dyn Fn() + Send + Sync>;

impl Waker {
    pub(crate) fn new() -> Waker {
        Waker(Arc::new(State {
            news: AtomicU64::new(0),
            woken: AtomicBool::new(false),
            sleepers: AtomicU32::new(0),
            park: Mutex::new(()),
            wake: Condvar::new(),
            listener: Mutex::new(None),
            has_listener: AtomicBool::new(false),
        }))
    }

    /// Makes a blocked poll return, empty-handed. When none is blocked, the next one that would block returns at once.
    pub fn wake(&self) {
        self.0.woken.store(true, Ordering::SeqCst);
        self.announce();
    }

    /// Whether [`wake`](Waker::wake) was called since the last time somebody asked; asking forgets it.
    #[must_use]
    pub fn take_wake(&self) -> bool {
        // The load keeps the common case off the cache line's exclusive state.
        self.0.woken.load(Ordering::Relaxed) && self.0.woken.swap(false, Ordering::SeqCst)
    }

    /// Now, for a later [`wait`](Waker::wait).
    #[must_use]
    pub fn ticket(&self) -> Ticket {
        Ticket(self.0.news.load(Ordering::SeqCst))
    }

    /// Waits until there is news since `seen` (records, a lost partition, a wake), at most `timeout`. False: time is up.
    pub fn wait(&self, seen: Ticket, timeout: Duration) -> bool {
        if self.ticket() != seen {
            return true;
        }
        if timeout.is_zero() {
            return false;
        }
        let began = Instant::now();
        while began.elapsed() < SPIN.min(timeout) {
            for _ in 0..64 {
                std::hint::spin_loop();
            }
            if self.ticket() != seen {
                return true;
            }
        }
        // A deadline that no clock can name is none.
        self.park(seen, began.checked_add(timeout))
    }

    fn park(&self, seen: Ticket, deadline: Option<Instant>) -> bool {
        let state = &*self.0;
        let mut parked = state.park.lock();
        // Counted before the last look: a writer that still sees no sleeper has bumped the counter before that look.
        state.sleepers.fetch_add(1, Ordering::SeqCst);
        let mut in_time = true;
        while in_time && self.ticket() == seen {
            match deadline {
                Some(deadline) => in_time = !state.wake.wait_until(&mut parked, deadline).timed_out(),
                None => state.wake.wait(&mut parked),
            }
        }
        state.sleepers.fetch_sub(1, Ordering::SeqCst);
        self.ticket() != seen
    }

    /// Calls `listener` from now on whenever there may be something new to poll for, or [`wake`](Waker::wake) is called: on
    /// the thread that brings the news, with no lock held. It must be quick and must not call the consumer. It takes the
    /// place of an earlier one.
    pub fn on_news(&self, listener: Arc<dyn Fn() + Send + Sync>) {
        *self.0.listener.lock() = Some(listener);
        self.0.has_listener.store(true, Ordering::SeqCst);
    }

    /// There is news: whoever waits looks again.
    pub(crate) fn announce(&self) {
        let state = &*self.0;
        state.news.fetch_add(1, Ordering::SeqCst);
        if state.sleepers.load(Ordering::SeqCst) > 0 {
            // A sleeper that was counted but does not wait yet holds this lock, so the call below cannot come too early.
            drop(state.park.lock());
            state.wake.notify_all();
        }
        if state.has_listener.load(Ordering::SeqCst) {
            let listener = state.listener.lock().clone();
            if let Some(listener) = listener {
                listener();
            }
        }
    }
}

impl fmt::Debug for Waker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waker").field("news", &self.0.news).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news_between_the_ticket_and_the_wait_is_not_missed() {
        let waker = Waker::new();
        let seen = waker.ticket();
        waker.announce();
        assert!(waker.wait(seen, Duration::ZERO));
        assert!(!waker.wait(waker.ticket(), Duration::ZERO));
    }

    #[test]
    fn a_parked_thread_is_woken_by_another_one() {
        let waker = Waker::new();
        let seen = waker.ticket();
        let other = waker.clone();
        let sleeper = std::thread::spawn(move || other.wait(seen, Duration::MAX));
        // Whether it spins, parks or has not even begun: the outcome is the same.
        waker.wake();
        assert!(sleeper.join().unwrap());
        assert!(waker.take_wake());
        assert!(!waker.take_wake());
    }

    #[test]
    fn a_listener_hears_every_piece_of_news_until_another_takes_its_place() {
        let waker = Waker::new();
        let heard = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&heard);
        waker.on_news(Arc::new(move || {
            count.fetch_add(1, Ordering::SeqCst);
        }));
        waker.announce();
        waker.wake();
        waker.on_news(Arc::new(|| {}));
        waker.announce();
        assert_eq!(heard.load(Ordering::SeqCst), 2);
    }
}
