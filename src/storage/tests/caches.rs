//! Indexes, marks and snapshots may say what they like.

use super::*;
use crate::error::ErrorCode;
use crate::storage::mark::{Mark, MarkFile};
use std::fs;

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
fn a_batch_that_is_lost_is_no_duplicate_whatever_a_snapshot_from_behind_the_end_says() {
    let place = Place::new();
    let config = closed_by_a_producer(&place);
    let bytes = fs::read(last_log(&place)).expect("reads");
    fs::write(last_log(&place), &bytes[..bytes.len() / 5 * 4]).expect("writes");
    // Without the mark nothing says that there was a fifth batch (Kafka leaves none).
    fs::remove_file(place.path.join("kafkalog-recovery-mark")).expect("removes");
    let log = place.open(config, true);
    assert_eq!(log.log_end(), Offset(4));
    assert!(log.recovery_report().leftovers.iter().any(|what| what.contains("snapshots above the log end 4")));
    assert!(send(&log, 3).expect("is known").duplicate);
    assert!(!send(&log, 4).expect("follows").duplicate, "the producer would take a lost batch for stored");
}

#[test]
fn an_index_line_into_the_middle_of_a_batch_does_not_cost_the_mark_its_word() {
    let place = Place::new();
    let config = LogConfig { index_interval_bytes: 1, ..LogConfig::default() };
    let log = place.open(config.clone(), true);
    append(&log, &["first"]).expect("appends");
    // A record whose value is a whole batch, and one that says it lies at offset 1.
    let mut inner = batch(&["inner"]);
    inner.stamp(Offset(1), EPOCH);
    let inner = inner.bytes().to_vec();
    append(&log, &[&inner]).expect("appends");
    log.close().expect("closes");
    drop(log);
    let bytes = fs::read(last_log(&place)).expect("reads");
    let at = bytes.windows(inner.len()).position(|window| window == inner).expect("is in the file");
    let line = [1_u32.to_be_bytes(), u32::try_from(at).expect("small").to_be_bytes()].concat();
    fs::write(place.path.join("00000000000000000000.index"), line).expect("writes");
    let log = place.open(config, false);
    assert_eq!(log.recovery_report().scanned_bytes, 0, "the mark says how far everything is durable");
    assert_eq!(read_all(&log, Offset(0), 999).expect("reads").len(), 2);
}
