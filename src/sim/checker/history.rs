//! The account of one partition: what is committed, who led, who was seen where.

use super::facts::{Decision, ReadLog};
use super::wounds::Wound;
use crate::record::batches;
use crate::sim::findings::{found, Checked};
use crate::sim::payload::{names, RecordId};
use crate::sim::trace::fingerprint;
use crate::storage::LogOffsets;
use crate::types::{LeaderEpoch, NodeId, Offset, TopicPartition};
use bytes::Bytes;
use std::collections::BTreeMap;

/// One committed batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Entry {
    pub end: Offset,
    pub epoch: LeaderEpoch,
    /// Of all its bytes.
    pub print: u64,
}

/// A replica when it was last looked at.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Seen {
    pub life: u64,
    pub leader_epoch: LeaderEpoch,
    pub leads: bool,
    pub offsets: LogOffsets,
    /// Its log agrees with the account up to here.
    pub verified: Offset,
}

#[derive(Default)]
pub(super) struct History {
    /// By base offset, without a hole from the first one on.
    pub entries: BTreeMap<Offset, Entry>,
    records: BTreeMap<RecordId, Offset>,
    new_records: Vec<RecordId>,
    pub acked: BTreeMap<Offset, RecordId>,
    pub leaders: BTreeMap<LeaderEpoch, NodeId>,
    /// Where the committed records ended when the first node heard of the reign.
    pub successions: BTreeMap<LeaderEpoch, Offset>,
    /// With its offset in the metadata log.
    pub decision: Option<(u64, Decision)>,
    pub seen: BTreeMap<NodeId, Seen>,
    pub wounds: BTreeMap<NodeId, Wound>,
    /// A leader whose disk has failed says that this much is committed, and can show only what was flushed.
    pub unseen_end: Offset,
    /// From here on a loss is excused.
    pub floor: Option<Offset>,
    /// Who has perhaps still what was lost that way, and from where on its log is no measure for that.
    pub stale: BTreeMap<NodeId, Offset>,
    pub losses: u64,
}

/// Where a log and the account part, and how.
pub(super) struct Parting {
    pub at: Offset,
    pub what: String,
}

impl History {
    pub fn end(&self) -> Offset {
        self.entries.last_key_value().map_or(Offset::ZERO, |(_, entry)| entry.end)
    }

    pub fn take_new_records(&mut self) -> Vec<RecordId> {
        std::mem::take(&mut self.new_records)
    }

    /// Compares a log with the account, from a batch's beginning to a batch's end. Answers how far they agree, at least `to` if there is
    /// no parting.
    pub fn compare(&self, log: &dyn ReadLog, from: Offset, to: Offset) -> Result<Offset, Parting> {
        let mut at = from;
        while at < to {
            let parting = |at, what: String| Parting { at, what };
            let bytes = log.read_log(at).map_err(|error| parting(at, format!("cannot be read: {error}")))?;
            let before = at;
            for view in batches(&bytes) {
                let (_, view) = view.map_err(|error| parting(at, format!("is no batch: {error}")))?;
                let base = view.header().base_offset;
                if base >= to {
                    return Ok(at);
                }
                let Some(entry) = self.entries.get(&base).filter(|_| base == at) else {
                    return Err(Parting { at: at.min(base), what: format!("has a batch at {base} where none begins") });
                };
                if entry.print != fingerprint(view.bytes()) {
                    let (mine, epoch) = (entry.epoch, view.header().leader_epoch);
                    let what = format!("has other bytes at {base}: of {epoch:?}, committed in {mine:?}");
                    return Err(Parting { at, what });
                }
                at = entry.end;
            }
            if at == before {
                return Err(Parting { at, what: "ends".to_owned() });
            }
        }
        Ok(at)
    }

    /// A leader shows that its log is committed up to `to`.
    pub fn extend(&mut self, name: &TopicPartition, node: NodeId, log: &dyn ReadLog, to: Offset) -> Checked {
        while self.end() < to {
            let end = self.end();
            let bytes = match log.read_log(end) {
                Ok(bytes) if !bytes.is_empty() => bytes,
                Ok(_) => return found!(WatermarkBack, "{name} at {node}: high watermark {to}, nothing lies at {end}"),
                Err(error) => return found!(Corrupt, "{name} at {node}: {end} cannot be read: {error}"),
            };
            for view in batches(&bytes) {
                let view = match view {
                    Ok((_, view)) => view,
                    Err(error) => return found!(Corrupt, "{name} at {node}, {end}: {error}"),
                };
                let header = view.header();
                if header.base_offset >= to {
                    break;
                }
                if header.base_offset != self.end() && !self.entries.is_empty() {
                    return found!(Corrupt, "{name} at {node}: a hole from {} to {}", self.end(), header.base_offset);
                }
                let ids = match names(&view) {
                    Ok(ids) => ids,
                    Err(error) => return found!(Corrupt, "{name} at {node}, {end}: {error}"),
                };
                for (offset, id) in (header.base_offset.0..).zip(ids) {
                    let Some(id) = id else {
                        return found!(Corrupt, "{name} at {node}: nobody wrote what lies at {offset}");
                    };
                    self.add_record(name, id, Offset(offset))?;
                }
                let epoch = header.leader_epoch.unwrap_or_default();
                let entry = Entry { end: header.end_offset(), epoch, print: fingerprint(view.bytes()) };
                self.entries.insert(header.base_offset, entry);
            }
        }
        Ok(())
    }

    fn add_record(&mut self, name: &TopicPartition, id: RecordId, offset: Offset) -> Checked {
        if let Some(before) = self.records.insert(id, offset) {
            return found!(Duplicate, "{name}: {id} lies at {before} and at {offset}");
        }
        let later = self.records.range(RecordId { number: id.number + 1, ..id }..).next();
        if let Some((later, at)) = later.filter(|(later, _)| later.producer == id.producer) {
            return found!(Reordered, "{name}: {later} lies at {at}, {id} at {offset}");
        }
        self.new_records.push(id);
        Ok(())
    }

    /// Forgets what was committed from `at` on: it is lost, and excused.
    pub fn forget_from(&mut self, at: Offset) {
        let at =
            self.entries.range(..=at).next_back().map_or(at, |(base, entry)| if entry.end > at { *base } else { at });
        self.entries.split_off(&at);
        self.acked.split_off(&at);
        self.records.retain(|_, offset| *offset < at);
        self.unseen_end = self.unseen_end.min(at);
        self.losses += 1;
        self.floor = None;
        self.seen.values_mut().for_each(|seen| seen.verified = seen.verified.min(at));
    }

    pub fn check_acked(&self, name: &TopicPartition, first: RecordId, offset: Offset) -> Checked {
        match self.records.get(&first) {
            Some(at) if *at == offset => Ok(()),
            None if (self.end()..self.unseen_end).contains(&offset) => Ok(()),
            Some(at) => found!(Lost, "{name}: {first} was acknowledged at {offset} and lies at {at}"),
            None if offset < self.end() => {
                found!(Lost, "{name}: {first} was acknowledged at {offset} and is not there")
            }
            None => found!(AckedTooEarly, "{name}: {first} at {offset}; committed is {}", self.end()),
        }
    }

    pub fn check_served(&self, node: NodeId, name: &TopicPartition, bytes: &Bytes) -> Checked {
        for view in batches(bytes) {
            let view = match view {
                Ok((_, view)) => view,
                Err(error) => return found!(Corrupt, "{name}: served by {node}: {error}"),
            };
            let base = view.header().base_offset;
            if self.is_stale_at(node, base) {
                return Ok(());
            }
            match self.entries.get(&base) {
                Some(entry) if entry.print == fingerprint(view.bytes()) => {}
                Some(entry) => {
                    let epochs = (view.header().leader_epoch, entry.epoch);
                    return found!(ReadUncommitted, "{name}: {node} served others at {base}, epochs {epochs:?}");
                }
                None => {
                    let end = self.end();
                    return found!(ReadUncommitted, "{name}: {node} served what lies at {base}, committed is {end}");
                }
            }
        }
        Ok(())
    }

    pub fn check_whole(&self, node: NodeId, name: &TopicPartition, log: &dyn ReadLog) -> Checked {
        let start = self.entries.first_key_value().map_or(Offset::ZERO, |(base, _)| *base);
        match self.compare(log, start, self.end()) {
            Ok(_) => {}
            Err(Parting { at, what }) => {
                return found!(Diverged, "{name} at {node}: in the end the log at {at} {what}")
            }
        }
        match log.read_log(self.end()) {
            Ok(rest) if rest.is_empty() => Ok(()),
            Ok(_) => found!(Diverged, "{name} at {node}: in the end there is more than the committed {}", self.end()),
            Err(error) => found!(Corrupt, "{name} at {node}: the end cannot be read: {error}"),
        }
    }
}
