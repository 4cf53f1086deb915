//! `configs`: Kafka's kafka-configs.sh for topics, and the table of every setting.

use crate::failure::{Failure, Outcome, Status};
use crate::print;
use crate::target::{Property, Source, Writing};
use clap::ValueEnum;
use kafkalog::{settings, validate_setting, Scope, TopicDescription};
use serde_json::{json, Value};
use std::io::Write;

#[derive(clap::Args, Debug)]
#[command(group(clap::ArgGroup::new("action").required(true).args(["describe", "alter", "explain"])))]
pub struct Args {
    #[command(flatten)]
    at: Writing,
    /// Print the settings that a topic has of its own; with --all every setting
    #[arg(long)]
    describe: bool,
    /// Change settings of a topic
    #[arg(long, requires = "entity_name")]
    alter: bool,
    /// Print every setting there is, with type, legal range, default and a sentence (needs no directory)
    #[arg(long, value_name = "SCOPE")]
    explain: Option<ScopeName>,
    /// Only topics have settings that are kept
    #[arg(long, value_name = "TYPE", default_value = "topics", value_parser = ["topics"])]
    entity_type: String,
    /// The topic
    #[arg(long, alias = "topic", value_name = "TOPIC")]
    entity_name: Option<String>,
    /// With --describe: also the settings that the topic has by default (a node may have been given other defaults)
    #[arg(long)]
    all: bool,
    /// Settings to add, separated by commas; lists in brackets: k1=v1,k2=[v1,v2]
    #[arg(long, value_name = "K=V,...", requires = "alter")]
    add_config: Option<String>,
    /// Settings that go back to their defaults, separated by commas
    #[arg(long, value_name = "NAME,...", value_delimiter = ',', requires = "alter")]
    delete_config: Vec<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ScopeName {
    Engine,
    Topic,
    Producer,
    Consumer,
    All,
}

pub fn run(args: &Args, json: bool) -> Outcome {
    if let Some(scope) = args.explain {
        return explain(scope, json);
    }
    if args.describe {
        return describe(args, &args.at.look()?, json);
    }
    alter(args, json)
}

fn describe(args: &Args, source: &Source, json: bool) -> Outcome {
    let topics = match &args.entity_name {
        Some(name) => vec![source.topic(name)?],
        None => source.topics()?,
    };
    let topics = source.with_configs(topics)?;
    if json {
        let rows: Vec<Value> = topics
            .iter()
            .map(|topic| {
                let configs: Vec<Value> = configs(topic, args.all)
                    .into_iter()
                    .map(|(name, value, source)| json!({ "name": name, "value": value, "source": source }))
                    .collect();
                json!({ "topic": &*topic.name, "configs": configs })
            })
            .collect();
        return Ok(print::json(&json!({ "topics": rows }))?);
    }
    let mut out = print::stdout();
    for topic in &topics {
        let which = if args.all { "All" } else { "Dynamic" };
        writeln!(out, "{which} configs for topic {} are:", topic.name)?;
        for (name, value, source) in configs(topic, args.all) {
            writeln!(out, "  {name}={value} source={source}")?;
        }
    }
    Ok(out.flush()?)
}

/// Name, value and where it comes from, in Kafka's words.
fn configs(topic: &TopicDescription, all: bool) -> Vec<(String, String, &'static str)> {
    let own = topic.overrides.iter().map(|(name, value)| (name.clone(), value.clone(), "DYNAMIC_TOPIC_CONFIG"));
    let mut configs: Vec<_> = own.collect();
    if all {
        let rest =
            settings().iter().filter(|row| row.scope() == Scope::Topic && !topic.overrides.contains_key(row.name()));
        configs.extend(rest.map(|row| (row.name().to_owned(), row.default_value().to_owned(), "DEFAULT_CONFIG")));
        configs.sort();
    }
    configs
}

fn alter(args: &Args, json: bool) -> Outcome {
    let name = args.entity_name.as_deref().expect("clap requires it");
    let added = args.add_config.as_deref().map_or(Ok(Vec::new()), pairs)?;
    if added.is_empty() && args.delete_config.is_empty() {
        return Err(Failure::usage("--alter needs --add-config or --delete-config"));
    }
    // All of them are looked at before the first is changed.
    for (key, value) in &added {
        validate_setting(Scope::Topic, key, value)?;
    }
    for key in &args.delete_config {
        if !settings().iter().any(|row| row.scope() == Scope::Topic && row.name() == key) {
            return Err(Failure::new(Status::Usage, format!("{key:?} is not a setting of the topic")));
        }
    }
    let target = args.at.open_existing()?;
    for (key, value) in &added {
        target.alter_topic(name, key, Some(value))?;
    }
    for key in &args.delete_config {
        target.alter_topic(name, key, None)?;
    }
    target.close()?;
    if json {
        return Ok(print::json(&json!({ "topic": name, "result": "altered" }))?);
    }
    Ok(print::line(format_args!("Completed updating config for topic {name}."))?)
}

/// `k1=v1,k2=[a,b]` taken apart.
fn pairs(text: &str) -> Outcome<Vec<Property>> {
    let mut pairs = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (name, behind) = rest
            .split_once('=')
            .ok_or_else(|| Failure::usage(format!("--add-config: {rest:?} is not of the form name=value")))?;
        let (value, next) = match behind.strip_prefix('[') {
            Some(list) => {
                let unclosed = || Failure::usage(format!("--add-config {name}: the bracket is not closed"));
                let (value, next) = list.split_once(']').ok_or_else(unclosed)?;
                (value, next.strip_prefix(',').unwrap_or(next))
            }
            None => behind.split_once(',').unwrap_or((behind, "")),
        };
        pairs.push((name.trim().to_owned(), value.to_owned()));
        rest = next;
    }
    Ok(pairs)
}

fn explain(scope: ScopeName, json: bool) -> Outcome {
    let scope = match scope {
        ScopeName::Engine => Some(Scope::Engine),
        ScopeName::Topic => Some(Scope::Topic),
        ScopeName::Producer => Some(Scope::Producer),
        ScopeName::Consumer => Some(Scope::Consumer),
        ScopeName::All => None,
    };
    let rows = settings().iter().filter(|row| scope.is_none_or(|scope| row.scope() == scope));
    if json {
        let rows: Vec<Value> = rows
            .map(|row| {
                json!({
                    "scope": row.scope().name(),
                    "name": row.name(),
                    "type": row.type_name(),
                    "legal": row.legal(),
                    "default": row.default_value(),
                    "sentence": row.sentence(),
                    "synonyms": row.synonyms().collect::<Vec<_>>(),
                })
            })
            .collect();
        return Ok(print::json(&json!({ "settings": rows }))?);
    }
    let mut out = print::stdout();
    for row in rows {
        let default = if row.default_value().is_empty() { "none" } else { row.default_value() };
        writeln!(
            out,
            "{} {} ({}; default {default}; legal {})",
            row.scope().name(),
            row.name(),
            row.type_name(),
            row.legal()
        )?;
        writeln!(out, "    {}", row.sentence())?;
        let synonyms: Vec<&str> = row.synonyms().collect();
        if !synonyms.is_empty() {
            writeln!(out, "    Default of all topics: {}", synonyms.join(", "))?;
        }
    }
    Ok(out.flush()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_in_brackets_keep_their_commas() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(pairs("a=1,b=[x,y],c=").unwrap(), [pair("a", "1"), pair("b", "x,y"), pair("c", "")]);
        assert!(pairs("a").is_err() && pairs("a=[1").is_err());
    }
}
