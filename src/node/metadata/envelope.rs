//! The frame around our own small files: whose they are, which version, and that nothing is missing or changed.
//!
//! ```text
//!  0        8         10   12            16        16+n     20+n
//!  +--------+---------+----+-------------+---------+--------+
//!  | magic  | version | 0  | n: u32      | content | crc32c |   big-endian; the checksum is of everything before it
//!  +--------+---------+----+-------------+---------+--------+
//! ```

use crate::error::{Error, ErrorCode, Result};
use crate::record::crc32c;
use std::path::Path;

const HEAD_BYTES: usize = 16;
const CRC_BYTES: usize = 4;
/// What a frame adds to its content.
pub(super) const ENVELOPE_BYTES: usize = HEAD_BYTES + CRC_BYTES;

/// One kind of file.
pub(super) struct Envelope {
    pub magic: [u8; 8],
    /// The version that is written, and the newest that is read.
    pub version: u16,
}

impl Envelope {
    pub fn seal(&self, content: &[u8]) -> Vec<u8> {
        let length = u32::try_from(content.len()).expect("a snapshot is bounded far below 2^32");
        let mut bytes = Vec::with_capacity(content.len() + ENVELOPE_BYTES);
        bytes.extend_from_slice(&self.magic);
        bytes.extend_from_slice(&self.version.to_be_bytes());
        bytes.extend_from_slice(&[0; 2]);
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(content);
        bytes.extend_from_slice(&crc32c(&bytes).to_be_bytes());
        bytes
    }

    /// The content.
    ///
    /// # Errors
    /// CORRUPT_MESSAGE: another file, cut or changed; UNSUPPORTED_VERSION: a newer program's, naming both versions.
    pub fn open<'a>(&self, bytes: &'a [u8], path: &Path) -> Result<&'a [u8]> {
        let corrupt = |why: &str| Err(Error::new(ErrorCode::CORRUPT_MESSAGE, format!("{} {why}", path.display())));
        if bytes.len() < ENVELOPE_BYTES || bytes[..8] != self.magic {
            return corrupt("is not the file that its name says");
        }
        let (sealed, crc) = bytes.split_at(bytes.len() - CRC_BYTES);
        let length = u32::from_be_bytes(sealed[12..16].try_into().expect("four bytes"));
        if length as usize != sealed.len() - HEAD_BYTES || crc != crc32c(sealed).to_be_bytes() {
            return corrupt("fails its checksum");
        }
        let version = u16::from_be_bytes(sealed[8..10].try_into().expect("two bytes"));
        if version > self.version {
            let what = format!("{} has version {version}, this program knows up to {}", path.display(), self.version);
            return Err(Error::new(ErrorCode::UNSUPPORTED_VERSION, what));
        }
        Ok(&sealed[HEAD_BYTES..])
    }
}
