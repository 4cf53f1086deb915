//! A clock that goes only when it is told to, and how fast it goes compared with true time.

use crate::time::{Clock, Instant};
use crate::types::Timestamp;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

/// Two hands, moved together by [`advance`](SimClock::advance); the wall's can also be set, forth or back.
#[derive(Debug)]
pub struct SimClock {
    monotonic_nanos: AtomicU64,
    /// What the wall said when the monotonic hand stood at zero.
    wall_origin_ms: AtomicI64,
}

impl SimClock {
    /// A clock that has run for no time at all; the wall says `realtime`.
    #[must_use]
    pub fn new(realtime: Timestamp) -> SimClock {
        SimClock { monotonic_nanos: AtomicU64::new(0), wall_origin_ms: AtomicI64::new(realtime.0) }
    }

    /// Lets time pass, for both hands.
    pub fn advance(&self, by: Duration) {
        let nanos = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        self.monotonic_nanos.fetch_add(nanos, Ordering::SeqCst);
    }

    /// Lets time pass until the monotonic hand stands at `now`; it never goes back.
    pub fn run_to(&self, now: Instant) {
        self.monotonic_nanos.fetch_max(now.0, Ordering::SeqCst);
    }

    /// Moves the wall's hand alone, as an administrator or a time server does.
    pub fn set_realtime(&self, realtime: Timestamp) {
        self.wall_origin_ms.store(realtime.0 - self.passed_ms(), Ordering::SeqCst);
    }

    fn passed_ms(&self) -> i64 {
        i64::try_from(self.monotonic_nanos.load(Ordering::SeqCst) / 1_000_000).unwrap_or(i64::MAX)
    }
}

impl Default for SimClock {
    /// The wall says 2025-01-01T00:00:00Z.
    fn default() -> Self {
        SimClock::new(Timestamp(1_735_689_600_000))
    }
}

impl Clock for SimClock {
    fn monotonic(&self) -> Instant {
        Instant(self.monotonic_nanos.load(Ordering::SeqCst))
    }

    fn realtime(&self) -> Timestamp {
        Timestamp(self.wall_origin_ms.load(Ordering::SeqCst).saturating_add(self.passed_ms()))
    }
}

/// A millionth part.
const MILLION: i128 = 1_000_000;

/// How a clock goes that drifts: what it shows at each true moment.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    true_origin: Instant,
    shown_origin: Instant,
    drift_ppm: i32,
}

impl Pace {
    /// A clock that shows `shown` now and gains `drift_ppm` microseconds in a true second.
    #[must_use]
    pub fn new(now: Instant, shown: Instant, drift_ppm: i32) -> Pace {
        assert!(drift_ppm.unsigned_abs() < 500_000, "a clock that is off by half");
        Pace { true_origin: now, shown_origin: shown, drift_ppm }
    }

    /// What the clock shows at a true moment.
    #[must_use]
    pub fn shows(&self, truth: Instant) -> Instant {
        let passed = i128::from(truth.0.saturating_sub(self.true_origin.0));
        let shown = passed * (MILLION + i128::from(self.drift_ppm)) / MILLION;
        Instant(self.shown_origin.0.saturating_add(u64::try_from(shown).unwrap_or(u64::MAX)))
    }

    /// The first true moment at which the clock shows `shown` or more.
    #[must_use]
    pub fn when(&self, shown: Instant) -> Instant {
        let to_pass = i128::from(shown.0.saturating_sub(self.shown_origin.0));
        let rate = MILLION + i128::from(self.drift_ppm);
        let truth = (to_pass * MILLION + rate - 1) / rate;
        Instant(self.true_origin.0.saturating_add(u64::try_from(truth).unwrap_or(u64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drifting_clock_shows_a_due_time_at_the_moment_that_it_was_asked_for_and_not_before() {
        for drift_ppm in [-300, -7, 0, 11, 250_000] {
            let pace = Pace::new(Instant(5_000), Instant(1_000_000), drift_ppm);
            for due in [0, 1_000_000, 1_000_001, 1_234_567, 987_654_321_012] {
                let truth = pace.when(Instant(due));
                assert!(pace.shows(truth) >= Instant(due), "{drift_ppm} {due}");
                if truth.0 > 5_000 {
                    assert!(pace.shows(Instant(truth.0 - 1)) < Instant(due), "{drift_ppm} {due}");
                }
            }
        }
    }

    #[test]
    fn a_clock_that_is_told_an_earlier_time_stays_where_it_is() {
        let clock = SimClock::new(Timestamp(1_000));
        clock.run_to(Instant(7_000_000));
        clock.run_to(Instant(3_000_000));
        assert_eq!((clock.monotonic(), clock.realtime()), (Instant(7_000_000), Timestamp(1_007)));
    }

    #[test]
    fn both_hands_advance_together_and_the_wall_can_be_set_alone() {
        let clock = SimClock::new(Timestamp(1_000));
        clock.advance(Duration::from_millis(250));
        assert_eq!((clock.monotonic(), clock.realtime()), (Instant(250_000_000), Timestamp(1_250)));
        clock.set_realtime(Timestamp(40));
        clock.advance(Duration::from_millis(2));
        assert_eq!((clock.monotonic(), clock.realtime()), (Instant(252_000_000), Timestamp(42)));
    }
}
