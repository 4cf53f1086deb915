//! `get-offsets`: Kafka's kafka-get-offsets.sh.

use crate::failure::{Failure, Outcome};
use crate::target::{LookingAnywhere, Source};
use crate::{print, reading};
use kafkalog::inspect::DataDirView;
use kafkalog::{Consumer, Timestamp, TopicPartition};
use serde_json::json;
use std::io::Write;
use std::path::Path;

#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    at: LookingAnywhere,
    /// The topic; all when none is named
    #[arg(long)]
    topic: Option<String>,
    /// Partitions, separated by commas; all when none is named
    #[arg(long, value_delimiter = ',', value_name = "N", requires = "topic")]
    partitions: Vec<u32>,
    /// latest or -1, earliest or -2, max-timestamp or -3, or milliseconds since 1970: the first record from then on
    #[arg(long, default_value = "latest", value_name = "TIME", allow_negative_numbers = true)]
    time: String,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Time {
    Latest,
    Earliest,
    MaxTimestamp,
    At(Timestamp),
}

pub fn run(args: &Args, json: bool) -> Outcome {
    let time = time(&args.time)?;
    let source = args.at.open()?;
    let topics = match &args.topic {
        Some(name) => vec![source.topic(name)?],
        None => source.topics()?,
    };
    let consumer = source.consumer().open()?;
    let mut found = Vec::new();
    for topic in &topics {
        for partition in reading::partitions(topic, &args.partitions)? {
            let offset = match (&source, time) {
                (Source::Cluster(client), Time::MaxTimestamp) => {
                    let found = client.offset_of_max_timestamp(&partition.topic, partition.partition)?;
                    found.map(|(offset, _)| offset.0)
                }
                _ => offset(args.at.dir.as_deref(), &consumer, &partition, time)?,
            };
            found.push((partition, offset));
        }
    }
    if json {
        let rows: Vec<_> = found
            .iter()
            .map(|(at, offset)| json!({ "topic": &*at.topic, "partition": at.partition, "offset": offset }))
            .collect();
        return Ok(print::json(&json!({ "offsets": rows }))?);
    }
    let mut out = print::stdout();
    for (at, offset) in found {
        // As Kafka does it: a partition that has no such record is not mentioned.
        if let Some(offset) = offset {
            writeln!(out, "{}:{}:{offset}", at.topic, at.partition)?;
        }
    }
    Ok(out.flush()?)
}

fn offset(dir: Option<&Path>, consumer: &Consumer, partition: &TopicPartition, time: Time) -> Outcome<Option<u64>> {
    let one = std::slice::from_ref(partition);
    let at = match time {
        Time::Latest => return Ok(Some(consumer.end_offsets(one)?[0].0)),
        Time::Earliest => return Ok(Some(consumer.beginning_offsets(one)?[0].0)),
        Time::At(at) => at,
        Time::MaxTimestamp => match max_timestamp(dir.expect("clusters answer that"), partition)? {
            Some(at) => at,
            None => return Ok(None),
        },
    };
    Ok(consumer.offsets_for_times(&[(partition.clone(), at)])?[0].map(|(offset, _)| offset.0))
}

fn max_timestamp(dir: &Path, partition: &TopicPartition) -> Outcome<Option<Timestamp>> {
    let view = DataDirView::read(dir)?;
    let own = view.partitions.iter().find(|other| other.id == *partition);
    Ok(own.and_then(|own| own.segments.iter().filter_map(|segment| segment.max_timestamp).max()))
}

fn time(text: &str) -> Outcome<Time> {
    match (text, text.parse::<i64>()) {
        ("latest", _) | (_, Ok(-1)) => Ok(Time::Latest),
        ("earliest", _) | (_, Ok(-2)) => Ok(Time::Earliest),
        ("max-timestamp", _) | (_, Ok(-3)) => Ok(Time::MaxTimestamp),
        (_, Ok(ms)) if ms >= 0 => Ok(Time::At(Timestamp(ms))),
        _ => Err(Failure::usage(format!(
            "--time {text}: legal: latest, earliest, max-timestamp, -1, -2, -3 or milliseconds"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_words_or_kafkas_negative_numbers_or_milliseconds() {
        assert_eq!(time("-1").unwrap(), time("latest").unwrap());
        assert_eq!(time("-2").unwrap(), Time::Earliest);
        assert_eq!(time("-3").unwrap(), Time::MaxTimestamp);
        assert_eq!(time("17").unwrap(), Time::At(Timestamp(17)));
        assert!(time("-4").is_err() && time("noon").is_err());
    }
}
