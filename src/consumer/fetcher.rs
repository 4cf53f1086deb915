//! One partition's share of a consumer: where it stands, what it holds, what it hands out. Reads no log and knows no time.
//!
//! ```text
//!            position
//!               v
//!   ..handed out| open batch: the rest of it | held: whole batches, not looked at yet | to be asked for..
//! ```

use super::open_batch::{Checker, OpenBatch};
use super::records::{FetchedBatch, Slice};
use crate::error::{Error, ErrorCode, Result};
use crate::record::{batches, BatchHeader};
use crate::storage::AbortedTxn;
use crate::types::{Offset, TopicPartition};
use bytes::Bytes;
use std::sync::atomic::{AtomicU32, Ordering};

/// How many fetchers began to read somewhere.
static GENERATIONS: AtomicU32 = AtomicU32::new(0);

/// See the picture above.
#[derive(Debug)]
pub(super) struct Fetcher {
    id: TopicPartition,
    position: Offset,
    /// The position was once inside the log. If it is not any more at the upper end, the log was cut.
    proven: bool,
    open: Option<OpenBatch>,
    held: Bytes,
    aborted: Vec<AbortedTxn>,
    /// Raised at this position until a seek.
    failed: Option<Error>,
    /// Different after each seek and each assignment, so that news of records that were read before is told apart.
    generation: u32,
}

impl Fetcher {
    pub fn new(id: TopicPartition, position: Offset, proven: bool) -> Fetcher {
        Fetcher {
            id,
            position,
            proven,
            open: None,
            held: Bytes::new(),
            aborted: Vec::new(),
            failed: None,
            generation: GENERATIONS.fetch_add(1, Ordering::Relaxed),
        }
    }

    pub fn id(&self) -> &TopicPartition {
        &self.id
    }

    /// The offset of the next record to hand out.
    pub fn position(&self) -> Offset {
        self.position
    }

    pub fn is_proven(&self) -> bool {
        self.proven
    }

    pub fn failed(&self) -> Option<&Error> {
        self.failed.as_ref()
    }

    /// Whether the next records have to be read first.
    pub fn is_drained(&self) -> bool {
        self.open.is_none() && self.held.is_empty()
    }

    pub fn seek(&mut self, to: Offset, proven: bool) {
        *self = Fetcher::new(self.id.clone(), to, proven);
    }

    /// A record that was handed out turned out not to parse: back to it, and there the error is raised.
    pub fn handle_fault(&mut self, generation: u32, at: Offset, error: Error) {
        if generation == self.generation {
            self.seek(at, true);
            self.failed = Some(error);
        }
    }

    /// Reading at the position failed in a way that only a seek can mend.
    pub fn fail(&mut self, error: Error) {
        self.failed = Some(error);
    }

    /// Whole batches, the first of which holds the position. `aborted` are the transactions to leave out, by first offset.
    pub fn handle_fetched(&mut self, batches: Bytes, aborted: Vec<AbortedTxn>) {
        debug_assert!(self.is_drained());
        self.proven = true;
        self.held = batches;
        self.aborted = aborted;
    }

    /// Moves up to `room` records into `out` and the position behind them. Says how many bytes they pin. What cannot be read
    /// ends it; the failure is then found in [`failed`](Fetcher::failed).
    pub fn take(&mut self, mut room: u32, checker: &mut Checker, out: &mut Vec<FetchedBatch>) -> Taken {
        let mut taken = Taken::default();
        while room > 0 && self.failed.is_none() && (self.open.is_some() || self.open_next(checker)) {
            if let Some(batch) = self.take_from_open(room, checker) {
                room -= batch.len() as u32;
                taken.records += batch.len() as u32;
                taken.bytes += batch.pinned_bytes() as u64;
                out.push(batch);
            }
        }
        taken
    }

    fn take_from_open(&mut self, room: u32, checker: &Checker) -> Option<FetchedBatch> {
        let open = self.open.as_mut()?;
        // What lies below the position is only known record by record; so is where a batch is to be cut in two.
        let is_whole = open.left <= room && (open.at > 0 || open.header.base_offset >= self.position);
        let walked =
            if is_whole && checker.checks_crcs { Ok(open.rest(self.position)) } else { open.walk(self.position, room) };
        let walked = match walked {
            Ok(walked) => walked,
            Err(error) => {
                let (id, at, end) = (&self.id, self.position, open.end());
                self.failed = Some(error.within(format_args!("{id} at offset {at} (seek to {end} to go past)")));
                return None;
            }
        };
        let slice = Slice { generation: self.generation, ..walked.slice };
        self.position = slice.next_offset;
        (open.at, open.left) = (walked.at, walked.left);
        let (header, payload) = (open.header, open.payload.clone());
        if walked.left == 0 {
            self.open = None;
        }
        (slice.count > 0).then(|| FetchedBatch::new(&self.id, header, payload, slice, checker.faults.clone()))
    }

    /// Opens the next held batch that has anything to hand out. False when there is none.
    fn open_next(&mut self, checker: &mut Checker) -> bool {
        while !self.held.is_empty() {
            match self.next_header() {
                Ok(header) => {
                    let bytes = self.held.split_to(header.batch_bytes as usize);
                    if header.end_offset() <= self.position {
                        continue;
                    }
                    match self.open_batch(header, &bytes, checker) {
                        Ok(Some(open)) => {
                            self.open = Some(open);
                            return true;
                        }
                        // Control records and aborted ones are nobody's: the position goes over them.
                        Ok(None) => self.position = header.end_offset(),
                        Err(error) => return self.stop_at(&header, error),
                    }
                }
                Err(error) => {
                    self.held = Bytes::new();
                    self.failed = Some(error.within(format_args!("{} at offset {}", self.id, self.position)));
                    return false;
                }
            }
        }
        false
    }

    fn next_header(&self) -> Result<BatchHeader> {
        match batches(&self.held).next() {
            Some(found) => found.map(|(_, batch)| *batch.header()),
            None => {
                Err(Error::new(ErrorCode::CORRUPT_MESSAGE, format!("{} bytes are no whole batch", self.held.len())))
            }
        }
    }

    fn stop_at(&mut self, header: &BatchHeader, error: Error) -> bool {
        let (first, last, end) = (header.base_offset, header.last_offset(), header.end_offset());
        let id = &self.id;
        self.failed = Some(error.within(format_args!("{id}, batch {first}..={last} (seek to {end} to go past)")));
        false
    }

    /// `None`: there is nothing in it for anybody.
    fn open_batch(&self, header: BatchHeader, bytes: &Bytes, checker: &mut Checker) -> Result<Option<OpenBatch>> {
        if checker.checks_crcs {
            header.verify(bytes)?;
        }
        if header.is_control() || header.record_count == 0 || self.is_aborted(&header) {
            return Ok(None);
        }
        OpenBatch::open(header, bytes, &mut checker.inflate).map(Some)
    }

    fn is_aborted(&self, header: &BatchHeader) -> bool {
        let Some(producer) = header.producer.filter(|_| header.is_transactional()) else { return false };
        self.aborted.iter().any(|txn| {
            txn.producer_id == producer.id
                && txn.first_offset <= header.base_offset
                && header.base_offset < txn.last_offset
        })
    }
}

/// What [`Fetcher::take`] moved.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Taken {
    pub records: u32,
    pub bytes: u64,
}

#[cfg(test)]
mod tests {
    use super::super::faults::Faults;
    use super::*;
    use crate::record::{BatchBuilder, Inflater, RecordRef, BATCH_HEADER_BYTES};
    use crate::types::{Codec, LeaderEpoch};
    use std::sync::Arc;

    const CHECKER: fn() -> Checker = || Checker { checks_crcs: true, inflate: Inflater::new(1 << 20), faults: None };

    fn batch(base: u64, values: &[&str], codec: Codec) -> Vec<u8> {
        let mut builder = BatchBuilder::new(codec, None);
        for value in values {
            let record = RecordRef { key: None, value: Some(value.as_bytes()), headers: &[] };
            builder.append(record, 1000).unwrap();
        }
        let mut sealed = builder.seal(None, false).unwrap();
        sealed.stamp(Offset(base), LeaderEpoch(3));
        sealed.into_bytes()
    }

    fn fetcher(position: u64, batches: &[Vec<u8>]) -> Fetcher {
        let mut fetcher = Fetcher::new(TopicPartition::new("t", 0), Offset(position), false);
        fetcher.handle_fetched(Bytes::from(batches.concat()), Vec::new());
        fetcher
    }

    fn take(fetcher: &mut Fetcher, room: u32) -> Vec<(u64, String)> {
        let mut out = Vec::new();
        let taken = fetcher.take(room, &mut CHECKER(), &mut out);
        let records: Vec<(u64, String)> = out
            .iter()
            .flat_map(FetchedBatch::iter)
            .map(|r| (r.offset.0, String::from_utf8(r.value.unwrap().to_vec()).unwrap()))
            .collect();
        assert_eq!(taken.records as usize, records.len());
        if let Some(last) = out.last() {
            assert_eq!(last.next_offset(), fetcher.position());
        }
        records
    }

    #[test]
    fn records_below_the_position_are_dropped_and_a_batch_may_be_handed_out_in_pieces() {
        for codec in [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
            let mut fetcher = fetcher(11, &[batch(10, &["a", "b", "c", "d"], codec), batch(14, &["e"], codec)]);
            assert_eq!(take(&mut fetcher, 2), [(11, "b".into()), (12, "c".into())]);
            assert_eq!(fetcher.position(), Offset(13));
            assert_eq!(take(&mut fetcher, 1), [(13, "d".into())]);
            assert_eq!(take(&mut fetcher, 9), [(14, "e".into())]);
            assert!(fetcher.is_drained() && fetcher.failed().is_none());
        }
    }

    #[test]
    fn a_damaged_batch_stops_the_partition_at_its_first_offset_until_a_seek() {
        let mut bad = batch(12, &["c", "d"], Codec::None);
        let last = bad.len() - 3;
        bad[last] ^= 1;
        let mut fetcher = fetcher(10, &[batch(10, &["a", "b"], Codec::None), bad, batch(14, &["e"], Codec::None)]);
        assert_eq!(take(&mut fetcher, 9).len(), 2);
        assert_eq!(fetcher.position(), Offset(12));
        let error = fetcher.failed().unwrap().clone();
        assert_eq!(error.code(), ErrorCode::CORRUPT_MESSAGE);
        assert!(error.message().contains("batch 12..=13 (seek to 14 to go past)"), "{error}");
        assert_eq!(take(&mut fetcher, 9), []);
        fetcher.seek(Offset(14), false);
        assert!(fetcher.failed().is_none());
    }

    #[test]
    fn control_batches_are_passed_over_and_so_are_holes() {
        let marker = crate::record::control::end_txn_marker(
            7,
            0,
            crate::record::control::TxnResult::Commit,
            0,
            crate::types::Timestamp(5),
        );
        let mut marker = marker;
        marker.stamp(Offset(12), LeaderEpoch(0));
        let mut fetcher =
            fetcher(10, &[batch(10, &["a", "b"], Codec::None), marker.into_bytes(), batch(20, &["z"], Codec::None)]);
        assert_eq!(take(&mut fetcher, 2).len(), 2);
        assert_eq!(fetcher.position(), Offset(12));
        assert_eq!(take(&mut fetcher, 9), [(20, "z".into())]);
        assert_eq!(fetcher.position(), Offset(21));
    }

    #[test]
    fn records_of_aborted_transactions_are_left_out() {
        let stamp = crate::types::ProducerStamp { id: 7, epoch: 0, base_sequence: Some(0) };
        let mut builder = BatchBuilder::new(Codec::None, None);
        let record = RecordRef { key: None, value: Some(b"gone"), headers: &[] };
        builder.append(record, 1).unwrap();
        let mut aborted = builder.seal(Some(stamp), true).unwrap();
        aborted.stamp(Offset(10), LeaderEpoch(0));
        let mut fetcher = Fetcher::new(TopicPartition::new("t", 0), Offset(10), false);
        let txn = AbortedTxn {
            producer_id: 7,
            first_offset: Offset(10),
            last_offset: Offset(12),
            last_stable_offset: Offset(13),
        };
        let bytes = [aborted.into_bytes(), batch(11, &["kept"], Codec::None)].concat();
        fetcher.handle_fetched(Bytes::from(bytes), vec![txn]);
        assert_eq!(take(&mut fetcher, 9), [(11, "kept".into())]);
    }

    /// A batch whose checksum fits and whose second record does not parse.
    fn malformed(base: u64) -> Vec<u8> {
        let mut bytes = batch(base, &["a", "b", "c"], Codec::None);
        let record_bytes = (bytes.len() - BATCH_HEADER_BYTES) / 3;
        bytes[BATCH_HEADER_BYTES + record_bytes + 4] = 0x7c;
        let crc = crate::record::crc32c(&bytes[21..]);
        bytes[17..21].copy_from_slice(&crc.to_be_bytes());
        bytes
    }

    #[test]
    fn a_record_that_does_not_parse_ends_the_iteration_and_is_an_error_at_its_offset() {
        let waker = crate::consumer::Waker::new();
        let faults = Arc::new(Faults::new(waker.clone()));
        let mut checker = Checker { faults: Some(Arc::clone(&faults)), ..CHECKER() };
        for seeks in [false, true] {
            let mut fetcher = fetcher(10, &[malformed(10), batch(13, &["d"], Codec::None)]);
            let mut out = Vec::new();
            fetcher.take(99, &mut checker, &mut out);
            assert_eq!(fetcher.position(), Offset(14));
            let seen = waker.ticket();
            let offsets: Vec<u64> = out.iter().flat_map(FetchedBatch::iter).map(|r| r.offset.0).collect();
            assert_eq!(offsets, [10, 13]);
            assert!(out[0].damage().unwrap().message().contains("offset 11 (seek to 13 to go past)"));
            assert!(waker.wait(seen, std::time::Duration::ZERO));
            if seeks {
                fetcher.seek(Offset(13), true);
            }
            let fault = faults.take().pop().unwrap();
            fetcher.handle_fault(fault.generation, fault.at, fault.error);
            // Who has gone elsewhere meanwhile is not called back.
            assert_eq!(fetcher.position(), Offset(if seeks { 13 } else { 11 }));
            assert_eq!(fetcher.failed().is_some(), !seeks);
        }
        // Where records are walked in advance, the ones before are handed out and the bad one is met at once.
        let mut fetcher = fetcher(10, &[malformed(10)]);
        assert_eq!(take(&mut fetcher, 2), [(10, "a".into())]);
        assert_eq!(take(&mut fetcher, 2), []);
        assert_eq!((fetcher.position(), fetcher.failed().is_some()), (Offset(11), true));
    }

    #[test]
    fn no_flipped_bit_panics_and_none_goes_unnoticed_where_the_checksum_looks() {
        let good = [batch(10, &["a", "b"], Codec::None), batch(12, &["c"], Codec::Zstd)].concat();
        for at in 0..good.len() {
            for bit in [0x01, 0x80] {
                let mut bad = good.clone();
                bad[at] ^= bit;
                let mut fetcher = Fetcher::new(TopicPartition::new("t", 0), Offset(10), false);
                fetcher.handle_fetched(Bytes::from(bad), Vec::new());
                let mut out = Vec::new();
                fetcher.take(99, &mut CHECKER(), &mut out);
                let place = at % (good.len() / 2 + 1);
                assert!(fetcher.failed().is_some() || at < 16 || place < 100, "byte {at}");
                for record in out.iter().flat_map(FetchedBatch::iter) {
                    assert!(record.headers().count() as u32 <= record.header_count());
                }
            }
        }
    }
}
