//! Plain zstd frames, whole at once, with kept contexts.
//!
//! Reading goes straight into the buffer and never through zstd's streaming window, so that a frame header that claims a
//! window of gigabytes costs nothing.

use super::scratch::Scratch;
use crate::error::{Error, ErrorCode, Result};
use crate::types::Codec;
use zstd::zstd_safe::{compress_bound, get_error_name, get_frame_content_size, CCtx, CParameter, DCtx};

/// `-ZSTD_error_dstSize_tooSmall`, as zstd returns it.
const TOO_SMALL: usize = 70usize.wrapping_neg();

/// A frame's claim of its own size is believed up to this many times the payload; beyond, the size has to show itself.
const PLAUSIBLE_RATIO: usize = 16;

pub(super) struct Encoder {
    context: CCtx<'static>,
}

impl Encoder {
    /// `level` is legal; `None` is zstd's default, 3.
    pub fn new(level: Option<i32>) -> Result<Encoder> {
        let mut context = CCtx::try_create().ok_or_else(|| no_memory("no context"))?;
        if let Some(level) = level {
            context
                .set_parameter(CParameter::CompressionLevel(level))
                .map_err(|code| no_memory(get_error_name(code)))?;
        }
        Ok(Encoder { context })
    }

    pub fn encode(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let begin = out.len();
        out.resize(begin + compress_bound(plain.len()), 0);
        let length =
            self.context.compress2(&mut out[begin..], plain).map_err(|code| no_memory(get_error_name(code)))?;
        out.truncate(begin + length);
        Ok(())
    }
}

fn no_memory(why: &str) -> Error {
    Error::new(ErrorCode::NOMEM, format!("zstd cannot compress: {why}"))
}

pub(super) struct Decoder {
    context: DCtx<'static>,
}

impl Decoder {
    pub fn new() -> Result<Decoder> {
        let context = DCtx::try_create().ok_or_else(|| Error::new(ErrorCode::NOMEM, "no memory for a zstd context"))?;
        Ok(Decoder { context })
    }

    #[cfg(test)]
    pub fn held_bytes(&self) -> usize {
        self.context.sizeof()
    }

    /// One frame or more. A payload that turns out larger than the room is begun again with twice the room.
    pub fn decode(&mut self, payload: &[u8], into: &mut Scratch) -> Result<()> {
        let plausible = payload.len().saturating_mul(PLAUSIBLE_RATIO);
        let claimed = get_frame_content_size(payload).ok().flatten().and_then(|bytes| usize::try_from(bytes).ok());
        // A plausible claim saves attempts, and costs only this much if it lies.
        let first = claimed.filter(|bytes| *bytes <= plausible).unwrap_or(payload.len().saturating_mul(4));
        into.room_for(first.min(into.limit_bytes()))?;
        loop {
            let room = into.room()?;
            match self.context.decompress(room, payload) {
                Ok(given) => return into.advance(given),
                Err(TOO_SMALL) => into.grow()?,
                Err(code) => return Err(super::corrupt(Codec::Zstd, get_error_name(code))),
            }
        }
    }
}
