//! `cache`: what is in memory, what is flushed, and what pulling the plug now would cost.

use crate::failure::{Failure, Outcome};
use crate::print;
use crate::target::Looking;
use kafkalog::inspect::{cache, CacheReport, SegmentCache, UnplugLoss};
use serde_json::{json, Value};
use std::io::Write;

/// Characters of a segment's bar.
const BAR: u64 = 32;

#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    at: Looking,
    /// One topic only
    #[arg(long)]
    topic: Option<String>,
}

pub fn run(args: &Args, json: bool) -> Outcome {
    let mut report = cache(&args.at.dir).map_err(|error| Failure::opening(&args.at.dir, &error))?;
    if let Some(topic) = &args.topic {
        report.partitions.retain(|partition| *partition.id.topic == **topic);
        if report.partitions.is_empty() {
            return Err(Failure::failed(format!("there is no topic {topic:?} in this directory")));
        }
    }
    if json {
        return Ok(print::json(&as_json(&report))?);
    }
    let mut out = print::stdout();
    for partition in &report.partitions {
        writeln!(out, "{}  log end {}, flushed to {}", partition.id, partition.log_end, partition.recovery_point)?;
        for segment in &partition.segments {
            writeln!(out, "  {}", segment_text(segment))?;
        }
    }
    writeln!(out, "[=] flushed  [!] not known to be flushed")?;
    if !report.knows_dirty {
        writeln!(out, "This kernel does not tell dirty pages apart: the estimate leans on the recovery points alone.")?;
    }
    writeln!(out, "{}", unplug_text(&report.unplug_loss))?;
    Ok(out.flush()?)
}

fn unplug_text(loss: &UnplugLoss) -> String {
    let age = loss.age.map_or(0.0, |age| age.as_secs_f64());
    format!(
        "unplug now and you lose {}, {} bytes, {age:.1} s (at most)",
        print::counted(loss.records, "record"),
        print::count(loss.bytes)
    )
}

fn segment_text(segment: &SegmentCache) -> String {
    let told = |bytes: Option<u64>| bytes.map_or("unknown".to_owned(), print::bytes);
    let unflushed = match segment.log_bytes {
        0 => 0,
        // At least one mark when anything is unflushed.
        all => (segment.unflushed_bytes * BAR).div_ceil(all).min(BAR),
    };
    let bar: String = (0..BAR).map(|i| if i < BAR - unflushed { '=' } else { '!' }).collect();
    format!(
        "{} [{bar}] {}, resident {}, dirty {}, unflushed {}, flushed {}",
        segment.path.file_name().unwrap_or_default().to_string_lossy(),
        print::bytes(segment.log_bytes),
        told(segment.resident_bytes),
        told(segment.dirty_bytes),
        print::bytes(segment.unflushed_bytes),
        print::bytes(segment.log_bytes.saturating_sub(segment.unflushed_bytes))
    )
}

fn as_json(report: &CacheReport) -> Value {
    let loss = |loss: &UnplugLoss| json!({ "records": loss.records, "bytes": loss.bytes, "seconds": loss.age.map(|age| age.as_secs_f64()) });
    let partitions: Vec<Value> = report
        .partitions
        .iter()
        .map(|partition| {
            let segments: Vec<Value> = partition
                .segments
                .iter()
                .map(|segment| {
                    json!({
                        "file": segment.path.display().to_string(),
                        "base_offset": segment.base_offset.0,
                        "log_bytes": segment.log_bytes,
                        "resident_bytes": segment.resident_bytes,
                        "dirty_bytes": segment.dirty_bytes,
                        "unflushed_bytes": segment.unflushed_bytes,
                    })
                })
                .collect();
            json!({
                "topic": &*partition.id.topic,
                "partition": partition.id.partition,
                "recovery_point": partition.recovery_point.0,
                "log_end": partition.log_end.0,
                "unplug_loss": loss(&partition.unplug_loss),
                "segments": segments,
            })
        })
        .collect();
    json!({ "knows_dirty": report.knows_dirty, "unplug_loss": loss(&report.unplug_loss), "partitions": partitions })
}
