//! What to believe after a crash: torn tail, missing index, stray file.
//!
//! A segment that has a successor was synced before the successor was made ([`Log::roll`](super::log::Log)), so only the last one can
//! have a torn tail. Where that begins to be possible, the recovery mark says: below `flushed` everything is durable and damage is
//! damage; at and above it the first batch that is not whole ends the log. Directories without a mark (Kafka's own) are judged by
//! the checkpointed recovery point in its place.
//!
//! Crash during recovery: every step can be done again. What is accepted is synced before anybody reads it. Where a sync has failed before,
//! that is not enough: see [`doubt`](super::doubt).

use super::api::Opening;
use super::doubt;
use super::epoch_replay;
use super::leader_epochs::LeaderEpochs;
use super::mark::{Mark, MarkFile};
use super::names::FileKind;
use super::partition_metadata;
use super::producer_states::{snapshot, ProducerStates};
use super::renames::{redo_noted, rename_durably, to_deleted};
use super::room_ahead;
use super::scan::{damage_in, scan, Scan, ScanPlan};
use super::segment::{Segment, SegmentSetup};
use super::segments::Segments;
use crate::disk::Disk;
use crate::error::{Error, ErrorCode, Result};
use crate::types::{Offset, Position};
use std::path::Path;
use std::sync::Arc;

/// What opening a log found and did.
#[derive(Clone, Debug, Default)]
pub struct RecoveryReport {
    /// Bytes of batches whose checksum was compared.
    pub scanned_bytes: u64,
    /// Bytes cut off as a torn tail.
    pub truncated_bytes: u64,
    /// Where the torn tail began.
    pub truncated_at: Option<Offset>,
    /// Damage that is not a torn tail: nothing was cut, appends are refused, reads below it go on.
    pub damage: Option<Error>,
    /// Leftovers of unfinished work that were removed or finished, and small files that were unreadable.
    pub leftovers: Vec<String>,
}

/// A log as the disk has it.
pub(super) struct Loaded {
    pub segments: Segments,
    pub epochs: LeaderEpochs,
    pub producers: ProducerStates,
    pub mark: MarkFile,
    pub log_start: Offset,
    pub log_end: Offset,
    pub bytes_since_index: u64,
    pub report: RecoveryReport,
}

pub(super) fn load(opening: &Opening) -> Result<Loaded> {
    let disk = &*opening.disk;
    let in_doubt = opening.in_doubt || doubt::is_noted(disk, &opening.dir)?;
    let loaded = try_load(opening, in_doubt);
    match &loaded {
        Ok(_) if in_doubt => doubt::forget(disk, &opening.dir)?,
        Ok(_) => {}
        Err(failure) => doubt::note(disk, &opening.dir, failure),
    }
    loaded
}

fn try_load(opening: &Opening, in_doubt: bool) -> Result<Loaded> {
    let mut report = RecoveryReport::default();
    let disk = &opening.disk;
    prepare_dir(opening)?;
    if in_doubt {
        redo_noted(&**disk, &opening.dir)?;
    }
    let bases = super::leftovers::clear(&**disk, &opening.dir, &mut report.leftovers)?;
    if in_doubt {
        doubt::dispel(&**disk, &opening.dir, bases.last().copied())?;
        report.leftovers.push("a sync had failed: the last segment and the small files were made anew".to_owned());
    }
    let (mark_file, mark) = MarkFile::open(&**disk, &opening.dir)?;
    let setup = SegmentSetup {
        disk,
        files: &opening.files,
        dir: &opening.dir,
        index_bytes_max: opening.config.segment_index_bytes,
        now: opening.clock.realtime(),
    };
    let (segments, is_new) = open_segments(&setup, &bases, opening.log_start)?;
    let active = segments.active().clone();
    let (mut epochs, unreadable) = LeaderEpochs::open(disk, &opening.dir)?;
    let trust = trust(opening, mark.as_ref(), &active);
    let lacks_some = |epochs: &LeaderEpochs| {
        unreadable.is_some() || epoch_replay::lacks_the_first(epochs, &segments, opening.log_start)
    };
    let lacked_some = lacks_some(&epochs);
    scan_sealed(&segments, &trust, &mut report)?;
    let producers = load_producers(opening, &segments, &trust, &mut report)?;
    let covered = producers.1;
    let plan = ScanPlan {
        compare_checksums: !opening.clean,
        trusted: trust.indexed,
        durable: trust.flushed,
        durable_is_known: trust.by_mark,
        is_clean: opening.clean,
    };
    let found = scan(&active, &plan, &mut epochs, producers, opening.config.index_interval_bytes)?;
    let (log_end, is_damaged) = (found.end, found.damage.is_some() || report.damage.is_some());
    let starts_over = log_end < opening.log_start && !is_damaged;
    if covered > log_end && !starts_over && !is_damaged {
        drop((segments, active));
        return without_snapshots_above(opening, log_end, report);
    }
    if lacked_some || lacks_some(&epochs) {
        // The batches know their epochs: what the file should say is read again from all of them that stay.
        let accepted = u32::try_from(found.bytes).map_or(Position(u32::MAX), Position);
        epoch_replay::replay(&segments, accepted, &mut epochs)?;
        report.leftovers.push(epoch_replay::why_replayed(&opening.dir, unreadable.as_ref()));
    }
    if !starts_over {
        // Before the file is written: an epoch that had only torn batches would contradict what comes in their place.
        epochs.truncate_from_end(log_end);
    }
    settle(opening, &active, &found, &mut epochs, &mut report)?;
    if starts_over {
        drop((segments, active));
        return start_over(opening, &mark_file, &bases, report);
    }
    let log_start = opening.log_start.max(segments.first().base).min(log_end);
    epochs.truncate_from_start(log_start);
    let mut producers = found.producers;
    producers.handle_log_start(log_start);
    if !is_damaged {
        // A damaged log is left as it is, so that whoever opens it again is told the same.
        snapshot::remove_above(&**disk, &opening.dir, log_end)?;
    }
    if is_new {
        disk.sync_dir(&opening.dir).map_err(|e| Error::sync("sync directory", &opening.dir, e))?;
    }
    if !opening.clean && !is_damaged {
        let mark = Mark {
            flushed: log_end,
            indexed: log_end,
            segment: active.base,
            position: active.bytes(),
            no_producers: producers.is_empty(),
        };
        if !mark.no_producers {
            producers.take_snapshot(&**disk, &opening.dir, log_end, true)?;
        }
        mark_file.write(&mark)?;
    }
    Ok(Loaded {
        segments,
        epochs,
        producers,
        mark: mark_file,
        log_start,
        log_end,
        bytes_since_index: found.bytes_since_index,
        report,
    })
}

fn prepare_dir(opening: &Opening) -> Result<()> {
    let (disk, dir) = (&*opening.disk, opening.dir.as_path());
    let Some(expected) = opening.topic_id else { return doubt::make_empty_dir_anew(disk, dir) };
    match partition_metadata::read(disk, dir)? {
        None => {
            doubt::make_empty_dir_anew(disk, dir)?;
            partition_metadata::write(disk, dir, &expected)
        }
        Some(found) if found == expected => Ok(()),
        Some(found) => {
            let (found, expected) = (partition_metadata::format_id(&found), partition_metadata::format_id(&expected));
            let what = format!("{} belongs to topic id {found}, not {expected}", dir.display());
            Err(Error::new(ErrorCode::INCONSISTENT_TOPIC_ID, what))
        }
    }
}

fn open_segments(setup: &SegmentSetup<'_>, bases: &[Offset], log_start: Offset) -> Result<(Segments, bool)> {
    let Some((&last, sealed)) = bases.split_last() else {
        return Ok((Segments::new(vec![Arc::new(setup.create(log_start, 0)?)]), true));
    };
    let mut list = Vec::with_capacity(bases.len());
    for (index, &base) in sealed.iter().enumerate() {
        list.push(Arc::new(setup.open_sealed(base, bases[index + 1])?));
    }
    list.push(Arc::new(setup.open_active(last)?));
    Ok((Segments::new(list), false))
}

/// What is believed without looking.
struct Trust {
    /// Log and indexes are right below.
    indexed: (Offset, Position),
    /// The log is durable below: a bad batch there is damage, not a torn tail.
    flushed: Offset,
    no_producers: bool,
    /// `flushed` is from our mark, not from a checkpoint or a clean shutdown.
    by_mark: bool,
    /// Sealed segments from here on have to be looked at, because nothing says that they were synced.
    sealed_from: Option<Offset>,
}

fn trust(opening: &Opening, mark: Option<&Mark>, active: &Segment) -> Trust {
    let start = (active.base, Position(0));
    if let Some(mark) = mark.filter(|mark| mark.segment == active.base && mark.flushed >= mark.indexed) {
        // A file that is shorter than what was durable is scanned from its start, and the loss is reported.
        let at = u32::try_from(mark.position).ok().map(Position).filter(|_| mark.position <= active.bytes());
        let confirmed = at.filter(|&at| mark.indexed >= active.base && confirms(active, at, mark.indexed));
        let indexed = confirmed.map_or(start, |at| (mark.indexed, at));
        let no_producers = mark.no_producers && confirmed.is_some();
        return Trust { indexed, flushed: mark.flushed, no_producers, by_mark: true, sealed_from: None };
    }
    if let Some(mark) = mark.filter(|mark| mark.segment > active.base && !opening.clean) {
        // Its segment is gone: by a cut, which lowered the mark before it, or with records that were durable.
        return Trust { indexed: start, flushed: mark.flushed, no_producers: false, by_mark: true, sealed_from: None };
    }
    // A mark of an older segment: the roll after it synced that segment, and the active one begins where it ended.
    let sealed_from = if mark.is_some() { None } else { Some(opening.recovery_point) };
    let flushed = if opening.clean { Offset::MAX } else { opening.recovery_point.max(active.base) };
    Trust {
        indexed: start,
        flushed,
        no_producers: false,
        by_mark: false,
        sealed_from: sealed_from.filter(|_| !opening.clean),
    }
}

/// Whether the batch at `at` begins at `offset`; or, where no batch begins (the file ends, or a torn one follows, which is what a mark
/// is for), whether the one before it ends there and with this offset.
fn confirms(active: &Segment, at: Position, offset: Offset) -> bool {
    if let Ok(Some(header)) = active.header_at(at) {
        return header.base_offset == offset;
    }
    // An index line may lie so well that nothing but the way from the file's start tells.
    let hint = active.confirmed_hint(Offset(offset.0.saturating_sub(1)));
    [hint.ok(), Some(Position(0))].into_iter().flatten().any(|from| leads_to(active, from, at, offset))
}

/// Whether the batches from `here` on end at `at`, and the last of them with `offset`.
fn leads_to(active: &Segment, mut here: Position, at: Position, offset: Offset) -> bool {
    let mut end = active.base;
    while here < at {
        let Ok(Some(header)) = active.header_at(here) else { return false };
        let Ok(next) = active.after(here, &header) else { return false };
        (here, end) = (next, header.end_offset());
    }
    here == at && end == offset
}

/// Sealed segments that no sync is known of (a directory that Kafka left uncleanly): every checksum is compared, damage is reported.
fn scan_sealed(segments: &Segments, trust: &Trust, report: &mut RecoveryReport) -> Result<()> {
    let Some(from) = trust.sealed_from else { return Ok(()) };
    for segment in segments.iter().filter(|segment| segment.is_sealed() && segment.end() > from) {
        let (bytes, damage) = super::scan::verify(segment)?;
        report.scanned_bytes += bytes;
        if let Some(damage) = damage {
            report.damage.get_or_insert(damage);
        }
    }
    Ok(())
}

/// Producer state up to where the scan of the active segment begins.
fn load_producers(
    opening: &Opening,
    segments: &Segments,
    trust: &Trust,
    report: &mut RecoveryReport,
) -> Result<(ProducerStates, Offset)> {
    let active = segments.active();
    let (disk, dir, config) = (&*opening.disk, &opening.dir, &opening.config);
    let bases: Vec<Offset> = segments.iter().map(|segment| segment.base).collect();
    snapshot::remove_strays(disk, dir, &bases)?;
    if trust.no_producers && trust.indexed.0 > active.base {
        return Ok((ProducerStates::new(), trust.indexed.0));
    }
    let newest = if opening.clean { Offset::MAX } else { trust.indexed.0.max(active.base) };
    let first = segments.first().base;
    let now = opening.clock.realtime();
    let loaded = ProducerStates::load(disk, dir, first, newest, now, config.producer_id_expiration)?;
    report.leftovers.extend(loaded.discarded.iter().map(|at| format!("unreadable producer snapshot at {at} removed")));
    let (mut producers, mut covers) = (loaded.states, loaded.covers);
    // A snapshot of an older segment, or none at all: the sealed segments between are replayed, headers only.
    for segment in segments.iter().filter(|segment| segment.is_sealed()) {
        if segment.end() <= covers {
            continue;
        }
        if let Some(damage) = damage_in(super::scan::replay(segment, covers, &mut producers))? {
            report.damage.get_or_insert(damage);
        }
        covers = covers.max(segment.end());
    }
    Ok((producers, covers))
}

/// Cuts a torn tail, or keeps the damage; then makes what was accepted durable.
fn settle(
    opening: &Opening,
    active: &Segment,
    found: &Scan,
    epochs: &mut LeaderEpochs,
    report: &mut RecoveryReport,
) -> Result<()> {
    report.scanned_bytes += found.scanned_bytes;
    let file_bytes = found.file_bytes;
    if let Some(damage) = &found.damage {
        report.damage.get_or_insert(damage.clone());
        return Ok(());
    }
    let file = active.writer()?;
    let sync_log = || file.sync_data().map_err(|e| Error::sync("sync segment", active.path(), e));
    if report.damage.is_some() {
        // It lies in another place: nothing is cut, but what was found here is going to be read.
        return sync_log();
    }
    if found.bytes < file_bytes {
        report.truncated_bytes = file_bytes - found.bytes;
        report.truncated_at = Some(found.end);
        file.set_len(found.bytes).map_err(|e| Error::io("cut torn tail of", active.path(), e))?;
    }
    if opening.clean && found.bytes == file_bytes {
        return Ok(());
    }
    if !opening.config.preallocate {
        room_ahead::give_back_leftover(&*file, found.bytes)
            .map_err(|e| Error::io("give back room behind", active.path(), e))?;
    }
    // The process may have died with these pages in the cache: they are served only after they are on the disk.
    sync_log()?;
    active.sync_indexes()?;
    epochs.persist()?;
    opening.disk.sync_dir(&opening.dir).map_err(|e| Error::sync("sync directory", &opening.dir, e))
}

/// The power cut took records that had been deleted already: the log is empty and begins at the checkpointed log start, so that no
/// deleted offset is given out twice.
///
/// Crash before it is over: the log or a prefix of it, which ends below the log start as well.
fn start_over(opening: &Opening, mark: &MarkFile, bases: &[Offset], report: RecoveryReport) -> Result<Loaded> {
    if let [first, .., last] | [first @ last] = *bases {
        // A mark past the log's end must never be seen again.
        let lowered = Mark { flushed: first, indexed: first, segment: last, position: 0, no_producers: false };
        mark.write_synced(&lowered)?;
    }
    for &base in bases.iter().rev() {
        rename_durably(&*opening.disk, &opening.dir, &FileKind::ALL.map(|kind| to_deleted(base, kind)))?;
    }
    let what = format!("everything was below the log start {}: the log begins there, empty", opening.log_start);
    load_again(opening, report, what)
}

/// The producers came from a snapshot that knows of batches behind the log's end. An older one and the batches behind it say what is
/// true, and those batches have to be looked at now: the next opening could not know that they were not.
fn without_snapshots_above(opening: &Opening, log_end: Offset, report: RecoveryReport) -> Result<Loaded> {
    snapshot::remove_above(&*opening.disk, &opening.dir, log_end)?;
    load_again(opening, report, format!("producer snapshots above the log end {log_end} removed"))
}

/// Opens what the first attempt has put right.
fn load_again(opening: &Opening, first: RecoveryReport, what: String) -> Result<Loaded> {
    let mut loaded = load(opening)?;
    loaded.report.scanned_bytes += first.scanned_bytes;
    loaded.report.truncated_bytes += first.truncated_bytes;
    loaded.report.truncated_at = loaded.report.truncated_at.or(first.truncated_at);
    loaded.report.leftovers.extend(first.leftovers);
    loaded.report.leftovers.push(what);
    Ok(loaded)
}

/// A file that is there whatever happened.
pub(super) fn remove_if_there(disk: &dyn Disk, path: &Path) -> Result<()> {
    match disk.remove(path) {
        Ok(()) => Ok(()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(Error::io("remove", path, e)),
    }
}
