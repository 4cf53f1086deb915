//! The ISR of one reign: what the controller committed, and at most one change on its way there (KIP-497).
//!
//! ```text
//!                propose                        accepted
//!   committed ------------> in flight --------------------------> committed, new partition epoch
//!                            |  ^  |  newer partition state           ^
//!          55, 107, shrink   |  |  +----------------------------------+
//!   committed <--------------+  |  3, 42, 74, 95, 100, 108: wait for newer state; other codes and silence: send again
//!                               |
//!            55, 107, expand: withdraw, that is propose the committed ISR
//! ```
//!
//! While a change is in flight nobody knows whether it is committed already, so the *maximal* ISR counts: a replica that leaves
//! still counts, one that joins counts already.
//!
//! A refused expansion is not simply forgotten. Proposals may be sent twice and arrive late: a copy of the refused one, accepted once
//! the replica is eligible again, would make a member of somebody whom the leader had stopped to wait for. So the joiner
//! keeps counting while the leader proposes the committed ISR once more; the controller gives that a new partition epoch, and every
//! older copy is stale from then on. (Kafka falls back at once and relies on its connections; a controller that answers with
//! the old partition epoch gives the same behaviour here.)

use super::facts::{IsrMember, PartitionEpoch, PartitionState};
use crate::error::ErrorCode;
use crate::planted::planted;
use crate::time::Instant;
use crate::types::NodeId;
use std::time::Duration;

/// How long the controller may be silent, or after a refusal how long we are, before a proposal is sent again.
pub const PROPOSAL_RETRY: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Isr {
    /// Ascending.
    committed: Vec<NodeId>,
    partition_epoch: PartitionEpoch,
    in_flight: Option<Change>,
    /// No expansion before, because one was refused.
    expand_after: Option<Instant>,
}

#[derive(Debug)]
struct Change {
    proposed: Vec<IsrMember>,
    /// Whoever may be in the ISR until the verdict is known, ascending.
    maximal: Vec<NodeId>,
    /// To be sent now.
    is_due: bool,
    /// When it is sent again; `None` when only newer state of the partition ends it.
    retry_at: Option<Instant>,
}

impl Change {
    /// Whether it is the withdrawal of a refused one.
    fn restores(&self, committed: &[NodeId]) -> bool {
        self.proposed.iter().map(|member| member.node).eq(committed.iter().copied())
    }
}

impl Isr {
    pub fn new(state: &PartitionState) -> Isr {
        let committed = sorted(state.in_sync_replicas.clone());
        Isr { committed, partition_epoch: state.partition_epoch, in_flight: None, expand_after: None }
    }

    /// What the controller is known to have committed.
    pub fn committed(&self) -> &[NodeId] {
        &self.committed
    }

    pub fn partition_epoch(&self) -> PartitionEpoch {
        self.partition_epoch
    }

    /// Everybody who may be in the ISR, whatever became of the change in flight.
    pub fn maximal(&self) -> &[NodeId] {
        self.in_flight.as_ref().map_or(&self.committed, |change| &change.maximal)
    }

    pub fn is_in_flight(&self) -> bool {
        self.in_flight.is_some()
    }

    pub fn may_expand(&self, now: Instant) -> bool {
        self.in_flight.is_none() && self.expand_after.is_none_or(|after| now >= after)
    }

    /// Begins a change to these members.
    ///
    /// # Panics
    /// When one is in flight.
    pub fn propose(&mut self, mut members: Vec<IsrMember>, now: Instant) {
        assert!(self.in_flight.is_none(), "one change of the ISR at a time");
        members.sort_unstable();
        let mut maximal: Vec<NodeId> = members.iter().map(|member| member.node).collect();
        if !planted!("bug-isr-shrink-before-commit") {
            maximal.extend(&self.committed);
        }
        self.begin(members, sorted(maximal), now);
    }

    fn begin(&mut self, proposed: Vec<IsrMember>, maximal: Vec<NodeId>, now: Instant) {
        self.in_flight = Some(Change { proposed, maximal, is_due: true, retry_at: Some(now + PROPOSAL_RETRY) });
    }

    /// The proposal to send now: upon which state, and who.
    pub fn poll_proposal(&mut self) -> Option<(PartitionEpoch, Vec<IsrMember>)> {
        let change = self.in_flight.as_mut().filter(|change| change.is_due)?;
        change.is_due = false;
        Some((self.partition_epoch, change.proposed.clone()))
    }

    /// The controller's word on the change in flight. Says whether anything changed.
    pub fn handle_verdict(
        &mut self,
        proposed_upon: PartitionEpoch,
        outcome: Result<(Vec<NodeId>, PartitionEpoch), ErrorCode>,
        now: Instant,
    ) -> bool {
        // Newer state of the partition has ended that change already, or the verdict came twice.
        if proposed_upon != self.partition_epoch {
            return false;
        }
        let Some(change) = self.in_flight.as_mut() else { return false };
        match outcome {
            Ok((in_sync_replicas, partition_epoch)) => {
                let is_newer = partition_epoch > self.partition_epoch;
                // A controller that does not count withdrawals answers one with the epoch that it was proposed upon.
                let is_withdrawn = partition_epoch == self.partition_epoch && change.restores(&self.committed);
                if !is_newer && !is_withdrawn {
                    return false;
                }
                self.commit(in_sync_replicas, partition_epoch);
            }
            Err(ErrorCode::OPERATION_NOT_ATTEMPTED | ErrorCode::INELIGIBLE_REPLICA) => self.fall_back(now),
            Err(
                ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
                | ErrorCode::UNKNOWN_TOPIC_ID
                | ErrorCode::FENCED_LEADER_EPOCH
                | ErrorCode::INVALID_UPDATE_VERSION
                | ErrorCode::INVALID_REQUEST
                | ErrorCode::NEW_LEADER_ELECTED,
            ) => change.retry_at = None,
            Err(_) => change.retry_at = Some(now + PROPOSAL_RETRY),
        }
        true
    }

    /// The change is refused: back to the committed ISR, for an expansion by way of a withdrawal.
    fn fall_back(&mut self, now: Instant) {
        let Some(change) = self.in_flight.take() else { return };
        if change.maximal == self.committed {
            return;
        }
        if change.restores(&self.committed) {
            self.in_flight = Some(Change { retry_at: Some(now + PROPOSAL_RETRY), ..change });
            return;
        }
        // It claims nothing about anybody: a member that was named in a life that is over would be refused for ever.
        let back = self.committed.iter().map(|&node| IsrMember { node, node_epoch: None });
        self.expand_after = Some(now + PROPOSAL_RETRY);
        self.begin(back.collect(), change.maximal, now);
    }

    /// Newer state of the partition ends whatever was in flight: the controller refuses what builds upon an older one. Says whether
    /// it was newer.
    pub fn handle_state(&mut self, state: &PartitionState) -> bool {
        if state.partition_epoch <= self.partition_epoch {
            return false;
        }
        self.commit(state.in_sync_replicas.clone(), state.partition_epoch);
        true
    }

    fn commit(&mut self, in_sync_replicas: Vec<NodeId>, partition_epoch: PartitionEpoch) {
        self.committed = sorted(in_sync_replicas);
        self.partition_epoch = partition_epoch;
        self.in_flight = None;
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        if let Some(change) = self.in_flight.as_mut().filter(|change| change.retry_at.is_some_and(|at| now >= at)) {
            change.is_due = true;
            change.retry_at = Some(now + PROPOSAL_RETRY);
        }
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        self.in_flight.as_ref().and_then(|change| change.retry_at)
    }
}

pub(super) fn sorted(mut nodes: Vec<NodeId>) -> Vec<NodeId> {
    nodes.sort_unstable();
    nodes.dedup();
    nodes
}
