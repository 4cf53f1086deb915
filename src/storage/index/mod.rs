//! The two indexes of a segment: offset to position, and timestamp to offset.

mod offset;
mod time;

pub use offset::OffsetIndex;
pub use time::{TimeEntry, TimeIndex};
