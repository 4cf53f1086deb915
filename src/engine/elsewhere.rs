//! What producers are told of batches that a leader elsewhere has taken.

use crate::client::ClientProduced;
use crate::producer::Appended;
use crate::types::LeaderEpoch;
use bytes::Bytes;

/// Of one encoded batch.
pub(super) fn records_in(batch: &Bytes) -> u64 {
    let mut walk = crate::record::batches(batch);
    walk.by_ref().map_while(Result::ok).map(|(_, view)| u64::from(view.header().record_count.unsigned_abs())).sum()
}

pub(super) fn placed(produced: ClientProduced, records: u64, leader_epoch: LeaderEpoch) -> Appended {
    let base_offset = produced.base_offset.unwrap_or_default();
    Appended {
        base_offset,
        last_offset: base_offset.plus(records.saturating_sub(1)),
        log_append_time: produced.log_append_time,
        rung: produced.rung,
        leader_epoch,
    }
}
