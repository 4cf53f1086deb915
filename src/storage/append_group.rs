//! Appending several batches of one producer in one write.
//!
//! A system call, a page that is looked up, a lock: each costs as much for 16 KiB as for 64. Every batch is judged, stamped and
//! published as if it came alone; only their bytes go to the file together.

use super::append::Incoming;
use super::log::{Appender, Log};
use crate::disk::PIECES_MAX;
use crate::error::Result;
use crate::record::SealedBatch;
use crate::types::{LeaderEpoch, Offset, Timestamp, TimestampType};
use bytes::Bytes;

impl Log {
    /// Whether [`append_group`](Log::append_group) may be called: the settings let batches go to the file as they are.
    pub fn takes_groups(&self) -> bool {
        let config = self.config();
        config.compression.is_none() && config.timestamp_type == TimestampType::CreateTime
    }

    /// Appends `batches`, none of which may have a producer id, one behind the other as [`append`](Log::append) does, and answers how
    /// many are in the log. It ends before the first one that is refused, and says why; those behind it were not looked at.
    ///
    /// # Durability
    /// As [`append`](Log::append), for those that are in the log.
    pub fn append_group(&self, batches: &mut [SealedBatch], epoch: LeaderEpoch, now: Timestamp) -> (usize, Result<()>) {
        let mut appender = self.appender.lock();
        let mut placed = 0;
        while placed < batches.len() {
            let (stamped, verdict) = self.stamp_group(&mut appender, &mut batches[placed..], epoch, now);
            if let Err(failed) = self.write_group(&mut appender, &mut batches[placed..placed + stamped]) {
                return (placed, Err(failed));
            }
            placed += stamped;
            if verdict.is_err() {
                return (placed, verdict);
            }
        }
        (placed, Ok(()))
    }

    /// Judges and stamps the first of `batches` and those that may be written together with it; answers how many, and why not one more.
    fn stamp_group(
        &self,
        appender: &mut Appender,
        batches: &mut [SealedBatch],
        epoch: LeaderEpoch,
        now: Timestamp,
    ) -> (usize, Result<()>) {
        let (mut bytes, mut end) = (0, Offset::ZERO);
        for (index, batch) in batches.iter_mut().take(PIECES_MAX).enumerate() {
            let incoming = Incoming::of(batch.header());
            let judged = self
                .check_open(appender)
                .and_then(|()| self.check_timestamps(&appender.config, batch, now))
                .and_then(|()| self.check_size(&appender.config, incoming.bytes));
            if judged.is_err() {
                return (index, judged);
            }
            let base = if index > 0 {
                if !has_room(
                    appender,
                    bytes + u64::from(incoming.bytes),
                    end.plus(u64::from(incoming.last_offset_delta)),
                ) {
                    return (index, Ok(()));
                }
                end
            } else {
                // The first one meets the log as it is: it may roll, and it begins the epoch.
                match self.admit_fresh(appender, &incoming, epoch, now) {
                    Ok(base) => base,
                    Err(refused) => return (0, Err(refused)),
                }
            };
            batch.stamp(base, epoch);
            bytes += u64::from(incoming.bytes);
            end = base.plus(u64::from(incoming.last_offset_delta) + 1);
        }
        (batches.len().min(PIECES_MAX), Ok(()))
    }

    fn write_group(&self, appender: &mut Appender, stamped: &mut [SealedBatch]) -> Result<()> {
        if stamped.is_empty() {
            return Ok(());
        }
        if self.tail.is_wanted() && self.tail.is_for_replicas() {
            return self.write_together(appender, stamped);
        }
        let mut pieces: [&[u8]; PIECES_MAX] = [&[]; PIECES_MAX];
        let mut bytes = 0;
        for (piece, batch) in pieces.iter_mut().zip(stamped.iter()) {
            *piece = batch.bytes();
            bytes += piece.len() as u64;
        }
        let pieces = &pieces[..stamped.len()];
        self.write(appender, bytes, |file, at| file.write_pieces_at(at, pieces))?;
        for batch in stamped {
            let (incoming, base) = (Incoming::of(batch.header()), batch.header().base_offset);
            self.place(appender, &incoming, base);
            self.keep_for_tail(batch, base, &incoming);
        }
        Ok(())
    }

    /// Copies the batches into one piece of memory, which the file and every replica get.
    fn write_together(&self, appender: &mut Appender, stamped: &[SealedBatch]) -> Result<()> {
        let mut together = Vec::with_capacity(stamped.iter().map(|batch| batch.bytes().len()).sum());
        stamped.iter().for_each(|batch| together.extend_from_slice(batch.bytes()));
        let together = Bytes::from(together);
        self.write(appender, together.len() as u64, |file, at| file.write_at(at, &together))?;
        let mut at = 0;
        for batch in stamped {
            let (incoming, base) = (Incoming::of(batch.header()), batch.header().base_offset);
            self.place(appender, &incoming, base);
            let end = at + batch.bytes().len();
            self.tail.push_part(base, batch.header().end_offset(), &together, at..end);
            at = end;
        }
        Ok(())
    }
}

/// Whether the active segment can take `bytes` more, up to the record at `last_offset`.
pub(super) fn has_room(appender: &Appender, bytes: u64, last_offset: Offset) -> bool {
    appender.active.bytes() + bytes <= u64::from(appender.config.segment_bytes)
        && appender.active.offset_index.can_append(last_offset)
}
