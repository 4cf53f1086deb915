//! A controller without a quorum: what is decided is applied at once.

use crate::controller::*;
use crate::error::{ErrorCode, Result};
use crate::time::Instant;
use crate::types::{LeaderEpoch, NodeId};
use std::collections::BTreeSet;
use std::time::Duration;

pub const TOPIC: &str = "orders";

pub struct World {
    pub image: Image,
    pub config: ControllerConfig,
    pub sessions: Sessions,
    pub now: Instant,
    pub events: Vec<ControllerEvent>,
}

pub fn nodes(ids: &[u32]) -> Vec<NodeId> {
    ids.iter().copied().map(NodeId).collect()
}

impl World {
    /// Nodes 0 to `count - 1`, registered and unfenced.
    pub fn with_nodes(count: u32) -> World {
        let mut world = World::empty();
        for id in 0..count {
            world.register(id, 1, None).unwrap();
            world.beat(id, false, false).unwrap();
        }
        world
    }

    pub fn empty() -> World {
        let (image, config) = (Image::default(), ControllerConfig::default());
        let sessions = Sessions::fresh(&image, config.session_timeout, &BTreeSet::new(), Instant(0));
        World { image, config, sessions, now: Instant(0), events: Vec::new() }
    }

    /// Three nodes and a topic with these replicas of its one partition.
    pub fn with_topic(count: u32, replicas: &[u32], settings: &[(&str, &str)]) -> World {
        let mut world = World::with_nodes(count);
        let mut request = create(TOPIC, 1);
        request.assignments = vec![(0, nodes(replicas))];
        request.settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        world.ask(&ControllerRequest::CreateTopic(request)).unwrap();
        world
    }

    pub fn decide<T>(&self, decide: impl FnOnce(&Decider<'_>) -> T) -> T {
        let World { image, config, sessions, now, .. } = self;
        decide(&Decider { image, config, sessions, now: *now, offset_next: image.offset() + 1, lot: 0 })
    }

    pub fn commit(&mut self, outcome: Outcome) -> Reply {
        self.image.apply_entry(self.image.offset() + 1, &outcome.records).unwrap();
        self.events.extend(outcome.events);
        outcome.reply
    }

    pub fn ask(&mut self, request: &ControllerRequest) -> Result<Reply> {
        let outcome = self.decide(|decider| decider.decide(request))?;
        Ok(self.commit(outcome))
    }

    pub fn refusal(&mut self, request: &ControllerRequest) -> ErrorCode {
        self.decide(|decider| decider.decide(request)).unwrap_err().code()
    }

    pub fn register(&mut self, id: u32, incarnation: u64, previous_epoch: Option<u64>) -> Result<Reply> {
        self.ask(&registration(id, incarnation, previous_epoch, None))
    }

    pub fn beat(&mut self, id: u32, wants_fenced: bool, wants_shutdown: bool) -> Result<Reply> {
        let (node, node_epoch, metadata_offset) = (NodeId(id), self.epoch(id), self.image.offset());
        let reply = self.ask(&ControllerRequest::Heartbeat(Heartbeat {
            node,
            node_epoch,
            metadata_offset,
            wants_fenced,
            wants_shutdown,
        }))?;
        self.sessions.handle_heartbeat(node, node_epoch, metadata_offset, self.now);
        if wants_shutdown {
            self.sessions.handle_leaving(node, self.image.offset());
        }
        Ok(reply)
    }

    pub fn fence(&mut self, id: u32) {
        let outcome = self.decide(|decider| decider.fence_node(NodeId(id)));
        self.sessions.forget(NodeId(id));
        self.commit(outcome);
    }

    pub fn epoch(&self, id: u32) -> u64 {
        self.image.node(NodeId(id)).unwrap().registration.epoch
    }

    pub fn partition(&self, partition: u32) -> &PartitionState {
        &self.image.topic_named(TOPIC).unwrap().partitions[partition as usize]
    }

    pub fn isr(&self) -> Vec<u32> {
        self.partition(0).isr.iter().map(|node| node.0).collect()
    }

    pub fn elr(&self) -> Vec<u32> {
        self.partition(0).elr.iter().map(|node| node.0).collect()
    }

    pub fn leader(&self) -> Option<u32> {
        self.partition(0).leader.map(|node| node.0)
    }

    /// Leader epoch and partition epoch.
    pub fn epochs(&self) -> (u32, u32) {
        (self.partition(0).leader_epoch.0, self.partition(0).partition_epoch)
    }

    /// A proposal of the leader as it would be now.
    pub fn proposal(&self, isr: &[u32]) -> AlterPartition {
        let state = self.partition(0);
        AlterPartition {
            topic: self.image.topic_named(TOPIC).unwrap().id,
            partition: 0,
            leader_epoch: state.leader_epoch,
            partition_epoch: state.partition_epoch,
            isr: isr.iter().map(|id| IsrMember { node: NodeId(*id), node_epoch: None }).collect(),
            recovery: LeaderRecovery::Recovered,
        }
    }

    pub fn propose(&mut self, from: u32, proposal: AlterPartition) -> std::result::Result<PartitionState, ErrorCode> {
        let node_epoch = self.epoch(from);
        let request = ControllerRequest::AlterPartition { node: NodeId(from), node_epoch, partitions: vec![proposal] };
        match self.ask(&request) {
            Ok(Reply::AlterPartition(mut results)) => results.remove(0).state,
            other => panic!("{other:?}"),
        }
    }

    /// The leader reports this ISR, and it is taken.
    pub fn set_isr(&mut self, isr: &[u32]) {
        let leader = self.leader().unwrap();
        self.propose(leader, self.proposal(isr)).unwrap();
    }
}

pub fn registration(id: u32, incarnation: u64, previous_epoch: Option<u64>, rack: Option<&str>) -> ControllerRequest {
    ControllerRequest::RegisterNode(RegisterNode {
        node: NodeId(id),
        incarnation,
        address: format!("host{id}:9092"),
        rack: rack.map(str::to_owned),
        holds_data: true,
        previous_epoch,
    })
}

pub fn create(name: &str, id: u8) -> CreateTopic {
    CreateTopic {
        name: name.into(),
        id: [id; 16],
        partitions: None,
        replication_factor: None,
        assignments: Vec::new(),
        settings: Vec::new(),
    }
}

pub fn state(replicas: &[u32], isr: &[u32], leader: Option<u32>) -> PartitionState {
    PartitionState {
        replicas: nodes(replicas),
        isr: nodes(isr),
        leader: leader.map(NodeId),
        leader_epoch: LeaderEpoch(3),
        partition_epoch: 7,
        ..PartitionState::default()
    }
}

pub const SECOND: Duration = Duration::from_secs(1);
