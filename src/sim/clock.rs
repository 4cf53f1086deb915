//! A clock that goes only when it is told to.

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

#[cfg(test)]
mod tests {
    use super::*;

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
