//! `console-consumer`: prints records, as Kafka's kafka-console-consumer.sh does, and follows a directory that another
//! process is writing, or a cluster.

use crate::failure::{Failure, Outcome};
use crate::print;
use crate::reading::{self, POLL};
use crate::target::{property, LookingAnywhere, Property};
use kafkalog::{ConsumerRecord, Offset, StartAt, TimestampType};
use serde_json::{Map, Value};
use std::io::{self, Write};
use std::time::{Duration, Instant};

#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    at: LookingAnywhere,
    /// The topic to read
    #[arg(long)]
    topic: String,
    /// Read this partition only; may be repeated
    #[arg(long = "partition", value_name = "N")]
    partitions: Vec<u32>,
    /// Where to begin: earliest, latest, or an offset (with --partition)
    #[arg(long, value_name = "OFFSET", conflicts_with = "from_beginning", allow_negative_numbers = true)]
    offset: Option<String>,
    /// Begin with the first record that there still is
    #[arg(long)]
    from_beginning: bool,
    /// Stop after this many records
    #[arg(long, value_name = "N")]
    max_messages: Option<u64>,
    /// Stop when no record came for this long
    #[arg(long, value_name = "MS")]
    timeout_ms: Option<u64>,
    /// What is printed: print.key, print.value, print.offset, print.partition, print.headers, print.timestamp, print.epoch,
    /// key.separator, line.separator, headers.separator, null.literal; may be repeated
    #[arg(long = "property", alias = "formatter-property", value_name = "K=V", value_parser = property)]
    properties: Vec<Property>,
    /// A setting of the consumer (see `configs --explain consumer`); may be repeated
    #[arg(long = "consumer-property", value_name = "K=V", value_parser = property)]
    consumer_properties: Vec<Property>,
    /// read_uncommitted or read_committed
    #[arg(long, value_name = "LEVEL")]
    isolation_level: Option<String>,
}

pub fn run(args: &Args, json: bool) -> Outcome {
    let format = Format::of(&args.properties)?;
    let start = start(args)?;
    let source = args.at.open()?;
    let topic = source.topic(&args.topic)?;
    let mut builder = source.consumer();
    for partition in reading::partitions(&topic, &args.partitions)? {
        builder = builder.assign(partition, start);
    }
    if let Some(level) = &args.isolation_level {
        builder = builder.set("isolation.level", level)?;
    }
    for (name, value) in &args.consumer_properties {
        builder = builder.set(name, value)?;
    }
    let mut consumer = builder.open()?;

    let mut out = print::stdout();
    let mut printed = 0;
    let left = |printed: u64| args.max_messages.is_none_or(|max| printed < max);
    let mut last = Instant::now();
    while left(printed) && args.timeout_ms.is_none_or(|ms| last.elapsed() < Duration::from_millis(ms)) {
        let records = consumer.poll(args.timeout_ms.map_or(POLL, |ms| POLL.min(Duration::from_millis(ms))))?;
        for reset in records.resets() {
            let (partition, from, to) = (&reset.partition, reset.from, reset.to);
            eprintln!("kafkalog: {partition}: offset {from} is not in the log (any more), reading goes on at {to}");
        }
        for record in records.iter() {
            if !left(printed) {
                break;
            }
            if json {
                writeln!(out, "{}", as_json(&record))?;
            } else {
                format.print(&mut out, &record)?;
            }
            printed += 1;
        }
        if !records.is_empty() {
            out.flush()?;
            last = Instant::now();
        }
    }
    eprintln!("Processed a total of {printed} messages");
    Ok(())
}

fn start(args: &Args) -> Outcome<StartAt> {
    match args.offset.as_deref() {
        None if args.from_beginning => Ok(StartAt::Earliest),
        None | Some("latest") => Ok(StartAt::Latest),
        Some("earliest") => Ok(StartAt::Earliest),
        Some(text) if args.partitions.is_empty() => Err(Failure::usage(format!("--offset {text} needs --partition"))),
        Some(text) => match text.parse::<i64>() {
            Ok(-1) => Ok(StartAt::Latest),
            Ok(-2) => Ok(StartAt::Earliest),
            Ok(number) if number >= 0 => Ok(StartAt::Offset(Offset(number.unsigned_abs()))),
            _ => Err(Failure::usage(format!("--offset {text}: legal: earliest, latest, or a number from 0 on"))),
        },
    }
}

/// What is printed of a record, and what stands between.
#[derive(Debug)]
struct Format {
    timestamp: bool,
    partition: bool,
    offset: bool,
    epoch: bool,
    headers: bool,
    key: bool,
    value: bool,
    key_separator: Vec<u8>,
    line_separator: Vec<u8>,
    headers_separator: Vec<u8>,
    null_literal: Vec<u8>,
}

impl Format {
    fn of(properties: &[Property]) -> Outcome<Format> {
        let mut format = Format {
            timestamp: false,
            partition: false,
            offset: false,
            epoch: false,
            headers: false,
            key: false,
            value: true,
            key_separator: b"\t".to_vec(),
            line_separator: b"\n".to_vec(),
            headers_separator: b",".to_vec(),
            null_literal: b"null".to_vec(),
        };
        for (name, value) in properties {
            let flag = || match value.as_str() {
                "true" => Ok(true),
                "false" => Ok(false),
                _ => Err(Failure::usage(format!("--property {name}={value}: legal: true or false"))),
            };
            let text = || value.as_bytes().to_vec();
            match name.as_str() {
                "print.timestamp" => format.timestamp = flag()?,
                "print.partition" => format.partition = flag()?,
                "print.offset" => format.offset = flag()?,
                "print.epoch" => format.epoch = flag()?,
                "print.headers" => format.headers = flag()?,
                "print.key" => format.key = flag()?,
                "print.value" => format.value = flag()?,
                "key.separator" => format.key_separator = text(),
                "line.separator" => format.line_separator = text(),
                "headers.separator" => format.headers_separator = text(),
                "null.literal" => format.null_literal = text(),
                _ => {
                    return Err(Failure::usage(format!(
                        "--property {name}: legal: print.timestamp, print.partition, print.offset, print.epoch, print.headers, \
                         print.key, print.value, key.separator, line.separator, headers.separator, null.literal"
                    )))
                }
            }
        }
        Ok(format)
    }

    /// The parts in Kafka's order, separated, and the end of the line.
    fn print(&self, out: &mut impl Write, record: &ConsumerRecord<'_>) -> io::Result<()> {
        let mut is_first = true;
        let mut part = |out: &mut dyn Write, bytes: &[u8]| {
            if !std::mem::take(&mut is_first) {
                out.write_all(&self.key_separator)?;
            }
            out.write_all(bytes)
        };
        if self.timestamp {
            let text = match (record.timestamp, record.timestamp_type) {
                (None, _) => "NO_TIMESTAMP".to_owned(),
                (Some(at), TimestampType::CreateTime) => format!("CreateTime:{}", at.0),
                (Some(at), TimestampType::LogAppendTime) => format!("LogAppendTime:{}", at.0),
            };
            part(out, text.as_bytes())?;
        }
        if self.partition {
            part(out, format!("Partition:{}", record.partition).as_bytes())?;
        }
        if self.offset {
            part(out, format!("Offset:{}", record.offset).as_bytes())?;
        }
        if self.epoch {
            let text = record.leader_epoch.map_or("NO_EPOCH".to_owned(), |epoch| format!("Epoch:{}", epoch.0));
            part(out, text.as_bytes())?;
        }
        if self.headers {
            part(out, &self.headers(record))?;
        }
        if self.key {
            part(out, record.key.unwrap_or(&self.null_literal))?;
        }
        if self.value {
            part(out, record.value.unwrap_or(&self.null_literal))?;
        }
        out.write_all(&self.line_separator)
    }

    fn headers(&self, record: &ConsumerRecord<'_>) -> Vec<u8> {
        let mut text = Vec::new();
        for header in record.headers() {
            if !text.is_empty() {
                text.extend(&self.headers_separator);
            }
            text.extend(header.key);
            text.push(b':');
            text.extend(header.value.unwrap_or(&self.null_literal));
        }
        if text.is_empty() {
            text.extend(b"NO_HEADERS");
        }
        text
    }
}

/// One record as one JSON object.
pub fn as_json(record: &ConsumerRecord<'_>) -> Value {
    let mut object = Map::new();
    object.insert("topic".to_owned(), record.topic.into());
    object.insert("partition".to_owned(), record.partition.into());
    object.insert("offset".to_owned(), record.offset.0.into());
    object.insert("timestamp".to_owned(), record.timestamp.map(|at| at.0).into());
    object.insert("timestamp_type".to_owned(), format!("{:?}", record.timestamp_type).into());
    object.insert("leader_epoch".to_owned(), record.leader_epoch.map(|epoch| epoch.0).into());
    print::put_bytes(&mut object, "key", record.key);
    print::put_bytes(&mut object, "value", record.value);
    let headers: Vec<Value> = record
        .headers()
        .map(|header| {
            let mut one = Map::new();
            print::put_bytes(&mut one, "key", Some(header.key));
            print::put_bytes(&mut one, "value", header.value);
            Value::Object(one)
        })
        .collect();
    object.insert("headers".to_owned(), headers.into());
    Value::Object(object)
}
