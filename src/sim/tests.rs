//! Clusters of real nodes through their seeds. `KAFKALOG_SEED=n cargo test --lib sim::tests` replays one, `KAFKALOG_SEED=100..2000` more;
//! `simulate` does the same faster.

use super::plan::Wish;
use super::run::{simulate, Outcome};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Mutex;

fn seeds(otherwise: Range<u64>) -> Range<u64> {
    let number = |text: &str| text.parse().expect("KAFKALOG_SEED is a number or a range");
    match std::env::var("KAFKALOG_SEED") {
        Ok(seeds) => match seeds.split_once("..") {
            Some((from, to)) => number(from)..number(to),
            None => number(&seeds)..number(&seeds) + 1,
        },
        Err(_) => otherwise,
    }
}

/// The first finding that comes up, on as many threads as there are processors; and what all worlds together have checked.
fn first_finding(seeds: Range<u64>) -> (Option<Outcome>, u64, u64) {
    let (next, found) = (AtomicU64::new(seeds.start), Mutex::new(None));
    let (acked, reigns) = (AtomicU64::new(0), AtomicU64::new(0));
    let work = || {
        while found.lock().expect("nobody panics with it").is_none() {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return;
            }
            let outcome = simulate(seed, Wish::default(), None);
            acked.fetch_add(outcome.checks.acked, Ordering::Relaxed);
            reigns.fetch_add(outcome.checks.reigns, Ordering::Relaxed);
            if outcome.finding.is_some() {
                *found.lock().expect("nobody panics with it") = Some(outcome);
            }
        }
    };
    std::thread::scope(|scope| {
        (0..std::thread::available_parallelism().map_or(1, usize::from)).for_each(|_| {
            scope.spawn(work);
        });
    });
    let found = found.into_inner().expect("nobody panicked with it");
    (found, acked.into_inner(), reigns.into_inner())
}

#[cfg(not(any(
    feature = "bug-hw-truncation",
    feature = "bug-isr-shrink-before-commit",
    feature = "bug-no-fencing",
    feature = "bug-ack-on-append",
    feature = "bug-vouch-unflushed"
)))]
#[test]
fn two_hundred_clusters_keep_their_promises_and_come_right_after_their_troubles() {
    let (found, acked, reigns) = first_finding(seeds(0..200));
    if let Some(outcome) = found {
        panic!("{}\n{outcome}", outcome.tail.join("\n"));
    }
    let is_one = std::env::var_os("KAFKALOG_SEED").is_some();
    assert!(is_one || (acked > 5_000 && reigns > 500), "{acked} acknowledged in {reigns} reigns are no test");
}

#[cfg(any(
    feature = "bug-hw-truncation",
    feature = "bug-isr-shrink-before-commit",
    feature = "bug-no-fencing",
    feature = "bug-ack-on-append",
    feature = "bug-vouch-unflushed"
))]
#[test]
fn the_planted_bug_is_found() {
    let (found, _, _) = first_finding(seeds(0..2_000));
    println!("{}", found.expect("2,000 seeds and no finding"));
}

#[test]
fn the_same_seed_is_the_same_run_of_the_same_nodes() {
    for seed in seeds(0..6) {
        let (one, again) = (simulate(seed, Wish::default(), None), simulate(seed, Wish::default(), None));
        assert_eq!(one.tail, again.tail, "seed {seed}");
        assert_eq!((one.hash, one.events, one.checks), (again.hash, again.events, again.checks), "seed {seed}");
    }
}
