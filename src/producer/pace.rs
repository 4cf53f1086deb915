//! A sender who is faster than the replicas is held up a little, before so much waits in memory that every acknowledgement is late.
//!
//! What waits for its acknowledgement is a queue, and everybody behind it is late by its length. As TCP Vegas does it, the delay is compared
//! with the shortest one seen lately, which is the way there and back; so a far replica is allowed more than a near one.

use super::queue::PartitionQueue;
use super::shared::Shared;
use crate::time::Instant;
use std::sync::Arc;
use std::time::Duration;

/// A delay that is nobody's fault: a thread's slice on a busy core.
const DELAY_FREE: Duration = Duration::from_millis(4);
/// While no more waits than this, a sender is not too fast: the replicas are slow, and holding it up helps nobody.
const BYTES_FREE: usize = 1 << 20;
/// So many times the shortest delay, beside that.
const DELAYS: u32 = 4;
/// For so long, up to twice, the shortest delay counts.
const WINDOW: Duration = Duration::from_secs(1);
/// A sender is held up no longer than this each time.
const HOLD_MAX: Duration = Duration::from_millis(20);
/// After that was in vain, nobody is held up for so long.
const TRUCE: Duration = Duration::from_millis(20);

/// How late acknowledgements of a partition are that this node leads. Pure.
#[derive(Debug, Default)]
pub(super) struct Pace {
    shortest: Option<Duration>,
    /// Of the window before.
    shortest_before: Option<Duration>,
    window_ends: Instant,
    truce_ends: Instant,
}

impl Pace {
    /// A batch was acknowledged so long after it was appended.
    pub fn handle_acked(&mut self, delay: Duration, now: Instant) {
        if now >= self.window_ends {
            self.shortest_before = self.shortest.take();
            self.window_ends = now + WINDOW;
        }
        self.shortest = Some(self.shortest.map_or(delay, |shortest| shortest.min(delay)));
    }

    /// Holding a sender up was in vain: acknowledgements do not come at all.
    pub fn handle_in_vain(&mut self, now: Instant) {
        self.truce_ends = now + TRUCE;
    }

    /// Whether more may be appended while so much waits, and the oldest batch has done so for so long.
    pub fn allows(&self, waiting_bytes: usize, oldest: Duration, now: Instant) -> bool {
        let shortest = [self.shortest, self.shortest_before].into_iter().flatten().min().unwrap_or_default();
        waiting_bytes <= BYTES_FREE || now < self.truce_ends || oldest <= shortest * DELAYS + DELAY_FREE
    }
}

impl Shared {
    /// Holds up the calling sender while acknowledgements from other nodes are late. Nobody is who may not be made to wait
    /// (`max.block.ms=0`), or has to flush himself.
    #[cold]
    pub fn keep_pace(&self, queue: &Arc<PartitionQueue>) {
        let must_flush = queue.known_log().is_none_or(|log| log.must_flush_before_ack());
        if self.config.block_max.is_zero() || must_flush {
            return;
        }
        let until = self.clock.monotonic() + HOLD_MAX.min(self.config.block_max);
        loop {
            let news = queue.parking.news();
            let now = self.clock.monotonic();
            {
                let mut accumulator = queue.accumulator.lock();
                let Some(oldest) = accumulator.unfinished.oldest().map(|one| now.since(one.held_at)) else { return };
                let waiting_bytes = accumulator.unfinished.bytes();
                if accumulator.is_closed || accumulator.pace.allows(waiting_bytes, oldest, now) {
                    return;
                }
                if now >= until {
                    return accumulator.pace.handle_in_vain(now);
                }
            }
            queue.parking.wait(news, Some(until.since(now)), false);
            if queue.parking.news() == news {
                return queue.accumulator.lock().pace.handle_in_vain(now);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const MUCH: usize = 1 << 30;

    #[test]
    fn a_near_replica_that_is_late_holds_senders_up_and_a_far_one_that_is_in_time_does_not() {
        let mut pace = Pace::default();
        let now = Instant(1);
        assert!(pace.allows(MUCH, MS * 4, now) && !pace.allows(MUCH, MS * 5, now), "nothing is known yet");
        pace.handle_acked(MS * 50, now);
        assert!(pace.allows(MUCH, MS * 204, now) && !pace.allows(MUCH, MS * 205, now));
        pace.handle_acked(MS / 10, now);
        assert!(pace.allows(MUCH, MS * 4, now) && !pace.allows(MUCH, MS * 5, now));
    }

    #[test]
    fn nobody_is_held_up_who_sends_little_however_late_the_replicas_are() {
        let pace = Pace::default();
        assert!(
            pace.allows(BYTES_FREE, MS * 100_000, Instant(1)) && !pace.allows(BYTES_FREE + 1, MS * 100_000, Instant(1))
        );
    }

    #[test]
    fn the_shortest_delay_is_forgotten_after_two_windows() {
        let mut pace = Pace::default();
        let begun = Instant(1);
        pace.handle_acked(Duration::ZERO, begun);
        pace.handle_acked(MS * 50, begun + WINDOW);
        assert!(!pace.allows(MUCH, MS * 100, begun + WINDOW), "the window before counts");
        pace.handle_acked(MS * 50, begun + WINDOW * 2);
        assert!(pace.allows(MUCH, MS * 100, begun + WINDOW * 2));
    }

    #[test]
    fn after_holding_up_in_vain_nobody_is_held_up_for_a_while() {
        let mut pace = Pace::default();
        let now = Instant(1);
        pace.handle_acked(MS, now);
        pace.handle_in_vain(now);
        assert!(pace.allows(MUCH, MS * 1000, now) && !pace.allows(MUCH, MS * 1000, now + TRUCE));
    }
}
