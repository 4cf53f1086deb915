//! `check`: verifies every byte that a reader would trust.

use crate::failure::{Failure, Outcome};
use crate::print;
use kafkalog::inspect::{check, CheckReport, CheckScope, Damage, Severity};
use serde_json::{json, Value};
use std::io::Write;
use std::path::PathBuf;

#[derive(clap::Args, Debug)]
pub struct Args {
    /// A data directory, the directory of one partition, or one .log file; another process may be writing it
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Look at the logs only, not at indexes and small files
    #[arg(long)]
    logs_only: bool,
}

pub fn run(args: &Args, json: bool) -> Outcome {
    let scope = if args.logs_only { CheckScope::Logs } else { CheckScope::All };
    if let Err(error) = std::fs::metadata(&args.dir) {
        return Err(Failure::file(&args.dir, &error));
    }
    let report = check(&args.dir, scope).map_err(|error| Failure::opening(&args.dir, &error))?;
    if json {
        print::json(&report_json(&report))?;
    } else {
        print_report(&report)?;
    }
    if report.is_sound() {
        Ok(())
    } else {
        Err(Failure::told())
    }
}

fn print_report(report: &CheckReport) -> Outcome {
    let mut out = print::stdout();
    for damage in &report.damages {
        writeln!(out, "{}", damage_text(damage))?;
    }
    writeln!(
        out,
        "{}, {}, {}, {}, {} checked: {}",
        print::counted(report.partitions, "partition"),
        print::counted(report.segments, "segment"),
        if report.batches == 1 { "1 batch".to_owned() } else { format!("{} batches", print::count(report.batches)) },
        print::counted(report.records, "record"),
        print::bytes(report.bytes),
        verdict(report)
    )?;
    Ok(out.flush()?)
}

fn verdict(report: &CheckReport) -> String {
    let of = |severity| report.damages.iter().filter(|damage| damage.severity == severity).count();
    match (of(Severity::Loss), of(Severity::Rebuildable), of(Severity::Leftover)) {
        (0, 0, 0) => "sound".to_owned(),
        (0, 0, left) => format!("sound; {left} leftovers that the next open mends"),
        (lost, rebuildable, _) => {
            format!("{lost} damages of records, {rebuildable} of files that can be rebuilt")
        }
    }
}

/// One damage in one line: how bad, where, what, and what would mend it.
pub fn damage_text(damage: &Damage) -> String {
    let position = damage.position.map_or(String::new(), |byte| format!(" at byte {byte}"));
    let offset = damage.offset.map_or(String::new(), |offset| format!(" offset {offset}"));
    let severity = format!("{:?}", damage.severity).to_uppercase();
    let remedy = if damage.remedy.is_empty() { String::new() } else { format!(" [{}]", damage.remedy) };
    format!("{severity} {:?} {}{position}{offset}: {}{remedy}", damage.kind, damage.file.display(), damage.what)
}

pub fn damage_json(damage: &Damage) -> Value {
    json!({
        "severity": format!("{:?}", damage.severity).to_lowercase(),
        "kind": format!("{:?}", damage.kind),
        "file": damage.file.display().to_string(),
        "position": damage.position,
        "offset": damage.offset,
        "what": damage.what,
        "remedy": damage.remedy,
    })
}

pub fn report_json(report: &CheckReport) -> Value {
    json!({
        "sound": report.is_sound(),
        "partitions": report.partitions,
        "segments": report.segments,
        "batches": report.batches,
        "records": report.records,
        "bytes": report.bytes,
        "damages": report.damages.iter().map(damage_json).collect::<Vec<_>>(),
    })
}
