//! Batches that are too large for their topic: their records go in smaller and smaller batches, so that only those fail which are too
//! large alone. Order and codec are kept.

use super::batch::{Audience, Completion, Outcome};
use super::host::{Appended, HostPartition};
use super::outbound::Parcels;
use super::parcel::Parcel;
use super::queue::PartitionQueue;
use super::retry::{verdict, Verdict};
use super::sender::{placement, Carried};
use super::shared::Shared;
use super::BatchPlacement;
use crate::error::{Error, Result};
use crate::record::{batches, BatchBuilder, Header, Inflater, RecordRef, SealedBatch, SharedBatch, INFLATED_BYTES_MAX};
use crate::types::{LeaderEpoch, Offset, Rung, Timestamp};
use parking_lot::Mutex;
use std::ops::Range;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::Arc;

type Timed<'a> = (RecordRef<'a>, Timestamp);

/// Shows the records of a sealed batch.
fn with_records<T>(sealed: &[u8], look: impl FnOnce(&[Timed<'_>]) -> Result<T>) -> Result<T> {
    let (_, whole) = batches(sealed).next().expect("a sealed batch is one batch")?;
    let mut inflater = Inflater::new(INFLATED_BYTES_MAX);
    let views = whole.records(&mut inflater)?.collect::<Result<Vec<_>>>()?;
    let headers: Vec<Vec<Header<'_>>> = views.iter().map(|view| view.headers().collect()).collect();
    let records: Vec<Timed<'_>> = views
        .iter()
        .zip(&headers)
        .map(|(view, headers)| {
            let record = RecordRef { key: view.key, value: view.value, headers };
            (record, view.timestamp.unwrap_or(Timestamp(0)))
        })
        .collect();
    look(&records)
}

impl Shared {
    fn seal_records(&self, records: &[Timed<'_>]) -> Result<SealedBatch> {
        let mut builder = BatchBuilder::new(self.config.compression, self.config.compression_level);
        for (record, timestamp) in records {
            builder.append(*record, timestamp.0)?;
        }
        builder.seal(None, false)
    }

    /// Appends the records of a batch that is too large on this thread, all of them before it returns.
    #[cold]
    pub fn append_split(&self, log: &dyn HostPartition, sealed: &SealedBatch) -> Result<Carried> {
        self.counters.batches_split.fetch_add(1, Relaxed);
        let mut split = Split { shared: self, log, each: Vec::new(), placed: None, bytes: 0 };
        with_records(sealed.bytes(), |records| {
            let middle = records.len() / 2;
            split.append(records, 0..middle);
            split.append(records, middle..records.len());
            Ok(())
        })?;
        Ok(Carried {
            records: split.each.len() as u32,
            outcome: Outcome::Split(split.each.into()),
            placed: split.placed,
            bytes: split.bytes,
            queue_time_ns: 0,
        })
    }

    /// Halves a parcel that is too large; the halves go like any other parcel. The parcel comes back where that cannot be done.
    #[cold]
    pub fn split_parcel(&self, parcel: Box<Parcel>) -> std::result::Result<Parcels, (Box<Parcel>, Error)> {
        let halves = with_records(parcel.sealed.bytes(), |records| {
            let middle = records.len() / 2;
            let first = self.seal_records(&records[..middle])?.share();
            let second = self.seal_records(&records[middle..])?.share();
            Ok(vec![(0, first), (middle as u32, second)])
        });
        let halves: Vec<(u32, SharedBatch)> = match halves {
            Ok(halves) => halves,
            Err(error) => return Err((parcel, error)),
        };
        if !parcel.is_piece() {
            self.counters.batches_split.fetch_add(1, Relaxed);
        }
        Ok(parcel.into_pieces(halves))
    }
}

struct Split<'a> {
    shared: &'a Shared,
    log: &'a dyn HostPartition,
    each: Vec<Result<BatchPlacement>>,
    placed: Option<(Offset, Rung, LeaderEpoch)>,
    bytes: usize,
}

impl Split<'_> {
    fn append(&mut self, records: &[Timed<'_>], range: Range<usize>) {
        match self.try_append(&records[range.clone()]) {
            Ok(at) => {
                self.placed = Some((at.last_offset.next(), at.rung, at.leader_epoch));
                self.each.extend((0..range.len()).map(|delta| Ok(nth(placement(&at), delta))));
            }
            Err(error) if verdict(&error, range.len() as u32, false) == Verdict::Split => {
                let middle = range.start + range.len() / 2;
                self.append(records, range.start..middle);
                self.append(records, middle..range.end);
            }
            Err(error) => self.each.extend(range.map(|_| Err(error.clone()))),
        }
    }

    fn try_append(&mut self, records: &[Timed<'_>]) -> Result<Appended> {
        let mut sealed = self.shared.seal_records(records)?;
        self.bytes += sealed.bytes().len();
        self.log.append(&mut sealed, self.shared.config.acks)
    }
}

fn nth(first: BatchPlacement, delta: usize) -> BatchPlacement {
    BatchPlacement { base_offset: first.base_offset.map(|offset| offset.plus(delta as u64)), ..first }
}

/// A batch whose records have gone in several parcels: its senders are told when the last of them has come home.
pub(super) struct Mosaic {
    pub completion: Arc<Completion>,
    state: Mutex<MosaicState>,
}

struct MosaicState {
    each: Vec<Option<Result<BatchPlacement>>>,
    missing: usize,
    audience: Audience,
    reserved_bytes: usize,
    end: Option<Offset>,
}

impl Mosaic {
    pub fn new(records: u32, completion: Arc<Completion>, audience: Audience, reserved_bytes: usize) -> Arc<Mosaic> {
        let missing = records as usize;
        let state = MosaicState { each: vec![None; missing], missing, audience, reserved_bytes, end: None };
        Arc::new(Mosaic { completion, state: Mutex::new(state) })
    }

    /// What became of `records` records from number `first` on.
    pub fn put(
        &self,
        shared: &Shared,
        queue: &PartitionQueue,
        first: u32,
        records: u32,
        outcome: &Outcome,
        end: Option<Offset>,
    ) {
        let (each, mut audience, reserved_bytes, end) = {
            let mut state = self.state.lock();
            for delta in 0..records as usize {
                let result = match outcome {
                    Outcome::Placed(at) => Ok(nth(*at, delta)),
                    Outcome::Failed(error) => Err(error.clone()),
                    Outcome::Split(each) => each[delta].clone(),
                };
                let slot = &mut state.each[first as usize + delta];
                let was_missing = slot.replace(result).is_none();
                state.missing -= usize::from(was_missing);
            }
            state.end = state.end.max(end);
            if state.missing > 0 {
                return;
            }
            let each: Vec<_> = state.each.drain(..).map(|one| one.expect("none is missing")).collect();
            (each, std::mem::take(&mut state.audience), std::mem::take(&mut state.reserved_bytes), state.end)
        };
        let outcome = Outcome::Split(each.into());
        shared.tell(queue, &mut audience, &outcome, &self.completion);
        self.completion.finish(outcome, end);
        shared.memory.give_back(reserved_bytes);
    }
}
