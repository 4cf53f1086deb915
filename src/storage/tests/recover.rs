use super::*;
use crate::error::ErrorCode;
use crate::record::control::{end_txn_marker, TxnResult};
use crate::record::crc32c;
use crate::storage::mark::{Mark, MarkFile};
use crate::time::Clock;
use std::fs;
use std::os::unix::fs::FileExt;

fn last_log(place: &Place) -> PathBuf {
    let last = place.files().into_iter().rfind(|name| name.ends_with(".log")).expect("a log");
    place.path.join(last)
}

/// A log of many segments that was never closed: as `kill -9` leaves it.
fn killed(place: &Place, count: usize) -> Vec<(u64, Vec<u8>)> {
    let log = place.open(small_segments(), true);
    for n in 0..count {
        append(&log, &values(2, &n.to_string())).expect("appends");
    }
    read_all(&log, Offset(0), 4096).expect("reads")
}

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

fn killed_base(path: &Path) -> u64 {
    path.file_stem().expect("a name").to_str().expect("utf-8").parse().expect("digits")
}

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
fn whatever_the_indexes_hold_every_offset_is_found() {
    let place = Place::new();
    let model = killed(&place, 60);
    let mut rng = fastrand::Rng::with_seed(11);
    for round in 0..40 {
        for name in place.files() {
            if !name.ends_with("index") {
                continue;
            }
            let path = place.path.join(&name);
            match rng.u8(0..5) {
                0 => fs::remove_file(&path).expect("removes"),
                1 => fs::write(&path, []).expect("empties"),
                2 => fs::write(&path, vec![0; 160]).expect("zeroes"),
                3 => {
                    let mut bytes = fs::read(&path).expect("reads");
                    bytes.truncate(rng.usize(0..=bytes.len()));
                    fs::write(&path, bytes).expect("tears");
                }
                _ => {
                    let mut bytes = fs::read(&path).expect("reads");
                    for byte in &mut bytes {
                        if rng.u8(0..4) == 0 {
                            *byte = rng.u8(..);
                        }
                    }
                    fs::write(&path, bytes).expect("flips");
                }
            }
        }
        let log = place.open(small_segments(), false);
        for from in (0..model.len()).step_by(7) {
            let read = read_all(&log, Offset(from as u64), 400).expect("reads");
            assert_eq!(read, model[from..], "round {round}, from {from}");
        }
    }
}

#[test]
fn idempotent_producers_are_known_again_after_a_kill_and_after_a_clean_close() {
    for clean in [true, false] {
        let place = Place::new();
        let stamp = |sequence| Some(ProducerStamp { id: 4, epoch: 1, base_sequence: Some(sequence) });
        let now = SystemClock::new().realtime();
        let send = |log: &Log, sequence| log.append(&mut batch_at(&["a", "b"], now.0, stamp(sequence)), EPOCH, now);
        {
            let log = place.open(small_segments(), true);
            for n in 0..40 {
                send(&log, n * 2).expect("appends");
                if n == 30 {
                    log.flush().expect("flushes");
                }
            }
            if clean {
                log.close().expect("closes");
            }
        }
        let log = place.open(small_segments(), clean);
        let again = send(&log, 78).expect("known");
        assert!(again.duplicate, "clean: {clean}");
        let gap = send(&log, 90).expect_err("gap");
        assert_eq!(gap.code(), ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
        send(&log, 80).expect("next");
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
fn lines_of_batches_that_are_not_there_do_not_outlive_a_clean_open() {
    let place = Place::new();
    {
        let log = place.open(LogConfig::default(), true);
        append(&log, &["a"]).expect("appends");
        log.close().expect("closes");
    }
    let path = place.path.join("00000000000000000000.timeindex");
    let mut bytes = fs::read(&path).expect("reads");
    bytes.extend(i64::MAX.to_be_bytes());
    bytes.extend(1000_i32.to_be_bytes());
    fs::write(&path, bytes).expect("writes");
    let log = place.open(LogConfig::default(), true);
    append(&log, &["b"]).expect("appends");
    log.close().expect("closes");
    assert_eq!(log.segment_summaries()[0].max_timestamp, Some(Timestamp(1_700_000_000_000)));
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
fn an_index_line_that_points_past_its_batch_is_not_believed() {
    let place = Place::new();
    let model = killed(&place, 60);
    let bytes = fs::read(place.path.join("00000000000000000000.log")).expect("a log");
    let places: Vec<u32> =
        batches(&bytes).map(|found| u32::try_from(found.expect("whole").0).expect("small")).collect();
    // "Offset 3 ends at the fifth batch": it ends at the second.
    let lie = [3_u32.to_be_bytes(), places[4].to_be_bytes()].concat();
    fs::write(place.path.join("00000000000000000000.index"), lie).expect("writes");
    let log = place.open(small_segments(), false);
    for from in 0..12_usize {
        assert_eq!(read_all(&log, Offset(from as u64), 200).expect("reads"), model[from..], "from {from}");
    }
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
fn a_mark_with_absurd_numbers_loses_nothing_and_never_breaks_an_opening() {
    let big = [u64::MAX, Offset::MAX.0 + 1, Offset::MAX.0, 1 << 40];
    let near = [0, 1, 7, 60, 119, 120, 121, 1000];
    let mut rng = fastrand::Rng::with_seed(3);
    for round in 0..150 {
        let place = Place::new();
        let model = killed(&place, 60);
        let base: u64 = killed_base(&last_log(&place));
        let mut number = || match rng.u8(0..4) {
            0 => big[rng.usize(..big.len())],
            1 => base,
            _ => near[rng.usize(..near.len())],
        };
        let mark = Mark {
            flushed: Offset(number()),
            indexed: Offset(number()),
            segment: Offset(if round % 4 == 0 { number() } else { base }),
            position: number(),
            no_producers: round % 2 == 0,
        };
        let (file, _) = MarkFile::open(&RealDisk, &place.path).expect("opens");
        file.write(&mark).expect("writes");
        for clean in [false, true] {
            let log = place.open(small_segments(), clean);
            let what = format!("{mark:?}, clean {clean}");
            let read = read_all(&log, Offset(0), 999).unwrap_or_else(|e| panic!("{what}: {e}"));
            assert_eq!(read, model, "{what}");
            let tells = mark.segment.0 == base
                && mark.flushed.0 > 120
                && mark.flushed <= Offset::MAX.next()
                && mark.indexed <= mark.flushed;
            if !clean && tells {
                assert!(log.recovery_report().damage.is_some(), "{what}: durable records are missing");
            }
            if !clean && mark.flushed.0 <= 120 {
                assert!(log.recovery_report().damage.is_none(), "{what}: {:?}", log.recovery_report().damage);
            }
        }
    }
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
