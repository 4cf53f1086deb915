//! `leader-election`: Kafka's kafka-leader-election.sh.

use crate::cluster::Cluster;
use crate::failure::{Failure, Outcome};
use crate::print;
use clap::ValueEnum;
use kafkalog::{ElectionType, ErrorCode, PartitionOutcome, TopicPartition};
use serde_json::{json, Value};
use std::io::Write;
use std::path::{Path, PathBuf};

#[derive(clap::Args, Debug)]
#[command(group(clap::ArgGroup::new("which").required(true).args(["all_topic_partitions", "topic", "path_to_json_file"])))]
pub struct Args {
    #[command(flatten)]
    at: Cluster,
    /// preferred: the first replica, where it is in sync; unclean: any replica, where nobody leads and the topic allows it. What an
    /// unclean leader lacks is lost
    #[arg(long, value_name = "TYPE", ignore_case = true)]
    election_type: Type,
    /// Every partition of the cluster
    #[arg(long)]
    all_topic_partitions: bool,
    /// The topic
    #[arg(long, requires = "partition")]
    topic: Option<String>,
    /// The partition
    #[arg(long, value_name = "N", requires = "topic")]
    partition: Option<u32>,
    /// Kafka's JSON: {"partitions":[{"topic":"t","partition":0}]}
    #[arg(long, value_name = "FILE")]
    path_to_json_file: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Type {
    Preferred,
    Unclean,
}

pub fn run(args: &Args, json: bool) -> Outcome {
    let (kind, name) = match args.election_type {
        Type::Preferred => (ElectionType::Preferred, "PREFERRED"),
        Type::Unclean => (ElectionType::Unclean, "UNCLEAN"),
    };
    let asked = match (&args.path_to_json_file, args.topic.as_deref().zip(args.partition)) {
        (Some(path), _) => Some(from_file(path)?),
        (None, Some((topic, partition))) => Some(vec![TopicPartition::new(topic, partition)]),
        (None, None) => None,
    };
    let client = args.at.connect()?;
    let outcomes = client.elect_leaders(kind, asked.as_deref())?;
    let has_failed = outcomes.iter().any(|outcome| matches!(verdict(outcome), Verdict::Failed(_)));
    if json {
        print::json(&as_json(name, &outcomes))?;
    } else {
        let mut out = print::stdout();
        write!(out, "{}", lines(name, &outcomes))?;
        out.flush()?;
    }
    if has_failed {
        return Err(Failure::told());
    }
    Ok(())
}

fn from_file(path: &Path) -> Outcome<Vec<TopicPartition>> {
    let text = std::fs::read_to_string(path).map_err(|error| Failure::file(path, &error))?;
    let wrong = |what: &str| Failure::usage(format!("{}: {what}", path.display()));
    let document: Value = serde_json::from_str(&text).map_err(|error| wrong(&error.to_string()))?;
    let rows = document["partitions"].as_array().filter(|rows| !rows.is_empty());
    let rows = rows.ok_or_else(|| wrong("there is no array \"partitions\" with anything in it"))?;
    let one = |row: &Value| {
        let topic = row["topic"].as_str().ok_or_else(|| wrong("a partition has no \"topic\""))?;
        let partition = row["partition"].as_u64().and_then(|number| u32::try_from(number).ok());
        let partition = partition.ok_or_else(|| wrong("a partition has no number \"partition\""))?;
        Ok(TopicPartition::new(topic, partition))
    };
    rows.iter().map(one).collect()
}

enum Verdict<'a> {
    Elected,
    NotNeeded,
    Failed(&'a kafkalog::Error),
}

fn verdict(outcome: &PartitionOutcome) -> Verdict<'_> {
    match &outcome.result {
        Ok(()) => Verdict::Elected,
        Err(error) if error.code() == ErrorCode::ELECTION_NOT_NEEDED => Verdict::NotNeeded,
        Err(error) => Verdict::Failed(error),
    }
}

/// Kafka's sentences.
fn lines(kind: &str, outcomes: &[PartitionOutcome]) -> String {
    let mut text = String::new();
    let all = |wanted: fn(&Verdict<'_>) -> bool| -> Vec<String> {
        let found = outcomes.iter().filter(|outcome| wanted(&verdict(outcome)));
        found.map(|outcome| outcome.partition.to_string()).collect()
    };
    let elected = all(|verdict| matches!(verdict, Verdict::Elected));
    if !elected.is_empty() {
        text += &format!("Successfully completed leader election ({kind}) for partitions {}\n", elected.join(", "));
    }
    let not_needed = all(|verdict| matches!(verdict, Verdict::NotNeeded));
    if !not_needed.is_empty() {
        text += &format!("Valid replica already elected for partitions {}\n", not_needed.join(", "));
    }
    for outcome in outcomes {
        if let Verdict::Failed(error) = verdict(outcome) {
            let at = &outcome.partition;
            text += &format!("Error completing leader election ({kind}) for partition: {at}: {error}\n");
        }
    }
    text
}

fn as_json(kind: &str, outcomes: &[PartitionOutcome]) -> Value {
    let rows: Vec<Value> = outcomes
        .iter()
        .map(|outcome| {
            let (result, error) = match verdict(outcome) {
                Verdict::Elected => ("elected", None),
                Verdict::NotNeeded => ("not needed", None),
                Verdict::Failed(error) => ("failed", Some(error.to_string())),
            };
            let at = &outcome.partition;
            json!({ "topic": &*at.topic, "partition": at.partition, "result": result, "error": error })
        })
        .collect();
    json!({ "election_type": kind, "partitions": rows })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outcome_is_told_in_kafkas_sentences() {
        let outcome = |partition, code| PartitionOutcome {
            partition: TopicPartition::new("t", partition),
            result: match code {
                ErrorCode::NONE => Ok(()),
                code => Err(kafkalog::Error::new(code, "because")),
            },
        };
        let outcomes = [
            outcome(0, ErrorCode::NONE),
            outcome(1, ErrorCode::NONE),
            outcome(2, ErrorCode::ELECTION_NOT_NEEDED),
            outcome(3, ErrorCode::PREFERRED_LEADER_NOT_AVAILABLE),
        ];
        let said = lines("PREFERRED", &outcomes);
        let start = "Successfully completed leader election (PREFERRED) for partitions t-0, t-1\n\
                     Valid replica already elected for partitions t-2\n\
                     Error completing leader election (PREFERRED) for partition: t-3: ";
        assert!(said.starts_with(start), "{said}");
        assert_eq!(as_json("PREFERRED", &outcomes)["partitions"][2]["result"], "not needed");
    }
}
