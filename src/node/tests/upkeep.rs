use super::*;
use crate::sim::{Call, CountingDisk};
use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};

fn flushed(partition: &Partition) -> u64 {
    partition.offsets().expect("offsets").flushed.0
}

#[test]
fn a_node_at_rest_has_nothing_to_come_back_for() {
    let place = Place::new();
    let node = place.open(&[]);
    assert_eq!(node.tick(place.clock.monotonic()), None, "new");
    node.create_topic("t", 10, 1, &overrides(&[("retention.ms", "-1")])).expect("creates");
    assert_eq!(node.tick(place.clock.monotonic()), None, "a topic without records");
    let partition = node.partition("t", 3).expect("is there");
    put(&partition, b"x").expect("appends");
    assert!(node.tick(place.clock.monotonic()).is_some(), "a flush is pending");
    assert_eq!(place.pass_time(&node, Duration::from_secs(120)), None, "all is flushed and written down");
    let before = node.stats().checkpoints_written;
    count(&partition);
    assert_eq!(node.tick(place.clock.monotonic()), None, "reading changes nothing");
    put(&partition, b"x").expect("appends");
    assert_eq!(place.pass_time(&node, Duration::from_secs(120)), None);
    assert!(node.stats().checkpoints_written > before, "what moved is written down");
}

#[test]
fn the_alarm_rings_when_something_becomes_due_and_not_at_every_append() {
    #[derive(Default)]
    struct Bell(AtomicU64);
    impl crate::node::Alarm for Bell {
        fn wake_by(&self, _: Instant) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let place = Place::new();
    let node = place.open(&[]);
    let bell = Arc::new(Bell::default());
    node.set_alarm(bell.clone());
    node.create_topic("t", 1, 1, &overrides(&[])).expect("creates");
    let partition = node.partition("t", 0).expect("is there");
    put(&partition, b"x").expect("appends");
    let once = bell.0.load(Ordering::SeqCst);
    assert!(once > 0);
    for _ in 0..1000 {
        put(&partition, b"x").expect("appends");
    }
    assert_eq!(bell.0.load(Ordering::SeqCst), once);
}

#[test]
fn flush_ms_bounds_how_long_a_record_stays_unflushed() {
    let place = Place::new();
    let node = place.open(&[]);
    node.create_topic("t", 1, 1, &overrides(&[("flush.ms", "200")])).expect("creates");
    let partition = node.partition("t", 0).expect("is there");
    for round in 1..=3 {
        put(&partition, b"x").expect("appends");
        let due = node.tick(place.clock.monotonic()).expect("a flush is pending");
        assert_eq!(due.since(place.clock.monotonic()), Duration::from_millis(200));
        assert_eq!(flushed(&partition), round - 1);
        place.clock.advance(Duration::from_millis(200));
        node.tick(place.clock.monotonic());
        assert_eq!(flushed(&partition), round);
    }
}

#[test]
fn what_a_busy_second_appends_begins_to_be_written_before_its_flush() {
    let mut place = Place::new();
    let disk = CountingDisk::new(Arc::new(RealDisk));
    place.disk = Arc::new(disk.clone());
    let node = place.open(&[]);
    let settings = [("segment.bytes", "1073741824"), ("max.message.bytes", "2097152")];
    node.create_topic("often", 1, 1, &overrides(&settings)).expect("creates");
    let never = [settings[0], settings[1], ("flush.ms", "9223372036854775807")];
    node.create_topic("never", 1, 1, &overrides(&never)).expect("creates");
    let mebibyte = vec![7; 1 << 20];
    let appends = |topic: &str, times: u32| {
        let partition = node.partition(topic, 0).expect("is there");
        for _ in 0..times {
            put(&partition, &mebibyte).expect("appends");
        }
        node.tick(place.clock.monotonic());
        (disk.counts().of(Call::Writeback), flushed(&partition))
    };
    assert_eq!(appends("often", 15), (0, 0), "little");
    assert_eq!(appends("often", 1), (1, 0), "16 MiB, and they do not count as flushed by that");
    assert_eq!(appends("often", 0), (1, 0), "once");
    assert_eq!(appends("often", 33), (2, 0), "what comes before it is looked at counts once");
    assert_eq!(appends("never", 17), (2, 0), "where no flush comes, the system does as it likes");
}

#[test]
fn flush_messages_asks_for_a_flush_when_that_many_are_unflushed() {
    let place = Place::new();
    let node = place.open(&[]);
    let settings = [("flush.messages", "10"), ("flush.ms", "9223372036854775807")];
    node.create_topic("t", 1, 1, &overrides(&settings)).expect("creates");
    let partition = node.partition("t", 0).expect("is there");
    for _ in 0..9 {
        put(&partition, b"x").expect("appends");
    }
    node.tick(place.clock.monotonic());
    assert_eq!(flushed(&partition), 0);
    put(&partition, b"x").expect("appends");
    node.tick(place.clock.monotonic());
    assert_eq!(flushed(&partition), 10);
}

#[test]
fn retention_by_age_comes_back_when_something_is_old_enough_and_not_before() {
    let place = Place::new();
    let node = place.open(&[("log.retention.check.interval.ms", "1000")]);
    let settings = [("retention.ms", "3600000"), ("segment.bytes", "1024")];
    node.create_topic("t", 1, 1, &overrides(&settings)).expect("creates");
    let partition = node.partition("t", 0).expect("is there");
    for _ in 0..100 {
        put(&partition, &[1; 100]).expect("appends");
    }
    let due = place.pass_time(&node, Duration::from_secs(120)).expect("something will be old enough");
    let ahead = due.since(place.clock.monotonic());
    assert!(ahead > Duration::from_secs(3400) && ahead < Duration::from_secs(3500), "{ahead:?}");
    assert_eq!(count(&partition), 100);
    place.pass_time(&node, Duration::from_secs(3600));
    assert_eq!(count(&partition), 0);
    place.pass_time(&node, Duration::from_secs(120));
    let names: Vec<String> = fs::read_dir(place.path().join("t-0"))
        .expect("lists")
        .map(|e| e.expect("entry").file_name().to_string_lossy().into_owned())
        .collect();
    assert!(!names.iter().any(|name| name.ends_with(".deleted")), "{names:?}");
    assert_eq!(names.iter().filter(|name| name.ends_with(".log")).count(), 1);
}

#[test]
fn retention_looks_at_what_an_earlier_run_has_left() {
    let place = Place::new();
    let settings = [("log.retention.check.interval.ms", "1000")];
    let node = place.open(&settings);
    let topic = [("retention.bytes", "2000"), ("retention.ms", "-1"), ("segment.bytes", "1024")];
    node.create_topic("t", 1, 1, &overrides(&topic)).expect("creates");
    let partition = node.partition("t", 0).expect("is there");
    for _ in 0..100 {
        put(&partition, &[1; 100]).expect("appends");
    }
    close(&node);
    let node = place.open(&settings);
    assert_eq!(node.stats().open_partitions, 0);
    let after = place.pass_time(&node, Duration::from_secs(130));
    let left = count(&node.partition("t", 0).expect("is there"));
    assert!((8..=30).contains(&left), "{left} records of 168 bytes in segments of 1024 are left of 2000 bytes");
    assert_eq!(after, None, "nothing more can be deleted before something is appended");
}

#[test]
fn a_shorter_retention_is_obeyed_by_what_is_there() {
    let place = Place::new();
    let node = place.open(&[("log.retention.check.interval.ms", "1000")]);
    node.create_topic("t", 1, 1, &overrides(&[])).expect("creates");
    let partition = node.partition("t", 0).expect("is there");
    put(&partition, b"x").expect("appends");
    place.pass_time(&node, Duration::from_secs(100));
    assert_eq!(count(&partition), 1);
    node.alter_topic("t", "retention.ms", Some("5000")).expect("alters");
    place.pass_time(&node, Duration::from_secs(5));
    assert_eq!(count(&partition), 0);
}
