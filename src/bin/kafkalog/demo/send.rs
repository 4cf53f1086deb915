//! One pass: every line sent with one level of acks.

use super::input::Input;
use super::{Say, FLUSHED_RECORDS_MAX, FLUSHED_TOPIC, LEVELS};
use crate::failure::Outcome;
use crate::print;
use kafkalog::{Delivery, Engine, Header, Producer, Record, RecordMetadata};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Sends under way before the oldest is waited for.
const UNDER_WAY_MAX: usize = 10_000;
/// How many acknowledgements are shown whole.
const SHOWN: usize = 3;

/// What became of one pass.
pub struct Pass {
    pub level: usize,
    pub sent: u64,
    /// By the number of the record.
    pub is_acked: Vec<bool>,
    pub failed: u64,
    pub elapsed: Duration,
    pub value_bytes: u64,
    pub fsyncs: u64,
    pub shown: Vec<RecordMetadata>,
}

impl Pass {
    pub fn acked(&self) -> u64 {
        self.is_acked.iter().filter(|acked| **acked).count() as u64
    }
}

/// Sends one record of the demo; its headers say what it is.
pub fn send(producer: &Producer, topic: &str, input: &Input, level: usize, number: u64) -> kafkalog::Result<Delivery> {
    with_record(topic, input, level, number, |record| producer.send(record))
}

/// The same, with its number as the tag.
pub fn send_tagged(producer: &Producer, topic: &str, input: &Input, level: usize, number: u64) -> kafkalog::Result<()> {
    with_record(topic, input, level, number, |record| producer.send_tagged(record, number))
}

fn with_record<T>(topic: &str, input: &Input, level: usize, number: u64, send: impl FnOnce(Record<'_>) -> T) -> T {
    let (key, line) = input.record(number);
    let text = number.to_string();
    let headers = [
        Header { key: b"level", value: Some(LEVELS[level].name.as_bytes()) },
        Header { key: b"number", value: Some(text.as_bytes()) },
    ];
    send(Record::new(topic, line).key(key).headers(&headers))
}

pub fn pass(engine: &Engine, input: &Input, level: usize, say: &mut Say) -> Outcome<Pass> {
    let (topic, name) = (LEVELS[level].topic, LEVELS[level].name);
    let records = match topic {
        FLUSHED_TOPIC => input.record_count().min(FLUSHED_RECORDS_MAX),
        _ => input.record_count(),
    };
    let fsyncs_before = fsyncs(engine);
    let producer = engine.producer().acks(LEVELS[level].acks).open()?;
    let mut pass = Pass {
        level,
        sent: 0,
        is_acked: vec![false; usize::try_from(records).unwrap_or(usize::MAX)],
        failed: 0,
        elapsed: Duration::ZERO,
        value_bytes: 0,
        fsyncs: 0,
        shown: Vec::new(),
    };
    let bar = say.progress(name, records);
    let start = Instant::now();
    let mut under_way = VecDeque::new();
    for number in 0..records {
        match send(&producer, topic, input, level, number) {
            Ok(delivery) => under_way.push_back((number, delivery)),
            Err(error) => pass.refused(number, &error),
        }
        pass.sent += 1;
        pass.value_bytes += input.record(number).1.len() as u64;
        if under_way.len() > UNDER_WAY_MAX {
            let (number, delivery) = under_way.pop_front().expect("it is not empty");
            pass.settle(number, delivery);
        }
        if number % 1024 == 0 {
            bar.set_position(number);
        }
    }
    for (number, delivery) in under_way {
        pass.settle(number, delivery);
    }
    producer.close(Duration::from_secs(60))?;
    pass.elapsed = start.elapsed();
    pass.fsyncs = fsyncs(engine).saturating_sub(fsyncs_before);
    bar.finish_and_clear();
    say.line(&format!(
        "{name:<9} {} sent, {} acknowledged, {} failed in {:.3} s: {} records/s, {:.1} MB/s, {}",
        print::count(pass.sent),
        print::count(pass.acked()),
        print::count(pass.failed),
        pass.elapsed.as_secs_f64(),
        print::count((pass.sent as f64 / pass.elapsed.as_secs_f64().max(1e-9)) as u64),
        pass.value_bytes as f64 / pass.elapsed.as_secs_f64().max(1e-9) / 1e6,
        print::counted(pass.fsyncs, "fsync")
    ))?;
    for placed in &pass.shown {
        say.line(&format!("          {}", metadata(placed)))?;
    }
    Ok(pass)
}

impl Pass {
    fn settle(&mut self, number: u64, delivery: Delivery) {
        match delivery.wait() {
            Ok(placed) => {
                self.is_acked[usize::try_from(number).expect("it has a place")] = true;
                if self.shown.len() < SHOWN {
                    self.shown.push(placed);
                }
            }
            Err(error) => self.refused(number, &error),
        }
    }

    fn refused(&mut self, number: u64, error: &kafkalog::Error) {
        if self.failed == 0 {
            eprintln!("kafkalog: record {number} was not acknowledged: {error}");
        }
        self.failed += 1;
    }
}

/// What an acknowledgement says.
fn metadata(placed: &RecordMetadata) -> String {
    let bytes = |count: Option<u32>| count.map_or("null".to_owned(), |count| format!("{count} bytes"));
    format!(
        "{}-{}@{} timestamp {} key {} value {} rung {}",
        placed.topic,
        placed.partition,
        placed.offset.map_or("unknown".to_owned(), |offset| offset.to_string()),
        placed.timestamp.0,
        bytes(placed.serialized_key_bytes),
        bytes(placed.serialized_value_bytes),
        format!("{:?}", placed.rung).to_lowercase()
    )
}

/// All fsyncs of logs since the engine was opened.
pub fn fsyncs(engine: &Engine) -> u64 {
    let stats: serde_json::Value = serde_json::from_str(&engine.stats_json()).unwrap_or_default();
    stats["totals"]["fsyncs"].as_u64().unwrap_or(0)
}
