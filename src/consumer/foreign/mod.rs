//! The files of a partition that another process may be writing: looked at, never locked, never changed.
//!
//! What lies whole is read, what does not is "not yet". Nothing that may still shrink is mapped. A writer that rolls,
//! expires, cuts or recovers the log meanwhile is noticed by looking at names, sizes and the last batch that was read.

mod log;
mod segment;
mod times;
mod watch;

pub(super) use log::ForeignLog;
pub(super) use watch::WatchThread;
