//! `fetch.pinned.max.bytes`: how much the records that were handed out may keep in memory or mapped.

use super::Waker;
use crate::error::{Error, ErrorCode};
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

    /// Whether more may be handed out beside `more` bytes that are about to be. An empty account always has room for one
    /// batch, however large.
    pub fn has_room(&self, more: u64) -> bool {
        let held = self.held() + more;
        held == 0 || held < self.max
    }

    pub fn held(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// What to say when there is no room.
    pub fn full(&self) -> Error {
        let (held, max) = (self.held(), self.max);
        let message =
            format!("earlier records still hold {held} bytes, and fetch.pinned.max.bytes is {max}: drop some");
        Error::new(ErrorCode::QUEUE_FULL, message)
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
        assert!(account.has_room(59) && !account.has_room(60));
        drop(small);
        let seen = waker.ticket();
        let large = account.take(250);
        assert!(!account.has_room(0));
        assert!(!waker.wait(seen, Duration::ZERO));
        drop(large);
        assert!(waker.wait(seen, Duration::ZERO));
        assert_eq!(account.held(), 0);
    }
}
