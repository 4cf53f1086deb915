use super::*;
use crate::error::ErrorCode;
use crate::node::TOPIC_PARTITIONS_MAX;

fn code<T: std::fmt::Debug>(outcome: Result<T>) -> ErrorCode {
    outcome.expect_err("is refused").code()
}

#[test]
fn topics_their_settings_and_their_records_survive_reopening() {
    let place = Place::new();
    let node = place.open(&[]);
    node.create_topic("orders", 3, 1, &overrides(&[("retention.ms", "1000")])).expect("creates");
    node.create_topic("bills", 1, 1, &overrides(&[])).expect("creates");
    node.add_partitions("bills", 4).expect("grows");
    node.alter_topic("orders", "segment.bytes", Some("2048")).expect("alters");
    node.alter_topic("orders", "retention.ms", None).expect("alters");
    put(&node.partition("bills", 3).expect("is there"), b"one").expect("appends");
    let before = node.topics();
    close(&node);
    let node = place.open(&[]);
    assert_eq!(node.topics(), before);
    assert_eq!(before.iter().map(|t| (&*t.name, t.partition_count)).collect::<Vec<_>>(), [("bills", 4), ("orders", 3)]);
    assert_eq!(
        before[1].overrides.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect::<Vec<_>>(),
        [("segment.bytes", "2048")]
    );
    assert_eq!(node.topic("orders").expect("is there").log_config().segment_bytes, 2048);
    assert_eq!(count(&node.partition("bills", 3).expect("is there")), 1);
}

#[test]
fn what_cannot_be_created_is_refused_by_kafkas_numbers() {
    let place = Place::new();
    let node = place.open(&[]);
    let none = overrides(&[]);
    node.create_topic("a.b", 1, 1, &none).expect("creates");
    assert_eq!(code(node.create_topic("a.b", 1, 1, &none)), ErrorCode::TOPIC_ALREADY_EXISTS);
    assert_eq!(code(node.create_topic("a_b", 1, 1, &none)), ErrorCode::INVALID_TOPIC_EXCEPTION);
    for name in ["", ".", "..", "a b", "ä", &"x".repeat(250)] {
        assert_eq!(code(node.create_topic(name, 1, 1, &none)), ErrorCode::INVALID_TOPIC_EXCEPTION, "{name}");
    }
    for partitions in [0, TOPIC_PARTITIONS_MAX + 1] {
        assert_eq!(code(node.create_topic("c", partitions, 1, &none)), ErrorCode::INVALID_PARTITIONS);
    }
    for replicas in [0, 2] {
        assert_eq!(code(node.create_topic("c", 1, replicas, &none)), ErrorCode::INVALID_REPLICATION_FACTOR);
    }
    assert_eq!(code(node.add_partitions("a.b", 1)), ErrorCode::INVALID_PARTITIONS);
    assert_eq!(code(node.add_partitions("c", 2)), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    assert_eq!(code(node.alter_topic("a.b", "retention.msx", Some("1"))), ErrorCode::INVALID_CONFIG);
    assert_eq!(code(node.alter_topic("c", "retention.ms", Some("1"))), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    assert_eq!(code(node.delete_topic("c")), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    assert_eq!(code(node.partition("a.b", 1)), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    assert_eq!(node.topics().len(), 1, "nothing of what was refused is left");
}

#[test]
fn several_settings_are_altered_together_or_not_at_all() {
    let place = Place::new();
    let node = place.open(&[]);
    node.create_topic("t", 1, 1, &overrides(&[])).expect("creates");
    let bad = [("segment.bytes", Some("2048")), ("retention.ms", Some("soon"))];
    assert_eq!(code(node.alter_topic_all("t", &bad)), ErrorCode::INVALID_CONFIG);
    assert!(node.topics()[0].overrides.is_empty());
    assert_eq!(node.topic("t").expect("is there").log_config().segment_bytes, 1 << 30);
}

#[test]
fn an_altered_setting_holds_for_a_log_that_is_open() {
    let place = Place::new();
    let node = place.open(&[]);
    node.create_topic("t", 1, 1, &overrides(&[])).expect("creates");
    let partition = node.partition("t", 0).expect("is there");
    put(&partition, &[0; 500]).expect("fits");
    node.alter_topic("t", "max.message.bytes", Some("100")).expect("alters");
    assert_eq!(code(put(&partition, &[0; 500])), ErrorCode::MESSAGE_TOO_LARGE);
    node.alter_topic("t", "flush.messages", Some("1")).expect("alters");
    assert!(partition.must_flush_before_ack());
}

#[test]
fn a_deleted_topic_is_gone_at_once_and_its_files_after_their_delay() {
    let place = Place::new();
    let node = place.open(&[]);
    node.create_topic("t", 2, 1, &overrides(&[])).expect("creates");
    let partition = node.partition("t", 1).expect("is there");
    put(&partition, b"x").expect("appends");
    node.delete_topic("t").expect("deletes");
    for outcome in [put(&partition, b"y").map(|_| ()), partition.read(fetch_from(Offset(0))).map(|_| ())] {
        assert_eq!(code(outcome), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    }
    let waiting = || {
        let entries = std::fs::read_dir(place.path()).expect("lists");
        entries.filter(|e| e.as_ref().expect("entry").file_name().to_string_lossy().ends_with("-delete")).count()
    };
    assert_eq!(waiting(), 1, "the partition that nobody touched never had a directory");
    node.create_topic("t", 1, 1, &overrides(&[])).expect("the name is free");
    put(&node.partition("t", 0).expect("is there"), b"new").expect("appends");
    place.pass_time(&node, Duration::from_secs(59));
    assert_eq!(waiting(), 1);
    place.pass_time(&node, Duration::from_secs(2));
    assert_eq!(waiting(), 0);
    assert_eq!(count(&node.partition("t", 0).expect("is there")), 1);
}

#[test]
fn a_deletion_that_a_crash_interrupted_is_finished_by_the_next_start() {
    let place = Place::new();
    let node = place.open(&[]);
    node.create_topic("t", 1, 1, &overrides(&[])).expect("creates");
    put(&node.partition("t", 0).expect("is there"), b"x").expect("appends");
    {
        let mut catalogue = node.catalogue.lock();
        catalogue.topics.get_mut("t").expect("is there").deleting = true;
        catalogue.write(&RealDisk, place.path()).expect("writes");
    }
    drop(node); // as a crash would
    let node = place.open(&[]);
    assert!(node.topics().is_empty());
    assert!(!place.path().join("t-0").exists());
    assert!(node.catalogue.lock().topics.is_empty());
}
