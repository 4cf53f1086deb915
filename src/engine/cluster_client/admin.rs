//! What an operator asks of a cluster from outside.

use super::super::cluster_types::{PartitionEnds, PartitionOutcome};
use super::super::orders;
use super::ClusterClient;
use crate::config::{IsolationLevel, TopicConfig};
use crate::controller::{ControllerRequest, ElectionType, NodeSeat};
use crate::error::{Error, ErrorCode, Result};
use crate::node::TopicDescription;
use crate::storage::partition_metadata;
use crate::types::{NodeId, Offset, TopicPartition};
use crate::wire::OffsetSpec;
use std::collections::BTreeMap;

/// All of them block for `default.api.timeout.ms` at the most; beside the errors that they name there are REQUEST_TIMED_OUT when the
/// cluster does not answer in that time, CLOSED and FORKED. What the controller has decided is durable on a majority of the voters on return.
impl ClusterClient {
    /// Creates a topic. On return this program knows it; every node will in a moment.
    ///
    /// # Errors
    /// INVALID_TOPIC_EXCEPTION, TOPIC_ALREADY_EXISTS, INVALID_PARTITIONS, INVALID_REPLICATION_FACTOR.
    pub fn create_topic(&self, name: &str, config: TopicConfig) -> Result<()> {
        let request = orders::create_topic(name, draw_topic_id()?, &config)?;
        self.core.ask_controller(request).map(|_| ())
    }

    /// Deletes a topic.
    ///
    /// # Errors
    /// UNKNOWN_TOPIC_OR_PARTITION.
    pub fn delete_topic(&self, name: &str) -> Result<()> {
        self.core.ask_controller(ControllerRequest::DeleteTopic { name: name.into() }).map(|_| ())
    }

    /// Grows a topic to `partitions` partitions.
    ///
    /// # Errors
    /// INVALID_PARTITIONS when it has as many or more, UNKNOWN_TOPIC_OR_PARTITION.
    pub fn add_partitions(&self, name: &str, partitions: u32) -> Result<()> {
        self.core.ask_controller(orders::create_partitions(name, partitions)).map(|_| ())
    }

    /// Sets one setting of a topic, `None` goes back to the nodes' default.
    ///
    /// # Errors
    /// INVALID_CONFIG, UNKNOWN_TOPIC_OR_PARTITION.
    pub fn alter_topic(&self, name: &str, key: &str, value: Option<&str>) -> Result<()> {
        self.core.ask_controller(orders::alter_topic(name, key, value)?).map(|_| ())
    }

    /// Every topic as of now, by name. Their settings are not among what every client is told, so `overrides` is empty:
    /// [`describe_configs`](ClusterClient::describe_configs) asks for them.
    ///
    /// # Errors
    /// None of its own.
    pub fn topics(&self) -> Result<Vec<TopicDescription>> {
        self.core.look()?;
        let names = self.core.client.view().topic_names();
        Ok(names.iter().filter_map(|name| self.describe_known(name).ok()).collect())
    }

    /// One topic as of now; as [`topics`](ClusterClient::topics).
    ///
    /// # Errors
    /// UNKNOWN_TOPIC_OR_PARTITION.
    pub fn describe(&self, name: &str) -> Result<TopicDescription> {
        self.core.look()?;
        self.describe_known(name)
    }

    fn describe_known(&self, name: &str) -> Result<TopicDescription> {
        let view = self.core.client.view();
        let topic = view.topic(name)?;
        let first = view.partition(&TopicPartition::new(name, 0));
        let replicas = first.map_or(0, |partition| partition.replicas.len());
        Ok(TopicDescription {
            name: name.into(),
            id: topic.id,
            partition_count: topic.partition_count,
            replication_factor: u16::try_from(replicas).unwrap_or(u16::MAX),
            overrides: BTreeMap::new(),
        })
    }

    /// Where a partition begins and ends for consumers, as its leader says.
    ///
    /// # Errors
    /// UNKNOWN_TOPIC_OR_PARTITION.
    pub fn offsets(&self, topic: &str, partition: u32) -> Result<PartitionEnds> {
        let id = TopicPartition::new(topic, partition);
        let ask = |spec| {
            let isolation = IsolationLevel::ReadUncommitted;
            let found =
                self.core.wait(|deadline, done| self.core.client.list_offsets(&id, spec, isolation, deadline, done))?;
            Ok(found.map_or(Offset(0), |found| found.offset))
        };
        Ok(PartitionEnds { log_start: ask(OffsetSpec::Earliest)?, high_watermark: ask(OffsetSpec::Latest)? })
    }

    /// Deletes the records of a partition below `before`; answers the least log start of the replicas that are alive.
    ///
    /// # Errors
    /// OFFSET_OUT_OF_RANGE past the high watermark, UNKNOWN_TOPIC_OR_PARTITION, POLICY_VIOLATION.
    pub fn delete_records(&self, topic: &str, partition: u32, before: Offset) -> Result<Offset> {
        let id = TopicPartition::new(topic, partition);
        self.core.wait(|deadline, done| self.core.client.delete_records(&id, Some(before), deadline, done))
    }

    /// As [`Engine::elect_leaders`](super::super::Engine::elect_leaders).
    ///
    /// # Errors
    /// What came of each partition is in its own outcome.
    pub fn elect_leaders(
        &self,
        election: ElectionType,
        partitions: Option<&[TopicPartition]>,
    ) -> Result<Vec<PartitionOutcome>> {
        orders::outcomes(self.core.ask_controller(orders::elect_leaders(election, partitions))?)
    }

    /// Gives a partition other replicas; `None` calls a reassignment off. Returns when it is decided; the data move then.
    ///
    /// # Errors
    /// UNKNOWN_TOPIC_OR_PARTITION, INVALID_REPLICA_ASSIGNMENT, NO_REASSIGNMENT_IN_PROGRESS.
    pub fn reassign(&self, topic: &str, partition: u32, replicas: Option<Vec<NodeId>>) -> Result<()> {
        let request = ControllerRequest::AlterReassignment { name: topic.into(), partition, replicas };
        orders::all_or_first(self.core.ask_controller(request)?)
    }

    /// Moves every replica away from a node, and says how many are left; asked again, it says how far that is.
    ///
    /// # Errors
    /// BROKER_ID_NOT_REGISTERED and what the controller says.
    pub fn decommission(&self, node: NodeId) -> Result<u64> {
        orders::replicas_left(self.core.ask_controller(ControllerRequest::DecommissionNode { node })?)
    }

    /// Changes a node's seat in the metadata quorum.
    ///
    /// # Errors
    /// What the controller says.
    pub fn change_voters(&self, node: NodeId, seat: NodeSeat) -> Result<()> {
        self.core.ask_controller(ControllerRequest::ChangeVoters { node, seat }).map(|_| ())
    }
}

/// As Kafka's, its text does not begin with `-`.
fn draw_topic_id() -> Result<[u8; 16]> {
    loop {
        let mut id = [0; 16];
        getrandom::fill(&mut id)
            .map_err(|e| Error::new(ErrorCode::UNKNOWN_SERVER_ERROR, format!("no randomness: {e}")))?;
        if id != [0; 16] && !partition_metadata::format_id(&id).starts_with('-') {
            return Ok(id);
        }
    }
}
