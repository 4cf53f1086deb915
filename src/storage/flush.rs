//! Group commit: one fdatasync for all who wait, run by the first of them on its own thread.
//!
//! ```text
//! thread A   write ── lead: take the written end, sync ───────────── done
//! thread B        write ── wait ·································· done      (its write was before A took the end)
//! thread C                     write ── wait ··· lead: sync ······ done      (it was not: C leads the next round)
//! ```
//! A sync covers what was written before it began and nothing else. A failed sync is final: the kernel may have dropped the pages
//! and forgotten the error, so a second sync that says yes proves nothing.

use super::api::SyncCounters;
use crate::error::{Error, Result};
use crate::types::Offset;
use parking_lot::{Condvar, Mutex};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long a waiter looks before it parks. Waking a parked thread costs about as much on an idle machine.
const SPIN: Duration = Duration::from_micros(40);
/// A leader waits at most this part of the last sync for as many records as the last one covered.
const GATHER_PART: u32 = 2;
/// And never longer than this.
const GATHER_MAX: Duration = Duration::from_micros(250);

#[derive(Debug, Default)]
pub(super) struct GroupCommit {
    /// End of what a sync has covered.
    flushed: AtomicU64,
    syncs: AtomicU64,
    sync_nanos: AtomicU64,
    state: Mutex<State>,
    done: Condvar,
}

#[derive(Debug, Default)]
struct State {
    leading: bool,
    failure: Option<Error>,
    /// Records that the last round covered.
    last_covered: u64,
    last_sync: Duration,
    /// How many times the log was cut back.
    cuts: u64,
}

impl GroupCommit {
    pub(super) fn flushed(&self) -> Offset {
        Offset(self.flushed.load(Ordering::Acquire))
    }

    /// The log was opened: everything below `end` is durable.
    pub(super) fn set(&self, end: Offset) {
        self.flushed.store(end.0, Ordering::Release);
    }

    /// The log ends here now, and not behind it any more: `written` says so already. A sync that is under way has taken the old end,
    /// and says nothing about what will lie there; whoever waits for it waits in vain.
    pub(super) fn cut(&self, end: Offset) {
        let mut state = self.state.lock();
        state.cuts += 1;
        self.flushed.fetch_min(end.0, Ordering::AcqRel);
        drop(state);
        self.done.notify_all();
    }

    /// Raises the flushed end after a sync outside of `commit`.
    pub(super) fn raise(&self, end: Offset) {
        self.flushed.fetch_max(end.0, Ordering::AcqRel);
    }

    pub(super) fn counters(&self) -> SyncCounters {
        SyncCounters { syncs: self.syncs.load(Ordering::Relaxed), sync_nanos: self.sync_nanos.load(Ordering::Relaxed) }
    }

    /// Counts a sync that somebody made outside of `commit`.
    pub(super) fn note_sync(&self, took: Duration) {
        self.syncs.fetch_add(1, Ordering::Relaxed);
        self.sync_nanos.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// No more acks: wakes everybody with `failure`. The first failure stays.
    pub(super) fn fail(&self, failure: Error) {
        let mut state = self.state.lock();
        state.failure.get_or_insert(failure);
        drop(state);
        self.done.notify_all();
    }

    /// How many times the log was cut back.
    pub(super) fn cuts(&self) -> u64 {
        self.state.lock().cuts
    }

    /// Returns when everything below `end` is durable, or false when the log was cut below it meanwhile. `sync` takes the written end,
    /// syncs, and returns that end; `written` only tells it.
    pub(super) fn commit(
        &self,
        end: Offset,
        written: impl Fn() -> Offset,
        sync: impl Fn() -> Result<Offset>,
    ) -> Result<bool> {
        while self.flushed() < end {
            let (last_covered, last_sync) = {
                let mut state = self.state.lock();
                if self.flushed() >= end {
                    return Ok(true);
                }
                if let Some(failure) = &state.failure {
                    return Err(failure.clone());
                }
                if written() < end {
                    return Ok(false);
                }
                if state.leading {
                    drop(state);
                    self.wait(end);
                    continue;
                }
                state.leading = true;
                (state.last_covered, state.last_sync)
            };
            self.gather(last_covered, last_sync, &written);
            self.lead(&sync)?;
        }
        Ok(true)
    }

    /// Those whom the last round released are probably on their way again: a few microseconds here save a whole sync for them. A
    /// lone sender's rounds cover one record, and that one is here already.
    fn gather(&self, last_covered: u64, last_sync: Duration, written: impl Fn() -> Offset) {
        let flushed = self.flushed();
        if last_covered <= 1 || written().since(flushed) >= last_covered {
            return;
        }
        let patience = (last_sync / GATHER_PART).min(GATHER_MAX);
        let began = Instant::now();
        while written().since(flushed) < last_covered && began.elapsed() < patience {
            std::thread::yield_now();
        }
    }

    fn lead(&self, sync: &impl Fn() -> Result<Offset>) -> Result<()> {
        let (before, cuts_before) = (self.flushed(), self.state.lock().cuts);
        let began = Instant::now();
        let outcome = sync();
        let took = began.elapsed();
        self.note_sync(took);
        let mut state = self.state.lock();
        state.leading = false;
        state.last_sync = took;
        let outcome = match outcome {
            Ok(_) if state.cuts != cuts_before => Ok(()),
            Ok(covered) => {
                state.last_covered = covered.since(before);
                self.raise(covered);
                Ok(())
            }
            Err(failure) => Err(state.failure.get_or_insert(failure).clone()),
        };
        drop(state);
        self.done.notify_all();
        outcome
    }

    /// Waits until the round that is under way is over.
    fn wait(&self, end: Offset) {
        let began = Instant::now();
        while began.elapsed() < SPIN {
            if self.flushed() >= end {
                return;
            }
            std::thread::yield_now();
        }
        let mut state = self.state.lock();
        while state.leading && self.flushed() < end {
            self.done.wait(&mut state);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorCode;
    use std::sync::atomic::AtomicUsize;
    use std::sync::Barrier;

    #[test]
    fn a_sync_covers_only_what_was_written_before_it_began() {
        let commit = GroupCommit::default();
        let written = AtomicU64::new(5);
        let sync = || {
            let end = written.load(Ordering::SeqCst);
            written.store(9, Ordering::SeqCst); // somebody writes while the disk works
            Ok(Offset(end))
        };
        commit.commit(Offset(5), || Offset(5), sync).expect("syncs");
        assert_eq!(commit.flushed(), Offset(5));
        commit.commit(Offset(9), || Offset(9), sync).expect("syncs again");
        assert_eq!(commit.counters().syncs, 2);
    }

    #[test]
    fn a_sync_that_began_before_a_cut_vouches_for_nothing_behind_it_and_nobody_waits_for_what_was_cut() {
        let commit = GroupCommit::default();
        let written = AtomicU64::new(5);
        let sync = || {
            let end = Offset(written.load(Ordering::SeqCst));
            if end == Offset(5) {
                written.store(3, Ordering::SeqCst); // somebody cuts the log while the disk works
                commit.cut(Offset(3));
            }
            Ok(end)
        };
        let written_end = || Offset(written.load(Ordering::SeqCst));
        assert!(!commit.commit(Offset(5), written_end, sync).expect("syncs"), "there is no such record any more");
        written.store(4, Ordering::SeqCst); // of another leader
        assert!(commit.flushed() <= Offset(3), "nobody has synced what lies there now");
        assert!(commit.commit(Offset(4), written_end, sync).expect("syncs"));
        assert_eq!(commit.flushed(), Offset(4));
    }

    #[test]
    fn a_failed_sync_is_final_for_everybody() {
        let commit = GroupCommit::default();
        let calls = AtomicUsize::new(0);
        let sync = || {
            calls.fetch_add(1, Ordering::SeqCst);
            Err(Error::new(ErrorCode::KAFKA_STORAGE_ERROR, "gone"))
        };
        commit.commit(Offset(1), || Offset(1), sync).expect_err("fails");
        commit.commit(Offset(2), || Offset(2), sync).expect_err("and stays failed");
        assert_eq!(calls.load(Ordering::SeqCst), 1, "a failed sync must never be tried again");
    }

    #[test]
    fn many_threads_share_syncs_and_none_returns_early() {
        let commit = GroupCommit::default();
        let (written, synced) = (AtomicU64::new(0), AtomicU64::new(0));
        let start = Barrier::new(8);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    start.wait();
                    for _ in 0..200 {
                        let end = Offset(written.fetch_add(1, Ordering::SeqCst) + 1);
                        commit
                            .commit(
                                end,
                                || Offset(written.load(Ordering::SeqCst)),
                                || {
                                    let end = written.load(Ordering::SeqCst);
                                    synced.fetch_max(end, Ordering::SeqCst);
                                    Ok(Offset(end))
                                },
                            )
                            .expect("never fails");
                        assert!(synced.load(Ordering::SeqCst) >= end.0);
                    }
                });
            }
        });
        assert!(commit.counters().syncs <= 1600);
        assert_eq!(commit.flushed(), Offset(1600));
    }
}
