//! Clearing up what an interrupted run left in a partition directory, before any segment is opened.
//!
//! `.deleted` waits to be removed; `.cleaned` was not finished; `.swap` is complete and takes the place of the segments it covers,
//! unless an unfinished `.cleaned` of the same round lies below it. `.tmp` files were never renamed.

use super::names::{file_name, parse_file_name, FileKind, FileState, SegmentFileName};
use super::recovery::remove_if_there;
use super::renames::{rename_durably, to_deleted};
use crate::disk::Disk;
use crate::error::{Error, ErrorCode, Result};
use crate::record::{BatchHeader, BATCH_HEADER_BYTES};
use crate::types::Offset;
use std::path::Path;

/// Clears leftovers and returns the base offsets of the segments that are left, ascending.
pub(super) fn clear(disk: &dyn Disk, dir: &Path, report: &mut Vec<String>) -> Result<Vec<Offset>> {
    let mut files = list(disk, dir, report)?;
    let cleaned_from = files.iter().filter(|(_, f)| f.state == FileState::Cleaned).map(|(_, f)| f.base).min();
    let mut changed = false;
    for (name, file) in &files {
        let unfinished = match file.state {
            FileState::Live => false,
            FileState::Deleted | FileState::Cleaned => true,
            FileState::Swap => cleaned_from.is_some_and(|from| file.base >= from),
        };
        if unfinished {
            remove_if_there(disk, &dir.join(name))?;
            report.push(format!("removed {name}"));
            changed = true;
        }
    }
    if changed {
        files = list(disk, dir, report)?;
    }
    let swaps: Vec<(String, SegmentFileName)> =
        files.iter().filter(|(_, f)| f.state == FileState::Swap).cloned().collect();
    if !swaps.is_empty() {
        swap_in(disk, dir, &files, &swaps, report)?;
        changed = true;
        files = list(disk, dir, report)?;
    }
    let mut bases: Vec<Offset> = files
        .iter()
        .filter(|(_, f)| f.kind == FileKind::Log && f.state == FileState::Live)
        .map(|(_, f)| f.base)
        .collect();
    bases.sort_unstable();
    for (name, file) in &files {
        let is_index = matches!(file.kind, FileKind::Index | FileKind::TimeIndex | FileKind::TxnIndex);
        if is_index && bases.binary_search(&file.base).is_err() {
            remove_if_there(disk, &dir.join(name))?;
            report.push(format!("removed {name}, which has no log"));
            changed = true;
        }
    }
    if changed {
        disk.sync_dir(dir).map_err(|e| Error::sync("sync directory", dir, e))?;
    }
    Ok(bases)
}

fn list(disk: &dyn Disk, dir: &Path, report: &mut Vec<String>) -> Result<Vec<(String, SegmentFileName)>> {
    let mut files = Vec::new();
    for entry in disk.list(dir).map_err(|e| Error::io("list directory", dir, e))? {
        if entry.is_dir {
            continue;
        }
        if entry.name.ends_with(".tmp") {
            remove_if_there(disk, &dir.join(&entry.name))?;
            report.push(format!("removed {}", entry.name));
        } else if let Some(file) = parse_file_name(&entry.name) {
            files.push((entry.name, file));
        }
    }
    Ok(files)
}

/// Removes the segments that a complete `.swap` covers and gives it its final name.
fn swap_in(
    disk: &dyn Disk,
    dir: &Path,
    files: &[(String, SegmentFileName)],
    swaps: &[(String, SegmentFileName)],
    report: &mut Vec<String>,
) -> Result<()> {
    let mut renames = Vec::new();
    for (name, swap) in swaps.iter().filter(|(_, f)| f.kind == FileKind::Log) {
        let end = end_of(disk, &dir.join(name), swap.base)?;
        for (covered, file) in files.iter().filter(|(_, f)| f.state == FileState::Live) {
            let is_segment = file.kind != FileKind::Snapshot;
            if is_segment && file.base >= swap.base && file.base < end.max(swap.base.next()) {
                renames.push(to_deleted(file.base, file.kind));
                report.push(format!("removed {covered}, which {name} replaces"));
            }
        }
    }
    for (name, swap) in swaps {
        renames.push((name.clone(), file_name(swap.base, swap.kind)));
        report.push(format!("finished {name}"));
    }
    for path in rename_durably(disk, dir, &renames)? {
        if path.extension().is_some_and(|extension| extension == "deleted") {
            remove_if_there(disk, &path)?;
        }
    }
    Ok(())
}

/// Next offset behind a file of batches, by its headers.
fn end_of(disk: &dyn Disk, path: &Path, base: Offset) -> Result<Offset> {
    let io = |e| Error::io("read", path, e);
    let file = disk.open_read(path).map_err(io)?;
    let len = file.len().map_err(io)?;
    let (mut at, mut end) = (0, base);
    let mut head = [0; BATCH_HEADER_BYTES];
    while at + BATCH_HEADER_BYTES as u64 <= len {
        file.read_at(at, &mut head).map_err(io)?;
        match BatchHeader::parse(&head) {
            Ok(header) => {
                end = header.end_offset();
                at += u64::from(header.batch_bytes);
            }
            Err(e) if e.code() == ErrorCode::CORRUPT_MESSAGE => break,
            Err(e) => return Err(e),
        }
    }
    Ok(end)
}
