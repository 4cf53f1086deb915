//! One codec's writer.

use crate::error::Result;
use crate::types::Codec;
use std::fmt;

/// Writes one codec, its tables kept from batch to batch.
pub struct Compressor {
    codec: Codec,
    inner: Inner,
}

enum Inner {
    Plain,
    #[cfg(feature = "gzip")]
    Gzip(super::gzip::Encoder),
    #[cfg(feature = "snappy")]
    Snappy(Box<super::snappy::Encoder>),
    #[cfg(feature = "lz4")]
    Lz4(super::lz4::Encoder),
    #[cfg(feature = "zstd")]
    Zstd(super::zstd::Encoder),
}

impl Compressor {
    /// A writer of `codec` at `level`, or at the codec's own default: gzip -1, lz4 9, zstd 3. lz4 has one speed here,
    /// whatever the level says.
    ///
    /// # Errors
    /// As [`check_level`](super::check_level); NOMEM when there is no memory for a context.
    pub fn new(codec: Codec, level: Option<i32>) -> Result<Compressor> {
        super::check_level(codec, level)?;
        let inner = match codec {
            #[cfg(feature = "gzip")]
            Codec::Gzip => Inner::Gzip(super::gzip::Encoder::new(level)),
            #[cfg(feature = "snappy")]
            Codec::Snappy => Inner::Snappy(Box::new(super::snappy::Encoder::new())),
            #[cfg(feature = "lz4")]
            Codec::Lz4 => Inner::Lz4(super::lz4::Encoder::new()),
            #[cfg(feature = "zstd")]
            Codec::Zstd => Inner::Zstd(super::zstd::Encoder::new(level)?),
            // `check_level` has turned away what is not built in.
            _ => Inner::Plain,
        };
        Ok(Compressor { codec, inner })
    }

    /// The codec it writes.
    #[must_use]
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// Puts `plain` behind what `out` holds, as one stream.
    ///
    /// # Errors
    /// NOMEM, when the codec finds no memory to work in; `out` then holds rubbish behind what it held.
    pub fn compress(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<()> {
        match &mut self.inner {
            Inner::Plain => out.extend_from_slice(plain),
            #[cfg(feature = "gzip")]
            Inner::Gzip(encoder) => encoder.encode(plain, out)?,
            #[cfg(feature = "snappy")]
            Inner::Snappy(encoder) => encoder.encode(plain, out)?,
            #[cfg(feature = "lz4")]
            Inner::Lz4(encoder) => encoder.encode(plain, out)?,
            #[cfg(feature = "zstd")]
            Inner::Zstd(encoder) => encoder.encode(plain, out)?,
        }
        Ok(())
    }
}

impl fmt::Debug for Compressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compressor").field("codec", &self.codec).finish_non_exhaustive()
    }
}
