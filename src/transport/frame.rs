//! A message in parts, and the eight bytes that go before it on a socket.
//!
//! ```text
//!  0          4          8
//!  +----------+----------+---------------------
//!  |  length  |  crc32c  |  payload ...           u32 big-endian; length counts the payload alone,
//!  +----------+----------+---------------------   the checksum covers length and payload
//! ```

use crate::error::{Error, ErrorCode, Result};
use bytes::Bytes;

/// The most parts of a frame: with its header they fit into one system call's list (Linux: 1024).
pub const FRAME_PARTS_MAX: usize = 1_000;

/// The most bytes of a frame, unless it is set otherwise: the largest batch (64 MiB) and a mebibyte for what goes around it.
pub const FRAME_BYTES_MAX: u32 = 65 * 1024 * 1024;

/// Length and checksum.
pub(super) const FRAME_HEADER_BYTES: usize = 8;

/// One message on its way. Parts stay as they are, so that record batches travel without being copied; a receiver gets them as
/// one piece.
#[derive(Clone, Debug, Default)]
pub struct Frame {
    parts: Vec<Bytes>,
    bytes: usize,
}

impl Frame {
    #[must_use]
    pub fn new() -> Frame {
        Frame::default()
    }

    /// Adds a part; an empty one is left out.
    pub fn push(&mut self, part: Bytes) {
        if !part.is_empty() {
            self.bytes += part.len();
            self.parts.push(part);
        }
    }

    #[must_use]
    pub fn parts(&self) -> &[Bytes] {
        &self.parts
    }

    /// Bytes of all parts.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// All parts, in order.
    #[must_use]
    pub fn into_parts(self) -> Vec<Bytes> {
        self.parts
    }

    /// All parts as one piece: a single part as it is, several by one copy.
    #[must_use]
    pub fn into_joined(mut self) -> Bytes {
        match self.parts.len() {
            0 => Bytes::new(),
            1 => self.parts.swap_remove(0),
            _ => self.parts.concat().into(),
        }
    }

    /// MESSAGE_TOO_LARGE for a frame with more than `bytes_max` bytes or [`FRAME_PARTS_MAX`] parts.
    pub(super) fn check(&self, bytes_max: u32) -> Result<()> {
        if self.parts.len() <= FRAME_PARTS_MAX && self.bytes <= bytes_max as usize {
            return Ok(());
        }
        let text = format!(
            "a frame of {} bytes in {} parts; {bytes_max} bytes and {FRAME_PARTS_MAX} parts may travel",
            self.bytes,
            self.parts.len()
        );
        Err(Error::new(ErrorCode::MESSAGE_TOO_LARGE, text))
    }

    /// What goes before this frame on a socket; the frame was [checked](Frame::check).
    pub(super) fn header(&self) -> FrameHeader {
        let length = u32::try_from(self.bytes).expect("a checked frame's length fits");
        let crc = self.parts.iter().fold(crc_of_length(length), |crc, part| crc32c::crc32c_append(crc, part));
        FrameHeader { length, crc }
    }
}

impl From<Bytes> for Frame {
    fn from(part: Bytes) -> Frame {
        let mut frame = Frame::new();
        frame.push(part);
        frame
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct FrameHeader {
    pub length: u32,
    pub crc: u32,
}

impl FrameHeader {
    pub fn encode(self) -> [u8; FRAME_HEADER_BYTES] {
        let mut bytes = [0; FRAME_HEADER_BYTES];
        bytes[..4].copy_from_slice(&self.length.to_be_bytes());
        bytes[4..].copy_from_slice(&self.crc.to_be_bytes());
        bytes
    }

    pub fn decode([l0, l1, l2, l3, c0, c1, c2, c3]: [u8; FRAME_HEADER_BYTES]) -> FrameHeader {
        FrameHeader { length: u32::from_be_bytes([l0, l1, l2, l3]), crc: u32::from_be_bytes([c0, c1, c2, c3]) }
    }

    /// Whether `payload`, all of it, is what the sender meant.
    pub fn fits(self, payload: &[u8]) -> bool {
        payload.len() == self.length as usize && crc32c::crc32c_append(crc_of_length(self.length), payload) == self.crc
    }
}

fn crc_of_length(length: u32) -> u32 {
    crc32c::crc32c(&length.to_be_bytes())
}
