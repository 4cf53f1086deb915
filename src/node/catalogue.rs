//! The topics of a data directory and their settings: the file `kafkalog-topics`, ours, beside Kafka's own.
//!
//! ```text
//!  0        8         12         16        20
//!  +--------+---------+----------+---------+----------------------+
//!  | magic  | version | body     | crc-32c | body                 |   integers big-endian
//!  | 8 B    | u32     | bytes u32| of body |                      |
//!  +--------+---------+----------+---------+----------------------+
//!  body:  topic count u32, then for each topic
//!         name (u16 length, bytes), id 16 B, partitions u32, replication factor u16,
//!         state u8 (bit 0: being deleted; bit 1, format 2: the cluster's metadata say that it exists),
//!         override count u16, then for each: key (u16 length, bytes), value (u32 length, bytes)
//! ```
//!
//! The file is replaced whole (tmp, fsync, rename, directory fsync): a crash leaves the old one or the new one.

use crate::disk::Disk;
use crate::error::{Error, ErrorCode, Result};
use crate::record::crc32c;
use crate::storage::checkpoint::{read_file, replace_file};
use std::collections::BTreeMap;
use std::path::Path;

/// The file's name inside a data directory.
pub const TOPICS_FILE: &str = "kafkalog-topics";
/// The newest format that this program reads; it writes 1 where no topic belongs to a cluster.
const VERSION: u32 = 2;
const ALONE_VERSION: u32 = 1;
const DELETING: u8 = 1;
const IN_CLUSTER: u8 = 2;
const MAGIC: &[u8; 8] = b"KLTOPICS";
const HEADER_BYTES: usize = 20;
/// A catalogue larger than this is not believed.
const BYTES_MAX: u64 = 256 << 20;

/// One topic as it is written down.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TopicEntry {
    pub id: [u8; 16],
    pub partition_count: u32,
    pub replication_factor: u16,
    /// The topic is on its way out: a start finishes what a crash interrupted.
    pub deleting: bool,
    /// The cluster's metadata say that it exists; this directory only follows.
    pub in_cluster: bool,
    /// The settings that differ from the engine's, by Kafka's names.
    pub overrides: BTreeMap<String, String>,
}

/// Every topic by name.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Catalogue {
    pub topics: BTreeMap<String, TopicEntry>,
}

impl Catalogue {
    /// Reads the catalogue of a data directory; `None` when it has none. UNSUPPORTED_VERSION, naming both versions, when it
    /// is newer than this program; CORRUPT_MESSAGE when it is damaged.
    pub fn read(disk: &dyn Disk, dir: &Path) -> Result<Option<Catalogue>> {
        let path = dir.join(TOPICS_FILE);
        match read_file(disk, &path, BYTES_MAX)? {
            None => Ok(None),
            Some(bytes) => Catalogue::decode(&bytes).map(Some).map_err(|e| e.within(path.display())),
        }
    }

    /// Replaces the catalogue; durable on return.
    pub fn write(&self, disk: &dyn Disk, dir: &Path) -> Result<()> {
        replace_file(disk, &dir.join(TOPICS_FILE), &self.encode())
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut body = Vec::new();
        body.extend(count(self.topics.len()).to_be_bytes());
        for (name, topic) in &self.topics {
            put_short(&mut body, name);
            body.extend(topic.id);
            body.extend(topic.partition_count.to_be_bytes());
            body.extend(topic.replication_factor.to_be_bytes());
            body.push(u8::from(topic.deleting) * DELETING + u8::from(topic.in_cluster) * IN_CLUSTER);
            body.extend(u16::try_from(topic.overrides.len()).expect("as many as there are settings").to_be_bytes());
            for (key, value) in &topic.overrides {
                put_short(&mut body, key);
                body.extend(count(value.len()).to_be_bytes());
                body.extend(value.as_bytes());
            }
        }
        let mut bytes = Vec::with_capacity(HEADER_BYTES + body.len());
        bytes.extend(MAGIC);
        let in_cluster = self.topics.values().any(|topic| topic.in_cluster);
        bytes.extend(if in_cluster { VERSION } else { ALONE_VERSION }.to_be_bytes());
        bytes.extend(count(body.len()).to_be_bytes());
        bytes.extend(crc32c(&body).to_be_bytes());
        bytes.extend(body);
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Catalogue> {
        let mut header = Reader(bytes);
        if header.take(8)? != MAGIC {
            return Err(damaged("it does not begin with the catalogue's magic"));
        }
        let version = header.u32()?;
        if version > VERSION {
            let text = format!(
                "the topics are in format {version}, this program understands formats up to {VERSION}: use a newer kafkalog"
            );
            return Err(Error::new(ErrorCode::UNSUPPORTED_VERSION, text));
        }
        let body_bytes = header.u32()? as usize;
        let crc = header.u32()?;
        let body = header.0;
        if body.len() != body_bytes || crc32c(body) != crc {
            return Err(damaged("length or checksum does not match"));
        }
        let mut reader = Reader(body);
        let mut topics = BTreeMap::new();
        for _ in 0..reader.u32()? {
            let name = reader.short()?;
            topics.insert(name, reader.topic()?);
        }
        if !reader.0.is_empty() {
            return Err(damaged("there are bytes behind the last topic"));
        }
        Ok(Catalogue { topics })
    }
}

fn count(n: usize) -> u32 {
    u32::try_from(n).expect("a catalogue is far below 4 GiB")
}

fn put_short(body: &mut Vec<u8>, text: &str) {
    body.extend(u16::try_from(text.len()).expect("names are at most 249 bytes").to_be_bytes());
    body.extend(text.as_bytes());
}

fn damaged(why: &str) -> Error {
    let text = format!(
        "the topic catalogue is damaged ({why}); restore it from a copy, or move it away: the topics are then found again \
         from their directories, without their settings"
    );
    Error::new(ErrorCode::CORRUPT_MESSAGE, text)
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(n).ok_or_else(|| damaged("it ends too early"))?;
        self.0 = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        Ok(self.take(N)?.try_into().expect("take gives N bytes"))
    }

    fn u16(&mut self) -> Result<u16> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    fn text(&mut self, n: usize) -> Result<String> {
        String::from_utf8(self.take(n)?.to_vec()).map_err(|_| damaged("a name is not UTF-8"))
    }

    fn short(&mut self) -> Result<String> {
        let n = self.u16()?;
        self.text(n.into())
    }

    fn topic(&mut self) -> Result<TopicEntry> {
        let id = self.array()?;
        let partition_count = self.u32()?;
        let replication_factor = self.u16()?;
        let [state] = self.array::<1>()?;
        let (deleting, in_cluster) = (state & DELETING != 0, state & IN_CLUSTER != 0);
        let mut overrides = BTreeMap::new();
        for _ in 0..self.u16()? {
            let key = self.short()?;
            let n = self.u32()? as usize;
            overrides.insert(key, self.text(n)?);
        }
        Ok(TopicEntry { id, partition_count, replication_factor, deleting, in_cluster, overrides })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Catalogue {
        let entry = |deleting, in_cluster, overrides: &[(&str, &str)]| TopicEntry {
            id: [7; 16],
            partition_count: 3,
            replication_factor: 1,
            deleting,
            in_cluster,
            overrides: overrides.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect(),
        };
        let topics = [
            ("orders".to_owned(), entry(false, false, &[("retention.ms", "1000"), ("segment.bytes", "1048576")])),
            ("old".to_owned(), entry(true, true, &[])),
        ];
        Catalogue { topics: topics.into() }
    }

    #[test]
    fn what_is_encoded_is_decoded() {
        for catalogue in [Catalogue::default(), sample()] {
            assert_eq!(Catalogue::decode(&catalogue.encode()).expect("decodes"), catalogue);
        }
    }

    #[test]
    fn any_flipped_bit_and_any_missing_byte_is_noticed() {
        let good = sample().encode();
        for at in 0..good.len() {
            assert!(Catalogue::decode(&good[..at]).is_err(), "cut at {at}");
            let mut bad = good.clone();
            bad[at] ^= 0x10;
            assert!(Catalogue::decode(&bad).is_err(), "flipped at {at}");
        }
    }

    #[test]
    fn a_newer_format_is_refused_naming_both_versions() {
        let mut newer = sample().encode();
        newer[8..12].copy_from_slice(&9u32.to_be_bytes());
        let refused = Catalogue::decode(&newer).expect_err("newer");
        assert_eq!(refused.code(), ErrorCode::UNSUPPORTED_VERSION);
        assert!(refused.message().contains("format 9") && refused.message().contains("up to 2"), "{refused}");
    }
}
