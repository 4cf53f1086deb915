//! `replicas`: how far each replica of a partition is. Ours; Kafka spreads this over kafka-replica-verification.sh and metrics.

use crate::cluster::{self, Cluster};
use crate::failure::Outcome;
use crate::quorum::{number, numbers};
use crate::{print, reading};
use kafkalog::{PartitionReplicas, TopicPartition};
use serde_json::{json, Value};
use std::io::Write;

#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    at: Cluster,
    /// The topic; all when none is named
    #[arg(long)]
    topic: Option<String>,
    /// Partitions, separated by commas; all when none is named
    #[arg(long, value_delimiter = ',', value_name = "N", requires = "topic")]
    partitions: Vec<u32>,
}

pub fn run(args: &Args, json: bool) -> Outcome {
    let client = args.at.connect()?;
    let topics = match &args.topic {
        Some(name) => vec![cluster::topic(&client, name)?],
        None => client.topics()?,
    };
    let mut found = Vec::new();
    for topic in &topics {
        for partition in reading::partitions(topic, &args.partitions)? {
            let replicas = client.describe_replicas(&partition.topic, partition.partition)?;
            found.push((partition, replicas));
        }
    }
    if json {
        let rows = found.iter().map(|(id, replicas)| serde_json::from_str(&replicas.to_json(id)));
        let rows = rows.collect::<Result<Vec<Value>, _>>().expect("it was just written as JSON");
        return Ok(print::json(&json!({ "partitions": rows }))?);
    }
    let mut out = print::stdout();
    for (id, replicas) in &found {
        write!(out, "{}", lines(id, replicas))?;
    }
    Ok(out.flush()?)
}

fn lines(id: &TopicPartition, replicas: &PartitionReplicas) -> String {
    let head = format!(
        "Topic: {}\tPartition: {}\tLeader: {}\tLeaderEpoch: {}\tReplicas: {}\tIsr: {}\tElr: {}\tOffline: {}\tHighWatermark: {}\n",
        id.topic,
        id.partition,
        number(replicas.leader),
        replicas.leader_epoch.0,
        numbers(&replicas.replicas),
        numbers(&replicas.isr),
        numbers(&replicas.elr),
        numbers(&replicas.offline),
        replicas.high_watermark.map_or_else(|| "unknown".to_owned(), |offset| offset.to_string()),
    );
    let states = replicas.states.iter().map(|state| {
        format!(
            "\tReplica: {}\tLogStartOffset: {}\tLogEndOffset: {}\tVouched: {}\tLag: {}\tLagMs: {}\tCaughtUp: {}\n",
            state.node,
            state.log_start,
            state.log_end,
            state.vouched,
            state.lag_records,
            state.lag_ms.map_or_else(|| "unknown".to_owned(), |ms| ms.to_string()),
            state.is_caught_up,
        )
    });
    std::iter::once(head).chain(states).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafkalog::{LeaderEpoch, NodeId, Offset, ReplicaState};

    #[test]
    fn a_partition_gets_a_line_and_each_replica_that_is_known_one_below() {
        let replicas = PartitionReplicas {
            leader: None,
            leader_epoch: LeaderEpoch(4),
            replicas: vec![NodeId(1), NodeId(3)],
            isr: vec![NodeId(1)],
            elr: Vec::new(),
            offline: vec![NodeId(3)],
            high_watermark: Some(Offset(99)),
            states: vec![ReplicaState {
                node: NodeId(1),
                log_start: Offset(0),
                log_end: Offset(100),
                vouched: Offset(99),
                last_leader_epoch: None,
                lag_records: 1,
                lag_ms: None,
                is_caught_up: true,
            }],
        };
        assert_eq!(
            lines(&TopicPartition::new("t", 0), &replicas),
            "Topic: t\tPartition: 0\tLeader: none\tLeaderEpoch: 4\tReplicas: 1,3\tIsr: 1\tElr: \tOffline: 3\tHighWatermark: 99\n\
             \tReplica: 1\tLogStartOffset: 0\tLogEndOffset: 100\tVouched: 99\tLag: 1\tLagMs: unknown\tCaughtUp: true\n"
        );
    }
}
