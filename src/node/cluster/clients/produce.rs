//! A client's batches: appended at once, acknowledged when they are where the client wants them.

use super::partition::{Admitted, ClientPartition, ClientPartitions};
use super::purgatory::Operation;
use crate::error::{Error, ErrorCode, Result};
use crate::replication::AckVerdict;
use crate::types::{Acks, LeaderEpoch, Offset, Rung, TopicPartition};
use crate::wire::{
    CurrentLeader, ProducePartition, ProducePartitionResponse, ProduceRequest, ProduceResponse, Produced, Response,
};
use std::sync::Arc;

pub(super) struct Produce {
    partitions: Arc<dyn ClientPartitions>,
    shares: Vec<Share>,
}

/// One partition's share of a request.
struct Share {
    partition: TopicPartition,
    stage: Stage,
}

enum Stage {
    /// With `acks=all`: for the in-sync replicas.
    Waiting {
        log: Arc<dyn ClientPartition>,
        produced: Produced,
        admitted: LeaderEpoch,
        end: Offset,
    },
    Over(Result<Produced>),
}

impl Produce {
    /// Appends everything, then flushes what has to be flushed: while the leader does that, its followers have the records already.
    pub fn begin(request: ProduceRequest, partitions: Arc<dyn ClientPartitions>) -> Produce {
        let acks = request.acks;
        let append = |share: ProducePartition| {
            let appended = partitions.find(&share.partition).and_then(|log| {
                let admitted = log.append_raw_all(&share.batches, share.current_leader_epoch, acks)?;
                Ok((admitted, log))
            });
            (share.partition, appended)
        };
        let appended: Vec<_> = request.partitions.into_iter().map(append).collect();
        let shares = appended.into_iter().map(|(partition, appended)| Share {
            partition,
            stage: match appended {
                Ok((admitted, log)) => settle(log, admitted, acks),
                Err(error) => Stage::Over(Err(error)),
            },
        });
        let shares = shares.collect();
        Produce { partitions, shares }
    }

    fn answer(&mut self) -> Response {
        let partitions = self.shares.drain(..).map(|share| {
            let result = match share.stage {
                Stage::Over(result) => result,
                Stage::Waiting { end, .. } => {
                    let text =
                        format!("{} is written up to {end}, and not yet on all in-sync replicas", share.partition);
                    Err(Error::new(ErrorCode::REQUEST_TIMED_OUT, text))
                }
            };
            let current_leader = where_instead(&*self.partitions, &share.partition, result.as_ref().err());
            ProducePartitionResponse { partition: share.partition, result, current_leader }
        });
        let partitions = partitions.collect();
        Response::Produce(ProduceResponse { partitions })
    }
}

impl Operation for Produce {
    fn partitions(&self) -> Vec<TopicPartition> {
        let waiting = self.shares.iter().filter(|share| matches!(share.stage, Stage::Waiting { .. }));
        waiting.map(|share| share.partition.clone()).collect()
    }

    fn look(&mut self) -> Option<Response> {
        let mut waits = false;
        for share in &mut self.shares {
            share.stage.look(&share.partition);
            waits |= matches!(share.stage, Stage::Waiting { .. });
        }
        (!waits).then(|| self.answer())
    }

    fn expire(&mut self) -> Response {
        self.answer()
    }
}

impl Stage {
    fn look(&mut self, partition: &TopicPartition) {
        let Stage::Waiting { log, produced, admitted, end } = self else { return };
        let code = match log.judge_ack(*admitted, *end) {
            Ok(AckVerdict::Wait) => return,
            Ok(AckVerdict::Done) => {
                *self = Stage::Over(Ok(Produced { rung: Rung::Replicated, ..*produced }));
                return;
            }
            Ok(AckVerdict::NotEnoughReplicasAfterAppend) => ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND,
            Ok(AckVerdict::NotLeader) => ErrorCode::NOT_LEADER_OR_FOLLOWER,
            Err(error) => {
                *self = Stage::Over(Err(error));
                return;
            }
        };
        let text = format!("{partition}, records below {end}, taken in epoch {}: {}", admitted.0, code.text());
        *self = Stage::Over(Err(Error::new(code, text)));
    }
}

/// Waits for the disk if it must, on this thread.
fn settle(log: Arc<dyn ClientPartition>, admitted: Admitted, acks: Acks) -> Stage {
    let Admitted { base_offset, last_offset, log_append_time, leader_epoch, .. } = admitted;
    let (mut rung, end) = (admitted.rung, last_offset.next());
    if acks != Acks::None && log.must_flush_before_ack() && rung < Rung::Flushed {
        match log.flush_up_to(end) {
            Ok(reached) => rung = reached,
            Err(error) => return Stage::Over(Err(error)),
        }
    }
    let produced = Produced { base_offset, log_append_time, rung };
    match acks {
        Acks::None | Acks::Leader => Stage::Over(Ok(produced)),
        Acks::All => Stage::Waiting { log, produced, admitted: leader_epoch, end },
    }
}

/// Where the client should have gone, if that is what went wrong.
pub(super) fn where_instead(
    partitions: &dyn ClientPartitions,
    partition: &TopicPartition,
    error: Option<&Error>,
) -> Option<CurrentLeader> {
    let code = error?.code();
    let is_elsewhere = code == ErrorCode::NOT_LEADER_OR_FOLLOWER || code == ErrorCode::FENCED_LEADER_EPOCH;
    if is_elsewhere {
        partitions.current_leader(partition)
    } else {
        None
    }
}
