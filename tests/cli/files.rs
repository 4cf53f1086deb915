//! The verbs that look at files: dump-log, check, repair, cache, stats, doctor.

use crate::{program, run, Dir, Ran};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// A directory of one topic with several segments.
fn filled() -> Dir {
    let dir = Dir::new();
    dir.create("orders", 1, &["segment.bytes=1024", "index.interval.bytes=100"]);
    let lines: String = (0..20).map(|round| format!("k:{round}-{}\nk:second\n", "x".repeat(100))).collect();
    let args = ["--topic", "orders", "--sync", "--property", "parse.key=true", "--property", "key.separator=:"];
    dir.run_with_input("console-producer", &args, &lines).ok();
    dir
}

fn files(dir: &Dir, suffix: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(dir.path().join("orders-0")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|own| own == suffix));
    files.sort();
    files
}

fn dump(file: &Path, args: &[&str]) -> Ran {
    let mut command = program();
    command.arg("dump-log").arg("--files").arg(file).args(args);
    run(command, "")
}

fn flip_a_byte(file: &Path, from_end: usize) {
    let mut bytes = std::fs::read(file).unwrap();
    let at = bytes.len() - from_end;
    bytes[at] ^= 0x40;
    std::fs::write(file, bytes).unwrap();
}

#[test]
fn a_segment_is_dumped_in_the_lines_of_kafkas_tool() {
    let dir = filled();
    let logs = files(&dir, "log");
    assert!(logs.len() > 2, "there are several segments");
    let out = dump(&logs[0], &["--print-data-log"]).ok();
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[0], format!("Dumping {}", logs[0].display()));
    assert_eq!(lines[1], "Log starting offset: 0");
    assert!(lines[2].starts_with("baseOffset: 0 lastOffset: "), "{}", lines[2]);
    assert!(lines[2].contains(" producerId: -1 producerEpoch: -1 partitionLeaderEpoch: 0 isTransactional: false"));
    assert!(lines[2].contains(" deleteHorizonMs: OptionalLong.empty position: 0 CreateTime: "));
    assert!(lines[2].contains(" magic: 2 compresscodec: none crc: ") && lines[2].ends_with(" isvalid: true"));
    assert!(
        lines[3].starts_with("| offset: 0 CreateTime: ")
            && lines[3].contains(" keySize: 1 valueSize: 102 sequence: -1")
    );
    assert!(lines[3].contains(" headerKeys: [] key: k payload: 0-xxx"), "{}", lines[3]);
}

#[test]
fn indexes_agree_with_their_logs_and_json_says_the_same() {
    let dir = filled();
    for suffix in ["index", "timeindex"] {
        for file in files(&dir, suffix) {
            dump(&file, &[]).ok();
            dump(&file, &["--index-sanity-check"]).ok();
        }
    }
    let out = dump(&files(&dir, "log")[1], &["--deep-iteration", "--json"]).ok();
    let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["kind"], "batch");
    assert_eq!(lines[0]["is_valid"], true);
    assert!(lines.iter().any(|line| line["kind"] == "record" && line["key_bytes"] == 1));
    for file in files(&dir, "snapshot") {
        dump(&file, &[]).ok();
    }
}

#[test]
fn an_index_that_contradicts_its_log_is_found_out() {
    let dir = filled();
    let index = files(&dir, "index").into_iter().find(|file| file.metadata().unwrap().len() >= 8).unwrap();
    flip_a_byte(&index, 1);
    let ran = dump(&index, &[]);
    assert_eq!(ran.status, Some(1));
    assert!(ran.err.starts_with("Mismatches in :"), "{}", ran.err);
    assert_eq!(dir.run("check", &[]).status, Some(1));
}

#[test]
fn a_directory_without_damage_is_sound() {
    let dir = filled();
    let out = dir.run("check", &[]).ok();
    assert!(out.contains("1 partition, ") && out.trim_end().ends_with("checked: sound"), "{out}");
    let report = dir.json("check", &[]);
    assert_eq!((report["sound"].as_bool(), report["records"].as_u64()), (Some(true), Some(40)));
    assert!(dir.run("repair", &[]).ok().contains("0 steps"));
}

#[test]
fn a_flipped_byte_is_found_at_its_place_and_repaired_only_on_request_with_a_copy() {
    let dir = filled();
    let log = files(&dir, "log")[1].clone();
    flip_a_byte(&log, 10);
    let ran = dir.run("check", &[]);
    assert_eq!(ran.status, Some(1));
    let name = log.file_name().unwrap().to_str().unwrap();
    assert!(
        ran.out.contains("LOSS BadChecksum ") && ran.out.contains(name) && ran.out.contains(" at byte "),
        "{}",
        ran.out
    );

    let damaged = std::fs::read(&log).unwrap();
    let plan = dir.run("repair", &[]);
    assert_eq!(plan.status, Some(1));
    assert!(plan.out.contains("Nothing was changed."), "{}", plan.out);
    assert_eq!(std::fs::read(&log).unwrap(), damaged);

    let done = dir.run("repair", &["--execute"]).ok();
    let copies: Vec<&str> = done.lines().filter_map(|line| line.strip_prefix("copy kept: ")).collect();
    assert!(copies.iter().any(|copy| std::fs::read(copy).is_ok_and(|bytes| bytes == damaged)), "{done}");
    assert!(dir.run("repair", &[]).out.contains("0 steps"), "nothing is left to mend");
    assert!(!dir.run("check", &[]).out.contains("BadChecksum"));
    let out = dir.run("console-consumer", &["--topic", "orders", "--from-beginning", "--timeout-ms", "500"]).ok();
    assert!(out.lines().count() >= 38, "the others are still there: {out}");
}

#[test]
fn the_cache_tells_what_pulling_the_plug_would_cost() {
    let dir = filled();
    let out = dir.run("cache", &[]).ok();
    assert!(out.starts_with("orders-0  log end 40, flushed to 40\n"), "{out}");
    assert!(out.ends_with("unplug now and you lose 0 records, 0 bytes, 0.0 s (at most)\n"), "{out}");
    let report = dir.json("cache", &["--topic", "orders"]);
    assert_eq!(report["partitions"][0]["log_end"], 40);
    assert_eq!(report["unplug_loss"]["records"], 0);
}

#[test]
fn stats_are_json_and_openmetrics() {
    let dir = filled();
    let stats = dir.json("stats", &[]);
    assert_eq!(stats["partitions"][0]["log_end_offset"], 40);
    assert_eq!(stats["closed_cleanly"], true);
    let text = dir.run("stats", &["--openmetrics"]).ok();
    assert!(text.contains("kafkalog_partition_log_end_offset{topic=\"orders\",partition=\"0\"} 40\n"), "{text}");
    assert!(text.ends_with("# EOF\n"));
}

#[test]
fn the_doctor_examines_the_disk_and_leaves_nothing_behind() {
    let dir = Dir::new();
    std::fs::create_dir(dir.path()).unwrap();
    let ran = dir.run("doctor", &["--fsyncs", "5", "--write-bytes", "65536"]);
    // 1: this machine's directory for temporary files may forget everything at a restart, which is a finding.
    assert!(matches!(ran.status, Some(0 | 1)), "{}", ran.err);
    for line in ["file system ", "append and fsync p50 ", "flush.messages=1, one sender that waits"] {
        assert!(ran.out.contains(line), "{line}: {}", ran.out);
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn directories_that_kafka_wrote_are_sound_and_dump_without_a_finding() {
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/vectors/segments");
    let Ok(entries) = std::fs::read_dir(&vectors) else {
        println!("SKIP: ../shared is absent");
        return;
    };
    let mut seen = 0;
    for dir in entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()) {
        let mut command = program();
        command.arg("check").arg("--dir").arg(&dir);
        assert!(run(command, "").ok().trim_end().ends_with("checked: sound"), "{}", dir.display());
        for file in std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path()) {
            let suffix = file.extension().and_then(|suffix| suffix.to_str());
            if matches!(suffix, Some("log" | "index" | "timeindex" | "txnindex" | "snapshot")) {
                dump(&file, &["--deep-iteration"]).ok();
                seen += 1;
            }
        }
    }
    assert!(seen > 50, "{seen} files");
}
