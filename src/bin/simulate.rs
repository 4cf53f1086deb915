//! Clusters in made-up worlds, one seed after the other, until one breaks a promise.
//!
//! ```text
//! simulate --seeds 0..2000 [--nodes 3|5] [--jobs N]     all of them; ends with 1 at the first finding
//! simulate --seeds 0..2000 --all                       all of them, one line each finding
//! simulate --seed 17 [--nodes 3|5] [--trace]            one, with what happened
//! ```

use kafkalog::sim::{simulate, Outcome, Wish};
use std::io::{IsTerminal, Write};
use std::ops::Range;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// So much of the trace is shown with a finding.
const TAIL_LINES: usize = 80;
/// How often a terminal is told how far it is.
const TELL_EVERY: Duration = Duration::from_secs(2);

const USAGE: &str = "usage: simulate (--seeds A..B | --seed N) [--nodes 3|5] [--jobs N] [--all] [--trace]";

struct Order {
    seeds: Range<u64>,
    wish: Wish,
    jobs: usize,
    /// A finding is no reason to stop.
    all: bool,
    trace: bool,
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<Order, String> {
    let mut order = Order { seeds: 0..0, wish: Wish::default(), jobs: 1, all: false, trace: false };
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        match word.as_str() {
            "--seed" => {
                let seed = number(&value()?)?;
                order.seeds = seed..seed + 1;
            }
            "--seeds" => {
                let text = value()?;
                let (from, to) =
                    text.split_once("..").ok_or_else(|| format!("{text:?} is no range such as 0..2000"))?;
                order.seeds = number(from)?..number(to)?;
            }
            "--nodes" => match number(&value()?)? {
                nodes @ (1 | 3 | 5) => order.wish.nodes = u32::try_from(nodes).ok(),
                other => return Err(format!("{other} nodes; 3 or 5 make a majority, 1 is alone")),
            },
            "--jobs" => order.jobs = usize::try_from(number(&value()?)?).unwrap_or(1).max(1),
            "--all" => order.all = true,
            "--trace" => order.trace = true,
            other => return Err(format!("what is {other:?}?")),
        }
    }
    if order.seeds.is_empty() {
        return Err("no seeds".to_owned());
    }
    Ok(order)
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("{text:?} is no number"))
}

fn main() -> ExitCode {
    let order = match parse(std::env::args().skip(1)) {
        Ok(order) => order,
        Err(what) => {
            eprintln!("simulate: {what}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let began = Instant::now();
    let (done, found) = run_all(&order, began);
    let seconds = began.elapsed().as_secs_f64();
    #[allow(clippy::cast_precision_loss)] // for a reader
    let rate = done as f64 / seconds.max(0.001);
    println!("simulate: {done} seeds in {seconds:.1} s, {rate:.1} seeds per second");
    match found {
        None => ExitCode::SUCCESS,
        Some(outcome) => {
            if !order.all {
                show(&outcome);
            }
            ExitCode::from(1)
        }
    }
}

/// How many seeds were lived through, and the finding of the lowest seed that has one.
fn run_all(order: &Order, began: Instant) -> (u64, Option<Outcome>) {
    let (next, done) = (AtomicU64::new(order.seeds.start), AtomicU64::new(0));
    let (is_over, found) = (AtomicBool::new(false), Mutex::new(None::<Outcome>));
    let told = Mutex::new(began);
    let shows_each = order.seeds.end - order.seeds.start == 1;
    let onlooker: Option<fn(&str)> = order.trace.then_some(|line| println!("{line}"));
    let work = || {
        while !is_over.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= order.seeds.end {
                return;
            }
            let outcome = simulate(seed, order.wish, onlooker);
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            if outcome.finding.is_some() {
                if order.all {
                    println!("simulate: {outcome}");
                }
                is_over.store(!order.all, Ordering::Relaxed);
                let mut found = found.lock().expect("nobody panics with it");
                if found.as_ref().is_none_or(|before| outcome.seed < before.seed) {
                    *found = Some(outcome);
                }
            } else if shows_each && !order.trace {
                println!("{outcome}");
            } else {
                tell(done, began, &told);
            }
        }
    };
    std::thread::scope(|scope| {
        (1..order.jobs).for_each(|_| {
            scope.spawn(work);
        });
        work();
    });
    (done.into_inner(), found.into_inner().expect("nobody panicked with it"))
}

fn tell(done: u64, began: Instant, told: &Mutex<Instant>) {
    let mut told = told.lock().expect("nobody panics with it");
    if std::io::stderr().is_terminal() && told.elapsed() > TELL_EVERY {
        *told = Instant::now();
        eprint!("\r{done} seeds in {} s", began.elapsed().as_secs());
        let _ = std::io::stderr().flush(); // nothing depends on it
    }
}

fn show(outcome: &Outcome) {
    let from = outcome.tail.len().saturating_sub(TAIL_LINES);
    outcome.tail[from..].iter().for_each(|line| println!("{line}"));
    println!("simulate: {outcome}");
}
