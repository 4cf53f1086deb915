//! A data directory seen from outside: no lock, nothing written, beside a live writer or after it.

use super::ConsumerBuilder;
use crate::error::Result;
use std::path::Path;

/// Reads and tails a data directory that another process may be writing. Cheap to clone; any thread at any time.
///
/// It sees what lies complete in the files: also records that are not flushed or not yet acknowledged. On a directory with
/// one replica that is the difference between `written` and what was asked for; a power cut may take such records back.
#[derive(Clone, Debug)]
pub struct ReadOnlyEngine {}

impl ReadOnlyEngine {
    /// Opens `dir` for reading.
    ///
    /// # Errors
    /// `LOG_DIR_NOT_FOUND`; `KAFKA_STORAGE_ERROR` when it cannot be read; `UNSUPPORTED_VERSION` when it was written by a newer version.
    pub fn open(dir: impl AsRef<Path>) -> Result<ReadOnlyEngine> {
        let _ = dir.as_ref();
        todo!()
    }

    /// A consumer over this directory.
    #[must_use]
    pub fn consumer(&self) -> ConsumerBuilder {
        todo!()
    }
}
