//! `demo`: everything once, on real input, with the counting left to see.
//!
//! Each line of the input is sent, keyed by its first word, with acks=0, with acks=1 and with acks=all, and some of them once
//! more to a topic with flush.messages=1. Then the files are read back and compared with the input. Then a child process
//! sends the same lines and is killed with SIGKILL in the middle of it; the directory is recovered and compared with what the
//! child had been promised. Then three nodes replicate a topic, and lose their leader in the middle of each pass (`cluster`).
//!
//! With --processes, instead of all that, the three nodes are three processes, and the leader is killed (`processes`).

pub mod child;
mod cluster;
mod crash;
mod input;
mod processes;
mod send;
mod summary;
mod verify;

use crate::failure::{Failure, Outcome, Status};
use crate::target::{close, open, open_read_only};
use input::Input;
use kafkalog::{Acks, Engine, TopicConfig};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Topic of the three passes, of the one that waits for flushes, and of the child that is killed.
const TOPIC: &str = "demo";
const FLUSHED_TOPIC: &str = "demo-flushed";
const KILLED_TOPIC: &str = "demo-killed";
/// Below the demo's directory: those of the three nodes.
const CLUSTER_DIR: &str = "cluster";
/// Records of the pass that waits for flushes: enough to see what they cost.
const FLUSHED_RECORDS_MAX: u64 = 10_000;

/// One way of sending; a record's header says which it was sent by.
struct Level {
    acks: Acks,
    name: &'static str,
    topic: &'static str,
}

/// In the order of the passes.
const LEVELS: [Level; 4] = [
    Level { acks: Acks::None, name: "acks=0", topic: TOPIC },
    Level { acks: Acks::Leader, name: "acks=1", topic: TOPIC },
    Level { acks: Acks::All, name: "acks=all", topic: TOPIC },
    Level { acks: Acks::All, name: "flushed", topic: FLUSHED_TOPIC },
];
/// The child sends by the first three.
const KILLED_LEVELS: usize = 3;

#[derive(clap::Args, Debug)]
pub struct Args {
    /// A text whose lines are sent; - is standard input; without it a text that comes with the program
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Where the files go; without it a new directory for temporary files. They stay there afterwards
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Partitions of the topic
    #[arg(long, default_value_t = 4, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    partitions: u32,
    /// How often the input is sent in each pass; without it often enough for 10,000 records
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rounds: Option<u32>,
    /// Instead of all this: three nodes that are three processes, whose leader is killed with SIGKILL in the middle of each pass
    #[arg(long)]
    processes: bool,
}

pub fn run(args: &Args, json: bool) -> Outcome {
    let input = Input::load(args.input.as_deref(), args.rounds)?;
    let dir = place(args.dir.as_deref())?;
    if args.processes {
        std::fs::create_dir_all(&dir).map_err(|error| Failure::file(&dir, &error))?;
        return processes::run(&dir, args, &input, json);
    }
    let engine = open(&dir, &[])?;
    refuse_old_demo(&engine, &dir)?;
    let mut say = Say { json };
    say.line(&format!(
        "{} lines ({}) from {}, {}: topic {TOPIC} of {} partitions in {}",
        crate::print::count(input.line_count()),
        crate::print::bytes(input.bytes()),
        input.name(),
        crate::print::counted(u64::from(input.rounds()), "round"),
        args.partitions,
        dir.display()
    ))?;

    let config = TopicConfig::new().partitions(args.partitions);
    engine.create_topic(TOPIC, config.clone())?;
    engine.create_topic(FLUSHED_TOPIC, config.set("flush.messages", "1")?)?;
    let mut passes = Vec::new();
    for level in 0..LEVELS.len() {
        passes.push(send::pass(&engine, &input, level, &mut say)?);
    }
    close(engine)?;

    let found = verify::passes(&open_read_only(&dir)?, &input, &passes)?;
    let crash = crash::run(&dir, args, &input, &mut say)?;
    let replicated = cluster::run(&dir.join(CLUSTER_DIR), args.partitions, &input, &mut say)?;
    let summary = summary::Summary {
        input: &input,
        dir: &dir,
        partitions: args.partitions,
        passes: &passes,
        found: &found,
        crash: &crash,
        replicated: &replicated,
    };
    summary.print(json)?;
    if summary.is_as_promised() {
        Ok(())
    } else {
        Err(Failure::failed("what was found is not what was promised"))
    }
}

/// The given directory, or a new one that stays.
fn place(dir: Option<&Path>) -> Outcome<PathBuf> {
    if let Some(dir) = dir {
        return Ok(dir.to_owned());
    }
    let parent = std::env::temp_dir();
    for attempt in 0..1000 {
        let dir = parent.join(format!("kafkalog-demo-{}-{attempt}", std::process::id()));
        match std::fs::create_dir(&dir) {
            Ok(()) => return Ok(dir),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(Failure::file(&dir, &error)),
        }
    }
    Err(Failure::new(Status::CannotOpen, format!("{}: no free name for a directory", parent.display())))
}

/// Counting starts from nothing, and nobody's records are deleted for it.
fn refuse_old_demo(engine: &Engine, dir: &Path) -> Outcome {
    let taken = [TOPIC, FLUSHED_TOPIC, KILLED_TOPIC];
    match engine.topics()?.iter().find(|topic| taken.contains(&&*topic.name)) {
        None => Ok(()),
        Some(topic) => Err(Failure::new(
            Status::CannotOpen,
            format!("{}: the topic {} is there already; take another directory", dir.display(), topic.name),
        )),
    }
}

/// Tells people what is going on; machines get one document at the end.
struct Say {
    json: bool,
}

impl Say {
    fn line(&mut self, text: &str) -> Outcome {
        if !self.json {
            writeln!(std::io::stdout(), "{text}")?;
        }
        Ok(())
    }

    /// A bar on a terminal, nothing in a pipe.
    fn progress(&self, name: &'static str, length: u64) -> indicatif::ProgressBar {
        if self.json {
            return indicatif::ProgressBar::hidden();
        }
        let style =
            indicatif::ProgressStyle::with_template("{prefix:>10} {wide_bar} {human_pos}/{human_len} {per_sec}")
                .expect("the template is legal");
        // On stderr, where indicatif draws only if that is a terminal.
        indicatif::ProgressBar::new(length).with_style(style).with_prefix(name)
    }
}
