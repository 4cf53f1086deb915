//! Clients of this node: what the answers to them need of its partitions.

use super::super::cluster::{
    Admitted, Answers, ClientFetch, ClientFetched, ClientPartition, ClientPartitions, Clients, LeaderView,
};
use super::super::notices::Level;
use super::super::{Alarm, Partition};
use super::links::Link;
use super::Member;
use crate::config::IsolationLevel;
use crate::controller::{ControllerRequest, CreateTopic};
use crate::error::{Error, ErrorCode, Result};
use crate::replication::AckVerdict;
use crate::storage::names::validate_topic_name;
use crate::storage::{Fetch, UpTo};
use crate::time::Instant;
use crate::types::{Acks, LeaderEpoch, NodeId, Offset, Rung, Timestamp, TopicPartition};
use crate::wire::{
    AbortedTransaction, CorrelationId, CurrentLeader, LedReplica, LedReplicas, Message, MetadataResponse,
    MetadataTopic, Request, Response,
};
use bytes::Bytes;
use std::sync::Arc;

pub(super) fn of(link: &Link, alarm: &Arc<dyn Alarm>) -> Clients {
    let partitions = Arc::new(link.clone()) as Arc<dyn ClientPartitions>;
    let answers = Arc::new(link.clone()) as Arc<dyn Answers>;
    let alarm = Arc::clone(alarm);
    Clients::new(partitions, answers, Arc::new(move |when| alarm.wake_by(when)))
}

impl Member {
    pub(super) fn handle_client(
        &self,
        from: NodeId,
        correlation: Option<CorrelationId>,
        request: Request,
        now: Instant,
    ) {
        self.clients.handle_request(from, correlation, request, now);
    }
}

impl Member {
    /// Who names a topic wants to send to it: it is created where `auto.create.topics.enable` says so (Kafka's Metadata).
    fn create_if_unknown(&self, topic: &mut MetadataTopic) {
        let is_unknown = matches!(&topic.description, Err(e) if e.code() == ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
        let Some(node) = self.node.upgrade().filter(|node| is_unknown && node.config().creates_topics) else { return };
        if let Err(illegal) = validate_topic_name(&topic.name) {
            topic.description = Err(illegal);
            return;
        }
        let request = ControllerRequest::CreateTopic(CreateTopic {
            name: Arc::clone(&topic.name),
            id: node.draw_topic_id(),
            partitions: None,
            replication_factor: None,
            assignments: Vec::new(),
            settings: Default::default(),
        });
        let text = format!("{} is being created", topic.name);
        topic.description = Err(Error::new(ErrorCode::LEADER_NOT_AVAILABLE, text));
        let (link, name) = (self.link.clone(), Arc::clone(&topic.name));
        let told = move |outcome: Result<_>| {
            let refused = outcome.err().filter(|error| error.code() != ErrorCode::TOPIC_ALREADY_EXISTS);
            if let (Some(refused), Some(member)) = (refused, link.0.upgrade()) {
                member.tell(Level::Warn, format!("{name} could not be created for a client: {refused}"));
            }
        };
        self.client.ask_controller(request, self.now() + self.config.request_timeout, Box::new(told));
    }
}

impl Answers for Link {
    fn answer(&self, to: NodeId, correlation: CorrelationId, response: Response) {
        if let Some(member) = self.0.upgrade() {
            member.send(to, &Message::Response { correlation, response });
        }
    }
}

impl ClientPartitions for Link {
    fn find(&self, partition: &TopicPartition) -> Result<Arc<dyn ClientPartition>> {
        let member = self.0.upgrade().ok_or_else(closed)?;
        let image = member.image();
        let unknown =
            || Error::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, format!("there is no partition {partition}"));
        let topic = image.topic_named(&partition.topic).ok_or_else(unknown)?;
        if topic.partitions.len() <= partition.partition as usize {
            return Err(unknown());
        }
        let node = member.node.upgrade().ok_or_else(closed)?;
        let found = node.topic(&partition.topic).and_then(|topic| topic.partition(partition.partition));
        match found {
            Some(found) => Ok(found),
            None => Err(Error::new(
                ErrorCode::NOT_LEADER_OR_FOLLOWER,
                format!("node {} has no replica of {partition}", member.me),
            )),
        }
    }

    fn current_leader(&self, partition: &TopicPartition) -> Option<CurrentLeader> {
        let member = self.0.upgrade()?;
        let image = member.image();
        let state = image.topic_named(&partition.topic)?.partitions.get(partition.partition as usize)?.clone();
        state.leader.map(|node| CurrentLeader { node, leader_epoch: state.leader_epoch })
    }

    fn metadata(&self, topics: Option<&[Arc<str>]>) -> MetadataResponse {
        match self.0.upgrade() {
            Some(member) => {
                let standing = member.runner().standing();
                let mut answer =
                    super::super::cluster::describe(&member.image(), member.cluster, standing.leader, topics);
                if topics.is_some() && !member.is_static() {
                    answer.topics.iter_mut().for_each(|topic| member.create_if_unknown(topic));
                }
                answer
            }
            None => MetadataResponse {
                cluster: Default::default(),
                controller: None,
                metadata_offset: 0,
                nodes: Vec::new(),
                topics: Vec::new(),
            },
        }
    }
}

impl ClientPartition for Partition {
    fn append_raw_all(&self, batches: &[Bytes], client: Option<LeaderEpoch>, acks: Acks) -> Result<Admitted> {
        let placed = Partition::append_raw_all(self, batches, client, acks)?;
        Ok(Admitted {
            base_offset: placed.base_offset,
            last_offset: placed.last_offset,
            log_append_time: placed.timestamp,
            rung: placed.rung,
            leader_epoch: placed.leader_epoch,
        })
    }

    fn must_flush_before_ack(&self) -> bool {
        Partition::must_flush_before_ack(self)
    }

    fn flush_up_to(&self, end: Offset) -> Result<Rung> {
        self.wait_for(end, Rung::Flushed, None)
    }

    fn judge_ack(&self, admitted: LeaderEpoch, end: Offset) -> Result<AckVerdict> {
        match self.failure() {
            Some(failed) => Err(failed),
            None => Ok(Partition::judge_ack(self, admitted, end)),
        }
    }

    fn fetch(&self, fetch: ClientFetch) -> Result<ClientFetched> {
        self.check_reign(fetch.current_leader_epoch)?;
        let offsets = self.offsets()?;
        let last_stable_offset = self.last_stable_offset()?;
        let committed = fetch.isolation == IsolationLevel::ReadCommitted;
        let end = if committed { last_stable_offset } else { offsets.high_watermark };
        let is_behind = fetch.from >= end && fetch.from <= offsets.log_end;
        let records = if is_behind || fetch.bytes_max == 0 {
            Bytes::new()
        } else {
            self.read(Fetch {
                from: fetch.from,
                bytes_max: fetch.bytes_max as usize,
                up_to: UpTo::Offset(end),
                min_one_message: fetch.is_first,
            })?
            .batches
        };
        let mut aborted = Vec::new();
        if committed && !records.is_empty() {
            let last = crate::record::batches(&records).map_while(Result::ok).last();
            let to = last.map_or(fetch.from, |(_, batch)| batch.header().end_offset());
            aborted = self
                .aborted_transactions(fetch.from, to)?
                .into_iter()
                .map(|one| AbortedTransaction { producer_id: one.producer_id, first_offset: one.first_offset })
                .collect();
        }
        // Whoever has lost its leadership meanwhile may have read what another reign cuts.
        self.check_reign(fetch.current_leader_epoch)?;
        let (high_watermark, log_start) = (offsets.high_watermark, offsets.log_start);
        Ok(ClientFetched { records, high_watermark, last_stable_offset, log_start, aborted })
    }

    fn view(&self, current_leader_epoch: Option<LeaderEpoch>) -> Result<LeaderView> {
        self.check_reign(current_leader_epoch)?;
        let offsets = self.offsets()?;
        let leader_epoch = Partition::leader_epoch(self);
        let begun = self.leader_epochs()?.into_iter().find(|(epoch, _)| *epoch == leader_epoch);
        Ok(LeaderView {
            leader_epoch,
            log_start: offsets.log_start,
            high_watermark: offsets.high_watermark,
            last_stable_offset: self.last_stable_offset()?,
            epoch_start: begun.map_or(offsets.log_end, |(_, start)| start),
        })
    }

    fn offset_for_timestamp(&self, at: Timestamp) -> Result<Option<(Offset, Timestamp)>> {
        Partition::offset_for_timestamp(self, at)
    }

    fn offset_of_max_timestamp(&self) -> Result<Option<(Offset, Timestamp)>> {
        Partition::offset_of_max_timestamp(self)
    }

    fn epoch_of(&self, offset: Offset) -> Option<LeaderEpoch> {
        let epochs = self.leader_epochs().ok()?;
        epochs.into_iter().rev().find(|(_, start)| *start <= offset).map(|(epoch, _)| epoch)
    }

    fn delete_records(&self, before: Option<Offset>) -> Result<Offset> {
        Partition::delete_records(self, before)
    }

    fn replicas(&self) -> Result<LedReplicas> {
        self.check_reign(None)?;
        let leader_epoch = Partition::leader_epoch(self);
        let states = self.replica_states().into_iter().map(|replica| LedReplica {
            node: replica.node,
            log_start: replica.log_start,
            log_end: replica.log_end,
            vouched: replica.vouched,
            last_leader_epoch: replica.last_leader_epoch,
            lag_records: replica.lag_records,
            lag_ms: replica.lag.map(|lag| u64::try_from(lag.as_millis()).unwrap_or(u64::MAX)),
            is_caught_up: replica.is_caught_up,
        });
        let states = states.collect();
        let high_watermark = self.offsets()?.high_watermark;
        // Whoever has lost its leadership meanwhile knows of nobody but itself.
        self.check_reign(Some(leader_epoch))?;
        Ok(LedReplicas { leader_epoch, high_watermark, states })
    }

    fn low_watermark(&self) -> Result<Option<Offset>> {
        self.check_reign(None)?;
        Ok(Partition::low_watermark(self))
    }
}

fn closed() -> Error {
    Error::new(ErrorCode::CLOSED, "the engine is closed")
}
