//! Comparing three directories: with each other, byte by byte, and with what was acknowledged.

use super::super::input::Input;
use super::super::verify::{identity, Found};
use super::{Pass, PASSES, TOPIC};
use crate::failure::{Failure, Outcome};
use crate::reading;
use crate::target::open_read_only;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// What the three directories hold of one pass.
#[derive(Clone, Copy, Default)]
pub struct Replicated {
    /// On every node.
    pub found: Found,
}

/// What comparing came to.
pub struct Compared {
    pub levels: [Replicated; PASSES],
    /// Partitions whose files are the same on all three nodes, byte by byte.
    pub identical: u32,
    pub bytes: u64,
}

impl Compared {
    /// Nothing acknowledged with acks=all is missing, nothing is changed or out of order, and all replicas are the same. A record that was
    /// sent again after an unknown outcome may be there twice, until producers are idempotent.
    pub fn is_as_promised(&self, partitions: u32) -> bool {
        let changed: u64 = self.levels.iter().map(|level| level.found.changed).sum();
        self.identical == partitions && changed == 0 && self.levels[PASSES - 1].found.lost == 0
    }
}

/// Where a record lies: partition, offset.
type Place = (u32, u64);

pub fn compare(dirs: &[PathBuf], partitions: u32, input: &Input, passes: &[Pass]) -> Outcome<Compared> {
    let mut compared = Compared { levels: [Replicated::default(); PASSES], identical: 0, bytes: 0 };
    for partition in 0..partitions {
        let logs: Vec<Vec<u8>> = dirs.iter().map(|dir| log_bytes(dir, partition)).collect::<Outcome<_>>()?;
        compared.identical += u32::from(logs.windows(2).all(|pair| pair[0] == pair[1]));
        compared.bytes += logs[0].len() as u64;
    }
    let places = read(&dirs[0], input, &mut compared)?;
    for pass in passes {
        let is_lost = |(number, acked): (usize, &Option<(u32, Option<u64>)>)| {
            let Some((partition, offset)) = acked else { return false };
            let there = places.get(&(pass.level, number as u64));
            !there.is_some_and(|places| {
                places.iter().any(|(p, o)| p == partition && offset.is_none_or(|said| said == *o))
            })
        };
        let lost = pass.acked.iter().enumerate().filter(|one| is_lost(*one)).count();
        compared.levels[pass.level].found.lost = lost as u64;
    }
    Ok(compared)
}

/// Every record of one directory; the others have the same bytes.
fn read(dir: &Path, input: &Input, compared: &mut Compared) -> Outcome<HashMap<(usize, u64), Vec<Place>>> {
    let engine = open_read_only(dir)?;
    let mut places: HashMap<(usize, u64), Vec<Place>> = HashMap::new();
    for partition in reading::partitions(&reading::topic(&engine, TOPIC)?, &[])? {
        let mut next = [0; PASSES];
        reading::each_record(&engine, &partition, |record| {
            let Some((level, number)) = identity(&record).filter(|(level, _)| *level < PASSES) else {
                return Err(Failure::failed(format!("{partition}@{}: nobody sent this record", record.offset)));
            };
            let found = &mut compared.levels[level].found;
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
    Ok(places)
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
