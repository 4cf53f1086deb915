//! The command line: Kafka's verbs and flags over a data directory, `--dir`, or a running cluster, `--bootstrap-server`.
//!
//! One file a verb. Results go to stdout, errors to stderr in one line, and the exit status says how it went
//! ([`failure`]). Verbs that only look take no lock and are safe beside a live writer.

mod cache;
mod check;
mod claim;
mod cluster;
mod completions;
mod configs;
mod console_consumer;
mod console_producer;
mod consumer_perf_test;
mod delete_records;
mod demo;
mod doctor;
mod dump_log;
mod failure;
mod get_offsets;
mod histogram;
mod leader_election;
mod log_dirs;
mod membership;
mod print;
mod producer_perf_test;
mod quorum;
mod reading;
mod repair;
mod replicas;
mod serve;
mod stats;
mod target;
mod topics;
mod verifiable_consumer;
mod verifiable_producer;
mod wall_clock;

use clap::{Parser, Subcommand};
use failure::Outcome;
use std::process::ExitCode;

/// An embedded, Kafka-compatible append log: Kafka's verbs over a directory or a running cluster.
#[derive(Parser)]
#[command(name = "kafkalog", version, disable_help_subcommand = true, after_help = failure::HELP)]
struct Cli {
    /// Print JSON, for machines
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Show everything once: produce a text with acks=0, 1 and all, kill the process, recover, check
    Demo(demo::Args),
    #[command(hide = true)]
    DemoChild(demo::child::Args),
    /// Create, list, describe, alter and delete topics
    Topics(topics::Args),
    /// Send the lines of standard input
    ConsoleProducer(console_producer::Args),
    /// Print records; follows a directory that another process is writing
    ConsoleConsumer(console_consumer::Args),
    /// Print the first, last or timed offsets of partitions
    GetOffsets(get_offsets::Args),
    /// Delete the records before an offset
    DeleteRecords(delete_records::Args),
    /// Print the size of every partition
    LogDirs(log_dirs::Args),
    /// Describe and alter the settings of topics; explain every setting there is
    Configs(configs::Args),
    /// Print the content of segment, index and snapshot files
    DumpLog(dump_log::Args),
    /// Verify everything under a directory and print the place of each damage
    Check(check::Args),
    /// Say what mending a directory would take, and with --execute do it, keeping a copy
    Repair(repair::Args),
    /// Map what is in memory, what is flushed, and what pulling the plug now would cost
    Cache(cache::Args),
    /// Examine the machine: file system, time of an fsync, space, limits
    Doctor(doctor::Args),
    /// Measure producing
    ProducerPerfTest(producer_perf_test::Args),
    /// Measure consuming
    ConsumerPerfTest(consumer_perf_test::Args),
    /// Print a line for each acknowledged record, for fault tools
    VerifiableProducer(verifiable_producer::Args),
    /// Recover a directory and print a line for each record in it, for fault tools
    VerifiableConsumer(verifiable_consumer::Args),
    /// Print figures of a directory as JSON or OpenMetrics text
    Stats(stats::Args),
    /// Run one node of a cluster until SIGTERM or SIGINT
    Serve(serve::Args),
    /// Elect the preferred leaders of a running cluster's partitions, or any where nobody leads
    LeaderElection(leader_election::Args),
    /// Describe the metadata quorum of a running cluster
    Quorum(quorum::Args),
    /// Print how far each replica of a running cluster's partitions is
    Replicas(replicas::Args),
    /// Print a completion script for a shell
    Completions(completions::Args),
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return failure::of_usage(&error),
    };
    match run(cli.verb, cli.json) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(cli.json),
    }
}

fn run(verb: Verb, json: bool) -> Outcome {
    match verb {
        Verb::Demo(args) => demo::run(&args, json),
        Verb::DemoChild(args) => demo::child::run(&args),
        Verb::Topics(args) => topics::run(&args, json),
        Verb::ConsoleProducer(args) => console_producer::run(&args, json),
        Verb::ConsoleConsumer(args) => console_consumer::run(&args, json),
        Verb::GetOffsets(args) => get_offsets::run(&args, json),
        Verb::DeleteRecords(args) => delete_records::run(&args, json),
        Verb::LogDirs(args) => log_dirs::run(&args, json),
        Verb::Configs(args) => configs::run(&args, json),
        Verb::DumpLog(args) => dump_log::run(&args, json),
        Verb::Check(args) => check::run(&args, json),
        Verb::Repair(args) => repair::run(&args, json),
        Verb::Cache(args) => cache::run(&args, json),
        Verb::Doctor(args) => doctor::run(&args, json),
        Verb::ProducerPerfTest(args) => producer_perf_test::run(&args, json),
        Verb::ConsumerPerfTest(args) => consumer_perf_test::run(&args, json),
        Verb::VerifiableProducer(args) => verifiable_producer::run(&args, json),
        Verb::VerifiableConsumer(args) => verifiable_consumer::run(&args, json),
        Verb::Stats(args) => stats::run(&args, json),
        Verb::Serve(args) => serve::run(&args, json),
        Verb::LeaderElection(args) => leader_election::run(&args, json),
        Verb::Quorum(args) => quorum::run(&args, json),
        Verb::Replicas(args) => replicas::run(&args, json),
        Verb::Completions(args) => completions::run(&args, json),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_flags_of_every_verb_are_consistent() {
        crate::Cli::command().debug_assert();
    }
}
