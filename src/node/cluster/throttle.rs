//! How fast those may be that are far behind (`follower.replication.throttled.rate`).
//!
//! One line of time for all partitions of the node. Whoever is behind takes what he gets, and that lengthens the line by the time
//! that so many bytes are worth; he asks again when the line has come to its end as it was then. So the rate is kept whatever the sizes
//! are, and everybody has his turn in the order in which they came.

use crate::time::Instant;
use parking_lot::Mutex;
use std::time::Duration;

/// Shared by all fetchers of a node.
#[derive(Debug)]
pub(crate) struct Throttle(Mutex<Line>);

#[derive(Debug)]
struct Line {
    /// `None`: as fast as it goes.
    bytes_per_second: Option<u64>,
    end: Instant,
}

impl Throttle {
    pub fn new(bytes_per_second: Option<u64>) -> Throttle {
        Throttle(Mutex::new(Line { bytes_per_second, end: Instant::default() }))
    }

    /// Another rate, for what comes from now on.
    #[cfg(test)]
    pub fn set_rate(&self, bytes_per_second: Option<u64>) {
        *self.0.lock() = Line { bytes_per_second, end: Instant::default() };
    }

    /// Somebody who is behind got `bytes`. Says when he may ask again.
    pub fn charge(&self, bytes: u64, now: Instant) -> Instant {
        let mut line = self.0.lock();
        let Some(rate) = line.bytes_per_second else { return now };
        let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(rate.max(1));
        line.end = line.end.max(now) + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        line.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn whoever_is_behind_pays_in_turn_and_the_rate_is_kept() {
        let throttle = Throttle::new(Some(1_000));
        let now = Instant(SECOND);
        assert_eq!(throttle.charge(500, now), Instant(SECOND * 3 / 2));
        assert_eq!(throttle.charge(2_000, now), Instant(SECOND * 7 / 2), "after whoever came before");
        let later = Instant(SECOND * 60);
        assert_eq!(throttle.charge(1_000, later), Instant(SECOND * 61), "idle time is not saved up");
    }

    #[test]
    fn without_a_rate_nobody_waits() {
        let throttle = Throttle::new(Some(1));
        throttle.charge(u64::MAX, Instant(5));
        throttle.set_rate(None);
        assert_eq!(throttle.charge(u64::MAX, Instant(7)), Instant(7));
    }
}
