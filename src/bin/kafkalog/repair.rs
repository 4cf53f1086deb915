//! `repair`: says what mending would take; with --execute it does it and keeps a copy of every file that it changes.

use crate::check::{damage_json, damage_text, report_json};
use crate::failure::{Failure, Outcome};
use crate::print;
use kafkalog::inspect::{Repair, RepairStep};
use serde_json::{json, Value};
use std::io::Write;
use std::path::PathBuf;

#[derive(clap::Args, Debug)]
pub struct Args {
    /// The data directory; with --execute no other process may have it open
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Do it. Without this nothing is changed
    #[arg(long)]
    execute: bool,
    /// With --execute: take only the steps that lose no record
    #[arg(long, requires = "execute")]
    lossless: bool,
}

pub fn run(args: &Args, json: bool) -> Outcome {
    if let Err(error) = std::fs::metadata(&args.dir) {
        return Err(Failure::file(&args.dir, &error));
    }
    let plan = Repair::plan(&args.dir).map_err(|error| Failure::opening(&args.dir, &error))?;
    let steps = plan.steps().to_vec();
    let (sound, lost_max) = (plan.report().is_sound(), plan.records_lost_max());
    let mut document = json!({
        "check": report_json(plan.report()),
        "steps": steps.iter().map(step_json).collect::<Vec<_>>(),
        "records_lost_max": lost_max,
        "executed": args.execute,
    });
    let mut out = print::stdout();
    if !json {
        for damage in &plan.report().damages {
            writeln!(out, "{}", damage_text(damage))?;
        }
        for step in &steps {
            writeln!(out, "step: {step}")?;
        }
        let count = print::counted(steps.len() as u64, "step");
        writeln!(out, "{count}, at most {} would be lost", print::counted(lost_max, "record"))?;
        out.flush()?;
    }
    if !args.execute {
        if json {
            print::json(&document)?;
        } else if !steps.is_empty() {
            writeln!(out, "Nothing was changed. With --execute the steps are taken; a copy of each file is kept.")?;
            out.flush()?;
        }
        return if sound { Ok(()) } else { Err(Failure::told()) };
    }
    let report =
        plan.apply(|step| !args.lossless || is_lossless(step)).map_err(|error| Failure::opening(&args.dir, &error))?;
    if json {
        document["done"] = report.done.iter().map(step_json).collect();
        document["copies"] = report.copies.iter().map(|path| path.display().to_string()).collect();
        document["remaining"] = report.remaining.iter().map(damage_json).collect();
        print::json(&document)?;
    } else {
        for copy in &report.copies {
            writeln!(out, "copy kept: {}", copy.display())?;
        }
        for damage in &report.remaining {
            writeln!(out, "still there: {}", damage_text(damage))?;
        }
        writeln!(out, "{} done", print::counted(report.done.len() as u64, "step"))?;
        out.flush()?;
    }
    // A gap where records were stays a finding of `check`; nothing brings them back, so that is no failure of the repair.
    let left = Repair::plan(&args.dir)?.steps().len();
    if left > 0 {
        return Err(Failure::failed(format!("{} left to take", print::counted(left as u64, "step"))));
    }
    Ok(())
}

/// LowerCheckpoint loses nothing either: what the checkpoint promised is gone already. But that is for people to decide.
fn is_lossless(step: &RepairStep) -> bool {
    matches!(step, RepairStep::RebuildIndexes { .. } | RepairStep::RebuildEpochs { .. } | RepairStep::RemoveFile { .. })
}

fn step_json(step: &RepairStep) -> Value {
    match step {
        RepairStep::RebuildIndexes { log } => json!({ "step": "rebuild_indexes", "log": log.display().to_string() }),
        RepairStep::RebuildEpochs { partition } => {
            json!({ "step": "rebuild_epochs", "partition": partition.display().to_string() })
        }
        RepairStep::LowerCheckpoint { file, partition, to_offset } => json!({
            "step": "lower_checkpoint", "file": file.display().to_string(),
            "partition": partition.display().to_string(), "to_offset": to_offset,
        }),
        RepairStep::RemoveFile { file } => json!({ "step": "remove_file", "file": file.display().to_string() }),
        RepairStep::Truncate { log, keep_bytes, cut_bytes, records, from_offset } => json!({
            "step": "truncate", "log": log.display().to_string(), "keep_bytes": keep_bytes, "cut_bytes": cut_bytes,
            "records_lost_max": records, "from_offset": from_offset,
        }),
        RepairStep::CutOut { log, from_byte, to_byte, records, from_offset } => json!({
            "step": "cut_out", "log": log.display().to_string(), "from_byte": from_byte, "to_byte": to_byte,
            "records_lost_max": records, "from_offset": from_offset,
        }),
        other => json!({ "step": format!("{other:?}") }),
    }
}
