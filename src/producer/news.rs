//! Being told by a partition that others can move: its high watermark has gone up, or somebody else leads it.

use super::queue::PartitionQueue;
use super::shared::Shared;
use crate::node::Notify;
use std::sync::{Arc, Weak};

/// Finishes what has reached its rung, and tries again what another leader may take, on the thread that brings the news. Weak, because
/// it is held by the partition that its queue holds.
pub(super) struct News {
    shared: Weak<Shared>,
    queue: Weak<PartitionQueue>,
}

impl News {
    pub fn of(shared: &Shared, queue: &Arc<PartitionQueue>) -> Arc<News> {
        Arc::new(News { shared: shared.me.clone(), queue: Arc::downgrade(queue) })
    }
}

impl Notify for News {
    fn notify(&self) {
        if let (Some(shared), Some(queue)) = (self.shared.upgrade(), self.queue.upgrade()) {
            shared.finish(&queue);
            shared.resume(&queue);
            queue.parking.announce();
        }
    }
}

impl Shared {
    /// Sees to it that the timer comes in time for what nobody else may come for.
    pub fn look_after(&self, queue: &Arc<PartitionQueue>) {
        let (at, is_new_on_list) = {
            let mut accumulator = queue.accumulator.lock();
            // Callbacks and futures have no thread that would lead a group commit.
            let must_flush = queue.known_log().is_some_and(|log| log.must_flush_before_ack());
            let is_watched = must_flush && accumulator.unfinished.watched_end().is_some();
            let at = if is_watched || accumulator.is_sendable() {
                Some(self.clock.monotonic())
            } else {
                accumulator.poll_timeout()
            };
            (at, at.is_some() && !std::mem::replace(&mut accumulator.is_listed, true))
        };
        if is_new_on_list {
            self.listed.lock().push(queue.clone());
        }
        if let Some(at) = at {
            self.wake_by(at);
        }
    }
}
