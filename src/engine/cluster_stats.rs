//! The cluster's part of the statistics.

use crate::controller::NodeStanding;
use crate::node::{Member, Node};
use serde_json::{json, Value};

/// `null` for an engine that is alone. Else
///
/// ```text
/// {"controller": 1, "is_controller": true, "term": 3, "metadata_offset": 99, "nodes": 3, "fenced_nodes": 0,
///  "leader_count": 4, "under_replicated_partitions": 0, "under_min_isr_partitions": 0, "offline_partitions": 0,
///  "max_lag_records": 0, "max_lag_ms": 0,                                 of followers of partitions that are led here
///  "peers": {"2": {"is_up", "frames_sent", "bytes_sent", "frames_received", "bytes_received", "queued_frames", "queued_bytes",
///                  "connects", "round_trip_us" (of the last handshake; null: none), "reason" (why the last connection ended)}}}
/// ```
pub(super) fn cluster_json(node: &Node) -> Value {
    node.member().map_or(Value::Null, |member| of_member(node, member))
}

fn of_member(node: &Node, member: &Member) -> Value {
    let state = member.describe();
    let mut leading = 0u64;
    let (mut under_replicated, mut under_min_isr, mut offline) = (0u64, 0u64, 0u64);
    let (mut lag_records, mut lag_ms) = (0, 0);
    for (topic, number, partition) in state.image.partitions() {
        offline += u64::from(partition.leader.is_none());
        let Some(local) = node.topic(&topic.name).and_then(|topic| topic.partition(number)) else { continue };
        if !local.is_leading() {
            continue;
        }
        leading += 1;
        let wanted = partition.replicas.len();
        let min_isr = local.min_insync_replicas().min(u32::try_from(wanted).unwrap_or(u32::MAX));
        under_replicated += u64::from(partition.isr.len() < wanted);
        under_min_isr += u64::from(partition.isr.len() < min_isr as usize);
        for replica in local.replica_states() {
            lag_records = lag_records.max(replica.lag_records);
            lag_ms = lag_ms.max(replica.lag.map_or(0, |lag| u64::try_from(lag.as_millis()).unwrap_or(u64::MAX)));
        }
    }
    let peers: serde_json::Map<String, Value> = state
        .peers
        .iter()
        .map(|peer| {
            let account = json!({
                "is_up": peer.is_up,
                "frames_sent": peer.frames_sent,
                "bytes_sent": peer.bytes_sent,
                "frames_received": peer.frames_received,
                "bytes_received": peer.bytes_received,
                "queued_frames": peer.queued_frames,
                "queued_bytes": peer.queued_bytes,
                "connects": peer.connects,
                "round_trip_us": peer.round_trip.map(|time| u64::try_from(time.as_micros()).unwrap_or(u64::MAX)),
                "reason": peer.reason,
            });
            (peer.peer.to_string(), account)
        })
        .collect();
    json!({
        "controller": state.controller.map(|controller| controller.0),
        "is_controller": state.is_controller,
        "term": state.term,
        "metadata_offset": state.image.offset(),
        "nodes": state.image.nodes().count(),
        "fenced_nodes": state.image.nodes().filter(|node| node.standing == NodeStanding::Fenced).count(),
        "leader_count": leading,
        "under_replicated_partitions": under_replicated,
        "under_min_isr_partitions": under_min_isr,
        "offline_partitions": offline,
        "max_lag_records": lag_records,
        "max_lag_ms": lag_ms,
        "peers": peers,
    })
}
