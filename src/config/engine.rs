//! The settings of one open directory, and the defaults that it gives its topics.

use super::cluster::ClusterConfig;
use super::log::LogConfig;
use super::lookup::{parse, refused, rows};
use super::table::{Scope, HIDDEN};
use super::topic::{apply_to_log, TopicOverrides};
use super::value::Value;
use crate::error::Result;
use crate::types::NodeId;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// Resolved settings of an engine. Read the fields; write them with [`set`](EngineConfig::set), which knows the ranges and
/// keeps the topic defaults in step.
#[derive(Clone, PartialEq, Debug)]
pub struct EngineConfig {
    /// `log.dirs`; `None` when none was given.
    pub log_dir: Option<PathBuf>,
    /// `node.id`; `None` takes the one of the directory.
    pub node_id: Option<NodeId>,
    /// `num.partitions`.
    pub partitions_default: u32,
    /// `auto.create.topics.enable`.
    pub creates_topics: bool,
    /// `log.retention.check.interval.ms`.
    pub retention_check_interval: Duration,
    /// `log.flush.offset.checkpoint.interval.ms`.
    pub recovery_point_checkpoint_interval: Duration,
    /// `log.flush.start.offset.checkpoint.interval.ms`.
    pub log_start_checkpoint_interval: Duration,
    /// `replica.high.watermark.checkpoint.interval.ms`.
    pub high_watermark_checkpoint_interval: Duration,
    /// `producer.id.expiration.ms`.
    pub producer_id_expiration: Duration,
    /// `shutdown.timeout.ms`.
    pub shutdown_timeout: Duration,
    /// `log.queue`.
    pub log_queue: bool,
    /// `statistics.interval.ms`; `None` is never.
    pub statistics_interval: Option<Duration>,
    /// `dir.max.bytes`; `None` is no cap.
    pub dir_bytes_max: Option<u64>,
    /// `dir.reserve.bytes`.
    pub dir_reserve_bytes: u64,
    /// `open.partitions.max`.
    pub open_partitions_max: usize,
    /// `open.files.max`.
    pub open_files_max: usize,
    /// `fetch.pinned.max.bytes`.
    pub fetch_pinned_bytes_max: u64,
    /// `batch.inflate.max.bytes`.
    pub batch_inflate_bytes_max: usize,
    /// What a member of a cluster needs to know.
    pub cluster: ClusterConfig,
    /// What a topic without overrides gets.
    pub topic_defaults: LogConfig,
    explicit: BTreeMap<&'static str, String>,
}

impl Default for EngineConfig {
    fn default() -> EngineConfig {
        let mut config = EngineConfig {
            log_dir: None,
            node_id: None,
            partitions_default: 0,
            creates_topics: false,
            retention_check_interval: Duration::ZERO,
            recovery_point_checkpoint_interval: Duration::ZERO,
            log_start_checkpoint_interval: Duration::ZERO,
            high_watermark_checkpoint_interval: Duration::ZERO,
            producer_id_expiration: Duration::ZERO,
            shutdown_timeout: Duration::ZERO,
            log_queue: false,
            statistics_interval: None,
            dir_bytes_max: None,
            dir_reserve_bytes: 0,
            open_partitions_max: 0,
            open_files_max: 0,
            fetch_pinned_bytes_max: 0,
            batch_inflate_bytes_max: 0,
            cluster: ClusterConfig::unset(),
            topic_defaults: LogConfig::default(),
            explicit: BTreeMap::new(),
        };
        for row in rows(Scope::Engine) {
            config.apply(
                row.name,
                &row.kind.parse(row.default, 1).expect("a test holds every default against its range"),
            );
        }
        config.derive();
        config
    }
}

impl EngineConfig {
    /// Sets one setting by Kafka's name; `log.*` names give the topics their defaults. INVALID_CONFIG (40) for unknown
    /// names and values out of range.
    pub fn set(&mut self, name: &str, text: &str) -> Result<()> {
        let (found, value) = parse(Scope::Engine, name, text)?;
        if name == "log.dirs" && value.text().contains(',') {
            return Err(refused(format!("log.dirs={text:?} is not legal; legal: one directory, without a comma")));
        }
        if found.row.scope == Scope::Engine {
            self.apply(found.name, &value);
        }
        let shown = if found.row.is_secret { HIDDEN } else { text.trim() };
        self.explicit.insert(found.name, shown.to_owned());
        self.derive();
        Ok(())
    }

    /// The value of a setting as text: what was set, or else the default; `[hidden]` for a secret. INVALID_CONFIG (40) for unknown names.
    pub fn get(&self, name: &str) -> Result<String> {
        let found = super::lookup::find(Scope::Engine, name)?;
        Ok(self.explicit.get(found.name).cloned().unwrap_or_else(|| found.row.default.to_owned()))
    }

    /// Refuses combinations that cannot work. INVALID_CONFIG (40), naming the settings.
    pub fn check(&self) -> Result<()> {
        if self.dir_bytes_max.is_some_and(|max| max <= self.dir_reserve_bytes) {
            return Err(refused(format!(
                "dir.reserve.bytes={} leaves nothing of dir.max.bytes={}",
                self.dir_reserve_bytes,
                self.dir_bytes_max.unwrap_or_default()
            )));
        }
        self.cluster.check(self.node_id)
    }

    /// The settings of a topic with these overrides.
    #[must_use]
    pub fn log_config(&self, overrides: &TopicOverrides) -> LogConfig {
        let mut config = self.topic_defaults.clone();
        overrides.apply(&mut config);
        config
    }

    /// The default that topics get for one of their settings here, as text.
    pub(super) fn topic_default(&self, row: &super::table::Setting) -> String {
        for (synonym, factor) in row.synonyms {
            if let Some(text) = self.explicit.get(synonym) {
                return row.kind.parse(text, *factor).expect("checked when it was set").to_string();
            }
        }
        row.default.to_owned()
    }

    fn apply(&mut self, name: &str, value: &Value) {
        match name {
            "log.dirs" => self.log_dir = Some(PathBuf::from(value.text())).filter(|dir| !dir.as_os_str().is_empty()),
            "node.id" => self.node_id = u32::try_from(value.int()).ok().map(NodeId),
            "num.partitions" => self.partitions_default = value.u32(),
            "auto.create.topics.enable" => self.creates_topics = value.bool(),
            "log.retention.check.interval.ms" => self.retention_check_interval = value.millis(),
            "log.flush.offset.checkpoint.interval.ms" => self.recovery_point_checkpoint_interval = value.millis(),
            "log.flush.start.offset.checkpoint.interval.ms" => self.log_start_checkpoint_interval = value.millis(),
            "replica.high.watermark.checkpoint.interval.ms" => {
                self.high_watermark_checkpoint_interval = value.millis();
            }
            "producer.id.expiration.ms" => self.producer_id_expiration = value.millis(),
            "shutdown.timeout.ms" => self.shutdown_timeout = value.millis(),
            "log.queue" => self.log_queue = value.bool(),
            "statistics.interval.ms" => {
                self.statistics_interval = Some(value.millis()).filter(|every| !every.is_zero())
            }
            "dir.max.bytes" => self.dir_bytes_max = value.u64_or_unlimited(),
            "dir.reserve.bytes" => self.dir_reserve_bytes = value.u64(),
            "open.partitions.max" => self.open_partitions_max = value.usize(),
            "open.files.max" => self.open_files_max = value.usize(),
            "fetch.pinned.max.bytes" => self.fetch_pinned_bytes_max = value.u64(),
            "batch.inflate.max.bytes" => self.batch_inflate_bytes_max = value.usize(),
            other => self.cluster.apply(other, value),
        }
    }

    fn derive(&mut self) {
        let mut defaults = LogConfig { producer_id_expiration: self.producer_id_expiration, ..LogConfig::default() };
        for row in rows(Scope::Topic) {
            let text = self.topic_default(row);
            apply_to_log(&mut defaults, row.name, &row.kind.parse(&text, 1).expect("checked when it was set"));
        }
        self.cluster.unclean_leader_election = defaults.unclean_leader_election;
        self.topic_defaults = defaults;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_without_settings_gives_its_topics_the_defaults_of_the_log() {
        assert_eq!(EngineConfig::default().topic_defaults, LogConfig::default());
        EngineConfig::default().check().unwrap();
    }

    #[test]
    fn the_finer_unit_of_a_topic_default_wins_whichever_came_first() {
        let mut config = EngineConfig::default();
        config.set("log.retention.hours", "1").unwrap();
        assert_eq!(config.topic_defaults.retention_age, Some(Duration::from_secs(3600)));
        config.set("log.retention.ms", "5").unwrap();
        config.set("log.retention.minutes", "7").unwrap();
        assert_eq!(config.topic_defaults.retention_age, Some(Duration::from_millis(5)));
        config.set("log.retention.ms", "-1").unwrap();
        assert_eq!(config.topic_defaults.retention_age, None);
        assert!(config.set("log.retention.hours", "9223372036854775807").is_err());
    }

    #[test]
    fn a_reserve_that_leaves_nothing_and_two_directories_are_refused() {
        let mut config = EngineConfig::default();
        config.set("dir.max.bytes", "1048576").unwrap();
        assert!(config.check().unwrap_err().message().contains("leaves nothing of dir.max.bytes=1048576"));
        assert!(config.set("log.dirs", "/a,/b").is_err());
        config.set("log.dirs", "/a").unwrap();
        assert_eq!(config.log_dir, Some(PathBuf::from("/a")));
        assert_eq!(config.get("log.dirs").unwrap(), "/a");
    }
    #[test]
    fn a_cluster_is_set_up_by_kafkas_names() {
        let mut config = EngineConfig::default();
        assert!(!config.cluster.is_member());
        for (name, value) in [
            ("controller.quorum.voters", "2@tcp://b:9301,1@tcp://a:9301"),
            ("listeners", "tcp://0.0.0.0:9301"),
            ("cluster.id", "4L6g3nShT-eMCtK--X86sw"),
            ("unclean.leader.election.enable", "true"),
            ("follower.replication.throttled.rate", "1000000"),
            ("broker.rack", "cellar"),
        ] {
            config.set(name, value).unwrap();
        }
        config.check().unwrap();
        let cluster = &config.cluster;
        assert!(cluster.is_member() && cluster.holds_data);
        assert_eq!(cluster.voters[1], (NodeId(2), "tcp://b:9301".to_owned()));
        assert_eq!(cluster.cluster_id.unwrap().to_string(), "4L6g3nShT-eMCtK--X86sw");
        assert_eq!((cluster.catch_up_bytes_per_second, cluster.rack.as_deref()), (Some(1_000_000), Some("cellar")));
        assert!(cluster.unclean_leader_election && config.topic_defaults.unclean_leader_election);
    }

    #[test]
    fn a_secret_is_known_and_never_shown() {
        let mut config = EngineConfig::default();
        config.set("cluster.secret", "open sesame").unwrap();
        assert_eq!(config.cluster.secret, Some(crate::types::Secret::new(b"open sesame")));
        assert_eq!(config.get("cluster.secret").unwrap(), "[hidden]");
        assert!(!format!("{config:?}").contains("sesame"));
        let refusal = config.set("cluster.secret", "open\nsesame").unwrap_err();
        assert_eq!(refusal.message(), "cluster.secret=[hidden] is not legal; legal: text in one line");
    }

    #[test]
    fn certificates_are_paths_and_names_are_looked_at_unless_told_otherwise() {
        let mut config = EngineConfig::default();
        config.set("ssl.keystore.location", "/etc/kafkalog/node.pem").unwrap();
        assert_eq!(config.cluster.ssl.keystore, Some(PathBuf::from("/etc/kafkalog/node.pem")));
        assert!(config.cluster.ssl.checks_names && config.cluster.ssl.truststore.is_none());
        config.set("ssl.endpoint.identification.algorithm", "none").unwrap();
        assert!(!config.cluster.ssl.checks_names);
        assert!(config.set("ssl.client.auth", "none").is_err() && config.set("ssl.truststore.type", "JKS").is_err());
    }

    #[test]
    fn what_cannot_work_in_a_cluster_is_refused_by_name() {
        let refusal = |settings: &[(&str, &str)]| {
            let mut config = EngineConfig::default();
            for (name, value) in settings {
                config.set(name, value).unwrap();
            }
            config.check().unwrap_err().message().to_owned()
        };
        let voters = ("controller.quorum.voters", "1@tcp://a:1,2@tcp://b:1");
        let listener = ("listeners", "tcp://a:1");
        let vote_only = ("node.holds.data", "false");
        for (settings, named) in [
            (&[("broker.heartbeat.interval.ms", "501")][..], "broker.session.timeout.ms=1500 is less than three times"),
            (&[("replica.fetch.wait.max.ms", "10000")], "replica.fetch.wait.max.ms=10000 is not below"),
            (&[voters], "controller.quorum.voters is set and listeners is not"),
            (&[("advertised.listeners", "tcp://a:1")], "advertised.listeners is set and listeners is not"),
            (&[vote_only], "node.holds.data=false needs controller.quorum.voters"),
            (&[voters, listener, vote_only, ("node.id", "3")], "node.id=3 is none of controller.quorum.voters"),
            (&[voters, listener, vote_only, ("controller.mode", "static")], "has no use with controller.mode=static"),
        ] {
            let message = refusal(settings);
            assert!(message.contains(named), "{message}");
        }
    }
}
