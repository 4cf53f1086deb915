//! `dump-log`: what lies in segment, index and snapshot files, in the lines of Kafka's DumpLogSegments.

mod indexes;
mod lines;

use crate::failure::{Failure, Outcome, Status};
use crate::print;
use kafkalog::inspect::{BatchDump, DumpedRecord, LogDump};
use kafkalog::ErrorCode;
use lines::{batch_json, batch_text, control, record_json};
use serde_json::{json, Value};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

#[derive(clap::Args, Debug)]
pub struct Args {
    /// Files, separated by commas: .log, .index, .timeindex, .txnindex, .snapshot
    #[arg(long, required = true, value_delimiter = ',', value_name = "FILE,...")]
    files: Vec<PathBuf>,
    /// Print keys and values too
    #[arg(long)]
    print_data_log: bool,
    /// Print every record, not only the batches
    #[arg(long)]
    deep_iteration: bool,
    /// Only tell whether an index would be believed at a start
    #[arg(long)]
    index_sanity_check: bool,
    /// Compare indexes with the log and print no entries
    #[arg(long)]
    verify_index_only: bool,
    /// With --print-data-log: print keys and values only
    #[arg(long)]
    skip_record_metadata: bool,
    /// Stop behind the batch that passes this byte
    #[arg(long, value_name = "N")]
    max_bytes: Option<u64>,
}

pub fn run(args: &Args, json: bool) -> Outcome {
    let mut dump = Dump { args, json, out: print::stdout(), findings: Vec::new() };
    for file in &args.files {
        if !json {
            writeln!(dump.out, "Dumping {}", file.display())?;
        }
        dump.file(file)?;
    }
    dump.out.flush()?;
    if dump.findings.is_empty() {
        return Ok(());
    }
    if !json {
        for finding in &dump.findings {
            eprintln!("{finding}");
        }
    }
    Err(Failure::told())
}

struct Dump<'a, W> {
    args: &'a Args,
    json: bool,
    out: W,
    findings: Vec<String>,
}

impl<W: Write> Dump<'_, W> {
    fn file(&mut self, file: &Path) -> Outcome {
        if let Err(error) = std::fs::metadata(file) {
            return Err(Failure::file(file, &error));
        }
        match file.extension().and_then(|suffix| suffix.to_str()) {
            Some("log") => self.log(file),
            Some("index") => self.index(file),
            Some("timeindex") => self.time_index(file),
            Some("txnindex") => self.txn_index(file),
            Some("snapshot") => self.snapshot(file),
            _ => Err(Failure::usage(format!("{}: no name of a segment, index or snapshot file", file.display()))),
        }
    }

    /// One line: the text for people, the object for machines.
    fn line(&mut self, file: &Path, kind: &str, text: impl FnOnce() -> String, mut object: Value) -> io::Result<()> {
        if !self.json {
            return writeln!(self.out, "{}", text());
        }
        let fields = object.as_object_mut().expect("every line is an object");
        fields.insert("file".to_owned(), file.display().to_string().into());
        fields.insert("kind".to_owned(), kind.into());
        writeln!(self.out, "{object}")
    }

    /// Something that is not as it should be; told at the end, as Kafka's tool does.
    fn finding(&mut self, file: &Path, text: String) -> Outcome {
        if self.json {
            let object = json!({ "finding": text.trim() });
            self.line(file, "finding", String::new, object)?;
        }
        self.findings.push(text);
        Ok(())
    }

    fn log(&mut self, file: &Path) -> Outcome {
        let mut log = open(file, LogDump::open)?;
        if !self.json {
            writeln!(self.out, "Log starting offset: {}", base_offset(file))?;
        }
        let mut previous = None;
        let mut stopped = false;
        while let Some(batch) = log.next_batch()? {
            self.line(file, "batch", || batch_text(&batch), batch_json(&batch))?;
            if !batch.is_valid {
                let place =
                    format!("{}: the checksum of the batch at byte {} does not fit", file.display(), batch.position);
                self.finding(file, place)?;
            } else if self.args.deep_iteration || self.args.print_data_log {
                self.records(file, &mut log, &batch, &mut previous)?;
            }
            if self.args.max_bytes.is_some_and(|max| batch.position + u64::from(batch.bytes) >= max) {
                stopped = true;
                break;
            }
        }
        let rest = log.rest();
        if rest > 0 && !stopped {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            let text = format!("Found {rest} invalid bytes at the end of {name}");
            if !self.json {
                writeln!(self.out, "{text}")?;
            }
            self.finding(file, text)?;
        }
        Ok(())
    }

    fn records(&mut self, file: &Path, log: &mut LogDump, batch: &BatchDump, previous: &mut Option<u64>) -> Outcome {
        let records = match log.records() {
            Ok(records) => records,
            Err(error) => {
                return self
                    .finding(file, format!("{}: the batch at byte {}: {error}", file.display(), batch.position));
            }
        };
        for record in records {
            if let Some(before) = previous.filter(|before| record.offset.0 != before + 1) {
                let text = format!(
                    "Non-consecutive offsets in {}\n  {before} is followed by {}",
                    file.display(),
                    record.offset
                );
                self.finding(file, text)?;
            }
            *previous = Some(record.offset.0);
            let (data, metadata) = (self.args.print_data_log, !self.args.skip_record_metadata);
            let object = record_json(batch, &record, data);
            if self.json {
                self.line(file, "record", String::new, object)?;
            } else {
                self.record_text(batch, &record, data, metadata)?;
            }
        }
        Ok(())
    }

    fn record_text(&mut self, batch: &BatchDump, record: &DumpedRecord, data: bool, metadata: bool) -> io::Result<()> {
        let bytes =
            |part: &Option<Vec<u8>>| part.as_ref().map_or(-1, |bytes| i64::try_from(bytes.len()).unwrap_or(i64::MAX));
        let mut prefix = "| ";
        if metadata {
            let names: Vec<_> = record.headers.iter().map(|(name, _)| String::from_utf8_lossy(name)).collect();
            write!(
                self.out,
                "| offset: {} {:?}: {} keySize: {} valueSize: {} sequence: {} headerKeys: [{}]",
                record.offset,
                batch.timestamp_type,
                record.timestamp.map_or(-1, |at| at.0),
                bytes(&record.key),
                bytes(&record.value),
                record.sequence.unwrap_or(-1),
                names.join(",")
            )?;
            prefix = " ";
            if let Some((kind, epoch)) = control(batch, record) {
                match epoch {
                    Some(epoch) => write!(self.out, " endTxnMarker: {kind} coordinatorEpoch: {epoch}")?,
                    None => write!(self.out, " controlType: {kind}")?,
                }
            }
        }
        if data && !batch.is_control {
            if let Some(key) = &record.key {
                write!(self.out, "{prefix}key: ")?;
                self.out.write_all(key)?;
            }
            if let Some(value) = &record.value {
                write!(self.out, " payload: ")?;
                self.out.write_all(value)?;
            }
        }
        writeln!(self.out)
    }
}

/// What cannot be read at all was not opened; what is damaged was.
fn open<T>(file: &Path, how: impl FnOnce(&Path) -> kafkalog::Result<T>) -> Outcome<T> {
    how(file).map_err(|error| match error.code() {
        ErrorCode::CORRUPT_MESSAGE => Failure::failed(format!("{}: {error}", file.display())),
        ErrorCode::INVALID_ARG => Failure::usage(format!("{}: {}", file.display(), error.message())),
        _ => Failure::new(Status::CannotOpen, error.message()),
    })
}

/// The base offset that a file's name says; Kafka's line names it before anything is read.
fn base_offset(file: &Path) -> u64 {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    name.split('.').next().and_then(|digits| digits.parse().ok()).unwrap_or(0)
}
