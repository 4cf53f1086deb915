use crate::transport::frame::FRAME_HEADER_BYTES;
use crate::transport::frame_reader::{FrameFault, FrameReader};
use crate::transport::tests::pattern;
use crate::transport::{Frame, FRAME_PARTS_MAX};
use bytes::Bytes;
use std::io::{self, Read};

const CAP: u32 = 3 * 1024 * 1024;

fn encoded(payload: &Bytes) -> Vec<u8> {
    let frame = Frame::from(payload.clone());
    frame.check(CAP).unwrap();
    let mut bytes = frame.header().encode().to_vec();
    bytes.extend_from_slice(payload);
    bytes
}

/// Gives a few bytes at a time, now and then none by an interruption, and counts calls and the memory it was shown.
struct Dribble<'a> {
    bytes: &'a [u8],
    random: fastrand::Rng,
    piece_max: usize,
    calls: usize,
    shown_max: usize,
}

impl<'a> Dribble<'a> {
    fn new(bytes: &'a [u8], seed: u64, piece_max: usize) -> Dribble<'a> {
        Dribble { bytes, random: fastrand::Rng::with_seed(seed), piece_max, calls: 0, shown_max: 0 }
    }
}

impl Read for &mut Dribble<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.calls += 1;
        self.shown_max = self.shown_max.max(into.len());
        if self.random.u8(..8) == 0 {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let count = self.random.usize(1..=self.piece_max).min(into.len());
        self.bytes.read(&mut into[..count])
    }
}

fn read_all(source: impl Read) -> Result<Vec<Bytes>, FrameFault> {
    let mut reader = FrameReader::new(source, CAP);
    std::iter::from_fn(|| reader.next_frame().transpose()).collect()
}

#[test]
fn frames_of_every_size_come_out_as_they_went_in_however_the_bytes_are_cut() {
    let near = |n: usize| [n - 1, n, n + 1];
    let mut sizes: Vec<usize> = vec![0, 1, 2, CAP as usize];
    for middle in [8, 100, 16 * 1024, 64 * 1024 - 8, 64 * 1024, 1024 * 1024] {
        sizes.extend(near(middle));
    }
    for seed in 0..6 {
        println!("seed {seed}");
        let mut random = fastrand::Rng::with_seed(seed);
        random.shuffle(&mut sizes);
        let payloads: Vec<Bytes> = sizes.iter().map(|size| pattern(*size, random.u8(..))).collect();
        let bytes: Vec<u8> = payloads.iter().flat_map(encoded).collect();
        let piece_max = [7, 100, 70_000, usize::MAX / 2, 4096, 1 << 20][seed as usize];
        let read = read_all(&mut Dribble::new(&bytes, seed, piece_max)).unwrap();
        assert!(read == payloads);
    }
}

#[test]
fn many_small_frames_cost_one_read() {
    let bytes: Vec<u8> = (0..1000).flat_map(|i| encoded(&pattern(20, i as u8))).collect();
    let mut source = Dribble::new(&bytes, 1, usize::MAX / 2);
    assert_eq!(read_all(&mut source).unwrap().len(), 1000);
    assert!(source.calls < 10, "{} calls", source.calls);
}

#[test]
fn a_frame_over_the_cap_is_refused_on_both_sides() {
    let payload = pattern(CAP as usize + 1, 0);
    assert!(Frame::from(payload.clone()).check(CAP).is_err());
    let bytes = Frame::from(payload).header().encode();
    assert!(matches!(read_all(&bytes[..]), Err(FrameFault::TooLong { claimed, allowed: CAP }) if claimed == CAP + 1));
}

#[test]
fn a_frame_of_too_many_parts_is_refused_and_empty_parts_do_not_count() {
    let mut frame = Frame::new();
    for _ in 0..FRAME_PARTS_MAX {
        frame.push(Bytes::from_static(b"x"));
        frame.push(Bytes::new());
    }
    frame.check(CAP).unwrap();
    assert_eq!(frame.bytes(), FRAME_PARTS_MAX);
    frame.push(Bytes::from_static(b"x"));
    assert!(frame.check(CAP).is_err());
}

#[test]
fn a_single_part_is_handed_over_as_it_is_and_several_are_joined() {
    let part = pattern(1000, 3);
    assert_eq!(Frame::from(part.clone()).into_joined().as_ptr(), part.as_ptr());
    let mut frame = Frame::from(part.clone());
    frame.push(Bytes::from_static(b"tail"));
    assert_eq!(frame.into_joined(), [&part[..], b"tail"].concat());
    assert!(Frame::new().into_joined().is_empty());
}

#[test]
fn a_length_that_lies_gets_no_memory() {
    // 4 GiB claimed, ten bytes behind it: over the cap, so not even looked at.
    let mut bomb = u32::MAX.to_be_bytes().to_vec();
    bomb.extend([0; 14]);
    assert!(matches!(read_all(&bomb[..]), Err(FrameFault::TooLong { .. })));
    // With a cap that allows it, memory grows with what has come.
    for arrived in [10, 1 << 20, 3 << 20] {
        let bytes = [&bomb[..], &vec![0; arrived]].concat();
        let mut source = Dribble::new(&bytes, 1, 1 << 16);
        let mut reader = FrameReader::new(&mut source, u32::MAX);
        assert!(matches!(reader.next_frame(), Err(FrameFault::Truncated)));
        drop(reader);
        assert!(source.shown_max <= 2 * arrived.max(1 << 19), "{} shown for {arrived}", source.shown_max);
    }
}

#[test]
fn every_flipped_bit_and_every_cut_is_noticed() {
    let payload = pattern(300, 9);
    let bytes = encoded(&payload);
    for bit in 0..bytes.len() * 8 {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(read_all(&damaged[..]).is_err(), "bit {bit}");
    }
    for cut in 1..bytes.len() {
        assert!(matches!(read_all(&bytes[..cut]), Err(FrameFault::Truncated)), "cut at {cut}");
    }
    assert!(read_all(&bytes[..0]).unwrap().is_empty());
    assert_eq!(bytes.len(), FRAME_HEADER_BYTES + 300);
}

#[test]
fn garbage_never_becomes_a_frame() {
    for seed in 0..2000 {
        let mut random = fastrand::Rng::with_seed(seed);
        let garbage: Vec<u8> = (0..random.usize(8..200)).map(|_| random.u8(..)).collect();
        assert!(read_all(&garbage[..]).is_err(), "seed {seed}");
    }
}
