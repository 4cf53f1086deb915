//! One seed, from beginning to end.

use super::checker::Checks;
use super::findings::{Broken, Finding};
use super::life::Open;
use super::plan::{Plan, Wish};
use super::trace::Trace;
use super::world::World;
use std::fmt;
use std::panic::{catch_unwind, AssertUnwindSafe};

/// What became of one seed.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub seed: u64,
    pub finding: Option<Finding>,
    /// Of the whole trace. The same seed, the same hash.
    pub hash: u64,
    /// Lines of the trace.
    pub events: u64,
    pub checks: Checks,
    /// The last lines of the trace, oldest first.
    pub tail: Vec<String>,
}

/// Lives through a seed. Whoever looks on sees every event, and changes nothing.
#[cfg(feature = "quorum")]
#[must_use]
pub fn simulate(seed: u64, wish: Wish, onlooker: Option<fn(&str)>) -> Outcome {
    run_with(seed, wish, Box::new(super::life::RealNodes), onlooker)
}

/// Lives through a seed with nodes that `opener` opens.
pub(super) fn run_with(seed: u64, wish: Wish, opener: Box<dyn Open>, onlooker: Option<fn(&str)>) -> Outcome {
    let trace = Trace::new(onlooker);
    let plan = Plan::draw(&mut fastrand::Rng::with_seed(seed.rotate_left(17)), wish);
    trace.note(crate::time::Instant(0), format_args!("{plan:?}"));
    let mut world = World::new(seed, plan, opener, trace.clone());
    let (finding, checks) = match catch_unwind(AssertUnwindSafe(|| world.run())) {
        Ok(Ok(checks)) => (None, checks),
        Ok(Err(finding)) => (Some(finding), Checks::default()),
        Err(panic) => {
            // What it left behind is in no state to be taken down in order.
            std::mem::forget(world);
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            (Some(Finding::new(Broken::Panicked, text.unwrap_or_default())), Checks::default())
        }
    };
    Outcome { seed, finding, hash: trace.hash(), events: trace.count(), checks, tail: trace.tail() }
}

impl fmt::Display for Outcome {
    /// One line that brings it back.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.finding {
            Some(finding) => write!(f, "seed {}: {finding}   replay: simulate --seed {}", self.seed, self.seed),
            None => write!(f, "seed {}: {:016x}, {} events, {:?}", self.seed, self.hash, self.events, self.checks),
        }
    }
}
