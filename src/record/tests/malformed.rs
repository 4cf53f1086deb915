//! Every batch of `../shared/vectors/record-batch/malformed`, judged in bounded memory.

use super::vectors::{manifest, text};
use super::*;
use crate::types::Offset;

/// Small, so that the bombs go off.
const BOMB_LIMIT: usize = 1 << 20;

#[test]
fn every_malformed_batch_is_judged_as_it_should_be_within_bounded_memory() {
    let Some((folder, entries)) = manifest("record-batch/malformed") else { return };
    let mut inflate = Inflater::new(BOMB_LIMIT);
    let mut judged = 0;
    for entry in &entries {
        let file = text(entry, "file");
        let bytes = std::fs::read(folder.join(file)).unwrap();
        let codec = BatchHeader::parse(&bytes).and_then(|header| header.codec()).unwrap_or(Codec::None);
        if !is_built_in(codec) {
            continue;
        }
        let verdict =
            BatchView::parse_only(&bytes).and_then(|view| view.validate_from_client(&mut inflate, &any_time()));
        let acceptable: Vec<&str> =
            entry["acceptable_errors"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
        match (text(entry, "expect"), &verdict) {
            ("accept" | "accept_or_reject", Ok(_)) => {}
            ("reject" | "reject_or_repair" | "accept_or_reject", Err(error)) => {
                assert!(acceptable.contains(&error.code().name()), "{file}: {error:?}, not {acceptable:?}");
            }
            // The one repair that we make.
            ("reject_or_repair", Ok(validated)) if file == "max-timestamp-wrong.bin" => {
                let sealed = SealedBatch::from_validated(bytes.clone(), *validated);
                let records = read(sealed.bytes()).unwrap();
                assert_eq!(Some(sealed.max_timestamp()), records.iter().map(|record| record.timestamp).max());
            }
            (expect, verdict) => panic!("{file}: {expect}, but {verdict:?}"),
        }
        assert_bounded(&inflate, file);
        judged += 1;
    }
    assert!(judged >= 100, "only {judged} judged");
}

#[test]
fn reading_a_malformed_batch_as_stored_data_ends_quietly() {
    let Some((folder, entries)) = manifest("record-batch/malformed") else { return };
    let mut inflate = Inflater::new(BOMB_LIMIT);
    for entry in &entries {
        let file = text(entry, "file");
        let bytes = std::fs::read(folder.join(file)).unwrap();
        let mut seen = 0;
        let mut sound = true;
        for step in batches(&bytes) {
            let Ok((_, view)) = step else {
                sound = false;
                break;
            };
            sound &= view.crc_matches();
            match view.records(&mut inflate) {
                Ok(records) => {
                    let (_, last) = (view.header().base_offset, view.header().last_offset());
                    for record in records {
                        match record {
                            Ok(record) => assert!(record.offset <= last && record.offset >= Offset::ZERO, "{file}"),
                            Err(_) => sound = false,
                        }
                        seen += 1;
                    }
                }
                Err(_) => sound = false,
            }
            assert_bounded(&inflate, file);
        }
        // What Kafka's reader finds unsound, ours does not pass as good.
        if text(&entry["kafka_read"], "verdict") == "reject" {
            assert!(!sound, "{file}: {seen} records read");
        }
    }
}

/// The buffer is the only thing in an inflater whose size a payload can move: contexts have a size of their own, and zstd
/// writes straight into the buffer and needs no window.
fn assert_bounded(inflate: &Inflater, file: &str) {
    assert!(inflate.held_bytes() <= BOMB_LIMIT + CONTEXT_BYTES_MAX, "{file}: {} bytes", inflate.held_bytes());
}

/// A zstd decompression context is about 100 KB, gzip's about 50.
const CONTEXT_BYTES_MAX: usize = 256 * 1024;
