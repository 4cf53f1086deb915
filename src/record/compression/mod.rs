//! The four codecs behind one door. A payload is one stream; what it may unfold to is bounded.

use crate::error::Result;
use crate::types::Codec;

/// Whether this build can read and write the codec.
#[must_use]
pub fn is_built_in(codec: Codec) -> bool {
    match codec {
        Codec::None => true,
        Codec::Gzip => cfg!(feature = "gzip"),
        Codec::Snappy => cfg!(feature = "snappy"),
        Codec::Lz4 => cfg!(feature = "lz4"),
        Codec::Zstd => cfg!(feature = "zstd"),
    }
}

/// Whether a codec is built in and takes this level; `None` is always fine.
///
/// # Errors
/// UNSUPPORTED_COMPRESSION_TYPE, INVALID_CONFIG.
pub fn check_level(codec: Codec, level: Option<i32>) -> Result<()> {
    let _ = (codec, level);
    todo!()
}

/// Writes one codec, its tables kept from batch to batch.
#[derive(Debug)]
pub struct Compressor {}

impl Compressor {
    /// # Errors
    /// As [`check_level`].
    pub fn new(codec: Codec, level: Option<i32>) -> Result<Compressor> {
        let _ = (codec, level);
        todo!()
    }
    /// The codec it writes.
    #[must_use]
    pub fn codec(&self) -> Codec {
        todo!()
    }
}

/// Reads every codec, its contexts and its buffer kept from batch to batch.
#[derive(Debug)]
pub struct Inflater {
    limit_bytes: usize,
}

impl Inflater {
    /// An inflater that unfolds at most `limit_bytes` from one batch. Contexts are made when first needed.
    #[must_use]
    pub fn new(limit_bytes: usize) -> Inflater {
        Inflater { limit_bytes }
    }

    /// The limit.
    #[must_use]
    pub fn limit_bytes(&self) -> usize {
        self.limit_bytes
    }

    /// Unfolds a payload; with `Codec::None` it is handed back as it is.
    pub fn inflate<'s>(&'s mut self, codec: Codec, payload: &'s [u8]) -> Result<&'s [u8]> {
        let _ = (codec, payload);
        todo!()
    }
}
