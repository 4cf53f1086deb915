//! A disk that failed a call, and whoever opens the log after it.

use super::super::doubt::DOUBT_FILE;
use super::super::names::{file_name, FileKind};
use super::*;

/// A log start that no log here reaches.
const FAR: u64 = 5000;
type Work = fn(&SimDisk) -> Result<()>;

struct Life {
    before: Work,
    work: Work,
    /// What the checkpoint says when somebody opens the log after it.
    log_start: u64,
    /// It has more calls than this.
    calls: usize,
}

const NOW: Timestamp = Timestamp(1_700_000_000_000);

fn open_at(disk: &SimDisk, log_start: u64) -> Result<Log> {
    let opening = opening(shared(disk), &dir().join("t-0"), small_segments(), false);
    Log::open(Opening { log_start: Offset(log_start), ..opening })
}

fn append_and_flush(log: &Log, numbers: std::ops::Range<u8>) -> Result<()> {
    for number in numbers {
        log.append(&mut batch(&[[number; 200]]), EPOCH, NOW)?;
        if number % 3 == 1 {
            log.flush_up_to(log.log_end())?;
        }
    }
    log.advance_high_watermark(log.log_end());
    Ok(())
}

fn growing(disk: &SimDisk) -> Result<()> {
    append_and_flush(&open_at(disk, 0)?, 0..12)
}

fn nothing(_: &SimDisk) -> Result<()> {
    Ok(())
}

/// As a cleaner leaves it that died when it had joined the first two segments.
fn joining(disk: &SimDisk) -> Result<()> {
    growing(disk)?;
    let segments = open_at(disk, 0)?.segment_summaries();
    let path = |n: usize| dir().join("t-0").join(file_name(segments[n].base_offset, FileKind::Log));
    let joined = [0, 1].map(|n| read_file(disk, &path(n), u64::MAX).expect("reads").expect("is there")).concat();
    let swap = path(0).with_extension("log.swap");
    let write = || disk.create(&swap, 0).and_then(|file| file.write_at(0, &joined).and_then(|()| file.sync_data()));
    write().expect("writes");
    disk.sync_dir(&dir().join("t-0")).expect("syncs");
    Ok(())
}

fn opening_only(disk: &SimDisk) -> Result<()> {
    open_at(disk, 0).map(drop)
}

/// Segments go from the end, from the beginning, and all at once; an empty one gets another name.
fn shrinking(disk: &SimDisk) -> Result<()> {
    let log = open_at(disk, 0)?;
    append_and_flush(&log, 0..20)?;
    log.truncate_to(log.log_start().max(Offset(6)))?;
    append_and_flush(&log, 100..108)?;
    log.delete_records(Some(Offset(9)))?;
    log.apply_retention(NOW)?;
    log.delete_due_files(crate::time::Instant(u64::MAX))?;
    log.truncate_to(log.log_start())?;
    let mut far = batch(&["far"]);
    far.stamp(Offset(1000), EPOCH);
    log.append_verbatim(far.bytes())?;
    append_and_flush(&log, 200..212)
}

/// Everything lies below the log start.
fn starting_over(disk: &SimDisk) -> Result<()> {
    append_and_flush(&open_at(disk, FAR)?, 220..223)
}

/// Makes the `nth` changing call of a log's life fail, opens it again in another process on the same page cache, and asks after a power
/// cut for what was there, and durable by every word of the disk. False when the life has fewer calls.
fn a_failure_is_made_up_for(life: &Life, nth: u64, kind: FaultKind) -> bool {
    let disk = new_disk(nth);
    (life.before)(&disk).expect("nothing fails yet");
    disk.fail_nth(FaultyCalls::Changes, nth, kind, Repeat::Once);
    let outcome = (life.work)(&disk);
    if disk.faults_fired() == 0 {
        return false;
    }
    disk.clear_faults();
    let disk = disk.restart();
    let run = format!("call {nth} failed with {kind:?}: {outcome:?}");
    let log = open_at(&disk, life.log_start).unwrap_or_else(|e| panic!("{run}: {e}"));
    assert!(log.recovery_report().damage.is_none(), "{run}: {:?}", log.recovery_report());
    let found = read_all(&log, log.log_start(), 1 << 20).unwrap_or_else(|e| panic!("{run}: {e}"));
    log.append(&mut batch(&["kept"]), EPOCH, NOW).expect("appends");
    log.flush_up_to(log.log_end()).expect("flushes");
    for seed in 0..8 {
        let kept =
            open_at(&disk.crash(seed), life.log_start).unwrap_or_else(|e| panic!("{run}; power cut {seed}: {e}"));
        assert!(kept.recovery_report().damage.is_none(), "{run}; power cut {seed}: {:?}", kept.recovery_report());
        assert_eq!(kept.log_start(), log.log_start(), "{run}; power cut {seed}");
        let left = read_all(&kept, kept.log_start(), 1 << 20).expect("reads");
        assert_eq!(left.len(), found.len() + 1, "{run}; power cut {seed}");
        assert_eq!(left[..found.len()], found[..], "{run}; power cut {seed}");
    }
    true
}

/// Linux takes for clean what it could not write: the next opening may neither believe that nor ask for another sync alone.
#[test]
fn whatever_call_fails_the_next_opening_loses_nothing_that_it_finds_and_brings_nothing_back() {
    let lives = [
        Life { before: nothing, work: growing, log_start: 0, calls: 40 },
        Life { before: growing, work: growing, log_start: 0, calls: 40 },
        Life { before: nothing, work: shrinking, log_start: 0, calls: 100 },
        Life { before: growing, work: shrinking, log_start: 0, calls: 100 },
        Life { before: growing, work: starting_over, log_start: FAR, calls: 30 },
        Life { before: joining, work: opening_only, log_start: 0, calls: 10 },
    ];
    for life in lives {
        for kind in [FaultKind::Eio, FaultKind::ShortThenError] {
            let calls = (1..).take_while(|nth| a_failure_is_made_up_for(&life, *nth, kind)).count();
            assert!(calls > life.calls, "only {calls} calls could fail");
        }
    }
}

#[test]
fn a_disk_that_is_full_keeps_no_log_closed_whichever_call_found_no_room() {
    let append =
        |log: &Log| (0..60).try_for_each(|number| log.append(&mut batch(&[[number; 200]]), EPOCH, NOW).map(drop));
    let mut full = 0;
    for room in (16..64).map(|kib| kib * 1024) {
        let disk = new_disk(room);
        disk.set_capacity_bytes(room);
        let Ok(log) = open_at(&disk, 0) else { continue }; // no room for its first files
        append(&log).expect_err("the disk is full");
        let (end, path) = (log.log_end(), dir().join("t-0"));
        drop(log);
        assert!(!disk.exists(&path.join(DOUBT_FILE)).expect("looks"), "room {room}");
        let disk = disk.restart();
        let log = open_at(&disk, 0).unwrap_or_else(|e| panic!("room {room}: {e}"));
        assert_eq!(log.log_end(), end, "room {room}");
        full += 1;
    }
    assert!(full > 30, "only {full} logs filled a disk");
}

#[test]
fn a_log_that_failed_to_open_is_made_anew_by_the_same_process_even_if_no_note_could_be_left() {
    for nth in 1..5 {
        let (disk, path) = (new_disk(nth), dir().join("t-0"));
        let open = |in_doubt| {
            let opening = opening(shared(&disk), &path, LogConfig::default(), true);
            Log::open(Opening { in_doubt, ..opening })
        };
        disk.fail_nth(FaultyCalls::Only(Call::SyncDir), nth, FaultKind::Eio, Repeat::Once);
        let failed = open(false).is_err();
        disk.clear_faults();
        let note = path.join(DOUBT_FILE);
        assert_eq!(disk.exists(&note).expect("looks"), failed, "directory sync {nth}");
        if failed {
            disk.remove(&note).expect("removes");
        }
        let log = open(failed).expect("opens");
        assert!(!disk.exists(&note).expect("looks"));
        log.append(&mut batch(&["kept"]), EPOCH, Timestamp(1_700_000_000_000)).expect("appends");
        log.flush_up_to(Offset(1)).expect("flushes");
        for seed in 0..20 {
            let kept = Log::open(opening(Arc::new(disk.crash(seed)), &path, LogConfig::default(), false));
            let found = read_all(&kept.expect("recovers"), Offset::ZERO, 1 << 20).expect("reads").len();
            assert_eq!(found, 1, "directory sync {nth} failed, power cut {seed}");
        }
    }
}

#[test]
fn a_log_that_dies_while_it_starts_over_does_so_the_next_time() {
    at_every_death(growing, starting_over, |disk, _| {
        let log = open_at(disk, FAR).expect("recovers");
        assert!(log.recovery_report().damage.is_none(), "{:?}", log.recovery_report());
        assert_eq!(log.log_start(), Offset(FAR));
        append_and_flush(&log, 0..3).expect("goes on");
    });
}
