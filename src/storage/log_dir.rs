//! A data directory: its one writer's lock, and the marker of a clean shutdown.

use super::checkpoint::{read_file, replace_file, sync_dir_of};
use crate::disk::{DirLock, Disk};
use crate::error::{Error, ErrorCode, Result};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The file that carries the lock.
pub const LOCK_FILE: &str = ".lock";
/// The marker of a clean shutdown.
pub const CLEAN_SHUTDOWN_FILE: &str = ".kafka_cleanshutdown";

/// A locked data directory. Dropping it lets go of the lock.
pub struct LogDir {
    path: PathBuf,
    _lock: Box<dyn DirLock>,
}

impl LogDir {
    /// Creates the directory if it is absent (its parent must be there; durable on return) and takes its lock.
    ///
    /// # Errors
    /// STATE: another open holds the lock, in this process or in another one. LOG_DIR_NOT_FOUND: the parent is missing, or
    /// this is not a directory. KAFKA_STORAGE_ERROR: read-only, no permission, or anything else the disk says.
    pub fn open(disk: &Arc<dyn Disk>, dir: &Path) -> Result<LogDir> {
        create(&**disk, dir)?;
        let lock = disk.lock(&dir.join(LOCK_FILE)).map_err(|source| refusal(dir, source))?;
        Ok(LogDir { path: dir.to_owned(), _lock: lock })
    }
}

fn create(disk: &dyn Disk, dir: &Path) -> Result<()> {
    if disk.exists(dir).map_err(|source| refusal(dir, source))? {
        return Ok(());
    }
    disk.create_dir(dir).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => {
            let why = format!("{} cannot be created: the directory above it is missing", dir.display());
            Error::new(ErrorCode::LOG_DIR_NOT_FOUND, why)
        }
        _ => refusal(dir, source),
    })?;
    match dir.parent() {
        // A relative name lies in the working directory.
        Some(parent) if parent.as_os_str().is_empty() => {
            disk.sync_dir(Path::new(".")).map_err(|e| Error::sync("sync", Path::new("."), e))
        }
        Some(_) => sync_dir_of(disk, dir),
        None => Ok(()),
    }
}

/// Says which of the many reasons it is, and what to do about it.
fn refusal(dir: &Path, source: io::Error) -> Error {
    let dir_text = dir.display();
    match source.kind() {
        io::ErrorKind::WouldBlock => Error::new(
            ErrorCode::STATE,
            format!("{dir_text} is in use: another engine, in this process or another one, has it open for writing"),
        ),
        io::ErrorKind::NotADirectory => {
            Error::new(ErrorCode::LOG_DIR_NOT_FOUND, format!("{dir_text} is not a directory"))
        }
        io::ErrorKind::ReadOnlyFilesystem => Error::io("write to the read-only file system of", dir, source),
        io::ErrorKind::PermissionDenied => Error::io("get permission to write to", dir, source),
        _ => Error::io("lock", dir, source),
    }
}

impl fmt::Debug for LogDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogDir").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Writes `.kafka_cleanshutdown`; durable on return. The last act of an orderly shutdown, when everything is flushed. `node_epoch` is the one
/// that a cluster's controller gave to this life, if there was one.
pub fn write_clean_shutdown(disk: &dyn Disk, dir: &Path, node_epoch: Option<u64>) -> Result<()> {
    // As Kafka's, with -1 for none.
    let epoch = node_epoch.map_or_else(|| "-1".to_owned(), |epoch| epoch.to_string());
    let content = format!("{{\"version\":0,\"brokerEpoch\":{epoch}}}");
    replace_file(disk, &dir.join(CLEAN_SHUTDOWN_FILE), content.as_bytes())
}

/// The node epoch in the marker of a clean shutdown; `None` when there is no marker, or none in it.
pub fn clean_shutdown_epoch(disk: &dyn Disk, dir: &Path) -> Result<Option<u64>> {
    /// More is not ours.
    const BYTES_MAX: u64 = 4 * 1024;
    let Some(content) = read_file(disk, &dir.join(CLEAN_SHUTDOWN_FILE), BYTES_MAX)? else { return Ok(None) };
    let text = String::from_utf8_lossy(&content);
    let digits = text.split("\"brokerEpoch\":").nth(1).unwrap_or_default().trim_start();
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    Ok(digits[..end].parse().ok())
}

/// Removes the marker if there is one (durable on return) and says whether there was. The first act of a start: a crash
/// while the logs are being opened must count as one.
pub fn take_clean_shutdown(disk: &dyn Disk, dir: &Path) -> Result<bool> {
    let path = dir.join(CLEAN_SHUTDOWN_FILE);
    match disk.remove(&path) {
        Ok(()) => sync_dir_of(disk, &path).map(|()| true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Error::io("remove", &path, error)),
    }
}

/// Whether the marker is there, for who only reads. Its content is of no interest; older ones were empty.
pub fn has_clean_shutdown(disk: &dyn Disk, dir: &Path) -> Result<bool> {
    let path = dir.join(CLEAN_SHUTDOWN_FILE);
    disk.exists(&path).map_err(|e| Error::io("look for", &path, e))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::RealDisk;
    use std::os::unix::fs::PermissionsExt;

    fn disk() -> Arc<dyn Disk> {
        Arc::new(RealDisk)
    }

    #[test]
    fn a_directory_has_one_writer_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data");
        let first = LogDir::open(&disk(), &path).unwrap();
        let error = LogDir::open(&disk(), &path).unwrap_err();
        assert_eq!(error.code(), ErrorCode::STATE);
        assert!(error.message().contains("in use") && error.message().contains("data"), "{error}");
        drop(first);
        assert!(LogDir::open(&disk(), &path).is_ok());
    }

    #[test]
    fn a_missing_parent_and_a_file_are_told_apart_from_other_failures() {
        let dir = tempfile::tempdir().unwrap();
        let error = LogDir::open(&disk(), &dir.path().join("no/data")).unwrap_err();
        assert_eq!(error.code(), ErrorCode::LOG_DIR_NOT_FOUND);
        assert!(error.message().contains("above it is missing"), "{error}");
        std::fs::write(dir.path().join("file"), "").unwrap();
        for path in ["file", "file/data"] {
            let error = LogDir::open(&disk(), &dir.path().join(path)).unwrap_err();
            assert_eq!(error.code(), ErrorCode::LOG_DIR_NOT_FOUND, "{error}");
            assert!(error.message().contains("not a directory"), "{error}");
        }
    }

    #[test]
    fn a_directory_without_permission_says_so() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o555)).unwrap();
        if std::fs::write(dir.path().join("probe"), "").is_ok() {
            println!("SKIP: this user may write everywhere");
            return;
        }
        let error = LogDir::open(&disk(), dir.path()).unwrap_err();
        assert_eq!(
            (error.code(), error.io_kind()),
            (ErrorCode::KAFKA_STORAGE_ERROR, Some(io::ErrorKind::PermissionDenied))
        );
        assert!(error.message().contains("permission"), "{error}");
    }

    #[test]
    fn the_marker_of_a_clean_shutdown_is_taken_once() {
        let dir = tempfile::tempdir().unwrap();
        let read = || has_clean_shutdown(&RealDisk, dir.path()).unwrap();
        assert!(!take_clean_shutdown(&RealDisk, dir.path()).unwrap());
        write_clean_shutdown(&RealDisk, dir.path(), Some(41)).unwrap();
        write_clean_shutdown(&RealDisk, dir.path(), Some(41)).unwrap();
        let text = std::fs::read_to_string(dir.path().join(CLEAN_SHUTDOWN_FILE)).unwrap();
        assert_eq!(text, r#"{"version":0,"brokerEpoch":41}"#);
        assert_eq!(clean_shutdown_epoch(&RealDisk, dir.path()).unwrap(), Some(41));
        assert!(read());
        assert!(take_clean_shutdown(&RealDisk, dir.path()).unwrap());
        assert!(!read());
        assert!(!take_clean_shutdown(&RealDisk, dir.path()).unwrap());
    }
}
