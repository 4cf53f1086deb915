//! The accumulator alone: events in, batches out, time as an argument.

use super::super::accumulator::{Accumulator, Hurry};
use super::super::batch::{Audience, Batch, Outcome};
use super::super::fake::{FakeHost, ToldClock};
use super::super::queue::PartitionQueue;
use super::super::shared::Shared;
use super::super::topics::TopicState;
use super::super::unfinished::Unfinished;
use crate::config::ProducerConfig;
use crate::record::RecordRef;
use crate::time::Instant;
use crate::types::{LeaderEpoch, Offset, Timestamp};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

const LINGER_NS: u64 = 11_000_000;

/// An accumulator whose batches belong to a producer that nobody uses.
struct Desk {
    shared: Arc<Shared>,
    queue: Arc<PartitionQueue>,
    accumulator: Accumulator,
}

/// With a linger that is too long for full batches to wait for each other, or with none.
fn desk(lingers: bool) -> Desk {
    desk_with(if lingers { LINGER_NS } else { 0 })
}

fn desk_with(linger_ns: u64) -> Desk {
    let linger = Duration::from_nanos(linger_ns);
    let mut config = ProducerConfig::default();
    config.batch_bytes = 300;
    config.linger = linger;
    let host = FakeHost::with_clock(Arc::new(ToldClock::default()));
    let topic = TopicState::new("t".into(), host.create("t", 1), 0);
    let shared = Shared::new(host, config, None, None);
    let queue = Arc::new(PartitionQueue::new(&topic, 0, 300, linger));
    Desk { shared, queue, accumulator: Accumulator::new(300, linger) }
}

impl Desk {
    /// Offers a record of about 100 bytes at `now`, and tells what is sendable by that.
    fn offer(&mut self, now: u64) -> Option<u64> {
        let value = [b'x'; 80];
        let record = RecordRef { key: None, value: Some(&value), headers: &[] };
        if !self.accumulator.has_room_for(record) {
            let batch = self.shared.new_batch(&self.queue, 100).unwrap();
            batch.completion.set_opened_at(Instant(now));
            self.accumulator.open(batch);
        }
        self.accumulator.handle_record(record, Timestamp(0)).unwrap();
        let sendable = self.accumulator.poll_after_record();
        sendable.map(|batch| self.take(batch))
    }

    /// Pays the debt of a batch, so that it can be dropped; its number and size in one.
    fn take(&self, mut batch: Box<Batch>) -> u64 {
        batch.is_owed = false;
        batch.sequence * 100 + u64::from(batch.builder.count())
    }

    fn due(&mut self, now: u64) -> Option<u64> {
        let due = self.accumulator.poll_due(Hurry::Full(Instant(now)));
        due.map(|batch| self.take(batch))
    }

    fn back(&mut self, carry_on: bool) -> Option<u64> {
        let next = self.accumulator.handle_appended(carry_on);
        next.map(|batch| self.take(batch))
    }

    fn unfinished(&self, end: u64) -> Unfinished {
        let mut batch = self.shared.new_batch(&self.queue, 100).unwrap();
        batch.is_owed = false;
        batch.completion.set_opened_at(Instant(0));
        Unfinished {
            completion: batch.completion.clone(),
            audience: Audience::default(),
            outcome: Outcome::Failed(crate::Error::new(crate::ErrorCode::NONE, "")),
            end: Offset(end),
            leader_epoch: LeaderEpoch(0),
            records: 1,
            bytes: 1,
            reserved_bytes: 0,
            held_at: Instant::default(),
            sequence: end,
            parcel: None,
        }
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        while let Some(mut batch) = self.accumulator.poll_queued() {
            batch.is_owed = false;
        }
    }
}

#[test]
fn a_batch_is_sendable_when_full_or_when_its_linger_has_passed() {
    let mut desk = desk(true);
    assert_eq!((desk.offer(0), desk.offer(1), desk.due(LINGER_NS - 1)), (None, None, None));
    assert_eq!(desk.accumulator.poll_timeout(), Some(Instant(LINGER_NS)));
    assert_eq!(desk.offer(2), Some(102), "the third has no room and closes the first batch");
    assert_eq!(desk.back(true), None, "the second batch lingers");
    assert_eq!(desk.due(LINGER_NS + 2), Some(201));
}

#[test]
fn within_a_short_linger_full_batches_wait_for_each_other_and_go_in_one_write() {
    const SHORT_NS: u64 = 5_000_000;
    let mut desk = desk_with(SHORT_NS);
    let mut offered = 0;
    let first = std::iter::from_fn(|| {
        offered += 1;
        Some(desk.offer(offered))
    });
    let first = first.flatten().next();
    assert_eq!((first, offered), (Some(102), 23), "eleven batches are worth a write");
    let mut company = VecDeque::new();
    desk.accumulator.poll_company(&mut company);
    assert_eq!((company.len(), desk.accumulator.records_pending()), (10, 23));
    for batch in company {
        desk.take(batch);
    }
    assert_eq!(desk.back(true), None);
    // What is full waits no longer than its linger, and not at all for somebody who wants it now.
    assert_eq!(
        (desk.offer(40), desk.offer(41), desk.accumulator.poll_timeout()),
        (None, None, Some(Instant(23 + SHORT_NS)))
    );
    let on_time = desk.accumulator.poll_due(Hurry::Due(Instant(22 + SHORT_NS)));
    assert!(on_time.is_none(), "not before");
    assert_eq!(desk.due(42), Some(1202), "a waiter takes what is full at once");
    assert_eq!(desk.back(true), None);
    let on_time = desk.accumulator.poll_due(Hurry::Due(Instant(41 + SHORT_NS))).map(|batch| desk.take(batch));
    assert_eq!(on_time, Some(1301));
}

#[test]
fn while_somebody_appends_nobody_else_does_and_what_was_filled_meanwhile_is_handed_over() {
    let mut desk = desk(false);
    assert_eq!(desk.offer(0), Some(101));
    assert_eq!((desk.offer(0), desk.offer(0), desk.offer(0), desk.due(u64::MAX)), (None, None, None, None));
    assert_eq!(desk.accumulator.load(), 2);
    assert_eq!(desk.back(true), Some(202), "the full one first");
    assert_eq!(desk.back(false), None, "he goes his own way");
    assert!(desk.accumulator.is_sendable());
    assert_eq!(desk.due(0), Some(301), "and the next one takes over");
    assert_eq!(desk.back(true), None);
    assert_eq!(desk.accumulator.sequence_oldest(), None);
}

#[test]
fn the_timer_is_not_asked_for_a_linger_that_cannot_be_served() {
    let mut desk = desk(true);
    assert_eq!((desk.offer(0), desk.offer(0), desk.offer(0)), (None, None, Some(102)));
    assert_eq!(desk.accumulator.poll_timeout(), None, "the open batch waits for the one who appends");
    assert_eq!(desk.back(true), None);
    assert_eq!(desk.accumulator.poll_timeout(), Some(Instant(LINGER_NS)));
}

#[test]
fn unfinished_batches_are_done_in_order_as_far_as_the_rung_was_reached() {
    let mut desk = desk(false);
    for end in [10, 20, 30] {
        let unfinished = desk.unfinished(end);
        desk.accumulator.hold(unfinished);
    }
    assert_eq!(desk.accumulator.unfinished.end(), Some(Offset(30)));
    assert_eq!(desk.accumulator.unfinished.watched_end(), None, "nobody asked from afar");
    let mut next = desk.accumulator.unfinished.begin_finishing();
    for end in [10, 20] {
        assert_eq!(next.map(|oldest| oldest.end), Some(Offset(end)));
        assert!(desk.accumulator.unfinished.begin_finishing().is_none(), "one finisher at a time");
        assert!(desk.accumulator.unfinished.poll_finished(30).is_none(), "not before its turn");
        assert_eq!(desk.accumulator.unfinished.poll_finished(end).map(|one| one.end), Some(Offset(end)));
        next = desk.accumulator.unfinished.next_finishing();
    }
    assert!(desk.accumulator.unfinished.begin_finishing().is_none());
    assert_eq!(desk.accumulator.unfinished.end_finishing(), next, "somebody came in vain, so he looks again");
    assert_eq!(desk.accumulator.unfinished.end_finishing(), None);
    let last = desk.accumulator.unfinished.poll().unwrap();
    assert!(last.completion.watch());
    desk.accumulator.hold(last);
    assert_eq!(desk.accumulator.unfinished.watched_end(), Some(Offset(30)));
}

#[test]
fn what_is_older_than_the_delivery_timeout_expires_oldest_first() {
    let mut desk = desk(true);
    let timeout = 120_000_000_000;
    assert_eq!((desk.offer(0), desk.offer(0), desk.offer(7)), (None, None, Some(102)));
    assert_eq!((desk.offer(7), desk.offer(8)), (None, None));
    assert!(desk.accumulator.poll_expired(Instant(timeout + 6)).is_none());
    let expired: Vec<_> = std::iter::from_fn(|| desk.accumulator.poll_expired(Instant(timeout + 8))).collect();
    assert_eq!(expired.into_iter().map(|batch| desk.take(batch)).collect::<Vec<_>>(), [202, 301]);
}

#[test]
fn the_sticky_count_begins_anew_with_every_switch() {
    let mut desk = desk(true);
    let switched: Vec<bool> = (0..12)
        .map(|_| {
            if desk.offer(0).is_some() {
                desk.back(false);
            }
            desk.accumulator.poll_sticky_switch()
        })
        .collect();
    assert!(switched.iter().filter(|switched| **switched).count() >= 1, "{switched:?}");
    assert!(!switched[0] && !switched[1], "not before a batch is full: {switched:?}");
}
