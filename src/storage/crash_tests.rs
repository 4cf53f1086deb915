//! What a power cut leaves of the small files, on the disk that forgets.

mod doubt;

use super::checkpoint::{read_file, replace_file, OffsetCheckpoint};
use super::index::{OffsetIndex, TimeIndex};
use super::leader_epochs::LeaderEpochs;
use super::log_dir::{has_clean_shutdown, take_clean_shutdown, write_clean_shutdown, LogDir};
use super::meta_properties::MetaProperties;
use super::producer_states::{ProducerBatch, ProducerStates};
use super::tests::{batch, opening, read_all, small_segments, EPOCH};
use super::txn_index::{AbortedTxn, TxnIndex};
use super::{Log, Opening};
use crate::config::LogConfig;
use crate::disk::Disk;
use crate::error::{ErrorCode, Result};
use crate::sim::{Call, FaultKind, FaultyCalls, Repeat, SimDisk};
use crate::types::{LeaderEpoch, NodeId, Offset, Position, ProducerStamp, Timestamp, TopicPartition};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

fn dir() -> PathBuf {
    PathBuf::from("/data")
}

fn new_disk(seed: u64) -> SimDisk {
    let disk = SimDisk::new(seed);
    disk.create_dir(&dir()).unwrap();
    disk.sync_dir(Path::new("/")).unwrap();
    disk
}

fn shared(disk: &SimDisk) -> Arc<dyn Disk> {
    Arc::new(disk.clone())
}

/// Lets the power fail in every call of `work` and after the last, under many seeds. `check` gets the disk of the next process and
/// whether `work` had returned.
fn at_every_death(
    before: impl Fn(&SimDisk) -> Result<()>,
    work: impl Fn(&SimDisk) -> Result<()>,
    check: impl Fn(&SimDisk, bool),
) {
    for seed in 0..30 {
        for nth in 1.. {
            let disk = new_disk(seed);
            before(&disk).unwrap();
            disk.fail_nth(FaultyCalls::Any, nth, FaultKind::Die, Repeat::Once);
            let is_done = work(&disk).is_ok();
            check(&disk.crash(seed * 1000 + nth), is_done);
            if is_done {
                break;
            }
        }
    }
}

#[test]
fn a_replaced_file_is_the_old_one_or_the_new_one_and_the_new_one_once_replaced() {
    let path = dir().join("checkpoint");
    let (old, new) = (vec![b'o'; 3000], vec![b'n'; 2000]);
    at_every_death(
        |disk| replace_file(disk, &path, &old),
        |disk| replace_file(disk, &path, &new),
        |disk, is_done| {
            let found = read_file(disk, &path, 1 << 20).unwrap().expect("one of the two is there");
            assert!(found == new || (found == old && !is_done), "{} bytes", found.len());
            replace_file(disk, &path, &old).expect("a left-over .tmp is no obstacle");
        },
    );
}

#[test]
fn a_checkpoint_that_cannot_be_written_leaves_the_one_before() {
    let path = dir().join("checkpoint");
    let of = |offset: u64| OffsetCheckpoint { offsets: [(TopicPartition::new("t", 0), Offset(offset))].into() };
    for kind in [FaultKind::Eio, FaultKind::Enospc, FaultKind::ShortThenError, FaultKind::Emfile, FaultKind::Erofs] {
        for nth in 1..=4 {
            let disk = new_disk(nth);
            of(1).write(&disk, &path).unwrap();
            disk.fail_nth(FaultyCalls::Changes, nth, kind, Repeat::Once);
            assert_eq!(of(2).write(&disk, &path).unwrap_err().code(), ErrorCode::KAFKA_STORAGE_ERROR, "{kind:?} {nth}");
            let read = OffsetCheckpoint::read(&disk, &path).unwrap();
            assert!(read == of(1) || read == of(2), "{kind:?} {nth}");
            of(3).write(&disk, &path).unwrap();
            assert_eq!(OffsetCheckpoint::read(&disk, &path).unwrap(), of(3));
        }
    }
}

#[test]
fn an_assigned_epoch_survives() {
    let read = |disk: &SimDisk| -> Result<LeaderEpochs> {
        let (epochs, error) = LeaderEpochs::open(&shared(disk), &dir())?;
        assert!(error.is_none(), "{error:?}");
        Ok(epochs)
    };
    at_every_death(
        |disk| read(disk)?.assign(LeaderEpoch(1), Offset(5)).map(|_| ()),
        |disk| read(disk)?.assign(LeaderEpoch(2), Offset(9)).map(|_| ()),
        |disk, is_done| {
            let entries = read(disk).unwrap().entries().to_vec();
            let old = [(LeaderEpoch(1), Offset(5))];
            let new = [(LeaderEpoch(1), Offset(5)), (LeaderEpoch(2), Offset(9))];
            assert!(entries == new || (entries == old && !is_done), "{entries:?}");
        },
    );
}

#[test]
fn the_marker_of_a_clean_shutdown_never_comes_back_and_never_gets_lost() {
    at_every_death(
        |disk| write_clean_shutdown(disk, &dir(), Some(7)),
        |disk| take_clean_shutdown(disk, &dir()).map(|was_there| assert!(was_there)),
        |disk, is_done| assert!(!is_done || !has_clean_shutdown(disk, &dir()).unwrap()),
    );
    at_every_death(
        |_| Ok(()),
        |disk| write_clean_shutdown(disk, &dir(), Some(7)),
        |disk, is_done| assert!(!is_done || has_clean_shutdown(disk, &dir()).unwrap()),
    );
}

#[test]
fn a_data_directory_is_claimed_once_whatever_happens() {
    let home = dir().join("node");
    at_every_death(
        |_| Ok(()),
        |disk| {
            let _lock = LogDir::open(&shared(disk), &home)?;
            MetaProperties::claim(disk, &home, NodeId(3)).map(|_| ())
        },
        |disk, is_done| {
            if is_done {
                let read = MetaProperties::read(disk, &home).unwrap().expect("it was written");
                assert_eq!(read.node_id, Some(NodeId(3)));
            }
            let _lock = LogDir::open(&shared(disk), &home).expect("the dead process holds nothing");
            let claimed = MetaProperties::claim(disk, &home, NodeId(3)).unwrap();
            assert_eq!(MetaProperties::read(disk, &home).unwrap(), Some(claimed));
            assert_eq!(LogDir::open(&shared(disk), &home).unwrap_err().code(), ErrorCode::STATE);
        },
    );
}

#[test]
fn a_torn_snapshot_is_found_out_and_the_one_before_it_used() {
    let states = |count: i64| {
        let mut states = ProducerStates::new();
        for id in 0..count {
            states.update(&ProducerBatch {
                producer: ProducerStamp { id, epoch: 0, base_sequence: Some(0) },
                base_offset: Offset(id as u64),
                last_offset_delta: 0,
                max_timestamp: 1000,
                is_transactional: false,
            });
        }
        states
    };
    at_every_death(
        |disk| {
            states(30).take_snapshot(disk, &dir(), Offset(50), true)?;
            disk.sync_dir(&dir()).unwrap();
            // One that a crash may tear: of the same name as the next.
            states(40).take_snapshot(disk, &dir(), Offset(70), false)
        },
        |disk| states(60).take_snapshot(disk, &dir(), Offset(70), true),
        |disk, _| {
            let day = Duration::from_secs(86_400);
            let loaded = ProducerStates::load(disk, &dir(), Offset(0), Offset(99), Timestamp(1000), day).unwrap();
            let expected = match (loaded.covers.0, loaded.states.count()) {
                (50, 30) => states(30),
                (70, 40) => states(40),
                (70, 60) => states(60),
                other => panic!("{other:?}"),
            };
            assert_eq!(format!("{:?}", loaded.states), format!("{expected:?}"));
        },
    );
}

#[test]
fn an_index_after_a_crash_has_no_entry_that_was_never_written() {
    let (index_path, time_path) = (dir().join("i.index"), dir().join("i.timeindex"));
    let base = Offset(100);
    let entry = |n: u64| (Offset(100 + 3 * n), Position(61 * n as u32));
    let open = |disk: &SimDisk| {
        let index = OffsetIndex::open_active(&shared(disk), &index_path, base, 1 << 20)?;
        Ok((index, TimeIndex::open_active(&shared(disk), &time_path, base, 1 << 20)?))
    };
    let add = |(index, times): &(OffsetIndex, TimeIndex), n: u64| {
        index.append(entry(n).0, entry(n).1)?;
        times.maybe_append(Timestamp(n as i64), entry(n).0, false)
    };
    at_every_death(
        |_| Ok(()),
        |disk| {
            let indexes = open(disk)?;
            (1..300).try_for_each(|n| add(&indexes, n).map(|_| ()))?;
            indexes.0.sync()?;
            indexes.1.sync()?;
            (300..600).try_for_each(|n| add(&indexes, n).map(|_| ()))?;
            indexes.0.truncate_to(entry(450).0)?;
            indexes.1.truncate_to(entry(450).0)?;
            (450..700).try_for_each(|n| add(&indexes, n).map(|_| ()))?;
            indexes.0.seal();
            indexes.1.seal();
            indexes.0.sync()?;
            indexes.1.sync()
        },
        |disk, _| {
            for is_sealed in [true, false] {
                let (index, times) = if is_sealed {
                    let index = OffsetIndex::open_sealed(&shared(disk), &index_path, base);
                    (index, TimeIndex::open_sealed(&shared(disk), &time_path, base))
                } else {
                    open(disk).unwrap()
                };
                // The directory was not synced: the files may be gone.
                for (offset, position) in index.entries().unwrap_or_default() {
                    assert_eq!(entry((offset.0 - 100) / 3), (offset, position));
                    assert_eq!(index.lookup(offset), (offset, position));
                }
                for found in times.entries().unwrap_or_default() {
                    // A timestamp may have lost the offset that stood in the next sector, but then it is the last entry or is
                    // not above the one before: no search by time skips a record because of it.
                    let at = entry(found.timestamp.0 as u64).0;
                    assert!(found.offset <= at, "{found:?}");
                }
            }
        },
    );
}

#[test]
fn a_full_disk_leaves_an_index_that_only_lacks_the_new_entry() {
    let disk = new_disk(1);
    let path = dir().join("i.index");
    let index = OffsetIndex::open_active(&shared(&disk), &path, Offset(0), 1 << 20).unwrap();
    let fill = |from: u64, to: u64| (from..to).try_for_each(|n| index.append(Offset(n + 1), Position(n as u32 + 1)));
    fill(0, 512).unwrap();
    disk.fail_nth(FaultyCalls::Only(Call::MapMut), 1, FaultKind::Enospc, Repeat::Once);
    assert_eq!(fill(512, 513).unwrap_err().code(), ErrorCode::KAFKA_STORAGE_ERROR);
    assert_eq!((index.count().unwrap(), index.lookup(Offset(900))), (512, (Offset(512), Position(512))));
    fill(512, 600).unwrap();
    assert_eq!(index.count().unwrap(), 600);
}

#[test]
fn a_synced_transaction_index_survives_and_a_torn_one_is_never_more_than_it_was() {
    let path = dir().join("t.txnindex");
    let entry = |n: u64| AbortedTxn {
        producer_id: 7,
        first_offset: Offset(10 * n),
        last_offset: Offset(10 * n + 5),
        last_stable_offset: Offset(10 * n + 6),
    };
    at_every_death(
        |disk| {
            let index = TxnIndex::open(&shared(disk), &path, Offset(0))?;
            (1..20).try_for_each(|n| index.append(entry(n)))?;
            index.sync()?;
            disk.sync_dir(&dir()).unwrap();
            Ok(())
        },
        |disk| {
            let index = TxnIndex::open(&shared(disk), &path, Offset(0))?;
            (20..22).try_for_each(|n| index.append(entry(n)))?;
            index.sync()
        },
        |disk, is_done| match TxnIndex::open(&shared(disk), &path, Offset(0)) {
            Ok(index) => {
                let entries = index.entries().unwrap();
                assert!(entries.len() >= if is_done { 21 } else { 19 });
                assert_eq!(entries[..19], (1..20).map(entry).collect::<Vec<_>>()[..]);
            }
            Err(error) => assert!(!is_done && error.code() == ErrorCode::CORRUPT_MESSAGE, "{error}"),
        },
    );
}

#[test]
fn a_log_whose_first_batch_leaps_far_ahead_is_empty_or_has_it_and_is_never_damaged() {
    let far = Offset(5_000_000_000);
    let open = |disk: &SimDisk| Log::open(opening(shared(disk), &dir().join("t-0"), LogConfig::default(), false));
    at_every_death(
        |disk| open(disk).map(drop),
        |disk| {
            let mut sealed = batch(&["far"]);
            sealed.stamp(far, EPOCH);
            let log = open(disk)?;
            log.append_verbatim(sealed.bytes())?;
            log.flush_up_to(far.next()).map(drop)
        },
        |disk, is_done| {
            let log = open(disk).expect("opens");
            assert!(log.recovery_report().damage.is_none(), "{:?}", log.recovery_report());
            assert_eq!(log.segment_summaries().len(), 1);
            let end = log.log_end();
            assert!(end == far.next() || (!is_done && (end == far || end == Offset(0))), "{end}");
            let left = read_all(&log, log.log_start(), 999).expect("reads");
            assert_eq!(left.len(), usize::from(end == far.next()));
        },
    );
}
