//! The two indexes of a segment: offset to position, and timestamp to offset.
//!
//! An index is a cache. It is sparse, it can be rebuilt from its `.log`, it is never on the way to an acknowledgement, and what
//! it answers is a hint that the caller checks against the log. So any content of the file is survivable.
//!
//! While its segment is written, an index is a mapped file that grows by doubling. Once sealed it is cut to its entries, and
//! mapped for reading by the first lookup.

mod offset;
mod table;
#[cfg(test)]
mod tests;
mod time;

pub use offset::OffsetIndex;
pub use time::{TimeEntry, TimeIndex};
