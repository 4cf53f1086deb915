//! Zigzag varints: small numbers of either sign in few bytes, low group of seven bits first, 0x80 means "more follows".
//!
//! Readers take the bytes and a place, move the place, and answer `None` for input that ends too early, is longer than the
//! widest legal form (5 bytes for 32 bits, 10 for 64) or carries bits that do not fit. An overlong zero is fine.

/// The longest form of a 32-bit number.
pub const VARINT_BYTES_MAX: usize = 5;
/// The longest form of a 64-bit number.
pub const VARLONG_BYTES_MAX: usize = 10;

#[inline]
fn zigzag32(value: i32) -> u32 {
    ((value << 1) ^ (value >> 31)) as u32
}

#[inline]
fn zigzag64(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// How many bytes [`push_i32`] appends.
#[inline]
#[must_use]
pub fn len_i32(value: i32) -> usize {
    len_unsigned(u64::from(zigzag32(value)))
}

/// How many bytes [`push_i64`] appends.
#[inline]
#[must_use]
pub fn len_i64(value: i64) -> usize {
    len_unsigned(zigzag64(value))
}

/// Nearly all numbers of a batch take one or two bytes, and a comparison is cheaper than counting bits.
#[inline]
fn len_unsigned(value: u64) -> usize {
    match value {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        _ => (64 - value.leading_zeros() as usize).div_ceil(7),
    }
}

/// Appends `value`.
#[inline(always)]
pub fn push_i32(into: &mut Vec<u8>, value: i32) {
    push_unsigned(into, u64::from(zigzag32(value)));
}

/// Appends `value`.
#[inline(always)]
pub fn push_i64(into: &mut Vec<u8>, value: i64) {
    push_unsigned(into, zigzag64(value));
}

#[inline(always)]
fn push_unsigned(into: &mut Vec<u8>, value: u64) {
    match value {
        0..0x80 => into.push(value as u8),
        0x80..0x4000 => into.extend_from_slice(&[value as u8 | 0x80, (value >> 7) as u8]),
        _ => push_long(into, value),
    }
}

#[cold]
#[inline(never)]
fn push_long(into: &mut Vec<u8>, mut rest: u64) {
    while rest >= 0x80 {
        into.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    into.push(rest as u8);
}

/// Reads a 32-bit number at `at` and moves `at` behind it.
#[inline]
pub fn get_i32(bytes: &[u8], at: &mut usize) -> Option<i32> {
    let raw = match get_short(bytes, at) {
        Some(short) => short,
        None => u32::try_from(get_unsigned(bytes, at, VARINT_BYTES_MAX)?).ok()?,
    };
    Some((raw >> 1) as i32 ^ -((raw & 1) as i32))
}

/// Reads a 64-bit number at `at` and moves `at` behind it.
#[inline]
pub fn get_i64(bytes: &[u8], at: &mut usize) -> Option<i64> {
    let raw = match get_short(bytes, at) {
        Some(short) => u64::from(short),
        None => get_unsigned(bytes, at, VARLONG_BYTES_MAX)?,
    };
    Some((raw >> 1) as i64 ^ -((raw & 1) as i64))
}

/// Nearly all numbers of a batch take one or two bytes, and validating a batch is mostly reading them.
#[inline(always)]
fn get_short(bytes: &[u8], at: &mut usize) -> Option<u32> {
    match *bytes.get(*at..)? {
        [first, ..] if first < 0x80 => {
            *at += 1;
            Some(u32::from(first))
        }
        [first, second, ..] if second < 0x80 => {
            *at += 2;
            Some(u32::from(first & 0x7f) | u32::from(second) << 7)
        }
        _ => None,
    }
}

/// The next eight bytes, from which numbers of one or two bytes each are taken without going back to memory. Reading the fields
/// of a record so takes half of the time that one read a field takes.
#[derive(Clone, Copy)]
pub struct Window {
    bits: u64,
    /// Bytes taken so far.
    taken: usize,
}

impl Window {
    /// `None` when fewer than eight bytes are left at `at`.
    #[inline(always)]
    pub fn at(bytes: &[u8], at: usize) -> Option<Window> {
        let eight = bytes.get(at..)?.first_chunk()?;
        Some(Window { bits: u64::from_le_bytes(*eight), taken: 0 })
    }

    #[inline(always)]
    pub fn taken(&self) -> usize {
        self.taken
    }

    #[inline(always)]
    pub fn skip_byte(&mut self) {
        self.bits >>= 8;
        self.taken += 1;
    }

    /// The next number; `None` when it is longer than two bytes. At most four are in a window.
    #[inline(always)]
    pub fn take(&mut self) -> Option<i32> {
        let bits = self.bits as u32;
        let raw = if bits & 0x80 == 0 {
            self.skip_byte();
            bits & 0x7f
        } else if bits & 0x8000 == 0 {
            self.bits >>= 16;
            self.taken += 2;
            bits & 0x7f | bits >> 1 & 0x3f80
        } else {
            return None;
        };
        Some((raw >> 1) as i32 ^ -((raw & 1) as i32))
    }
}

/// Up to sixteen bytes in the making: the mirror of [`Window`].
#[derive(Clone, Copy, Default)]
pub struct Word {
    bits: u128,
    bytes: u32,
}

/// Numbers from 0 up to here (exclusive) take one or two bytes.
pub const SHORT_END: usize = 0x2000;

impl Word {
    /// Puts one byte behind the others.
    #[inline(always)]
    pub fn byte(mut self, byte: u8) -> Word {
        self.bits |= u128::from(byte) << (8 * self.bytes);
        self.bytes += 1;
        self
    }

    /// Puts a number below [`SHORT_END`] behind the others.
    #[inline(always)]
    pub fn short(mut self, value: usize) -> Word {
        debug_assert!(value < SHORT_END);
        let raw = (value as u32) << 1; // zigzag of what is not negative
        let is_long = raw >= 0x80;
        let bits = if is_long { raw & 0x7f | 0x80 | raw << 1 & 0x7f00 } else { raw };
        self.bits |= u128::from(bits) << (8 * self.bytes);
        self.bytes += 1 + u32::from(is_long);
        self
    }

    /// Puts the bytes of another word behind the others; sixteen in all at most.
    #[inline(always)]
    pub fn word(mut self, other: Word) -> Word {
        self.bits |= other.bits << (8 * self.bytes);
        self.bytes += other.bytes;
        self
    }

    #[inline(always)]
    pub fn bytes(&self) -> usize {
        self.bytes as usize
    }

    /// Appends the bytes, with one copy of a constant length.
    #[inline(always)]
    pub fn push_to(self, into: &mut Vec<u8>) {
        let end = into.len() + self.bytes();
        into.extend_from_slice(&self.bits.to_le_bytes());
        into.truncate(end);
    }
}

#[cold]
#[inline(never)]
fn get_unsigned(bytes: &[u8], at: &mut usize, bytes_max: usize) -> Option<u64> {
    let mut raw = 0u64;
    for index in 0..bytes_max {
        let byte = *bytes.get(*at + index)?;
        // The tenth byte has room for one bit only.
        if index == VARLONG_BYTES_MAX - 1 && byte > 1 {
            return None;
        }
        raw |= u64::from(byte & 0x7f) << (7 * index);
        if byte < 0x80 {
            *at += index + 1;
            return Some(raw);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes_of_i64(value: i64) -> Vec<u8> {
        let mut into = Vec::new();
        push_i64(&mut into, value);
        into
    }

    #[test]
    fn numbers_have_the_bytes_that_kafka_gives_them() {
        let table: &[(i64, &[u8])] = &[
            (0, &[0x00]),
            (-1, &[0x01]),
            (1, &[0x02]),
            (63, &[0x7e]),
            (-64, &[0x7f]),
            (64, &[0x80, 0x01]),
            (-65, &[0x81, 0x01]),
            (8191, &[0xfe, 0x7f]),
            (-8192, &[0xff, 0x7f]),
            (8192, &[0x80, 0x80, 0x01]),
            (i64::from(i32::MAX), &[0xfe, 0xff, 0xff, 0xff, 0x0f]),
            (i64::from(i32::MIN), &[0xff, 0xff, 0xff, 0xff, 0x0f]),
            (i64::MAX, &[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]),
            (i64::MIN, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]),
        ];
        for (value, bytes) in table {
            assert_eq!(bytes_of_i64(*value), *bytes, "{value}");
            assert_eq!(len_i64(*value), bytes.len());
            assert_eq!(get_i64(bytes, &mut 0), Some(*value));
            if let Ok(small) = i32::try_from(*value) {
                let mut into = Vec::new();
                push_i32(&mut into, small);
                assert_eq!(into, *bytes);
                assert_eq!(len_i32(small), bytes.len());
                assert_eq!(get_i32(bytes, &mut 0), Some(small));
            }
        }
    }

    #[test]
    fn a_number_that_is_cut_too_long_or_too_wide_is_none() {
        assert_eq!(get_i32(&[], &mut 0), None);
        assert_eq!(get_i32(&[0x80], &mut 0), None);
        assert_eq!(get_i32(&[0x80; 5], &mut 0), None);
        assert_eq!(get_i32(&[0xff, 0xff, 0xff, 0xff, 0x1f], &mut 0), None);
        assert_eq!(get_i32(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x00], &mut 0), None);
        assert_eq!(get_i64(&[0xff; 10], &mut 0), None);
        assert_eq!(get_i64(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02], &mut 0), None);
        assert_eq!(get_i64(&[0x80; 11], &mut 0), None);
        assert_eq!(get_i32(&[0x80, 0x00], &mut 0), Some(0));
    }

    #[test]
    fn a_window_takes_what_a_word_was_given_and_both_are_what_the_slow_way_writes() {
        let numbers = [0, 1, 63, 64, 127, 128, 8190, SHORT_END - 1];
        for first in numbers {
            for second in numbers {
                let mut bytes = Vec::new();
                Word::default().short(first).word(Word::default().byte(7).short(second)).push_to(&mut bytes);
                let mut slow = Vec::new();
                push_i64(&mut slow, first as i64);
                slow.push(7);
                push_i64(&mut slow, second as i64);
                assert_eq!(bytes, slow);
                bytes.extend_from_slice(&[0xff; 8]);
                let mut window = Window::at(&bytes, 0).expect("eight bytes");
                assert_eq!(window.take(), Some(first as i32));
                window.skip_byte();
                assert_eq!((window.take(), window.taken()), (Some(second as i32), slow.len()));
            }
        }
        assert!(Window::at(&[0; 7], 0).is_none() && Window::at(&[0; 8], 1).is_none());
        assert_eq!(Window::at(&[0x80, 0x80, 1, 0, 0, 0, 0, 0], 0).expect("eight bytes").take(), None);
        assert_eq!(Window::at(&[1, 0, 0, 0, 0, 0, 0, 0], 0).expect("eight bytes").take(), Some(-1));
    }

    proptest::proptest! {
        #[test]
        fn every_number_comes_back(value: i64, small: i32) {
            let bytes = bytes_of_i64(value);
            let mut at = 0;
            proptest::prop_assert_eq!(get_i64(&bytes, &mut at), Some(value));
            proptest::prop_assert_eq!((at, len_i64(value)), (bytes.len(), bytes.len()));
            let mut into = Vec::new();
            push_i32(&mut into, small);
            let mut at = 0;
            proptest::prop_assert_eq!(get_i32(&into, &mut at), Some(small));
            proptest::prop_assert_eq!((at, len_i32(small)), (into.len(), into.len()));
        }
    }
}
