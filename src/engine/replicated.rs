//! Partitions of a cluster, as this node's producers see them: led here, or reached through the client.

use super::elsewhere::{placed, records_in};
use crate::client::{Client, ClientProduced};
use crate::error::{Error, ErrorCode, Result};
use crate::node::{Grouped, Member, Notify, Partition, Subscription, Topic};
use crate::producer::{Appended, HostPartition, HostTopic, Judgement, Seat, Submitted};
use crate::record::SealedBatch;
use crate::replication::AckVerdict;
use crate::time::Instant;
use crate::types::{Acks, LeaderEpoch, Offset, Rung};
use bytes::Bytes;
use parking_lot::Mutex;
use std::any::Any;
use std::sync::{Arc, Weak};

/// A topic of the cluster.
pub(super) struct ReplicatedTopic {
    pub topic: Arc<Topic>,
    pub member: Arc<Member>,
}

impl HostTopic for ReplicatedTopic {
    fn partition_count(&self) -> u32 {
        self.topic.partition_count()
    }

    fn partition(&self, partition: u32) -> Result<Arc<dyn HostPartition>> {
        match self.topic.partition(partition) {
            Some(found) => {
                let client = Arc::clone(self.member.client());
                let underway = Arc::new(Underway { partition: Arc::downgrade(&found), submitted: Mutex::default() });
                let told = found.subscribe(Arc::clone(&underway) as Arc<dyn Notify>);
                Ok(Arc::new(ReplicatedPartition { partition: found, client, underway, _told: told }))
            }
            None => {
                let (name, count) = (self.topic.name(), self.topic.partition_count());
                let text = format!("{name} has {count} partitions, there is no {partition}");
                Err(Error::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, text))
            }
        }
    }
}

/// One of its partitions.
struct ReplicatedPartition {
    partition: Arc<Partition>,
    client: Arc<Client>,
    underway: Arc<Underway>,
    _told: Subscription,
}

/// Who waits for one answer, until it came.
type Waiting = Arc<Mutex<Option<Submitted>>>;

/// What was handed to leaders elsewhere and has no answer yet.
struct Underway {
    partition: Weak<Partition>,
    submitted: Mutex<Vec<(LeaderEpoch, Waiting)>>,
}

impl Underway {
    /// Keeps `done` until it is answered, or its leader is none any more.
    fn keep(&self, epoch: LeaderEpoch, done: Submitted) -> Waiting {
        let kept = Arc::new(Mutex::new(Some(done)));
        let mut submitted = self.submitted.lock();
        submitted.retain(|(_, one)| one.lock().is_some());
        submitted.push((epoch, Arc::clone(&kept)));
        kept
    }
}

impl Notify for Underway {
    /// A leader that fell silent answers nobody: whoever waits for it need not wait for `request.timeout.ms`, now that another one leads.
    fn notify(&self) {
        let Some(partition) = self.partition.upgrade() else { return };
        if self.submitted.lock().is_empty() {
            return;
        }
        let now = partition.leader_epoch();
        let lost: Vec<_> = {
            let mut submitted = self.submitted.lock();
            let (kept, lost) = submitted.drain(..).partition(|(epoch, _)| *epoch >= now);
            *submitted = kept;
            lost
        };
        for (_, one) in lost {
            let done = one.lock().take();
            if let Some(done) = done {
                let text = format!(
                    "{}: another leader was elected before the one before it had answered; it may be in the log or not",
                    partition.id()
                );
                done(Err(Error::new(ErrorCode::NETWORK_EXCEPTION, text)));
            }
        }
    }
}

impl HostPartition for ReplicatedPartition {
    fn seat(&self) -> Seat {
        if self.partition.is_leading() {
            Seat::Here
        } else if self.partition.leader().is_some() {
            Seat::Elsewhere
        } else {
            Seat::Unknown
        }
    }

    fn leader_epoch(&self) -> LeaderEpoch {
        self.partition.leader_epoch()
    }

    fn append(&self, batch: &mut SealedBatch, acks: Acks) -> Result<Appended> {
        let placed = self.partition.append(batch, acks)?;
        Ok(Appended {
            base_offset: placed.base_offset,
            last_offset: placed.last_offset,
            log_append_time: placed.timestamp,
            rung: placed.rung,
            leader_epoch: placed.leader_epoch,
        })
    }

    fn append_group(&self, batches: &mut [SealedBatch], acks: Acks) -> Grouped {
        self.partition.append_group(batches, acks)
    }

    fn submit(&self, batches: Vec<Bytes>, acks: Acks, deadline: Instant, done: Submitted) {
        let records = batches.iter().map(records_in).sum();
        let leader_epoch = self.partition.leader_epoch();
        let kept = self.underway.keep(leader_epoch, done);
        let done = move |outcome: Result<ClientProduced>| {
            let done = kept.lock().take();
            if let Some(done) = done {
                done(outcome.map(|produced| placed(produced, records, leader_epoch)));
            }
        };
        self.client.produce(self.partition.id(), batches, acks, deadline, Box::new(done));
    }

    fn must_flush_before_ack(&self) -> bool {
        self.partition.must_flush_before_ack()
    }

    fn wait_for(&self, end: Offset, rung: Rung, deadline: Option<Instant>) -> Result<Rung> {
        self.partition.wait_for(end, rung, deadline)
    }

    fn judge(&self, end: Offset, admitted: LeaderEpoch, needed: Rung) -> Judgement {
        if let Some(failed) = self.partition.failure() {
            return Judgement::Lost(failed);
        }
        match self.partition.judge_ack(admitted, end) {
            AckVerdict::Done => Judgement::Reached(Rung::Replicated),
            AckVerdict::Wait => {
                let reached = self.partition.offsets().map_or(Rung::Buffered, |offsets| {
                    if end <= offsets.flushed {
                        Rung::Flushed
                    } else {
                        Rung::Written
                    }
                });
                if reached >= needed {
                    Judgement::Reached(reached)
                } else {
                    Judgement::Wait
                }
            }
            lost => Judgement::Lost(self.partition.ack_error(lost, end)),
        }
    }

    fn subscribe(&self, listener: Arc<dyn Notify>) -> Option<Box<dyn Any + Send + Sync>> {
        Some(Box::new(self.partition.subscribe(listener)))
    }
}
