//! What the leaders of this node propose for their ISRs, in one request at a time (Kafka's `AlterPartitionManager`). Pure.
//!
//! ```text
//!   propose --> pending --> AlterPartition --> verdicts, some of which wait until the metadata are applied that they speak of
//!                  ^             |
//!                  '-------------'   no answer, or none for this partition
//! ```

use super::controller_line::{ControllerCall, ControllerLine};
use crate::controller::{
    AlterPartition, AlterPartitionResult, ControllerRequest, ControllerResponse, IsrMember, LeaderRecovery, Reply,
};
use crate::error::{ErrorCode, Result};
use crate::replication::{IsrProposal, IsrVerdict, PartitionEpoch};
use crate::time::Instant;
use crate::types::NodeId;
use crate::wire::{TopicIdPartition, PARTITIONS_MAX};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

#[derive(Debug)]
pub(crate) struct IsrProposals {
    me: NodeId,
    /// `None` until the node is registered: nobody would listen.
    node_epoch: Option<u64>,
    line: ControllerLine,
    pending: BTreeMap<TopicIdPartition, IsrProposal>,
    /// In the request that is on its way.
    asked: BTreeMap<TopicIdPartition, IsrProposal>,
    /// Accepted; each waits for this metadata offset.
    early: BTreeMap<TopicIdPartition, (u64, IsrVerdict)>,
    metadata_offset: u64,
    verdicts: VecDeque<(TopicIdPartition, IsrVerdict)>,
}

impl IsrProposals {
    pub fn new(me: NodeId, voters: Vec<NodeId>, backoff: Duration, request_timeout: Duration) -> IsrProposals {
        IsrProposals {
            me,
            node_epoch: None,
            line: ControllerLine::new(voters, backoff, request_timeout),
            pending: BTreeMap::new(),
            asked: BTreeMap::new(),
            early: BTreeMap::new(),
            metadata_offset: 0,
            verdicts: VecDeque::new(),
        }
    }

    /// The node was registered, under this number.
    pub fn handle_node_epoch(&mut self, node_epoch: u64) {
        self.node_epoch = Some(node_epoch);
    }

    /// Who the active controller is, as the metadata quorum says.
    pub fn handle_controller(&mut self, controller: Option<NodeId>) {
        self.line.handle_controller(controller);
    }

    /// A leader's proposal. It takes the place of an older one that has not been sent; one that is on its way is not sent twice.
    pub fn propose(&mut self, id: TopicIdPartition, proposal: IsrProposal) {
        if self.asked.get(&id) == Some(&proposal) {
            self.pending.remove(&id);
        } else {
            self.pending.insert(id, proposal);
        }
    }

    /// This node does not lead it any more.
    pub fn forget(&mut self, id: TopicIdPartition) {
        self.pending.remove(&id);
        self.asked.remove(&id);
        self.early.remove(&id);
    }

    /// The call to send now. How it ended comes back by [`handle_response`](IsrProposals::handle_response).
    pub fn poll_call(&mut self, now: Instant) -> Option<ControllerCall> {
        let node_epoch = self.node_epoch?;
        if !self.line.is_free(now) {
            return None;
        }
        // Whatever was on its way until its deadline is lost.
        self.ask_again();
        if self.pending.is_empty() {
            return None;
        }
        let rest = self.pending.keys().nth(PARTITIONS_MAX).copied().map(|first| self.pending.split_off(&first));
        self.asked = std::mem::replace(&mut self.pending, rest.unwrap_or_default());
        let partitions = self.asked.iter().map(|(id, proposal)| line_of(*id, proposal)).collect();
        let request = ControllerRequest::AlterPartition { node: self.me, node_epoch, partitions };
        Some(self.line.call(request, now))
    }

    pub fn handle_response(&mut self, number: u64, response: Result<ControllerResponse>, now: Instant) {
        let Some(response) = self.line.handle_response(number, response, now) else { return };
        if let Ok(ControllerResponse { result: Ok(Reply::AlterPartition(results)), metadata_offset, .. }) = response {
            for result in results {
                self.handle_result(result, metadata_offset);
            }
        }
        self.ask_again();
    }

    fn handle_result(&mut self, result: AlterPartitionResult, metadata_offset: u64) {
        let id = TopicIdPartition { topic: result.topic, partition: result.partition };
        let Some(proposal) = self.asked.remove(&id) else { return };
        let outcome = match result.state {
            // Another reign has begun with it; what holds there, the metadata say.
            Ok(state) if state.leader_epoch != proposal.leader_epoch => Err(ErrorCode::NEW_LEADER_ELECTED),
            Ok(state) => Ok((state.isr, PartitionEpoch(state.partition_epoch))),
            Err(code) => Err(code),
        };
        let IsrProposal { leader_epoch, partition_epoch: proposed_upon, .. } = proposal;
        let verdict = IsrVerdict { leader_epoch, proposed_upon, outcome };
        if verdict.outcome.is_ok() && metadata_offset > self.metadata_offset {
            self.early.insert(id, (metadata_offset, verdict));
        } else {
            self.verdicts.push_back((id, verdict));
        }
    }

    /// What got no answer goes along with the next request, unless something newer was proposed.
    fn ask_again(&mut self) {
        for (id, proposal) in std::mem::take(&mut self.asked) {
            self.pending.entry(id).or_insert(proposal);
        }
    }

    /// The metadata are applied up to here.
    pub fn handle_metadata_offset(&mut self, offset: u64) {
        self.metadata_offset = self.metadata_offset.max(offset);
        let reached = self.metadata_offset;
        let verdicts = &mut self.verdicts;
        self.early.retain(|id, (needs, verdict)| {
            let is_early = *needs > reached;
            if !is_early {
                verdicts.push_back((*id, verdict.clone()));
            }
            is_early
        });
    }

    /// A verdict for the leader of that partition.
    pub fn poll_verdict(&mut self) -> Option<(TopicIdPartition, IsrVerdict)> {
        self.verdicts.pop_front()
    }

    /// When [`poll_call`](IsrProposals::poll_call) has something; a moment that is over means now.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.node_epoch?;
        let has_some = !self.pending.is_empty() || !self.asked.is_empty();
        self.line.poll_timeout().filter(|_| has_some)
    }
}

fn line_of(id: TopicIdPartition, proposal: &IsrProposal) -> AlterPartition {
    let member = |member: &crate::replication::IsrMember| IsrMember {
        node: member.node,
        node_epoch: member.node_epoch.map(|epoch| epoch.0),
    };
    AlterPartition {
        topic: id.topic,
        partition: id.partition,
        leader_epoch: proposal.leader_epoch,
        partition_epoch: proposal.partition_epoch.0,
        isr: proposal.in_sync_replicas.iter().map(member).collect(),
        recovery: LeaderRecovery::Recovered,
    }
}
