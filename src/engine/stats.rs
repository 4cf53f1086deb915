//! The statistics as JSON. The schema is a promise: fields are added, never renamed, never removed.
//!
//! ```text
//! {"version": "0.1.0", "ts_ms": .., "uptime_ms": .., "dir": "..", "node_id": 0, "cluster_id": "..",
//!  "node":  {"ticks", "wakeups", "next_wakeup_in_ms" (null: nothing is pending), "open_partitions", "open_partitions_max",
//!            "logs_opened", "logs_rested", "checkpoints_written", "segments_deleted", "segments_dropped_for_space"},
//!  "cluster": null or an object drawn in `cluster_stats.rs`,
//!  "recovery": {"scanned_bytes", "truncated_bytes"},
//!  "space": null or {"used_bytes", "max_bytes"},
//!  "totals": {"appends", "records", "appended_bytes", "fsyncs", "fsync_ns", "log_bytes"},
//!  "topics": {"orders": {"partitions": {"0": {"open", "offline", "log_start", "high_watermark", "flushed", "log_end" (null until
//!             the log was open once), "log_bytes", "segments", "appends", "records", "appended_bytes", "fsyncs", "fsync_ns"}}}},
//!  "producers": [{"client_id", "records_acked", "records_failed", "records_pending", "records_refused", "batches_acked",
//!                 "bytes_acked", "batches_split", "batches_retried", "records_retried", "buffer_waits", "buffer_free_bytes", "queue_time_ns"}]}
//! ```
//! `_ns` are sums of nanoseconds; everything but gauges counts since the engine was opened.

use super::admin::put_offsets;
#[cfg(feature = "quorum")]
use super::cluster_stats::cluster_json;
use super::helpers::Helpers;
use super::timer::Timer;
use super::Engine;
use crate::node::{Node, NodeStats, PartitionStats};
use crate::producer::ProducerStats;
use serde_json::{json, Map, Value};

impl Engine {
    /// What the engine has done and holds, as a JSON object. Fields are only ever added. Opens nothing and waits for nobody.
    #[must_use]
    pub fn stats_json(&self) -> String {
        stats_json(&self.core.node, &self.core.timer, &self.core.helpers)
    }
}

pub(super) fn stats_json(node: &Node, timer: &Timer, helpers: &Helpers) -> String {
    let stats = node.stats();
    let now = node.clock().monotonic();
    let totals = totals(&stats);
    let next_wakeup = [timer.next(), helpers.next()].into_iter().flatten().min().map(|next| millis(next.since(now)));
    let topics: Map<String, Value> = stats
        .topics
        .iter()
        .map(|(name, partitions)| {
            let partitions: Map<String, Value> =
                partitions.iter().map(|p| (p.partition.to_string(), partition_json(p))).collect();
            (name.to_string(), json!({ "partitions": partitions }))
        })
        .collect();
    let producers: Vec<Value> =
        timer.producers().iter().map(|producer| producer_json(producer.client_id(), producer.stats())).collect();
    let whole = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "ts_ms": node.clock().realtime().0,
        "uptime_ms": millis(stats.uptime),
        "dir": stats.dir.to_string_lossy(),
        "node_id": stats.node_id,
        "cluster_id": stats.cluster_id,
        "node": {
            "ticks": stats.ticks,
            "wakeups": timer.wakeups() + helpers.wakeups(),
            "next_wakeup_in_ms": next_wakeup,
            "open_partitions": stats.open_partitions,
            "open_partitions_max": stats.open_partitions_max,
            "logs_opened": stats.logs_opened,
            "logs_rested": stats.logs_rested,
            "checkpoints_written": stats.checkpoints_written,
            "segments_deleted": stats.segments_deleted,
            "segments_dropped_for_space": stats.segments_dropped_for_space,
        },
        "cluster": cluster_json(node),
        "recovery": {
            "scanned_bytes": stats.recovery_scanned_bytes,
            "truncated_bytes": stats.recovery_truncated_bytes,
        },
        "space": stats.dir_used_and_max_bytes.map(|(used, max)| json!({"used_bytes": used, "max_bytes": max})),
        "totals": {
            "appends": totals.appends,
            "records": totals.records,
            "appended_bytes": totals.appended_bytes,
            "fsyncs": totals.syncs,
            "fsync_ns": totals.sync_nanos,
            "log_bytes": totals.log_bytes,
        },
        "topics": topics,
        "producers": producers,
    });
    whole.to_string()
}

/// The counters of all partitions together.
pub(super) fn totals(stats: &NodeStats) -> PartitionStats {
    let mut totals = PartitionStats::default();
    for partition in stats.topics.values().flatten() {
        totals.appends += partition.appends;
        totals.records += partition.records;
        totals.appended_bytes += partition.appended_bytes;
        totals.syncs += partition.syncs;
        totals.sync_nanos += partition.sync_nanos;
        totals.log_bytes += partition.log_bytes;
    }
    totals
}

fn partition_json(stats: &PartitionStats) -> Value {
    let mut fields = json!({
        "open": stats.is_open, "offline": stats.is_offline,
        "log_start": null, "high_watermark": null, "flushed": null, "log_end": null,
        "log_bytes": stats.log_bytes, "segments": stats.segments,
        "appends": stats.appends, "records": stats.records, "appended_bytes": stats.appended_bytes,
        "fsyncs": stats.syncs, "fsync_ns": stats.sync_nanos,
    });
    if let Some(offsets) = stats.offsets {
        put_offsets(&mut fields, offsets);
    }
    fields
}

fn producer_json(client_id: &str, stats: ProducerStats) -> Value {
    json!({
        "client_id": client_id,
        "records_acked": stats.records_acked,
        "records_failed": stats.records_failed,
        "records_pending": stats.records_pending,
        "records_refused": stats.records_refused,
        "batches_acked": stats.batches_acked,
        "bytes_acked": stats.bytes_acked,
        "batches_split": stats.batches_split,
        "batches_retried": stats.batches_retried,
        "records_retried": stats.records_retried,
        "buffer_waits": stats.buffer_waits,
        "buffer_free_bytes": stats.buffer_free_bytes,
        "queue_time_ns": stats.queue_time_ns,
    })
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(not(feature = "quorum"))]
fn cluster_json(_: &Node) -> Value {
    Value::Null
}
