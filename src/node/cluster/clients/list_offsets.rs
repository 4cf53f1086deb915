//! Offsets by name or by time.
//!
//! A new leader may not know yet how far its predecessor let clients see: until its high watermark has reached the start of its epoch, it
//! tells nobody where the log ends (OFFSET_NOT_AVAILABLE), so that the end never goes back in a client's eyes.

use super::partition::{ClientPartition, ClientPartitions, LeaderView};
use super::produce::where_instead;
use crate::config::IsolationLevel;
use crate::error::{Error, ErrorCode, Result};
use crate::types::{Offset, Timestamp};
use crate::wire::{
    ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse, ListedOffset,
    OffsetSpec,
};

pub(super) fn list_offsets(request: &ListOffsetsRequest, partitions: &dyn ClientPartitions) -> ListOffsetsResponse {
    let answer = |asked: &ListOffsetsPartition| {
        let found = partitions.find(&asked.partition).and_then(|log| look_up(&*log, asked, request.isolation));
        let current_leader = where_instead(partitions, &asked.partition, found.as_ref().err());
        ListOffsetsPartitionResponse { partition: asked.partition.clone(), found, current_leader }
    };
    ListOffsetsResponse { partitions: request.partitions.iter().map(answer).collect() }
}

fn look_up(
    log: &dyn ClientPartition,
    asked: &ListOffsetsPartition,
    isolation: IsolationLevel,
) -> Result<Option<ListedOffset>> {
    // Before the log is searched: what is found below this end was below it then.
    let view = log.view(asked.current_leader_epoch)?;
    let end = match isolation {
        IsolationLevel::ReadUncommitted => view.high_watermark,
        IsolationLevel::ReadCommitted => view.last_stable_offset,
    };
    let found = match asked.spec {
        OffsetSpec::Earliest => {
            let leader_epoch = log.epoch_of(view.log_start);
            return Ok(Some(ListedOffset { offset: view.log_start, timestamp: None, leader_epoch }));
        }
        OffsetSpec::Latest => {
            check_end(&view, asked)?;
            let leader_epoch = Some(view.leader_epoch);
            return Ok(Some(ListedOffset { offset: end, timestamp: None, leader_epoch }));
        }
        OffsetSpec::MaxTimestamp => log.offset_of_max_timestamp()?,
        OffsetSpec::Timestamp(at) => log.offset_for_timestamp(at)?,
    };
    let listed = |(offset, timestamp): (Offset, Timestamp)| ListedOffset {
        offset,
        timestamp: Some(timestamp),
        leader_epoch: log.epoch_of(offset),
    };
    match found.filter(|(offset, _)| *offset < end) {
        Some(found) => Ok(Some(listed(found))),
        // "None that late" speaks of the end, too.
        None => check_end(&view, asked).map(|()| None),
    }
}

/// Whether the end of what clients may see is known.
fn check_end(view: &LeaderView, asked: &ListOffsetsPartition) -> Result<()> {
    let LeaderView { high_watermark, epoch_start, leader_epoch, .. } = view;
    if high_watermark >= epoch_start {
        return Ok(());
    }
    let text = format!(
        "{}: high watermark {high_watermark} has not reached {epoch_start}, where epoch {} begins; ask again",
        asked.partition, leader_epoch.0
    );
    Err(Error::new(ErrorCode::OFFSET_NOT_AVAILABLE, text))
}
