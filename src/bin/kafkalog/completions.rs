//! `completions SHELL`.

use crate::failure::Outcome;
use clap::CommandFactory;
use clap_complete::Shell;
use std::io::Write;

#[derive(clap::Args, Debug)]
pub struct Args {
    /// The shell to write for
    shell: Shell,
}

pub fn run(args: &Args, _json: bool) -> Outcome {
    // Into memory first: clap_complete panics when it cannot write.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut crate::Cli::command(), "kafkalog", &mut script);
    std::io::stdout().write_all(&script)?;
    Ok(())
}
