//! Delivery reports in bulk, for hosts that want no object per record: one call a batch, contiguous arrays.

use crate::error::{Error, Result};
use crate::types::{Offset, Rung, Timestamp};
use std::sync::Arc;

/// Hears what became of the records sent with [`send_tagged`](crate::Producer::send_tagged).
///
/// Called once a batch, on the thread that completed it (a sender's, a waiter's, `kafkalog-node` or `kafkalog-flush`), with no lock held.
/// It must be quick and must not send through the same producer: the partition's next batch waits until it returns.
pub trait DeliverySink: Send + Sync {
    /// `report` borrows the producer's buffers: copy what is to be kept.
    fn deliver(&self, report: DeliveryReport<'_>);
}

/// What became of the tagged records of one batch. All three arrays have the same length, in the order of the sends.
#[derive(Clone, Copy, Debug)]
pub struct DeliveryReport<'a> {
    pub topic: &'a Arc<str>,
    pub partition: u32,
    /// One answer for all: where the batch lies, or why it failed.
    pub result: std::result::Result<&'a BatchPlacement, &'a Error>,
    /// What was given to `send_tagged`.
    pub tags: &'a [u64],
    /// The place of each record in the batch: its offset is `base_offset` plus this.
    pub offset_deltas: &'a [u32],
    /// Each record's own timestamp; `BatchPlacement::log_append_time` overrides it.
    pub timestamps: &'a [Timestamp],
}

/// Where a batch lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BatchPlacement {
    /// The offset of its first record; `None` with `acks=0`.
    pub base_offset: Option<Offset>,
    /// Set where the topic says `message.timestamp.type=LogAppendTime`.
    pub log_append_time: Option<Timestamp>,
    /// How far the batch had climbed when it was acknowledged.
    pub rung: Rung,
}

impl DeliveryReport<'_> {
    /// The tag, offset and timestamp of each record, or the error that it shares with the whole batch.
    pub fn records(&self) -> impl Iterator<Item = (u64, Result<(Option<Offset>, Timestamp)>)> + '_ {
        self.tags.iter().zip(self.offset_deltas).zip(self.timestamps).map(|((&tag, &delta), &timestamp)| {
            let placed = self.result.map_err(Error::clone);
            (tag, placed.map(|at| at.place_of(delta, timestamp)))
        })
    }
}

impl BatchPlacement {
    /// What `acks=0` knows.
    pub(super) const BUFFERED: BatchPlacement =
        BatchPlacement { base_offset: None, log_append_time: None, rung: Rung::Buffered };

    /// Offset and timestamp of the record at `offset_delta`.
    #[must_use]
    pub fn place_of(&self, offset_delta: u32, timestamp: Timestamp) -> (Option<Offset>, Timestamp) {
        let offset = self.base_offset.map(|base| base.plus(u64::from(offset_delta)));
        (offset, self.log_append_time.unwrap_or(timestamp))
    }
}
