//! What an accumulator does beyond its own work where another node may lead: sealed batches are tried, held and tried again. Pure, as the
//! rest of it.

use super::accumulator::{Accumulator, Role};
use super::batch::Batch;
use super::outbound::{Parcels, Reign};
use super::parcel::Parcel;
use super::unfinished::Unfinished;
use crate::time::Instant;

/// A batch whose time is up.
pub(super) enum Expired {
    Unfinished(Unfinished),
    Parcel(Box<Parcel>),
}

/// What comes after an attempt.
pub(super) enum Next {
    /// There is more that is sealed already; the role stays.
    Parcels,
    /// This one; the role stays.
    Batch(Box<Batch>),
    /// The role is given up.
    Nothing,
}

impl Accumulator {
    /// What was in hand is sealed, or has to wait for its turn: it comes before everything newer.
    pub fn handle_packed(&mut self, parcels: Parcels) {
        self.role = Role::Taken { sequence: None, records: 0 };
        parcels.into_iter().for_each(|parcel| self.outbound.insert(parcel));
    }

    /// For him who has the role: what goes with the next attempt. It is in his hands until it is launched, held, settled or taken back.
    pub fn poll_load(&mut self, bytes_max: usize) -> Parcels {
        let load = self.outbound.poll_load(bytes_max);
        let records = load.iter().map(|parcel| parcel.records()).sum();
        self.role = Role::Taken { sequence: load.front().map(|first| first.sequence), records };
        load
    }

    /// The load is on its way, and the role with it.
    pub fn launch(&mut self, load: Parcels, tried: Reign) -> u64 {
        self.role = Role::Taken { sequence: None, records: 0 };
        self.outbound.launch(load, tried)
    }

    /// A parcel will be tried again, before everything newer.
    pub fn take_back(&mut self, parcel: Box<Parcel>) {
        if self.role == Role::Free {
            self.role = Role::Asleep;
        }
        self.outbound.insert(parcel);
    }

    /// An attempt is over, as far as it can be. With `carry_on` the role stays as long as there is something to do.
    pub fn handle_attempted(&mut self, carry_on: bool) -> Next {
        if carry_on && !self.outbound.is_idle() && !self.outbound.is_pausing() {
            self.role = Role::Taken { sequence: None, records: 0 };
            return Next::Parcels;
        }
        self.handle_appended(carry_on).map_or(Next::Nothing, Next::Batch)
    }

    /// Whether everything waits for its next attempt.
    pub fn is_asleep(&self) -> bool {
        self.role == Role::Asleep
    }

    /// Takes the role for the next attempt, if it is time, or if there is another leader to try.
    pub fn poll_again(&mut self, now: Instant, reign: Reign) -> bool {
        let goes = self.role == Role::Asleep && self.outbound.poll_go(now, reign);
        if goes {
            self.role = Role::Taken { sequence: None, records: 0 };
        }
        goes
    }

    /// Parcels were given up: nobody has to try again when there is nothing left.
    pub fn handle_given_up(&mut self) {
        if self.role == Role::Asleep && self.outbound.is_idle() {
            self.role = Role::Free;
        }
    }

    /// Whether something that was appended here under another leadership is not finished.
    pub fn has_unfinished_of_others(&self, reign: Reign) -> bool {
        self.unfinished.are_of_others(reign)
    }

    /// The oldest one that was sent and did not reach its rung in time.
    pub fn poll_expired_sent(&mut self, now: Instant) -> Option<Expired> {
        let unfinished = self.unfinished.oldest().map(|one| one.sequence);
        let is_older = unfinished.is_some_and(|one| self.outbound.sequence_oldest().is_none_or(|other| one < other));
        if is_older {
            self.unfinished.poll_expired(now).map(Expired::Unfinished)
        } else {
            self.outbound.poll_expired(now).map(Expired::Parcel)
        }
    }
}
