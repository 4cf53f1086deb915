use crate::Dir;

#[test]
fn producing_is_measured_in_kafkas_line_and_in_percentiles() {
    let dir = Dir::new();
    dir.create("perf", 2, &[]);
    let args = ["--topic", "perf", "--num-records", "2000", "--record-size", "100", "--throughput", "-1"];
    let out =
        dir.run("producer-perf-test", &[&args[..], &["--producer-props", "acks=1", "batch.size=4096"]].concat()).ok();
    let lines: Vec<&str> = out.lines().collect();
    assert!(lines[0].starts_with("2000 records sent, ") && lines[0].ends_with(" ms 99.9th."), "{out}");
    assert!(lines[1].starts_with("latency: p50 "), "{out}");
    let measured = dir.json("producer-perf-test", &[&args[..], &["--print-metrics"]].concat());
    assert_eq!(measured["records"], 2000);
    assert_eq!(measured["latency"]["count"], 2000);
    assert_eq!(measured["metrics"]["totals"]["records"], 2000);
}

#[test]
fn consuming_is_measured_in_kafkas_table_and_in_percentiles() {
    let dir = Dir::new();
    let args = ["--topic", "perf", "--num-records", "500", "--payload-monotonic"];
    dir.run("producer-perf-test", &args).ok();
    let out = dir.run("consumer-perf-test", &["--topic", "perf", "--messages", "500"]).ok();
    let lines: Vec<&str> = out.lines().collect();
    assert!(lines[0].starts_with("start.time, end.time, data.consumed.in.MB, MB.sec, data.consumed.in.nMsg"), "{out}");
    assert_eq!(lines[1].split(", ").nth(4), Some("500"), "{out}");
    assert!(lines[2].starts_with("poll: p50 "), "{out}");
    let few = dir.run("consumer-perf-test", &["--topic", "perf", "--messages", "501", "--timeout", "200"]);
    assert!(few.fails(1).contains("only 500 of 501 records came"));
}

#[test]
fn values_may_come_from_a_file() {
    let dir = Dir::new();
    let file = dir.file("values", "one|two|three");
    let args = ["--payload-file", file.to_str().unwrap(), "--payload-delimiter", "|"];
    dir.run("producer-perf-test", &[&["--topic", "perf", "--num-records", "50"], &args[..]].concat()).ok();
    let out = dir.run("console-consumer", &["--topic", "perf", "--from-beginning", "--max-messages", "50"]).ok();
    assert!(out.lines().all(|line| ["one", "two", "three"].contains(&line)), "{out}");
}
