//! `completions SHELL`.

use crate::failure::Outcome;
use crate::print;
use clap::CommandFactory;
use clap_complete::Shell;
use serde_json::json;
use std::io::Write;

#[derive(clap::Args, Debug)]
pub struct Args {
    /// The shell to write for
    shell: Shell,
}

pub fn run(args: &Args, json: bool) -> Outcome {
    // Into memory first: clap_complete panics when it cannot write.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut crate::Cli::command(), "kafkalog", &mut script);
    if json {
        let script = String::from_utf8_lossy(&script);
        return Ok(print::json(&json!({ "shell": args.shell.to_string(), "script": script }))?);
    }
    let mut out = print::stdout();
    out.write_all(&script)?;
    Ok(out.flush()?)
}
