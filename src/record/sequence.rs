//! Sequence numbers of idempotent producers live in `0..=i32::MAX` and wrap from the last to zero.

/// The sequence `count` records after `sequence`.
#[inline]
#[must_use]
pub fn add(sequence: i32, count: u32) -> i32 {
    let sum = (i64::from(sequence) + i64::from(count)) % (1 << 31);
    // The remainder of a division by 2^31 fits in 31 bits; a negative start is nobody's sequence.
    i32::try_from(sum).unwrap_or(0)
}

/// The sequence `count` records before `sequence`.
#[inline]
#[must_use]
pub fn sub(sequence: i32, count: u32) -> i32 {
    let difference = (i64::from(sequence) - i64::from(count)).rem_euclid(1 << 31);
    i32::try_from(difference).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_after_the_last_is_zero_and_back() {
        assert_eq!(add(i32::MAX, 1), 0);
        assert_eq!(add(i32::MAX, 5), 4);
        assert_eq!(add(10, 5), 15);
        assert_eq!(sub(0, 1), i32::MAX);
        assert_eq!(sub(4, 5), i32::MAX);
        assert_eq!(sub(15, 5), 10);
    }
}
