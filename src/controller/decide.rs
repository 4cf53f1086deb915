//! One decision: the image and a request in, records to commit and an answer out.

use super::elect::{Changed, Election, PartitionChange};
use super::image::{Image, Topic};
use super::metadata::{MetadataRecord, PartitionState};
use super::request::{ControllerEvent, ControllerRequest, PartitionResult, Reply};
use super::sessions::Sessions;
use crate::error::{Error, ErrorCode, Result};
use crate::time::Instant;
use crate::types::NodeId;
use std::sync::Arc;
use std::time::Duration;

/// The settings that decisions depend on, by Kafka's names.
#[derive(Clone, Debug)]
pub(crate) struct ControllerConfig {
    /// `broker.session.timeout.ms`
    pub session_timeout: Duration,
    /// `leader.imbalance.check.interval.seconds`; `None` when `auto.leader.rebalance.enable` is false.
    pub leader_imbalance_check_interval: Option<Duration>,
    /// `unclean.leader.election.interval.ms`
    pub unclean_leader_election_interval: Duration,
    /// `default.replication.factor`
    pub replication_factor: u32,
    /// `num.partitions`
    pub partitions: u32,
    /// `min.insync.replicas` of topics that do not say.
    pub min_insync_replicas: u32,
    /// `unclean.leader.election.enable` of topics that do not say.
    pub unclean_leader_election: bool,
    /// Most partitions of the whole cluster; beyond, POLICY_VIOLATION. Bounds what one decision may write. Ours.
    pub partitions_max: usize,
    /// Most partitions that one periodic sweep changes; the next one goes on (Kafka's `MAX_ELECTIONS_PER_IMBALANCE`).
    pub sweep_partitions_max: usize,
}

impl Default for ControllerConfig {
    fn default() -> ControllerConfig {
        ControllerConfig {
            session_timeout: Duration::from_secs(9),
            leader_imbalance_check_interval: Some(Duration::from_secs(300)),
            unclean_leader_election_interval: Duration::from_secs(300),
            replication_factor: 1,
            partitions: 1,
            min_insync_replicas: 1,
            unclean_leader_election: false,
            partitions_max: 20_000,
            sweep_partitions_max: 1_000,
        }
    }
}

/// What a decision comes to. Nothing of it holds before the records are committed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Outcome {
    pub records: Vec<MetadataRecord>,
    pub reply: Reply,
    pub events: Vec<ControllerEvent>,
}

impl Outcome {
    pub(super) fn empty() -> Outcome {
        Outcome { records: Vec::new(), reply: Reply::Done, events: Vec::new() }
    }
}

/// Everything that a decision may look at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decider<'a> {
    pub image: &'a Image,
    pub config: &'a ControllerConfig,
    pub sessions: &'a Sessions,
    pub now: Instant,
    /// The offset in the metadata log that the records of this decision will have: the epoch of a node that registers.
    pub offset_next: u64,
    /// A random number, for spreading replicas.
    pub lot: u64,
}

impl<'a> Decider<'a> {
    /// Answers a request, except for ChangeVoters, which is the quorum's.
    ///
    /// # Errors
    /// By Kafka's codes; nothing is to be committed then.
    pub fn decide(&self, request: &ControllerRequest) -> Result<Outcome> {
        match request {
            ControllerRequest::RegisterNode(request) => self.register_node(request),
            ControllerRequest::Heartbeat(request) => self.heartbeat(request),
            ControllerRequest::AlterPartition { node, node_epoch, partitions } => {
                self.alter_partitions(*node, *node_epoch, partitions)
            }
            ControllerRequest::CreateTopic(request) => self.create_topic(request),
            ControllerRequest::CreatePartitions { name, count, assignments } => {
                self.create_partitions(name, *count, assignments)
            }
            ControllerRequest::DeleteTopic { name } => self.delete_topic(name),
            ControllerRequest::AlterTopicConfig { name, changes } => self.alter_topic_config(name, changes),
            ControllerRequest::ElectLeaders { election, partitions } => self.elect_leaders(*election, partitions),
            ControllerRequest::AlterReassignment { name, partition, replicas } => {
                self.alter_reassignment(name, *partition, replicas.as_deref())
            }
            ControllerRequest::DecommissionNode { node } => self.decommission_node(*node),
            ControllerRequest::UnregisterNode { node } => self.unregister_node(*node),
            ControllerRequest::ChangeVoters { .. } => Err(invalid("voters are changed at the quorum")),
        }
    }

    /// The topic's `min.insync.replicas`.
    pub(super) fn min_isr(&self, topic: &Topic) -> u32 {
        let own = topic.setting("min.insync.replicas").and_then(|value| value.trim().parse().ok());
        own.unwrap_or(self.config.min_insync_replicas).max(1)
    }

    /// Whether the topic would rather lose records than wait.
    pub(super) fn allows_unclean(&self, topic: &Topic) -> bool {
        let own = topic.setting("unclean.leader.election.enable");
        own.map_or(self.config.unclean_leader_election, |value| value.trim().eq_ignore_ascii_case("true"))
    }

    /// How far an election may go that nobody asked for.
    pub(super) fn election(&self, topic: &Topic) -> Election {
        if self.allows_unclean(topic) {
            Election::Unclean
        } else {
            Election::Online
        }
    }

    pub(super) fn topic(&self, name: &str) -> Result<&'a Topic> {
        self.image
            .topic_named(name)
            .ok_or_else(|| Error::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, format!("no topic is named {name}")))
    }

    /// Builds the change, writes its record and what is worth telling. Says whether anything changed.
    pub(super) fn commit_change(
        &self,
        outcome: &mut Outcome,
        (topic, partition, before): (&Topic, u32, &PartitionState),
        change: PartitionChange<'_>,
    ) -> Option<PartitionState> {
        let Changed { state, elected_uncleanly } = change.build()?;
        let name = || Arc::clone(&topic.name);
        match state.leader {
            // Of a lone replica nobody could have had more, and that it was not closed in order was told.
            Some(leader) if elected_uncleanly && state.replicas.len() > 1 => {
                outcome.events.push(ControllerEvent::UncleanLeaderElected {
                    topic: name(),
                    partition,
                    leader,
                    isr_before: before.isr.clone(),
                })
            }
            None if before.leader.is_some() => {
                outcome.events.push(ControllerEvent::PartitionOffline { topic: name(), partition });
            }
            _ => {}
        }
        let record = MetadataRecord::PartitionChanged { topic: topic.id, partition, state: state.clone() };
        outcome.records.push(record);
        Some(state)
    }

    /// Whether every node of the list is registered and keeps replicas.
    pub(super) fn check_replicas(&self, replicas: &[NodeId]) -> Result<()> {
        let mut sorted = replicas.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        let known = |node: &NodeId| self.image.node(*node).is_some_and(|node| node.registration.holds_data);
        if sorted.is_empty() || sorted.len() != replicas.len() {
            let message = format!("replicas {replicas:?} are none, or name a node twice");
            return Err(Error::new(ErrorCode::INVALID_REPLICA_ASSIGNMENT, message));
        }
        if let Some(stranger) = sorted.iter().find(|node| !known(node)) {
            let message = format!("node {stranger} is not registered, or keeps no replicas");
            return Err(Error::new(ErrorCode::INVALID_REPLICA_ASSIGNMENT, message));
        }
        Ok(())
    }
}

pub(super) fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorCode::INVALID_REQUEST, message)
}

/// A per-partition line of an answer.
pub(super) fn line(name: &Arc<str>, partition: u32, code: ErrorCode) -> PartitionResult {
    PartitionResult { name: Arc::clone(name), partition, code }
}
