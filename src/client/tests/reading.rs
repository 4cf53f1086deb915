use super::fake::{leads, logs, metadata, Sent, World, ONE, TWO};
use crate::client::{ReaderSettings, RemoteEnds, RemoteReader};
use crate::config::IsolationLevel::{self, ReadCommitted, ReadUncommitted};
use crate::error::{Error, ErrorCode};
use crate::record::control::{end_txn_marker, TxnResult};
use crate::record::{BatchBuilder, RecordRef, SealedBatch};
use crate::types::{Codec, LeaderEpoch, Offset, ProducerStamp, Timestamp};
use crate::wire::{
    AbortedTransaction, ConsumerFetchPartitionResponse, ConsumerFetchResponse, CurrentLeader, Request, Response,
};
use bytes::Bytes;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::Arc;
use std::time::Duration;

/// A batch with this many records from there on, perhaps of a transaction.
pub(super) fn batch(base: u64, records: u32, producer: Option<i64>) -> Vec<u8> {
    let mut builder = BatchBuilder::new(Codec::None, None);
    for _ in 0..records {
        builder.append(RecordRef { key: None, value: Some(b"v"), headers: &[] }, 1).unwrap();
    }
    let stamp = producer.map(|id| ProducerStamp { id, epoch: 0, base_sequence: Some(0) });
    stamped(builder.seal(stamp, producer.is_some()).unwrap(), base)
}

fn stamped(mut batch: SealedBatch, base: u64) -> Vec<u8> {
    batch.stamp(Offset(base), LeaderEpoch(1));
    batch.into_bytes().to_vec()
}

/// A reader, its world, and how often it was told something.
struct Reading {
    world: World,
    reader: Arc<RemoteReader>,
    told: Arc<AtomicU32>,
}

fn reading() -> Reading {
    let (world, told) = (World::knowing(), Arc::new(AtomicU32::new(0)));
    let count = Arc::clone(&told);
    let settings = ReaderSettings { wait_max: Duration::from_millis(500), bytes_min: 1, bytes_max: 1_000 };
    let listener = Arc::new(move || {
        count.fetch_add(1, Ordering::Relaxed);
    });
    let reader = RemoteReader::new(Arc::clone(&world.client), logs(), settings, listener);
    Reading { world, reader, told }
}

pub(super) fn fetched(
    records: Result<Vec<u8>, Error>,
    end: u64,
    aborted_transactions: Vec<AbortedTransaction>,
    current_leader: Option<CurrentLeader>,
) -> Response {
    let answer = ConsumerFetchPartitionResponse {
        partition: logs(),
        records: records.map(Bytes::from),
        high_watermark: Offset(end),
        last_stable_offset: Offset(end),
        log_start: Offset(0),
        aborted_transactions,
        current_leader,
    };
    Response::ConsumerFetch(ConsumerFetchResponse { partitions: vec![answer] })
}

impl Reading {
    fn read(&self, from: u64) -> Option<usize> {
        self.reader.read(Offset(from), ReadUncommitted).unwrap().map(|found| found.batches.len())
    }

    fn nothing(&self, from: u64) -> ErrorCode {
        self.reader.read(Offset(from), ReadUncommitted).unwrap_err().code()
    }

    /// The fetch that was sent, for this offset.
    fn fetch(&self, from: u64) -> Sent {
        let sent = self.world.only_sent();
        let Request::ConsumerFetch(request) = &sent.request else { panic!("{sent:?}") };
        assert_eq!(request.partitions[0].fetch_offset, Offset(from));
        sent
    }

    fn is_quiet(&self) -> bool {
        self.world.network.take_all().is_empty()
    }

    fn told(&self) -> u32 {
        self.told.swap(0, Ordering::Relaxed)
    }
}

#[test]
fn a_fetch_waits_at_the_leader_and_the_next_one_begins_when_its_answer_is_taken() {
    let reading = reading();
    assert_eq!((reading.read(0), reading.reader.ends(), reading.reader.partition()), (None, None, &logs()));
    let sent = reading.fetch(0);
    let Request::ConsumerFetch(request) = &sent.request else { panic!() };
    assert_eq!((sent.to, request.wait_max_ms, request.bytes_min, request.isolation), (ONE, 500, 1, ReadUncommitted));
    assert_eq!(request.partitions[0].current_leader_epoch, Some(LeaderEpoch(1)));
    assert_eq!(reading.read(0), None);
    assert!(reading.is_quiet(), "one at a time");
    let batches = [batch(0, 2, None), batch(2, 3, None)].concat();
    let bytes = batches.len();
    reading.world.answer(&sent, fetched(Ok(batches), 9, vec![], None));
    assert_eq!(reading.told(), 1);
    let ends = RemoteEnds { log_start: Offset(0), last_stable_offset: Offset(9), high_watermark: Offset(9) };
    assert_eq!(reading.reader.ends(), Some(ends));
    assert!(reading.is_quiet(), "as long as nobody has taken it");
    assert_eq!(reading.read(0), Some(bytes));
    let sent = reading.fetch(5);
    assert_eq!(reading.read(5), None);
    // Nothing new: asked again, and nobody is told.
    reading.world.pass(500);
    reading.world.answer(&sent, fetched(Ok(vec![]), 9, vec![], None));
    let sent = reading.fetch(5);
    assert_eq!(reading.told(), 0);
    // Nothing new at once: not asked again at once.
    reading.world.answer(&sent, fetched(Ok(vec![]), 10, vec![], None));
    assert!(reading.told() == 1 && reading.is_quiet());
    reading.world.pass(100);
    reading.fetch(5);
}

#[test]
fn a_leader_that_moved_or_was_lost_is_found_again_without_the_reader() {
    let reading = reading();
    reading.read(0);
    let refusal = Err(Error::new(ErrorCode::NOT_LEADER_OR_FOLLOWER, "no"));
    reading.world.answer(&reading.fetch(0), fetched(refusal, 0, vec![], Some(leads(TWO, 2))));
    assert_eq!(reading.read(0), None);
    reading.world.pass(100);
    assert_eq!(reading.fetch(0).to, TWO);
    reading.world.client.handle_peer_state(TWO, false);
    reading.world.pass(99);
    assert!(reading.is_quiet());
    // Whatever is new in the view ends the pause.
    reading.world.client.view().replace(metadata(11, None, 3));
    assert!(reading.is_quiet());
    reading.world.client.view().replace(metadata(12, Some(ONE), 4));
    assert_eq!(reading.fetch(0).to, ONE);
    assert_eq!((reading.read(0), reading.told()), (None, 0));
}

#[test]
fn a_leader_that_fell_silent_is_not_waited_for_when_another_one_leads() {
    let reading = reading();
    reading.read(0);
    let silent = reading.fetch(0);
    assert_eq!(silent.to, ONE);
    reading.world.client.view().replace(metadata(11, Some(TWO), 2));
    let sent = reading.fetch(0);
    assert_eq!(sent.to, TWO);
    reading.world.client.view().replace(metadata(12, Some(TWO), 2));
    assert!(reading.is_quiet(), "it is asked already");
    reading.world.answer(&silent, fetched(Ok(batch(0, 1, None)), 9, vec![], None));
    assert_eq!((reading.told(), reading.read(0)), (0, None), "what it says now counts no more");
    reading.world.answer(&sent, fetched(Ok(batch(0, 2, None)), 9, vec![], None));
    assert!(reading.told() == 1 && reading.read(0).is_some());
}

#[test]
fn what_does_not_pass_is_for_the_reader_once_and_the_next_read_asks_again() {
    let reading = reading();
    reading.read(7);
    let outside = Err(Error::new(ErrorCode::OFFSET_OUT_OF_RANGE, "no"));
    reading.world.answer(&reading.fetch(7), fetched(outside, 3, vec![], None));
    assert_eq!((reading.told(), reading.nothing(7)), (1, ErrorCode::OFFSET_OUT_OF_RANGE));
    assert!(reading.is_quiet());
    assert_eq!(reading.read(7), None);
    reading.fetch(7);
}

#[test]
fn a_topic_that_is_gone_is_an_error_after_a_while() {
    let reading = reading();
    let mut without = metadata(11, None, 0);
    without.topics.clear();
    reading.world.client.view().replace(without);
    assert_eq!(reading.read(0), None);
    for ms in [100, 200, 400] {
        reading.world.pass(ms);
    }
    assert_eq!((reading.told(), reading.nothing(0)), (1, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
}

#[test]
fn an_answer_for_a_position_that_is_not_wanted_any_more_is_dropped() {
    let reading = reading();
    reading.read(0);
    let before = reading.fetch(0);
    assert_eq!(reading.read(4), None);
    let sent = reading.fetch(4);
    reading.world.answer(&before, fetched(Ok(batch(0, 2, None)), 9, vec![], None));
    assert_eq!((reading.told(), reading.read(4)), (0, None));
    let batches = batch(4, 1, None);
    let bytes = batches.len();
    reading.world.answer(&sent, fetched(Ok(batches), 9, vec![], None));
    // Also with another isolation: what was found is of no use.
    assert_eq!(reading.reader.read(Offset(4), ReadCommitted).unwrap(), None);
    reading.fetch(4);
    assert_eq!(reading.read(4), None);
    reading.world.answer(&reading.fetch(4), fetched(Ok(batch(4, 1, None)), 9, vec![], None));
    assert_eq!(reading.read(4), Some(bytes));
}

#[test]
fn an_aborted_transaction_ends_at_its_producers_next_abort_marker() {
    let reading = reading();
    let read = |from| reading.reader.read(Offset(from), IsolationLevel::ReadCommitted).unwrap();
    assert_eq!(read(0), None);
    let marker = |base, producer, result| stamped(end_txn_marker(producer, 0, result, 0, Timestamp(1)), base);
    let batches = [
        batch(0, 1, Some(7)),
        batch(1, 1, Some(8)),
        marker(2, 8, TxnResult::Commit),
        marker(3, 7, TxnResult::Abort),
        batch(4, 1, Some(7)),
        batch(5, 1, Some(8)),
        marker(6, 8, TxnResult::Abort),
    ];
    let aborted = [(7, 0), (7, 4), (8, 5)];
    let named = aborted.map(|(producer_id, first)| AbortedTransaction { producer_id, first_offset: Offset(first) });
    reading.world.answer(&reading.fetch(0), fetched(Ok(batches.concat()), 7, named.to_vec(), None));
    let found = read(0).unwrap();
    let ranges: Vec<_> = found.aborted.iter().map(|txn| (txn.producer_id, txn.first_offset, txn.last_offset)).collect();
    let expected = [(7, Offset(0), Offset(3)), (7, Offset(4), Offset::MAX), (8, Offset(5), Offset(6))];
    assert_eq!(ranges, expected);
    reading.fetch(7);
}

#[test]
fn a_reader_that_is_gone_is_not_missed() {
    let reading = reading();
    reading.read(0);
    let sent = reading.fetch(0);
    drop(reading.reader);
    reading.world.answer(&sent, fetched(Ok(vec![]), 9, vec![], None));
    reading.world.pass(10_000);
    assert!(reading.world.network.take_all().is_empty());
    assert_eq!(reading.world.client.calls().count(), 0);
}
