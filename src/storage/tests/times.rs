use super::*;
use crate::sim::SimDisk;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

/// Any index of times: lines that are in order and promise anything at all.
fn false_times(rng: &mut fastrand::Rng, times: std::ops::Range<i64>, offsets: u32) -> Vec<u8> {
    let mut lines: Vec<(i64, u32)> =
        (0..rng.usize(0..8)).map(|_| (rng.i64(times.clone()), rng.u32(0..offsets))).collect();
    lines.sort_unstable();
    lines.dedup_by_key(|line| line.0);
    let mut offset = 0;
    let line = |(timestamp, relative): (i64, u32)| {
        offset = offset.max(relative);
        [&timestamp.to_be_bytes()[..], &offset.to_be_bytes()].concat()
    };
    lines.into_iter().flat_map(line).collect()
}

#[test]
fn a_search_by_time_is_right_whatever_the_time_indexes_say() {
    for seed in 0..60 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let place = Place::new();
        let config = LogConfig { segment_bytes: 2000, index_interval_bytes: 80, ..LogConfig::default() };
        let mut times = Vec::new();
        let put = |log: &Log, times: &mut Vec<i64>, rng: &mut fastrand::Rng, count: i64| {
            for n in 0..count {
                let timestamp = 1000 + n * 3 + rng.i64(0..200);
                times.push(timestamp);
                log.append(&mut batch_at(&["v"], timestamp, None), EPOCH, Timestamp(0)).expect("appends");
            }
        };
        let log = place.open(config.clone(), true);
        put(&log, &mut times, &mut rng, 90);
        log.flush().expect("flushes");
        let clean = rng.bool();
        if clean {
            log.close().expect("closes");
        }
        drop(log);
        for name in place.files().iter().filter(|name| name.ends_with(".timeindex")) {
            match rng.u8(0..4) {
                0 => {}
                1 => fs::remove_file(place.path.join(name)).expect("removes"),
                _ => fs::write(place.path.join(name), false_times(&mut rng, 900..1600, 40)).expect("writes"),
            }
        }
        let log = place.open(config, clean);
        let check = |times: &[i64]| {
            for at in (990..1700).step_by(7) {
                let expected = times.iter().position(|&t| t >= at).map(|n| (Offset(n as u64), Timestamp(times[n])));
                assert_eq!(log.offset_for_timestamp(Timestamp(at)).expect("reads"), expected, "seed {seed}, at {at}");
            }
            let newest = *times.iter().max().expect("some");
            let first = times.iter().position(|&t| t == newest).expect("there");
            let found = log.offset_of_max_timestamp().expect("reads");
            assert_eq!(found, Some((Offset(first as u64), Timestamp(newest))), "seed {seed}");
        };
        // Before and after the first look, and for lines that go on from false ones.
        if rng.bool() {
            check(&times);
        }
        put(&log, &mut times, &mut rng, 60);
        check(&times);
        check(&times);
        let end = log.log_end().0 / 2 + rng.u64(0..30);
        log.truncate_to(Offset(end)).expect("cuts");
        times.truncate(end as usize);
        check(&times);
        put(&log, &mut times, &mut rng, 30);
        check(&times);
    }
}

#[test]
fn the_largest_timestamp_is_that_of_a_record_that_is_still_there() {
    let place = Place::new();
    let log = place.open(LogConfig::default(), true);
    for timestamp in [50, 90, 40, 30] {
        log.append(&mut batch_at(&["v", "w"], timestamp, None), EPOCH, Timestamp(0)).expect("appends");
    }
    log.advance_high_watermark(log.log_end());
    for (before, expected) in [(0, (2, 90)), (3, (3, 90)), (4, (4, 40)), (5, (5, 40)), (7, (7, 30))] {
        log.delete_records(Some(Offset(before))).expect("deletes");
        let found = log.offset_of_max_timestamp().expect("reads");
        assert_eq!(found, Some((Offset(expected.0), Timestamp(expected.1))), "from {before} on");
    }
}

#[test]
fn retention_by_age_does_not_believe_a_time_index_that_makes_records_old() {
    for claim in [(10_i64, 3_u32), (10, 0), (500, 1)] {
        let place = Place::new();
        let config = LogConfig {
            retention_age: Some(std::time::Duration::from_millis(1000)),
            segment_bytes: 300,
            ..LogConfig::default()
        };
        let log = place.open(config.clone(), true);
        for timestamp in [500, 5000, 600, 700, 800, 900, 1000, 1100] {
            log.append(&mut batch_at(&["value"], timestamp, None), EPOCH, Timestamp(0)).expect("appends");
        }
        log.advance_high_watermark(log.log_end());
        log.close().expect("closes");
        drop(log);
        let first = [&claim.0.to_be_bytes()[..], &claim.1.to_be_bytes()].concat();
        fs::write(place.path.join("00000000000000000000.timeindex"), first).expect("writes");
        let log = place.open(config, true);
        assert!(log.segment_summaries()[0].end_offset >= Offset(3), "the newest record is in the first one");
        assert_eq!(log.apply_retention(Timestamp(5500)).expect("looks").segments_deleted, 0, "{claim:?}");
        assert!(log.apply_retention(Timestamp(6500)).expect("looks").segments_deleted > 0, "{claim:?}");
    }
}

#[test]
fn a_time_index_says_the_truth_although_flushes_come_in_the_middle_of_appends() {
    let disk = SimDisk::new(7);
    disk.create_dir("/d".as_ref()).expect("creates");
    let config = LogConfig { index_interval_bytes: 4096, ..LogConfig::default() };
    let log = Log::open(opening(Arc::new(disk), "/d/t-0".as_ref(), config, true)).expect("opens");
    const BATCHES: u64 = 400_000;
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Acquire) {
                log.flush().expect("flushes");
            }
        });
        for n in 0..BATCHES {
            let timestamp = i64::try_from(n).expect("a small number");
            log.append(&mut batch_at(&["v"], timestamp, None), EPOCH, Timestamp(0)).expect("appends");
        }
        is_over.store(true, Ordering::Release);
    });
    // Every batch has one record, whose timestamp is its offset.
    let entries = log.segments().active().time_index.entries().expect("reads");
    assert!(entries.len() > 100, "{} entries are no test", entries.len());
    let wrong: Vec<_> = entries.iter().filter(|entry| entry.timestamp.0.unsigned_abs() != entry.offset.0).collect();
    assert!(wrong.is_empty(), "of {}: {wrong:?}", entries.len());
}
