//! The command line, run as users run it: the real program, its output and its exit statuses.

mod bad_input;
mod clients;
mod cluster;
mod console;
mod demo;
mod files;
mod json;
mod live;
mod offsets;
mod perf;
mod topics;
mod verifiable;

use serde_json::Value;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// A data directory of one test, removed afterwards.
pub struct Dir(tempfile::TempDir);

impl Dir {
    pub(crate) fn new() -> Dir {
        Dir(tempfile::tempdir().unwrap())
    }

    /// The data directory itself; the program makes it.
    pub fn path(&self) -> PathBuf {
        self.0.path().join("data")
    }

    /// A file beside the data directory.
    pub fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// The command for a verb on this directory.
    pub fn command(&self, verb: &str, args: &[&str]) -> Command {
        let mut command = program();
        command.arg(verb).arg("--dir").arg(self.path()).args(args);
        command
    }

    pub fn run(&self, verb: &str, args: &[&str]) -> Ran {
        run(self.command(verb, args), "")
    }

    pub fn run_with_input(&self, verb: &str, args: &[&str], input: &str) -> Ran {
        run(self.command(verb, args), input)
    }

    /// Runs with --json and parses the answer.
    pub fn json(&self, verb: &str, args: &[&str]) -> Value {
        let mut args = args.to_vec();
        args.push("--json");
        let out = self.run(verb, &args).ok();
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"))
    }

    pub fn create(&self, topic: &str, partitions: u32, configs: &[&str]) {
        let partitions = partitions.to_string();
        let mut args = vec!["--create", "--topic", topic, "--partitions", &partitions];
        for config in configs {
            args.extend(["--config", config]);
        }
        self.run("topics", &args).ok();
    }

    /// Sends lines of the form `key:value`.
    pub fn produce(&self, topic: &str, lines: &str) {
        let args = ["--topic", topic, "--property", "parse.key=true", "--property", "key.separator=:"];
        self.run_with_input("console-producer", &args, lines).ok();
    }
}

/// What a run left behind.
#[derive(Debug)]
pub struct Ran {
    pub status: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// The output of a run that must have gone well.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.status, Some(0), "out: {}\nerr: {}", self.out, self.err);
        self.out
    }

    /// The one line of a run that must have ended with this status.
    #[track_caller]
    pub fn fails(self, status: i32) -> String {
        assert_eq!(self.status, Some(status), "out: {}\nerr: {}", self.out, self.err);
        assert_eq!(self.err.lines().count(), 1, "an error is one line: {}", self.err);
        self.err
    }
}

pub fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_kafkalog"))
}

pub fn run(mut command: Command, input: &str) -> Ran {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    let writer = std::thread::spawn(move || {
        let _ = stdin.write_all(input.as_bytes()); // a verb that does not read its input may have ended
    });
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    writer.join().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ran { status: status.code(), out: text(stdout), err: text(stderr) }
}
