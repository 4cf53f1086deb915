//! The hot tail: batches that were just appended, kept in memory for readers who follow the log's end.
//!
//! Nothing is kept until somebody reads near the end; then the appender hands the buffers over that it already has, and stops
//! again when they are no longer asked for.

use crate::types::Offset;
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

/// Bytes kept for tailing readers of one log, at the most.
const TAIL_BYTES_MAX: usize = 1 << 20;

#[derive(Debug, Default)]
pub(super) struct Tail {
    wanted: AtomicBool,
    /// Replicas read here: what is written together is kept together.
    by_replicas: AtomicBool,
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
    /// Where it lies in `bytes`, if others lie there as well.
    place: Option<Range<usize>>,
}

impl KeptBatch {
    fn len(&self) -> usize {
        self.place.as_ref().map_or(self.bytes.len(), Range::len)
    }

    fn bytes(&self) -> Bytes {
        self.place.clone().map_or_else(|| self.bytes.clone(), |place| self.bytes.slice(place))
    }

    /// Whether it lies behind `before` in the same bytes.
    fn continues(&self, before: &KeptBatch) -> bool {
        let (Some(place), Some(other)) = (&self.place, &before.place) else { return false };
        place.start == other.end
            && self.bytes.as_ptr() == before.bytes.as_ptr()
            && self.bytes.len() == before.bytes.len()
    }
}

/// A tail nobody has read from for this many appends is given up.
const UNREAD_APPENDS_MAX: usize = 1024;

impl Tail {
    /// Whether the appender should hand its buffers over: one relaxed load on the append path.
    pub(super) fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Relaxed)
    }

    /// Whether the appender shall keep its buffers and hand copies over, what it writes together in one piece.
    pub(super) fn is_for_replicas(&self) -> bool {
        self.by_replicas.load(Ordering::Relaxed)
    }

    /// A reader came near the end and had to go to the file.
    pub(super) fn ask(&self) {
        self.wanted.store(true, Ordering::Relaxed);
    }

    /// As [`ask`](Tail::ask), for a replica.
    pub(super) fn ask_for_replica(&self) {
        self.by_replicas.store(true, Ordering::Relaxed);
        self.ask();
    }

    /// Keeps a batch that is in the file now.
    pub(super) fn push(&self, base: Offset, end: Offset, bytes: Bytes) {
        self.keep(KeptBatch { base, end, bytes, place: None });
    }

    /// Keeps a batch that lies at `place` of `bytes`.
    pub(super) fn push_part(&self, base: Offset, end: Offset, bytes: &Bytes, place: Range<usize>) {
        self.keep(KeptBatch { base, end, bytes: bytes.clone(), place: Some(place) });
    }

    fn keep(&self, batch: KeptBatch) {
        let mut forgotten = Vec::new();
        let mut kept = self.kept.lock();
        kept.unread += 1;
        if kept.unread > UNREAD_APPENDS_MAX {
            self.wanted.store(false, Ordering::Relaxed);
            self.by_replicas.store(false, Ordering::Relaxed);
            *kept = Kept::default();
            return;
        }
        kept.bytes += batch.len();
        kept.batches.push_back(batch);
        while kept.bytes > TAIL_BYTES_MAX {
            let oldest = kept.batches.pop_front().expect("bytes are held by batches");
            kept.bytes -= oldest.len();
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
        let bytes = batch.bytes();
        kept.unread = 0;
        Some(bytes)
    }

    /// As [`get`](Tail::get), with the batches that follow it here without a gap, as far as all of them are no more than `bytes_max`.
    /// Those that were written together are not copied.
    pub(super) fn get_run(&self, from: Offset, bound: Offset, bytes_max: usize) -> Option<Bytes> {
        if !self.is_wanted() {
            return None;
        }
        let pieces: Vec<Bytes> = {
            let mut kept = self.kept.lock();
            let index = kept.batches.partition_point(|batch| batch.end <= from);
            let first = kept.batches.get(index)?;
            if first.base > from || first.end > bound {
                return None;
            }
            if kept.batches.len() == index + 1 {
                let alone = first.bytes();
                kept.unread = 0;
                return Some(alone);
            }
            let pieces = pieces_of(kept.batches.range(index..), bound, bytes_max);
            kept.unread = 0;
            pieces
        };
        Some(match <[Bytes; 1]>::try_from(pieces) {
            Ok([alone]) => alone,
            Err(several) => several.concat().into(),
        })
    }

    /// Forgets everything: the log was truncated.
    pub(super) fn clear(&self) {
        *self.kept.lock() = Kept::default();
    }
}

/// The first of `batches`, and those that follow it, cut where memory ends that was written together.
fn pieces_of<'a>(batches: impl Iterator<Item = &'a KeptBatch>, bound: Offset, bytes_max: usize) -> Vec<Bytes> {
    let (mut pieces, mut bytes) = (Vec::new(), 0);
    // The last batch that was taken, and where the piece begins that it belongs to.
    let mut last: Option<(&KeptBatch, usize)> = None;
    let piece = |last: &KeptBatch, start: usize| match &last.place {
        Some(place) => last.bytes.slice(start..place.end),
        None => last.bytes.clone(),
    };
    for batch in batches {
        bytes += batch.len();
        let start = batch.place.as_ref().map_or(0, |place| place.start);
        last = match last {
            None => Some((batch, start)),
            Some((before, _)) if batch.base != before.end || batch.end > bound || bytes > bytes_max => break,
            Some((before, begun)) if batch.continues(before) => Some((batch, begun)),
            Some((before, begun)) => {
                pieces.push(piece(before, begun));
                Some((batch, start))
            }
        };
    }
    pieces.extend(last.map(|(last, start)| piece(last, start)));
    pieces
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
    fn a_replica_gets_what_follows_without_a_gap_and_no_more_than_it_asked_for() {
        let tail = Tail::default();
        tail.ask_for_replica();
        let group = Bytes::from_static(b"aabbbcccc");
        for (base, end, place) in [(0, 2, 0..2), (2, 3, 2..5), (3, 9, 5..9)] {
            tail.push_part(Offset(base), Offset(end), &group, place);
        }
        tail.push(Offset(9), Offset(10), Bytes::from_static(b"d"));
        tail.push(Offset(12), Offset(13), Bytes::from_static(b"e"));
        let run = |from, bound, bytes_max| tail.get_run(Offset(from), Offset(bound), bytes_max);
        let all = Offset::MAX.0;
        assert_eq!(run(0, all, 100).as_deref(), Some(&b"aabbbccccd"[..]), "up to the gap");
        assert_eq!(run(2, all, 8).as_deref(), Some(&b"bbbccccd"[..]));
        assert_eq!(run(2, all, 7).as_deref(), Some(&b"bbbcccc"[..]));
        assert_eq!(run(2, all, 1).as_deref(), Some(&b"bbb"[..]), "the first one in any case");
        assert_eq!(run(1, 9, 100).as_deref(), Some(&b"aabbbcccc"[..]), "below the bound");
        assert_eq!(run(1, 8, 100).as_deref(), Some(&b"aabbb"[..]));
        let shared = run(0, 9, 100).map(|run| run.as_ptr());
        assert_eq!(shared, Some(group.as_ptr()), "what was written together is not copied");
        assert_eq!((run(10, all, 9), run(0, 1, 9)), (None, None));
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
