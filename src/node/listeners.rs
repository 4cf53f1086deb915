//! Who wants to know when a partition moves. Free when nobody listens: one relaxed load.

use parking_lot::Mutex;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

/// Is told that something may have changed; finds out itself what. Called on whatever thread caused the change, with no
/// lock held: it must be quick, must not block, and must stand being called when nothing changed after all.
pub trait Notify: Send + Sync {
    fn notify(&self);
}

type Entry = (u64, Arc<dyn Notify>);

#[derive(Default)]
pub(super) struct Listeners {
    count: AtomicUsize,
    // Replaced whole, so that it can be walked without the lock.
    list: Mutex<(u64, Arc<[Entry]>)>,
}

impl Listeners {
    /// Whether anybody has to be told. The caller asks while it holds the partition's slot, see `Partition::subscribe`.
    pub(super) fn any(&self) -> bool {
        self.count.load(Ordering::Relaxed) != 0
    }

    pub(super) fn notify(&self) {
        let list = self.list.lock().1.clone();
        for (_, listener) in list.iter() {
            listener.notify();
        }
    }

    pub(super) fn add(self: &Arc<Self>, listener: Arc<dyn Notify>) -> Subscription {
        let mut list = self.list.lock();
        list.0 += 1;
        let key = list.0;
        list.1 = list.1.iter().cloned().chain([(key, listener)]).collect();
        self.count.store(list.1.len(), Ordering::SeqCst);
        Subscription { listeners: Arc::clone(self), key }
    }

    fn remove(&self, key: u64) {
        let mut list = self.list.lock();
        let rest: Arc<[Entry]> = list.1.iter().filter(|(k, _)| *k != key).cloned().collect();
        let before = std::mem::replace(&mut list.1, rest);
        self.count.store(list.1.len(), Ordering::SeqCst);
        drop(list);
        drop(before); // may be the last holder of a listener: its drop runs without our lock
    }
}

impl fmt::Debug for Listeners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listeners").field("count", &self.count).finish_non_exhaustive()
    }
}

/// Ends the notifications when it is dropped. One more may arrive while that happens.
#[must_use = "dropping it unsubscribes"]
#[derive(Debug)]
pub struct Subscription {
    listeners: Arc<Listeners>,
    key: u64,
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.listeners.remove(self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);
    impl Notify for Count {
        fn notify(&self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_listener_is_told_until_its_subscription_is_dropped() {
        let listeners = Arc::new(Listeners::default());
        let (one, two) = (Arc::new(Count::default()), Arc::new(Count::default()));
        assert!(!listeners.any());
        let first = listeners.add(one.clone());
        let second = listeners.add(two.clone());
        listeners.notify();
        drop(first);
        listeners.notify();
        assert!(listeners.any());
        drop(second);
        listeners.notify();
        assert!(!listeners.any());
        assert_eq!((one.0.load(Ordering::Relaxed), two.0.load(Ordering::Relaxed)), (1, 2));
        assert_eq!(Arc::strong_count(&one), 1, "an ended subscription holds nothing");
    }
}
