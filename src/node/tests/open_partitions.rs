use super::*;

#[test]
fn no_more_logs_are_open_than_the_bound_and_none_loses_anything() {
    let place = Place::new();
    let node = place.open(&[("open.partitions.max", "8")]);
    node.create_topic("t", 50, 1, &overrides(&[])).expect("creates");
    let partitions: Vec<_> = (0..50).map(|number| node.partition("t", number).expect("is there")).collect();
    for round in 1..=3 {
        for partition in &partitions {
            put(partition, b"x").expect("appends");
            assert!(node.stats().open_partitions <= 8);
        }
        for partition in &partitions {
            assert_eq!(count(partition), round);
        }
    }
    let stats = node.stats();
    assert!(stats.logs_rested >= 42 * 3, "{} rested", stats.logs_rested);
    assert_eq!(stats.recovery_scanned_bytes, 0, "a log at rest was closed in order");
    close(&node);
}

#[test]
fn a_log_that_is_used_again_and_again_stays_open() {
    let place = Place::new();
    let node = place.open(&[("open.partitions.max", "4")]);
    node.create_topic("t", 20, 1, &overrides(&[])).expect("creates");
    let favourite = node.partition("t", 0).expect("is there");
    put(&favourite, b"x").expect("appends");
    for number in 1..20 {
        put(&node.partition("t", number).expect("is there"), b"x").expect("appends");
        put(&favourite, b"x").expect("appends");
    }
    let opened = node.stats().logs_opened;
    assert!(opened <= 22, "{opened} openings: the hand may take it for idle once in a while, not each time");
}

#[test]
fn resting_partitions_answer_for_their_offsets_without_being_opened() {
    let place = Place::new();
    let node = place.open(&[("open.partitions.max", "1")]);
    node.create_topic("t", 2, 1, &overrides(&[])).expect("creates");
    let (one, two) = (node.partition("t", 0).expect("is there"), node.partition("t", 1).expect("is there"));
    put(&one, b"x").expect("appends");
    put(&two, b"x").expect("appends");
    let opened = node.stats().logs_opened;
    assert_eq!(one.offsets().expect("offsets").log_end, Offset(1));
    assert_eq!(one.wait_for(Offset(1), crate::types::Rung::Flushed, None).ok(), Some(crate::types::Rung::Replicated));
    assert_eq!(node.stats().logs_opened, opened);
}

#[test]
fn threads_that_compete_for_places_all_get_through() {
    let place = Place::new();
    let node = place.open(&[("open.partitions.max", "3")]);
    node.create_topic("t", 12, 1, &overrides(&[])).expect("creates");
    std::thread::scope(|scope| {
        for thread in 0..4_u32 {
            let node = &node;
            scope.spawn(move || {
                for round in 0..30 {
                    let partition = node.partition("t", (thread * 5 + round) % 12).expect("is there");
                    put(&partition, b"x").expect("appends");
                    count(&partition);
                }
            });
        }
    });
    // Four threads at work in three places: the bound gave way where it had to, and the next opening makes good for that.
    assert!(node.stats().open_partitions <= 4);
    let all: u64 = (0..12).map(|number| count(&node.partition("t", number).expect("is there"))).sum();
    assert_eq!(all, 120);
    assert!(node.stats().open_partitions <= 3);
    close(&node);
}

#[test]
fn a_partition_that_was_deleted_while_the_hand_held_it_keeps_no_place() {
    let place = Place::new();
    let node = place.open(&[("open.partitions.max", "1")]);
    node.create_topic("gone", 1, 1, &overrides(&[])).expect("creates");
    node.create_topic("t", 2, 1, &overrides(&[])).expect("creates");
    let gone = node.partition("gone", 0).expect("is there");
    put(&gone, b"x").expect("appends");
    node.delete_topic("gone").expect("deletes");
    // What whoever had it in hand leaves behind, having found it busy.
    gone.house.open.take_place();
    gone.house.open.admit(gone.me.clone());
    for number in [0, 1, 0, 1] {
        put(&node.partition("t", number).expect("is there"), b"x").expect("appends");
    }
    assert_eq!(node.stats().open_partitions, 1);
    drop(gone);
    close(&node);
}
