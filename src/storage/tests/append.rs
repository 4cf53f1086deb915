use super::*;
use crate::error::ErrorCode;
use crate::record::control::{end_txn_marker, TxnResult};
use crate::types::TimestampType;
use std::time::Duration;

#[test]
fn what_was_appended_reads_back_in_order_whatever_the_read_size() {
    let place = Place::new();
    let log = place.open(small_segments(), true);
    let mut model = Vec::new();
    for n in 0..200 {
        let values = values(1 + n % 5, &format!("batch{n}"));
        let appended = append(&log, &values).expect("appends");
        assert_eq!(appended.base_offset.0, model.len() as u64);
        model.extend(values.into_iter().map(String::into_bytes));
    }
    assert!(log.segment_summaries().len() > 5, "the test wants many segments");
    let model: Vec<(u64, Vec<u8>)> = model.into_iter().enumerate().map(|(n, v)| (n as u64, v)).collect();
    for bytes_max in [1, 100, 4096, 1 << 20] {
        assert_eq!(read_all(&log, Offset::ZERO, bytes_max).expect("reads"), model);
    }
    for from in 0..model.len() {
        let read = read_all(&log, Offset(from as u64), 300).expect("reads");
        assert_eq!(read, model[from..], "from {from}");
    }
}

#[test]
fn an_offset_outside_of_the_log_is_refused_with_what_is_there() {
    let place = Place::new();
    let log = place.open(LogConfig::default(), true);
    append(&log, &["a", "b"]).expect("appends");
    assert_eq!(read_all(&log, Offset(2), 100).expect("at the end: nothing"), []);
    let refused = read_all(&log, Offset(3), 100).expect_err("past the end");
    assert_eq!(refused.code(), ErrorCode::OFFSET_OUT_OF_RANGE);
    assert!(refused.message().contains("offset 3 was asked for, 0 to 2 are there"), "{refused}");
}

#[test]
fn a_read_never_shows_a_batch_that_reaches_past_its_bound() {
    let place = Place::new();
    let log = place.open(LogConfig::default(), true);
    for _ in 0..3 {
        append(&log, &["a", "b", "c"]).expect("appends");
    }
    for bound in 0..=9 {
        let up_to = UpTo::Offset(Offset(bound));
        let fetched = log.read(Fetch { from: Offset(0), bytes_max: 1 << 20, up_to, min_one_message: true });
        let count = batches(&fetched.expect("reads").batches).count() as u64;
        assert_eq!(count, bound / 3, "bound {bound}");
    }
}

#[test]
fn a_batch_over_max_message_bytes_is_refused_and_its_neighbours_are_unharmed() {
    let place = Place::new();
    let log = place.open(LogConfig { max_message_bytes: 200, ..LogConfig::default() }, true);
    append(&log, &["small"]).expect("fits");
    assert_eq!(append(&log, &["x".repeat(200)]).expect_err("too large").code(), ErrorCode::MESSAGE_TOO_LARGE);
    append(&log, &["small"]).expect("fits");
    assert_eq!(read_all(&log, Offset(0), 1000).expect("reads").len(), 2);
}

#[test]
fn a_segment_rolls_by_bytes_by_record_time_and_when_an_index_is_full() {
    let by_bytes = Place::new();
    let log = by_bytes.open(small_segments(), true);
    for _ in 0..30 {
        append(&log, &["0123456789"]).expect("appends");
    }
    assert!(log.segment_summaries().iter().all(|segment| segment.log_bytes <= 1024));
    assert!(log.segment_summaries().len() > 1);

    let by_time = Place::new();
    let log = by_time.open(LogConfig { segment_age_max: Duration::from_millis(1000), ..LogConfig::default() }, true);
    for timestamp in [5_000, 6_000, 6_001, 6_500, 7_002] {
        log.append(&mut batch_at(&["v"], timestamp, None), EPOCH, Timestamp(0)).expect("appends");
    }
    let bases: Vec<u64> = log.segment_summaries().iter().map(|s| s.base_offset.0).collect();
    assert_eq!(bases, [0, 2, 4]);

    let by_index = Place::new();
    let tiny = LogConfig { segment_index_bytes: 36, index_interval_bytes: 0, ..LogConfig::default() };
    let log = by_index.open(tiny, true);
    for _ in 0..20 {
        append(&log, &["v"]).expect("appends");
    }
    assert!(log.segment_summaries().len() >= 4, "{:?}", log.segment_summaries());
    assert_eq!(read_all(&log, Offset(0), 100).expect("reads").len(), 20);
}

#[test]
fn log_append_time_is_the_leaders_clock_and_the_checksum_stays_right() {
    let place = Place::new();
    let log = place.open(LogConfig { timestamp_type: TimestampType::LogAppendTime, ..LogConfig::default() }, true);
    let appended = log.append(&mut batch_at(&["a"], 1, None), EPOCH, Timestamp(77)).expect("appends");
    assert_eq!(appended.log_append_time, Some(Timestamp(77)));
    let fetched = log.read(Fetch { from: Offset(0), bytes_max: 999, up_to: UpTo::LogEnd, min_one_message: true });
    let bytes = fetched.expect("reads").batches;
    let (_, view) = batches(&bytes).next().expect("one").expect("whole");
    assert!(view.crc_matches());
    let mut inflater = Inflater::new(0);
    let record = view.records(&mut inflater).expect("plain").next().expect("one").expect("whole");
    assert_eq!(record.timestamp, Some(Timestamp(77)));
}

#[test]
fn a_timestamp_too_far_in_the_future_or_the_past_is_refused() {
    let place = Place::new();
    let config = LogConfig {
        timestamp_after_max: Some(Duration::from_millis(10)),
        timestamp_before_max: Some(Duration::from_millis(20)),
        ..LogConfig::default()
    };
    let log = place.open(config, true);
    for (timestamp, fits) in [(1000, true), (1010, true), (1011, false), (980, true), (979, false)] {
        let outcome = log.append(&mut batch_at(&["a"], timestamp, None), EPOCH, Timestamp(1000));
        assert_eq!(outcome.is_ok(), fits, "{timestamp}");
        if let Err(e) = outcome {
            assert_eq!(e.code(), ErrorCode::INVALID_TIMESTAMP);
        }
    }
}

#[test]
fn a_retried_batch_is_answered_with_its_old_offsets_and_a_gap_is_refused() {
    let place = Place::new();
    let log = place.open(LogConfig::default(), true);
    let stamp = |sequence| Some(ProducerStamp { id: 9, epoch: 0, base_sequence: Some(sequence) });
    let send = |sequence| log.append(&mut batch_at(&["a", "b"], 5, stamp(sequence)), EPOCH, Timestamp(5));
    assert_eq!(send(0).expect("fresh").base_offset, Offset(0));
    assert_eq!(send(2).expect("fresh").base_offset, Offset(2));
    let again = send(0).expect("a duplicate is a success");
    assert_eq!((again.duplicate, again.base_offset, again.last_offset), (true, Offset(0), Offset(1)));
    assert_eq!(send(6).expect_err("gap").code(), ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_eq!(log.log_end(), Offset(4));
}

#[test]
fn bytes_of_a_client_are_validated_and_stored_as_they_came_but_for_offset_and_epoch() {
    let place = Place::new();
    let log = place.open(LogConfig::default(), true);
    append(&log, &["first"]).expect("appends");
    let foreign = batch(&["x", "y"]);
    let appended = log.append_raw(foreign.bytes(), LeaderEpoch(3), Timestamp(1_700_000_000_000)).expect("valid");
    assert_eq!((appended.base_offset, appended.last_offset), (Offset(1), Offset(2)));
    let bytes = std::fs::read(place.path.join("00000000000000000000.log")).expect("a file");
    let stored = &bytes[bytes.len() - foreign.bytes().len()..];
    assert_eq!(stored[17..], foreign.bytes()[17..]);
    assert_eq!(stored[8..12], foreign.bytes()[8..12]);
    let mut damaged = foreign.bytes().to_vec();
    *damaged.last_mut().expect("bytes") ^= 1;
    let refused = log.append_raw(&damaged, EPOCH, Timestamp(0)).expect_err("damaged");
    assert_eq!(refused.code(), ErrorCode::CORRUPT_MESSAGE);
    let two = [foreign.bytes(), foreign.bytes()].concat();
    assert_eq!(log.append_raw(&two, EPOCH, Timestamp(0)).expect_err("two").code(), ErrorCode::INVALID_RECORD);
    assert_eq!(log.log_end(), Offset(3));
}

#[test]
fn a_follower_that_appends_verbatim_has_the_same_bytes_as_the_leader() {
    let (leader, follower) = (Place::new(), Place::new());
    let (from, to) = (leader.open(small_segments(), true), follower.open(small_segments(), true));
    for n in 0..50 {
        append(&from, &values(1 + n % 3, "v")).expect("appends");
    }
    let mut next = Offset(0);
    while next < from.log_end() {
        let fetch = Fetch { from: next, bytes_max: 700, up_to: UpTo::LogEnd, min_one_message: true };
        let fetched = from.read(fetch).expect("reads");
        next = to.append_verbatim(&fetched.batches).expect("appends").last_offset.next();
    }
    let bytes = |place: &Place| -> Vec<u8> {
        let logs = place.files().into_iter().filter(|name| name.ends_with(".log"));
        logs.flat_map(|name| std::fs::read(place.path.join(name)).expect("a file")).collect()
    };
    assert_eq!(bytes(&leader), bytes(&follower));
    let behind = from.read(Fetch { from: Offset(0), bytes_max: 100, up_to: UpTo::LogEnd, min_one_message: true });
    let refused = to.append_verbatim(&behind.expect("reads").batches).expect_err("is there already");
    assert_eq!(refused.code(), ErrorCode::CORRUPT_MESSAGE);
}

#[test]
fn a_replicated_marker_that_says_nothing_is_refused_before_it_is_written() {
    let place = Place::new();
    let log = place.open(small_segments(), true);
    append(&log, &["first"]).expect("appends");
    let mut marker = end_txn_marker(4, 0, TxnResult::Abort, 0, Timestamp(1));
    marker.stamp(Offset(1), EPOCH);
    let mut bytes = marker.bytes().to_vec();
    bytes[66] = 0xff; // the key's version is negative now
    let crc = crc32c(&bytes[21..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    log.append_verbatim(&bytes).expect_err("says nothing");
    assert_eq!(log.log_end(), Offset(1));
    append(&log, &["second"]).expect("goes on");
    drop(log);
    let log = place.open(small_segments(), false);
    assert_eq!(log.recovery_report().truncated_bytes, 0);
    assert_eq!(read_all(&log, Offset(0), 999).expect("reads").len(), 2);
}

#[test]
fn a_read_by_time_finds_what_a_linear_search_finds() {
    let place = Place::new();
    let log = place.open(small_segments(), true);
    let mut rng = fastrand::Rng::with_seed(7);
    let mut times = Vec::new();
    for _ in 0..150 {
        let timestamp = rng.i64(1000..3000);
        times.push(timestamp);
        log.append(&mut batch_at(&["v"], timestamp, None), EPOCH, Timestamp(0)).expect("appends");
    }
    for at in 990..3010 {
        let expected = times.iter().position(|&t| t >= at).map(|n| (Offset(n as u64), Timestamp(times[n])));
        assert_eq!(log.offset_for_timestamp(Timestamp(at)).expect("reads"), expected, "at {at}");
    }
    let newest = *times.iter().max().expect("some");
    let first = times.iter().position(|&t| t == newest).expect("there");
    let found = log.offset_of_max_timestamp().expect("reads");
    assert_eq!(found, Some((Offset(first as u64), Timestamp(newest))));
}

#[test]
fn appends_of_many_threads_lie_whole_and_in_offset_order() {
    let place = Place::new();
    let log = place.open(LogConfig { segment_bytes: 4096, ..LogConfig::default() }, true);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let log = &log;
            scope.spawn(move || {
                for n in 0..100 {
                    let appended = append(log, &values(3, &format!("{thread}/{n}"))).expect("appends");
                    log.flush_up_to(appended.last_offset.next()).expect("syncs");
                    assert!(log.flushed() > appended.last_offset);
                }
            });
        }
    });
    let read = read_all(&log, Offset(0), 5000).expect("reads");
    assert!(read.iter().enumerate().all(|(n, (offset, _))| n as u64 == *offset));
    assert_eq!(read.len(), 1200);
    for batch in read.chunks(3) {
        let tag = &batch[0].1[..batch[0].1.len() - 4];
        assert!(batch.iter().all(|(_, value)| value.starts_with(tag)), "a batch was torn apart");
    }
}

#[test]
fn a_reader_at_the_tail_is_served_from_memory_and_sees_the_same_bytes() {
    let place = Place::new();
    let log = place.open(LogConfig::default(), true);
    append(&log, &["first"]).expect("appends");
    assert_eq!(read_all(&log, Offset(0), 100).expect("reads").len(), 1);
    for n in 1..50_u64 {
        append(&log, &["x".repeat(n as usize * 100)]).expect("appends");
        assert!(log.tail.get(Offset(n), Offset::MAX).is_some(), "batch {n} is not in memory");
        assert_eq!(read_all(&log, Offset(n), 100).expect("reads").len(), 1);
    }
}

#[test]
fn a_first_batch_beyond_the_reach_of_an_empty_segment_begins_a_segment_of_its_own_and_leaves_no_empty_one() {
    let far = Offset(5_000_000_000);
    for clean in [true, false] {
        let place = Place::new();
        let log = place.open(small_segments(), true);
        let mut sealed = batch(&["far"]);
        sealed.stamp(far, EPOCH);
        assert_eq!(log.append_verbatim(sealed.bytes()).expect("appends").base_offset, far);
        log.advance_high_watermark(log.log_end());
        let look = |log: &Log| {
            let bases: Vec<Offset> = log.segment_summaries().iter().map(|segment| segment.base_offset).collect();
            assert_eq!(bases, [far]);
            assert_eq!(log.log_end(), far.next());
            assert_eq!(read_all(log, far, 999).expect("reads"), [(far.0, b"far".to_vec())]);
            assert_eq!(read_all(log, Offset(0), 999).expect("reads").len(), 1);
        };
        look(&log);
        if clean {
            log.close().expect("closes");
        }
        drop(log);
        let log = place.open(small_segments(), clean);
        assert!(log.recovery_report().damage.is_none(), "{:?}", log.recovery_report());
        log.advance_high_watermark(log.log_end());
        assert_eq!(read_all(&log, far, 999).expect("reads").len(), 1);
        append(&log, &["next"]).expect("appends");
        assert!(log.drop_oldest_segment().expect("drops") > 0, "the records can be given up");
    }
}
