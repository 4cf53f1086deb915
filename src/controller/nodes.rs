//! Nodes come, beat, are fenced and leave (Kafka's `ClusterControlManager`, and the broker part of `ReplicationControlManager`).

use super::decide::{invalid, Decider, Outcome};
use super::elect::PartitionChange;
use super::metadata::{MetadataRecord, NodeRegistration, NodeStanding, PartitionState};
use super::request::{ControllerEvent, Heartbeat, RegisterNode, Reply};
use crate::error::{Error, ErrorCode, Result};
use crate::types::NodeId;
use std::sync::Arc;

/// What happens to one node, and so to the partitions it has a part in.
#[derive(Clone, Copy)]
struct NodeMove {
    node: NodeId,
    /// Leaves every ISR and leads nothing.
    leaves: bool,
    /// Stopped without saying so: leaves ISR and ELR.
    restarted_uncleanly: bool,
}

impl Decider<'_> {
    /// A node registers. It starts fenced; the same incarnation asking again gets the same answer.
    pub(super) fn register_node(&self, request: &RegisterNode) -> Result<Outcome> {
        let node = request.node;
        let known = self.image.node(node);
        let mut outcome = Outcome::empty();
        let mut registration = NodeRegistration {
            node,
            incarnation: request.incarnation,
            epoch: self.offset_next,
            address: request.address.clone(),
            rack: request.rack.clone(),
            holds_data: request.holds_data,
        };
        let mut standing = NodeStanding::Fenced;
        let mut cleanly = true;
        if let Some(known) = known {
            let before = &known.registration;
            if before.incarnation == request.incarnation {
                registration.epoch = before.epoch;
                standing = known.standing;
            } else {
                let alive = self.sessions.is_alive(node, before.epoch, self.now);
                if alive && known.standing != NodeStanding::InControlledShutdown {
                    let message = format!("node {node} is alive as another process; its session has not ended");
                    return Err(Error::new(ErrorCode::DUPLICATE_BROKER_REGISTRATION, message));
                }
                cleanly = request.previous_epoch == Some(before.epoch);
                let moved = NodeMove { node, leaves: true, restarted_uncleanly: !cleanly };
                self.move_node(moved, &mut outcome);
            }
        }
        let node_epoch = registration.epoch;
        if known.is_none_or(|known| known.registration != registration) {
            outcome.records.insert(0, MetadataRecord::NodeRegistered { registration, standing });
            outcome.events.insert(0, ControllerEvent::NodeRegistered { node, node_epoch, cleanly });
        }
        outcome.reply = Reply::Registered { node_epoch };
        Ok(outcome)
    }

    /// A heartbeat: may the node be unfenced, may it go?
    pub(super) fn heartbeat(&self, request: &Heartbeat) -> Result<Outcome> {
        let known = self.image.node(request.node).ok_or_else(|| {
            Error::new(ErrorCode::BROKER_ID_NOT_REGISTERED, format!("node {} is not registered", request.node))
        })?;
        self.check_node_epoch(request.node, request.node_epoch)?;
        let mut outcome = Outcome::empty();
        let is_caught_up = request.metadata_offset >= known.registration.epoch;
        let (wants_fenced, wants_shutdown) = (request.wants_fenced, request.wants_shutdown);
        let mut should_shut_down = false;
        let mut next = known.standing;
        match known.standing {
            NodeStanding::Fenced if wants_shutdown => should_shut_down = true,
            NodeStanding::Fenced if !wants_fenced && is_caught_up => next = NodeStanding::Unfenced,
            NodeStanding::Fenced => {}
            NodeStanding::Unfenced | NodeStanding::InControlledShutdown if wants_fenced => {
                next = NodeStanding::Fenced;
                should_shut_down = wants_shutdown;
            }
            NodeStanding::Unfenced if wants_shutdown => {
                next = NodeStanding::InControlledShutdown;
            }
            NodeStanding::InControlledShutdown => {
                let leads = self.image.partitions().any(|(_, _, state)| state.leader == Some(request.node));
                should_shut_down = !leads && self.sessions.may_leave(self.image, request.node);
            }
            NodeStanding::Unfenced => {}
        }
        if next != known.standing {
            self.change_standing(request.node, next, &mut outcome);
        }
        let is_fenced = next == NodeStanding::Fenced;
        outcome.reply = Reply::Heartbeat { is_fenced, is_caught_up, should_shut_down };
        Ok(outcome)
    }

    /// Fences a node whose session has ended. Nothing happens to one that is fenced or gone.
    pub(crate) fn fence_node(&self, node: NodeId) -> Outcome {
        let mut outcome = Outcome::empty();
        if self.image.node(node).is_some_and(|known| known.standing != NodeStanding::Fenced) {
            self.change_standing(node, NodeStanding::Fenced, &mut outcome);
        }
        outcome
    }

    /// Forgets a node that has no replicas.
    pub(super) fn unregister_node(&self, node: NodeId) -> Result<Outcome> {
        let known = self
            .image
            .node(node)
            .ok_or_else(|| Error::new(ErrorCode::BROKER_ID_NOT_REGISTERED, format!("node {node} is not registered")))?;
        if let Some((topic, partition, _)) = self.image.partitions().find(|(_, _, s)| s.replicas.contains(&node)) {
            let message = format!("node {node} keeps a replica of {}-{partition}: decommission it first", topic.name);
            return Err(invalid(message));
        }
        let mut outcome = Outcome::empty();
        outcome.records.push(MetadataRecord::NodeRemoved { node, epoch: known.registration.epoch });
        Ok(outcome)
    }

    pub(super) fn check_node_epoch(&self, node: NodeId, node_epoch: u64) -> Result<()> {
        let known = self.image.node(node).map(|known| known.registration.epoch);
        if known == Some(node_epoch) {
            return Ok(());
        }
        let message = format!("node {node} speaks with epoch {node_epoch}, registered is {known:?}");
        Err(Error::new(ErrorCode::STALE_BROKER_EPOCH, message))
    }

    fn change_standing(&self, node: NodeId, standing: NodeStanding, outcome: &mut Outcome) {
        let Some(known) = self.image.node(node) else { return };
        let epoch = known.registration.epoch;
        outcome.records.push(MetadataRecord::NodeStandingChanged { node, epoch, standing });
        match standing {
            NodeStanding::Unfenced => outcome.events.push(ControllerEvent::NodeUnfenced { node }),
            NodeStanding::Fenced => outcome.events.push(ControllerEvent::NodeFenced { node }),
            NodeStanding::InControlledShutdown => {}
        }
        let leaves = standing != NodeStanding::Unfenced;
        self.move_node(NodeMove { node, leaves, restarted_uncleanly: false }, outcome);
    }

    /// Every partition that the move concerns, decided in the same batch (Kafka's `generateLeaderAndIsrUpdates`).
    fn move_node(&self, moved: NodeMove, outcome: &mut Outcome) {
        let node = moved.node;
        let acceptable = |other: NodeId| if other == node { !moved.leaves } else { self.image.is_active(other) };
        for place in self.image.partitions() {
            let (topic, partition, state) = place;
            let has_part = state.replicas.contains(&node);
            let concerned = if moved.leaves { has_part } else { has_part && state.leader.is_none() };
            if !concerned {
                continue;
            }
            let mut change = PartitionChange::of(state, self.min_isr(topic), &acceptable);
            change.election = self.election(topic);
            if moved.leaves {
                change.isr.retain(|member| *member != node);
            }
            if moved.restarted_uncleanly {
                if is_last_of(state, node) {
                    outcome.events.push(ControllerEvent::LastReplicaRestartedUncleanly {
                        topic: Arc::clone(&topic.name),
                        partition,
                        node,
                    });
                }
                change.restarted_uncleanly = Some(node);
            }
            self.commit_change(outcome, place, change);
        }
    }
}

/// Whether nobody but this node is in ISR and ELR. When it leaves them, too, nobody is left who is known to have everything.
fn is_last_of(state: &PartitionState, node: NodeId) -> bool {
    let mut members = state.isr.iter().chain(&state.elr).peekable();
    members.peek().is_some() && members.all(|member| *member == node)
}
