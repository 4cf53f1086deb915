//! The machine around a directory, as far as a log depends on it.

use crate::disk;
pub use crate::disk::FileSystem;
use crate::error::{Error, ErrorCode, Result};
use std::io;
use std::path::Path;

/// What a directory lies on, and what the process around it may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Surroundings {
    pub file_system: FileSystem,
    /// How many files this process may have open; `None` for no limit.
    pub open_files_max: Option<u64>,
}

/// Examines the surroundings of `dir`. Writes nothing.
///
/// # Errors
/// `LOG_DIR_NOT_FOUND` when there is no such directory; `KAFKA_STORAGE_ERROR` when the system will not tell.
pub fn surroundings(dir: &Path) -> Result<Surroundings> {
    let file_system = disk::file_system(dir).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            Error::new(ErrorCode::LOG_DIR_NOT_FOUND, format!("{}: there is no such directory", dir.display()))
        }
        _ => Error::io("examine the file system of", dir, error),
    })?;
    let open_files_max =
        disk::open_files_limit().map_err(|error| Error::io("ask for the limit of open files in", dir, error))?;
    Ok(Surroundings { file_system, open_files_max })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_lies_on_a_file_system_and_a_missing_one_is_told_as_such() {
        let found = surroundings(&std::env::temp_dir()).unwrap();
        assert!(found.file_system.total_bytes >= found.file_system.free_bytes);
        let error = surroundings(Path::new("/no/such/place")).unwrap_err();
        assert_eq!(error.code(), ErrorCode::LOG_DIR_NOT_FOUND);
    }
}
