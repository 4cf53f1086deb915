//! Whatever goes in comes out.

use super::*;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

fn some_bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(any::<u8>(), 0..40),
        vec(any::<u8>(), 0..3000),
        // Compressible, and longer than a block of snappy or lz4.
        (any::<u8>(), 0..150_000usize).prop_map(|(byte, length)| vec![byte; length]),
    ]
}

fn some_record() -> impl Strategy<Value = Owned> {
    let header = ("\\PC{0,12}", option::of(vec(any::<u8>(), 0..30)));
    let timestamp = prop_oneof![Just(-1), Just(i64::MAX), 0..2_000_000_000_000i64, 1_000..1_050i64];
    (timestamp, option::of(some_bytes()), option::of(some_bytes()), vec(header, 0..4)).prop_map(
        |(timestamp, key, value, headers)| Owned {
            timestamp,
            key,
            value,
            headers: headers.into_iter().map(|(key, value)| (key.into_bytes(), value)).collect(),
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_appended_is_read_back_under_every_codec(records in vec(some_record(), 1..12)) {
        for codec in built_in_codecs() {
            let batch = built(codec, &records);
            prop_assert_eq!(read(batch.bytes()).unwrap(), records.clone());
            prop_assert_eq!(batch.max_timestamp(), records.iter().map(|record| record.timestamp).max().unwrap());
            let validated = validate(batch.bytes(), &any_time()).unwrap();
            prop_assert_eq!(SealedBatch::from_validated(batch.bytes().to_vec(), validated), batch);
        }
    }

    #[test]
    fn a_batch_keeps_its_records_through_every_other_codec(records in vec(some_record(), 1..6)) {
        let mut inflate = Inflater::new(LIMIT);
        for from in built_in_codecs() {
            let mut batch = built(from, &records);
            for to in built_in_codecs() {
                batch.recompress(&mut Compressor::new(to, None).unwrap(), &mut inflate).unwrap();
                prop_assert_eq!(&BatchHeader::parse(batch.bytes()).unwrap(), batch.header());
                prop_assert_eq!(read(batch.bytes()).unwrap(), records.clone());
            }
        }
    }

    #[test]
    fn one_context_serves_batch_after_batch(payloads in vec(some_bytes(), 1..8)) {
        let mut inflate = Inflater::new(LIMIT);
        for codec in built_in_codecs() {
            let mut compressor = Compressor::new(codec, None).unwrap();
            for payload in &payloads {
                let mut stream = Vec::new();
                compressor.compress(payload, &mut stream).unwrap();
                prop_assert_eq!(inflate.inflate(codec, &stream).unwrap(), &payload[..]);
            }
        }
    }

    #[test]
    fn random_bytes_harm_nobody(bytes in vec(any::<u8>(), 0..400)) {
        let mut inflate = Inflater::new(1 << 20);
        for codec in built_in_codecs() {
            let _ = inflate.inflate(codec, &bytes);
        }
        for step in batches(&bytes) {
            let Ok((_, view)) = step else { break };
            let _ = view.validate_from_client(&mut inflate, &any_time());
            if let Ok(records) = view.records(&mut inflate) {
                records.for_each(drop);
            }
        }
    }
}
