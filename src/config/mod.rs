//! Every setting, in one table; builders, the C string setter and the printed lists are derived from it.

mod log;

pub use log::{CleanupPolicy, DirFullPolicy, LogConfig};
