//! Buffers for bytes that are read from a file, used again when their reader has let go of them.
//!
//! A large buffer that is fresh from the system costs a page fault for every 4 KiB, which is more than reading them does.

use bytes::Bytes;
use parking_lot::Mutex;
use std::io;
use std::sync::Arc;

/// Smaller buffers are no trouble to the allocator.
const BYTES_MIN: usize = 64 * 1024;
/// What is kept while nobody reads.
const KEPT_BYTES_MAX: usize = 8 << 20;

/// Buffers waiting to be used again; shared by all logs of an engine.
#[derive(Debug, Default)]
pub(super) struct ReadBuffers {
    kept: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl ReadBuffers {
    /// `len` bytes, as `fill` leaves them.
    pub(super) fn filled(&self, len: usize, fill: impl FnOnce(&mut [u8]) -> io::Result<()>) -> io::Result<Bytes> {
        if len < BYTES_MIN {
            let mut buffer = vec![0; len];
            fill(&mut buffer)?;
            return Ok(Bytes::from(buffer));
        }
        let mut lent = Lent { buffer: self.take(len), len, home: Arc::clone(&self.kept) };
        fill(&mut lent.buffer[..len])?;
        Ok(Bytes::from_owner(lent))
    }

    /// The smallest one that is large enough, or a new one.
    fn take(&self, len: usize) -> Vec<u8> {
        let mut kept = self.kept.lock();
        let fitting = kept.iter().enumerate().filter(|(_, buffer)| buffer.len() >= len);
        match fitting.min_by_key(|(_, buffer)| buffer.len()).map(|(index, _)| index) {
            Some(index) => kept.swap_remove(index),
            None => {
                drop(kept);
                vec![0; len]
            }
        }
    }
}

/// A buffer on its way; comes home when the last reader drops it.
struct Lent {
    buffer: Vec<u8>,
    len: usize,
    home: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.buffer[..self.len]
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let buffer = std::mem::take(&mut self.buffer);
        let mut kept = self.home.lock();
        let held: usize = kept.iter().map(Vec::len).sum();
        if held + buffer.len() <= KEPT_BYTES_MAX {
            kept.push(buffer);
        } else {
            drop(kept);
            drop(buffer); // a system call: not under the lock
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(buffers: &ReadBuffers, len: usize, with: u8) -> Bytes {
        let outcome = buffers.filled(len, |into| {
            into.fill(with);
            Ok(())
        });
        outcome.expect("fills")
    }

    #[test]
    fn a_buffer_is_used_again_only_when_nobody_holds_any_of_it() {
        let buffers = ReadBuffers::default();
        let first = filled(&buffers, 100_000, 1);
        let place = first.as_ptr();
        let piece = first.slice(10..20);
        drop(first);
        assert_ne!(filled(&buffers, 100_000, 2).as_ptr(), place, "a piece of it is held");
        assert_eq!(piece[..], [1; 10]);
        drop(piece);
        let again = [filled(&buffers, 90_000, 3), filled(&buffers, 90_000, 3)];
        assert!(again.iter().any(|bytes| bytes.as_ptr() == place), "now it is free, and large enough");
        assert!(again.iter().all(|bytes| bytes.len() == 90_000 && bytes.iter().all(|byte| *byte == 3)));
    }

    #[test]
    fn no_more_is_kept_than_the_limit_and_a_failed_read_loses_no_buffer() {
        let buffers = ReadBuffers::default();
        let many: Vec<Bytes> = (0..12).map(|n| filled(&buffers, 1 << 20, n)).collect();
        drop(many);
        assert_eq!(buffers.kept.lock().len(), KEPT_BYTES_MAX >> 20);
        buffers.filled(1 << 20, |_| Err(io::ErrorKind::UnexpectedEof.into())).expect_err("fails");
        assert_eq!(buffers.kept.lock().len(), KEPT_BYTES_MAX >> 20);
    }
}
