//! Bytes that the logs of one data directory occupy, against a cap (`dir.max.bytes`).

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts bytes of logs, indexes and temporary files. Appends ask before they write, so the cap is never passed.
#[derive(Debug)]
pub struct SpaceAccount {
    used: AtomicU64,
    bytes_max: u64,
}

/// The cap would be passed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SpaceFull {
    pub asked: u64,
    pub used: u64,
    pub bytes_max: u64,
}

impl SpaceAccount {
    /// Counts, never refuses.
    #[must_use]
    pub fn unlimited() -> SpaceAccount {
        SpaceAccount::with_cap(u64::MAX)
    }

    /// Refuses what would go past `bytes_max`.
    #[must_use]
    pub fn with_cap(bytes_max: u64) -> SpaceAccount {
        SpaceAccount { used: AtomicU64::new(0), bytes_max }
    }

    /// Takes `bytes` if they fit.
    pub fn charge(&self, bytes: u64) -> Result<(), SpaceFull> {
        let before = self.used.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) <= self.bytes_max {
            return Ok(());
        }
        self.used.fetch_sub(bytes, Ordering::Relaxed);
        Err(SpaceFull { asked: bytes, used: before, bytes_max: self.bytes_max })
    }

    /// Takes `bytes` whether they fit or not: for what is on the disk already.
    pub fn charge_unchecked(&self, bytes: u64) {
        self.used.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Gives back what was charged.
    pub fn release(&self, bytes: u64) {
        let before = self.used.fetch_sub(bytes, Ordering::Relaxed);
        debug_assert!(before >= bytes, "released {bytes} of {before}");
    }

    /// Bytes charged now.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// The cap in bytes; `u64::MAX` when there is none.
    #[must_use]
    pub fn bytes_max(&self) -> u64 {
        self.bytes_max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_charge_past_the_cap_is_refused_and_takes_nothing() {
        let account = SpaceAccount::with_cap(100);
        account.charge(60).expect("fits");
        assert_eq!(account.charge(41), Err(SpaceFull { asked: 41, used: 60, bytes_max: 100 }));
        account.charge(40).expect("fits exactly");
        account.release(50);
        assert_eq!(account.used(), 50);
    }
}
