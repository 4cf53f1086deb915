//! The controller of the model: knows everything that it was told, elects from the ISR and the eligible leader replicas only.

use crate::error::ErrorCode;
use crate::replication::{IsrProposal, IsrVerdict, NodeEpoch, PartitionEpoch, PartitionState, Standing};
use crate::types::{LeaderEpoch, NodeId};
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
pub struct Metadata {
    /// Its place in the metadata log.
    pub version: u64,
    pub leader: Option<NodeId>,
    pub leader_epoch: LeaderEpoch,
    pub state: PartitionState,
    pub standings: BTreeMap<NodeId, Standing>,
}

pub struct Elector {
    pub metadata: Metadata,
    /// Kafka's ELR.
    pub eligible: Vec<NodeId>,
    min_isr: usize,
    pub withdrawals: usize,
    pub eligible_elected: usize,
}

impl Elector {
    pub fn new(replicas: &[NodeId], min_isr: usize) -> Elector {
        let standing = Standing { node_epoch: Some(NodeEpoch(1)), ..Standing::default() };
        let metadata = Metadata {
            version: 1,
            leader: Some(replicas[0]),
            leader_epoch: LeaderEpoch(0),
            state: PartitionState {
                replicas: replicas.to_vec(),
                in_sync_replicas: replicas.to_vec(),
                partition_epoch: PartitionEpoch(0),
            },
            standings: replicas.iter().map(|node| (*node, standing)).collect(),
        };
        Elector {
            metadata,
            eligible: Vec::new(),
            min_isr: min_isr.min(replicas.len()),
            withdrawals: 0,
            eligible_elected: 0,
        }
    }

    pub fn isr(&self) -> &[NodeId] {
        &self.metadata.state.in_sync_replicas
    }

    pub fn is_fenced(&self, node: NodeId) -> bool {
        self.metadata.standings[&node].is_fenced
    }

    fn set_isr(&mut self, isr: Vec<NodeId>) {
        let old = std::mem::replace(&mut self.metadata.state.in_sync_replicas, isr);
        let isr = &self.metadata.state.in_sync_replicas;
        self.eligible.extend(old);
        self.eligible.retain(|node| isr.len() < self.min_isr && !isr.contains(node));
        self.eligible.sort_unstable();
        self.eligible.dedup();
        self.bump();
    }

    fn bump(&mut self) {
        self.metadata.state.partition_epoch.0 += 1;
        self.metadata.version += 1;
    }

    /// Fences a node: it leaves the ISR, and leads no longer.
    pub fn fence(&mut self, node: NodeId) {
        self.metadata.standings.get_mut(&node).unwrap().is_fenced = true;
        self.metadata.version += 1;
        if self.isr().contains(&node) {
            let left = self.isr().iter().copied().filter(|member| *member != node).collect();
            self.set_isr(left);
        }
        if self.metadata.leader == Some(node) {
            self.elect();
        }
    }

    pub fn unfence(&mut self, node: NodeId) {
        self.metadata.standings.get_mut(&node).unwrap().is_fenced = false;
        self.metadata.version += 1;
        if self.metadata.leader.is_none() {
            self.elect();
        }
    }

    /// A node begins a new life. It may stay in the ISR if nothing that it vouched for is lost; but its reign is over.
    pub fn register(&mut self, node: NodeId, is_fenced: bool, is_unclean: bool) -> NodeEpoch {
        if is_unclean && self.isr().contains(&node) {
            self.set_isr(self.isr().iter().copied().filter(|member| *member != node).collect());
        }
        self.eligible.retain(|one| *one != node || !is_unclean);
        if is_fenced {
            self.fence(node);
        }
        if self.metadata.leader == Some(node) {
            self.elect();
        }
        let standing = self.metadata.standings.get_mut(&node).unwrap();
        let epoch = NodeEpoch(standing.node_epoch.unwrap().0 + 1);
        standing.node_epoch = Some(epoch);
        self.metadata.version += 1;
        epoch
    }

    /// A new reign: of this node if it may lead, else of the first that may.
    pub fn elect_preferring(&mut self, node: NodeId) {
        if self.isr().contains(&node) && !self.is_fenced(node) {
            self.begin_reign(Some(node));
        }
    }

    fn elect(&mut self) {
        let alive = |node: &&NodeId| !self.is_fenced(**node);
        let replicas = &self.metadata.state.replicas;
        let in_sync = replicas.iter().filter(alive).find(|node| self.isr().contains(node)).copied();
        let eligible = replicas.iter().filter(alive).find(|node| self.eligible.contains(node)).copied();
        match (in_sync, eligible) {
            (None, Some(node)) if self.isr().is_empty() => {
                self.set_isr(vec![node]);
                self.eligible_elected += 1;
                self.begin_reign(Some(node));
            }
            (node, _) => self.begin_reign(node),
        }
    }

    fn begin_reign(&mut self, leader: Option<NodeId>) {
        self.metadata.leader = leader;
        self.metadata.leader_epoch.0 += 1;
        self.bump();
    }

    /// AlterPartition, checked in Kafka's order.
    pub fn handle_proposal(&mut self, from: NodeId, proposal: &IsrProposal) -> IsrVerdict {
        let outcome = self.judge(from, proposal).map(|isr| {
            self.withdrawals += usize::from(isr == self.isr());
            self.set_isr(isr);
            (self.isr().to_vec(), self.metadata.state.partition_epoch)
        });
        IsrVerdict { leader_epoch: proposal.leader_epoch, proposed_upon: proposal.partition_epoch, outcome }
    }

    fn judge(&self, from: NodeId, proposal: &IsrProposal) -> Result<Vec<NodeId>, ErrorCode> {
        let Metadata { leader, leader_epoch, state, .. } = &self.metadata;
        if proposal.leader_epoch > *leader_epoch || proposal.partition_epoch > state.partition_epoch {
            return Err(ErrorCode::NOT_CONTROLLER);
        }
        if proposal.leader_epoch < *leader_epoch {
            return Err(ErrorCode::FENCED_LEADER_EPOCH);
        }
        if *leader != Some(from) {
            return Err(ErrorCode::INVALID_REQUEST);
        }
        if proposal.partition_epoch < state.partition_epoch {
            return Err(ErrorCode::INVALID_UPDATE_VERSION);
        }
        let isr: Vec<NodeId> = proposal.in_sync_replicas.iter().map(|member| member.node).collect();
        if !isr.contains(&from) {
            return Err(ErrorCode::INVALID_REQUEST);
        }
        for member in &proposal.in_sync_replicas {
            let Standing { is_fenced, node_epoch, .. } = self.metadata.standings[&member.node];
            if is_fenced || (member.node_epoch.is_some() && member.node_epoch != node_epoch) {
                return Err(ErrorCode::INELIGIBLE_REPLICA);
            }
        }
        Ok(isr)
    }
}
