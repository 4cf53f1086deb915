//! Where empty batches come from: kept ones, new ones, and the memory that each of them takes.

use super::accumulator::Accumulator;
use super::batch::{Batch, Completion};
use super::queue::PartitionQueue;
use super::shared::Shared;
use crate::error::{Error, ErrorCode, Result};
use crate::record::BatchBuilder;
use std::sync::atomic::{Ordering::Relaxed, Ordering::SeqCst};
use std::sync::Arc;
use std::time::Duration;

impl Shared {
    /// An empty batch for `queue` without leaving its lock, if there is one and the memory for it.
    #[inline]
    pub fn batch_at_hand(
        &self,
        accumulator: &mut Accumulator,
        record_bytes: usize,
        queue: &Arc<PartitionQueue>,
    ) -> Option<Box<Batch>> {
        let reserved_bytes = record_bytes.max(self.config.batch_bytes as usize);
        if accumulator.spare.is_none() || !self.memory.try_take(reserved_bytes) {
            return None;
        }
        let spare = accumulator.spare.take()?;
        Some(self.prepared(spare, reserved_bytes, queue))
    }

    /// An empty batch for `queue`, paid for from `buffer.memory`.
    #[cold]
    #[inline(never)]
    pub fn new_batch(&self, queue: &Arc<PartitionQueue>, record_bytes: usize) -> Result<Box<Batch>> {
        let reserved_bytes = record_bytes.max(self.config.batch_bytes as usize);
        if !self.memory.try_take(reserved_bytes) {
            self.wait_for_memory(reserved_bytes).map_err(|refused| self.refuse(refused, None))?;
        }
        let spare = self.spares.lock().pop();
        let batch = spare.unwrap_or_else(|| {
            let (codec, level) = (self.config.compression, self.config.compression_level);
            Box::new(Batch {
                builder: BatchBuilder::with_capacity(codec, level, reserved_bytes),
                completion: self.new_completion(queue),
                audience: Default::default(),
                reserved_bytes: 0,
                sequence: 0,
                begun_at: None,
                has_company: false,
                is_owed: false,
            })
        });
        Ok(self.prepared(batch, reserved_bytes, queue))
    }

    fn prepared(&self, mut batch: Box<Batch>, reserved_bytes: usize, queue: &Arc<PartitionQueue>) -> Box<Batch> {
        match Arc::get_mut(&mut batch.completion) {
            Some(completion) => completion.reset(queue),
            // A delivery of its last batch is still held by somebody.
            None => batch.completion = self.new_completion(queue),
        }
        // Where another node may lead, the bytes of the last one went with it.
        if !batch.builder.has_buffer() {
            let kept = self.buffers.lock().pop();
            kept.into_iter().for_each(|buffer| batch.builder.give_back(buffer));
        }
        batch.reserved_bytes = reserved_bytes;
        batch.is_owed = true;
        batch
    }

    fn new_completion(&self, queue: &Arc<PartitionQueue>) -> Arc<Completion> {
        let shared = self.me.upgrade().expect("a send holds its producer");
        Arc::new(Completion::new(shared, queue.clone()))
    }

    /// A batch that was paid for and not used.
    pub fn recycle_unused(&self, unused: Option<Box<Batch>>) {
        if let Some(mut batch) = unused {
            self.memory.give_back(batch.reserved_bytes);
            batch.reserved_bytes = 0;
            batch.is_owed = false;
            self.recycle(batch);
        }
    }

    /// Keeps an emptied batch for the next one.
    pub fn recycle(&self, batch: Box<Batch>) {
        let mut spares = self.spares.lock();
        // A spare holds its producer: none may be left when the producer is closed.
        if spares.len() < self.spares_max && !self.is_closed.load(SeqCst) {
            spares.push(batch);
        } else {
            drop(spares);
        }
    }

    /// Keeps the memory of a batch that is acknowledged.
    pub fn keep_buffer(&self, buffer: Vec<u8>) {
        // What one huge record has blown up is not worth keeping.
        if buffer.capacity() > 4 * self.config.batch_bytes as usize {
            return;
        }
        let mut buffers = self.buffers.lock();
        if buffers.len() < self.spares_max {
            buffers.push(buffer);
        }
    }

    pub fn drop_spares(&self) {
        let buffers = std::mem::take(&mut *self.buffers.lock());
        drop(buffers);
        let spares = std::mem::take(&mut *self.spares.lock());
        drop(spares);
    }

    #[cold]
    fn wait_for_memory(&self, bytes: usize) -> Result<()> {
        let total = self.memory.total_bytes();
        if bytes as u64 > total {
            let text = format!("a batch of {bytes} bytes does not fit into buffer.memory={total}");
            return Err(Error::new(ErrorCode::MESSAGE_TOO_LARGE, text));
        }
        self.counters.buffer_waits.fetch_add(1, Relaxed);
        let give_up_at = self.clock.monotonic() + self.config.block_max;
        let place = self.memory.queue_up();
        loop {
            if place.try_take(bytes) {
                return Ok(());
            }
            // With max.block.ms=0 nobody may be made to wait for a disk.
            self.relieve(!self.config.block_max.is_zero());
            let now = self.clock.monotonic();
            // Woken in between, it looks again for batches that became its to carry.
            const LOOK_AGAIN: Duration = Duration::from_millis(20);
            if place.take_within(bytes, give_up_at.since(now).min(LOOK_AGAIN)) {
                return Ok(());
            }
            if self.is_closed.load(SeqCst) {
                return Err(self.closed());
            }
            if self.clock.monotonic() >= give_up_at {
                let waited = self.config.block_max.as_millis();
                let text = format!("buffer.memory={total} is used up and nothing was freed for max.block.ms={waited}");
                return Err(Error::new(ErrorCode::QUEUE_FULL, text));
            }
        }
    }
}

/// The batch, made one of `queue`'s: between its making and its opening the sticky partition may have changed.
pub(super) fn bound(mut batch: Box<Batch>, queue: &Arc<PartitionQueue>) -> Box<Batch> {
    if !Arc::ptr_eq(&batch.completion.queue, queue) {
        Arc::get_mut(&mut batch.completion).expect("nobody else has it before it is open").bind(queue);
    }
    batch
}
