//! `buffer.memory`: bytes that all batches of a producer may hold together; who finds none waits his turn.

use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

/// A budget of bytes. Taking and giving back is one atomic each while nobody waits.
#[derive(Debug)]
pub(super) struct BufferMemory {
    free_bytes: AtomicI64,
    total_bytes: u64,
    // Length of `line`, readable without the lock.
    waiting: AtomicUsize,
    line: Mutex<Line>,
    moved: Condvar,
}

#[derive(Debug, Default)]
struct Line {
    next_ticket: u64,
    tickets: VecDeque<u64>,
}

/// A place in the line; whoever holds the first one is served first.
#[derive(Debug)]
pub(super) struct Place<'a> {
    memory: &'a BufferMemory,
    ticket: u64,
}

impl BufferMemory {
    pub fn new(total_bytes: u64) -> BufferMemory {
        BufferMemory {
            free_bytes: AtomicI64::new(i64::try_from(total_bytes).unwrap_or(i64::MAX)),
            total_bytes,
            waiting: AtomicUsize::new(0),
            line: Mutex::default(),
            moved: Condvar::new(),
        }
    }

    pub fn total_bytes(&self) -> u64 {
        self.total_bytes
    }

    pub fn free_bytes(&self) -> u64 {
        u64::try_from(self.free_bytes.load(Ordering::Relaxed)).expect("never below zero")
    }

    /// Takes `bytes` unless they are not there or somebody was here before.
    pub fn try_take(&self, bytes: usize) -> bool {
        self.waiting.load(Ordering::SeqCst) == 0 && self.take_if_free(bytes)
    }

    pub fn give_back(&self, bytes: usize) {
        self.free_bytes.fetch_add(signed(bytes), Ordering::SeqCst);
        if self.waiting.load(Ordering::SeqCst) > 0 {
            drop(self.line.lock());
            self.moved.notify_all();
        }
    }

    /// Queues up behind all who wait already.
    pub fn queue_up(&self) -> Place<'_> {
        let mut line = self.line.lock();
        let ticket = line.next_ticket;
        line.next_ticket += 1;
        line.tickets.push_back(ticket);
        self.waiting.store(line.tickets.len(), Ordering::SeqCst);
        Place { memory: self, ticket }
    }

    fn take_if_free(&self, bytes: usize) -> bool {
        let wanted = signed(bytes);
        self.free_bytes
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |free| (free >= wanted).then_some(free - wanted))
            .is_ok()
    }
}

impl Place<'_> {
    /// Takes `bytes` if it is this place's turn and they are free.
    pub fn try_take(&self, bytes: usize) -> bool {
        let first = self.memory.line.lock().tickets.front() == Some(&self.ticket);
        first && self.memory.take_if_free(bytes)
    }

    /// As [`try_take`](Place::try_take), waiting up to `timeout` for others to give back.
    pub fn take_within(&self, bytes: usize, timeout: Duration) -> bool {
        let mut line = self.memory.line.lock();
        let give_up_at = std::time::Instant::now() + timeout;
        loop {
            if line.tickets.front() == Some(&self.ticket) && self.memory.take_if_free(bytes) {
                return true;
            }
            if self.memory.moved.wait_until(&mut line, give_up_at).timed_out() {
                return false;
            }
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut line = self.memory.line.lock();
        line.tickets.retain(|ticket| *ticket != self.ticket);
        self.memory.waiting.store(line.tickets.len(), Ordering::SeqCst);
        // The next in line may find enough left over.
        self.memory.moved.notify_all();
    }
}

fn signed(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_gone_until_it_is_given_back() {
        let memory = BufferMemory::new(100);
        assert!(memory.try_take(60));
        assert!(!memory.try_take(41));
        memory.give_back(60);
        assert!(memory.try_take(100));
        assert_eq!(memory.free_bytes(), 0);
    }

    #[test]
    fn nobody_overtakes_a_waiter_however_little_he_wants() {
        let memory = BufferMemory::new(100);
        assert!(memory.try_take(90));
        let first = memory.queue_up();
        let second = memory.queue_up();
        assert!(!first.try_take(50));
        assert!(!second.try_take(1), "second before first");
        assert!(!memory.try_take(1), "newcomer before both");
        memory.give_back(90);
        assert!(first.try_take(50));
        drop(first);
        assert!(second.try_take(50));
        drop(second);
        memory.give_back(100);
        assert!(memory.try_take(1));
    }

    #[test]
    fn a_waiter_gets_what_another_thread_gives_back() {
        let memory = BufferMemory::new(10);
        assert!(memory.try_take(10));
        let place = memory.queue_up();
        std::thread::scope(|scope| {
            scope.spawn(|| memory.give_back(10));
            assert!(place.take_within(10, Duration::from_secs(60)));
        });
    }

    #[test]
    fn a_waiter_who_gives_up_leaves_nothing_behind() {
        let memory = BufferMemory::new(10);
        assert!(!memory.queue_up().take_within(11, Duration::ZERO));
        assert!(memory.try_take(10));
    }
}
