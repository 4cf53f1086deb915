//! Any bytes as the files of a partition directory: the log opens, answers, takes appends, and opens again to the same.

use super::partition_files::{PartitionFiles, DIR, SMALL_SEGMENTS, TRUNCATE};
use crate::config::LogConfig;
use crate::error::{Error, ErrorCode};
use crate::record::{batches, crc32c, BatchBuilder, Inflater, RecordRef, SealedBatch};
use crate::sim::{SimClock, SimDisk};
use crate::storage::{Fetch, Log, LogOffsets, OpenFiles, Opening, UpTo};
use crate::types::{Codec, LeaderEpoch, Offset, ProducerStamp, Timestamp, TopicPartition};
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

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Batch {
    base: Offset,
    last: Offset,
    crc: u32,
}

fn live(files: &PartitionFiles, clean: bool) {
    let disk = files.lay_out();
    let log_start = Offset(files.log_start.into());
    let Some(log) = open(files, &disk, log_start, clean) else { return };
    let first = look(&log);
    ask(&log);
    if !clean && !files.has_mark() && first.damage.is_none() && files.recovery_point == 0 {
        // A gap is passed with the batch behind it. When all that lay behind was a torn tail, the reader is told instead of waiting.
        let ends_in_a_gap = log.segment_summaries().last().is_some_and(|active| active.log_bytes == 0);
        assert!(first.refused.is_none() || ends_in_a_gap, "recovery let something in that cannot be read");
    }
    drop(log);
    let disk = disk.restart();
    let log = open(files, &disk, log_start, clean).expect("it opened before");
    let second = look(&log);
    if clean && first.damage.is_none() && second.damage.is_some() {
        // What was closed in order is not read again; that its sealed segments are damaged finds out who has to read them, and the first
        // opening may have taken a snapshot away.
        return;
    }
    assert_eq!(second, first, "a log that is opened twice is the same log");
    if first.damage.is_some() {
        assert!(append_one(&log, 1, None).is_err(), "a damaged log takes nothing");
        return;
    }
    if files.has(TRUNCATE) && !clean && first.refused.is_none() {
        let end = Offset(first.offsets.log_start.0.midpoint(first.offsets.log_end.0));
        if let Err(e) = log.truncate_to(end) {
            // Below what was durable lies something that makes no sense, and nobody had to look at it before.
            assert_eq!(e.code(), ErrorCode::CORRUPT_MESSAGE, "{e}");
            drop(log);
            let log = open(files, &disk.restart(), log_start, false).expect("it opened before");
            assert!(log.recovery_report().damage.is_some(), "what a cut refuses is told: {e}");
            return;
        }
        assert!(log.log_end() <= end.max(log.log_start()));
    }
    append_and_reopen(files, &disk, log, clean, first.refused.is_none());
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
        let disk = disk.crash(1);
        let again = open(files, &disk, log_start, false).expect("what was closed opens");
        assert_eq!(look(&again), before_close, "what was closed survives a power cut");
    }
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
            found.push(Batch { base: header.base_offset, last: header.last_offset(), crc: crc32c(view.bytes()) });
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
    if serial % 2 == 0 {
        log.append(&mut batch, LeaderEpoch(3), now)?;
    } else {
        log.append_raw(batch.bytes(), LeaderEpoch(3), now)?;
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
