//! `log-dirs`: Kafka's kafka-log-dirs.sh, whose answer is a JSON document also for people.

use crate::failure::Outcome;
use crate::print;
use crate::target::Looking;
use kafkalog::inspect::DataDirView;
use serde_json::{json, Value};
use std::io::Write;

#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    at: Looking,
    /// Describe the directory (the only thing this verb does)
    #[arg(long)]
    describe: bool,
    /// Topics, separated by commas; all when none is named
    #[arg(long, value_delimiter = ',', value_name = "TOPIC")]
    topic_list: Vec<String>,
}

pub fn run(args: &Args, json: bool) -> Outcome {
    let node = args.at.open()?.node_id().map_or(0, |node| node.0);
    let view = DataDirView::read(&args.at.dir)?;
    let partitions: Vec<Value> = view
        .partitions
        .iter()
        .filter(|partition| {
            args.topic_list.is_empty() || args.topic_list.iter().any(|name| **name == *partition.id.topic)
        })
        .map(|partition| {
            json!({
                "partition": partition.id.to_string(),
                "size": partition.size_bytes(),
                "offsetLag": 0,
                "isFuture": false,
            })
        })
        .collect();
    let directory = json!({ "logDir": view.path.display().to_string(), "error": null, "partitions": partitions });
    let document = json!({ "version": 1, "brokers": [{ "broker": node, "logDirs": [directory] }] });
    if !json {
        let mut out = print::stdout();
        writeln!(out, "Querying brokers for log directories information")?;
        writeln!(out, "Received log directory information from brokers {node}")?;
        out.flush()?;
    }
    Ok(print::json(&document)?)
}
