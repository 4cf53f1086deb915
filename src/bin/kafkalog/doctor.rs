//! `doctor`: what this machine makes of a log: the file system, the time of an fsync, space and limits, and what each
//! flush setting would cost here.

use crate::failure::{Failure, Outcome, Status};
use crate::histogram::{span, Latencies};
use crate::print;
use kafkalog::inspect::{surroundings, Surroundings};
use serde_json::{json, Value};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// One page, about what a small batch dirties.
const APPEND_BYTES: usize = 4096;
/// The file is removed even when the verb fails on the way.
struct Scratch {
    path: PathBuf,
    file: File,
}

#[derive(clap::Args, Debug)]
pub struct Args {
    /// A directory on the disk in question; a scratch file is written there and removed
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// How many fsyncs are measured, at most
    #[arg(long, default_value_t = 200, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    fsyncs: u32,
    /// How long they may take together
    #[arg(long, default_value_t = 3000, value_name = "MS")]
    budget_ms: u64,
    /// Bytes written to measure the rate of the device
    #[arg(long, default_value_t = 64 << 20, value_name = "BYTES")]
    write_bytes: u64,
}

struct Measured {
    growing: Latencies,
    in_place: Latencies,
    write_bytes: u64,
    write_time: Duration,
}

pub fn run(args: &Args, json: bool) -> Outcome {
    if !args.dir.is_dir() {
        return Err(Failure::new(Status::CannotOpen, format!("{}: there is no such directory", args.dir.display())));
    }
    let found = surroundings(&args.dir).map_err(|error| Failure::opening(&args.dir, &error))?;
    let measured = measure(args, &found).map_err(|error| Failure::file(&args.dir, &error))?;
    let findings = findings(&found, &measured);
    if json {
        print::json(&as_json(&found, &measured, &findings))?;
    } else {
        print_all(&args.dir, &found, &measured, &findings)?;
    }
    if findings.iter().any(|(is_grave, _)| *is_grave) {
        return Err(Failure::told());
    }
    Ok(())
}

fn measure(args: &Args, found: &Surroundings) -> io::Result<Measured> {
    let scratch = Scratch::create(&args.dir)?;
    let budget = Duration::from_millis(args.budget_ms) / 2;
    let block = [0x5a; APPEND_BYTES];
    // Appends that grow the file, as a log does; then the same bytes again in place, as in a preallocated log.
    let mut at = 0;
    let growing = latencies(args.fsyncs, budget, || {
        scratch.file.write_all_at(&block, at)?;
        at += APPEND_BYTES as u64;
        scratch.file.sync_data()
    })?;
    let end = at;
    let mut at = 0;
    let in_place = latencies(args.fsyncs, budget, || {
        scratch.file.write_all_at(&block, at % end)?;
        at += APPEND_BYTES as u64;
        scratch.file.sync_data()
    })?;
    // Never more than a quarter of what is free: this is an examination, not an accident.
    let write_bytes = args.write_bytes.min(found.file_system.free_bytes / 4);
    let piece = vec![0x5a; 1 << 20];
    let start = Instant::now();
    let mut at = 0;
    while at < write_bytes {
        let bytes = usize::try_from(write_bytes - at).unwrap_or(usize::MAX).min(piece.len());
        scratch.file.write_all_at(&piece[..bytes], end + at)?;
        at += bytes as u64;
    }
    scratch.file.sync_data()?;
    Ok(Measured { growing, in_place, write_bytes, write_time: start.elapsed() })
}

fn latencies(count: u32, budget: Duration, mut once: impl FnMut() -> io::Result<()>) -> io::Result<Latencies> {
    let mut latencies = Latencies::new();
    let start = Instant::now();
    for done in 0..count {
        if done > 0 && start.elapsed() >= budget {
            break;
        }
        let begin = Instant::now();
        once()?;
        latencies.record_duration(begin.elapsed());
    }
    Ok(latencies)
}

impl Scratch {
    fn create(dir: &Path) -> io::Result<Scratch> {
        let path = dir.join(format!("kafkalog-doctor-{}.tmp", std::process::id()));
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
        Ok(Scratch { path, file })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path); // whoever finds it later may remove it as well
    }
}

/// What to know, and whether it is grave.
fn findings(found: &Surroundings, measured: &Measured) -> Vec<(bool, String)> {
    let system = &found.file_system;
    let mut findings = Vec::new();
    if system.is_read_only {
        findings.push((true, "the file system is mounted read-only".to_owned()));
    }
    if system.is_memory {
        findings
            .push((true, format!("{} forgets everything when the machine stops: no flush survives that", system.kind)));
    }
    if system.is_network {
        findings
            .push((false, format!("{} lies on another machine: locks and flushes promise less there", system.kind)));
    }
    let fast = Duration::from_micros(15);
    if !system.is_memory && measured.growing.percentile(50.0) < fast {
        let text = "an fsync is faster than any device: a cache with a battery, or one that lies about flushes";
        findings.push((false, text.to_owned()));
    }
    if system.free_bytes < 1 << 30 {
        let text =
            format!("only {} are free; one segment may take 1 GiB (segment.bytes)", print::bytes(system.free_bytes));
        findings.push((false, text));
    }
    if let Some(limit) = found.open_files_max.filter(|limit| *limit < 1024) {
        findings.push((false, format!("only {limit} files may be open (ulimit -n); open.files.max should stay below")));
    }
    findings
}

/// Name of the setting, acknowledgements per second that the fsyncs alone would allow (`None`: no limit), what is at risk.
fn costs(measured: &Measured) -> Vec<(&'static str, Option<f64>, String)> {
    let typical = measured.growing.percentile(50.0).as_secs_f64().max(1e-9);
    let share = typical * 100.0;
    let slow = span(measured.growing.percentile(99.0));
    let each = span(measured.growing.percentile(50.0));
    vec![
        ("flush.messages=1, one sender that waits", Some(1.0 / typical), format!("nothing is lost; each acknowledgement takes {each}, {slow} at p99")),
        ("flush.messages=1, 16 senders that wait", Some(16.0 / typical), format!("nothing is lost; one fsync serves all who wait, so {each} to {}", span(measured.growing.percentile(50.0) * 2))),
        ("flush.ms=1000 (the default)", None, format!("at most 1 s is lost; one fsync a second takes {share:.2} % of the device's time for each busy partition")),
        ("flush.ms never (Kafka's default)", None, "what the kernel has not written yet is lost, 30 s and more".to_owned()),
    ]
}

fn print_all(dir: &Path, found: &Surroundings, measured: &Measured, findings: &[(bool, String)]) -> Outcome {
    let mut out = print::stdout();
    let system = &found.file_system;
    writeln!(out, "directory        {}", dir.display())?;
    writeln!(out, "file system      {}, blocks of {}", system.kind, print::bytes(system.block_bytes))?;
    writeln!(out, "free             {} of {}", print::bytes(system.free_bytes), print::bytes(system.total_bytes))?;
    let limit = found.open_files_max.map_or("no limit".to_owned(), print::count);
    writeln!(out, "open files       {limit}")?;
    writeln!(out, "processors       {}", std::thread::available_parallelism().map_or(1, usize::from))?;
    for (name, value) in kernel_settings() {
        writeln!(out, "{name:<16} {value}")?;
    }
    writeln!(out, "append and fsync {} ({} times 4 KiB)", measured.growing.line(), measured.growing.count())?;
    writeln!(out, "fsync in place   {} ({} times 4 KiB)", measured.in_place.line(), measured.in_place.count())?;
    let rate = measured.write_bytes as f64 / measured.write_time.as_secs_f64().max(1e-9) / 1e6;
    writeln!(out, "write and fsync  {rate:.0} MB/s ({} at once)", print::bytes(measured.write_bytes))?;
    writeln!(out, "\nWhat a flush setting costs here:")?;
    for (setting, limit, risk) in costs(measured) {
        let limit = limit
            .map_or("not limited by fsync".to_owned(), |limit| format!("<= {} acks/s", print::count(limit as u64)));
        writeln!(out, "  {setting:<40} {limit:<22} {risk}")?;
    }
    for (is_grave, text) in findings {
        writeln!(out, "{}: {text}", if *is_grave { "PROBLEM" } else { "note" })?;
    }
    Ok(out.flush()?)
}

/// When the kernel writes on its own, where it tells.
fn kernel_settings() -> Vec<(&'static str, String)> {
    let read = |name: &str| fs::read_to_string(format!("/proc/sys/vm/{name}")).ok().map(|text| text.trim().to_owned());
    let centis =
        |name| read(name).and_then(|text| text.parse::<f64>().ok()).map(|centis| format!("{} s", centis / 100.0));
    let mut settings = Vec::new();
    if let Some(age) = centis("dirty_expire_centisecs") {
        settings.push(("dirty page age", format!("{age} until the kernel writes it by itself")));
    }
    if let Some(ratio) = read("dirty_ratio") {
        settings.push(("dirty ratio", format!("{ratio} % of memory until writers are made to wait")));
    }
    settings
}

fn as_json(found: &Surroundings, measured: &Measured, findings: &[(bool, String)]) -> Value {
    let system = &found.file_system;
    json!({
        "file_system": {
            "kind": system.kind,
            "network": system.is_network,
            "memory": system.is_memory,
            "read_only": system.is_read_only,
            "block_bytes": system.block_bytes,
            "free_bytes": system.free_bytes,
            "total_bytes": system.total_bytes,
        },
        "open_files_max": found.open_files_max,
        "append_fsync": measured.growing.json(),
        "in_place_fsync": measured.in_place.json(),
        "write_bytes": measured.write_bytes,
        "write_seconds": measured.write_time.as_secs_f64(),
        "costs": costs(measured).into_iter().map(|(setting, limit, risk)| {
            json!({ "setting": setting, "acks_per_second_max": limit, "risk": risk })
        }).collect::<Vec<_>>(),
        "findings": findings.iter().map(|(is_grave, text)| json!({ "problem": is_grave, "text": text })).collect::<Vec<_>>(),
    })
}
