//! What is due in time.

use super::Member;
use crate::time::Instant;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Leaders look at their followers not more often than this.
const LEADERS_INTERVAL_MIN: Duration = Duration::from_millis(50);

impl Member {
    /// Does what is due; says when to come again.
    pub(in crate::node) fn tick(&self, now: Instant) -> Option<Instant> {
        if self.is_stopped.load(Ordering::Acquire) {
            return None;
        }
        while let Some(line) = self.transport.poll_notice() {
            self.tell(super::super::notices::Level::Warn, line);
        }
        let runner = self.runner().tick(now, self.hearing.look(now));
        let obedience = self.tick_obedience(now);
        self.run_errands();
        let errands = [self.membership.lock().poll_timeout(), self.proposals.lock().poll_timeout()];
        let dues = [
            runner,
            obedience,
            self.client.tick(now),
            self.fetchers.tick(now),
            self.sessions.tick(now),
            self.clients.tick(now),
            Some(self.tick_leaders(now)),
        ];
        dues.into_iter().chain(errands).flatten().min()
    }

    /// Says that this node lives, when that is due, and when to come again; never waits for the disk. A part of [`tick`](Member::tick), which
    /// may wait for it, and so for a thread of its own (Kafka's `BrokerLifecycleManager` has one).
    pub(in crate::node) fn beat(&self, now: Instant) -> Option<Instant> {
        if self.is_stopped.load(Ordering::Acquire) {
            return None;
        }
        self.say_that_we_live(now);
        // What brings the next one forward says it itself, on the thread on which that happens.
        self.membership.lock().poll_timeout()
    }

    /// Members that lag leave their ISRs, proposals that nobody answered are made again.
    fn tick_leaders(&self, now: Instant) -> Instant {
        let has_failed = self.node.upgrade().is_some_and(|node| node.house.has_failed.swap(false, Ordering::AcqRel));
        let due = *self.leaders_due.lock();
        if now < due && !has_failed {
            return due;
        }
        let mut next = now + self.config.replica_lag_time_max / 2;
        *self.leaders_due.lock() = next;
        if let Some(node) = self.node.upgrade() {
            for topic in node.topic_handles() {
                for partition in topic.partitions() {
                    if let Some(due) = partition.handle_leader_timeout(now) {
                        next = next.min(due.max(now + LEADERS_INTERVAL_MIN));
                    }
                }
            }
        }
        let mut due = self.leaders_due.lock();
        // Whoever became leader meanwhile wants to be asked at once.
        *due = (*due).min(next);
        *due
    }
}
