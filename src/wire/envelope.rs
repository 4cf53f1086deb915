//! The twelve bytes before every body. Later versions keep them, so that whoever does not understand a message can say so to its
//! sender.

use super::fields::Writer;
use crate::error::{Error, ErrorCode, Result};
use crate::transport::Frame;
use std::num::NonZeroU64;

/// The version that this program speaks.
pub(crate) const WIRE_VERSION: u8 = 1;

pub(super) const ENVELOPE_BYTES: usize = 12;
const MAGIC: u8 = b'K';
/// The message answers the one with the same correlation.
const RESPONSE: u8 = 1;

/// The number of a request, chosen by its sender, and of its response (Kafka's correlation id).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct CorrelationId(pub NonZeroU64);

/// What there is to know of a message before its body is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Envelope {
    pub version: u8,
    /// The message's number in `message.rs`.
    pub kind: u8,
    pub is_response: bool,
    /// `None`: nobody waits for an answer, nobody is answered.
    pub correlation: Option<CorrelationId>,
    flags: u8,
}

impl Envelope {
    pub(super) fn new(kind: u8, is_response: bool, correlation: Option<CorrelationId>) -> Envelope {
        let flags = if is_response { RESPONSE } else { 0 };
        Envelope { version: WIRE_VERSION, kind, is_response, correlation, flags }
    }

    /// Of any version. Whoever cannot decode a request answers `Response::Failed` under its correlation.
    ///
    /// # Errors
    /// CORRUPT_MESSAGE: these bytes are no message of any version.
    pub fn read(message: &[u8]) -> Result<Envelope> {
        let Some(&[magic, version, kind, flags, ref number @ ..]) = message.first_chunk::<ENVELOPE_BYTES>() else {
            let text = format!("a message of {} bytes is shorter than its envelope", message.len());
            return Err(Error::new(ErrorCode::CORRUPT_MESSAGE, text));
        };
        if magic != MAGIC {
            let text = format!("a message begins with byte {magic}, not with {MAGIC}");
            return Err(Error::new(ErrorCode::CORRUPT_MESSAGE, text));
        }
        let correlation = NonZeroU64::new(u64::from_be_bytes(*number)).map(CorrelationId);
        Ok(Envelope { version, kind, is_response: flags & RESPONSE != 0, correlation, flags })
    }

    /// As [`read`](Envelope::read), of a message in parts.
    pub fn of(message: &Frame) -> Result<Envelope> {
        Envelope::read(message.parts().first().map_or(&[], |first| first))
    }

    pub(super) fn put(self, w: &mut Writer) {
        w.raw(&[MAGIC, self.version, self.kind, self.flags]);
        w.raw(&self.correlation.map_or(0, |id| id.0.get()).to_be_bytes());
    }

    /// # Errors
    /// UNSUPPORTED_VERSION: the body is of another version, or under flags that this one does not know.
    pub(super) fn check_version(self) -> Result<()> {
        if self.version == WIRE_VERSION && self.flags & !RESPONSE == 0 {
            return Ok(());
        }
        let text = format!(
            "a message of wire version {} with flags {:#04x}; this program knows version {WIRE_VERSION} with flags {RESPONSE:#04x}",
            self.version, self.flags
        );
        Err(Error::new(ErrorCode::UNSUPPORTED_VERSION, text))
    }
}
