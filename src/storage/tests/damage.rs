//! Damage is told, never cut, and what lies before it is read.

use super::*;
use crate::error::ErrorCode;
use crate::storage::mark::{Mark, MarkFile};
use std::fs;
use std::os::unix::fs::FileExt;

#[test]
fn damage_below_the_durable_end_is_reported_and_never_cut() {
    let place = Place::new();
    {
        let log = place.open(LogConfig::default(), true);
        for n in 0..20 {
            append(&log, &[format!("value-{n:02}")]).expect("appends");
        }
        log.flush().expect("flushes");
    }
    let path = last_log(&place);
    // Behind the flushed part the file may be anything; below it, a lost tail is damage too.
    let whole = fs::metadata(&path).expect("a file").len();
    let file = fs::OpenOptions::new().write(true).open(&path).expect("opens");
    file.set_len(whole - 10).expect("cuts");
    let log = place.open(LogConfig::default(), false);
    let damage = log.recovery_report().damage.clone().expect("is noticed");
    assert_eq!(damage.code(), ErrorCode::CORRUPT_MESSAGE);
    assert!(damage.message().contains("00000000000000000000.log"), "{damage}");
    assert_eq!(fs::metadata(&path).expect("a file").len(), whole - 10, "nothing was cut");
    let refused = append(&log, &["more"]).expect_err("the log is off");
    assert!(refused.is_fatal());
}

#[test]
fn a_flipped_bit_in_a_sealed_segment_is_never_served() {
    let place = Place::new();
    let model = killed(&place, 60);
    let first = place.path.join("00000000000000000000.log");
    let file = fs::OpenOptions::new().write(true).open(&first).expect("opens");
    file.write_all_at(b"\xff", 200).expect("damages");
    let log = place.open(small_segments(), false);
    let refused = read_all(&log, Offset(0), 999).expect_err("the damage is met");
    assert_eq!(refused.code(), ErrorCode::CORRUPT_MESSAGE);
    let behind = log.segment_summaries()[1].base_offset;
    let read = read_all(&log, behind, 999).expect("what lies behind is fine");
    assert_eq!(read, model[behind.0 as usize..]);
}

#[test]
fn a_sealed_segment_that_cannot_be_walked_keeps_no_log_closed() {
    let place = Place::new();
    let model = killed(&place, 60);
    let first = place.path.join("00000000000000000000.log");
    let file = fs::OpenOptions::new().write(true).open(&first).expect("opens");
    file.write_all_at(&[0, 0, 0, 1], 8).expect("damages the first batch's length");
    // Without a snapshot the producers are read from all segments again.
    for name in place.files().iter().filter(|name| name.ends_with(".snapshot")) {
        fs::remove_file(place.path.join(name)).expect("removes");
    }
    let log = place.open(small_segments(), false);
    let damage = log.recovery_report().damage.clone().expect("is noticed");
    assert_eq!(damage.code(), ErrorCode::CORRUPT_MESSAGE);
    let behind = log.segment_summaries()[1].base_offset;
    assert_eq!(read_all(&log, behind, 999).expect("what lies behind is fine"), model[behind.0 as usize..]);
    append(&log, &["more"]).expect_err("the log is off");
}

#[test]
fn a_fetch_stops_where_its_segment_ends_whatever_lies_behind() {
    let place = Place::new();
    killed(&place, 60);
    let (first, second) = {
        let log = place.open(small_segments(), false);
        (log.segment_summaries()[0], log.segment_summaries()[1])
    };
    let mut stranger = batch(&["stranger"]);
    stranger.stamp(second.base_offset, EPOCH);
    let file = fs::OpenOptions::new().write(true).open(place.path.join("00000000000000000000.log")).expect("opens");
    file.write_all_at(stranger.bytes(), first.log_bytes).expect("writes");
    let log = place.open(small_segments(), false);
    let fetch = Fetch { from: Offset(0), bytes_max: 4096, up_to: UpTo::LogEnd, min_one_message: true };
    let fetched = log.read(fetch).expect("reads").batches;
    assert_eq!(fetched.len() as u64, first.log_bytes);
}

#[test]
fn batches_before_a_damaged_one_are_read_however_much_is_asked_for() {
    let place = Place::new();
    killed(&place, 60);
    let first = place.path.join("00000000000000000000.log");
    let second_batch = u64::try_from(batch(&values(2, "0")).bytes().len()).expect("small");
    let file = fs::OpenOptions::new().write(true).open(&first).expect("opens");
    file.write_all_at(&[0, 0, 0, 1], second_batch + 8).expect("damages the second batch's length");
    let log = place.open(small_segments(), false);
    for bytes_max in [1, 1 << 20] {
        let fetch = |from| Fetch { from: Offset(from), bytes_max, up_to: UpTo::LogEnd, min_one_message: true };
        let fetched = log.read(fetch(0)).expect("the first batch is whole").batches;
        assert_eq!(fetched.len() as u64, second_batch);
        let refused = log.read(fetch(2)).expect_err("the second is not");
        assert_eq!(refused.code(), ErrorCode::CORRUPT_MESSAGE);
    }
}

#[test]
fn a_sealed_segment_that_lost_its_content_is_damage_and_no_reader_waits_for_it() {
    let place = Place::new();
    let model = killed(&place, 60);
    fs::write(place.path.join("00000000000000000000.log"), []).expect("empties");
    let log = place.open(small_segments(), false);
    let refused = read_all(&log, Offset(0), 999).expect_err("the loss is met");
    assert_eq!(refused.code(), ErrorCode::CORRUPT_MESSAGE);
    assert!(refused.message().contains("no batch holds offset 0"), "{refused}");
    let behind = log.segment_summaries()[1].base_offset;
    assert_eq!(read_all(&log, behind, 999).expect("what lies behind is fine"), model[behind.0 as usize..]);
}

#[test]
fn a_log_whose_segments_are_all_empty_does_not_answer_as_if_nothing_had_been_written() {
    let place = Place::new();
    killed(&place, 60);
    for name in place.files().iter().filter(|name| name.ends_with(".log")) {
        fs::write(place.path.join(name), []).expect("empties");
    }
    fs::remove_file(place.path.join("kafkalog-recovery-mark")).expect("removes");
    let log = place.open(small_segments(), false);
    assert!(log.log_end() > Offset(0));
    assert_eq!(read_all(&log, Offset(0), 999).expect_err("the loss is met").code(), ErrorCode::CORRUPT_MESSAGE);
}

#[test]
fn batches_behind_four_gigabytes_are_damage_and_what_lies_before_is_read() {
    const BATCH_BYTES: u32 = 60 << 20;
    let place = Place::new();
    let log = place.open(LogConfig::default(), true);
    append(&log, &["first"]).expect("appends");
    log.close().expect("closes");
    drop(log);
    let file = fs::OpenOptions::new().read(true).write(true).open(last_log(&place)).expect("opens");
    let first = file.metadata().expect("is there").len();
    let mut header = vec![0; 61];
    file.read_exact_at(&mut header, 0).expect("reads");
    header[8..12].copy_from_slice(&(BATCH_BYTES - 12).to_be_bytes());
    for n in 0..70_u64 {
        header[..8].copy_from_slice(&(n + 1).to_be_bytes());
        file.write_all_at(&header, first + n * u64::from(BATCH_BYTES)).expect("writes");
    }
    file.set_len(first + 70 * u64::from(BATCH_BYTES)).expect("is sparse");
    let last_within = (u64::from(u32::MAX) - first) / u64::from(BATCH_BYTES) + 1;
    // Closed in order, so no checksum is compared; all of it was durable, so nothing may be cut.
    let (mark, _) = MarkFile::open(&RealDisk, &place.path).expect("opens");
    let (flushed, position) = (Offset(71), first + 65 * u64::from(BATCH_BYTES));
    let known = Mark { flushed, indexed: Offset(66), segment: Offset(0), position, no_producers: true };
    mark.write(&known).expect("writes");
    let log = place.open(LogConfig::default(), true);
    let damage = log.recovery_report().damage.clone().expect("is reported");
    assert_eq!(damage.code(), ErrorCode::CORRUPT_MESSAGE);
    assert_eq!(log.log_end(), Offset(last_within + 1));
    assert_eq!(file.metadata().expect("is there").len(), first + 70 * u64::from(BATCH_BYTES));
    let fetch = Fetch { from: Offset(last_within), bytes_max: 1, up_to: UpTo::LogEnd, min_one_message: true };
    assert_eq!(log.read(fetch).expect("is within reach").batches.len(), BATCH_BYTES as usize);
    append(&log, &["more"]).expect_err("the log is off");
    // As a sealed segment: the walk to offsets behind ends with an error, not in a panic and not at another batch.
    drop(log);
    fs::write(place.path.join("00000000000000000090.log"), b"").expect("writes");
    let log = place.open(LogConfig::default(), true);
    let fetch = Fetch { from: Offset(71), bytes_max: 1, up_to: UpTo::LogEnd, min_one_message: true };
    assert_eq!(log.read(fetch).expect_err("out of reach").code(), ErrorCode::CORRUPT_MESSAGE);
    let fetch = Fetch { from: Offset(0), ..fetch };
    assert_eq!(log.read(fetch).expect("reads").batches.len() as u64, first);
}

#[test]
fn sealed_batches_whose_offsets_go_back_are_damage() {
    for (at, offset) in [(1, 0_u64), (1, 1), (2, 1), (1, 10_000), (0, 5)] {
        let place = Place::new();
        killed(&place, 60);
        fs::remove_file(place.path.join("kafkalog-recovery-mark")).expect("removes");
        let path = place.path.join("00000000000000000000.log");
        let mut bytes = fs::read(&path).expect("reads");
        // Offsets lie outside of the checksum.
        let mut position = 0;
        for _ in 0..at {
            position += 12 + u32::from_be_bytes(bytes[position + 8..position + 12].try_into().expect("four")) as usize;
        }
        bytes[position..position + 8].copy_from_slice(&offset.to_be_bytes());
        fs::write(&path, &bytes).expect("writes");
        let log = place.open(small_segments(), false);
        let damage = log.recovery_report().damage.clone().unwrap_or_else(|| panic!("batch {at} at {offset}"));
        assert_eq!(damage.code(), ErrorCode::CORRUPT_MESSAGE);
        assert_eq!(fs::read(&path).expect("reads"), bytes, "nothing is cut");
    }
}

#[test]
fn a_damaged_log_tells_the_same_however_often_it_is_opened() {
    let place = Place::new();
    let config = closed_by_a_producer(&place);
    let mut bytes = fs::read(last_log(&place)).expect("reads");
    // Only the snapshot at offset 5 keeps an opening from meeting this one.
    spoil(&mut bytes, 1, 5);
    fs::write(last_log(&place), &bytes[..bytes.len() - 3]).expect("writes");
    drop_last_index_line(&place);
    let told = |_| {
        let log = place.open(config.clone(), true);
        assert_eq!(log.log_end(), Offset(4));
        log.recovery_report().damage.clone().expect("the last batch is cut short").message().to_owned()
    };
    let told: Vec<String> = (0..3).map(told).collect();
    assert!(told.iter().all(|what| *what == told[0]), "{told:#?}");
    assert!(place.files().contains(&"00000000000000000005.snapshot".to_owned()), "{:?}", place.files());
}

#[test]
fn damage_that_a_snapshot_from_behind_the_end_would_hide_is_told_at_the_first_opening() {
    let place = Place::new();
    let config = closed_by_a_producer(&place);
    let mut bytes = fs::read(last_log(&place)).expect("reads");
    spoil(&mut bytes, 1, 5);
    fs::write(last_log(&place), &bytes[..bytes.len() / 5 * 4]).expect("writes");
    drop_last_index_line(&place);
    fs::remove_file(place.path.join("kafkalog-recovery-mark")).expect("removes");
    for _ in 0..2 {
        let log = place.open(config.clone(), true);
        assert!(log.recovery_report().damage.is_some(), "{:?}", log.recovery_report());
    }
}

#[test]
fn a_torn_tail_is_not_cut_from_a_log_that_is_damaged_elsewhere() {
    let place = Place::new();
    let model = killed(&place, 60);
    let first = place.path.join("00000000000000000000.log");
    let file = fs::OpenOptions::new().write(true).open(&first).expect("opens");
    file.write_all_at(b"\xff", 200).expect("damages");
    // Without a mark sealed segments are looked at, too.
    fs::remove_file(place.path.join("kafkalog-recovery-mark")).expect("removes");
    let mut torn = fs::read(last_log(&place)).expect("reads");
    torn.extend([7; 20]);
    fs::write(last_log(&place), &torn).expect("writes");
    for _ in 0..2 {
        let log = place.open(small_segments(), false);
        assert!(log.recovery_report().damage.is_some());
        assert_eq!(log.recovery_report().truncated_bytes, 0);
        let behind = log.segment_summaries()[1].base_offset;
        assert_eq!(read_all(&log, behind, 999).expect("what lies behind is fine"), model[behind.0 as usize..]);
    }
    assert_eq!(fs::read(last_log(&place)).expect("reads"), torn);
}

#[test]
fn a_newest_segment_that_is_gone_is_damage() {
    let place = Place::new();
    let model = killed(&place, 60);
    let log = place.open(small_segments(), false);
    let base = log.segment_summaries().last().expect("a segment").base_offset;
    log.close().expect("closes");
    drop(log);
    fs::remove_file(last_log(&place)).expect("removes");
    let log = place.open(small_segments(), false);
    let damage = log.recovery_report().damage.clone().expect("its records were durable");
    assert!(damage.message().contains("below 120 was durable"), "{damage}");
    assert_eq!(log.log_end(), base);
    assert_eq!(read_all(&log, Offset(0), 999).expect("what lies before is fine"), model[..base.0 as usize]);
    append(&log, &["more"]).expect_err("offsets would be given out twice");
}

#[test]
fn a_batch_that_claims_the_offsets_of_those_behind_it_is_not_read_past_them() {
    let place = Place::new();
    let config = LogConfig { index_interval_bytes: 1, ..LogConfig::default() };
    let log = place.open(config.clone(), true);
    for _ in 0..12 {
        append(&log, &["v"]).expect("appends");
    }
    log.close().expect("closes");
    drop(log);
    let mut bytes = fs::read(last_log(&place)).expect("reads");
    let each = bytes.len() / 12;
    // The fourth says that it is the tenth: offsets lie outside of the checksum.
    bytes[3 * each..3 * each + 8].copy_from_slice(&9_u64.to_be_bytes());
    fs::write(last_log(&place), &bytes).expect("writes");
    let log = place.open(config, true);
    for bytes_max in [1, each, each + 61, 3 * each, 5 * each, 1 << 20] {
        let fetch = |from| Fetch { from: Offset(from), bytes_max, up_to: UpTo::LogEnd, min_one_message: true };
        let mut next = 0;
        while next < 3 {
            let fetched = log.read(fetch(next)).expect("lies before the damage").batches;
            assert!(!fetched.is_empty() && fetched.len() % each == 0 && fetched.len() <= 3 * each);
            next += (fetched.len() / each) as u64;
        }
        let refused = log.read(fetch(3)).expect_err("which of the two lies, nobody knows");
        assert_eq!(refused.code(), ErrorCode::CORRUPT_MESSAGE);
        let behind = Fetch { up_to: UpTo::Offset(Offset(10)), ..fetch(3) };
        log.read(behind).expect_err("wherever the reading is to end");
        assert!(log.read(fetch(10)).is_ok(), "what lies behind is fine");
    }
}

/// So that an opening after a clean end begins at the batch before the last.
fn drop_last_index_line(place: &Place) {
    let path = place.path.join("00000000000000000000.index");
    let lines = fs::read(&path).expect("reads");
    fs::write(&path, &lines[..lines.len() - 8]).expect("writes");
}
