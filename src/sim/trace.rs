//! What happened, one line an event: the last lines to read, and a hash over all of them. Two runs with the same hash were the same.

use crate::time::Instant;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::fmt::{self, Write};
use std::sync::Arc;

/// So many lines are kept.
const LINES_MAX: usize = 600;

// Fowler, Noll and Vo's hash, 64 bits: short, and good enough for telling two runs apart.
const FNV_ORIGIN: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

/// The hash of these bytes, beginning with what another hash ended with.
#[must_use]
pub fn fnv(bytes: &[u8], origin: u64) -> u64 {
    bytes.iter().fold(origin, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(FNV_PRIME))
}

/// The hash of these bytes alone.
#[must_use]
pub fn fingerprint(bytes: &[u8]) -> u64 {
    fnv(bytes, FNV_ORIGIN)
}

/// One trace; clones write into the same.
#[derive(Clone)]
pub struct Trace(Arc<Mutex<Inner>>);

struct Inner {
    lines: VecDeque<String>,
    hash: u64,
    count: u64,
    /// Who looks on: sees every line, and remarks that do not count.
    onlooker: Option<fn(&str)>,
}

impl Trace {
    #[must_use]
    pub fn new(onlooker: Option<fn(&str)>) -> Trace {
        Trace(Arc::new(Mutex::new(Inner { lines: VecDeque::new(), hash: FNV_ORIGIN, count: 0, onlooker })))
    }

    /// An event.
    pub fn note(&self, at: Instant, what: fmt::Arguments<'_>) {
        let mut inner = self.0.lock();
        let mut line = if inner.lines.len() < LINES_MAX { None } else { inner.lines.pop_front() }.unwrap_or_default();
        line.clear();
        write_line(&mut line, at, what);
        inner.hash = fnv(line.as_bytes(), inner.hash);
        inner.count += 1;
        if let Some(tell) = inner.onlooker {
            tell(&line);
        }
        inner.lines.push_back(line);
    }

    /// Something for whoever looks on, no event: whether anybody does must not change the run.
    pub fn remark(&self, at: Instant, what: impl FnOnce() -> String) {
        let onlooker = self.0.lock().onlooker;
        if let Some(tell) = onlooker {
            let mut line = String::new();
            write_line(&mut line, at, format_args!("    {}", what()));
            tell(&line);
        }
    }

    #[must_use]
    pub fn hash(&self) -> u64 {
        self.0.lock().hash
    }

    /// How many events there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.lock().count
    }

    /// The last lines, oldest first.
    #[must_use]
    pub fn tail(&self) -> Vec<String> {
        self.0.lock().lines.iter().cloned().collect()
    }
}

fn write_line(line: &mut String, at: Instant, what: fmt::Arguments<'_>) {
    let micros = at.0 / 1_000;
    write!(line, "{:>4}.{:06} {what}", micros / 1_000_000, micros % 1_000_000).expect("a String takes everything");
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trace").field("count", &self.count()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept_and_the_hash_is_of_all() {
        let (one, other) = (Trace::new(None), Trace::new(None));
        for number in 0..2 * LINES_MAX {
            one.note(Instant(1_500_000_000), format_args!("event {number}"));
            let number = if number == 3 { 4 } else { number };
            other.note(Instant(1_500_000_000), format_args!("event {number}"));
        }
        assert_eq!(one.tail().len(), LINES_MAX);
        assert_eq!(one.tail().last().map(String::as_str), Some("   1.500000 event 1199"));
        assert_eq!(one.tail(), other.tail());
        assert_ne!(one.hash(), other.hash(), "an event that nobody remembers differs");
    }
}
