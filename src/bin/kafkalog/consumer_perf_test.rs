//! `consumer-perf-test`: Kafka's table, and the percentiles of a poll.

use crate::failure::{Failure, Outcome};
use crate::histogram::Latencies;
use crate::print;
use crate::reading;
use crate::target::{property, LookingAnywhere, Property};
use crate::wall_clock::{date_time, now_ms};
use kafkalog::{Consumer, StartAt};
use serde_json::json;
use std::io::Write;
use std::time::{Duration, Instant};

#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    at: LookingAnywhere,
    /// The topic to read
    #[arg(long)]
    topic: String,
    /// Stop after this many records
    #[arg(long, alias = "num-records", value_name = "N")]
    messages: u64,
    /// Begin at the end: only what is written from now on
    #[arg(long)]
    from_latest: bool,
    /// Most bytes of one partition in one fetch (max.partition.fetch.bytes)
    #[arg(long, value_name = "BYTES")]
    fetch_size: Option<u32>,
    /// A setting of the consumer; may be repeated
    #[arg(long = "consumer-property", value_name = "K=V", value_parser = property)]
    properties: Vec<Property>,
    /// A line for each interval instead of one at the end
    #[arg(long)]
    show_detailed_stats: bool,
    /// The interval
    #[arg(long, value_name = "MS", default_value_t = 5000, value_parser = clap::value_parser!(u64).range(1..))]
    reporting_interval: u64,
    /// Print no header
    #[arg(long)]
    hide_header: bool,
    /// Stop when no record came for this long
    #[arg(long, value_name = "MS", default_value_t = 10_000)]
    timeout: u64,
}

/// What was read up to a moment.
#[derive(Clone, Copy)]
struct Read {
    records: u64,
    bytes: u64,
    at: Instant,
}

pub fn run(args: &Args, json: bool) -> Outcome {
    let source = args.at.open()?;
    let topic = source.topic(&args.topic)?;
    let start = if args.from_latest { StartAt::Latest } else { StartAt::Earliest };
    let mut builder = source.consumer();
    for partition in reading::partitions(&topic, &[])? {
        builder = builder.assign(partition, start);
    }
    if let Some(bytes) = args.fetch_size {
        builder = builder.set("max.partition.fetch.bytes", &bytes.to_string())?;
    }
    for (name, value) in &args.properties {
        builder = builder.set(name, value)?;
    }
    let mut consumer = builder.open()?;
    let mut out = print::stdout();
    if !json && !args.hide_header {
        let begin = if args.show_detailed_stats { "time, threadId" } else { "start.time, end.time" };
        writeln!(
            out,
            "{begin}, data.consumed.in.MB, MB.sec, data.consumed.in.nMsg, nMsg.sec, rebalance.time.ms, fetch.time.ms, \
             fetch.MB.sec, fetch.nMsg.sec"
        )?;
        out.flush()?;
    }
    let (begin_ms, begin) = (now_ms(), Instant::now());
    let first = Read { records: 0, bytes: 0, at: begin };
    let mut polls = Latencies::new();
    let last = read(args, json, &mut consumer, first, &mut polls, &mut out)?;
    let (end_ms, elapsed) = (now_ms(), last.at.duration_since(begin).as_secs_f64().max(1e-9));
    let megabytes = last.bytes as f64 / (1024.0 * 1024.0);
    if json {
        print::json(&json!({
            "records": last.records,
            "bytes": last.bytes,
            "seconds": elapsed,
            "records_per_second": last.records as f64 / elapsed,
            "bytes_per_second": last.bytes as f64 / elapsed,
            "poll_latency": polls.json(),
        }))?;
    } else {
        if !args.show_detailed_stats {
            writeln!(
                out,
                "{}, {}, {}",
                date_time(begin_ms),
                date_time(end_ms),
                columns(megabytes, megabytes, last.records, last.records, elapsed)
            )?;
        }
        writeln!(out, "poll: {}", polls.line())?;
        out.flush()?;
    }
    if last.records < args.messages {
        let (got, wanted) = (last.records, args.messages);
        return Err(Failure::failed(format!(
            "only {got} of {wanted} records came: none for {} ms (--timeout)",
            args.timeout
        )));
    }
    Ok(())
}

fn read(
    args: &Args,
    json: bool,
    consumer: &mut Consumer,
    first: Read,
    polls: &mut Latencies,
    out: &mut impl Write,
) -> Outcome<Read> {
    let timeout = Duration::from_millis(args.timeout);
    let (mut now, mut reported) = (first, first);
    let mut heard = first.at;
    while now.records < args.messages && heard.elapsed() < timeout {
        let begin = Instant::now();
        let records = consumer.poll(reading::POLL.min(timeout))?;
        if records.is_empty() {
            continue;
        }
        polls.record_duration(begin.elapsed());
        for record in records.iter() {
            now.records += 1;
            now.bytes += (record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len)) as u64;
        }
        heard = Instant::now();
        now.at = heard;
        let interval = now.at.duration_since(reported.at);
        if args.show_detailed_stats && !json && interval >= Duration::from_millis(args.reporting_interval) {
            let mb = |bytes: u64| bytes as f64 / (1024.0 * 1024.0);
            let row = columns(
                mb(now.bytes),
                mb(now.bytes - reported.bytes),
                now.records,
                now.records - reported.records,
                interval.as_secs_f64(),
            );
            writeln!(out, "{}, 0, {row}", date_time(now_ms()))?;
            out.flush()?;
            reported = now;
        }
    }
    Ok(now)
}

/// Kafka's columns from data.consumed.in.MB on. There is no group yet and so no rebalance: its time is 0.
fn columns(mb: f64, interval_mb: f64, records: u64, interval_records: u64, seconds: f64) -> String {
    let (mb_rate, rate) = (interval_mb / seconds, interval_records as f64 / seconds);
    format!("{mb:.4}, {mb_rate:.4}, {records}, {rate:.4}, 0, {:.0}, {mb_rate:.4}, {rate:.4}", seconds * 1000.0)
}
