//! Mending on request: first the plan, then, if the user agrees, the doing.

use super::{CheckReport, Damage};
use crate::error::Result;
use std::path::{Path, PathBuf};

/// One thing that a repair does.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum RepairStep {
    /// Writes the indexes of a segment anew from its log. Loses nothing.
    RebuildIndexes { log: PathBuf },
    /// Removes a file that can be made anew from the logs by the next open. Loses nothing.
    RemoveFile { file: PathBuf },
    /// Cuts bytes off the end of a log. `records` is what its headers say, at most.
    Truncate { log: PathBuf, keep_bytes: u64, cut_bytes: u64, records: u64, from_offset: u64 },
    /// Takes one damaged stretch out of a log; what lies behind stays. `records` at most are lost.
    CutOut { log: PathBuf, from_byte: u64, to_byte: u64, records: u64, from_offset: u64 },
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
    /// As for [`check`](super::check).
    pub fn plan(dir: &Path) -> Result<Repair> {
        let _ = dir;
        todo!()
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

    /// At most how many records would be lost.
    #[must_use]
    pub fn records_lost_max(&self) -> u64 {
        todo!()
    }

    /// Takes the writer's lock, keeps a copy of each file that is about to change and takes the steps that `agree` says
    /// yes to. Copies lie in `<dir>.damaged-<n>` beside the data directory.
    ///
    /// # Errors
    /// `STATE` when a writer has the directory open; what writing met (then what was done so far stays, and the copies too).
    pub fn apply(self, agree: impl FnMut(&RepairStep) -> bool) -> Result<RepairReport> {
        let _ = (agree, &self.dir);
        todo!()
    }
}
