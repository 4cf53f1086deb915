//! `producer-perf-test`: Kafka's lines, and percentiles in microseconds.

use crate::failure::{Failure, Outcome};
use crate::histogram::Latencies;
use crate::print;
use crate::target::{check_producer_properties, property, Property, Target, Writing};
use kafkalog::{DeliveryReport, DeliverySink, Producer, Record};
use parking_lot::Mutex;
use serde_json::{json, Value};
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[derive(clap::Args, Debug)]
#[command(group(clap::ArgGroup::new("payload").required(true).args(["record_size", "payload_file", "payload_monotonic"])))]
pub struct Args {
    #[command(flatten)]
    at: Writing,
    /// The topic to send to
    #[arg(long)]
    topic: String,
    /// How many records are sent
    #[arg(long, value_name = "N")]
    num_records: u64,
    /// Bytes of a record's value
    #[arg(long, value_name = "BYTES")]
    record_size: Option<usize>,
    /// Values are drawn by lot from this file
    #[arg(long, value_name = "FILE")]
    payload_file: Option<PathBuf>,
    /// What separates values in the file
    #[arg(long, value_name = "TEXT", default_value = "\n", requires = "payload_file")]
    payload_delimiter: String,
    /// Values are 0, 1, 2 and so on
    #[arg(long)]
    payload_monotonic: bool,
    /// Records per second, about; -1 is as fast as it goes
    #[arg(long, value_name = "N", default_value_t = -1.0, allow_negative_numbers = true)]
    throughput: f64,
    /// Settings of the producer
    #[arg(long = "producer-props", alias = "producer-property", value_name = "K=V", value_parser = property, num_args = 1..)]
    producer_props: Vec<Property>,
    /// Print the engine's figures at the end
    #[arg(long)]
    print_metrics: bool,
    /// How often a line is printed on the way
    #[arg(long, value_name = "MS", default_value_t = 5000, value_parser = clap::value_parser!(u64).range(1..))]
    reporting_interval: u64,
}

pub fn run(args: &Args, json: bool) -> Outcome {
    let payloads = Payloads::of(args)?;
    check_producer_properties(&args.producer_props)?;
    if args.throughput == 0.0 || args.throughput.is_nan() || (args.throughput < 0.0 && args.throughput != -1.0) {
        return Err(Failure::usage(format!("--throughput {}: legal: -1 or a number above 0", args.throughput)));
    }
    let target = args.at.open()?;
    if args.print_metrics && matches!(target, Target::Cluster(_)) {
        return Err(Failure::usage("--print-metrics prints figures of an engine: it goes with --dir"));
    }
    let tally = Arc::new(Tally {
        counts: Mutex::new(Counts::new()),
        start: Instant::now(),
        interval: Duration::from_millis(args.reporting_interval),
        is_quiet: json,
        value_bytes: payloads.mean_bytes(args.num_records),
    });
    let mut builder = target.producer().delivery_sink(tally.clone());
    for (name, value) in &args.producer_props {
        builder = builder.set(name, value)?;
    }
    let producer = builder.open()?;
    let refused = send_all(args, &producer, payloads, &tally);
    // What failed is counted; the summary comes whatever happened.
    let sent = producer.close(Duration::from_secs(300));
    let elapsed = tally.start.elapsed();
    let metrics = match &target {
        Target::Node(engine) => args.print_metrics.then(|| engine.stats_json()),
        Target::Cluster(_) => None,
    };
    let closed = target.close();

    let counts = tally.counts.lock();
    if json {
        let mut document = json!({
            "records": counts.records,
            "failed": counts.failed + refused,
            "seconds": elapsed.as_secs_f64(),
            "records_per_second": counts.records as f64 / elapsed.as_secs_f64(),
            "bytes_per_second": counts.bytes / elapsed.as_secs_f64(),
            "latency": counts.latencies.json(),
        });
        if let Some(metrics) = metrics {
            document["metrics"] = serde_json::from_str(&metrics).unwrap_or(Value::Null);
        }
        print::json(&document)?;
    } else {
        let mut out = print::stdout();
        writeln!(out, "{}", counts.total(elapsed))?;
        writeln!(out, "latency: {}", counts.latencies.line())?;
        if let Some(metrics) = metrics {
            writeln!(out, "{metrics}")?;
        }
        out.flush()?;
    }
    match counts.failed + refused {
        0 => closed.and(Ok(sent?)),
        failed => Err(Failure::failed(format!("{} not acknowledged", print::counted(failed, "record")))),
    }
}

/// Sends at the wanted rate; returns how many were refused at the door.
fn send_all(args: &Args, producer: &Producer, mut payloads: Payloads, tally: &Tally) -> u64 {
    let start = tally.start;
    let mut refused = 0;
    for sent in 0..args.num_records {
        let value = payloads.next(sent);
        // The tag carries the moment of the send, so that nothing is allocated for a record.
        let tag = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        if let Err(error) = producer.send_tagged(Record::new(&args.topic, value), tag) {
            if refused == 0 {
                eprintln!("kafkalog: a record was refused: {error}");
            }
            refused += 1;
        }
        if args.throughput > 0.0 {
            let due = Duration::from_secs_f64((sent + 1) as f64 / args.throughput);
            if let Some(early) = due.checked_sub(start.elapsed()).filter(|early| *early > Duration::from_micros(500)) {
                std::thread::sleep(early);
            }
        }
    }
    refused
}

/// Hears of every batch on the thread that completed it.
struct Tally {
    counts: Mutex<Counts>,
    start: Instant,
    interval: Duration,
    is_quiet: bool,
    /// The mean, where values differ.
    value_bytes: f64,
}

struct Counts {
    records: u64,
    failed: u64,
    bytes: f64,
    latencies: Latencies,
    window: Latencies,
    window_bytes: f64,
    window_start: Duration,
}

impl DeliverySink for Tally {
    fn deliver(&self, report: DeliveryReport<'_>) {
        let now = self.start.elapsed();
        let nanos = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let mut counts = self.counts.lock();
        if let Err(error) = report.result {
            if counts.failed == 0 {
                eprintln!("kafkalog: records were not acknowledged: {error}");
            }
            counts.failed += report.tags.len() as u64;
            return;
        }
        let bytes = report.tags.len() as f64 * self.value_bytes;
        counts.bytes += bytes;
        counts.window_bytes += bytes;
        counts.records += report.tags.len() as u64;
        for sent in report.tags {
            counts.latencies.record(nanos.saturating_sub(*sent));
            counts.window.record(nanos.saturating_sub(*sent));
        }
        if now.saturating_sub(counts.window_start) >= self.interval {
            if !self.is_quiet {
                // Nobody to tell when stdout is closed: the end of the run will say so.
                let _ = writeln!(std::io::stdout(), "{}", counts.windowed(now));
            }
            counts.window.clear();
            counts.window_bytes = 0.0;
            counts.window_start = now;
        }
    }
}

impl Counts {
    fn new() -> Counts {
        Counts {
            records: 0,
            failed: 0,
            bytes: 0.0,
            latencies: Latencies::new(),
            window: Latencies::new(),
            window_bytes: 0.0,
            window_start: Duration::ZERO,
        }
    }

    fn windowed(&self, now: Duration) -> String {
        let seconds = (now - self.window_start).as_secs_f64();
        format!(
            "{} records sent, {:.1} records/sec ({:.2} MB/sec), {:.1} ms avg latency, {:.1} ms max latency.",
            self.window.count(),
            self.window.count() as f64 / seconds,
            self.window_bytes / seconds / (1024.0 * 1024.0),
            self.window.mean_ms(),
            self.window.max_ms()
        )
    }

    fn total(&self, elapsed: Duration) -> String {
        let seconds = elapsed.as_secs_f64().max(1e-9);
        let at = |percent| self.latencies.percentile_ms(percent);
        format!(
            "{} records sent, {:.6} records/sec ({:.2} MB/sec), {:.2} ms avg latency, {:.2} ms max latency, {:.0} ms 50th, \
             {:.0} ms 95th, {:.0} ms 99th, {:.0} ms 99.9th.",
            self.records,
            self.records as f64 / seconds,
            self.bytes / seconds / (1024.0 * 1024.0),
            self.latencies.mean_ms(),
            self.latencies.max_ms(),
            at(50.0),
            at(95.0),
            at(99.0),
            at(99.9)
        )
    }
}

/// Where values come from.
enum Payloads {
    /// Capital letters by lot, made new for each record.
    Random(Vec<u8>, fastrand::Rng),
    File(Vec<Vec<u8>>, fastrand::Rng),
    Monotonic(String),
}

impl Payloads {
    fn of(args: &Args) -> Outcome<Payloads> {
        // The same bytes in each run, so that runs can be compared.
        let rng = fastrand::Rng::with_seed(0);
        if let Some(bytes) = args.record_size {
            if bytes > 1 << 30 {
                return Err(Failure::usage(format!("--record-size {bytes}: legal: 0..={}", 1 << 30)));
            }
            return Ok(Payloads::Random(vec![0; bytes], rng));
        }
        let Some(path) = &args.payload_file else { return Ok(Payloads::Monotonic(String::new())) };
        let text = std::fs::read_to_string(path).map_err(|error| Failure::file(path, &error))?;
        let delimiter = args.payload_delimiter.replace("\\n", "\n").replace("\\t", "\t");
        if delimiter.is_empty() {
            return Err(Failure::usage("--payload-delimiter may not be empty"));
        }
        let values: Vec<Vec<u8>> = text
            .split(delimiter.as_str())
            .filter(|value| !value.is_empty())
            .map(|value| value.as_bytes().to_vec())
            .collect();
        if values.is_empty() {
            return Err(Failure::usage(format!("{}: there are no values in it", path.display())));
        }
        Ok(Payloads::File(values, rng))
    }

    fn mean_bytes(&self, records: u64) -> f64 {
        match self {
            Payloads::Random(value, _) => value.len() as f64,
            Payloads::File(values, _) => values.iter().map(Vec::len).sum::<usize>() as f64 / values.len() as f64,
            Payloads::Monotonic(_) => records.max(1).to_string().len() as f64,
        }
    }

    fn next(&mut self, number: u64) -> &[u8] {
        match self {
            Payloads::Random(value, rng) => {
                value.iter_mut().for_each(|byte| *byte = b'A' + rng.u8(0..26));
                value
            }
            Payloads::File(values, rng) => &values[rng.usize(0..values.len())],
            Payloads::Monotonic(text) => {
                *text = number.to_string();
                text.as_bytes()
            }
        }
    }
}
