//! The statistics as OpenMetrics text. Metrics are added, never renamed, never removed.

use super::stats::totals;
use super::Engine;
use crate::node::PartitionStats;
use std::fmt::Write;
use std::sync::Arc;

/// Name, help, and where the value comes from.
type Row<T> = (&'static str, &'static str, fn(&PartitionStats) -> T);

struct Text(String);

impl Text {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        self.line(format_args!("# TYPE {name} {kind}\n# HELP {name} {help}\n"));
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        self.0.write_fmt(line).expect("writing to a string cannot fail");
    }

    fn gauge(&mut self, name: &str, help: &str, value: u64) {
        self.family(name, "gauge", help);
        self.line(format_args!("{name} {value}\n"));
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.family(name, "counter", help);
        self.line(format_args!("{name}_total {value}\n"));
    }

    fn of_partitions(
        &mut self,
        (name, kind, help): (&str, &str, &str),
        partitions: &[(Arc<str>, PartitionStats)],
        value: impl Fn(&PartitionStats) -> Option<u64>,
    ) {
        self.family(name, kind, help);
        let suffix = if kind == "counter" { "_total" } else { "" };
        for (topic, stats) in partitions {
            if let Some(value) = value(stats) {
                // Topic names hold nothing that would have to be escaped.
                let partition = stats.partition;
                self.line(format_args!("{name}{suffix}{{topic=\"{topic}\",partition=\"{partition}\"}} {value}\n"));
            }
        }
    }
}

impl Engine {
    /// The numbers of [`stats_json`](Engine::stats_json) as OpenMetrics text, for Prometheus and its like.
    #[must_use]
    pub fn metrics_text(&self) -> String {
        let stats = self.core.node.stats();
        let all = totals(&stats);
        let partitions: Vec<(Arc<str>, PartitionStats)> = stats
            .topics
            .iter()
            .flat_map(|(topic, list)| list.iter().map(move |stats| (Arc::clone(topic), stats.clone())))
            .collect();
        let mut text = Text(String::new());
        text.gauge("kafkalog_uptime_seconds", "Time since the engine was opened.", stats.uptime.as_secs());
        text.gauge("kafkalog_open_partitions", "Logs that are open.", stats.open_partitions);
        text.gauge("kafkalog_log_bytes", "Bytes of the open logs.", all.log_bytes);
        if let Some((used, max)) = stats.dir_used_and_max_bytes {
            text.gauge("kafkalog_dir_used_bytes", "What counts against dir.max.bytes.", used);
            text.gauge("kafkalog_dir_max_bytes", "dir.max.bytes.", max);
        }
        let wakeups = self.core.timer.wakeups() + self.core.helpers.wakeups();
        text.counter("kafkalog_wakeups", "Times that the engine's own threads got up.", wakeups);
        text.counter("kafkalog_logs_opened", "Logs that were opened.", stats.logs_opened);
        text.counter("kafkalog_logs_rested", "Logs closed to make a place for others.", stats.logs_rested);
        text.counter("kafkalog_recovery_scanned_bytes", "Bytes read by recovery.", stats.recovery_scanned_bytes);
        text.counter("kafkalog_recovery_truncated_bytes", "Torn tails cut off.", stats.recovery_truncated_bytes);
        text.counter("kafkalog_segments_deleted", "Segments deleted by retention.", stats.segments_deleted);
        text.counter(
            "kafkalog_segments_dropped_for_space",
            "Segments dropped because the directory was full.",
            stats.segments_dropped_for_space,
        );
        let counters: [Row<u64>; 5] = [
            ("kafkalog_appends", "Batches appended.", |s| s.appends),
            ("kafkalog_records", "Records appended.", |s| s.records),
            ("kafkalog_appended_bytes", "Bytes appended.", |s| s.appended_bytes),
            ("kafkalog_fsyncs", "Syncs of log files.", |s| s.syncs),
            ("kafkalog_fsync_nanoseconds", "Time spent in them.", |s| s.sync_nanos),
        ];
        for (name, help, value) in counters {
            text.of_partitions((name, "counter", help), &partitions, |stats| Some(value(stats)));
        }
        let gauges: [Row<Option<u64>>; 5] = [
            ("kafkalog_log_start", "First offset.", |s| s.offsets.map(|o| o.log_start.0)),
            ("kafkalog_high_watermark", "End of what consumers may read.", |s| s.offsets.map(|o| o.high_watermark.0)),
            ("kafkalog_flushed", "End of what survives a power cut.", |s| s.offsets.map(|o| o.flushed.0)),
            ("kafkalog_log_end", "Next free offset.", |s| s.offsets.map(|o| o.log_end.0)),
            ("kafkalog_segments", "Segments.", |s| s.is_open.then_some(s.segments)),
        ];
        for (name, help, value) in gauges {
            text.of_partitions((name, "gauge", help), &partitions, value);
        }
        let offline = partitions.iter().filter(|(_, stats)| stats.is_offline).count() as u64;
        text.gauge("kafkalog_offline_partitions", "Partitions that a storage failure took offline.", offline);
        text.0.push_str("# EOF\n");
        text.0
    }
}
