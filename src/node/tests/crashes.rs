//! Power cuts in the middle of everything, on the disk that forgets; and disks that fail.

use super::*;
use crate::error::{Error, ErrorCode};
use crate::sim::{Call, FaultKind, FaultyCalls, Repeat, SimDisk};
use crate::types::Rung;
use std::collections::BTreeMap;
use std::path::PathBuf;

const SETTINGS: [(&str, &str); 3] =
    [("log.flush.interval.messages", "1"), ("log.segment.bytes", "2048"), ("log.segment.delete.delay.ms", "1000")];

/// What must be there: partitions and one setting of each topic, and how many records of each partition were acknowledged.
#[derive(Clone, PartialEq, Debug, Default)]
struct Model {
    topics: BTreeMap<String, (u32, Option<String>)>,
    records: BTreeMap<(String, u32), u64>,
}

impl Model {
    fn of(node: &Node) -> BTreeMap<String, (u32, Option<String>)> {
        let entry = |t: super::super::TopicDescription| {
            (t.name.to_string(), (t.partition_count, t.overrides.get("retention.ms").cloned()))
        };
        node.topics().into_iter().map(entry).collect()
    }
}

struct Run {
    seed: u64,
    rng: fastrand::Rng,
    disk: SimDisk,
    clock: Arc<SimClock>,
    model: Model,
    /// The model as it would be if the operation that the crash interrupted had been finished.
    after: Model,
}

impl Run {
    fn new(seed: u64) -> Run {
        let disk = SimDisk::new(seed);
        let rng = fastrand::Rng::with_seed(seed);
        Run { seed, rng, disk, clock: running_clock(), model: Model::default(), after: Model::default() }
    }

    fn open(&self) -> Result<Node> {
        let mut config = EngineConfig::default();
        for (name, value) in SETTINGS {
            config.set(name, value).expect("legal");
        }
        config.set("open.partitions.max", "3").expect("legal");
        let world = World { clock: self.clock.clone(), disk: Arc::new(self.disk.clone()), seed: self.seed };
        Node::open(&PathBuf::from("/data"), config, world)
    }

    /// One random operation. `after` says what it leads to, `model` follows when it is acknowledged.
    fn step(&mut self, node: &Node) -> Result<()> {
        self.after = self.model.clone();
        let name = format!("t{}", self.rng.u32(0..4));
        let known = self.model.topics.get(&name).cloned();
        match (self.rng.u32(0..20), known) {
            (0..3, None) => {
                let count = self.rng.u32(1..4);
                self.after.topics.insert(name.clone(), (count, None));
                node.create_topic(&name, count, 1, &overrides(&[]))?;
            }
            (0, Some(_)) => {
                self.after.topics.remove(&name);
                self.after.records.retain(|(topic, _), _| *topic != name);
                node.delete_topic(&name)?;
            }
            (1, Some((count, setting))) => {
                self.after.topics.insert(name.clone(), (count + 1, setting));
                node.add_partitions(&name, count + 1)?;
            }
            (2, Some((count, _))) => {
                let value = (1 << 40) + self.rng.u64(0..1000);
                self.after.topics.insert(name.clone(), (count, Some(value.to_string())));
                node.alter_topic(&name, "retention.ms", Some(&value.to_string()))?;
            }
            (3, _) => {
                self.clock.advance(Duration::from_millis(self.rng.u64(1..90_000)));
                node.tick(self.clock.monotonic());
            }
            (_, Some((count, _))) => {
                let number = self.rng.u32(0..count);
                *self.after.records.entry((name.clone(), number)).or_default() += 1;
                let partition = node.partition(&name, number)?;
                let placed = put(&partition, &vec![7; self.rng.usize(0..600)])?;
                partition.wait_for(placed.last_offset.next(), Rung::Flushed, None)?;
            }
            (_, None) => {}
        }
        self.model = self.after.clone();
        Ok(())
    }

    /// The model or what it would have become; nothing else.
    fn check(&mut self, node: &Node) {
        let found = Model::of(node);
        assert!(
            found == self.model.topics || found == self.after.topics,
            "seed {}: {found:?} is neither {:?} nor {:?}",
            self.seed,
            self.model.topics,
            self.after.topics
        );
        let (model, after) = (self.model.records.clone(), self.after.records.clone());
        self.model.topics = found;
        self.model.records.clear();
        for (name, (count_of_partitions, _)) in &self.model.topics {
            for number in 0..*count_of_partitions {
                let key = (name.clone(), number);
                let partition = node.partition(name, number).expect("is there");
                let there = count(&partition);
                let acked = model.get(&key).copied().unwrap_or(0);
                let most = after.get(&key).copied().unwrap_or(0).max(acked);
                // A deletion that was under way may have taken the records and not yet the topic.
                let deleted = there == 0 && !self.after.topics.contains_key(name);
                assert!(
                    (acked..=most).contains(&there) || deleted,
                    "seed {}: {key:?}: {there}, {acked} acked",
                    self.seed
                );
                self.model.records.insert(key, there);
            }
        }
        self.after = self.model.clone();
    }

    fn crash(&mut self) {
        self.disk = if self.rng.bool() { self.disk.crash(self.rng.u64(..)) } else { self.disk.restart() };
    }
}

fn died(error: &Error, disk: &SimDisk) -> bool {
    disk.faults_fired() > 0 && error.code() != ErrorCode::PANIC
}

#[test]
fn a_crash_at_any_call_leaves_what_was_acknowledged_and_a_directory_that_opens() {
    for seed in 0..150 {
        let mut run = Run::new(seed);
        for _ in 0..6 {
            let node = run.open().unwrap_or_else(|e| panic!("seed {seed}: {e}"));
            run.check(&node);
            run.disk.fail_nth(FaultyCalls::Any, run.rng.u64(1..1500), FaultKind::Die, Repeat::Forever);
            let fired = run.disk.faults_fired();
            let mut outcome = Ok(());
            for _ in 0..60 {
                outcome = run.step(&node);
                if outcome.is_err() || run.disk.faults_fired() > fired {
                    break;
                }
            }
            if let Err(error) = &outcome {
                assert!(died(error, &run.disk), "seed {seed}: {error}");
            }
            // Now and then the death comes in the orderly end, or in the next start.
            if run.rng.bool() {
                let _ = node.close(Instant(u64::MAX)); // may well fail
            }
            drop(node);
            run.crash();
            run.disk.fail_nth(FaultyCalls::Any, run.rng.u64(1..60), FaultKind::Die, Repeat::Forever);
            drop(run.open());
            run.disk.clear_faults();
            run.crash();
        }
    }
}

fn sim_place(disk: &SimDisk) -> Run {
    Run { disk: disk.clone(), ..Run::new(1) }
}

#[test]
fn a_sync_that_fails_takes_its_partition_offline_and_no_other() {
    let disk = SimDisk::new(1);
    let run = sim_place(&disk);
    let node = run.open().expect("opens");
    node.create_topic("t", 2, 1, &overrides(&[])).expect("creates");
    let (bad, good) = (node.partition("t", 0).expect("is there"), node.partition("t", 1).expect("is there"));
    for partition in [&bad, &good] {
        let placed = put(partition, b"first").expect("appends");
        partition.wait_for(placed.last_offset.next(), Rung::Flushed, None).expect("flushes");
    }
    put(&bad, b"second").expect("appends");
    disk.fail_nth(FaultyCalls::Only(Call::Sync), 1, FaultKind::Eio, Repeat::Once);
    let failed = bad.wait_for(Offset(2), Rung::Flushed, None).expect_err("the sync failed");
    assert_eq!((failed.code(), failed.is_fatal()), (ErrorCode::KAFKA_STORAGE_ERROR, true));
    assert_eq!(put(&bad, b"third").expect_err("offline").code(), ErrorCode::KAFKA_STORAGE_ERROR);
    assert!(bad.failure().is_some());
    assert_eq!(count(&bad), 1, "what was flushed can be read");
    let placed = put(&good, b"second").expect("appends");
    good.wait_for(placed.last_offset.next(), Rung::Flushed, None).expect("flushes");
    node.create_topic("u", 1, 1, &overrides(&[])).expect("creates");
    let told: Vec<String> = std::iter::from_fn(|| node.poll_notice()).map(|notice| notice.text).collect();
    assert_eq!(told.iter().filter(|text| text.contains("t-0 is offline")).count(), 1, "{told:?}");

    let report = node.close(Instant(u64::MAX)).expect("closes");
    assert!(!report.is_clean());
    assert_eq!(report.unsynced_partitions.iter().map(|(id, _)| id.partition).collect::<Vec<_>>(), [0]);
    drop((bad, good, node));
    let run = sim_place(&disk.crash(7));
    let node = run.open().expect("opens");
    assert_eq!(count(&node.partition("t", 1).expect("is there")), 2);
    let recovered = count(&node.partition("t", 0).expect("is there"));
    assert!((1..=2).contains(&recovered), "the second was never acknowledged");
}

#[test]
fn a_disk_that_fails_while_opening_gives_one_error_and_loses_nothing() {
    let disk = SimDisk::new(3);
    let run = sim_place(&disk);
    let node = run.open().expect("opens");
    node.create_topic("t", 1, 1, &overrides(&[])).expect("creates");
    put(&node.partition("t", 0).expect("is there"), b"x").expect("appends");
    close(&node);
    drop(node);
    for kind in [FaultKind::Eio, FaultKind::Enospc, FaultKind::Erofs, FaultKind::Emfile] {
        for nth in 1.. {
            let fired = disk.faults_fired();
            disk.fail_nth(FaultyCalls::Any, nth, kind, Repeat::Forever);
            let outcome = run.open();
            disk.clear_faults();
            match outcome {
                Err(error) => assert_eq!(error.code(), ErrorCode::KAFKA_STORAGE_ERROR, "{kind:?} at {nth}: {error}"),
                Ok(node) => {
                    assert_eq!(count(&node.partition("t", 0).expect("is there")), 1);
                    close(&node);
                    if disk.faults_fired() == fired {
                        break;
                    }
                }
            }
        }
    }
}

#[test]
fn a_disk_that_is_full_refuses_topics_clearly_and_goes_on_when_there_is_room() {
    let disk = SimDisk::new(5);
    let run = sim_place(&disk);
    let node = run.open().expect("opens");
    node.create_topic("t", 1, 1, &overrides(&[])).expect("creates");
    disk.fail_nth(FaultyCalls::Changes, 1, FaultKind::Enospc, Repeat::Forever);
    let refused = node.create_topic("u", 1, 1, &overrides(&[])).expect_err("the disk is full");
    assert_eq!(refused.code(), ErrorCode::KAFKA_STORAGE_ERROR);
    assert_eq!(node.topics().len(), 1, "nothing of it is left");
    disk.clear_faults();
    node.create_topic("u", 1, 1, &overrides(&[])).expect("creates");
    close(&node);
}

fn put_durably(partition: &Partition, value: &[u8]) -> Result<()> {
    let placed = put(partition, value)?;
    partition.wait_for(placed.last_offset.next(), Rung::Flushed, None).map(drop)
}

/// What the checkpoints said of the old topic would make the new one begin at the old one's log start, empty.
#[test]
fn a_topic_that_has_a_deleted_ones_name_keeps_what_it_acknowledges_wherever_the_process_dies() {
    for nth in 1.. {
        let disk = SimDisk::new(nth);
        let node = sim_place(&disk).open().expect("opens");
        node.create_topic("t", 1, 1, &overrides(&[])).expect("creates");
        let old = node.partition("t", 0).expect("is there");
        (0..20).for_each(|_| put_durably(&old, b"old").expect("acks"));
        old.delete_records(Some(Offset(15))).expect("deletes");
        disk.fail_nth(FaultyCalls::Any, nth, FaultKind::Die, Repeat::Forever);
        let mut acked = 0;
        let outcome = (|| {
            node.delete_topic("t")?;
            node.create_topic("t", 1, 1, &overrides(&[]))?;
            let new = node.partition("t", 0).expect("is there");
            (0..3).try_for_each(|_| put_durably(&new, b"new").map(|()| acked += 1))
        })();
        let next = if nth % 2 == 0 { disk.restart() } else { disk.crash(nth) };
        next.clear_faults();
        let node = sim_place(&next).open().expect("opens again");
        if let Ok(partition) = node.partition("t", 0) {
            let found = count(&partition);
            let is_old = acked == 0 && found == 5;
            assert!(is_old || found == acked || found == acked + 1, "call {nth}: {found} of {acked}: {outcome:?}");
        } else {
            assert!(outcome.is_err() && acked == 0, "call {nth}: the topic is gone");
        }
        if outcome.is_ok() {
            break;
        }
    }
}

#[test]
fn a_log_that_was_cut_after_an_orderly_close_is_not_taken_for_damaged_after_a_power_cut() {
    for seed in 0..300 {
        let mut run = Run::new(seed);
        {
            let node = run.open().expect("opens");
            node.create_topic("t", 1, 1, &overrides(&[])).expect("creates");
            let partition = node.partition("t", 0).expect("is there");
            (0..60).for_each(|_| put_durably(&partition, &[7; 100]).expect("appends"));
            close(&node); // the recovery point is 60
        }
        let node = run.open().expect("opens");
        let partition = node.partition("t", 0).expect("is there");
        assert_eq!(partition.truncate_to(Offset(10)).expect("cuts"), Offset(10));
        // Into segments that no durable mark knows, until the power is cut in a write.
        run.disk.fail_nth(FaultyCalls::Any, run.rng.u64(20..120), FaultKind::Die, Repeat::Forever);
        let acknowledged = (10..50).take_while(|_| put_durably(&partition, &[8; 100]).is_ok()).count() as u64;
        drop((partition, node));
        run.disk = run.disk.crash(run.rng.u64(..));
        let node = run.open().expect("opens");
        let partition = node.partition("t", 0).expect("is there");
        let log_end = partition.offsets().unwrap_or_else(|e| panic!("seed {seed}: {e}")).log_end;
        assert!(log_end >= Offset(10 + acknowledged), "seed {seed}: {log_end} of {acknowledged} behind 10");
        put_durably(&partition, b"goes on").unwrap_or_else(|e| panic!("seed {seed}: {e}"));
    }
}
