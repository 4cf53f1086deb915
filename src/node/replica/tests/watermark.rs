//! What a node writes down about its replicas, and what becomes of it.

use super::{Replica, Trio};
use crate::config::EngineConfig;
use crate::disk::RealDisk;
use crate::node::{Node, World};
use crate::storage::checkpoint::{HIGH_WATERMARK_FILE, LOG_START_FILE, RECOVERY_POINT_FILE};
use crate::storage::OffsetCheckpoint;
use crate::types::{Acks, Offset, TopicPartition};
use std::sync::Arc;

fn written(trio: &Trio, node: u32) -> Option<Offset> {
    written_in(HIGH_WATERMARK_FILE, trio, node)
}

fn written_in(file: &str, trio: &Trio, node: u32) -> Option<Offset> {
    let path = trio.house(node).dir.join(file);
    let (checkpoint, complaint) = OffsetCheckpoint::read_lenient(&RealDisk, &path);
    assert!(complaint.is_none(), "{complaint:?}");
    checkpoint.offsets.get(&TopicPartition::new("t", 0)).copied()
}

/// The process dies; its files stay, as `meanwhile` leaves them.
fn restart(trio: &mut Trio, id: u32, meanwhile: impl FnOnce()) {
    let Replica { _dir, node, links } = trio.replicas.remove(id as usize - 1);
    drop(node);
    meanwhile();
    let mut config = EngineConfig::default();
    config.set("node.id", &id.to_string()).expect("legal");
    let world = World { clock: trio.clock.clone(), disk: Arc::new(RealDisk), seed: 2 };
    let node = Node::open_with(_dir.path(), config, world, Some(links.clone())).expect("opens");
    trio.replicas.insert(id as usize - 1, Replica { _dir, node, links });
}

/// Node 2 follows node 1, and has written down that two records are committed.
fn with_two_committed() -> Trio {
    let mut trio = Trio::new(&[]);
    trio.reign(Some(1), &[1, 2]);
    trio.put(1, "one", Acks::All).expect("appends");
    trio.put(1, "two", Acks::All).expect("appends");
    trio.catch_up(2);
    trio.house(2).write_checkpoints().expect("writes");
    assert_eq!(written(&trio, 2), Some(Offset(2)));
    trio
}

#[test]
fn what_comes_in_place_of_what_an_unclean_election_has_cut_is_not_committed_after_a_restart() {
    let mut trio = with_two_committed();
    trio.reign(Some(3), &[3]);
    trio.catch_up(2);
    assert_eq!((trio.high_watermark(2), written(&trio, 2)), (Offset(0), Some(Offset(0))));
}

#[test]
fn what_comes_in_place_of_what_a_crash_has_taken_is_not_committed_after_the_next_one() {
    let mut trio = with_two_committed();
    let log = trio.house(2).partition_dir(trio.of(2).id()).join("00000000000000000000.log");
    restart(&mut trio, 2, || {
        std::fs::File::options().write(true).open(log).expect("is there").set_len(0).expect("is cut");
    });
    assert_eq!((trio.high_watermark(2), written(&trio, 2)), (Offset(0), Some(Offset(0))));
}

#[test]
fn a_replica_that_was_taken_away_and_comes_back_is_not_judged_by_what_was_written_of_the_first_one() {
    let mut trio = with_two_committed();
    trio.of(2).log().expect("opens").flush_up_to(Offset(2)).expect("flushes");
    trio.house(2).write_checkpoints().expect("writes");
    assert_eq!(written_in(RECOVERY_POINT_FILE, &trio, 2), Some(Offset(2)));
    trio.of(2).give_up_replica().expect("goes");
    trio.reign(Some(1), &[1]);
    trio.catch_up(2);
    let files = [RECOVERY_POINT_FILE, HIGH_WATERMARK_FILE, LOG_START_FILE];
    assert_eq!(files.map(|file| written_in(file, &trio, 2)), [None; 3]);
    let log = trio.house(2).partition_dir(trio.of(2).id()).join("00000000000000000000.log");
    restart(&mut trio, 2, || {
        let file = std::fs::File::options().write(true).open(log).expect("is there");
        file.set_len(file.metadata().expect("has a length").len() - 1).expect("is torn");
    });
    let log_end = trio.of(2).offsets().expect("offsets").log_end;
    assert_eq!((log_end, trio.of(2).failure().map(|failure| failure.to_string())), (Offset(1), None));
}
