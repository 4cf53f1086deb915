//! Which records of a fetched range do not count. A leader names the aborted transactions by producer and first offset; where each ends is
//! in the range itself: at the producer's next abort marker.

use crate::record::control::ControlType;
use crate::record::{batches, BatchView, Inflater};
use crate::storage::AbortedTxn;
use crate::types::Offset;
use crate::wire::AbortedTransaction;

/// A marker is a few bytes; whoever compresses one may not let it unfold to more.
const MARKER_BYTES_MAX: usize = 4 * 1024;

/// What was fetched: where it ends, and the transactions in it that were aborted.
#[derive(Debug, Default)]
pub(super) struct Walked {
    /// Behind the last whole batch; `None` when there is none.
    pub end: Option<Offset>,
    pub aborted: Vec<AbortedTxn>,
}

/// Reads the headers of `records`. A transaction whose marker lies behind them does not end in them.
pub(super) fn walk(records: &[u8], aborted: &[AbortedTransaction]) -> Walked {
    let mut walked = Walked::default();
    let mut open: Vec<AbortedTransaction> = aborted.to_vec();
    // The consumer checks the batches and says what is wrong with them; here the ones before count.
    for (_, batch) in batches(records).map_while(Result::ok) {
        walked.end = Some(batch.header().end_offset());
        let Some(producer) = batch.header().producer.filter(|_| !open.is_empty() && is_abort(&batch)) else { continue };
        let marker = batch.header().base_offset;
        let is_ended = |txn: &AbortedTransaction| txn.producer_id == producer.id && txn.first_offset <= marker;
        walked.aborted.extend(open.iter().filter(|txn| is_ended(txn)).map(|txn| ended(txn, marker)));
        open.retain(|txn| !is_ended(txn));
    }
    walked.aborted.extend(open.iter().map(|txn| ended(txn, Offset::MAX)));
    walked.aborted.sort_by_key(|txn| txn.first_offset);
    walked
}

fn ended(txn: &AbortedTransaction, marker: Offset) -> AbortedTxn {
    AbortedTxn {
        producer_id: txn.producer_id,
        first_offset: txn.first_offset,
        last_offset: marker,
        // Nobody said; it is not before the marker.
        last_stable_offset: marker,
    }
}

fn is_abort(batch: &BatchView<'_>) -> bool {
    if !batch.header().is_control() {
        return false;
    }
    let mut inflate = Inflater::new(MARKER_BYTES_MAX);
    let Ok(mut records) = batch.records(&mut inflate) else { return false };
    let key = records.next().and_then(Result::ok).and_then(|record| record.key);
    key.is_some_and(|key| matches!(ControlType::parse(key), Ok(ControlType::Abort)))
}
