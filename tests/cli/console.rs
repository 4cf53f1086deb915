use crate::Dir;
use serde_json::Value;

#[test]
fn lines_go_in_and_come_out_with_keys_headers_offsets_and_timestamps() {
    let dir = Dir::new();
    dir.create("orders", 1, &["message.timestamp.type=LogAppendTime"]);
    let format = ["--topic", "orders", "--property", "parse.key=true", "--property", "parse.headers=true"];
    let null = ["--property", "null.marker=NULL"];
    let input = "h1:v1,h2:v2\tkey\tvalue\n\tkey\tNULL\r\n";
    assert_eq!(dir.run_with_input("console-producer", &[&format[..], &null].concat(), input).ok(), "");

    let mut print = vec!["--topic", "orders", "--from-beginning", "--max-messages", "2"];
    for what in ["print.key=true", "print.headers=true", "print.offset=true", "print.partition=true", "key.separator=|"]
    {
        print.extend(["--property", what]);
    }
    let printed = dir.run("console-consumer", &print);
    assert_eq!(printed.err, "Processed a total of 2 messages\n");
    assert_eq!(printed.ok(), "Partition:0|Offset:0|h1:v1,h2:v2|key|value\nPartition:0|Offset:1|NO_HEADERS|key|null\n");
    print.extend(["--property", "print.timestamp=true", "--property", "print.epoch=true"]);
    assert!(dir.run("console-consumer", &print).ok().starts_with("LogAppendTime:1"));
}

#[test]
fn records_are_printed_as_json_and_bytes_that_are_no_text_in_base64() {
    let dir = Dir::new();
    let mut command = dir.command("console-producer", &["--topic", "raw", "--json", "--sync"]);
    command.stdin(std::fs::File::open(raw(&dir)).unwrap());
    let acks = command.output().unwrap();
    let acks = String::from_utf8(acks.stdout).unwrap();
    let first: Value = serde_json::from_str(acks.lines().next().unwrap()).unwrap();
    assert_eq!((first["topic"].as_str(), first["offset"].as_u64()), (Some("raw"), Some(0)));
    assert!(acks.lines().last().unwrap().contains(r#""acked":2"#), "{acks}");

    let out =
        dir.run("console-consumer", &["--topic", "raw", "--from-beginning", "--max-messages", "2", "--json"]).ok();
    let records: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(records[0]["value"], "text");
    assert_eq!(records[1]["value_base64"], "/w==");
    assert_eq!(records[1]["key"], Value::Null);
}

fn raw(dir: &Dir) -> std::path::PathBuf {
    let path = dir.file("raw", "");
    std::fs::write(&path, b"text\n\xff\n").unwrap();
    path
}

#[test]
fn reading_begins_where_it_is_told_to() {
    let dir = Dir::new();
    dir.create("orders", 1, &[]);
    dir.produce("orders", "a:0\na:1\na:2\n");
    let from = |offset: &str| {
        dir.run(
            "console-consumer",
            &["--topic", "orders", "--partition", "0", "--offset", offset, "--timeout-ms", "300"],
        )
        .ok()
    };
    assert_eq!(from("1"), "1\n2\n");
    assert_eq!(from("earliest"), "0\n1\n2\n");
    assert_eq!(from("latest"), "");
    assert_eq!(from("-2"), "0\n1\n2\n");
}

#[test]
fn the_same_key_goes_to_the_same_partition_and_keeps_its_order() {
    let dir = Dir::new();
    dir.create("orders", 4, &[]);
    let lines: String = (0..40).map(|i| format!("k{}:{i}\n", i % 5)).collect();
    dir.produce("orders", &lines);
    let out =
        dir.run("console-consumer", &["--topic", "orders", "--from-beginning", "--max-messages", "40", "--json"]).ok();
    let mut last = std::collections::BTreeMap::new();
    for record in out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
        let key = record["key"].as_str().unwrap().to_owned();
        let value: i64 = record["value"].as_str().unwrap().parse().unwrap();
        let before = last.insert(key, (record["partition"].clone(), value));
        assert!(before.is_none_or(|(partition, earlier)| partition == record["partition"] && earlier < value));
    }
    assert_eq!(last.len(), 5);
}

#[test]
fn a_record_that_is_too_large_fails_alone() {
    let dir = Dir::new();
    let args = ["--topic", "orders", "--producer-property", "max.request.size=200", "--sync"];
    let ran = dir.run_with_input("console-producer", &args, &format!("small\n{}\nsmall too\n", "x".repeat(500)));
    assert_eq!(ran.status, Some(1));
    assert!(ran.err.contains("MESSAGE_TOO_LARGE"), "{}", ran.err);
    let out = dir.run("console-consumer", &["--topic", "orders", "--from-beginning", "--max-messages", "2"]).ok();
    assert_eq!(out, "small\nsmall too\n");
}

#[test]
fn every_codec_that_is_built_in_comes_out_as_it_went_in() {
    let dir = Dir::new();
    for codec in ["gzip", "snappy", "lz4", "zstd"] {
        let text = format!("{}\n", "all work and no play ".repeat(20));
        dir.run_with_input("console-producer", &["--topic", codec, "--compression-codec", codec], &text).ok();
        let out = dir.run("console-consumer", &["--topic", codec, "--from-beginning", "--max-messages", "1"]).ok();
        assert_eq!(out, text, "{codec}");
    }
}

#[test]
fn records_that_the_log_refuses_are_told_and_the_directory_is_closed_in_order() {
    let dir = Dir::new();
    dir.create("orders", 1, &["max.message.bytes=300"]);
    let input = format!("small\n{}\nsmall too\n", "x".repeat(500));
    let ran = dir.run_with_input("console-producer", &["--topic", "orders", "--sync", "--json"], &input);
    assert_eq!(ran.status, Some(1));
    assert!(
        ran.err.starts_with("kafkalog: a record was not acknowledged: MESSAGE_TOO_LARGE: orders-0: a batch"),
        "{}",
        ran.err
    );
    let summary: Value = serde_json::from_str(ran.out.lines().last().unwrap()).unwrap();
    assert_eq!(summary["summary"], serde_json::json!({ "acked": 2, "failed": 1 }));
    assert!(dir.path().join(".kafka_cleanshutdown").exists());
    let perf = ["--topic", "orders", "--num-records", "5", "--record-size", "500", "--json"];
    let ran = dir.run("producer-perf-test", &perf);
    assert_eq!((ran.status, serde_json::from_str::<Value>(&ran.out).unwrap()["failed"].as_u64()), (Some(1), Some(5)));
}
