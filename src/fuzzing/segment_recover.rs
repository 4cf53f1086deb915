//! Any bytes as the files of a partition directory: the log opens, answers, takes appends, and opens again to the same.

use super::files_on_disk::{self, Batch};
use super::partition_files::{PartitionFiles, DIR, SMALL_SEGMENTS, TRUNCATE};
use crate::config::LogConfig;
use crate::error::{Error, ErrorCode};
use crate::record::{batches, BatchBuilder, Inflater, RecordRef, SealedBatch};
use crate::sim::{SimClock, SimDisk};
use crate::storage::{read_flushed_mark, Fetch, Log, LogOffsets, OpenFiles, Opening, UpTo};
use crate::types::{Codec, LeaderEpoch, Offset, ProducerStamp, Timestamp, TopicPartition};
use std::path::Path;
use std::sync::Arc;

/// Past everything that the inputs' small bases lead to; above, numbers end.
const ROOMY_END: u64 = 1 << 62;

/// Any bytes as a partition directory, as after a crash and as after a close.
pub fn segment_recover(data: &[u8]) {
    let Some(files) = PartitionFiles::decode(data) else { return };
    for clean in [false, true] {
        live(&files, clean);
    }
}

/// Everything that a log shows of itself.
#[derive(PartialEq, Eq, Debug)]
struct Seen {
    offsets: LogOffsets,
    batches: Vec<Batch>,
    /// Why reading ended before the log's end.
    refused: Option<ErrorCode>,
    damage: Option<ErrorCode>,
    epochs: Vec<(LeaderEpoch, Offset)>,
}

fn live(files: &PartitionFiles, clean: bool) {
    let disk = files.lay_out();
    let log_start = Offset(files.log_start.into());
    let Some(log) = open(files, &disk, log_start, clean) else { return };
    let first = look(&log);
    ask(&log);
    if !clean && !files.has_mark() && first.damage.is_none() && files.recovery_point == 0 {
        // Everything was looked at, so everything can be read. A gap is passed with the batch behind it; at a gap that nothing lies
        // behind (all of it was a torn tail), a reader is told so instead of waiting.
        let lies_there = files_on_disk::batches_of(&log, &disk);
        let end = lies_there.last().map_or(first.offsets.log_start, |batch| batch.last.next());
        assert_eq!(first.batches, lies_there, "what recovery let in can be read");
        assert_eq!(first.refused, (end < first.offsets.log_end).then_some(ErrorCode::CORRUPT_MESSAGE));
    }
    drop(log);
    let disk = disk.restart();
    let log = open(files, &disk, log_start, clean).expect("it opened before");
    let second = look(&log);
    assert_eq!(second, first, "a log that is opened twice is the same log");
    if first.damage.is_some() {
        assert!(files_on_disk::logs_are_untouched(files, &disk), "nothing is cut from a damaged log");
        assert!(append_one(&log, 1, None).is_err(), "a damaged log takes nothing");
        return;
    }
    if files.has(TRUNCATE) && !clean && first.refused.is_none() {
        cut(&log, &disk, &first);
    }
    append_and_reopen(files, &disk, log, clean, first.refused.is_none());
}

/// Cuts the log in its middle, or sees it refused: what would stay makes no sense, and nobody had to look at it before.
fn cut(log: &Log, disk: &SimDisk, before: &Seen) {
    let end = Offset(before.offsets.log_start.0.midpoint(before.offsets.log_end.0));
    let segments = log.segment_summaries();
    let goes_through = segments.iter().rposition(|segment| segment.base_offset <= end).unwrap_or(0);
    let makes_sense =
        |at: usize, end| files_on_disk::makes_sense(disk, segments[at].base_offset, segments[at].log_bytes, end);
    let is_sound = end >= log.log_end() || makes_sense(goes_through, end);
    match log.truncate_to(end) {
        Ok(()) => {
            assert!(log.log_end() <= end.max(log.log_start()));
            assert!(is_sound, "a cut leaves what makes no sense");
        }
        Err(e) => {
            // Sealed segments are looked at for producers only, and only as far as no snapshot covers them.
            let rest_is_sound = (0..goes_through).all(|at| makes_sense(at, Offset::MAX));
            assert!(!is_sound || !rest_is_sound, "refused without a reason: {e}");
            assert_ne!(e.code(), ErrorCode::KAFKA_STORAGE_ERROR, "no fault of the disk: {e}");
            assert_eq!(look(log), *before, "a cut that is refused changes nothing");
        }
    }
}

fn append_and_reopen(files: &PartitionFiles, disk: &SimDisk, log: Log, clean: bool, is_readable: bool) {
    let from = log.log_end();
    if from.0 > ROOMY_END {
        // Where offsets end an append may be refused, but nothing may break.
        let _ = append_one(&log, 1, None);
        let _ = log.close();
        return;
    }
    for serial in 0..4 {
        append_one(&log, serial, None).expect("an open log takes a batch");
    }
    // Whatever the log knows of this producer: a refusal is no fault of the disk.
    for sequence in 0..2 {
        let stamp = ProducerStamp { id: 7, epoch: 0, base_sequence: Some(sequence) };
        if let Err(e) = append_one(&log, 9, Some(stamp)) {
            assert_ne!(e.code(), ErrorCode::KAFKA_STORAGE_ERROR, "{e}");
        }
    }
    let after = look(&log);
    if is_readable {
        assert_eq!(after.refused, None, "what can be read stays readable");
    }
    let own = read_from(&log, from);
    assert_eq!(own.1, None, "what was appended can be read");
    assert!(own.0.len() >= 4 && own.0[0].base == from);
    ask(&log);
    let before_close = look(&log);
    // A cut through a batch that holds the log start takes the log start down: whoever closes the log writes that down.
    let log_start = log.log_start();
    log.close().expect("a disk without faults");
    drop(log);
    let again = open(files, disk, log_start, true).expect("what was closed opens");
    assert_eq!(look(&again).offsets.log_end, before_close.offsets.log_end);
    assert_eq!(look(&again), before_close, "a log that was closed is the same log");
    drop(again);
    if !clean {
        after_a_power_cut(files, &disk.crash(1), log_start, before_close);
    }
}

/// What was closed is there again. But the recovery mark and the snapshots of rolls are not synced, and where they are lost, sealed
/// segments are looked at that nobody had looked at before.
fn after_a_power_cut(files: &PartitionFiles, disk: &SimDisk, log_start: Offset, before: Seen) {
    let has_mark = read_flushed_mark(disk, Path::new(DIR)).is_some();
    let log = open(files, disk, log_start, false).expect("what was closed opens");
    let again = look(&log);
    let is_whole_from = |from| files_on_disk::sealed_are_whole(&log, disk, Offset(from));
    let segments = log.segment_summaries();
    let mut says_something = segments
        .iter()
        .map(|segment| files_on_disk::makes_sense(disk, segment.base_offset, segment.log_bytes, Offset::MAX));
    let is_sound = is_whole_from(0) && says_something.all(|says| says);
    assert!(again.damage.is_none() || !is_sound, "told of damage that is not there");
    assert!(has_mark || again.damage.is_some() || is_whole_from(files.recovery_point.into()), "damage is not told");
    assert_eq!(Seen { damage: None, ..again }, before, "what was closed survives a power cut");
}

/// `None` for files of a newer program and of another topic, the only things that keep a directory closed.
fn open(files: &PartitionFiles, disk: &SimDisk, log_start: Offset, clean: bool) -> Option<Log> {
    let config = LogConfig {
        segment_bytes: if files.has(SMALL_SEGMENTS) { 300 } else { 1 << 20 },
        index_interval_bytes: u32::from(files.interval) * 8,
        segment_index_bytes: 128,
        retention_age: None,
        ..LogConfig::default()
    };
    let opening = Opening {
        disk: Arc::new(disk.clone()),
        clock: Arc::new(SimClock::default()),
        dir: DIR.into(),
        partition: TopicPartition::new("t", 0),
        config,
        recovery_point: Offset(files.recovery_point.into()),
        log_start,
        high_watermark: Offset::MAX,
        clean,
        in_doubt: false,
        topic_id: None,
        files: Arc::new(OpenFiles::new(2)),
    };
    match Log::open(opening) {
        Ok(log) => Some(log),
        Err(e) => {
            assert_eq!(e.code(), ErrorCode::UNSUPPORTED_VERSION, "a log did not open: {e}");
            None
        }
    }
}

fn look(log: &Log) -> Seen {
    let offsets = log.offsets();
    assert!(offsets.log_start <= offsets.high_watermark && offsets.high_watermark <= offsets.log_end);
    assert!(offsets.flushed <= offsets.log_end);
    let (batches, refused) = read_from(log, offsets.log_start);
    let report = log.recovery_report();
    // A log that has been appended to has moved its flushed end as it liked.
    let offsets = LogOffsets { flushed: offsets.log_end, high_watermark: offsets.log_end, ..offsets };
    Seen { offsets, batches, refused, damage: report.damage.as_ref().map(Error::code), epochs: log.leader_epochs() }
}

/// All batches from `from` on, in small and in large pieces, and what ended the reading too early.
fn read_from(log: &Log, from: Offset) -> (Vec<Batch>, Option<ErrorCode>) {
    let small = read_pieces(log, from, 100);
    if small.1.is_none() {
        assert_eq!(read_pieces(log, from, 1 << 20), small, "the size of a fetch changes what is read");
    }
    small
}

fn read_pieces(log: &Log, from: Offset, bytes_max: usize) -> (Vec<Batch>, Option<ErrorCode>) {
    let (mut found, mut next): (Vec<Batch>, Offset) = (Vec::new(), from);
    let mut inflater = Inflater::new(1 << 20);
    loop {
        let fetch = Fetch { from: next, bytes_max, up_to: UpTo::LogEnd, min_one_message: true };
        let fetched = match log.read(fetch) {
            Ok(fetched) => fetched,
            Err(e) => return (found, Some(e.code())),
        };
        if fetched.batches.is_empty() {
            return (found, None);
        }
        for batch in batches(&fetched.batches) {
            let (_, view) = batch.expect("a fetch has whole batches");
            let header = view.header();
            assert!(header.last_offset() >= next, "a fetch goes back");
            assert!(found.last().is_none_or(|before| before.last < header.base_offset), "batches overlap");
            assert!(header.end_offset() <= log.log_end());
            if let Ok(records) = view.records(&mut inflater) {
                let _ = records.count(); // any of them may be nonsense under a right checksum
            }
            found.push(Batch::of(&view));
            next = header.end_offset();
        }
    }
}

/// Questions whose answers nobody can know for arbitrary files; they have to come, that is all.
fn ask(log: &Log) {
    for at in [i64::MIN, -1, 0, 1, 1_735_689_600_000, i64::MAX] {
        if let Ok(Some((offset, timestamp))) = log.offset_for_timestamp(Timestamp(at)) {
            assert!(timestamp.0 >= at && offset >= log.log_start());
        }
    }
    let _ = log.offset_of_max_timestamp();
    let _ = log.aborted_transactions(log.log_start(), log.log_end());
    let _ = (log.last_stable_offset(), log.size_bytes(), log.segment_summaries());
}

fn append_one(log: &Log, serial: u8, stamp: Option<ProducerStamp>) -> crate::error::Result<()> {
    let now = Timestamp(1_735_689_600_000);
    let mut batch = batch(serial, stamp);
    // No reign is older than what is there.
    let epoch = log.latest_leader_epoch().map_or(LeaderEpoch(3), |latest| latest.max(LeaderEpoch(3)));
    if serial % 2 == 0 {
        log.append(&mut batch, epoch, now)?;
    } else {
        log.append_raw(batch.bytes(), epoch, now)?;
    }
    log.advance_high_watermark(log.log_end());
    Ok(())
}

pub(super) fn batch(serial: u8, stamp: Option<ProducerStamp>) -> SealedBatch {
    let mut builder = BatchBuilder::new(Codec::None, None);
    let value = [b'a' + serial % 26; 20];
    let record = RecordRef { key: None, value: Some(&value), headers: &[] };
    builder.append(record, 1_735_689_600_000 + i64::from(serial)).expect("a small record");
    builder.seal(stamp, false).expect("it has a record")
}
