//! The leader epochs, read again from the batches.

use super::*;
use std::fs;

#[test]
fn an_unreadable_epoch_file_is_rebuilt_from_the_batches_of_all_segments() {
    let place = Place::new();
    let expected = {
        let log = place.open(small_segments(), true);
        for n in 0..60_u32 {
            let now = SystemClock::new().realtime();
            log.append(&mut batch_at(&["a", "b"], now.0, None), LeaderEpoch(n / 7), now).expect("appends");
        }
        assert!(log.segment_summaries().len() > 3);
        log.leader_epochs()
    };
    fs::write(place.path.join("leader-epoch-checkpoint"), "0\n2\nnonsense").expect("damages");
    let log = place.open(small_segments(), false);
    assert_eq!(log.leader_epochs(), expected);
    assert!(log.recovery_report().leftovers.iter().any(|what| what.contains("leader-epoch-checkpoint")));
}

#[test]
fn a_missing_epoch_file_is_rebuilt_wherever_recovery_begins_to_look() {
    for (clean, keeps_mark) in [(true, true), (true, false), (false, true), (false, false)] {
        let place = Place::new();
        let config = LogConfig { index_interval_bytes: 100, ..LogConfig::default() };
        let log = place.open(config.clone(), true);
        for n in 0..60_u32 {
            let now = SystemClock::new().realtime();
            log.append(&mut batch_at(&["a", "b"], now.0, None), LeaderEpoch(n / 40), now).expect("appends");
        }
        let expected = log.leader_epochs();
        log.close().expect("closes");
        drop(log);
        fs::remove_file(place.path.join("leader-epoch-checkpoint")).expect("removes");
        if !keeps_mark {
            fs::remove_file(place.path.join("kafkalog-recovery-mark")).expect("removes");
        }
        for _ in 0..2 {
            let log = place.open(config.clone(), clean);
            assert_eq!(log.leader_epochs(), expected, "clean {clean}, mark {keeps_mark}");
        }
    }
}

#[test]
fn an_epoch_file_that_begins_behind_the_first_batch_is_rebuilt() {
    for clean in [false, true] {
        let place = Place::new();
        let log = place.open(small_segments(), true);
        for epoch in [0, 0, 1, 1, 3] {
            log.append(&mut batch(&["a", "b"]), LeaderEpoch(epoch), Timestamp(1_700_000_000_000)).expect("appends");
        }
        let expected = log.leader_epochs();
        log.close().expect("closes");
        drop(log);
        fs::write(place.path.join("leader-epoch-checkpoint"), "0\n1\n3 8\n").expect("writes");
        let log = place.open(small_segments(), clean);
        assert_eq!((log.leader_epochs(), expected.len()), (expected, 3));
        assert!(log.recovery_report().leftovers.iter().any(|what| what.contains("leader-epoch-checkpoint")));
    }
}

#[test]
fn an_epoch_that_began_in_a_sealed_segment_keeps_its_start_when_the_active_one_has_a_newer_epoch() {
    let place = Place::new();
    let expected = {
        let log = place.open(small_segments(), true);
        let mut epoch = 0;
        // Three segments of epoch 0; the last one has two batches of it before epoch 1 begins.
        while epoch < 1 {
            let summary = *log.segment_summaries().last().expect("a segment");
            if log.segment_summaries().len() == 3 && summary.end_offset.since(summary.base_offset) > 2 {
                epoch = 1;
            }
            log.append(&mut batch(&["a", "b"]), LeaderEpoch(epoch), Timestamp(1_700_000_000_000)).expect("appends");
        }
        log.append(&mut batch(&["a", "b"]), LeaderEpoch(1), Timestamp(1_700_000_000_000)).expect("appends");
        log.leader_epochs()
    };
    assert_eq!(expected.len(), 2);
    for _ in 0..2 {
        assert_eq!(place.open(small_segments(), false).leader_epochs(), expected);
    }
}

#[test]
fn an_epoch_whose_batches_were_all_torn_off_leaves_the_epoch_before_it_alone() {
    let place = Place::new();
    let send = |log: &Log, epoch| {
        log.append(&mut batch(&["a", "b"]), LeaderEpoch(epoch), Timestamp(1_700_000_000_000)).expect("appends");
    };
    let log = place.open(LogConfig::default(), true);
    for epoch in [0, 0, 1, 1] {
        send(&log, epoch);
    }
    log.flush().expect("flushes");
    send(&log, 2);
    drop(log);
    let bytes = fs::read(last_log(&place)).expect("reads");
    fs::write(last_log(&place), &bytes[..bytes.len() - 1]).expect("tears");
    let expected = [(LeaderEpoch(0), Offset(0)), (LeaderEpoch(1), Offset(4))];
    let log = place.open(LogConfig::default(), false);
    assert_eq!(log.leader_epochs(), expected);
    // The leader of epoch 1 never heard of epoch 2.
    let mut next = batch(&["c"]);
    next.stamp(Offset(8), LeaderEpoch(1));
    log.append_verbatim(next.bytes()).expect("appends");
    drop(log);
    assert_eq!(place.open(LogConfig::default(), false).leader_epochs(), expected);
}

#[test]
fn what_the_epoch_file_says_of_batches_that_are_not_there_is_forgotten() {
    for told in ["0\n3\n0 0\n1 4\n2 6\n", "0\n3\n0 0\n1 4\n2 7\n", "0\n4\n0 0\n1 4\n2 6\n3 9\n"] {
        let place = Place::new();
        let log = place.open(LogConfig::default(), true);
        for epoch in [0, 0, 1] {
            log.append(&mut batch(&["a", "b"]), LeaderEpoch(epoch), Timestamp(1_700_000_000_000)).expect("appends");
        }
        let mut next = batch(&["c"]);
        next.stamp(Offset(8), LeaderEpoch(1));
        log.append_verbatim(next.bytes()).expect("a gap is no damage");
        drop(log);
        fs::remove_file(place.path.join("kafkalog-recovery-mark")).expect("removes");
        fs::write(place.path.join("leader-epoch-checkpoint"), told).expect("writes");
        for _ in 0..2 {
            let epochs = place.open(LogConfig::default(), false).leader_epochs();
            assert_eq!(epochs, [(LeaderEpoch(0), Offset(0)), (LeaderEpoch(1), Offset(4))], "{told:?}");
        }
    }
}
