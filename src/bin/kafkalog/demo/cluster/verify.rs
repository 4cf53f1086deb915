//! Comparing three directories: with each other, byte by byte, and with what was acknowledged.

use super::super::input::Input;
use super::super::verify::{identity, Found};
use super::{Pass, PASSES, TOPIC};
use crate::failure::{Failure, Outcome};
use crate::reading;
use crate::target::open_read_only;
use kafkalog::Offset;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// What the three directories hold of one pass.
#[derive(Clone, Copy, Default)]
pub struct Replicated {
    /// In the first directory; lost is what any of them lacks.
    pub found: Found,
}

/// What comparing came to.
pub struct Compared {
    pub levels: [Replicated; PASSES],
    /// Partitions whose files are the same on all three nodes, byte by byte.
    pub identical: u32,
    pub bytes: u64,
    /// The first of the records that are there more than once.
    pub repeated: Vec<Repeated>,
}

/// A record that was sent again because nobody knew what had become of it.
pub struct Repeated {
    pub level: usize,
    pub number: u64,
    /// Partition and offset of each.
    pub places: Vec<Place>,
}

impl Compared {
    /// Nothing acknowledged with acks=all is missing or out of order, nothing at all is changed, and all replicas are the same. A record
    /// that was sent again after an unknown outcome may be there twice, until producers are idempotent.
    pub fn is_as_promised(&self, partitions: u32) -> bool {
        let changed: u64 = self.levels.iter().map(|level| level.found.changed).sum();
        let all = &self.levels[PASSES - 1].found;
        self.identical == partitions && changed == 0 && all.lost == 0 && all.out_of_order == 0
    }
}

/// So many are named, however many there are.
const REPEATED_NAMED_MAX: usize = 10;

/// Where a record lies: partition, offset.
type Place = (u32, u64);
type Places = HashMap<(usize, u64), Vec<Place>>;

/// Everything, or below the high watermarks where those are known.
pub fn compare(
    dirs: &[PathBuf],
    partitions: u32,
    input: &Input,
    passes: &[&Pass],
    high_watermarks: Option<&[Offset]>,
) -> Outcome<Compared> {
    let mut compared =
        Compared { levels: [Replicated::default(); PASSES], identical: 0, bytes: 0, repeated: Vec::new() };
    for partition in 0..partitions {
        let end = high_watermarks.map(|all| all[partition as usize]);
        let log = |dir: &PathBuf| {
            let bytes = log_bytes(dir, partition)?;
            Ok(match end {
                Some(end) => below(&bytes, end).to_vec(),
                None => bytes,
            })
        };
        let logs: Vec<Vec<u8>> = dirs.iter().map(log).collect::<Outcome<_>>()?;
        compared.identical += u32::from(logs.windows(2).all(|pair| pair[0] == pair[1]));
        compared.bytes += logs[0].len() as u64;
    }
    let mut everywhere = Vec::new();
    for (index, dir) in dirs.iter().enumerate() {
        let (places, levels) = read(dir, input)?;
        if index == 0 {
            compared.levels = levels;
            compared.repeated = repeated(&places);
        }
        everywhere.push(places);
    }
    for pass in passes {
        let lacks = |places: &Places, number: usize, (partition, offset): (u32, Option<u64>)| {
            let there = places.get(&(pass.level, number as u64));
            !there.is_some_and(|places| {
                places.iter().any(|(p, o)| *p == partition && offset.is_none_or(|said| said == *o))
            })
        };
        let acked = pass.acked.iter().enumerate().filter_map(|(number, acked)| Some((number, (*acked)?)));
        let lost = acked.filter(|(number, acked)| everywhere.iter().any(|places| lacks(places, *number, *acked)));
        compared.levels[pass.level].found.lost = lost.count() as u64;
    }
    Ok(compared)
}

fn repeated(places: &Places) -> Vec<Repeated> {
    let several = places.iter().filter(|(_, places)| places.len() > 1);
    let mut all: Vec<Repeated> = several
        .map(|((level, number), places)| Repeated { level: *level, number: *number, places: places.clone() })
        .collect();
    all.sort_unstable_by_key(|one| (one.level, one.number));
    all.truncate(REPEATED_NAMED_MAX);
    all
}

/// Every record of one directory.
fn read(dir: &Path, input: &Input) -> Outcome<(Places, [Replicated; PASSES])> {
    let engine = open_read_only(dir)?;
    let (mut places, mut levels) = (Places::new(), [Replicated::default(); PASSES]);
    for partition in reading::partitions(&reading::topic(&engine, TOPIC)?, &[])? {
        let mut next = [0; PASSES];
        reading::each_record(&engine, &partition, |record| {
            let Some((level, number)) = identity(&record).filter(|(level, _)| *level < PASSES) else {
                return Err(Failure::failed(format!("{partition}@{}: nobody sent this record", record.offset)));
            };
            let found = &mut levels[level].found;
            found.records += 1;
            let (key, line) = input.record(number);
            found.changed += u64::from((record.key, record.value) != (Some(key), Some(line)));
            let before = places.entry((level, number)).or_default();
            if before.is_empty() {
                // The first time that it comes, it comes in order.
                found.out_of_order += u64::from(number < next[level]);
                next[level] = number + 1;
            } else {
                found.duplicated += 1;
            }
            before.push((record.partition, record.offset.0));
            Ok(())
        })?;
    }
    Ok((places, levels))
}

/// The batches of a log that begin below `end`. Each begins with its base offset (8 bytes) and its length from there on (4 bytes).
fn below(log: &[u8], end: Offset) -> &[u8] {
    let mut at = 0;
    while let Some(head) = log.get(at..at + 12) {
        let (offset, length) = head.split_at(8);
        let offset = u64::from_be_bytes(offset.try_into().expect("eight bytes"));
        let length = u32::from_be_bytes(length.try_into().expect("four bytes"));
        if offset >= end.0 {
            break;
        }
        at += 12 + length as usize;
    }
    &log[..at.min(log.len())]
}

/// The log of a partition, whatever segments it is in.
fn log_bytes(dir: &Path, partition: u32) -> Outcome<Vec<u8>> {
    let dir = dir.join(format!("{TOPIC}-{partition}"));
    let entries = std::fs::read_dir(&dir).map_err(|error| Failure::file(&dir, &error))?;
    let mut files: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "log"))
        .collect();
    files.sort();
    let mut bytes = Vec::new();
    for file in files {
        bytes.extend(std::fs::read(&file).map_err(|error| Failure::file(&file, &error))?);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_cut_before_the_first_batch_that_begins_at_the_high_watermark() {
        let batch = |offset: u64, length: u32| {
            [&offset.to_be_bytes()[..], &length.to_be_bytes(), &vec![7; length as usize]].concat()
        };
        let log = [batch(0, 3), batch(5, 1), batch(9, 2)].concat();
        assert_eq!(below(&log, Offset(9)).len(), 15 + 13);
        assert_eq!(below(&log, Offset(20)), log);
        assert_eq!(below(&log, Offset(0)), [0; 0]);
        assert_eq!(below(&log[..20], Offset(9)).len(), 15, "a head that is cut off is no batch");
    }
}
