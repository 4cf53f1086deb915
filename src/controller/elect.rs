//! Who leads, who is in sync, who is eligible after one change of a partition (Kafka's `PartitionChangeBuilder`, KIP-966).

use super::metadata::{LeaderRecovery, PartitionState};
use crate::types::{LeaderEpoch, NodeId};

/// How far an election may go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Election {
    /// The leader stays if it can; else the first of the ISR in the order of the assignment; with an empty ISR the first of the ELR; with
    /// both empty, because everybody in them was restarted uncleanly, the last leader (KIP-966: of those that had everything, nobody had
    /// more).
    Online,
    /// As `Online`, but the first replica of the assignment comes before the present leader.
    Preferred,
    /// As `Online`, and if nobody of those is there: the last known leader, then any replica in the order of the assignment.
    Unclean,
}

/// The state that a change leads to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Changed {
    pub state: PartitionState,
    /// The new leader came from outside of ISR and ELR: records may be lost.
    pub elected_uncleanly: bool,
}

/// One change in the making: set what is wanted, then [`build`](PartitionChange::build).
pub(super) struct PartitionChange<'a> {
    now: &'a PartitionState,
    min_isr: u32,
    acceptable: &'a dyn Fn(NodeId) -> bool,
    pub election: Election,
    pub replicas: Vec<NodeId>,
    pub adding: Vec<NodeId>,
    pub removing: Vec<NodeId>,
    pub isr: Vec<NodeId>,
    pub elr: Vec<NodeId>,
    pub recovery: LeaderRecovery,
    /// Lost what it had not flushed, perhaps: out of ISR and ELR.
    pub restarted_uncleanly: Option<NodeId>,
}

impl<'a> PartitionChange<'a> {
    /// Nothing changed yet. `min_isr` is the topic's `min.insync.replicas`, `acceptable` says who may lead.
    pub fn of(now: &'a PartitionState, min_isr: u32, acceptable: &'a dyn Fn(NodeId) -> bool) -> PartitionChange<'a> {
        PartitionChange {
            now,
            min_isr,
            acceptable,
            election: Election::Online,
            replicas: now.replicas.clone(),
            adding: now.adding.clone(),
            removing: now.removing.clone(),
            isr: now.isr.clone(),
            elr: now.elr.clone(),
            recovery: now.recovery,
            restarted_uncleanly: None,
        }
    }

    /// The new state, or `None` when nothing is different.
    pub fn build(mut self) -> Option<Changed> {
        self.complete_reassignment();
        self.update_elr();
        let (leader, elected_uncleanly) = self.elect();
        if let Some(leader) = leader {
            self.seat(leader, elected_uncleanly);
        }
        // A replica that is taken away must not go on fetching from, or counting in, the old reign.
        let replicas_removed = self.now.replicas.iter().any(|node| !self.replicas.contains(node));
        let new_reign = leader != self.now.leader || replicas_removed;
        let last_known_leader = if leader.is_some() { None } else { self.last_known_leader() };
        let mut state = PartitionState {
            replicas: self.replicas,
            adding: self.adding,
            removing: self.removing,
            isr: self.isr,
            elr: self.elr,
            last_known_leader,
            leader,
            leader_epoch: LeaderEpoch(self.now.leader_epoch.0 + u32::from(new_reign)),
            partition_epoch: self.now.partition_epoch,
            recovery: self.recovery,
        };
        if state == *self.now {
            return None;
        }
        state.partition_epoch += 1;
        Some(Changed { state, elected_uncleanly })
    }

    /// A reassignment is complete when every replica that shall stay is in the ISR.
    fn complete_reassignment(&mut self) {
        if self.adding.is_empty() && self.removing.is_empty() {
            return;
        }
        let stays = |node: &NodeId| !self.removing.contains(node);
        let replicas: Vec<NodeId> = self.replicas.iter().copied().filter(stays).collect();
        let isr: Vec<NodeId> = self.isr.iter().copied().filter(stays).collect();
        if !replicas.iter().all(|node| isr.contains(node)) {
            return;
        }
        self.replicas = replicas;
        self.isr = isr;
        self.adding.clear();
        self.removing.clear();
    }

    fn min_isr(&self) -> usize {
        self.replicas.len().min(self.min_isr as usize)
    }

    /// While the ISR is too small, nothing is committed; so who leaves it then still has everything that is.
    fn update_elr(&mut self) {
        if self.isr.len() >= self.min_isr() {
            self.elr.clear();
            return;
        }
        let mut elr = std::mem::take(&mut self.elr);
        elr.extend(self.now.isr.iter().filter(|node| !self.now.elr.contains(node)));
        elr.retain(|node| {
            self.replicas.contains(node) && !self.isr.contains(node) && self.restarted_uncleanly != Some(*node)
        });
        self.elr = elr;
    }

    /// The leader to be, and whether that is an unclean election.
    fn elect(&self) -> (Option<NodeId>, bool) {
        let is_valid = |node: &NodeId| {
            let eligible = self.isr.contains(node) || (self.isr.is_empty() && self.elr.contains(node));
            eligible && self.replicas.contains(node) && (self.acceptable)(*node)
        };
        let preferred = self.replicas.first().copied().filter(|_| self.election == Election::Preferred);
        let online = preferred
            .filter(is_valid)
            .or_else(|| self.now.leader.filter(is_valid))
            .or_else(|| self.replicas.iter().copied().find(is_valid));
        if online.is_some() {
            return (online, false);
        }
        let may_lead = |node: &NodeId| self.replicas.contains(node) && (self.acceptable)(*node);
        let last_known = self.now.leader.or(self.now.last_known_leader).filter(may_lead);
        if self.election != Election::Unclean {
            let nobody_is_left = self.isr.is_empty() && self.elr.is_empty();
            let last_known = last_known.filter(|_| nobody_is_left);
            return (last_known, last_known.is_some());
        }
        let any = last_known.or_else(|| self.replicas.iter().copied().find(may_lead));
        (any, any.is_some())
    }

    /// Who had everything when nobody led any more: the last leader, and if it keeps no replica now one of those that are eligible. A
    /// replica that it gets later begins empty.
    fn last_known_leader(&self) -> Option<NodeId> {
        let last = self.now.leader.or(self.now.last_known_leader).filter(|node| self.replicas.contains(node));
        last.or_else(|| self.isr.iter().chain(&self.elr).copied().next())
    }

    /// What being led by `leader` means for ISR, ELR and recovery.
    fn seat(&mut self, leader: NodeId, uncleanly: bool) {
        if uncleanly {
            self.isr = vec![leader];
            self.elr.clear();
            self.recovery = LeaderRecovery::Recovering;
        } else if !self.isr.contains(&leader) {
            self.isr = vec![leader];
            self.elr.retain(|node| *node != leader);
            if self.isr.len() >= self.min_isr() {
                self.elr.clear();
            }
        }
    }
}
