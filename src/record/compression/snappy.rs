//! Snappy as Kafka writes it: the xerial stream of snappy-java around raw blocks. Read also without the stream.
//!
//! ```text
//!   0 82 53 4e 41 50 50 59 00   "\x82SNAPPY\0"
//!   8 00000001                  version              i32 big-endian
//!  12 00000001                  oldest that reads it i32 big-endian
//!  16 length of a block         i32 big-endian, then the block: at most 32 KiB of plain bytes; and so on to the end
//! ```

use super::scratch::Scratch;
use crate::error::{Error, ErrorCode, Result};
use crate::types::Codec;

const MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
const HEADER: [u8; 16] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1];
const BLOCK_BYTES: usize = 32 * 1024;

/// A copy of 64 bytes takes three: no block unfolds to more than this times its size.
const EXPANSION_MAX: usize = 22;

pub(super) struct Encoder {
    block: snap::raw::Encoder,
}

impl Encoder {
    pub fn new() -> Encoder {
        Encoder { block: snap::raw::Encoder::new() }
    }

    pub fn encode(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<()> {
        out.extend_from_slice(&HEADER);
        for block in plain.chunks(BLOCK_BYTES) {
            let length_at = out.len();
            let block_at = length_at + 4;
            out.resize(block_at + snap::raw::max_compress_len(block.len()), 0);
            let length = self
                .block
                .compress(block, &mut out[block_at..])
                .map_err(|error| Error::new(ErrorCode::NOMEM, format!("snappy cannot compress: {error}")))?;
            out.truncate(block_at + length);
            // A block of 32 KiB never needs more than 31 bits.
            out[length_at..block_at].copy_from_slice(&(length as u32).to_be_bytes());
        }
        Ok(())
    }
}

/// librdkafka and others write one raw block without the stream around it; the magic tells.
pub(super) fn decode(payload: &[u8], into: &mut Scratch) -> Result<()> {
    if payload.len() < HEADER.len() || payload[..MAGIC.len()] != MAGIC {
        return decode_block(payload, into);
    }
    let mut rest = &payload[HEADER.len()..];
    while !rest.is_empty() {
        let (length, behind) = rest.split_first_chunk::<4>().ok_or_else(|| corrupt("a block length is cut"))?;
        let length = u32::from_be_bytes(*length) as usize;
        let block = behind.get(..length).ok_or_else(|| corrupt("a block is cut"))?;
        decode_block(block, into)?;
        rest = &behind[length..];
    }
    Ok(())
}

fn decode_block(block: &[u8], into: &mut Scratch) -> Result<()> {
    let bytes = snap::raw::decompress_len(block).map_err(corrupt)?;
    // The claim is believed only as far as the format could keep it.
    if bytes > block.len().saturating_mul(EXPANSION_MAX) {
        return Err(corrupt(format_args!("{} bytes cannot hold {bytes}", block.len())));
    }
    let room = into.room_for(bytes)?;
    let given = snap::raw::Decoder::new().decompress(block, &mut room[..bytes]).map_err(corrupt)?;
    into.advance(given)
}

fn corrupt(why: impl std::fmt::Display) -> Error {
    super::corrupt(Codec::Snappy, why)
}
