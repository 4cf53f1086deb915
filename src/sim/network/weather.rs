//! How bad the network is.

use std::ops::Range;
use std::time::Duration;

/// Chances are in a thousand frames.
#[derive(Clone, PartialEq, Debug)]
pub struct Weather {
    pub loss: u32,
    pub repetition: u32,
    /// Frames that come much later than all others, up to `straggler_delay`.
    pub straggling: u32,
    pub straggler_delay: Duration,
    /// What every frame takes.
    pub delay: Range<Duration>,
    /// Frames of one connection may overtake each other.
    pub reorders: bool,
    /// A frame may arrive after the end of its connection, even after its sender's death, as over a channel.
    pub outlives: bool,
}

impl Weather {
    /// Nothing goes wrong.
    #[must_use]
    pub fn calm() -> Weather {
        Weather {
            loss: 0,
            repetition: 0,
            straggling: 0,
            straggler_delay: Duration::ZERO,
            delay: Duration::from_micros(50)..Duration::from_micros(500),
            reorders: false,
            outlives: false,
        }
    }

    /// As the seed decides: from calm to wild.
    #[must_use]
    pub fn any(rng: &mut fastrand::Rng) -> Weather {
        let mut rate = |rates: &[u32]| rates[rng.usize(..rates.len())];
        let (loss, repetition, straggling) = (rate(&[0, 0, 2, 20, 100]), rate(&[0, 0, 5, 50]), rate(&[0, 0, 1, 10]));
        let delay_max = [1, 1, 5, 40][rng.usize(..4)];
        Weather {
            loss,
            repetition,
            straggling,
            straggler_delay: Duration::from_millis(rng.u64(50..3_000)),
            delay: Duration::from_micros(50)..Duration::from_millis(delay_max),
            reorders: rng.bool(),
            outlives: rng.bool(),
        }
    }
}

/// A time in this range, by lot.
pub(super) fn drawn(range: &Range<Duration>, rng: &mut fastrand::Rng) -> Duration {
    let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    let (start, end) = (nanos(range.start), nanos(range.end));
    Duration::from_nanos(if start < end { rng.u64(start..end) } else { start })
}
