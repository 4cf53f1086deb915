//! This process as one node of a cluster: `--node-id`, `--listen`, `--peer` and their like, for the verbs that can be one.

use crate::cluster::Keys;
use crate::failure::{Failure, Outcome};
use crate::target::{property, Property, Target};
use clap::Args;
use kafkalog::{Engine, ErrorCode, TopicConfig};
use std::thread;
use std::time::{Duration, Instant};

/// Between two attempts to create a topic while nodes are still coming.
const RETRY: Duration = Duration::from_millis(100);
/// Between two looks whether the node takes part.
const LOOK: Duration = Duration::from_millis(20);

/// The flags, which are settings under shorter names.
#[derive(Args, Debug, Default)]
pub struct Membership {
    /// As a node of a cluster: its number; without it the one of the directory
    #[arg(long, value_name = "N", requires = "listen")]
    node_id: Option<u32>,
    /// As a node of a cluster: where it listens, tcp://host:port (port 0: a free one), tls://host:port (its certificate by --property
    /// ssl.keystore.location and ssl.truststore.location, in builds with the feature tls) or unix:///path
    #[arg(long, value_name = "URL")]
    listen: Option<String>,
    /// The address that others are told, when that is not the one it listens on
    #[arg(long, value_name = "URL", requires = "listen")]
    advertise: Option<String>,
    /// Another node that votes; may be repeated. This node may stand among them, so that all nodes can be given the same
    #[arg(long = "peer", value_name = "ID=URL", value_parser = property, requires = "node_id")]
    peers: Vec<Property>,
}

impl Membership {
    /// Whether the process shall be a node of a cluster.
    pub fn is_wanted(&self) -> bool {
        self.listen.is_some()
    }

    /// The settings of the engine; one that is given by a flag and among `properties` is refused.
    pub fn settings(&self, keys: &Keys, properties: &[Property]) -> Outcome<Vec<Property>> {
        let Some(listen) = &self.listen else {
            keys.goes_with("--listen")?;
            return Ok(properties.to_vec());
        };
        let mut settings = vec![("listeners".to_owned(), listen.clone())];
        let mut put = |name: &str, value: String| settings.push((name.to_owned(), value));
        let names_voters = properties.iter().any(|(name, _)| name == "controller.quorum.voters");
        match self.node_id {
            Some(node) => {
                put("node.id", node.to_string());
                if !self.peers.is_empty() || !names_voters {
                    let own = (node.to_string(), self.advertise.clone().unwrap_or_else(|| listen.clone()));
                    put("controller.quorum.voters", voters(&self.peers, own));
                }
            }
            None if names_voters => {}
            None => return Err(Failure::usage("--listen goes with --node-id, and with --peer for each other node")),
        }
        if let Some(url) = &self.advertise {
            put("advertised.listeners", url.clone());
        }
        settings.extend(keys.settings()?);
        for (name, value) in properties {
            if settings.iter().any(|(other, _)| other == name) {
                return Err(Failure::usage(format!("{name} is set by a flag and as a property")));
            }
            settings.push((name.clone(), value.clone()));
        }
        Ok(settings)
    }
}

/// Creates a topic that is not there yet; true when it was this call that did. In a cluster it waits until there is a controller and as
/// many nodes as the topic has replicas, as long as `patience` says.
pub fn create_topic(target: &Target, name: &str, config: &TopicConfig, patience: Duration) -> kafkalog::Result<bool> {
    let began = Instant::now();
    loop {
        match target.create_topic(name, config.clone()) {
            Ok(()) => return Ok(true),
            Err(error) if error.code() == ErrorCode::TOPIC_ALREADY_EXISTS => {
                wait_to_know(target, name, patience.saturating_sub(began.elapsed()))?;
                return Ok(false);
            }
            Err(error) if can_come_right(target, &error) && began.elapsed() < patience => thread::sleep(RETRY),
            Err(error) => return Err(error),
        }
    }
}

/// The controller knows the topic; this process may hear of it later, and if it does not within `patience`, whoever uses the topic says so.
fn wait_to_know(target: &Target, name: &str, patience: Duration) -> kafkalog::Result<()> {
    let began = Instant::now();
    while target.is_in_cluster()
        && began.elapsed() < patience
        && !target.topics()?.iter().any(|topic| *topic.name == *name)
    {
        thread::sleep(LOOK);
    }
    Ok(())
}

/// Waits until the cluster counts on this node: it has heard of everything that was there when it came. False when it takes longer.
pub fn wait_to_take_part(engine: &Engine, patience: Duration) -> kafkalog::Result<bool> {
    let began = Instant::now();
    while !engine.takes_part()? {
        if began.elapsed() >= patience {
            return Ok(false);
        }
        thread::sleep(LOOK);
    }
    Ok(true)
}

fn can_come_right(target: &Target, error: &kafkalog::Error) -> bool {
    let lacks_nodes = error.code() == ErrorCode::INVALID_REPLICATION_FACTOR;
    target.is_in_cluster() && (lacks_nodes || error.is_retriable())
}

/// All voters, this node among them.
fn voters(peers: &[Property], own: Property) -> String {
    let mut voters = peers.to_vec();
    if !voters.iter().any(|(node, _)| *node == own.0) {
        voters.push(own);
    }
    voters.iter().map(|(node, url)| format!("{node}@{url}")).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Status;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        membership: Membership,
        #[command(flatten)]
        keys: Keys,
        #[arg(long = "property", value_parser = property)]
        properties: Vec<Property>,
    }

    fn settings(words: &str) -> Outcome<Vec<Property>> {
        let line = Line::try_parse_from(format!("verb {words}").split_whitespace()).unwrap();
        line.membership.settings(&line.keys, &line.properties)
    }

    fn of(name: &str, value: &str) -> Property {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn flags_are_settings_under_shorter_names() {
        let all = settings("--listen tcp://a:1 --node-id 1 --peer 2=tcp://b:1 --property broker.rack=cellar").unwrap();
        assert!(all.contains(&of("controller.quorum.voters", "2@tcp://b:1,1@tcp://a:1")), "{all:?}");
        assert!(all.contains(&of("broker.rack", "cellar")), "{all:?}");
        let alone = settings("--listen tcp://a:1 --node-id 1").unwrap();
        assert!(alone.contains(&of("controller.quorum.voters", "1@tcp://a:1")), "{alone:?}");
        let named = settings("--listen tcp://a:1 --property controller.quorum.voters=1@tcp://a:1").unwrap();
        assert_eq!(named.len(), 2, "{named:?}");
        assert_eq!(settings("--property broker.rack=cellar").unwrap(), [of("broker.rack", "cellar")]);
        let same = settings("--listen tcp://a:1 --node-id 1 --peer 1=tcp://a:1 --peer 2=tcp://b:1").unwrap();
        assert!(same.contains(&of("controller.quorum.voters", "1@tcp://a:1,2@tcp://b:1")), "{same:?}");
        let told = settings("--listen tcp://a:1 --node-id 1 --peer 2=tcp://b:1 --advertise tcp://c:1").unwrap();
        assert!(told.contains(&of("controller.quorum.voters", "2@tcp://b:1,1@tcp://c:1")), "{told:?}");
    }

    #[test]
    fn a_setting_is_given_once_and_a_node_has_an_address() {
        for twice in
            ["--property listeners=tcp://b:1", "--peer 2=tcp://b:1 --property controller.quorum.voters=1@tcp://a:1"]
        {
            let failure = settings(&format!("--listen tcp://a:1 --node-id 1 {twice}")).unwrap_err();
            assert_eq!(failure.status(), Status::Usage);
        }
        assert_eq!(settings("--listen tcp://a:1").unwrap_err().status(), Status::Usage);
        for lacks_an_address in ["--cluster-id x", "--secret-file f"] {
            assert_eq!(settings(lacks_an_address).unwrap_err().status(), Status::Usage);
        }
        for lacks_an_address in ["--node-id 1", "--listen tcp://a:1 --peer 2=tcp://b:1"] {
            let words = format!("verb {lacks_an_address}");
            assert!(Line::try_parse_from(words.split_whitespace()).is_err(), "{words}");
        }
    }
}
