//! Verification: every byte that a reader would trust is looked at.

use crate::error::Result;
use std::path::{Path, PathBuf};

/// What to look at.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum CheckScope {
    /// Everything, records parsed.
    #[default]
    All,
    /// Logs only, no indexes and no small files.
    Logs,
}

/// How bad it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Severity {
    /// Not damage: what a crash or a live writer leaves, mended by the next open (a torn tail, a zero index tail).
    Leftover,
    /// A cache that can be rebuilt from the log: no record is lost.
    Rebuildable,
    /// Records are lost or doubtful.
    Loss,
}

/// What kind of damage.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum DamageKind {
    /// Bytes at the end of the last segment that are no whole batch.
    TornTail,
    /// A batch header that makes no sense.
    BadHeader,
    /// A batch whose checksum does not fit.
    BadChecksum,
    /// A batch whose checksum fits and whose records do not parse.
    BadRecords,
    /// Offsets that do not increase.
    OffsetOrder,
    /// A segment that does not begin where its name says, or overlaps the next.
    BrokenChain,
    /// An index entry that contradicts the log.
    BadIndex,
    /// A file that belongs to a segment and is not there.
    MissingFile,
    /// A checkpoint, snapshot or metadata file that does not parse.
    BadSmallFile,
    /// A checkpoint that names offsets that the log does not have.
    CheckpointAhead,
    /// A file or directory that belongs to nothing.
    Stray,
}

/// One place of damage.
#[derive(Clone, Debug)]
pub struct Damage {
    pub severity: Severity,
    pub kind: DamageKind,
    pub file: PathBuf,
    /// Byte in the file, where there is one.
    pub position: Option<u64>,
    /// The offset that is lost or doubtful first, where there is one.
    pub offset: Option<u64>,
    /// What is wrong, in one sentence.
    pub what: String,
    /// What `repair` would do, in one sentence.
    pub remedy: String,
}

/// What a check found.
#[derive(Clone, Debug, Default)]
pub struct CheckReport {
    pub partitions: u64,
    pub segments: u64,
    pub batches: u64,
    pub records: u64,
    pub bytes: u64,
    pub damages: Vec<Damage>,
}

impl CheckReport {
    /// Whether nothing worse than leftovers was found.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.damages.iter().all(|d| d.severity == Severity::Leftover)
    }
}

/// Verifies a data directory, one partition's directory, or one `.log` file. Beside a live writer the tail that is just being
/// written counts as a leftover.
///
/// # Errors
/// Only when nothing could be looked at: what cannot be read inside is a [`Damage`].
pub fn check(path: &Path, scope: CheckScope) -> Result<CheckReport> {
    let _ = (path, scope);
    todo!()
}
