use crate::Dir;
use serde_json::json;

#[test]
fn first_last_and_timed_offsets_are_found() {
    let dir = Dir::new();
    dir.create("orders", 2, &[]);
    let json = |time: &str| dir.json("get-offsets", &["--topic", "orders", "--time", time])["offsets"].clone();
    assert_eq!(json("latest")[0]["offset"], 0, "a partition that nobody has written yet is empty");
    dir.produce("orders", "a:1\na:2\na:3\n");
    let rows = json("-1");
    let full = rows.as_array().unwrap().iter().find(|row| row["offset"] == 3).expect("one partition has all three");
    let partition = full["partition"].to_string();
    let one =
        |time: &str| dir.run("get-offsets", &["--topic", "orders", "--partitions", &partition, "--time", time]).ok();
    assert_eq!(one("earliest"), format!("orders:{partition}:0\n"));
    assert_eq!(one("latest"), format!("orders:{partition}:3\n"));
    assert_eq!(one("1000"), format!("orders:{partition}:0\n"));
    assert_eq!(one("99999999999999"), "", "nothing was written that late");
    assert!(one("-3").starts_with(&format!("orders:{partition}:")));
}

#[test]
fn records_before_an_offset_are_deleted_for_good() {
    let dir = Dir::new();
    dir.create("orders", 1, &[]);
    dir.produce("orders", "a:0\na:1\na:2\n");
    let out = dir.run("delete-records", &["--topic", "orders", "--partition", "0", "--offset", "2"]).ok();
    assert!(out.ends_with("partition: orders-0\tlow_watermark: 2\n"), "{out}");
    assert_eq!(dir.run("get-offsets", &["--topic", "orders", "--time", "-2"]).ok(), "orders:0:2\n");
    let out = dir.run("console-consumer", &["--topic", "orders", "--from-beginning", "--max-messages", "1"]).ok();
    assert_eq!(out, "2\n");

    let file = dir.file("offsets.json", r#"{"partitions":[{"topic":"orders","partition":0,"offset":-1}],"version":1}"#);
    let done = dir.json("delete-records", &["--offset-json-file", file.to_str().unwrap()]);
    assert_eq!(done["partitions"][0]["low_watermark"], 3);
}

#[test]
fn an_offset_behind_the_end_is_refused_for_its_partition() {
    let dir = Dir::new();
    dir.create("orders", 1, &[]);
    let ran = dir.run("delete-records", &["--topic", "orders", "--partition", "0", "--offset", "7"]);
    assert_eq!(ran.status, Some(1));
    assert!(ran.out.contains("partition: orders-0\terror: OFFSET_OUT_OF_RANGE"), "{}", ran.out);
}

#[test]
fn the_size_of_every_partition_is_told_in_kafkas_document() {
    let dir = Dir::new();
    dir.create("orders", 1, &[]);
    dir.create("bills", 1, &[]);
    dir.produce("orders", "a:0\n");
    dir.produce("bills", "a:0\n");
    let out = dir.run("log-dirs", &["--describe", "--topic-list", "orders"]).ok();
    assert!(out.starts_with("Querying brokers for log directories information\n"));
    let document = dir.json("log-dirs", &["--topic-list", "orders"]);
    let partitions = document["brokers"][0]["logDirs"][0]["partitions"].clone();
    assert_eq!(partitions.as_array().unwrap().len(), 1);
    assert_eq!(partitions[0]["partition"], json!("orders-0"));
    assert!(partitions[0]["size"].as_u64().unwrap() > 61);
}
