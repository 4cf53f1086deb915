//! `fetch.pinned.max.bytes`: how much the records that were handed out may keep in memory or mapped.

use super::Waker;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

/// The account of one consumer or one open partition.
#[derive(Clone, Debug)]
pub(super) struct Pinned {
    bytes: Arc<AtomicU64>,
    max: u64,
    /// Told when bytes are let go.
    waker: Waker,
}

/// Bytes on the account until dropped.
#[derive(Debug)]
pub(super) struct Pin {
    account: Pinned,
    bytes: u64,
}

impl Pinned {
    pub fn new(max: u64, waker: Waker) -> Pinned {
        Pinned { bytes: Arc::new(AtomicU64::new(0)), max, waker }
    }

    /// How much more may be handed out. An empty account always has room for one batch, however large.
    pub fn room(&self) -> u64 {
        self.max.saturating_sub(self.held())
    }

    pub fn held(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub fn max(&self) -> u64 {
        self.max
    }

    pub fn take(&self, bytes: u64) -> Pin {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        Pin { account: self.clone(), bytes }
    }
}

impl Pin {
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        let before = self.account.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        // Nobody waits for room as long as there is some.
        if before >= self.account.max {
            self.account.waker.announce();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_full_account_tells_when_bytes_are_let_go() {
        let waker = Waker::new();
        let account = Pinned::new(100, waker.clone());
        let small = account.take(40);
        assert_eq!(account.room(), 60);
        drop(small);
        let seen = waker.ticket();
        let large = account.take(250);
        assert_eq!(account.room(), 0);
        assert!(!waker.wait(seen, Duration::ZERO));
        drop(large);
        assert!(waker.wait(seen, Duration::ZERO));
        assert_eq!(account.held(), 0);
    }
}
