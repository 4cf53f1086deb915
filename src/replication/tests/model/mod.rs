//! Lives of a small cluster: the cores, lists for logs, an all-knowing elector and a bad network. `KAFKALOG_SEED=n` replays one.

mod checker;
pub mod elector;
pub mod node;
mod story;
pub mod world;

use world::World;

const STEPS: usize = 900;

/// One life: faults while safety is watched, then healing, after which progress is demanded.
fn live(seed: u64) -> Result<[usize; 5], String> {
    let mut world = World::new(seed);
    let lived = (0..STEPS).try_for_each(|_| world.step()).and_then(|()| world.heal());
    match lived {
        Ok(()) => Ok(world.tally()),
        Err(violation) => Err(format!("{violation}   replay: KAFKALOG_SEED={seed}\n{}", world.describe())),
    }
}

fn seeds(count: u64) -> std::ops::Range<u64> {
    match std::env::var("KAFKALOG_SEED").ok().and_then(|seed| seed.parse().ok()) {
        Some(seed) => seed..seed + 1,
        None => 0..count,
    }
}

#[cfg(not(any(feature = "bug-hw-truncation", feature = "bug-isr-shrink-before-commit", feature = "bug-no-fencing")))]
#[test]
fn two_thousand_lives_lose_nothing_that_was_committed_and_heal() {
    let mut tally = [0; 5];
    for seed in seeds(2_000) {
        let lived = live(seed).unwrap_or_else(|violation| panic!("{violation}"));
        tally.iter_mut().zip(lived).for_each(|(sum, more)| *sum += more);
    }
    println!("acked, truncations, logs begun anew, withdrawals, elections from the ELR: {tally:?}");
    assert!(!tally.contains(&0) || std::env::var("KAFKALOG_SEED").is_ok(), "never happened: {tally:?}");
}

#[cfg(any(feature = "bug-hw-truncation", feature = "bug-isr-shrink-before-commit", feature = "bug-no-fencing"))]
#[test]
fn two_thousand_lives_find_the_planted_bug() {
    let found: Vec<String> = seeds(2_000).filter_map(|seed| live(seed).err()).collect();
    println!("{} lives of 2,000 find it; the first: {}", found.len(), found.first().expect("the model is blind"));
}
