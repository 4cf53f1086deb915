//! What the files of a log hold, found out without any help of the log.

use super::partition_files::{segment_path, PartitionFiles, DIR};
use crate::disk::Disk;
use crate::record::{batches, crc32c, BatchView};
use crate::sim::SimDisk;
use crate::storage::names::FileKind;
use crate::storage::{end_txn_of, Log};
use crate::types::Offset;
use std::path::Path;

/// One batch, as far as two of them are told apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Batch {
    pub base: Offset,
    pub last: Offset,
    pub crc: u32,
}

impl Batch {
    pub(super) fn of(view: &BatchView<'_>) -> Batch {
        let header = view.header();
        Batch { base: header.base_offset, last: header.last_offset(), crc: crc32c(view.bytes()) }
    }
}

/// All batches that the segments' files hold from the log start on; the files have to be whole.
pub(super) fn batches_of(log: &Log, disk: &SimDisk) -> Vec<Batch> {
    let log_start = log.log_start();
    let mut found = Vec::new();
    for segment in log.segment_summaries() {
        let bytes = bytes_of(disk, segment.base_offset, segment.log_bytes);
        let mut walk = batches(&bytes);
        found.extend(walk.by_ref().map(|batch| Batch::of(&batch.expect("a batch").1)));
        assert_eq!(walk.rest(), 0, "the segment at {} ends with a part of a batch", segment.base_offset);
    }
    found.retain(|batch| batch.last >= log_start);
    found
}

/// Whether the batches of a segment that lie before `end` are whole, in order and near enough to the base, and their markers say
/// something. Checksums are not compared.
pub(super) fn makes_sense(disk: &SimDisk, base: Offset, log_bytes: u64, end: Offset) -> bool {
    let bytes = bytes_of(disk, base, log_bytes);
    let (mut next, mut walk) = (base, batches(&bytes));
    while next < end {
        let Some(found) = walk.next() else { return walk.rest() == 0 };
        let Ok((_, view)) = found else { return false };
        let header = view.header();
        if header.last_offset() >= end {
            return true;
        }
        let is_near = header.last_offset().0.checked_sub(base.0).is_some_and(|distance| distance <= i32::MAX as u64);
        if header.base_offset < next || !is_near || end_txn_of(&view).is_err() {
            return false;
        }
        next = header.end_offset();
    }
    true
}

/// Whether the sealed segments that go past `from` hold whole batches with right checksums, in order.
pub(super) fn sealed_are_whole(log: &Log, disk: &SimDisk, from: Offset) -> bool {
    let segments = log.segment_summaries();
    let mut sealed = segments.iter().filter(|segment| segment.sealed && segment.end_offset > from);
    sealed.all(|segment| {
        let bytes = bytes_of(disk, segment.base_offset, segment.log_bytes);
        let (mut next, mut walk) = (segment.base_offset, batches(&bytes));
        let are_whole = walk.by_ref().all(|batch| {
            let Ok((_, view)) = batch else { return false };
            let is_in_place = view.header().base_offset >= next && view.header().end_offset() <= segment.end_offset;
            next = view.header().end_offset();
            is_in_place && view.verify().is_ok()
        });
        are_whole && !bytes.is_empty() && walk.rest() == 0
    })
}

/// Whether every log file of the input is as it was. Not asked where a `.swap` may take the place of some.
pub(super) fn logs_are_untouched(files: &PartitionFiles, disk: &SimDisk) -> bool {
    let mut logs = files.files.iter().filter(|(name, _)| name.ends_with(".log"));
    let is_swapped = files.files.keys().any(|name| name.ends_with(".swap"));
    is_swapped || logs.all(|(name, bytes)| read(disk, &Path::new(DIR).join(name), None) == *bytes)
}

fn bytes_of(disk: &SimDisk, base: Offset, log_bytes: u64) -> Vec<u8> {
    read(disk, &segment_path(base, FileKind::Log), Some(log_bytes))
}

fn read(disk: &SimDisk, path: &Path, len: Option<u64>) -> Vec<u8> {
    let file = disk.open_read(path).expect("a segment has a file");
    let len = len.unwrap_or_else(|| file.len().expect("a disk without faults"));
    let mut bytes = vec![0; usize::try_from(len).expect("an input is short")];
    file.read_at(0, &mut bytes).expect("it is as long as the log says");
    bytes
}
