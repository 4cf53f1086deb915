//! Writing to the disk a little earlier than the flush asks for it.
//!
//! A flush by time that finds everything of a busy second still in memory keeps the disk and the file system's journal busy for long, and
//! appends have to wait for it. So whenever so much has been appended, the system is asked to begin writing it; nobody waits for the
//! end. It is a wish: what is durable, only a sync says.
//!
//! Crash here: nothing; the bytes were readable before and are as durable as before.

use super::log::{Appender, Log};
use std::sync::atomic::{AtomicU8, Ordering};

/// So many bytes at once. (Of pieces of 20 and of 100 ms of a busy log the larger ones held appends up less; a slow log has its flush before.)
const PIECE_BYTES: u64 = 16 << 20;

const NOTHING: u8 = 0;
const DUE: u8 = 1;
const CALLED: u8 = 2;

/// Whether somebody has to come and ask for it.
#[derive(Debug, Default)]
pub(super) struct Writeback(AtomicU8);

impl Log {
    /// So much more was appended. Only where flushes come by time.
    pub(super) fn count_for_writeback(&self, appender: &mut Appender, bytes: u64) {
        appender.bytes_since_writeback += bytes;
        if appender.bytes_since_writeback >= PIECE_BYTES {
            appender.bytes_since_writeback = 0;
            if appender.config.flush_interval.is_some() {
                let _ = self.writeback.0.compare_exchange(NOTHING, DUE, Ordering::AcqRel, Ordering::Relaxed);
            }
        }
    }

    /// Whether [`begin_writeback`](Log::begin_writeback) is to be called soon. Says so to one caller.
    pub fn calls_for_writeback(&self) -> bool {
        let state = &self.writeback.0;
        state.load(Ordering::Relaxed) == DUE
            && state.compare_exchange(DUE, CALLED, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Has the system begin to write what is due. May wait until the disk takes it.
    ///
    /// # Durability
    /// None.
    pub fn begin_writeback(&self) {
        if self.writeback.0.swap(NOTHING, Ordering::AcqRel) == NOTHING {
            return;
        }
        let active = self.segments().active().clone();
        // A sealed one was synced.
        if let Ok(file) = active.writer() {
            // What goes wrong the next sync will hear of, and say.
            let _ = file.begin_writeback(active.bytes());
        }
    }
}
