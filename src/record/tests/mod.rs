//! Promises of the whole room, from golden bytes to foreign ones.

mod building;
mod golden;
mod malformed;
mod reading;
mod round_trip;
mod validating;
mod vectors;

use super::*;
use crate::error::{ErrorCode, Result};
use crate::types::{Codec, Timestamp};

/// A limit that no test of a good batch reaches.
const LIMIT: usize = INFLATED_BYTES_MAX;

const CODECS: [Codec; 5] = [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];

fn built_in_codecs() -> impl Iterator<Item = Codec> {
    CODECS.into_iter().filter(|codec| is_built_in(*codec))
}

type OwnedHeader = (Vec<u8>, Option<Vec<u8>>);

/// A record that owns its bytes, for comparing.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Owned {
    timestamp: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<OwnedHeader>,
}

impl Owned {
    fn new(timestamp: i64, key: Option<&[u8]>, value: Option<&[u8]>) -> Owned {
        Owned { timestamp, key: key.map(<[u8]>::to_vec), value: value.map(<[u8]>::to_vec), headers: Vec::new() }
    }

    fn append_to(&self, builder: &mut BatchBuilder) -> Result<u32> {
        let headers: Vec<Header<'_>> =
            self.headers.iter().map(|(key, value)| Header { key, value: value.as_deref() }).collect();
        let record = RecordRef { key: self.key.as_deref(), value: self.value.as_deref(), headers: &headers };
        builder.append(record, self.timestamp)
    }
}

impl From<RecordView<'_>> for Owned {
    fn from(record: RecordView<'_>) -> Owned {
        Owned {
            timestamp: record.timestamp.map_or(-1, |at| at.0),
            key: record.key.map(<[u8]>::to_vec),
            value: record.value.map(<[u8]>::to_vec),
            headers: record.headers().map(|h| (h.key.to_vec(), h.value.map(<[u8]>::to_vec))).collect(),
        }
    }
}

fn built(codec: Codec, records: &[Owned]) -> SealedBatch {
    let mut builder = BatchBuilder::new(codec, None);
    for record in records {
        record.append_to(&mut builder).unwrap();
    }
    builder.seal(None, false).unwrap()
}

fn read(bytes: &[u8]) -> Result<Vec<Owned>> {
    let batch = BatchView::parse(bytes)?;
    batch.verify()?;
    let mut inflate = Inflater::new(LIMIT);
    let records = batch.records(&mut inflate)?.map(|record| record.map(Owned::from)).collect();
    records
}

/// Rules that no honest timestamp breaks.
fn any_time() -> ClientRules {
    ClientRules { keys_required: false, timestamp_earliest: Timestamp(0), timestamp_latest: Timestamp(i64::MAX) }
}

fn validate(bytes: &[u8], rules: &ClientRules) -> Result<Validated> {
    BatchView::parse_only(bytes)?.validate_from_client(&mut Inflater::new(LIMIT), rules)
}

/// Changes a good batch and makes its length and checksum fit again.
fn tampered(batch: &[u8], change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = batch.to_vec();
    change(&mut bytes);
    let length = u32::try_from(bytes.len() - LOG_OVERHEAD_BYTES).unwrap();
    bytes[8..12].copy_from_slice(&length.to_be_bytes());
    let crc = crc32c(&bytes[21..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    bytes
}

fn code<T: std::fmt::Debug>(result: Result<T>) -> ErrorCode {
    result.unwrap_err().code()
}

fn unhex(hex: &str) -> Vec<u8> {
    assert_eq!(hex.len() % 2, 0);
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}
