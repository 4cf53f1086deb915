//! `stats`: figures of a directory as its files are now, beside a live writer or after it.

use crate::failure::{Failure, Outcome};
use crate::print;
use crate::target::Looking;
use kafkalog::inspect::{DataDirView, PartitionView};
use serde_json::{json, Value};
use std::io::Write;

#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    at: Looking,
    /// OpenMetrics text instead of JSON
    #[arg(long)]
    openmetrics: bool,
}

pub fn run(args: &Args, json: bool) -> Outcome {
    if args.openmetrics && json {
        return Err(Failure::usage("--json and --openmetrics exclude each other"));
    }
    let view = DataDirView::read(&args.at.dir).map_err(|error| Failure::opening(&args.at.dir, &error))?;
    if args.openmetrics {
        return open_metrics(&view);
    }
    let document = as_json(&view);
    if json {
        return Ok(print::json(&document)?);
    }
    Ok(print::line(format_args!("{document:#}"))?)
}

/// One figure of a partition: name, help, and how to get it.
type Figure = (&'static str, &'static str, fn(&PartitionView) -> Option<u64>);

const FIGURES: &[Figure] = &[
    ("log_bytes", "Bytes of all segments' logs.", |p| Some(p.size_bytes())),
    ("index_bytes", "Bytes of all segments' indexes.", |p| {
        Some(
            p.segments
                .iter()
                .map(|s| s.index_bytes.unwrap_or(0) + s.time_index_bytes.unwrap_or(0) + s.txn_index_bytes.unwrap_or(0))
                .sum(),
        )
    }),
    ("segments", "Number of segments.", |p| Some(p.segments.len() as u64)),
    ("batches", "Number of batches.", |p| Some(p.segments.iter().map(|s| s.batches).sum())),
    ("log_start_offset", "First offset that retention left.", |p| {
        p.log_start.or_else(|| p.segments.first().map(|s| s.base_offset)).map(|offset| offset.0)
    }),
    ("log_end_offset", "Offset behind the last whole batch.", |p| Some(p.log_end().0)),
    ("high_watermark", "End of what was acknowledged, as last written down.", |p| {
        p.high_watermark.map(|offset| offset.0)
    }),
    ("recovery_point", "End of what is known to be flushed, as last written down.", |p| {
        p.recovery_point.map(|offset| offset.0)
    }),
];

fn as_json(view: &DataDirView) -> Value {
    let partitions: Vec<Value> = view
        .partitions
        .iter()
        .map(|partition| {
            let mut object = json!({ "topic": &*partition.id.topic, "partition": partition.id.partition });
            for (name, _, figure) in FIGURES {
                object[*name] = figure(partition).into();
            }
            object
        })
        .collect();
    let total = |figure: fn(&PartitionView) -> u64| view.partitions.iter().map(figure).sum::<u64>();
    json!({
        "dir": view.path.display().to_string(),
        "closed_cleanly": view.clean,
        "partition_count": view.partitions.len(),
        "log_bytes": total(PartitionView::size_bytes),
        "segments": total(|p| p.segments.len() as u64),
        "partitions": partitions,
    })
}

fn open_metrics(view: &DataDirView) -> Outcome {
    let mut out = print::stdout();
    for (name, help, figure) in FIGURES {
        let unit = if name.ends_with("_bytes") { "bytes" } else { "" };
        writeln!(out, "# TYPE kafkalog_partition_{name} gauge")?;
        if !unit.is_empty() {
            writeln!(out, "# UNIT kafkalog_partition_{name} {unit}")?;
        }
        writeln!(out, "# HELP kafkalog_partition_{name} {help}")?;
        for partition in &view.partitions {
            if let Some(value) = figure(partition) {
                let (topic, number) = (&partition.id.topic, partition.id.partition);
                // A topic's name has no character that would need escaping.
                writeln!(out, "kafkalog_partition_{name}{{topic=\"{topic}\",partition=\"{number}\"}} {value}")?;
            }
        }
    }
    writeln!(out, "# TYPE kafkalog_closed_cleanly gauge")?;
    writeln!(out, "# HELP kafkalog_closed_cleanly Whether the last writer closed the directory.")?;
    writeln!(out, "kafkalog_closed_cleanly {}", u8::from(view.clean))?;
    writeln!(out, "# EOF")?;
    Ok(out.flush()?)
}
