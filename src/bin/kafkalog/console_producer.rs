//! `console-producer`: each line of standard input becomes a record, as with Kafka's kafka-console-producer.sh.
//!
//! ```text
//! parse.headers  parse.key
//! h1:v1,h2:v2 \t key \t value
//! ```

use crate::failure::{Failure, Outcome};
use crate::membership::{wait_to_take_part, Membership};
use crate::print;
use crate::target::{check_producer_properties, property, Property, Target, Writing};
use kafkalog::{validate_topic_name, Delivery, Header, Producer, Record, RecordMetadata};
use serde_json::json;
use std::collections::VecDeque;
use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::time::Duration;

/// A line longer than this is no line.
const LINE_BYTES_MAX: u64 = 64 << 20;
/// Sends that may be under way before the oldest is waited for.
const UNDER_WAY_MAX: usize = 10_000;
/// As a node of a cluster: how long it may take to become one.
const JOIN_MAX: Duration = Duration::from_secs(60);
const CLOSE_TIMEOUT: Duration = Duration::from_secs(60);

#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    at: Writing,
    #[command(flatten)]
    membership: Membership,
    /// The topic to send to
    #[arg(long)]
    topic: String,
    /// How lines are read: parse.key, key.separator, parse.headers, headers.delimiter, headers.separator,
    /// headers.key.separator, null.marker, ignore.error; may be repeated
    #[arg(long = "property", alias = "reader-property", value_name = "K=V", value_parser = property)]
    properties: Vec<Property>,
    /// A setting of the producer (see `configs --explain producer`); may be repeated
    #[arg(long = "producer-property", value_name = "K=V", value_parser = property)]
    producer_properties: Vec<Property>,
    /// Compress with gzip, snappy, lz4 or zstd
    #[arg(long, value_name = "CODEC", num_args = 0..=1, default_missing_value = "gzip")]
    compression_codec: Option<String>,
    /// Wait for each record's acknowledgement before the next line is read
    #[arg(long)]
    sync: bool,
}

pub fn run(args: &Args, json: bool) -> Outcome {
    let format = LineFormat::of(&args.properties)?;
    check_producer_properties(&args.producer_properties)?;
    validate_topic_name(&args.topic)?;
    let target = args.at.open_as(&args.membership)?;
    if let Target::Node(engine) = &target {
        if args.membership.is_wanted() && !wait_to_take_part(engine, JOIN_MAX)? {
            return Err(Failure::failed("the nodes of the cluster could not be reached"));
        }
    }
    let mut builder = target.producer();
    if let Some(codec) = &args.compression_codec {
        builder = builder.set("compression.type", codec)?;
    }
    for (name, value) in &args.producer_properties {
        builder = builder.set(name, value)?;
    }
    let mut console = Console {
        producer: builder.open()?,
        topic: &args.topic,
        json,
        sync: args.sync,
        under_way: VecDeque::new(),
        acked: 0,
        failed: 0,
    };
    let read = console.send_lines(&format).and_then(|()| console.settle(0));
    // Whatever went wrong with records: the directory is closed in order.
    let sent = console.producer.close(CLOSE_TIMEOUT);
    let closed = target.close();
    if json {
        print::json(&json!({ "summary": { "acked": console.acked, "failed": console.failed } }))?;
    }
    read?;
    closed?;
    if console.failed > 0 {
        return Err(Failure::failed(format!("{} not acknowledged", print::counted(console.failed, "record"))));
    }
    Ok(sent?)
}

struct Console<'a> {
    producer: Producer,
    topic: &'a str,
    json: bool,
    sync: bool,
    under_way: VecDeque<Delivery>,
    acked: u64,
    failed: u64,
}

impl Console<'_> {
    fn send_lines(&mut self, format: &LineFormat) -> Outcome {
        let mut input = io::stdin().lock();
        let prompts = input.is_terminal() && io::stdout().is_terminal();
        let mut line = Vec::new();
        for number in 1.. {
            if prompts {
                print!(">");
                io::stdout().flush()?;
            }
            if !next_line(&mut input, &mut line)? {
                break;
            }
            let parsed = format.parse(&line).map_err(|why| Failure::failed(format!("line {number}: {why}")))?;
            let record = Record {
                key: parsed.key,
                value: parsed.value,
                headers: &parsed.headers,
                ..Record::tombstone(self.topic)
            };
            match self.producer.send(record) {
                Ok(delivery) => self.under_way.push_back(delivery),
                Err(error) => self.settled(Err(error))?,
            }
            self.settle(if self.sync { 0 } else { UNDER_WAY_MAX })?;
        }
        Ok(())
    }

    /// Takes in the sends that are done, and waits until at most `left` are not.
    fn settle(&mut self, left: usize) -> Outcome {
        while self.under_way.len() > left || self.under_way.front().is_some_and(Delivery::is_done) {
            let delivery = self.under_way.pop_front().expect("there is a first one");
            self.settled(delivery.wait())?;
        }
        Ok(())
    }

    fn settled(&mut self, outcome: kafkalog::Result<RecordMetadata>) -> Outcome {
        match outcome {
            Ok(placed) => {
                self.acked += 1;
                if self.json {
                    print::json(&json!({
                        "topic": &*placed.topic,
                        "partition": placed.partition,
                        "offset": placed.offset.map(|offset| offset.0),
                        "timestamp": placed.timestamp.0,
                        "rung": format!("{:?}", placed.rung).to_lowercase(),
                    }))?;
                }
            }
            Err(error) => {
                self.failed += 1;
                eprintln!("kafkalog: a record was not acknowledged: {error}");
            }
        }
        Ok(())
    }
}

/// Reads one line without its end; false when there is none any more.
fn next_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> Outcome<bool> {
    line.clear();
    let read = input
        .take(LINE_BYTES_MAX)
        .read_until(b'\n', line)
        .map_err(|error| Failure::failed(format!("standard input: {error}")))?;
    if line.last() == Some(&b'\n') {
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
    } else if read as u64 == LINE_BYTES_MAX {
        return Err(Failure::failed(format!("standard input: a line is longer than {LINE_BYTES_MAX} bytes")));
    }
    Ok(read > 0)
}

/// How a line falls into headers, key and value.
#[derive(Debug)]
struct LineFormat {
    parse_key: bool,
    parse_headers: bool,
    key_separator: Vec<u8>,
    headers_delimiter: Vec<u8>,
    headers_separator: Vec<u8>,
    headers_key_separator: Vec<u8>,
    null_marker: Option<Vec<u8>>,
    ignore_error: bool,
}

#[derive(Debug, PartialEq)]
struct Line<'a> {
    headers: Vec<Header<'a>>,
    key: Option<&'a [u8]>,
    value: Option<&'a [u8]>,
}

impl LineFormat {
    fn of(properties: &[Property]) -> Outcome<LineFormat> {
        let mut format = LineFormat {
            parse_key: false,
            parse_headers: false,
            key_separator: b"\t".to_vec(),
            headers_delimiter: b"\t".to_vec(),
            headers_separator: b",".to_vec(),
            headers_key_separator: b":".to_vec(),
            null_marker: None,
            ignore_error: false,
        };
        for (name, value) in properties {
            let flag = || match value.as_str() {
                "true" => Ok(true),
                "false" => Ok(false),
                _ => Err(Failure::usage(format!("--property {name}={value}: legal: true or false"))),
            };
            let text = || match value.as_bytes() {
                [] => Err(Failure::usage(format!("--property {name}=: it may not be empty"))),
                text => Ok(text.to_vec()),
            };
            match name.as_str() {
                "parse.key" => format.parse_key = flag()?,
                "parse.headers" => format.parse_headers = flag()?,
                "ignore.error" => format.ignore_error = flag()?,
                "key.separator" => format.key_separator = text()?,
                "headers.delimiter" => format.headers_delimiter = text()?,
                "headers.separator" => format.headers_separator = text()?,
                "headers.key.separator" => format.headers_key_separator = text()?,
                "null.marker" => format.null_marker = Some(text()?),
                _ => {
                    return Err(Failure::usage(format!(
                        "--property {name}: legal: parse.key, parse.headers, ignore.error, key.separator, \
                         headers.delimiter, headers.separator, headers.key.separator, null.marker"
                    )))
                }
            }
        }
        Ok(format)
    }

    fn parse<'a>(&self, line: &'a [u8]) -> Result<Line<'a>, String> {
        let mut rest = line;
        let mut headers = Vec::new();
        if self.parse_headers {
            match split(rest, &self.headers_delimiter) {
                Some((text, behind)) => {
                    headers = self.headers(text)?;
                    rest = behind;
                }
                None if self.ignore_error => return Ok(Line { headers, key: None, value: Some(line) }),
                None => return Err("no delimiter behind the headers".to_owned()),
            }
        }
        let mut key = None;
        if self.parse_key {
            match split(rest, &self.key_separator) {
                Some((text, behind)) => {
                    key = self.unless_null(text);
                    rest = behind;
                }
                None if self.ignore_error => {}
                None => return Err("no key separator".to_owned()),
            }
        }
        Ok(Line { headers, key, value: self.unless_null(rest) })
    }

    fn headers<'a>(&self, text: &'a [u8]) -> Result<Vec<Header<'a>>, String> {
        let mut headers = Vec::new();
        let mut rest = Some(text).filter(|text| !text.is_empty() && self.unless_null(text).is_some());
        while let Some(text) = rest {
            let (one, behind) = split(text, &self.headers_separator).map_or((text, None), |(one, b)| (one, Some(b)));
            match split(one, &self.headers_key_separator) {
                Some((key, value)) => headers.push(Header { key, value: self.unless_null(value) }),
                None if self.ignore_error => headers.push(Header { key: one, value: None }),
                None => return Err(format!("no separator in header {:?}", String::from_utf8_lossy(one))),
            }
            rest = behind;
        }
        Ok(headers)
    }

    fn unless_null<'a>(&self, text: &'a [u8]) -> Option<&'a [u8]> {
        (self.null_marker.as_deref() != Some(text)).then_some(text)
    }
}

/// What lies before and behind the first `separator`.
fn split<'a>(text: &'a [u8], separator: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = text.windows(separator.len()).position(|window| window == separator)?;
    Some((&text[..at], &text[at + separator.len()..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(properties: &[(&str, &str)]) -> LineFormat {
        let owned: Vec<Property> = properties.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        LineFormat::of(&owned).unwrap()
    }

    #[test]
    fn a_line_without_properties_is_all_value() {
        let parsed = format(&[]).parse(b"a\tb").unwrap();
        assert_eq!((parsed.key, parsed.value, parsed.headers.len()), (None, Some(&b"a\tb"[..]), 0));
    }

    #[test]
    fn headers_key_and_value_are_taken_apart_at_the_first_separator_each() {
        let format = format(&[
            ("parse.key", "true"),
            ("parse.headers", "true"),
            ("key.separator", "=>"),
            ("null.marker", "NULL"),
        ]);
        let parsed = format.parse(b"h1:v:1,h2:NULL\tkey=>value=>more").unwrap();
        assert_eq!((parsed.key, parsed.value), (Some(&b"key"[..]), Some(&b"value=>more"[..])));
        let headers: Vec<_> = parsed.headers.iter().map(|header| (header.key, header.value)).collect();
        assert_eq!(headers, [(&b"h1"[..], Some(&b"v:1"[..])), (&b"h2"[..], None)]);
        assert_eq!(format.parse(b"NULL\tkey=>NULL").unwrap().value, None);
    }

    #[test]
    fn a_line_without_its_separator_is_refused_unless_errors_are_ignored() {
        assert!(format(&[("parse.key", "true")]).parse(b"value").is_err());
        let lenient = format(&[("parse.key", "true"), ("ignore.error", "true")]);
        assert_eq!(lenient.parse(b"value").unwrap().value, Some(&b"value"[..]));
    }
}
