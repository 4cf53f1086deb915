//! Whether this node could hear the others.
//!
//! Frames are handled on the threads that bring them, and such a thread may wait for the disk: the next frames of that connection, signs
//! of life among them, lie unread meanwhile. An active controller that did not listen must not say that the others were silent, so this
//! time is told to it with the next tick, and no session ends of it. (In Kafka brokers speak with the controller over connections that
//! carry no data.) The same goes for a process that was stopped, or got no time, and finds the frames of all that while later.

use crate::time::Instant;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

pub(super) struct Hearing {
    /// Frames that are being handled, by the side on which they came.
    inside: [AtomicUsize; 2],
    /// On which side frames come now. It changes when the other one is empty, at a look.
    side: AtomicUsize,
    looked_at: Mutex<Option<Instant>>,
    /// A frame that takes less than this is no matter.
    interval_min: Duration,
    /// Looks that are further apart were late.
    interval_max: Duration,
}

/// One frame, while it is being handled.
pub(super) struct Handling<'a>(&'a AtomicUsize);

impl Drop for Handling<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Release);
    }
}

impl Hearing {
    /// For sessions of this length.
    pub fn of(session_timeout: Duration) -> Hearing {
        Hearing {
            inside: Default::default(),
            side: AtomicUsize::new(0),
            looked_at: Mutex::default(),
            interval_min: session_timeout / 15,
            interval_max: session_timeout / 3,
        }
    }

    /// A thread has brought a frame, and brings no other one before this is over.
    pub fn begin(&self) -> Handling<'_> {
        let inside = &self.inside[self.side.load(Ordering::Relaxed)];
        inside.fetch_add(1, Ordering::Relaxed);
        Handling(inside)
    }

    /// For how long since the last look this node could not hear somebody: all of it, if a frame is still being handled that was there
    /// when the sides changed, at least `interval_min` ago. Looks that come sooner are none.
    pub fn look(&self, now: Instant) -> Duration {
        let mut looked_at = self.looked_at.lock();
        let passed = looked_at.map_or(Duration::ZERO, |before| now.since(before));
        if looked_at.is_some() && passed < self.interval_min {
            return Duration::ZERO;
        }
        *looked_at = Some(now);
        let side = self.side.load(Ordering::Relaxed);
        if self.inside[1 - side].load(Ordering::Acquire) > 0 {
            return passed;
        }
        self.side.store(1 - side, Ordering::Relaxed);
        passed.saturating_sub(self.interval_max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Duration = Duration::from_millis(100);

    fn hearing() -> Hearing {
        Hearing::of(15 * STEP)
    }

    fn at(step: u32) -> Instant {
        Instant(1) + STEP * step
    }

    #[test]
    fn frames_that_are_handled_in_time_cost_no_hearing() {
        let hearing = hearing();
        for step in 0..10 {
            let _frame = hearing.begin();
            assert_eq!(hearing.look(at(step)), Duration::ZERO);
        }
    }

    #[test]
    fn a_frame_that_takes_long_is_time_in_which_nobody_was_heard() {
        let hearing = hearing();
        hearing.look(at(0));
        let slow = hearing.begin();
        assert_eq!(hearing.look(at(1)), Duration::ZERO, "it may just have come");
        for step in 2..20 {
            drop(hearing.begin()); // others go on
            assert_eq!(hearing.look(at(step)), STEP, "step {step}");
        }
        drop(slow);
        assert_eq!(hearing.look(at(20)), Duration::ZERO);
        assert_eq!(hearing.look(at(21)), Duration::ZERO);
    }

    #[test]
    fn looks_that_follow_each_other_closely_do_not_make_a_frame_slow() {
        let hearing = hearing();
        hearing.look(at(0));
        let mut deaf = Duration::ZERO;
        for tenth in 1..100 {
            let now = at(0) + STEP * tenth / 10;
            let frame = hearing.begin();
            deaf += hearing.look(now) + hearing.look(now + STEP / 30);
            drop(frame);
            deaf += hearing.look(now + STEP / 20);
        }
        assert_eq!(deaf, Duration::ZERO, "each took a twentieth of a step");
    }

    #[test]
    fn a_look_that_comes_late_by_much_says_so() {
        let hearing = hearing();
        hearing.look(at(0));
        assert_eq!(hearing.look(at(5)), Duration::ZERO);
        assert_eq!(hearing.look(at(17)), STEP * 7);
    }
}
