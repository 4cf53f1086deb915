use super::*;
use crate::error::ErrorCode;
use std::fs;
use std::os::unix::fs::MetadataExt;

/// As `du` counts, in bytes.
fn occupied(dir: &Path) -> u64 {
    let own = fs::metadata(dir).expect("metadata").blocks() * 512;
    let below = fs::read_dir(dir).expect("lists").map(|entry| {
        let path = entry.expect("entry").path();
        if path.is_dir() {
            occupied(&path)
        } else {
            fs::metadata(&path).expect("metadata").blocks() * 512
        }
    });
    own + below.sum::<u64>()
}

const MAX: u64 = 2 << 20;

fn open(place: &Place) -> Node {
    place.open(&[("dir.max.bytes", &MAX.to_string()), ("dir.reserve.bytes", "524288")])
}

#[test]
fn a_full_directory_refuses_appends_and_stays_usable() {
    let place = Place::new();
    let node = open(&place);
    let topic = [("segment.bytes", "65536"), ("file.delete.delay.ms", "0")];
    node.create_topic("t", 3, 1, &overrides(&topic)).expect("creates");
    let mut accepted = [0; 3];
    let refusal = (0..100_000).find_map(|n| {
        assert!(occupied(place.path()) <= MAX);
        let partition = node.partition("t", n % 3).expect("is there");
        match put(&partition, &[1; 10_000]) {
            Ok(_) => {
                accepted[n as usize % 3] += 1;
                None
            }
            Err(refusal) => Some(refusal),
        }
    });
    let refusal = refusal.expect("it is full some time");
    assert_eq!(refusal.code(), ErrorCode::POLICY_VIOLATION);
    assert!(refusal.message().contains("dir.max.bytes=2097152"), "{refusal}");
    assert!(accepted.iter().sum::<u64>() * 10_000 > MAX / 2, "most of the room was used: {accepted:?}");
    for (number, accepted) in (0..).zip(accepted) {
        let partition = node.partition("t", number).expect("is there");
        assert_eq!(count(&partition), accepted);
        assert!(partition.failure().is_none(), "a refusal is no failure");
    }
    place.pass_time(&node, Duration::from_secs(120));
    assert!(occupied(place.path()) <= MAX, "flushes and checkpoints found room");
    let partition = node.partition("t", 0).expect("is there");
    partition.delete_records(None).expect("deletes");
    place.pass_time(&node, Duration::from_secs(1));
    put(&partition, &[1; 10_000]).expect("there is room again");
    close(&node);
    assert!(occupied(place.path()) <= MAX);
}

#[test]
fn recovery_works_in_a_full_directory() {
    let place = Place::new();
    let node = open(&place);
    node.create_topic("t", 1, 1, &overrides(&[("segment.bytes", "65536")])).expect("creates");
    let partition = node.partition("t", 0).expect("is there");
    let mut accepted = 0;
    while put(&partition, &[1; 5_000]).is_ok() {
        accepted += 1;
    }
    drop((partition, node)); // as a crash would
    for entry in fs::read_dir(place.path().join("t-0")).expect("lists") {
        let path = entry.expect("entry").path();
        if path.extension().is_some_and(|e| e == "index" || e == "timeindex") {
            fs::remove_file(path).expect("removes");
        }
    }
    let node = open(&place);
    assert_eq!(count(&node.partition("t", 0).expect("is there")), accepted);
    assert!(occupied(place.path()) <= MAX);
    close(&node);
}

#[test]
fn drop_oldest_makes_room_within_its_own_topic_only() {
    let place = Place::new();
    let node = open(&place);
    node.create_topic("keep", 1, 1, &overrides(&[("segment.bytes", "65536")])).expect("creates");
    let keep = node.partition("keep", 0).expect("is there");
    for _ in 0..20 {
        put(&keep, &[1; 10_000]).expect("fits");
    }
    let ring = [("segment.bytes", "65536"), ("dir.full.policy", "drop-oldest")];
    node.create_topic("ring", 2, 1, &overrides(&ring)).expect("creates");
    for n in 0..1000 {
        place.clock.advance(Duration::from_millis(1));
        put(&node.partition("ring", n % 2).expect("is there"), &[2; 10_000]).expect("there is always room");
        if n % 10 == 0 {
            assert!(occupied(place.path()) <= MAX);
        }
    }
    assert_eq!(count(&keep), 20, "the other topic lost nothing");
    let left: Vec<u64> = (0..2).map(|n| count(&node.partition("ring", n).expect("is there"))).collect();
    assert!(left.iter().sum::<u64>() > 50 && left.iter().all(|left| *left > 20), "{left:?}");
    assert!(node.stats().segments_dropped_for_space > 100);
    assert_eq!(put(&keep, &[1; 10_000]).map_err(|e| e.code()).err(), None, "room was made for everybody");
    close(&node);
    let node = open(&place);
    assert_eq!(count(&node.partition("keep", 0).expect("is there")), 21);
}

#[test]
fn threads_at_the_brink_do_not_push_each_other_over_it() {
    let place = Place::new();
    let node = open(&place);
    let ring = [("segment.bytes", "65536"), ("dir.full.policy", "drop-oldest")];
    node.create_topic("ring", 4, 1, &overrides(&ring)).expect("creates");
    node.create_topic("full", 4, 1, &overrides(&[("segment.bytes", "65536")])).expect("creates");
    std::thread::scope(|scope| {
        for number in 0..4 {
            let node = &node;
            scope.spawn(move || {
                let ring = node.partition("ring", number).expect("is there");
                let full = node.partition("full", number).expect("is there");
                for _ in 0..200 {
                    // The ring may run empty when the other topic has taken all of the room.
                    let outcomes = [put(&ring, &[1; 10_000]), put(&full, &[1; 1_000])];
                    for refused in outcomes.into_iter().filter_map(Result::err) {
                        assert_eq!(refused.code(), ErrorCode::POLICY_VIOLATION, "{refused}");
                    }
                }
            });
        }
        for _ in 0..100 {
            let (used, max) = node.stats().dir_used_and_max_bytes.expect("there is a cap");
            assert!(used <= max);
        }
    });
    assert!(occupied(place.path()) <= MAX);
    close(&node);
}
