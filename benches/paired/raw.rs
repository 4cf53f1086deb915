//! The loop that an engineer would write by hand: one Kafka batch, CRC-32C, one system call. What kafkalog is measured against.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

pub struct Raw {
    pub file: File,
    pub at: u64,
    offset: u64,
    buffer: Vec<u8>,
}

fn put_varint(buffer: &mut Vec<u8>, value: i64) {
    let mut zigzag = ((value << 1) ^ (value >> 63)) as u64;
    while zigzag >= 0x80 {
        buffer.push(zigzag as u8 | 0x80);
        zigzag >>= 7;
    }
    buffer.push(zigzag as u8);
}

fn varint_len(value: i64) -> i64 {
    let zigzag = ((value << 1) ^ (value >> 63)) as u64;
    i64::from((70 - (zigzag | 1).leading_zeros()) / 7)
}

impl Raw {
    pub fn create(path: &Path) -> Raw {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path).expect("creates");
        Raw { file, at: 0, offset: 0, buffer: Vec::with_capacity(1 << 20) }
    }

    /// Encodes `count` keyless records of `value` into one batch in `self.buffer`.
    pub fn encode(&mut self, value: &[u8], count: u32, now: i64) {
        let buffer = &mut self.buffer;
        buffer.clear();
        buffer.extend_from_slice(&[0; 61]);
        for delta in 0..i64::from(count) {
            let body =
                1 + varint_len(0) + varint_len(delta) + 1 + varint_len(value.len() as i64) + value.len() as i64 + 1;
            put_varint(buffer, body);
            buffer.push(0);
            put_varint(buffer, 0);
            put_varint(buffer, delta);
            put_varint(buffer, -1);
            put_varint(buffer, value.len() as i64);
            buffer.extend_from_slice(value);
            put_varint(buffer, 0);
        }
        let len = buffer.len() as i32 - 12;
        buffer[0..8].copy_from_slice(&self.offset.to_be_bytes());
        buffer[8..12].copy_from_slice(&len.to_be_bytes());
        buffer[16] = 2;
        buffer[23..27].copy_from_slice(&(count - 1).to_be_bytes());
        buffer[27..35].copy_from_slice(&now.to_be_bytes());
        buffer[35..43].copy_from_slice(&now.to_be_bytes());
        buffer[43..57].fill(0xff);
        buffer[57..61].copy_from_slice(&count.to_be_bytes());
        let crc = crc32c::crc32c(&buffer[21..]);
        buffer[17..21].copy_from_slice(&crc.to_be_bytes());
        self.offset += u64::from(count);
    }

    pub fn write(&mut self) {
        self.file.write_all_at(&self.buffer, self.at).expect("writes");
        self.at += self.buffer.len() as u64;
    }

    pub fn append(&mut self, value: &[u8], count: u32, now: i64) {
        self.encode(value, count, now);
        self.write();
    }

    pub fn bytes(&self) -> &[u8] {
        &self.buffer
    }
}

/// Reads a file of batches in 4 MiB pieces, walks the headers and compares every checksum. Returns the records.
pub fn read_through(file: &File, len: u64, buffer: &mut Vec<u8>) -> u64 {
    const PIECE: usize = 4 << 20;
    buffer.resize(PIECE, 0);
    let (mut at, mut records) = (0, 0);
    while at < len {
        let want = PIECE.min((len - at) as usize);
        file.read_exact_at(&mut buffer[..want], at).expect("reads");
        let mut position = 0;
        while want - position >= 61 {
            let head = &buffer[position..];
            let size = 12 + u32::from_be_bytes(head[8..12].try_into().expect("four")) as usize;
            if want - position < size {
                break;
            }
            let crc = u32::from_be_bytes(head[17..21].try_into().expect("four"));
            assert_eq!(crc32c::crc32c(&head[21..size]), crc);
            records += u64::from(u32::from_be_bytes(head[57..61].try_into().expect("four")));
            position += size;
        }
        at += position as u64;
    }
    records
}
