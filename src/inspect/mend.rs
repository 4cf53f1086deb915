//! The hands of a repair: each file is copied before it is changed for the first time, each change leaves a directory that
//! opens if the power goes in the middle of it.

use super::dump::real_disk;
use super::repair::RepairStep;
use super::view::segment_bases;
use super::walk::LogWalk;
use crate::disk::Disk;
use crate::error::{Error, ErrorCode, Result};
use crate::storage::checkpoint::RECOVERY_POINT_FILE;
use crate::storage::leader_epochs::LEADER_EPOCH_FILE;
use crate::storage::log_dir::take_clean_shutdown;
use crate::storage::names::{file_name, file_name_in_state, parse_dir_name, FileKind, FileState};
use crate::storage::{
    end_txn_of, LeaderEpochs, LogDir, OffsetCheckpoint, OffsetIndex, ProducerBatch, ProducerStates, TimeIndex,
    TxnIndex, MARK_FILE,
};
use crate::types::{Offset, Position, Timestamp};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const CHUNK_BYTES: usize = 1 << 20;
/// Kafka's default of `index.interval.bytes`; any other is as right.
const INDEX_INTERVAL_BYTES: u64 = 4096;
/// A full segment of 70-byte batches has fewer entries than this at that interval.
const INDEX_BYTES_MAX: u32 = 64 << 20;

/// Holds the writer's lock while it works.
pub(super) struct Mender {
    dir: PathBuf,
    disk: Arc<dyn Disk>,
    _lock: LogDir,
    /// Where copies go, once there is one; and the copies by original.
    copies_dir: Option<PathBuf>,
    copies: BTreeMap<PathBuf, PathBuf>,
}

impl Mender {
    pub fn open(dir: &Path) -> Result<Mender> {
        let disk = real_disk();
        let lock = LogDir::open(&disk, dir)?;
        Ok(Mender { dir: dir.to_owned(), disk, _lock: lock, copies_dir: None, copies: BTreeMap::new() })
    }

    pub fn take(&mut self, step: &RepairStep) -> Result<()> {
        match step {
            RepairStep::CutOut { log, from_byte, to_byte, from_offset, .. } => {
                self.keep(log)?;
                self.distrust(log, Offset(*from_offset))?;
                self.cut_out(log, *from_byte, *to_byte)
            }
            RepairStep::Truncate { log, keep_bytes, from_offset, .. } => {
                self.keep(log)?;
                self.distrust(log, Offset(*from_offset))?;
                let file = self.disk.open(log).map_err(|e| Error::io("open", log, e))?;
                file.set_len(*keep_bytes).and_then(|()| file.sync_data()).map_err(|e| Error::io("cut", log, e))
            }
            RepairStep::RebuildIndexes { log } => self.rebuild_indexes(log),
            RepairStep::RebuildEpochs { partition } => self.rebuild_epochs(partition),
            RepairStep::RemoveFile { file } => self.remove(file),
            RepairStep::LowerCheckpoint { file, partition, to_offset } => {
                self.lower(file, partition, Offset(*to_offset))
            }
        }
    }

    /// Makes names durable and says where the copies are.
    pub fn finish(self) -> Result<Vec<PathBuf>> {
        Ok(self.copies.into_values().collect())
    }

    /// Copies a file as it is now, unless it was copied before.
    fn keep(&mut self, file: &Path) -> Result<()> {
        if self.copies.contains_key(file) || !file.exists() {
            return Ok(());
        }
        let inside = file.strip_prefix(&self.dir).unwrap_or(file);
        let copy = self.copies_dir()?.join(inside);
        if let Some(around) = copy.parent() {
            std::fs::create_dir_all(around).map_err(|e| Error::io("create", around, e))?;
        }
        std::fs::copy(file, &copy).map_err(|e| Error::io("copy", file, e))?;
        // Durable before the original changes, its name included.
        let kept = std::fs::File::open(&copy).and_then(|file| file.sync_all());
        kept.map_err(|e| Error::io("sync", &copy, e))?;
        let beside = self.real_dir()?.parent().map(Path::to_owned).unwrap_or_default();
        for around in copy.ancestors().skip(1).take_while(|around| around.starts_with(&beside)) {
            self.disk.sync_dir(around).map_err(|e| Error::io("sync", around, e))?;
        }
        self.copies.insert(file.to_owned(), copy);
        Ok(())
    }

    /// Beside the data directory, so that nobody takes a copy for a topic.
    fn copies_dir(&mut self) -> Result<PathBuf> {
        if let Some(dir) = &self.copies_dir {
            return Ok(dir.clone());
        }
        for n in 1.. {
            let mut name = self.real_dir()?.into_os_string();
            name.push(format!(".damaged-{n}"));
            let path = PathBuf::from(name);
            match std::fs::create_dir(&path) {
                Ok(()) => {
                    self.copies_dir = Some(path.clone());
                    return Ok(path);
                }
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(Error::io("create", &path, error)),
            }
        }
        unreachable!("the numbers do not end before the names are all taken")
    }

    /// The directory under its own name: `data/`, `.` and a link have none that something could lie beside.
    fn real_dir(&self) -> Result<PathBuf> {
        std::fs::canonicalize(&self.dir).map_err(|e| Error::io("find", &self.dir, e))
    }

    /// Takes back every promise that everything of this log up to its end is sound, before it is cut: the next open then
    /// looks for itself.
    fn distrust(&mut self, log: &Path, from: Offset) -> Result<()> {
        let partition = log.parent().unwrap_or(log).to_owned();
        self.remove(&partition.join(MARK_FILE))?;
        self.lower(&self.dir.join(RECOVERY_POINT_FILE), &partition, from)?;
        take_clean_shutdown(&*self.disk, &self.dir).map(|_| ())
    }

    fn remove(&mut self, file: &Path) -> Result<()> {
        if !file.exists() {
            return Ok(());
        }
        self.keep(file)?;
        self.disk.remove(file).map_err(|e| Error::io("remove", file, e))?;
        self.sync_around(file)
    }

    fn sync_around(&self, file: &Path) -> Result<()> {
        let around = file.parent().unwrap_or(&self.dir);
        self.disk.sync_dir(around).map_err(|e| Error::io("sync", around, e))
    }

    fn lower(&mut self, file: &Path, partition: &Path, to: Offset) -> Result<()> {
        let name = partition.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let Some((id, _)) = parse_dir_name(name) else { return Ok(()) };
        let (mut checkpoint, _) = OffsetCheckpoint::read_lenient(&*self.disk, file);
        match checkpoint.offsets.get_mut(&id) {
            Some(offset) if *offset > to => *offset = to,
            _ => return Ok(()),
        }
        self.keep(file)?;
        checkpoint.write(&*self.disk, file)
    }

    /// The file without the stretch is written beside, under a name that a crash makes everybody delete, and then takes the
    /// old one's place.
    fn cut_out(&mut self, log: &Path, from_byte: u64, to_byte: u64) -> Result<()> {
        let base = super::walk::base_of(log, FileKind::Log)?;
        let beside = log.with_file_name(file_name_in_state(base, FileKind::Log, FileState::Cleaned));
        let failed = |doing: &'static str, error| Error::io(doing, &beside, error);
        let old = self.disk.open_read(log).map_err(|e| Error::io("open", log, e))?;
        let len = old.len().map_err(|e| Error::io("measure", log, e))?;
        if beside.exists() {
            self.disk.remove(&beside).map_err(|e| failed("remove", e))?;
        }
        let new = self.disk.create(&beside, 0).map_err(|e| failed("create", e))?;
        let mut buffer = vec![0; CHUNK_BYTES];
        let mut written = 0;
        for (mut at, end) in [(0, from_byte), (to_byte, len)] {
            while at < end {
                let bytes = CHUNK_BYTES.min(usize::try_from(end - at).unwrap_or(CHUNK_BYTES));
                old.read_at(at, &mut buffer[..bytes]).map_err(|e| Error::io("read", log, e))?;
                new.write_at(written, &buffer[..bytes]).map_err(|e| failed("write", e))?;
                at += bytes as u64;
                written += bytes as u64;
            }
        }
        new.sync_data().map_err(|e| failed("sync", e))?;
        self.disk.rename(&beside, log).map_err(|e| failed("rename", e))?;
        self.sync_around(log)
    }

    fn rebuild_indexes(&mut self, log: &Path) -> Result<()> {
        let base = super::walk::base_of(log, FileKind::Log)?;
        let sibling = |kind| log.with_file_name(file_name(base, kind));
        let (offset_path, time_path) = (sibling(FileKind::Index), sibling(FileKind::TimeIndex));
        let txn_path = sibling(FileKind::TxnIndex);
        let had_txn_index = txn_path.exists();
        for path in [&offset_path, &time_path, &txn_path] {
            self.remove(path)?;
        }
        let offsets = OffsetIndex::open_active(&self.disk, &offset_path, base, INDEX_BYTES_MAX)?;
        let times = TimeIndex::open_active(&self.disk, &time_path, base, INDEX_BYTES_MAX)?;
        let mut walk = LogWalk::open(log)?;
        let (mut since_entry, mut newest) = (0, None);
        while let Some((at, header)) = walk.step_header()? {
            if newest.is_none_or(|(newest, _)| header.max_timestamp > newest) && header.max_timestamp >= 0 {
                newest = Some((header.max_timestamp, header.last_offset()));
            }
            if since_entry > INDEX_INTERVAL_BYTES {
                let at = u32::try_from(at).map_err(|_| too_large(log))?;
                offsets.append(header.last_offset(), Position(at))?;
                if let Some((timestamp, offset)) = newest {
                    times.maybe_append(Timestamp(timestamp), offset, false)?;
                }
                since_entry = 0;
            }
            since_entry += u64::from(header.batch_bytes);
        }
        if let Some((timestamp, offset)) = newest {
            times.maybe_append(Timestamp(timestamp), offset, true)?;
        }
        offsets.sync()?;
        times.sync()?;
        offsets.seal();
        times.seal();
        if had_txn_index {
            self.rebuild_txn_index(log, base, &txn_path)?;
        }
        self.sync_around(log)
    }

    /// Which transactions were aborted in this segment is found by replaying all producers from the first segment on.
    fn rebuild_txn_index(&self, log: &Path, base: Offset, path: &Path) -> Result<()> {
        let index = TxnIndex::open(&self.disk, path, base)?;
        let mut states = ProducerStates::new();
        for segment in segment_bases(log.parent().unwrap_or(log))?.into_iter().filter(|segment| *segment <= base) {
            let mut walk = LogWalk::open(&log.with_file_name(file_name(segment, FileKind::Log)))?;
            while let Some(Ok((_, view))) = walk.step()? {
                let header = *view.header();
                let Some(producer) = header.producer else { continue };
                if let Some(marker) = end_txn_of(&view)? {
                    let aborted = states.end_txn(&marker);
                    if let Some(aborted) = aborted.filter(|_| segment == base) {
                        index.append(aborted)?;
                    }
                } else if !header.is_control() {
                    states.update(&ProducerBatch {
                        producer,
                        base_offset: header.base_offset,
                        last_offset_delta: header.last_offset_delta,
                        max_timestamp: header.max_timestamp,
                        is_transactional: header.is_transactional(),
                    });
                }
            }
        }
        index.sync()
    }

    fn rebuild_epochs(&mut self, partition: &Path) -> Result<()> {
        self.remove(&partition.join(LEADER_EPOCH_FILE))?;
        let (mut epochs, _) = LeaderEpochs::open(&self.disk, partition)?;
        for base in segment_bases(partition)? {
            let mut walk = LogWalk::open(&partition.join(file_name(base, FileKind::Log)))?;
            while let Some((_, header)) = walk.step_header()? {
                if let Some(epoch) = header.leader_epoch {
                    epochs.assign_in_memory(epoch, header.base_offset);
                }
            }
        }
        epochs.persist()
    }
}

fn too_large(log: &Path) -> Error {
    let message = format!("{} is larger than a segment can be", log.display());
    Error::new(ErrorCode::CORRUPT_MESSAGE, message)
}
