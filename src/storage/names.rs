//! The names of files, directories and topics, exactly as Kafka forms them.

use crate::error::{Error, ErrorCode, Result};
use crate::types::{Offset, TopicPartition};

/// The longest topic name: what leaves room for `-`, a partition and a suffix in a directory name.
pub const TOPIC_NAME_BYTES_MAX: usize = 249;
/// The longest file or directory name that the usual file systems take.
pub const FILE_NAME_BYTES_MAX: usize = 255;
/// Offsets in file names have this many digits, so that names sort as their offsets do.
const OFFSET_DIGITS: usize = 20;
/// A directory that is on its way out or in carries 32 hex digits, so that its name is never taken.
const UNIQUE_DIGITS: usize = 32;

/// The files of a segment, and the snapshot that goes with it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum FileKind {
    Log,
    Index,
    TimeIndex,
    TxnIndex,
    Snapshot,
}

impl FileKind {
    /// Every kind.
    pub const ALL: [FileKind; 5] =
        [FileKind::Log, FileKind::Index, FileKind::TimeIndex, FileKind::TxnIndex, FileKind::Snapshot];

    /// `.log` and so on.
    #[must_use]
    pub fn suffix(self) -> &'static str {
        match self {
            FileKind::Log => ".log",
            FileKind::Index => ".index",
            FileKind::TimeIndex => ".timeindex",
            FileKind::TxnIndex => ".txnindex",
            FileKind::Snapshot => ".snapshot",
        }
    }
}

/// What a second suffix says about a file.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum FileState {
    /// No second suffix.
    Live,
    /// `.deleted`: waits for file.delete.delay.ms.
    Deleted,
    /// `.cleaned`: being written by a cleaner.
    Cleaned,
    /// `.swap`: complete, being swapped in.
    Swap,
}

impl FileState {
    /// `.deleted` and so on; empty for a live file.
    #[must_use]
    pub fn suffix(self) -> &'static str {
        match self {
            FileState::Live => "",
            FileState::Deleted => ".deleted",
            FileState::Cleaned => ".cleaned",
            FileState::Swap => ".swap",
        }
    }
}

/// A parsed file name of a partition directory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SegmentFileName {
    pub base: Offset,
    pub kind: FileKind,
    pub state: FileState,
}

/// `00000000000000000042.log`.
#[must_use]
pub fn file_name(base: Offset, kind: FileKind) -> String {
    file_name_in_state(base, kind, FileState::Live)
}

/// With its state's suffix: `00000000000000000042.log.deleted`.
#[must_use]
pub fn file_name_in_state(base: Offset, kind: FileKind, state: FileState) -> String {
    format!("{:0OFFSET_DIGITS$}{}{}", base.0, kind.suffix(), state.suffix())
}

/// `None` for names that are not of this form (checkpoints, strangers).
#[must_use]
pub fn parse_file_name(name: &str) -> Option<SegmentFileName> {
    let (digits, rest) = name.split_at_checked(OFFSET_DIGITS)?;
    let base = Offset(parse_digits(digits)?);
    if base > Offset::MAX {
        return None;
    }
    let (kind, rest) = FileKind::ALL.into_iter().find_map(|kind| Some((kind, rest.strip_prefix(kind.suffix())?)))?;
    let states = [FileState::Live, FileState::Deleted, FileState::Cleaned, FileState::Swap];
    let state = states.into_iter().find(|state| state.suffix() == rest)?;
    Some(SegmentFileName { base, kind, state })
}

/// Only digits: `str::parse` would also take a sign.
fn parse_digits(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

/// What the suffix of a partition directory says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DirMark {
    /// No suffix: in use.
    Live,
    /// `-delete`.
    Deleted,
    /// `-stray`.
    Stray,
    /// `-future`.
    Future,
}

impl DirMark {
    fn suffix(self) -> &'static str {
        match self {
            DirMark::Live => "",
            DirMark::Deleted => "-delete",
            DirMark::Stray => "-stray",
            DirMark::Future => "-future",
        }
    }
}

/// `topic-3`.
#[must_use]
pub fn partition_dir_name(partition: &TopicPartition) -> String {
    partition.to_string()
}

/// `topic-3.<32 hex>-delete` and the like. In deleted and stray names the topic is cut so that the whole has 255 bytes at most.
#[must_use]
pub fn marked_dir_name(partition: &TopicPartition, unique: u128, mark: DirMark) -> String {
    if mark == DirMark::Live {
        return partition_dir_name(partition);
    }
    let tail = format!("-{}.{unique:0UNIQUE_DIGITS$x}{}", partition.partition, mark.suffix());
    let mut topic: &str = &partition.topic;
    if mark != DirMark::Future {
        // Topic names are ASCII; a foreign one must still not make this panic.
        let mut cut = topic.len().min(FILE_NAME_BYTES_MAX - tail.len());
        while !topic.is_char_boundary(cut) {
            cut -= 1;
        }
        topic = &topic[..cut];
    }
    format!("{topic}{tail}")
}

/// Reads a partition directory's name; `None` when it is none. The topic of a deleted or stray one may have been cut.
#[must_use]
pub fn parse_dir_name(name: &str) -> Option<(TopicPartition, DirMark)> {
    let marks = [DirMark::Deleted, DirMark::Stray, DirMark::Future];
    let (stem, mark) = match marks.into_iter().find(|mark| name.ends_with(mark.suffix())) {
        None => (name, DirMark::Live),
        Some(mark) => {
            let (stem, unique) = name.strip_suffix(mark.suffix())?.rsplit_once('.')?;
            if unique.is_empty() || unique.contains(char::is_whitespace) {
                return None;
            }
            (stem, mark)
        }
    };
    let (topic, partition) = stem.rsplit_once('-')?;
    validate_topic_name(topic).ok()?;
    // `topic-007` would be a second name for `topic-7`.
    if partition.len() > 1 && partition.starts_with('0') {
        return None;
    }
    let partition = u32::try_from(parse_digits(partition)?).ok().filter(|p| *p <= i32::MAX as u32)?;
    Some((TopicPartition::new(topic, partition), mark))
}

/// INVALID_TOPIC_EXCEPTION unless 1 to 249 characters of `[a-zA-Z0-9._-]` and neither `.` nor `..`.
pub fn validate_topic_name(name: &str) -> Result<()> {
    let fault = if name.is_empty() {
        "is empty"
    } else if name == "." || name == ".." {
        "is '.' or '..'"
    } else if name.len() > TOPIC_NAME_BYTES_MAX {
        "is longer than 249 characters"
    } else if !name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-')) {
        "has a character other than a-z, A-Z, 0-9, '.', '_' and '-'"
    } else {
        return Ok(());
    };
    Err(Error::new(ErrorCode::INVALID_TOPIC_EXCEPTION, format!("topic name {name:?} {fault}")))
}

/// Whether two names are equal once `.` is taken for `_` (their metrics could not be told apart).
#[must_use]
pub fn collides(a: &str, b: &str) -> bool {
    let folded = |byte: u8| if byte == b'.' { b'_' } else { byte };
    a.len() == b.len() && a.bytes().map(folded).eq(b.bytes().map(folded))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tp(topic: &str, partition: u32) -> TopicPartition {
        TopicPartition::new(topic, partition)
    }

    #[test]
    fn a_file_name_is_twenty_digits_and_a_suffix_and_reads_back() {
        assert_eq!(file_name(Offset(42), FileKind::Log), "00000000000000000042.log");
        assert_eq!(file_name(Offset::MAX, FileKind::Snapshot), "09223372036854775807.snapshot");
        for kind in FileKind::ALL {
            for state in [FileState::Live, FileState::Deleted, FileState::Cleaned, FileState::Swap] {
                let name = file_name_in_state(Offset(7), kind, state);
                assert_eq!(parse_file_name(&name), Some(SegmentFileName { base: Offset(7), kind, state }), "{name}");
            }
        }
    }

    #[test]
    fn strangers_are_not_taken_for_segment_files() {
        for name in [
            "",
            "42.log",
            "0000000000000000042.log",
            "000000000000000000042.log",
            "00000000000000000042.logs",
            "00000000000000000042",
            "+0000000000000000042.log",
            "-0000000000000000042.log",
            "99999999999999999999.log",
            "09223372036854775808.log",
            "00000000000000000042.log.tmp",
            "00000000000000000042.log.deleted.swap",
            "leader-epoch-checkpoint",
            "partition.metadata",
            "0000000000000000004é.log",
        ] {
            assert_eq!(parse_file_name(name), None, "{name}");
        }
    }

    #[test]
    fn a_directory_name_splits_at_its_last_hyphen() {
        assert_eq!(parse_dir_name("orders-3"), Some((tp("orders", 3), DirMark::Live)));
        assert_eq!(parse_dir_name("a-b-c-0"), Some((tp("a-b-c", 0), DirMark::Live)));
        assert_eq!(parse_dir_name("a.b--12"), Some((tp("a.b-", 12), DirMark::Live)));
        assert_eq!(parse_dir_name("x-delete-1"), Some((tp("x-delete", 1), DirMark::Live)));
        for name in ["", "-", "orders", "orders-", "-3", "orders-x", "orders-+1", "orders--1x", "orders-2147483648"] {
            assert_eq!(parse_dir_name(name), None, "{name}");
        }
        for name in ["orders-3-delete", "orders-3.-delete", "orders.abc-delete", "or ders-3", "..-1", "orders-07"] {
            assert_eq!(parse_dir_name(name), None, "{name}");
        }
    }

    #[test]
    fn a_marked_directory_reads_back_and_never_gets_longer_than_a_file_name_may() {
        for mark in [DirMark::Live, DirMark::Deleted, DirMark::Stray, DirMark::Future] {
            let name = marked_dir_name(&tp("a.b-c", 10), 0xabc, mark);
            assert_eq!(parse_dir_name(&name), Some((tp("a.b-c", 10), mark)), "{name}");
        }
        assert_eq!(
            marked_dir_name(&tp("t", 1), 0xabc, DirMark::Deleted),
            "t-1.00000000000000000000000000000abc-delete"
        );
        let long = "n".repeat(TOPIC_NAME_BYTES_MAX);
        for mark in [DirMark::Deleted, DirMark::Stray] {
            let name = marked_dir_name(&tp(&long, i32::MAX as u32), u128::MAX, mark);
            assert_eq!(name.len(), FILE_NAME_BYTES_MAX);
            let (partition, read) = parse_dir_name(&name).unwrap();
            assert_eq!((partition.partition, read), (i32::MAX as u32, mark));
        }
        assert!(marked_dir_name(&tp(&long, 0), 1, DirMark::Future).starts_with(&long), "a future name is not cut");
    }

    #[test]
    fn topic_names_follow_kafkas_rule() {
        for name in ["a", "A.b_c-9", "...", "__consumer_offsets", &"x".repeat(249)] {
            assert!(validate_topic_name(name).is_ok(), "{name}");
        }
        for name in ["", ".", "..", &"x".repeat(250), "a b", "a/b", "ä", "a\0", "a:b"] {
            assert_eq!(validate_topic_name(name).unwrap_err().code(), ErrorCode::INVALID_TOPIC_EXCEPTION, "{name}");
        }
    }

    #[test]
    fn a_dot_and_an_underscore_are_the_same_for_collisions() {
        assert!(collides("a.b", "a_b"));
        assert!(collides("a_b.c", "a.b_c"));
        assert!(!collides("a.b", "a-b"));
        assert!(!collides("a.b", "a_bc"));
    }
}
