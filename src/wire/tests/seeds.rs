//! Writes the seeds of the fuzz target `wire_frame`.
//!
//!     cargo test --lib -- --ignored wire::tests::seeds

use super::some::samples;
use super::*;
use std::collections::BTreeMap;
use std::path::Path;

/// Type, direction and, for the controller, variant.
fn name_of(bytes: &[u8]) -> String {
    let envelope = Envelope::read(bytes).unwrap();
    let kinds =
        ["failed", "replica-fetch", "controller", "produce", "consumer-fetch", "list-offsets", "delete-records"];
    let kind =
        kinds.into_iter().chain(["metadata", "raft", "describe-replicas"]).nth(usize::from(envelope.kind)).unwrap();
    let direction = if envelope.is_response { "response" } else { "request" };
    match (kind, envelope.is_response) {
        ("controller", false) => format!("{kind}-{direction}-{}", bytes[12]),
        ("controller", true) if bytes[12] == 0 => format!("{kind}-{direction}-{}", bytes[13]),
        ("failed" | "raft", _) => kind.to_owned(),
        _ => format!("{kind}-{direction}"),
    }
}

#[test]
#[ignore = "writes the seeds"]
fn write_the_seeds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/wire_frame");
    std::fs::create_dir_all(&folder).unwrap();
    // The longest below 400 bytes of each kind: it has most in it.
    let mut seeds: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for bytes in samples(5_000, 400).iter().map(bytes_of) {
        let seed = seeds.entry(name_of(&bytes)).or_default();
        if seed.len() < bytes.len() {
            *seed = bytes.to_vec();
        }
    }
    let whole = seeds["metadata-response"].clone();
    let changed = |at: usize, byte: u8| {
        let mut copy = whole.clone();
        copy[at] = byte;
        copy
    };
    seeds.insert("damaged-cut".into(), whole[..whole.len() / 2].to_vec());
    seeds.insert("damaged-version".into(), changed(1, 2));
    seeds.insert("damaged-type".into(), changed(2, 99));
    seeds.insert("damaged-flags".into(), changed(3, 0x80));
    seeds.insert("damaged-count".into(), [&whole[..37], &[0xff; 40]].concat());
    seeds.insert("damaged-nothing".into(), Vec::new());
    for (name, bytes) in seeds {
        std::fs::write(folder.join(name), bytes).unwrap();
    }
}
