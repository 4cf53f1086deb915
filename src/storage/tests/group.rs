use super::*;
use crate::error::ErrorCode;
use crate::sim::{Call, CountingDisk, FaultKind, FaultyCalls, Repeat, SimDisk};

const NOW: Timestamp = Timestamp(1_700_000_000_000);

fn group(names: &[&str]) -> Vec<SealedBatch> {
    names.iter().map(|name| batch(&values(3, name))).collect()
}

#[test]
fn a_group_leaves_the_same_bytes_as_its_batches_one_by_one() {
    let (together, alone) = (Place::new(), Place::new());
    let names: Vec<String> = (0..50).map(|n| format!("batch{n}-{}", "x".repeat(n % 40))).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let log = together.open(small_segments(), true);
    let (placed, outcome) = log.append_group(&mut group(&names), EPOCH, NOW);
    outcome.expect("appends");
    assert_eq!(placed, 50);
    let one_by_one = alone.open(small_segments(), true);
    for mut batch in group(&names) {
        one_by_one.append(&mut batch, EPOCH, NOW).expect("appends");
    }
    assert_eq!(log.segment_summaries(), one_by_one.segment_summaries());
    assert!(log.segment_summaries().len() > 5, "the test wants many segments");
    log.close().expect("closes");
    one_by_one.close().expect("closes");
    for name in together.files().iter().filter(|name| name.ends_with(".log") || name.ends_with(".index")) {
        let read = |place: &Place| std::fs::read(place.path.join(name)).expect("reads");
        assert!(read(&together) == read(&alone), "{name} differs");
    }
}

#[test]
fn a_group_is_one_write() {
    let disk = Arc::new(CountingDisk::new(Arc::new(RealDisk)));
    let place = Place::new();
    let log = Log::open(opening(disk.clone(), &place.path, LogConfig::default(), true)).expect("opens");
    append(&log, &["the epoch is begun"]).expect("appends");
    let before = disk.counts();
    log.append_group(&mut group(&["a", "b", "c", "d"]), EPOCH, NOW).1.expect("appends");
    assert_eq!((disk.counts() - before).of(Call::Write), 1);
}

#[test]
fn a_group_ends_before_the_batch_that_is_refused() {
    let place = Place::new();
    let log = place.open(LogConfig { max_message_bytes: 300, ..LogConfig::default() }, true);
    let mut batches = group(&["a", "b", "c"]);
    batches.insert(2, batch(&["x".repeat(300)]));
    let (placed, outcome) = log.append_group(&mut batches, EPOCH, NOW);
    assert_eq!((placed, outcome.expect_err("too large").code()), (2, ErrorCode::MESSAGE_TOO_LARGE));
    assert_eq!(log.log_end(), Offset(6));
    let (placed, outcome) = log.append_group(&mut batches[3..], EPOCH, NOW);
    outcome.expect("the rest fits");
    assert_eq!((placed, log.log_end()), (1, Offset(9)));
    assert_eq!(read_all(&log, Offset::ZERO, 1 << 20).expect("reads").len(), 9);
}

#[test]
fn a_group_whose_write_fails_is_not_in_the_log_and_the_log_is_off() {
    let disk = SimDisk::new(7);
    disk.create_dir("/d".as_ref()).expect("creates");
    let log = Log::open(opening(Arc::new(disk.clone()), "/d/t-0".as_ref(), LogConfig::default(), true)).expect("opens");
    append(&log, &["before"]).expect("appends");
    disk.fail_nth(FaultyCalls::Only(Call::Write), 1, FaultKind::Eio, Repeat::Once);
    let (placed, outcome) = log.append_group(&mut group(&["a", "b"]), EPOCH, NOW);
    assert_eq!((placed, outcome.expect_err("fails").code()), (0, ErrorCode::KAFKA_STORAGE_ERROR));
    let (placed, outcome) = log.append_group(&mut group(&["c", "d"]), EPOCH, NOW);
    assert_eq!((placed, outcome.expect_err("off").code()), (0, ErrorCode::KAFKA_STORAGE_ERROR));
    assert_eq!(log.log_end(), Offset(1));
}
