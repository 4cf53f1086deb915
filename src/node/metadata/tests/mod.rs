//! What the metadata log promises, on the disk that forgets and on a real one.

mod checks;
mod cluster;
mod crashes;
mod files;
mod runner;
mod world;

use super::place::MetadataPlace;
use crate::controller::{encode_records, EntryKind, HardState, MetadataRecord, Persist, RaftEntry};
use crate::disk::Disk;
use crate::sim::{SimClock, SimDisk};
use crate::time::Clock;
use crate::types::NodeId;
use std::path::PathBuf;
use std::sync::Arc;

fn place_on(disk: Arc<dyn Disk>, clock: Arc<dyn Clock>, data_dir: PathBuf, segment_bytes: u32) -> MetadataPlace {
    MetadataPlace { disk, clock, data_dir, segment_bytes }
}

/// A data directory on a disk of the simulator; segments hold a few of the largest entries that tests make.
fn sim_place(disk: &SimDisk, segment_bytes: u32) -> MetadataPlace {
    let dir = PathBuf::from("/data");
    // A disk that is dead, or dies in this, says no to whoever comes next.
    let _ = disk.create_dir(&dir).and_then(|()| disk.sync_dir(&PathBuf::from("/")));
    place_on(Arc::new(disk.clone()), Arc::new(SimClock::default()), dir, segment_bytes)
}

fn entry(index: u64, term: u64) -> RaftEntry {
    let id = [u8::try_from(index % 251).expect("small"); 16];
    let name = format!("t{index}-{term}").into();
    let records = encode_records(&[MetadataRecord::TopicCreated { name, id, settings: Vec::new() }]);
    RaftEntry { index, term, kind: EntryKind::Records, data: records.into() }
}

fn hard_state(term: u64, vote: u32, commit: u64) -> HardState {
    HardState { term, vote: Some(NodeId(vote)), commit }
}

fn appending(entries: Vec<RaftEntry>, state: Option<HardState>) -> Persist {
    Persist { number: 1, must_sync: true, entries, hard_state: state, ..Persist::default() }
}
