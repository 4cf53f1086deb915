//! Where a partition of somebody else's begins and ends, and moving its beginning.

use super::errand::{not_an_answer, Errand, Judged, Target};
use super::promise::{Done, Promise};
use super::Client;
use crate::config::IsolationLevel;
use crate::error::Result;
use crate::time::Instant;
use crate::types::{Offset, TopicPartition};
use crate::wire::{
    CurrentLeader, DeleteRecordsPartition, DeleteRecordsRequest, ListOffsetsPartition, ListOffsetsRequest,
    ListedOffset, OffsetSpec, Request, Response,
};

impl Client {
    /// Looks up an offset at the partition's leader; `None`: no record is as late as that. Tried again until `deadline`, also while the leader
    /// does not know yet what is committed (OFFSET_NOT_AVAILABLE).
    pub fn list_offsets(
        &self,
        partition: &TopicPartition,
        spec: OffsetSpec,
        isolation: IsolationLevel,
        deadline: Instant,
        done: Done<Option<ListedOffset>>,
    ) {
        let (asked, meant) = (partition.clone(), partition.clone());
        self.run(Errand {
            target: Target::Leader(partition.clone()),
            deadline,
            attempts: 0,
            ask: Box::new(move |current_leader_epoch, _| {
                let partition = asked.clone();
                let partitions = vec![ListOffsetsPartition { partition, current_leader_epoch, spec }];
                Request::ListOffsets(ListOffsetsRequest { isolation, partitions })
            }),
            judge: Box::new(move |response| match response {
                Response::ListOffsets(mut answer) if answer.partitions.len() == 1 => {
                    let answer = answer.partitions.pop().filter(|answer| answer.partition == meant);
                    judged(answer.map(|answer| (answer.found, answer.current_leader)))
                }
                _ => judged(None),
            }),
            promise: Promise::new(done),
        });
    }

    /// Deletes the records below `before`, or all that are replicated; answers the least log start of the replicas that are alive. Asking
    /// twice does no harm, so it is tried again until `deadline`.
    pub fn delete_records(
        &self,
        partition: &TopicPartition,
        before: Option<Offset>,
        deadline: Instant,
        done: Done<Offset>,
    ) {
        let (asked, meant) = (partition.clone(), partition.clone());
        self.run(Errand {
            target: Target::Leader(partition.clone()),
            deadline,
            attempts: 0,
            ask: Box::new(move |_, timeout_ms| {
                let partitions = vec![DeleteRecordsPartition { partition: asked.clone(), before }];
                Request::DeleteRecords(DeleteRecordsRequest { timeout_ms, partitions })
            }),
            judge: Box::new(move |response| match response {
                Response::DeleteRecords(mut answer) if answer.partitions.len() == 1 => {
                    let answer = answer.partitions.pop().filter(|answer| answer.partition == meant);
                    judged(answer.map(|answer| (answer.low_watermark, answer.current_leader)))
                }
                _ => judged(None),
            }),
            promise: Promise::new(done),
        });
    }
}

fn judged<T>(answer: Option<(Result<T>, Option<CurrentLeader>)>) -> Judged<T> {
    let (outcome, current_leader) = answer.unwrap_or_else(|| (Err(not_an_answer("a question about offsets")), None));
    Judged { outcome, current_leader, controller: None }
}
