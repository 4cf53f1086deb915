use super::*;
use std::collections::BTreeSet;

const SEEDS: u64 = 400;

fn path(name: &str) -> &Path {
    Path::new(name)
}

/// A disk with a durable directory `/d`.
fn disk_with_dir() -> SimDisk {
    let disk = SimDisk::new(7);
    disk.create_dir(path("/d")).unwrap();
    disk.sync_dir(path("/")).unwrap();
    disk
}

/// A disk with a durable file `/d/f` that holds `bytes`.
fn disk_with_file(bytes: &[u8]) -> (SimDisk, Arc<dyn DiskFile>) {
    let disk = disk_with_dir();
    let file = disk.create(path("/d/f"), 0).unwrap();
    file.write_at(0, bytes).unwrap();
    file.sync_data().unwrap();
    disk.sync_dir(path("/d")).unwrap();
    (disk, file)
}

fn content(disk: &SimDisk, name: &str) -> Option<Vec<u8>> {
    disk.snapshot().remove(name)
}

/// What the same script leaves behind after crashes with many seeds.
fn outcomes(script: impl Fn() -> SimDisk) -> BTreeSet<BTreeMap<String, Vec<u8>>> {
    (0..SEEDS).map(|seed| script().crash(seed).snapshot()).collect()
}

#[test]
fn what_is_synced_survives_every_crash() {
    for seed in 0..SEEDS {
        let (disk, file) = disk_with_file(b"safe");
        file.write_at(4, &[9; 3000]).unwrap();
        let disk = disk.crash(seed);
        assert_eq!(&content(&disk, "/d/f").unwrap()[..4], b"safe", "seed {seed}");
    }
}

#[test]
fn what_is_not_synced_may_vanish_survive_or_tear_at_sectors() {
    let mut seen = BTreeSet::new();
    for seed in 0..SEEDS {
        let (disk, file) = disk_with_file(&[1; 2048]);
        file.write_at(100, &[2; 1900]).unwrap();
        let bytes = content(&disk.crash(seed), "/d/f").unwrap();
        assert_eq!(bytes.len(), 2048);
        let mut after = vec![1; 2048];
        after[100..2000].fill(2);
        let mut pattern = 0;
        for index in 0..4 {
            let sector = index * SECTOR_BYTES..(index + 1) * SECTOR_BYTES;
            let is_new = bytes[sector.clone()] == after[sector.clone()];
            assert!(is_new || bytes[sector].iter().all(|byte| *byte == 1), "seed {seed}: half a sector");
            pattern |= u8::from(is_new) << index;
        }
        seen.insert(pattern);
    }
    assert_eq!(seen.len(), 16, "every mixture of four sectors comes up");
}

#[test]
fn an_appended_tail_may_be_short_missing_or_full_of_zeros() {
    let (mut whole, mut missing, mut short, mut zeros) = (0, 0, 0, 0);
    for seed in 0..SEEDS {
        let (disk, file) = disk_with_file(&[1; 512]);
        file.write_at(512, &[2; 1024]).unwrap();
        let bytes = content(&disk.crash(seed), "/d/f").unwrap();
        assert!(bytes[..512].iter().all(|byte| *byte == 1));
        match &bytes[512..] {
            tail if tail == [2; 1024] => whole += 1,
            [] => missing += 1,
            tail if tail.len() < 1024 => short += 1,
            tail => zeros += usize::from(tail.contains(&0)),
        }
    }
    assert!(whole > 0 && missing > 0 && short > 0 && zeros > 0, "{whole} {missing} {short} {zeros}");
}

#[test]
fn a_synced_file_whose_directory_was_not_synced_may_lose_its_name() {
    let outcomes = outcomes(|| {
        let disk = disk_with_dir();
        let file = disk.create(path("/d/f"), 0).unwrap();
        file.write_at(0, b"safe").unwrap();
        file.sync_data().unwrap();
        disk
    });
    let expected = [BTreeMap::new(), BTreeMap::from([("/d/f".to_owned(), b"safe".to_vec())])];
    assert_eq!(outcomes, BTreeSet::from(expected));
}

#[test]
fn a_directory_may_take_its_synced_files_along() {
    let outcomes = outcomes(|| {
        let disk = SimDisk::new(1);
        disk.create_dir(path("/d")).unwrap();
        disk.create(path("/d/f"), 0).unwrap();
        disk.sync_dir(path("/d")).unwrap();
        disk
    });
    assert_eq!(outcomes.len(), 2);
}

#[test]
fn an_unsynced_rename_happens_whole_or_not_at_all() {
    let outcomes = outcomes(|| {
        let (disk, _) = disk_with_file(b"old");
        let new = disk.create(path("/d/f.tmp"), 0).unwrap();
        new.write_at(0, b"new").unwrap();
        new.sync_data().unwrap();
        disk.sync_dir(path("/d")).unwrap();
        disk.rename(path("/d/f.tmp"), path("/d/f")).unwrap();
        disk
    });
    let named = |name: &str, bytes: &[u8]| (name.to_owned(), bytes.to_vec());
    let before = BTreeMap::from([named("/d/f", b"old"), named("/d/f.tmp", b"new")]);
    let after = BTreeMap::from([named("/d/f", b"new")]);
    assert_eq!(outcomes, BTreeSet::from([before, after]));
}

#[test]
fn a_rename_before_its_content_was_synced_can_leave_an_empty_file() {
    let outcomes = outcomes(|| {
        let (disk, _) = disk_with_file(b"old");
        disk.create(path("/d/f.tmp"), 0).unwrap().write_at(0, b"new").unwrap();
        disk.rename(path("/d/f.tmp"), path("/d/f")).unwrap();
        disk.sync_dir(path("/d")).unwrap();
        disk
    });
    assert!(outcomes.contains(&BTreeMap::from([("/d/f".to_owned(), Vec::new())])));
    assert!(outcomes.iter().all(|files| files.len() == 1 && files["/d/f"] != b"old"));
}

#[test]
fn an_unsynced_removal_may_come_back_and_names_never_double() {
    let outcomes = outcomes(|| {
        let (disk, _) = disk_with_file(b"x");
        disk.create_dir(path("/e")).unwrap();
        disk.sync_dir(path("/")).unwrap();
        disk.rename(path("/d/f"), path("/e/g")).unwrap();
        disk.rename(path("/e/g"), path("/e/h")).unwrap();
        disk.sync_dir(path("/d")).unwrap();
        disk
    });
    assert!(outcomes.iter().all(|files| files.len() == 1), "one file, one name: {outcomes:?}");
    assert_eq!(outcomes.len(), 3);

    let outcomes = self::outcomes(|| {
        let (disk, _) = disk_with_file(b"x");
        disk.remove(path("/d/f")).unwrap();
        disk
    });
    assert_eq!(outcomes.len(), 2);
}

#[test]
fn a_failed_sync_loses_for_ever_and_the_next_one_says_ok() {
    let mut lost = 0;
    for seed in 0..SEEDS {
        let (disk, file) = disk_with_file(&[1; 512]);
        file.write_at(512, &[2; 512]).unwrap();
        disk.fail_nth(FaultyCalls::Only(Call::Sync), 1, FaultKind::Eio, Repeat::Once);
        assert_eq!(file.sync_data().unwrap_err().raw_os_error(), Some(libc::EIO));
        assert_eq!(content(&disk, "/d/f").unwrap().len(), 1024, "still readable");
        file.write_at(1024, &[3; 512]).unwrap();
        file.sync_data().unwrap();
        let bytes = content(&disk.crash(seed), "/d/f").unwrap();
        assert_eq!((bytes.len(), bytes[1024]), (1536, 3));
        lost += u64::from(bytes[512] == 0);
    }
    // The disk has one seed here, so it is all or nothing.
    assert!(lost == SEEDS || lost == 0);
    let others = (0..32).filter(|seed| {
        let disk = SimDisk::new(*seed);
        let file = disk.create(path("/f"), 0).unwrap();
        disk.sync_dir(path("/")).unwrap();
        file.write_at(0, b"gone").unwrap();
        disk.fail_nth(FaultyCalls::Only(Call::Sync), 1, FaultKind::Eio, Repeat::Once);
        file.sync_data().unwrap_err();
        file.sync_data().unwrap();
        content(&disk.crash(1), "/f").unwrap() != b"gone"
    });
    assert!(others.count() > 8);
}

#[test]
fn a_crash_is_decided_by_its_seed_alone() {
    let run = |seed| {
        let (disk, file) = disk_with_file(&[1; 4096]);
        for at in 0..20 {
            file.write_at(at * 300, &[at as u8 + 2; 700]).unwrap();
            disk.create(path(&format!("/d/{at}")), 0).unwrap();
        }
        disk.crash(seed).snapshot()
    };
    for seed in 0..50 {
        assert_eq!(run(seed), run(seed));
    }
    assert!((0..50).map(run).collect::<BTreeSet<_>>().len() > 25);
}

#[test]
fn everything_that_a_dead_process_holds_is_dead() {
    let (disk, file) = disk_with_file(&[1; 512]);
    let map = file.map_mut(512).unwrap();
    map.trim_on_close(8);
    let mapped = disk.open_read(path("/d/f")).unwrap().map(4).unwrap();
    let lock = disk.lock(path("/d/.lock")).unwrap();
    let next = disk.restart();
    assert!(file.len().is_err() && file.write_at(0, b"x").is_err() && file.sync_data().is_err());
    assert!(disk.list(path("/d")).is_err() && disk.remove(path("/d/f")).is_err());
    map.write(0, b"late");
    let held = next.lock(path("/d/.lock")).unwrap();
    drop((map, file, lock));
    assert_eq!(content(&next, "/d/f").unwrap(), [1; 512], "neither written nor cut by the dead");
    assert_eq!(next.lock(path("/d/.lock")).err().unwrap().kind(), io::ErrorKind::WouldBlock);
    drop(held);
    next.lock(path("/d/.lock")).unwrap();
    assert_eq!(&mapped[..], [1; 4]);
}

#[test]
fn a_killed_process_leaves_its_writes_to_the_next_power_cut() {
    let (disk, file) = disk_with_file(b"");
    file.write_at(0, b"cached").unwrap();
    let disk = disk.restart();
    assert_eq!(content(&disk, "/d/f").unwrap(), b"cached");
    let gone = (0..SEEDS).any(|seed| {
        let (disk, file) = disk_with_file(b"");
        file.write_at(0, b"cached").unwrap();
        content(&disk.restart().crash(seed), "/d/f").unwrap().is_empty()
    });
    assert!(gone);
}

#[test]
fn a_writable_map_grows_the_file_and_is_durable_only_after_a_sync() {
    let outcomes = outcomes(|| {
        let (disk, file) = disk_with_file(b"");
        let map = file.map_mut(1024).unwrap();
        map.write(0, &[5; 1024]);
        map.sync().unwrap();
        map.write(512, &[6; 8]);
        disk
    });
    assert!(outcomes.iter().all(|files| files["/d/f"].len() == 1024 && files["/d/f"][..512] == [5; 512]));
    assert_eq!(outcomes.len(), 2);
}

#[test]
fn a_map_is_cut_to_size_when_its_last_holder_lets_go() {
    let (disk, file) = disk_with_file(b"");
    let map = file.map_mut(4096).unwrap();
    let second = map.clone();
    map.trim_on_close(16);
    drop((map, file));
    assert_eq!(content(&disk, "/d/f").unwrap().len(), 4096);
    drop(second);
    assert_eq!(content(&disk, "/d/f").unwrap().len(), 16);
}

#[test]
#[should_panic(expected = "under a mapping")]
fn cutting_a_mapped_file_is_caught() {
    let (_disk, file) = disk_with_file(&[1; 100]);
    let _mapped = file.map(60).unwrap();
    file.set_len(59).unwrap();
}

#[test]
#[should_panic(expected = "under a mapping")]
fn writing_over_bytes_mapped_for_reading_is_caught() {
    let (_disk, file) = disk_with_file(&[1; 100]);
    let _mapped = file.map(60).unwrap();
    file.write_at(60, b"fine").unwrap();
    file.write_at(59, b"not").unwrap();
}

#[test]
fn a_full_disk_takes_what_fits_and_gives_room_back() {
    let (disk, file) = disk_with_file(b"");
    disk.set_capacity_bytes(8192);
    let other = disk.create(path("/d/other"), 4096).unwrap();
    assert_eq!(disk.create(path("/d/more"), 4097).err().unwrap().kind(), io::ErrorKind::StorageFull);
    assert_eq!(file.write_at(0, &[1; 5000]).unwrap_err().raw_os_error(), Some(libc::ENOSPC));
    assert_eq!(file.len().unwrap(), 4096);
    assert_eq!(file.map_mut(5000).err().unwrap().raw_os_error(), Some(libc::ENOSPC));
    assert_eq!(file.len().unwrap(), 4096, "a map that does not fit leaves the file alone");
    other.write_at(0, &[1; 4096]).unwrap();
    disk.remove(path("/d/other")).unwrap();
    assert_eq!(file.write_at(0, &[1; 5000]).unwrap_err().kind(), io::ErrorKind::StorageFull, "still open");
    drop(other);
    file.write_at(0, &[1; 5000]).unwrap();
}

#[test]
fn the_nth_call_of_a_kind_fails_once_or_for_ever() {
    let (disk, file) = disk_with_file(b"");
    disk.fail_nth(FaultyCalls::Only(Call::Write), 2, FaultKind::Eio, Repeat::Once);
    file.write_at(0, b"1").unwrap();
    file.write_at(1, b"2").unwrap_err();
    file.write_at(1, b"2").unwrap();
    disk.fail_nth(FaultyCalls::Changes, 1, FaultKind::Erofs, Repeat::Forever);
    assert_eq!(file.len().unwrap(), 2);
    assert!(file.write_at(2, b"3").is_err() && disk.rename(path("/d/f"), path("/d/g")).is_err());
    assert_eq!(disk.faults_fired(), 3);
    disk.clear_faults();
    file.write_at(2, b"3").unwrap();
    disk.fail_nth(FaultyCalls::Only(Call::Write), 1, FaultKind::ShortThenError, Repeat::Once);
    file.write_at(3, &[4; 100]).unwrap_err();
    let len = content(&disk, "/d/f").unwrap().len();
    assert!((3..=103).contains(&len));
}

#[test]
fn a_process_can_be_made_to_die_at_each_change() {
    let mut survivors = BTreeSet::new();
    for nth in 1.. {
        let disk = SimDisk::new(3);
        disk.fail_nth(FaultyCalls::Changes, nth, FaultKind::Die, Repeat::Once);
        let script = || -> io::Result<()> {
            let file = disk.create(path("/f"), 0)?;
            file.write_at(0, b"x")?;
            file.sync_data()?;
            disk.sync_dir(path("/"))
        };
        let outcome = script();
        assert_eq!(outcome.is_ok(), disk.faults_fired() == 0);
        if outcome.is_ok() {
            assert_eq!(nth, 5);
            break;
        }
        assert!(disk.exists(path("/f")).is_err());
        survivors.insert(disk.restart().exists(path("/f")).unwrap());
    }
    assert_eq!(survivors.len(), 2);
}

#[test]
fn calls_and_bytes_are_counted() {
    let (disk, file) = disk_with_file(b"12345678");
    let before = disk.counts();
    file.write_pieces_at(8, &[b"ab", b"cd"]).unwrap();
    file.read_at(0, &mut [0; 12]).unwrap();
    file.sync_data().unwrap();
    let cost = disk.counts() - before;
    assert_eq!((cost.of(Call::Write), cost.of(Call::Read), cost.of(Call::Sync), cost.total()), (1, 1, 1, 3));
    assert_eq!((cost.write_bytes, cost.read_bytes), (4, 12));
}

#[test]
fn rot_is_there_before_and_after_a_crash() {
    let (disk, _) = disk_with_file(&[0; 10]);
    disk.rot(path("/d/f"), 3, 0x80).unwrap();
    assert_eq!(content(&disk, "/d/f").unwrap()[3], 0x80);
    assert_eq!(content(&disk.crash(0), "/d/f").unwrap()[3], 0x80);
}

#[test]
fn names_behave_as_in_a_real_file_system() {
    let disk = disk_with_dir();
    let errno = |outcome: io::Result<()>| outcome.unwrap_err().raw_os_error().unwrap();
    disk.create(path("/d/a"), 0).unwrap();
    assert_eq!(errno(disk.create(path("/d/a"), 0).map(|_| ())), libc::EEXIST);
    assert_eq!(errno(disk.create(path("/none/a"), 0).map(|_| ())), libc::ENOENT);
    assert_eq!(errno(disk.open(path("/d")).map(|_| ())), libc::EISDIR);
    assert_eq!(errno(disk.open(path("/d/b")).map(|_| ())), libc::ENOENT);
    assert_eq!(errno(disk.remove_dir(path("/d"))), libc::ENOTEMPTY);
    assert_eq!(errno(disk.list(path("/d/a")).map(|_| ())), libc::ENOTDIR);
    disk.create_dir(path("/d")).unwrap();
    disk.create_dir(path("/d/sub")).unwrap();
    let entries = disk.list(path("/d/")).unwrap();
    assert_eq!(entries, [("a", false), ("sub", true)].map(|(name, is_dir)| DirEntry { name: name.into(), is_dir }));
    disk.rename(path("/d"), path("/e")).unwrap();
    assert!(disk.exists(path("/e/a")).unwrap() && !disk.exists(path("/d/a")).unwrap());
    disk.remove_dir(path("/e/sub")).unwrap();
    disk.remove(path("/e/a")).unwrap();
    disk.remove_dir(path("e")).unwrap();
    assert_eq!(disk.list(path("/")).unwrap(), []);
    assert_eq!(disk.open_read(path("/x")).err().unwrap().kind(), io::ErrorKind::NotFound);
}

#[test]
fn the_counting_disk_counts_over_any_disk() {
    use crate::sim::CountingDisk;
    let disk = CountingDisk::new(Arc::new(SimDisk::new(0)));
    let file = disk.create(path("/f"), 0).unwrap();
    let map = file.map_mut(64).unwrap();
    map.write(0, b"entry");
    map.sync().unwrap();
    file.write_pieces_at(64, &[b"ab", b"c"]).unwrap();
    disk.sync_dir(path("/")).unwrap();
    let counts = disk.counts();
    assert_eq!(
        [Call::Create, Call::MapMut, Call::MapWrite, Call::MapSync, Call::Write, Call::SyncDir].map(|c| counts.of(c)),
        [1; 6]
    );
    assert_eq!((counts.write_bytes, counts.total()), (3, 5));
}
