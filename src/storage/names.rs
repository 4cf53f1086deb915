//! The names of files, directories and topics.

use crate::error::Result;
use crate::types::{Offset, TopicPartition};

/// The files of a segment, and the snapshot that goes with it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum FileKind {
    Log,
    Index,
    TimeIndex,
    TxnIndex,
    Snapshot,
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

/// A parsed file name of a partition directory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SegmentFileName {
    pub base: Offset,
    pub kind: FileKind,
    pub state: FileState,
}

/// `00000000000000000042.log`.
pub fn file_name(base: Offset, kind: FileKind) -> String {
    let _ = (base, kind);
    todo!()
}
/// With its state's suffix: `00000000000000000042.log.deleted`.
pub fn file_name_in_state(base: Offset, kind: FileKind, state: FileState) -> String {
    let _ = (base, kind, state);
    todo!()
}
/// `None` for names that are not of this form (checkpoints, strangers).
pub fn parse_file_name(name: &str) -> Option<SegmentFileName> {
    let _ = name;
    todo!()
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

/// `topic-3`.
pub fn partition_dir_name(partition: &TopicPartition) -> String {
    let _ = partition;
    todo!()
}
/// `topic-3.<32 hex>-delete` and the like; deleted and stray names are cut to 255 bytes.
pub fn marked_dir_name(partition: &TopicPartition, unique: u128, mark: DirMark) -> String {
    let _ = (partition, unique, mark);
    todo!()
}
/// Reads a partition directory's name; `None` when it is none.
pub fn parse_dir_name(name: &str) -> Option<(TopicPartition, DirMark)> {
    let _ = name;
    todo!()
}
/// INVALID_TOPIC_EXCEPTION unless 1 to 249 characters of `[a-zA-Z0-9._-]` and neither `.` nor `..`.
pub fn validate_topic_name(name: &str) -> Result<()> {
    let _ = name;
    todo!()
}
/// Whether two names are equal once `.` is taken for `_` (metric names would collide).
pub fn collides(a: &str, b: &str) -> bool {
    let _ = (a, b);
    todo!()
}
