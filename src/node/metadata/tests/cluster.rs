//! Clusters that live through faults. `KAFKALOG_SEED=n cargo test node::metadata` replays one.

use super::world::{World, QUIET, ROUGH};
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

#[test]
fn three_nodes_lose_nothing_that_was_committed_and_go_on_after_healing() {
    let (mut stopped, mut terms) = (0, 0);
    for seed in seeds(40) {
        println!("seed {seed}");
        let mut world = World::new(seed, 3, ROUGH);
        world.run(800);
        world.settle();
        println!("  {} topics, {} terms", world.created.lock().len(), world.seen.terms());
        stopped += world.seen.stopped;
        terms += world.seen.terms();
    }
    assert!(stopped > 0 || std::env::var_os("KAFKALOG_SEED").is_some(), "no disk has failed in {terms} terms");
}

#[test]
fn one_node_is_a_cluster_whose_image_survives_every_power_cut() {
    for seed in seeds(20) {
        println!("seed {seed}");
        let mut world = World::new(seed, 1, ROUGH);
        world.run(600);
        world.settle();
    }
}

#[test]
fn a_node_that_lagged_too_far_behind_takes_a_snapshot() {
    let mut world = World::new(7, 3, QUIET);
    world.run(200);
    let late = NodeId(2);
    world.kill(late, true);
    world.run(600);
    // What leaders keep in memory below their snapshot goes with them.
    for id in [NodeId(0), NodeId(1)] {
        world.kill(id, true);
        world.start(id);
    }
    let checkpoints = |world: &World| -> Vec<String> {
        let files = world.peers[&late].disk.snapshot().into_keys();
        files.filter(|path| path.ends_with(".checkpoint")).collect()
    };
    let before = checkpoints(&world);
    world.start(late);
    world.run(300);
    world.settle();
    let after = checkpoints(&world);
    assert!(before.len() == 1 && after.len() == 1 && before < after, "{before:?} {after:?}");
    let topics = world.runner(late).standing().image.topics().count();
    assert!(topics > 100, "{topics} topics");
    world.kill(late, true);
    world.start(late);
    assert!(world.runner(late).standing().image.topics().count() > 100, "what was installed is durable");
    world.settle();
}
