//! What is wrong is refused by name, in one line, with the status that says whose turn it is.

use crate::{program, run, Dir};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;

/// Every verb that works on a directory, with what it needs beside it.
const ON_A_DIRECTORY: &[(&str, &[&str])] = &[
    ("topics", &["--list"]),
    ("topics", &["--describe"]),
    ("topics", &["--delete", "--topic", "t"]),
    ("topics", &["--alter", "--topic", "t", "--partitions", "2"]),
    ("console-consumer", &["--topic", "t"]),
    ("get-offsets", &[]),
    ("delete-records", &["--topic", "t", "--partition", "0", "--offset", "1"]),
    ("log-dirs", &[]),
    ("configs", &["--describe"]),
    ("configs", &["--alter", "--entity-name", "t", "--add-config", "flush.ms=1"]),
    ("check", &[]),
    ("repair", &[]),
    ("cache", &[]),
    ("doctor", &[]),
    ("consumer-perf-test", &["--topic", "t", "--messages", "1"]),
    ("verifiable-consumer", &["--read-only"]),
    ("stats", &[]),
];

#[test]
fn a_directory_that_is_not_there_is_status_3_for_every_verb_that_looks_or_changes() {
    let dir = Dir::new();
    for (verb, args) in ON_A_DIRECTORY {
        let ran = dir.run(verb, args);
        assert_eq!(ran.status, Some(3), "{verb} {args:?}: {ran:?}");
        let error = ran.fails(3);
        assert!(error.contains(dir.path().to_str().unwrap()), "{verb}: {error}");
        assert!(!dir.path().exists(), "{verb} has made it");
    }
}

#[test]
fn a_topic_that_is_not_there_is_named() {
    let dir = Dir::new();
    dir.create("orders", 1, &[]);
    let verbs: &[(&str, &[&str])] = &[
        ("topics", &["--describe", "--topic", "nobody"]),
        ("topics", &["--delete", "--topic", "nobody"]),
        ("console-consumer", &["--topic", "nobody"]),
        ("get-offsets", &["--topic", "nobody"]),
        ("configs", &["--describe", "--entity-name", "nobody"]),
        ("configs", &["--alter", "--entity-name", "nobody", "--add-config", "flush.ms=1"]),
        ("cache", &["--topic", "nobody"]),
        ("consumer-perf-test", &["--topic", "nobody", "--messages", "1"]),
    ];
    for (verb, args) in verbs {
        let error = dir.run(verb, args).fails(1);
        assert!(error.contains("nobody"), "{verb}: {error}");
    }
    assert!(dir.run("get-offsets", &["--topic", "orders", "--partitions", "7"]).fails(1).contains("no partition 7"));
}

#[test]
fn a_wrong_command_line_is_status_2_in_one_line() {
    let dir = Dir::new();
    let verbs: &[(&str, &[&str])] = &[
        ("topics", &[]),
        ("topics", &["--list", "--create", "--topic", "t"]),
        ("topics", &["--create"]),
        ("topics", &["--create", "--topic", "t", "--partitions", "many"]),
        ("topics", &["--create", "--topic", "t", "--partitions", "0"]),
        ("topics", &["--create", "--topic", "t", "--replication-factor", "0"]),
        ("topics", &["--create", "--topic", "t", "--config", "nonsense"]),
        ("console-producer", &[]),
        ("console-producer", &["--topic", "t", "--property", "parse.kye=true"]),
        ("console-producer", &["--topic", "t", "--property", "parse.key=yes"]),
        ("console-consumer", &["--topic", "t", "--offset", "5"]),
        ("console-consumer", &["--topic", "t", "--property", "print.everything=true"]),
        ("console-consumer", &["--topic", "t", "--group", "g"]),
        ("get-offsets", &["--time", "yesterday"]),
        ("delete-records", &[]),
        ("delete-records", &["--topic", "t"]),
        ("configs", &[]),
        ("configs", &["--alter", "--entity-type", "users", "--entity-name", "u"]),
        ("producer-perf-test", &["--topic", "t", "--num-records", "1"]),
        ("producer-perf-test", &["--topic", "t", "--num-records", "1", "--record-size", "1", "--throughput", "0"]),
        ("consumer-perf-test", &["--topic", "t"]),
        ("verifiable-producer", &["--producers", "0"]),
        ("demo", &["--partitions", "0"]),
        ("stats", &["--openmetrics", "--json"]),
    ];
    for (verb, args) in verbs {
        let ran = dir.run(verb, args);
        assert_eq!(ran.status, Some(2), "{verb} {args:?}: {ran:?}");
        assert_eq!(ran.err.lines().count(), 1, "{verb} {args:?}: {}", ran.err);
        assert!(!dir.path().exists(), "{verb} {args:?} has made the directory");
    }
    for args in
        [&["completions", "cmd.exe"][..], &["dump-log"], &["no-such-verb"], &["dump-log", "--files", "/etc/hostname"]]
    {
        let mut command = program();
        command.args(args);
        run(command, "").fails(2);
    }
}

#[test]
fn unknown_settings_and_values_out_of_range_are_refused_by_name() {
    let dir = Dir::new();
    let create = |config: &str| dir.run("topics", &["--create", "--topic", "t", "--config", config]).fails(2);
    assert!(create("retention.mss=1").contains("did you mean retention.ms?"));
    assert!(create("segment.bytes=1").contains("segment.bytes=\"1\" is not legal; legal: 1024..=2147483647"));
    assert!(create("cleanup.policy=compact").contains("legal: delete"));
    assert!(create("min.compaction.lag.ms=1").contains("not supported yet"));
    let produce = |setting: &str| {
        dir.run_with_input("console-producer", &["--topic", "t", "--producer-property", setting], "x\n").fails(2)
    };
    assert!(produce("acks=2").contains("legal: all or -1 or 0 or 1"));
    assert!(produce("enable.idempotence=true").contains("not supported yet"));
    assert!(
        produce("delivery.timeout.ms=10").contains("delivery.timeout.ms=10 is below linger.ms + request.timeout.ms")
    );
    let engine =
        |setting: &str| dir.run("topics", &["--create", "--topic", "t", "--engine-property", setting]).fails(2);
    assert!(engine("flush.ms=1").contains("log.flush.interval.ms"));
    assert!(engine("num.partitions=0").contains("num.partitions=\"0\" is not legal"));
}

#[test]
fn topic_names_follow_kafkas_rule() {
    let dir = Dir::new();
    for name in ["", ".", "..", "a b", "a/b", &"x".repeat(250), "gr\u{fc}n"] {
        let error = dir.run("topics", &["--create", "--topic", name]).fails(2);
        assert!(error.contains("INVALID_TOPIC_EXCEPTION (17)"), "{name:?}: {error}");
    }
    dir.create("a.b", 1, &[]);
    assert!(dir.run("topics", &["--create", "--topic", "a_b"]).fails(2).contains("a_b"));
}

#[test]
fn lines_that_do_not_fit_their_format_are_refused_with_their_number() {
    let dir = Dir::new();
    let args = ["--topic", "t", "--property", "parse.key=true"];
    let error = dir.run_with_input("console-producer", &args, "k\tv\nno separator here\n").fails(1);
    assert!(error.contains("line 2: no key separator"), "{error}");
    let out = dir.run("console-consumer", &["--topic", "t", "--from-beginning", "--max-messages", "1"]).ok();
    assert_eq!(out, "v\n", "the line before it was sent");
}

#[test]
fn files_that_are_missing_or_make_no_sense_are_told_by_path() {
    let dir = Dir::new();
    dir.create("orders", 1, &[]);
    let missing = ["--offset-json-file", "/no/such/file"];
    assert!(dir.run("delete-records", &missing).fails(3).contains("/no/such/file"));
    for nonsense in ["{", "{}", r#"{"partitions":[{"topic":"t"}]}"#, r#"{"partitions":[],"version":2}"#] {
        let file = dir.file("offsets.json", nonsense);
        dir.run("delete-records", &["--offset-json-file", file.to_str().unwrap()]).fails(2);
    }
    let empty = dir.file("empty", "");
    assert!(dir.run("demo", &["--input", empty.to_str().unwrap()]).fails(2).contains("there is no line in it"));
    let mut command = program();
    command.args(["dump-log", "--files", "/no/such/00000000000000000000.log"]);
    run(command, "").fails(3);
}

#[test]
fn a_directory_without_permission_is_one_clear_error() {
    let dir = Dir::new();
    std::fs::create_dir(dir.path()).unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o555)).unwrap();
    // Nobody is bound by permissions, root is not. The program and the way to it are opened to nobody.
    let copy = dir.path().with_file_name("kafkalog");
    // Copied by a process of its own: a descriptor of ours, open for writing, would go to the children of other tests, and no file that
    // somebody writes can be run.
    let copied = std::process::Command::new("cp").arg(program().get_program()).arg(&copy).status().unwrap();
    assert!(copied.success());
    for path in [copy.as_path(), copy.parent().unwrap()] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let mut command = std::process::Command::new(&copy);
    command.args(["topics", "--create", "--topic", "t", "--dir"]).arg(dir.path());
    if std::fs::metadata("/proc/self").unwrap().uid() == 0 {
        command.uid(65534).gid(65534);
    }
    run(command, "").fails(3);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn errors_are_json_when_json_was_asked_for() {
    let dir = Dir::new();
    let line = dir.run("topics", &["--list", "--json"]).fails(3);
    let error: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!((error["exit"].as_u64(), error["kafka_error"]["name"].as_str()), (Some(3), Some("LOG_DIR_NOT_FOUND")));
    let line = dir.run("topics", &["--json", "--nonsense"]).fails(2);
    assert_eq!(serde_json::from_str::<serde_json::Value>(&line).unwrap()["exit"], 2);
}

#[test]
fn help_names_the_exit_statuses_and_every_verb() {
    let mut command = program();
    command.arg("--help");
    let help = run(command, "").ok();
    for word in ["Exit status:", "console-producer", "dump-log", "doctor", "verifiable-consumer", "completions"] {
        assert!(help.contains(word), "{word}");
    }
    assert!(!help.contains("demo-child"));
}

#[test]
fn a_wrong_setting_or_name_leaves_no_directory_behind() {
    let dir = Dir::new();
    for (verb, args) in [
        ("topics", &["--create", "--topic", "t", "--config", "nope=1"][..]),
        ("topics", &["--create", "--topic", "a/b"]),
        ("topics", &["--create", "--topic", "t", "--delete-config", "flush.ms"]),
        ("console-producer", &["--topic", "a b"]),
        ("console-producer", &["--topic", "t", "--producer-property", "acks=7"]),
        (
            "producer-perf-test",
            &["--topic", "t", "--num-records", "1", "--record-size", "1", "--producer-props", "acks=7"],
        ),
    ] {
        dir.run(verb, args).fails(2);
        assert!(!dir.path().exists(), "{verb} {args:?}");
    }
}

#[test]
fn flags_that_an_action_has_no_use_for_are_refused() {
    let dir = Dir::new();
    dir.create("t", 1, &[]);
    for args in [
        &["--describe", "--topic", "t", "--partitions", "5"][..],
        &["--delete", "--topic", "t", "--config", "flush.ms=1"],
        &["--alter", "--topic", "t", "--replication-factor", "2"],
        &["--list", "--if-exists"],
    ] {
        dir.run("topics", args).fails(2);
    }
    assert_eq!(dir.run("topics", &["--list", "--topic", "t"]).ok(), "t\n");
    assert_eq!(dir.run("topics", &["--list", "--topic", "u"]).ok(), "");
}
