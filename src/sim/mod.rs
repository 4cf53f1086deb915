//! A made-up world for tests: a disk that forgets what was not synced, a clock that is told the time, a disk that counts.
//!
//! Everything in it is deterministic: the same seed and the same calls give the same bytes.

mod clock;
mod counting;
mod disk;
#[cfg(test)]
mod log_model;

pub use clock::SimClock;
pub use counting::{Call, CallCounts, CountingDisk};
pub use disk::{FaultKind, FaultyCalls, Repeat, SimDisk, SECTOR_BYTES};
