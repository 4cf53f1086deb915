//! The hot tail: batches that were just appended, kept in memory for readers who follow the log's end.
//!
//! Nothing is kept until somebody reads near the end; then the appender hands the buffers over that it already has, and stops
//! again when they are no longer asked for.

use crate::types::Offset;
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};

/// Bytes kept for tailing readers of one log, at the most.
const TAIL_BYTES_MAX: usize = 1 << 20;

#[derive(Debug, Default)]
pub(super) struct Tail {
    wanted: AtomicBool,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    batches: VecDeque<KeptBatch>,
    bytes: usize,
    /// Appends since a reader last found something here.
    unread: usize,
}

#[derive(Debug)]
struct KeptBatch {
    base: Offset,
    end: Offset,
    bytes: Bytes,
}

/// A tail nobody has read from for this many appends is given up.
const UNREAD_APPENDS_MAX: usize = 1024;

impl Tail {
    /// Whether the appender should hand its buffers over: one relaxed load on the append path.
    pub(super) fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Relaxed)
    }

    /// A reader came near the end and had to go to the file.
    pub(super) fn ask(&self) {
        self.wanted.store(true, Ordering::Relaxed);
    }

    /// Keeps a batch that is in the file now.
    pub(super) fn push(&self, base: Offset, end: Offset, bytes: Bytes) {
        let mut forgotten = Vec::new();
        let mut kept = self.kept.lock();
        kept.unread += 1;
        if kept.unread > UNREAD_APPENDS_MAX {
            self.wanted.store(false, Ordering::Relaxed);
            *kept = Kept::default();
            return;
        }
        kept.bytes += bytes.len();
        kept.batches.push_back(KeptBatch { base, end, bytes });
        while kept.bytes > TAIL_BYTES_MAX {
            let oldest = kept.batches.pop_front().expect("bytes are held by batches");
            kept.bytes -= oldest.bytes.len();
            forgotten.push(oldest);
        }
        drop(kept);
        drop(forgotten);
    }

    /// The kept batch that holds `from`, if it lies wholly below `bound`.
    pub(super) fn get(&self, from: Offset, bound: Offset) -> Option<Bytes> {
        if !self.is_wanted() {
            return None;
        }
        let mut kept = self.kept.lock();
        let index = kept.batches.partition_point(|batch| batch.end <= from);
        let batch = kept.batches.get(index)?;
        if batch.base > from || batch.end > bound {
            return None;
        }
        let bytes = batch.bytes.clone();
        kept.unread = 0;
        Some(bytes)
    }

    /// Forgets everything: the log was truncated.
    pub(super) fn clear(&self) {
        *self.kept.lock() = Kept::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(tail: &Tail, base: u64, end: u64, bytes: usize) {
        tail.push(Offset(base), Offset(end), Bytes::from(vec![0; bytes]));
    }

    #[test]
    fn a_batch_is_found_by_any_of_its_offsets_but_never_past_the_bound() {
        let tail = Tail::default();
        tail.ask();
        batch(&tail, 10, 20, 5);
        batch(&tail, 20, 21, 6);
        assert_eq!(tail.get(Offset(9), Offset(99)), None);
        assert_eq!(tail.get(Offset(19), Offset(99)).map(|b| b.len()), Some(5));
        assert_eq!(tail.get(Offset(20), Offset(99)).map(|b| b.len()), Some(6));
        assert_eq!(tail.get(Offset(20), Offset(20)), None);
        assert_eq!(tail.get(Offset(21), Offset(99)), None);
    }

    #[test]
    fn the_tail_is_bounded_and_is_given_up_when_nobody_reads_it() {
        let tail = Tail::default();
        tail.ask();
        for n in 0..100 {
            batch(&tail, n, n + 1, TAIL_BYTES_MAX / 4);
        }
        assert_eq!(tail.get(Offset(95), Offset(100)), None);
        assert!(tail.get(Offset(97), Offset(100)).is_some());
        for n in 100..=100 + UNREAD_APPENDS_MAX as u64 {
            batch(&tail, n, n + 1, 1);
        }
        assert!(!tail.is_wanted());
    }
}
