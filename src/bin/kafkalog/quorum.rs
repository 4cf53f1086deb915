//! `quorum`: Kafka's kafka-metadata-quorum.sh.

use crate::cluster::Cluster;
use crate::failure::Outcome;
use crate::print;
use clap::Subcommand;
use kafkalog::{ClusterDescription, NodeId};
use std::io::Write;

#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    at: Cluster,
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand, Debug)]
enum What {
    /// Who leads the metadata quorum, who votes, how far each of them is
    #[command(group(clap::ArgGroup::new("part").required(true).args(["status", "replication"])))]
    Describe {
        /// A summary
        #[arg(long)]
        status: bool,
        /// One line for each voter and observer
        #[arg(long)]
        replication: bool,
    },
}

pub fn run(args: &Args, json: bool) -> Outcome {
    let What::Describe { status, .. } = args.what;
    let cluster = args.at.connect()?.describe_quorum()?;
    let mut out = print::stdout();
    if json {
        writeln!(out, "{}", cluster.to_json())?;
    } else if status {
        write!(out, "{}", summary(&cluster))?;
    } else {
        write!(out, "{}", table(&cluster))?;
    }
    Ok(out.flush()?)
}

pub fn numbers(nodes: &[NodeId]) -> String {
    nodes.iter().map(NodeId::to_string).collect::<Vec<_>>().join(",")
}

pub fn number(node: Option<NodeId>) -> String {
    node.map_or_else(|| "none".to_owned(), |node| node.to_string())
}

/// Kafka's lines; what is not known is -1, as there.
fn summary(cluster: &ClusterDescription) -> String {
    let end = cluster.quorum_replicas.iter().map(|replica| replica.log_end).max();
    let lag = end.zip(cluster.quorum_replicas.iter().map(|replica| replica.log_end).min());
    let lag = lag.map_or_else(|| "-1".to_owned(), |(end, least)| (end - least).to_string());
    let rows = [
        ("ClusterId:", cluster.cluster_id.to_string()),
        ("LeaderId:", number(cluster.quorum_leader)),
        ("LeaderEpoch:", cluster.quorum_epoch.to_string()),
        ("HighWatermark:", (cluster.metadata_offset + 1).to_string()),
        ("MaxFollowerLag:", lag),
        ("MaxFollowerLagTimeMs:", "-1".to_owned()),
        ("CurrentVoters:", format!("[{}]", numbers(&cluster.voters))),
        ("CurrentObservers:", format!("[{}]", numbers(&cluster.learners))),
    ];
    rows.iter().map(|(name, value)| format!("{name:<24}{value}\n")).collect()
}

fn table(cluster: &ClusterDescription) -> String {
    let end = cluster.quorum_replicas.iter().map(|replica| replica.log_end).max().unwrap_or(0);
    let rows = cluster.quorum_replicas.iter().map(|replica| {
        let status = match replica {
            one if cluster.quorum_leader == Some(one.node) => "Leader",
            one if one.is_voter => "Follower",
            _ => "Observer",
        };
        format!("{}\t{}\t{}\t{status}\n", replica.node, replica.log_end, end - replica.log_end)
    });
    std::iter::once("NodeId\tLogEndOffset\tLag\tStatus\n".to_owned()).chain(rows).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafkalog::{ClusterId, QuorumReplica};

    #[test]
    fn the_quorum_is_described_in_kafkas_words() {
        let replica = |node, log_end, is_voter| QuorumReplica { node: NodeId(node), log_end, is_voter };
        let mut cluster = ClusterDescription {
            cluster_id: ClusterId([1; 16]),
            controller: Some(NodeId(2)),
            nodes: Vec::new(),
            voters: vec![NodeId(1), NodeId(2)],
            learners: vec![NodeId(3)],
            quorum_leader: Some(NodeId(2)),
            quorum_epoch: 4,
            metadata_offset: 17,
            quorum_replicas: vec![replica(1, 15, true), replica(2, 18, true), replica(3, 10, false)],
        };
        let said = summary(&cluster);
        assert!(
            said.starts_with("ClusterId:              AQEBAQEBAQEBAQEBAQEBAQ\nLeaderId:               2\n"),
            "{said}"
        );
        assert!(
            said.contains("HighWatermark:          18\nMaxFollowerLag:         8\nMaxFollowerLagTimeMs:   -1\nCurrentVoters:          [1,2]\nCurrentObservers:       [3]\n")
        );
        let rows = "NodeId\tLogEndOffset\tLag\tStatus\n1\t15\t3\tFollower\n2\t18\t0\tLeader\n3\t10\t8\tObserver\n";
        assert_eq!(table(&cluster), rows);
        (cluster.quorum_leader, cluster.quorum_replicas) = (None, Vec::new());
        let said = summary(&cluster);
        assert!(
            said.contains("LeaderId:               none\n") && said.contains("MaxFollowerLag:         -1\n"),
            "{said}"
        );
    }
}
