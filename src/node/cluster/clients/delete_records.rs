//! DeleteRecords: the leader's log start moves at once; the answer waits until every replica that is alive has followed.

use super::partition::{ClientPartition, ClientPartitions};
use super::produce::where_instead;
use super::purgatory::Operation;
use crate::error::{Error, ErrorCode, Result};
use crate::types::{Offset, TopicPartition};
use crate::wire::{
    DeleteRecordsPartition, DeleteRecordsPartitionResponse, DeleteRecordsRequest, DeleteRecordsResponse, Response,
};
use std::sync::Arc;

pub(super) struct DeleteRecords {
    partitions: Arc<dyn ClientPartitions>,
    shares: Vec<(TopicPartition, Stage)>,
}

enum Stage {
    Waiting { log: Arc<dyn ClientPartition>, before: Offset },
    Over(Result<Offset>),
}

impl DeleteRecords {
    pub fn begin(request: &DeleteRecordsRequest, partitions: Arc<dyn ClientPartitions>) -> DeleteRecords {
        let delete = |asked: &DeleteRecordsPartition| {
            let deleted =
                partitions.find(&asked.partition).and_then(|log| Ok((log.delete_records(asked.before)?, log)));
            let stage = match deleted {
                Ok((before, log)) => Stage::Waiting { log, before },
                Err(error) => Stage::Over(Err(error)),
            };
            (asked.partition.clone(), stage)
        };
        let shares = request.partitions.iter().map(delete).collect();
        DeleteRecords { partitions, shares }
    }

    fn answer(&mut self) -> Response {
        let partitions = self.shares.drain(..).map(|(partition, stage)| {
            let low_watermark = match stage {
                Stage::Over(outcome) => outcome,
                Stage::Waiting { before, .. } => {
                    let text = format!("{partition} begins at {before} here, and not yet on every replica");
                    Err(Error::new(ErrorCode::REQUEST_TIMED_OUT, text))
                }
            };
            let current_leader = where_instead(&*self.partitions, &partition, low_watermark.as_ref().err());
            DeleteRecordsPartitionResponse { partition, low_watermark, current_leader }
        });
        let partitions = partitions.collect();
        Response::DeleteRecords(DeleteRecordsResponse { partitions })
    }
}

impl Operation for DeleteRecords {
    fn partitions(&self) -> Vec<TopicPartition> {
        let waiting = self.shares.iter().filter(|(_, stage)| matches!(stage, Stage::Waiting { .. }));
        waiting.map(|(partition, _)| partition.clone()).collect()
    }

    fn look(&mut self) -> Option<Response> {
        let mut waits = false;
        for (_, stage) in &mut self.shares {
            let Stage::Waiting { log, before } = stage else { continue };
            match log.low_watermark() {
                Ok(Some(low)) if low >= *before => *stage = Stage::Over(Ok(low)),
                Ok(_) => waits = true,
                Err(error) => *stage = Stage::Over(Err(error)),
            }
        }
        (!waits).then(|| self.answer())
    }

    fn expire(&mut self) -> Response {
        self.answer()
    }
}
