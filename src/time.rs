//! The `Clock` seam: the only way any room learns what time it is.

use crate::types::Timestamp;
use std::ops::Add;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A moment on a monotonic clock, in nanoseconds since an origin that only its clock knows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Instant(pub u64);

impl Instant {
    /// Time passed since `earlier`; zero when `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Instant) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;
    fn add(self, rhs: Duration) -> Instant {
        Instant(self.0.saturating_add(u64::try_from(rhs.as_nanos()).unwrap_or(u64::MAX)))
    }
}

/// Tells the time. Production uses [`SystemClock`], a simulation a clock of its own.
pub trait Clock: Send + Sync + 'static {
    /// Never goes back.
    fn monotonic(&self) -> Instant;
    /// What the wall says; may jump either way.
    fn realtime(&self) -> Timestamp;
    /// As [`realtime`](Clock::realtime), but cheaper: what the wall said a moment ago. Late by no more than one tick of
    /// the kernel (1 to 10 ms, mostly 4), never early.
    fn realtime_coarse(&self) -> Timestamp {
        self.realtime()
    }
}

/// The machine's clocks.
#[derive(Debug)]
pub struct SystemClock {
    origin: std::time::Instant,
    /// Milliseconds since 1970 as of the last tick, where somebody knows how to ask.
    coarse: Option<fn() -> i64>,
}

impl SystemClock {
    #[must_use]
    pub fn new() -> SystemClock {
        SystemClock { origin: std::time::Instant::now(), coarse: None }
    }

    /// With a cheap way to ask for the time of the last tick, in milliseconds since 1970.
    #[must_use]
    pub fn with_coarse(coarse: fn() -> i64) -> SystemClock {
        SystemClock { coarse: Some(coarse), ..SystemClock::new() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        SystemClock::new()
    }
}

impl Clock for SystemClock {
    fn monotonic(&self) -> Instant {
        Instant(u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    fn realtime(&self) -> Timestamp {
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(passed) => Timestamp(i64::try_from(passed.as_millis()).unwrap_or(i64::MAX)),
            // A clock set before 1970 must not stop anybody; Kafka allows no negative record timestamps.
            Err(_) => Timestamp(0),
        }
    }

    fn realtime_coarse(&self) -> Timestamp {
        match self.coarse {
            Some(coarse) => Timestamp(coarse().max(0)),
            None => self.realtime(),
        }
    }
}
