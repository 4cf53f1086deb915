//! Directories of ours that are not damaged, however they are looked at.

use crate::ours;
use kafkalog::inspect::{cache, check, CheckScope, DataDirView};
use kafkalog::{AppendOptions, Engine, Offset, TopicConfig};

#[test]
fn what_we_wrote_is_sound_closed_or_open_and_a_view_tells_of_it() {
    let dir = ours();
    let data = dir.path().join("data");
    let report = check(&data, CheckScope::All).unwrap();
    assert!(report.damages.is_empty(), "{:?}", report.damages);
    assert_eq!((report.records, report.partitions), (100, 1));
    let view = DataDirView::read(&data).unwrap();
    assert!(view.clean);
    assert_eq!(view.partitions[0].log_end(), Offset(100));
    assert_eq!(view.partitions[0].recovery_point, Some(Offset(100)));
    let engine = Engine::open(&data).unwrap();
    let log = engine.log("t", 0).unwrap();
    log.append_with(AppendOptions::default(), |batch| batch.push(None, Some(b"more"), &[], None)).unwrap();
    let report = check(&data, CheckScope::All).unwrap();
    assert!(report.is_sound(), "{:?}", report.damages);
    assert_eq!(report.records, 101);
}

#[test]
fn the_cache_view_says_what_an_unplugged_machine_would_lose() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path()).unwrap();
    // Never flushed by itself.
    let topic = TopicConfig::new().set("flush.ms", "9223372036854775807").unwrap();
    engine.create_topic("t", topic).unwrap();
    let log = engine.log("t", 0).unwrap();
    for _ in 0..10 {
        let filled = log.append_with(AppendOptions::default(), |batch| batch.push(None, Some(b"value"), &[], None));
        filled.unwrap();
    }
    let report = cache(dir.path()).unwrap();
    let partition = &report.partitions[0];
    assert_eq!((partition.recovery_point, partition.log_end), (Offset(0), Offset(10)));
    let segment = &partition.segments[0];
    assert_eq!(segment.unflushed_bytes, segment.log_bytes);
    // The kernel may have written the pages by itself meanwhile, or not tell about them.
    let is_dirty = segment.dirty_bytes != Some(0);
    println!("{report:?}");
    assert_eq!(report.unplug_loss.records, if is_dirty { 10 } else { 0 });
    assert!(!is_dirty || report.unplug_loss.age.is_some());
    log.sync(std::time::Duration::from_secs(20)).unwrap();
    let report = cache(dir.path()).unwrap();
    if report.knows_dirty {
        let loss = report.unplug_loss;
        assert_eq!((loss.records, loss.bytes, loss.age), (0, 0, None));
    }
    engine.close().unwrap();
    let report = cache(dir.path()).unwrap();
    assert_eq!((report.unplug_loss.records, report.partitions[0].recovery_point), (0, Offset(10)));
}

#[test]
fn a_live_writer_is_never_taken_for_damage() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path()).unwrap();
    engine.create_topic("t", TopicConfig::new().set("segment.bytes", "30000").unwrap()).unwrap();
    let log = engine.log("t", 0).unwrap();
    let is_over = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let writer = {
        let is_over = is_over.clone();
        std::thread::spawn(move || {
            while !is_over.load(std::sync::atomic::Ordering::SeqCst) {
                let filled = log.append_with(AppendOptions::default(), |batch| {
                    (0..20).try_for_each(|_| batch.push(None, Some(&[7; 100]), &[], None))
                });
                filled.unwrap();
            }
        })
    };
    let mut records = 0;
    for _ in 0..20 {
        let report = check(dir.path(), CheckScope::All).unwrap();
        assert!(report.is_sound(), "{:?}", report.damages);
        assert!(report.records >= records);
        records = report.records;
        let view = DataDirView::read(dir.path()).unwrap();
        assert!(view.partitions.iter().all(|partition| partition.log_end().0 >= records));
        cache(dir.path()).unwrap();
    }
    is_over.store(true, std::sync::atomic::Ordering::SeqCst);
    writer.join().unwrap();
}

#[test]
fn a_snapshot_that_is_just_being_written_is_no_damage_and_an_older_one_is() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path()).unwrap();
    engine.create_topic("t", TopicConfig::new()).unwrap();
    let log = engine.log("t", 0).unwrap();
    log.append_with(AppendOptions::default(), |batch| {
        (0..20).try_for_each(|_| batch.push(None, Some(b"v"), &[], None))
    })
    .unwrap();
    // As a roll or a flush makes it: there first, written then, and nobody appends meanwhile.
    let snapshot = |at: u32| dir.path().join(format!("t-0/{at:020}.snapshot"));
    std::fs::write(snapshot(20), []).unwrap();
    let report = check(dir.path(), CheckScope::All).unwrap();
    assert!(report.is_sound() && report.damages.len() == 1, "{:?}", report.damages);
    std::fs::rename(snapshot(20), snapshot(19)).unwrap();
    let report = check(dir.path(), CheckScope::All).unwrap();
    assert!(!report.is_sound() && report.damages.len() == 1, "{:?}", report.damages);
}

#[test]
fn deleted_records_are_not_missed_by_a_check_of_what_is_left() {
    let dir = ours();
    let data = dir.path().join("data");
    // The new log start lies in the middle of a segment; twice, because what is left is written down by the second opening.
    for before in [37, 41] {
        let engine = Engine::open(&data).unwrap();
        engine.alter_topic("t", "retention.ms", Some("-1")).unwrap(); // the records are old
        engine.delete_records("t", 0, Offset(before)).unwrap();
        let report = check(&data, CheckScope::All).unwrap();
        assert!(report.is_sound(), "open: {:?}", report.damages);
        engine.close().unwrap();
        let report = check(&data, CheckScope::All).unwrap();
        assert!(report.is_sound(), "closed: {:?}", report.damages);
        assert!(check(&data.join("t-0"), CheckScope::All).unwrap().is_sound());
    }
    // What is left is still held to what the file says.
    std::fs::write(data.join("t-0/leader-epoch-checkpoint"), "0\n1\n5 41\n").unwrap();
    let report = check(&data, CheckScope::All).unwrap();
    assert!(!report.is_sound(), "{report:?}");
}

#[test]
fn a_partition_is_checked_under_whatever_name_it_is_called_by() {
    let dir = ours();
    let data = dir.path().join("data");
    let link = dir.path().join("link");
    std::os::unix::fs::symlink(data.join("t-0"), &link).unwrap();
    for name in [data.join("t-0/."), data.join("t-0/../t-0"), link, data.join("../data/t-0/")] {
        assert_eq!(check(&name, CheckScope::All).unwrap().records, 100, "{}", name.display());
    }
}
