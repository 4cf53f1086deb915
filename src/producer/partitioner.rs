//! Which partition a record goes to: its own wish, a custom partitioner, murmur2 of its key, or the sticky rule.
//!
//! Everything here is pure; the sticky partition itself is one atomic per topic in `topics.rs`.

/// A custom partitioner (Kafka's `partitioner.class`), asked for every record that names no partition itself.
pub trait Partitioner: Send + Sync {
    /// Must answer at once. A partition that the topic does not have fails the send with INVALID_ARG.
    fn partition(&self, asked: PartitionChoice<'_>) -> u32;
}

/// What a [`Partitioner`] may look at.
#[derive(Clone, Copy, Debug)]
pub struct PartitionChoice<'a> {
    pub topic: &'a str,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    /// At least 1.
    pub partition_count: u32,
}

/// Kafka's hash of a key: 32-bit MurmurHash2 with seed 0x9747b28c, blocks read little-endian.
#[must_use]
pub fn murmur2(key: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    // The shift of the published algorithm: 24 for blocks, 13 and 15 for the end.
    const R: u32 = 24;
    // Lengths beyond u32 wrap as Java's int would; no key is that long.
    let mut h = 0x9747_b28c_u32 ^ (key.len() as u32);
    let mut blocks = key.chunks_exact(4);
    for block in &mut blocks {
        let mut k = u32::from_le_bytes(block.try_into().expect("chunks of four")).wrapping_mul(M);
        k ^= k >> R;
        h = h.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    let tail = blocks.remainder();
    if !tail.is_empty() {
        for (index, byte) in tail.iter().enumerate() {
            h ^= u32::from(*byte) << (8 * index);
        }
        h = h.wrapping_mul(M);
    }
    h ^= h >> 13;
    h = h.wrapping_mul(M);
    h ^ (h >> 15)
}

/// The partition of a key: over all partitions, whether they are available or not.
pub(super) fn partition_of_key(key: &[u8], partition_count: u32) -> u32 {
    (murmur2(key) & 0x7fff_ffff) % partition_count
}

/// Whether the sticky partition has had its share. `boundary` says that its last batch is full or that none is open:
/// switching there leaves no fractional batch behind; at twice the share it switches anyway.
pub(super) fn is_switch_due(produced_bytes: usize, batch_bytes: usize, boundary: bool) -> bool {
    (boundary && produced_bytes >= batch_bytes) || produced_bytes >= batch_bytes.saturating_mul(2)
}

/// The next sticky partition. `loads` are the queue lengths of all partitions, or empty when they are not wanted
/// (`partitioner.adaptive.partitioning.enable=false`): a partition with a shorter queue is chosen more often.
pub(super) fn next_sticky(partition_count: u32, loads: &[u32], random: u64) -> u32 {
    let uniform = |count: u32| u32::try_from(random % u64::from(count)).expect("below a u32");
    let longest = loads.iter().copied().max().unwrap_or(0);
    if loads.len() < 2 || loads.iter().all(|load| *load == longest) {
        return uniform(partition_count);
    }
    let weight = |load: &u32| u64::from(longest - load) + 1;
    let mut at = random % loads.iter().map(weight).sum::<u64>();
    for (partition, load) in loads.iter().enumerate() {
        match at.checked_sub(weight(load)) {
            Some(rest) => at = rest,
            None => return u32::try_from(partition).expect("partition counts are u32"),
        }
    }
    unreachable!("the draw is below the sum of the weights")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn murmur2_and_the_partition_of_a_key_are_kafkas() {
        let Some(shared) = crate::testing::shared() else {
            return;
        };
        let text = std::fs::read_to_string(shared.join("vectors/murmur2.json")).unwrap();
        let vectors: serde_json::Value = serde_json::from_str(&text).unwrap();
        let entries = vectors["entries"].as_array().unwrap();
        assert!(entries.len() > 10);
        for entry in entries {
            let hex = entry["key"].as_str().unwrap();
            let key: Vec<u8> =
                (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect();
            assert_eq!(u64::from(murmur2(&key)), entry["murmur2"].as_u64().unwrap(), "{hex}");
            for (index, partition) in entry["partitions"].as_array().unwrap().iter().enumerate() {
                let count = u32::try_from(index + 1).unwrap();
                assert_eq!(u64::from(partition_of_key(&key, count)), partition.as_u64().unwrap(), "{hex} of {count}");
            }
        }
    }

    #[test]
    fn the_hash_of_well_known_keys_is_well_known() {
        for (key, signed) in [("21", -973_932_308), ("foobar", -790_332_482), ("abc", 479_470_107), ("", 275_646_681)] {
            assert_eq!(murmur2(key.as_bytes()) as i32, signed, "{key}");
        }
        assert_eq!([6, 7, 0, 1], ["foobar", "abc", "21", "key"].map(|key| partition_of_key(key.as_bytes(), 10)));
    }

    #[test]
    fn a_sticky_partition_is_left_at_a_batch_boundary_or_at_twice_its_share() {
        assert!(!is_switch_due(99, 100, true));
        assert!(is_switch_due(100, 100, true));
        assert!(!is_switch_due(199, 100, false));
        assert!(is_switch_due(200, 100, false));
    }

    #[test]
    fn shorter_queues_are_chosen_more_often_in_the_proportion_of_the_weights() {
        // Queues 0, 3, 1 have weights 4, 1, 3.
        let drawn: Vec<u32> = (0..8).map(|random| next_sticky(3, &[0, 3, 1], random)).collect();
        assert_eq!(drawn, [0, 0, 0, 0, 1, 2, 2, 2]);
    }

    #[test]
    fn equal_queues_and_unknown_queues_are_drawn_uniformly() {
        for loads in [&[][..], &[2, 2, 2][..]] {
            assert_eq!((0..6).map(|random| next_sticky(3, loads, random)).collect::<Vec<_>>(), [0, 1, 2, 0, 1, 2]);
        }
        assert_eq!(next_sticky(1, &[7], 5), 0);
    }
}
