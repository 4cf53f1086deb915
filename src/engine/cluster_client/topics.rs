//! Topics of a cluster that this program is no node of, as its producers see them: every batch is handed to a leader elsewhere.

use super::super::elsewhere::{placed, records_in};
use crate::client::{Client, TopicView, ViewSubscription};
use crate::error::{Error, ErrorCode, Result};
use crate::node::Notify;
use crate::producer::{Appended, HostPartition, HostTopic, Judgement, Seat, Submitted};
use crate::record::SealedBatch;
use crate::time::Instant;
use crate::types::{Acks, LeaderEpoch, Offset, Rung, TopicPartition};
use bytes::Bytes;
use std::any::Any;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::Arc;

pub(super) struct RemoteTopic {
    name: Arc<str>,
    client: Arc<Client>,
    partition_count: Arc<AtomicU32>,
    _news: ViewSubscription,
}

/// One of its partitions.
struct RemotePartition {
    id: TopicPartition,
    client: Arc<Client>,
}

impl RemoteTopic {
    pub fn new(name: &Arc<str>, topic: &TopicView, client: &Arc<Client>) -> RemoteTopic {
        let partition_count = Arc::new(AtomicU32::new(topic.partition_count));
        let (view, count, id) = (Arc::downgrade(client.view()), Arc::clone(&partition_count), topic.id);
        let own = Arc::clone(name);
        let news = client.view().subscribe(Arc::new(move || {
            let found = view.upgrade().and_then(|view| view.topic(&own).ok()).filter(|topic| topic.id == id);
            if let Some(topic) = found {
                count.fetch_max(topic.partition_count, Ordering::AcqRel);
            }
        }));
        RemoteTopic { name: Arc::clone(name), client: Arc::clone(client), partition_count, _news: news }
    }
}

impl HostTopic for RemoteTopic {
    fn partition_count(&self) -> u32 {
        self.partition_count.load(Ordering::Acquire)
    }

    fn partition(&self, partition: u32) -> Result<Arc<dyn HostPartition>> {
        let (name, count) = (&self.name, self.partition_count());
        if partition >= count {
            let text = format!("{name} has {count} partitions, there is no {partition}");
            return Err(Error::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, text));
        }
        let id = TopicPartition { topic: Arc::clone(name), partition };
        Ok(Arc::new(RemotePartition { id, client: Arc::clone(&self.client) }))
    }
}

impl RemotePartition {
    fn not_here(&self) -> Error {
        Error::new(ErrorCode::NOT_LEADER_OR_FOLLOWER, format!("{}: this program hosts no data", self.id))
    }
}

impl HostPartition for RemotePartition {
    /// Also while nobody is known to lead: the attempt finds out, and has it looked for.
    fn seat(&self) -> Seat {
        Seat::Elsewhere
    }

    fn leader_epoch(&self) -> LeaderEpoch {
        let view = self.client.view();
        match view.leader(&self.id) {
            Ok(leading) => leading.leader.leader_epoch,
            Err(_) => view.partition(&self.id).map_or(LeaderEpoch(0), |partition| partition.leader_epoch),
        }
    }

    fn append(&self, _: &mut SealedBatch, _: Acks) -> Result<Appended> {
        Err(self.not_here())
    }

    fn submit(&self, batches: Vec<Bytes>, acks: Acks, deadline: Instant, done: Submitted) {
        let records = batches.iter().map(records_in).sum();
        let leader_epoch = self.leader_epoch();
        let done = move |outcome: Result<_>| done(outcome.map(|produced| placed(produced, records, leader_epoch)));
        self.client.produce(&self.id, batches, acks, deadline, Box::new(done));
    }

    fn must_flush_before_ack(&self) -> bool {
        false
    }

    fn wait_for(&self, _: Offset, _: Rung, _: Option<Instant>) -> Result<Rung> {
        Err(self.not_here())
    }

    fn judge(&self, _: Offset, _: LeaderEpoch, _: Rung) -> Judgement {
        Judgement::Lost(self.not_here()) // nothing is ever appended here
    }

    fn subscribe(&self, listener: Arc<dyn Notify>) -> Option<Box<dyn Any + Send + Sync>> {
        Some(Box::new(self.client.view().subscribe(Arc::new(move || listener.notify()))))
    }
}
