//! One partition: its segments as a chain, and the small files around them.

use super::check::{CheckReport, CheckScope, Damage, DamageKind, Known, Severity};
use super::check_segment::{check_segment, Found, Tail};
use super::dump::{real_disk, LogDump, TxnDump};
use super::view::{list, segment_bases};
use crate::error::Result;
use crate::storage::checkpoint::{LOG_START_FILE, RECOVERY_POINT_FILE};
use crate::storage::leader_epochs::LEADER_EPOCH_FILE;
use crate::storage::names::{file_name, parse_file_name, FileKind, FileState};
use crate::storage::partition_metadata::{self, PARTITION_METADATA_FILE};
use crate::storage::{read_flushed_mark, AbortedTxn, LeaderEpochs, OffsetCheckpoint, ProducerStates, MARK_FILE};
use crate::types::{LeaderEpoch, Offset, TopicPartition};
use std::path::Path;

pub(super) fn check_partition(
    id: &TopicPartition,
    dir: &Path,
    scope: CheckScope,
    known: &Known,
    report: &mut CheckReport,
) -> Result<()> {
    report.partitions += 1;
    // Before the logs, as with the checkpoints.
    let marked = read_flushed_mark(&crate::disk::RealDisk, dir);
    let bases = segment_bases(dir)?;
    let mut whole = Found {
        first: None,
        end: Offset::ZERO,
        epochs: Vec::new(),
        has_holes: known.is_compacted,
        aborted: Vec::new(),
    };
    let mut producers = ProducerStates::new();
    let mut gaps = Vec::new();
    for (index, base) in bases.iter().enumerate() {
        let log = dir.join(file_name(*base, FileKind::Log));
        let is_last = index + 1 == bases.len();
        let durable = marked.max(known.recovery_point).unwrap_or(Offset::ZERO);
        let found = match check_segment(&log, *base, scope, Tail { is_last, durable }, &mut producers, report) {
            Ok(found) => found,
            // Retention took it while we looked.
            Err(error) if error.io_kind() == Some(std::io::ErrorKind::NotFound) => continue,
            Err(error) => return Err(error),
        };
        if scope == CheckScope::All {
            check_txn_index(dir, *base, &found.aborted, whole.first.or(found.first), report);
        }
        if index > 0 && *base != whole.end {
            gaps.push((log, whole.end, *base));
        }
        whole.has_holes |= found.has_holes;
        whole.first = whole.first.or(found.first);
        whole.end = found.end.max(*base);
        for run in found.epochs {
            if whole.epochs.last().is_none_or(|(last, _)| *last != run.0) {
                whole.epochs.push(run);
            }
        }
    }
    report_gaps(&gaps, whole.has_holes, report);
    check_ends(id, dir, known, marked, whole.end, report);
    if scope == CheckScope::All {
        check_epochs(id, dir, known, &whole, report)?;
        check_small_files(dir, &bases, whole.end, report)?;
    }
    Ok(())
}

fn report_gaps(gaps: &[(std::path::PathBuf, Offset, Offset)], has_holes: bool, report: &mut CheckReport) {
    for (log, end, base) in gaps {
        if base < end {
            let what = format!("it begins at offset {base}, but the segment before it ends at {end}");
            report.add(Damage::new(Severity::Loss, DamageKind::BrokenChain, log, what).losing_from(*base));
        } else if !has_holes {
            // In a compacted log the last records of a segment may be gone; anywhere else a segment or its end is.
            let what = format!("offsets {end} to {base} are missing before it");
            report.add(Damage::new(Severity::Loss, DamageKind::BrokenChain, log, what).losing_from(*end));
        }
    }
}

/// Checkpoints that promise more than the log has.
fn check_ends(
    id: &TopicPartition,
    dir: &Path,
    known: &Known,
    marked: Option<Offset>,
    end: Offset,
    report: &mut CheckReport,
) {
    let around = dir.parent().unwrap_or(dir);
    let promises = [
        (marked, dir.join(MARK_FILE), "was flushed"),
        (known.recovery_point, around.join(RECOVERY_POINT_FILE), "was flushed"),
        (known.log_start, around.join(LOG_START_FILE), "was deleted"),
    ];
    for (promised, file, what) in promises {
        if let Some(promised) = promised.filter(|promised| *promised > end) {
            let what = format!("{id}: everything below {promised} {what}, but the log ends at {end}");
            let mut damage = Damage::new(Severity::Loss, DamageKind::CheckpointAhead, &file, what).losing_from(end);
            damage.partition = dir.file_name().and_then(|name| name.to_str()).map(str::to_owned);
            damage.records = promised.since(end);
            report.add(damage);
        }
    }
    // A high watermark may be ahead of what a power cut left; the next open clamps it.
    if let Some(watermark) = known.high_watermark.filter(|watermark| *watermark > end) {
        let what = format!("{id}: the high watermark was {watermark}, the log ends at {end}");
        let damage = Damage::new(Severity::Leftover, DamageKind::CheckpointAhead, dir, what).losing_from(end);
        report.add(damage.remedy("the next open clamps it"));
    }
}

/// The epochs of the batches and those of the file have to tell the same story, from the log start on.
fn check_epochs(id: &TopicPartition, dir: &Path, known: &Known, whole: &Found, report: &mut CheckReport) -> Result<()> {
    let file = dir.join(LEADER_EPOCH_FILE);
    let (epochs, unreadable) = LeaderEpochs::open(&real_disk(), dir)?;
    let mut bad = |what: String| {
        let damage = Damage::new(Severity::Rebuildable, DamageKind::BadSmallFile, &file, what);
        report.add(damage.remedy("repair writes it anew from the log"));
    };
    if let Some(error) = unreadable {
        bad(error.message().to_owned());
        return Ok(());
    }
    if let Some((epoch, start)) = first_disagreement(&epochs, whole, known.log_start) {
        // Records were perhaps deleted while we looked, or this is a partition's directory alone: what does the checkpoint say now?
        let log_start = log_start_now(id, dir);
        if first_disagreement(&epochs, whole, known.log_start.max(log_start)).is_some() {
            let written = epochs.epoch_for_offset(start).map(|epoch| epoch.0);
            bad(format!("offset {start} was written in epoch {}, the file says {written:?}", epoch.0));
            return Ok(());
        }
    }
    // A leader that has not written yet stands behind the last batch, and the first epoch begins where the log does; nothing else
    // may stand where no batch begins.
    let unheard = epochs.entries().iter().skip(1).find(|(epoch, start)| {
        *start < whole.end
            && whole.first.is_some_and(|first| *start > first)
            && !whole.epochs.contains(&(*epoch, *start))
    });
    if let Some((epoch, start)) = unheard {
        bad(format!("it lets epoch {} begin at offset {start}, the log does not", epoch.0));
    }
    Ok(())
}

/// Where a batch is of another epoch than the file says. What lies below the log start was deleted, and is in the file no more.
fn first_disagreement(
    epochs: &LeaderEpochs,
    whole: &Found,
    log_start: Option<Offset>,
) -> Option<(LeaderEpoch, Offset)> {
    let log_start = log_start.unwrap_or(Offset::ZERO);
    let ends = whole.epochs.iter().skip(1).map(|(_, start)| *start).chain([whole.end]);
    let mut left = whole.epochs.iter().zip(ends).filter(|(_, end)| *end > log_start);
    left.find_map(|((epoch, start), _)| {
        let start = (*start).max(log_start);
        (epochs.epoch_for_offset(start) != Some(*epoch)).then_some((*epoch, start))
    })
}

fn log_start_now(id: &TopicPartition, dir: &Path) -> Option<Offset> {
    let (starts, _) = OffsetCheckpoint::read_lenient(&crate::disk::RealDisk, &dir.join("..").join(LOG_START_FILE));
    starts.offsets.get(id).copied()
}

/// `end` is where the log ended before the small files are looked at.
fn check_small_files(dir: &Path, bases: &[Offset], end: Offset, report: &mut CheckReport) -> Result<()> {
    if let Err(error) = partition_metadata::read(&crate::disk::RealDisk, dir) {
        let file = dir.join(PARTITION_METADATA_FILE);
        report.add(Damage::new(Severity::Rebuildable, DamageKind::BadSmallFile, &file, error.message()));
    }
    for entry in list(dir)? {
        let path = dir.join(&entry.name);
        let Some(name) = parse_file_name(&entry.name) else {
            let ours = [LEADER_EPOCH_FILE, PARTITION_METADATA_FILE, MARK_FILE];
            if !ours.contains(&entry.name.as_str()) {
                report.add(stray(&path, "it belongs to nothing").remedy("nothing: nobody reads it"));
            }
            continue;
        };
        match (name.state, name.kind) {
            (FileState::Live, FileKind::Snapshot) => check_snapshot(&path, name.base >= end, report),
            (FileState::Live, FileKind::Log) => {}
            (FileState::Live, _) if !bases.contains(&name.base) => report.add(stray(&path, "it has no log")),
            (FileState::Live, FileKind::Index | FileKind::TimeIndex | FileKind::TxnIndex) => {}
            (state, _) => report.add(stray(&path, &format!("a file that is marked {state:?}"))),
        }
    }
    Ok(())
}

/// The index of a segment has to name the transactions that the log says were aborted, and no others.
fn check_txn_index(dir: &Path, base: Offset, aborted: &[AbortedTxn], first: Option<Offset>, report: &mut CheckReport) {
    let path = dir.join(file_name(base, FileKind::TxnIndex));
    let what = match LogDump::txn_index(&path) {
        Err(error) if error.io_kind() == Some(std::io::ErrorKind::NotFound) && aborted.is_empty() => return,
        Err(error) => error.message().to_owned(),
        Ok(entries) => {
            // Where the log no longer begins at its beginning, transactions that began before are known to the index alone.
            let is_told = |txn: &&TxnDump| first.is_some_and(|first| txn.first_offset >= first);
            let told: Vec<AbortedTxn> = entries.iter().filter(is_told).map(TxnDump::entry).collect();
            // How stable the log was at the time hangs on transactions that may have begun before it as well.
            let is_whole = told.len() == entries.len();
            let same = |(a, b): (&AbortedTxn, &AbortedTxn)| {
                let (a, b) = (*a, *b);
                let last_stable_offset = if is_whole { a.last_stable_offset } else { b.last_stable_offset };
                b == AbortedTxn { last_stable_offset, ..a }
            };
            if told.len() == aborted.len() && told.iter().zip(aborted).all(same) {
                return;
            }
            format!("it names {} aborted transactions where the log has {}, or others", told.len(), aborted.len())
        }
    };
    report.add(Damage::new(Severity::Rebuildable, DamageKind::BadIndex, &path, what));
}

/// Snapshots are written where the log ends, and nobody appends meanwhile: one `at_the_end` may be in the hands of a live writer, or be
/// what a crash left of it.
fn check_snapshot(path: &Path, at_the_end: bool, report: &mut CheckReport) {
    if let Err(error) = LogDump::snapshot(path) {
        let severity = if at_the_end { Severity::Leftover } else { Severity::Rebuildable };
        report.add(Damage::new(severity, DamageKind::BadSmallFile, path, error.message()));
    }
}

fn stray(path: &Path, what: &str) -> Damage {
    Damage::new(Severity::Leftover, DamageKind::Stray, path, what)
}
