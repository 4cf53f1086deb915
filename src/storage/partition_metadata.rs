//! `partition.metadata`: which topic id a partition directory belongs to. And such ids as text.
//!
//! ```text
//! version: 0
//! topic_id: AAAAAAAAAAAAAAAAAAAAKw        <- and no line end behind it
//! ```

use super::checkpoint::{read_file, replace_file};
use crate::disk::Disk;
use crate::error::{Error, ErrorCode, Result};
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::Engine;
use std::path::Path;

/// The file's name inside a partition directory.
pub const PARTITION_METADATA_FILE: &str = "partition.metadata";

/// The file is only believed up to this size.
const METADATA_BYTES_MAX: u64 = 4096;

/// Reads the topic id; `None` when there is no file. CORRUPT_MESSAGE when it is malformed.
pub fn read(disk: &dyn Disk, dir: &Path) -> Result<Option<[u8; 16]>> {
    let path = dir.join(PARTITION_METADATA_FILE);
    let Some(bytes) = read_file(disk, &path, METADATA_BYTES_MAX)? else { return Ok(None) };
    let malformed = |why: &str| Error::new(ErrorCode::CORRUPT_MESSAGE, format!("{} {why}", path.display()));
    let text = std::str::from_utf8(&bytes).map_err(|_| malformed("is not UTF-8"))?;
    let mut lines = text.lines();
    let mut field = |name: &str| {
        let (key, value) = lines.next()?.split_once(':')?;
        (key.trim() == name).then_some(value.trim())
    };
    // Kafka accepts any version that is not negative: what it needs stands in the same place.
    let version = field("version").and_then(|version| version.parse::<u32>().ok());
    version.ok_or_else(|| malformed("does not begin with a version"))?;
    let id = field("topic_id").ok_or_else(|| malformed("has no topic_id in its second line"))?;
    let id =
        parse_id(id).filter(|id| *id != [0; 16]).ok_or_else(|| malformed(&format!("has no valid topic id: {id:?}")))?;
    if lines.next().is_some() {
        return Err(malformed("has a third line"));
    }
    Ok(Some(id))
}

/// Writes the topic id; atomic, durable on return.
pub fn write(disk: &dyn Disk, dir: &Path, topic_id: &[u8; 16]) -> Result<()> {
    let text = format!("version: 0\ntopic_id: {}", format_id(topic_id));
    replace_file(disk, &dir.join(PARTITION_METADATA_FILE), text.as_bytes())
}

/// A random id whose text does not begin with `-` (command lines would take it for an option).
pub fn random_id() -> Result<[u8; 16]> {
    loop {
        let mut id = [0; 16];
        getrandom::fill(&mut id)
            .map_err(|e| Error::new(ErrorCode::KAFKA_STORAGE_ERROR, format!("no random numbers to be had: {e}")))?;
        // Kafka keeps small numbers for itself.
        if id[..8] != [0; 8] && !format_id(&id).starts_with('-') {
            return Ok(id);
        }
    }
}

/// URL-safe base64 without padding: 22 characters.
#[must_use]
pub fn format_id(id: &[u8; 16]) -> String {
    URL_SAFE_NO_PAD.encode(id)
}

/// The reverse of [`format_id`]; `None` for anything else.
#[must_use]
pub fn parse_id(text: &str) -> Option<[u8; 16]> {
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::RealDisk;

    #[test]
    fn what_is_written_is_kafkas_text_and_reads_back() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(&RealDisk, dir.path()).unwrap(), None);
        let mut id = [0; 16];
        id[15] = 0x2b;
        write(&RealDisk, dir.path(), &id).unwrap();
        let text = std::fs::read_to_string(dir.path().join(PARTITION_METADATA_FILE)).unwrap();
        assert_eq!(text, "version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAKw");
        assert_eq!(read(&RealDisk, dir.path()).unwrap(), Some(id));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let id = "topic_id: AAAAAAAAAAAAAAAAAAAAKw";
        let good = [format!("version: 0\n{id}"), format!("version: 7\r\n{id}\n"), format!("version:0\n{id}")];
        let bad = [
            String::new(),
            "version: 0".into(),
            format!("version: -1\n{id}"),
            format!("version: x\n{id}"),
            format!("{id}\nversion: 0"),
            format!("version: 0\n{id}\nmore"),
            "version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAA".into(),
            "version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAK".into(),
            "version: 0\ntopic_id: ".into(),
        ];
        for (text, is_good) in good.iter().map(|text| (text, true)).chain(bad.iter().map(|text| (text, false))) {
            std::fs::write(dir.path().join(PARTITION_METADATA_FILE), text).unwrap();
            match read(&RealDisk, dir.path()) {
                Ok(read) => assert!(is_good && read.is_some(), "{text:?}"),
                Err(error) => assert!(!is_good && error.code() == ErrorCode::CORRUPT_MESSAGE, "{text:?}: {error}"),
            }
        }
    }

    #[test]
    fn random_ids_differ_and_their_text_is_harmless() {
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..1000 {
            let id = random_id().unwrap();
            let text = format_id(&id);
            assert_eq!(text.len(), 22);
            assert!(!text.starts_with('-'));
            assert_eq!(parse_id(&text), Some(id));
            assert!(seen.insert(id));
        }
    }

    #[test]
    fn kafkas_own_files_are_read() {
        let Some(shared) = crate::testing::shared() else { return };
        for vector in crate::storage::vectors::segments(&shared) {
            let expected = vector.manifest["summary"]["topic_id"].as_str().and_then(parse_id);
            assert_eq!(read(&RealDisk, &vector.dir).unwrap(), expected, "{}", vector.dir.display());
        }
    }
}
