//! Clusters that live through faults. `KAFKALOG_SEED=n cargo test controller::tests::cluster` replays one.
#![cfg(feature = "quorum")]

use super::cluster_faults::Faults;
use super::cluster_model::Cluster;
use crate::controller::{ControllerRequest, NodeSeat};
use crate::types::NodeId;

/// One seed, or a range as `100..2000`, from the environment.
fn seeds(count: u64) -> Vec<u64> {
    let number = |text: &str| text.parse().expect("KAFKALOG_SEED is a number or a range");
    match std::env::var("KAFKALOG_SEED") {
        Ok(seeds) => match seeds.split_once("..") {
            Some((from, to)) => (number(from)..number(to)).collect(),
            None => vec![number(&seeds)],
        },
        Err(_) => (1..=count).collect(),
    }
}

fn rough() -> Faults {
    Faults {
        lose: 0.08,
        repeat: 0.05,
        delay_steps: 10,
        crash: 0.008,
        crash_all: 0.002,
        cut: 0.006,
        change_voters: 0.0,
        work: 0.25,
    }
}

fn live(seed: u64, voters: u32, joiners: u32, faults: Faults, steps: u32) -> Cluster {
    println!("seed {seed}, {voters} voters");
    let mut cluster = Cluster::new(seed, voters, joiners, faults);
    for _ in 0..steps {
        cluster.step();
    }
    cluster.settle();
    println!("  {} topics acknowledged, {} terms, {} events", cluster.acknowledged, cluster.terms_seen, cluster.events);
    cluster
}

#[test]
fn three_voters_lose_nothing_that_was_committed_and_go_on_after_healing() {
    for seed in seeds(60) {
        live(seed, 3, 0, rough(), 800);
    }
}

#[test]
fn five_voters_lose_nothing_that_was_committed_and_go_on_after_healing() {
    for seed in seeds(30) {
        live(seed, 5, 0, rough(), 800);
    }
}

#[test]
fn one_voter_is_a_cluster() {
    for seed in seeds(30) {
        live(seed, 1, 0, Faults { crash: 0.02, ..rough() }, 600);
    }
}

#[test]
fn voters_and_learners_come_and_go_under_faults() {
    let mut members_changed = 0;
    let mut snapshots = 0;
    for seed in seeds(150) {
        let cluster = live(seed, 3, 2, Faults { change_voters: 0.03, ..rough() }, 1_000);
        members_changed += cluster.members_changed;
        snapshots += cluster.snapshots_installed;
    }
    assert!(
        std::env::var_os("KAFKALOG_SEED").is_some() || (members_changed > 500 && snapshots > 50),
        "{members_changed} {snapshots}"
    );
}

#[test]
fn a_learner_beside_a_lone_voter_never_sees_two_histories() {
    for seed in seeds(40) {
        let mut cluster = Cluster::new(seed, 1, 1, Faults::NONE);
        for _ in 0..200 {
            cluster.step();
        }
        cluster.ask_active(ControllerRequest::ChangeVoters { node: NodeId(1), seat: NodeSeat::Learner });
        cluster.faults = Faults { crash: 0.03, ..rough() };
        for _ in 0..800 {
            cluster.step();
        }
        cluster.settle();
    }
}

#[test]
fn all_nodes_at_once_restart_and_still_know_everything() {
    for seed in seeds(10) {
        let mut cluster = live(seed, 3, 0, Faults::NONE, 300);
        for id in cluster.alive() {
            cluster.crash(id);
        }
        cluster.settle();
    }
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in seeds(5) {
        let faults = || Faults { change_voters: 0.02, ..rough() };
        let (first, second) = (live(seed, 3, 2, faults(), 500), live(seed, 3, 2, faults(), 500));
        assert!(first.events > 500);
        assert_eq!((first.trace, first.events), (second.trace, second.events), "seed {seed}");
    }
}
