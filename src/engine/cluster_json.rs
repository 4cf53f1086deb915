//! The cluster as JSON, for the C door and for machines. Fields are only ever added.

use super::cluster_types::{ClusterDescription, ClusterEvent, PartitionReplicas};
use crate::types::{NodeId, TopicPartition};
use serde_json::{json, Value};

fn numbers(nodes: &[NodeId]) -> Vec<u32> {
    nodes.iter().map(|node| node.0).collect()
}

fn number(node: Option<NodeId>) -> Value {
    node.map_or(Value::Null, |node| node.0.into())
}

impl ClusterDescription {
    /// ```text
    /// {"cluster_id": "..", "controller": 1,
    ///  "nodes": [{"id": 1, "address": "tcp://a:9301", "rack": null, "is_fenced": false, "is_shutting_down": false, "epoch": 7}],
    ///  "quorum": {"leader": 1, "leader_epoch": 3, "voters": [1, 2, 3], "learners": [], "metadata_offset": 99,
    ///             "replicas": [{"node": 1, "log_end": 100, "is_voter": true}]}}
    /// ```
    #[must_use]
    pub fn to_json(&self) -> String {
        let nodes: Vec<Value> = self
            .nodes
            .iter()
            .map(|node| {
                json!({
                    "id": node.id.0, "address": node.address, "rack": node.rack, "is_fenced": node.is_fenced,
                    "is_shutting_down": node.is_shutting_down, "epoch": node.epoch,
                })
            })
            .collect();
        let replicas: Vec<Value> = self
            .quorum_replicas
            .iter()
            .map(|replica| json!({"node": replica.node.0, "log_end": replica.log_end, "is_voter": replica.is_voter}))
            .collect();
        json!({
            "cluster_id": self.cluster_id.to_string(), "controller": number(self.controller), "nodes": nodes,
            "quorum": {
                "leader": number(self.quorum_leader), "leader_epoch": self.quorum_epoch,
                "voters": numbers(&self.voters), "learners": numbers(&self.learners),
                "metadata_offset": self.metadata_offset, "replicas": replicas,
            },
        })
        .to_string()
    }
}

impl PartitionReplicas {
    /// ```text
    /// {"topic": "orders", "partition": 0, "leader": 1, "leader_epoch": 4, "replicas": [1, 2, 3], "isr": [1, 2], "elr": [],
    ///  "offline": [3], "high_watermark": 99,
    ///  "states": [{"node": 1, "log_start": 0, "log_end": 100, "vouched": 100, "last_leader_epoch": 4,
    ///              "lag_records": 0, "lag_ms": 0, "is_caught_up": true}]}
    /// ```
    #[must_use]
    pub fn to_json(&self, partition: &TopicPartition) -> String {
        let states: Vec<Value> = self
            .states
            .iter()
            .map(|state| {
                json!({
                    "node": state.node.0, "log_start": state.log_start.0, "log_end": state.log_end.0,
                    "vouched": state.vouched.0, "last_leader_epoch": state.last_leader_epoch.map(|epoch| epoch.0),
                    "lag_records": state.lag_records, "lag_ms": state.lag_ms,
                    "is_caught_up": state.is_caught_up,
                })
            })
            .collect();
        json!({
            "topic": &*partition.topic, "partition": partition.partition, "leader": number(self.leader),
            "leader_epoch": self.leader_epoch.0, "replicas": numbers(&self.replicas), "isr": numbers(&self.isr),
            "elr": numbers(&self.elr), "offline": numbers(&self.offline),
            "high_watermark": self.high_watermark.map(|offset| offset.0), "states": states,
        })
        .to_string()
    }
}

impl ClusterEvent {
    /// ```text
    /// {"event": "leader_changed", "topic": "orders", "partition": 0, "leader": 2, "leader_epoch": 5}
    /// {"event": "isr_changed", "topic": "orders", "partition": 0, "leader_epoch": 5, "isr": [2, 3]}
    /// ```
    #[must_use]
    pub fn to_json(&self) -> String {
        match self {
            ClusterEvent::LeaderChanged { partition, leader, leader_epoch } => json!({
                "event": "leader_changed", "topic": &*partition.topic, "partition": partition.partition,
                "leader": number(*leader), "leader_epoch": leader_epoch.0,
            }),
            ClusterEvent::IsrChanged { partition, leader_epoch, isr } => json!({
                "event": "isr_changed", "topic": &*partition.topic, "partition": partition.partition,
                "leader_epoch": leader_epoch.0, "isr": numbers(isr),
            }),
        }
        .to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::cluster_types::{NodeDescription, QuorumReplica, ReplicaState};
    use crate::types::{ClusterId, LeaderEpoch, Offset};

    #[test]
    fn a_cluster_is_written_as_its_comment_says() {
        let cluster = ClusterDescription {
            cluster_id: ClusterId([1; 16]),
            controller: Some(NodeId(1)),
            nodes: vec![NodeDescription {
                id: NodeId(1),
                address: "tcp://a:9301".into(),
                rack: None,
                is_fenced: false,
                is_shutting_down: false,
                epoch: 7,
            }],
            voters: vec![NodeId(1), NodeId(2)],
            learners: Vec::new(),
            quorum_leader: None,
            quorum_epoch: 3,
            metadata_offset: 99,
            quorum_replicas: vec![QuorumReplica { node: NodeId(1), log_end: 100, is_voter: true }],
        };
        let read: Value = serde_json::from_str(&cluster.to_json()).unwrap();
        assert_eq!(
            read,
            json!({
                "cluster_id": "AQEBAQEBAQEBAQEBAQEBAQ", "controller": 1,
                "nodes": [{"id": 1, "address": "tcp://a:9301", "rack": null, "is_fenced": false,
                           "is_shutting_down": false, "epoch": 7}],
                "quorum": {"leader": null, "leader_epoch": 3, "voters": [1, 2], "learners": [], "metadata_offset": 99,
                           "replicas": [{"node": 1, "log_end": 100, "is_voter": true}]},
            })
        );
    }

    #[test]
    fn a_partition_and_what_happens_to_it_are_written_as_their_comments_say() {
        let id = TopicPartition::new("orders", 0);
        let partition = PartitionReplicas {
            leader: Some(NodeId(1)),
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
                last_leader_epoch: Some(LeaderEpoch(4)),
                lag_records: 1,
                lag_ms: None,
                is_caught_up: true,
            }],
        };
        let read: Value = serde_json::from_str(&partition.to_json(&id)).unwrap();
        assert_eq!(
            read,
            json!({
                "topic": "orders", "partition": 0, "leader": 1, "leader_epoch": 4, "replicas": [1, 3], "isr": [1],
                "elr": [], "offline": [3], "high_watermark": 99,
                "states": [{"node": 1, "log_start": 0, "log_end": 100, "vouched": 99, "last_leader_epoch": 4,
                            "lag_records": 1, "lag_ms": null, "is_caught_up": true}],
            })
        );
        let (leader, leader_epoch) = (Some(NodeId(2)), LeaderEpoch(5));
        let event = ClusterEvent::LeaderChanged { partition: id.clone(), leader, leader_epoch };
        assert_eq!(
            serde_json::from_str::<Value>(&event.to_json()).unwrap(),
            json!({"event": "leader_changed", "topic": "orders", "partition": 0, "leader": 2, "leader_epoch": 5})
        );
        let event = ClusterEvent::IsrChanged { partition: id, leader_epoch, isr: vec![NodeId(2), NodeId(3)] };
        assert_eq!(
            serde_json::from_str::<Value>(&event.to_json()).unwrap(),
            json!({"event": "isr_changed", "topic": "orders", "partition": 0, "leader_epoch": 5, "isr": [2, 3]})
        );
    }
}
