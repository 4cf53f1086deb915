//! The buffer that decoders fill.

use crate::error::{Error, ErrorCode, Result};

/// The first size of the buffer.
const BYTES_MIN: usize = 16 * 1024;

/// A buffer that one huge batch has blown up beyond this is given back before the next.
const BYTES_KEPT: usize = 4 << 20;

/// Bytes that grow as they come: by doubling, and never past a limit.
#[derive(Debug)]
pub(super) struct Scratch {
    /// Zeroed once; what lies behind `filled` is left over from earlier batches.
    bytes: Vec<u8>,
    filled: usize,
    limit_bytes: usize,
}

impl Scratch {
    pub fn new(limit_bytes: usize) -> Scratch {
        Scratch { bytes: Vec::new(), filled: 0, limit_bytes }
    }

    pub fn limit_bytes(&self) -> usize {
        self.limit_bytes
    }

    /// The memory behind it.
    #[cfg(test)]
    pub fn held_bytes(&self) -> usize {
        self.bytes.capacity()
    }

    /// Forgets the last payload.
    pub fn begin(&mut self) {
        self.filled = 0;
        if self.bytes.len() > BYTES_KEPT {
            self.bytes = Vec::new();
        }
    }

    pub fn filled(&self) -> &[u8] {
        &self.bytes[..self.filled]
    }

    /// The free end, never empty: twice as much as before when there was none. A stream of exactly the limit still sees
    /// one free byte, so that it can find its own end.
    pub fn room(&mut self) -> Result<&mut [u8]> {
        if self.filled == self.bytes.len() {
            self.grow_to(self.bytes.len().saturating_mul(2).max(BYTES_MIN))?;
        }
        Ok(&mut self.bytes[self.filled..])
    }

    /// The free end, at least `bytes` long. `bytes` has to be a bound of the codec's format on what these input bytes can
    /// become, not a number that the input claims.
    ///
    /// # Errors
    /// INVALID_RECORD when that is past the limit.
    pub fn room_for(&mut self, bytes: usize) -> Result<&mut [u8]> {
        let wanted = self.filled.saturating_add(bytes);
        if wanted > self.limit_bytes {
            return Err(self.too_large());
        }
        if wanted > self.bytes.len() {
            let doubled = self.bytes.len().saturating_mul(2).max(BYTES_MIN);
            self.grow_to(doubled.max(wanted))?;
        }
        Ok(&mut self.bytes[self.filled..])
    }

    /// Says that the first `bytes` of the room are now filled.
    ///
    /// # Errors
    /// INVALID_RECORD when that is past the limit.
    pub fn advance(&mut self, bytes: usize) -> Result<()> {
        self.filled += bytes;
        debug_assert!(self.filled <= self.bytes.len());
        if self.filled > self.limit_bytes {
            return Err(self.too_large());
        }
        Ok(())
    }

    /// Makes the buffer twice as long, for a decoder that wants all in one piece.
    ///
    /// # Errors
    /// INVALID_RECORD when it is already as long as the limit allows.
    #[cfg(feature = "zstd")]
    pub fn grow(&mut self) -> Result<()> {
        self.grow_to(self.bytes.len().saturating_mul(2).max(BYTES_MIN))
    }

    fn grow_to(&mut self, bytes: usize) -> Result<()> {
        let len = bytes.min(self.limit_bytes.saturating_add(1));
        if len <= self.bytes.len() {
            return Err(self.too_large());
        }
        // Exactly, or `Vec` would double once more behind our back.
        self.bytes.reserve_exact(len - self.bytes.len());
        self.bytes.resize(len, 0);
        Ok(())
    }

    pub fn too_large(&self) -> Error {
        let limit = self.limit_bytes;
        Error::new(ErrorCode::INVALID_RECORD, format!("the records of a batch unfold to more than {limit} bytes"))
    }
}
