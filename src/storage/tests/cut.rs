//! Cutting a log back.

use super::*;
use crate::error::ErrorCode;
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
fn a_cut_that_meets_damage_turns_the_log_off_and_a_reopening_tells_it() {
    let place = Place::new();
    let log = place.open(LogConfig::default(), true);
    let stamp = |sequence| Some(ProducerStamp { id: 4, epoch: 0, base_sequence: Some(sequence) });
    for n in 0..4 {
        log.append(&mut batch_at(&["v"], 1, stamp(n)), EPOCH, Timestamp(0)).expect("appends");
    }
    log.close().expect("closes");
    drop(log);
    // The second batch becomes a marker that says nothing, under a checksum that fits.
    let path = last_log(&place);
    let mut bytes = fs::read(&path).expect("reads");
    let second = bytes.len() / 4;
    bytes[second + 22] |= 0x20;
    let crc = crc32c(&bytes[second + 21..second * 2]);
    bytes[second + 17..second + 21].copy_from_slice(&crc.to_be_bytes());
    fs::write(&path, &bytes).expect("writes");

    let log = place.open(LogConfig::default(), true);
    let refused = log.truncate_to(Offset(3)).expect_err("what is left makes no sense");
    assert_eq!(refused.code(), ErrorCode::CORRUPT_MESSAGE);
    append(&log, &["more"]).expect_err("the log is off");
    drop(log);
    let log = place.open(LogConfig::default(), false);
    assert!(log.recovery_report().damage.is_some());
    assert_eq!(read_all(&log, Offset(0), 50).expect("what lies before is fine").len(), 1);
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
