//! One segment: every batch and record of its log, every entry of its indexes.

use super::check::{CheckReport, CheckScope, Damage, DamageKind, Severity};
use super::dump::real_disk;
use super::walk::{LogWalk, Stop};
use crate::error::Result;
use crate::record::{BatchHeader, BatchView, Inflater, INFLATED_BYTES_MAX};
use crate::storage::names::{file_name, FileKind};
use crate::storage::{end_txn_of, AbortedTxn, OffsetIndex, ProducerBatch, ProducerStates, TimeEntry, TimeIndex};
use crate::types::{LeaderEpoch, Offset, Position};
use std::path::{Path, PathBuf};

/// How a segment may end.
#[derive(Clone, Copy)]
pub(super) struct Tail {
    /// Nothing follows: a writer may have been interrupted here.
    pub is_last: bool,
    /// What lies below was flushed, so that an interruption cannot have taken it.
    pub durable: Offset,
}

/// What a segment turned out to hold.
pub(super) struct Found {
    /// First offset, where there is one, and the end.
    pub first: Option<Offset>,
    pub end: Offset,
    /// Where each leader epoch begins.
    pub epochs: Vec<(LeaderEpoch, Offset)>,
    /// Offsets are missing inside: compaction was here.
    pub has_holes: bool,
    /// The transactions whose abort marker lies here, as far as their beginning is still in the log.
    pub aborted: Vec<AbortedTxn>,
}

struct SegmentCheck<'a> {
    log: &'a Path,
    tail: Tail,
    report: &'a mut CheckReport,
    inflate: Inflater,
    indexes: Option<Indexes>,
    found: Found,
    producers: &'a mut ProducerStates,
}

/// Entries that wait for the batch that they speak of. Read before the log, so that a live writer's are not ahead of it.
struct Indexes {
    offset_path: PathBuf,
    time_path: PathBuf,
    offsets: std::vec::IntoIter<(Offset, Position)>,
    times: std::vec::IntoIter<TimeEntry>,
    newest: i64,
}

pub(super) fn check_segment(
    log: &Path,
    base: Offset,
    scope: CheckScope,
    tail: Tail,
    producers: &mut ProducerStates,
    report: &mut CheckReport,
) -> Result<Found> {
    let indexes = if scope == CheckScope::All { Some(Indexes::read(log, base, report)) } else { None };
    let walk = LogWalk::open(log)?;
    report.segments += 1;
    report.bytes += walk.len();
    let found = Found { first: None, end: base, epochs: Vec::new(), has_holes: false, aborted: Vec::new() };
    let inflate = Inflater::new(INFLATED_BYTES_MAX);
    let mut check = SegmentCheck { log, tail, report, inflate, indexes, found, producers };
    check.walk(walk)?;
    if let Some(mut indexes) = check.indexes.take() {
        indexes.finish(check.report);
    }
    Ok(check.found)
}

impl SegmentCheck<'_> {
    fn walk(&mut self, mut walk: LogWalk) -> Result<()> {
        loop {
            let at = walk.at();
            let bad = match walk.step()? {
                None => return Ok(()),
                Some(Ok((at, view))) => match self.judge(&view) {
                    Ok(()) => {
                        let header = *view.header();
                        self.accept(at, &header);
                        continue;
                    }
                    Err((kind, what)) => (kind, what, Some(*view.header())),
                },
                Some(Err(Stop::Incomplete)) => {
                    (DamageKind::BadHeader, format!("{} bytes are no whole batch", walk.len() - at), None)
                }
                Some(Err(Stop::Nonsense(error))) => (DamageKind::BadHeader, error.message().to_owned(), None),
            };
            if !self.pass_over(&mut walk, at, bad)? {
                return Ok(());
            }
        }
    }

    /// Everything about one batch that does not need its neighbours, and that it follows the one before.
    fn judge(&mut self, view: &BatchView<'_>) -> std::result::Result<(), (DamageKind, String)> {
        let header = view.header();
        if let Err(error) = view.verify() {
            return Err((DamageKind::BadChecksum, error.message().to_owned()));
        }
        if header.base_offset < self.found.end {
            let what = format!("a batch with base offset {} where {} is next", header.base_offset, self.found.end);
            return Err((DamageKind::OffsetOrder, what));
        }
        let bad_records = |error: crate::Error| (DamageKind::BadRecords, error.message().to_owned());
        let mut count = 0;
        for record in view.records(&mut self.inflate).map_err(bad_records)? {
            record.map_err(bad_records)?;
            count += 1;
        }
        self.report.records += count;
        self.replay(view).map_err(bad_records)
    }

    /// Follows the producers, to know which transactions were aborted.
    fn replay(&mut self, view: &BatchView<'_>) -> Result<()> {
        let header = view.header();
        let Some(producer) = header.producer else { return Ok(()) };
        if let Some(marker) = end_txn_of(view)? {
            self.found.aborted.extend(self.producers.end_txn(&marker));
        } else if !header.is_control() {
            self.producers.update(&ProducerBatch {
                producer,
                base_offset: header.base_offset,
                last_offset_delta: header.last_offset_delta,
                max_timestamp: header.max_timestamp,
                is_transactional: header.is_transactional(),
            });
        }
        Ok(())
    }

    fn accept(&mut self, at: u64, header: &BatchHeader) {
        self.report.batches += 1;
        let found = &mut self.found;
        found.has_holes |= (found.first.is_some() && header.base_offset > found.end)
            || i64::from(header.record_count) <= i64::from(header.last_offset_delta);
        found.first = found.first.or(Some(header.base_offset));
        found.end = header.end_offset();
        if let Some(epoch) = header.leader_epoch {
            if found.epochs.last().is_none_or(|(last, _)| *last != epoch) {
                found.epochs.push((epoch, header.base_offset));
            }
        }
        if let Some(indexes) = &mut self.indexes {
            indexes.pass(at, header, self.report);
        }
    }

    /// Reports what is wrong at `at` and goes on behind it. False when nothing sound follows.
    fn pass_over(
        &mut self,
        walk: &mut LogWalk,
        at: u64,
        (kind, what, header): (DamageKind, String, Option<BatchHeader>),
    ) -> Result<bool> {
        // Where a header makes sense, the next batch is most likely right behind it; and what has the right checksum and the
        // wrong place is passed over whole.
        let behind = header.map_or(at + 1, |header| at + u64::from(header.batch_bytes));
        let follows =
            header.is_some() && matches!(walk.sound_at(behind)?, Some(next) if next.base_offset >= self.found.end);
        let next = if follows { walk.sound_at(behind)?.map(|next| (behind, next)) } else { None };
        let next = match next {
            None => walk.find_sound(at + 1, self.found.end)?,
            known => known,
        };
        let is_tail = next.is_none() && self.tail.is_last && self.found.end >= self.tail.durable;
        let (severity, kind) =
            if is_tail { (Severity::Leftover, DamageKind::TornTail) } else { (Severity::Loss, kind) };
        let mut damage = Damage::new(severity, kind, self.log, what).at(at).losing_from(self.found.end);
        if !is_tail {
            let bytes = next.map_or(walk.len(), |(at, _)| at) - at;
            damage = damage.remedy(match next {
                Some(_) => format!("repair takes these {bytes} bytes out; what lies behind stays"),
                None => format!("repair cuts the last {bytes} bytes off"),
            });
            damage.ends_at = next.map(|(at, _)| at);
            damage.records = match (next, header) {
                (Some((_, next)), _) => next.base_offset.since(self.found.end),
                (None, Some(header)) => header.end_offset().since(self.found.end),
                (None, None) => self.tail.durable.since(self.found.end).max(1),
            };
        }
        self.report.add(damage);
        let Some((next, _)) = next else { return Ok(false) };
        walk.go_to(next);
        Ok(true)
    }
}

impl Indexes {
    fn read(log: &Path, base: Offset, report: &mut CheckReport) -> Indexes {
        let dir = log.parent().unwrap_or(Path::new("."));
        let (offset_path, time_path) =
            (dir.join(file_name(base, FileKind::Index)), dir.join(file_name(base, FileKind::TimeIndex)));
        let disk = real_disk();
        // The files before their entries, so that what a live writer adds in between does not count as nonsense.
        let offset_bytes = read_index(&offset_path, log, report);
        let time_bytes = read_index(&time_path, log, report);
        let (offsets, times) =
            (OffsetIndex::open_foreign(&disk, &offset_path, base), TimeIndex::open_foreign(&disk, &time_path, base));
        let (offsets, times) = (at_second_look(|| offsets.entries()), at_second_look(|| times.entries()));
        check_rest(&offset_path, &offset_bytes, offsets.len() * 8, report);
        check_rest(&time_path, &time_bytes, times.len() * 12, report);
        Indexes { offset_path, time_path, offsets: offsets.into_iter(), times: times.into_iter(), newest: -1 }
    }

    /// Compares the entries that speak of this batch, and those that should have spoken of one before it.
    fn pass(&mut self, at: u64, header: &BatchHeader, report: &mut CheckReport) {
        while let Some(&(offset, position)) = self.offsets.as_slice().first() {
            if u64::from(position.0) > at {
                break;
            }
            self.offsets.next();
            if u64::from(position.0) < at {
                let what = format!("an entry for offset {offset} points to byte {}, where no batch begins", position.0);
                report.add(bad_index(&self.offset_path, what).losing_from(offset));
            } else if offset != header.last_offset() {
                let what = format!("an entry says {offset} for the batch that ends at {}", header.last_offset());
                report.add(bad_index(&self.offset_path, what).losing_from(offset));
            }
        }
        self.newest = self.newest.max(header.max_timestamp);
        while let Some(&entry) = self.times.as_slice().first() {
            if entry.offset > header.last_offset() {
                break;
            }
            self.times.next();
            let TimeEntry { timestamp, offset } = entry;
            if offset != header.last_offset() || timestamp.0 != header.max_timestamp || timestamp.0 != self.newest {
                let what = format!(
                    "an entry says that {} was the newest timestamp up to offset {offset}; it is {} at {}",
                    timestamp.0,
                    self.newest,
                    header.last_offset()
                );
                report.add(bad_index(&self.time_path, what).losing_from(offset));
            }
        }
    }

    /// What is left speaks of batches that are not there.
    fn finish(&mut self, report: &mut CheckReport) {
        for (path, left, last) in [
            (&self.offset_path, self.offsets.len(), self.offsets.as_slice().first().map(|(offset, _)| *offset)),
            (&self.time_path, self.times.len(), self.times.as_slice().first().map(|entry| entry.offset)),
        ] {
            if let Some(offset) = last {
                let what = format!("{left} entries from offset {offset} on have no batch in the log");
                report.add(bad_index(path, what).losing_from(offset));
            }
        }
    }
}

/// The entries of an index. A live writer cuts it to its entries when it seals the segment, once: a look that came in between finds less
/// than it was told, and the next one does not.
fn at_second_look<E>(entries: impl Fn() -> Result<Vec<E>>) -> Vec<E> {
    entries().or_else(|_| entries()).unwrap_or_default()
}

fn bad_index(path: &Path, what: String) -> Damage {
    Damage::new(Severity::Rebuildable, DamageKind::BadIndex, path, what)
}

/// The bytes of an index; a file that cannot be read is reported and counts as empty.
fn read_index(path: &Path, log: &Path, report: &mut CheckReport) -> Vec<u8> {
    let first = std::fs::read(path);
    let is_missing = first.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound);
    // A writer makes the log of a new segment first, then its indexes, and writes only then: beside an empty log nothing is
    // missing, and beside one that is not empty the index was made before this second look.
    let found = match is_missing {
        true if std::fs::metadata(log).is_ok_and(|log| log.len() == 0) => return Vec::new(),
        true => std::fs::read(path),
        false => first,
    };
    found.unwrap_or_else(|error| {
        let what = format!("cannot be read: {error}");
        report.add(Damage::new(Severity::Rebuildable, DamageKind::MissingFile, path, what));
        Vec::new()
    })
}

/// Behind the entries there may be zeros (a file that was made in its full size, and not closed), nothing else.
fn check_rest(path: &Path, bytes: &[u8], entries_bytes: usize, report: &mut CheckReport) {
    let rest = bytes.get(entries_bytes..).unwrap_or_default();
    if rest.iter().any(|byte| *byte != 0) {
        let what = format!("{} bytes behind the last entry are no entries", rest.len());
        report.add(bad_index(path, what).at(entries_bytes as u64));
    }
}
