//! Which sessions hold a partition, for whoever changes it.
//!
//! A change costs a read of one map and a load per session that holds the partition; more only where a fetch of it stands that does
//! not know of the change yet.

use super::session::Session;
use crate::wire::TopicIdPartition;
use parking_lot::RwLock;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::Arc;

/// What happened to a partition.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Changed {
    /// Records were appended: a follower hears at once.
    LogEnd,
    /// Told after a while, or with records.
    HighWatermark,
    /// It leads, or does not lead, or leads anew; it was deleted, it failed.
    Leadership,
}

/// A fetch of the partition stands.
const STANDING: u8 = 1;
/// It is going to be looked at.
const DIRTY: u8 = 2;
/// It is going to be told of the high watermark.
const QUIET: u8 = 4;

/// One partition in one session, as far as others may see it without a lock. Written under the session's lock.
///
/// A fetch is made to stand before the log is looked at for it, and is clean again before it is looked at once more. Both take the
/// partition's lock in between, as an append does. So whoever finds nothing to do here has appended before that look.
#[derive(Debug, Default)]
pub(super) struct Watch(AtomicU8);

impl Watch {
    fn is_news(&self, what: Changed) -> bool {
        let state = self.0.load(Ordering::SeqCst);
        let known = if what == Changed::HighWatermark { DIRTY | QUIET } else { DIRTY };
        state & STANDING != 0 && state & known == 0
    }

    pub fn is_standing(&self) -> bool {
        self.0.load(Ordering::SeqCst) & STANDING != 0
    }

    pub fn is_dirty(&self) -> bool {
        self.0.load(Ordering::SeqCst) & DIRTY != 0
    }

    /// A fetch arrives.
    pub fn stand(&self) {
        self.0.fetch_or(STANDING, Ordering::SeqCst);
    }

    /// It is answered.
    pub fn rest(&self) {
        self.0.store(0, Ordering::SeqCst);
    }

    pub fn set_dirty(&self, dirty: bool) {
        self.set(DIRTY, dirty);
    }

    pub fn set_quiet(&self, quiet: bool) {
        self.set(QUIET, quiet);
    }

    fn set(&self, bit: u8, on: bool) {
        if on {
            self.0.fetch_or(bit, Ordering::SeqCst);
        } else {
            self.0.fetch_and(!bit, Ordering::SeqCst);
        }
    }
}

type Holder = (Arc<Session>, Arc<Watch>);

#[derive(Default)]
pub(super) struct Watches(RwLock<BTreeMap<TopicIdPartition, Vec<Holder>>>);

impl Watches {
    /// The sessions that have to hear of it.
    pub fn concerned(&self, id: TopicIdPartition, what: Changed) -> Vec<Arc<Session>> {
        let watches = self.0.read();
        let holders = watches.get(&id).map_or(&[][..], Vec::as_slice);
        holders.iter().filter(|(_, watch)| watch.is_news(what)).map(|(session, _)| Arc::clone(session)).collect()
    }

    pub fn add(&self, session: &Arc<Session>, added: Vec<(TopicIdPartition, Arc<Watch>)>) {
        if added.is_empty() {
            return;
        }
        let mut watches = self.0.write();
        for (id, watch) in added {
            watches.entry(id).or_default().push((Arc::clone(session), watch));
        }
    }

    pub fn remove(&self, session: &Arc<Session>, removed: &[TopicIdPartition]) {
        if removed.is_empty() {
            return;
        }
        let mut watches = self.0.write();
        for id in removed {
            if let Some(holders) = watches.get_mut(id) {
                holders.retain(|(holder, _)| !Arc::ptr_eq(holder, session));
                if holders.is_empty() {
                    watches.remove(id);
                }
            }
        }
    }

    /// Partitions that some session holds.
    #[cfg(test)]
    pub fn count(&self) -> usize {
        self.0.read().len()
    }
}
