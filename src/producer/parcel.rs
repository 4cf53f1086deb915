//! A sealed batch on its way to a leader that may move: it keeps its bytes until its fate is known, so that it can be sent again.
//! Only where another node may lead; a one-node engine has no use for it.

use super::batch::{Audience, Batch, Completion, Outcome};
use super::outbound::Parcels;
use super::queue::PartitionQueue;
use super::shared::Shared;
use super::split::Mosaic;
use super::BatchPlacement;
use crate::error::{Error, ErrorCode};
use crate::record::SharedBatch;
use crate::time::Instant;
use crate::types::Offset;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::Arc;

pub(super) struct Parcel {
    pub sealed: SharedBatch,
    owner: Owner,
    /// The number of its batch.
    pub sequence: u64,
    /// The place of its first record in that batch, which may have been split.
    pub first_record: u32,
    pub trail: Trail,
    /// How many records of the load that it is sent with lie before it.
    pub load_delta: u64,
    /// The load that it was in was refused as a whole: the next attempt shows whose fault it was.
    pub goes_alone: bool,
    reserved_bytes: usize,
}

/// Who has to be told.
pub(super) enum Owner {
    Whole {
        completion: Arc<Completion>,
        audience: Audience,
    },
    /// A part of a batch that was too large.
    Piece(Arc<Mosaic>),
    /// Nobody any more.
    Told,
}

/// What was tried.
#[derive(Clone, Default)]
pub(super) struct Trail {
    pub attempts: u32,
    /// The outcome of an attempt is not known: it may be in the log.
    pub is_doubtful: bool,
    pub error: Option<Error>,
}

impl Trail {
    /// For the end of an error's sentence.
    pub fn whereabouts(&self) -> &'static str {
        if self.is_doubtful {
            "it may be in the log all the same"
        } else {
            "it is not in the log"
        }
    }
}

impl Parcel {
    /// The sealed batch, with all that it owes; `batch` is left empty. Of `buffer.memory` it holds its own bytes only.
    pub fn of(shared: &Shared, sealed: SharedBatch, batch: &mut Batch) -> Box<Parcel> {
        let held = sealed.bytes().len().min(batch.reserved_bytes);
        shared.memory.give_back(std::mem::take(&mut batch.reserved_bytes) - held);
        batch.is_owed = false;
        let owner =
            Owner::Whole { completion: batch.completion.clone(), audience: std::mem::take(&mut batch.audience) };
        Box::new(Parcel::new(sealed, owner, batch.sequence, 0, held))
    }

    fn new(sealed: SharedBatch, owner: Owner, sequence: u64, first_record: u32, reserved_bytes: usize) -> Parcel {
        let trail = Trail::default();
        Parcel { sealed, owner, sequence, first_record, trail, load_delta: 0, goes_alone: false, reserved_bytes }
    }

    /// Takes a parcel apart into `halves`, each sealed and with the place of its first record in this one.
    pub fn into_pieces(mut self, halves: Vec<(u32, SharedBatch)>) -> Parcels {
        let records = self.records();
        let mosaic = match std::mem::replace(&mut self.owner, Owner::Told) {
            Owner::Piece(mosaic) => mosaic,
            Owner::Whole { completion, audience } => {
                Mosaic::new(records, completion, audience, std::mem::take(&mut self.reserved_bytes))
            }
            Owner::Told => return Parcels::new(),
        };
        let piece = |(first, sealed)| {
            let first = self.first_record + first;
            let mut piece = Parcel::new(sealed, Owner::Piece(mosaic.clone()), self.sequence, first, 0);
            piece.trail = self.trail.clone();
            Box::new(piece)
        };
        halves.into_iter().map(piece).collect()
    }

    pub fn is_piece(&self) -> bool {
        matches!(self.owner, Owner::Piece(_))
    }

    pub fn records(&self) -> u32 {
        self.sealed.header().record_count.unsigned_abs()
    }

    pub fn bytes(&self) -> usize {
        self.sealed.bytes().len()
    }

    /// Its place among the others of its partition.
    pub fn rank(&self) -> (u64, u32) {
        (self.sequence, self.first_record)
    }

    pub fn completion(&self) -> Option<&Arc<Completion>> {
        match &self.owner {
            Owner::Whole { completion, .. } => Some(completion),
            Owner::Piece(mosaic) => Some(&mosaic.completion),
            Owner::Told => None,
        }
    }

    /// `delivery.timeout.ms` after its batch was opened.
    pub fn expires_at(&self) -> Instant {
        self.completion().map_or(Instant(u64::MAX), |completion| completion.expires_at())
    }

    /// Whether somebody wants to know who has no thread of his own to wait with.
    pub fn is_watched(&self) -> bool {
        match &self.owner {
            Owner::Whole { completion, audience } => completion.is_watched() || !audience.is_empty(),
            Owner::Piece(_) => true,
            Owner::Told => false,
        }
    }

    /// The end of its story.
    pub fn settle(mut self: Box<Self>, shared: &Shared, queue: &PartitionQueue, outcome: Outcome, end: Option<Offset>) {
        shared.account(&outcome, self.records(), self.bytes());
        self.tell(shared, queue, outcome, end);
        if let Some(buffer) = self.sealed.take_buffer() {
            shared.keep_buffer(buffer);
        }
    }

    /// With `acks=0` a failure is counted and nobody is told.
    pub fn fail_unheard(mut self: Box<Self>, shared: &Shared, queue: &PartitionQueue) {
        shared.counters.records_failed.fetch_add(u64::from(self.records()), Relaxed);
        self.tell(shared, queue, Outcome::Placed(BatchPlacement::BUFFERED), None);
    }

    fn tell(&mut self, shared: &Shared, queue: &PartitionQueue, outcome: Outcome, end: Option<Offset>) {
        match std::mem::replace(&mut self.owner, Owner::Told) {
            Owner::Whole { completion, mut audience } => {
                shared.tell(queue, &mut audience, &outcome, &completion);
                completion.finish(outcome, end);
            }
            Owner::Piece(mosaic) => mosaic.put(shared, queue, self.first_record, self.records(), &outcome, end),
            Owner::Told => return,
        }
        queue.parking.announce();
        shared.memory.give_back(std::mem::take(&mut self.reserved_bytes));
    }
}

impl Drop for Parcel {
    fn drop(&mut self) {
        // Only a panic comes here with somebody left to tell.
        let Some(completion) = self.completion().cloned() else { return };
        let text = "a bug struck while this batch was being sent; it may be in the log";
        let outcome = Outcome::Failed(Error::new(ErrorCode::PANIC, text));
        completion.shared.account(&outcome, self.records(), 0);
        self.tell(&completion.shared, &completion.queue, outcome, None);
    }
}
