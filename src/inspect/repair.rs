//! Mending on request: first the plan, then, if the user agrees, the doing.

use super::check::partition_named;
use super::mend::Mender;
use super::{check, CheckReport, CheckScope, Damage, DamageKind, Severity};
use crate::error::{Error, ErrorCode, Result};
use crate::storage::leader_epochs::LEADER_EPOCH_FILE;
use crate::storage::MARK_FILE;
use std::fmt;
use std::path::{Path, PathBuf};

/// One thing that a repair does.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[non_exhaustive]
pub enum RepairStep {
    /// Takes one damaged stretch out of a log; what lies behind stays. `records` are missing afterwards, at most.
    CutOut { log: PathBuf, from_byte: u64, to_byte: u64, records: u64, from_offset: u64 },
    /// Cuts bytes off the end of a log. `records` is what the damaged header or a checkpoint says that there were.
    Truncate { log: PathBuf, keep_bytes: u64, cut_bytes: u64, records: u64, from_offset: u64 },
    /// Writes the offset, time and transaction index of a segment anew from the logs. Loses nothing.
    RebuildIndexes { log: PathBuf },
    /// Writes `leader-epoch-checkpoint` anew from the logs. Loses nothing.
    RebuildEpochs { partition: PathBuf },
    /// Moves a file away that the next open makes anew. Loses no record.
    RemoveFile { file: PathBuf },
    /// Lowers what a checkpoint promises to what the log has, so that the directory opens again. The promised records are lost already.
    LowerCheckpoint { file: PathBuf, partition: PathBuf, to_offset: u64 },
}

/// What mending a directory would take.
#[derive(Debug)]
pub struct Repair {
    dir: PathBuf,
    steps: Vec<RepairStep>,
    report: CheckReport,
}

/// What a repair did.
#[derive(Clone, Debug, Default)]
pub struct RepairReport {
    pub done: Vec<RepairStep>,
    /// Copies of the files as they were, one for each that was changed.
    pub copies: Vec<PathBuf>,
    /// What is still wrong afterwards.
    pub remaining: Vec<Damage>,
}

impl Repair {
    /// Checks a data directory and says what mending it would take. Changes nothing.
    ///
    /// # Errors
    /// As for [`check`](super::check); `INVALID_ARG` for a partition's own directory or a file: repair needs the lock of the
    /// whole data directory.
    pub fn plan(dir: &Path) -> Result<Repair> {
        let is_partition = partition_named(dir).is_some() && dir.join(LEADER_EPOCH_FILE).exists();
        if is_partition || dir.is_file() {
            let message = format!("{} is not a data directory; repair works on the whole of one", dir.display());
            return Err(Error::new(ErrorCode::INVALID_ARG, message));
        }
        let report = check(dir, CheckScope::All)?;
        let mut steps: Vec<RepairStep> = report.damages.iter().flat_map(|damage| steps_for(dir, damage)).collect();
        // Logs first, back to front within a file, so that positions stay true; then what is made from them.
        steps.sort_by_key(order);
        steps.dedup();
        Ok(Repair { dir: dir.to_owned(), steps, report })
    }

    /// The steps, in the order they would be taken.
    #[must_use]
    pub fn steps(&self) -> &[RepairStep] {
        &self.steps
    }

    /// What the check found.
    #[must_use]
    pub fn report(&self) -> &CheckReport {
        &self.report
    }

    /// At most how many records would be lost, as far as headers and checkpoints say.
    #[must_use]
    pub fn records_lost_max(&self) -> u64 {
        let lost = |step: &RepairStep| match step {
            RepairStep::CutOut { records, .. } | RepairStep::Truncate { records, .. } => *records,
            _ => 0,
        };
        self.steps.iter().map(lost).sum()
    }

    /// Takes the writer's lock, keeps a copy of each file that is about to change and takes the steps that `agree` says
    /// yes to. Copies lie in `<dir>.damaged-<n>` beside the data directory.
    ///
    /// # Errors
    /// `STATE` when a writer has the directory open; what writing met (then what was done so far stays, and the copies too).
    pub fn apply(self, mut agree: impl FnMut(&RepairStep) -> bool) -> Result<RepairReport> {
        let mut mender = Mender::open(&self.dir)?;
        let mut report = RepairReport::default();
        for step in self.steps {
            if agree(&step) {
                mender.take(&step)?;
                report.done.push(step);
            }
        }
        report.copies = mender.finish()?;
        report.remaining = check(&self.dir, CheckScope::All)?.damages;
        report.remaining.retain(|damage| damage.severity != Severity::Leftover);
        Ok(report)
    }
}

fn order(step: &RepairStep) -> (u8, PathBuf, u64) {
    match step {
        RepairStep::CutOut { log, from_byte, .. } => (0, log.clone(), u64::MAX - from_byte),
        RepairStep::Truncate { log, keep_bytes, .. } => (0, log.clone(), u64::MAX - keep_bytes),
        RepairStep::RebuildIndexes { log } => (1, log.clone(), 0),
        RepairStep::RebuildEpochs { partition } => (2, partition.clone(), 0),
        RepairStep::RemoveFile { file } => (3, file.clone(), 0),
        RepairStep::LowerCheckpoint { file, partition, .. } => (4, file.join(partition), 0),
    }
}

fn steps_for(dir: &Path, damage: &Damage) -> Vec<RepairStep> {
    let file = damage.file.clone();
    if damage.severity == Severity::Leftover {
        return Vec::new();
    }
    match damage.kind {
        DamageKind::BadHeader | DamageKind::BadChecksum | DamageKind::BadRecords | DamageKind::OffsetOrder => {
            let (Some(at), Some(from_offset)) = (damage.position, damage.offset) else { return Vec::new() };
            let epochs = file.parent().map(|partition| RepairStep::RebuildEpochs { partition: partition.to_owned() });
            let (log, records) = (file.clone(), damage.records);
            let cut = match damage.ends_at {
                Some(to_byte) => RepairStep::CutOut { log, from_byte: at, to_byte, records, from_offset },
                None => {
                    let cut_bytes = file.metadata().map_or(0, |found| found.len().saturating_sub(at));
                    RepairStep::Truncate { log, keep_bytes: at, cut_bytes, records, from_offset }
                }
            };
            [Some(cut), Some(RepairStep::RebuildIndexes { log: file }), epochs].into_iter().flatten().collect()
        }
        DamageKind::BadIndex | DamageKind::MissingFile if file.extension().is_some() => {
            vec![RepairStep::RebuildIndexes { log: file.with_extension("log") }]
        }
        DamageKind::BadSmallFile if file.file_name().is_some_and(|name| name == LEADER_EPOCH_FILE) => {
            file.parent().map(|dir| RepairStep::RebuildEpochs { partition: dir.to_owned() }).into_iter().collect()
        }
        DamageKind::BadSmallFile => vec![RepairStep::RemoveFile { file }],
        DamageKind::CheckpointAhead => {
            let Some(to_offset) = damage.offset else { return Vec::new() };
            if file.file_name().is_some_and(|name| name == MARK_FILE) {
                return vec![RepairStep::RemoveFile { file }];
            }
            let Some(partition) = &damage.partition else { return Vec::new() };
            vec![RepairStep::LowerCheckpoint { file, partition: dir.join(partition), to_offset }]
        }
        _ => Vec::new(),
    }
}

impl fmt::Display for RepairStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RepairStep::CutOut { log, from_byte, to_byte, records, from_offset } => {
                let (log, bytes) = (log.display(), to_byte - from_byte);
                write!(f, "take {bytes} damaged bytes out of {log} at byte {from_byte}: ")?;
                write!(f, "at most {records} records from offset {from_offset} on are lost")
            }
            RepairStep::Truncate { log, keep_bytes, cut_bytes, records, from_offset } => {
                write!(f, "cut the last {cut_bytes} bytes off {} at byte {keep_bytes}: ", log.display())?;
                write!(f, "some {records} records from offset {from_offset} on are lost")
            }
            RepairStep::RebuildIndexes { log } => write!(f, "write the indexes of {} anew", log.display()),
            RepairStep::RebuildEpochs { partition } => {
                write!(f, "write {} anew", partition.join(LEADER_EPOCH_FILE).display())
            }
            RepairStep::RemoveFile { file } => write!(f, "move {} away; the next open makes it anew", file.display()),
            RepairStep::LowerCheckpoint { file, partition, to_offset } => {
                write!(f, "lower the entry of {} in {} to {to_offset}", partition.display(), file.display())
            }
        }
    }
}
