//! What must be true, always.

use super::elector::Elector;
use super::node::Node;
use crate::replication::tests::list_log::Entry;
use crate::replication::{IsrProposal, IsrVerdict, PartitionEpoch};
use crate::types::{LeaderEpoch, NodeId, Offset};
use std::collections::BTreeMap;

pub struct Checker {
    /// Whatever was below the high watermark of a leader, by offset. Nobody may ever contradict it.
    pub committed: Vec<Entry>,
    pub acked: usize,
    /// Who wrote what in which epoch: two leaders never write the same place in the same epoch.
    written: BTreeMap<(u64, u32), u64>,
    proposed: BTreeMap<NodeId, Proposed>,
    seen: Vec<Seen>,
    partition_epoch: PartitionEpoch,
}

/// A change of the ISR that a leader has proposed, and whether the controller has refused it meanwhile.
struct Proposed {
    leader_epoch: LeaderEpoch,
    partition_epoch: PartitionEpoch,
    nodes: Vec<NodeId>,
    is_refused: bool,
}

/// What a node looked like when it was last looked at.
#[derive(Clone, Default)]
struct Seen {
    end: u64,
    high_watermark: u64,
    reign: Option<LeaderEpoch>,
}

impl Checker {
    pub fn new(nodes: usize) -> Checker {
        Checker {
            committed: Vec::new(),
            acked: 0,
            written: BTreeMap::new(),
            proposed: BTreeMap::new(),
            seen: vec![Seen::default(); nodes],
            partition_epoch: PartitionEpoch::default(),
        }
    }

    /// After anything that happened to a node or to the controller.
    pub fn check(&mut self, at: usize, nodes: &mut [Node], elector: &Elector) -> Result<(), String> {
        let node = &nodes[at];
        let was = self.seen[at].clone();
        let is_shorter = node.log.end() < was.end;
        self.check_entries(node, was.end)?;
        let grew = self.check_watermark(node, if is_shorter { Seen::default() } else { was })?;
        self.seen[at] = Seen {
            end: node.log.end(),
            high_watermark: node.high_watermark.0,
            reign: node.leader().map(|leader| leader.leader_epoch()),
        };
        if grew || is_shorter || elector.metadata.state.partition_epoch != self.partition_epoch {
            self.partition_epoch = elector.metadata.state.partition_epoch;
            self.check_members(nodes, elector)?;
        }
        self.check_acked(&mut nodes[at])?;
        check_isr(nodes, elector)
    }

    pub fn handle_crash(&mut self, at: usize) {
        self.seen[at].reign = None;
    }

    fn check_entries(&mut self, node: &Node, seen_end: u64) -> Result<(), String> {
        for offset in seen_end.max(node.log.start)..node.log.end() {
            let entry = node.log.get(offset).expect("inside of the log");
            let value = *self.written.entry((offset, entry.epoch)).or_insert(entry.value);
            if value != entry.value {
                return Err(format!("two records at {offset} in epoch {}", entry.epoch));
            }
        }
        Ok(())
    }

    /// Says whether more is committed than before.
    fn check_watermark(&mut self, node: &Node, was: Seen) -> Result<bool, String> {
        let (id, Offset(end)) = (node.id, node.high_watermark);
        if end > node.log.end() || end < node.log.start {
            return Err(format!("{id}: high watermark {end} outside of {}..{}", node.log.start, node.log.end()));
        }
        let reign = node.leader().map(|leader| leader.leader_epoch());
        if reign.is_some() && reign == was.reign && end < was.high_watermark {
            return Err(format!("{id}: high watermark back from {} to {end}", was.high_watermark));
        }
        let known = self.committed.len() as u64;
        self.check_prefix(node, was.high_watermark, end.min(known))?;
        if end > known && reign.is_none() {
            return Err(format!("{id}: follower's high watermark {end}, only {known} are committed"));
        }
        self.committed.extend((known..end).map(|offset| node.log.get(offset).expect("inside of the log")));
        Ok(end > known)
    }

    /// Whoever may be elected holds everything that was ever committed.
    fn check_members(&self, nodes: &[Node], elector: &Elector) -> Result<(), String> {
        for member in elector.isr().iter().chain(&elector.eligible) {
            let node = &nodes[member.0 as usize - 1];
            if !node.has_lost_vouched {
                self.check_prefix(node, 0, self.committed.len() as u64)?;
            }
        }
        Ok(())
    }

    fn check_prefix(&self, node: &Node, from: u64, to: u64) -> Result<(), String> {
        for offset in from.max(node.log.start)..to {
            let (mine, committed) = (node.log.get(offset), self.committed[offset as usize]);
            if mine != Some(committed) {
                return Err(format!("{} has {mine:?} at {offset}, committed was {committed:?}", node.id));
            }
        }
        Ok(())
    }

    fn check_acked(&mut self, node: &mut Node) -> Result<(), String> {
        for acked in node.acked.drain(..) {
            self.acked += 1;
            if self.committed.get(acked.offset as usize) != Some(&acked.entry) {
                return Err(format!("{:?} was acknowledged at {} and is not committed", acked.entry, acked.offset));
            }
        }
        Ok(())
    }

    /// At most one change is in flight: upon one state of the partition the same one, unless it was refused.
    pub fn check_proposal(&mut self, from: NodeId, proposal: &IsrProposal) -> Result<(), String> {
        let nodes: Vec<NodeId> = proposal.in_sync_replicas.iter().map(|member| member.node).collect();
        let IsrProposal { leader_epoch, partition_epoch, .. } = *proposal;
        if let Some(before) = self.proposed.get(&from) {
            let is_same_state = (before.leader_epoch, before.partition_epoch) == (leader_epoch, partition_epoch);
            if is_same_state && before.nodes != nodes && !before.is_refused {
                return Err(format!("{from} proposes {nodes:?} while {:?} is in flight", before.nodes));
            }
            if (leader_epoch, partition_epoch) < (before.leader_epoch, before.partition_epoch) {
                return Err(format!("{from} proposes upon an older state"));
            }
        }
        self.proposed.insert(from, Proposed { leader_epoch, partition_epoch, nodes, is_refused: false });
        Ok(())
    }

    pub fn handle_verdict(&mut self, to: NodeId, verdict: &IsrVerdict) {
        if let Some(proposed) = self.proposed.get_mut(&to) {
            proposed.is_refused |= verdict.outcome.is_err();
        }
    }
}

/// The controller's ISR is never larger than what the leader of its reign waits for.
fn check_isr(nodes: &[Node], elector: &Elector) -> Result<(), String> {
    for node in nodes {
        let Some(leader) = node.leader() else { continue };
        if leader.leader_epoch() == elector.metadata.leader_epoch {
            let maximal = leader.maximal_in_sync_replicas();
            if let Some(member) = elector.isr().iter().find(|member| !maximal.contains(member)) {
                return Err(format!("{member} is in the ISR, and leader {} waits for {maximal:?} only", node.id));
            }
        }
    }
    Ok(())
}
