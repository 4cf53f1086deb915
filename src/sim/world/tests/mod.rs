//! Worlds of toys: small nodes whose cluster never changes, so that what is tried here is the world and not the node.

mod toy;

use crate::sim::findings::Broken;
use crate::sim::plan::Wish;
use crate::sim::run::{run_with, Outcome};
use toy::{Bug, Toys};

fn run(seed: u64, bug: Option<Bug>) -> Outcome {
    run_with(seed, Wish { nodes: Some(3) }, Box::new(Toys { bug }), None)
}

#[test]
fn worlds_of_toys_come_through_their_troubles() {
    let (mut acked, mut served) = (0, 0);
    for seed in 0..40 {
        let outcome = run(seed, None);
        assert!(outcome.finding.is_none(), "{outcome}\n{}", outcome.tail.join("\n"));
        acked += outcome.checks.acked;
        served += outcome.checks.served;
    }
    assert!(acked > 1_000 && served > 1_000, "{acked} acknowledged, {served} served");
}

#[test]
fn the_same_seed_is_the_same_run() {
    let (one, again, other) = (run(5, None), run(5, None), run(6, None));
    assert_eq!((one.hash, one.events, &one.tail), (again.hash, again.events, &again.tail));
    assert_ne!(one.hash, other.hash);
}

#[test]
fn each_bug_of_a_toy_is_found() {
    let all = [
        (Bug::AcksOnAppend, &[Broken::Lost, Broken::AckedTooEarly, Broken::NotDurable][..]),
        (Bug::SkipsFlush, &[Broken::NotDurable, Broken::Lost]),
        (Bug::SharesEpoch, &[Broken::TwoLeaders]),
        (Bug::Forgets, &[Broken::NoProgress]),
        (Bug::Panics, &[Broken::Panicked]),
    ];
    for (bug, expected) in all {
        let found = (0..200).find_map(|seed| run(seed, Some(bug)).finding);
        let found = found.unwrap_or_else(|| panic!("{bug:?} was not found"));
        assert!(expected.contains(&found.broken), "{bug:?}: {found}");
    }
}
