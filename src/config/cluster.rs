//! The settings of a node that is one of several.

use super::address::voters;
use super::lookup::refused;
use super::ssl::SslConfig;
use super::value::Value;
use crate::error::Result;
use crate::types::{ClusterId, NodeId, Secret};
use std::time::Duration;

/// `controller.mode`: who decides which node leads.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ControllerMode {
    /// The voters, by majority.
    #[default]
    Quorum,
    /// The program, which appoints every leader itself.
    Static,
}

/// Resolved settings of a node as a member of a cluster. [`EngineConfig::set`](super::EngineConfig::set) writes them.
#[derive(Clone, PartialEq, Debug)]
pub struct ClusterConfig {
    /// `controller.mode`.
    pub mode: ControllerMode,
    /// `cluster.id`; `None` takes the one of the directory.
    pub cluster_id: Option<ClusterId>,
    /// `cluster.secret`; `None` when none was given.
    pub secret: Option<Secret>,
    /// `ssl.*`.
    pub ssl: SslConfig,
    /// `controller.quorum.voters`, by number; empty for a node that is alone.
    pub voters: Vec<(NodeId, String)>,
    /// `listeners`.
    pub listener: Option<String>,
    /// `advertised.listeners`; `None` advertises what is listened on.
    pub advertised_listener: Option<String>,
    /// `node.holds.data`; false for a node that only votes.
    pub holds_data: bool,
    /// `broker.rack`.
    pub rack: Option<String>,
    /// `default.replication.factor`.
    pub replication_default: u16,
    /// `unclean.leader.election.enable` of topics that do not say.
    pub unclean_leader_election: bool,
    /// `replica.lag.time.max.ms`.
    pub replica_lag_time_max: Duration,
    /// `replica.fetch.max.bytes`.
    pub fetch_bytes_max: u32,
    /// `replica.fetch.response.max.bytes`.
    pub fetch_response_bytes_max: u32,
    /// `replica.fetch.wait.max.ms`.
    pub fetch_wait_max: Duration,
    /// `replica.fetch.backoff.ms`.
    pub fetch_backoff: Duration,
    /// `num.replica.fetchers`.
    pub fetchers: u32,
    /// `follower.replication.throttled.rate`; `None` is no limit.
    pub catch_up_bytes_per_second: Option<u64>,
    /// `broker.heartbeat.interval.ms`.
    pub heartbeat_interval: Duration,
    /// `broker.session.timeout.ms`.
    pub session_timeout: Duration,
    /// `controller.quorum.election.timeout.ms`.
    pub quorum_election_timeout: Duration,
    /// `controller.quorum.fetch.timeout.ms`.
    pub quorum_fetch_timeout: Duration,
    /// `controller.quorum.request.timeout.ms`.
    pub quorum_request_timeout: Duration,
    /// `auto.leader.rebalance.enable`.
    pub rebalances_leaders: bool,
    /// `leader.imbalance.check.interval.seconds`.
    pub rebalance_interval: Duration,
    /// `request.timeout.ms`.
    pub request_timeout: Duration,
}

impl ClusterConfig {
    /// Nothing that the table would allow; the rows' defaults are applied next.
    pub(super) fn unset() -> ClusterConfig {
        ClusterConfig {
            mode: ControllerMode::Quorum,
            cluster_id: None,
            secret: None,
            ssl: SslConfig::default(),
            voters: Vec::new(),
            listener: None,
            advertised_listener: None,
            holds_data: true,
            rack: None,
            replication_default: 0,
            unclean_leader_election: false,
            replica_lag_time_max: Duration::ZERO,
            fetch_bytes_max: 0,
            fetch_response_bytes_max: 0,
            fetch_wait_max: Duration::ZERO,
            fetch_backoff: Duration::ZERO,
            fetchers: 0,
            catch_up_bytes_per_second: None,
            heartbeat_interval: Duration::ZERO,
            session_timeout: Duration::ZERO,
            quorum_election_timeout: Duration::ZERO,
            quorum_fetch_timeout: Duration::ZERO,
            quorum_request_timeout: Duration::ZERO,
            rebalances_leaders: false,
            rebalance_interval: Duration::ZERO,
            request_timeout: Duration::ZERO,
        }
    }

    /// Where others reach this node.
    #[must_use]
    pub fn address(&self) -> Option<&str> {
        self.advertised_listener.as_deref().or(self.listener.as_deref())
    }

    /// Whether this node is one of several.
    #[must_use]
    pub fn is_member(&self) -> bool {
        !self.voters.is_empty() || self.mode == ControllerMode::Static
    }

    pub(super) fn apply(&mut self, name: &str, value: &Value) {
        let text = |value: &Value| Some(value.text().to_owned()).filter(|text| !text.is_empty());
        match name {
            "controller.mode" => {
                self.mode = match value.text() {
                    "static" => ControllerMode::Static,
                    _ => ControllerMode::Quorum,
                }
            }
            "cluster.id" => self.cluster_id = ClusterId::parse(value.text()),
            "cluster.secret" => self.secret = text(value).map(|secret| Secret::new(secret.as_bytes())),
            "controller.quorum.voters" => self.voters = voters(value.text()).unwrap_or_default(),
            "listeners" => self.listener = text(value),
            "advertised.listeners" => self.advertised_listener = text(value),
            "node.holds.data" => self.holds_data = value.bool(),
            "broker.rack" => self.rack = text(value),
            "default.replication.factor" => {
                self.replication_default = u16::try_from(value.int()).expect("the row's range lies within 16 bits");
            }
            "replica.lag.time.max.ms" => self.replica_lag_time_max = value.millis(),
            "replica.fetch.max.bytes" => self.fetch_bytes_max = value.u32(),
            "replica.fetch.response.max.bytes" => self.fetch_response_bytes_max = value.u32(),
            "replica.fetch.wait.max.ms" => self.fetch_wait_max = value.millis(),
            "replica.fetch.backoff.ms" => self.fetch_backoff = value.millis(),
            "num.replica.fetchers" => self.fetchers = value.u32(),
            "follower.replication.throttled.rate" => self.catch_up_bytes_per_second = value.u64_or_never(),
            "broker.heartbeat.interval.ms" => self.heartbeat_interval = value.millis(),
            "broker.session.timeout.ms" => self.session_timeout = value.millis(),
            "controller.quorum.election.timeout.ms" => self.quorum_election_timeout = value.millis(),
            "controller.quorum.fetch.timeout.ms" => self.quorum_fetch_timeout = value.millis(),
            "controller.quorum.request.timeout.ms" => self.quorum_request_timeout = value.millis(),
            "auto.leader.rebalance.enable" => self.rebalances_leaders = value.bool(),
            "leader.imbalance.check.interval.seconds" => self.rebalance_interval = Duration::from_secs(value.u64()),
            "request.timeout.ms" => self.request_timeout = value.millis(),
            other => assert!(self.ssl.apply(other, value), "{other} has a row and no field"),
        }
    }

    /// Refuses combinations that cannot work. INVALID_CONFIG (40), naming the settings.
    pub(super) fn check(&self, node: Option<NodeId>) -> Result<()> {
        self.check_times()?;
        self.check_place(node)
    }

    fn check_times(&self) -> Result<()> {
        let ms = |time: Duration| time.as_millis();
        if self.session_timeout < 3 * self.heartbeat_interval {
            return Err(refused(format!(
                "broker.session.timeout.ms={} is less than three times broker.heartbeat.interval.ms={}, so that one lost heartbeat \
                 could fence a healthy node",
                ms(self.session_timeout),
                ms(self.heartbeat_interval)
            )));
        }
        if self.fetch_wait_max >= self.replica_lag_time_max {
            return Err(refused(format!(
                "replica.fetch.wait.max.ms={} is not below replica.lag.time.max.ms={}, so that a follower of a quiet partition \
                 would be taken for one that lags",
                ms(self.fetch_wait_max),
                ms(self.replica_lag_time_max)
            )));
        }
        Ok(())
    }

    fn check_place(&self, node: Option<NodeId>) -> Result<()> {
        if self.listener.is_none() {
            if self.advertised_listener.is_some() {
                return Err(refused(
                    "advertised.listeners is set and listeners is not, so that nobody would answer there",
                ));
            }
            if !self.voters.is_empty() {
                return Err(refused(
                    "controller.quorum.voters is set and listeners is not, so that no voter could reach this node",
                ));
            }
        }
        if self.mode == ControllerMode::Static && !self.holds_data {
            return Err(refused("node.holds.data=false has no use with controller.mode=static: nobody votes there"));
        }
        if !self.holds_data && self.voters.is_empty() {
            return Err(refused(
                "node.holds.data=false needs controller.quorum.voters: a node alone is where the data is",
            ));
        }
        let is_voter = |node: NodeId| self.voters.iter().any(|(voter, _)| *voter == node);
        if let Some(node) = node.filter(|node| !self.holds_data && !is_voter(*node)) {
            return Err(refused(format!(
                "node.holds.data=false and node.id={node} is none of controller.quorum.voters: such a node would have nothing to do"
            )));
        }
        Ok(())
    }
}
