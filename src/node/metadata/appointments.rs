//! `kafkalog-appointments`: what the host has said to this node (`controller.mode=static`).
//!
//! The content is the image as records (`controller/codec.rs`), in an envelope with the magic KLOGAPPT. It is replaced whole before
//! anybody hears of a change: an epoch that was obeyed once is known to every later life of the node, and the ISR in it is never larger
//! than one that records were acknowledged with.

use super::envelope::{Envelope, ENVELOPE_BYTES};
use crate::controller::{decode_records, encode_records, Image, MetadataRecord};
use crate::disk::Disk;
use crate::error::{Error, ErrorCode, Result};
use crate::storage::checkpoint::{read_file, replace_file};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const APPOINTMENTS_FILE: &str = "kafkalog-appointments";
const ENVELOPE: Envelope = Envelope { magic: *b"KLOGAPPT", version: 1 };
/// A file is only believed, and written, up to this size.
const CONTENT_BYTES_MAX: usize = 64 * 1024 * 1024;

pub(super) struct Appointments {
    disk: Arc<dyn Disk>,
    path: PathBuf,
}

impl fmt::Debug for Appointments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Appointments").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Appointments {
    pub fn at(disk: Arc<dyn Disk>, data_dir: &Path) -> Appointments {
        Appointments { disk, path: data_dir.join(APPOINTMENTS_FILE) }
    }

    /// `None`: the host has never said anything here.
    ///
    /// # Errors
    /// CORRUPT_MESSAGE, UNSUPPORTED_VERSION, KAFKA_STORAGE_ERROR: without it an epoch could be taken twice.
    pub fn read(&self) -> Result<Option<Vec<MetadataRecord>>> {
        let bytes_max = (CONTENT_BYTES_MAX + ENVELOPE_BYTES) as u64;
        let Some(bytes) = read_file(&*self.disk, &self.path, bytes_max)? else { return Ok(None) };
        let records = decode_records(ENVELOPE.open(&bytes, &self.path)?);
        records.map(Some).map_err(|e| e.within(self.path.display()))
    }

    /// Replaces the file; durable on return. A crash leaves the old or the new one.
    ///
    /// # Errors
    /// POLICY_VIOLATION, with nothing written, for an image that is too large; KAFKA_STORAGE_ERROR.
    pub fn write(&self, image: &Image) -> Result<()> {
        let content = encode_records(&image.to_records());
        if content.len() > CONTENT_BYTES_MAX {
            let text = format!("{}: {} bytes, at most {CONTENT_BYTES_MAX}", self.path.display(), content.len());
            return Err(Error::new(ErrorCode::POLICY_VIOLATION, text));
        }
        replace_file(&*self.disk, &self.path, &ENVELOPE.seal(&content))
    }
}

/// Whether a directory was a node's whose host appoints leaders.
pub(crate) fn has_appointments(disk: &dyn Disk, data_dir: &Path) -> Result<bool> {
    let path = data_dir.join(APPOINTMENTS_FILE);
    disk.exists(&path).map_err(|e| Error::io("look for", &path, e))
}
