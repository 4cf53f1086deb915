//! Damage, and what mends it.

use crate::{copy, count_records, logs, ours, vectors};
use kafkalog::inspect::{
    check, CheckScope, DamageKind, DataDirView, LogDump, PartitionView, Repair, RepairStep, Severity,
};
use kafkalog::{Engine, ErrorCode};

#[test]
fn an_index_that_lies_is_found_and_written_anew_without_a_loss() {
    let dir = ours();
    let data = dir.path().join("data");
    let first = logs(&data).remove(0);
    std::fs::write(first.with_extension("index"), [0, 0, 0, 3, 0, 0, 0, 77]).unwrap();
    std::fs::remove_file(first.with_extension("timeindex")).unwrap();
    let report = check(&data, CheckScope::All).unwrap();
    assert!(report.damages.iter().all(|damage| damage.severity == Severity::Rebuildable));
    assert!(report.damages.iter().any(|damage| damage.kind == DamageKind::BadIndex));
    assert!(report.damages.iter().any(|damage| damage.kind == DamageKind::MissingFile));
    let plan = Repair::plan(&data).unwrap();
    assert_eq!(plan.steps(), [RepairStep::RebuildIndexes { log: first.clone() }]);
    assert_eq!(plan.records_lost_max(), 0);
    let done = plan.apply(|_| true).unwrap();
    assert!(done.remaining.is_empty(), "{:?}", done.remaining);
    assert_eq!(done.copies.len(), 1);
    assert!(done.copies[0].starts_with(dir.path().join("data.damaged-1")));
    assert_eq!(count_records(&data).0, (0..100).collect::<Vec<u64>>());
}

#[test]
fn a_damaged_batch_inside_a_sealed_segment_is_taken_out_only_when_the_user_agrees() {
    let dir = ours();
    let data = dir.path().join("data");
    let second = logs(&data).remove(1);
    let good = std::fs::read(&second).unwrap();
    let mut dump = LogDump::open(&second).unwrap();
    dump.next_batch().unwrap();
    let batch = dump.next_batch().unwrap().unwrap();
    let mut bad = good.clone();
    bad[batch.position as usize + 64] ^= 0xff;
    std::fs::write(&second, &bad).unwrap();

    let plan = Repair::plan(&data).unwrap();
    let damage = &plan.report().damages[0];
    assert_eq!((damage.severity, damage.kind), (Severity::Loss, DamageKind::BadChecksum));
    assert_eq!((damage.position, damage.offset), (Some(batch.position), Some(batch.base_offset.0)));
    assert_eq!(plan.records_lost_max(), 1);
    let declined = plan.apply(|_| false).unwrap();
    assert!(declined.done.is_empty() && declined.copies.is_empty() && !declined.remaining.is_empty());
    assert_eq!(std::fs::read(&second).unwrap(), bad);

    let done = Repair::plan(&data).unwrap().apply(|_| true).unwrap();
    assert!(done.remaining.is_empty(), "{:?}", done.remaining);
    let copy = done.copies.iter().find(|copy| copy.extension().is_some_and(|e| e == "log")).unwrap();
    assert_eq!(std::fs::read(copy).unwrap(), bad);
    let lost = batch.base_offset.0;
    assert_eq!(count_records(&data).0, (0..100).filter(|offset| *offset != lost).collect::<Vec<u64>>());
}

#[test]
fn a_log_that_ends_below_what_was_flushed_is_a_loss_that_repair_makes_usable_again() {
    let dir = ours();
    let data = dir.path().join("data");
    let last = logs(&data).pop().unwrap();
    let bytes = std::fs::read(&last).unwrap();
    std::fs::write(&last, &bytes[..bytes.len() - 20]).unwrap();
    let plan = Repair::plan(&data).unwrap();
    assert!(!plan.report().is_sound());
    assert!(plan.report().damages.iter().any(|damage| damage.severity == Severity::Loss));
    let done = plan.apply(|_| true).unwrap();
    assert!(done.remaining.is_empty(), "{:?}", done.remaining);
    assert_eq!(count_records(&data), ((0..99).collect(), 99));
}

#[test]
fn a_repair_needs_the_lock_and_a_whole_data_directory() {
    let dir = ours();
    let data = dir.path().join("data");
    let engine = Engine::open(&data).unwrap();
    let refused = Repair::plan(&data).unwrap().apply(|_| true).unwrap_err();
    assert_eq!(refused.code(), ErrorCode::STATE);
    engine.close().unwrap();
    assert_eq!(Repair::plan(&data.join("t-0")).unwrap_err().code(), ErrorCode::INVALID_ARG);
    assert_eq!(check(&data.join("no-such.log"), CheckScope::All).unwrap_err().code(), ErrorCode::INVALID_ARG);
    assert_eq!(DataDirView::read(&data.join("nowhere")).unwrap_err().code(), ErrorCode::LOG_DIR_NOT_FOUND);
}

#[test]
fn a_transaction_index_that_was_lost_or_lies_is_written_anew_from_the_log() {
    let Some(vectors) = vectors() else { return };
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let copied = data.join("transactions-0");
    copy(&vectors.join("transactions-0"), &copied);
    let view = PartitionView::read(&copied).unwrap();
    let path = view.segments[2].path.with_extension("txnindex");
    let good = std::fs::read(&path).unwrap();
    let mut bad = good.clone();
    bad[9] ^= 1;
    std::fs::write(&path, bad).unwrap();
    let done = Repair::plan(&data).unwrap().apply(|_| true).unwrap();
    assert!(done.remaining.is_empty(), "{:?}", done.remaining);
    assert_eq!(std::fs::read(&path).unwrap(), good);
    std::fs::write(copied.join("leader-epoch-checkpoint"), "0\n1\n5 0\n").unwrap();
    let done = Repair::plan(&data).unwrap().apply(|_| true).unwrap();
    assert_eq!(done.done, [RepairStep::RebuildEpochs { partition: copied.clone() }]);
    assert!(done.remaining.is_empty(), "{:?}", done.remaining);
    assert_eq!(PartitionView::read(&copied).unwrap().leader_epochs, view.leader_epochs);
}

#[test]
fn copies_lie_beside_the_directory_whatever_it_was_called() {
    let dir = ours();
    let data = dir.path().join("data");
    for (n, name) in [data.clone(), data.join(""), data.join("t-0/..")].iter().enumerate() {
        let index = logs(&data).remove(0).with_extension("index");
        std::fs::write(&index, [0, 0, 0, 3, 0, 0, 0, 77]).unwrap();
        let done = Repair::plan(name).unwrap().apply(|_| true).unwrap();
        assert!(done.remaining.is_empty(), "{:?}", done.remaining);
        let beside = dir.path().canonicalize().unwrap().join(format!("data.damaged-{}", n + 1));
        assert!(
            !done.copies.is_empty() && done.copies.iter().all(|copy| copy.starts_with(&beside)),
            "{:?}",
            done.copies
        );
    }
}
