//! Appending what another log has: batches as they are, as many as possible in one write.
//!
//! Each is checked before anything of it is written; a run of them goes to the file together and is then published one by one. A crash
//! in between leaves whole batches of the run, and perhaps a torn one, which recovery cuts.

use super::api::Appended;
use super::append::{end_txn_of, Incoming};
use super::append_group::has_room;
use super::log::{Appender, Log};
use super::producer_states::EndTxn;
use crate::error::{Error, ErrorCode, Result};
use crate::record::{batches, BatchView};
use crate::types::{Offset, Timestamp};

/// What one write takes at the most, unless a batch alone is longer.
const RUN_BYTES_MAX: u64 = 256 * 1024;

/// Batches that lie behind each other in the bytes at hand and are not in the file yet.
struct Run<'a> {
    bytes: &'a [u8],
    start: usize,
    end: usize,
    /// Mostly there is no other.
    head: Option<Judged>,
    rest: Vec<Judged>,
    first: Option<Offset>,
}

struct Judged {
    incoming: Incoming,
    base: Offset,
    marker: Option<EndTxn>,
}

impl Run<'_> {
    /// Where the log ends when the run is in it.
    fn end_offset(&self, log_end: Offset) -> Offset {
        self.rest.last().or(self.head.as_ref()).map_or(log_end, Judged::end)
    }
}

impl Judged {
    fn end(&self) -> Offset {
        self.base.plus(u64::from(self.incoming.last_offset_delta) + 1)
    }
}

impl Log {
    /// Appends batches exactly as another replica has them: offsets, epochs and bytes stay. Checksums are compared, offsets have to
    /// grow; sizes and sequences are not judged (the leader did).
    ///
    /// # Errors
    /// CORRUPT_MESSAGE (a checksum, an incomplete batch, offsets that go back); INVALID_REQUEST when `batches` is empty;
    /// KAFKA_STORAGE_ERROR. Batches before the one that failed may have been appended.
    pub fn append_verbatim(&self, bytes: &[u8]) -> Result<Appended> {
        let mut appender = self.appender.lock();
        self.check_open(&appender)?;
        let now = self.clock.realtime();
        let mut walk = batches(bytes);
        let mut run = Run { bytes, start: 0, end: 0, head: None, rest: Vec::new(), first: None };
        let judged = walk.by_ref().try_for_each(|next| {
            let (at, view) = next?;
            self.join_run(&mut appender, &mut run, at, &view, now)
        });
        // What is good goes to the file, also when the next one is not.
        self.write_run(&mut appender, &mut run)?;
        judged?;
        if walk.rest() > 0 {
            let what = format!("{}: {} bytes of an incomplete batch", self.partition, walk.rest());
            return Err(Error::new(ErrorCode::CORRUPT_MESSAGE, what));
        }
        let Some(base_offset) = run.first else {
            return Err(Error::new(ErrorCode::INVALID_REQUEST, "no batch to append"));
        };
        let last_offset = Offset(self.log_end().0 - 1);
        Ok(Appended { base_offset, last_offset, log_append_time: None, duplicate: false })
    }

    /// Judges one batch and puts it behind the run; where it cannot be written together with it, the run is written first.
    fn join_run(
        &self,
        appender: &mut Appender,
        run: &mut Run<'_>,
        at: usize,
        view: &BatchView<'_>,
        now: Timestamp,
    ) -> Result<()> {
        view.verify()?;
        let header = view.header();
        let log_end = run.end_offset(self.log_end());
        if header.base_offset < log_end {
            let what = format!("{}: batch at {} below the log end {log_end}", self.partition, header.base_offset);
            return Err(Error::new(ErrorCode::CORRUPT_MESSAGE, what));
        }
        // Before the write: a recovery takes a marker that says nothing for a torn tail.
        let marker = end_txn_of(view)?;
        let incoming = Incoming::of(header);
        let together = (run.end - run.start) as u64 + u64::from(incoming.bytes);
        let begins_epoch = header.leader_epoch.is_some() && header.leader_epoch != appender.epochs.latest();
        if begins_epoch || together > RUN_BYTES_MAX || !has_room(appender, together, header.last_offset()) {
            self.write_run(appender, run)?;
        }
        if run.head.is_none() {
            self.roll_if_needed(appender, &incoming, header.base_offset, now)?;
            if let Some(epoch) = header.leader_epoch {
                appender.epochs.assign(epoch, header.base_offset).map_err(|e| self.fail(e))?;
            }
            run.start = at;
        }
        run.end = at + view.bytes().len();
        run.first.get_or_insert(header.base_offset);
        let judged = Judged { incoming, base: header.base_offset, marker };
        if run.head.is_none() {
            run.head = Some(judged);
        } else {
            run.rest.push(judged);
        }
        Ok(())
    }

    fn write_run(&self, appender: &mut Appender, run: &mut Run<'_>) -> Result<()> {
        if run.head.is_none() {
            return Ok(());
        }
        let bytes = &run.bytes[run.start..run.end];
        self.check_open(appender)?;
        self.write(appender, bytes.len() as u64, |file, at| file.write_at(at, bytes))?;
        run.start = run.end;
        let mut noted = Ok(());
        for Judged { incoming, base, marker } in run.head.take().into_iter().chain(run.rest.drain(..)) {
            self.place(appender, &incoming, base);
            if let Some(marker) = marker {
                noted = noted.and(self.note_end_txn(appender, &marker));
            }
        }
        noted
    }
}
