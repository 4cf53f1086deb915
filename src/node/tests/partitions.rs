use super::*;
use crate::error::ErrorCode;
use crate::node::Notify;
use crate::types::{LeaderEpoch, Rung};
use bytes::Bytes;
use std::sync::atomic::{AtomicUsize, Ordering};

#[derive(Default)]
struct Count(AtomicUsize);

impl Notify for Count {
    fn notify(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn partition(node: &Node, settings: &[(&str, &str)]) -> Arc<Partition> {
    node.create_topic("t", 1, 1, &overrides(settings)).expect("creates");
    node.partition("t", 0).expect("is there")
}

#[test]
fn an_append_is_replicated_at_once_where_nobody_waits_for_a_flush() {
    let place = Place::new();
    let node = place.open(&[]);
    let partition = partition(&node, &[]);
    let placed = put(&partition, b"x").expect("appends");
    assert_eq!((placed.base_offset, placed.last_offset, placed.rung), (Offset(0), Offset(0), Rung::Replicated));
    assert_eq!(partition.offsets().expect("offsets").flushed, Offset(0));
    assert_eq!(partition.wait_for(Offset(1), Rung::Flushed, None).expect("flushes"), Rung::Replicated);
    assert_eq!(partition.offsets().expect("offsets").flushed, Offset(1));
}

#[test]
fn under_flush_messages_1_nothing_is_visible_before_it_is_durable() {
    let place = Place::new();
    let node = place.open(&[]);
    let partition = partition(&node, &[("flush.messages", "1")]);
    let placed = put(&partition, b"x").expect("appends");
    assert_eq!(placed.rung, Rung::Written);
    assert_eq!(count(&partition), 0);
    assert_eq!(partition.wait_for(Offset(1), Rung::Replicated, None).expect("flushes"), Rung::Replicated);
    assert_eq!(count(&partition), 1);
    let error = partition.wait_for(Offset(2), Rung::Written, None).expect_err("is not there");
    assert_eq!(error.code(), ErrorCode::OFFSET_OUT_OF_RANGE);
}

#[test]
fn acks_all_is_refused_while_replicas_are_missing_and_acks_1_is_not() {
    let place = Place::new();
    let node = place.open(&[]);
    let partition = partition(&node, &[("min.insync.replicas", "2")]);
    let mut one = batch(&[b"x"], place.clock.realtime().0);
    let error = partition.append(&mut one, Acks::All).expect_err("is refused");
    assert_eq!(error.code(), ErrorCode::NOT_ENOUGH_REPLICAS);
    assert_eq!(partition.offsets().expect("offsets").log_end, Offset(0), "nothing was written");
    partition.append(&mut one, Acks::Leader).expect("appends");
}

#[test]
fn a_listener_hears_of_appends_deletions_and_the_end() {
    let place = Place::new();
    let node = place.open(&[]);
    let partition = partition(&node, &[]);
    let listener = Arc::new(Count::default());
    let heard = || listener.0.swap(0, Ordering::SeqCst) > 0;
    let subscription = partition.subscribe(listener.clone());
    put(&partition, b"x").expect("appends");
    assert!(heard());
    partition.delete_records(None).expect("deletes");
    assert!(heard());
    node.delete_topic("t").expect("deletes");
    assert!(heard());
    drop(subscription);
    node.create_topic("u", 1, 1, &overrides(&[])).expect("creates");
    let other = node.partition("u", 0).expect("is there");
    let _subscription = other.subscribe(listener.clone());
    close(&node);
    assert!(heard());
}

#[test]
fn deleted_records_stay_deleted_after_a_crash() {
    let place = Place::new();
    let node = place.open(&[]);
    let first = partition(&node, &[("segment.bytes", "1024")]);
    for _ in 0..100 {
        put(&first, &[7; 100]).expect("appends");
    }
    assert_eq!(first.delete_records(Some(Offset(55))).expect("deletes"), Offset(55));
    let error = first.delete_records(Some(Offset(101))).expect_err("is refused");
    assert_eq!(error.code(), ErrorCode::OFFSET_OUT_OF_RANGE);
    drop((first, node));
    let node = place.open(&[]);
    let partition = node.partition("t", 0).expect("is there");
    assert_eq!(partition.offsets().expect("offsets").log_start, Offset(55));
    assert_eq!(partition.read(fetch_from(Offset(54))).expect_err("gone").code(), ErrorCode::OFFSET_OUT_OF_RANGE);
    partition.read(fetch_from(Offset(55))).expect("is there");
}

#[test]
fn foreign_bytes_are_appended_after_a_check() {
    let place = Place::new();
    let node = place.open(&[]);
    let partition = partition(&node, &[]);
    let good = batch(&[b"a", b"b"], place.clock.realtime().0);
    let placed = partition.append_raw(good.bytes(), Acks::Leader).expect("appends");
    assert_eq!((placed.base_offset, placed.last_offset), (Offset(0), Offset(1)));
    let mut bad = good.bytes().to_vec();
    *bad.last_mut().expect("has bytes") ^= 1;
    assert_eq!(partition.append_raw(&bad, Acks::Leader).expect_err("damaged").code(), ErrorCode::CORRUPT_MESSAGE);
    assert_eq!(count(&partition), 2);
}

#[test]
fn of_several_foreign_batches_all_are_appended_or_none() {
    let place = Place::new();
    let node = place.open(&[]);
    let partition = partition(&node, &[("max.message.bytes", "1000")]);
    let now = place.clock.realtime().0;
    let foreign = |values: &[&[u8]]| Bytes::copy_from_slice(batch(values, now).bytes());
    let (good, large) = (foreign(&[b"a", b"b"]), foreign(&[&[b'x'; 2000]]));
    let damaged = Bytes::from([&good[..good.len() - 1], b"!"].concat());
    let put = |batches: &[Bytes]| partition.append_raw_all(batches, None, Acks::Leader);
    for (bad, code) in [(damaged, ErrorCode::CORRUPT_MESSAGE), (large, ErrorCode::MESSAGE_TOO_LARGE)] {
        assert_eq!(put(&[good.clone(), bad]).expect_err("the second one").code(), code);
        assert_eq!(count(&partition), 0, "{code:?}: nor the first one");
    }
    assert_eq!(put(&[]).expect_err("nothing").code(), ErrorCode::INVALID_REQUEST);
    let placed = put(&[good.clone(), foreign(&[b"c"]), good]).expect("appends");
    assert_eq!((placed.base_offset, placed.last_offset, placed.rung), (Offset(0), Offset(4), Rung::Replicated));
    assert_eq!(count(&partition), 5);
}

#[test]
fn a_node_alone_goes_on_in_the_newest_reign_whose_records_it_finds() {
    const EPOCH_AT: std::ops::Range<usize> = 12..16; // in a batch, and not under its checksum
    let place = Place::new();
    let node = place.open(&[]);
    put(&partition(&node, &[]), b"x").expect("appends");
    close(&node);
    drop(node);
    let dir = place.path().join("t-0");
    let (log, epochs) = (dir.join("00000000000000000000.log"), dir.join("leader-epoch-checkpoint"));
    let mut bytes = std::fs::read(&log).expect("reads");
    bytes[EPOCH_AT].copy_from_slice(&5_u32.to_be_bytes());
    std::fs::write(&log, &bytes).expect("writes");
    std::fs::write(&epochs, "0\n1\n5 0\n").expect("writes");
    let node = place.open(&[]);
    let partition = node.partition("t", 0).expect("is there");
    let placed = put(&partition, b"y").expect("appends");
    assert_eq!(
        (placed.base_offset, placed.leader_epoch, partition.leader_epoch()),
        (Offset(1), LeaderEpoch(5), LeaderEpoch(5))
    );
    close(&node);
    let written = std::fs::read(&log).expect("reads");
    assert_eq!(written[bytes.len()..][EPOCH_AT], 5_u32.to_be_bytes());
    assert_eq!(std::fs::read_to_string(&epochs).expect("reads"), "0\n1\n5 0\n");
}
