//! When `kafkalog-node` gets up. Asking it to costs one atomic load when it will be up in time anyway.

use crate::node::Alarm;
use crate::producer::Wakeable;
use crate::time::{Clock, Instant};
use parking_lot::Mutex;
use std::fmt;
use std::sync::atomic::{fence, AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::thread::{self, Thread};
use std::time::Duration;

/// Nothing to get up for.
const NEVER: u64 = u64::MAX;

pub(super) struct Timer {
    /// When the thread gets up, in the clock's nanoseconds.
    next: AtomicU64,
    is_asleep: AtomicBool,
    thread: OnceLock<Thread>,
    wakeups: AtomicU64,
    producers: Mutex<Vec<Weak<dyn Wakeable>>>,
}

impl Timer {
    pub(super) fn new() -> Timer {
        Timer {
            next: AtomicU64::new(NEVER),
            is_asleep: AtomicBool::new(false),
            thread: OnceLock::new(),
            wakeups: AtomicU64::new(0),
            producers: Mutex::default(),
        }
    }

    /// The calling thread is the one to wake from now on.
    pub(super) fn adopt_this_thread(&self) {
        let _ = self.thread.set(thread::current()); // called once, by the one thread
    }

    pub(super) fn is_this_thread(&self) -> bool {
        self.thread.get().is_some_and(|own| own.id() == thread::current().id())
    }

    /// A new round of work begins: who asks from here on asks for the next round.
    pub(super) fn begin_round(&self) {
        self.next.store(NEVER, Ordering::SeqCst);
        // With the fence in `wake_by`: either we see the work of whoever found us awake, or they see NEVER and leave a time.
        fence(Ordering::SeqCst);
    }

    /// Sleeps until `due`, or earlier when somebody asked for it.
    pub(super) fn sleep(&self, due: Option<Instant>, clock: &dyn Clock) {
        self.next.fetch_min(due.map_or(NEVER, |due| due.0), Ordering::SeqCst);
        self.is_asleep.store(true, Ordering::SeqCst);
        loop {
            let next = self.next.load(Ordering::SeqCst);
            if next == NEVER {
                thread::park();
            } else {
                let left = Instant(next).since(clock.monotonic());
                if left == Duration::ZERO {
                    break;
                }
                thread::park_timeout(left);
            }
        }
        self.is_asleep.store(false, Ordering::SeqCst);
        self.wakeups.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn wakeups(&self) -> u64 {
        self.wakeups.load(Ordering::Relaxed)
    }

    /// When it gets up next; `None` when nothing is pending.
    pub(super) fn next(&self) -> Option<Instant> {
        let next = self.next.load(Ordering::SeqCst);
        let is_idle = next == NEVER && self.is_asleep.load(Ordering::SeqCst);
        (!is_idle).then_some(Instant(if next == NEVER { 0 } else { next }))
    }

    pub(super) fn register(&self, producer: Weak<dyn Wakeable>) {
        let mut producers = self.producers.lock();
        producers.retain(|known| known.strong_count() > 0);
        producers.push(producer);
    }

    pub(super) fn producers(&self) -> Vec<Arc<dyn Wakeable>> {
        self.producers.lock().iter().filter_map(Weak::upgrade).collect()
    }

    pub(super) fn wake_now(&self) {
        self.wake_by(Instant(0));
    }
}

impl Alarm for Timer {
    fn wake_by(&self, when: Instant) {
        fence(Ordering::SeqCst); // what the caller has done comes before the look at the time
        if self.next.load(Ordering::Relaxed) <= when.0 {
            return;
        }
        let before = self.next.fetch_min(when.0, Ordering::SeqCst);
        if before > when.0 && self.is_asleep.load(Ordering::SeqCst) {
            if let Some(thread) = self.thread.get() {
                thread.unpark();
            }
        }
    }
}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timer").field("next", &self.next).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::SystemClock;
    use std::sync::mpsc;

    #[test]
    fn a_sleeper_without_a_time_gets_up_when_asked_and_only_then() {
        let timer = Arc::new(Timer::new());
        let (up, awake) = mpsc::channel();
        let sleeper = {
            let timer = Arc::clone(&timer);
            thread::spawn(move || {
                timer.adopt_this_thread();
                for _ in 0..3 {
                    timer.begin_round();
                    timer.sleep(None, &SystemClock::new());
                    up.send(()).expect("somebody listens");
                }
            })
        };
        for _ in 0..3 {
            while timer.next().is_some() {
                thread::yield_now();
            }
            assert!(awake.try_recv().is_err(), "nobody asked yet");
            timer.wake_now();
            awake.recv().expect("gets up");
        }
        sleeper.join().expect("ends");
        assert_eq!(timer.wakeups(), 3);
    }

    #[test]
    fn who_asks_for_a_later_time_disturbs_nobody() {
        let timer = Timer::new();
        timer.wake_by(Instant(100));
        timer.wake_by(Instant(200));
        assert_eq!(timer.next(), Some(Instant(100)));
        timer.wake_by(Instant(50));
        assert_eq!(timer.next(), Some(Instant(50)));
    }
}
