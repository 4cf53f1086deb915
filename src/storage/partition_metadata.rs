//! `partition.metadata`: the topic id of a partition directory. And topic ids as text.

use crate::disk::Disk;
use crate::error::Result;
use std::path::Path;

/// The file's name inside a partition directory.
pub const PARTITION_METADATA_FILE: &str = "partition.metadata";

/// Reads the topic id; `None` when there is no file. CORRUPT_MESSAGE when malformed.
pub fn read(disk: &dyn Disk, dir: &Path) -> Result<Option<[u8; 16]>> {
    let _ = (disk, dir);
    todo!()
}
/// Writes the topic id; atomic, durable on return.
pub fn write(disk: &dyn Disk, dir: &Path, topic_id: &[u8; 16]) -> Result<()> {
    let _ = (disk, dir, topic_id);
    todo!()
}
/// A random id whose text does not begin with `-`.
pub fn random_id() -> Result<[u8; 16]> {
    todo!()
}
/// URL-safe base64 without padding, 22 characters.
pub fn format_id(id: &[u8; 16]) -> String {
    let _ = id;
    todo!()
}
/// The reverse; `None` for anything else.
pub fn parse_id(text: &str) -> Option<[u8; 16]> {
    let _ = text;
    todo!()
}
