//! Cutting a log back.

use super::*;
use crate::sim::{FaultKind, FaultyCalls, Repeat, SimDisk};
use std::fs;

#[test]
fn a_truncated_log_ends_where_it_was_cut_and_goes_on_from_there() {
    for end in [0_u64, 1, 2, 30, 31, 100, 119, 120] {
        let place = Place::new();
        let model = killed(&place, 60);
        let log = place.open(small_segments(), false);
        let held = log.read(Fetch { from: Offset(0), bytes_max: 900, up_to: UpTo::LogEnd, min_one_message: true });
        let held = held.expect("reads").batches;
        let copy = held.to_vec();
        log.truncate_to(Offset(end)).expect("truncates");
        let expected = end - end % 2; // batches of two
        assert_eq!(log.log_end(), Offset(expected), "cut at {end}");
        assert_eq!(held, copy, "bytes that a reader holds changed");
        append(&log, &["new", "er"]).expect("goes on");
        let mut want = model[..expected as usize].to_vec();
        want.push((expected, b"new".to_vec()));
        want.push((expected + 1, b"er".to_vec()));
        assert_eq!(read_all(&log, Offset(0), 999).expect("reads"), want);
        drop(log);
        let log = place.open(small_segments(), false);
        assert_eq!(read_all(&log, Offset(0), 999).expect("reads"), want, "after a kill, cut at {end}");
    }
}

#[test]
fn a_cut_that_fails_half_way_leaves_numbers_that_agree_with_each_other() {
    let mut failed = 0;
    for nth in 1..40 {
        let disk = SimDisk::new(nth);
        disk.create_dir("/d".as_ref()).expect("creates");
        let opening = opening(Arc::new(disk.clone()), "/d/t-0".as_ref(), small_segments(), true);
        let log = Log::open(opening).expect("opens");
        (0..60).for_each(|_| append(&log, &["one", "two"]).map(|_| ()).expect("appends"));
        assert_eq!(log.flush().expect("flushes"), Offset(120));
        disk.fail_nth(FaultyCalls::Changes, nth, FaultKind::Eio, Repeat::Once);
        failed += u32::from(log.truncate_to(Offset(31)).is_err());
        let offsets = log.offsets();
        let ends_well = offsets.flushed <= offsets.log_end && offsets.high_watermark <= offsets.log_end;
        assert!(ends_well, "call {nth} failed: {offsets:?}");
    }
    assert!(failed > 10, "only {failed} calls could fail");
}

#[test]
fn a_cut_that_would_leave_nonsense_is_refused_and_changes_nothing() {
    let place = Place::new();
    let config = closed_by_a_producer(&place);
    let mut bytes = fs::read(last_log(&place)).expect("reads");
    spoil(&mut bytes, 1, 5);
    fs::write(last_log(&place), &bytes).expect("writes");

    // Closed in order, so nobody looks at it before.
    let log = place.open(config.clone(), true);
    for end in [2, 3, 4] {
        let refused = log.truncate_to(Offset(end)).expect_err("what would stay makes no sense");
        assert!(!refused.is_fatal() && refused.message().contains("00000000000000000000.log"), "{refused}");
    }
    assert_eq!(fs::read(last_log(&place)).expect("reads"), bytes);
    assert_eq!(log.log_end(), Offset(5));
    send(&log, 5).expect("the log goes on");
    log.truncate_to(Offset(1)).expect("what stays makes sense");
    assert_eq!(log.log_end(), Offset(1));
    assert!(!send(&log, 1).expect("follows").duplicate);
    drop(log);
    let log = place.open(config, false);
    assert!(log.recovery_report().damage.is_none(), "{:?}", log.recovery_report());
    assert_eq!(log.log_end(), Offset(2));
}

#[test]
fn a_cut_whose_producers_cannot_be_read_again_is_refused_and_changes_nothing() {
    let place = Place::new();
    let log = place.open(small_segments(), true);
    for n in 0..60 {
        send(&log, n).expect("appends");
    }
    let segments = log.segment_summaries();
    log.close().expect("closes");
    drop(log);
    let first = place.path.join("00000000000000000000.log");
    let mut bytes = fs::read(&first).expect("reads");
    let count = segments[0].end_offset.0 as usize;
    spoil(&mut bytes, 1, count);
    fs::write(&first, &bytes).expect("writes");
    // The newest snapshot keeps the opening from reading the producers again; a cut needs an older one.
    for segment in &segments[1..] {
        fs::remove_file(place.path.join(format!("{:020}.snapshot", segment.base_offset.0))).expect("is there");
    }
    let log = place.open(small_segments(), true);
    assert!(log.recovery_report().damage.is_none(), "{:?}", log.recovery_report());
    let end = segments[1].base_offset.next();
    log.truncate_to(end).expect_err("nobody knows what the producer sent last");
    assert_eq!(log.segment_summaries().len(), segments.len(), "nothing was cut");
    send(&log, 60).expect("the log goes on");
}

#[test]
fn a_cut_into_a_gap_leaves_a_log_that_ends_where_its_last_batch_does() {
    let place = Place::new();
    let log = place.open(LogConfig::default(), true);
    append(&log, &["a"]).expect("appends");
    let mut far = batch(&["far"]);
    far.stamp(Offset(10), EPOCH);
    log.append_verbatim(far.bytes()).expect("a gap is no damage");
    log.flush().expect("flushes");
    log.truncate_to(Offset(5)).expect("truncates");
    assert_eq!(log.log_end(), Offset(1));
    drop(log);
    let log = place.open(LogConfig::default(), false);
    assert!(log.recovery_report().damage.is_none(), "{:?}", log.recovery_report());
    assert_eq!(log.log_end(), Offset(1));
    append(&log, &["b"]).expect("goes on");
}
