//! Killing the child in the middle of a run, recovering its directory, and comparing it with what the child was promised.

use super::input::Input;
use super::verify::{identity, Found};
use super::{Args, Level, Say, KILLED_LEVELS, KILLED_TOPIC, LEVELS};
use crate::failure::{Failure, Outcome};
use crate::target::{close, open, open_read_only};
use crate::{print, reading};
use kafkalog::Offset;
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// The child is killed after this many acknowledgements: in the middle, whenever that is.
const ACKS_BEFORE_KILL: u64 = 30_000;
/// A child that does not get there within this time is in trouble.
const PATIENCE: Duration = Duration::from_secs(60);
const SIGKILL: i32 = 9;

/// What the kill cost.
pub struct Crash {
    pub acked: [u64; KILLED_LEVELS],
    pub found: [Found; KILLED_LEVELS],
    /// Opening the directory and recovering all logs of the topic.
    pub recovery: Duration,
    /// Bytes that recovery looked at, and bytes of torn tails that it cut off.
    pub scanned_bytes: u64,
    pub truncated_bytes: u64,
}

/// One acknowledgement that the child told of.
struct Acked {
    level: usize,
    number: u64,
    partition: u32,
    offset: Option<u64>,
}

pub fn run(dir: &Path, args: &Args, input: &Input, say: &mut Say) -> Outcome<Crash> {
    let acked = kill(dir, args, input, say)?;
    let start = Instant::now();
    let engine = open(dir, &[])?;
    for partition in 0..args.partitions {
        engine.offsets(KILLED_TOPIC, partition)?; // opens the log, and so recovers it
    }
    let recovery = start.elapsed();
    let stats: serde_json::Value = serde_json::from_str(&engine.stats_json()).unwrap_or_default();
    close(engine)?;
    let mut crash = Crash {
        acked: [0; KILLED_LEVELS],
        found: [Found::default(); KILLED_LEVELS],
        recovery,
        scanned_bytes: stats["recovery"]["scanned_bytes"].as_u64().unwrap_or(0),
        truncated_bytes: stats["recovery"]["truncated_bytes"].as_u64().unwrap_or(0),
    };
    compare(dir, input, &acked, &mut crash)?;
    for (level, Level { name, .. }) in LEVELS[..KILLED_LEVELS].iter().enumerate() {
        let found = &crash.found[level];
        let promise = if level == 0 { "acks=0 promises nothing" } else { "nothing may be lost" };
        say.line(&format!(
            "          {name:<9} {} acknowledged, {} found, {} lost ({promise})",
            print::count(crash.acked[level]),
            print::count(found.records),
            print::count(found.lost)
        ))?;
    }
    Ok(crash)
}

/// Starts the child, kills it, and returns everything it was promised before.
fn kill(dir: &Path, args: &Args, input: &Input, say: &mut Say) -> Outcome<Vec<Acked>> {
    let own = std::env::current_exe().map_err(|error| Failure::failed(format!("the own program's path: {error}")))?;
    let mut command = Command::new(own);
    command.arg("demo-child").arg("--dir").arg(dir).arg("--partitions").arg(args.partitions.to_string());
    let is_stdin = args.input.as_deref() == Some(Path::new("-"));
    if let Some(path) = &args.input {
        command.arg("--input").arg(path);
    }
    command.stdin(if is_stdin { Stdio::piped() } else { Stdio::null() }).stdout(Stdio::piped());
    let mut child = command.spawn().map_err(|error| Failure::failed(format!("starting a child process: {error}")))?;
    if is_stdin {
        // Ours was read to its end already: the child gets the text from us, and starts when it has all of it.
        let mut pipe = child.stdin.take().expect("it was asked for");
        let _ = pipe.write_all(input.text()); // a child that has died is found out below
    }
    let outcome = watch_and_kill(&mut child, say);
    if outcome.is_err() {
        let _ = child.kill(); // it may have ended by itself, which the outcome tells
    }
    let status = child.wait().map_err(|error| Failure::failed(format!("waiting for the child: {error}")))?;
    let acked = outcome?;
    if status.signal() != Some(SIGKILL) {
        return Err(Failure::failed(format!("the child ended by itself ({status}) instead of being killed")));
    }
    let text =
        format!("kill -9   child {} killed after {} acknowledgements", child.id(), print::count(acked.len() as u64));
    say.line(&text)?;
    Ok(acked)
}

fn watch_and_kill(child: &mut Child, say: &Say) -> Outcome<Vec<Acked>> {
    let out = BufReader::new(child.stdout.take().expect("it was asked for"));
    let bar = say.progress("kill -9", ACKS_BEFORE_KILL);
    let (tell, told) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        let mut acked = Vec::new();
        let mut is_told = false;
        for line in out.split(b'\n') {
            // The pipe ends with the child; its last line may be torn.
            let Some(one) = line.ok().and_then(|line| parse(&line)) else { break };
            acked.push(one);
            if acked.len() % 1024 == 0 {
                bar.set_position(acked.len() as u64);
            }
            if acked.len() as u64 >= ACKS_BEFORE_KILL && !std::mem::replace(&mut is_told, true) {
                let _ = tell.send(()); // whoever stopped waiting has given up on us
            }
        }
        bar.finish_and_clear();
        acked
    });
    let in_time = told.recv_timeout(PATIENCE);
    let killed = child.kill();
    let acked = reader.join().map_err(|_| Failure::failed("the thread that reads from the child panicked"))?;
    in_time.map_err(|_| Failure::failed("the child did not get far enough to be killed in the middle of its work"))?;
    killed.map_err(|error| Failure::failed(format!("killing the child: {error}")))?;
    Ok(acked)
}

fn parse(line: &[u8]) -> Option<Acked> {
    let text = std::str::from_utf8(line).ok()?;
    let mut words = text.split(' ');
    let level = words.next()?.parse().ok().filter(|level| *level < KILLED_LEVELS)?;
    let number = words.next()?.parse().ok()?;
    let partition = words.next()?.parse().ok()?;
    let offset = match words.next()? {
        "-" => None,
        digits => Some(digits.parse().ok()?),
    };
    Some(Acked { level, number, partition, offset })
}

fn compare(dir: &Path, input: &Input, acked: &[Acked], crash: &mut Crash) -> Outcome {
    let engine = open_read_only(dir)?;
    let mut places: HashMap<(usize, u64), (u32, Offset)> = HashMap::new();
    for partition in reading::partitions(&reading::topic(&engine, KILLED_TOPIC)?, &[])? {
        let mut next = [0; KILLED_LEVELS];
        reading::each_record(&engine, &partition, |record| {
            let Some((level, number)) = identity(&record).filter(|(level, _)| *level < KILLED_LEVELS) else {
                return Err(Failure::failed(format!("{partition}@{}: nobody sent this record", record.offset)));
            };
            let found = &mut crash.found[level];
            found.records += 1;
            let (key, line) = input.record(number);
            found.changed += u64::from((record.key, record.value) != (Some(key), Some(line)));
            found.out_of_order += u64::from(number < next[level]);
            next[level] = number + 1;
            let before = places.insert((level, number), (record.partition, record.offset));
            found.duplicated += u64::from(before.is_some());
            Ok(())
        })?;
    }
    for one in acked {
        crash.acked[one.level] += 1;
        let is_there = places.get(&(one.level, one.number)).is_some_and(|(partition, offset)| {
            *partition == one.partition && one.offset.is_none_or(|promised| promised == offset.0)
        });
        crash.found[one.level].lost += u64::from(!is_there);
    }
    Ok(())
}
