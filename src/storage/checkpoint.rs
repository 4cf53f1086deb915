//! Kafka's small text files: a version line, a count line, one entry a line. Always replaced as a whole.
//!
//! ```text
//! 0                      <- version
//! 2                      <- number of entries
//! orders 0 1234          <- one entry a line, every line ends in \n
//! orders 3 99
//! ```

use crate::disk::Disk;
use crate::error::{Error, ErrorCode, Result};
use crate::types::{Offset, TopicPartition};
use std::collections::BTreeMap;
use std::fmt::{Display, Write};
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Per partition: the offset below which data is known to be flushed.
pub const RECOVERY_POINT_FILE: &str = "recovery-point-offset-checkpoint";
/// Per partition: the high watermark.
pub const HIGH_WATERMARK_FILE: &str = "replication-offset-checkpoint";
/// Per partition: the log start, where it lies above the first segment's base.
pub const LOG_START_FILE: &str = "log-start-offset-checkpoint";

/// A checkpoint is only believed up to this size (a million partitions with the longest names).
const CHECKPOINT_BYTES_MAX: u64 = 300 << 20;
/// The only version there is.
const CHECKPOINT_VERSION: u32 = 0;

/// One offset per partition: the content of one of the three offset checkpoint files.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct OffsetCheckpoint {
    pub offsets: BTreeMap<TopicPartition, Offset>,
}

impl OffsetCheckpoint {
    /// Reads the file. An absent or zero-length file has no entries; a malformed one is CORRUPT_MESSAGE and names file and line,
    /// one of a newer version UNSUPPORTED_VERSION.
    pub fn read(disk: &dyn Disk, path: &Path) -> Result<OffsetCheckpoint> {
        let mut offsets = BTreeMap::new();
        read_entries(disk, path, |line| {
            let mut words = line.split_whitespace();
            let partition = TopicPartition::new(words.next()?, number_of::<i32>(words.next()?)?);
            offsets.insert(partition, offset_of(words.next()?)?);
            words.next().is_none().then_some(())
        })?;
        Ok(OffsetCheckpoint { offsets })
    }

    /// As [`read`](OffsetCheckpoint::read), but an unreadable file counts as empty (a checkpoint is a hint, the log knows better);
    /// what was wrong with it stands beside.
    #[must_use]
    pub fn read_lenient(disk: &dyn Disk, path: &Path) -> (OffsetCheckpoint, Option<Error>) {
        match OffsetCheckpoint::read(disk, path) {
            Ok(checkpoint) => (checkpoint, None),
            Err(error) => (OffsetCheckpoint::default(), Some(error)),
        }
    }

    /// Replaces the file atomically; durable on return.
    pub fn write(&self, disk: &dyn Disk, path: &Path) -> Result<()> {
        write_entries(
            disk,
            path,
            self.offsets.iter().map(|(at, offset)| format!("{} {} {offset}", at.topic, at.partition)),
        )
    }
}

/// Writes version, count and one line an entry.
pub(super) fn write_entries<L: Display>(
    disk: &dyn Disk,
    path: &Path,
    lines: impl ExactSizeIterator<Item = L>,
) -> Result<()> {
    let mut text = format!("{CHECKPOINT_VERSION}\n{}\n", lines.len());
    for line in lines {
        writeln!(text, "{line}").expect("a string takes everything");
    }
    replace_file(disk, path, text.as_bytes())
}

/// Gives the lines behind the two first ones to `take`, which answers `None` for a line that makes no sense.
pub(super) fn read_entries(disk: &dyn Disk, path: &Path, mut take: impl FnMut(&str) -> Option<()>) -> Result<()> {
    let Some(bytes) = read_file(disk, path, CHECKPOINT_BYTES_MAX)? else { return Ok(()) };
    if bytes.is_empty() {
        return Ok(());
    }
    let malformed = |line: usize, why: &str| {
        Error::new(ErrorCode::CORRUPT_MESSAGE, format!("checkpoint {} line {line} {why}", path.display()))
    };
    let text = std::str::from_utf8(&bytes).map_err(|e| {
        let line = bytes[..e.valid_up_to()].iter().filter(|b| **b == b'\n').count() + 1;
        malformed(line, "is not UTF-8")
    })?;
    let mut lines = text.lines();
    let version: u32 =
        lines.next().and_then(|l| number_of::<i32>(l.trim())).ok_or_else(|| malformed(1, "has no version"))?;
    if version > CHECKPOINT_VERSION {
        let path = path.display();
        let why = format!("checkpoint {path} has version {version}, this program knows {CHECKPOINT_VERSION}");
        return Err(Error::new(ErrorCode::UNSUPPORTED_VERSION, why));
    }
    let count: u32 =
        lines.next().and_then(|l| number_of::<i32>(l.trim())).ok_or_else(|| malformed(2, "has no count"))?;
    let mut seen = 0;
    for (index, line) in lines.enumerate() {
        seen += 1;
        if seen > count {
            return Err(malformed(index + 3, &format!("is one more than the {count} that line 2 announces")));
        }
        take(line).ok_or_else(|| malformed(index + 3, &format!("makes no sense: {line:?}")))?;
    }
    if seen < count {
        return Err(malformed(2, &format!("announces {count} entries, there are {seen}")));
    }
    Ok(())
}

/// A number that is not negative and fits the signed type `S` of Kafka.
pub(super) fn number_of<S>(word: &str) -> Option<u32>
where
    S: FromStr + TryInto<u32>,
{
    word.parse::<S>().ok()?.try_into().ok()
}

/// An offset that is not negative.
pub(super) fn offset_of(word: &str) -> Option<Offset> {
    word.parse::<i64>().ok().and_then(|offset| u64::try_from(offset).ok()).map(Offset)
}

/// Replaces a file: `<path>.tmp`, sync, rename, sync of the directory. Durable on return.
///
/// A crash leaves the old or the new content under the name, never something between, and at worst a `.tmp` beside it that
/// the next call takes away.
pub fn replace_file(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> Result<()> {
    let tmp = with_suffix(path, ".tmp");
    let file = match disk.create(&tmp, 0) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            disk.remove(&tmp).map_err(|e| Error::io("remove", &tmp, e))?;
            disk.create(&tmp, 0)
        }
        created => created,
    };
    let file = file.map_err(|e| Error::io("create", &tmp, e))?;
    file.write_at(0, bytes).map_err(|e| Error::io("write", &tmp, e))?;
    file.sync_data().map_err(|e| Error::sync("sync", &tmp, e))?;
    disk.rename(&tmp, path).map_err(|e| Error::io("rename to", path, e))?;
    sync_dir_of(disk, path)
}

/// Makes the name `path` durable (or its absence).
pub(super) fn sync_dir_of(disk: &dyn Disk, path: &Path) -> Result<()> {
    let dir = path.parent().expect("a file is in a directory");
    disk.sync_dir(dir).map_err(|e| Error::sync("sync", dir, e))
}

/// `path` with `suffix` behind its file name.
pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Reads a small file whole; `None` when it is absent. CORRUPT_MESSAGE when it is larger than `bytes_max`.
pub fn read_file(disk: &dyn Disk, path: &Path, bytes_max: u64) -> Result<Option<Vec<u8>>> {
    let file = match disk.open_read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(|e| Error::io("open", path, e))?,
    };
    let bytes = file.len().map_err(|e| Error::io("look at", path, e))?;
    let length = usize::try_from(bytes).ok().filter(|_| bytes <= bytes_max).ok_or_else(|| {
        let why = format!("{} has {bytes} bytes, more than the {bytes_max} that are believed", path.display());
        Error::new(ErrorCode::CORRUPT_MESSAGE, why)
    })?;
    let mut content = vec![0; length];
    file.read_at(0, &mut content).map_err(|e| Error::io("read", path, e))?;
    Ok(Some(content))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::RealDisk;

    fn file() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(RECOVERY_POINT_FILE);
        (dir, path)
    }

    fn read_text(text: &str) -> Result<OffsetCheckpoint> {
        let (_dir, path) = file();
        std::fs::write(&path, text).unwrap();
        OffsetCheckpoint::read(&RealDisk, &path)
    }

    fn of(entries: &[(&str, u32, u64)]) -> OffsetCheckpoint {
        let offsets = entries.iter().map(|(topic, p, offset)| (TopicPartition::new(*topic, *p), Offset(*offset)));
        OffsetCheckpoint { offsets: offsets.collect() }
    }

    #[test]
    fn what_is_written_is_kafkas_text_and_reads_back() {
        let (dir, path) = file();
        let checkpoint = of(&[("topicA", 0, 1234), ("topicB", 3, 99)]);
        checkpoint.write(&RealDisk, &path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "0\n2\ntopicA 0 1234\ntopicB 3 99\n");
        assert_eq!(OffsetCheckpoint::read(&RealDisk, &path).unwrap(), checkpoint);
        OffsetCheckpoint::default().write(&RealDisk, &path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "0\n0\n");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "no .tmp stays behind");
    }

    #[test]
    fn an_absent_and_an_empty_file_have_no_entries() {
        let (_dir, path) = file();
        assert_eq!(OffsetCheckpoint::read(&RealDisk, &path).unwrap(), OffsetCheckpoint::default());
        assert_eq!(read_text("").unwrap(), OffsetCheckpoint::default());
    }

    #[test]
    fn any_white_space_separates_and_the_last_line_needs_no_end() {
        assert_eq!(read_text("0\n1\na\t0  7").unwrap(), of(&[("a", 0, 7)]));
        assert_eq!(read_text("0\r\n1\r\na 0 7\r\n").unwrap(), of(&[("a", 0, 7)]));
    }

    #[test]
    fn a_malformed_file_is_refused_with_its_line() {
        for (text, line) in [
            ("x\n0\n", 1),
            ("-1\n0\n", 1),
            ("\n", 1),
            ("0", 2),
            ("0\n", 2),
            ("0\nx\n", 2),
            ("0\n-1\n", 2),
            ("0\n1\n", 2),
            ("0\n2\na 0 1\n", 2),
            ("0\n1\na 0 1\nb 0 1\n", 4),
            ("0\n1\na 0\n", 3),
            ("0\n2\na 0 1\nb 0 1 2\n", 4),
            ("0\n1\na x 1\n", 3),
            ("0\n1\na -1 1\n", 3),
            ("0\n1\na 0 -1\n", 3),
            ("0\n1\na 0 9223372036854775808\n", 3),
            ("0\n1\n\n", 3),
        ] {
            let error = read_text(text).unwrap_err();
            assert_eq!(error.code(), ErrorCode::CORRUPT_MESSAGE, "{text:?}");
            assert!(error.message().contains(&format!(" line {line} ")), "{text:?}: {error}");
            assert!(error.message().contains(RECOVERY_POINT_FILE), "{error}");
        }
    }

    #[test]
    fn a_newer_version_is_refused_naming_both() {
        let error = read_text("1\n0\n").unwrap_err();
        assert_eq!(error.code(), ErrorCode::UNSUPPORTED_VERSION);
        assert!(error.message().contains("version 1") && error.message().contains("knows 0"), "{error}");
    }

    #[test]
    fn an_unreadable_file_can_be_taken_for_empty_but_says_so() {
        let (_dir, path) = file();
        std::fs::write(&path, b"0\n1\n\xff\n").unwrap();
        let (checkpoint, error) = OffsetCheckpoint::read_lenient(&RealDisk, &path);
        assert_eq!(checkpoint, OffsetCheckpoint::default());
        assert!(error.unwrap().message().contains("line 3 is not UTF-8"));
        of(&[("a", 1, 2)]).write(&RealDisk, &path).unwrap();
        assert!(OffsetCheckpoint::read_lenient(&RealDisk, &path).1.is_none());
    }

    #[test]
    fn a_left_over_tmp_file_is_no_obstacle() {
        let (_dir, path) = file();
        std::fs::write(with_suffix(&path, ".tmp"), "half a li").unwrap();
        of(&[("a", 1, 2)]).write(&RealDisk, &path).unwrap();
        assert_eq!(OffsetCheckpoint::read(&RealDisk, &path).unwrap(), of(&[("a", 1, 2)]));
    }

    #[test]
    fn a_file_larger_than_believed_is_not_read() {
        let (_dir, path) = file();
        std::fs::write(&path, "12345").unwrap();
        assert_eq!(read_file(&RealDisk, &path, 5).unwrap().unwrap(), b"12345");
        assert_eq!(read_file(&RealDisk, &path, 4).unwrap_err().code(), ErrorCode::CORRUPT_MESSAGE);
    }
}
