//! One partition's batches, pure: who may be filled, who is sendable, who waits for its acknowledgement.
//!
//! No clock of its own, no log, no lock: time comes as an argument, batches go out by `poll_*`. Whoever takes a batch out has the
//! *appender's role* until he gives it back by [`handle_appended`](Accumulator::handle_appended), so that one thread at a
//! time appends and the order is kept.
//!
//! ```text
//!              room?                full, or linger passed          appended           on its rung
//!   record ----------> open batch --------------------------> ready ---------> unfinished ------> done
//!                                                                   (in hand)
//! ```

use super::batch::{Batch, Receipt};
use super::outbound::Outbound;
use super::pace::Pace;
use super::partitioner;
use super::sender::Load;
use super::unfinished::{Unfinished, UnfinishedBatches};
use crate::disk::PIECES_MAX;
use crate::error::Result;
use crate::record::RecordRef;
use crate::time::{Clock, Instant};
use crate::types::Timestamp;
use std::collections::VecDeque;
use std::ops::AddAssign;
use std::time::Duration;

/// Full batches wait for each other up to this many bytes: one large write is cheaper than four small ones.
const TOGETHER_BYTES: usize = 64 * 1024;
/// Only within a linger that is no longer than this: a full batch of a patient producer goes at once.
const TOGETHER_LINGER_MAX: Duration = Duration::from_millis(10);
/// Batches that one write takes at the most.
const TOGETHER_MAX: usize = PIECES_MAX;

/// How much of a hurry somebody is in who asks for a batch to append.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Hurry {
    /// The timer: only what has lingered long enough.
    Due(Instant),
    /// A waiter: what is full, and what has lingered long enough.
    Full(Instant),
    /// A flush, a shortage of memory, the end: everything.
    Everything,
}

/// A partition's queue.
pub(super) struct Accumulator {
    batch_bytes: usize,
    // As many bytes of full batches are worth a write.
    together_bytes: usize,
    // linger.ms is 0: whoever has nobody before him does not wait for company.
    lingers: bool,
    open: Option<Box<Batch>>,
    ready: VecDeque<Box<Batch>>,
    ready_bytes: usize,
    pub role: Role,
    /// In a log of this process.
    pub unfinished: UnfinishedBatches,
    /// Sealed, where another node may lead.
    pub outbound: Outbound,
    pub pace: Pace,
    /// On the producer's list of queues that `kafkalog-node` looks at.
    pub is_listed: bool,
    /// No more records.
    pub is_closed: bool,
    sequence_last: u64,
    // Bytes of the batches closed since the sticky rule came to this partition.
    sticky_bytes: usize,
    /// An emptied batch for the next one, so that a lone sender needs no other lock than this one.
    pub spare: Option<Box<Batch>>,
    /// Whether it may keep one.
    pub keeps_spare: bool,
    /// What went well here.
    pub tally: Tally,
    /// For him who carries several batches at once.
    pub load: Option<Box<Load>>,
}

/// Batches that were acknowledged as soon as they were appended, counted without atomics.
#[derive(Clone, Copy, Default)]
pub(super) struct Tally {
    pub records: u64,
    pub batches: u64,
    pub bytes: u64,
    pub queue_time_ns: u64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, more: Tally) {
        self.records += more.records;
        self.batches += more.batches;
        self.bytes += more.bytes;
        self.queue_time_ns += more.queue_time_ns;
    }
}

/// The appender's role.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Free,
    /// Somebody appends this now, or has sent something elsewhere and waits for the answer.
    Taken {
        sequence: Option<u64>,
        records: u32,
    },
    /// Nobody has it, and nobody may have it but to try again what has failed.
    Asleep,
}

impl Accumulator {
    pub fn new(batch_bytes: usize, linger: Duration) -> Accumulator {
        let batch_bytes = batch_bytes.max(1);
        let lingers = !linger.is_zero();
        let waits = lingers && linger <= TOGETHER_LINGER_MAX;
        Accumulator {
            batch_bytes,
            together_bytes: if waits { TOGETHER_BYTES.min(TOGETHER_MAX * batch_bytes / 2) } else { 1 },
            ready_bytes: 0,
            lingers,
            open: None,
            ready: VecDeque::new(),
            role: Role::Free,
            unfinished: UnfinishedBatches::default(),
            outbound: Outbound::default(),
            pace: Pace::default(),
            is_listed: false,
            is_closed: false,
            sequence_last: 0,
            sticky_bytes: 0,
            spare: None,
            keeps_spare: false,
            tally: Tally::default(),
            load: None,
        }
    }

    /// Whether there is an open batch with room for this record. An open batch without room is full from now on.
    #[inline]
    pub fn has_room_for(&mut self, record: RecordRef<'_>) -> bool {
        match &self.open {
            None => false,
            Some(open) if open.builder.has_room_for(record, self.batch_bytes) => true,
            Some(_) => {
                self.close_open();
                false
            }
        }
    }

    /// Opens `batch`; there must be no open one.
    pub fn open(&mut self, mut batch: Box<Batch>) {
        assert!(self.open.is_none(), "one open batch at a time");
        self.sequence_last += 1;
        batch.sequence = self.sequence_last;
        batch.begun_at = None;
        self.open = Some(batch);
    }

    /// Adds a record to the open batch, which has room for it.
    ///
    /// # Errors
    /// INVALID_RECORD; the batch is as it was.
    #[inline]
    pub fn handle_record(&mut self, record: RecordRef<'_>, timestamp: Timestamp) -> Result<(&mut Batch, Receipt)> {
        let open = self.open.as_mut().expect("has_room_for said yes, or a batch was opened");
        let offset_delta = open.builder.append(record, timestamp.0)?;
        Ok((open, Receipt::new(offset_delta, record, timestamp)))
    }

    /// The timestamp for a record that has none: exact for the first one of a batch, from the coarse clock for those that follow
    /// within its linger, and never before the first.
    #[inline]
    pub fn timestamp(&mut self, clock: &dyn Clock) -> Timestamp {
        let open = self.open.as_mut().expect("has_room_for said yes, or a batch was opened");
        match open.begun_at {
            Some(begun_at) => clock.realtime_coarse().max(begun_at),
            None => *open.begun_at.insert(clock.realtime()),
        }
    }

    /// Takes back an open batch that has no records, because its first one was refused.
    pub fn take_empty(&mut self) -> Option<Box<Batch>> {
        self.open.take_if(|open| open.builder.count() == 0)
    }

    /// Whether the sticky rule should leave this partition; if so the count begins anew.
    #[inline]
    pub fn poll_sticky_switch(&mut self) -> bool {
        let open_bytes = self.open.as_ref().map_or(0, |open| open.builder.bytes());
        // Most records end here.
        if self.sticky_bytes + open_bytes < self.batch_bytes {
            return false;
        }
        let due = partitioner::is_switch_due(self.sticky_bytes + open_bytes, self.batch_bytes, self.open.is_none());
        if due {
            self.sticky_bytes = 0;
        }
        due
    }

    /// After a record was added: the batch to append now, if there is one and the appender's role is free. Without linger
    /// that is the open batch itself; while somebody else appends, the open batch fills.
    #[inline]
    pub fn poll_after_record(&mut self) -> Option<Box<Batch>> {
        let open = self.open.as_ref()?;
        if open.builder.estimated_bytes() >= self.batch_bytes {
            self.close_open();
        }
        self.poll_full()
    }

    /// The batch to append now, if the role is free and there is enough for a write: full ones that are worth it together, or,
    /// without linger, whatever there is.
    #[inline]
    pub fn poll_full(&mut self) -> Option<Box<Batch>> {
        if self.role != Role::Free || (self.lingers && self.ready_bytes < self.together_bytes) {
            return None;
        }
        self.poll_ready()
    }

    /// The batch to append now, if the role is free and somebody is in such a hurry.
    pub fn poll_due(&mut self, hurry: Hurry) -> Option<Box<Batch>> {
        if self.role != Role::Free {
            return None;
        }
        let is_over = |batch: &Batch| match hurry {
            Hurry::Due(now) | Hurry::Full(now) => now >= batch.completion.linger_until(),
            Hurry::Everything => true,
        };
        if self.open.as_deref().is_some_and(is_over) {
            self.close_open();
        }
        let is_due = match hurry {
            Hurry::Due(_) => {
                self.ready_bytes >= self.together_bytes || self.ready.front().is_some_and(|first| is_over(first))
            }
            Hurry::Full(_) | Hurry::Everything => true,
        };
        if is_due || !self.lingers {
            self.poll_ready()
        } else {
            None
        }
    }

    /// For him who has the role: the batches that may go with the one he has, in one write.
    pub fn poll_company(&mut self, into: &mut VecDeque<Box<Batch>>) {
        let Role::Taken { records, .. } = &mut self.role else { return };
        let fits = TOGETHER_MAX.saturating_sub(into.len()).min(self.ready.len());
        for batch in self.ready.drain(..fits) {
            *records += batch.builder.count();
            self.ready_bytes -= batch.builder.estimated_bytes();
            into.push_back(batch);
        }
    }

    /// What was taken out is done with; it may still wait for its rung ([`hold`](Accumulator::hold)). With `carry_on` the role stays and the
    /// next batch comes out, if there is one.
    pub fn handle_appended(&mut self, carry_on: bool) -> Option<Box<Batch>> {
        if !self.outbound.is_idle() {
            self.role = Role::Asleep;
            return None;
        }
        self.role = Role::Free;
        if carry_on {
            self.poll_full()
        } else {
            None
        }
    }

    /// A batch is in the log and waits for its rung.
    pub fn hold(&mut self, unfinished: Unfinished) {
        self.unfinished.push(unfinished);
    }

    fn poll_ready(&mut self) -> Option<Box<Batch>> {
        if self.ready.is_empty() && !self.lingers {
            self.close_open();
        }
        let mut batch = self.pop_ready()?;
        batch.has_company = !self.ready.is_empty();
        self.role = Role::Taken { sequence: Some(batch.sequence), records: batch.builder.count() };
        Some(batch)
    }

    fn pop_ready(&mut self) -> Option<Box<Batch>> {
        let batch = self.ready.pop_front()?;
        self.ready_bytes -= batch.builder.estimated_bytes();
        Some(batch)
    }

    /// The open batch takes no more records.
    pub fn close_open(&mut self) {
        if let Some(open) = self.open.take_if(|open| open.builder.count() > 0) {
            self.sticky_bytes += open.builder.estimated_bytes();
            self.ready_bytes += open.builder.estimated_bytes();
            self.ready.push_back(open);
        }
    }

    /// Batches that expired before anybody appended them, oldest first.
    pub fn poll_expired(&mut self, now: Instant) -> Option<Box<Batch>> {
        if self.ready.front().is_some_and(|batch| now >= batch.completion.expires_at()) {
            return self.pop_ready();
        }
        self.open.take_if(|open| now >= open.completion.expires_at())
    }

    /// Whatever was not taken out, oldest first: for a purge.
    pub fn poll_queued(&mut self) -> Option<Box<Batch>> {
        self.pop_ready().or_else(|| self.open.take())
    }

    /// The number of the last batch.
    pub fn sequence_last(&self) -> u64 {
        self.sequence_last
    }

    /// The number of the oldest batch that is not done; `None` when all are.
    pub fn sequence_oldest(&self) -> Option<u64> {
        let unfinished = self.unfinished.oldest().map(|one| one.sequence);
        let in_hand = if let Role::Taken { sequence, .. } = self.role { sequence } else { None };
        let all = [unfinished, in_hand, self.outbound.sequence_oldest(), self.sequence_queued()];
        all.into_iter().flatten().min()
    }

    /// The number of the oldest batch that nobody has taken out.
    pub fn sequence_queued(&self) -> Option<u64> {
        self.ready.front().or(self.open.as_ref()).map(|one| one.sequence)
    }

    /// Whether a batch that is ready now would be appended by the one who made it so.
    pub fn goes_at_once(&self) -> bool {
        !self.lingers && self.role == Role::Free
    }

    pub fn is_appending(&self) -> bool {
        matches!(self.role, Role::Taken { .. })
    }

    /// Whether something could be appended right now, were there somebody to do it.
    pub fn is_sendable(&self) -> bool {
        self.role == Role::Free && self.is_worth_a_write()
    }

    fn is_worth_a_write(&self) -> bool {
        (self.ready_bytes >= self.together_bytes && !self.ready.is_empty()) || (!self.lingers && self.open.is_some())
    }

    /// When the oldest batch stops waiting for company.
    pub fn linger_until(&self) -> Option<Instant> {
        self.ready.front().or(self.open.as_ref()).map(|oldest| oldest.completion.linger_until())
    }

    /// When something has to be done here if nobody does anything: for the timer.
    pub fn poll_timeout(&self) -> Option<Instant> {
        // While somebody appends, the open batch cannot go; he looks at it when he is back.
        let linger_until = self.linger_until().filter(|_| self.role == Role::Free);
        let again = match self.role {
            Role::Asleep => Some(self.outbound.pause_until().unwrap_or(Instant(0))),
            Role::Free | Role::Taken { .. } => None,
        };
        let expiry = self.unfinished.oldest().map(|one| one.completion.expires_at());
        // Behind those that go elsewhere it may have to wait long.
        let open = self.open.as_ref().filter(|_| self.outbound.count() > 0);
        let queued = self.ready.front().or(open).map(|batch| batch.completion.expires_at());
        [linger_until, again, self.outbound.oldest_expiry(), expiry, queued].into_iter().flatten().min()
    }

    /// Records that are neither acknowledged nor failed.
    pub fn records_pending(&self) -> u64 {
        let queued = self.ready.iter().chain(&self.open).map(|batch| u64::from(batch.builder.count())).sum::<u64>();
        let in_hand = if let Role::Taken { records, .. } = self.role { u64::from(records) } else { 0 };
        queued + self.unfinished.records() + self.outbound.records() + in_hand
    }

    /// Batches that wait to be appended, for the adaptive partitioner.
    pub fn load(&self) -> u32 {
        let in_hand = matches!(self.role, Role::Taken { sequence: Some(_), .. });
        let count = self.ready.len() + usize::from(in_hand) + self.outbound.count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }
}
