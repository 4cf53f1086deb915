//! What operators ask of the controller, in its words, and what its answers mean.

use super::cluster_types::PartitionOutcome;
use crate::config::{TopicConfig, TopicOverrides};
use crate::controller::{ControllerRequest, CreateTopic, ElectionType, Reply, TopicId};
use crate::error::{Error, ErrorCode, Result};
use crate::storage::names::validate_topic_name;
use crate::types::TopicPartition;
use std::sync::Arc;

/// # Errors
/// INVALID_TOPIC_EXCEPTION.
pub(super) fn create_topic(name: &str, id: TopicId, config: &TopicConfig) -> Result<ControllerRequest> {
    validate_topic_name(name)?;
    Ok(ControllerRequest::CreateTopic(CreateTopic {
        name: name.into(),
        id,
        partitions: config.partition_count(),
        replication_factor: config.replication_factor_set().map(u32::from),
        assignments: Vec::new(),
        settings: config.overrides().iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
    }))
}

pub(super) fn create_partitions(name: &str, count: u32) -> ControllerRequest {
    ControllerRequest::CreatePartitions { name: name.into(), count, assignments: Vec::new() }
}

/// # Errors
/// INVALID_CONFIG: the controller takes what it is told, whoever asks it has checked it.
pub(super) fn alter_topic(name: &str, key: &str, value: Option<&str>) -> Result<ControllerRequest> {
    let mut checked = TopicOverrides::new();
    match value {
        Some(value) => checked.set(key, value)?,
        None => checked.remove(key).map(|_| ())?,
    }
    let changes = vec![(key.to_owned(), value.map(str::to_owned))];
    Ok(ControllerRequest::AlterTopicConfig { name: name.into(), changes })
}

pub(super) fn elect_leaders(election: ElectionType, partitions: Option<&[TopicPartition]>) -> ControllerRequest {
    let partitions = partitions.unwrap_or_default().iter().map(|p| (Arc::clone(&p.topic), p.partition)).collect();
    ControllerRequest::ElectLeaders { election, partitions }
}

pub(super) fn outcomes(reply: Reply) -> Result<Vec<PartitionOutcome>> {
    match reply {
        Reply::Partitions(results) => Ok(results
            .into_iter()
            .map(|one| PartitionOutcome {
                result: outcome_of(one.code, &one.name, one.partition),
                partition: TopicPartition { topic: one.name, partition: one.partition },
            })
            .collect()),
        other => Err(not_expected(&other)),
    }
}

/// The first that was refused, if the answer speaks of partitions.
pub(super) fn all_or_first(reply: Reply) -> Result<()> {
    match reply {
        Reply::Partitions(results) => results.iter().try_for_each(|one| outcome_of(one.code, &one.name, one.partition)),
        _ => Ok(()),
    }
}

pub(super) fn replicas_left(reply: Reply) -> Result<u64> {
    match reply {
        Reply::Decommission { replicas_left } => Ok(replicas_left),
        other => Err(not_expected(&other)),
    }
}

fn outcome_of(code: ErrorCode, topic: &str, partition: u32) -> Result<()> {
    if code == ErrorCode::NONE {
        return Ok(());
    }
    Err(Error::new(code, format!("{topic}-{partition}: the controller refused it")))
}

pub(super) fn not_expected(reply: &Reply) -> Error {
    Error::new(ErrorCode::CORRUPT_MESSAGE, format!("an answer of another kind: {reply:?}"))
}
