//! Sending the input, and hearing of each batch what became of it, on the thread that completes it.

use super::super::input::Input;
use super::super::{send, LEVELS};
use crate::failure::Outcome;
use kafkalog::{DeliveryReport, DeliverySink, Producer};
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Instant;

/// What became of the records so far.
pub struct Tally(Mutex<Counts>);

#[derive(Default)]
pub struct Counts {
    /// Where each acknowledged record is said to be, by its number: partition and offset (`None` with acks=0).
    pub acked: Vec<Option<(u32, Option<u64>)>>,
    pub failed: u64,
    pub first_failure: Option<String>,
    /// The first acknowledgement of one of the records that are waited for.
    pub again: Option<Instant>,
    /// Those from this number on, in these partitions.
    waits_for: Option<(u64, BTreeSet<u32>)>,
}

impl Tally {
    pub fn new(records: u64) -> Tally {
        let records = usize::try_from(records).unwrap_or(usize::MAX);
        Tally(Mutex::new(Counts { acked: vec![None; records], ..Counts::default() }))
    }

    /// The first acknowledgement of a record from this number on, in one of these partitions, is noted.
    pub fn wait_for(&self, first: u64, partitions: BTreeSet<u32>) {
        self.0.lock().waits_for = Some((first, partitions));
    }

    pub fn take(&self) -> Counts {
        std::mem::take(&mut self.0.lock())
    }

    pub fn send(&self, producer: &Producer, topic: &str, input: &Input, level: usize, numbers: Range<u64>) -> Outcome {
        for number in numbers {
            if let Err(error) = send::send_tagged(producer, topic, input, level, number) {
                let mut counts = self.0.lock();
                counts.failed += 1;
                counts.first_failure.get_or_insert_with(|| format!("{} {number}: {error}", LEVELS[level].name));
            }
        }
        Ok(())
    }
}

impl DeliverySink for Tally {
    fn deliver(&self, report: DeliveryReport<'_>) {
        let now = Instant::now();
        let mut counts = self.0.lock();
        for (number, outcome) in report.records() {
            match outcome {
                Ok((offset, _)) => {
                    let waits = counts.waits_for.as_ref();
                    if waits.is_some_and(|(first, of)| number >= *first && of.contains(&report.partition)) {
                        counts.again.get_or_insert(now);
                    }
                    let place = usize::try_from(number).expect("it has a place");
                    counts.acked[place] = Some((report.partition, offset.map(|offset| offset.0)));
                }
                Err(error) => {
                    counts.failed += 1;
                    counts.first_failure.get_or_insert_with(|| format!("record {number}: {error}"));
                }
            }
        }
    }
}
