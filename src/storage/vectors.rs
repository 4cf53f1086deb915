//! The partition directories that Apache Kafka's classes wrote, for the tests of the small rooms.

use super::names::{parse_file_name, FileKind, SegmentFileName};
use std::path::{Path, PathBuf};

/// One directory and its entry of the manifest.
pub(super) struct Vector {
    pub(super) dir: PathBuf,
    pub(super) manifest: serde_json::Value,
}

impl Vector {
    /// Its files of one kind, in the order of their offsets.
    pub(super) fn files(&self, kind: FileKind) -> Vec<(SegmentFileName, PathBuf)> {
        let entries = std::fs::read_dir(&self.dir).unwrap().map(|entry| entry.unwrap().path());
        let named = entries.filter_map(|path| Some((parse_file_name(path.file_name()?.to_str()?)?, path)));
        let mut files: Vec<_> = named.filter(|(name, _)| name.kind == kind).collect();
        files.sort_by_key(|(name, _)| name.base);
        files
    }

    /// The manifest's numbers for the segment at `base`.
    pub(super) fn segment(&self, base: u64) -> &serde_json::Value {
        let segments = self.manifest["summary"]["segments"].as_array().unwrap();
        segments.iter().find(|segment| segment["base_offset"] == base).unwrap()
    }
}

/// All of them.
pub(super) fn segments(shared: &Path) -> Vec<Vector> {
    let folder = shared.join("vectors/segments");
    let text = std::fs::read(folder.join("manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&text).unwrap();
    let entries = manifest["entries"].as_array().unwrap().iter();
    let vectors =
        entries.map(|entry| Vector { dir: folder.join(entry["dir"].as_str().unwrap()), manifest: entry.clone() });
    let vectors: Vec<Vector> = vectors.collect();
    assert!(!vectors.is_empty());
    vectors
}
