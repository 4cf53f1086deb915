//! Index, transaction index and snapshot files; indexes are compared with their logs.

use super::{open, Dump};
use crate::failure::{Failure, Outcome};
use kafkalog::inspect::{BatchDump, IndexDump, LogDump, TimeDump};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;

impl<W: Write> Dump<'_, W> {
    pub(super) fn index(&mut self, file: &Path) -> Outcome {
        let entries = open(file, LogDump::index)?;
        if entries.is_empty() {
            return Ok(self.line(
                file,
                "empty",
                || format!("{} is empty.", file.display()),
                json!({ "entries": 0 }),
            )?);
        }
        if self.args.index_sanity_check {
            let rises =
                entries.windows(2).all(|two| two[0].offset < two[1].offset && two[0].position < two[1].position);
            return self.sanity(file, 8, rises);
        }
        let log = walk(file, |_, _| Ok(()))?;
        for IndexDump { offset, position } in entries {
            let batch = log.get(&u64::from(position.0));
            let found = batch.map(|batch| batch.last_offset);
            if found != Some(offset) {
                let found = found.map_or("none".to_owned(), |found| found.to_string());
                let place = file.display();
                self.finding(file, format!("Mismatches in :{place}\n  Index offset: {offset}, log offset: {found}"))?;
            }
            if !self.args.verify_index_only {
                let object = json!({ "offset": offset.0, "position": position.0 });
                self.line(file, "index_entry", || format!("offset: {offset} position: {}", position.0), object)?;
            }
        }
        Ok(())
    }

    pub(super) fn time_index(&mut self, file: &Path) -> Outcome {
        let entries = open(file, LogDump::time_index)?;
        if self.args.index_sanity_check {
            let rises =
                entries.windows(2).all(|two| two[0].timestamp < two[1].timestamp && two[0].offset <= two[1].offset);
            return self.sanity(file, 12, rises);
        }
        // The largest timestamp of the records of each batch that the index names, by the batch's last offset.
        let named: BTreeSet<u64> = entries.iter().map(|entry| entry.offset.0).collect();
        let mut largest = BTreeMap::new();
        walk(file, |log, batch| {
            if batch.is_valid && named.contains(&batch.last_offset.0) {
                let max = log.records()?.iter().filter_map(|record| record.timestamp).max();
                largest.insert(batch.last_offset.0, max);
            }
            Ok(())
        })?;
        let mut previous = None;
        for TimeDump { timestamp, offset } in entries {
            let place = file.display();
            match largest.get(&offset.0) {
                None => {
                    let text = "The following indexed offsets are not found in the log.";
                    self.finding(file, format!("{text}\n{place}: Indexed offset: {offset}"))?;
                }
                Some(max) if *max != Some(timestamp) => {
                    let max = max.map_or(-1, |at| at.0);
                    let text = format!("Index timestamp: {}, log timestamp: {max}", timestamp.0);
                    self.finding(file, format!("Found timestamp mismatch in :{place}\n  {text}"))?;
                }
                Some(_) => {}
            }
            if let Some(before) = previous.filter(|before| *before >= timestamp.0) {
                let text = format!("Index timestamp: {}, Previously indexed timestamp: {before}", timestamp.0);
                self.finding(file, format!("Found out of order timestamp in :{place}\n  {text}"))?;
            }
            previous = Some(timestamp.0);
            if !self.args.verify_index_only {
                let object = json!({ "timestamp": timestamp.0, "offset": offset.0 });
                self.line(file, "time_entry", || format!("timestamp: {} offset: {offset}", timestamp.0), object)?;
            }
        }
        Ok(())
    }

    fn sanity(&mut self, file: &Path, entry_bytes: u64, rises: bool) -> Outcome {
        let length = std::fs::metadata(file).map_err(|error| Failure::file(file, &error))?.len();
        if length % entry_bytes != 0 || !rises {
            let why = if rises { "its length is no multiple of an entry's" } else { "its entries do not rise" };
            return self.finding(file, format!("{} did not pass sanity check: {why}.", file.display()));
        }
        Ok(self.line(
            file,
            "sanity",
            || format!("{} passed sanity check.", file.display()),
            json!({ "passed": true }),
        )?)
    }

    pub(super) fn txn_index(&mut self, file: &Path) -> Outcome {
        for entry in open(file, LogDump::txn_index)? {
            let text = || {
                format!(
                    "version: 0 producerId: {} firstOffset: {} lastOffset: {} lastStableOffset: {}",
                    entry.producer_id, entry.first_offset, entry.last_offset, entry.last_stable_offset
                )
            };
            let object = json!({
                "producer_id": entry.producer_id,
                "first_offset": entry.first_offset.0,
                "last_offset": entry.last_offset.0,
                "last_stable_offset": entry.last_stable_offset.0,
            });
            self.line(file, "aborted_txn", text, object)?;
        }
        Ok(())
    }

    pub(super) fn snapshot(&mut self, file: &Path) -> Outcome {
        for entry in open(file, LogDump::snapshot)? {
            let txn = entry.txn_first_offset.map(|offset| offset.0);
            let txn_text = txn.map_or("OptionalLong.empty".to_owned(), |offset| format!("OptionalLong[{offset}]"));
            let timestamp = entry.timestamp.map_or(-1, |at| at.0);
            // Without a data batch Kafka's line ends behind lastTimestamp.
            let batch = entry.last_sequence.zip(entry.last_offset).map_or(String::new(), |(last, offset)| {
                let first = first_sequence(last, entry.offset_delta);
                let delta = entry.offset_delta;
                format!("firstSequence: {first} lastSequence: {last} lastOffset: {offset} offsetDelta: {delta} timestamp: {timestamp}")
            });
            let text = || {
                format!(
                    "producerId: {} producerEpoch: {} coordinatorEpoch: {} currentTxnFirstOffset: {txn_text} \
                     lastTimestamp: {timestamp} {batch}",
                    entry.producer_id,
                    entry.producer_epoch,
                    entry.coordinator_epoch.unwrap_or(-1)
                )
            };
            let object = json!({
                "producer_id": entry.producer_id,
                "producer_epoch": entry.producer_epoch,
                "coordinator_epoch": entry.coordinator_epoch,
                "current_txn_first_offset": txn,
                "last_sequence": entry.last_sequence,
                "last_offset": entry.last_offset.map(|offset| offset.0),
                "offset_delta": entry.offset_delta,
                "timestamp": entry.timestamp.map(|at| at.0),
            });
            self.line(file, "producer", text, object)?;
        }
        Ok(())
    }
}

/// Walks the batches of the log that an index belongs to; by position.
fn walk(
    index: &Path,
    mut each: impl FnMut(&mut LogDump, &BatchDump) -> kafkalog::Result<()>,
) -> Outcome<BTreeMap<u64, BatchDump>> {
    let mut log = open(&index.with_extension("log"), LogDump::open)?;
    let mut batches = BTreeMap::new();
    while let Some(batch) = log.next_batch()? {
        each(&mut log, &batch)?;
        batches.insert(batch.position, batch);
    }
    Ok(batches)
}

/// Sequences wrap from `i32::MAX` to 0.
fn first_sequence(last: i32, delta: u32) -> i32 {
    let delta = i64::from(delta);
    let first = match i64::from(last) - delta {
        below if below < 0 && last >= 0 => below + i64::from(i32::MAX) + 1,
        first => first,
    };
    i32::try_from(first).unwrap_or(-1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_sequence_of_a_batch_wraps_as_kafka_wraps_it() {
        assert_eq!(first_sequence(9, 4), 5);
        assert_eq!(first_sequence(1, 3), i32::MAX - 1);
        assert_eq!(first_sequence(0, 0), 0);
        assert_eq!(first_sequence(-1, 0), -1);
    }
}
