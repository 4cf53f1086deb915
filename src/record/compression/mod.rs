//! The four codecs behind one door: [`Compressor`] writes one of them, [`Inflater`] reads them all.
//!
//! A payload is one stream of what Kafka's own readers expect. Contexts, tables and buffers are kept from batch to batch,
//! which is worth a factor of five to ten on small ones. What a payload may unfold to is bounded, and memory grows with
//! what has really come out, never with what a length claims.

// A build without some of the codecs leaves parts of the buffer and of the errors unused.
#![cfg_attr(
    not(all(feature = "gzip", feature = "snappy", feature = "lz4", feature = "zstd")),
    allow(dead_code, unused_variables)
)]

mod compressor;
#[cfg(feature = "gzip")]
mod gzip;
mod inflater;
#[cfg(feature = "lz4")]
mod lz4;
mod scratch;
#[cfg(feature = "snappy")]
mod snappy;
#[cfg(test)]
mod tests;
#[cfg(feature = "lz4")]
mod xxh32;
#[cfg(feature = "zstd")]
mod zstd;

pub use compressor::Compressor;
pub use inflater::Inflater;

use crate::error::{Error, ErrorCode, Result};
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

/// Whether a codec is built in and takes this level. `None` is the codec's default; -1 is that too for gzip. `None` and
/// `Snappy` have no levels and take any.
///
/// # Errors
/// UNSUPPORTED_COMPRESSION_TYPE for a codec that is not built in, INVALID_CONFIG for a level out of range.
pub fn check_level(codec: Codec, level: Option<i32>) -> Result<()> {
    if !is_built_in(codec) {
        return Err(not_built_in(codec));
    }
    let Some(level) = level else { return Ok(()) };
    let legal = match codec {
        Codec::None | Codec::Snappy => true,
        Codec::Gzip => level == -1 || (1..=9).contains(&level),
        Codec::Lz4 => (1..=17).contains(&level),
        Codec::Zstd => (-131_072..=22).contains(&level),
    };
    if legal {
        return Ok(());
    }
    Err(Error::new(ErrorCode::INVALID_CONFIG, format!("{codec:?} has no compression level {level}")))
}

fn not_built_in(codec: Codec) -> Error {
    Error::new(
        ErrorCode::UNSUPPORTED_COMPRESSION_TYPE,
        format!("{codec:?} is not built in; build with its cargo feature"),
    )
}

/// A payload that is no stream of its codec.
fn corrupt(codec: Codec, why: impl std::fmt::Display) -> Error {
    Error::new(ErrorCode::CORRUPT_MESSAGE, format!("{codec:?} payload does not unfold: {why}"))
}
