//! One partition's log: what it holds, and the numbers that everybody asks for.
//!
//! `log_start <= high_watermark <= log_end` and `flushed <= log_end`, always.
//!
//! Locks: `appender` is taken by whoever changes the log (append, roll, truncate, retention, close) and held across its writes, so
//! that batches lie in the file in the order of their offsets; a sync for an acknowledgement is made without it. Readers take no
//! lock but the short one on the list of segments.

use super::api::{Appended, LogOffsets, Opening, SegmentSummary, SyncCounters};
use super::append::Foreign;
use super::doubt;
use super::flush::GroupCommit;
use super::leader_epochs::LeaderEpochs;
use super::mark::MarkFile;
use super::open_files::OpenFiles;
use super::producer_states::ProducerStates;
use super::recovery::{self, RecoveryReport};
use super::retention::Doomed;
use super::roll::draw_jitter;
use super::room_ahead::RoomAhead;
use super::segment::{Segment, SegmentSetup};
use super::segments::Segments;
use super::tail::Tail;
use super::txn_index::AbortedTxn;
use super::writeback::Writeback;
use crate::config::LogConfig;
use crate::disk::{Disk, DiskFile};
use crate::error::{Error, ErrorCode, Result};
use crate::planted::planted;
use crate::record::INFLATED_BYTES_MAX;
use crate::time::Clock;
use crate::types::{LeaderEpoch, Offset, TopicPartition};
use parking_lot::{Mutex, RwLock};
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;
use std::time::Duration;

/// One partition's log. All calls from any thread; appends take one lock, reads none of it.
pub struct Log {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) dir: PathBuf,
    pub(super) partition: TopicPartition,
    pub(super) files: Arc<OpenFiles>,
    pub(super) appender: Mutex<Appender>,
    segments: RwLock<Arc<Segments>>,
    config: RwLock<Arc<LogConfig>>,
    pub(super) log_start: AtomicU64,
    pub(super) high_watermark: AtomicU64,
    pub(super) log_end: AtomicU64,
    pub(super) commit: GroupCommit,
    pub(super) writeback: Writeback,
    pub(super) tail: Tail,
    pub(super) mark: MarkFile,
    /// A file was created or renamed since the directory was last synced.
    pub(super) dir_dirty: AtomicBool,
    /// When the oldest batch that no background flush has covered was appended (monotonic nanoseconds); 0: there is none.
    pub(super) dirty_since: AtomicU64,
    /// Something was appended, cut or deleted since a clean open, or the open was not clean.
    pub(super) changed: AtomicBool,
    pub(super) failed: AtomicBool,
    failure: Mutex<Option<Error>>,
    pub(super) doomed: Mutex<Vec<Doomed>>,
    /// Whether an open or undecided transaction holds the last stable offset back.
    pub(super) has_unstable: AtomicBool,
    pub(super) foreign: Mutex<Foreign>,
    report: RecoveryReport,
}

/// What only the thread that changes the log may touch.
pub(super) struct Appender {
    pub(super) active: Arc<Segment>,
    pub(super) file: Arc<dyn DiskFile>,
    /// Blocks behind the end of `file`.
    pub(super) room: RoomAhead,
    pub(super) config: Arc<LogConfig>,
    /// Bytes appended since the last index entry.
    pub(super) bytes_since_index: u64,
    /// And since the system was asked to write them to the disk.
    pub(super) bytes_since_writeback: u64,
    pub(super) epochs: LeaderEpochs,
    pub(super) producers: ProducerStates,
    /// Subtracted from `segment.ms`, drawn once per segment.
    pub(super) jitter: Duration,
    pub(super) closed: bool,
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").field("dir", &self.dir).field("offsets", &self.offsets()).finish_non_exhaustive()
    }
}

impl Log {
    /// Opens the log in `opening.dir`, creating it when absent, and recovers it when it was not closed in order.
    ///
    /// # Durability
    /// What recovery accepts is synced before this returns: nobody reads a record that a power cut could still take back.
    ///
    /// # Errors
    /// KAFKA_STORAGE_ERROR when the file system refuses; INCONSISTENT_TOPIC_ID when the directory belongs to another topic;
    /// UNSUPPORTED_VERSION when a file of ours is newer than this program. Damage that is not a torn tail is no error here: it is in
    /// [`recovery_report`](Log::recovery_report), reads below it go on, appends are refused.
    pub fn open(opening: Opening) -> Result<Log> {
        let loaded = recovery::load(&opening)?;
        let active = loaded.segments.active().clone();
        let config = Arc::new(opening.config);
        let appender = Appender {
            file: active.writer()?,
            room: if config.preallocate { RoomAhead::unwanted() } else { RoomAhead::default() },
            active,
            config: config.clone(),
            bytes_since_index: loaded.bytes_since_index,
            bytes_since_writeback: 0,
            epochs: loaded.epochs,
            producers: loaded.producers,
            jitter: draw_jitter(&config, &opening.partition, loaded.segments.active().base),
            closed: false,
        };
        let high_watermark = opening.high_watermark.clamp(loaded.log_start, loaded.log_end);
        let log = Log {
            disk: opening.disk,
            clock: opening.clock,
            dir: opening.dir,
            partition: opening.partition,
            files: opening.files,
            appender: Mutex::new(appender),
            segments: RwLock::new(Arc::new(loaded.segments)),
            config: RwLock::new(config),
            log_start: AtomicU64::new(loaded.log_start.0),
            high_watermark: AtomicU64::new(high_watermark.0),
            log_end: AtomicU64::new(loaded.log_end.0),
            commit: GroupCommit::default(),
            writeback: Writeback::default(),
            tail: Tail::default(),
            mark: loaded.mark,
            dir_dirty: AtomicBool::new(false),
            dirty_since: AtomicU64::new(0),
            changed: AtomicBool::new(!opening.clean),
            failed: AtomicBool::new(false),
            failure: Mutex::new(None),
            doomed: Mutex::new(Vec::new()),
            has_unstable: AtomicBool::new(false),
            foreign: Mutex::new(Foreign::new(INFLATED_BYTES_MAX)),
            report: loaded.report,
        };
        log.commit.set(loaded.log_end);
        {
            let mut appender = log.appender.lock();
            appender.producers.handle_high_watermark(high_watermark);
            log.note_unstable(&appender);
        }
        if let Some(damage) = log.report.damage.clone() {
            log.fail(damage);
        }
        Ok(log)
    }

    /// What opening found and did.
    pub fn recovery_report(&self) -> &RecoveryReport {
        &self.report
    }

    pub fn log_start(&self) -> Offset {
        Offset(self.log_start.load(Ordering::Acquire))
    }

    pub fn high_watermark(&self) -> Offset {
        Offset(self.high_watermark.load(Ordering::Acquire))
    }

    /// End of what is durable.
    pub fn flushed(&self) -> Offset {
        self.commit.flushed()
    }

    pub fn log_end(&self) -> Offset {
        Offset(self.log_end.load(Ordering::Acquire))
    }

    /// All four numbers; read one after the other, so that each is true but they need not be of one instant.
    pub fn offsets(&self) -> LogOffsets {
        let log_start = self.log_start();
        let high_watermark = self.high_watermark();
        LogOffsets { log_start, high_watermark, flushed: self.flushed(), log_end: self.log_end() }
    }

    /// Moves the high watermark up to `to` (never back, never past the log end). True when it moved.
    pub fn advance_high_watermark(&self, to: Offset) -> bool {
        let to = to.min(self.log_end());
        let moved = self.high_watermark.fetch_max(to.0, Ordering::AcqRel) < to.0;
        if moved && self.has_unstable.load(Ordering::Acquire) {
            let mut appender = self.appender.lock();
            appender.producers.handle_high_watermark(to);
            self.note_unstable(&appender);
        }
        moved
    }

    pub(super) fn note_unstable(&self, appender: &Appender) {
        self.has_unstable.store(appender.producers.first_unstable_offset().is_some(), Ordering::Release);
    }

    /// End of what a `read_committed` consumer may read: the high watermark, or the start of the first transaction that is not decided.
    pub fn last_stable_offset(&self) -> Offset {
        let high_watermark = self.high_watermark();
        if !self.has_unstable.load(Ordering::Acquire) {
            return high_watermark;
        }
        let unstable = self.appender.lock().producers.first_unstable_offset();
        unstable.map_or(high_watermark, |offset| offset.min(high_watermark))
    }

    /// The aborted transactions with records in `[from, to)`: what a `read_committed` consumer drops.
    pub fn aborted_transactions(&self, from: Offset, to: Offset) -> Result<Vec<AbortedTxn>> {
        let segments = self.segments();
        let mut aborted = Vec::new();
        for segment in segments.iter().skip(segments.floor(from)) {
            if segment.txn_index.collect(from, to, &mut aborted)? {
                break;
            }
        }
        Ok(aborted)
    }

    pub(super) fn segments(&self) -> Arc<Segments> {
        self.segments.read().clone()
    }

    /// Replaces the list of segments; the appender's lock is held.
    pub(super) fn replace_segments(&self, segments: Segments) {
        *self.segments.write() = Arc::new(segments);
    }

    pub(super) fn setup(&self, config: &LogConfig) -> SegmentSetup<'_> {
        SegmentSetup {
            disk: &self.disk,
            files: &self.files,
            dir: &self.dir,
            index_bytes_max: config.segment_index_bytes,
            now: self.clock.realtime(),
        }
    }

    /// New settings; they hold from the next append on.
    pub fn set_config(&self, config: LogConfig) {
        let config = Arc::new(config);
        *self.config.write() = config.clone();
        self.appender.lock().config = config;
    }

    pub fn config(&self) -> Arc<LogConfig> {
        self.config.read().clone()
    }

    /// The first storage failure: final for this open. Reads of what was flushed go on, reopening recovers from the disk.
    pub fn failure(&self) -> Option<Error> {
        if !self.failed.load(Ordering::Acquire) {
            return None;
        }
        self.failure.lock().clone()
    }

    /// Turns the log off: no more acks, every waiter gets the failure. Returns the first failure, marked as fatal.
    pub(super) fn fail(&self, failure: Error) -> Error {
        let first = {
            let mut kept = self.failure.lock();
            // The first may have been a full disk, which leaves none.
            if kept.as_ref().is_none_or(|first| !doubt::leaves_doubt(first)) {
                doubt::note(&*self.disk, &self.dir, &failure);
            }
            kept.get_or_insert_with(|| failure.into_fatal()).clone()
        };
        self.failed.store(true, Ordering::Release);
        self.commit.fail(first.clone());
        first
    }

    /// Bytes of the `.log` files.
    pub fn size_bytes(&self) -> u64 {
        self.segments().iter().map(|segment| segment.bytes()).sum()
    }

    pub fn segment_summaries(&self) -> Vec<SegmentSummary> {
        self.segments().iter().map(|segment| segment.summary()).collect()
    }

    pub fn sync_counters(&self) -> SyncCounters {
        self.commit.counters()
    }

    /// The newest leader epoch and all before it, with the offsets where they began.
    pub fn leader_epochs(&self) -> Vec<(LeaderEpoch, Offset)> {
        self.appender.lock().epochs.entries().to_vec()
    }

    /// Forgets producers that have been idle for `producer.id.expiration.ms`.
    pub fn expire_producers(&self, now: crate::types::Timestamp) {
        let mut appender = self.appender.lock();
        if !appender.producers.is_empty() {
            let expiration = appender.config.producer_id_expiration;
            appender.producers.expire(now, expiration);
        }
    }

    /// Refuses when closed or failed.
    pub(super) fn check_open(&self, appender: &Appender) -> Result<()> {
        if self.failed.load(Ordering::Acquire) {
            return Err(self.failure().expect("failed logs keep their failure"));
        }
        if appender.closed {
            return Err(Error::new(ErrorCode::CLOSED, format!("the log of {} is closed", self.partition)));
        }
        Ok(())
    }

    /// Group commit: returns when everything below `end` is durable. Joins a sync that is about to begin, or leads one of the `.log`
    /// alone (and of the directory, when a segment is new) on the calling thread.
    ///
    /// # Errors
    /// KAFKA_STORAGE_ERROR, fatal: the sync failed, now or earlier. NOT_LEADER_OR_FOLLOWER: the log was cut below `end` meanwhile.
    pub fn flush_up_to(&self, end: Offset) -> Result<()> {
        if self.commit.commit(end, || self.log_end(), || self.sync_log())? {
            return Ok(());
        }
        let text =
            format!("{}: the log was cut, and {end} with it; another leader has other records there", self.partition);
        Err(Error::new(ErrorCode::NOT_LEADER_OR_FOLLOWER, text))
    }

    /// Syncs the active segment's file; everything before it was synced when it was rolled.
    pub(super) fn sync_log(&self) -> Result<Offset> {
        // The end first: a roll after this line has synced what lies below it by itself.
        let end = self.log_end();
        let active = self.segments().active().clone();
        let Ok(file) = active.writer() else {
            return Ok(end); // sealed meanwhile, therefore synced
        };
        if planted!("bug-ack-before-fsync") {
            return Ok(end);
        }
        file.sync_data().map_err(|e| self.fail(Error::sync("sync segment", active.path(), e)))?;
        self.sync_dir_if_dirty()?;
        Ok(end)
    }

    pub(super) fn sync_dir_if_dirty(&self) -> Result<()> {
        if self.dir_dirty.swap(false, Ordering::AcqRel) {
            self.disk.sync_dir(&self.dir).map_err(|e| self.fail(Error::sync("sync directory", &self.dir, e)))?;
        }
        Ok(())
    }
}

/// An answer for a batch that is in the log already.
pub(super) fn duplicate(base_offset: Offset, last_offset: Offset) -> Appended {
    Appended { base_offset, last_offset, log_append_time: None, duplicate: true }
}
