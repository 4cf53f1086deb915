//! `verifiable-consumer`: the check of the fault tools. It opens a directory (which recovers it), prints every record in the
//! order of the log, as `verifiable-producer` printed it, and `!corrupt why` for everything that is wrong. With --json each line is an
//! object. With --bootstrap-server it reads what a running cluster has, whose files it does not see.

use crate::failure::{Failure, Outcome};
use crate::print;
use crate::target::{close, Target, Writing};
use crate::{check, claim, reading};
use kafkalog::inspect::{check as check_files, CheckScope, Severity};
use kafkalog::{ConsumerBuilder, ConsumerRecord, StartAt, TopicDescription, TopicPartition};
use std::io::Write;
use std::path::Path;

#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    at: Writing,
    /// One topic only
    #[arg(long)]
    topic: Option<String>,
    /// Only look: take no lock, recover nothing
    #[arg(long)]
    read_only: bool,
    /// Do not verify the files after the records were read
    #[arg(long)]
    no_check: bool,
}

pub fn run(args: &Args, json: bool) -> Outcome {
    let mut corrupt = 0;
    if args.read_only || args.at.dir.is_none() {
        let source = args.at.look()?;
        corrupt += print_topics(args, json, &source.topics()?, || source.consumer())?;
    } else if let Target::Node(engine) = args.at.open()? {
        corrupt += print_topics(args, json, &engine.topics()?, || engine.consumer())?;
        // Nothing was written here, so whatever closing could not do (a full disk takes no snapshot) corrupts nothing.
        if let Err(failure) = close(engine) {
            print::line(claim::note(json, &failure.to_string()))?;
        }
    }
    if let Some(dir) = args.at.dir.as_deref().filter(|_| !args.no_check) {
        corrupt += print_damages(dir, json)?;
    }
    match corrupt {
        0 => Ok(()),
        count => Err(Failure::failed(format!("{} of corruption", print::counted(count, "place")))),
    }
}

fn print_topics(
    args: &Args,
    json: bool,
    topics: &[TopicDescription],
    consumer: impl Fn() -> ConsumerBuilder,
) -> Outcome<u64> {
    let mut out = print::stdout();
    let mut corrupt = 0;
    for topic in topics.iter().filter(|topic| args.topic.as_ref().is_none_or(|name| **name == *topic.name)) {
        for partition in reading::partitions(topic, &[])? {
            if let Err(why) = print_partition(json, &partition, consumer(), &mut out)? {
                writeln!(out, "{}", claim::corrupt(json, &format!("{partition}: {why}")))?;
                corrupt += 1;
            }
        }
    }
    out.flush()?;
    Ok(corrupt)
}

/// The outer failure is ours, the inner one the partition's.
fn print_partition(
    json: bool,
    partition: &TopicPartition,
    consumer: ConsumerBuilder,
    out: &mut impl Write,
) -> Outcome<std::result::Result<(), String>> {
    let mut consumer = match consumer.assign(partition.clone(), StartAt::Earliest).open() {
        Ok(consumer) => consumer,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let end = reading::end_of(&consumer, partition)?;
    let mut previous = None;
    while consumer.position(partition).is_some_and(|position| position < end) {
        let records = match consumer.poll(reading::POLL) {
            Ok(records) => records,
            Err(error) => return Ok(Err(error.to_string())),
        };
        for record in records.iter() {
            if previous.is_some_and(|before| record.offset <= before) {
                return Ok(Err(format!("offset {} follows {}", record.offset, previous.unwrap_or_default())));
            }
            previous = Some(record.offset);
            print_record(json, &record, out)?;
        }
    }
    Ok(Ok(()))
}

fn print_record(json: bool, record: &ConsumerRecord<'_>, out: &mut impl Write) -> std::io::Result<()> {
    let crc = crc32c::crc32c(record.value.unwrap_or_default());
    writeln!(out, "{}", claim::record(json, (record.topic, record.partition, record.offset.0), crc, None))
}

fn print_damages(dir: &Path, json: bool) -> Outcome<u64> {
    let report = check_files(dir, CheckScope::All)?;
    let mut out = print::stdout();
    let mut count = 0;
    for damage in &report.damages {
        if damage.severity == Severity::Leftover {
            writeln!(out, "{}", claim::note(json, &check::damage_text(damage)))?;
        } else {
            writeln!(out, "{}", claim::corrupt(json, &check::damage_text(damage)))?;
            count += 1;
        }
    }
    out.flush()?;
    Ok(count)
}
