//! The LZ4 frame, as narrow as Kafka keeps it: independent blocks of 64 KiB, no checksums, no content size.
//!
//! ```text
//!   0 04 22 4d 18   magic
//!   4 60            flags: version 1, independent blocks
//!   5 40            blocks of at most 64 KiB
//!   6 82            second byte of xxh32(flags, blocks)
//!   7 length        u32 little-endian, bit 31: the block is stored as it is; then the block; and so on
//!   n 00000000      the end
//! ```
//! The frame is written and read here, so that the hash table and the buffer are kept and every block goes straight to
//! its place.

use super::scratch::Scratch;
use super::xxh32::xxh32;
use crate::error::{Error, ErrorCode, Result};
use crate::types::Codec;
use lz4_flex::block::{
    compress_into_with_table, decompress_into, get_maximum_output_size, CompressTable, DecompressError,
};

const MAGIC: [u8; 4] = [0x04, 0x22, 0x4d, 0x18];
const HEADER: [u8; 7] = [0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82];
const END: [u8; 4] = [0; 4];
const BLOCK_BYTES: usize = 64 * 1024;
const STORED: u32 = 1 << 31;

const FLAG_VERSION_MASK: u8 = 0xc0;
const FLAG_VERSION_1: u8 = 0x40;
const FLAG_INDEPENDENT: u8 = 0x20;
const FLAG_BLOCK_CHECKSUM: u8 = 0x10;
const FLAG_CONTENT_SIZE: u8 = 0x08;
const FLAG_CONTENT_CHECKSUM: u8 = 0x04;
const FLAGS_REFUSED: u8 = 0x03;

/// A run of one length byte after the other, each worth 255: no block unfolds to more than this times its size.
const EXPANSION_MAX: usize = 255;

pub(super) struct Encoder {
    table: CompressTable,
}

impl Encoder {
    pub fn new() -> Encoder {
        Encoder { table: CompressTable::small() }
    }

    pub fn encode(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<()> {
        out.extend_from_slice(&HEADER);
        for block in plain.chunks(BLOCK_BYTES) {
            let length_at = out.len();
            let block_at = length_at + 4;
            out.resize(block_at + get_maximum_output_size(block.len()), 0);
            let mut length = compress_into_with_table(block, &mut out[block_at..], &mut self.table)
                .map_err(|error| Error::new(ErrorCode::NOMEM, format!("lz4 cannot compress: {error}")))?;
            let mut mark = 0;
            if length >= block.len() {
                length = block.len();
                mark = STORED;
                out[block_at..][..length].copy_from_slice(block);
            }
            out.truncate(block_at + length);
            // At most 64 KiB.
            out[length_at..block_at].copy_from_slice(&(length as u32 | mark).to_le_bytes());
        }
        out.extend_from_slice(&END);
        Ok(())
    }
}

/// What a frame's header says of its blocks.
struct Frame {
    block_bytes_max: usize,
    has_block_checksums: bool,
    has_content_checksum: bool,
}

/// One frame, nothing behind it. Block checksums are verified; the content checksum is passed over, as Kafka does.
pub(super) fn decode(payload: &[u8], into: &mut Scratch) -> Result<()> {
    let (frame, mut rest) = decode_header(payload)?;
    loop {
        let (mark, behind) = take_u32(rest).ok_or_else(|| corrupt("a block length is cut"))?;
        if mark == 0 {
            rest = behind;
            break;
        }
        let length = (mark & !STORED) as usize;
        if length > frame.block_bytes_max {
            return Err(corrupt("a block is larger than the frame allows"));
        }
        let block = behind.get(..length).ok_or_else(|| corrupt("a block is cut"))?;
        rest = &behind[length..];
        if frame.has_block_checksums {
            let (sum, behind) = take_u32(rest).ok_or_else(|| corrupt("a block checksum is cut"))?;
            if sum != xxh32(block) {
                return Err(corrupt("a block fails its checksum"));
            }
            rest = behind;
        }
        decode_block(block, mark & STORED != 0, frame.block_bytes_max, into)?;
    }
    let trailer_bytes = if frame.has_content_checksum { 4 } else { 0 };
    if rest.len() != trailer_bytes {
        return Err(corrupt("the frame does not end where its payload does"));
    }
    Ok(())
}

fn decode_header(payload: &[u8]) -> Result<(Frame, &[u8])> {
    let (head, mut rest) = payload.split_first_chunk::<6>().ok_or_else(|| corrupt("the frame header is cut"))?;
    let [m0, m1, m2, m3, flags, blocks] = *head;
    if [m0, m1, m2, m3] != MAGIC {
        return Err(corrupt("no lz4 frame"));
    }
    if flags & FLAG_VERSION_MASK != FLAG_VERSION_1 || flags & FLAGS_REFUSED != 0 || flags & FLAG_INDEPENDENT == 0 {
        return Err(corrupt(format_args!("frame flags {flags:02x}; Kafka's are independent blocks of version 1")));
    }
    let block_bytes_max = match blocks {
        0x40 => 64 << 10,
        0x50 => 256 << 10,
        0x60 => 1 << 20,
        0x70 => 4 << 20,
        _ => return Err(corrupt(format_args!("no block size {blocks:02x}"))),
    };
    if flags & FLAG_CONTENT_SIZE != 0 {
        // What the frame claims to hold is of no use: the blocks tell.
        rest = rest.get(8..).ok_or_else(|| corrupt("the frame header is cut"))?;
    }
    let (sum, rest_behind) = rest.split_first().ok_or_else(|| corrupt("the frame header is cut"))?;
    let descriptor = &payload[MAGIC.len()..payload.len() - rest.len()];
    if *sum != (xxh32(descriptor) >> 8) as u8 {
        return Err(corrupt("the frame header fails its checksum"));
    }
    let frame = Frame {
        block_bytes_max,
        has_block_checksums: flags & FLAG_BLOCK_CHECKSUM != 0,
        has_content_checksum: flags & FLAG_CONTENT_CHECKSUM != 0,
    };
    Ok((frame, rest_behind))
}

fn decode_block(block: &[u8], stored: bool, block_bytes_max: usize, into: &mut Scratch) -> Result<()> {
    if stored {
        into.room_for(block.len())?[..block.len()].copy_from_slice(block);
        return into.advance(block.len());
    }
    let bound = block.len().saturating_mul(EXPANSION_MAX).min(block_bytes_max);
    // Near the limit the room may be smaller than the bound; then too little room means too much data.
    let left = into.limit_bytes() - into.filled().len();
    let room = into.room_for(bound.min(left))?;
    let end = bound.min(left).min(room.len());
    match decompress_into(block, &mut room[..end]) {
        Ok(given) => into.advance(given),
        Err(DecompressError::OutputTooSmall { .. }) if left < bound => Err(into.too_large()),
        Err(error) => Err(corrupt(error)),
    }
}

fn take_u32(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (four, rest) = bytes.split_first_chunk::<4>()?;
    Some((u32::from_le_bytes(*four), rest))
}

fn corrupt(why: impl std::fmt::Display) -> Error {
    super::corrupt(Codec::Lz4, why)
}
