//! Every codec's reader.

use super::scratch::Scratch;
use crate::error::Result;
use crate::types::Codec;
use std::fmt;

/// Reads every codec that is built in; contexts are made when first needed and kept, the buffer likewise.
pub struct Inflater {
    scratch: Scratch,
    #[cfg(feature = "gzip")]
    gzip: Option<super::gzip::Decoder>,
    #[cfg(feature = "zstd")]
    zstd: Option<super::zstd::Decoder>,
}

impl Inflater {
    /// An inflater that unfolds at most `limit_bytes` from one batch, and so never holds much more memory than that.
    #[must_use]
    pub fn new(limit_bytes: usize) -> Inflater {
        Inflater {
            scratch: Scratch::new(limit_bytes),
            #[cfg(feature = "gzip")]
            gzip: None,
            #[cfg(feature = "zstd")]
            zstd: None,
        }
    }

    /// The limit.
    #[must_use]
    pub fn limit_bytes(&self) -> usize {
        self.scratch.limit_bytes()
    }

    /// The memory that payloads have made it take: the buffer, and zstd's context, the only one that could grow.
    #[cfg(test)]
    pub fn held_bytes(&self) -> usize {
        let context = 0;
        #[cfg(feature = "zstd")]
        let context = self.zstd.as_ref().map_or(context, super::zstd::Decoder::held_bytes);
        self.scratch.held_bytes() + context
    }

    /// Unfolds a payload into the inflater's buffer, where it stays until the next call. With `Codec::None` the payload is
    /// handed back as it is.
    ///
    /// # Errors
    /// UNSUPPORTED_COMPRESSION_TYPE for a codec that is not built in, CORRUPT_MESSAGE for bytes that are not one whole
    /// stream of the codec, INVALID_RECORD past the limit.
    pub fn inflate<'s>(&'s mut self, codec: Codec, payload: &'s [u8]) -> Result<&'s [u8]> {
        if codec == Codec::None {
            return Ok(payload);
        }
        self.scratch.begin();
        self.inflate_stream(codec, payload)?;
        Ok(self.scratch.filled())
    }

    fn inflate_stream(&mut self, codec: Codec, payload: &[u8]) -> Result<()> {
        match codec {
            #[cfg(feature = "gzip")]
            Codec::Gzip => self.gzip.get_or_insert_with(super::gzip::Decoder::new).decode(payload, &mut self.scratch),
            #[cfg(feature = "snappy")]
            Codec::Snappy => super::snappy::decode(payload, &mut self.scratch),
            #[cfg(feature = "lz4")]
            Codec::Lz4 => super::lz4::decode(payload, &mut self.scratch),
            #[cfg(feature = "zstd")]
            Codec::Zstd => {
                let decoder = match &mut self.zstd {
                    Some(decoder) => decoder,
                    slot => slot.insert(super::zstd::Decoder::new()?),
                };
                decoder.decode(payload, &mut self.scratch)
            }
            #[allow(unreachable_patterns)] // reachable in a build without some of the codecs
            other => Err(super::not_built_in(other)),
        }
    }
}

impl fmt::Debug for Inflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inflater").field("limit_bytes", &self.limit_bytes()).finish_non_exhaustive()
    }
}
