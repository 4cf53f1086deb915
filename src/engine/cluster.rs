//! The engine as one node of a cluster: what it is asked about the others, and what it asks of the controller.

use super::cluster_types::{
    ClusterDescription, ClusterEvent, NodeDescription, PartitionOutcome, PartitionReplicas, QuorumReplica, ReplicaState,
};
use super::core::Core;
use super::replicated::ReplicatedTopic;
use super::{orders, Engine};
use crate::client::Client;
use crate::config::TopicConfig;
use crate::controller::{ControllerRequest, ElectionType, NodeSeat, NodeStanding, Reply};
use crate::error::{Error, ErrorCode, Result};
use crate::node::{Answered, ClusterNews, Member};
use crate::producer::HostTopic;
use crate::time::Instant;
use crate::types::{NodeId, Offset, TopicPartition};
use serde_json::{json, Value};
use std::sync::Arc;
use std::time::Duration;

pub(super) fn event_of(news: &ClusterNews) -> ClusterEvent {
    match news {
        ClusterNews::Leader { partition, leader, leader_epoch } => {
            ClusterEvent::LeaderChanged { partition: partition.clone(), leader: *leader, leader_epoch: *leader_epoch }
        }
        ClusterNews::Isr { partition, leader_epoch, in_sync_replicas, .. } => ClusterEvent::IsrChanged {
            partition: partition.clone(),
            leader_epoch: *leader_epoch,
            isr: in_sync_replicas.clone(),
        },
    }
}

impl Core {
    /// A topic of the cluster, created with its defaults where `auto.create.topics.enable` allows.
    pub(super) fn replicated_topic(&self, name: &str, member: &Arc<Member>) -> Result<Arc<dyn HostTopic>> {
        let creates = self.node.config().creates_topics && !member.is_static();
        if creates && self.node.topic(name).is_none() {
            match self.create_in_cluster(name, &TopicConfig::new(), None) {
                Err(e) if e.code() != ErrorCode::TOPIC_ALREADY_EXISTS => return Err(e),
                Ok(()) | Err(_) => {} // somebody else may have been faster
            }
        }
        match self.node.topic(name) {
            Some(topic) => Ok(Arc::new(ReplicatedTopic { topic, member: Arc::clone(member) })),
            None => {
                let text = format!("there is no topic {name:?} in the cluster, as far as this node has heard");
                Err(Error::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, text))
            }
        }
    }

    fn create_in_cluster(&self, name: &str, config: &TopicConfig, patience: Option<Duration>) -> Result<()> {
        let appointed = self.node.member().filter(|member| member.is_static());
        let id = appointed.map_or_else(|| self.node.draw_topic_id(), |member| member.appointed_topic_id(name));
        let request = orders::create_topic(name, id, config)?;
        self.ask_controller(request, patience).map(|_| ())
    }

    /// Asks whoever is the active controller, for `request.timeout.ms` at the most unless somebody has another `patience`; on return this
    /// node knows what came of it.
    fn ask_controller(&self, request: ControllerRequest, patience: Option<Duration>) -> Result<Reply> {
        let (client, by) = self.way_to_others()?;
        let deadline = patience.map_or(by, |patience| self.node.clock().monotonic() + patience);
        client.wait(deadline, |done| match self.node.member().filter(|member| member.is_static()) {
            Some(member) => member.ask_host(request, done),
            None => client.ask_controller(request, deadline, done),
        })
    }

    /// What only the host of this node decides.
    pub(super) fn appoint(&self, appoint: impl FnOnce(&Member, Answered)) -> Result<()> {
        let (client, deadline) = self.way_to_others()?;
        let member = self.node.member().expect("has a way to others");
        client.wait(deadline, |done| appoint(member, done)).map(|_| ())
    }

    /// What asks other nodes, and how long that may take; not for the thread that has to tick meanwhile.
    fn way_to_others(&self) -> Result<(&Arc<Client>, Instant)> {
        let Some(member) = self.node.member() else {
            return Err(Error::new(ErrorCode::STATE, "this engine is alone: nobody decides but itself"));
        };
        if self.timer.is_this_thread() {
            return Err(Error::new(ErrorCode::STATE, "not on the engine's own thread: it would wait for itself"));
        }
        let deadline = self.node.clock().monotonic() + self.node.config().cluster.request_timeout;
        Ok((member.client(), deadline))
    }
}

impl Engine {
    pub(super) fn create_replicated(&self, name: &str, config: &TopicConfig) -> Result<()> {
        self.core.create_in_cluster(name, config, self.patience)
    }

    pub(super) fn ask_controller(&self, request: ControllerRequest) -> Result<Reply> {
        self.core.check()?;
        self.core.ask_controller(request, self.patience)
    }

    fn member(&self) -> Result<&Arc<Member>> {
        self.core.check()?;
        self.core.node.member().ok_or_else(|| {
            Error::new(
                ErrorCode::STATE,
                "this engine is alone: open it with controller.quorum.voters to make it one of several",
            )
        })
    }

    /// The cluster as this node sees it now. Others may be ahead of it.
    ///
    /// # Errors
    /// STATE where the engine is alone; CLOSED.
    pub fn describe_cluster(&self) -> Result<ClusterDescription> {
        let member = self.member()?;
        let state = member.describe();
        let nodes = state.image.nodes().map(|node| NodeDescription {
            id: node.registration.node,
            address: node.registration.address.clone(),
            rack: node.registration.rack.clone(),
            is_fenced: node.standing == NodeStanding::Fenced,
            is_shutting_down: node.standing == NodeStanding::InControlledShutdown,
            epoch: node.registration.epoch,
        });
        Ok(ClusterDescription {
            cluster_id: state.cluster,
            controller: state.controller,
            nodes: nodes.collect(),
            voters: state.membership.voters,
            learners: state.membership.learners,
            quorum_leader: state.controller,
            quorum_epoch: state.term,
            metadata_offset: state.image.offset(),
            quorum_replicas: member.quorum_replicas().iter().map(QuorumReplica::of).collect(),
        })
    }

    /// Whether the cluster counts on this node: it is registered since it was opened, has heard of everything that was there then, and was
    /// not silent for longer than `broker.session.timeout.ms`.
    ///
    /// # Errors
    /// STATE where the engine is alone; CLOSED.
    pub fn takes_part(&self) -> Result<bool> {
        Ok(self.member()?.takes_part())
    }

    /// One partition and its replicas; how far each of them is, its leader knows.
    ///
    /// # Errors
    /// UNKNOWN_TOPIC_OR_PARTITION; STATE where the engine is alone; CLOSED.
    pub fn describe_replicas(&self, topic: &str, partition: u32) -> Result<PartitionReplicas> {
        let image = self.member()?.describe().image;
        let unknown = || {
            let text = format!("there is no partition {topic}-{partition}");
            Error::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, text)
        };
        let found = image.topic_named(topic).ok_or_else(unknown)?;
        let state = found.partitions.get(partition as usize).ok_or_else(unknown)?;
        let is_fenced = |node: &NodeId| image.node(*node).is_none_or(|node| node.standing == NodeStanding::Fenced);
        let log = self.core.node.partition(topic, partition)?;
        let states = log.replica_states().into_iter().map(|replica| ReplicaState {
            node: replica.node,
            log_start: replica.log_start,
            log_end: replica.log_end,
            vouched: replica.vouched,
            last_leader_epoch: replica.last_leader_epoch,
            lag_records: replica.lag_records,
            lag_ms: replica.lag.map(|lag| u64::try_from(lag.as_millis()).unwrap_or(u64::MAX)),
            is_caught_up: replica.is_caught_up,
        });
        Ok(PartitionReplicas {
            leader: state.leader,
            leader_epoch: state.leader_epoch,
            replicas: state.replicas.clone(),
            isr: state.isr.clone(),
            elr: state.elr.clone(),
            offline: state.replicas.iter().copied().filter(is_fenced).collect(),
            high_watermark: log.offsets().ok().map(|offsets| offsets.high_watermark),
            states: states.collect(),
        })
    }

    /// Elects leaders of these partitions, or of all: the preferred one, or, where `unclean.leader.election.enable` says so, one that may
    /// have lost records.
    ///
    /// # Errors
    /// STATE where the engine is alone; REQUEST_TIMED_OUT without a controller. What came of each partition is in its own outcome.
    pub fn elect_leaders(
        &self,
        election: ElectionType,
        partitions: Option<&[TopicPartition]>,
    ) -> Result<Vec<PartitionOutcome>> {
        orders::outcomes(self.ask_controller(orders::elect_leaders(election, partitions))?)
    }

    /// Gives a partition other replicas; `None` calls a reassignment off. Returns when it is decided; the data move then.
    ///
    /// # Errors
    /// UNKNOWN_TOPIC_OR_PARTITION, INVALID_REPLICA_ASSIGNMENT, NO_REASSIGNMENT_IN_PROGRESS; as [`elect_leaders`](Engine::elect_leaders).
    pub fn reassign(&self, topic: &str, partition: u32, replicas: Option<Vec<NodeId>>) -> Result<()> {
        let request = ControllerRequest::AlterReassignment { name: topic.into(), partition, replicas };
        orders::all_or_first(self.ask_controller(request)?)
    }

    /// Moves every replica away from a node, and says how many are left; asked again, it says how far that is.
    ///
    /// # Errors
    /// As [`elect_leaders`](Engine::elect_leaders).
    pub fn decommission(&self, node: NodeId) -> Result<u64> {
        orders::replicas_left(self.ask_controller(ControllerRequest::DecommissionNode { node })?)
    }

    /// Changes a node's seat in the metadata quorum. Whoever is registered gets the metadata as a learner by itself; so one that is to have no
    /// seat at all ([`NodeSeat::None`]) has to be closed first, or comes back as a learner.
    ///
    /// # Errors
    /// As [`elect_leaders`](Engine::elect_leaders).
    pub fn change_voters(&self, node: NodeId, seat: NodeSeat) -> Result<()> {
        self.ask_controller(ControllerRequest::ChangeVoters { node, seat }).map(|_| ())
    }

    /// Listens for other nodes and for clients at one more address; answers the one that can be dialled, with a real port for port 0.
    ///
    /// # Errors
    /// STATE where the engine is alone, or its transport is the host's; INVALID_ARG; TRANSPORT_HOST when the system refuses; CLOSED.
    pub fn listen(&self, url: &str) -> Result<String> {
        self.member()?;
        self.core.doorstep.listen(url)
    }

    /// Where others reach this node: `listeners` with a real port for port 0, or `advertised.listeners`. `None` where it is alone.
    #[must_use]
    pub fn listener(&self) -> Option<String> {
        self.core.node.config().cluster.address().map(str::to_owned)
    }

    /// Makes another node known under an address before the metadata of the cluster name it; or where it has moved to, when they do not
    /// know that yet. A node that joins needs no such call: over `tcp://`, `unix://` and `inproc://` whoever names the cluster and proves
    /// to know its secret is let in (16 at a time), and its registration says where it is. One that was removed by
    /// [`remove_node`](Engine::remove_node) does; and so does every one with `controller.mode=static`, on each node, where it also
    /// counts for the place of topics that are made from then on.
    ///
    /// # Errors
    /// STATE where the engine is alone; INVALID_ARG for an address that makes no sense here, or this node's own number; CLOSED.
    pub fn add_node(&self, node: NodeId, url: &str) -> Result<()> {
        self.set_peer(node, Some(url))
    }

    /// Forgets another node, until the metadata of the cluster name it anew: its connection ends, and it is not let in.
    ///
    /// # Errors
    /// As [`add_node`](Engine::add_node); INVALID_REQUEST with `controller.mode=static` while it has replicas.
    pub fn remove_node(&self, node: NodeId) -> Result<()> {
        self.set_peer(node, None)
    }

    fn set_peer(&self, node: NodeId, url: Option<&str>) -> Result<()> {
        let member = self.member()?;
        if member.is_static() {
            return self.core.appoint(|member, done| member.set_appointed_peer(node, url, done));
        }
        member.set_peer(node, url)
    }

    pub(super) fn delete_records_elsewhere(
        &self,
        partition: &TopicPartition,
        before: Option<Offset>,
    ) -> Result<Offset> {
        let (client, by) = self.core.way_to_others()?;
        let deadline = self.patience.map_or(by, |patience| self.core.node.clock().monotonic() + patience);
        client.wait(deadline, |done| client.delete_records(partition, before, deadline, done))
    }

    /// In the words of Kafka's metadata: who leads, who replicates, who is in sync.
    pub(super) fn put_replicas(&self, fields: &mut Value, partition: &TopicPartition) {
        let Some(member) = self.core.node.member() else { return };
        let image = member.describe().image;
        let topic = image.topic_named(&partition.topic);
        let Some(state) = topic.and_then(|topic| topic.partitions.get(partition.partition as usize)) else { return };
        let numbers = |nodes: &[NodeId]| nodes.iter().map(|node| node.0).collect::<Vec<_>>();
        fields["leader"] = json!(state.leader.map(|leader| leader.0));
        fields["leader_epoch"] = json!(state.leader_epoch.0);
        fields["replicas"] = json!(numbers(&state.replicas));
        fields["isr"] = json!(numbers(&state.isr));
        fields["elr"] = json!(numbers(&state.elr));
    }
}
