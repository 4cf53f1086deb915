//! How a verb ends: the exit statuses and the one line on stderr.

use kafkalog::{Error, ErrorCode};
use serde_json::json;
use std::fmt;
use std::io;
use std::path::Path;
use std::process::ExitCode;

pub type Outcome<T = ()> = std::result::Result<T, Failure>;

pub const HELP: &str = "\
Exit status:
  0  it went well; nothing wrong was found
  1  it failed on the way, or damage was found
  2  the command line or a setting is wrong; nothing was done
  3  the directory or file could not be opened (absent, locked, newer, no permission), or no node was reached;
     nothing was done";

/// The exit status of a failure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    Failed = 1,
    Usage = 2,
    CannotOpen = 3,
}

/// Why a verb did not end well.
#[derive(Debug)]
pub struct Failure {
    status: Status,
    code: Option<ErrorCode>,
    /// `None`: everything was said on stdout already.
    message: Option<String>,
    /// Whoever read our output has left; that is no failure of ours.
    is_unheard: bool,
}

impl Failure {
    pub fn new(status: Status, message: impl Into<String>) -> Failure {
        Failure { status, code: None, message: Some(message.into()), is_unheard: false }
    }

    /// The command line asks for something impossible.
    pub fn usage(message: impl Into<String>) -> Failure {
        Failure::new(Status::Usage, message)
    }

    /// Something went wrong on the way.
    pub fn failed(message: impl Into<String>) -> Failure {
        Failure::new(Status::Failed, message)
    }

    /// As `failed`, when stdout has told all.
    pub fn told() -> Failure {
        Failure { status: Status::Failed, code: None, message: None, is_unheard: false }
    }

    /// An error of opening `path`.
    pub fn opening(path: &Path, error: &Error) -> Failure {
        let status = match status_of(error.code()) {
            Status::Usage => Status::Usage,
            _ => Status::CannotOpen,
        };
        let message = match error.message() {
            text if text.contains(&*path.to_string_lossy()) => text.to_owned(),
            text => format!("{}: {text}", path.display()),
        };
        Failure { status, code: Some(error.code()), message: Some(message), is_unheard: false }
    }

    /// No node of a cluster was reached, or let us in.
    pub fn connecting(servers: &str, error: &Error) -> Failure {
        let status = match status_of(error.code()) {
            Status::Usage => Status::Usage,
            _ => Status::CannotOpen,
        };
        let message = format!("{servers}: {}", error.message());
        Failure { status, code: Some(error.code()), message: Some(message), is_unheard: false }
    }

    /// What the operating system said when `path` was opened or read.
    pub fn file(path: &Path, error: &io::Error) -> Failure {
        Failure::new(Status::CannotOpen, format!("{}: {error}", path.display()))
    }

    /// How the program will end.
    #[cfg(test)]
    pub fn status(&self) -> Status {
        self.status
    }

    /// Says it in one line on stderr and turns into the exit status.
    pub fn report(self, json: bool) -> ExitCode {
        if self.is_unheard {
            return ExitCode::SUCCESS;
        }
        if self.message.is_some() {
            let message = self.to_string();
            match (json, self.code) {
                (true, code) => {
                    let code = code.map(|code| json!({ "code": code.0, "name": code.name() }));
                    eprintln!("{}", json!({ "error": message, "kafka_error": code, "exit": self.status as u8 }));
                }
                (false, Some(code)) => eprintln!("kafkalog: {code} ({}): {message}", code.0),
                (false, None) => eprintln!("kafkalog: {message}"),
            }
        }
        ExitCode::from(self.status as u8)
    }
}

/// What went wrong, in one line.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message.as_deref().unwrap_or("it failed").replace(['\n', '\r'], " "))
    }
}

/// What is the caller's to mend is a matter of usage.
fn status_of(code: ErrorCode) -> Status {
    match code {
        ErrorCode::INVALID_CONFIG
        | ErrorCode::INVALID_ARG
        | ErrorCode::INVALID_TOPIC_EXCEPTION
        | ErrorCode::INVALID_PARTITIONS
        | ErrorCode::INVALID_REPLICATION_FACTOR => Status::Usage,
        _ => Status::Failed,
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure {
            status: status_of(error.code()),
            code: Some(error.code()),
            message: Some(error.message().to_owned()),
            is_unheard: false,
        }
    }
}

/// Only for stdout: what happens to files is said with their path, by [`Failure::file`].
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        let is_unheard = error.kind() == io::ErrorKind::BrokenPipe;
        Failure { is_unheard, ..Failure::failed(format!("standard output: {error}")) }
    }
}

/// clap's words in one line, or its help as it is.
pub fn of_usage(error: &clap::Error) -> ExitCode {
    use clap::error::ErrorKind;
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        let _ = error.print(); // nobody to tell when stdout is closed
        return ExitCode::SUCCESS;
    }
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let _ = error.print();
        return ExitCode::from(Status::Usage as u8);
    }
    let text = error.render().to_string();
    let what: Vec<&str> =
        text.lines().take_while(|line| !line.starts_with("Usage:")).map(str::trim).filter(|l| !l.is_empty()).collect();
    let what = what.join(" ");
    let json = std::env::args_os().any(|arg| arg == "--json");
    let what = what.strip_prefix("error: ").unwrap_or(&what).replace(" For more information, try '--help'.", "");
    Failure::usage(format!("{what} (try --help)")).report(json)
}
