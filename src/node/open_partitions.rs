//! How many logs are open at a time (`open.partitions.max`). The one that nobody used for longest rests first.
//!
//! "For longest" is told by a clock hand: it walks the open partitions in a circle, wipes the mark of those that were used
//! since it last came by, and takes the first without a mark. Using a partition costs one load that way, not a lock.

use super::partition::Partition;
use super::slot::Rested;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::Weak;

#[derive(Debug)]
pub(super) struct OpenPartitions {
    count_max: usize,
    ring: Mutex<Ring>,
}

#[derive(Debug, Default)]
struct Ring {
    /// Open logs, and those just being opened.
    places_taken: usize,
    hand: VecDeque<Weak<Partition>>,
}

impl OpenPartitions {
    pub(super) fn new(count_max: usize) -> OpenPartitions {
        OpenPartitions { count_max: count_max.max(1), ring: Mutex::default() }
    }

    /// Takes a place for a log that is about to be opened; another one rests for it if need be. When all are in use at this very
    /// moment the bound gives way, rather than the caller; the next one to be opened makes good for that.
    pub(super) fn take_place(&self) {
        let mut attempts = {
            let mut ring = self.ring.lock();
            if ring.places_taken < self.count_max {
                ring.places_taken += 1;
                return;
            }
            ring.hand.len() * 2
        };
        loop {
            let candidate = {
                let mut ring = self.ring.lock();
                if ring.places_taken < self.count_max || attempts == 0 {
                    ring.places_taken += 1;
                    return;
                }
                attempts -= 1;
                ring.hand.pop_front()
            };
            let Some(candidate) = candidate else {
                attempts = 0;
                continue;
            };
            match candidate.upgrade() {
                None => self.give_back_place(),
                Some(partition) => {
                    let is_in_use = partition.touched.swap(false, Ordering::Relaxed);
                    match if is_in_use { Rested::Busy } else { partition.rest_if_idle() } {
                        Rested::Now => {
                            partition.house.counters.rested.fetch_add(1, Ordering::Relaxed);
                            self.give_back_place();
                        }
                        // Whoever closed it could not take it out of the ring: it was in our hands.
                        Rested::WasNotOpen => self.give_back_place(),
                        Rested::Busy => self.ring.lock().hand.push_back(candidate),
                    }
                }
            }
        }
    }

    /// The log is open: the hand will come by.
    pub(super) fn admit(&self, partition: Weak<Partition>) {
        self.ring.lock().hand.push_back(partition);
    }

    pub(super) fn give_back_place(&self) {
        let mut ring = self.ring.lock();
        ring.places_taken = ring.places_taken.saturating_sub(1);
    }

    /// The log of this partition was closed by somebody else.
    pub(super) fn forget(&self, partition: &Weak<Partition>) {
        let mut ring = self.ring.lock();
        let before = ring.hand.len();
        ring.hand.retain(|other| !other.ptr_eq(partition));
        ring.places_taken = ring.places_taken.saturating_sub(before - ring.hand.len());
    }

    pub(super) fn count(&self) -> usize {
        self.ring.lock().places_taken
    }

    pub(super) fn list(&self) -> Vec<Weak<Partition>> {
        self.ring.lock().hand.iter().cloned().collect()
    }
}
