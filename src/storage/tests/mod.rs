//! The log as a whole: what it promises, on real files.

mod append;
mod caches;
mod cut;
mod damage;
mod epochs;
mod group;
mod recover;
mod retain;
mod times;
mod vectors;

use super::{Appended, Fetch, Log, OpenFiles, Opening, UpTo};
use crate::config::LogConfig;
use crate::disk::{Disk, RealDisk};
use crate::error::Result;
use crate::record::{batches, crc32c, BatchBuilder, Inflater, RecordRef, SealedBatch};
use crate::time::{Clock, SystemClock};
use crate::types::{Codec, LeaderEpoch, Offset, ProducerStamp, Timestamp, TopicPartition};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(super) const EPOCH: LeaderEpoch = LeaderEpoch(0);

/// A directory with one partition in it.
pub(super) struct Place {
    _dir: tempfile::TempDir,
    pub path: PathBuf,
}

impl Place {
    pub fn new() -> Place {
        let dir = tempfile::tempdir().expect("a temporary directory");
        Place { path: dir.path().join("t-0"), _dir: dir }
    }

    pub fn opening(&self, config: LogConfig, clean: bool) -> Opening {
        opening(Arc::new(RealDisk), &self.path, config, clean)
    }

    pub fn open(&self, config: LogConfig, clean: bool) -> Log {
        Log::open(self.opening(config, clean)).expect("opens")
    }

    /// File names, sorted.
    pub fn files(&self) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(&self.path)
            .expect("a directory")
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("utf-8"))
            .collect();
        names.sort();
        names
    }
}

pub(super) fn opening(disk: Arc<dyn Disk>, dir: &Path, config: LogConfig, clean: bool) -> Opening {
    Opening {
        disk,
        clock: Arc::new(SystemClock::new()),
        dir: dir.to_owned(),
        partition: TopicPartition::new("t", 0),
        config,
        recovery_point: Offset::ZERO,
        log_start: Offset::ZERO,
        high_watermark: Offset::MAX,
        clean,
        in_doubt: false,
        topic_id: None,
        files: Arc::new(OpenFiles::new(8)),
    }
}

pub(super) fn small_segments() -> LogConfig {
    LogConfig { segment_bytes: 1024, index_interval_bytes: 100, ..LogConfig::default() }
}

/// A batch of these values, all with the same timestamp.
pub(super) fn batch_at<V: AsRef<[u8]>>(values: &[V], timestamp: i64, stamp: Option<ProducerStamp>) -> SealedBatch {
    let mut builder = BatchBuilder::new(Codec::None, None);
    for value in values {
        let record = RecordRef { key: None, value: Some(value.as_ref()), headers: &[] };
        builder.append(record, timestamp).expect("fits");
    }
    builder.seal(stamp, false).expect("has records")
}

pub(super) fn batch<V: AsRef<[u8]>>(values: &[V]) -> SealedBatch {
    batch_at(values, 1_700_000_000_000, None)
}

pub(super) fn append<V: AsRef<[u8]>>(log: &Log, values: &[V]) -> Result<Appended> {
    let appended = log.append(&mut batch(values), EPOCH, Timestamp(1_700_000_000_000))?;
    log.advance_high_watermark(log.log_end());
    Ok(appended)
}

/// Every value from `from` on, with its offset, read in pieces of `bytes_max`.
pub(super) fn read_all(log: &Log, from: Offset, bytes_max: usize) -> Result<Vec<(u64, Vec<u8>)>> {
    let mut values = Vec::new();
    let mut next = from;
    let mut inflater = Inflater::new(1 << 24);
    loop {
        let fetched = log.read(Fetch { from: next, bytes_max, up_to: UpTo::LogEnd, min_one_message: true })?;
        if fetched.batches.is_empty() {
            return Ok(values);
        }
        for found in batches(&fetched.batches) {
            let (_, view) = found?;
            view.verify()?;
            for record in view.records(&mut inflater)? {
                let record = record?;
                if record.offset >= next && !view.header().is_control() {
                    values.push((record.offset.0, record.value.unwrap_or_default().to_vec()));
                }
            }
            next = view.header().end_offset();
        }
    }
}

pub(super) fn values(count: usize, tag: &str) -> Vec<String> {
    (0..count).map(|n| format!("{tag}-{n:04}")).collect()
}

pub(super) fn last_log(place: &Place) -> PathBuf {
    let last = place.files().into_iter().rfind(|name| name.ends_with(".log")).expect("a log");
    place.path.join(last)
}

/// A log of many segments that was never closed: as `kill -9` leaves it.
pub(super) fn killed(place: &Place, count: usize) -> Vec<(u64, Vec<u8>)> {
    let log = place.open(small_segments(), true);
    for n in 0..count {
        append(&log, &values(2, &n.to_string())).expect("appends");
    }
    read_all(&log, Offset(0), 4096).expect("reads")
}

/// The base offset in the name of a segment's file.
pub(super) fn killed_base(path: &Path) -> u64 {
    path.file_stem().expect("a name").to_str().expect("utf-8").parse().expect("digits")
}

/// Five batches of producer 4, each with a line in the index, and closed.
pub(super) fn closed_by_a_producer(place: &Place) -> LogConfig {
    let config = LogConfig { index_interval_bytes: 1, ..LogConfig::default() };
    let log = place.open(config.clone(), true);
    for n in 0..5 {
        send(&log, n).expect("appends");
    }
    log.close().expect("closes");
    config
}

pub(super) fn send(log: &Log, sequence: i32) -> Result<Appended> {
    let stamp = ProducerStamp { id: 4, epoch: 0, base_sequence: Some(sequence) };
    let now = SystemClock::new().realtime();
    log.append(&mut batch_at(&["v"], now.0, Some(stamp)), EPOCH, now)
}

/// Makes the batch number `index` of equally long ones a marker that says nothing, under a checksum that fits.
pub(super) fn spoil(bytes: &mut [u8], index: usize, count: usize) {
    let each = bytes.len() / count;
    let batch = &mut bytes[index * each..(index + 1) * each];
    batch[22] |= 0x20;
    let crc = crc32c(&batch[21..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
}
