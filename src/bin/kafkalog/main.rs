//! The command line tool: Kafka's verbs over a directory.

fn main() {}
