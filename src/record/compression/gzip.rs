//! RFC 1952 around a raw deflate stream whose state is kept.
//!
//! ```text
//!   0 1f 8b      magic            8 00    extra flags
//!   2 08         deflate          9 ff    system: unknown (as Java writes since 16)
//!   3 00         flags           10 ..    deflate stream
//!   4 00000000   time             n ..    crc32 of the plain bytes, their count; both u32 little-endian
//! ```
//! Header and trailer are written here and not by flate2's `GzEncoder`, which would build a new state for every batch.

use super::scratch::Scratch;
use crate::error::{Error, ErrorCode, Result};
use crate::types::Codec;
use flate2::{Compress, Compression, Crc, Decompress, FlushCompress, FlushDecompress, Status};

const HEADER: [u8; 10] = [0x1f, 0x8b, 0x08, 0, 0, 0, 0, 0, 0, 0xff];
const TRAILER_BYTES: usize = 8;

const FLAG_HEADER_CRC: u8 = 0x02;
const FLAG_EXTRA: u8 = 0x04;
const FLAG_NAME: u8 = 0x08;
const FLAG_COMMENT: u8 = 0x10;
const FLAGS_RESERVED: u8 = 0xe0;

pub(super) struct Encoder {
    deflate: Compress,
}

impl Encoder {
    /// `level` is legal; -1 and `None` are zlib's default, 6.
    pub fn new(level: Option<i32>) -> Encoder {
        let level = level.and_then(|level| u32::try_from(level).ok()).map_or(Compression::default(), Compression::new);
        Encoder { deflate: Compress::new(level, false) }
    }

    pub fn encode(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<()> {
        self.deflate.reset();
        out.reserve(HEADER.len() + deflate_bound(plain.len()) + TRAILER_BYTES);
        out.extend_from_slice(&HEADER);
        loop {
            let done = usize::try_from(self.deflate.total_in()).unwrap_or(plain.len());
            let status = self.deflate.compress_vec(&plain[done..], out, FlushCompress::Finish);
            match status {
                Ok(Status::StreamEnd) => break,
                Ok(Status::Ok | Status::BufError) => out.reserve(deflate_bound(plain.len() - done)),
                Err(error) => return Err(Error::new(ErrorCode::NOMEM, format!("gzip cannot compress: {error}"))),
            }
        }
        let mut crc = Crc::new();
        crc.update(plain);
        out.extend_from_slice(&crc.sum().to_le_bytes());
        out.extend_from_slice(&crc.amount().to_le_bytes());
        Ok(())
    }
}

/// zlib's conservative bound for any parameters.
fn deflate_bound(bytes: usize) -> usize {
    bytes + bytes.div_ceil(8) + bytes.div_ceil(64) + 16
}

pub(super) struct Decoder {
    inflate: Decompress,
}

impl Decoder {
    pub fn new() -> Decoder {
        Decoder { inflate: Decompress::new(false) }
    }

    /// One member or more, nothing behind them.
    pub fn decode(&mut self, payload: &[u8], into: &mut Scratch) -> Result<()> {
        let mut rest = payload;
        loop {
            rest = self.decode_member(rest, into)?;
            if rest.is_empty() {
                return Ok(());
            }
        }
    }

    fn decode_member<'p>(&mut self, payload: &'p [u8], into: &mut Scratch) -> Result<&'p [u8]> {
        let mut rest = header_skipped(payload).ok_or_else(|| corrupt("no gzip header"))?;
        let begin = into.filled().len();
        self.inflate.reset(false);
        loop {
            let (before_in, before_out) = (self.inflate.total_in(), self.inflate.total_out());
            let status = self.inflate.decompress(rest, into.room()?, FlushDecompress::None).map_err(corrupt)?;
            let taken = (self.inflate.total_in() - before_in) as usize;
            let given = (self.inflate.total_out() - before_out) as usize;
            rest = &rest[taken..];
            into.advance(given)?;
            if status == Status::StreamEnd {
                break;
            }
            // There was room, so only missing input can have stopped it.
            if taken == 0 && given == 0 {
                return Err(corrupt("the stream is cut"));
            }
        }
        let (trailer, rest) = rest.split_first_chunk::<TRAILER_BYTES>().ok_or_else(|| corrupt("the trailer is cut"))?;
        let mut crc = Crc::new();
        crc.update(&into.filled()[begin..]);
        let [c0, c1, c2, c3, n0, n1, n2, n3] = *trailer;
        if u32::from_le_bytes([c0, c1, c2, c3]) != crc.sum() || u32::from_le_bytes([n0, n1, n2, n3]) != crc.amount() {
            return Err(corrupt("the trailer does not fit what came out"));
        }
        Ok(rest)
    }
}

/// What follows a member's header.
fn header_skipped(payload: &[u8]) -> Option<&[u8]> {
    let (fixed, mut rest) = payload.split_first_chunk::<10>()?;
    let flags = fixed[3];
    if fixed[..3] != HEADER[..3] || flags & FLAGS_RESERVED != 0 {
        return None;
    }
    if flags & FLAG_EXTRA != 0 {
        let (length, behind) = rest.split_first_chunk::<2>()?;
        rest = behind.get(usize::from(u16::from_le_bytes(*length))..)?;
    }
    for text in [FLAG_NAME, FLAG_COMMENT] {
        if flags & text != 0 {
            let end = rest.iter().position(|byte| *byte == 0)?;
            rest = &rest[end + 1..];
        }
    }
    if flags & FLAG_HEADER_CRC != 0 {
        rest = rest.get(2..)?;
    }
    Some(rest)
}

fn corrupt(why: impl std::fmt::Display) -> Error {
    super::corrupt(Codec::Gzip, why)
}
