//! What a verb works on: a data directory, opened for writing or for looking.

use crate::failure::{Failure, Outcome, Status};
use crate::membership::Membership;
use clap::Args;
use kafkalog::{Engine, ReadOnlyEngine};
use std::path::{Path, PathBuf};

/// A name and a value, `K=V` on the command line.
pub type Property = (String, String);

pub fn property(text: &str) -> Result<Property, String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("it is not of the form name=value".to_owned()),
    }
}

/// For verbs that only look.
#[derive(Args, Debug)]
pub struct Looking {
    /// The data directory; another process may be writing it
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,
}

impl Looking {
    pub fn open(&self) -> Outcome<ReadOnlyEngine> {
        open_read_only(&self.dir)
    }
}

pub fn open_read_only(dir: &Path) -> Outcome<ReadOnlyEngine> {
    Engine::open_read_only(dir).map_err(|error| Failure::opening(dir, &error))
}

/// For verbs that write: they hold the directory's lock.
#[derive(Args, Debug)]
pub struct Writing {
    /// The data directory; no other process may have it open
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,
    /// A setting of the engine (see `configs --explain engine`); may be repeated
    #[arg(long = "engine-property", value_name = "K=V", value_parser = property)]
    pub engine_properties: Vec<Property>,
}

impl Writing {
    /// Opens the directory, and makes it when it is not there.
    pub fn open(&self) -> Outcome<Engine> {
        open(&self.dir, &self.engine_properties)
    }

    /// The same as a node of a cluster, if that is wanted.
    pub fn open_as(&self, membership: &Membership) -> Outcome<Engine> {
        open(&self.dir, &membership.settings(&self.engine_properties)?)
    }

    /// Opens a directory that must be there.
    pub fn open_existing(&self) -> Outcome<Engine> {
        if !self.dir.is_dir() {
            return Err(Failure::new(
                Status::CannotOpen,
                format!("{}: there is no such directory", self.dir.display()),
            ));
        }
        self.open()
    }
}

pub fn open(dir: &Path, properties: &[Property]) -> Outcome<Engine> {
    let mut builder = Engine::builder(dir);
    for (name, value) in properties {
        builder = builder.set(name, value)?;
    }
    builder.open().map_err(|error| Failure::opening(dir, &error))
}

/// Closes the engine: everything flushed, marked clean. What could not be done is a failure.
pub fn close(engine: Engine) -> Outcome {
    match engine.close()? {
        report if report.is_clean() => Ok(()),
        report => Err(Failure::failed(report.to_string())),
    }
}
