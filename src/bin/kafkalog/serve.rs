//! `serve`: one node of a cluster as a process of its own, for those who have no program to put it into.

use crate::cluster::secret;
use crate::failure::{Failure, Outcome};
use crate::print;
use crate::target::{close, property, Property};
use kafkalog::door::EndSignals;
use kafkalog::{Engine, LogLevel, LogSink};
use serde_json::json;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How often a node that is not asked to end looks whether it can go on.
const LOOK: Duration = Duration::from_secs(1);

#[derive(clap::Args, Debug)]
pub struct Args {
    /// The data directory of this node
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// The number of this node; without it the one of the directory
    #[arg(long, value_name = "N")]
    node_id: Option<u32>,
    /// Where it listens: tcp://host:port (port 0: a free one), unix:///path
    #[arg(long, value_name = "URL")]
    listen: String,
    /// The address that others are told, when that is not the one it listens on
    #[arg(long, value_name = "URL")]
    advertise: Option<String>,
    /// Another node that votes; may be repeated. The same set, this node included, is given to every node
    #[arg(long = "peer", value_name = "ID=URL", value_parser = property, requires = "node_id")]
    peers: Vec<Property>,
    /// The cluster's id, 22 characters; needed before the first start of each node of a new cluster
    #[arg(long, value_name = "ID")]
    cluster_id: Option<String>,
    /// A file with the cluster's secret
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// A setting of the engine (see `configs --explain engine`); may be repeated
    #[arg(long = "property", alias = "engine-property", value_name = "K=V", value_parser = property)]
    properties: Vec<Property>,
}

/// Log lines go to stderr: stdout has the one line that says that the node is there.
#[derive(Debug)]
struct Stderr;

impl LogSink for Stderr {
    fn log(&self, level: LogLevel, facility: &str, text: &str) {
        if level <= LogLevel::Info {
            // Nobody to tell when stderr is closed.
            let _ = writeln!(std::io::stderr(), "{level:?} {facility}: {text}");
        }
    }
}

pub fn run(args: &Args, json: bool) -> Outcome {
    let settings = settings(args)?;
    // Before any thread is started, so that every one of them leaves these signals to this one.
    let signals = EndSignals::new();
    let mut builder = Engine::builder(&args.dir).log_sink(Arc::new(Stderr));
    for (name, value) in &settings {
        builder = builder.set(name, value)?;
    }
    let engine = builder.open().map_err(|error| Failure::opening(&args.dir, &error))?;
    say_ready(&engine, args, json)?;
    while !signals.wait(LOOK) {
        if let Some(error) = engine.fatal_error() {
            let _ = close(engine); // the first failure is the one to be told
            return Err(error.into());
        }
    }
    close(engine)
}

fn say_ready(engine: &Engine, args: &Args, json: bool) -> Outcome {
    let (node, at) = (engine.node_id(), engine.listener().unwrap_or_else(|| args.listen.clone()));
    let cluster = engine.describe_cluster()?.cluster_id;
    if json {
        let ready = json!({ "node": node.0, "cluster_id": cluster.to_string(), "listener": at });
        return Ok(print::json(&ready)?);
    }
    let mut out = print::stdout();
    writeln!(out, "Node {node} of cluster {cluster} listens on {at}")?;
    Ok(out.flush()?)
}

/// Flags are settings under shorter names; a setting that is given under both is refused.
fn settings(args: &Args) -> Outcome<Vec<Property>> {
    let mut settings = vec![("listeners".to_owned(), args.listen.clone())];
    let mut put = |name: &str, value: String| settings.push((name.to_owned(), value));
    if let Some(node) = args.node_id {
        put("node.id", node.to_string());
        if !args.peers.is_empty() {
            let own = (node.to_string(), args.advertise.clone().unwrap_or_else(|| args.listen.clone()));
            put("controller.quorum.voters", voters(&args.peers, own));
        }
    }
    if let Some(url) = &args.advertise {
        put("advertised.listeners", url.clone());
    }
    if let Some(id) = &args.cluster_id {
        put("cluster.id", id.clone());
    }
    if let Some(path) = &args.secret_file {
        put("cluster.secret", secret(path)?);
    }
    for (name, value) in &args.properties {
        if settings.iter().any(|(other, _)| other == name) {
            return Err(Failure::usage(format!("{name} is set by a flag and by --property")));
        }
        settings.push((name.clone(), value.clone()));
    }
    Ok(settings)
}

/// All voters; this node may stand among the peers, so that every node can be given the same flags.
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
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn args(words: &str) -> Args {
        let words = format!("serve --dir d --listen tcp://a:1 {words}");
        Line::try_parse_from(words.split_whitespace()).unwrap().args
    }

    #[test]
    fn flags_are_settings_under_shorter_names() {
        let all = settings(&args("--node-id 1 --peer 2=tcp://b:1 --property broker.rack=cellar")).unwrap();
        let voters = ("controller.quorum.voters".to_owned(), "2@tcp://b:1,1@tcp://a:1".to_owned());
        assert!(all.contains(&voters) && all.contains(&("broker.rack".to_owned(), "cellar".to_owned())), "{all:?}");
        let alone = settings(&args("")).unwrap();
        assert_eq!(alone, [("listeners".to_owned(), "tcp://a:1".to_owned())]);
        let same = settings(&args("--node-id 1 --peer 1=tcp://a:1 --peer 2=tcp://b:1")).unwrap();
        assert_eq!(same[2].1, "1@tcp://a:1,2@tcp://b:1");
    }

    #[test]
    fn a_setting_that_is_given_twice_is_refused() {
        let refusal = settings(&args("--node-id 1 --property node.id=2")).unwrap_err();
        assert!(refusal.to_string().contains("node.id"), "{refusal}");
    }
}
