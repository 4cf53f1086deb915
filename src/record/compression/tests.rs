//! Framing, levels and limits.

use super::scratch::Scratch;
use super::*;

fn compressed(codec: Codec, level: Option<i32>, plain: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    Compressor::new(codec, level).unwrap().compress(plain, &mut out).unwrap();
    out
}

/// Bytes that no codec can make smaller.
fn noise(bytes: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(7);
    (0..bytes).map(|_| random.u8(..)).collect()
}

fn codecs() -> impl Iterator<Item = Codec> {
    [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd].into_iter().filter(|codec| is_built_in(*codec))
}

#[test]
fn a_level_is_legal_where_kafka_says_so() {
    let table: [(Codec, &[i32], &[i32]); 3] = [
        (Codec::Gzip, &[-1, 1, 6, 9], &[-2, 0, 10]),
        (Codec::Lz4, &[1, 9, 17], &[-1, 0, 18]),
        (Codec::Zstd, &[-131_072, -1, 0, 3, 22], &[-131_073, 23]),
    ];
    for (codec, legal, illegal) in table {
        if !is_built_in(codec) {
            assert_eq!(check_level(codec, None).unwrap_err().code(), ErrorCode::UNSUPPORTED_COMPRESSION_TYPE);
            continue;
        }
        assert!(check_level(codec, None).is_ok());
        for level in legal {
            assert!(check_level(codec, Some(*level)).is_ok(), "{codec:?} {level}");
            let plain = b"some words, some words, some words".repeat(20);
            let stream = compressed(codec, Some(*level), &plain);
            assert_eq!(Inflater::new(1 << 20).inflate(codec, &stream).unwrap(), plain, "{codec:?} {level}");
        }
        for level in illegal {
            assert_eq!(check_level(codec, Some(*level)).unwrap_err().code(), ErrorCode::INVALID_CONFIG);
            assert_eq!(Compressor::new(codec, Some(*level)).unwrap_err().code(), ErrorCode::INVALID_CONFIG);
        }
    }
    assert!(check_level(Codec::None, Some(99)).is_ok());
}

#[test]
fn a_codec_that_is_not_built_in_is_unsupported() {
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd].into_iter().filter(|codec| !is_built_in(*codec))
    {
        let unsupported = ErrorCode::UNSUPPORTED_COMPRESSION_TYPE;
        assert_eq!(Compressor::new(codec, None).unwrap_err().code(), unsupported);
        assert_eq!(Inflater::new(1000).inflate(codec, b"?").unwrap_err().code(), unsupported);
        let mut builder = crate::record::BatchBuilder::new(codec, None);
        assert_eq!(builder.append(crate::record::RecordRef::default(), 0).unwrap_err().code(), unsupported);
    }
}

#[test]
fn payloads_of_every_length_around_the_block_sizes_come_back() {
    for codec in codecs() {
        let mut inflate = Inflater::new(1 << 20);
        let mut compressor = Compressor::new(codec, None).unwrap();
        for around in [0usize, 32 << 10, 64 << 10, 128 << 10] {
            for length in [around, around + 1, around + 5, around.saturating_sub(1)] {
                for plain in [noise(length), vec![b'x'; length]] {
                    let mut stream = Vec::new();
                    compressor.compress(&plain, &mut stream).unwrap();
                    assert_eq!(inflate.inflate(codec, &stream).unwrap(), plain, "{codec:?} {length}");
                }
            }
        }
    }
}

#[test]
fn a_payload_may_unfold_to_the_limit_and_not_to_one_byte_more() {
    for codec in codecs() {
        for limit in [1000, 100_000, 300_000] {
            let mut inflate = Inflater::new(limit);
            assert_eq!(inflate.inflate(codec, &compressed(codec, None, &vec![0; limit])).unwrap().len(), limit);
            for too_much in [limit + 1, limit + 100, 20 * limit] {
                let error = inflate.inflate(codec, &compressed(codec, None, &vec![0; too_much])).unwrap_err();
                assert_eq!(error.code(), ErrorCode::INVALID_RECORD, "{codec:?} {limit} {too_much}: {error}");
                assert!(inflate.held_bytes() <= limit + 1 + 256 * 1024, "{codec:?}: {}", inflate.held_bytes());
            }
        }
    }
}

#[test]
fn a_stream_that_is_cut_anywhere_or_followed_by_something_is_corrupt() {
    for codec in codecs() {
        let plain = noise(300);
        let stream = compressed(codec, None, &[&plain[..], &plain].concat());
        let mut inflate = Inflater::new(1 << 20);
        for cut in 0..stream.len() {
            // No zstd frame at all is zero frames, and a xerial header alone is zero blocks.
            let is_empty_stream = (codec == Codec::Zstd && cut == 0) || (codec == Codec::Snappy && cut == 16);
            match inflate.inflate(codec, &stream[..cut]) {
                Ok(bytes) => assert!(is_empty_stream && bytes.is_empty(), "{codec:?} cut at {cut}"),
                Err(error) => assert_eq!(error.code(), ErrorCode::CORRUPT_MESSAGE, "{codec:?} cut at {cut}"),
            }
        }
        let longer = [&stream[..], b"\x01\x02"].concat();
        assert_eq!(inflate.inflate(codec, &longer).unwrap_err().code(), ErrorCode::CORRUPT_MESSAGE, "{codec:?}");
    }
}

#[test]
fn a_huge_buffer_is_given_back_before_the_next_batch() {
    let mut scratch = Scratch::new(64 << 20);
    scratch.room_for(20 << 20).unwrap();
    assert!(scratch.held_bytes() >= 20 << 20);
    scratch.begin();
    assert_eq!(scratch.held_bytes(), 0);
}

#[cfg(feature = "gzip")]
#[test]
fn a_gzip_stream_has_the_header_that_java_writes() {
    let stream = compressed(Codec::Gzip, None, b"hello hello hello");
    assert_eq!(stream[..10], [0x1f, 0x8b, 0x08, 0, 0, 0, 0, 0, 0, 0xff]);
    assert_eq!(stream[stream.len() - 4..], 17u32.to_le_bytes());
}

#[cfg(feature = "gzip")]
#[test]
fn gzip_members_follow_each_other_and_headers_may_carry_names() {
    let plain = b"hello hello hello";
    let stream = compressed(Codec::Gzip, None, plain);
    // Extra field, name, comment and header checksum.
    let mut named = vec![0x1f, 0x8b, 0x08, 0x1e, 0, 0, 0, 0, 0, 3];
    named.extend_from_slice(b"\x02\x00xyname\0comment\0??");
    named.extend_from_slice(&stream[10..]);
    let both = [&stream[..], &named].concat();
    let mut inflate = Inflater::new(1000);
    assert_eq!(inflate.inflate(Codec::Gzip, &both).unwrap(), plain.repeat(2));
    let mut wrong = stream.clone();
    *wrong.last_mut().unwrap() ^= 1;
    assert_eq!(inflate.inflate(Codec::Gzip, &wrong).unwrap_err().code(), ErrorCode::CORRUPT_MESSAGE);
}

#[cfg(feature = "snappy")]
#[test]
fn snappy_is_written_in_xerial_chunks_of_32_kib() {
    let plain = noise(70_000);
    let stream = compressed(Codec::Snappy, None, &plain);
    assert_eq!(stream[..16], [0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1]);
    let mut at = 16;
    let mut lengths = Vec::new();
    while at < stream.len() {
        let length = u32::from_be_bytes(stream[at..at + 4].try_into().unwrap()) as usize;
        lengths.push(snap::raw::decompress_len(&stream[at + 4..at + 4 + length]).unwrap());
        at += 4 + length;
    }
    assert_eq!(lengths, [32_768, 32_768, 70_000 - 65_536]);
}

#[cfg(feature = "snappy")]
#[test]
fn a_bare_snappy_block_is_read_too() {
    let plain = b"hello hello hello hello".repeat(3000);
    let block = snap::raw::Encoder::new().compress_vec(&plain).unwrap();
    assert_eq!(Inflater::new(1 << 20).inflate(Codec::Snappy, &block).unwrap(), plain);
}

#[cfg(feature = "lz4")]
mod lz4 {
    use super::super::xxh32::xxh32;
    use super::*;
    use std::io::{Read, Write};

    fn error(frame: &[u8]) -> String {
        let error = Inflater::new(1 << 24).inflate(Codec::Lz4, frame).unwrap_err();
        assert_eq!(error.code(), ErrorCode::CORRUPT_MESSAGE);
        error.message().to_owned()
    }

    #[test]
    fn an_lz4_frame_has_kafkas_header_blocks_of_64_kib_and_an_end() {
        let frame = compressed(Codec::Lz4, None, &noise(100_000));
        assert_eq!(frame[..7], [0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82]);
        // Noise is stored as it is.
        assert_eq!(frame[7..11], (65_536u32 | 1 << 31).to_le_bytes());
        assert_eq!(frame[7 + 4 + 65_536..][..4], ((100_000u32 - 65_536) | 1 << 31).to_le_bytes());
        assert_eq!(frame[frame.len() - 4..], [0; 4]);
        assert_eq!(frame.len(), 7 + 4 + 65_536 + 4 + 34_464 + 4);
    }

    #[test]
    fn another_implementation_reads_our_frames() {
        let plain = [noise(70_000), vec![b'z'; 200_000]].concat();
        let mut read = Vec::new();
        lz4_flex::frame::FrameDecoder::new(&compressed(Codec::Lz4, None, &plain)[..]).read_to_end(&mut read).unwrap();
        assert_eq!(read, plain);
    }

    #[test]
    fn frames_with_checksums_sizes_and_larger_blocks_are_read() {
        use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
        let plain = [noise(70_000), vec![b'z'; 3_000_000]].concat();
        for size in [BlockSize::Max64KB, BlockSize::Max256KB, BlockSize::Max1MB, BlockSize::Max4MB] {
            let info = FrameInfo::new()
                .block_size(size)
                .block_mode(BlockMode::Independent)
                .block_checksums(true)
                .content_checksum(true)
                .content_size(Some(plain.len() as u64));
            let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
            encoder.write_all(&plain).unwrap();
            let frame = encoder.finish().unwrap();
            assert_eq!(Inflater::new(1 << 24).inflate(Codec::Lz4, &frame).unwrap(), plain);
            let mut damaged = frame.clone();
            damaged[40] ^= 1;
            assert!(error(&damaged).contains("checksum"));
        }
    }

    #[test]
    fn frames_that_kafka_refuses_are_refused() {
        let frame = compressed(Codec::Lz4, None, b"hello hello hello hello");
        let with_descriptor = |flags: u8, blocks: u8| {
            let mut changed = frame.clone();
            (changed[4], changed[5]) = (flags, blocks);
            changed[6] = (xxh32(&[flags, blocks]) >> 8) as u8;
            changed
        };
        assert!(error(&with_descriptor(0x40, 0x40)).contains("flags"), "dependent blocks");
        assert!(error(&with_descriptor(0xa0, 0x40)).contains("flags"), "another version");
        assert!(error(&with_descriptor(0x61, 0x40)).contains("flags"), "reserved bits");
        assert!(error(&with_descriptor(0x60, 0x30)).contains("block size"));
        let mut changed = frame.clone();
        changed[6] ^= 1;
        assert!(error(&changed).contains("header fails its checksum"));
        let mut changed = frame.clone();
        changed[7..11].copy_from_slice(&(65_537u32 | 1 << 31).to_le_bytes());
        assert!(error(&changed).contains("larger than the frame allows"));
    }
}

#[cfg(feature = "zstd")]
#[test]
fn a_zstd_frame_that_claims_a_window_of_gigabytes_costs_nothing() {
    // Magic; no content size; window 2^(10+21); a last raw block of one byte.
    let frame = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 21 << 3, 0x09, 0x00, 0x00, b'x'];
    let mut inflate = Inflater::new(1 << 20);
    let _ = inflate.inflate(Codec::Zstd, &frame);
    assert!(inflate.held_bytes() < 512 * 1024, "{}", inflate.held_bytes());
}

#[cfg(feature = "zstd")]
#[test]
fn zstd_frames_follow_each_other() {
    let frames = [compressed(Codec::Zstd, None, b"one "), compressed(Codec::Zstd, Some(19), b"two")].concat();
    assert_eq!(Inflater::new(1000).inflate(Codec::Zstd, &frames).unwrap(), b"one two");
}

#[cfg(feature = "zstd")]
#[test]
fn a_payload_that_unfolds_a_thousandfold_finds_its_room() {
    let plain = vec![0; 10 << 20];
    let stream = compressed(Codec::Zstd, None, &plain);
    assert!(stream.len() < 10_000);
    assert_eq!(Inflater::new(16 << 20).inflate(Codec::Zstd, &stream).unwrap(), plain);
}
