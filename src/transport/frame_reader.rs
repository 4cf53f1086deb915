//! Bytes of a socket back into frames. Believes nothing that it has not seen.
//!
//! Small frames come through a buffer, so that many of them cost one `read()`; each is copied out, so that a frame that somebody
//! keeps does not keep its neighbours. A large one is read straight into the memory that is delivered.

use super::frame::{FrameHeader, FRAME_HEADER_BYTES};
use bytes::Bytes;
use std::fmt;
use std::io::{self, Read};

/// What one `read()` may bring.
const BUFFER_BYTES: usize = 64 * 1024;
/// Up to here a frame comes through the buffer.
const SMALL_FRAME_BYTES_MAX: usize = 16 * 1024;
/// As much memory as a length alone may claim; more is only there for what has arrived.
const BYTES_ON_CREDIT_MAX: usize = 1024 * 1024;

pub struct FrameReader<R> {
    source: R,
    frame_bytes_max: u32,
    buffer: Box<[u8]>,
    // What the buffer holds and nobody has had yet: `buffer[start..end]`.
    start: usize,
    end: usize,
}

/// Why the bytes make no more sense, or no more come.
#[derive(Debug)]
pub enum FrameFault {
    TooLong {
        claimed: u32,
        allowed: u32,
    },
    Checksum {
        length: u32,
    },
    /// The bytes end inside of a frame.
    Truncated,
    Io(io::Error),
}

impl fmt::Display for FrameFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FrameFault::TooLong { claimed, allowed } => {
                write!(f, "a frame claims {claimed} bytes, {allowed} are allowed")
            }
            FrameFault::Checksum { length } => write!(f, "a frame of {length} bytes fails its checksum"),
            FrameFault::Truncated => f.write_str("the connection ended inside of a frame"),
            FrameFault::Io(error) => write!(f, "reading: {error}"),
        }
    }
}

impl<R: Read> FrameReader<R> {
    pub fn new(source: R, frame_bytes_max: u32) -> FrameReader<R> {
        let buffer = vec![0; BUFFER_BYTES].into_boxed_slice();
        FrameReader { source, frame_bytes_max, buffer, start: 0, end: 0 }
    }

    /// The next frame's payload; `None` when the bytes end between two frames. After a fault there is nothing more to be had.
    pub fn next_frame(&mut self) -> Result<Option<Bytes>, FrameFault> {
        if !self.fill(FRAME_HEADER_BYTES)? {
            return if self.start == self.end { Ok(None) } else { Err(FrameFault::Truncated) };
        }
        let (header, _) = self.buffer[self.start..self.end].split_first_chunk().expect("as many were asked for");
        let header = FrameHeader::decode(*header);
        if header.length > self.frame_bytes_max {
            return Err(FrameFault::TooLong { claimed: header.length, allowed: self.frame_bytes_max });
        }
        self.start += FRAME_HEADER_BYTES;
        let length = header.length as usize;
        let payload = if length <= SMALL_FRAME_BYTES_MAX { self.small(length)? } else { self.large(length)? };
        if !header.fits(&payload) {
            return Err(FrameFault::Checksum { length: header.length });
        }
        Ok(Some(payload))
    }

    fn small(&mut self, length: usize) -> Result<Bytes, FrameFault> {
        if !self.fill(length)? {
            return Err(FrameFault::Truncated);
        }
        let payload = Bytes::copy_from_slice(&self.buffer[self.start..self.start + length]);
        self.start += length;
        Ok(payload)
    }

    fn large(&mut self, length: usize) -> Result<Bytes, FrameFault> {
        // Zeroed memory of this size comes from the kernel as it is; nobody writes zeros into it.
        let mut payload = vec![0; length.min(BYTES_ON_CREDIT_MAX)];
        let buffered = (self.end - self.start).min(length);
        payload[..buffered].copy_from_slice(&self.buffer[self.start..self.start + buffered]);
        self.start += buffered;
        let mut filled = buffered;
        while filled < length {
            if filled == payload.len() {
                payload.resize(grown(filled, length), 0);
            }
            match read(&mut self.source, &mut payload[filled..])? {
                0 => return Err(FrameFault::Truncated),
                count => filled += count,
            }
        }
        Ok(payload.into())
    }

    /// Sees to it that the buffer holds `count` bytes; false when the source ends before.
    fn fill(&mut self, count: usize) -> Result<bool, FrameFault> {
        if self.start + count > self.buffer.len() || self.start == self.end {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        while self.end - self.start < count {
            match read(&mut self.source, &mut self.buffer[self.end..])? {
                0 => return Ok(false),
                read => self.end += read,
            }
        }
        Ok(true)
    }
}

/// How much memory to have once `arrived` bytes have filled what there was.
fn grown(arrived: usize, length: usize) -> usize {
    arrived.saturating_mul(2).min(length)
}

fn read(source: &mut impl Read, into: &mut [u8]) -> Result<usize, FrameFault> {
    loop {
        match source.read(into) {
            Ok(count) => return Ok(count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(FrameFault::Io(error)),
        }
    }
}

const _: () = assert!(FRAME_HEADER_BYTES + SMALL_FRAME_BYTES_MAX <= BUFFER_BYTES);
