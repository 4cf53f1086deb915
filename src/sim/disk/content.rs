//! The bytes of one file: what everybody reads, what a power cut leaves, and the changes in between.

use super::SECTOR_BYTES;
use std::collections::BTreeMap;
use std::fmt;

/// A change that no sync has covered yet.
#[derive(Debug)]
struct Pending {
    /// When it was made, on the disk's own count of changes.
    step: u64,
    change: Change,
}

enum Change {
    Write { at: usize, bytes: Vec<u8> },
    SetLen(usize),
}

impl fmt::Debug for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Change::Write { at, bytes } => write!(f, "Write({at}+{})", bytes.len()),
            Change::SetLen(len) => write!(f, "SetLen({len})"),
        }
    }
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Change::Write { at, bytes: new } => {
                let end = at + new.len();
                if bytes.len() < end {
                    bytes.resize(end, 0);
                }
                bytes[*at..end].copy_from_slice(new);
            }
            Change::SetLen(len) => bytes.resize(*len, 0),
        }
    }
}

/// What of the pending changes reaches the platters when nobody waits for them.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fate {
    /// Nothing does.
    Lost,
    /// Everything does.
    Kept,
    /// What was made before this step does, and a beginning of what was made then.
    Before(u64),
    /// Each sector is as old or as new as chance has it, and so is the length.
    Torn,
}

#[derive(Default)]
pub(super) struct Content {
    live: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Pending>,
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (live, durable) = (self.live.len(), self.durable.len());
        f.debug_struct("Content")
            .field("live", &live)
            .field("durable", &durable)
            .field("pending", &self.pending)
            .finish()
    }
}

impl Content {
    pub(super) fn live(&self) -> &[u8] {
        &self.live
    }

    pub(super) fn write(&mut self, step: u64, at: usize, bytes: &[u8]) {
        // An empty write changes nothing, not even the length.
        if !bytes.is_empty() {
            self.change(step, Change::Write { at, bytes: bytes.to_vec() });
        }
    }

    pub(super) fn set_len(&mut self, step: u64, len: usize) {
        if len != self.live.len() {
            self.change(step, Change::SetLen(len));
        }
    }

    fn change(&mut self, step: u64, change: Change) {
        change.apply(&mut self.live);
        self.pending.push(Pending { step, change });
    }

    /// Everything changed until now survives from now on.
    pub(super) fn sync(&mut self) {
        self.settle(Fate::Kept, &mut fastrand::Rng::with_seed(0));
    }

    /// What Linux does when writing back fails: the pages stay readable and count as clean, so that a later sync finds nothing
    /// to do and succeeds. What was not written is lost at the next crash, and only then.
    pub(super) fn fail_sync(&mut self, rng: &mut fastrand::Rng) {
        let fate = if rng.bool() { Fate::Lost } else { Fate::Torn };
        self.settle(fate, rng);
    }

    /// The page cache is gone; what remains is what has settled.
    pub(super) fn crash(&mut self, fate: Fate, rng: &mut fastrand::Rng) {
        self.settle(fate, rng);
        self.live = self.durable.clone();
    }

    /// Turns over bits in memory and on the platters.
    pub(super) fn rot(&mut self, at: usize, mask: u8) {
        self.live[at] ^= mask;
        if let Some(byte) = self.durable.get_mut(at) {
            *byte ^= mask;
        }
    }

    fn settle(&mut self, fate: Fate, rng: &mut fastrand::Rng) {
        let pending = std::mem::take(&mut self.pending);
        match fate {
            Fate::Lost => {}
            Fate::Kept => pending.iter().for_each(|pending| pending.change.apply(&mut self.durable)),
            Fate::Before(step) => {
                pending
                    .iter()
                    .filter(|pending| pending.step < step)
                    .for_each(|pending| pending.change.apply(&mut self.durable));
                let at_step = pending.into_iter().find(|pending| pending.step == step);
                if let Some(Pending { change: Change::Write { at, mut bytes }, .. }) = at_step {
                    bytes.truncate(whole_sectors(at, rng.usize(..=bytes.len())));
                    if !bytes.is_empty() {
                        Change::Write { at, bytes }.apply(&mut self.durable);
                    }
                }
            }
            Fate::Torn => self.tear(&pending, rng),
        }
    }

    fn tear(&mut self, pending: &[Pending], rng: &mut fastrand::Rng) {
        // Replay the changes, and remember every state that each sector was in and every length that the file had.
        let mut replay = self.durable.clone();
        let mut lengths = vec![replay.len()];
        let mut states: BTreeMap<usize, Vec<Vec<u8>>> = BTreeMap::new();
        for Pending { change, .. } in pending {
            let touched = match change {
                Change::Write { at, bytes } => *at..at + bytes.len(),
                // Growing only makes zeros, which nobody has to write.
                Change::SetLen(len) => *len..replay.len().max(*len),
            };
            let sectors = touched.start / SECTOR_BYTES..touched.end.div_ceil(SECTOR_BYTES);
            for index in sectors.clone() {
                states.entry(index).or_insert_with(|| vec![sector(&replay, index)]);
            }
            change.apply(&mut replay);
            for index in sectors {
                let seen = states.get_mut(&index).expect("the state before this change was entered just now");
                seen.push(sector(&replay, index));
            }
            lengths.push(replay.len());
        }
        let len = tear_length(&lengths, rng);
        let longest = lengths.iter().copied().max().unwrap_or(0).div_ceil(SECTOR_BYTES) * SECTOR_BYTES;
        self.durable.resize(longest, 0);
        for (index, seen) in states {
            let survivor = &seen[rng.usize(..seen.len())];
            self.durable[index * SECTOR_BYTES..][..SECTOR_BYTES].copy_from_slice(survivor);
        }
        self.durable.truncate(len);
    }
}

/// One of the lengths that the file had, or, as when part of the pages was written back, a sector's end between them.
fn tear_length(lengths: &[usize], rng: &mut fastrand::Rng) -> usize {
    let (shortest, longest) = lengths.iter().fold((usize::MAX, 0), |(low, high), len| (low.min(*len), high.max(*len)));
    if rng.bool() {
        return lengths[rng.usize(..lengths.len())];
    }
    let sector_end = rng.usize(shortest..=longest).div_ceil(SECTOR_BYTES) * SECTOR_BYTES;
    sector_end.min(longest)
}

/// Zeros behind the end.
fn sector(bytes: &[u8], index: usize) -> Vec<u8> {
    let start = (index * SECTOR_BYTES).min(bytes.len());
    let end = (start + SECTOR_BYTES).min(bytes.len());
    let mut sector = bytes[start..end].to_vec();
    sector.resize(SECTOR_BYTES, 0);
    sector
}

/// Cuts a write of `bytes` at byte `at` where a sector ends.
fn whole_sectors(at: usize, bytes: usize) -> usize {
    let end = (at + bytes) / SECTOR_BYTES * SECTOR_BYTES;
    end.saturating_sub(at)
}
