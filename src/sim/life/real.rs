//! The node that runs in production, as one life of a simulated machine.

use super::{Answer, Appended, Birth, Member, Open, Replica, DIR};
use crate::config::EngineConfig;
use crate::controller::{ControllerRequest, PartitionState};
use crate::error::Result;
use crate::node::{Node, Partition, World};
use crate::record::SealedBatch;
use crate::replication::AckVerdict;
use crate::sim::checker::{Decision, ImageMark};
use crate::storage::Fetch;
use crate::time::Instant;
use crate::types::{Acks, LeaderEpoch, NodeId, Offset, Rung, TopicPartition};
use bytes::Bytes;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How long the controller is asked, again and again.
const ASK_FOR: Duration = Duration::from_secs(5);

/// Opens real nodes.
pub struct RealNodes;

struct RealNode(Arc<Node>);

impl Open for RealNodes {
    fn open(&self, birth: Birth) -> Result<Arc<dyn Member>> {
        let mut config = EngineConfig::default();
        let voters: Vec<String> = birth.voters.iter().map(|voter| format!("{voter}@{}", address(*voter))).collect();
        let own = [
            ("node.id", birth.node.to_string()),
            ("cluster.id", "4L6g3nShT-eMCtK--X86sw".to_owned()),
            ("controller.quorum.voters", voters.join(",")),
            ("listeners", address(birth.node)),
        ];
        for (name, value) in own.iter().chain(&birth.settings) {
            config.set(name, value)?;
        }
        let world = World { clock: birth.clock, disk: Arc::new(birth.disk), seed: birth.seed };
        let node = Node::open_in_cluster(Path::new(DIR), config, world, Arc::new(birth.transport))?;
        node.set_alarm(birth.alarm);
        Ok(Arc::new(RealNode(node)))
    }
}

fn address(node: NodeId) -> String {
    format!("inproc://node-{node}")
}

impl RealNode {
    fn partition(&self, id: &TopicPartition) -> Result<Arc<Partition>> {
        self.0.partition(&id.topic, id.partition)
    }
}

impl Member for RealNode {
    fn tick(&self, now: Instant) -> Option<Instant> {
        self.0.tick(now)
    }

    fn replicas(&self) -> Vec<Replica> {
        let mut replicas = Vec::new();
        for topic in self.0.topic_handles() {
            for number in 0..topic.partition_count() {
                let Some(partition) = topic.partition(number) else { continue };
                // Nobody opens a log by looking at it.
                let Some(offsets) = partition.offsets_if_open() else { continue };
                replicas.push(Replica {
                    partition: partition.id().clone(),
                    leads: partition.is_leading(),
                    leader_epoch: partition.leader_epoch(),
                    is_offline: partition.failure().is_some(),
                    offsets,
                });
            }
        }
        replicas
    }

    fn leader(&self, partition: &TopicPartition) -> Option<NodeId> {
        self.partition(partition).ok()?.leader()
    }

    fn incarnation(&self) -> u64 {
        self.0.member().map_or(0, |member| member.incarnation())
    }

    fn decisions(&self, newer_than: Option<u64>) -> Option<(ImageMark, Vec<(TopicPartition, Decision)>)> {
        let member = self.0.member()?;
        if newer_than.is_some_and(|known| member.image_offset() <= known) {
            return None;
        }
        let image = member.describe().image;
        let decisions = image.partitions().map(|(topic, number, state)| {
            (TopicPartition { topic: Arc::clone(&topic.name), partition: number }, decision(state))
        });
        let registered = image.nodes().map(|node| (node.registration.node, node.registration.incarnation)).collect();
        Some((ImageMark { offset: image.offset(), registered }, decisions.collect()))
    }

    fn append(&self, partition: &TopicPartition, batch: &mut SealedBatch, acks: Acks) -> Result<Appended> {
        let placed = self.partition(partition)?.append(batch, acks)?;
        Ok(Appended {
            base: placed.base_offset,
            end: placed.last_offset.next(),
            leader_epoch: placed.leader_epoch,
            is_duplicate: placed.duplicate,
        })
    }

    fn flush_for_ack(&self, partition: &TopicPartition, end: Offset) -> Result<()> {
        let partition = self.partition(partition)?;
        if partition.must_flush_before_ack() {
            partition.wait_for(end, Rung::Flushed, None)?;
        }
        Ok(())
    }

    fn judge_ack(&self, partition: &TopicPartition, admitted: LeaderEpoch, end: Offset) -> Result<AckVerdict> {
        Ok(self.partition(partition)?.judge_ack(admitted, end))
    }

    fn read(&self, partition: &TopicPartition, fetch: Fetch) -> Result<Bytes> {
        Ok(self.partition(partition)?.read(fetch)?.batches)
    }

    fn ask(&self, request: ControllerRequest, now: Instant, answer: Answer) {
        if let Some(member) = self.0.member() {
            member.client().ask_controller(request, now + ASK_FOR, Box::new(|reply| answer(reply.map(|_| ()))));
        }
    }

    fn leave(&self, _now: Instant) -> bool {
        self.0.begin_leaving();
        self.0.has_left()
    }

    fn close(&self) -> Result<bool> {
        self.0.close(Instant(u64::MAX)).map(|report| report.marked_clean)
    }

    fn poll_notice(&self) -> Option<String> {
        self.0.poll_notice().map(|notice| notice.text)
    }
}

fn decision(state: &PartitionState) -> Decision {
    Decision {
        leader: state.leader,
        leader_epoch: state.leader_epoch,
        partition_epoch: state.partition_epoch,
        replicas: state.replicas.clone(),
        isr: state.isr.clone(),
        elr: state.elr.clone(),
        last_known_leader: state.last_known_leader,
    }
}
