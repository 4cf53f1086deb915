//! The cases of Kafka's TransactionIndexTest, and its files.

use super::*;
use crate::disk::RealDisk;

fn entry(producer_id: i64, first: u64, last: u64, stable: u64) -> AbortedTxn {
    AbortedTxn {
        producer_id,
        first_offset: Offset(first),
        last_offset: Offset(last),
        last_stable_offset: Offset(stable),
    }
}

struct Room {
    _dir: tempfile::TempDir,
    path: PathBuf,
    disk: Arc<dyn Disk>,
}

impl Room {
    fn new() -> Room {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("00000000000000000000.txnindex");
        Room { _dir: dir, path, disk: Arc::new(RealDisk) }
    }
    fn open(&self) -> Result<TxnIndex> {
        TxnIndex::open(&self.disk, &self.path, Offset(0))
    }
    fn filled(&self) -> (TxnIndex, [AbortedTxn; 5]) {
        // The cases of Kafka's TransactionIndexTest.
        let entries =
            [entry(0, 0, 10, 2), entry(1, 5, 15, 16), entry(2, 18, 35, 25), entry(3, 32, 50, 40), entry(4, 52, 65, 70)];
        let index = self.open().unwrap();
        entries.iter().for_each(|entry| index.append(*entry).unwrap());
        (index, entries)
    }
}

#[test]
fn the_file_comes_with_the_first_entry_and_has_kafkas_bytes() {
    let room = Room::new();
    let index = room.open().unwrap();
    index.sync().unwrap();
    assert!(!room.path.exists());
    index.append(entry(7, 1, 2, 3)).unwrap();
    let expected = [&[0, 0, 0, 0, 0, 0, 0, 0, 0, 7][..], &[0, 0, 0, 0, 0, 0, 0, 1], &[0, 0, 0, 0, 0, 0, 0, 2]].concat();
    assert_eq!(std::fs::read(&room.path).unwrap(), [&expected[..], &[0, 0, 0, 0, 0, 0, 0, 3]].concat());
}

#[test]
fn entries_survive_a_reopen_and_more_may_follow() {
    let room = Room::new();
    let (index, mut expected) = room.filled();
    index.sync().unwrap();
    drop(index);
    let index = room.open().unwrap();
    assert_eq!(index.entries().unwrap(), expected);
    index.append(entry(5, 60, 99, 100)).unwrap();
    index.seal();
    expected[4] = entry(5, 60, 99, 100);
    assert_eq!(index.entries().unwrap().last(), expected.last());
    assert_eq!(index.last_offset(), Some(Offset(99)));
    assert_eq!(room.open().unwrap().entries().unwrap().len(), 6);
}

#[test]
fn markers_have_to_ascend_within_the_segment() {
    let room = Room::new();
    let (index, _) = room.filled();
    assert_eq!(index.append(entry(9, 1, 65, 80)).unwrap_err().code(), ErrorCode::CORRUPT_MESSAGE);
    let other = TxnIndex::open(&room.disk, &room.path.with_extension("other"), Offset(100)).unwrap();
    assert_eq!(other.append(entry(0, 1, 99, 80)).unwrap_err().code(), ErrorCode::CORRUPT_MESSAGE);
    assert!(other.append(entry(0, 1, 100, 80)).is_ok(), "a transaction may begin in an earlier segment");
}

#[test]
fn a_range_gets_the_transactions_it_overlaps_and_knows_when_it_has_all() {
    let room = Room::new();
    let (index, all) = room.filled();
    let collect = |from: u64, to: u64| {
        let mut found = Vec::new();
        let is_complete = index.collect(Offset(from), Offset(to), &mut found).unwrap();
        (found, is_complete)
    };
    assert_eq!(collect(0, 100), (all.to_vec(), false));
    assert_eq!(collect(0, 32), (all[..3].to_vec(), true));
    assert_eq!(collect(0, 35), (all[..4].to_vec(), true));
    assert_eq!(collect(10, 35), (all[..4].to_vec(), true));
    assert_eq!(collect(11, 35), (all[1..4].to_vec(), true));
    assert_eq!(collect(20, 41), (all[2..4].to_vec(), true));
    assert_eq!(collect(0, 1), (all[..1].to_vec(), true));
    assert_eq!(collect(66, 70), (vec![], true));
}

#[test]
fn truncation_drops_markers_at_or_behind_the_end() {
    let room = Room::new();
    let (index, all) = room.filled();
    index.truncate_to(Offset(51)).unwrap();
    assert_eq!(index.entries().unwrap(), all[..4]);
    index.truncate_to(Offset(50)).unwrap();
    assert_eq!(room.open().unwrap().entries().unwrap(), all[..3]);
    index.append(entry(8, 36, 40, 41)).unwrap();
    assert_eq!(index.entries().unwrap().len(), 4);
    index.truncate_to(Offset(0)).unwrap();
    assert!(room.path.exists() && index.entries().unwrap().is_empty());
    index.append(entry(1, 5, 15, 16)).unwrap();
    let index = TxnIndex::discard(&room.disk, &room.path, Offset(0)).unwrap();
    assert!(!room.path.exists() && index.last_offset().is_none());
}

#[test]
fn a_file_that_is_not_sane_is_refused() {
    let room = Room::new();
    let good = [entry(0, 0, 10, 2).encode(), entry(1, 5, 15, 16).encode()].concat();
    std::fs::write(&room.path, [&good[..], &[0; 33]].concat()).unwrap();
    let index = room.open().unwrap();
    assert_eq!(index.entries().unwrap().len(), 2, "half an entry is not looked at");
    index.append(entry(2, 18, 35, 25)).unwrap();
    assert_eq!(room.open().unwrap().entries().unwrap().len(), 3);

    let mut newer = good.clone();
    newer[1] = 1;
    let mut negative = good.clone();
    negative[10] = 0x80;
    let swapped = [&good[34..], &good[..34]].concat();
    let zeros = [&good[..], &[0; 34]].concat();
    for bytes in [newer, negative, swapped, zeros, vec![0; 34], vec![0xff; 68]] {
        std::fs::write(&room.path, bytes).unwrap();
        assert_eq!(room.open().unwrap_err().code(), ErrorCode::CORRUPT_MESSAGE);
    }
    let below = TxnIndex::open(&room.disk, &room.path, Offset(11));
    assert_eq!(below.unwrap_err().code(), ErrorCode::CORRUPT_MESSAGE);
}

#[test]
fn kafkas_own_files_are_read() {
    let Some(shared) = crate::testing::shared() else { return };
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    for vector in crate::storage::vectors::segments(&shared) {
        let mut aborted = 0;
        for (name, path) in vector.files(crate::storage::names::FileKind::TxnIndex) {
            let index = TxnIndex::open(&disk, &path, name.base).unwrap();
            let entries = index.entries().unwrap();
            aborted += entries.len() as u64;
            assert_eq!(decode(&std::fs::read(&path).unwrap()).unwrap(), entries);
            let bytes: Vec<u8> = entries.iter().flat_map(|entry| entry.encode()).collect();
            assert_eq!(bytes, std::fs::read(&path).unwrap(), "{}", path.display());
        }
        assert_eq!(vector.manifest["summary"]["aborted_txns"], aborted, "{}", vector.dir.display());
    }
}
