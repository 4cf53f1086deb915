use super::*;
use crate::error::ErrorCode;
use std::time::Duration;

fn filled(place: &Place, config: LogConfig) -> Log {
    let log = place.open(config, true);
    for n in 0..60 {
        log.append(&mut batch_at(&values(2, &n.to_string()), 1000 + n, None), EPOCH, Timestamp(0)).expect("appends");
    }
    log.advance_high_watermark(log.log_end());
    log
}

#[test]
fn retention_by_bytes_drops_the_oldest_and_keeps_at_least_what_was_asked_for() {
    let place = Place::new();
    let config = LogConfig { retention_bytes: Some(3000), retention_age: None, ..small_segments() };
    let log = filled(&place, config);
    let outcome = log.apply_retention(Timestamp(0)).expect("retains");
    assert!(outcome.segments_deleted > 0);
    assert!(log.size_bytes() >= 3000 && log.size_bytes() < 3000 + 1024);
    assert_eq!(log.log_start(), log.segment_summaries()[0].base_offset);
    let read = read_all(&log, log.log_start(), 999).expect("reads");
    assert_eq!(read.first().map(|(offset, _)| *offset), Some(log.log_start().0));
    let refused = read_all(&log, Offset(0), 999).expect_err("is gone");
    assert_eq!(refused.code(), ErrorCode::OFFSET_OUT_OF_RANGE);
}

#[test]
fn retention_by_age_may_take_every_segment_and_leaves_an_empty_one() {
    let place = Place::new();
    let config = LogConfig { retention_age: Some(Duration::from_millis(50)), ..small_segments() };
    let log = filled(&place, config.clone());
    let due = log.apply_retention(Timestamp(0)).expect("retains").next_expiry.expect("something will expire");
    assert_eq!(log.apply_retention(Timestamp(due.0 - 1)).expect("retains").segments_deleted, 0);
    assert_eq!(log.apply_retention(due).expect("retains").segments_deleted, 1);
    log.apply_retention(Timestamp(9_999_999)).expect("retains");
    assert_eq!((log.log_start(), log.log_end(), log.size_bytes()), (Offset(120), Offset(120), 0));
    append(&log, &["next"]).expect("goes on");
    drop(log);
    let log = place.open(config, false);
    assert_eq!((log.log_start(), log.log_end()), (Offset(120), Offset(121)));
}

#[test]
fn nothing_at_or_above_the_high_watermark_is_ever_deleted() {
    let place = Place::new();
    let config = LogConfig { retention_bytes: Some(0), ..small_segments() };
    let mut opening = place.opening(config, true);
    opening.high_watermark = Offset(0);
    let log = Log::open(opening).expect("opens");
    for n in 0..60 {
        log.append(&mut batch_at(&values(2, &n.to_string()), 0, None), EPOCH, Timestamp(0)).expect("appends");
    }
    assert_eq!(log.apply_retention(Timestamp(0)).expect("retains").segments_deleted, 0);
    log.advance_high_watermark(Offset(31));
    log.apply_retention(Timestamp(0)).expect("retains");
    assert!(log.log_start() <= Offset(31) && log.log_start() > Offset(0), "{:?}", log.offsets());
    assert_eq!(log.delete_records(Some(Offset(32))).expect_err("past it").code(), ErrorCode::OFFSET_OUT_OF_RANGE);
}

#[test]
fn deleted_records_are_unreadable_at_once_and_their_segments_go_later() {
    let place = Place::new();
    let log = filled(&place, small_segments());
    assert_eq!(log.delete_records(Some(Offset(51))).expect("deletes"), Offset(51));
    assert_eq!(read_all(&log, Offset(50), 99).expect_err("gone").code(), ErrorCode::OFFSET_OUT_OF_RANGE);
    assert_eq!(read_all(&log, Offset(51), 99).expect("there")[0].0, 51);
    log.apply_retention(Timestamp(0)).expect("retains");
    assert!(log.segment_summaries()[0].base_offset <= Offset(51));
    assert!(log.segment_summaries()[0].end_offset > Offset(51));
    assert_eq!(log.delete_records(None).expect("all"), Offset(120));
}

#[test]
fn deleted_files_wait_for_their_delay_and_readers_keep_what_they_hold() {
    let place = Place::new();
    let config = LogConfig {
        retention_bytes: Some(0),
        retention_age: None,
        file_delete_delay: Duration::from_secs(60),
        ..small_segments()
    };
    let log = filled(&place, config);
    let held = log.read(Fetch { from: Offset(0), bytes_max: 900, up_to: UpTo::LogEnd, min_one_message: true });
    let held = held.expect("reads").batches;
    let copy = held.to_vec();
    log.apply_retention(Timestamp(0)).expect("retains");
    let waiting = || place.files().iter().filter(|name| name.ends_with(".deleted")).count();
    assert!(waiting() > 0);
    let now = log.clock.monotonic();
    let due = log.delete_due_files(now).expect("looks").expect("something waits");
    assert!(waiting() > 0 && due > now);
    assert_eq!(log.delete_due_files(due + Duration::from_secs(60)).expect("deletes"), None);
    assert_eq!(waiting(), 0);
    assert_eq!(held, copy);
}

#[test]
fn dropping_the_oldest_segment_frees_its_files_at_once() {
    let place = Place::new();
    let log = filled(&place, small_segments());
    let (first, bytes) = (log.segment_summaries()[0], log.size_bytes());
    assert_eq!(log.drop_oldest_segment().expect("drops"), first.log_bytes);
    assert_eq!((log.log_start(), log.size_bytes()), (first.end_offset, bytes - first.log_bytes));
    assert!(!place.files().iter().any(|name| name.starts_with("00000000000000000000.")), "{:?}", place.files());
}
