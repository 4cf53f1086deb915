//! A log that is a list, with an epoch cache by Kafka's rules.

use crate::replication::LogFacts;
use crate::types::{LeaderEpoch, Offset};
use bytes::{Buf, BufMut, Bytes, BytesMut};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry {
    pub epoch: u32,
    pub value: u64,
}

#[derive(Clone, Debug, Default)]
pub struct ListLog {
    pub start: u64,
    pub entries: Vec<Entry>,
    pub flushed: u64,
    /// `flush.messages=1`: only what is flushed is vouched for.
    pub vouches_flushed: bool,
    /// Ascending in both.
    pub epochs: Vec<(u32, u64)>,
}

impl ListLog {
    /// Records of these epochs, one each.
    pub fn of(epochs: &[u32]) -> ListLog {
        let mut log = ListLog::default();
        for (value, epoch) in epochs.iter().enumerate() {
            log.append(&[Entry { epoch: *epoch, value: value as u64 }]);
        }
        log
    }

    pub fn end(&self) -> u64 {
        self.start + self.entries.len() as u64
    }

    pub fn get(&self, offset: u64) -> Option<Entry> {
        self.entries.get(usize::try_from(offset.checked_sub(self.start)?).unwrap()).copied()
    }

    pub fn facts(&self) -> LogFacts {
        let vouched = if self.vouches_flushed { self.flushed.max(self.start) } else { self.end() };
        LogFacts { log_start: Offset(self.start), log_end: Offset(self.end()), vouched: Offset(vouched) }
    }

    pub fn append(&mut self, entries: &[Entry]) {
        for entry in entries {
            self.assign(entry.epoch, self.end());
            self.entries.push(*entry);
        }
    }

    pub fn flush(&mut self) {
        self.flushed = self.end();
    }

    pub fn assign(&mut self, epoch: u32, start: u64) {
        if self.epochs.last().is_some_and(|(newest, from)| *newest == epoch && *from <= start) {
            return;
        }
        self.epochs.retain(|(e, s)| *e < epoch && *s < start);
        self.epochs.push((epoch, start));
    }

    pub fn latest_epoch(&self) -> Option<LeaderEpoch> {
        self.epochs.last().map(|(epoch, _)| LeaderEpoch(*epoch))
    }

    pub fn end_offset_for(&self, LeaderEpoch(epoch): LeaderEpoch) -> Option<(LeaderEpoch, Offset)> {
        if epoch > self.latest_epoch()?.0 {
            return None;
        }
        let above = self.epochs.partition_point(|(known, _)| *known <= epoch);
        let end = self.epochs.get(above).map_or(self.end(), |(_, start)| *start);
        let known = above.checked_sub(1).map_or(epoch, |index| self.epochs[index].0);
        Some((LeaderEpoch(known), Offset(end)))
    }

    pub fn truncate(&mut self, to: Offset) {
        assert!(to.0 >= self.start, "cut to {to} below the start {}", self.start);
        self.entries.truncate((to.0 - self.start) as usize);
        self.flushed = self.flushed.min(to.0);
        self.epochs.retain(|(_, start)| *start < to.0);
    }

    pub fn restart_at(&mut self, Offset(start): Offset) {
        *self = ListLog { start, flushed: start, vouches_flushed: self.vouches_flushed, ..ListLog::default() };
    }

    pub fn raise_start(&mut self, start: u64) {
        if start <= self.start {
            return;
        }
        self.entries.drain(..(start - self.start) as usize);
        self.start = start;
        self.flushed = self.flushed.max(start);
        let behind = self.epochs.partition_point(|(_, from)| *from <= start);
        if let Some(last) = behind.checked_sub(1) {
            self.epochs[last].1 = start;
            self.epochs.drain(..last);
        }
    }

    /// A restart after which this end is left, as recovery would find it.
    pub fn crash(&mut self, end: u64) {
        self.truncate(Offset(end));
        self.flush();
    }

    pub fn read(&self, Offset(from): Offset, count_max: usize) -> Bytes {
        let mut bytes = BytesMut::new();
        for entry in self.entries[(from - self.start) as usize..].iter().take(count_max) {
            bytes.put_u32(entry.epoch);
            bytes.put_u64(entry.value);
        }
        bytes.freeze()
    }
}

pub fn entries_of(mut bytes: Bytes) -> Vec<Entry> {
    let mut entries = Vec::new();
    while bytes.has_remaining() {
        entries.push(Entry { epoch: bytes.get_u32(), value: bytes.get_u64() });
    }
    entries
}
