use crate::Dir;

fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    lines.sort_unstable();
    lines
}

#[test]
fn every_claim_of_the_producer_is_found_by_the_consumer_in_its_order() {
    let dir = Dir::new();
    let claimed = dir
        .run("verifiable-producer", &["--max-messages", "50", "--flush-messages", "1", "--segment-bytes", "2048"])
        .ok();
    assert_eq!(claimed.lines().count(), 50);
    let first = claimed.lines().next().unwrap();
    assert!(first.starts_with("verifiable/0/0 ") && first.len() == "verifiable/0/0 ".len() + 8, "{first}");
    let found = dir.run("verifiable-consumer", &[]).ok();
    assert_eq!(found, claimed);
    assert_eq!(dir.run("verifiable-consumer", &["--read-only"]).ok(), claimed);
}

#[test]
fn several_producers_codecs_and_partitions_are_found_again() {
    let dir = Dir::new();
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let args =
            ["--producers", "4", "--partitions", "3", "--async", "--batch-size", "1000", "--max-messages", "200"];
        let own = ["--topic", codec, "--codec", codec, "--acks", "1", "--linger-ms", "1", "--seed", "9"];
        let claimed = dir.run("verifiable-producer", &[&args[..], &own].concat()).ok();
        let found = dir.run("verifiable-consumer", &["--topic", codec]).ok();
        assert_eq!(claimed.lines().count(), 200);
        assert_eq!(sorted(&found), sorted(&claimed), "{codec}");
    }
}

#[test]
fn acks_0_claims_nothing() {
    let dir = Dir::new();
    let out = dir.run("verifiable-producer", &["--acks", "0", "--max-messages", "10"]).ok();
    assert!(out.lines().all(|line| line.starts_with("# buffered ")), "{out}");
    assert_eq!(sorted(&dir.run("verifiable-consumer", &[]).ok()).len(), 10);
}

#[test]
fn a_directory_without_topics_has_no_records() {
    let dir = Dir::new();
    assert_eq!(dir.run("verifiable-consumer", &[]).ok(), "");
}

#[test]
fn corruption_is_told_in_the_protocols_words() {
    let dir = Dir::new();
    dir.run("verifiable-producer", &["--max-messages", "30", "--segment-bytes", "1024"]).ok();
    let log = dir.path().join("verifiable-0/00000000000000000000.log");
    let mut bytes = std::fs::read(&log).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&log, bytes).unwrap();
    let ran = dir.run("verifiable-consumer", &[]);
    assert_eq!(ran.status, Some(1));
    assert!(ran.out.lines().any(|line| line.starts_with("!corrupt ")), "{}", ran.out);
}
