//! Reading everything back from the files, and comparing it with what was sent.

use super::input::Input;
use super::send::Pass;
use super::{FLUSHED_TOPIC, LEVELS, TOPIC};
use crate::failure::Outcome;
use crate::reading;
use kafkalog::{ConsumerRecord, ReadOnlyEngine};
use std::time::{Duration, Instant};

/// What the files hold of one pass.
#[derive(Clone, Copy, Default)]
pub struct Found {
    pub records: u64,
    /// Acknowledged, and not in the files.
    pub lost: u64,
    /// In the files, and not what was sent.
    pub changed: u64,
    pub duplicated: u64,
    /// Behind a later line of the same key.
    pub out_of_order: u64,
}

impl Found {
    /// Whether every acknowledged record is there once, unchanged and in order.
    pub fn is_whole(&self) -> bool {
        self.lost + self.changed + self.duplicated + self.out_of_order == 0
    }
}

/// What the files hold of all passes, and how long reading took.
pub struct AllFound {
    pub levels: [Found; LEVELS.len()],
    /// Records that belong to no pass.
    pub foreign: u64,
    pub elapsed: Duration,
}

pub fn passes(engine: &ReadOnlyEngine, input: &Input, passes: &[Pass]) -> Outcome<AllFound> {
    let start = Instant::now();
    let mut all = AllFound { levels: [Found::default(); LEVELS.len()], foreign: 0, elapsed: Duration::ZERO };
    let records = usize::try_from(input.record_count()).unwrap_or(usize::MAX);
    let mut seen = vec![vec![false; records]; LEVELS.len()];
    let mut partitions = Vec::new();
    for topic in [TOPIC, FLUSHED_TOPIC] {
        partitions.extend(reading::partitions(&reading::topic(engine, topic)?, &[])?);
    }
    for partition in partitions {
        // A key lives in one partition, so rising numbers there mean that every key's lines are in order.
        let mut next = [0; LEVELS.len()];
        reading::each_record(engine, &partition, |record| {
            let Some((level, number)) = identity(&record).filter(|(_, number)| *number < input.record_count()) else {
                all.foreign += 1;
                return Ok(());
            };
            let found = &mut all.levels[level];
            found.records += 1;
            let (key, line) = input.record(number);
            found.changed += u64::from((record.key, record.value) != (Some(key), Some(line)));
            let place = &mut seen[level][usize::try_from(number).expect("below the count")];
            found.duplicated += u64::from(std::mem::replace(place, true));
            found.out_of_order += u64::from(number < next[level]);
            next[level] = number + 1;
            Ok(())
        })?;
    }
    for pass in passes {
        let lost = pass.is_acked.iter().zip(&seen[pass.level]).filter(|(acked, seen)| **acked && !**seen);
        all.levels[pass.level].lost = lost.count() as u64;
    }
    all.elapsed = start.elapsed();
    Ok(all)
}

/// Which pass a record belongs to, and which of its records it is.
pub fn identity(record: &ConsumerRecord<'_>) -> Option<(usize, u64)> {
    let (mut level, mut number) = (None, None);
    for header in record.headers() {
        let text = std::str::from_utf8(header.value?).ok()?;
        match header.key {
            b"level" => level = LEVELS.iter().position(|level| level.name == text),
            b"number" => number = text.parse().ok(),
            _ => return None,
        }
    }
    Some((level?, number?))
}
