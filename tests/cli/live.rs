//! Beside a live writer: who may look, who may not write, and what a kill leaves.

use crate::{program, run, Dir};
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Stdio};

/// A writer that goes on until it is dropped.
struct Writer {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Writer {
    /// Returns after the first acknowledgement.
    fn start(dir: &Dir, args: &[&str]) -> (Writer, String) {
        let mut command = dir.command("verifiable-producer", args);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        let mut writer = Writer { child, lines };
        let first = writer.next();
        (writer, first)
    }

    fn next(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Kills it with SIGKILL and returns every acknowledgement that it still told.
    fn kill(mut self) -> Vec<String> {
        self.child.kill().unwrap();
        let mut text = Vec::new();
        std::io::Read::read_to_end(&mut self.lines, &mut text).unwrap();
        self.child.wait().unwrap();
        // A line without an end was torn by the kill.
        let whole = text.split_inclusive(|byte| *byte == b'\n').filter_map(|line| line.strip_suffix(b"\n"));
        whole.map(|line| String::from_utf8_lossy(line).into_owned()).collect()
    }
}

#[test]
fn verbs_that_look_work_beside_a_live_writer_and_verbs_that_write_are_refused() {
    let dir = Dir::new();
    let (writer, first) = Writer::start(&dir, &["--segment-bytes", "4096"]);
    assert!(first.starts_with("verifiable/0/0 "), "{first}");
    assert_eq!(dir.run("topics", &["--list"]).ok(), "verifiable\n");
    dir.run("topics", &["--describe"]).ok();
    dir.run("get-offsets", &[]).ok();
    dir.run("log-dirs", &[]).ok();
    dir.run("stats", &[]).ok();
    dir.run("cache", &[]).ok();
    dir.run("check", &[]).ok();
    dir.run("configs", &["--describe"]).ok();
    dir.run("console-consumer", &["--topic", "verifiable", "--from-beginning", "--max-messages", "5"]).ok();
    dir.run("verifiable-consumer", &["--read-only"]).ok();

    let refused = dir.run("topics", &["--create", "--topic", "another"]).fails(3);
    assert!(refused.contains(dir.path().to_str().unwrap()), "{refused}");
    dir.run_with_input("console-producer", &["--topic", "another"], "x\n").fails(3);
    dir.run("verifiable-consumer", &[]).fails(3);
    dir.run("delete-records", &["--topic", "verifiable", "--partition", "0", "--offset", "1"]).fails(3);
    writer.kill();
}

#[test]
fn a_consumer_follows_what_another_process_writes() {
    let dir = Dir::new();
    dir.create("orders", 1, &[]);
    dir.produce("orders", "k:first\n");
    let mut command =
        dir.command("console-consumer", &["--topic", "orders", "--from-beginning", "--max-messages", "2"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "first");
    dir.produce("orders", "k:second\n");
    assert_eq!(lines.next().unwrap().unwrap(), "second");
    assert!(child.wait().unwrap().success());
}

#[test]
fn what_was_acknowledged_before_a_kill_is_found_after_it() {
    let dir = Dir::new();
    let (mut writer, first) = Writer::start(&dir, &["--segment-bytes", "16384", "--acks", "1"]);
    let mut claimed = vec![first];
    for _ in 0..500 {
        claimed.push(writer.next());
    }
    claimed.extend(writer.kill());
    let found = dir.run("verifiable-consumer", &[]).ok();
    let found: std::collections::BTreeSet<&str> = found.lines().collect();
    let lost: Vec<&String> = claimed.iter().filter(|line| !found.contains(line.as_str())).collect();
    assert!(lost.is_empty(), "{lost:?}");
}

#[test]
fn a_reader_that_has_seen_enough_ends_nobody_with_an_error() {
    let dir = Dir::new();
    dir.create("orders", 1, &[]);
    dir.produce("orders", &"k:line\n".repeat(20_000));
    let mut child = dir
        .command("console-consumer", &["--topic", "orders", "--from-beginning", "--timeout-ms", "1000"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(!String::from_utf8_lossy(&output.stderr).contains("panicked"), "{output:?}");
}

#[test]
fn completions_are_written_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let mut command = program();
        command.args(["completions", shell]);
        let script = run(command, "").ok();
        assert!(script.contains("kafkalog") && script.contains("dump-log"), "{shell}");
    }
}
