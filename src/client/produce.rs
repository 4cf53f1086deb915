//! Record batches on their way to a leader elsewhere. One attempt: the producer knows whether and in which order to try again.

use super::calls::send_one_way;
use super::errand::{milliseconds, not_an_answer};
use super::promise::{Done, Promise};
use super::view::Leading;
use super::Client;
use crate::error::Result;
use crate::time::Instant;
use crate::types::{Acks, Offset, Rung, Timestamp, TopicPartition};
use crate::wire::{ProducePartition, ProducePartitionResponse, ProduceRequest, Request, Response};
use bytes::Bytes;

/// Where batches went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ClientProduced {
    /// Of the first record of the first batch; `None` with `acks=0`.
    pub base_offset: Option<Offset>,
    /// The leader's time, when the topic says LogAppendTime.
    pub log_append_time: Option<Timestamp>,
    /// How far they had climbed.
    pub rung: Rung,
}

impl Client {
    /// Sends encoded batches of one partition to its leader as far as is known, once. With `acks=0` `done` is called before this returns.
    ///
    /// Errors are the leader's, or those of [`Calls::call`](super::Calls::call), or LEADER_NOT_AVAILABLE and UNKNOWN_TOPIC_OR_PARTITION
    /// from what is known here. After one that says that somebody else leads, it is already being found out who: the same call has
    /// another chance after a while. With NETWORK_EXCEPTION and REQUEST_TIMED_OUT the batches may have been appended.
    pub fn produce(
        &self,
        partition: &TopicPartition,
        batches: Vec<Bytes>,
        acks: Acks,
        deadline: Instant,
        done: Done<ClientProduced>,
    ) {
        let leading = match self.view().leader(partition) {
            Ok(leading) => leading,
            Err(error) => {
                self.request_refresh();
                return done(Err(error));
            }
        };
        let now = self.clock().monotonic();
        let deadline = deadline.min(now + self.settings().request_timeout);
        let current_leader_epoch = Some(leading.leader.leader_epoch);
        let request = Request::Produce(ProduceRequest {
            acks,
            timeout_ms: milliseconds(now, deadline),
            partitions: vec![ProducePartition { partition: partition.clone(), current_leader_epoch, batches }],
        });
        if acks == Acks::None {
            let sent = send_one_way(self.transport(), leading.leader.node, request);
            if let Err(error) = &sent {
                self.heal(partition, leading, error, None);
            }
            let buffered = ClientProduced { base_offset: None, log_append_time: None, rung: Rung::Buffered };
            return done(sent.map(|()| buffered));
        }
        let (me, promise, partition) = (self.me(), Promise::new(done), partition.clone());
        self.call(leading.leader.node, request, deadline, move |outcome| {
            if let Some(client) = me.upgrade() {
                promise.keep(client.judge_produced(&partition, leading, outcome));
            }
        });
    }

    fn judge_produced(
        &self,
        partition: &TopicPartition,
        asked: Leading,
        outcome: Result<Response>,
    ) -> Result<ClientProduced> {
        let (result, current_leader) = match outcome.and_then(|response| only_produced(response, partition)) {
            Ok(answer) => (answer.result, answer.current_leader),
            Err(error) => (Err(error), None),
        };
        match result {
            Ok(produced) => Ok(ClientProduced {
                base_offset: Some(produced.base_offset),
                log_append_time: produced.log_append_time,
                rung: produced.rung,
            }),
            Err(error) => {
                self.heal(partition, asked, &error, current_leader);
                Err(error)
            }
        }
    }
}

/// The answer for the one partition that was asked for.
fn only_produced(response: Response, partition: &TopicPartition) -> Result<ProducePartitionResponse> {
    let answer = match response {
        Response::Produce(mut answer) if answer.partitions.len() == 1 => answer.partitions.pop(),
        _ => None,
    };
    answer.filter(|answer| answer.partition == *partition).ok_or_else(|| not_an_answer("a produce request"))
}
