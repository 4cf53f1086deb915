//! What waits for a leader that may be elsewhere, pure: sealed batches before their next attempt, those that are on their way, and the
//! pause after a failure.
//!
//! ```text
//!             sealed                 load                answer
//!   ready ------------> parcels ------------> in flight ---------> done
//!                        ^   ^                    |
//!                        |   +--- try again ------+
//!                        +------- leadership lost ------- unfinished (appended here)
//! ```
//! All of a partition are in the order of the sends, and one load is on its way at a time.

use super::host::{Appended, HostPartition, Seat};
use super::parcel::Parcel;
use crate::error::{Error, Result};
use crate::time::Instant;
use crate::types::LeaderEpoch;
use std::collections::VecDeque;

pub(super) type Parcels = VecDeque<Box<Parcel>>;

/// Batches of one load at the most.
const LOAD_BATCHES_MAX: usize = 64;

/// Who led when something was tried.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Reign {
    pub seat: Seat,
    pub leader_epoch: LeaderEpoch,
}

impl Reign {
    pub fn of(log: &dyn HostPartition) -> Reign {
        Reign { leader_epoch: log.leader_epoch(), seat: log.seat() }
    }
}

/// What came back from elsewhere.
pub(super) struct Landed {
    /// Those that nobody gave up meanwhile.
    pub parcels: Parcels,
    pub answer: Result<Appended>,
    pub tried: Reign,
}

struct Flight {
    number: u64,
    parcels: Parcels,
    tried: Reign,
    // Whoever sends it has not come back from that yet: he will look for the answer, so that answers given at once do not pile up on
    // the stack.
    is_boarding: bool,
    answer: Option<Result<Appended>>,
}

struct Pause {
    until: Instant,
    tried: Reign,
}

#[derive(Default)]
pub(super) struct Outbound {
    parcels: Parcels,
    flight: Option<Flight>,
    flights: u64,
    pause: Option<Pause>,
    // Attempts that failed in a row.
    failures: u32,
    last_error: Option<Error>,
}

impl Outbound {
    /// Nothing waits for an attempt.
    #[inline]
    pub fn is_idle(&self) -> bool {
        self.parcels.is_empty()
    }

    pub fn is_pausing(&self) -> bool {
        self.pause.is_some()
    }

    /// Puts a parcel in its place.
    pub fn insert(&mut self, parcel: Box<Parcel>) {
        let place = self.parcels.partition_point(|known| known.rank() < parcel.rank());
        self.parcels.insert(place, parcel);
    }

    /// What goes with the next attempt: the first parcels, up to `bytes_max` together.
    pub fn poll_load(&mut self, bytes_max: usize) -> Parcels {
        let mut bytes = 0;
        let mut fits = |parcel: &Parcel, index: usize| {
            bytes += parcel.bytes();
            index == 0 || (bytes <= bytes_max && index < LOAD_BATCHES_MAX && !parcel.goes_alone)
        };
        let all = self.parcels.iter().enumerate();
        let mut count = all.take_while(|(index, parcel)| fits(parcel, *index)).count();
        if self.parcels.front().is_some_and(|first| first.goes_alone) {
            count = 1;
        }
        self.parcels.drain(..count).collect()
    }

    /// A load is on its way.
    pub fn launch(&mut self, mut load: Parcels, tried: Reign) -> u64 {
        assert!(self.flight.is_none(), "one load at a time");
        let mut delta = 0;
        for parcel in &mut load {
            parcel.load_delta = delta;
            delta += u64::from(parcel.records());
        }
        self.flights += 1;
        self.flight = Some(Flight { number: self.flights, parcels: load, tried, is_boarding: true, answer: None });
        self.flights
    }

    /// The answer to load `number`; `None` when whoever sent it will see to it.
    pub fn handle_answer(&mut self, number: u64, answer: Result<Appended>) -> Option<Landed> {
        let flight = self.flight.as_mut().filter(|flight| flight.number == number)?;
        flight.answer = Some(answer);
        if flight.is_boarding {
            return None;
        }
        self.land()
    }

    /// Whoever sent the load is back; the answer, if it came already.
    pub fn handle_boarded(&mut self) -> Option<Landed> {
        self.flight.as_mut()?.is_boarding = false;
        self.land()
    }

    fn land(&mut self) -> Option<Landed> {
        let Flight { parcels, tried, answer, .. } = self.flight.take_if(|flight| flight.answer.is_some())?;
        Some(Landed { parcels, tried, answer: answer? })
    }

    /// An attempt failed (or there was nobody to try): nothing goes before `until`, unless there is somebody else to try.
    pub fn handle_failure(&mut self, until: Instant, tried: Reign) {
        self.pause = Some(Pause { until, tried });
    }

    /// The number of this failure, counted from the last success.
    pub fn count_failure(&mut self, error: &Error) -> u32 {
        self.last_error = Some(error.clone());
        self.failures = self.failures.saturating_add(1);
        self.failures
    }

    pub fn handle_success(&mut self) {
        (self.failures, self.last_error, self.pause) = (0, None, None);
    }

    /// Whether it is time for the next attempt; if so the pause is over.
    pub fn poll_go(&mut self, now: Instant, reign: Reign) -> bool {
        let is_new = |pause: &Pause| reign != pause.tried && reign.seat != Seat::Unknown;
        let is_over = self.pause.as_ref().is_none_or(|pause| now >= pause.until || is_new(pause));
        if is_over {
            self.pause = None;
        }
        is_over && !self.parcels.is_empty()
    }

    pub fn pause_until(&self) -> Option<Instant> {
        self.pause.as_ref().map(|pause| pause.until)
    }

    pub fn last_error(&self) -> Option<&Error> {
        self.last_error.as_ref()
    }

    /// A parcel that was not delivered in time; one that is on its way may arrive all the same.
    pub fn poll_expired(&mut self, now: Instant) -> Option<Box<Parcel>> {
        let flying = self.flight.as_mut().and_then(|flight| pop_expired(&mut flight.parcels, now));
        if let Some(mut flying) = flying {
            flying.trail.attempts += 1;
            flying.trail.is_doubtful = true;
            return Some(flying);
        }
        let expired = pop_expired(&mut self.parcels, now);
        if self.parcels.is_empty() {
            self.pause = None;
        }
        expired
    }

    /// Whatever waits for an attempt, oldest first: for a purge.
    pub fn poll_waiting(&mut self) -> Option<Box<Parcel>> {
        let next = self.parcels.pop_front();
        if self.parcels.is_empty() {
            self.pause = None;
        }
        next
    }

    /// Whatever is on its way, oldest first: for a purge. The answer will be for nobody.
    pub fn poll_flying(&mut self) -> Option<Box<Parcel>> {
        self.flight.as_mut()?.parcels.pop_front()
    }

    fn all(&self) -> impl Iterator<Item = &Parcel> {
        let flying = self.flight.iter().flat_map(|flight| &flight.parcels);
        flying.chain(&self.parcels).map(|parcel| &**parcel)
    }

    pub fn records(&self) -> u64 {
        self.all().map(|parcel| u64::from(parcel.records())).sum()
    }

    pub fn count(&self) -> usize {
        self.all().count()
    }

    pub fn sequence_oldest(&self) -> Option<u64> {
        self.all().map(|parcel| parcel.sequence).min()
    }

    pub fn oldest_expiry(&self) -> Option<Instant> {
        self.all().map(Parcel::expires_at).min()
    }
}

fn pop_expired(parcels: &mut Parcels, now: Instant) -> Option<Box<Parcel>> {
    let is_over = parcels.front().is_some_and(|oldest| now >= oldest.expires_at());
    if is_over {
        parcels.pop_front()
    } else {
        None
    }
}
