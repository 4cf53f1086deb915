//! Kafka's record batch, magic 2: nothing but bytes.
//!
//! A batch is built once ([`BatchBuilder`]), looked at without copying ([`batches`], [`BatchView`], [`RecordIter`]), judged
//! once at the door ([`BatchView::validate_from_client`]) and then carries the proof in its type ([`SealedBatch`]).

mod batch;
mod builder;
mod compression;
pub mod control;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzz;
mod header;
mod iter;
mod sealed;
pub mod sequence;
#[cfg(test)]
mod tests;
mod validate;
pub mod varint;

pub use batch::{batches, BatchView};
pub use builder::{record_bytes_upper_bound, BatchBuilder, RecordRef};
#[cfg(any(test, feature = "fuzzing"))]
pub use compression::is_built_in;
pub use compression::{check_level, Compressor, Inflater};
pub use header::{stamp_header, BatchHeader};
pub use iter::{Header, Headers, RecordIter, RecordView};
pub use sealed::{SealedBatch, SharedBatch};
pub use validate::{ClientRules, Validated};

/// The header of a batch; the records begin here.
pub const BATCH_HEADER_BYTES: usize = 61;

/// Base offset and batch length: what the length field does not count.
pub const LOG_OVERHEAD_BYTES: usize = 12;

/// A batch length read from outside is only believed up to here; so is what our own builder takes.
pub const BATCH_BYTES_MAX: u32 = 64 << 20;

/// What the records of one batch may unfold to when nobody says otherwise.
pub const INFLATED_BYTES_MAX: usize = 64 << 20;

/// The CRC-32C (Castagnoli) that guards a batch from byte 21 on. The one place where a checksum is computed.
#[inline]
#[must_use]
pub fn crc32c(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
}
