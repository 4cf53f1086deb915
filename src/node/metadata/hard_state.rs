//! `kafkalog-quorum-state`: what this node has promised to the quorum.
//!
//! ```text
//! content   term u64 | has vote u8 | vote u32 | commit u64      big-endian, in an envelope with the magic KLOGVOTE
//! ```
//! It is the first file of the directory: one that has a log or a snapshot and no such file has lost its vote.

use super::envelope::{Envelope, ENVELOPE_BYTES};
use crate::controller::HardState;
use crate::disk::Disk;
use crate::error::{Error, ErrorCode, Result};
use crate::storage::checkpoint::{read_file, replace_file};
use crate::storage::doubt;
use crate::types::NodeId;
use std::path::Path;

pub(super) const HARD_STATE_FILE: &str = "kafkalog-quorum-state";
const ENVELOPE: Envelope = Envelope { magic: *b"KLOGVOTE", version: 1 };
const CONTENT_BYTES: usize = 21;

/// `None`: there is no such file.
///
/// # Errors
/// CORRUPT_MESSAGE, UNSUPPORTED_VERSION, KAFKA_STORAGE_ERROR: without its vote a node must not take part.
pub(super) fn read(disk: &dyn Disk, dir: &Path) -> Result<Option<HardState>> {
    let path = dir.join(HARD_STATE_FILE);
    let Some(bytes) = read_file(disk, &path, (CONTENT_BYTES + ENVELOPE_BYTES) as u64)? else { return Ok(None) };
    let content = ENVELOPE.open(&bytes, &path)?;
    let malformed = || Error::new(ErrorCode::CORRUPT_MESSAGE, format!("{} makes no sense", path.display()));
    let content: &[u8; CONTENT_BYTES] = content.try_into().map_err(|_| malformed())?;
    let u64_at = |at: usize| u64::from_be_bytes(content[at..at + 8].try_into().expect("eight bytes"));
    let node = NodeId(u32::from_be_bytes(content[9..13].try_into().expect("four bytes")));
    let vote = match content[8] {
        0 => None,
        1 => Some(node),
        _ => return Err(malformed()),
    };
    Ok(Some(HardState { term: u64_at(0), vote, commit: u64_at(13) }))
}

/// Replaces the file; durable on return. A crash leaves the old or the new one; a failure leaves a note, so that opening the log makes
/// it anew.
pub(super) fn write(disk: &dyn Disk, dir: &Path, state: HardState) -> Result<()> {
    let mut content = [0; CONTENT_BYTES];
    content[..8].copy_from_slice(&state.term.to_be_bytes());
    content[8] = u8::from(state.vote.is_some());
    content[9..13].copy_from_slice(&state.vote.unwrap_or_default().0.to_be_bytes());
    content[13..].copy_from_slice(&state.commit.to_be_bytes());
    let written = replace_file(disk, &dir.join(HARD_STATE_FILE), &ENVELOPE.seal(&content));
    written.inspect_err(|failure| doubt::note(disk, dir, failure))
}
