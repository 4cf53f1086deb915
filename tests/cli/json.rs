//! `--json` on every verb, and answers that nobody can take.

use crate::{program, run, Dir};
use serde_json::Value;
use std::fs::OpenOptions;

fn objects(out: &str) -> Vec<Value> {
    let parsed = out.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")));
    let objects: Vec<Value> = parsed.collect();
    assert!(objects.iter().all(Value::is_object), "{out}");
    objects
}

#[test]
fn every_verb_answers_in_json() {
    let dir = Dir::new();
    dir.create("t", 1, &["segment.bytes=1024"]);
    let lines = "one\ntwo\n".repeat(40);
    let sent = dir.run_with_input("console-producer", &["--topic", "t", "--sync", "--json"], &lines).ok();
    assert_eq!(objects(&sent).len(), 81);
    let log = dir.path().join("t-0/00000000000000000000.log");
    let [log, index] = [log.clone(), log.with_extension("index")].map(|path| path.to_str().unwrap().to_owned());
    let verbs: &[(&str, &[&str])] = &[
        ("topics", &["--list"]),
        ("topics", &["--describe"]),
        ("topics", &["--alter", "--topic", "t", "--partitions", "2"]),
        ("topics", &["--create", "--topic", "u"]),
        ("topics", &["--delete", "--topic", "u"]),
        ("console-consumer", &["--topic", "t", "--from-beginning", "--max-messages", "3"]),
        ("get-offsets", &[]),
        ("get-offsets", &["--time", "max-timestamp"]),
        ("delete-records", &["--topic", "t", "--partition", "1", "--offset", "-1"]),
        ("log-dirs", &["--describe"]),
        ("configs", &["--describe", "--all"]),
        ("configs", &["--alter", "--entity-name", "t", "--add-config", "flush.ms=5"]),
        ("check", &[]),
        ("repair", &[]),
        ("repair", &["--execute"]),
        ("cache", &[]),
        ("doctor", &["--fsyncs", "2", "--budget-ms", "200", "--write-bytes", "4096"]),
        ("stats", &[]),
        ("producer-perf-test", &["--topic", "t", "--num-records", "10", "--record-size", "10", "--print-metrics"]),
        ("consumer-perf-test", &["--topic", "t", "--messages", "10", "--show-detailed-stats"]),
        ("verifiable-producer", &["--max-messages", "5", "--times"]),
        ("verifiable-producer", &["--max-messages", "5", "--acks", "0"]),
        ("verifiable-consumer", &[]),
        ("verifiable-consumer", &["--read-only", "--topic", "verifiable"]),
    ];
    for (verb, args) in verbs {
        let args: Vec<&str> = args.iter().copied().chain(["--json"]).collect();
        let out = dir.run(verb, &args).ok();
        assert!(!objects(&out).is_empty(), "{verb} {args:?}");
    }
    for args in [
        &["dump-log", "--files", &log, "--print-data-log", "--json"][..],
        &["dump-log", "--files", &index, "--index-sanity-check", "--json"],
        &["configs", "--explain", "all", "--json"],
        &["completions", "bash", "--json"],
    ] {
        let mut command = program();
        command.args(args);
        assert!(!objects(&run(command, "").ok()).is_empty(), "{args:?}");
    }
}

#[test]
fn the_lines_of_the_fault_tools_and_their_objects_say_the_same() {
    let dir = Dir::new();
    dir.run("verifiable-producer", &["--max-messages", "3"]).ok();
    let lines = dir.run("verifiable-consumer", &[]).ok();
    let objects = objects(&dir.run("verifiable-consumer", &["--json"]).ok());
    for (line, object) in lines.lines().zip(&objects) {
        let [topic, crc] = [&object["topic"], &object["crc32c"]].map(|field| field.as_str().unwrap());
        assert_eq!(line, format!("{topic}/{}/{} {crc}", object["partition"], object["offset"]));
    }
    assert_eq!(objects.len(), 3);
}

#[test]
fn an_answer_that_could_not_be_written_is_a_failure() {
    let dir = Dir::new();
    dir.create("t", 1, &[]);
    for (verb, args) in [
        ("topics", &["--create", "--topic", "u"][..]),
        ("topics", &["--list"]),
        ("configs", &["--alter", "--entity-name", "t", "--add-config", "flush.ms=5"]),
        ("stats", &[]),
        ("check", &[]),
    ] {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let status = dir.command(verb, args).stdout(full).stderr(std::process::Stdio::null()).status().unwrap();
        assert_eq!(status.code(), Some(1), "{verb} {args:?}");
    }
}
