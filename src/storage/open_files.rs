//! A bound on how many sealed segments are mapped at a time (`open.files.max`).
//!
//! A sealed segment never changes, so its mapping can be dropped and made again at will. Readers that still hold bytes of a
//! mapping keep it alive; dropping it here only forgets it.

use super::read_buffers::ReadBuffers;
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

/// Least-recently-used mappings of sealed segments, shared by all logs of an engine.
#[derive(Debug)]
pub struct OpenFiles {
    count_max: usize,
    keys: AtomicU64,
    state: Mutex<State>,
    pub(super) buffers: ReadBuffers,
}

#[derive(Debug, Default)]
struct State {
    clock: u64,
    by_key: BTreeMap<u64, (u64, Bytes)>,
    by_age: BTreeMap<u64, u64>,
}

impl State {
    fn put(&mut self, key: u64, bytes: Bytes) {
        self.clock += 1;
        if let Some((age, _)) = self.by_key.insert(key, (self.clock, bytes)) {
            self.by_age.remove(&age);
        }
        self.by_age.insert(self.clock, key);
    }

    fn take(&mut self, key: u64) -> Option<Bytes> {
        let (age, bytes) = self.by_key.remove(&key)?;
        self.by_age.remove(&age);
        Some(bytes)
    }
}

impl OpenFiles {
    /// Keeps at most `count_max` mappings (at least one).
    #[must_use]
    pub fn new(count_max: usize) -> OpenFiles {
        OpenFiles {
            count_max: count_max.max(1),
            keys: AtomicU64::new(0),
            state: Mutex::default(),
            buffers: ReadBuffers::default(),
        }
    }

    /// A number that no other segment of this engine has.
    pub(super) fn key(&self) -> u64 {
        self.keys.fetch_add(1, Ordering::Relaxed)
    }

    /// The mapping of `key`, made by `open` when it is not at hand.
    pub(super) fn get<E>(&self, key: u64, open: impl FnOnce() -> Result<Bytes, E>) -> Result<Bytes, E> {
        {
            let mut state = self.state.lock();
            if let Some(bytes) = state.take(key) {
                state.put(key, bytes.clone());
                return Ok(bytes);
            }
        }
        // Opened without the lock: a slow disk must not stop the readers of other segments.
        let bytes = open()?;
        let mut state = self.state.lock();
        state.put(key, bytes.clone());
        let mut forgotten = Vec::new();
        while state.by_key.len() > self.count_max {
            let (_, &oldest) = state.by_age.first_key_value().expect("as many ages as keys");
            forgotten.extend(state.take(oldest));
        }
        drop(state);
        drop(forgotten); // unmapping takes a system call: not under the lock
        Ok(bytes)
    }

    /// Forgets the mapping of a segment that goes away.
    pub(super) fn forget(&self, key: u64) {
        let gone = self.state.lock().take(key);
        drop(gone);
    }

    /// How many mappings are held now.
    #[cfg(test)]
    fn count(&self) -> usize {
        self.state.lock().by_key.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mapping_that_was_used_longest_ago_is_forgotten_first() {
        let files = OpenFiles::new(2);
        let opened = std::cell::RefCell::new(Vec::new());
        for key in [1, 2, 1, 3, 1, 2] {
            let got: Result<Bytes, ()> = files.get(key, || {
                opened.borrow_mut().push(key);
                Ok(Bytes::new())
            });
            got.expect("opens");
            assert!(files.count() <= 2);
        }
        assert_eq!(opened.into_inner(), [1, 2, 3, 2], "3 pushed out 2, not 1");
    }
}
