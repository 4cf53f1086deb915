//! Kafka's rules of idempotence, case by case (ProducerStateManagerTest).

mod snapshots;

use self::snapshots::through_snapshot;
use super::{EndTxn, Origin, ProducerBatch, ProducerStates, Verdict};
use crate::error::Result;
use crate::storage::txn_index::AbortedTxn;
use crate::types::{Offset, ProducerStamp, Timestamp};
use proptest::prelude::*;
use std::time::Duration;

const ID: i64 = 1;
const DAY: Duration = Duration::from_secs(86_400);

/// A batch of one record.
fn batch(epoch: i16, sequence: i32, offset: u64) -> ProducerBatch {
    ProducerBatch {
        producer: ProducerStamp { id: ID, epoch, base_sequence: Some(sequence) },
        base_offset: Offset(offset),
        last_offset_delta: 0,
        max_timestamp: 1000 + offset as i64,
        is_transactional: false,
    }
}

fn of(id: i64, batch: ProducerBatch) -> ProducerBatch {
    ProducerBatch { producer: ProducerStamp { id, ..batch.producer }, ..batch }
}

fn records(count: u32, batch: ProducerBatch) -> ProducerBatch {
    ProducerBatch { last_offset_delta: count - 1, ..batch }
}

fn transactional(batch: ProducerBatch) -> ProducerBatch {
    ProducerBatch { is_transactional: true, ..batch }
}

fn marker(epoch: i16, coordinator_epoch: i32, offset: u64, is_abort: bool) -> EndTxn {
    let timestamp = 1000 + offset as i64;
    EndTxn { producer_id: ID, producer_epoch: epoch, coordinator_epoch, is_abort, offset: Offset(offset), timestamp }
}

fn after(batches: &[ProducerBatch]) -> ProducerStates {
    let mut states = ProducerStates::new();
    batches.iter().for_each(|batch| states.update(batch));
    states
}

/// The error's number, or 0.
fn code<T>(judged: Result<T>) -> i32 {
    judged.err().map_or(0, |error| error.code().0)
}

fn client(states: &ProducerStates, batch: &ProducerBatch) -> Result<Verdict> {
    states.judge(batch, Origin::Client)
}

#[test]
fn the_first_batch_of_a_producer_may_have_any_sequence() {
    let states = ProducerStates::new();
    assert!(states.is_empty());
    for sequence in [0, 15, i32::MAX] {
        assert_eq!(client(&states, &batch(0, sequence, 9)).unwrap(), Verdict::Fresh);
    }
    let mut without = batch(0, 0, 9);
    without.producer.base_sequence = None;
    assert_eq!(code(client(&states, &without)), 87);
    assert_eq!(code(states.judge(&without, Origin::Coordinator)), 0);
}

#[test]
fn sequences_go_on_without_a_gap() {
    let states = after(&[records(3, batch(0, 0, 100))]);
    assert_eq!(client(&states, &batch(0, 3, 103)).unwrap(), Verdict::Fresh);
    for sequence in [1, 2, 4, 5] {
        assert_eq!(code(client(&states, &batch(0, sequence, 103))), 45, "{sequence}");
    }
    assert_eq!(code(states.judge(&batch(0, 9, 103), Origin::Coordinator)), 0, "a coordinator counts nothing");
}

#[test]
fn the_sequence_after_the_largest_is_zero() {
    let states = after(&[batch(0, i32::MAX, 9)]);
    assert_eq!(client(&states, &batch(0, 0, 10)).unwrap(), Verdict::Fresh);
    assert_eq!(code(client(&states, &batch(0, 1, 10))), 45);
    let states = after(&[records(20, batch(0, i32::MAX - 9, 9))]);
    assert_eq!(client(&states, &batch(0, 10, 29)).unwrap(), Verdict::Fresh);
    assert_eq!(
        client(&states, &records(20, batch(0, i32::MAX - 9, 99))).unwrap(),
        Verdict::Duplicate { base_offset: Offset(9), last_offset: Offset(28), timestamp: 1009 },
        "a batch across the wrap is recognised too"
    );
}

#[test]
fn the_last_five_batches_are_recognised_and_older_ones_are_out_of_order() {
    let sent: Vec<_> = (0..7).map(|n| records(2, batch(0, 2 * n, 50 + 2 * n as u64))).collect();
    let states = after(&sent);
    for (n, sent) in sent.iter().enumerate() {
        let retried = ProducerBatch { base_offset: Offset(999), max_timestamp: 5, ..*sent };
        if n < 2 {
            assert_eq!(code(client(&states, &retried)), 45, "{n}");
        } else {
            let (base_offset, last_offset) = (sent.base_offset, sent.base_offset.next());
            let timestamp = sent.max_timestamp;
            assert_eq!(client(&states, &retried).unwrap(), Verdict::Duplicate { base_offset, last_offset, timestamp });
        }
    }
    assert_eq!(code(client(&states, &batch(0, 12, 999))), 45, "half of a known batch is no duplicate");
    assert_eq!(code(client(&states, &of(2, batch(0, 12, 999)))), 0, "another producer is another matter");
}

#[test]
fn an_older_epoch_is_fenced_and_a_newer_one_begins_at_zero() {
    let states = after(&[batch(5, 0, 1), batch(5, 1, 2)]);
    assert_eq!(code(client(&states, &batch(4, 0, 3))), 47);
    assert_eq!(code(states.judge(&batch(4, 0, 3), Origin::Coordinator)), 47);
    assert_eq!(code(client(&states, &batch(6, 2, 3))), 45);
    assert_eq!(client(&states, &batch(6, 0, 3)).unwrap(), Verdict::Fresh);
    let states = after(&[batch(5, 0, 1), batch(6, 0, 2)]);
    assert_eq!(code(client(&states, &batch(5, 0, 3))), 47, "the old epoch's batches are no duplicates any more");
    assert_eq!(client(&states, &batch(6, 1, 3)).unwrap(), Verdict::Fresh);
}

#[test]
fn judging_changes_nothing() {
    let states = after(&[batch(0, 0, 1)]);
    let before = states.clone();
    let _ = client(&states, &batch(0, 1, 2)).unwrap();
    let _ = states.judge_all(&[batch(0, 1, 2), of(9, batch(0, 0, 3))], Origin::Client).unwrap();
    assert_eq!(states, before);
}

#[test]
fn replicated_batches_are_noted_whatever_they_say() {
    let states = after(&[batch(3, 0, 1), batch(3, 40, 2), batch(1, 7, 3)]);
    assert_eq!(client(&states, &batch(1, 8, 4)).unwrap(), Verdict::Fresh, "the epoch went back with the log");
}

#[test]
fn the_batches_of_one_append_are_judged_in_order() {
    let states = after(&[batch(0, 0, 1)]);
    let all = |batches: &[ProducerBatch]| states.judge_all(batches, Origin::Client);
    assert_eq!(all(&[]).unwrap(), Verdict::Fresh);
    assert_eq!(all(&[batch(0, 1, 2), of(2, batch(0, 7, 3)), batch(0, 2, 4)]).unwrap(), Verdict::Fresh);
    assert_eq!(code(all(&[batch(0, 1, 2), batch(0, 3, 3)])), 45);
    assert_eq!(code(all(&[of(2, batch(0, 7, 3)), of(2, batch(0, 9, 4))])), 45, "also when the producer is new");
    assert_eq!(code(all(&[batch(1, 0, 2), batch(0, 1, 3)])), 47);
    assert_eq!(code(all(&[batch(0, 0, 2), batch(0, 1, 3)])), 45, "old and new together");
    assert_eq!(code(all(&[batch(0, 1, 2), batch(0, 1, 3)])), 45, "twice the same");
    let states = after(&[batch(0, 0, 1), of(2, batch(0, 0, 2)), batch(0, 1, 3)]);
    let retried = [batch(0, 0, 9), of(2, batch(0, 0, 9)), batch(0, 1, 9)];
    let known = Verdict::Duplicate { base_offset: Offset(1), last_offset: Offset(3), timestamp: 1003 };
    assert_eq!(states.judge_all(&retried, Origin::Client).unwrap(), known);
}

#[test]
fn a_transaction_is_open_until_its_marker_and_unstable_until_that_is_replicated() {
    let mut states = after(&[transactional(records(3, batch(0, 0, 10))), transactional(batch(0, 3, 13))]);
    assert_eq!(states.first_unstable_offset(), Some(Offset(10)));
    assert_eq!(code(client(&states, &batch(0, 4, 14))), 48, "plain records of a producer in a transaction");
    assert_eq!(states.end_txn(&marker(0, 0, 14, false)), None, "a commit is not indexed");
    assert_eq!(states.first_unstable_offset(), Some(Offset(10)));
    states.handle_high_watermark(Offset(14));
    assert_eq!(states.first_unstable_offset(), Some(Offset(10)));
    states.handle_high_watermark(Offset(15));
    assert_eq!(states.first_unstable_offset(), None);
    assert_eq!(
        client(&states, &batch(0, 4, 15)).unwrap(),
        Verdict::Fresh,
        "a marker of the same epoch keeps the sequence"
    );
    assert!(matches!(client(&states, &batch(0, 3, 15)).unwrap(), Verdict::Duplicate { .. }));
}

#[test]
fn an_abort_is_indexed_with_the_last_stable_offset_of_that_moment() {
    let mut states = after(&[
        transactional(batch(0, 0, 10)),
        transactional(of(2, batch(0, 0, 11))),
        transactional(of(3, batch(0, 0, 12))),
    ]);
    let end = |id: i64, offset: u64| EndTxn { producer_id: id, ..marker(0, 0, offset, true) };
    let aborted = |id: i64, first: u64, last: u64, stable: u64| AbortedTxn {
        producer_id: id,
        first_offset: Offset(first),
        last_offset: Offset(last),
        last_stable_offset: Offset(stable),
    };
    assert_eq!(states.end_txn(&end(2, 13)), Some(aborted(2, 11, 13, 10)));
    assert_eq!(states.end_txn(&end(1, 14)), Some(aborted(1, 10, 14, 12)));
    assert_eq!(states.end_txn(&end(3, 15)), Some(aborted(3, 12, 15, 16)));
    assert_eq!(states.end_txn(&end(3, 16)), None, "nothing was written since");
    assert_eq!(states.first_unstable_offset(), Some(Offset(10)));
    states.handle_log_start(Offset(16));
    assert_eq!(states.first_unstable_offset(), None);
}

#[test]
fn what_the_transaction_index_could_not_read_again_is_not_given_to_it() {
    let mut states = after(&[transactional(batch(0, 0, 7))]);
    assert_eq!(states.end_txn(&marker(0, 0, 5, true)), None, "it began behind its own marker");
    let mut states = after(&[transactional(batch(0, 0, 7))]);
    let aborted = states.end_txn(&EndTxn { offset: Offset::MAX, ..marker(0, 0, 9, true) }).expect("is aborted");
    assert_eq!(aborted.last_stable_offset, Offset::MAX);
}

#[test]
fn a_marker_of_a_newer_epoch_fences_and_starts_the_sequence_over() {
    let mut states = after(&[batch(0, 0, 1)]);
    assert_eq!(code(states.judge_end_txn(&marker(0, 0, 2, false))), 0);
    states.end_txn(&marker(1, 0, 2, false));
    assert_eq!(code(client(&states, &batch(0, 1, 3))), 47);
    assert_eq!(code(states.judge_end_txn(&marker(0, 0, 3, false))), 47);
    assert_eq!(code(client(&states, &batch(1, 5, 3))), 45);
    assert_eq!(client(&states, &batch(1, 0, 3)).unwrap(), Verdict::Fresh);
}

#[test]
fn an_old_coordinator_is_fenced_also_after_a_restart() {
    let mut states = after(&[transactional(batch(0, 0, 1))]);
    states.end_txn(&marker(0, 3, 2, true));
    let reloaded = through_snapshot(&states);
    for states in [&states, &reloaded] {
        assert_eq!(code(states.judge_end_txn(&marker(0, 2, 3, true))), 52);
        assert_eq!(code(states.judge_end_txn(&marker(0, 3, 3, true))), 0);
        assert_eq!(code(states.judge_end_txn(&marker(0, 4, 3, true))), 0);
        assert_eq!(code(states.judge_end_txn(&EndTxn { producer_id: 99, ..marker(0, 0, 3, true) })), 0);
    }
}

#[test]
fn idle_producers_expire_unless_a_transaction_is_open() {
    let mut states = after(&[batch(0, 0, 0), of(2, batch(0, 0, 1)), transactional(of(3, batch(0, 0, 0)))]);
    let age = Duration::from_millis(500);
    assert_eq!(states.expire(Timestamp(1499), age), 0);
    assert_eq!(states.expire(Timestamp(1500), age), 1);
    assert_eq!(client(&states, &batch(0, 77, 3)).unwrap(), Verdict::Fresh, "a forgotten producer is believed");
    assert_eq!(states.expire(Timestamp(i64::MAX), Duration::MAX), 0);
    assert_eq!(states.expire(Timestamp(i64::MAX), age), 1);
    assert_eq!(states.count(), 1);
}

proptest! {
    /// Whatever a well-behaved producer retries of its last five batches is recognised, and what comes next is taken.
    #[test]
    fn a_retry_is_always_recognised(sizes in prop::collection::vec(1u32..50, 1..30), start in prop_oneof![Just(0), Just(i32::MAX - 100)]) {
        let mut states = ProducerStates::new();
        let mut sent: Vec<ProducerBatch> = Vec::new();
        let (mut sequence, mut offset) = (start, 0);
        for size in sizes {
            let next = records(size, batch(0, sequence, offset));
            prop_assert_eq!(client(&states, &next).unwrap(), Verdict::Fresh);
            states.update(&next);
            sent.push(next);
            for earlier in sent.iter().rev().take(5) {
                let (base_offset, timestamp) = (earlier.base_offset, earlier.max_timestamp);
                let last_offset = base_offset.plus(earlier.last_offset_delta.into());
                let expected = Verdict::Duplicate { base_offset, last_offset, timestamp };
                prop_assert_eq!(client(&states, earlier).unwrap(), expected);
            }
            sequence = crate::record::sequence::add(sequence, size);
            offset += u64::from(size);
        }
    }
}
