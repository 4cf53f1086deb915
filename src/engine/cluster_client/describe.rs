//! What a cluster says of itself to somebody outside: what every client is told, and what the controller and the leaders know.

use super::super::cluster_types::{
    ClusterDescription, NodeDescription, PartitionReplicas, QuorumReplica, ReplicaState,
};
use super::super::orders;
use super::ClusterClient;
use crate::config::IsolationLevel;
use crate::controller::{ControllerRequest, NodeStanding, QuorumState, Reply};
use crate::error::Result;
use crate::types::{Offset, Timestamp, TopicPartition};
use crate::wire::{LedReplica, OffsetSpec};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Topics of one question about settings; more are asked for in several.
const CONFIGS_ASKED_MAX: usize = 1_000;

/// As of the other requests of operators: they block for `default.api.timeout.ms` at the most, and REQUEST_TIMED_OUT, CLOSED and FORKED are
/// errors of each.
impl ClusterClient {
    /// The cluster as of now, as every client is told: nodes that are alive, and nothing of the quorum but who leads it.
    ///
    /// # Errors
    /// None of its own.
    pub fn describe_cluster(&self) -> Result<ClusterDescription> {
        self.core.look()?;
        let view = self.core.client.view();
        let nodes = view.nodes().into_iter().map(|node| NodeDescription {
            id: node.node,
            address: node.address,
            rack: node.rack,
            is_fenced: false,
            is_shutting_down: false,
            epoch: 0,
        });
        Ok(ClusterDescription {
            cluster_id: view.cluster().unwrap_or_default(),
            controller: view.controller(),
            nodes: nodes.collect(),
            voters: Vec::new(),
            learners: Vec::new(),
            quorum_leader: view.controller(),
            quorum_epoch: 0,
            metadata_offset: view.metadata_offset().unwrap_or(0),
            quorum_replicas: Vec::new(),
        })
    }

    /// The cluster as its controller knows it: every registered node, who votes, and how far everybody's copy of the metadata is.
    ///
    /// # Errors
    /// UNSUPPORTED_VERSION of an older controller.
    pub fn describe_quorum(&self) -> Result<ClusterDescription> {
        match self.core.ask_controller(ControllerRequest::DescribeQuorum)? {
            Reply::Quorum(state) => {
                let cluster_id = self.core.client.view().cluster().unwrap_or_default();
                Ok(ClusterDescription { cluster_id, ..of_quorum(state) })
            }
            other => Err(orders::not_expected(&other)),
        }
    }

    /// The settings that these topics have of their own, in this order; what is not among them is as the nodes' defaults say.
    ///
    /// # Errors
    /// UNKNOWN_TOPIC_OR_PARTITION; UNSUPPORTED_VERSION of an older controller.
    pub fn describe_configs(&self, topics: &[impl AsRef<str>]) -> Result<Vec<BTreeMap<String, String>>> {
        let mut all = Vec::with_capacity(topics.len());
        for some in topics.chunks(CONFIGS_ASKED_MAX) {
            let topics: Vec<Arc<str>> = some.iter().map(|name| name.as_ref().into()).collect();
            match self.core.ask_controller(ControllerRequest::DescribeConfigs { topics })? {
                Reply::Configs(configs) if configs.len() == some.len() => {
                    all.extend(configs.into_iter().map(|topic| topic.settings.into_iter().collect::<BTreeMap<_, _>>()));
                }
                other => return Err(orders::not_expected(&other)),
            }
        }
        Ok(all)
    }

    /// One partition as of now: who leads, who replicates, who is in sync; and, where somebody leads, how far each replica is.
    ///
    /// # Errors
    /// UNKNOWN_TOPIC_OR_PARTITION; UNSUPPORTED_VERSION of an older leader.
    pub fn describe_replicas(&self, topic: &str, partition: u32) -> Result<PartitionReplicas> {
        self.core.look()?;
        let id = TopicPartition::new(topic, partition);
        let view = self.core.client.view();
        let has_leader = view.partition(&id)?.leader.is_some();
        let asked = has_leader
            .then(|| self.core.wait(|deadline, done| self.core.client.describe_replicas(&id, deadline, done)));
        let led = asked.transpose()?;
        let found = view.partition(&id)?; // asking may have found another leader
        let (high_watermark, states) = match led {
            Some(led) => (Some(led.high_watermark), led.states.into_iter().map(of_replica).collect()),
            None => (None, Vec::new()),
        };
        Ok(PartitionReplicas {
            leader: found.leader,
            leader_epoch: found.leader_epoch,
            replicas: found.replicas,
            isr: found.isr,
            elr: found.elr,
            offline: found.offline_replicas,
            high_watermark,
            states,
        })
    }

    /// One partition as every client is told, as of the last call that looked ([`topics`](ClusterClient::topics) does): as
    /// [`describe_replicas`](ClusterClient::describe_replicas), but nobody is asked how far the replicas are.
    ///
    /// # Errors
    /// UNKNOWN_TOPIC_OR_PARTITION.
    pub fn describe_partition(&self, topic: &str, partition: u32) -> Result<PartitionReplicas> {
        let found = self.core.client.view().partition(&TopicPartition::new(topic, partition))?;
        Ok(PartitionReplicas {
            leader: found.leader,
            leader_epoch: found.leader_epoch,
            replicas: found.replicas,
            isr: found.isr,
            elr: found.elr,
            offline: found.offline_replicas,
            high_watermark: None,
            states: Vec::new(),
        })
    }

    /// The first record that has the largest timestamp of a partition; `None` where there is no record.
    ///
    /// # Errors
    /// UNKNOWN_TOPIC_OR_PARTITION.
    pub fn offset_of_max_timestamp(&self, topic: &str, partition: u32) -> Result<Option<(Offset, Timestamp)>> {
        let id = TopicPartition::new(topic, partition);
        let found = self.core.wait(|deadline, done| {
            let isolation = IsolationLevel::ReadUncommitted;
            self.core.client.list_offsets(&id, OffsetSpec::MaxTimestamp, isolation, deadline, done);
        })?;
        Ok(found.and_then(|found| Some((found.offset, found.timestamp?))))
    }
}

fn of_quorum(state: QuorumState) -> ClusterDescription {
    let nodes = state.nodes.into_iter().map(|node| NodeDescription {
        id: node.node,
        address: node.address,
        rack: node.rack,
        is_fenced: node.standing == NodeStanding::Fenced,
        is_shutting_down: node.standing == NodeStanding::InControlledShutdown,
        epoch: node.epoch,
    });
    let seated = |is_voter| {
        state.replicas.iter().filter(|replica| replica.is_voter == is_voter).map(|replica| replica.node).collect()
    };
    ClusterDescription {
        cluster_id: Default::default(),
        controller: Some(state.leader),
        nodes: nodes.collect(),
        voters: seated(true),
        learners: seated(false),
        quorum_leader: Some(state.leader),
        quorum_epoch: state.term,
        metadata_offset: state.metadata_offset,
        quorum_replicas: state.replicas.iter().map(QuorumReplica::of).collect(),
    }
}

fn of_replica(replica: LedReplica) -> ReplicaState {
    ReplicaState {
        node: replica.node,
        log_start: replica.log_start,
        log_end: replica.log_end,
        vouched: replica.vouched,
        last_leader_epoch: replica.last_leader_epoch,
        lag_records: replica.lag_records,
        lag_ms: replica.lag_ms,
        is_caught_up: replica.is_caught_up,
    }
}
