//! Whatever is in the file, and whatever is done to it.

use super::*;
use proptest::prelude::*;

/// Numbers small enough to collide, and now and then any.
fn field() -> impl Strategy<Value = u32> {
    prop_oneof![4 => 0u32..40, 1 => any::<u32>()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_file_gives_its_believable_beginning(fields in prop::collection::vec(field(), 0..60), rest in 0usize..12) {
        let room = Room::new();
        let mut bytes: Vec<u8> = fields.iter().flat_map(|field| field.to_be_bytes()).collect();
        bytes.truncate(bytes.len().saturating_sub(rest));
        std::fs::write(room.path(), &bytes).unwrap();

        let mut model: Vec<(u64, u32)> = Vec::new();
        for slot in bytes.chunks_exact(8) {
            let number = |at: usize| u32::from_be_bytes(slot[at..at + 4].try_into().unwrap());
            let (relative, position) = (number(0), number(4));
            let follows = model.last().is_none_or(|(r, p)| *r < u64::from(relative) && *p < position);
            if relative >> 31 == 1 || position >> 31 == 1 || !follows {
                break;
            }
            model.push((relative.into(), position));
        }
        if model == [(0, 0)] && bytes.len() >= 16 {
            model.clear();
        }
        let indexes = [
            room.sealed_offsets(),
            OffsetIndex::open_foreign(&room.disk, &room.path(), BASE),
        ];
        let check = |index: &OffsetIndex| {
            let expected: Vec<_> = model.iter().map(|(relative, position)| at(45 + relative, *position)).collect();
            assert_eq!(index.entries().unwrap(), expected);
            for target in (0..100).chain([45 + (1 << 31), u64::MAX]) {
                let found = expected.iter().rev().find(|(offset, _)| offset.0 <= target);
                assert_eq!(index.lookup(Offset(target)), found.copied().unwrap_or(at(45, 0)));
            }
        };
        indexes.iter().for_each(check);
        drop(indexes);
        let times = TimeIndex::open_sealed(&room.disk, &room.path(), BASE);
        for target in [i64::MIN, -1, 0, 5, i64::MAX] {
            prop_assert!(times.lookup(Timestamp(target)).is_none_or(|entry| entry.timestamp.0 <= target));
        }
        times.unload();
        let active = room.offsets();
        check(&active);
        let last = model.last().copied().unwrap_or((0, 0));
        if last.0 < 1 << 30 && last.1 < 1 << 30 {
            active.append(Offset(46 + last.0), Position(last.1 + 1)).unwrap();
        }
    }

    #[test]
    fn an_index_agrees_with_a_list_whatever_happens(ops in prop::collection::vec((0u8..8, 0u64..3000), 1..60)) {
        let room = Room::new();
        let mut index = room.offsets();
        let mut model: Vec<(Offset, Position)> = Vec::new();
        for (op, number) in ops {
            match op {
                0..=3 => for _ in 0..number / 20 {
                    let (offset, position) = model.last().copied().unwrap_or(at(45, 0));
                    let next = at(offset.0 + 1 + number % 7, position.0 + 61);
                    index.append(next.0, next.1).unwrap();
                    model.push(next);
                },
                4 => {
                    index.truncate_to(Offset(45 + number)).unwrap();
                    model.retain(|(offset, _)| offset.0 < 45 + number);
                }
                5 => {
                    index.seal();
                    index.retire();
                    index = room.offsets();
                }
                6 => {
                    drop(index);
                    index = room.offsets();
                }
                _ => {
                    let found = model.iter().rev().find(|(offset, _)| offset.0 <= 45 + number);
                    prop_assert_eq!(index.lookup(Offset(45 + number)), found.copied().unwrap_or(at(45, 0)));
                }
            }
            prop_assert_eq!(index.count().unwrap(), model.len());
        }
        index.seal();
        prop_assert_eq!(index.entries().unwrap(), model);
    }
}
