//! What an opening makes of a log that nobody closed.

use super::*;
use crate::error::ErrorCode;
use crate::record::control::{end_txn_marker, TxnResult};
use std::fs;
use std::os::unix::fs::FileExt;

#[test]
fn a_log_that_was_closed_in_order_opens_without_reading_it() {
    let place = Place::new();
    let log = place.open(small_segments(), true);
    for n in 0..50 {
        append(&log, &values(2, &n.to_string())).expect("appends");
    }
    let before = (log.offsets(), log.segment_summaries(), read_all(&log, Offset(0), 999).expect("reads"));
    log.close().expect("closes");
    drop(log);
    let log = place.open(small_segments(), true);
    assert_eq!(log.recovery_report().scanned_bytes, 0);
    assert_eq!(log.log_end(), before.0.log_end);
    assert_eq!(log.segment_summaries().len(), before.1.len());
    assert_eq!(read_all(&log, Offset(0), 999).expect("reads"), before.2);
    append(&log, &["next"]).expect("goes on");
}

#[test]
fn after_a_kill_everything_that_was_written_is_there_again() {
    let place = Place::new();
    let model = killed(&place, 60);
    for _ in 0..2 {
        let log = place.open(small_segments(), false);
        assert_eq!(log.recovery_report().truncated_bytes, 0);
        assert_eq!(read_all(&log, Offset(0), 999).expect("reads"), model);
        assert_eq!(log.flushed(), log.log_end(), "what recovery accepts is durable");
    }
}

#[test]
fn recovery_reads_only_what_lies_behind_the_last_flush() {
    let place = Place::new();
    {
        let log = place.open(LogConfig::default(), true);
        for _ in 0..500 {
            append(&log, &["x".repeat(1000)]).expect("appends");
        }
        log.flush().expect("flushes");
        append(&log, &["tail"]).expect("appends");
    }
    let log = place.open(LogConfig::default(), false);
    assert!(log.recovery_report().scanned_bytes < 200, "{:?}", log.recovery_report());
    assert_eq!(log.log_end(), Offset(501));
    assert_eq!(read_all(&log, Offset(250), 4096).expect("reads").len(), 251);
}

#[test]
fn a_torn_last_batch_is_dropped_and_everything_before_it_stays() {
    let place = Place::new();
    let model = killed(&place, 7);
    let path = last_log(&place);
    let whole = fs::read(&path).expect("a file");
    let base = killed_base(&path);
    // Keep the rest of the directory as it is and cut the last file at every byte.
    for cut in 0..whole.len() {
        fs::remove_file(place.path.join("kafkalog-recovery-mark")).ok();
        fs::write(&path, &whole[..cut]).expect("writes");
        let log = place.open(small_segments(), false);
        let read = read_all(&log, Offset(0), 999).expect("reads");
        assert_eq!(read, model[..read.len()], "cut at {cut}");
        assert!(read.len() as u64 >= base, "a sealed segment lost something");
        assert_eq!(read.len() % 2, 0, "half a batch was believed");
        append(&log, &["a", "b"]).expect("goes on");
    }
}

#[test]
fn leftovers_of_an_interrupted_run_are_cleared_before_anything_is_read() {
    let place = Place::new();
    let model = killed(&place, 30);
    let stray = |name: &str| place.path.join(name);
    fs::write(stray("00000000000000000000.log.deleted"), b"old").expect("writes");
    fs::write(stray("00000000000000000003.log.cleaned"), b"half").expect("writes");
    fs::write(stray("00000000000000009999.index"), b"orphan").expect("writes");
    fs::write(stray("leader-epoch-checkpoint.tmp"), b"half").expect("writes");
    let first = fs::read(stray("00000000000000000000.log")).expect("reads");
    fs::write(stray("00000000000000000000.log.swap"), first).expect("writes");
    let log = place.open(small_segments(), false);
    assert_eq!(read_all(&log, Offset(0), 999).expect("reads"), model);
    assert!(!place.files().iter().any(|name| {
        name.ends_with(".deleted") || name.ends_with(".cleaned") || name.ends_with(".tmp") || name.contains("9999")
    }));
    // A swap at or above an unfinished cleaning belongs to it and is dropped with it.
    assert!(log.recovery_report().leftovers.iter().any(|done| done.contains(".swap")));
}

#[test]
fn a_directory_of_another_topic_is_refused() {
    let place = Place::new();
    let mut opening = place.opening(LogConfig::default(), true);
    opening.topic_id = Some([1; 16]);
    drop(Log::open(opening.clone()).expect("creates"));
    opening.topic_id = Some([2; 16]);
    let refused = Log::open(opening).expect_err("belongs to another topic");
    assert_eq!(refused.code(), ErrorCode::INCONSISTENT_TOPIC_ID);
}

#[test]
fn a_marker_that_says_nothing_is_cut_off_like_a_torn_batch() {
    let place = Place::new();
    let model = killed(&place, 3);
    let mut marker = end_txn_marker(4, 0, TxnResult::Abort, 0, Timestamp(1));
    marker.stamp(Offset(6), EPOCH);
    let mut bytes = marker.bytes().to_vec();
    bytes[66] = 0xff; // the key's version is negative now
    let crc = crc32c(&bytes[21..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    let path = last_log(&place);
    let file = fs::OpenOptions::new().write(true).open(&path).expect("opens");
    file.write_all_at(&bytes, fs::metadata(&path).expect("a file").len()).expect("writes");
    let log = place.open(small_segments(), false);
    assert_eq!(log.recovery_report().truncated_at, Some(Offset(6)));
    assert_eq!(read_all(&log, Offset(0), 999).expect("reads"), model);
    append(&log, &["next"]).expect("goes on");
}

#[test]
fn the_largest_offset_is_the_last_that_is_given_out() {
    let place = Place::new();
    let mut opening = place.opening(LogConfig::default(), false);
    opening.log_start = Offset::MAX;
    let log = Log::open(opening.clone()).expect("opens");
    assert_eq!(append(&log, &["last"]).expect("fits").base_offset, Offset::MAX);
    let refused = append(&log, &["one more"]).expect_err("offsets are at their end");
    assert_eq!(refused.code(), ErrorCode::OFFSET_OUT_OF_RANGE);
    drop(log);
    let log = Log::open(opening).expect("opens again");
    assert_eq!(read_all(&log, Offset::MAX, 999).expect("reads").len(), 1);
}

#[test]
fn a_tail_of_gigabytes_that_are_nothing_is_cut_like_any_other() {
    let place = Place::new();
    let model = killed(&place, 10);
    fs::OpenOptions::new().write(true).open(last_log(&place)).expect("opens").set_len(5 << 30).expect("is sparse");
    let log = place.open(small_segments(), false);
    assert!(log.recovery_report().truncated_bytes > 4 << 30);
    assert_eq!(read_all(&log, Offset(0), 999).expect("reads"), model);
    append(&log, &["more"]).expect("goes on");
}
