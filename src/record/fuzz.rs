//! What must hold for any bytes whatever. Called by the fuzzer and, over its seeds, by the tests.

use super::header::ATTRIBUTES_AT;
use super::{
    batches, crc32c, is_built_in, stamp_header, BatchBuilder, BatchHeader, BatchView, ClientRules, Compressor, Header,
    Inflater, RecordRef, RecordView, SealedBatch, BATCH_HEADER_BYTES, LOG_OVERHEAD_BYTES,
};
use crate::types::{Codec, LeaderEpoch, Offset, Timestamp};

/// Small, so that a bomb is found to be one quickly.
const LIMIT: usize = 1 << 20;

const CODECS: [Codec; 5] = [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];

/// Walks, reads, judges and unfolds the bytes; rebuilds what was found good and compares.
pub fn record_batch(data: &[u8]) {
    let mut inflate = Inflater::new(LIMIT);
    for step in batches(data) {
        let Ok((_, view)) = step else { break };
        read_stored(&view, &mut inflate);
    }
    judge(data, &mut inflate);
    // No fuzzer guesses a checksum; so the same bytes once more with a header that lets them in.
    judge(&admitted(data), &mut inflate);
    if let Some((first, payload)) = data.split_first() {
        unfold(CODECS[usize::from(*first) % CODECS.len()], payload, &mut inflate);
    }
}

/// A reader hands out offsets that rise within the batch, or ends with an error.
fn read_stored(view: &BatchView<'_>, inflate: &mut Inflater) {
    let Ok(records) = view.records(inflate) else { return };
    let (mut next, last) = (view.header().base_offset, view.header().last_offset());
    let mut failed = false;
    for record in records {
        assert!(!failed, "a record after an error");
        let Ok(record) = record else {
            failed = true;
            continue;
        };
        assert!(next <= record.offset && record.offset <= last);
        next = record.offset.next();
        assert_eq!(record.headers().count(), record.header_count as usize);
    }
}

/// What a leader takes can be sealed, read and built again from its records, to the same records.
fn judge(request: &[u8], inflate: &mut Inflater) {
    let rules = ClientRules {
        keys_required: request.len() % 2 == 1,
        timestamp_earliest: Timestamp(0),
        timestamp_latest: Timestamp(i64::MAX),
    };
    let Ok(view) = BatchView::parse_only(request) else { return };
    let Ok(validated) = view.validate_from_client(inflate, &rules) else { return };
    let mut sealed = SealedBatch::from_validated(request.to_vec(), validated);
    sealed.stamp(Offset(77), LeaderEpoch(5));
    let stored = BatchView::parse(sealed.bytes()).expect("a sealed batch is a batch");
    stored.verify().expect("a sealed batch has its checksum");
    assert_eq!(stored.header(), sealed.header());

    let mut builder = BatchBuilder::new(Codec::None, None);
    let mut other = Inflater::new(LIMIT);
    for record in stored.records(&mut other).expect("it was unfolded before") {
        append_copy(&mut builder, record.expect("it was validated"));
    }
    let mut rebuilt = builder.seal(None, false).expect("a validated batch has records");
    rebuilt.stamp(Offset(77), LeaderEpoch(5));
    assert_eq!(rebuilt.record_count(), sealed.record_count());
    assert_eq!(rebuilt.max_timestamp(), sealed.max_timestamp());
    let rebuilt = BatchView::parse(rebuilt.bytes()).expect("a built batch is a batch");
    let again = rebuilt.records(inflate).expect("it is not compressed");
    for (one, two) in stored.records(&mut other).expect("as before").zip(again) {
        let (one, two) = (one.expect("as before"), two.expect("a built record is a record"));
        assert_eq!((one.offset, one.timestamp, one.key, one.value), (two.offset, two.timestamp, two.key, two.value));
        assert!(one.headers().eq(two.headers()));
    }
}

fn append_copy(builder: &mut BatchBuilder, record: RecordView<'_>) {
    let headers: Vec<Header<'_>> = record.headers().collect();
    let copy = RecordRef { key: record.key, value: record.value, headers: &headers };
    builder.append(copy, record.timestamp.map_or(-1, |at| at.0)).expect("a validated record is a legal one");
}

/// The bytes under a header that has the right length, magic, base offset, count and checksum.
fn admitted(data: &[u8]) -> Vec<u8> {
    let mut bytes = data.to_vec();
    bytes.resize(bytes.len().max(BATCH_HEADER_BYTES), 0);
    stamp_header(&mut bytes, Offset::ZERO, LeaderEpoch(0));
    bytes[16] = 2;
    // As many records as the last offset delta says, neither too many.
    bytes[23..25].copy_from_slice(&[0, 0]);
    let delta = u32::from(u16::from_be_bytes([bytes[25], bytes[26]]));
    bytes[57..61].copy_from_slice(&(delta + 1).to_be_bytes());
    let length = u32::try_from(bytes.len() - LOG_OVERHEAD_BYTES).expect("a fuzzer's input is short");
    bytes[8..12].copy_from_slice(&length.to_be_bytes());
    let crc = crc32c(&bytes[ATTRIBUTES_AT..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    debug_assert!(BatchHeader::parse(&bytes).is_ok());
    bytes
}

/// A payload unfolds to at most the limit or is refused; as plain bytes it survives the way there and back.
fn unfold(codec: Codec, payload: &[u8], inflate: &mut Inflater) {
    if !is_built_in(codec) {
        return;
    }
    if let Ok(plain) = inflate.inflate(codec, payload) {
        assert!(codec == Codec::None || plain.len() <= LIMIT);
    }
    let mut stream = Vec::new();
    let mut compressor = Compressor::new(codec, None).expect("it is built in");
    compressor.compress(payload, &mut stream).expect("there is memory");
    if payload.len() <= LIMIT {
        assert_eq!(inflate.inflate(codec, &stream).expect("our own stream"), payload);
    }
}
