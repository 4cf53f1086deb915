//! `delete-records`: Kafka's kafka-delete-records.sh.

use crate::failure::{Failure, Outcome};
use crate::print;
use crate::target::{Target, Writing};
use kafkalog::{Offset, TopicPartition};
use serde_json::{json, Value};
use std::io::Write;
use std::path::PathBuf;

#[derive(clap::Args, Debug)]
#[command(group(clap::ArgGroup::new("which").required(true).args(["offset_json_file", "topic"])))]
pub struct Args {
    #[command(flatten)]
    at: Writing,
    /// Kafka's JSON: {"partitions":[{"topic":"t","partition":0,"offset":3}],"version":1}
    #[arg(long, value_name = "FILE")]
    offset_json_file: Option<PathBuf>,
    /// The topic
    #[arg(long, requires_all = ["partition", "offset"])]
    topic: Option<String>,
    /// The partition
    #[arg(long, requires = "topic", value_name = "N")]
    partition: Option<u32>,
    /// Records before this offset are deleted; -1: all that are acknowledged
    #[arg(long, requires = "topic", value_name = "OFFSET", allow_negative_numbers = true)]
    offset: Option<i64>,
}

pub fn run(args: &Args, json: bool) -> Outcome {
    let wanted = match (&args.offset_json_file, &args.topic) {
        (Some(_), _) => from_file(args)?,
        (None, Some(topic)) => {
            let partition = args.partition.expect("clap requires it");
            vec![(TopicPartition::new(topic.as_str(), partition), before(args.offset.expect("clap requires it"))?)]
        }
        (None, None) => unreachable!("clap requires one of both"),
    };
    let target = args.at.open_existing()?;
    let mut rows = Vec::new();
    for (at, before) in wanted {
        let outcome = delete(&target, &at, before);
        rows.push((at, outcome));
    }
    target.close()?;
    let has_failed = rows.iter().any(|(_, outcome)| outcome.is_err());
    if json {
        let rows: Vec<Value> = rows
            .iter()
            .map(|(at, outcome)| match outcome {
                Ok(low) => json!({ "topic": &*at.topic, "partition": at.partition, "low_watermark": low.0 }),
                Err(error) => json!({ "topic": &*at.topic, "partition": at.partition, "error": error.to_string() }),
            })
            .collect();
        print::json(&json!({ "partitions": rows }))?;
    } else {
        let mut out = print::stdout();
        writeln!(out, "Executing records delete operation\nRecords delete operation completed:")?;
        for (at, outcome) in &rows {
            match outcome {
                Ok(low) => writeln!(out, "partition: {at}\tlow_watermark: {low}")?,
                Err(error) => writeln!(out, "partition: {at}\terror: {error}")?,
            }
        }
        out.flush()?;
    }
    if has_failed {
        return Err(Failure::told());
    }
    Ok(())
}

fn delete(target: &Target, at: &TopicPartition, before: Option<Offset>) -> kafkalog::Result<Offset> {
    let before = match before {
        Some(offset) => offset,
        None => target.high_watermark(&at.topic, at.partition)?,
    };
    target.delete_records(&at.topic, at.partition, before)
}

/// `None` for -1: up to the high watermark.
fn before(offset: i64) -> Outcome<Option<Offset>> {
    match offset {
        -1 => Ok(None),
        0.. => Ok(Some(Offset(offset.unsigned_abs()))),
        _ => Err(Failure::usage(format!("offset {offset}: legal: -1 or a number from 0 on"))),
    }
}

fn from_file(args: &Args) -> Outcome<Vec<(TopicPartition, Option<Offset>)>> {
    let path = args.offset_json_file.as_deref().expect("the caller has looked");
    let text = std::fs::read_to_string(path).map_err(|error| Failure::file(path, &error))?;
    let wrong = |what: &str| Failure::usage(format!("{}: {what}", path.display()));
    let document: Value = serde_json::from_str(&text).map_err(|error| wrong(&error.to_string()))?;
    if document.get("version").is_some_and(|version| version.as_i64() != Some(1)) {
        return Err(wrong("only version 1 is known"));
    }
    let rows = document["partitions"].as_array().ok_or_else(|| wrong("there is no array \"partitions\""))?;
    let mut wanted = Vec::new();
    for row in rows {
        let topic = row["topic"].as_str().ok_or_else(|| wrong("a partition has no \"topic\""))?;
        let partition = row["partition"].as_u64().and_then(|number| u32::try_from(number).ok());
        let partition = partition.ok_or_else(|| wrong("a partition has no number \"partition\""))?;
        let offset = row["offset"].as_i64().ok_or_else(|| wrong("a partition has no number \"offset\""))?;
        let at = TopicPartition::new(topic, partition);
        if wanted.iter().any(|(other, _)| *other == at) {
            return Err(wrong(&format!("{at} stands there twice")));
        }
        wanted.push((at, before(offset)?));
    }
    Ok(wanted)
}
