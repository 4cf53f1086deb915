//! A node's partitions as a list in memory, and whoever hears the answers.

use crate::config::IsolationLevel;
use crate::error::{Error, ErrorCode, Result};
use crate::node::cluster::clients::{
    Admitted, Answers, ClientFetch, ClientFetched, ClientPartition, ClientPartitions, Clients, LeaderView,
};
use crate::replication::{check_leader_epoch, AckVerdict};
use crate::time::Instant;
use crate::transport::ClusterId;
use crate::types::{Acks, LeaderEpoch, NodeId, Offset, Rung, Timestamp, TopicPartition};
use crate::wire::{CorrelationId, CurrentLeader, LedReplica, LedReplicas, MetadataResponse, Request, Response};
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::sync::Arc;

pub const ME: NodeId = NodeId(1);
pub const OTHER: NodeId = NodeId(2);
pub const CLIENT: NodeId = NodeId(1 << 31);

/// A log of one-byte records, one a batch; the byte is the record's timestamp.
#[derive(Clone, Debug)]
pub struct Log {
    pub leader: Option<NodeId>,
    pub epoch: u32,
    pub epoch_start: u64,
    pub records: Vec<u8>,
    pub log_start: u64,
    pub high_watermark: u64,
    pub last_stable: Option<u64>,
    pub flushed: u64,
    pub followers_log_start: Option<u64>,
    pub must_flush: bool,
    pub has_few_replicas: bool,
    pub broken: bool,
    pub reads: u32,
}

pub struct FakePartition(pub Mutex<Log>);

impl Log {
    pub fn end(&self) -> u64 {
        self.records.len() as u64
    }

    fn check(&self, current_leader_epoch: Option<LeaderEpoch>) -> Result<()> {
        if self.broken {
            return Err(Error::new(ErrorCode::KAFKA_STORAGE_ERROR, "the disk"));
        }
        if self.leader != Some(ME) {
            return Err(Error::new(ErrorCode::NOT_LEADER_OR_FOLLOWER, "elsewhere"));
        }
        check_leader_epoch(current_leader_epoch, LeaderEpoch(self.epoch)).map_err(|code| Error::new(code, "epoch"))
    }

    fn visible(&self, isolation: IsolationLevel) -> u64 {
        match isolation {
            IsolationLevel::ReadUncommitted => self.high_watermark,
            IsolationLevel::ReadCommitted => self.last_stable.unwrap_or(self.high_watermark).min(self.high_watermark),
        }
    }

    fn found(&self, offset: Option<usize>) -> Option<(Offset, Timestamp)> {
        offset.map(|at| (Offset(at as u64), Timestamp(self.records[at].into())))
    }
}

impl ClientPartition for FakePartition {
    fn append_raw_all(&self, batches: &[Bytes], client: Option<LeaderEpoch>, acks: Acks) -> Result<Admitted> {
        let mut log = self.0.lock();
        log.check(client)?;
        if acks == Acks::All && log.has_few_replicas {
            return Err(Error::new(ErrorCode::NOT_ENOUGH_REPLICAS, "few"));
        }
        let record = |batch: &Bytes| match batch[..] {
            [record] => Ok(record),
            _ => Err(Error::new(ErrorCode::CORRUPT_MESSAGE, "no record")),
        };
        let records = batches.iter().map(record).collect::<Result<Vec<u8>>>()?;
        if records.is_empty() {
            return Err(Error::new(ErrorCode::INVALID_REQUEST, "no batch"));
        }
        let base_offset = Offset(log.end());
        log.records.extend(records);
        let leader_epoch = LeaderEpoch(log.epoch);
        Ok(Admitted {
            base_offset,
            last_offset: Offset(log.end() - 1),
            log_append_time: None,
            rung: Rung::Written,
            leader_epoch,
        })
    }

    fn must_flush_before_ack(&self) -> bool {
        self.0.lock().must_flush
    }

    fn flush_up_to(&self, _end: Offset) -> Result<Rung> {
        let mut log = self.0.lock();
        log.check(None)?;
        log.flushed = log.end();
        Ok(Rung::Flushed)
    }

    fn judge_ack(&self, admitted: LeaderEpoch, end: Offset) -> Result<AckVerdict> {
        let log = self.0.lock();
        if log.broken {
            return Err(Error::new(ErrorCode::KAFKA_STORAGE_ERROR, "the disk"));
        }
        Ok(if log.leader != Some(ME) || log.epoch != admitted.0 {
            AckVerdict::NotLeader
        } else if end.0 > log.high_watermark {
            AckVerdict::Wait
        } else if log.has_few_replicas {
            AckVerdict::NotEnoughReplicasAfterAppend
        } else {
            AckVerdict::Done
        })
    }

    fn fetch(&self, fetch: ClientFetch) -> Result<ClientFetched> {
        let mut log = self.0.lock();
        log.check(fetch.current_leader_epoch)?;
        log.reads += 1;
        let from = fetch.from.0;
        if from < log.log_start || from > log.end() {
            return Err(Error::new(ErrorCode::OFFSET_OUT_OF_RANGE, "outside"));
        }
        let room = u64::from(fetch.bytes_max).max(u64::from(fetch.is_first));
        let to = log.visible(fetch.isolation).max(from).min(from + room);
        Ok(ClientFetched {
            records: Bytes::copy_from_slice(&log.records[from as usize..to as usize]),
            high_watermark: Offset(log.high_watermark),
            last_stable_offset: Offset(log.visible(IsolationLevel::ReadCommitted)),
            log_start: Offset(log.log_start),
            aborted: vec![],
        })
    }

    fn view(&self, current_leader_epoch: Option<LeaderEpoch>) -> Result<LeaderView> {
        let log = self.0.lock();
        log.check(current_leader_epoch)?;
        Ok(LeaderView {
            leader_epoch: LeaderEpoch(log.epoch),
            log_start: Offset(log.log_start),
            high_watermark: Offset(log.high_watermark),
            last_stable_offset: Offset(log.visible(IsolationLevel::ReadCommitted)),
            epoch_start: Offset(log.epoch_start),
        })
    }

    fn replicas(&self) -> Result<LedReplicas> {
        let log = self.0.lock();
        log.check(None)?;
        let end = Offset(log.end());
        let own = LedReplica {
            node: ME,
            log_start: Offset(log.log_start),
            log_end: end,
            vouched: end,
            last_leader_epoch: None,
            lag_records: 0,
            lag_ms: Some(0),
            is_caught_up: true,
        };
        let (leader_epoch, high_watermark) = (LeaderEpoch(log.epoch), Offset(log.high_watermark));
        Ok(LedReplicas { leader_epoch, high_watermark, states: vec![own] })
    }

    fn offset_for_timestamp(&self, at: Timestamp) -> Result<Option<(Offset, Timestamp)>> {
        let log = self.0.lock();
        Ok(log.found(log.records.iter().position(|record| i64::from(*record) >= at.0)))
    }

    fn offset_of_max_timestamp(&self) -> Result<Option<(Offset, Timestamp)>> {
        let log = self.0.lock();
        let largest = log.records.iter().max();
        Ok(log.found(largest.and_then(|largest| log.records.iter().position(|record| record == largest))))
    }

    fn epoch_of(&self, offset: Offset) -> Option<LeaderEpoch> {
        let log = self.0.lock();
        Some(LeaderEpoch(if offset.0 < log.epoch_start { 0 } else { log.epoch }))
    }

    fn delete_records(&self, before: Option<Offset>) -> Result<Offset> {
        let mut log = self.0.lock();
        log.check(None)?;
        let before = before.map_or(log.high_watermark, |before| before.0);
        if before > log.high_watermark {
            return Err(Error::new(ErrorCode::OFFSET_OUT_OF_RANGE, "above"));
        }
        log.log_start = log.log_start.max(before);
        Ok(Offset(before))
    }

    fn low_watermark(&self) -> Result<Option<Offset>> {
        let log = self.0.lock();
        log.check(None)?;
        Ok(log.followers_log_start.map(|start| Offset(start.min(log.log_start))))
    }
}

/// The partitions of a node.
#[derive(Default)]
pub struct FakeNode(pub BTreeMap<TopicPartition, Arc<FakePartition>>);

impl ClientPartitions for FakeNode {
    fn find(&self, partition: &TopicPartition) -> Result<Arc<dyn ClientPartition>> {
        match self.0.get(partition) {
            Some(found) => Ok(Arc::clone(found) as Arc<dyn ClientPartition>),
            None => Err(Error::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, format!("no {partition}"))),
        }
    }

    fn current_leader(&self, partition: &TopicPartition) -> Option<CurrentLeader> {
        let log = self.0.get(partition)?.0.lock();
        log.leader.map(|node| CurrentLeader { node, leader_epoch: LeaderEpoch(log.epoch) })
    }

    fn metadata(&self, topics: Option<&[Arc<str>]>) -> MetadataResponse {
        let metadata_offset = topics.map_or(0, |topics| topics.len() as u64);
        let cluster = ClusterId::default();
        MetadataResponse { cluster, controller: Some(ME), metadata_offset, nodes: vec![], topics: vec![] }
    }
}

pub fn part(number: u32) -> TopicPartition {
    TopicPartition::new("logs", number)
}

/// Answers, in the order in which they came.
#[derive(Default)]
pub struct Heard(Mutex<Vec<(NodeId, u64, Response)>>);

impl Answers for Heard {
    fn answer(&self, to: NodeId, correlation: CorrelationId, response: Response) {
        self.0.lock().push((to, correlation.0.get(), response));
    }
}

impl Heard {
    pub fn take(&self) -> Vec<(NodeId, u64, Response)> {
        std::mem::take(&mut self.0.lock())
    }

    pub fn only(&self) -> Response {
        let mut all = self.take();
        assert_eq!(all.len(), 1, "{all:?}");
        all.pop().unwrap().2
    }
}

/// A node with two partitions that it leads in epoch 1, each with three replicated records.
pub struct World {
    pub clients: Arc<Clients>,
    pub node: Arc<FakeNode>,
    pub heard: Arc<Heard>,
    pub woken: Arc<Mutex<Option<Instant>>>,
}

impl World {
    pub fn new() -> World {
        let log = Log {
            leader: Some(ME),
            epoch: 1,
            epoch_start: 2,
            records: vec![10, 20, 30],
            log_start: 0,
            high_watermark: 3,
            last_stable: None,
            flushed: 0,
            followers_log_start: Some(0),
            must_flush: false,
            has_few_replicas: false,
            broken: false,
            reads: 0,
        };
        let partitions = (0..2).map(|number| (part(number), Arc::new(FakePartition(Mutex::new(log.clone())))));
        let node = Arc::new(FakeNode(partitions.collect()));
        let (heard, woken) = (Arc::new(Heard::default()), Arc::new(Mutex::new(None)));
        let earliest = Arc::clone(&woken);
        let wake_by = Arc::new(move |when: Instant| {
            let mut earliest = earliest.lock();
            *earliest = Some(earliest.map_or(when, |before: Instant| before.min(when)));
        });
        let clients = Arc::new(Clients::new(node.clone(), heard.clone(), wake_by));
        World { clients, node, heard, woken }
    }

    pub fn ask_as(&self, from: NodeId, correlation: u64, request: Request, now_ms: u64) {
        let correlation = NonZeroU64::new(correlation).map(CorrelationId);
        assert!(self.clients.handle_request(from, correlation, request, at(now_ms)).is_none());
    }

    pub fn ask(&self, request: Request) {
        self.ask_as(CLIENT, 1, request, 0);
    }

    /// Changes a partition and tells of it.
    pub fn change(&self, number: u32, change: impl FnOnce(&mut Log)) {
        change(&mut self.node.0[&part(number)].0.lock());
        self.clients.handle_partition_changed(&part(number));
    }

    pub fn log(&self, number: u32) -> Log {
        self.node.0[&part(number)].0.lock().clone()
    }
}

pub fn at(ms: u64) -> Instant {
    Instant(ms * 1_000_000)
}
