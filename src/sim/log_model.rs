//! A log on the disk that forgets, beside a plain list: after whatever happens they must agree.
//!
//! Each seed is one life: appends, syncs, rolls, retention, truncation, clean closes, kills, power cuts, power cuts in the middle of any
//! call (recovery too). The list knows what was acknowledged as written, and up to where as durable.

use super::{FaultKind, FaultyCalls, Repeat, SimClock, SimDisk};
use crate::config::LogConfig;
use crate::disk::Disk;
use crate::error::{ErrorCode, Result};
use crate::record::{batches, BatchBuilder, Inflater, RecordRef, SealedBatch};
use crate::storage::{Fetch, Log, OpenFiles, Opening, UpTo};
use crate::time::Clock;
use crate::types::{Codec, LeaderEpoch, Offset, TopicPartition};
use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const ROOT: &str = "/data";
const DIR: &str = "/data/t-0";

/// More faults than this are not armed at once, so a log that did not open so often has lost something.
const REOPENINGS_MAX: u32 = 100;

struct Life {
    seed: u64,
    rng: fastrand::Rng,
    clock: Arc<SimClock>,
    disk: SimDisk,
    log: Option<Log>,
    config: LogConfig,
    /// What was acknowledged as written, by offset; index 0 is offset 0.
    written: Vec<Vec<u8>>,
    /// Everything below was acknowledged as durable.
    durable: u64,
    /// The log start that the node would have checkpointed.
    log_start: u64,
    /// Offsets at which a batch ends: where the log may end after a cut.
    ends: Vec<u64>,
    /// The batches of an append that failed or died: any number of them, from the first on, may be there.
    unknown: Vec<Vec<Vec<u8>>>,
    clean: bool,
    serial: u64,
}

impl Life {
    fn new(seed: u64) -> Life {
        let mut rng = fastrand::Rng::with_seed(seed);
        let clock = Arc::new(SimClock::default());
        let disk = SimDisk::with_clock(seed, clock.clone());
        disk.create_dir(Path::new(ROOT)).expect("a fresh disk");
        disk.sync_dir(Path::new("/")).expect("a fresh disk");
        let config = LogConfig {
            segment_bytes: rng.u32(1500..6000),
            index_interval_bytes: rng.u32(0..800),
            segment_index_bytes: rng.u32(24..400),
            file_delete_delay: Duration::ZERO,
            retention_age: None,
            retention_bytes: Some(rng.u64(2000..30_000)),
            ..LogConfig::default()
        };
        Life {
            seed,
            rng,
            clock,
            disk,
            log: None,
            config,
            written: Vec::new(),
            durable: 0,
            log_start: 0,
            ends: vec![0],
            unknown: Vec::new(),
            clean: true,
            serial: 0,
        }
    }

    fn opening(&mut self) -> Opening {
        Opening {
            disk: Arc::new(self.disk.clone()),
            clock: self.clock.clone(),
            dir: DIR.into(),
            partition: TopicPartition::new("t", 0),
            config: self.config.clone(),
            recovery_point: Offset(self.rng.u64(0..=self.durable)),
            log_start: Offset(self.log_start),
            high_watermark: Offset(self.durable),
            clean: self.clean,
            in_doubt: false,
            topic_id: None,
            files: Arc::new(OpenFiles::new(2)),
        }
    }

    fn batch(&mut self) -> (SealedBatch, Vec<Vec<u8>>) {
        let mut builder = BatchBuilder::new(Codec::None, None);
        let mut values = Vec::new();
        for _ in 0..self.rng.u32(1..5) {
            self.serial += 1;
            let mut value = format!("{}/{}/", self.seed, self.serial).into_bytes();
            value.resize(value.len() + self.rng.usize(0..250), b'.');
            let timestamp = self.clock.realtime().0 - self.rng.i64(0..1000);
            let record = RecordRef { key: None, value: Some(&value), headers: &[] };
            builder.append(record, timestamp).expect("fits");
            values.push(value);
        }
        (builder.seal(None, false).expect("has records"), values)
    }

    /// Appends; true when the log took it.
    fn append(&mut self) -> bool {
        let (mut batch, values) = self.batch();
        let now = self.clock.realtime();
        let log = self.log.as_ref().expect("open");
        let raw = self.rng.bool();
        let outcome = if raw {
            log.append_raw(batch.bytes(), LeaderEpoch(0), now)
        } else {
            log.append(&mut batch, LeaderEpoch(0), now)
        };
        match outcome {
            Ok(appended) => {
                assert_eq!(appended.base_offset.0, self.written.len() as u64, "seed {}", self.seed);
                self.written.extend(values);
                self.ends.push(self.written.len() as u64);
                log.advance_high_watermark(log.log_end());
                true
            }
            Err(e) => {
                assert_eq!(e.code(), ErrorCode::KAFKA_STORAGE_ERROR, "seed {}: {e}", self.seed);
                self.unknown = vec![values];
                false
            }
        }
    }

    /// Appends some batches together.
    fn append_group(&mut self) {
        let (mut batches, mut values): (Vec<_>, VecDeque<_>) = (0..self.rng.usize(2..8)).map(|_| self.batch()).unzip();
        let log = self.log.as_ref().expect("open");
        let (placed, outcome) = log.append_group(&mut batches, LeaderEpoch(0), self.clock.realtime());
        for (batch, values) in batches.iter().zip(values.drain(..placed)) {
            assert_eq!(batch.header().base_offset.0, self.written.len() as u64, "seed {}", self.seed);
            self.written.extend(values);
            self.ends.push(self.written.len() as u64);
        }
        log.advance_high_watermark(log.log_end());
        if let Err(e) = outcome {
            assert_eq!(e.code(), ErrorCode::KAFKA_STORAGE_ERROR, "seed {}: {e}", self.seed);
            self.unknown = values.into();
        }
    }

    fn flush(&mut self, up_to: bool) {
        let log = self.log.as_ref().expect("open");
        let end = log.log_end();
        let outcome = if up_to { log.flush_up_to(end) } else { log.flush().map(|_| ()) };
        if outcome.is_ok() {
            self.durable = self.durable.max(end.0);
        }
    }

    fn retain(&mut self) {
        let log = self.log.as_ref().expect("open");
        if self.rng.bool() && log.apply_retention(self.clock.realtime()).is_err() {
            return;
        }
        if self.rng.u8(0..4) == 0 && log.high_watermark() >= log.log_start() {
            let before = self.rng.u64(log.log_start().0..=log.high_watermark().0);
            if log.delete_records(Some(Offset(before))).is_err() {
                return;
            }
        }
        let _ = log.delete_due_files(self.clock.monotonic()); // may fail by the fault that is armed
        self.log_start = log.log_start().0;
    }

    fn truncate(&mut self) {
        let log = self.log.as_ref().expect("open");
        let end = self.rng.u64(self.log_start..=self.written.len() as u64);
        // A cut below what was durable takes it back on purpose: the new promise starts here.
        let floor = *self.ends.iter().rev().find(|&&known| known <= end).expect("0 is an end");
        if log.truncate_to(Offset(end)).is_ok() {
            assert_eq!(log.log_end().0, floor, "seed {}", self.seed);
            self.log_start = log.log_start().0;
            self.cut_model(floor);
            self.durable = self.durable.min(floor);
        } else {
            self.durable = self.durable.min(floor);
        }
    }

    fn cut_model(&mut self, end: u64) {
        self.written.truncate(end as usize);
        self.ends.retain(|&known| known <= end);
    }

    /// Compares everything the log has with the list.
    fn check(&self) {
        let log = self.log.as_ref().expect("open");
        let read = read_all(log).unwrap_or_else(|e| panic!("seed {}: {e}", self.seed));
        let offsets = log.offsets();
        let expected: Vec<(u64, &[u8])> = (offsets.log_start.0..offsets.log_end.0)
            .map(|offset| (offset, self.written[offset as usize].as_slice()))
            .collect();
        let found: Vec<(u64, &[u8])> = read.iter().map(|(offset, value)| (*offset, value.as_slice())).collect();
        if found != expected {
            let at = found.iter().zip(&expected).position(|(f, e)| f != e).unwrap_or(found.len().min(expected.len()));
            let show = |list: &[(u64, &[u8])]| {
                list.get(at).map(|(o, v)| format!("{o}: {}", String::from_utf8_lossy(&v[..v.len().min(16)])))
            };
            let (lens, f, e) = ((found.len(), expected.len()), show(&found), show(&expected));
            println!("{:?} {:?} {:?}", log.offsets(), log.failure(), log.segment_summaries());
            panic!("seed {}: {lens:?} records, the first that differ: found {f:?}, expected {e:?}", self.seed);
        }
        assert!(offsets.log_start <= offsets.high_watermark.max(offsets.log_start));
        assert!(offsets.high_watermark <= offsets.log_end && offsets.flushed <= offsets.log_end);
    }

    /// Opens until it works: a fault may be armed, and a power cut may come in the middle.
    fn reopen(&mut self) {
        for _ in 0..REOPENINGS_MAX {
            let opening = self.opening();
            match Log::open(opening) {
                Ok(log) => {
                    let report = log.recovery_report();
                    assert!(report.damage.is_none(), "seed {}: {:?}", self.seed, report.damage);
                    self.adopt(log);
                    return;
                }
                Err(e) => {
                    assert_eq!(e.code(), ErrorCode::KAFKA_STORAGE_ERROR, "seed {}: {e}", self.seed);
                    assert!(self.disk.faults_fired() > 0, "seed {}: {e}", self.seed);
                    self.disk = self.disk.crash(self.rng.u64(..));
                    self.clean = false;
                }
            }
        }
        panic!("seed {}: LOST: the log does not open any more", self.seed);
    }

    fn adopt(&mut self, log: Log) {
        let end = log.log_end().0;
        let unknown = std::mem::take(&mut self.unknown);
        for batch in unknown {
            if end >= (self.written.len() + batch.len()) as u64 {
                self.written.extend(batch);
                self.ends.push(self.written.len() as u64);
            }
        }
        let written = self.written.len() as u64;
        assert!(end <= written, "seed {}: the log ends at {end}, only {written} were written", self.seed);
        assert!(end >= self.durable, "seed {}: LOST: the log ends at {end}, {} were durable", self.seed, self.durable);
        assert!(
            self.ends.contains(&end) || end == self.log_start,
            "seed {}: half a batch was believed at {end}",
            self.seed
        );
        assert_eq!(log.flushed(), log.log_end(), "seed {}: what is served must be durable", self.seed);
        self.cut_model(end);
        if !self.ends.contains(&end) {
            self.ends.push(end); // the log begins anew at its log start
        }
        self.durable = end;
        self.log_start = log.log_start().0;
        log.advance_high_watermark(log.log_end());
        self.log = Some(log);
        self.clean = false;
        self.check();
    }

    fn close(&mut self) {
        if let Some(log) = self.log.take() {
            self.clean = log.close().is_ok();
            if self.clean {
                self.durable = self.written.len() as u64;
            }
        }
    }

    fn arm(&mut self) {
        let kind = *self
            .rng
            .choice(&[FaultKind::Eio, FaultKind::Enospc, FaultKind::ShortThenError, FaultKind::Die][..])
            .expect("four");
        let nth = self.rng.u64(1..12);
        self.disk.fail_nth(FaultyCalls::Changes, nth, kind, Repeat::Forever);
    }

    fn step(&mut self, faults: bool) {
        self.clock.advance(Duration::from_millis(self.rng.u64(1..500)));
        if self.log.is_none() {
            self.reopen();
        }
        let failed = self.log.as_ref().expect("open").failure().is_some();
        let pick = self.rng.u8(0..100);
        if std::env::var("KAFKALOG_SEED").is_ok() {
            println!("{pick} {} {:?}", failed, self.log.as_ref().expect("open").offsets());
        }
        match pick {
            _ if failed => self.power_cut(),
            0..=44 => {
                self.append();
            }
            45..=54 => self.append_group(),
            55..=69 => self.flush(true),
            70..=74 => self.flush(false),
            75..=79 => self.retain(),
            80..=81 => self.truncate(),
            82..=85 => {
                self.close();
            }
            86..=89 => {
                self.log = None; // kill -9: the page cache survives
                self.disk = self.disk.restart();
                self.clean = false;
            }
            90..=94 if faults => self.arm(),
            90..=99 if faults => self.power_cut(),
            _ => self.check(),
        }
    }

    fn power_cut(&mut self) {
        self.log = None;
        self.disk = self.disk.crash(self.rng.u64(..));
        self.clean = false;
        if self.rng.u8(0..3) == 0 {
            self.arm(); // the next power cut comes during recovery
        }
    }
}

fn read_all(log: &Log) -> Result<Vec<(u64, Vec<u8>)>> {
    let mut values = Vec::new();
    let mut next = log.log_start();
    let mut inflater = Inflater::new(1 << 20);
    loop {
        let fetched = log.read(Fetch { from: next, bytes_max: 2000, up_to: UpTo::LogEnd, min_one_message: true })?;
        if fetched.batches.is_empty() {
            return Ok(values);
        }
        for found in batches(&fetched.batches) {
            let (_, view) = found?;
            view.verify()?;
            for record in view.records(&mut inflater)? {
                let record = record?;
                if record.offset >= next {
                    values.push((record.offset.0, record.value.unwrap_or_default().to_vec()));
                }
            }
            next = view.header().end_offset();
        }
    }
}

fn live(seed: u64, steps: usize, faults: bool) {
    let mut life = Life::new(seed);
    for _ in 0..steps {
        life.step(faults);
    }
    if life.log.is_none() {
        life.disk.clear_faults();
        life.reopen();
    }
}

/// A seed from the environment replays one life; otherwise all of them are lived.
fn seeds(count: u64) -> std::ops::Range<u64> {
    match std::env::var("KAFKALOG_SEED").ok().and_then(|seed| seed.parse().ok()) {
        Some(seed) => seed..seed + 1,
        None => 0..count,
    }
}

#[test]
fn ten_thousand_lives_without_power_cuts_agree_with_a_plain_list() {
    for seed in seeds(10_000) {
        live(seed, 25, false);
    }
}

#[test]
fn a_thousand_lives_with_power_cuts_and_disk_faults_lose_nothing_that_was_durable() {
    for seed in seeds(1_000) {
        live(seed, 120, true);
    }
}
