//! Verification: every byte that a reader would trust is looked at.

use super::check_partition::check_partition;
use super::check_segment::{check_segment, Tail};
use super::view::{list, partition_dirs, segment_bases};
use super::walk::base_of;
use crate::disk::RealDisk;
use crate::error::{Error, ErrorCode, Result};
use crate::node::read_catalogue;
use crate::storage::checkpoint::{HIGH_WATERMARK_FILE, LOG_START_FILE, RECOVERY_POINT_FILE};
use crate::storage::meta_properties::{MetaProperties, META_PROPERTIES_FILE};
use crate::storage::names::{parse_dir_name, DirMark, FileKind};
use crate::storage::{OffsetCheckpoint, ProducerStates};
use crate::types::{Offset, TopicPartition};
use std::fmt;
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
    /// Where sound bytes begin again, for damage inside a log that has some.
    pub(super) ends_at: Option<u64>,
    /// Records that are lost or doubtful, as far as anything says so.
    pub(super) records: u64,
    /// The name of the partition's directory, where the file is one for many.
    pub(super) partition: Option<String>,
}

impl Damage {
    pub(super) fn new(severity: Severity, kind: DamageKind, file: &Path, what: impl fmt::Display) -> Damage {
        Damage {
            severity,
            kind,
            file: file.to_owned(),
            position: None,
            offset: None,
            what: what.to_string(),
            remedy: kind.remedy().into(),
            ends_at: None,
            records: 0,
            partition: None,
        }
    }

    pub(super) fn at(mut self, position: u64) -> Damage {
        self.position = Some(position);
        self
    }

    pub(super) fn losing_from(mut self, offset: Offset) -> Damage {
        self.offset = Some(offset.0);
        self
    }

    pub(super) fn remedy(mut self, remedy: impl Into<String>) -> Damage {
        self.remedy = remedy.into();
        self
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(position) = self.position {
            write!(f, ", byte {position}")?;
        }
        if let Some(offset) = self.offset {
            write!(f, ", offset {offset}")?;
        }
        write!(f, ": {} ({:?}, {:?}); {}", self.what, self.kind, self.severity, self.remedy)
    }
}

impl DamageKind {
    /// What `repair` does about it, where nothing more particular is known.
    fn remedy(self) -> &'static str {
        match self {
            DamageKind::TornTail => "the next open cuts it",
            DamageKind::BadHeader | DamageKind::BadChecksum | DamageKind::BadRecords | DamageKind::OffsetOrder => {
                "repair takes the damaged stretch out"
            }
            DamageKind::BrokenChain => "nothing brings the records back; readers go on at the next segment",
            DamageKind::BadIndex | DamageKind::MissingFile => "repair writes the indexes anew from the log",
            DamageKind::BadSmallFile => "repair removes it, and the next open makes it anew",
            DamageKind::CheckpointAhead => "nothing brings the records back; repair lowers the checkpoint",
            DamageKind::Stray => "the next open clears it away",
        }
    }
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
    pub(super) fn add(&mut self, damage: Damage) {
        self.damages.push(damage);
    }

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
    let mut report = CheckReport::default();
    if !path.is_dir() {
        let base = base_of(path, FileKind::Log)?;
        let tail = Tail { is_last: true, durable: Offset::ZERO };
        check_segment(path, base, scope, tail, &mut ProducerStates::new(), &mut report)?;
        return Ok(report);
    }
    match partition_named(path) {
        Some(id) if !segment_bases(path)?.is_empty() => {
            check_partition(&id, path, scope, &Known::default(), &mut report)?;
        }
        _ => check_data_dir(path, scope, &mut report)?,
    }
    Ok(report)
}

/// The partition that a directory is named after; `.` and links are asked for their own name too.
pub(super) fn partition_named(dir: &Path) -> Option<TopicPartition> {
    let named = |dir: &Path| Some(parse_dir_name(dir.file_name()?.to_str()?)?.0);
    named(dir).or_else(|| named(&std::fs::canonicalize(dir).ok()?))
}

/// What the data directory's checkpoints say about one partition.
#[derive(Clone, Copy, Default)]
pub(super) struct Known {
    pub recovery_point: Option<Offset>,
    pub high_watermark: Option<Offset>,
    pub log_start: Option<Offset>,
    /// Compaction leaves holes.
    pub is_compacted: bool,
}

fn check_data_dir(dir: &Path, scope: CheckScope, report: &mut CheckReport) -> Result<()> {
    let mut checkpoint = |name: &str| match OffsetCheckpoint::read(&RealDisk, &dir.join(name)) {
        Ok(read) => read,
        Err(error) => {
            let damage = Damage::new(Severity::Rebuildable, DamageKind::BadSmallFile, &dir.join(name), error.message());
            report.add(damage);
            OffsetCheckpoint::default()
        }
    };
    // Before the logs: a live writer's checkpoints never run ahead of what is read after them.
    let recovery_points = checkpoint(RECOVERY_POINT_FILE);
    let high_watermarks = checkpoint(HIGH_WATERMARK_FILE);
    let log_starts = checkpoint(LOG_START_FILE);
    let compacted = checkpoint("cleaner-offset-checkpoint");
    check_identity(dir, report);
    for entry in list(dir)? {
        if let (true, Some((_, mark @ (DirMark::Deleted | DirMark::Stray | DirMark::Future)))) =
            (entry.is_dir, parse_dir_name(&entry.name))
        {
            let what = format!("a directory that is marked {mark:?}");
            report.add(Damage::new(Severity::Leftover, DamageKind::Stray, &dir.join(&entry.name), what));
        }
    }
    for (id, path) in partition_dirs(dir)? {
        let of = |checkpoint: &OffsetCheckpoint| checkpoint.offsets.get(&id).copied();
        let known = Known {
            recovery_point: of(&recovery_points),
            high_watermark: of(&high_watermarks),
            log_start: of(&log_starts),
            is_compacted: of(&compacted).is_some(),
        };
        check_one(&id, &path, scope, &known, report);
    }
    Ok(())
}

/// One partition that cannot be looked at does not hide the others.
fn check_one(id: &TopicPartition, path: &Path, scope: CheckScope, known: &Known, report: &mut CheckReport) {
    match check_partition(id, path, scope, known, report) {
        // Deleted while it was looked at.
        Err(_) if !path.exists() => {}
        Err(error) => {
            let what = format!("cannot be read: {}", error.message());
            let damage = Damage::new(Severity::Loss, DamageKind::MissingFile, path, what);
            report.add(damage.remedy("nothing: see why the system refuses"));
        }
        Ok(()) => {}
    }
}

fn check_identity(dir: &Path, report: &mut CheckReport) {
    if let Err(error) = MetaProperties::read(&RealDisk, dir) {
        let file = dir.join(META_PROPERTIES_FILE);
        let damage = Damage::new(Severity::Rebuildable, DamageKind::BadSmallFile, &file, error.message());
        report.add(damage.remedy("repair removes it, and the next open claims the directory anew"));
    }
    if let Err(error) = read_catalogue(&RealDisk, dir) {
        // A newer program's catalogue is not damaged, and nobody may call it so.
        if error.code() != ErrorCode::UNSUPPORTED_VERSION {
            report.add(damaged_catalogue(dir, &error));
        }
    }
}

fn damaged_catalogue(dir: &Path, error: &Error) -> Damage {
    let damage =
        Damage::new(Severity::Rebuildable, DamageKind::BadSmallFile, &dir.join("kafkalog-topics"), error.message());
    damage.remedy("repair moves it away: the next open finds the topics by their directories, without their settings")
}
