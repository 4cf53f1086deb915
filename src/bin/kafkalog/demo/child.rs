//! The child of the demo that is killed: it sends without end, with all three levels of acks at once, and tells its parent
//! what was acknowledged.
//!
//! ```text
//! level number partition offset      offset - when nobody knows it (acks=0)
//! ```

use super::input::Input;
use super::{send, KILLED_LEVELS, KILLED_TOPIC, LEVELS};
use crate::failure::Outcome;
use crate::target::open;
use kafkalog::{Delivery, Producer, TopicConfig};
use std::collections::VecDeque;
use std::io::Write;
use std::path::PathBuf;

/// Sends under way for each level before the oldest is waited for.
const UNDER_WAY_MAX: usize = 1000;

#[derive(clap::Args, Debug)]
pub struct Args {
    #[arg(long)]
    pub dir: PathBuf,
    #[arg(long)]
    pub input: Option<PathBuf>,
    #[arg(long)]
    pub partitions: u32,
}

pub fn run(args: &Args) -> Outcome {
    let input = Input::load(args.input.as_deref(), Some(1))?;
    let engine = open(&args.dir, &[])?;
    engine.create_topic(KILLED_TOPIC, TopicConfig::new().partitions(args.partitions))?;
    let mut lanes = Vec::new();
    for level in &LEVELS[..KILLED_LEVELS] {
        lanes.push(Lane { producer: engine.producer().acks(level.acks).open()?, under_way: VecDeque::new() });
    }
    let mut lines = String::new();
    for number in 0.. {
        for (level, lane) in lanes.iter_mut().enumerate() {
            let delivery = send::send(&lane.producer, KILLED_TOPIC, &input, level, number)?;
            lane.under_way.push_back((number, delivery));
            lane.settle(level, &mut lines)?;
        }
        if !lines.is_empty() {
            let mut out = std::io::stdout().lock();
            out.write_all(lines.as_bytes())?;
            out.flush()?;
            lines.clear();
        }
    }
    Ok(())
}

struct Lane {
    producer: Producer,
    under_way: VecDeque<(u64, Delivery)>,
}

impl Lane {
    /// Writes a line for everything that is acknowledged by now.
    fn settle(&mut self, level: usize, lines: &mut String) -> Outcome {
        use std::fmt::Write;
        while self.under_way.len() > UNDER_WAY_MAX
            || self.under_way.front().is_some_and(|(_, delivery)| delivery.is_done())
        {
            let (number, delivery) = self.under_way.pop_front().expect("there is a first one");
            let placed = delivery.wait()?;
            let offset = placed.offset.map_or("-".to_owned(), |offset| offset.to_string());
            writeln!(lines, "{level} {number} {} {offset}", placed.partition).expect("a string takes everything");
        }
        Ok(())
    }
}
